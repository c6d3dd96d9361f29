//! What a model reads of Xen Orchestra's lists when it asks for nothing in particular, from the simulator.

use std::collections::BTreeMap;

use dadl_simulator::XenOrchestra;
use serde_json::{Value, json};

use crate::{
    mcp_support::{Client, serve_harness, text},
    xo_composites::Bench,
};

/// An item has so many tokens in the mean; some four characters are one.
const MOST_TOKENS: usize = 100;

/// The objects that have lists of their own, by the names in the tools.
const OWNERS: [(&str, &str); 17] = [
    ("acl_role", "list_acl_roles"),
    ("group", "list_groups"),
    ("host", "list_hosts"),
    ("network", "list_networks"),
    ("pif", "list_pifs"),
    ("pool", "list_pools"),
    ("server", "list_servers"),
    ("sr", "list_srs"),
    ("user", "list_users"),
    ("vbd", "list_vbds"),
    ("vdi", "list_vdis"),
    ("vdi_snapshot", "list_vdi_snapshots"),
    ("vif", "list_vifs"),
    ("vm", "list_vms"),
    ("vm_controller", "list_vm_controllers"),
    ("vm_snapshot", "list_vm_snapshots"),
    ("vm_template", "list_vm_templates"),
];

/// The text that a model gets of a list, and its items.
async fn list(client: &mut Client, tool: &str, arguments: Value) -> (usize, Vec<Value>) {
    let answer = client.call(1, tool, arguments).await;
    assert_ne!(answer["result"]["isError"], true, "{tool}: {answer}");
    let text = text(&answer);
    let items =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{tool}: {error}: {text}"));
    (text.chars().count(), items)
}

/// A client, and the simulator, which ends when it is dropped.
async fn client(bench: Bench) -> (Client, XenOrchestra) {
    let Bench { simulator, harness } = bench;
    let served = serve_harness(harness, "").changed(|it| it.with_most_chars(usize::MAX));
    (Client::legacy(served, json!({})).await, simulator)
}

#[tokio::test]
async fn a_list_costs_a_hundred_tokens_an_item_at_most() {
    let bench = Bench::start().await;
    let tools: Vec<(String, Vec<String>)> = bench
        .harness
        .gate
        .catalog()
        .listed()
        .filter(|entry| entry.name.starts_with("list_") && entry.tool().is_some())
        .map(|entry| {
            let needed = entry.params.iter().filter(|param| param.param.required);
            (entry.name.clone(), needed.map(|param| param.property.clone()).collect())
        })
        .collect();
    let (mut client, _simulator) = client(bench).await;
    let mut known: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut costs: Vec<(usize, usize, String)> = Vec::new();
    for (tool, _) in tools.iter().filter(|(_, needed)| needed.is_empty()) {
        let (size, items) = list(&mut client, tool, json!({})).await;
        costs.push((size, items.len(), tool.clone()));
        known.insert(tool.clone(), items);
    }
    for (tool, needed) in tools.iter().filter(|(_, needed)| needed.len() == 1) {
        let of = OWNERS.iter().filter(|(owner, _)| tool.starts_with(&format!("list_{owner}_")));
        // Of tokens, a user sees the own ones only.
        let Some((_, owners)) = of.max_by_key(|(owner, _)| owner.len()) else { continue };
        for owner in known[*owners].iter().take(3) {
            let (size, items) = list(&mut client, tool, json!({ &*needed[0]: owner["id"] })).await;
            costs.push((size, items.len(), tool.clone()));
        }
    }
    costs.retain(|(_, count, _)| *count > 0);
    let each = |(size, count, tool): &(usize, usize, String)| (size / 4 / count, tool.clone());
    let mut dear: Vec<(usize, String)> = costs.iter().map(each).collect();
    dear.sort_unstable();
    let size: usize = costs.iter().map(|(size, ..)| size).sum();
    let count: usize = costs.iter().map(|(_, count, _)| count).sum();
    let mean = size / 4 / count;
    println!("{mean} tokens an item over {count} items of {} lists; {dear:?}", costs.len());
    assert!(count > 300 && costs.len() > 40, "{costs:?}");
    assert!(mean <= MOST_TOKENS, "{mean}: {dear:?}");
    assert!(dear.iter().all(|(tokens, _)| *tokens <= MOST_TOKENS), "{dear:?}");
}

#[tokio::test]
async fn lists_have_what_people_ask_for() {
    let bench = Bench::start().await;
    let runs = json!({ "filter": "status:failure", "fields": "*" });
    let failed = bench.value("list_backup_logs", runs).await;
    let whole = bench.value("list_hosts", json!({})).await;
    let (mut client, _simulator) = client(bench).await;
    let (_, hosts) = list(&mut client, "list_hosts", json!({})).await;
    for host in &hosts {
        assert!(host["$pool"].is_string() && host["version"].is_string(), "{host}");
        assert!(host.get("href").is_none() && host.get("residentVms").is_none(), "{host}");
    }
    assert!(whole[0]["href"].is_string());
    let (_, srs) = list(&mut client, "list_srs", json!({})).await;
    assert!(srs.iter().all(|sr| sr["$container"].is_string()), "{srs:?}");
    let failures = json!({ "filter": "status:failure" });
    let (_, tasks) = list(&mut client, "list_tasks", failures.clone()).await;
    assert!(!tasks.is_empty());
    for task in &tasks {
        assert!(task["result"]["message"].is_string(), "{task}");
        assert!(task["properties"]["name"].is_string(), "{task}");
        assert!(task["result"].get("stack").is_none(), "{task}");
    }
    let (_, logs) = list(&mut client, "list_backup_logs", failures).await;
    assert_eq!(logs.len(), failed.as_array().unwrap().len());
    for log in &logs {
        assert!(log["jobName"].is_string(), "{log}");
        let reasons = [&log["result"]["message"], &log["tasks"][0]["result"]["message"]];
        assert!(reasons.iter().any(|reason| reason.is_string()), "{log}");
    }
    let (_, backups) = list(&mut client, "list_backups", json!({})).await;
    assert!(backups.iter().all(|backup| backup["vm"]["name_label"].is_string()), "{backups:?}");
}

/// Lists within lists make them long.
#[tokio::test]
async fn no_list_has_lists_of_ids() {
    let bench = Bench::start().await;
    let (mut client, _simulator) = client(bench).await;
    for tool in [
        "list_hosts",
        "list_pools",
        "list_srs",
        "list_vdis",
        "list_networks",
        "list_vms",
        "list_users",
        "list_groups",
    ] {
        let (_, items) = list(&mut client, tool, json!({})).await;
        assert!(!items.is_empty(), "{tool}");
        let members = items.iter().filter_map(Value::as_object).flatten();
        let lists = members.filter(|(name, value)| value.is_array() && *name != "tags");
        assert_eq!(lists.count(), 0, "{tool}: {items:?}");
    }
}
