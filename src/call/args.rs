//! Arguments are checked before anything is sent.
//!
//! The input schema decides what is right. What is wrong is converted where nothing is lost
//! (see [`ParamKind::coerce`](crate::descriptor::model::ParamKind::coerce)); all that remains is
//! reported at once. Null stands for an absent value, except for a member of a JSON body, where
//! it is a value that APIs use to clear a field.

use std::{collections::HashSet, sync::Arc};

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::{ArgumentError, ArgumentProblem};
use crate::{
    catalog::{Entry, EntryParam},
    descriptor::model::{BodyKind, Location, Param, ParamKind, Role, Rules, StreamArgument, Tool},
    names::nearest,
};

/// The longest jq program that a caller may send, in bytes.
const LONGEST_JQ: usize = crate::jq::LONGEST_PROGRAM;

/// The checked values of a call, in the order in which the tool declares its parameters.
#[derive(Debug, Clone)]
pub struct Arguments {
    params: Arc<[EntryParam]>,
    /// One for each parameter, and in the same order.
    values: Vec<Option<Value>>,
}

impl Arguments {
    /// Returns the parameters that have a value.
    pub fn iter(&self) -> impl Iterator<Item = (&Param, &Value)> + Clone {
        self.named().map(|(param, value)| (&param.param, value))
    }

    /// Returns the value of the parameter with this name on the wire.
    pub fn get(&self, wire_name: &str) -> Option<&Value> {
        self.iter().find(|(param, _)| param.name == wire_name).map(|(_, value)| value)
    }

