//! What a descriptor leaves out of a result for a model (`_dadl_mcp.shown`).
//!
//! The result of the call is whole; what is left out concerns what is written for a model alone. A file that
//! has what was cut has all of it.

use std::borrow::Cow;

use dadl_descriptor::model::ShownRules;
use dadl_text::json::members;
use serde_json::Value;

use crate::{call::CallArguments, catalog::CatalogEntry, outcome::JsonText};

/// Stands for all members, in the parameters that name some.
const ALL: &str = "*";

/// What is left out of the result of one call.
#[derive(Debug)]
pub(super) struct Omission<'call> {
    rules: &'call ShownRules,
    /// The members that the caller asked for, which stay.
    asked: Vec<String>,
}

impl<'call> Omission<'call> {
    /// Returns what is left out of results of a tool, whose caller asked for nothing in particular.
    pub(super) fn of_tool(entry: &'call CatalogEntry) -> Option<Self> {
        let rules = &entry.tool()?.shown;
        (!rules.is_all()).then_some(Self { rules, asked: Vec::new() })
    }

    /// Returns what is left out of the result of a call with these arguments. What a jq program of the
    /// caller makes is what the caller wants.
    pub(super) fn of_call(entry: &'call CatalogEntry, arguments: &CallArguments) -> Option<Self> {
        let whole = Self::of_tool(entry).filter(|_| arguments.jq().is_none())?;
        let asked = asked_members(arguments);
        (!asked.iter().any(|name| name == ALL)).then_some(Self { asked, ..whole })
    }

    /// Returns what is left of a result; `None` when it is all of it.
    pub(super) fn rest_of(&self, text: &JsonText) -> Option<JsonText> {
        let Self { rules, asked } = self;
        let has = |names: &[String], name: &str| names.iter().any(|it| it == name);
        let is_dropped = |name: &str, value: &str| {
            let is_said =
                has(&rules.omitted, name) || (rules.omits_empty && members::is_empty_value(value));
            is_said && !has(asked, name) && !has(&rules.required, name)
        };
        members::without_members(text.as_str(), &is_dropped).map(JsonText::trusted)
    }
}

/// Returns the members that the caller named.
fn asked_members(arguments: &CallArguments) -> Vec<String> {
    let mut asked = Vec::new();
    for value in arguments.named_members() {
        let texts: Vec<Cow<'_, str>> = match value {
            Value::String(text) => vec![Cow::Borrowed(text)],
            Value::Array(names) => names.iter().filter_map(Value::as_str).map(Cow::from).collect(),
            _ => continue,
        };
        for name in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
            // Of `memory.size`, `memory` is the member.
            asked.extend(name.split_once('.').map(|(first, _)| first.to_owned()));
            asked.push(name.to_owned());
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::{Tool, ValueRules};
    use serde_json::json;

    use super::*;
    use crate::{call, catalog::fixture};

    const LIST: &str =
        r#"[{"id":1,"href":"/x/1","tags":[],"memory":{},"name":null},{"href":"/x/2"}]"#;

    fn tool(rules: ShownRules) -> Tool {
        let mut tool = fixture::tool("GET", "/x", &["fields:query:string=\"id\""]);
        tool.params[0].rules =
            Some(Box::new(ValueRules { names_members: true, ..ValueRules::default() }));
        tool.response.allow_jq = true;
        tool.shown = rules.into();
        tool
    }

    fn rules() -> ShownRules {
        let required = vec!["name".to_owned()];
        ShownRules { omitted: vec!["href".to_owned()], omits_empty: true, required }
    }

    /// The text that is left of the list.
    fn shown(rules: ShownRules, arguments: Value) -> String {
        let catalog = fixture::catalog(vec![tool(rules)]);
        let entry = &catalog.entries()[0];
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        let arguments = call::check_arguments(entry, arguments).unwrap();
        let omission = Omission::of_call(entry, &arguments);
        let rest = omission.and_then(|it| it.rest_of(&JsonText::parse(LIST).unwrap()));
        rest.map_or_else(|| LIST.to_owned(), JsonText::into_string)
    }

    #[test]
    fn what_the_descriptor_names_is_left_out_unless_it_is_asked_for() {
        let short = r#"[{"id":1,"name":null},{"href":"/x/2"}]"#;
        assert_eq!(shown(rules(), json!({})), short);
        assert_eq!(shown(rules(), json!({"fields": "id"})), short);
        let hrefs = LIST.replace(r#","tags":[],"memory":{}"#, "");
        assert_eq!(shown(rules(), json!({"fields": "id,href"})), hrefs);
        let tags = r#"[{"id":1,"tags":[],"memory":{},"name":null},{"href":"/x/2"}]"#;
        assert_eq!(shown(rules(), json!({"fields": "tags, memory.size"})), tags);
        for whole in [json!({"fields": "*"}), json!({"jq": "."}), json!({"fields": "id,*"})] {
            assert_eq!(shown(rules(), whole), LIST);
        }
        assert_eq!(shown(ShownRules::default(), json!({})), LIST);
    }

    #[test]
    fn a_default_is_no_wish_and_the_same_given_is_one() {
        let mut tool = tool(rules());
        tool.params[0].default = Some(Box::new("*".into()));
        let catalog = fixture::catalog(vec![tool]);
        let entry = &catalog.entries()[0];
        let omits = |arguments: Value| {
            let Value::Object(arguments) = arguments else { panic!("not an object") };
            Omission::of_call(entry, &call::check_arguments(entry, arguments).unwrap()).is_some()
        };
        assert!(omits(json!({})));
        assert!(!omits(json!({"fields": "*"})));
    }
}
