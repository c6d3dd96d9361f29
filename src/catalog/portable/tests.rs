//! Schemas of authors and APIs in, schemas that converters of hosts take out.

use proptest::prelude::*;

use super::*;

fn listed(property: Value) -> Value {
    let mut schema = json!({ "type": "object", "properties": { "p": property } });
    make_portable(schema.as_object_mut().unwrap());
    schema["properties"]["p"].take()
}

#[test]
fn what_every_host_takes_stays() {
    for schema in [
        json!({ "type": "string", "description": "D.", "default": "a" }),
        json!({ "type": "object", "properties": {} }),
        json!({ "type": "string", "enum": ["a", "b"], "description": "D." }),
        json!({ "type": "string", "pattern": "^a", "minLength": 1, "maxLength": 2 }),
        json!({ "type": "string", "format": "date-time" }),
        json!({ "type": "integer", "minimum": 1, "maximum": 2 }),
        json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 2 }),
        json!({
            "type": "object",
            "properties": { "a": { "type": ["string", "null"] } },
            "required": ["a"],
        }),
        json!({
            "type": "object",
            "properties": {},
            "additionalProperties": { "type": "integer" },
        }),
        json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] }),
    ] {
        assert_eq!(listed(schema.clone()), schema);
    }
}

#[test]
fn a_list_says_what_it_has() {
    let any = json!(["string", "number", "boolean", "object"]);
    for items in [json!({}), json!(true), json!(false), json!([{ "type": "string" }])] {
        let schema = json!({ "type": "array", "items": items });
        assert_eq!(listed(schema)["items"], json!({ "type": any }));
    }
    assert_eq!(listed(json!({ "type": "array" }))["items"], json!({ "type": any }));
    let described = json!({ "type": "array", "items": { "description": "An id" } });
    assert_eq!(listed(described)["items"], json!({ "type": any, "description": "An id" }));
    // Lists in it are named where something says that there are some.
    for hint in [
        json!({ "description": "such as [[1,2],[3]]" }),
        json!({ "default": [[1]] }),
        json!({ "examples": [[[1]]] }),
    ] {
        let mut schema = json!({ "type": "array", "items": {} });
        schema.as_object_mut().unwrap().extend(hint.as_object().unwrap().clone());
        let items = json!({
            "type": ["string", "number", "boolean", "object", "array"],
            "items": { "type": any },
        });
        assert_eq!(listed(schema)["items"], items, "{hint}");
    }
    // What only some of the items are, all are not.
    let pair = json!({
        "type": "array",
        "prefixItems": [{ "type": "string" }],
        "items": { "type": "integer" },
    });
    assert_eq!(listed(pair)["items"], json!({ "type": any }));
}

