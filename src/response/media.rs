//! Whether an answer is what its tool declares: a page of a browser where an API should answer, or
//! another media type than the author named.
//!
//! Many descriptors declare nothing, and many servers label JSON as text, so that a label alone is no
//! mistake: what counts is whether the answer can be read as what was declared.

use dadl_descriptor::model::Tool;
use http::header::ACCEPT;
use mime::Mime;
use serde_json::Value;

use super::decode::BodyType;

/// What servers say of bytes that they do not know, and what they may say of any file.
const ANYTHING: &[&str] = &[
    "application/octet-stream",
    "application/download",
    "application/force-download",
    "application/x-download",
    "binary/octet-stream",
];

/// What the answers of a tool are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerSubject {
    /// What the tool is called for.
    Result,
    /// How tasks are.
    Tasks,
}

/// What a tool says about its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeclaredMedia<'tool> {
    /// Nothing.
    Nothing,
    /// That JSON is asked for.
    Asked,
    /// Where something is in them, or what they are like: they are JSON.
    Shaped,
    /// That they are JSON.
    Json,
    /// Another media type.
    Other(&'tool str),
}

impl<'tool> DeclaredMedia<'tool> {
    /// Returns what `tool` says.
    pub(crate) fn of(tool: &'tool Tool, subject: AnswerSubject) -> Self {
        let rules = &tool.response;
        if let Some(declared) = rules.content_type.as_deref() {
            return match BodyType::of(Some(declared)) {
                BodyType::Json | BodyType::Ndjson => Self::Json,
                _ => Self::Other(declared),
            };
        }
        if rules.binary {
            return Self::Nothing;
        }
        let is_shaped = rules.result_path.is_some()
            || rules.streaming.is_declared
            || tool.pagination().is_some()
            || tool.returns.as_deref().is_some_and(|returns| !may_be_text(returns))
            || tool.rpc().is_some()
            || !tool.errors.failed.is_empty()
            || subject == AnswerSubject::Tasks;
        if is_shaped {
            return Self::Shaped;
        }
        let mut accepted = tool.headers.iter().filter(|(name, _)| *name == ACCEPT);
        let asks = accepted.any(|(_, value)| {
            value.to_str().is_ok_and(|text| BodyType::of(Some(text)) == BodyType::Json)
        });
        if asks { Self::Asked } else { Self::Nothing }
    }

    /// Returns whether JSON is expected, however that is known.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Asked | Self::Shaped | Self::Json)
    }

    /// Returns whether a page of a browser is what was declared.
    pub(crate) fn is_page(self) -> bool {
        matches!(self, Self::Other(declared) if is_page_type(Some(declared)))
    }

    /// Returns whether any text is what was declared.
    pub(crate) fn is_plain_text(self) -> bool {
        matches!(self, Self::Other(declared) if media_essence(declared).as_deref() == Some("text/plain"))
    }

    /// Names it, behind "instead of".
    pub(crate) fn words(self) -> &'tool str {
        match self {
            Self::Other(declared) => declared,
            Self::Asked | Self::Shaped | Self::Json => "JSON",
            Self::Nothing => "data",
        }
    }

    /// Returns whether an answer of the type `sent` is another than the author named. What is said
    /// of any file, and names that mean the same, are no others.
    pub(crate) fn differs(self, sent: &str) -> bool {
        let declared = match self {
            Self::Other(declared) => declared,
            Self::Json => {
                let is_json = [BodyType::Json, BodyType::Ndjson, BodyType::Unknown]
                    .contains(&BodyType::of(Some(sent)));
                return !is_json && !says_nothing(Some(sent));
            }
            Self::Asked | Self::Nothing | Self::Shaped => return false,
        };
        let (Some(declared), Some(sent)) = (media_essence(declared), media_essence(sent)) else {
            return false;
        };
        let is_any = |it: &str| ANYTHING.contains(&it);
        !is_any(&declared) && !is_any(&sent) && declared != sent
    }
}

/// Returns whether a schema lets a result be a text.
fn may_be_text(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|it| it == "string"),
        Some(kind) => kind == "string",
        // A type of its own, or members: what nobody described may be anything.
        None => !["$ref", "properties", "items", "allOf"].iter().any(|it| schema.get(it).is_some()),
    }
}

