//! The composites of the Xen Orchestra descriptor that do ordinary work in one call, against the
//! simulator.

use serde_json::{Value, json};

use crate::xo_composites::{Bench, days_since_the_data, levels, names, names_are_checked};

fn count(answer: &Value, list: &str) -> usize {
    answer[list].as_array().unwrap().len()
}

/// What each item of a list has under a name.
fn all<'a>(items: &'a Value, name: &str) -> Vec<&'a Value> {
    items.as_array().unwrap().iter().map(|item| &item[name]).collect()
}

#[tokio::test]
async fn running_machines_are_counted_by_host() {
    let bench = Bench::start().await;
    let answer = bench.value("list_vms_by_host", json!({})).await;
    assert_eq!(bench.requests(), 3);
    assert_eq!(names(&answer["hosts"]), ["xcp-02", "xcp-03", "xcp-01", "lab-01"]);
    assert_eq!(all(&answer["hosts"], "running"), [12, 10, 8, 6]);
    assert_eq!(answer["hosts"][0]["memory"], 94_u64 << 30);
    assert_eq!(
        answer["totals"],
        json!({
            "hosts": 4, "running": 36, "vcpus": 116, "memory": 278_u64 << 30,
        })
    );
    // Nothing that nobody asked for.
    assert!(answer["hosts"][0].get("vms").is_none() && !answer.to_string().contains("href"));

    let lab = bench.value("list_vms_by_host", json!({ "pool": "Lab", "names": true })).await;
    assert_eq!((names(&lab["hosts"]), &lab["totals"]["running"]), (vec!["lab-01"], &json!(6)));
    assert_eq!(names(&lab["hosts"][0]["vms"])[..2], ["test-01", "test-04"]);
    let unknown = bench.failure("list_vms_by_host", json!({ "pool": "Moon" })).await;
    assert!(unknown.contains("no pool is \"Moon\"; there are: Production ("), "{unknown}");
}

#[tokio::test]
async fn machines_on_hosts_that_are_not_seen_are_counted() {
    let bench = Bench::start().await;
    let host = bench.id("list_hosts", "lab-01").await;
    let vm = bench.id("list_vms", "test-01").await;
    bench.run("disable_host", json!({ "uuid": host })).await.unwrap();
    bench.run("clean_shutdown_vm", json!({ "uuid": vm })).await.unwrap();
    let answer = bench.value("list_vms_by_host", json!({ "pool": "Lab" })).await;
    let lab = &answer["hosts"][0];
    assert_eq!((&lab["running"], &lab["enabled"]), (&json!(5), &json!(false)));
    assert!(answer.get("on_unknown_hosts").is_none());
}

#[tokio::test]
async fn the_busiest_machines_and_hosts_are_found() {
    let bench = Bench::start().await;
    let answer = bench.value("find_top_consumers", json!({ "by": "cpu_percent" })).await;
    // Two lists, and the figures of each running machine.
    assert_eq!(bench.requests(), 38);
    assert_eq!(names(&answer["top"]), ["cache-01", "web-02", "wiki", "files", "db-03"]);
    assert_eq!((&answer["unit"], &answer["compared"]), (&json!("percent"), &json!(36)));
    let first = &answer["top"][0];
    assert_eq!((&first["mean"], &first["host"]), (&json!(80.75), &json!("xcp-02")));
    assert!(first["highest"].as_f64() > first["mean"].as_f64());
    assert!(answer.to_string().len() < 1600, "{answer}");

    // Many processors that are half busy are more than two that are.
    let cores = bench.value("find_top_consumers", json!({ "count": 2 })).await;
    assert_eq!(names(&cores["top"]), ["db-03", "db-02"]);
    let arguments = json!({ "by": "memory", "count": 3, "minutes": 5 });
    let memory = bench.value("find_top_consumers", arguments).await;
    let mut most = names(&memory["top"]);
    most.sort_unstable();
    assert_eq!(most, ["db-01", "db-02", "db-03"]);
    assert_eq!(memory["top"][0]["has"], 32_u64 << 30);
    let hosts = bench.value("find_top_consumers", json!({ "of": "hosts", "count": 1 })).await;
    assert_eq!(names(&hosts["top"]), ["xcp-01"]);
    for (by, of) in [("network", "hosts"), ("network", "vms"), ("disk", "vms"), ("disk", "hosts")] {
        let answer = bench.value("find_top_consumers", json!({ "by": by, "of": of })).await;
        assert_eq!(answer["unit"], "bytes per second");
        assert!(answer["top"][0]["mean"].as_u64().unwrap() > 1000, "{answer}");
    }
}

