//! Reading after writing: what an API shows a little later than it did it (`_dadl_mcp.settles`).

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

use crate::model::{
    json_path::JsonPath,
    task::{TaskCall, fill_text, scalar_text},
};

/// The name of what a write made, in the arguments of the look.
pub const MADE: &str = "id";

/// How to see that what some tools wrote is there.
#[derive(Debug, Clone)]
pub struct SettleRule {
    /// These tools.
    pub after: BTreeSet<String>,
    /// Where the result of such a call has the identifier of what it made.
    pub id: Option<JsonPath>,
    /// The call that shows it; its arguments have names of the write's arguments in braces, or
    /// [`MADE`].
    pub look: TaskCall,
    /// What these names are, those of [`until`](Self::until) included.
    pub names: BTreeSet<String>,
    /// When it is there.
    pub until: SettleCondition,
    /// Nobody looks for longer.
    pub within: Duration,
}

/// When what was written is there.
#[derive(Debug, Clone)]
pub enum SettleCondition {
    /// The call answers.
    There,
    /// The call answers that there is no such thing.
    Gone,
    /// One of the values there is this one.
    Is {
        /// Selects them.
        path: JsonPath,
        /// The value, with names in braces.
        value: String,
    },
    /// None of the values there is this one.
    IsNot {
        /// Selects them.
        path: JsonPath,
        /// The value, with names in braces.
        value: String,
    },
    /// The value there has not changed for so long.
    Steady {
        /// Selects it.
        path: JsonPath,
        /// For so long.
        time: Duration,
    },
}

impl SettleRule {
    /// Returns the values of the names, from the arguments of the write and its result (a compact JSON
    /// text); `None` when one has none, so that nothing can be looked for.
    pub fn values(
        &self,
        arguments: &Map<String, Value>,
        result: Option<&str>,
    ) -> Option<Vec<(String, String)>> {
        let value = |name: &String| {
            let made = self.id.as_ref().filter(|_| name == MADE);
            let value = match made {
                Some(path) => path.look(result?).and_then(scalar_text)?,
                None => match arguments.get(name)? {
                    Value::String(text) => text.clone(),
                    value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
                    _ => return None,
                },
            };
            Some((name.clone(), value)).filter(|(_, value)| !value.is_empty())
        };
        self.names.iter().map(value).collect()
    }
}

impl SettleCondition {
    /// Returns whether what was asked for, and nothing else, makes it hold.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Is { .. } | Self::IsNot { .. } | Self::Gone)
    }

    /// Returns whether what the call shows says that it is there; `None` when time decides.
    pub fn holds(&self, shown: &str, values: &[(String, String)]) -> Option<bool> {
        let has = |path: &JsonPath, value: &str| {
            let wanted = fill_text(value, values);
            let found = path.all(shown).unwrap_or_default();
            found.into_iter().filter_map(scalar_text).any(|value| value == wanted)
        };
        match self {
            Self::There => Some(true),
            Self::Gone => Some(false),
            Self::Is { path, value } => Some(has(path, value)),
            Self::IsNot { path, value } => Some(!has(path, value)),
            Self::Steady { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        JsonPath::compile(text).unwrap()
    }

    fn settle(id: Option<&str>, names: &[&str]) -> SettleRule {
        SettleRule {
            after: BTreeSet::new(),
            id: id.map(path),
            look: TaskCall { tool: "get".into(), arguments: Map::new() },
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            until: SettleCondition::There,
            within: Duration::from_secs(1),
        }
    }

    #[test]
    fn values_are_of_the_arguments_and_of_the_result() {
        let arguments = json!({ "id": "a", "n": 7, "on": true, "list": [] });
        let arguments = arguments.as_object().unwrap();
        let values = |settle: SettleRule| settle.values(arguments, Some(r#"{"id":"made"}"#));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(values(settle(None, &["id", "n"])), Some(vec![pair("id", "a"), pair("n", "7")]));
        assert_eq!(values(settle(Some("$.id"), &["id"])), Some(vec![pair("id", "made")]));
        assert_eq!(values(settle(Some("$.uuid"), &["id"])), None, "the result has none");
        assert_eq!(values(settle(None, &["list"])), None);
        assert_eq!(values(settle(None, &["missing"])), None);
        assert_eq!(settle(Some("$.id"), &["id"]).values(arguments, None), None);
    }

    #[test]
    fn a_look_says_whether_it_is_there() {
        let values = [("tag".to_owned(), "b".to_owned())];
        let shown = r#"{"state":"on","tags":["a","b"],"n":7}"#;
        let is = |path_of: &str, value: &str| {
            let until = SettleCondition::Is { path: path(path_of), value: value.to_owned() };
            until.holds(shown, &values)
        };
        assert_eq!(is("$.state", "on"), Some(true));
        assert_eq!(is("$.state", "off"), Some(false));
        assert_eq!(is("$.tags[*]", "{tag}"), Some(true));
        assert_eq!(is("$.n", "7"), Some(true));
        assert_eq!(is("$.none", "on"), Some(false));
        let not = SettleCondition::IsNot { path: path("$.tags[*]"), value: "{tag}".to_owned() };
        assert_eq!(not.holds(shown, &values), Some(false));
        assert_eq!(not.holds(r#"{"tags":[]}"#, &values), Some(true));
        assert_eq!(SettleCondition::There.holds(shown, &values), Some(true));
        assert_eq!(SettleCondition::Gone.holds(shown, &values), Some(false));
    }
}
