//! The composites of the Xen Orchestra descriptor against the simulator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy, ToolPatterns},
    config::BackendSettings,
    executor::CallError,
    outcome::CallOutcome,
};
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

use crate::harness::{Fixed, Harness};

const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// When the data of the simulator were "taken", in seconds since 1970.
const MOMENT: u64 = 1_795_181_174;

pub(crate) struct Bench {
    pub(crate) simulator: XenOrchestra,
    pub(crate) harness: Harness,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, &[], "").await
    }

    /// Starts with other settings; the paths of `broken` lead nowhere, and `suffix` is added to the
    /// token.
    pub(crate) async fn with(
        change: impl FnOnce(&mut BackendSettings),
        broken: &[&str],
        suffix: &str,
    ) -> Self {
        let options = SimulatorOptions {
            task_duration: Duration::ZERO,
            record: true,
            ..SimulatorOptions::default()
        };
        let simulator = XenOrchestra::start(options).await.unwrap();
        let mut descriptor = DESCRIPTOR.to_owned();
        for path in broken {
            let line = format!("      path: {path}\n");
            assert!(descriptor.contains(&line), "{path}");
            descriptor = descriptor.replace(&line, &format!("      path: /nowhere{path}\n"));
        }
        let token = Fixed(Ok(format!("{}{suffix}", simulator.token())));
        let harness = Harness::new(&descriptor, &simulator.url(), token, change);
        Self { simulator, harness }
    }

    pub(crate) async fn value(&self, tool: &str, arguments: Value) -> Value {
        self.harness.value(tool, arguments).await
    }

    /// Calls a tool that may answer nothing.
    pub(crate) async fn run(&self, tool: &str, arguments: Value) -> Result<CallOutcome, CallError> {
        self.harness.call(tool, arguments).await
    }

    pub(crate) async fn failure(&self, tool: &str, arguments: Value) -> String {
        self.harness.call(tool, arguments).await.unwrap_err().for_model()
    }

    /// The first object of a list that has this name.
    pub(crate) async fn named(&self, list: &str, name: &str) -> Value {
        let all = self.value(list, json!({ "fields": "*" })).await;
        let all = all.as_array().unwrap();
        let found = all.iter().find(|one| one["name_label"] == name);
        found.unwrap_or_else(|| panic!("{list} has no {name}")).clone()
    }

    pub(crate) async fn id(&self, list: &str, name: &str) -> String {
        self.named(list, name).await["id"].as_str().unwrap().to_owned()
    }

    /// How many requests were sent since the last look.
    pub(crate) fn requests(&self) -> usize {
        self.simulator.take_requests().len()
    }
}

pub(crate) fn levels(levels: &'static [&'static str]) -> impl FnOnce(&mut BackendSettings) {
    |settings| {
        let levels = AccessLevels::new(levels.iter().copied());
        settings.policy = AccessPolicy { levels, ..AccessPolicy::default() };
    }
}

/// The days since the data of the simulator were taken, plus some more.
pub(crate) fn days_since_the_data(more: f64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.saturating_sub(MOMENT) as f64 / 86_400.0 + more
}

pub(crate) fn names(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// The details of the problems of a kind.
fn details<'a>(answer: &'a Value, kind: &str) -> Vec<&'a str> {
    let problems = answer["problems"].as_array().unwrap().iter();
    let problems = problems.filter(|problem| problem["kind"] == kind);
    problems.map(|problem| problem["detail"].as_str().unwrap()).collect()
}

/// What is below a pool of this name.
fn pool<'a>(inventory: &'a Value, name: &str) -> &'a Value {
    let pools = inventory["pools"].as_array().unwrap();
    pools.iter().find(|pool| pool["name"] == name).unwrap()
}

