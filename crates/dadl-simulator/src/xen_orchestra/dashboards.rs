//! The three dashboards: of everything, of a pool, of a VM. Each is a JSON object, or with
//! `ndjson=true` one line a property.

use http::StatusCode;
use serde_json::{Value, json};

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::hosts::missing_patches;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::state::XenState;
use super::stats::load;
use crate::server::HttpReply;

impl XenApp {
    /// Answers with a dashboard.
    pub(super) fn dashboard(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let state = self.state();
        let dashboard = match call.operation.segments().first() {
            Some(&"pools") => state.pool_dashboard(call.capture(0)),
            Some(&"vms") => {
                state.machine_dashboard(state.store.find(XenKind::Vm, call.capture(0))?)
            }
            _ => state.global_dashboard(),
        };
        drop(state);
        if call.flag("ndjson") {
            let properties = dashboard.as_object().into_iter().flatten();
            let lines = properties.map(|(name, value)| format!("{}\n", json!({name: value})));
            return Ok(HttpReply::pieces("application/x-ndjson", lines.collect()));
        }
        Ok(HttpReply::json(StatusCode::OK, &dashboard))
    }
}

impl XenState {
    fn global_dashboard(&self) -> Value {
        let hosts: Vec<&XenObject> = self.store.all(XenKind::Host).map(|host| host.1).collect();
        let vms: Vec<&XenObject> = self.store.all(XenKind::Vm).map(|vm| vm.1).collect();
        let storage: Vec<&XenObject> =
            self.store.all(XenKind::Sr).map(|storage| storage.1).collect();
        let total: u64 = storage.iter().map(|storage| storage.number("size")).sum();
        let used: u64 = storage.iter().map(|storage| storage.number("physical_usage")).sum();
        let count = |objects: &[&XenObject], property: &str, value: &str| {
            objects.iter().filter(|object| object.text(property) == value).count()
        };
        let servers: Vec<&XenObject> =
            self.store.all(XenKind::Server).map(|server| server.1).collect();
        let connected = count(&servers, "status", "connected");
        let running = count(&vms, "power_state", "Running");
        let logs: Vec<&XenObject> = self.store.all(XenKind::BackupLog).map(|log| log.1).collect();
        let disabled = hosts.iter().filter(|host| host.get("enabled") == Some(&false.into()));
        let halted_hosts = count(&hosts, "power_state", "Halted");
        let in_job = |vm: &&&XenObject| {
            let mut jobs = self.store.all(XenKind::BackupJob).filter_map(|job| job.1.get("vms"));
            jobs.any(|vms| vms.to_string().contains(vm.text("id")))
        };
        let protected = vms.iter().filter(in_job).count();
        json!({
            "nPools": self.store.count(XenKind::Pool),
            "nHosts": hosts.len(),
            "backupRepositories": {"other": {"size": {
                "available": 4_398_046_511_104_u64, "backups": 1_649_267_441_664_u64,
                "other": 0, "total": 6_047_313_952_768_u64, "used": 1_649_267_441_664_u64,
            }}},
            "resourcesOverview": {
                "nCpus": hosts.len() * 16,
                "memorySize": hosts.iter().map(|host| memory(host, "size")).sum::<u64>(),
                "srSize": total,
            },
            "poolsStatus": {
                "connected": connected, "disconnected": servers.len() - connected,
                "unreachable": 0, "unknown": 0, "total": servers.len(),
            },
            "missingPatches": {
                "hasAuthorization": true, "nHosts": hosts.len(), "nHostsFailed": 0,
                "nHostsWithMissingPatches": hosts.len(), "nHostsEol": {"isEmpty": true},
                "nPools": self.store.count(XenKind::Pool),
                "nPoolsWithMissingPatches": self.store.count(XenKind::Pool),
            },
            "storageRepositories": {"size": {
                "available": total - used, "other": used, "replicated": 0, "total": total,
                "used": used,
            }},
            "backups": {
                "jobs": {
                    "disabled": 0, "failed": count(&logs, "status", "failure"),
                    "noRecentRun": 0, "skipped": 0,
                    "successful": count(&logs, "status", "success"),
                    "total": self.store.count(XenKind::BackupJob),
                },
                "issues": [],
                "vmsProtection": {
                    "protected": protected, "unprotected": 0, "notInJob": vms.len() - protected,
                },
            },
            "hostsStatus": {
                "disabled": disabled.count(), "running": hosts.len() - halted_hosts,
                "halted": halted_hosts, "unknown": 0, "total": hosts.len(),
            },
            "vmsStatus": {
                "active": running + count(&vms, "power_state", "Paused"),
                "inactive": vms.len() - running - count(&vms, "power_state", "Paused"),
                "running": running,
                "halted": count(&vms, "power_state", "Halted"),
                "paused": count(&vms, "power_state", "Paused"),
                "suspended": count(&vms, "power_state", "Suspended"),
                "unknown": 0,
                "total": vms.len(),
            },
        })
    }

