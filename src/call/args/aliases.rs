//! Names that differ for one thing: `nameLabel` for `name_label`, `id` for the `uuid` of what a tool is about.
//!
//! A name that no parameter has is taken for one where it cannot be mistaken. That is so in two cases: only the
//! way in which its words are joined differs from one parameter, or the tool is about one thing, the parameter
//! that says which is missing, and the name is another word for just that. A parameter that says that nothing
//! is spared is meant by its own name alone, and so is each where a body may have any members.

use std::collections::HashSet;

use dadl_descriptor::model::{ParamKind, ParamLocation, Tool};
use dadl_text::names::{split_words, verbs};
use serde_json::{Map, Value};

use crate::catalog::{CatalogEntry, EntryParam};

/// A name that was taken for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenName {
    /// As the caller wrote it.
    pub(crate) given: String,
    /// The property that it was taken for.
    pub(crate) property: String,
}

/// The words that say which one, whatever the thing is.
const IDENTIFIERS: [&str; 2] = ["id", "uuid"];

/// Gives arguments the names of the parameters that they are certainly for, and returns which.
pub(super) fn settle_names(
    entry: &CatalogEntry,
    arguments: &mut Map<String, Value>,
) -> Vec<TakenName> {
    if arguments.keys().all(|name| entry.param(name).is_some()) {
        return Vec::new();
    }
    if entry.tool().is_some() && entry.is_open() {
        return Vec::new();
    }
    let unknown = arguments.iter().filter(|(name, _)| entry.param(name).is_none());
    let mut taken: Vec<TakenName> = Vec::new();
    for (name, value) in unknown {
        let meant = meant_param(entry, arguments, name, value);
        taken.extend(
            meant.map(|param| TakenName { given: name.clone(), property: param.property.clone() }),
        );
    }
    // What two names were taken for, none of them certainly means.
    let mut seen = HashSet::new();
    let twice: HashSet<String> = taken
        .iter()
        .filter(|it| !seen.insert(it.property.clone()))
        .map(|it| it.property.clone())
        .collect();
    taken.retain(|it| !twice.contains(&it.property));
    for TakenName { given, property } in &taken {
        if let Some(value) = arguments.remove(given) {
            arguments.insert(property.clone(), value);
        }
    }
    taken
}

/// Returns the parameter that a name is certainly for.
fn meant_param<'entry>(
    entry: &'entry CatalogEntry,
    arguments: &Map<String, Value>,
    name: &str,
    value: &Value,
) -> Option<&'entry EntryParam> {
    let joined = joined_words(name);
    if !is_plain_name(name) || harms(name) {
        return None;
    }
    let is_same = |param: &&EntryParam| {
        joined_words(&param.property) == joined || joined_words(&param.param.name) == joined
    };
    let mut same = entry.params.iter().filter(is_same);
    if let Some(param) = same.next() {
        let is_certain =
            same.next().is_none() && !harms(&param.property) && !harms(&param.param.name);
        return Some(param).filter(|param| is_certain && !arguments.contains_key(&param.property));
    }
    let ObjectParam { param, kind } = object_param(entry, arguments)?;
    let is_free = !arguments.contains_key(&param.property);
    let is_identifier = matches!(value, Value::String(_) | Value::Number(_));
    (is_free && is_identifier && names_object(name, &kind)).then_some(param)
}

/// Returns whether a name is words and what joins them, and nothing that could mean something: `size>`,
/// `!name` and `-tags` say more than which parameter.
fn is_plain_name(name: &str) -> bool {
    name.split(['_', '-', '.', ' '])
        .all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric))
}

/// Returns the letters and digits of a name, which are the same however its words are joined.
fn joined_words(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns whether a name says that nothing is spared.
fn harms(name: &str) -> bool {
    split_words(name).iter().any(|word| verbs::harms(word))
}

/// The parameter that says which thing a tool is about.
struct ObjectParam<'entry> {
    param: &'entry EntryParam,
    /// What the thing is, in words.
    kind: Vec<String>,
}

