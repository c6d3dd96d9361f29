//! What a person is shown of a thing before they decide about a dangerous call (`_dadl_mcp.preview`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{json_path::JsonPath, task::TaskCall};

/// So many rules are there for one tool at most: each is a request while a person waits.
pub const MOST_READS: usize = 4;

/// Shows what a dangerous call is about.
#[derive(Debug, Clone)]
pub struct PreviewRule {
    /// The tools and composites before whose calls it is read.
    pub before: BTreeSet<String>,
    /// The call of a tool or composite that shows it; its arguments have names of the dangerous call's arguments in braces.
    pub look: TaskCall,
    /// These names.
    pub names: BTreeSet<String>,
    /// What of it is shown, in this order. Never empty.
    pub show: Vec<ShownMember>,
    /// The labels, and the names of members below, whose numbers are bytes.
    pub bytes: BTreeSet<String>,
    /// The same of numbers that are times, in seconds or milliseconds since 1970.
    pub times: BTreeSet<String>,
}

/// A part of what is shown.
#[derive(Debug, Clone)]
pub struct ShownMember {
    /// What people call it: small letters, digits, blanks and hyphens.
    pub label: String,
    /// Where it is, in what the call gives.
    pub path: JsonPath,
}

impl PreviewRule {
    /// Returns the arguments of the call that shows it, for a dangerous call with these. One that is what was
    /// not given is left out; `None` where what was not given is a part of one, which would show something
    /// else without it. One that is a list or an object is handed on whole.
    pub fn arguments_for(&self, given: &Map<String, Value>) -> Option<Map<String, Value>> {
        let value = |name: &String| match given.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
            _ => None,
        };
        let known: Vec<(String, String)> =
            self.names.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect();
        let missing: Vec<String> = self
            .names
            .iter()
            .filter(|name| !known.iter().any(|(known, _)| known == *name))
            .map(|name| format!("{{{name}}}"))
            .collect();
        let mut look = self.look.clone();
        let whole = |template: &Value| {
            let name = template.as_str()?.strip_prefix('{')?.strip_suffix('}')?;
            given.get(name).filter(|value| is_filled(value)).cloned()
        };
        let handed: Map<String, Value> = look
            .arguments
            .iter()
            .filter_map(|(name, template)| Some((name.clone(), whole(template)?)))
            .collect();
        look.arguments.retain(|name, _| !handed.contains_key(name));
        look.arguments.retain(|_, template| {
            template.as_str().is_none_or(|text| !missing.iter().any(|name| name == text))
        });
        let lacks = |template: &Value| {
            let text = template.to_string();
            missing.iter().any(|name| text.contains(name))
        };
        let is_whole = !look.arguments.values().any(lacks);
        is_whole.then(|| look.filled(&known).into_iter().chain(handed).collect())
    }
}

/// Returns whether a value is a list or an object with something in it.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_of_the_call_or_left_out() {
        let arguments = json!({ "uuid": "{id}", "filter": "x:{id} n:{n}", "disk": "{n}", "k": 1 });
        let arguments = arguments.as_object().unwrap().clone();
        let mut rule = PreviewRule {
            before: BTreeSet::new(),
            look: TaskCall { tool: "get".into(), arguments },
            names: ["id", "n"].map(str::to_owned).into(),
            show: Vec::new(),
            bytes: BTreeSet::new(),
            times: BTreeSet::new(),
        };
        let of = |given: Value| {
            rule.arguments_for(given.as_object().unwrap()).map_or(Value::Null, Value::Object)
        };
        let all = json!({ "uuid": "a{n}", "filter": "x:a{n} n:7", "disk": "7", "k": 1 });
        assert_eq!(of(json!({ "id": "a{n}", "n": 7 })), all);
        assert_eq!(of(json!({ "id": "a", "n": [] })), json!(null), "a part of `filter` is missing");
        rule.look.arguments.shift_remove("filter");
        let of = |given: Value| {
            rule.arguments_for(given.as_object().unwrap()).map_or(Value::Null, Value::Object)
        };
        assert_eq!(of(json!({ "id": "a", "n": [] })), json!({ "uuid": "a", "k": 1 }));
        assert_eq!(of(json!({ "id": "" })), json!({ "k": 1 }));
        let all = json!({ "uuid": { "url": "x" }, "disk": ["a"], "k": 1 });
        assert_eq!(of(json!({ "id": { "url": "x" }, "n": ["a"] })), all);
    }
}
