//! Backup jobs, their schedules, logs, repositories and archives.

use serde_json::{Value, json};

use super::DAY;
use crate::xen_orchestra::kind::XenKind;
use crate::xen_orchestra::object::Properties;
use crate::xen_orchestra::state::XenState;
use crate::xen_orchestra::store::ObjectStore;

/// Adds everything about backups.
pub(super) fn add(state: &mut XenState) {
    let admin = state.store.all(XenKind::User).next().map(|user| user.0.to_owned());
    let store = &mut state.store;
    let moment = store.moment;
    let proxy = add_proxy(store);
    let repositories = [
        add_repository(store, "nfs-backup", "nfs://10.0.1.60:/export/backups", None),
        add_repository(store, "offsite-s3", "s3://KEY:obfuscated@s3.example/backups", Some(&proxy)),
    ];
    let (databases, mail) = (named(store, "db-"), named(store, "mail"));
    let jobs = add_jobs(store, &repositories, &databases, &mail);
    let crons = ["0 2 * * *", "0 4 * * 0", "30 1 * * *", "0 6 * * *"];
    for (job, cron) in jobs.iter().zip(crons) {
        let id = store.generator.uuid();
        store.insert(
            XenKind::Schedule,
            json!({
                "cron": cron, "enabled": true, "jobId": job, "name": "regular",
                "timezone": "Europe/Prague", "userId": admin, "id": id,
            }),
        );
        let name = store.get(XenKind::BackupJob, job).map(|job| job.text("name").to_owned());
        let vms = match job {
            job if *job == jobs[0] => databases.clone(),
            job if *job == jobs[1] => mail.clone(),
            _ => Vec::new(),
        };
        for day in 1..=3_u64 {
            // One run failed, for somebody to find out why.
            let failed = *job == jobs[1] && day == 2;
            let start = (moment - day * DAY) * 1000 + store.generator.below(60_000);
            add_run(
                store,
                &JobRun {
                    job,
                    schedule: &id,
                    name: name.as_deref().unwrap_or_default(),
                    mode: "delta",
                    vms: &vms,
                    repository: &repositories[0],
                    start,
                    took: 95_000,
                    failure: failed.then_some("ENOSPC: no space left on device"),
                },
            );
        }
    }
    add_restores(store, &repositories[0], &jobs[0]);
}

fn add_jobs(
    store: &mut ObjectStore,
    repositories: &[String; 2],
    databases: &[String],
    mail: &[String],
) -> [String; 4] {
    [
        add_job(
            store,
            "databases, nightly",
            json!({
                "mode": "delta", "type": "backup", "vms": {"id": {"__or": databases}},
                "remotes": {"id": repositories[0]}, "srs": {"id": {"__or": []}},
            }),
        ),
        add_job(
            store,
            "mail, weekly",
            json!({
                "mode": "full", "compression": "zstd", "type": "backup",
                "vms": {"id": mail.first()}, "remotes": {"id": {"__or": repositories}},
            }),
        ),
        add_job(
            store,
            "pool metadata",
            json!({
                "type": "metadataBackup", "xoMetadata": true, "pools": {"id": {"__or": []}},
                "remotes": {"id": repositories[0]},
            }),
        ),
        add_job(
            store,
            "copy to offsite",
            json!({
                "mode": "delta", "type": "mirrorBackup", "sourceRemote": repositories[0],
                "remotes": {"id": repositories[1]},
            }),
        ),
    ]
}

fn named(store: &ObjectStore, prefix: &str) -> Vec<String> {
    let vms = store.all(XenKind::Vm);
    let named = vms.filter(|vm| vm.1.text("name_label").starts_with(prefix));
    named.map(|vm| vm.0.to_owned()).collect()
}

fn add_proxy(store: &mut ObjectStore) -> String {
    let vm = named(store, "xo-proxy").pop();
    let id = store.generator.uuid();
    store.insert(
        XenKind::Proxy,
        json!({
            "name": "XO proxy", "vmUuid": vm, "id": id, "url": "https://obfuscated@10.0.11.60/",
            "version": "0.31.6",
        }),
    )
}

fn add_repository(store: &mut ObjectStore, name: &str, url: &str, proxy: Option<&str>) -> String {
    let id = store.generator.uuid();
    let measured = store.moment - DAY;
    let mut repository = json!({
        "enabled": true,
        "name": name,
        "benchmarks": [{
            "readRate": 849_217_654.7, "timestamp": measured * 1000,
            "writeRate": 295_871_752.4,
        }],
        "id": id,
        "url": url,
    });
    if let (Some(proxy), Some(properties)) = (proxy, repository.as_object_mut()) {
        properties.insert("proxy".to_owned(), proxy.into());
    }
    store.insert(XenKind::BackupRepository, repository)
}

fn add_job(store: &mut ObjectStore, name: &str, mut job: Value) -> String {
    let id = store.generator.uuid();
    if let Some(properties) = job.as_object_mut() {
        properties.insert("name".to_owned(), name.into());
        let settings = json!({"": {"timezone": "Europe/Prague", "reportWhen": "failure"}});
        properties.insert("settings".to_owned(), settings);
        properties.insert("id".to_owned(), id.into());
    }
    store.insert(XenKind::BackupJob, job)
}

