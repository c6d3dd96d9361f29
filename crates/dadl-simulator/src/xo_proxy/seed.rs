//! The data that a proxy starts with: one repository with backups, and an empty world around it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::task_table::ProxyTasks;
use crate::server::{SeededGenerator, SimulatedDate};

/// The repository that has backups.
pub(super) const REPOSITORY: &str = "nfs://nas.example.com:/srv/backups";

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// What may change while the proxy runs.
#[derive(Debug)]
pub(super) struct ProxyState {
    pub(super) token: String,
    /// Replaces the token with the next answer.
    pub(super) next_token: Option<String>,
    pub(super) has_tunnel: bool,
    pub(super) channel: String,
    /// By URL.
    pub(super) repositories: BTreeMap<String, BackupRepository>,
    /// The jobs that run, by their identifiers.
    pub(super) running: Vec<String>,
    /// Partitions that are mounted: path and disk.
    pub(super) mounted: BTreeMap<String, String>,
    /// What older proxies show.
    pub(super) tasks: ProxyTasks,
    pub(super) generator: SeededGenerator,
}

/// What lies in one place.
#[derive(Debug, Default)]
pub(super) struct BackupRepository {
    /// Backups of VMs by the UUID of the VM.
    pub(super) vms: BTreeMap<String, Vec<Value>>,
    /// Backups of pools by the UUID of the pool.
    pub(super) pools: BTreeMap<String, Vec<Value>>,
    /// Backups of the settings of Xen Orchestra.
    pub(super) xo: Vec<Value>,
}

impl BackupRepository {
    /// Returns how much there is, as `remote.getTotalBackupSize` does.
    pub(super) fn size(&self) -> Value {
        let sizes = self.vms.values().flatten().filter_map(|backup| backup["size"].as_u64());
        let total: u64 = sizes.sum();
        json!({ "onDisk": total })
    }

    /// Returns whether a disk of a backup of a VM has this identifier.
    pub(super) fn has_disk(&self, id: &str) -> bool {
        let disks = self.vms.values().flatten().filter_map(|backup| backup["disks"].as_array());
        disks.flatten().any(|disk| disk["id"] == id)
    }
}

impl ProxyState {
    /// Makes fresh data. Backups are made at 2 am; the newest is the last before `moment`, which is
    /// in seconds since 1970.
    pub(super) fn new(token: &str, moment: u64) -> Self {
        let newest = (moment - 2 * HOUR) / DAY * DAY + 2 * HOUR;
        let mut generator = SeededGenerator::new(0x0051_0a71);
        let mut repository = BackupRepository::default();
        let job = generator.uuid();
        let schedule = generator.uuid();
        for (name, tags, gib) in [
            ("web-01", ["prod", "web"], 20_u64),
            ("web-02", ["prod", "web"], 20),
            ("db-01", ["prod", "db"], 120),
        ] {
            let vm = generator.uuid();
            let disk = generator.uuid();
            let of_day = |day: u64| {
                let made = newest - day * DAY;
                let date = SimulatedDate(made).basic();
                let is_full = day == 2;
                json!({
                    "type": "xo-vm-backup",
                    "id": format!("/xo-vm-backups/{vm}/{date}.json"),
                    "disks": [{
                        "id": format!("/xo-vm-backups/{vm}/vdis/{job}/{disk}/{date}.vhd"),
                        "name": format!("{name} root"),
                        "uuid": disk,
                    }],
                    "jobId": job,
                    "mode": "delta",
                    "scheduleId": schedule,
                    "size": if is_full { gib << 30 } else { gib << 26 },
                    "timestamp": made * 1000,
                    "vm": { "uuid": vm, "name_label": name, "name_description": "", "tags": tags },
                    "tags": [],
                    "differencingVhds": u8::from(!is_full),
                    "dynamicVhds": u8::from(is_full),
                    "withMemory": false,
                })
            };
            let backups = (0..3).rev().map(of_day).collect();
            repository.vms.insert(vm, backups);
        }
        let pool = generator.uuid();
        let metadata = |folder: String, job: &str| {
            json!({
                "id": folder, "jobId": job, "jobName": "nightly metadata", "scheduleId": schedule,
                "scheduleName": "2 am", "timestamp": newest * 1000,
            })
        };
        let date = SimulatedDate(newest).basic();
        let job = generator.uuid();
        let id = format!("/xo-pool-metadata-backups/{schedule}/{pool}/{date}");
        repository.pools.insert(pool, vec![metadata(id, &job)]);
        let mut settings = metadata(format!("/xo-config-backups/{schedule}/{date}"), &job);
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("data".to_owned(), "./data.json".into());
        }
        repository.xo.push(settings);
        Self {
            token: token.to_owned(),
            next_token: None,
            has_tunnel: false,
            channel: "stable".to_owned(),
            repositories: BTreeMap::from([(REPOSITORY.to_owned(), repository)]),
            running: Vec::new(),
            mounted: BTreeMap::new(),
            tasks: ProxyTasks::new(&mut generator, newest * 1000),
            generator,
        }
    }
}