#[tokio::test]
async fn the_inventory_counts_and_adds_up() {
    let bench = Bench::start().await;
    let all = bench.value("get_inventory", json!({})).await;
    assert_eq!(bench.requests(), 4);
    let totals = &all["totals"];
    assert_eq!(
        (&totals["pools"], &totals["hosts"], &totals["cpus"]),
        (&json!(2), &json!(4), &json!(64))
    );
    let states =
        ["total", "running", "halted", "suspended"].map(|state| totals["vms"][state].as_u64());
    assert_eq!(states, [Some(44), Some(36), Some(6), Some(2)]);
    assert_eq!(totals["memory"]["total"], 4 * 137_438_953_472_u64);
    let production = pool(&all, "Production");
    assert_eq!(names(&production["hosts"]), ["xcp-01", "xcp-02", "xcp-03"]);
    assert_eq!(production["master"], "xcp-01");
    // The fullest first, and no library of images.
    assert_eq!(names(&production["srs"])[0], "nfs-storage");
    assert_eq!(production["srs"][0]["used_percent"], 91);
    assert_eq!(production["srs"].as_array().unwrap().len(), 4);
    let running = production["hosts"].as_array().unwrap().iter();
    let running: u64 = running.map(|host| host["running_vms"].as_u64().unwrap()).sum();
    assert_eq!(production["vms"]["running"], running);
    assert!(all.get("not_read").is_none() && all.get("left_out").is_none(), "{all}");

    let lab = bench.value("get_inventory", json!({ "pool": "Lab" })).await;
    assert_eq!((names(&lab["pools"]), &lab["totals"]["hosts"]), (vec!["Lab"], &json!(1)));
    let by_id = bench.value("get_inventory", json!({ "pool": lab["pools"][0]["id"] })).await;
    assert_eq!(by_id, lab);
    let unknown = bench.failure("get_inventory", json!({ "pool": "Nowhere" })).await;
    assert!(unknown.contains("no pool is \"Nowhere\"; there are: Production ("), "{unknown}");
}

#[tokio::test]
async fn the_inventory_of_what_a_user_may_see() {
    // Alice sees machines, hosts and pools, and no storage.
    let bench = Bench::with(|_| {}, &[], "-alice").await;
    let all = bench.value("get_inventory", json!({})).await;
    assert_eq!(
        (&all["totals"]["hosts"], &all["totals"]["storage"]["total"]),
        (&json!(4), &json!(0))
    );
    // An unknown token is an error, and not an empty inventory.
    let bench = Bench::with(|_| {}, &[], "-nobody").await;
    let error = bench.failure("get_inventory", json!({})).await;
    assert!(error.contains("[unauthorized] HTTP 401"), "{error}");
}

#[tokio::test]
async fn the_inventory_says_what_it_could_not_read() {
    let no_srs = |settings: &mut BackendSettings| {
        settings.policy.exclude_tools = ToolPatterns::new(["list_srs"]).unwrap();
    };
    let bench = Bench::with(no_srs, &["/pools"], "").await;
    let all = bench.value("get_inventory", json!({})).await;
    let not_read = all["not_read"].as_array().unwrap();
    assert_eq!(not_read.len(), 2, "{all}");
    assert_eq!(not_read[1]["part"], "srs");
    assert!(not_read[1]["reason"].as_str().unwrap().contains("exclude_tools"), "{all}");
    assert_eq!(not_read[0]["part"], "pools");
    assert_eq!((&all["totals"]["storage"], &all["totals"]["pools"]), (&Value::Null, &json!(2)));
    assert_eq!(all["pools"][0]["vms"]["total"], 35);
}

