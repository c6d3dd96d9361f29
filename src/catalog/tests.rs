//! Descriptors in, names, schemas and descriptions as hosts list them out.

use std::collections::BTreeMap;

use dadl_descriptor::model::{AccessLevel, BodyKind, Deprecation, PageStrategy};
use serde_json::json;

use super::{fixture::*, name::PROPERTY_NAME_MAX, *};
use crate::access::{AccessLevels, ToolPatterns};

fn schema_of(tool: Tool) -> Value {
    let catalog = catalog(vec![tool]);
    let entry = &catalog.entries()[0];
    let schema = Value::Object(entry.input_schema());
    host_safe(&schema);
    entry.validator();
    schema
}

/// Fails where a host is known to refuse a schema.
fn host_safe(schema: &Value) {
    let keys: Vec<_> = schema.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        matches!(keys[..], ["type", "properties"] | ["type", "properties", "required"]),
        "{keys:?}"
    );
    assert_eq!(schema["type"], "object");
    assert!(schema["required"].as_array().is_none_or(|required| !required.is_empty()));
    for (name, property) in schema["properties"].as_object().unwrap() {
        assert!((1..=PROPERTY_NAME_MAX).contains(&name.len()), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)), "{name}");
        for (key, value) in property.as_object().unwrap() {
            match key.as_str() {
                "type" => assert!(value.is_string()),
                "description" => assert!(!value.as_str().unwrap().is_empty()),
                "default" | "items" | "properties" => {}
                other => panic!("{name} has {other}"),
            }
        }
        assert_eq!(property["type"] == "array", property.get("items").is_some(), "{name}");
        assert_eq!(property["type"] == "object", property.get("properties").is_some(), "{name}");
    }
}

#[test]
fn an_unlisted_parameter_is_accepted_and_not_listed() {
    let mut descriptor = Descriptor::clone(&descriptor(
        "b",
        vec![tool("GET", "/x", &["fields:query:string", "ndjson:query:boolean"])],
    ));
    descriptor.unlisted_params.everywhere = vec!["ndjson".to_owned()];
    let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    let descriptor = Arc::new(descriptor);
    let catalog = Catalog::build(&[BackendTools {
        name: "b",
        descriptor,
        server: None,
        policy: &policy,
        task_wait: None,
    }]);
    let entry = &catalog.entries()[0];
    let schema = entry.input_schema();
    let listed: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(listed, ["fields"]);
    assert!(entry.validator().is_valid(&json!({ "ndjson": true })));
    assert!(!entry.validator().is_valid(&json!({ "ndjsn": true })));
}

#[test]
fn bounds_that_are_checked_are_left_to_the_check() {
    let mut tool =
        tool("GET", "/x", &["size:query:integer", "name:query:string", "kind:query:string"]);
    for param in &mut tool.params {
        param.enforced = param.name != "size";
    }
    let hints = |json: Value| json.as_object().unwrap().clone();
    tool.value_hints = BTreeMap::from([
        ("size".to_owned(), hints(json!({ "minimum": 1 }))),
        ("name".to_owned(), hints(json!({ "pattern": "^a" }))),
        ("kind".to_owned(), hints(json!({ "enum": ["a", "b"] }))),
    ]);
    let catalog = catalog(vec![tool]);
    let entry = &catalog.entries()[0];
    let schema = entry.input_schema();
    let listed = &schema["properties"];
    assert_eq!(listed["size"], json!({ "type": "integer", "minimum": 1 }));
    assert_eq!(listed["name"], json!({ "type": "string" }));
    assert_eq!(listed["kind"], json!({ "type": "string", "enum": ["a", "b"] }));
    assert!(!entry.validator().is_valid(&json!({ "name": "b" })));
    assert!(!entry.validator().is_valid(&json!({ "kind": "c" })));
    assert!(entry.validator().is_valid(&json!({ "size": 0, "name": "ab", "kind": "a" })));
}

#[test]
fn bounds_that_are_none_are_left_to_the_api() {
    let odd = [json!("x"), json!(-1), json!([5]), json!({}), json!(null), json!(true), json!("(")];
    for name in ["enum", "maxLength", "maximum", "minLength", "minimum", "pattern"] {
        for value in &odd {
            let mut tool = tool("GET", "/x", &["name:query:string", "size:query:integer"]);
            for param in &mut tool.params {
                param.enforced = true;
            }
            let hint = json!({ name: value }).as_object().unwrap().clone();
            tool.value_hints = ["name", "size"].map(|it| (it.to_owned(), hint.clone())).into();
            let catalog = catalog(vec![tool]);
            let entry = &catalog.entries()[0];
            assert!(!entry.validator().is_valid(&json!({ "other": 1 })), "{name} {value}");
            if !jsonschema::meta::is_valid(&json!({ name: value })) {
                let given = json!({ "name": "any", "size": 7 });
                assert!(entry.validator().is_valid(&given), "{name} {value}");
            }
        }
    }
}