#[tokio::test]
async fn the_busiest_are_looked_for_where_they_were_asked_for() {
    let bench = Bench::start().await;
    let few = json!({ "filter": "name_label:/^web-/", "count": 50, "minutes": 100_000 });
    let answer = bench.value("find_top_consumers", few).await;
    // One of the six is halted.
    assert_eq!((count(&answer, "top"), &answer["compared"]), (5, &json!(5)));
    let none = bench.value("find_top_consumers", json!({ "filter": "name_label:nope" })).await;
    assert_eq!((count(&none, "top"), &none["compared"]), (0, &json!(0)));
    for (arguments, words) in [
        (json!({ "by": "noise" }), "by is one of cpu, cpu_percent, memory"),
        (json!({ "of": "pools" }), "of is vms or hosts"),
        (json!({ "minutes": 0 }), "minutes must be more than 0"),
    ] {
        let error = bench.failure("find_top_consumers", arguments).await;
        assert!(error.contains(words), "{error}");
    }
    // More than one call of a composite can read: those that can use most.
    for number in 0..12 {
        let vm = bench.id("list_vms", "dns-01").await;
        let arguments = json!({ "uuid": vm, "name_label": format!("dns-1{number}") });
        let copy = bench.value("clone_vm", arguments).await;
        bench.run("start_vm", json!({ "uuid": copy["id"] })).await.unwrap();
    }
    let answer = bench.value("find_top_consumers", json!({})).await;
    assert_eq!(answer["compared"], 45);
    assert_eq!(answer["left_out"], "3 smaller ones were not read; narrow with filter");
}

