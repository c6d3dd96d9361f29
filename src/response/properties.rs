//! Whatever a backend answers, reading it ends in a value or an error, never in a panic.

use dadl_descriptor::model::{ErrorRules, json_path::JsonPath};
use proptest::prelude::*;

use super::{
    api_error::{self, RejectedAnswer},
    decode, decode_error,
};

/// Bodies that look like what they are not, cut anywhere.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = proptest::sample::select(vec![
        "<",
        "<script",
        "</script>",
        "<style>",
        ">",
        "<!DOCTYPE html>",
        "{\"error\":",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        "1e999",
        "null",
        "\u{1e}",
        "\n",
        "é",
        "🦀",
        "\u{feff}",
        "&amp;",
    ]);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(pieces, 0..40).prop_map(|parts| parts.concat().into_bytes()),
        (0_usize..300).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn content_type() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        proptest::sample::select(vec![
            "application/json",
            "application/x-ndjson",
            "text/html; charset=utf-16",
            "text/plain; charset=nonsense",
            "text/markdown",
        ])
        .prop_map(|text| Some(text.to_owned())),
        any::<String>().prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_body_is_decoded_or_refused(body in body(), content_type in content_type()) {
        let _ = decode::decode(body.clone().into(), content_type.as_deref(), 100);
        prop_assert!(decode_error::excerpt(&body).len() <= 400);
    }

    #[test]
    fn an_error_has_a_message(body in body(), status in 100_u16..600) {
        let rules = ErrorRules {
            message_path: Some(JsonPath::compile("$.error").unwrap()),
            ..ErrorRules::default()
        };
        let rejection = RejectedAnswer {
            status, body: &body, request: "GET /x", retry_after: None, attempts: 1,
        };
        prop_assert!(!api_error::read_api_error(rejection, &rules).message.is_empty());
    }
}
