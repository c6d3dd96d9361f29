//! Backups: made, restored, annotated and deleted.

use serde_json::{Value, json};

use super::data::{RequestData, listed, order, sort};
use super::failure::DanubeFailure;
use super::fields::FieldFaults;
use super::records::{
    Backup, BackupKey, BackupStatus, BackupSubject, MachineQuirk, MachineStatus, is_hvm,
};
use super::state::DanubeState;
use super::task_records::TaskEffect;
use super::tasks::{BegunTask, TaskPlan};
use super::users::AccountUser;

/// Whose backups are shown.
#[derive(Debug, Clone, Copy)]
enum ListedFrom {
    /// Those of a machine.
    Machine,
    /// Those that a node keeps, of any datacenter.
    Node,
}

impl DanubeState {
    /// Lists the backups of a machine, also of one that was deleted, by its name; whoever sees the
    /// datacenter may.
    pub(super) fn list_backups(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let order = order(data, ORDER, "-created")?;
        let disk_id = data.disk_id("disk_id")?;
        let subject = self.subject(user, dc, name, data);
        let define = data.text("define");
        let found = self.backups.iter().filter(|backup| {
            subject.has(backup)
                && disk_id.is_none_or(|disk| disk == backup.disk_id)
                && define.is_none_or(|define| backup.define.as_deref() == Some(define))
        });
        Ok(self.listed_backups(user, found, &order, data, ListedFrom::Machine))
    }

    /// Lists the backups that a node keeps.
    pub(super) fn list_node_backups(
        &self,
        user: &AccountUser,
        node: &str,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let order = order(data, ORDER, "-created")?;
        let disk_id = data.disk_id("disk_id")?;
        let machine = data.get("vm").and_then(Value::as_str);
        let define = data.text("define");
        let is_left = |backup: &Backup| self.machines.iter().all(|it| it.uuid != backup.vm_uuid);
        let found = self.backups.iter().filter(|backup| {
            // Its name when it was backed up, and nothing else; an empty one means those that are gone.
            let is_its = match machine {
                None => true,
                Some("") => is_left(backup),
                Some(name) => backup.hostname == name,
            };
            backup.node == node
                && is_its
                && disk_id.is_none_or(|disk| disk == backup.disk_id)
                && define.is_none_or(|define| backup.define.as_deref() == Some(define))
        });
        Ok(self.listed_backups(user, found, &order, data, ListedFrom::Node))
    }

