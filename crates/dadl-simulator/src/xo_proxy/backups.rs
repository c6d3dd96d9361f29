//! `backup.*`: what lies in repositories, and what is inside of it.

use serde_json::{Map, Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use super::seed::{BackupRepository, ProxyState};
use crate::server::{fingerprint, now_millis};

impl ProxyApp {
    pub(super) fn backup(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        let export_size = self.options.common.export_size;
        let mut state = self.state();
        if call.name == "listRunningJobs" {
            return Ok(MethodOutcome::List(
                state.running.iter().map(|id| id.as_str().into()).collect(),
            ));
        }
        if call.name == "unmountPartition" {
            let path = call.text("path");
            let gone = || {
                ProxyFailure::thrown(format!("No partition corresponding to the path {path} found"))
            };
            state.mounted.remove(path).ok_or_else(gone)?;
            return Ok(MethodOutcome::Value(true.into()));
        }
        if call.params.contains_key("remotes") {
            return Ok(MethodOutcome::Value(join_names(&mut state, call)));
        }
        let remote = call.params.get("remote").unwrap_or(&Value::Null);
        let repository = state.repository(remote)?;
        match call.name {
            "deleteVmBackup" => repository.delete(call.text("filename")),
            "deleteVmBackups" => {
                let names = call.params.get("filenames").and_then(Value::as_array);
                for name in names.into_iter().flatten().filter_map(Value::as_str) {
                    repository.delete(name);
                }
            }
            "deleteMetadataBackup" => {
                let id = call.text("backupId");
                if repository.metadata(id).is_none() {
                    let text = format!("The id ({id}) not correspond to a metadata folder");
                    return Err(ProxyFailure::thrown(text));
                }
                repository.xo.retain(|backup| backup["id"] != id);
                repository.pools.values_mut().for_each(|it| it.retain(|it| it["id"] != id));
            }
            "restoreMetadataBackup" => {
                let id = call.text("backupId");
                let found = repository.metadata(id).is_some();
                let is_of_xo = repository.xo.iter().any(|backup| backup["id"] == id);
                let missing =
                    || missing(remote, &format!("{}/metadata.json", id.trim_start_matches('/')));
                found.then_some(()).ok_or_else(missing)?;
                if is_of_xo {
                    return Ok(MethodOutcome::List(configuration(&state.generator.base36(11))));
                }
                return Ok(MethodOutcome::Bytes(export_size));
            }
            _ => return within_disk(&mut state, call, export_size),
        }
        Ok(MethodOutcome::Value(true.into()))
    }
}

/// Answers about the disk of a backup.
fn within_disk(
    state: &mut ProxyState,
    call: &ProxyCall,
    export_size: u64,
) -> Result<MethodOutcome, ProxyFailure> {
    let disk = call.text("disk").to_owned();
    let remote = call.params.get("remote").unwrap_or(&Value::Null);
    if !state.repository(remote)?.has_disk(&disk) {
        return Err(missing(remote, disk.trim_start_matches('/')));
    }
    let partition = call.text("partition");
    if !matches!(partition, "" | "1" | "2") {
        return Err(ProxyFailure::thrown(format!("partition {partition} not found")));
    }
    Ok(match call.name {
        "listDiskPartitions" => MethodOutcome::List(vec![
            json!({ "id": "1", "name": "", "size": 536_870_912, "start": 1_048_576, "type": 239 }),
            json!({ "id": "2", "name": "root", "size": 20_937_965_568_u64, "start": 537_919_488, "type": 131 }),
        ]),
        "listPartitionFiles" => match call.text("path") {
            "/" => MethodOutcome::Value(json!({ "etc/": {}, "var/": {}, "vmlinuz": {} })),
            "/etc" | "/etc/" => {
                MethodOutcome::Value(json!({ "hosts": {}, "fstab": {}, "ssh/": {} }))
            }
            path => return Err(ProxyFailure::no_file(path)),
        },
        "mountPartition" => {
            let path = format!("/run/xo-proxy/mounts/{}", state.generator.base36(10));
            state.mounted.insert(path.clone(), disk);
            MethodOutcome::Value(path.into())
        }
        _ => MethodOutcome::Bytes(export_size),
    })
}

/// Lists the backups of each repository. One that cannot be read is left out without a word.
fn join_names(state: &mut ProxyState, call: &ProxyCall) -> Value {
    let remotes = call.params.get("remotes").and_then(Value::as_object);
    let vm = call.params.get("vmId").and_then(Value::as_str);
    let found: Map<String, Value> = remotes
        .into_iter()
        .flatten()
        .filter_map(|(id, remote)| {
            let repository = state.repository(remote).ok()?;
            let value = match call.name {
                "listVmBackups" => vm_backups(repository, id, vm),
                "listPoolMetadataBackups" => json!(repository.pools),
                _ => json!(repository.xo),
            };
            Some((id.clone(), value))
        })
        .collect();
    found.into()
}

/// Lists the backups of VMs in the repository `id`; that of one VM is there even when it has none.
fn vm_backups(repository: &BackupRepository, id: &str, vm: Option<&str>) -> Value {
    let of = |backups: &[Value]| -> Value {
        let shown = backups.iter().cloned().map(|mut backup| {
            if let Some(members) = backup.as_object_mut() {
                members.insert("backupRepository".to_owned(), id.into());
            }
            backup
        });
        shown.collect()
    };
    if let Some(vm) = vm {
        let backups = repository.vms.get(vm).map(Vec::as_slice).unwrap_or_default();
        return json!({ vm: of(backups) });
    }
    let all = repository.vms.iter().filter(|(_, backups)| !backups.is_empty());
    all.map(|(vm, backups)| (vm.clone(), of(backups))).collect::<Map<_, _>>().into()
}

/// What a backup of the settings of Xen Orchestra gives: a log, whose last entry has all of them in a
/// text, secrets included.
fn configuration(task: &str) -> Vec<Value> {
    let settings = json!({
        "servers": [{ "host": "pool.example.com", "username": "root", "password": "p00l-r00t-passw0rd" }],
        "users": [{ "email": "admin@admin.net", "pw_hash": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA" }],
    });
    let properties = json!({ "name": "restore", "type": "xoConfig" });
    vec![
        json!({ "id": task, "type": "start", "timestamp": now_millis(), "properties": properties }),
        json!({
            "id": task, "type": "end", "timestamp": now_millis(), "status": "success",
            "result": settings.to_string(),
        }),
    ]
}

/// Says that a file is not there, by its path on the proxy: where the repository is mounted.
pub(super) fn missing(remote: &Value, path: &str) -> ProxyFailure {
    let url = remote.get("url").and_then(Value::as_str).unwrap_or_default();
    let root = match url.strip_prefix("file://") {
        Some(root) => root.trim_end_matches('/').to_owned(),
        None => format!("/run/xo-proxy/mounts/{:016x}", fingerprint(url)),
    };
    ProxyFailure::no_file(&format!("{root}/{path}"))
}

impl BackupRepository {
    /// Deletes a backup of a VM; one that is not there is deleted.
    fn delete(&mut self, name: &str) {
        for backups in self.vms.values_mut() {
            backups.retain(|backup| backup["id"] != name);
        }
    }

    /// Finds a backup of a VM.
    pub(super) fn vm_backup(&self, id: &str) -> Option<&Value> {
        let mut backups = self.vms.values().flatten();
        backups.find(|backup| backup["id"] == id)
    }

    fn metadata(&self, id: &str) -> Option<&Value> {
        let mut backups = self.pools.values().flatten().chain(&self.xo);
        backups.find(|backup| backup["id"] == id)
    }
}