#[tokio::test]
async fn the_figures_of_a_span_are_summed_up() {
    let bench = Bench::start().await;
    let host = bench.value("summarize_stats", json!({ "host": "XCP-01" })).await;
    // A list, and the series.
    assert_eq!(bench.requests(), 2);
    let arguments = json!({ "vm": "db-01", "minutes": 5 });
    let vm = bench.value("summarize_stats", arguments).await;
    for answer in [&host, &vm] {
        let size = answer.to_string().len();
        println!("{size} characters, some {} tokens", size / 4);
        assert!(size < 1600, "{answer}");
        for figure in [
            "cpu_percent",
            "memory_used_bytes",
            "disk_read_bytes_per_s",
            "disk_written_bytes_per_s",
            "network_received_bytes_per_s",
            "network_sent_bytes_per_s",
        ] {
            let [mean, highest, latest] =
                ["mean", "highest", "latest"].map(|name| answer[figure][name].as_f64().unwrap());
            assert!(0.0 < mean && mean < highest && latest <= highest, "{figure}: {answer}");
            // The figures of the simulator go up and down around a value.
            assert_eq!(answer[figure]["trend"], "steady", "{figure}: {answer}");
        }
        assert!(answer.get("no_figures").is_none());
    }
    assert_eq!((&vm["interval_seconds"], &vm["memory_bytes"]), (&json!(5), &json!(32_u64 << 30)));

    // The same as of the series.
    let id = bench.id("list_hosts", "xcp-01").await;
    let series =
        bench.value("get_host_stats", json!({ "uuid": id, "granularity": "minutes" })).await;
    let cpus = series["stats"]["cpus"].as_object().unwrap().values();
    let of_hour = |cpu: &Value| -> Vec<f64> {
        let values = cpu.as_array().unwrap();
        values[values.len() - 60..].iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let values: Vec<f64> = cpus.flat_map(of_hour).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((host["cpu_percent"]["mean"].as_f64().unwrap() - mean).abs() < 0.06, "{mean}");
    assert!(series.to_string().len() > 10 * host.to_string().len());
}

#[tokio::test]
async fn figures_that_nobody_has_are_told() {
    let bench = Bench::start().await;
    for (arguments, words) in [
        (json!({}), "give either vm or host"),
        (json!({ "vm": "db-01", "host": "xcp-01" }), "give either vm or host"),
        (json!({ "vm": "db-01", "minutes": 0 }), "minutes must be more than 0"),
        (json!({ "vm": "web-06" }), "is Halted: XO has figures of what runs only"),
        (json!({ "vm": "db-0" }), "no VM is \"db-0\"; similar: "),
        (json!({ "host": "nope" }), "no host is \"nope\""),
    ] {
        let error = bench.failure("summarize_stats", arguments).await;
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn patches_are_told_by_host() {
    let bench = Bench::start().await;
    let answer = bench.value("find_missing_patches", json!({})).await;
    assert_eq!(names(&answer["hosts"]), ["xcp-02", "lab-01", "xcp-01", "xcp-03"]);
    assert_eq!(all(&answer["hosts"], "missing"), [2, 1, 1, 1]);
    let patches = answer["hosts"][0]["patches"].to_string();
    assert!(patches.contains("openssh ") && patches.contains("xenopsd-xc "), "{patches}");
    assert_eq!((&answer["up_to_date"], answer.get("not_read")), (&json!(0), None));
    let lab = bench.value("find_missing_patches", json!({ "pool": "Lab" })).await;
    assert_eq!(names(&lab["hosts"]), ["lab-01"]);

    let bench = Bench::with(|_| {}, &["/hosts/{uuid}/missing_patches"], "").await;
    let error = bench.failure("find_missing_patches", json!({})).await;
    assert!(error.contains("api.list_host_missing_patches: [not_found] HTTP 404"), "{error}");
}

#[tokio::test]
async fn a_failed_backup_has_its_reason() {
    let bench = Bench::start().await;
    let days = days_since_the_data(3.5);
    let answer = bench.value("explain_backup_failure", json!({ "days": days })).await;
    assert_eq!(bench.requests(), 3);
    assert_eq!((&answer["runs"], &answer["failed"]), (&json!(12), &json!(1)));
    let run = &answer["failed_runs"][0];
    assert_eq!(run["job"], "mail, weekly");
    let reason = &run["reasons"][0];
    assert_eq!(reason["vm"]["name"], "mail");
    assert_eq!(reason["reason"], "ENOSPC: no space left on device");
    assert_eq!(answer["jobs"][0]["well_again"], true);
    assert_eq!(answer["repositories"][0]["name"], "offsite-s3");

    // Whose run fails now, before it comes to any machine.
    let schedules =
        bench.value("list_schedules", json!({ "filter": "cron:\"0 6\"", "fields": "id" })).await;
    bench.failure("run_schedule", json!({ "id": schedules[0]["id"] })).await;
    let arguments = json!({ "job": "OFFSITE", "days": 1 });
    let answer = bench.value("explain_backup_failure", arguments).await;
    assert_eq!((&answer["runs"], &answer["jobs"][0]["well_again"]), (&json!(1), &json!(false)));
    let reasons = answer["failed_runs"][0]["reasons"].clone();
    assert_eq!(reasons[0]["reason"], "getaddrinfo ENOTFOUND s3.example");
    assert_eq!(names(&answer["repositories"]), ["offsite-s3"]);

    let arguments = json!({ "job": "databases, nightly", "days": days });
    let well = bench.value("explain_backup_failure", arguments).await;
    assert_eq!((&well["runs"], &well["failed"], count(&well, "jobs")), (&json!(3), &json!(0), 0));
    assert_eq!(well.get("repositories"), None, "it uses another repository");
    let two = bench.failure("explain_backup_failure", json!({ "job": "data" })).await;
    assert!(two.contains("2 jobs fit \"data\", pass an id: databases, nightly (id "), "{two}");
    let none = bench.failure("explain_backup_failure", json!({ "job": "tape" })).await;
    assert!(none.contains("no backup job is \"tape\"; there are: "), "{none}");
}

#[tokio::test]
async fn what_could_not_be_read_of_backups_is_said() {
    let bench = Bench::with(|_| {}, &["/backup-jobs", "/backup-repositories"], "").await;
    let days = days_since_the_data(3.5);
    let answer = bench.value("explain_backup_failure", json!({ "days": days })).await;
    let parts = all(&answer["not_read"], "part");
    assert_eq!(parts, ["backup jobs", "backup repositories"]);
    assert_eq!(answer["failed_runs"][0]["job"], "mail, weekly");
    let bench = Bench::with(|_| {}, &["/backup-logs"], "").await;
    let error = bench.failure("explain_backup_failure", json!({})).await;
    assert!(error.contains("api.list_backup_logs: [not_found]"), "{error}");
}

#[tokio::test]
async fn many_machines_are_tagged_in_one_call() {
    let bench = Bench::start().await;
    let tagged = async |tag: &str| {
        let all = bench.value("list_vms", json!({ "fields": "name_label,tags" })).await;
        let all = all.as_array().unwrap().clone();
        all.iter().filter(|vm| vm["tags"].as_array().unwrap().contains(&json!(tag))).count()
    };
    let arguments = json!({ "tag": "night", "filter": "name_label:/^web-/" });
    let answer = bench.value("tag_vms", arguments.clone()).await;
    assert_eq!((&answer["vms"], tagged("night").await), (&json!(6), 6));
    assert_eq!(names(&answer["changed"])[0], "web-01");
    let again = bench.value("tag_vms", arguments).await;
    assert_eq!((&again["vms"], &again["unchanged"]), (&json!(0), &json!(6)));

    let id = bench.id("list_vms", "web-02").await;
    let arguments = json!({ "tag": "night", "vms": ["WEB-01", id, id], "remove": true });
    let answer = bench.value("tag_vms", arguments).await;
    assert_eq!(names(&answer["changed"]), ["web-01", "web-02"]);
    assert_eq!(tagged("night").await, 4);

    for (arguments, words) in [
        (json!({ "tag": "x", "vms": ["db-01", "web"] }), "no VM is named \"web\"; similar: web-01"),
        (json!({ "tag": "x", "filter": "name_label:nope" }), "nothing was changed: no VM fits"),
        (json!({ "tag": "x" }), "pass either vms or filter"),
        (json!({ "tag": "x", "vms": ["db-01"], "filter": "tags:db" }), "pass either"),
    ] {
        let error = bench.failure("tag_vms", arguments).await;
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(tagged("x").await, 0);
    // More than one call can change.
    for number in 0..3 {
        let arguments = json!({ "uuid": id, "name_label": format!("copy-{number}") });
        bench.value("clone_vm", arguments).await;
    }
    let arguments = json!({ "tag": "all", "filter": "type:VM" });
    let answer = bench.value("tag_vms", arguments.clone()).await;
    assert_eq!(answer["vms"], 45);
    assert!(answer["left_out"].as_str().unwrap().starts_with("2 VMs; the same call again"));
    let rest = bench.value("tag_vms", arguments).await;
    assert_eq!((&rest["vms"], tagged("all").await), (&json!(2), 47));
}

#[tokio::test]
async fn tags_that_nobody_may_change() {
    let bench = Bench::with(|_| {}, &["/vms/{uuid}/tags/{tag}"], "").await;
    let arguments = json!({ "tag": "x", "vms": ["db-01"] });
    let error = bench.failure("tag_vms", arguments).await;
    assert!(error.contains("api.add_vm_tag: [not_found] HTTP 404"), "{error}");
    let bench = Bench::with(levels(&["read"]), &[], "").await;
    for tool in ["tag_vms", "add_vm_disk"] {
        let refused = bench.harness.gate.check(tool, serde_json::Map::new()).unwrap_err();
        assert!(refused.to_string().contains("`write` is not allowed"), "{refused}");
    }
    for tool in
        ["list_vms_by_host", "find_top_consumers", "summarize_stats", "find_missing_patches"]
    {
        bench.harness.gate.check(tool, serde_json::Map::new()).unwrap();
    }
}

#[tokio::test]
async fn a_machine_gets_a_disk() {
    let bench = Bench::start().await;
    let arguments = json!({ "vm": "app-01", "size": 20_u64 << 30 });
    let answer = bench.value("add_vm_disk", arguments).await;
    assert_eq!((&answer["device"], &answer["attached"]), (&json!("xvdb"), &json!(true)));
    assert_eq!(
        (&answer["disk"]["name"], &answer["sr"]["name"]),
        (&json!("app-01 data"), &json!("nfs-storage"))
    );
    let storage = bench.value("get_vm_storage", json!({ "vm": "app-01" })).await;
    assert_eq!(names(&storage["disks"]), ["app-01 system", "app-01 data"]);
    assert_eq!(storage["disks"][1]["size"], 20_u64 << 30);

    // A running machine can use the local storage of its host and no other.
    let arguments = json!({ "vm": "app-01", "size": 1 << 30, "sr": "local storage", "name": "d" });
    let answer = bench.value("add_vm_disk", arguments).await;
    let vm = bench.named("list_vms", "app-01").await;
    let sr = bench.value("get_sr", json!({ "uuid": answer["sr"]["id"] })).await;
    assert_eq!(sr["$container"], vm["$container"]);
    for (arguments, words) in [
        (json!({ "vm": "web-06", "size": 1, "sr": "Local storage" }), "3 SRs are named"),
        (
            json!({ "vm": "app-01", "size": 1, "sr": "tape" }),
            "is \"tape\"; there are: Local storage",
        ),
        (json!({ "vm": "app-01", "size": 1, "sr": "ISO library" }), "no SR that app-01 can use"),
        (json!({ "vm": "app-01", "size": 0 }), "size is the number of bytes"),
    ] {
        let error = bench.failure("add_vm_disk", arguments).await;
        assert!(error.contains(words), "{error}");
    }
    let disks = bench.value("list_vdis", json!({ "fields": "id" })).await;
    assert_eq!(disks.as_array().unwrap().len(), 53, "51 and the two");
    names_are_checked("add_vm_disk", json!({ "size": 1 })).await;
}

#[tokio::test]
async fn a_disk_that_could_not_be_attached_is_named() {
    let bench = Bench::with(|_| {}, &["/vbds"], "").await;
    let error = bench.failure("add_vm_disk", json!({ "vm": "app-01", "size": 1 << 30 })).await;
    let disks = bench.value("list_vdis", json!({ "filter": "name_label:\"app-01 data\"" })).await;
    let id = disks[0]["id"].as_str().unwrap();
    assert!(
        error.contains(&format!("the disk {id} (\"app-01 data\") was made, but not attached")),
        "{error}"
    );
}