#[test]
fn values_that_a_host_refuses_are_said_in_words() {
    for (schema, expected) in [
        (
            json!({ "type": "integer", "enum": [2, 0, 1] }),
            json!({ "type": "integer", "minimum": 0, "maximum": 2 }),
        ),
        (
            json!({ "type": "integer", "enum": [0, 2, 5], "description": "Level." }),
            json!({
                "type": "integer", "minimum": 0, "maximum": 5,
                "description": "Level; one of 0, 2, 5",
            }),
        ),
        (
            json!({ "type": "number", "enum": [0.5, 1] }),
            json!({ "type": "number", "minimum": 0.5, "maximum": 1, "description": "one of 0.5, 1" }),
        ),
        (
            json!({ "type": "string", "enum": ["", "native", "zstd"] }),
            json!({ "type": "string", "description": r#"one of "", "native", "zstd""# }),
        ),
        (
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
            json!({ "type": ["string", "null"], "description": r#"one of "a", null"# }),
        ),
        (
            json!({ "type": ["string", "null"], "enum": ["a"] }),
            json!({ "type": "string", "enum": ["a"] }),
        ),
        (json!({ "type": "boolean", "enum": [true, false] }), json!({ "type": "boolean" })),
        (
            json!({ "type": "boolean", "enum": [true] }),
            json!({ "type": "boolean", "description": "one of true" }),
        ),
        (json!({ "const": "a" }), json!({ "type": "string", "enum": ["a"] })),
        (json!({ "const": 3 }), json!({ "type": "integer", "minimum": 3, "maximum": 3 })),
        (
            json!({ "enum": ["a", 1] }),
            json!({ "type": ["string", "integer"], "description": r#"one of "a", 1"# }),
        ),
        (
            json!({ "type": "string", "format": "uuid" }),
            json!({ "type": "string", "description": "uuid" }),
        ),
        (
            json!({ "type": "string", "format": "uuid", "description": "Its id" }),
            json!({ "type": "string", "description": "Its id" }),
        ),
        (json!({ "type": "integer", "minLength": 3, "title": "N" }), json!({ "type": "integer" })),
    ] {
        assert_eq!(listed(schema.clone()), expected, "{schema}");
    }
    let many: Vec<u32> = (0..100).map(|it| it * 2).collect();
    let words = listed(json!({ "type": "integer", "enum": many }));
    let words = words["description"].as_str().unwrap();
    assert!(words.starts_with("one of 0, 2, 4") && words.ends_with('…') && words.len() < 140);
}

#[test]
fn no_schema_is_true_or_false() {
    let object = listed(json!({
        "type": "object",
        "properties": { "a": true, "b": {}, "c": { "type": "object", "additionalProperties": false } },
        "required": ["a", "a", "z"],
        "additionalProperties": true,
    }));
    let any = json!({
        "type": ["string", "number", "boolean", "object", "array"],
        "items": { "type": ["string", "number", "boolean", "object"] },
    });
    let expected = json!({
        "type": "object",
        "properties": { "a": any, "b": any, "c": { "type": "object", "properties": {} } },
        "required": ["a"],
    });
    assert_eq!(object, expected);
}

#[test]
fn members_that_hosts_refuse_are_named_in_words() {
    let object = listed(json!({
        "type": "object",
        "properties": { "a b": { "type": "string" }, "c": { "type": "string" } },
        "required": ["a b"],
        "additionalProperties": { "type": "integer" },
        "description": "An object.",
    }));
    let expected = json!({
        "type": "object",
        "properties": { "c": { "type": "string" } },
        "description": r#"An object; also "a b""#,
    });
    assert_eq!(object, expected, "and `a b` is no integer");
}

#[test]
fn parts_and_branches_are_one_schema() {
    let parts = listed(json!({ "allOf": [
        { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
        { "properties": { "b": { "type": "integer" } }, "required": ["b"] },
    ] }));
    let expected = json!({
        "type": "object",
        "properties": { "a": { "type": "string" }, "b": { "type": "integer" } },
        "required": ["a", "b"],
    });
    assert_eq!(parts, expected);
    for (branches, expected) in [
        (
            json!([{ "type": "string" }, { "type": "integer" }, { "type": "null" }]),
            json!({ "anyOf": [{ "type": ["string", "null"] }, { "type": ["integer", "null"] }] }),
        ),
        (json!([{ "type": "string" }, { "type": "string" }]), json!({ "type": "string" })),
        (
            json!([{ "enum": ["a"] }, { "type": "null" }]),
            json!({ "type": ["string", "null"], "description": r#"one of "a""# }),
        ),
        (json!([{ "type": "null" }]), json!({ "type": ["string", "null"] })),
    ] {
        assert_eq!(listed(json!({ "oneOf": branches })), expected, "{branches}");
    }
    let typed =
        listed(json!({ "type": "object", "properties": {}, "anyOf": [{ "required": ["a"] }] }));
    assert_eq!(typed, json!({ "type": "object", "properties": {} }));
}

#[test]
fn deep_schemas_have_an_end() {
    let mut deep = json!({ "type": "string" });
    for _ in 0..100 {
        deep = json!({ "type": "array", "items": deep });
    }
    let text = listed(deep).to_string();
    assert!(text.matches("array").count() < 20, "{text}");
}

/// Fails where a converter or its model's API refuses a schema.
pub(in crate::catalog) fn assert_portable(schema: &Value, whole: &Value) {
    let fail = |why: &str| -> () { panic!("{why}: {schema} of {whole}") };
    let Value::Object(object) = schema else { return fail("no object") };
    let kinds: Vec<&str> = match object.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let branches = object.get("anyOf").and_then(Value::as_array);
    if kinds.is_empty() && branches.is_none_or(Vec::is_empty) {
        fail("no type");
    }
    if kinds == ["null"] {
        fail("null alone");
    }
    branches.into_iter().flatten().for_each(|branch| assert_portable(branch, whole));
    if kinds.contains(&"array") {
        let Some(items) = object.get("items") else { return fail("a list of nothing") };
        assert_portable(items, whole);
    }
    if let Some(others) = object.get("additionalProperties") {
        assert_portable(others, whole);
    }
    let none = Map::new();
    let properties = object.get("properties").map_or(&none, |it| it.as_object().unwrap());
    for (name, property) in properties {
        if !is_property_name(name) {
            fail("a name");
        }
        assert_portable(property, whole);
    }
    for name in object.get("required").into_iter().flat_map(|it| it.as_array().unwrap()) {
        if !properties.contains_key(name.as_str().unwrap()) {
            fail("a required stranger");
        }
    }
    if let Some(values) = object.get("enum") {
        let values = values.as_array().unwrap();
        let is_text = |value: &Value| value.as_str().is_some_and(|it| !it.is_empty());
        if kinds != ["string"] || values.is_empty() || !values.iter().all(is_text) {
            fail("an enum");
        }
    }
    if object.get("format").is_some_and(|format| format != "date-time") {
        fail("a format");
    }
    const KNOWN: [&str; 17] = [
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "examples",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "type",
    ];
    if let Some(other) =
        object.keys().find(|key| !KNOWN.contains(&key.as_str()) && *key != "required")
    {
        fail(other);
    }
}

/// A value without null, and without a list that is an item of a list.
fn value() -> impl Strategy<Value = Value> {
    let leaf = || {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-2i64..4).prop_map(Value::from),
            (0u8..4).prop_map(|it| json!(f64::from(it) / 2.0)),
            "[a-c]{0,2}".prop_map(Value::from),
        ]
    };
    let object = |inner: BoxedStrategy<Value>| {
        prop::collection::vec(("(a|b|c d|e)", inner), 0..4)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
    };
    let flat = prop_oneof![leaf(), object(leaf().boxed())].boxed();
    let list = prop::collection::vec(flat.clone(), 0..4).prop_map(Value::from);
    let inner = prop_oneof![flat, list].boxed();
    prop_oneof![
        inner.clone(),
        object(inner.clone()),
        prop::collection::vec(object(inner), 0..3).prop_map(Value::from)
    ]
}

/// What authors and APIs write; members and items come with their types.
fn lower_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        Just(json!({})),
        Just(json!({ "description": "D." })),
        "(string|integer|number|boolean|object|array|null)"
            .prop_map(|kind| json!({ "type": kind })),
        prop::sample::subsequence(vec!["string", "integer", "object", "array", "null"], 1..5)
            .prop_map(
                |kinds| json!({ "type": kinds, "minLength": 1, "minimum": 0, "minItems": 1 })
            ),
        prop::collection::vec(value(), 1..4).prop_map(|values| json!({ "enum": values })),
        prop::collection::vec(-2i64..4, 1..4)
            .prop_map(|values| json!({ "type": "integer", "enum": values, "minimum": -1 })),
        prop::collection::vec("[a-b]{0,1}", 1..4)
            .prop_map(|values| json!({ "type": "string", "enum": values })),
        value().prop_map(|value| json!({ "const": value })),
        "(date-time|uuid|int32)".prop_map(|format| json!({ "type": "string", "format": format })),
        "[ab]{0,2}".prop_map(|part| json!({ "type": "string", "pattern": format!("^{part}") })),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let pair = || (inner.clone(), inner.clone());
        prop_oneof![
            inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
            pair().prop_map(|(first, rest)| {
                json!({ "type": "array", "prefixItems": [first], "items": rest })
            }),
            (pair(), "(a|b|c d)", "(a|b|c d)").prop_map(|((one, other), name, second)| json!({
                "type": "object",
                "properties": { name.clone(): one, second: other },
                "required": [name, "e"],
            })),
            (pair(), "(a|b|c d)").prop_map(|((one, others), name)| json!({
                "type": "object",
                "properties": { name: one },
                "additionalProperties": others,
            })),
            pair().prop_map(|(one, others)| json!({
                "type": "object",
                "patternProperties": { "^a": one },
                "additionalProperties": others,
            })),
            pair().prop_map(|(one, other)| json!({ "oneOf": [one, other] })),
            pair().prop_map(
                |(one, other)| json!({ "anyOf": [one, other], "type": ["string", "object"] })
            ),
            pair().prop_map(|(one, other)| json!({ "anyOf": [one, { "type": "null" }, other] })),
            pair().prop_map(|(one, other)| json!({ "allOf": [one, other] })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever a schema says, the listed one is taken, and takes all that the other one takes.
    #[test]
    fn a_portable_schema_is_never_narrower(
        schema in lower_schema(),
        values in prop::collection::vec(value(), 8),
    ) {
        let portable = listed(schema.clone());
        assert_portable(&portable, &schema);
        let given = jsonschema::draft202012::new(&schema).unwrap();
        let taken = jsonschema::draft202012::new(&portable).unwrap();
        for value in values {
            if given.is_valid(&value) {
                prop_assert!(taken.is_valid(&value), "{} by {} of {}", value, portable, schema);
            }
        }
        // What is portable stays as it is.
        prop_assert_eq!(listed(portable.clone()), portable);
    }
}
