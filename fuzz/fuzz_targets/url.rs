//! Nothing leaves the base path: the first line is a path template, the others are the values of
//! its placeholders and of a query parameter.
#![no_main]

mod common;

use dadl_mcp::call::BaseUrl;
use dadl_descriptor::model::template::PathTemplate;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let template = lines.next().unwrap_or_default();
    let Ok(parsed) = PathTemplate::parse(template) else { return };
    let names: Vec<&str> = parsed.placeholders().collect();
    let mut params = Map::new();
    let mut given = Map::new();
    for name in &names {
        params.insert((*name).to_owned(), json!({ "type": "string", "in": "path" }));
        given.insert((*name).to_owned(), Value::from(lines.next().unwrap_or("x")));
    }
    let query = lines.next().unwrap_or_default();
    if !names.contains(&"q") {
        params.insert("q".to_owned(), json!({ "type": "string", "in": "query" }));
        given.insert("q".to_owned(), Value::from(query));
    }
    let tool = json!({
        "method": "GET", "path": template, "access": "read", "description": "d", "params": params,
    });
    let Some(catalog) = common::catalog(&tool) else { return };
    let base = BaseUrl::parse("https://api.example.com/base/v1").expect("a base URL");
    let Some(plan) = common::plan(&catalog, &base, &given) else { return };
    let url = plan.url.as_str();
    assert!(base.contains(&plan.url), "{url}");
    let rest = url.strip_prefix("https://api.example.com/base/v1").expect(url);
    assert!(rest.is_empty() || rest.starts_with(['/', '?']), "{url}");
    let path = rest.split('?').next().unwrap_or_default();
    let decoded = path.to_ascii_lowercase().replace("%2e", ".");
    assert!(!decoded.split('/').any(|segment| matches!(segment, "." | "..")), "{url}");
    assert!(!path.contains('\\'), "{url}");
    assert_eq!(plan.url.fragment(), None, "{url}");
    // What another parser makes of it is the same.
    assert_eq!(url::Url::parse(url).expect("a URL").as_str(), url);
    // A value is one segment: it adds none.
    let slashes = |text: &str| text.split('?').next().unwrap_or_default().matches('/').count();
    let expected = slashes(template) + usize::from(!template.starts_with('/') && !template.is_empty());
    assert!(slashes(rest) <= expected.max(1), "{template:?} {url}");
});
