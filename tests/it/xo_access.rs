//! `docs/access.md` gives each tool of the Xen Orchestra descriptor a reason for its level.

use std::collections::BTreeMap;

use dadl_mcp::descriptor::{self, model::Access, source::Source};

const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");
const PAGE: &str = include_str!("../../docs/access.md");

/// The level under whose heading each tool is.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let mut tools = BTreeMap::new();
    let mut level = "";
    for line in PAGE.lines() {
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
    let loaded = descriptor::load(&Source::new("xo.dadl", DESCRIPTOR));
    let descriptor = loaded.descriptor.unwrap();
    let tools = descriptor.tools.iter().map(|tool| (&tool.name, &tool.access));
    let composites = descriptor.composites.iter().map(|it| (&it.name, &it.access));
    let declared: BTreeMap<&str, &str> = tools
        .chain(composites)
        .map(|(name, access)| (name.as_str(), access.as_ref().map_or("none", Access::as_str)))
        .collect();
    assert_eq!(documented(), declared);
}

/// What no other level could be, whoever edits the file.
#[test]
fn what_destroys_is_dangerous() {
    for (name, level) in documented() {
        let keeps = ["delete_vbd", "delete_vif", "delete_task", "delete_vm_data_source"];
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