/// Finds the parameter that says which thing a tool is about; `None` where there are several, or where another
/// identifier is missing too.
fn object_param<'entry>(
    entry: &'entry CatalogEntry,
    arguments: &Map<String, Value>,
) -> Option<ObjectParam<'entry>> {
    let required = || entry.params.iter().filter(|param| param.param.required);
    let path = entry.tool().and_then(Tool::http).map(|http| http.path.as_str());
    let mut candidates = required().filter(|param| match path {
        Some(_) => param.param.is_in(ParamLocation::Path),
        None => identifies(&split_words(&param.property), entry),
    });
    let param = candidates.next()?;
    let takes_one =
        !matches!(param.param.kind, ParamKind::Array | ParamKind::Object | ParamKind::Boolean);
    let others_given = required().all(|other| {
        let is_identifier = split_words(&other.property)
            .last()
            .is_some_and(|it| IDENTIFIERS.contains(&it.as_str()));
        other.property == param.property
            || !is_identifier
            || arguments.contains_key(&other.property)
    });
    if candidates.next().is_some() || !takes_one || !others_given {
        return None;
    }
    let mut words = split_words(&param.property);
    if words.last().is_some_and(|it| IDENTIFIERS.contains(&it.as_str())) {
        words.pop();
    }
    let kind = match path {
        Some(path) => collection_before(path, &param.param.name)?,
        None if words.is_empty() => split_words(entry.declared_name()).pop().into_iter().collect(),
        None => words.clone(),
    };
    let kind: Vec<String> = kind.into_iter().map(singular).collect();
    // `{network_id}` below `/hosts` is no host.
    let fits = words.is_empty() || kind.ends_with(&words);
    fits.then_some(ObjectParam { param, kind })
}

/// Returns whether the words of a parameter say which thing a call without a path is about.
fn identifies(words: &[String], entry: &CatalogEntry) -> bool {
    let Some(last) = words.last() else { return false };
    if IDENTIFIERS.contains(&last.as_str()) {
        return true;
    }
    let named: Vec<String> = split_words(entry.declared_name()).into_iter().map(singular).collect();
    words.len() == 1 && named.contains(last)
}

/// Returns the words of the segment before a placeholder, which name what it is one of.
fn collection_before(path: &str, placeholder: &str) -> Option<Vec<String>> {
    let (before, _) = path.split_once(&format!("/{{{placeholder}}}"))?;
    let segment = before.rsplit('/').next().filter(|it| !it.is_empty() && !it.contains('{'))?;
    Some(split_words(segment))
}

/// Returns a word in the singular, as far as spelling tells.
fn singular(word: String) -> String {
    let stem = match word.as_str() {
        it if it.len() > 3 && it.ends_with("ies") => {
            Some(format!("{}y", it.trim_end_matches("ies")))
        }
        it if it.len() > 2 && it.ends_with('s') && !it.ends_with("ss") => {
            it.strip_suffix('s').map(str::to_owned)
        }
        _ => None,
    };
    stem.unwrap_or(word)
}

