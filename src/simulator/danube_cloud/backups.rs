//! Backups: made, restored, annotated and deleted.

use serde_json::{Value, json};

use super::accounts::User;
use super::data::{Data, order, sort};
use super::definitions::{listed, too_long};
use super::failure::Failure;
use super::state::{Quirk, State, Status, Subject};
use super::tasks::{Begun, Effect, Plan};
use crate::simulator::core::Date;

/// One backup.
#[derive(Debug, Clone)]
pub(super) struct Backup {
    pub(super) dc: &'static str,
    /// The name of the machine when the backup was made.
    pub(super) hostname: String,
    pub(super) vm_uuid: String,
    pub(super) define: Option<String>,
    pub(super) name: String,
    pub(super) disk_id: u64,
    /// In megabytes: the size of the disk.
    pub(super) disk_size: u64,
    pub(super) brand: &'static str,
    pub(super) kind: u64,
    pub(super) node: String,
    pub(super) zpool: String,
    pub(super) created: Date,
    pub(super) status: BackupStatus,
    /// In bytes.
    pub(super) size: Option<u64>,
    /// In seconds.
    pub(super) time: Option<u64>,
    pub(super) note: Option<String>,
}

/// What state a backup is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupStatus {
    Ok = 1,
    Pending = 2,
    Restore = 3,
    Lost = 4,
}

/// What names one backup.
pub(super) type Key = (String, u64, String);

impl Backup {
    /// Returns what names it.
    pub(super) fn key(&self) -> Key {
        (self.vm_uuid.clone(), self.disk_id, self.name.clone())
    }
}

impl State {
    /// Lists the backups of a machine, also of one that was deleted.
    pub(super) fn list_backups(
        &self,
        user: &User,
        dc: &str,
        name: &str,
        data: &Data,
    ) -> Result<Value, Failure> {
        let order = order(data, ORDER, "-created")?;
        let disk_id = data.disk_id("disk_id")?;
        let subject = self.subject(user, dc, name, data.has("hostname"))?;
        let define = data.text("define");
        let found = self.backups.iter().filter(|backup| {
            backup.vm_uuid == subject.uuid
                && disk_id.is_none_or(|disk| disk == backup.disk_id)
                && define.is_none_or(|define| backup.define.as_deref() == Some(define))
        });
        self.listed_backups(user, found, &order, data)
    }

    /// Lists the backups that a node keeps.
    pub(super) fn list_node_backups(
        &self,
        user: &User,
        node: &str,
        data: &Data,
    ) -> Result<Value, Failure> {
        let order = order(data, ORDER, "-created")?;
        let machine = data.text("vm");
        let found = self.backups.iter().filter(|backup| {
            let is_its =
                machine.is_none_or(|name| backup.hostname == name || backup.vm_uuid == name);
            backup.node == node && is_its
        });
        self.listed_backups(user, found, &order, data)
    }

