//! `_dadl_mcp.values`: what is known about the values of a parameter besides its type.
//!
//! Hosts list it, so that a model sees the members of an object or the words that a text may be.
//! Nobody enforces it here: the API decides.

use std::collections::BTreeSet;

use dadl_text::names::nearest_name;
use serde_json::{Map, Value as Json};

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{Descriptor, ParamKind},
    yaml::{YamlEntry, YamlValue},
};

/// The keywords of JSON Schema that hosts accept in an input schema, and their values.
const KEYWORDS: &[(&str, KeywordForm)] = &[
    ("additionalProperties", KeywordForm::Schema),
    ("enum", KeywordForm::List),
    ("examples", KeywordForm::List),
    ("format", KeywordForm::Text),
    ("items", KeywordForm::Schema),
    ("maxItems", KeywordForm::Count),
    ("maxLength", KeywordForm::Count),
    ("maximum", KeywordForm::Number),
    ("minItems", KeywordForm::Count),
    ("minLength", KeywordForm::Count),
    ("minimum", KeywordForm::Number),
    ("pattern", KeywordForm::Pattern),
    ("properties", KeywordForm::Members),
    ("required", KeywordForm::Names),
];

/// What the value of a keyword is.
#[derive(Clone, Copy)]
enum KeywordForm {
    Count,
    List,
    Members,
    Names,
    Number,
    Pattern,
    Schema,
    Text,
}

impl KeywordForm {
    fn fits(self, value: &Json) -> bool {
        let list = |is_fine: fn(&Json) -> bool| {
            value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_fine))
        };
        match self {
            Self::Count => value.is_u64(),
            Self::List => list(|_| true),
            Self::Members => {
                value.as_object().is_some_and(|members| members.values().all(Json::is_object))
            }
            Self::Names => list(Json::is_string),
            Self::Number => value.is_number(),
            Self::Pattern => {
                value.as_str().is_some_and(|pattern| fancy_regex::Regex::new(pattern).is_ok())
            }
            Self::Schema => value.is_object() || value.is_boolean(),
            Self::Text => value.is_string(),
        }
    }
}

/// A model pays for each byte in every conversation, and for each tool that has the parameter.
const MOST_BYTES: usize = 4 * 1024;

/// Reads `values` of the extension into the tools whose parameters it names.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(entry) = extension.entry("values") else { return };
    let Some(section) = context.open(&entry.value, &entry.key_span, MappingPlace::Key("values"))
    else {
        return;
    };
    for entry in section.entries() {
        let Some(keywords) = lower_keywords(entry, |_| false, context) else { continue };
        let tools = descriptor.tools.iter_mut().map(|it| (&it.params, &mut it.value_hints));
        let composites =
            descriptor.composites.iter_mut().map(|it| (&it.params, &mut it.value_hints));
        let mut is_known = false;
        let mut unused: BTreeSet<&String> = keywords.keys().collect();
        for (params, hints) in tools.chain(composites) {
            let Some(param) = params.iter().find(|param| param.name == entry.key) else { continue };
            is_known = true;
            let fit =
                keywords.iter().filter(|(keyword, value)| value_fits(keyword, value, param.kind));
            for (keyword, value) in fit {
                unused.remove(keyword);
                let hints = hints.entry(entry.key.clone().into_owned()).or_default();
                // What `requests` says of one tool counts before.
                hints.entry(keyword.clone()).or_insert_with(|| value.clone());
            }
        }
        if !is_known {
            report_unknown(entry, descriptor, context);
            continue;
        }
        for keyword in unused {
            let message = format!("`{keyword}` does not fit the type of `{}`", entry.key);
            context
                .warning(code::VALUE_SCHEMA, &entry.key_span, message)
                .help(format!("it is for {}", fits_what(keyword)));
        }
    }
}

/// Names what a keyword is for.
pub(super) fn fits_what(keyword: &str) -> &'static str {
    match keyword {
        "additionalProperties" | "properties" | "required" => "objects",
        "items" | "maxItems" | "minItems" => "arrays",
        "maximum" | "minimum" => "numbers",
        "enum" => "values of the type of the parameter",
        _ => "text",
    }
}

