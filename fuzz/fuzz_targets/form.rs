//! A form says what was given: each line is a name, `=`, and a text or JSON value.
#![no_main]

mod common;

use dadl_mcp::call::{BaseUrl, PlannedBody};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    let mut params = Map::new();
    let mut given = Map::new();
    for line in text.split('\n').take(8) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let (kind, value) = match serde_json::from_str::<Value>(value) {
            Ok(value @ Value::Object(_)) => ("object", value),
            Ok(value @ Value::Array(_)) => ("array", value),
            _ => ("string", Value::from(value)),
        };
        params.insert(name.to_owned(), json!({ "type": kind, "in": "body" }));
        given.insert(name.to_owned(), value);
    }
    let tool = json!({
        "method": "POST", "path": "/x", "access": "write", "description": "d", "params": params,
        "content_type": "application/x-www-form-urlencoded",
    });
    let Some(catalog) = common::catalog(&tool) else { return };
    let base = BaseUrl::parse("https://api.example.com").expect("a base URL");
    let Some(plan) = common::plan(&catalog, &base, &given) else { return };
    let PlannedBody::Bytes(body) = plan.body else { return };
    assert!(body.is_ascii(), "everything else is encoded");
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    for (name, value) in &given {
        match value {
            Value::String(value) => {
                assert!(pairs.contains(&(name.clone(), value.clone())), "{name} {pairs:?}");
            }
            Value::Object(members) => {
                for (key, member) in members {
                    if let Value::String(member) = member {
                        let name = format!("{name}[{key}]");
                        assert!(pairs.contains(&(name, member.clone())), "{pairs:?}");
                    }
                }
            }
            _ => {}
        }
    }
    if given.values().all(Value::is_string) {
        assert_eq!(pairs.len(), given.len(), "each argument arrives once");
    }
});