/// Returns type and subtype in small letters, without what makes no difference.
fn media_essence(text: &str) -> Option<String> {
    let mime: Mime = text.parse().ok()?;
    let (kind, subtype) = (mime.type_().as_str(), mime.subtype().as_str());
    // Names from before and after their registration; XML is text and not.
    let subtype = subtype.strip_prefix("x-").unwrap_or(subtype);
    let kind = if subtype == "xml" { "application" } else { kind };
    let suffix = mime.suffix().map(|suffix| format!("+{suffix}")).unwrap_or_default();
    Some(format!("{kind}/{subtype}{suffix}").to_ascii_lowercase())
}

/// Returns whether a content type says nothing of what there is.
pub(crate) fn says_nothing(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
    ANYTHING.iter().any(|known| known.eq_ignore_ascii_case(essence))
}

/// Returns whether a content type is that of pages.
pub(crate) fn is_page_type(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|it| it.eq_ignore_ascii_case(essence))
}

/// Returns whether `tool` says somewhere that it may answer HTML.
pub(crate) fn names_pages(tool: &Tool) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("html");
    says(&tool.name)
        || says(&tool.description)
        || says(tool.path().as_str())
        || tool
            .headers
            .iter()
            .any(|(name, value)| *name == ACCEPT && value.to_str().is_ok_and(says))
        || tool
            .params
            .iter()
            .any(|param| says(&param.name) || param.description.as_deref().is_some_and(says))
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::source::SourceText;

    use super::*;

    /// What the tool with these keys says; those of `headers` are for all tools.
    fn declared(keys: &str, check: impl FnOnce(DeclaredMedia<'_>, &Tool)) {
        let (defaults, keys) = match keys.starts_with("headers") {
            true => (keys, ""),
            false => ("headers: {}", keys),
        };
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: b\n  type: rest\n  \
             base_url: https://b.example\n  auth: {{ type: bearer, credential: t }}\n  \
             defaults: {{ {defaults} }}\n  tools:\n    get: {{ method: GET, \
             path: /x, access: read, description: \"Things.\", {keys} }}\n"
        );
        let loaded = dadl_descriptor::load(&SourceText::new("b.dadl", &text));
        let descriptor = loaded.descriptor.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let tool = descriptor.tools.first().unwrap();
        check(DeclaredMedia::of(tool, AnswerSubject::Result), tool);
    }

    #[test]
    fn what_is_declared_is_known_by_what_is_said_about_answers() {
        for (keys, expected) in [
            ("", DeclaredMedia::Nothing),
            ("headers: { Accept: application/json }", DeclaredMedia::Asked),
            ("headers: { Accept: text/html }", DeclaredMedia::Nothing),
            ("response: { result_path: $.data }", DeclaredMedia::Shaped),
            ("returns: { type: object }", DeclaredMedia::Shaped),
            ("response: { content_type: application/json }", DeclaredMedia::Json),
            (
                "response: { content_type: application/hal+json; charset=utf-8 }",
                DeclaredMedia::Json,
            ),
            ("response: { binary: true }", DeclaredMedia::Nothing),
            ("response: { content_type: text/csv }", DeclaredMedia::Other("text/csv")),
        ] {
            declared(keys, |found, _| assert_eq!(found, expected, "{keys}"));
        }
        declared("headers: { Accept: text/html }", |_, tool| assert!(names_pages(tool)));
        declared("response: { content_type: text/html }", |it, _| assert!(it.is_page()));
        declared("", |_, tool| assert!(!names_pages(tool)));
    }

    #[test]
    fn names_of_the_same_type_are_no_difference() {
        for (declared, sent, differs) in [
            ("application/gzip", "application/x-gzip", false),
            ("text/xml; charset=utf-8", "application/xml", false),
            ("application/zip", "application/octet-stream", false),
            ("application/octet-stream", "text/html", false),
            ("Text/CSV", "text/csv; header=present", false),
            ("application/zip", "application/json", true),
            ("text/csv", "text/html", true),
            ("image/svg+xml", "image/svg", true),
            ("nonsense", "text/html", false),
        ] {
            assert_eq!(DeclaredMedia::Other(declared).differs(sent), differs, "{declared} {sent}");
        }
    }

    #[test]
    fn a_page_is_known_by_its_label() {
        for text in ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"] {
            assert!(is_page_type(Some(text)), "{text}");
        }
        assert!(!is_page_type(None) && !is_page_type(Some("text/plain")));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn no_label_is_too_strange(label in ".*", other in ".*") {
            let _ = (is_page_type(Some(&label)), says_nothing(Some(&label)));
            let differs = DeclaredMedia::Other(&label).differs(&other);
            assert_eq!(DeclaredMedia::Other(&other).differs(&label), differs);
            let _ = DeclaredMedia::Json.differs(&label);
        }
    }
}