    /// Returns the arguments of another tool of the same file, which has parameters of the same
    /// names: what was given for those, and the defaults of the others.
    pub(crate) fn of(&self, tool: &Tool) -> Self {
        let (params, values) = tool
            .params
            .iter()
            .map(|param| {
                let value = self.get(&param.name).or(param.default.as_ref()).cloned();
                let property = param.name.clone();
                (EntryParam { property, param: param.clone(), listed: false }, value)
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Self { params: params.into(), values }
    }

    /// Returns the value of the parameter that the runtime adds for this.
    pub(crate) fn given(&self, role: Role) -> Option<&Value> {
        self.iter().find(|(param, _)| param.role == role).map(|(_, value)| value)
    }

    /// Returns what the caller says about the stream that the tool answers.
    pub(crate) fn stream(&self, argument: StreamArgument) -> Option<&Value> {
        self.given(Role::Stream(argument))
    }

    /// Returns the caller's jq program; one that is blank is none.
    pub(crate) fn jq(&self) -> Option<&str> {
        let program = self.given(Role::Jq)?.as_str()?;
        (!program.trim().is_empty()).then_some(program)
    }

    /// Returns the values by property name: what the caller gave, as it will be sent, and the
    /// defaults. For a person to look at, and for digests.
    pub fn as_object(&self) -> Map<String, Value> {
        self.named().map(|(param, value)| (param.property.clone(), value.clone())).collect()
    }

    /// Puts `value` in the place of the parameter with this name on the wire; returns whether
    /// there is such a parameter.
    pub(crate) fn set(&mut self, wire_name: &str, value: Value) -> bool {
        let at = self.params.iter().position(|param| param.param.name == wire_name);
        match at.and_then(|at| self.values.get_mut(at)) {
            Some(place) => {
                *place = Some(value);
                true
            }
            None => false,
        }
    }

    /// Returns the parameters that have a value, with their property names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&EntryParam, &Value)> + Clone {
        self.params
            .iter()
            .zip(&self.values)
            .filter_map(|(param, value)| Some((param, value.as_ref()?)))
    }
}

/// Checks the arguments of a call of `entry`, converts them and fills in the defaults.
pub fn check(entry: &Entry, arguments: Map<String, Value>) -> Result<Arguments, ArgumentError> {
    let (arguments, nulls) = set_nulls_aside(entry, arguments);
    let arguments = Value::Object(arguments);
    let faults = Faults::find(entry, &arguments);
    let Value::Object(mut arguments) = arguments else { unreachable!("built as an object above") };

    let mut problems = faults.unknown;
    problems.extend(faults.unfit);
    let mut values = Vec::with_capacity(entry.params.len());
    for EntryParam { property, param, .. } in entry.params.iter() {
        let value = match arguments.remove(property) {
            Some(value) => {
                // A double without a fraction is an integer by JSON Schema, not on the wire.
                let mend = faults.mistyped.contains(property)
                    || (param.kind == ParamKind::Integer && value.is_f64());
                match if mend { param.kind.coerce(value) } else { Ok(value) } {
                    Ok(value) => Some(value),
                    Err(value) => {
                        problems.push(ArgumentProblem::wrong_type(property, param, &value));
                        None
                    }
                }
            }
            None if nulls.contains(property) => Some(Value::Null),
            None if param.required => {
                let name = property.clone();
                problems.push(ArgumentProblem::Missing { name, kind: param.kind });
                None
            }
            None => param.default.clone(),
        };
        let value = value.filter(|value| !param.omit_false || *value != Value::Bool(false));
        problems.extend(value.as_ref().and_then(|value| misplaced(property, param, value)));
        if let (Some(rules), Some(Value::String(text))) = (&param.rules, &value) {
            problems.extend(against(property, rules, text));
        }
        values.push(value);
    }
    if problems.is_empty() {
        Ok(Arguments { params: Arc::clone(&entry.params), values })
    } else {
        Err(ArgumentError::new(entry, problems))
    }
}

/// Removes nulls of known parameters; returns the properties whose null is a value.
fn set_nulls_aside(
    entry: &Entry,
    mut arguments: Map<String, Value>,
) -> (Map<String, Value>, HashSet<String>) {
    let mut kept = HashSet::new();
    if !arguments.values().any(Value::is_null) {
        return (arguments, kept);
    }
    // A server that checks the parameters of a JSON-RPC method refuses null for what was left out.
    let has_json = |tool: &Tool| matches!(tool.body(), Some(BodyKind::Json | BodyKind::JsonAs(_)));
    let in_json = entry.tool().is_some_and(has_json);
    arguments.retain(|name, value| {
        let param = value.is_null().then(|| entry.param(name)).flatten();
        let Some(param) = param else { return true };
        let takes_null = match param.role {
            Role::Sent(Location::Body) => in_json,
            // A script tells null from absence, and hands it on.
            Role::Script => true,
            Role::Sent(_) | Role::Jq | Role::Stream(_) | Role::Wait => false,
        };
        if takes_null && param.kind != ParamKind::FileUrl && !param.required {
            kept.insert(name.clone());
        }
        false
    });
    (arguments, kept)
}

/// What the schema finds, apart from what is missing.
#[derive(Default)]
struct Faults {
    unknown: Vec<ArgumentProblem>,
    /// What the API certainly refuses.
    unfit: Vec<ArgumentProblem>,
    /// The properties whose values are of another type.
    mistyped: HashSet<String>,
}

impl Faults {
    fn find(entry: &Entry, arguments: &Value) -> Self {
        let validator = entry.validator();
        let mut faults = Self::default();
        // `is_valid` is many times faster, and most calls are right.
        if validator.is_valid(arguments) {
            return faults;
        }
        for error in validator.iter_errors(arguments) {
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    faults.unknown.extend(unexpected.iter().map(|name| ArgumentProblem::Unknown {
                        nearest: entry.nearest_property(name).map(str::to_owned),
                        name: name.clone(),
                    }));
                }
                // Found again in the order of the parameters, with what they must be.
                ValidationErrorKind::Required { .. } => {}
                // Property names hold neither `/` nor `~`, so that the pointer is the name.
                kind => {
                    let pointer = error.instance_path().as_str();
                    let property = pointer.trim_start_matches('/');
                    let is_enforced = entry.param(property).is_some_and(|param| param.enforced);
                    if let Some(reason) = is_enforced.then(|| unfit(kind)).flatten() {
                        faults.unfit.push(ArgumentProblem::value(property, reason));
                    } else {
                        faults.mistyped.insert(property.to_owned());
                    }
                }
            }
        }
        faults
    }
}

/// Says what is wrong with a value of the right type; `None` when its type is wrong.
fn unfit(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Pattern { pattern } => format!("does not fit the pattern {pattern}"),
        ValidationErrorKind::MaxLength { limit } => format!("is longer than {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("is shorter than {limit} characters"),
        ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
        ValidationErrorKind::Enum { options } => format!("is none of {options}"),
        _ => return None,
    })
}

