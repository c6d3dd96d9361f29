//! An expression compiles or is refused; what compiles can be applied: the first line is the
//! expression, the rest is a JSON value.
#![no_main]

use dadl_mcp::descriptor::json_path::JsonPath;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let (expression, value) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(path) = JsonPath::compile(expression) else { return };
    assert_eq!(path.as_str(), expression);
    let mut value: Value = serde_json::from_str(value)
        .unwrap_or_else(|_| json!({ "a": [{ "b": 1 }, { "b": [2, "x"] }], "c-d": null }));
    let found = path.all(&value).len();
    assert_eq!(path.first(&value).is_some(), found > 0);
    if path.is_singular() {
        assert!(found <= 1, "{expression}");
    }
    path.replace_all(&mut value, &Value::from("[REDACTED]"));
    for left in path.all(&value) {
        assert_eq!(left, &Value::from("[REDACTED]"), "{expression}");
    }
});