#[tokio::test]
async fn problems_are_found_and_sorted() {
    let bench = Bench::start().await;
    let host = bench.id("list_hosts", "xcp-02").await;
    bench.run("disable_host", json!({ "uuid": host })).await.unwrap();
    let vm = bench.id("list_vms", "db-01").await;
    bench
        .harness
        .call("update_vm", json!({ "uuid": vm, "highAvailability": "restart" }))
        .await
        .unwrap();
    let pbd =
        bench.value("list_pbds", json!({ "fields": "id,SR,host", "limit": 1 })).await[0].clone();
    bench.run("unplug_pbd", json!({ "uuid": pbd["id"] })).await.unwrap();
    let broken = bench.id("list_vms", "broken-01").await;
    bench.failure("start_vm", json!({ "uuid": broken })).await;
    bench.requests();

    let answer = bench.value("find_problems", json!({})).await;
    assert_eq!(bench.requests(), 11);
    assert_eq!(details(&answer, "host disabled"), ["no VM can start on it or move to it"]);
    assert_eq!(details(&answer, "SR not connected").len(), 1);
    assert!(details(&answer, "SR nearly full")[0].starts_with("91 % used"), "{answer}");
    assert_eq!(details(&answer, "alarm").len(), 3);
    assert_eq!(details(&answer, "missing patches").len(), 2);
    assert_eq!(details(&answer, "HA off"), ["1 VMs want it: db-01"]);
    assert_eq!(details(&answer, "no guest tools").len(), 1);
    assert_eq!(details(&answer, "pool connection switched off").len(), 1);
    let failed = details(&answer, "failed task");
    assert!(
        failed[0].contains("NO_HOSTS_AVAILABLE") && failed[0].contains("VM broken-01"),
        "{failed:?}"
    );
    // The run before the last one failed; the last one was well.
    assert!(details(&answer, "failed backup").is_empty(), "{answer}");
    let order =
        answer["problems"].as_array().unwrap().iter().map(|it| it["severity"].as_str().unwrap());
    let order: Vec<&str> = order.collect();
    let rank =
        |severity: &str| ["critical", "warning", "info"].iter().position(|it| *it == severity);
    assert!(order.is_sorted_by_key(|severity| rank(severity)), "{order:?}");
    let counted: u64 =
        answer["counts"].as_object().unwrap().values().map(|it| it.as_u64().unwrap()).sum();
    assert_eq!(counted as usize, order.len());
    assert!(answer.get("not_checked").is_none() && answer.get("left_out").is_none(), "{answer}");

    let none = bench.value("find_problems", json!({ "full_percent": 95 })).await;
    assert!(details(&none, "SR nearly full").is_empty());
}

#[tokio::test]
async fn problems_of_a_kind_are_bounded_and_counted() {
    let bench = Bench::start().await;
    let broken = bench.id("list_vms", "broken-01").await;
    for _ in 0..25 {
        bench.failure("start_vm", json!({ "uuid": broken })).await;
    }
    let answer = bench.value("find_problems", json!({})).await;
    let failed = details(&answer, "failed task").len() as u64;
    assert_eq!(failed, 20);
    let left = answer["left_out"][0]["count"].as_u64().unwrap();
    assert_eq!(answer["left_out"][0]["kind"], "failed task");
    assert!(left >= 5, "{answer}");
    let counted: u64 =
        answer["counts"].as_object().unwrap().values().map(|it| it.as_u64().unwrap()).sum();
    assert_eq!(counted, answer["problems"].as_array().unwrap().len() as u64 + left);
}

#[tokio::test]
async fn problems_say_what_was_not_checked() {
    let broken = ["/alarms", "/pools/{uuid}/missing_patches"];
    let no_servers = |settings: &mut BackendSettings| {
        let exclude_tools = ToolPatterns::new(["*_server*"]).unwrap();
        let levels = AccessLevels::new(["read"]);
        settings.policy = AccessPolicy { levels, exclude_tools, ..AccessPolicy::default() };
    };
    let bench = Bench::with(no_servers, &broken, "").await;
    let answer = bench.value("find_problems", json!({})).await;
    let parts = answer["not_checked"].as_array().unwrap();
    let mut parts: Vec<&str> = parts.iter().map(|it| it["part"].as_str().unwrap()).collect();
    parts.sort_unstable();
    assert_eq!(parts, ["alarms", "patches of Lab", "patches of Production", "servers"]);
    let servers =
        answer["not_checked"].as_array().unwrap().iter().find(|it| it["part"] == "servers");
    assert!(servers.unwrap()["reason"].as_str().unwrap().contains("`exclude_tools`"), "{answer}");
    assert!(details(&answer, "SR nearly full").len() == 1 && details(&answer, "alarm").is_empty());
}

