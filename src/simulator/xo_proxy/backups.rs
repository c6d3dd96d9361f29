//! `backup.*`: what lies in repositories, and what is inside of it.

use serde_json::{Map, Value, json};

use super::app::{App, Call, Outcome};
use super::failure::Failure;
use super::seed::{Repository, State};

impl App {
    pub(super) fn backup(&self, call: &Call) -> Result<Outcome, Failure> {
        let export_size = self.options.common.export_size;
        let mut state = self.state();
        if call.name == "listRunningJobs" {
            return Ok(Outcome::List(state.running.iter().map(|id| id.as_str().into()).collect()));
        }
        if call.name == "unmountPartition" {
            let path = call.text("path");
            let known = state.mounted.remove(path);
            known.ok_or_else(|| Failure::thrown(format!("no partition is mounted at {path}")))?;
            return Ok(Outcome::Value(true.into()));
        }
        if call.params.contains_key("remotes") {
            return Ok(Outcome::Value(list(&mut state, call)));
        }
        let remote = call.params.get("remote").unwrap_or(&Value::Null);
        let repository = state.repository(remote)?;
        match call.name {
            "deleteVmBackup" => repository.delete(call.text("filename"))?,
            "deleteVmBackups" => {
                let names = call.params.get("filenames").and_then(Value::as_array);
                for name in names.into_iter().flatten().filter_map(Value::as_str) {
                    repository.delete(name)?;
                }
            }
            "deleteMetadataBackup" => {
                repository.metadata(call.text("backupId"))?;
                let id = call.text("backupId");
                repository.xo.retain(|backup| backup["id"] != id);
                repository.pools.values_mut().for_each(|it| it.retain(|it| it["id"] != id));
            }
            "restoreMetadataBackup" => {
                repository.metadata(call.text("backupId"))?;
                return Ok(Outcome::Bytes(export_size));
            }
            _ => return within_disk(&mut state, call, export_size),
        }
        Ok(Outcome::Value(true.into()))
    }
}

/// Answers about the disk of a backup.
fn within_disk(state: &mut State, call: &Call, export_size: u64) -> Result<Outcome, Failure> {
    let disk = call.text("disk").to_owned();
    let remote = call.params.get("remote").unwrap_or(&Value::Null);
    if !state.repository(remote)?.has_disk(&disk) {
        return Err(missing(&disk));
    }
    let partition = call.text("partition");
    if !matches!(partition, "" | "1" | "2") {
        return Err(Failure::thrown(format!("partition {partition} not found")));
    }
    Ok(match call.name {
        "listDiskPartitions" => Outcome::List(vec![
            json!({ "id": "1", "name": "", "size": 536_870_912, "start": 1_048_576, "type": 239 }),
            json!({ "id": "2", "name": "root", "size": 20_937_965_568_u64, "start": 537_919_488, "type": 131 }),
        ]),
        "listPartitionFiles" => match call.text("path") {
            "/" => Outcome::Value(json!({ "etc/": {}, "var/": {}, "vmlinuz": {} })),
            "/etc" | "/etc/" => Outcome::Value(json!({ "hosts": {}, "fstab": {}, "ssh/": {} })),
            path => return Err(missing(path)),
        },
        "mountPartition" => {
            let path = format!("/run/xo-proxy/mounts/{}", state.generator.base36(10));
            state.mounted.insert(path.clone(), disk);
            Outcome::Value(path.into())
        }
        _ => Outcome::Bytes(export_size),
    })
}

/// Lists the backups of each repository. One that cannot be read is left out without a word.
fn list(state: &mut State, call: &Call) -> Value {
    let remotes = call.params.get("remotes").and_then(Value::as_object);
    let vm = call.params.get("vmId").and_then(Value::as_str);
    let found: Map<String, Value> = remotes
        .into_iter()
        .flatten()
        .filter_map(|(id, remote)| {
            let repository = state.repository(remote).ok()?;
            let value = match call.name {
                "listVmBackups" => repository
                    .vms
                    .iter()
                    .filter(|(uuid, backups)| {
                        !backups.is_empty() && vm.is_none_or(|vm| vm == uuid.as_str())
                    })
                    .map(|(uuid, backups)| (uuid.clone(), Value::from(backups.clone())))
                    .collect::<Map<_, _>>()
                    .into(),
                "listPoolMetadataBackups" => json!(repository.pools),
                _ => json!(repository.xo),
            };
            Some((id.clone(), value))
        })
        .collect();
    found.into()
}

fn missing(path: &str) -> Failure {
    Failure::thrown(format!("ENOENT: no such file or directory, open '{path}'"))
}

impl Repository {
    fn delete(&mut self, name: &str) -> Result<(), Failure> {
        for backups in self.vms.values_mut() {
            if let Some(at) = backups.iter().position(|backup| backup["id"] == name) {
                backups.remove(at);
                return Ok(());
            }
        }
        Err(missing(name))
    }

    /// Finds a backup of a VM.
    pub(super) fn vm_backup(&self, id: &str) -> Result<&Value, Failure> {
        let mut backups = self.vms.values().flatten();
        backups.find(|backup| backup["id"] == id).ok_or_else(|| missing(id))
    }

    fn metadata(&self, id: &str) -> Result<&Value, Failure> {
        let mut backups = self.pools.values().flatten().chain(&self.xo);
        backups
            .find(|backup| backup["id"] == id)
            .ok_or_else(|| missing(&format!("{id}/metadata.json")))
    }
}
