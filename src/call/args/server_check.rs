//! What the schema of another MCP server says of arguments that are converted already.
//!
//! Types, names and what is missing were looked at before; what is left is what a server says beyond
//! that: values, lengths, members, parts that go together. Its schema may be wrong in ways that the
//! server itself does not mind, and then the message says whose it is.

use dadl_text::text;
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{CallArguments, unfit_reason};
use crate::{
    call::{
        ArgumentProblem,
        handle::{self, FileHandle},
    },
    catalog::{CatalogEntry, EntryParam},
};

/// So many problems are told.
const MOST_PROBLEMS: usize = 10;
/// So much of each is.
const LONGEST_REASON: usize = 300;
/// And so much of where it is.
const LONGEST_PLACE: usize = 100;

/// Returns whether a server takes arguments as they are: then nothing is made of them. What it does not
/// name is looked at otherwise, and so is what the operator says of those that are missing.
pub(super) fn takes(entry: &CatalogEntry, arguments: &Map<String, Value>) -> bool {
    let Some(validator) = entry.server_tool().and_then(|tool| tool.validator()) else {
        return false;
    };
    let is_left_out = |param: &EntryParam| {
        param.param.default.is_some() && !arguments.contains_key(&param.property)
    };
    if entry.params.iter().any(is_left_out) {
        return false;
    }
    let named = |(property, value): (&String, &Value)| {
        let param = entry.param(property)?;
        Some((param.name.clone(), value.clone()))
    };
    let given: Option<Map<String, Value>> = arguments.iter().map(named).collect();
    given.is_some_and(|given| validator.is_valid(&Value::Object(given)))
}

/// Returns what the server would refuse.
pub(super) fn problems(entry: &CatalogEntry, arguments: &CallArguments) -> Vec<ArgumentProblem> {
    let Some(validator) = entry.server_tool().and_then(|tool| tool.validator()) else {
        return Vec::new();
    };
    let given = Value::Object(arguments.as_wire());
    if validator.is_valid(&given) {
        return Vec::new();
    }
    let errors = validator.iter_errors(&given).filter(|error| is_certain(error.kind()));
    let mut problems: Vec<ArgumentProblem> = Vec::new();
    for error in errors.take(MOST_PROBLEMS) {
        problems.extend(problem(entry, &given, &error));
    }
    problems
}

/// A pattern that takes too long says nothing about the value.
fn is_certain(kind: &ValidationErrorKind) -> bool {
    !matches!(kind, ValidationErrorKind::BacktrackLimitExceeded { .. })
}

