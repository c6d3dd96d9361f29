//! Definitions of backups: what is backed up when, and how many backups are kept.

use serde_json::{Map, Value, json};

use super::accounts::User;
use super::data::{Data, order, sort};
use super::failure::Failure;
use super::state::{Machine, State};
use crate::simulator::core::Date;

/// One definition.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) vm_uuid: String,
    pub(super) name: String,
    pub(super) disk_id: u64,
    /// 1 dataset, 2 file.
    pub(super) kind: u64,
    pub(super) node: String,
    pub(super) zpool: String,
    pub(super) desc: String,
    /// Bytes per second.
    pub(super) bwlimit: Option<u64>,
    pub(super) active: bool,
    pub(super) schedule: String,
    pub(super) retention: u64,
    /// 0 none, 1 gzip, 2 bzip2, 3 xz.
    pub(super) compression: u64,
    pub(super) fsfreeze: bool,
    pub(super) created: Date,
}

/// Which definitions a list is about.
pub(super) enum Scope<'name> {
    Datacenter,
    Machine(&'name str),
    Node(&'name str),
}

impl State {
    /// Lists definitions: names, or objects when these are asked for.
    pub(super) fn list_definitions(
        &self,
        user: &User,
        dc: &str,
        scope: &Scope<'_>,
        data: &Data,
    ) -> Result<Value, Failure> {
        let usual = match scope {
            Scope::Machine(_) | Scope::Datacenter | Scope::Node(_) => "hostname,-created",
        };
        let order = order(data, &["name", "disk_id", "hostname", "created"], usual)?;
        let disk_id = match scope {
            Scope::Machine(_) => data.disk_id("disk_id")?,
            Scope::Datacenter | Scope::Node(_) => None,
        };
        if let Scope::Machine(name) = scope {
            self.machine(user, dc, name)?;
        }
        let is_in = |definition: &&Definition| {
            let machine = self.machines.iter().find(|it| it.uuid == definition.vm_uuid);
            let Some(machine) = machine else { return false };
            let fits = match scope {
                Scope::Datacenter => machine.dc == dc,
                Scope::Machine(name) => {
                    machine.dc == dc && (machine.hostname == *name || machine.uuid == *name)
                }
                Scope::Node(node) => definition.node == *node,
            };
            fits && (user.is_admin(dc) || machine.owner == user.name)
                && disk_id.is_none_or(|disk| disk == definition.disk_id)
        };
        let found = self.definitions.iter().filter(is_in);
        let mut objects: Vec<Value> = found
            .map(|definition| {
                let mut shown = self.definition(user, definition, data.is_set("extended"));
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("created".to_owned(), definition.created.iso().into());
                }
                shown
            })
            .collect();
        sort(&mut objects, &order);
        let wants_objects = data.flag("full")?.unwrap_or_default() || data.is_set("extended");
        Ok(listed(objects, wants_objects, &["created"]))
    }

    /// Shows one definition.
    pub(super) fn show_definition(
        &self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let machine = self.machine(user, dc, name.0)?;
        let at = self.find_definition(machine, name.1, data)?;
        let found = self.definitions.get(at).ok_or_else(not_found)?;
        Ok(self.definition(user, found, data.is_set("extended")))
    }

    /// Makes a definition.
    pub(super) fn define(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let machine = self.admin_machine(user, dc, name.0)?;
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        machine.disk(disk_id, "disk_id")?;
        if self.find_definition(&machine, name.1, data).is_ok() {
            return Err(Failure::new(406, "Backup definition already exists"));
        }
        let usual = PRESETS.iter().find(|preset| preset.0 == name.1);
        let minute = self.generator.below(60);
        let (schedule, retention) = match usual {
            Some((_, schedule, retention)) => {
                (schedule.replace('M', &minute.to_string()), *retention)
            }
            None => (String::new(), 0),
        };
        let mut definition = Definition {
            vm_uuid: machine.uuid.clone(),
            name: name.1.to_owned(),
            disk_id,
            kind: 1,
            node: String::new(),
            zpool: "zones".to_owned(),
            desc: String::new(),
            bwlimit: None,
            active: true,
            schedule,
            retention,
            compression: 0,
            fsfreeze: false,
            created: self.clock.date(std::time::Duration::ZERO),
        };
        let mut errors = Map::new();
        if name.1.len() > 8 {
            let text =
                format!("Ensure this value has at most 8 characters (it has {}).", name.1.len());
            errors.insert("name".to_owned(), json!([text]));
        }
        let mut required = vec!["node"];
        if usual.is_none() {
            required.extend(["schedule", "retention"]);
        }
        for field in required {
            if data.get(field).is_none_or(Value::is_null) {
                errors.insert(field.to_owned(), json!(["This field is required."]));
            }
        }
        self.change(&mut definition, &machine, data, true, &mut errors);
        if !errors.is_empty() {
            return Err(Failure::Invalid(errors));
        }
        let shown = self.definition(user, &definition, false);
        self.definitions.push(definition);
        Ok(shown)
    }

    /// Changes a definition.
    pub(super) fn redefine(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let machine = self.admin_machine(user, dc, name.0)?;
        let at = self.find_definition(&machine, name.1, data)?;
        let mut definition = self.definitions.get(at).cloned().ok_or_else(not_found)?;
        let mut errors = Map::new();
        self.change(&mut definition, &machine, data, false, &mut errors);
        if !errors.is_empty() {
            return Err(Failure::Invalid(errors));
        }
        let shown = self.definition(user, &definition, false);
        if let Some(place) = self.definitions.get_mut(at) {
            *place = definition;
        }
        Ok(shown)
    }

    /// Deletes a definition; its backups stay.
    pub(super) fn undefine(
        &mut self,
        user: &User,
        dc: &str,
        name: (&str, &str),
        data: &Data,
    ) -> Result<Value, Failure> {
        let machine = self.admin_machine(user, dc, name.0)?;
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
        user: &User,
        dc: &str,
        name: &str,
    ) -> Result<Machine, Failure> {
        if !user.is_admin(dc) {
            return Err(Failure::forbidden());
        }
        self.machine(user, dc, name).cloned()
    }

    /// Finds a definition by its name and its disk, the first unless another is named.
    pub(super) fn find_definition(
        &self,
        machine: &Machine,
        name: &str,
        data: &Data,
    ) -> Result<usize, Failure> {
        let disk_id = data.disk_id("disk_id")?.unwrap_or(1);
        machine.disk(disk_id, "disk_id")?;
        let found = self
            .definitions
            .iter()
            .position(|it| it.vm_uuid == machine.uuid && it.name == name && it.disk_id == disk_id);
        found.ok_or_else(not_found)
    }

    /// Takes over what the parameters say; what does not fit goes to `errors`.
    fn change(
        &self,
        definition: &mut Definition,
        machine: &Machine,
        data: &Data,
        is_new: bool,
        errors: &mut Map<String, Value>,
    ) {
        let mut refuse = |field: &str, text: String| {
            errors.entry(field).or_insert_with(|| json!([text]));
        };
        if let Some(node) = data.text("node") {
            match self.node(node) {
                Some(node) if node.is_online => definition.node = node.hostname.to_owned(),
                Some(_) => refuse("node", "Node is not operational.".to_owned()),
                None => refuse("node", format!("Object with hostname={node} does not exist.")),
            }
        }
        if let Some(schedule) = data.text("schedule") {
            if is_cron(schedule) {
                schedule.clone_into(&mut definition.schedule);
            } else {
                refuse("schedule", "Invalid cron schedule.".to_owned());
            }
        }
        let mut number =
            |field: &str, least: u64, most: u64, place: &mut u64| match data.number(field) {
                Ok(None) => {}
                Ok(Some(number)) if (least..=most).contains(&number) => *place = number,
                Ok(Some(number)) if field == "retention" => {
                    let end = if number < least {
                        "greater than or equal to"
                    } else {
                        "less than or equal to"
                    };
                    let bound = if number < least { least } else { most };
                    refuse(field, format!("Ensure this value is {end} {bound}."));
                }
                Ok(Some(number)) => refuse(
                    field,
                    format!("Select a valid choice. {number} is not one of the available choices."),
                ),
                Err(_) => refuse(field, "Enter a whole number.".to_owned()),
            };
        number("retention", 0, 65_536, &mut definition.retention);
        number("compression", 0, 3, &mut definition.compression);
        // Read-only once there is a definition.
        if is_new {
            number("type", 1, 2, &mut definition.kind);
        }
        match data.get("bwlimit") {
            None => {}
            Some(Value::Null) => definition.bwlimit = None,
            Some(value) => match value.as_u64() {
                Some(limit) => definition.bwlimit = Some(limit),
                None => refuse("bwlimit", "Enter a whole number.".to_owned()),
            },
        }
        if let Some(zpool) = data.text("zpool") {
            zpool.clone_into(&mut definition.zpool);
        }
        change_rest(definition, machine, data, errors);
    }

    fn definition(&self, user: &User, definition: &Definition, is_extended: bool) -> Value {
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
        if let (true, Some(shown)) = (is_extended, shown.as_object_mut()) {
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

/// Makes the answer of a list: names unless objects are wanted, without what only sorts them.
pub(super) fn listed(objects: Vec<Value>, wants_objects: bool, hidden: &[&str]) -> Value {
    objects
        .into_iter()
        .map(|mut object| {
            if !wants_objects {
                return object.get("name").cloned().unwrap_or_default();
            }
            if let Some(members) = object.as_object_mut() {
                members.retain(|name, _| !hidden.contains(&name.as_str()));
            }
            object
        })
        .collect()
}

/// Says that a text has too many characters.
pub(super) fn too_long(text: &str) -> String {
    format!("Ensure this value has at most 128 characters (it has {}).", text.chars().count())
}

fn not_found() -> Failure {
    Failure::not_found("Backup definition")
}

/// Says whether a text looks like five fields of cron.
fn is_cron(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let is_field = |field: &&str| {
        field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/'))
    };
    fields.len() == 5 && fields.iter().all(is_field)
}

/// Names that have a schedule of their own; `M` is a random minute.
const PRESETS: [(&str, &str, u64); 4] = [
    ("hourly", "M * * * *", 24),
    ("daily", "M 4 * * *", 30),
    ("weekly", "M 4 * * 6", 12),
    ("monthly", "M 4 1 * *", 6),
];

/// Takes over the description and the flags.
fn change_rest(
    definition: &mut Definition,
    machine: &Machine,
    data: &Data,
    errors: &mut Map<String, Value>,
) {
    let mut refuse = |field: &str, text: String| {
        errors.entry(field).or_insert_with(|| json!([text]));
    };
    match data.get("desc") {
        Some(Value::String(desc)) if desc.chars().count() > 128 => {
            refuse("desc", too_long(desc));
        }
        Some(Value::String(desc)) => desc.clone_into(&mut definition.desc),
        _ => {}
    }
    for (field, place) in
        [("active", &mut definition.active), ("fsfreeze", &mut definition.fsfreeze)]
    {
        match data.flag(field) {
            Ok(Some(value)) => *place = value,
            Ok(None) => {}
            Err(_) => refuse(field, "Enter a valid boolean.".to_owned()),
        }
    }
    if definition.fsfreeze && machine.brand != "kvm" {
        refuse(
            "fsfreeze",
            "Filesystem freeze is available for HVM virtual machines only.".to_owned(),
        );
    }
}