#[tokio::test]
async fn backups_are_recent_old_or_missing() {
    let bench = Bench::start().await;
    let days = days_since_the_data(2.0);
    let answer = bench.value("find_vms_without_backup", json!({ "days": days })).await;
    assert_eq!(bench.requests(), 4);
    // The databases and the mail server have jobs that ran.
    assert_eq!((&answer["vms"], &answer["backed_up"]), (&json!(44), &json!(4)));
    assert_eq!((&answer["without_recent_backup"], &answer["in_no_job"]), (&json!(40), &json!(40)));
    assert!(
        names(&answer["never"]).contains(&"web-01") && !names(&answer["never"]).contains(&"db-01")
    );
    assert_eq!(answer["computed_from"]["backup_logs"], 12);
    assert_eq!(answer["computed_from"]["archives"], "not read");
    assert_eq!(answer["computed_from"]["enabled_schedules"], 4);

    // The same looked at as if a day were too long.
    let arguments = json!({ "days": 0, "look_back_days": days + 10.0, "filter": "tags:db" });
    let answer = bench.value("find_vms_without_backup", arguments).await;
    assert_eq!(names(&answer["too_old"]), ["db-01", "db-02", "db-03"]);
    let old = &answer["too_old"][0];
    assert_eq!(old["jobs"][0]["name"], "databases, nightly");
    assert_eq!(old["jobs"][0]["scheduled"], true);
    assert!(old["last_backup"].as_str().unwrap().starts_with("2026-11-19T"), "{old}");
    assert_eq!(answer["never"], json!([]));
}

#[tokio::test]
async fn backups_count_patterns_tags_and_archives() {
    let bench = Bench::start().await;
    let vm = bench.id("list_vms", "web-01").await;
    bench.run("add_vm_tag", json!({ "uuid": vm, "tag": "xo:no-bak" })).await.unwrap();
    let days = days_since_the_data(2.0);
    let answer = bench
        .value("find_vms_without_backup", json!({ "days": days, "read_archives": true }))
        .await;
    assert_eq!(answer["excluded_by_tag"], 1);
    assert!(!names(&answer["never"]).contains(&"web-01"));
    assert_eq!(answer["computed_from"]["archives"], 11);
    // Without jobs the rest is still said.
    let bench = Bench::with(|_| {}, &["/backup-jobs"], "").await;
    let answer = bench.value("find_vms_without_backup", json!({ "days": days })).await;
    assert_eq!((&answer["in_no_job"], &answer["never"][0]["jobs"]), (&Value::Null, &Value::Null));
    assert_eq!(answer["not_read"][0]["part"], "backup jobs");
    // Without the logs there is nothing to say.
    let bench = Bench::with(|_| {}, &["/backup-logs"], "").await;
    let error = bench.failure("find_vms_without_backup", json!({})).await;
    assert!(error.contains("api.list_backup_logs: [not_found] HTTP 404"), "{error}");
}

#[tokio::test]
async fn the_storage_of_a_machine() {
    let bench = Bench::start().await;
    let answer = bench.value("get_vm_storage", json!({ "vm": "db-01" })).await;
    assert_eq!(bench.requests(), 6);
    let totals = &answer["totals"];
    assert_eq!((&totals["disks"], &totals["snapshots"]), (&json!(2), &json!(1)));
    assert_eq!(totals["size"], 200_u64 << 30);
    assert_eq!(names(&answer["disks"]), ["db-01 system", "db-01 data"]);
    let disk = &answer["disks"][0];
    assert_eq!((&disk["sr"]["name"], &disk["device"]), (&json!("nfs-storage"), &json!("xvda")));
    assert_eq!((&disk["attached"], &disk["snapshots"]), (&json!(true), &json!(1)));
    let snapshot = &answer["snapshots"][0];
    assert_eq!(
        (&snapshot["name"], &snapshot["size"]),
        (&json!("before the upgrade"), &totals["size"])
    );
    assert_eq!(snapshot["taken"], "2026-11-17T13:26:14.000Z");
    assert_eq!(snapshot["disks"][0]["of"], disk["id"]);
    let by_id = bench.value("get_vm_storage", json!({ "vm": answer["vm"]["id"] })).await;
    assert_eq!(by_id["disks"], answer["disks"]);

    // No snapshot, and a part that fails.
    let plain = bench.value("get_vm_storage", json!({ "vm": "WEB-01" })).await;
    assert_eq!((&plain["vm"]["name"], &plain["snapshots"]), (&json!("web-01"), &json!([])));
    let bench = Bench::with(|_| {}, &["/vbds"], "").await;
    let answer = bench.value("get_vm_storage", json!({ "vm": "db-01" })).await;
    assert_eq!(answer["not_read"][0]["part"], "disk attachments");
    assert_eq!(answer["disks"].as_array().unwrap().len(), 2);
    assert_eq!(answer["disk_snapshots_without_vm_snapshot"].as_array().unwrap().len(), 2);
}