/// One run of a job.
pub(in super::super) struct JobRun<'a> {
    /// The job.
    pub(in super::super) job: &'a str,
    /// The schedule that asked for it.
    pub(in super::super) schedule: &'a str,
    /// The name of the job.
    pub(in super::super) name: &'a str,
    /// `delta` or `full`.
    pub(in super::super) mode: &'a str,
    /// The VMs.
    pub(in super::super) vms: &'a [String],
    /// Where to.
    pub(in super::super) repository: &'a str,
    /// When it began, in milliseconds.
    pub(in super::super) start: u64,
    /// How many milliseconds it took.
    pub(in super::super) took: u64,
    /// Why it failed.
    pub(in super::super) failure: Option<&'a str>,
}

/// Adds the log of a run, and the archives of one that succeeded.
pub(in super::super) fn add_run(store: &mut ObjectStore, run: &JobRun<'_>) {
    let status = if run.failure.is_some() { "failure" } else { "success" };
    let start = run.start;
    let at = |part: u64| start + run.took * part / 95;
    let result = run.failure.map(|message| json!({"message": message, "name": "Error"}));
    let mut tasks = Vec::new();
    for vm in run.vms {
        let name = store.get(XenKind::Vm, vm).map(|vm| vm.text("name_label").to_owned());
        let size = 300_000_000 + store.generator.below(900_000_000);
        let mut task = json!({
            "data": {"type": "VM", "id": vm, "name_label": name},
            "id": at(3).to_string(), "message": "backup VM", "start": at(3),
            "status": status, "end": at(90),
        });
        if let Some(properties) = task.as_object_mut() {
            if let Some(result) = &result {
                properties.insert("result".to_owned(), result.clone());
            } else {
                let transfer = json!({
                    "id": at(4).to_string(), "message": "transfer",
                    "start": at(4), "status": "success", "end": at(80),
                    "result": {"size": size},
                });
                properties.insert("tasks".to_owned(), json!([transfer]));
            }
        }
        tasks.push(task);
        if run.failure.is_none() {
            add_archive(store, run, vm, start, size);
        }
    }
    let mut log = json!({
        "data": {"mode": run.mode, "reportWhen": "failure"}, "id": start.to_string(),
        "jobId": run.job, "jobName": run.name, "message": "backup", "scheduleId": run.schedule,
        "start": start, "status": status,
    });
    let details = match result {
        // It failed before it came to any VM.
        Some(result) if run.vms.is_empty() => json!({"end": at(95), "result": result}),
        _ => json!({
            "infos": [{"data": {"vms": run.vms}, "message": "vms"}], "tasks": tasks,
            "end": at(95),
        }),
    };
    if let (Some(log), Value::Object(details)) = (log.as_object_mut(), details) {
        log.extend(details);
    }
    store.insert(XenKind::BackupLog, log);
}

fn add_archive(store: &mut ObjectStore, run: &JobRun<'_>, vm: &str, start: u64, size: u64) {
    let Some(machine) = store.get(XenKind::Vm, vm) else {
        return;
    };
    let described = json!({
        "uuid": vm, "name_description": machine.text("name_description"),
        "name_label": machine.text("name_label"), "tags": machine.list("tags"),
    });
    let name = format!("{} system", machine.text("name_label"));
    let disk = store.generator.uuid();
    let folder = format!("/xo-vm-backups/{vm}");
    store.insert(
        XenKind::BackupArchive,
        json!({
            "type": "xo-vm-backup", "backupRepository": run.repository,
            "disks": [{
                "id": format!("{folder}/vdis/{}/{disk}/{start}.alias.vhd", run.job),
                "name": name, "uuid": disk,
            }],
            "id": format!("{}/{folder}/{start}.json", run.repository), "jobId": run.job,
            "mode": run.mode, "scheduleId": run.schedule, "size": size, "timestamp": start,
            "vm": described, "tags": [], "differencingVhds": 1, "dynamicVhds": 0,
            "withMemory": false,
        }),
    );
}

fn add_restores(store: &mut ObjectStore, repository: &str, job: &str) {
    let storage = store.all(XenKind::Sr).next().map(|storage| storage.0.to_owned());
    let vm = named(store, "db-03").pop().unwrap_or_default();
    for day in [4, 9] {
        let start = (store.moment - day * DAY) * 1000;
        let result = json!({"size": 1_288_490_188_u64, "id": vm});
        store.insert(
            XenKind::RestoreLog,
            json!({
                "data": {
                    "backupId": format!("{repository}//xo-vm-backups/{vm}/{start}.json"),
                    "jobId": job, "srId": storage, "time": start - DAY * 1000,
                },
                "id": start.to_string(), "message": "restore", "start": start, "status": "success",
                "tasks": [{
                    "id": (start + 60).to_string(), "message": "transfer", "start": start + 60,
                    "status": "success", "end": start + 300_000, "result": result,
                }],
                "end": start + 300_000, "result": result,
            }),
        );
    }
}
