//! An expression compiles or is refused; what compiles can be applied: the first line is the
//! expression, the rest is a JSON value.
#![no_main]

use dadl_descriptor::model::json_path::JsonPath;
use dadl_mcp::outcome::JsonText;
use libfuzzer_sys::fuzz_target;

const MASK: &str = "\"[REDACTED]\"";

fuzz_target!(|text: &str| {
    let (expression, value) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(path) = JsonPath::compile(expression) else { return };
    assert_eq!(path.as_str(), expression);
    let usual = || JsonText::parse(r#"{"a":[{"b":1},{"b":[2,"x"]}],"c-d":null}"#).unwrap();
    let value = JsonText::parse(value).unwrap_or_else(|_| usual());
    let text = value.as_str();
    let Ok(found) = path.all(text) else { return };
    assert_eq!(path.first(text), Ok(found.first().copied()), "{expression}");
    for value in &found {
        assert!(JsonText::parse(value).is_ok(), "{expression}: {value}");
    }
    if path.is_singular() {
        assert!(found.len() <= 1, "{expression}");
    }
    let Ok(masked) = JsonPath::mask(&[path.clone()], text, MASK, usize::MAX) else { return };
    let masked = masked.unwrap_or_else(|| text.to_owned());
    assert!(JsonText::parse(&masked).is_ok(), "{expression}: {masked}");
    // What a filter judged by may be hidden now, and its item not be selected any more.
    for left in path.all(&masked).unwrap_or_default() {
        assert_eq!(left, MASK, "{expression}");
    }
});