/// What each composite that takes a VM says about names.
pub(crate) async fn names_are_checked(tool: &str, more: Value) {
    let bench = Bench::start().await;
    let ask = |vm: &str| {
        let mut arguments = more.clone();
        arguments["vm"] = json!(vm);
        bench.failure(tool, arguments)
    };
    let unknown = ask("nothing like it").await;
    assert!(unknown.contains("no VM is named \"nothing like it\" (line"), "{unknown}");
    let part = ask("web").await;
    assert!(part.contains("no VM is named \"web\"; similar: web-01 (id f4488ca5-"), "{part}");
    let quoted = ask("a\"b\\c $x").await;
    assert!(quoted.contains("no VM is named \"a\"b\\c $x\""), "{quoted}");
    let vm = bench.id("list_vms", "db-01").await;
    bench.value("clone_vm", json!({ "uuid": vm, "name_label": "db-02" })).await;
    let two = ask("db-02").await;
    assert!(two.contains("2 VMs are named \"db-02\", pass an id: db-02 (id "), "{two}");
    let gone = ask("00000000-0000-0000-0000-000000000000").await;
    assert!(gone.contains("HTTP 404: no such VM 00000000-"), "{gone}");
}

#[tokio::test]
async fn names_of_machines_are_checked() {
    names_are_checked("get_vm_storage", json!({})).await;
    names_are_checked("find_migration_targets", json!({})).await;
    names_are_checked("revert_vm_safely", json!({ "snapshot": "x" })).await;
}

#[tokio::test]
async fn migration_targets_and_why_not() {
    let bench = Bench::start().await;
    let answer = bench.value("find_migration_targets", json!({ "vm": "db-01" })).await;
    assert_eq!(answer["vm"]["host"], "xcp-01");
    assert_eq!(names(&answer["targets"]), ["xcp-02", "xcp-03", "lab-01"]);
    assert_eq!(answer["targets"][0]["disks"], "stay");
    assert_eq!(answer["impossible"][0]["why_not"], json!(["it is there already"]));
    // The arguments are those of the tool.
    for at in [0, 2] {
        bench.run("migrate_vm", answer["targets"][at]["arguments"].clone()).await.unwrap();
        let vm = bench.value("get_vm", json!({ "uuid": answer["vm"]["id"] })).await;
        assert_eq!(vm["$container"], answer["targets"][at]["id"]);
    }
}