/// Returns whether a name is another word for one of this kind: `id`, `vm`, `vm_uuid`, `snapshot` for what is
/// among `vm-snapshots`.
fn names_object(name: &str, kind: &[String]) -> bool {
    let mut words = split_words(name);
    if words.last().is_some_and(|it| IDENTIFIERS.contains(&it.as_str())) {
        words.pop();
        if words.is_empty() {
            return true;
        }
    }
    !words.is_empty() && kind.ends_with(&words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{call::check_arguments, catalog::fixture};

    fn named(path: &str, params: &[&str], given: &Value) -> (Value, Vec<String>) {
        let catalog = fixture::catalog(vec![fixture::tool("POST", path, params)]);
        let mut arguments = given.as_object().unwrap().clone();
        let taken = settle_names(&catalog.entries()[0], &mut arguments);
        (arguments.into(), taken.into_iter().map(|it| it.property).collect())
    }

    fn gives(path: &str, params: &[&str], given: Value, expected: Value) {
        assert_eq!(named(path, params, &given).0, expected, "{path} {params:?}");
    }

    /// Nothing is taken for anything.
    fn stays(path: &str, params: &[&str], given: Value) {
        gives(path, params, given.clone(), given);
    }

    #[test]
    fn words_may_be_joined_otherwise() {
        let params = ["name_label:body:string", "n:query:integer"];
        for name in ["nameLabel", "name-label", "NameLabel", "name.label", "namelabel"] {
            gives(
                "/vms",
                &params,
                json!({ name: "a", "n": 1 }),
                json!({ "n": 1, "name_label": "a" }),
            );
        }
        // It is there already, or two names are for it.
        stays("/vms", &params, json!({ "nameLabel": "a", "name_label": "b" }));
        stays("/vms", &params, json!({ "nameLabel": "a", "name-label": "b" }));
        // Two parameters could be meant.
        stays(
            "/vms",
            &["name_label:body:string", "nameLabel:query:string"],
            json!({ "name-label": 1 }),
        );
    }

    #[test]
    fn signs_that_could_mean_something_are_no_joints() {
        for name in ["status!=", "status>", "!status", "-status", "status_", "status[]", "sta__tus"]
        {
            stays("/things", &["status:query:string"], json!({ name: "x" }));
        }
        gives(
            "/things",
            &["status_code:query:string"],
            json!({ "statusCode": "x" }),
            json!({ "status_code": "x" }),
        );
    }

    #[test]
    fn what_harms_is_meant_by_its_own_name() {
        for name in ["force_delete", "recursive", "ignore_backup"] {
            let other = name.replace('_', "-").to_uppercase();
            stays("/vms", &[&format!("{name}:body:boolean")], json!({ other: true }));
        }
    }

    #[test]
    fn the_thing_that_a_tool_is_about_has_several_names() {
        for (path, param, names) in [
            ("/vms/{uuid}", "uuid", &["id", "vm", "vm_id", "vmUuid", "VM"][..]),
            ("/vms/{uuid}/vdis", "uuid", &["id", "vm"]),
            ("/pools/{pool_id}/actions/x", "pool_id", &["id", "uuid", "pool", "poolUuid"]),
            ("/vm-snapshots/{uuid}", "uuid", &["snapshot", "vm_snapshot", "snapshotId"]),
            ("/backup-repositories/{id}", "id", &["repository", "backup_repository_id"]),
        ] {
            let params = [format!("{param}:path:string!"), "n:query:integer".to_owned()];
            let params: Vec<&str> = params.iter().map(String::as_str).collect();
            for name in names {
                gives(path, &params, json!({ *name: "a" }), json!({ param: "a" }));
            }
            stays(path, &params, json!({ "vdi": "a" }));
            stays(path, &params, json!({ "name": "a" }));
            stays(path, &params, json!({ "id": "a", "vm": "b", "uuid": "c" }));
        }
        stays("/vm-snapshots/{uuid}", &["uuid:path:string!"], json!({ "vm": "a" }));
        stays("/hosts/{network_id}", &["network_id:path:string!"], json!({ "host": "a" }));
    }

    #[test]
    fn of_two_things_none_is_guessed() {
        let two = ["vm:path:string!", "dc:path:string!"];
        stays("/dc/{dc}/vm/{vm}", &two, json!({ "id": "a", "dc": "b" }));
        let other = ["uuid:path:string!", "snapshotId:body:string!"];
        stays("/vms/{uuid}/revert", &other, json!({ "id": "a" }));
        gives(
            "/vms/{uuid}/revert",
            &other,
            json!({ "id": "a", "snapshotId": "b" }),
            json!({ "snapshotId": "b", "uuid": "a" }),
        );
        // What is optional is not what a tool is about, and a list is not one thing.
        stays("/vms", &["uuid:query:string"], json!({ "id": "a" }));
        stays("/vms/{uuid}", &["uuid:path:string!"], json!({ "id": ["a"] }));
        stays(
            "/vms/{uuid}",
            &["uuid:path:string!", "vm:query:string"],
            json!({ "uuid": "a", "id": "b" }),
        );
    }

    #[test]
    fn a_call_says_which_names_were_taken() {
        let catalog =
            fixture::catalog(vec![fixture::tool("GET", "/vms/{uuid}", &["uuid:path:string!"])]);
        let check = |given: Value| {
            check_arguments(&catalog.entries()[0], given.as_object().unwrap().clone())
        };
        let arguments = check(json!({ "id": "a" })).unwrap();
        assert_eq!(arguments.get("uuid"), Some(&json!("a")));
        assert_eq!(arguments.taken_note().unwrap(), "`id` was taken as `uuid`");
        assert_eq!(check(json!({ "uuid": "a" })).unwrap().taken_note(), None);
        assert!(check(json!({ "name": "a" })).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is given: no value is lost or changed, none that has its name moves, each goes to a
        /// parameter that nobody named, and what harms is never made of another name.
        #[test]
        fn nothing_is_mistaken(
            params in prop::collection::btree_set("(uuid|id|vm|vm_id|nameLabel|name_label|force|force_vm|n)", 1..5),
            given in prop::collection::btree_map(
                "(uuid|id|ID|vm|vmId|vm-id|NAME_LABEL|name-label|Force|forceVm|n|x|\\PC{0,6})",
                "[a-z]{1,3}",
                0..5,
            ),
            first in any::<prop::sample::Index>(),
        ) {
            let params: Vec<&String> = params.iter().collect();
            let in_path = params[first.index(params.len())];
            let written: Vec<String> = params
                .iter()
                .map(|it| if *it == in_path { format!("{it}:path:string!") } else { format!("{it}:body:string") })
                .collect();
            let written: Vec<&str> = written.iter().map(String::as_str).collect();
            let given = json!(given);
            let (after, taken) = named(&format!("/vms/{{{in_path}}}"), &written, &given);
            let (before, after) = (given.as_object().unwrap(), after.as_object().unwrap());
            let values = |object: &Map<String, Value>| {
                let mut values: Vec<String> = object.values().map(Value::to_string).collect();
                values.sort();
                values
            };
            prop_assert_eq!(values(before), values(after));
            for (name, value) in before {
                if params.contains(&name) {
                    prop_assert_eq!(after.get(name), Some(value));
                }
            }
            for property in taken {
                prop_assert!(!before.contains_key(&property) && params.contains(&&property));
                prop_assert!(!property.contains("force"));
            }
        }
    }
}