    fn pool_dashboard(&self, pool: &str) -> Value {
        let of = |kind: XenKind| -> Vec<&XenObject> {
            let objects = self.store.all(kind).map(|object| object.1);
            objects.filter(|object| object.text("$pool") == pool).collect()
        };
        let (hosts, vms, storage) = (of(XenKind::Host), of(XenKind::Vm), of(XenKind::Sr));
        let count = |state: &str| vms.iter().filter(|vm| vm.text("power_state") == state).count();
        let running: Vec<&XenObject> =
            vms.iter().copied().filter(|vm| vm.text("power_state") == "Running").collect();
        let assigned: u64 = running
            .iter()
            .filter_map(|vm| vm.get("CPUs").and_then(|cpus| cpus.get("number")?.as_u64()))
            .sum();
        let total = hosts.len() as u64 * 16;
        let halted = hosts.iter().filter(|host| host.text("power_state") == "Halted").count();
        json!({
            "hosts": {
                "status": {
                    "running": hosts.len() - halted, "disabled": 0, "halted": halted,
                    "total": hosts.len(),
                },
                "topFiveUsage": {
                    "ram": top_five(&hosts, |host| {
                        let (size, usage) = (memory(host, "size"), memory(host, "usage"));
                        (percent(usage, size), json!({"size": size, "usage": usage}))
                    }),
                    "cpu": top_five(&hosts, |host| (load(host.text("id")), json!({}))),
                },
                "missingPatches": {
                    "hasAuthorization": true, "missingPatches": missing_patches(pool, self.store.moment),
                },
            },
            "vms": {
                "status": {
                    "running": running.len(), "halted": count("Halted"),
                    "paused": count("Paused"), "total": vms.len(),
                    "suspended": count("Suspended"),
                },
                "topFiveUsage": {
                    "ram": top_five(&running, |vm| {
                        let size = memory(vm, "size");
                        let free = size / 3;
                        (percent(size - free, size), json!({"memory": size, "memoryFree": free}))
                    }),
                    "cpu": top_five(&running, |vm| (load(vm.text("id")), json!({}))),
                },
            },
            "srs": {
                "topFiveUsage": top_five(&storage, |storage| {
                    let (size, usage) = (storage.number("size"), storage.number("physical_usage"));
                    (percent(usage, size), json!({"physical_usage": usage, "size": size}))
                }),
            },
            "alarms": of(XenKind::Alarm).iter().map(|alarm| alarm.text("id")).collect::<Vec<_>>(),
            "cpuProvisioning": {
                "total": total, "assigned": assigned, "percent": percent(assigned, total),
            },
        })
    }

    fn machine_dashboard(&self, vm: &XenObject) -> Value {
        let id = vm.text("id");
        let number = vm.get("CPUs").and_then(|cpus| cpus.get("number"));
        let alarms = self.store.all(XenKind::Alarm).filter(|alarm| {
            alarm.1.get("object").and_then(|object| object.get("uuid")).is_some_and(|it| it == id)
        });
        let alarms: Vec<&str> = alarms.map(|alarm| alarm.0).collect();
        let concerns = |log: &&XenObject| {
            let tasks = log.get("tasks").and_then(Value::as_array);
            tasks.into_iter().flatten().any(|task| {
                task.get("data").and_then(|data| data.get("id")).is_some_and(|it| it == id)
            })
        };
        let logs = self.store.all(XenKind::BackupLog).map(|log| log.1).filter(concerns);
        let mut runs: Vec<Value> = logs
            .map(|log| {
                json!({
                    "backupJobId": log.text("jobId"), "timestamp": log.number("end"),
                    "status": log.text("status"),
                })
            })
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.get("timestamp").and_then(Value::as_u64)));
        let archives = self.store.all(XenKind::BackupArchive).map(|archive| archive.1);
        let archives: Vec<Value> = archives
            .filter(|archive| {
                archive.get("vm").and_then(|vm| vm.get("uuid")).is_some_and(|it| it == id)
            })
            .map(|archive| {
                json!({
                    "id": archive.text("id"), "timestamp": archive.number("timestamp"),
                    "backupRepository": archive.text("backupRepository"),
                    "size": archive.number("size"),
                })
            })
            .collect();
        let system = vm.get("os_version").and_then(|system| system.get("name"));
        let host = match vm.text("power_state") {
            "Running" => vm.text("$container"),
            _ => "",
        };
        json!({
            "quickInfo": {
                "id": id, "power_state": vm.text("power_state"), "uuid": vm.text("uuid"),
                "name_description": vm.text("name_description"), "CPUs": {"number": number},
                "mainIpAddress": vm.get("mainIpAddress"),
                "os_version": system.map(|name| json!({"name": name})),
                "memory": {"size": memory(vm, "size")},
                "creation": vm.get("creation").unwrap_or(&json!({})),
                "$pool": vm.text("$pool"), "virtualizationMode": vm.text("virtualizationMode"),
                "tags": vm.get("tags"), "host": (!host.is_empty()).then_some(host),
                "pvDriversDetected": vm.get("pvDriversDetected"),
                "pvDriversVersion": vm.get("pvDriversVersion"),
                "pvDriversUpToDate": vm.get("pvDriversUpToDate"),
                "startTime": vm.get("startTime"),
            },
            "alarms": alarms,
            "backupsInfo": {
                "vmProtection": if runs.is_empty() { "not-in-active-job" } else { "protected" },
                "lastRuns": runs, "replication": {}, "backupArchives": archives,
            },
        })
    }
}

/// Returns the five objects with the highest percentage, with what the figure adds to each.
fn top_five(objects: &[&XenObject], figure: impl Fn(&XenObject) -> (f64, Value)) -> Value {
    let mut rows: Vec<(f64, Value)> = objects
        .iter()
        .map(|object| {
            let (percent, mut row) = figure(object);
            if let Some(row) = row.as_object_mut() {
                row.insert("id".to_owned(), object.text("id").into());
                row.insert("name_label".to_owned(), object.text("name_label").into());
                row.insert("percent".to_owned(), percent.into());
            }
            (percent, row)
        })
        .collect();
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    rows.into_iter().take(5).map(|row| row.1).collect()
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn memory(object: &XenObject, name: &str) -> u64 {
    let memory = object.get("memory").and_then(|memory| memory.get(name));
    memory.and_then(Value::as_u64).unwrap_or_default()
}