    fn listed_backups<'state>(
        &self,
        user: &AccountUser,
        found: impl Iterator<Item = &'state Backup>,
        order: &[(&str, bool)],
        data: &RequestData,
        from: ListedFrom,
    ) -> Value {
        let mut objects: Vec<Value> = found.map(|backup| self.backup(user, backup, from)).collect();
        sort(&mut objects, order);
        let wants = |name| data.flag(name).unwrap_or_default();
        let wants_objects = wants("full") || wants("extended");
        listed(objects, wants_objects, &[])
    }

    /// Shows one backup.
    pub(super) fn show_backup(
        &self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let subject = self.subject(user, dc, name.0, data);
        let backup = self.find_backup(&subject, name.1, data)?;
        Ok(self.backup(user, &backup, ListedFrom::Machine))
    }

    /// Begins to make a backup by a definition.
    pub(super) fn begin_backup(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<BegunTask, DanubeFailure> {
        let machine = self.admin_machine(user, dc, name.0)?;
        self.check_node_of(&machine)?;
        let at = self.find_definition(&machine, name.1, data)?;
        let definition = self.definitions.get(at).cloned();
        let definition = definition.ok_or_else(|| DanubeFailure::not_found("Backup definition"))?;
        let created = self.clock.date(std::time::Duration::ZERO);
        let bkpname = format!("{}-{}", definition.name, created.compact());
        let is_taken = |backup: &Backup| {
            (&backup.vm_uuid, backup.disk_id, &backup.name)
                == (&machine.uuid, definition.disk_id, &bkpname)
        };
        // In the same second.
        if self.backups.iter().any(is_taken) {
            return Err(DanubeFailure::new(406, "Backup already exists"));
        }
        let note = note(data)?;
        if self.datacenters.iter().any(|known| known.name == dc && known.is_full) {
            return Err(DanubeFailure::new(417, "DC backup size limit reached"));
        }
        machine.check_state()?;
        self.check_online(&definition.node)?;
        self.check_lock(&machine.uuid, definition.disk_id, machine.quirk)?;
        let disk_size = machine.disk(definition.disk_id, "disk_id")?.size;
        let backup = Backup {
            dc: machine.dc,
            hostname: machine.hostname.to_owned(),
            vm_uuid: machine.uuid.clone(),
            define: Some(definition.name.clone()),
            name: bkpname.clone(),
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
        let key = backup.key();
        self.backups.push(backup);
        Ok(self.begin(TaskPlan {
            user,
            dc,
            method: "POST",
            hostname: machine.hostname,
            disk_id: definition.disk_id,
            bkpname: &bkpname,
            machine: &machine.uuid,
            effect: TaskEffect::Create(key),
            fails: machine.quirk == MachineQuirk::Fails,
        }))
    }

    /// Changes the note of a backup.
    pub(super) fn annotate(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let subject = self.admin_subject(user, dc, name.0, data)?;
        let backup = self.find_backup(&subject, name.1, data)?;
        let note = note(data)?;
        let key = backup.key();
        let found = self.backups.iter_mut().find(|backup| backup.key() == key);
        let Some(found) = found else { return Err(DanubeFailure::not_found("Backup")) };
        found.note = note;
        let changed = found.clone();
        Ok(self.backup(user, &changed, ListedFrom::Machine))
    }

    /// Begins to put a backup in the place of a disk.
    pub(super) fn begin_restore(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<BegunTask, DanubeFailure> {
        let subject = self.admin_subject(user, dc, name.0, data)?;
        let backup = self.find_backup(&subject, name.1, data)?;
        let mut faults = FieldFaults::default();
        let target = data.text("target_hostname_or_uuid");
        if target.is_none() {
            faults.missing("target_hostname_or_uuid");
        }
        let disk_id = faults.number("target_disk_id", data, 1, 6);
        if disk_id.is_none() {
            // Whatever else is wrong with it was said first.
            faults.missing("target_disk_id");
        }
        let (Some(target), Some(disk_id), true) = (target, disk_id, faults.0.is_empty()) else {
            return Err(DanubeFailure::Invalid(faults.0));
        };
        check_usable(&backup)?;
        self.check_online(&backup.node)?;
        let target = self.machine(user, dc, target)?.clone();
        self.check_node_of(&target)?;
        if target.is_locked {
            return Err(DanubeFailure::new(423, "VM is locked"));
        }
        if target.brand != backup.brand && !(target.is_hvm() && is_hvm(backup.brand)) {
            return Err(DanubeFailure::new(428, "VM brand mismatch"));
        }
        let disk = target.disk(disk_id, "target_disk_id")?;
        if disk.size != backup.disk_size {
            return Err(DanubeFailure::new(428, "Disk size mismatch"));
        }
        if disk.snapshots > 0 && data.flag("force") == Some(false) {
            return Err(DanubeFailure::new(417, "VM has snapshots"));
        }
        if target.status != MachineStatus::Stopped {
            return Err(DanubeFailure::new(423, "VM is not stopped"));
        }
        if self.tasks.iter().any(|task| task.is_pending() && task.machine == target.uuid) {
            return Err(DanubeFailure::new(409, "VM has pending tasks"));
        }
        self.check_lock(&target.uuid, disk_id, target.quirk)?;
        self.set_status(&backup.key(), BackupStatus::Restore);
        Ok(self.begin(TaskPlan {
            user,
            dc,
            method: "PUT",
            hostname: target.hostname,
            disk_id,
            bkpname: &backup.name,
            machine: &target.uuid,
            effect: TaskEffect::Restore(backup.key(), disk_id),
            fails: target.quirk == MachineQuirk::Fails,
        }))
    }

    /// Begins to delete one backup; one that is lost already is deleted at once.
    pub(super) fn begin_delete(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Option<BegunTask>, DanubeFailure> {
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

    /// Begins to delete several backups of one disk. Names that are not there are passed over, and what
    /// is lost is deleted at once; `None` when nothing is left to do.
    pub(super) fn begin_delete_many(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: &str,
        data: &RequestData,
    ) -> Result<Option<BegunTask>, DanubeFailure> {
        let subject = self.admin_subject(user, dc, name, data)?;
        let names = data.get("bkpnames").and_then(Value::as_array);
        let names: Option<Vec<&str>> =
            names.and_then(|names| names.iter().map(Value::as_str).collect());
        let invalid = || DanubeFailure::new(412, "Invalid bkpnames");
        let names = names.filter(|names| !names.is_empty()).ok_or_else(invalid)?;
        data.disk_id("disk_id")?;
        let found = names.iter().filter_map(|name| self.find_backup(&subject, name, data).ok());
        let found: Vec<Backup> = found.collect();
        let Some(first) = found.first() else { return Err(DanubeFailure::not_found("Backup")) };
        if found.iter().any(|backup| backup.node != first.node) {
            return Err(invalid());
        }
        let (lost, found): (Vec<Backup>, Vec<Backup>) =
            found.into_iter().partition(|backup| backup.status == BackupStatus::Lost);
        found.iter().try_for_each(check_usable)?;
        let begun =
            if found.is_empty() { None } else { Some(self.delete_all(user, dc, &subject, found)?) };
        let lost: Vec<BackupKey> = lost.iter().map(Backup::key).collect();
        self.backups.retain(|backup| !lost.contains(&backup.key()));
        Ok(begun)
    }

    fn delete_all(
        &mut self,
        user: &AccountUser,
        dc: &str,
        subject: &BackupSubject,
        backups: Vec<Backup>,
    ) -> Result<BegunTask, DanubeFailure> {
        let Some(first) = backups.first().cloned() else {
            return Err(DanubeFailure::not_found("Backup"));
        };
        self.check_online(&first.node)?;
        let quirk = match subject {
            BackupSubject::Machine(machine) => machine.quirk,
            BackupSubject::Named { .. } => MachineQuirk::None,
        };
        self.check_lock(&first.vm_uuid, first.disk_id, quirk)?;
        let names: Vec<&str> = backups.iter().map(|backup| backup.name.as_str()).collect();
        let names = names.join(",");
        for backup in &backups {
            self.set_status(&backup.key(), BackupStatus::Pending);
        }
        Ok(self.begin(TaskPlan {
            user,
            dc,
            method: "DELETE",
            hostname: &first.hostname,
            disk_id: first.disk_id,
            bkpname: &names,
            machine: &first.vm_uuid,
            effect: TaskEffect::Delete(backups.iter().map(Backup::key).collect()),
            fails: quirk == MachineQuirk::Fails,
        }))
    }

    fn admin_subject(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
        data: &RequestData,
    ) -> Result<BackupSubject, DanubeFailure> {
        if !user.is_admin(dc) {
            return Err(DanubeFailure::forbidden());
        }
        Ok(self.subject(user, dc, name, data))
    }

    fn find_backup(
        &self,
        subject: &BackupSubject,
        name: &str,
        data: &RequestData,
    ) -> Result<Backup, DanubeFailure> {
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        let found = self
            .backups
            .iter()
            .find(|backup| subject.has(backup) && backup.name == name && backup.disk_id == disk_id);
        found.cloned().ok_or_else(|| DanubeFailure::not_found("Backup"))
    }

    fn backup(&self, user: &AccountUser, backup: &Backup, from: ListedFrom) -> Value {
        let machine = self.machines.iter().find(|machine| machine.uuid == backup.vm_uuid);
        let (kind, end) = if backup.kind == 1 { ("ds", "") } else { ("file", ".full.zfs") };
        let file_path = format!(
            "{}/backups/{kind}/{}-disk{}@is-{}{end}",
            backup.zpool,
            backup.vm_uuid,
            backup.disk_id.saturating_sub(1),
            backup.created.0 % 100_000
        );
        let mut shown = json!({
            "hostname": backup.hostname,
            "vm_uuid": machine.map(|machine| &machine.uuid),
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
        });
        if let (ListedFrom::Node, Some(shown)) = (from, shown.as_object_mut()) {
            shown.insert("dc".to_owned(), backup.dc.into());
        }
        shown
    }
}

fn check_usable(backup: &Backup) -> Result<(), DanubeFailure> {
    if backup.status == BackupStatus::Ok {
        return Ok(());
    }
    Err(DanubeFailure::new(417, "VM backup status is not OK"))
}

/// Reads a note; null is an empty one.
fn note(data: &RequestData) -> Result<String, DanubeFailure> {
    let mut faults = FieldFaults::default();
    let note = faults.text("note", data).unwrap_or_default();
    if faults.0.is_empty() { Ok(note) } else { Err(DanubeFailure::Invalid(faults.0)) }
}

/// What backups can be sorted by.
const ORDER: &[&str] = &["name", "created", "hostname", "disk_id", "time", "size"];
