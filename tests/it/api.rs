//! Descriptors of APIs that do not exist: the head that all of them have stands here once.

/// A descriptor, as a constant: of a REST API called `fake` that wants no credential. `backend` is the rest
/// of what stands there; what is different comes before it, in this order: `top` (keys beside `backend`),
/// `name`, `kind` (the type), `auth` (keys on a line). Where a part is known only at run time, a word
/// stands for it, and `replace` puts it there.
macro_rules! api {
    (
        $(top: $top:literal,)?
        $(name: $name:literal,)?
        $(kind: $kind:literal,)?
        $(auth: $auth:literal,)?
        backend: $backend:literal $(,)?
    ) => {
        concat!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\n",
            $($top, "\n",)?
            "backend:\n  name: ",
            $crate::api::or!("fake" $(, $name)?),
            "\n  type: ",
            $crate::api::or!("rest" $(, $kind)?),
            "\n  description: A fake\n  auth: { ",
            $crate::api::or!("type: bearer, credential: none" $(, $auth)?),
            " }\n",
            $backend
        )
    };
}

/// What is given, or else the default.
macro_rules! or {
    ($default:literal) => {
        $default
    };
    ($default:literal, $given:literal) => {
        $given
    };
}

pub(crate) use {api, or};

#[test]
fn a_descriptor_is_what_it_would_be_by_hand() {
    let text = api!(
        top: "requires: { features: [redact] }",
        auth: "type: bearer, credential: token",
        backend: "  tools:\n    get: { method: GET }\n"
    );
    let expected = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2.md
requires: { features: [redact] }
backend:
  name: fake
  type: rest
  description: A fake
  auth: { type: bearer, credential: token }
  tools:
    get: { method: GET }
";
    assert_eq!(text, expected);
}