/// Reports a value that can never go where its parameter puts it.
fn misplaced(property: &str, param: &Param, value: &Value) -> Option<ArgumentProblem> {
    let place = match param.role {
        Role::Sent(Location::Cookie) => "a cookie",
        Role::Sent(Location::Header) => "a header field",
        Role::Sent(Location::Path) => "a path",
        Role::Sent(Location::Body | Location::Query) | Role::Script => return None,
        Role::Jq => return not_jq(property, value),
        Role::Stream(argument) => return not_stream(property, argument, value),
        Role::Wait => return not_wait(property, value),
    };
    let reason = match value {
        Value::Object(_) => format!("is an object and cannot be part of {place}"),
        Value::Array(_) if param.is_in(Location::Path) => {
            format!("is an array and cannot be part of {place}")
        }
        Value::String(text) if text.contains(char::is_control) => {
            format!("has control characters, which {place} must not have")
        }
        Value::String(text) if text.is_empty() && param.is_in(Location::Path) => {
            "must not be empty: it is part of the path".to_owned()
        }
        _ => return None,
    };
    Some(ArgumentProblem::value(property, reason))
}

/// Reports a text that the API would refuse, or take for something else.
fn against(property: &str, rules: &Rules, text: &str) -> Option<ArgumentProblem> {
    if let Some(misuse) = rules.language.as_ref().and_then(|language| language.misuse(text)) {
        return Some(ArgumentProblem::value(property, misuse.to_string()));
    }
    let choices = &rules.choices;
    if choices.is_empty() || choices.iter().any(|choice| choice == text) {
        return None;
    }
    let words = || choices.iter().map(String::as_str);
    let lower = text.to_ascii_lowercase();
    let same = words().find(|word| word.eq_ignore_ascii_case(&lower));
    Some(ArgumentProblem::Choice {
        name: property.to_owned(),
        meant: same.or_else(|| nearest(text, words())).map(str::to_owned),
        choices: Arc::clone(choices),
    })
}

/// Reports a value that says nothing about a stream.
fn not_stream(property: &str, argument: StreamArgument, value: &Value) -> Option<ArgumentProblem> {
    let (fits, reason) = match argument {
        StreamArgument::Duration => {
            (value.as_f64().is_some_and(|number| number > 0.0), "must be more than 0")
        }
        StreamArgument::MaxItems => {
            (value.as_u64().is_some_and(|number| number > 0), "must be at least 1")
        }
        StreamArgument::Open => return None,
        StreamArgument::Subscribe => {
            let items = value.as_array()?;
            let fits = !items.is_empty() && items.iter().all(Value::is_string);
            (fits, "must be names of collections")
        }
    };
    (!fits).then(|| ArgumentProblem::value(property, reason.to_owned()))
}

/// Reports a jq program that is too long; what is wrong with another one is found where it runs.
fn not_jq(property: &str, value: &Value) -> Option<ArgumentProblem> {
    let reason = || format!("is longer than {LONGEST_JQ} bytes");
    let is_long = value.as_str().is_some_and(|text| text.len() > LONGEST_JQ);
    is_long.then(|| ArgumentProblem::value(property, reason()))
}

