//! `docs/access.md` gives each tool of the Xen Orchestra descriptor a reason for its level.

use std::collections::BTreeMap;

use dadl_descriptor::{
    model::{AccessLevel, Descriptor},
    source::SourceText,
};
use dadl_openapi::AccessWord;

use crate::openapi_documents;

const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");
const PAGE: &str = include_str!("../../docs/access.md");

/// The heading of the tools that Vates gives to models less generously.
const GENEROUS: &str = "\n## More generous than Vates\n";

fn descriptor() -> Descriptor {
    dadl_descriptor::load(&SourceText::new("xo.dadl", DESCRIPTOR)).descriptor.unwrap()
}

/// The level under whose heading each tool is.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let mut tools = BTreeMap::new();
    let mut level = "";
    let (levels, _) = PAGE.split_once(GENEROUS).unwrap();
    for line in levels.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            level = heading;
        }
        let Some((reason, names)) = line.strip_prefix("| ").and_then(|row| row.split_once(" | "))
        else {
            continue;
        };
        for name in
            names.split(['`', ',', ' ', '|']).filter(|name| name.contains('_') || *name == "ping")
        {
            assert!(reason.len() > 10, "{name}: {reason}");
            assert_eq!(tools.insert(name, level), None, "{name} has two reasons");
        }
    }
    tools
}

#[test]
fn every_tool_has_its_level_and_a_reason() {
    let descriptor = descriptor();
    let tools = descriptor.tools.iter().map(|tool| (&tool.name, &tool.access));
    let listed = descriptor.composites.iter().filter(|it| !it.is_unlisted);
    let composites = listed.map(|it| (&it.name, &it.access));
    let declared: BTreeMap<&str, &str> = tools
        .chain(composites)
        .map(|(name, access)| (name.as_str(), access.as_ref().map_or("none", AccessLevel::as_str)))
        .collect();
    assert_eq!(documented(), declared);
}

/// What no other level could be, whoever edits the file.
#[test]
fn what_destroys_is_dangerous() {
    for (name, level) in documented() {
        let keeps = [
            "delete_vbd",
            "delete_vif",
            "delete_vif_traffic_rule",
            "delete_task",
            "delete_vm_data_source",
        ];
        if (name.starts_with("delete_") && !keeps.contains(&name))
            || name.starts_with("forget_")
            || name.starts_with("emergency_")
            || name.starts_with("hard_")
            || name.starts_with("rolling_")
            || name.contains("_existing")
        {
            assert_eq!(level, "dangerous", "{name}");
        }
        if name.starts_with("list_") || name.starts_with("get_") || name.starts_with("export_") {
            assert!(["read", "admin"].contains(&level), "{name}: {level}");
        }
    }
}

/// What is said about each tool that is given more generously than Vates does: their word, our
/// level.
fn generous() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let mut tools = BTreeMap::new();
    let (_, rest) = PAGE.split_once(GENEROUS).unwrap();
    for line in rest.lines().filter(|line| line.contains('`') && line.starts_with('|')) {
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [theirs, ours, reason, names] = columns[..] else { panic!("{line}") };
        assert!(reason.len() > 30, "{reason}");
        for name in names.split(['`', ',', ' ']).filter(|name| name.contains('_')) {
            assert_eq!(tools.insert(name, (theirs, ours)), None, "{name} is there twice");
        }
    }
    tools
}

fn anonymous(path: &str) -> String {
    let mut plain = String::new();
    for part in path.split('{') {
        plain.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
        plain.push_str("{}");
    }
    plain
}

#[test]
fn what_is_given_more_generously_is_what_the_tools_say() {
    let descriptor = descriptor();
    for (name, (theirs, ours)) in generous() {
        let tool = descriptor.tools.iter().find(|tool| tool.name == name).expect(name);
        assert_eq!(tool.access.as_ref().map(AccessLevel::as_str), Some(ours), "{name}");
        assert!(matches!(theirs, "confirm" | "deny") && ours != "dangerous", "{name}");
    }
}

/// `DADL_XO_OPENAPI` names the document.
#[test]
#[ignore = "needs DADL_XO_OPENAPI"]
fn each_place_that_is_more_generous_than_xo_has_a_reason() {
    let file = openapi_documents::xen_orchestra();
    let (api, _) = dadl_openapi::read_document(&std::fs::read(file).unwrap()).unwrap();
    let descriptor = descriptor();
    let mut found = BTreeMap::new();
    let mut words = BTreeMap::new();
    for operation in &api.operations {
        let Some(word) = operation.hint.as_ref().map(|hint| hint.word) else { continue };
        *words.entry(word.as_str()).or_insert(0) += 1;
        for tool in &descriptor.tools {
            let path = tool.path().as_str().split('?').next().unwrap_or_default();
            let (written, ours) = (anonymous(&operation.path), anonymous(path));
            // Values of {format} are written into the path.
            let stem = written.strip_suffix(".{}{}");
            let is_it = written == ours
                || stem.is_some_and(|stem| {
                    ours.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
                });
            let level = tool.access.as_ref().map_or("none", AccessLevel::as_str);
            let asks = match word {
                AccessWord::Allow => true,
                AccessWord::Confirm | AccessWord::Deny | AccessWord::No => level == "dangerous",
            };
            if tool.method() == operation.method && is_it && !asks {
                found.insert(tool.name.clone(), (word.as_str(), level.to_owned()));
            }
        }
    }
    assert_eq!(words, BTreeMap::from([("allow", 139), ("confirm", 109), ("deny", 18)]));
    let generous = generous();
    let generous: BTreeMap<String, (&str, String)> = generous
        .into_iter()
        .map(|(name, (theirs, ours))| (name.to_owned(), (theirs, ours.to_owned())))
        .collect();
    assert_eq!(generous, found);
}