fn problem(
    entry: &CatalogEntry,
    given: &Value,
    error: &ValidationError<'_>,
) -> Option<ArgumentProblem> {
    let pointer = error.instance_path().as_str();
    let mut steps = pointer.split('/').skip(1);
    let reason = unfit_reason(error.kind()).unwrap_or_else(|| error.to_string());
    let reason = text::cut_text(&text::one_line(&reason), LONGEST_REASON).into_owned();
    let Some(first) = steps.next() else {
        let name = "(all)";
        return Some(ArgumentProblem::value(
            name,
            format!("do not fit the server's schema: {reason}"),
        ));
    };
    let wire = first.replace("~1", "/").replace("~0", "~");
    let param = entry.params.iter().find(|param| param.param.name == wire);
    // What stands for a file is not what the server gets.
    let is_handle = |text: &str| FileHandle::read(text).is_some();
    if given.get(&wire).is_some_and(|value| handle::any_text(value, &is_handle)) {
        return None;
    }
    let name = param.map_or(wire.as_str(), |param| param.property.as_str());
    let inner = steps.collect::<Vec<_>>().join("/");
    let reason = match inner.is_empty() {
        true => reason,
        false => {
            let inner = text::cut_text(&text::one_line(&inner), LONGEST_PLACE).into_owned();
            format!("does not fit the server's schema at `{inner}`: {reason}")
        }
    };
    Some(ArgumentProblem::value(name, reason))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        call::{ArgumentError, check_arguments},
        catalog::fixture::server_catalog,
    };

    fn checked(schema: &Value, given: &Value) -> Result<CallArguments, ArgumentError> {
        let all = json!([{ "name": "t", "inputSchema": schema }]);
        let catalog = server_catalog(&all, &[], &["all"]);
        check_arguments(&catalog.entries()[0], given.as_object().unwrap().clone())
    }

    /// What the server gets.
    fn sent(schema: &Value, given: Value) -> Value {
        checked(schema, &given).unwrap().as_wire().into()
    }

    fn told(schema: &Value, given: Value) -> String {
        let error = checked(schema, &given).unwrap_err().to_string();
        error.strip_prefix("the arguments of `t` cannot be used: ").unwrap_or(&error).to_owned()
    }

    fn issue() -> Value {
        json!({
            "type": "object",
            "properties": {
                "owner name": { "type": "string", "minLength": 2 },
                "number": { "type": "integer", "minimum": 1, "default": 7 },
                "labels": { "type": "array", "items": { "type": "string" } },
                "filter": { "type": "object", "properties": { "state": { "enum": ["open", "closed"] } } },
                "text": { "type": "string" },
                "any": {},
                "none": { "type": ["string", "null"] },
            },
            "required": ["owner name"],
        })
    }

    #[test]
    fn a_server_gets_its_own_names_and_what_models_write_is_converted() {
        let given = json!({
            "owner_name": "me", "number": "5", "labels": "[\"a\",\"b\"]", "filter": "{\"state\":\"open\"}",
            "text": { "a": 1 }, "any": null, "none": null,
        });
        let expected = json!({
            "owner name": "me", "number": 5, "labels": ["a", "b"], "filter": { "state": "open" },
            "text": "{\"a\":1}", "any": null, "none": null,
        });
        assert_eq!(sent(&issue(), given), expected);
        // A default is the server's to fill in, and null stands for what was left out.
        let given = json!({ "owner_name": "me", "text": null, "number": null });
        assert_eq!(sent(&issue(), given), json!({ "owner name": "me" }));
        // What the server takes is left alone.
        let either = json!({ "properties": { "a": { "type": ["object", "string"] }, "b": { "type": "number" } } });
        let given = json!({ "a": "{\"x\":1}", "b": 1.0 });
        assert_eq!(sent(&either, given.clone()).to_string(), given.to_string());
        // Text with commas is text: JSON has lists.
        assert!(
            told(&issue(), json!({ "owner_name": "me", "labels": "a,b" })).contains("`labels`")
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_before_anything_is_sent() {
        assert!(told(&issue(), json!({})).contains("`owner_name`"));
        for (given, expected) in [
            (json!({ "owner_name": "m" }), "`owner_name` is shorter than 2 characters"),
            (json!({ "owner_name": "me", "number": 0 }), "`number` is less than 1"),
            (json!({ "owner_name": "me", "number": "x" }), "`number`"),
            (
                json!({ "owner_name": "me", "filter": { "state": "lost" } }),
                "`filter` does not fit the server's schema at `state`: is none of",
            ),
            (
                json!({ "owner_name": "me", "filter": "{\"state\":1}" }),
                "`filter` does not fit the server's schema at `state`: is none of",
            ),
            (
                json!({ "owner_name": "me", "labels": ["a", 1] }),
                "`labels` does not fit the server's schema at `1`: 1 is not of type \"string\"",
            ),
        ] {
            let said = told(&issue(), given.clone());
            assert!(said.contains(expected), "{given}: {said}");
        }
    }

    #[test]
    fn what_a_server_does_not_name_goes_on_where_it_may() {
        let given = json!({ "owner_name": "me", "colour": { "red": 1 } });
        let expected = json!({ "owner name": "me", "colour": { "red": 1 } });
        assert_eq!(sent(&issue(), given), expected);
        // What is nearly a name was meant to be it.
        let said = told(&issue(), json!({ "owner_name": "me", "lables": ["a"] }));
        assert!(said.contains("did you mean `labels`"), "{said}");
        let mut closed = issue();
        closed["additionalProperties"] = false.into();
        let said = told(&closed, json!({ "owner_name": "me", "colour": 1 }));
        assert!(said.contains("`colour`"), "{said}");
        let words = json!({ "patternProperties": { "^x-": { "type": "string" } }, "additionalProperties": false });
        assert_eq!(sent(&words, json!({ "x-a": "b" })), json!({ "x-a": "b" }));
        assert!(told(&words, json!({ "x-a": 1 })).contains("`x-a`"));
        assert!(told(&words, json!({ "y": 1 })).contains("do not fit the server's schema"));
    }

    #[test]
    fn a_schema_that_cannot_be_used_checks_types_alone() {
        let schema = json!({
            "properties": {
                "n": { "type": "integer", "minimum": 5 },
                "tree": { "$ref": "#" },
                "slow": { "type": "string", "pattern": "^(a+)+$" },
            },
        });
        let given = json!({ "n": 1, "tree": { "n": "x" } });
        assert_eq!(sent(&schema, given.clone()), given);
        assert!(told(&schema, json!({ "n": "x" })).contains("`n`"));
        // A pattern that has no end in sight says nothing.
        let slow =
            json!({ "properties": { "slow": { "type": "string", "pattern": "^(a|a)*(?=b)$" } } });
        let given = json!({ "slow": "a".repeat(200) + "c" });
        assert_eq!(sent(&slow, given.clone()), given);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 200,
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// What a server takes goes to it as it is, and nothing else goes to it.
        #[test]
        fn a_server_gets_what_its_schema_takes(
            a in part(), b in part(), root in part(), given in given(),
        ) {
            let schema = json!({
                "allOf": [root, { "properties": { "a": a, "b c": b, "c": {} } }],
                "additionalProperties": true, "properties": { "a": {}, "b c": {}, "c": {} },
            });
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let by_property: Map<String, Value> = given
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.replace(' ', "_"), value.clone()))
                .collect();
            match checked(&schema, &Value::Object(by_property)) {
                Ok(checked) if validator.is_valid(&given) => {
                    proptest::prop_assert_eq!(Value::Object(checked.as_wire()), given);
                }
                Ok(checked) => {
                    let sent = Value::Object(checked.as_wire());
                    proptest::prop_assert!(validator.is_valid(&sent), "{} {}", schema, sent);
                }
                Err(error) => {
                    proptest::prop_assert!(!validator.is_valid(&given), "{} {} {}", schema, given, error);
                }
            }
        }
    }

    fn given() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2i64..5).prop_map(Value::from),
            Just(json!(1.0)),
            "(x|1|true|null|\\[1\\]|\\{\"a\":1\\}|)".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("(a|b)", inner), 0..3)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        });
        prop::collection::vec(("(a|b c|c)", value), 0..3)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
    }

    fn part() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(json!({})),
            "(string|integer|number|boolean|object|array|null)"
                .prop_map(|kind| json!({ "type": kind })),
            Just(json!({ "type": ["string", "object", "null"] })),
            Just(json!({ "enum": ["x", 1, null] })),
            Just(json!({ "const": "1" })),
            Just(json!({ "type": "integer", "minimum": 2 })),
            Just(json!({ "type": "string", "maxLength": 2, "pattern": "^." })),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                ("(a|b|b c)", inner.clone(), any::<bool>()).prop_map(
                    |(name, schema, is_needed)| {
                        let required = if is_needed { vec![name.clone()] } else { Vec::new() };
                        json!({ "properties": { name: schema }, "required": required })
                    }
                ),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "anyOf": [a, b] })),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "oneOf": [a, b] })),
                inner.prop_map(|items| json!({ "type": "array", "items": items })),
            ]
        })
    }

    #[test]
    fn conditions_of_a_schema_are_those_of_the_whole() {
        let schema = json!({
            "properties": { "a": { "type": "string" }, "b": { "type": "string" } },
            "oneOf": [{ "required": ["a"] }, { "required": ["b"] }],
        });
        assert_eq!(sent(&schema, json!({ "a": "x" })), json!({ "a": "x" }));
        let said = told(&schema, json!({ "a": "x", "b": "y" }));
        assert!(said.contains("do not fit the server's schema"), "{said}");
        assert_eq!(Value::Object(Map::new()), sent(&json!({}), json!({})));
    }
}