/// Reports a wait that is none.
fn not_wait(property: &str, value: &Value) -> Option<ArgumentProblem> {
    let is_wait = value.as_u64().is_some();
    (!is_wait).then(|| ArgumentProblem::value(property, "cannot be negative"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::fixture;

    fn checked(params: &[&str], arguments: Value) -> Result<Arguments, ArgumentError> {
        let path: String = params
            .iter()
            .filter_map(|text| text.split_once(":path:"))
            .map(|(name, _)| format!("/{{{name}}}"))
            .collect();
        let catalog = fixture::catalog(vec![fixture::tool("POST", &path, params)]);
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        check(&catalog.entries()[0], arguments)
    }

    fn gives(params: &[&str], arguments: Value, expected: Value) {
        let arguments = checked(params, arguments).unwrap();
        // As text, because the order and the form of numbers count.
        assert_eq!(Value::Object(arguments.as_object()).to_string(), expected.to_string());
    }

    fn fails(params: &[&str], arguments: Value, expected: &str) {
        let message = checked(params, arguments).unwrap_err().to_string();
        let message = message.strip_prefix("the arguments of `tool` cannot be used: ").unwrap();
        assert_eq!(message, expected);
    }

    #[test]
    fn values_come_in_declared_order_with_defaults() {
        gives(
            &["a:query:string", "b:query:integer=7", "c:body:object", "d:query:string"],
            json!({"c": {"x": 1}, "a": "1"}),
            json!({"a": "1", "b": 7, "c": {"x": 1}}),
        );
    }

    #[test]
    fn what_models_send_is_converted_where_nothing_is_lost() {
        gives(&["n:query:integer"], json!({"n": "5"}), json!({"n": 5}));
        gives(&["n:query:integer"], json!({"n": 5.0}), json!({"n": 5}));
        gives(&["b:query:boolean"], json!({"b": "true"}), json!({"b": true}));
        gives(&["s:path:string"], json!({"s": 5}), json!({"s": "5"}));
        gives(&["o:body:object"], json!({"o": "{\"a\":1}"}), json!({"o": {"a": 1}}));
        gives(&["a:query:array"], json!({"a": "[1,2]"}), json!({"a": [1, 2]}));
        // A string stays a string, whatever it looks like.
        gives(&["s:query:string"], json!({"s": "5"}), json!({"s": "5"}));
    }

    #[test]
    fn big_integers_keep_their_digits() {
        let big = "9007199254740993";
        gives(&["n:query:integer"], json!({"n": big}), json!({"n": 9_007_199_254_740_993_u64}));
        gives(&["n:query:integer"], json!({"n": u64::MAX}), json!({"n": u64::MAX}));
        let beyond: Value = serde_json::from_str(r#"{"n": 18446744073709551616}"#).unwrap();
        fails(
            &["n:query:integer"],
            beyond,
            "`n` must be an integer of at most 64 bits, not a number that has a fraction or too \
             many digits",
        );
    }

    #[test]
    fn all_problems_come_in_one_message() {
        fails(
            &["id:path:string", "limit:query:integer", "tags:query:array"],
            json!({"limit": "ten", "tags": "a", "limt": 5, "zzz": 1}),
            "there is no parameter `limt`, did you mean `limit`?; there is no parameter `zzz`; \
             `id` (string) is required; `limit` must be an integer of at most 64 bits, not a \
             string; `tags` must be an array, not a string. It takes: id (string, required), \
             limit (integer), tags (array)",
        );
    }

    #[test]
    fn a_tool_without_parameters_says_so() {
        fails(&[], json!({"x": 1}), "there is no parameter `x`. It takes no arguments");
    }

    #[test]
    fn null_is_absent_outside_of_a_json_body() {
        gives(&["q:query:string"], json!({"q": null}), json!({}));
        gives(&["q:query:integer=3"], json!({"q": null}), json!({"q": 3}));
        gives(&["h:header:string"], json!({"h": null}), json!({}));
        gives(&["b:body:string"], json!({"b": null}), json!({"b": null}));
        gives(&["b:body:string=\"x\""], json!({"b": null}), json!({"b": null}));
        gives(&["b:body:object"], json!({}), json!({}));
    }

    #[test]
    fn null_is_no_value_for_what_is_required() {
        let expected = "`x` (string) is required. It takes: x (string, required)";
        fails(&["x:path:string"], json!({"x": null}), expected);
        fails(&["x:query:string!"], json!({"x": null}), expected);
        fails(&["x:body:string!"], json!({"x": null}), expected);
        fails(&[], json!({"x": null}), "there is no parameter `x`. It takes no arguments");
    }

    #[test]
    fn path_and_header_values_have_no_control_characters() {
        let path = "`x` has control characters, which a path must not have";
        fails(&["x:path:string"], json!({"x": "a\r\nb"}), path);
        let header = "`x` has control characters, which a header field must not have";
        fails(&["x:header:string"], json!({"x": "a\nb: c"}), header);
        fails(
            &["x:path:string"],
            json!({"x": ""}),
            "`x` must not be empty: it is part of the path",
        );
        gives(&["x:query:string"], json!({"x": "a\nb"}), json!({"x": "a\nb"}));
        gives(&["x:body:string"], json!({"x": "a\0"}), json!({"x": "a\0"}));
    }

    #[test]
    fn containers_stay_out_of_the_path() {
        let reason = "`x` is an object and cannot be part of a path";
        fails(&["x:path:object"], json!({"x": {"a": 1}}), reason);
        let reason = "`x` is an array and cannot be part of a path";
        fails(&["x:path:array"], json!({"x": ["a"]}), reason);
    }

    #[test]
    fn a_default_is_checked_like_a_value() {
        fails(&["x:path:string=\"\""], json!({}), "`x` must not be empty: it is part of the path");
    }

    #[test]
    fn numeric_property_names_are_names() {
        gives(&["5:query:integer"], json!({"5": "6"}), json!({"5": 6}));
    }

    #[test]
    fn values_are_found_by_their_name_on_the_wire() {
        let arguments = checked(&["f[a]:query:string"], json!({"f_a": "x"})).unwrap();
        assert_eq!(arguments.get("f[a]"), Some(&json!("x")));
        assert_eq!(arguments.get("f_a"), None);
    }
}
