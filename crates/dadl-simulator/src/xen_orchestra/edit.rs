//! Changes and deletions: `PATCH`, `DELETE`, and the `PUT`s of tags and memberships. All of
//! them answer 204 without a body.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::app::{XenApp, XenCall};
use super::create::check_privilege;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::state::XenState;
use super::{disks, machines};
use crate::server::HttpReply;

impl XenApp {
    /// Changes something and answers without a body.
    pub(super) fn edit(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let mut state = self.state();
        let segments = call.operation.segments();
        let kind = segments.first().and_then(|collection| XenKind::from_collection(collection));
        let kind = kind.ok_or_else(|| XenFailure::unexpected("no such collection"))?;
        let (id, inner) = (call.capture(0), call.capture(1));
        let adds = call.operation.method == Method::PUT;
        match (segments.as_slice(), adds) {
            ([_, _, "tags", _], true) => state.store.link(kind, id, "tags", inner),
            ([_, _, "tags", _], false) => state.store.unlink(kind, id, "tags", inner),
            ([_, _, "stats", ..], _) => {}
            ([_, _, relation, _], _) => state.change_membership(kind, id, relation, inner, adds)?,
            ([_], _) => state.delete_tasks(),
            _ if call.operation.method == Method::PATCH => state.patch(kind, id, &call.body)?,
            _ => state.delete(kind, id)?,
        }
        drop(state);
        if kind == XenKind::Task {
            // Whoever waits for a task that is gone must learn so.
            self.ended.send_replace(());
        }
        Ok(HttpReply::empty(StatusCode::NO_CONTENT))
    }
}

impl XenState {
    fn change_membership(
        &mut self,
        owner: XenKind,
        id: &str,
        relation: &str,
        member: &str,
        adds: bool,
    ) -> Result<(), XenFailure> {
        let (member_kind, list, back) = match (owner, relation) {
            (XenKind::Group, _) => (XenKind::User, "users", "groups"),
            (_, "users") => (XenKind::User, "userIds", ""),
            _ => (XenKind::Group, "groupIds", "aclRoleIds"),
        };
        self.store.find(member_kind, member)?;
        let present = self.store.get(owner, id).is_some_and(|object| object.lists(list, member));
        let relation_name = if relation == "users" { "userRole" } else { "groupRole" };
        if owner == XenKind::AclRole && adds && present {
            return Err(XenFailure::exists(relation_name, Some(&self.store.generator.uuid())));
        }
        if owner == XenKind::AclRole && !adds && !present {
            let name = if relation == "users" { "userId" } else { "groupId" };
            let pair = format!("{name}:{member} and roleId:{id}");
            return Err(XenFailure::no_such_type(relation_name, &pair));
        }
        if adds {
            self.store.link(owner, id, list, member);
        } else {
            self.store.unlink(owner, id, list, member);
        }
        match (back, adds) {
            ("", _) => {}
            (back, true) => self.store.link(member_kind, member, back, id),
            (back, false) => self.store.unlink(member_kind, member, back, id),
        }
        Ok(())
    }

    fn delete_tasks(&mut self) {
        let ended = self.store.all(XenKind::Task).filter(|task| task.1.text("status") != "pending");
        let ended: Vec<String> = ended.map(|task| task.0.to_owned()).collect();
        for id in ended {
            self.store.remove(XenKind::Task, &id);
        }
    }

    fn delete(&mut self, kind: XenKind, id: &str) -> Result<(), XenFailure> {
        let object = self.store.find(kind, id)?.clone();
        let blocked = object.get("blockedOperations").and_then(|blocked| blocked.get("destroy"));
        if let Some(reason) = blocked {
            return Err(XenFailure::blocked("destroy", reason.as_str().unwrap_or("true")));
        }
        let store = &mut self.store;
        match kind {
            XenKind::AclPrivilege => {
                store.remove(kind, id);
                store.unlink(XenKind::AclRole, object.text("roleId"), "privilegeIds", id);
            }
            XenKind::AclRole => {
                refuse_built_in(&object, "delete")?;
                for privilege in object.list("privilegeIds") {
                    store.remove(XenKind::AclPrivilege, &privilege);
                }
                for group in object.list("groupIds") {
                    store.unlink(XenKind::Group, &group, "aclRoleIds", id);
                }
                store.remove(kind, id);
            }
            XenKind::Group => {
                for user in object.list("users") {
                    store.unlink(XenKind::User, &user, "groups", id);
                }
                for role in object.list("aclRoleIds") {
                    store.unlink(XenKind::AclRole, &role, "groupIds", id);
                }
                store.remove(kind, id);
            }
            XenKind::Network if !object.list("VIFs").is_empty() => {
                let interface = object.list("VIFs").pop().unwrap_or_default();
                let reference = store.get(XenKind::Vif, &interface).map(|vif| vif.text("_xapiRef"));
                let parameters = [reference.unwrap_or_default()];
                return Err(XenFailure::xapi("NETWORK_CONTAINS_VIF", &parameters));
            }
            XenKind::Network => {
                for port in object.list("PIFs") {
                    if let Some(port) = store.remove(XenKind::Pif, &port) {
                        store.unlink(XenKind::Host, port.text("$host"), "PIFs", port.text("id"));
                        store.unlink(XenKind::Host, port.text("$host"), "$PIFs", port.text("id"));
                    }
                }
                store.remove(kind, id);
            }
            XenKind::Sr => disks::remove_storage(store, id),
            XenKind::User => self.delete_user(&object, id),
            XenKind::Vbd => disks::remove_connection(store, id),
            XenKind::Vdi | XenKind::VdiSnapshot => disks::remove_disk(store, kind, id),
            XenKind::Vif => {
                store.unlink(XenKind::Vm, object.text("$VM"), "VIFs", id);
                store.unlink(XenKind::Network, object.text("$network"), "VIFs", id);
                store.remove(kind, id);
            }
            XenKind::VmTemplate if object.get("isDefaultTemplate") == Some(&Value::Bool(true)) => {
                let uuid = object.text("uuid");
                return Err(XenFailure::incorrect_state(uuid, "isDefaultTemplate", false, true));
            }
            // One that runs is shut down hard first.
            XenKind::Vm | XenKind::VmSnapshot | XenKind::VmTemplate => {
                machines::remove(store, kind, id)
            }
            _ => {
                store.remove(kind, id);
            }
        }
        Ok(())
    }

