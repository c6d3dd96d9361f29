//! Definitions of backups: what is backed up when, and how many backups are kept.

use serde_json::{Value, json};

use super::data::{RequestData, listed, order, sort};
use super::failure::DanubeFailure;
use super::fields::FieldFaults;
use super::records::{BackupDefinition, VirtualMachine};
use super::state::DanubeState;
use super::users::AccountUser;

/// Which definitions a list is about.
pub(super) enum DefinitionScope<'name> {
    Datacenter,
    Machine(&'name str),
    Node(&'name str),
}

/// What becomes of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DefinitionEdit {
    /// It is made.
    New,
    /// It is there, and changes.
    Known,
}

/// How much of a definition is shown.
#[derive(Debug, Clone, Copy)]
enum DefinitionDetail {
    Usual,
    /// How many backups it has as well.
    Extended,
}

impl DefinitionDetail {
    const fn of(is_extended: bool) -> Self {
        if is_extended { Self::Extended } else { Self::Usual }
    }
}

impl DanubeState {
    /// Lists definitions: names, or objects when these are asked for.
    pub(super) fn list_definitions(
        &self,
        user: &AccountUser,
        dc: &str,
        scope: &DefinitionScope<'_>,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let order = order(data, &["name", "disk_id", "hostname", "created"], "hostname,-created")?;
        let mut disk_id = None;
        if let DefinitionScope::Machine(name) = scope {
            let machine = self.machine(user, dc, name)?;
            disk_id = data.disk_id("disk_id")?;
            if let Some(disk) = disk_id {
                machine.disk(disk, "disk_id")?;
            }
        }
        let is_in = |definition: &&BackupDefinition| {
            let machine = self.machines.iter().find(|it| it.uuid == definition.vm_uuid);
            let Some(machine) = machine else { return false };
            let fits = match scope {
                DefinitionScope::Datacenter => machine.dc == dc,
                DefinitionScope::Machine(name) => {
                    machine.dc == dc && (machine.hostname == *name || machine.uuid == *name)
                }
                DefinitionScope::Node(node) => definition.node == *node,
            };
            fits && (user.is_admin(dc) || machine.owner == user.name)
                && disk_id.is_none_or(|disk| disk == definition.disk_id)
        };
        let found = self.definitions.iter().filter(is_in);
        // Unlike that of one definition it is read as a boolean.
        let is_extended = data.flag("extended").unwrap_or_default();
        let detail = DefinitionDetail::of(is_extended);
        let mut objects: Vec<Value> = found
            .map(|definition| {
                let mut shown = self.definition(user, definition, detail);
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("created".to_owned(), definition.created.iso().into());
                }
                shown
            })
            .collect();
        sort(&mut objects, &order);
        let wants_objects = data.flag("full").unwrap_or_default() || is_extended;
        Ok(listed(objects, wants_objects, &["created"]))
    }

    /// Shows one definition.
    pub(super) fn show_definition(
        &self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let machine = self.machine(user, dc, name.0)?;
        let at = self.find_definition(machine, name.1, data)?;
        let found = self.definitions.get(at).ok_or_else(not_found)?;
        let is_extended = data.is_set("extended");
        let detail = DefinitionDetail::of(is_extended);
        Ok(self.definition(user, found, detail))
    }

    /// Makes a definition.
    pub(super) fn define(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let machine = self.machine_to_define(user, dc, name.0)?;
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        machine.disk(disk_id, "disk_id")?;
        if self.find_definition(&machine, name.1, data).is_ok() {
            return Err(DanubeFailure::new(406, "Backup definition already exists"));
        }
        let usual = self.usual(name.1);
        let mut definition = BackupDefinition {
            vm_uuid: machine.uuid.clone(),
            name: name.1.to_owned(),
            disk_id,
            kind: 1,
            node: String::new(),
            zpool: "zones".to_owned(),
            desc: String::new(),
            bwlimit: None,
            active: true,
            schedule: usual.as_ref().map(|(schedule, _)| schedule.clone()).unwrap_or_default(),
            retention: usual.as_ref().map_or(0, |(_, retention)| *retention),
            compression: 0,
            fsfreeze: false,
            created: self.clock.date(std::time::Duration::ZERO),
        };
        let mut faults = FieldFaults::default();
        faults.name("name", name.1, 8);
        if !data.has("node") {
            faults.missing("node");
        }
        for field in ["schedule", "retention"] {
            if usual.is_none() && !data.has(field) {
                faults.missing(field);
            }
        }
        self.change(&mut definition, &machine, data, DefinitionEdit::New, &mut faults);
        let is_its = |it: &&BackupDefinition| it.vm_uuid == machine.uuid && it.disk_id == disk_id;
        let most = self.limits(dc).map(|limits| limits.definitions);
        if most.is_some_and(|most| self.definitions.iter().filter(is_its).count() >= most) {
            faults.add("non_field_errors", "Maximum number of backup definitions reached.");
        }
        if !faults.0.is_empty() {
            return Err(DanubeFailure::Invalid(faults.0));
        }
        let shown = self.definition(user, &definition, DefinitionDetail::Usual);
        self.definitions.push(definition);
        Ok(shown)
    }

    /// Returns the schedule and the retention that come with some names.
    fn usual(&mut self, name: &str) -> Option<(String, u64)> {
        let minute = self.generator.below(60);
        let hour = self.generator.below(24);
        match name {
            "hourly" => Some((format!("{minute} * * * *"), 24)),
            "daily" => Some((format!("{minute} {hour} * * *"), 30)),
            "weekly" => Some((format!("{minute} {hour} * * {}", self.generator.below(7)), 12)),
            "monthly" => {
                let day = 1 + self.generator.below(28);
                Some((format!("{minute} {hour} {day} * *"), 6))
            }
            _ => None,
        }
    }

    /// Changes a definition.
    pub(super) fn redefine(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let machine = self.machine_to_define(user, dc, name.0)?;
        let at = self.find_definition(&machine, name.1, data)?;
        let mut definition = self.definitions.get(at).cloned().ok_or_else(not_found)?;
        let mut faults = FieldFaults::default();
        self.change(&mut definition, &machine, data, DefinitionEdit::Known, &mut faults);
        if !faults.0.is_empty() {
            return Err(DanubeFailure::Invalid(faults.0));
        }
        let shown = self.definition(user, &definition, DefinitionDetail::Usual);
        if let Some(place) = self.definitions.get_mut(at) {
            *place = definition;
        }
        Ok(shown)
    }

    /// Deletes a definition; its backups stay.
    pub(super) fn undefine(
        &mut self,
        user: &AccountUser,
        dc: &str,
        name: (&str, &str),
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        let machine = self.machine_to_define(user, dc, name.0)?;
        let at = self.find_definition(&machine, name.1, data)?;
        let gone = self.definitions.remove(at);
        for backup in &mut self.backups {
            if backup.vm_uuid == gone.vm_uuid
                && backup.disk_id == gone.disk_id
                && backup.define.as_ref() == Some(&gone.name)
            {
                backup.define = None;
            }
        }
        Ok(Value::Null)
    }

    /// Finds a machine for somebody who changes something: an administrator.
    pub(super) fn admin_machine(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
    ) -> Result<VirtualMachine, DanubeFailure> {
        if !user.is_admin(dc) {
            return Err(DanubeFailure::forbidden());
        }
        self.machine(user, dc, name).cloned()
    }

    /// Finds a machine whose definitions can be changed: it is there, and so is its node.
    fn machine_to_define(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
    ) -> Result<VirtualMachine, DanubeFailure> {
        let machine = self.admin_machine(user, dc, name)?;
        machine.check_state()?;
        self.check_node_of(&machine)?;
        Ok(machine)
    }

    /// Finds a definition by its name and its disk, the first unless another is named.
    pub(super) fn find_definition(
        &self,
        machine: &VirtualMachine,
        name: &str,
        data: &RequestData,
    ) -> Result<usize, DanubeFailure> {
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        machine.disk(disk_id, "disk_id")?;
        let found = self
            .definitions
            .iter()
            .position(|it| it.vm_uuid == machine.uuid && it.name == name && it.disk_id == disk_id);
        found.ok_or_else(not_found)
    }

    /// Takes over what the parameters say; what does not fit goes to `faults`.
    fn change(
        &self,
        definition: &mut BackupDefinition,
        machine: &VirtualMachine,
        data: &RequestData,
        edit: DefinitionEdit,
        faults: &mut FieldFaults,
    ) {
        // What is there and empty is not there, where something has to be.
        let is_blank = |value: &Value| value.is_null() || value.as_str() == Some("");
        for field in ["node", "schedule", "retention"] {
            if data.get(field).is_some_and(is_blank) {
                faults.missing(field);
            }
        }
        if let Some(node) = data.text("node") {
            // It may be down.
            match self.node(node).filter(|node| node.is_backup) {
                Some(node) => node.hostname.clone_into(&mut definition.node),
                None => faults.add("node", format!("Object with hostname={node} does not exist.")),
            }
        }
        if let Some(schedule) = data.text("schedule") {
            faults.schedule("schedule", schedule);
            schedule.clone_into(&mut definition.schedule);
        }
        let (least, most) = match self.limits(machine.dc) {
            Some(limits) => (1, limits.backups),
            None => (0, 65_536),
        };
        if let Some(retention) = faults.number("retention", data, least, most) {
            definition.retention = retention;
        }
        if let Some(compression) = faults.choice("compression", data, 0, 3) {
            definition.compression = compression;
        }
        // Read-only once there is a definition.
        if edit == DefinitionEdit::New
            && let Some(kind) = faults.choice("type", data, 1, 2)
        {
            definition.kind = kind;
        }
        if data.has("bwlimit") {
            definition.bwlimit = faults.number("bwlimit", data, 0, 2_147_483_647);
        }
        if let Some(zpool) = data.text("zpool") {
            let node = self.node(&definition.node);
            if node.is_some_and(|node| !node.zpools.contains(&zpool)) {
                faults.add("zpool", "Zpool does not exist on node.");
            }
            zpool.clone_into(&mut definition.zpool);
        }
        if let Some(desc) = faults.text("desc", data) {
            definition.desc = desc;
        }
        if let Some(active) = data.flag("active") {
            definition.active = active;
        }
        if let Some(fsfreeze) = data.flag("fsfreeze") {
            definition.fsfreeze = fsfreeze && machine.is_hvm();
        }
    }

    fn definition(
        &self,
        user: &AccountUser,
        definition: &BackupDefinition,
        detail: DefinitionDetail,
    ) -> Value {
        let machine = self.machines.iter().find(|it| it.uuid == definition.vm_uuid);
        let dc = machine.map_or("", |machine| machine.dc);
        let mut shown = json!({
            "hostname": machine.map(|machine| machine.hostname),
            "vm_uuid": definition.vm_uuid,
            "dc": dc,
            "name": definition.name,
            "disk_id": definition.disk_id,
            "type": definition.kind,
            "node": self.node_for(user, dc, &definition.node),
            "zpool": definition.zpool,
            "desc": definition.desc,
            "bwlimit": definition.bwlimit,
            "active": definition.active,
            "schedule": definition.schedule,
            "retention": definition.retention,
            "compression": definition.compression,
            "fsfreeze": definition.fsfreeze,
        });
        if let (DefinitionDetail::Extended, Some(shown)) = (detail, shown.as_object_mut()) {
            let count = self.backups.iter().filter(|backup| {
                backup.vm_uuid == definition.vm_uuid
                    && backup.disk_id == definition.disk_id
                    && backup.define.as_ref() == Some(&definition.name)
            });
            shown.insert("backups".to_owned(), count.count().into());
        }
        shown
    }
}

fn not_found() -> DanubeFailure {
    DanubeFailure::not_found("Backup definition")
}