#[tokio::test]
async fn migration_reasons() {
    let bench = Bench::start().await;
    let id = bench.id("list_vms", "web-03").await;
    // A disk on the storage of one host, and more memory than any host has left.
    let vm = bench.value("get_vm", json!({ "uuid": id })).await;
    let srs = bench.value("list_srs", json!({ "fields": "*" })).await;
    let local = srs.as_array().unwrap().iter().find(|sr| sr["$container"] == vm["$container"]);
    let local = local.unwrap()["id"].clone();
    let disk = json!({ "srId": local, "virtual_size": 1_u64 << 30, "name_label": "scratch" });
    let disk = bench.value("create_vdi", disk).await;
    bench.value("create_vbd", json!({ "VM": id, "VDI": disk["id"] })).await;
    let answer = bench.value("find_migration_targets", json!({ "vm": id })).await;
    let target = &answer["targets"][0];
    assert_eq!(
        (&target["same_pool"], &target["disks"]),
        (&json!(true), &json!("1 copied, 1073741824 bytes"))
    );
    let moved = target["arguments"]["srIdByVdiId"].as_object().unwrap();
    assert_eq!(moved.keys().collect::<Vec<_>>(), [disk["id"].as_str().unwrap()]);
    // The network of the DMZ has the same name in the other pool.
    let lab =
        answer["targets"].as_array().unwrap().iter().find(|it| it["name"] == "lab-01").unwrap();
    assert_eq!(lab["arguments"]["networkIdByVifId"].as_object().unwrap().len(), 1);

    let change = json!({ "uuid": id, "memory": 100_u64 << 30, "blockedOperations": { "pool_migrate": true } });
    bench.run("update_vm", change).await.unwrap();
    let host = bench.id("list_hosts", "xcp-01").await;
    bench.run("disable_host", json!({ "uuid": host })).await.unwrap();
    let answer = bench.value("find_migration_targets", json!({ "vm": id })).await;
    assert_eq!(answer["targets"], json!([]));
    let reasons = answer["impossible"].to_string();
    for reason in [
        "the host is disabled",
        "68719476736 bytes of memory are free, 107374182400 are needed",
        "pool_migrate is blocked on the VM",
        "it is there already",
    ] {
        assert!(reasons.contains(reason), "{reason}: {reasons}");
    }
}

#[tokio::test]
async fn migration_says_what_was_not_checked() {
    let bench = Bench::with(|_| {}, &["/pifs", "/pbds"], "").await;
    let answer = bench.value("find_migration_targets", json!({ "vm": "db-01" })).await;
    let parts = answer["not_checked"].as_array().unwrap();
    assert_eq!(parts.iter().map(|it| &it["part"]).collect::<Vec<_>>(), ["pifs", "sr connections"]);
    assert_eq!(names(&answer["targets"])[0], "xcp-02");
}

#[tokio::test]
async fn a_machine_is_deployed_by_names() {
    let bench = Bench::start().await;
    let arguments = json!({
        "template": "golden-debian-12", "pool": "Production", "name": "web-07", "network": "dmz (vlan 20)",
        "sr": "nfs-storage", "cpus": 4, "memory": 4_u64 << 30, "disk_size": 40_u64 << 30,
        "cloud_config": "#cloud-config\nhostname: web-07\n", "description": "Seventh",
    });
    let answer = bench.value("deploy_vm", arguments).await;
    assert_eq!((&answer["name"], &answer["power_state"]), (&json!("web-07"), &json!("Running")));
    assert!(answer["address"].as_str().unwrap().starts_with("10.0.12."), "{answer}");
    assert!(answer.get("notes").is_none(), "{answer}");
    assert_eq!((&answer["cpus"], &answer["memory"]), (&json!(4), &json!(4_u64 << 30)));
    let vm = bench.value("get_vm", json!({ "uuid": answer["id"] })).await;
    assert_eq!(vm["name_description"], "Seventh");
    let storage = bench.value("get_vm_storage", json!({ "vm": "web-07" })).await;
    assert_eq!(storage["disks"][0]["size"], 40_u64 << 30);
    assert_eq!(names(&storage["disks"])[1], "XO CloudConfigDrive");
    let vif = bench.value("get_vif", json!({ "uuid": vm["VIFs"][0] })).await;
    let network = bench.value("get_network", json!({ "uuid": vif["$network"] })).await;
    assert_eq!(network["name_label"], "DMZ (VLAN 20)");

    // Not started, from a template that says which disks are needed.
    let arguments = json!({
        "template": "Rocky Linux 9", "pool": "Lab", "name": "empty", "start": false,
    });
    let answer = bench.value("deploy_vm", arguments).await;
    assert_eq!((&answer["power_state"], &answer["address"]), (&json!("Halted"), &Value::Null));
    assert!(answer["notes"][0].as_str().unwrap().contains("installation medium"), "{answer}");
    let storage = bench.value("get_vm_storage", json!({ "vm": "empty" })).await;
    assert_eq!(storage["totals"]["size"], 10_u64 << 30);
}

