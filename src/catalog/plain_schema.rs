//! The text of a listed schema, written without a tree where nothing needs one.
//!
//! Of nearly every tool all listed parameters have one type, a description and perhaps a default, which every
//! host reads as it stands. What [`schema`](super::schema) and [`portable`](super::portable) make of these is
//! written here at once.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use dadl_descriptor::model::{ParamKind, ParamRole, Shared};
use serde::{Serialize, Serializer};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{EntryParam, description::collapsed, schema::is_listable};

/// Returns the text of the schema that hosts list; `None` where a parameter is more than a value of one type.
pub(super) fn plain_text(
    params: &[EntryParam],
    hints: &BTreeMap<String, Map<String, Value>>,
) -> Option<Arc<RawValue>> {
    let usual = Shared::default();
    let is_plain = |known: &EntryParam| {
        let param = &known.param;
        kind_word(param.kind).is_some()
            && matches!(param.role, ParamRole::Jq | ParamRole::Script | ParamRole::Sent(_))
            && (param.form.is_same(&usual) || param.form == usual)
            && param.rules.as_ref().is_none_or(|rules| !rules.names_members)
            && !hints.contains_key(&param.name)
    };
    if !params.iter().filter(|known| known.listed).all(is_plain) {
        return None;
    }
    let has_required = params.iter().any(|known| known.listed && known.param.required);
    let schema = PlainSchema {
        kind: "object",
        properties: PlainProperties(params),
        required: has_required.then_some(RequiredNames(params)),
    };
    to_raw_value(&schema).ok().map(Into::into)
}

/// Returns the word of a type that stands alone; a list needs its items, and a file is told of.
fn kind_word(kind: ParamKind) -> Option<&'static str> {
    match kind {
        ParamKind::Boolean
        | ParamKind::Integer
        | ParamKind::Number
        | ParamKind::Object
        | ParamKind::String => Some(kind.word()),
        ParamKind::Array | ParamKind::FileUrl | ParamKind::Union(_) => None,
    }
}

#[derive(Serialize)]
struct PlainSchema<'params> {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: PlainProperties<'params>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<RequiredNames<'params>>,
}

struct PlainProperties<'params>(&'params [EntryParam]);

impl Serialize for PlainProperties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.0.iter().filter(|known| known.listed);
        serializer.collect_map(listed.map(|known| (&known.property, PlainProperty::of(known))))
    }
}

struct RequiredNames<'params>(&'params [EntryParam]);

impl Serialize for RequiredNames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let required = self.0.iter().filter(|known| known.listed && known.param.required);
        serializer.collect_seq(required.map(|known| &known.property))
    }
}

#[derive(Serialize)]
struct PlainProperty<'param> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Hosts refuse objects without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<NoProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'param, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'param Value>,
}

#[derive(Serialize)]
struct NoProperties {}

impl<'param> PlainProperty<'param> {
    fn of(EntryParam { param, .. }: &'param EntryParam) -> Self {
        let description = param.description.as_deref().map(collapsed);
        Self {
            kind: kind_word(param.kind).unwrap_or_default(),
            properties: (param.kind == ParamKind::Object).then_some(NoProperties {}),
            description: description.filter(|text| !text.is_empty()),
            default: param.default.as_deref().filter(|it| is_listable(it)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{fixture, portable, schema};

    #[test]
    fn what_is_plain_is_written_as_its_tree_is() {
        let mut tool = fixture::tool(
            "POST",
            "/a/{id}",
            &[
                "id:path:string!",
                "n:body:integer=1",
                "half:body:number=1.50",
                "on:query:boolean=false",
                "o:body:object={\"a\":[null,\"\\u0001\"]}",
                "hidden:body:string=\"a\\u200bb\"",
                "a.b[c]:body:string",
                "last:header:string!",
            ],
        );
        for (at, text) in [(0, " The\n id. "), (1, ""), (3, "\"\\ \u{200b}é"), (7, "  ")] {
            tool.params[at].description = Some(text.to_owned());
        }
        let more = |param: &str| {
            let mut more = tool.clone();
            more.params.push(fixture::param(param).into());
            more
        };
        let tools = vec![
            fixture::tool("GET", "/", &[]),
            more("l:query:array"),
            more("f:body:file_url"),
            more("u:query:any"),
            tool,
        ];
        let catalog = fixture::catalog(tools);
        let none = BTreeMap::new();
        let plain = catalog.entries().iter().filter_map(|entry| {
            let mut tree = schema::listed_schema(&entry.params);
            portable::make_portable(&mut tree);
            let tree = Value::Object(tree).to_string();
            assert_eq!(entry.schema_text.get(), tree);
            let text = plain_text(&entry.params, &none)?;
            assert_eq!(text.get(), tree);
            let hinted =
                BTreeMap::from([("id".to_owned(), Map::from_iter([("a".into(), json!(1))]))]);
            assert_eq!(plain_text(&entry.params, &hinted).is_none(), tree.contains("\"id\""));
            Some(())
        });
        assert_eq!(plain.count(), 2);
    }
}