/// Returns whether a keyword says something about values of a type.
pub(super) fn value_fits(keyword: &str, value: &Json, kind: ParamKind) -> bool {
    if let ParamKind::Union(kinds) = kind {
        let is_choice = keyword == "enum";
        return is_choice
            || kinds.is_any()
            || kinds.iter().any(|kind| value_fits(keyword, value, kind));
    }
    let all = |is: fn(&Json) -> bool| value.as_array().is_some_and(|them| them.iter().all(is));
    match keyword {
        "additionalProperties" | "properties" | "required" => kind == ParamKind::Object,
        "items" | "maxItems" | "minItems" => kind == ParamKind::Array,
        "format" | "maxLength" | "minLength" | "pattern" => {
            matches!(kind, ParamKind::FileUrl | ParamKind::String)
        }
        "maximum" | "minimum" => matches!(kind, ParamKind::Integer | ParamKind::Number),
        "enum" => match kind {
            ParamKind::FileUrl | ParamKind::String => all(Json::is_string),
            ParamKind::Integer | ParamKind::Number => all(Json::is_number),
            ParamKind::Boolean => all(Json::is_boolean),
            ParamKind::Array | ParamKind::Object | ParamKind::Union(_) => false,
        },
        _ => true,
    }
}

/// Reads the keywords of JSON Schema under `entry`; `is_other` tells keys that are none.
pub(super) fn lower_keywords<'tree>(
    entry: &'tree YamlEntry<'tree>,
    is_other: impl Fn(&YamlEntry<'tree>) -> bool,
    context: &mut LowerContext<'tree>,
) -> Option<Map<String, Json>> {
    let place = MappingPlace::Named("values of", &entry.key);
    let section = context.open(&entry.value, &entry.key_span, place)?;
    let mut keywords = Map::new();
    for keyword in section.entries().iter().filter(|keyword| !is_other(keyword)) {
        if let Some((_, form)) = KEYWORDS.iter().find(|(known, _)| *known == keyword.key) {
            let value = keyword.value.to_json();
            if has_boolean_schema(&keyword.key, &value) {
                let message = format!("`{}` has a schema that is `true` or `false`", keyword.key);
                context
                    .warning(code::VALUE_SCHEMA, &keyword.key_span, message)
                    .help("it is not listed, because hosts refuse one: leave it out");
            }
            if form.fits(&value) {
                keywords.insert(keyword.key.clone().into_owned(), value);
            } else {
                let message = format!("`{}` has no value that JSON Schema knows", keyword.key);
                context.error(code::VALUE_SCHEMA, &keyword.value.span, message);
            }
            continue;
        }
        if keyword.key == "$ref" {
            continue;
        }
        let known = KEYWORDS.iter().map(|(known, _)| *known);
        let message = format!("`{}` says nothing that a host lists", keyword.key);
        let finding = context.warning(code::VALUE_SCHEMA, &keyword.key_span, message);
        finding.meant_or(nearest_name(&keyword.key, known.clone()), || {
            format!("the keywords are {}", known.collect::<Vec<_>>().join(", "))
        });
    }
    if let Some(reference) = find_reference(&entry.value.value) {
        context
            .warning(code::VALUE_SCHEMA, reference, "an input schema cannot refer to a type")
            .help("write the members out: many hosts refuse `$ref`");
        return None;
    }
    let size = Json::Object(keywords.clone()).to_string().len();
    if size > MOST_BYTES {
        let message = format!("the schema has {size} bytes, more than the {MOST_BYTES} that fit");
        context
            .warning(code::VALUE_SCHEMA, &entry.key_span, message)
            .help("say in the description of the parameter what matters");
        return None;
    }
    Some(keywords)
}

/// Returns whether the value of a keyword is or has a schema that is `true` or `false`.
fn has_boolean_schema(keyword: &str, value: &Json) -> bool {
    let is_one = |schema: &Json| {
        let inner = |(keyword, value): (&String, &Json)| has_boolean_schema(keyword, value);
        schema.is_boolean() || schema.as_object().is_some_and(|it| it.iter().any(inner))
    };
    match keyword {
        "additionalProperties" | "items" => is_one(value),
        "properties" => value.as_object().is_some_and(|members| members.values().any(is_one)),
        _ => false,
    }
}

/// Returns where a schema refers to another.
fn find_reference<'tree>(value: &'tree YamlValue<'tree>) -> Option<&'tree std::ops::Range<usize>> {
    match value {
        YamlValue::Mapping(entries) => entries.iter().find_map(|entry| {
            let is_reference = entry.key == "$ref";
            is_reference.then_some(&entry.key_span).or_else(|| find_reference(&entry.value.value))
        }),
        YamlValue::Sequence(items) => items.iter().find_map(|item| find_reference(&item.value)),
        _ => None,
    }
}