#[tokio::test]
async fn deploying_needs_names_that_are_unique() {
    let bench = Bench::start().await;
    let fails = |mut arguments: Value| {
        arguments["name"] = json!("new");
        bench.failure("deploy_vm", arguments)
    };
    let two = fails(json!({ "template": "golden-debian-12" })).await;
    assert!(
        two.contains("2 templates are named \"golden-debian-12\", pass pool, or an id: "),
        "{two}"
    );
    assert!(two.contains("pool Production") && two.contains("pool Lab"), "{two}");
    let unknown = fails(json!({ "template": "golden-debian-13", "pool": "Lab" })).await;
    assert!(
        unknown.contains("no template is named \"golden-debian-13\"; there are: "),
        "{unknown}"
    );
    let near = fails(json!({ "template": "linux", "pool": "Lab" })).await;
    assert!(
        near.contains("there are: Rocky Linux 9 (id") || near.contains("AlmaLinux 9 (id"),
        "{near}"
    );
    assert!(!near.contains("Windows"), "{near}");
    let pool = fails(json!({ "template": "golden-debian-12", "pool": "Moon" })).await;
    assert!(pool.contains("no pool is named \"Moon\"; there are: Production (id"), "{pool}");
    let base = |more: Value| {
        let mut arguments = json!({ "template": "golden-debian-12", "pool": "Production" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fails(arguments)
    };
    let network = base(json!({ "network": "Intranet" })).await;
    assert!(
        network.contains("no network is named \"Intranet\"; there are: Pool-wide network"),
        "{network}"
    );
    let sr = base(json!({ "sr": "Local storage" })).await;
    assert!(sr.contains("3 SRs are named \"Local storage\", pass an id: "), "{sr}");
    // Nothing was made.
    assert_eq!(bench.value("list_vms", json!({ "filter": "name_label:/^new$/" })).await, json!([]));
}

#[tokio::test]
async fn an_address_that_never_comes_is_said() {
    let descriptor = DESCRIPTOR.replace("max_duration: 10s", "max_duration: 1ms");
    assert_ne!(descriptor, DESCRIPTOR);
    let mut bench = Bench::start().await;
    let token = Fixed(Ok(bench.simulator.token().to_owned()));
    bench.harness = Harness::new(&descriptor, &bench.simulator.url(), token, |_| {});
    let arguments =
        json!({ "template": "Rocky Linux 9", "pool": "Lab", "name": "mute", "network": "Storage" });
    let answer = bench.value("deploy_vm", arguments).await;
    assert_eq!((&answer["power_state"], &answer["address"]), (&json!("Running"), &Value::Null));
    assert!(answer["notes"][1].as_str().unwrap().contains("no address yet"), "{answer}");
    // Looked again and again, and never more often than a composite may.
    let looks = bench.simulator.take_requests();
    assert_eq!(looks.iter().filter(|it| it.target == "/rest/v0/events").count(), 20);
}

#[tokio::test]
async fn deploying_and_reverting_need_their_levels() {
    let bench = Bench::with(levels(&["read", "write"]), &[], "").await;
    let refusal = |tool: &str| {
        let refused = bench.harness.gate.check(tool, serde_json::Map::new()).unwrap_err();
        refused.to_string()
    };
    assert!(refusal("revert_vm_safely").contains("`dangerous` is not allowed"));
    let bench = Bench::with(levels(&["read"]), &[], "").await;
    let refused = bench.harness.gate.check("deploy_vm", serde_json::Map::new()).unwrap_err();
    assert!(refused.to_string().contains("`write` is not allowed"), "{refused}");
    for tool in ["get_inventory", "find_problems", "find_vms_without_backup"] {
        bench.harness.gate.check(tool, serde_json::Map::new()).unwrap();
    }
}

#[tokio::test]
async fn a_revert_keeps_the_present_state() {
    let bench = Bench::start().await;
    let id = bench.id("list_vms", "db-01").await;
    bench.run("update_vm", json!({ "uuid": id, "cpus": 2 })).await.unwrap();
    let arguments = json!({ "vm": "db-01", "snapshot": "before the upgrade" });
    let answer = bench.value("revert_vm_safely", arguments).await;
    assert_eq!(answer["power_state"], json!({ "before": "Running", "after": "Running" }));
    let vm = bench.value("get_vm", json!({ "uuid": id })).await;
    assert_eq!(vm["CPUs"]["number"], 8);
    let safety = answer["safety_snapshot"]["id"].clone();
    let kept = bench.value("get_vm_snapshot", json!({ "uuid": safety })).await;
    assert_eq!(kept["CPUs"]["number"], 2);
    assert_eq!(kept["name_label"], "before revert to before the upgrade");
    // And back again, without starting it.
    let arguments = json!({ "vm": id, "snapshot": safety, "start": false });
    let answer = bench.value("revert_vm_safely", arguments).await;
    assert_eq!(answer["power_state"], json!({ "before": "Running", "after": "Halted" }));
    let vm = bench.value("get_vm", json!({ "uuid": id })).await;
    assert_eq!(vm["CPUs"]["number"], 2);
}

#[tokio::test]
async fn a_revert_goes_to_a_snapshot_of_that_machine() {
    let bench = Bench::start().await;
    let fails = |vm: &str, snapshot: &str| {
        bench.failure("revert_vm_safely", json!({ "vm": vm, "snapshot": snapshot }))
    };
    let none = fails("web-01", "before the upgrade").await;
    assert!(none.contains("is no snapshot of web-01; it has: none"), "{none}");
    let unknown = fails("db-01", "yesterday").await;
    assert!(unknown.contains("it has: before the upgrade (id 24cd9f77-"), "{unknown}");
    let other = bench
        .value("list_vm_snapshots", json!({ "fields": "*", "filter": "name_label:upgrade" }))
        .await;
    let db = bench.id("list_vms", "db-01").await;
    let other = other.as_array().unwrap().iter().find(|it| it["$snapshot_of"] != *db).unwrap();
    let foreign = fails("db-01", other["id"].as_str().unwrap()).await;
    assert!(foreign.contains("is no snapshot of db-01"), "{foreign}");
    bench.value("snapshot_vm", json!({ "uuid": db, "name_label": "before the upgrade" })).await;
    let two = fails("db-01", "before the upgrade").await;
    assert!(two.contains("2 snapshots are named \"before the upgrade\", pass an id: "), "{two}");
    // Nothing was changed or taken.
    let all =
        bench.value("list_vm_snapshots", json!({ "filter": format!("$snapshot_of:{db}") })).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_revert_that_fails_names_the_snapshot_that_was_kept() {
    let bench = Bench::with(|_| {}, &["/vms/{uuid}/actions/revert_snapshot"], "").await;
    let arguments = json!({ "vm": "db-01", "snapshot": "before the upgrade" });
    let error = bench.failure("revert_vm_safely", arguments).await;
    let all = bench.value("list_vm_snapshots", json!({ "filter": "name_label:revert" })).await;
    let kept = all[0]["id"].as_str().unwrap();
    assert!(error.contains(&format!("The state before it is snapshot {kept}")), "{error}");
    // Without that snapshot nothing is reverted.
    let bench = Bench::with(|_| {}, &["/vms/{uuid}/actions/snapshot"], "").await;
    let arguments = json!({ "vm": "db-01", "snapshot": "before the upgrade" });
    let error = bench.failure("revert_vm_safely", arguments).await;
    assert!(error.contains("api.snapshot_vm: [not_found]"), "{error}");
    let reverts = bench.simulator.take_requests();
    assert!(reverts.iter().all(|it| !it.target.contains("revert_snapshot")));
}

#[tokio::test]
async fn a_revert_asks_a_person_about_itself() {
    let bench = Bench::start().await;
    let arguments = json!({ "vm": "db-01", "snapshot": "before the upgrade" });
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    let pending = bench.harness.gate.check("revert_vm_safely", arguments).unwrap();
    assert!(pending.admit().is_err());
    assert_eq!(bench.requests(), 0);
}
