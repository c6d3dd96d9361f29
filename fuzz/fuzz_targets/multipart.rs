//! A multipart body says what was given: each line is a name, `=`, and a text.
#![no_main]

mod common;

use dadl_mcp::{
    call::{BaseUrl, PlannedBody},
    fuzzing::multipart_body,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    let mut params = Map::new();
    let mut given = Map::new();
    for line in text.split('\n').take(8) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        params.insert(name.to_owned(), json!({ "type": "string", "in": "body" }));
        given.insert(name.to_owned(), Value::from(value.replace('\u{1}', "\r\n")));
    }
    let tool = json!({
        "method": "POST", "path": "/x", "access": "write", "description": "d", "params": params,
        "content_type": "multipart/form-data",
    });
    let Some(catalog) = common::catalog(&tool) else { return };
    let base = BaseUrl::parse("https://api.example.com").expect("a base URL");
    let Some(plan) = common::plan(&catalog, &base, &given) else { return };
    let PlannedBody::Multipart(fields) = plan.body else { return };
    // The boundary begins as the text does, to make it occur.
    let random: String = text.chars().filter(char::is_ascii_alphanumeric).take(2).collect();
    let (boundary, body) = multipart_body(&fields, &random);
    let delimiter = format!("--{boundary}");
    let mut parts: Vec<&str> = body.split(&delimiter).collect();
    assert_eq!(parts.remove(0), "");
    assert_eq!(parts.pop(), Some("--\r\n"));
    let mut found: Vec<(String, &str)> = parts
        .into_iter()
        .map(|part| {
            let part = part.strip_prefix("\r\n").expect("a line end");
            let (head, content) = part.split_once("\r\n\r\n").expect("a head");
            let name = head
                .strip_prefix("Content-Disposition: form-data; name=\"")
                .and_then(|head| head.strip_suffix('"'))
                .expect("a name");
            assert!(!name.contains(['"', '\r', '\n']));
            (name.to_owned(), content.strip_suffix("\r\n").expect("a line end"))
        })
        .collect();
    found.sort();
    let escape = |name: &str| {
        name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
    };
    let mut expected: Vec<(String, &str)> = given
        .iter()
        .map(|(name, value)| (escape(name), value.as_str().expect("text")))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
});