    fn delete_user(&mut self, user: &XenObject, id: &str) {
        let store = &mut self.store;
        for group in user.list("groups") {
            store.unlink(XenKind::Group, &group, "users", id);
        }
        let roles: Vec<String> =
            store.all(XenKind::AclRole).map(|role| role.0.to_owned()).collect();
        for role in roles {
            store.unlink(XenKind::AclRole, &role, "userIds", id);
        }
        store.remove(XenKind::User, id);
        self.accounts.passwords.remove(id);
        self.accounts.tokens.retain(|token| token.text("user_id") != id);
    }

    fn patch(&mut self, kind: XenKind, id: &str, body: &XenObject) -> Result<(), XenFailure> {
        let object = self.store.find(kind, id)?.clone();
        match kind {
            XenKind::Vm => {
                // There are no resource sets here.
                if let Some(set) = body.get("resourceSet").and_then(Value::as_str) {
                    return Err(XenFailure::no_such_type("resourceSet", set));
                }
                self.store.update(kind, id, |machine| patch_machine(machine, body));
                return Ok(());
            }
            XenKind::Vdi => {
                let size = body.get("size").and_then(Value::as_u64);
                let present = object.number("size");
                if let Some(size) = size.filter(|size| *size < present) {
                    return Err(XenFailure::unprocessable(&format!(
                        "cannot set new size ({size}) below the current size ({present})"
                    )));
                }
            }
            XenKind::AclRole => refuse_built_in(&object, "update")?,
            XenKind::AclPrivilege => {
                let resource = body.get("resource").or(object.get("resource"));
                let action = body.get("action").or(object.get("action"));
                let text = |value: Option<&Value>| {
                    value.and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                check_privilege(&text(resource), &text(action), body)?;
            }
            XenKind::Group | XenKind::User => {
                let taken = body.get("name").and_then(Value::as_str);
                let taken = taken.and_then(|name| self.find_named(kind, name));
                if let Some(other) = taken.filter(|other| other != id) {
                    return Err(XenFailure::exists(kind.type_name(), Some(&other)));
                }
            }
            _ => {}
        }
        if let Some(password) = body.get("password").and_then(Value::as_str) {
            self.accounts.passwords.insert(id.to_owned(), password.to_owned());
        }
        self.store.update(kind, id, |object| {
            for (name, value) in body {
                match (name.as_str(), value) {
                    ("password", _) => {}
                    (_, Value::Null) => {
                        object.shift_remove(name);
                    }
                    _ => {
                        object.insert(name.clone(), value.clone());
                    }
                }
                if kind == XenKind::User && name == "name" {
                    object.insert("email".to_owned(), value.clone());
                }
            }
        });
        Ok(())
    }
}

/// Changes a VM. The names in the body are those of XO's old API, not those of the object.
fn patch_machine(machine: &mut XenObject, body: &XenObject) {
    for (name, value) in body {
        match name.as_str() {
            "cpus" => {
                let number = value.as_f64().unwrap_or(1.0) as u64;
                let max = machine.get("CPUs").and_then(|cpus| cpus.get("max"));
                let max = max.and_then(Value::as_u64).unwrap_or(number).max(number);
                machine.insert("CPUs".to_owned(), json!({"max": max, "number": number}));
            }
            "memory" | "memoryMax" | "memoryStaticMax" => {
                let size = bytes(value);
                let memory = json!({
                    "dynamic": [size, size], "static": [size / 2, size], "size": size,
                });
                machine.insert("memory".to_owned(), memory);
            }
            _ => {
                let shown = match name.as_str() {
                    "nameLabel" => "name_label",
                    "nameDescription" => "name_description",
                    "autoPoweron" => "auto_poweron",
                    "highAvailability" => "high_availability",
                    "nestedVirt" => "isNestedVirtEnabled",
                    same => same,
                };
                if value.is_null() {
                    machine.shift_remove(shown);
                } else {
                    machine.insert(shown.to_owned(), value.clone());
                }
            }
        }
    }
}

/// Reads a size in bytes, or a text such as `4GiB`.
fn bytes(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_default();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().trim_end_matches(['i', 'B', 'b']) {
        "K" | "k" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1_u64 << 40,
        _ => 1,
    };
    let number = value.as_f64().or_else(|| number.parse().ok()).unwrap_or_default();
    (number * factor as f64) as u64
}

fn refuse_built_in(role: &XenObject, verb: &str) -> Result<(), XenFailure> {
    if role.get("isTemplate") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    Err(XenFailure::forbidden(&format!("{verb} ACL V2 role"), "role is a template"))
}
