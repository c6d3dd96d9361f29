//! What hosts list and errors offer, over the descriptors of [`corpus`](crate::corpus): schemas that
//! every known host takes, and names that lead nobody to what is worse.

use std::sync::Arc;

use dadl_descriptor::{load, model::AccessLevel, source::SourceText};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    catalog::{BackendTools, Catalog, CatalogEntry},
};
use dadl_text::names::{
    DangerLevel, split_words,
    verbs::{self, VerbKind},
};
use serde_json::{Map, Value};

use crate::corpus::{self, Texts};

fn catalogs(texts: Texts) -> impl Iterator<Item = (String, Catalog)> {
    texts.into_iter().filter_map(|(name, text)| {
        let descriptor = load(&SourceText::from_bytes(&*name, text).unwrap()).descriptor?;
        let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        let descriptor = Arc::new(descriptor);
        Some((
            name,
            Catalog::build(&[BackendTools {
                name: "it",
                descriptor,
                server: None,
                policy: &policy,
                task_wait: None,
            }]),
        ))
    })
}

/// Says where a schema is one that google-genai, LangChain, openai-agents or the APIs behind them
/// refuse; the rules are those of `tests/hosts/converters`.
fn refused(schema: &Value) -> Option<String> {
    let Value::Object(object) = schema else { return Some(format!("{schema} is no object")) };
    let kinds: Vec<&str> = match object.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let branches = object.get("anyOf").and_then(Value::as_array);
    if kinds.is_empty() && branches.is_none_or(Vec::is_empty) {
        return Some(format!("{schema} has no type"));
    }
    if kinds.contains(&"array") && !object.contains_key("items") {
        return Some(format!("{schema} has no items"));
    }
    if let Some(values) = object.get("enum") {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        if kinds != ["string"] || !values.as_array().is_some_and(|all| all.iter().all(is_text)) {
            return Some(format!("{values} is an enum"));
        }
    }
    if object.get("format").is_some_and(|format| format != "date-time") {
        return Some(format!("{schema} has a format"));
    }
    let none = Map::new();
    let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = object.get("required").and_then(Value::as_array);
    let is_member = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    if required.is_some_and(|names| !names.iter().all(is_member)) {
        return Some(format!("{schema} requires what it has not"));
    }
    let inner = ["items", "additionalProperties"].iter().filter_map(|key| object.get(*key));
    inner.chain(properties.values()).chain(branches.into_iter().flatten()).find_map(refused)
}

fn every_list_is_taken(texts: Texts) -> usize {
    let mut tools = 0;
    for (name, catalog) in catalogs(texts) {
        for entry in catalog.entries() {
            let schema = Value::Object(entry.input_schema());
            assert_eq!(refused(&schema), None, "{name}: {}", entry.name);
            assert!(jsonschema::meta::is_valid(&schema), "{name}: {}", entry.name);
            tools += 1;
        }
    }
    tools
}

#[test]
fn every_list_of_ours_is_taken() {
    assert!(every_list_is_taken(corpus::own()) > 300);
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn every_list_of_others_is_taken() {
    assert!(every_list_is_taken(corpus::corpus()) > 3300);
}

/// Our own lists know what each array has: no model is left to guess.
#[test]
fn no_array_of_ours_has_any_items() {
    for name in ["xen-orchestra.dadl", "danube-cloud.dadl", "xo-proxy.dadl"] {
        let texts = corpus::own().into_iter().filter(|(it, _)| it == name).collect();
        for (name, catalog) in catalogs(texts) {
            for entry in catalog.entries() {
                let text = Value::Object(entry.input_schema()).to_string();
                let any = r#""items":{"type":["string","number""#;
                assert!(!text.contains(any), "{name}: {text}");
            }
        }
    }
}

const VERBS: &[&str] = &[
    "clone", "create", "delete", "describe", "destroy", "detach", "edit", "enable", "find", "get",
    "move", "pause", "remove", "rename", "reset", "resume", "stop", "undo", "update",
];

/// Asks for each verb with each thing of a file; what is offered is what the verb lets expect.
fn no_name_leads_to_danger(texts: Texts) -> usize {
    let mut offers = 0;
    for (name, catalog) in catalogs(texts) {
        let behind_verb = |entry: &CatalogEntry| Some(entry.name.split_once('_')?.1.to_owned());
        let mut things: Vec<String> = catalog.entries().iter().filter_map(behind_verb).collect();
        things.sort();
        things.dedup();
        // A tenth of the things of a large file.
        let step = things.len().div_ceil(30).max(1);
        for thing in things.iter().step_by(step) {
            for verb in VERBS {
                let wanted = format!("{verb}_{thing}");
                let Some(offered) = catalog.nearest(&wanted) else { continue };
                offers += 1;
                let danger = AccessLevel::danger(catalog.find(offered).unwrap().access());
                let has = split_words(offered);
                if has.first().is_some_and(|it| it == verb) {
                    continue;
                }
                let context = format!("{name}: {wanted} leads to {offered} ({danger:?})");
                let kind = VerbKind::of(verb).unwrap();
                match kind {
                    VerbKind::Reads => assert_eq!(danger, DangerLevel::Reads, "{context}"),
                    kind if kind.removes() => {}
                    VerbKind::Changes(_) => assert!(danger < DangerLevel::Endangers, "{context}"),
                }
                if danger > DangerLevel::Reads {
                    assert!(has.iter().any(|it| VerbKind::of(it) == Some(kind)), "{context}");
                    let asked = split_words(&wanted);
                    let is_worse = |it: &&String| {
                        verbs::harms(it) && VerbKind::of(it) != Some(kind) && !asked.contains(it)
                    };
                    assert_eq!(has.iter().find(is_worse), None, "{context}");
                }
            }
        }
    }
    offers
}

#[test]
fn no_name_leads_to_danger_in_ours() {
    assert!(no_name_leads_to_danger(corpus::own()) > 100);
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn no_name_leads_to_danger_in_others() {
    assert!(no_name_leads_to_danger(corpus::corpus()) > 1000);
}