    fn listed_backups<'state>(
        &self,
        user: &User,
        found: impl Iterator<Item = &'state Backup>,
        order: &[(&str, bool)],
        data: &Data,
    ) -> Result<Value, Failure> {
        let mut objects: Vec<Value> = found.map(|backup| self.backup(user, backup)).collect();
        sort(&mut objects, order);
        Ok(listed(objects, data.flag("full")?.unwrap_or_default(), &[]))
    }

    /// Shows one backup.
    pub(super) fn show_backup(
        &self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let subject = self.subject(user, dc, name.0, data.has("hostname"))?;
        let backup = self.find_backup(&subject, name.1, data)?;
        Ok(self.backup(user, &backup))
    }

    /// Begins to make a backup by a definition.
    pub(super) fn begin_backup(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Begun, Failure> {
        let machine = self.admin_machine(user, dc, name.0)?;
        let at = self.find_definition(&machine, name.1, data)?;
        let definition = self.definitions.get(at).cloned();
        let definition = definition.ok_or_else(|| Failure::not_found("Backup definition"))?;
        let note = note(data)?.flatten();
        self.check_operational(&machine)?;
        if self.datacenters.iter().any(|known| known.name == dc && known.is_full) {
            return Err(Failure::new(417, "DC backup size limit reached"));
        }
        if !self.node(&definition.node).is_some_and(|node| node.is_online) {
            return Err(Failure::new(423, "Node is not operational"));
        }
        if machine.quirk == Quirk::NoLock {
            return Err(Failure::NotBegun("Task did not acquire lock".to_owned()));
        }
        let disk_size = machine.disk(definition.disk_id, "disk_id")?.size;
        let created = self.clock.date(std::time::Duration::ZERO);
        let backup = Backup {
            dc: machine.dc,
            hostname: machine.hostname.to_owned(),
            vm_uuid: machine.uuid.clone(),
            define: Some(definition.name.clone()),
            name: format!("{}-{}", definition.name, created.compact()),
            disk_id: definition.disk_id,
            disk_size,
            brand: machine.brand,
            kind: definition.kind,
            node: definition.node,
            zpool: definition.zpool,
            created,
            status: BackupStatus::Pending,
            size: None,
            time: None,
            note,
        };
        let (key, bkpname) = (backup.key(), backup.name.clone());
        self.backups.push(backup);
        Ok(self.begin(Plan {
            user,
            dc,
            method: "POST",
            hostname: machine.hostname,
            disk_id: definition.disk_id,
            bkpname: &bkpname,
            machine: &machine.uuid,
            effect: Effect::Create(key),
            fails: machine.quirk == Quirk::Fails,
        }))
    }

    /// Changes the note of a backup.
    pub(super) fn annotate(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let subject = self.admin_subject(user, dc, name.0, data)?;
        let backup = self.find_backup(&subject, name.1, data)?;
        let note = note(data)?.flatten();
        let key = backup.key();
        let found = self.backups.iter_mut().find(|backup| backup.key() == key);
        let Some(found) = found else { return Err(Failure::not_found("Backup")) };
        found.note = note;
        let changed = found.clone();
        Ok(self.backup(user, &changed))
    }

    /// Begins to put a backup in the place of a disk.
    pub(super) fn begin_restore(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Begun, Failure> {
        let subject = self.admin_subject(user, dc, name.0, data)?;
        let backup = self.find_backup(&subject, name.1, data)?;
        let mut missing = serde_json::Map::new();
        for field in ["target_hostname_or_uuid", "target_disk_id"] {
            if data.get(field).is_none_or(Value::is_null) {
                missing.insert(field.to_owned(), json!(["This field is required."]));
            }
        }
        if !missing.is_empty() {
            return Err(Failure::Invalid(missing));
        }
        let force = data.flag("force")?.unwrap_or(true);
        let target = data.text("target_hostname_or_uuid").unwrap_or_default();
        let target = self.machine(user, dc, target)?.clone();
        let disk_id = data.disk_id("target_disk_id")?.unwrap_or_default();
        let disk = target.disk(disk_id, "target_disk_id")?;
        check_usable(&backup)?;
        self.check_operational(&target)?;
        if target.status != Status::Stopped {
            return Err(Failure::new(423, "VM is not stopped"));
        }
        if target.brand != backup.brand {
            return Err(Failure::new(428, "VM brand mismatch"));
        }
        if disk.size != backup.disk_size {
            return Err(Failure::new(428, "Disk size mismatch"));
        }
        if disk.snapshots > 0 && !force {
            return Err(Failure::new(417, "VM has snapshots"));
        }
        if target.quirk == Quirk::NoLock {
            return Err(Failure::NotBegun("Task did not acquire lock".to_owned()));
        }
        self.set_status(&backup.key(), BackupStatus::Restore);
        Ok(self.begin(Plan {
            user,
            dc,
            method: "PUT",
            hostname: target.hostname,
            disk_id,
            bkpname: &backup.name,
            machine: &target.uuid,
            effect: Effect::Restore(backup.key(), disk_id),
            fails: target.quirk == Quirk::Fails,
        }))
    }

    /// Begins to delete one backup; one that is lost already is deleted at once.
    pub(super) fn begin_delete(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Option<Begun>, Failure> {
        let subject = self.admin_subject(user, dc, name.0, data)?;
        let backup = self.find_backup(&subject, name.1, data)?;
        if backup.status == BackupStatus::Lost {
            let key = backup.key();
            self.backups.retain(|backup| backup.key() != key);
            return Ok(None);
        }
        check_usable(&backup)?;
        self.delete_all(user, dc, &subject, vec![backup]).map(Some)
    }

    /// Begins to delete several backups of one disk.
    pub(super) fn begin_delete_many(
        &mut self,
        user: &User,
        dc: &str,
        name: &str,
        data: &Data,
    ) -> Result<Begun, Failure> {
        let subject = self.admin_subject(user, dc, name, data)?;
        let names = data.get("bkpnames").and_then(Value::as_array);
        let names: Option<Vec<&str>> =
            names.and_then(|names| names.iter().map(Value::as_str).collect());
        let invalid = || Failure::new(412, "Invalid bkpnames");
        let names = names.filter(|names| !names.is_empty()).ok_or_else(invalid)?;
        let found: Result<Vec<Backup>, Failure> =
            names.iter().map(|name| self.find_backup(&subject, name, data)).collect();
        let found = found?;
        let first = found.first().map(|backup| backup.node.clone());
        if found.iter().any(|backup| Some(&backup.node) != first.as_ref()) {
            return Err(invalid());
        }
        found.iter().try_for_each(check_usable)?;
        self.delete_all(user, dc, &subject, found)
    }

    fn delete_all(
        &mut self,
        user: &User,
        dc: &str,
        subject: &Subject,
        backups: Vec<Backup>,
    ) -> Result<Begun, Failure> {
        let node = backups.first().map(|backup| backup.node.clone()).unwrap_or_default();
        if !self.node(&node).is_some_and(|node| node.is_online) {
            return Err(Failure::new(423, "Node is not operational"));
        }
        let is_busy =
            self.tasks.iter().any(|task| task.is_pending() && task.machine == subject.uuid);
        if is_busy {
            return Err(Failure::new(409, "VM has pending tasks"));
        }
        let names: Vec<&str> = backups.iter().map(|backup| backup.name.as_str()).collect();
        let names = names.join(",");
        for backup in &backups {
            self.set_status(&backup.key(), BackupStatus::Pending);
        }
        let quirk = subject.machine.as_ref().map(|machine| machine.quirk).unwrap_or_default();
        Ok(self.begin(Plan {
            user,
            dc,
            method: "DELETE",
            hostname: &subject.hostname,
            disk_id: backups.first().map_or(1, |backup| backup.disk_id),
            bkpname: &names,
            machine: &subject.uuid,
            effect: Effect::Delete(backups.iter().map(Backup::key).collect()),
            fails: quirk == Quirk::Fails,
        }))
    }

    fn admin_subject(
        &self,
        user: &User,
        dc: &str,
        name: &str,
        data: &Data,
    ) -> Result<Subject, Failure> {
        if !user.is_admin(dc) {
            return Err(Failure::forbidden());
        }
        self.subject(user, dc, name, data.has("hostname"))
    }

    fn find_backup(&self, subject: &Subject, name: &str, data: &Data) -> Result<Backup, Failure> {
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        let found = self.backups.iter().find(|backup| {
            backup.vm_uuid == subject.uuid && backup.name == name && backup.disk_id == disk_id
        });
        found.cloned().ok_or_else(|| Failure::not_found("Backup"))
    }

    /// Puts a backup into another state.
    pub(super) fn set_status(&mut self, key: &Key, status: BackupStatus) {
        if let Some(backup) = self.backups.iter_mut().find(|backup| backup.key() == *key) {
            backup.status = status;
        }
    }

    fn backup(&self, user: &User, backup: &Backup) -> Value {
        let machine = self.machines.iter().find(|machine| machine.uuid == backup.vm_uuid);
        let extension = if backup.kind == 1 { "" } else { ".full.zfs" };
        let file_path = format!(
            "/{}/backups/{}/{}/disk{}/{}{extension}",
            backup.zpool,
            if backup.kind == 1 { "ds" } else { "file" },
            backup.vm_uuid,
            backup.disk_id,
            backup.name
        );
        json!({
            "hostname": backup.hostname,
            "vm_uuid": backup.vm_uuid,
            "vm": machine.map(|machine| machine.hostname),
            "define": backup.define,
            "name": backup.name,
            "disk_id": backup.disk_id,
            "type": backup.kind,
            "node": self.node_for(user, backup.dc, &backup.node),
            "zpool": backup.zpool,
            "created": backup.created.iso(),
            "status": backup.status as u8,
            "size": backup.size,
            "time": backup.time,
            "file_path": file_path,
            "note": backup.note,
        })
    }
}

fn check_usable(backup: &Backup) -> Result<(), Failure> {
    if backup.status == BackupStatus::Ok {
        return Ok(());
    }
    Err(Failure::new(417, "VM backup status is not OK"))
}

/// Reads a note; `Some(None)` clears it.
fn note(data: &Data) -> Result<Option<Option<String>>, Failure> {
    match data.get("note") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(note)) if note.chars().count() > 128 => {
            Err(Failure::field("note", too_long(note)))
        }
        Some(Value::String(note)) => Ok(Some(Some(note.clone()).filter(|note| !note.is_empty()))),
        Some(_) => Err(Failure::field("note", "Enter a text.")),
    }
}

/// What backups can be sorted by.
const ORDER: &[&str] = &["name", "disk_id", "size", "time", "created", "hostname"];