fn report_unknown(entry: &YamlEntry<'_>, descriptor: &Descriptor, context: &mut LowerContext<'_>) {
    let composites = descriptor.composites.iter().flat_map(|it| &it.params);
    let names = descriptor.tools.iter().flat_map(|tool| &tool.params).chain(composites);
    let names = names.map(|param| param.name.as_str());
    let meant = context.nearest(&entry.key, names);
    let message = format!("no tool has a parameter `{}`", entry.key);
    context.warning(code::VALUE_SCHEMA, &entry.key_span, message).meant(meant);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(values: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {{values: {values}}}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             t: {{method: POST, path: /x, access: read, description: D., params: {{remote: {{type: object, in: body}}}}}}\n    \
             u: {{method: GET, path: /x, access: read, description: D., params: {{mode: {{type: string, in: query}}}}}}\n    \
             v: {{method: GET, path: /y, access: read, description: D., params: {{mode: {{type: integer, in: query}}}}}}\n  \
             composites:\n    \
             c: {{access: read, description: D., code: 'return 1', params: {{names: {{type: array}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    #[test]
    fn keywords_reach_the_tools() {
        let loaded = loaded("{remote: {required: [url], properties: {url: {type: string}}}}");
        assert_eq!(loaded.diagnostics, []);
        let tool = &loaded.descriptor.unwrap().tools[0];
        let expected = json!({"required": ["url"], "properties": {"url": {"type": "string"}}});
        assert_eq!(json!(tool.value_hints["remote"]), expected);
    }

    #[test]
    fn a_keyword_reaches_the_parameters_whose_type_it_fits() {
        let found = |values: &str| {
            let loaded = loaded(values);
            let descriptor = loaded.descriptor.unwrap();
            let hints = descriptor.tools.iter().map(|tool| json!(tool.value_hints));
            let composites = descriptor.composites.iter().map(|it| json!(it.value_hints));
            (hints.chain(composites).collect::<Vec<_>>(), loaded.diagnostics)
        };
        let (hints, findings) = found("{mode: {enum: [1, 2], maximum: 2, maxLength: 3}}");
        assert_eq!(findings, []);
        assert_eq!(hints[0], json!({}));
        assert_eq!(hints[1], json!({"mode": {"maxLength": 3}}));
        assert_eq!(hints[2], json!({"mode": {"enum": [1, 2], "maximum": 2}}));
        let (hints, findings) = found("{names: {items: {type: string}}}");
        assert_eq!(findings, []);
        assert_eq!(hints[3], json!({"names": {"items": {"type": "string"}}}));
        let (hints, findings) = found("{remote: {items: {type: string}, required: [a]}}");
        assert_eq!(hints[0], json!({"remote": {"required": ["a"]}}));
        assert_eq!(findings[0].message, "`items` does not fit the type of `remote`");
        assert_eq!(findings[0].help.as_deref(), Some("it is for arrays"));
    }

    #[test]
    fn a_schema_that_is_true_or_false_is_a_warning() {
        for values in [
            "{remote: {additionalProperties: false}}",
            "{remote: {properties: {a: {type: array, items: true}}}}",
            "{names: {items: {properties: {a: true}}}}",
        ] {
            let found = &loaded(values).diagnostics[0];
            assert!(found.message.ends_with("has a schema that is `true` or `false`"), "{values}");
        }
    }

    #[test]
    fn a_value_that_json_schema_does_not_know_is_an_error() {
        for keyword in [
            "minimum: a",
            "enum: a",
            "pattern: '[a-z'",
            "required: [1]",
            "items: 1",
            "properties: {a: b}",
        ] {
            let loaded = loaded(&format!("{{remote: {{{keyword}}}}}"));
            let found = &loaded.diagnostics[0];
            assert!(found.message.ends_with("has no value that JSON Schema knows"), "{keyword}");
            assert_eq!(found.code.0, "D756");
            assert!(loaded.descriptor.is_none());
        }
    }

    #[test]
    fn what_is_of_no_use_is_a_warning() {
        let long = format!("{{remote: {{pattern: {}}}}}", "x".repeat(5000));
        for (values, expected) in [
            ("{remot: {enum: [a]}}", "no tool has a parameter `remot`"),
            ("{remote: {type: string}}", "`type` says nothing that a host lists"),
            ("{remote: {items: {$ref: A}}}", "an input schema cannot refer to a type"),
            (&long, "the schema has 5014 bytes, more than the 4096 that fit"),
        ] {
            let loaded = loaded(values);
            let found: Vec<&str> =
                loaded.diagnostics.iter().map(|it| it.message.as_str()).collect();
            assert_eq!(found, [expected], "{values}");
            assert_eq!(loaded.diagnostics[0].code.0, "D756");
            assert!(loaded.descriptor.is_some());
        }
    }
}