#[test]
fn a_schema_has_the_types_in_the_order_of_the_file() {
    let mut tool = tool(
        "GET",
        "/vms/{id}",
        &[
            "z:query:string",
            "id:path:string",
            "a:query:array",
            "o:query:object",
            "n:query:integer=5",
        ],
    );
    tool.params[0].description = Some(" two\n words ".to_owned());
    let schema = schema_of(tool);
    let expected = json!({
        "type": "object",
        "properties": {
            "z": {"type": "string", "description": "two words"},
            "id": {"type": "string"},
            "a": {"type": "array", "items": {"type": ["string", "number", "boolean", "object"]}},
            "o": {"type": "object", "properties": {}},
            "n": {"type": "integer", "default": 5},
        },
        "required": ["id"],
    });
    assert_eq!(schema.to_string(), expected.to_string());
}

#[test]
fn what_is_listed_of_values_is_portable_and_what_is_checked_stays() {
    let mut tool =
        tool("GET", "/x", &["level:query:integer", "ids:query:array", "mode:query:string"]);
    let hints = json!({
        "level": { "enum": [0, 1, 2] },
        "ids": { "items": true },
        "mode": { "enum": ["", "fast"] },
    });
    for (name, hint) in hints.as_object().unwrap() {
        tool.value_hints.insert(name.clone(), hint.as_object().unwrap().clone());
    }
    let catalog = catalog(vec![tool]);
    let entry = &catalog.entries()[0];
    let expected = json!({
        "level": { "type": "integer", "minimum": 0, "maximum": 2 },
        "ids": { "type": "array", "items": { "type": ["string", "number", "boolean", "object"] } },
        "mode": { "type": "string", "description": r#"one of "", "fast""# },
    });
    assert_eq!(entry.input_schema()["properties"], expected);
    assert!(entry.validator().is_valid(&json!({ "level": 9, "ids": [[null]], "mode": "slow" })));
}

#[test]
fn no_property_of_more_force_is_suggested() {
    let catalog = catalog(vec![tool(
        "POST",
        "/x",
        &["force_stop:body:boolean", "skip_backup:body:boolean", "name:body:string"],
    )]);
    let entry = &catalog.entries()[0];
    assert_eq!(entry.nearest_property("stop"), None, "and not force_stop");
    assert_eq!(entry.nearest_property("keep_backup"), None, "and not skip_backup");
    assert_eq!(entry.nearest_property("forceStop"), Some("force_stop"));
    assert_eq!(entry.nearest_property("nam"), Some("name"));
}

#[test]
fn a_tool_without_parameters_has_no_required() {
    let expected = r#"{"type":"object","properties":{}}"#;
    assert_eq!(schema_of(tool("GET", "/", &[])).to_string(), expected);
}

#[test]
fn a_default_makes_a_parameter_optional_and_takes_its_type() {
    let schema =
        schema_of(tool("GET", "/{d}", &["d:path:string!=\"me\"", "n:query:integer=\"4\""]));
    assert_eq!(schema.get("required"), None);
    assert_eq!(schema["properties"]["n"]["default"], 4);
}

#[test]
fn pagination_adds_what_a_get_does_not_declare() {
    let with = |method: &str, params: &[&str], pagination| {
        let mut tool = tool(method, "/vms", params);
        tool.http_mut().unwrap().pagination = pagination;
        schema_of(tool)["properties"].to_string()
    };
    assert_eq!(
        with("GET", &[], offset()),
        r#"{"offset":{"type":"integer","description":"Items to skip"},"limit":{"type":"integer","description":"Maximum number of items","default":100}}"#
    );
    assert_eq!(
        with("GET", &["limit:query:integer", "offset:query:integer"], offset()),
        r#"{"limit":{"type":"integer","default":100},"offset":{"type":"integer"}}"#
    );
    assert_eq!(
        with("GET", &["limit:query:integer=7", "offset:query:string"], offset()),
        r#"{"limit":{"type":"integer","default":7},"offset":{"type":"string"}}"#
    );
    assert_eq!(with("POST", &[], offset()), "{}");
    let cursor = pages(PageStrategy::Cursor { param: Some("after".to_owned()), next: None });
    assert!(with("GET", &[], cursor).starts_with(r#"{"after":{"type":"string""#));
    let page = pages(PageStrategy::Page { param: None });
    assert!(with("GET", &[], page).starts_with(r#"{"limit":{"#));
}

#[test]
fn a_fixed_query_is_not_offered_again() {
    let mut tool = tool("GET", "/vms?limit=10", &[]);
    tool.http_mut().unwrap().pagination = offset();
    assert_eq!(schema_of(tool)["properties"].as_object().unwrap().len(), 1);
}

#[test]
fn a_raw_body_gets_a_file() {
    let mut import = tool("POST", "/vms", &["name:query:string"]);
    import.http_mut().unwrap().body = BodyKind::Raw(Box::new(mime::APPLICATION_OCTET_STREAM));
    let schema = schema_of(import.clone());
    assert_eq!(schema["properties"]["file"]["type"], "string");
    assert_eq!(schema["required"], json!(["file"]));
    import.params = vec![param("data:body:string!").into()];
    assert_eq!(schema_of(import)["required"], json!(["data"]));
}

#[test]
fn odd_names_become_safe_and_come_back() {
    let catalog = catalog(vec![tool(
        "GET",
        "/",
        &["filter[name]:query:string", "ids[]:query:array", "a:b:query:string", "ids:query:string"],
    )]);
    let entry = &catalog.entries()[0];
    host_safe(&Value::Object(entry.input_schema()));
    assert_eq!(entry.param("filter_name").unwrap().name, "filter[name]");
    assert_eq!(entry.param("a_b").unwrap().name, "a:b");
    assert_eq!(entry.param("ids").unwrap().name, "ids");
    assert_eq!(entry.nearest_property("filter[name]"), Some("filter_name"));
}

fn named(name: &str, access: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        access: Some(AccessLevel::from_word(access)),
        ..tool("GET", "/", &[])
    }
}

#[test]
fn denied_tools_are_found_but_not_listed() {
    let policy = AccessPolicy {
        exclude_tools: ToolPatterns::new(["secret_*"]).unwrap(),
        ..AccessPolicy::default()
    };
    let mut old = named("old", "read");
    old.deprecated =
        Some(Box::new(Deprecation { reason: None, replaced_by: Some("delete_vm".to_owned()) }));
    let tools = vec![
        named("list_vms", "read"),
        named("delete_vm", "dangerous"),
        named("secret_x", "read"),
        old,
    ];
    let catalog = Catalog::build(&[BackendTools {
        name: "xo",
        descriptor: descriptor("xo", tools),
        server: None,
        policy: &policy,
        task_wait: None,
    }]);
    assert_eq!(catalog.listed().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["list_vms", "old"]);
    assert_eq!(catalog.entries().len(), 4);
    assert_eq!(catalog.find("delete_vm").unwrap().declared_name(), "delete_vm");
    assert!(catalog.find("nope").is_none());
    assert_eq!(catalog.nearest("list_vm"), Some("list_vms"));
    assert_eq!(catalog.nearest("delete_vms"), None);
    assert!(catalog.find("old").unwrap().description.ends_with("Deprecated."));
}

#[test]
fn nobody_is_led_to_a_tool_that_goes_further() {
    let mut old = named("old_list", "read");
    old.deprecated =
        Some(Box::new(Deprecation { reason: None, replaced_by: Some("delete_vm".to_owned()) }));
    let mut legacy = named("erase_vm", "dangerous");
    legacy.deprecated = old.deprecated.clone();
    let catalog = catalog(vec![
        named("list_vms", "read"),
        named("resume_vm", "write"),
        named("delete_network", "dangerous"),
        named("delete_vm", "dangerous"),
        old,
        legacy,
    ]);
    assert_eq!(catalog.nearest("update_network"), None);
    assert_eq!(catalog.nearest("rename_vm"), None);
    assert_eq!(catalog.nearest("mcp__xo__list_vms"), Some("list_vms"));
    assert_eq!(catalog.nearest_of_all("dlete_vm"), Some("delete_vm"));
    assert!(catalog.find("old_list").unwrap().description.ends_with("Deprecated."));
    assert!(catalog.find("erase_vm").unwrap().description.ends_with("Use delete_vm."));
}

#[test]
fn what_is_not_allowed_is_found_for_people() {
    let policy = AccessPolicy::default();
    let tools = vec![named("list_vms", "read"), named("start_vm", "write")];
    let descriptor = descriptor("xo", tools);
    let catalog = Catalog::build(&[BackendTools {
        name: "xo",
        descriptor,
        server: None,
        policy: &policy,
        task_wait: None,
    }]);
    assert_eq!(catalog.nearest("strat_vm"), None);
    assert_eq!(catalog.nearest_of_all("strat_vm"), Some("start_vm"));
}

#[test]
fn two_backends_share_nothing_but_the_catalog() {
    let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    let mut old = named("old", "read");
    old.deprecated =
        Some(Box::new(Deprecation { reason: None, replaced_by: Some("list_vms".to_owned()) }));
    let backend = |name, tools| BackendTools {
        name,
        descriptor: descriptor(name, tools),
        server: None,
        policy: &policy,
        task_wait: None,
    };
    let catalog = Catalog::build(&[
        backend("lab-a", vec![named("list_vms", "read")]),
        backend("lab-b", vec![named("list_vms", "read"), old]),
    ]);
    let entry = catalog.find("lab_b_list_vms").unwrap();
    assert_eq!((entry.backend, &*entry.backend_name), (BackendId(1), "lab-b"));
    assert_eq!(entry.title, "List VMs");
    assert!(catalog.find("lab_b_old").unwrap().description.ends_with("Use lab_b_list_vms."));
    assert_eq!(catalog.nearest("list_vms"), Some("lab_a_list_vms"));
}
