//! `POST` on collections: new users, groups, disks, connections and so on.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::privileges;
use super::seed::{add_interface, insert_in_pool};
use super::state::XenState;
use crate::server::HttpReply;

impl XenApp {
    /// Adds an object and answers with its identifier.
    pub(super) fn create(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let mut state = self.state();
        let body = &call.body;
        let id = match call.operation.path {
            "/acl-privileges" => state.create_privilege(body)?,
            "/acl-roles" => state.create_role(body),
            "/backup-repositories" => state.create_repository(body),
            "/groups" => state.create_group(body)?,
            "/servers" => state.create_server(body)?,
            "/srs" => state.create_storage(body)?,
            "/users" => state.create_user(body)?,
            "/vbds" => state.create_connection(body)?,
            "/vdis" => state.create_disk(body)?,
            _ => state.create_interface(body)?,
        };
        Ok(HttpReply::json(StatusCode::CREATED, &json!({"id": id})))
    }
}

impl XenState {
    /// Looks up what a body for a pool names, which XO does before it looks at the body's shape: to
    /// find out whether the user may have it.
    pub(super) fn check_named(&self, action: &str, body: &Value) -> Result<(), XenFailure> {
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let seen = |kind, id: Option<String>| match &id {
            Some(id) if self.store.seen(kind, id).is_some() => Ok(()),
            id => Err(XenFailure::no_such_object(id.as_deref())),
        };
        match action {
            "create_network" => match text(body, "pif") {
                Some(pif) => seen(XenKind::Pif, Some(pif)),
                None => Ok(()),
            },
            "create_vm" => {
                let template = text(body, "template");
                let named = |one: &XenObject| Some(one.text("uuid")) == template.as_deref();
                if !self.store.all_seen(XenKind::VmTemplate).any(named) {
                    return Err(XenFailure::no_such_object(template.as_deref()));
                }
                let interfaces = body.get("vifs").and_then(Value::as_array).into_iter().flatten();
                for network in interfaces.filter_map(|interface| text(interface, "network")) {
                    seen(XenKind::Network, Some(network))?;
                }
                let install = body.get("install");
                let medium = install.and_then(|install| text(install, "repository"));
                match medium.filter(|medium| !medium.is_empty()) {
                    Some(medium) => self.store.find_seen(XenKind::Vdi, &medium).map(drop),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn create_privilege(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        check_privilege(body.text("resource"), body.text("action"), body)?;
        let role = body.text("roleId");
        if self.store.find(XenKind::AclRole, role)?.get("isTemplate") == Some(&Value::Bool(true)) {
            return Err(XenFailure::forbidden("create ACL V2 privilege", "role is a template"));
        }
        let id = self.store.generator.uuid();
        let mut privilege = body.clone();
        privilege.insert("id".to_owned(), id.clone().into());
        self.store.insert(XenKind::AclPrivilege, Value::Object(privilege));
        self.store.link(XenKind::AclRole, role, "privilegeIds", &id);
        Ok(id)
    }

    fn create_role(&mut self, body: &XenObject) -> String {
        let id = self.store.generator.uuid();
        let mut role = body.clone();
        role.insert("id".to_owned(), id.into());
        for list in ["userIds", "groupIds", "privilegeIds"] {
            role.insert(list.to_owned(), json!([]));
        }
        self.store.insert(XenKind::AclRole, Value::Object(role))
    }

    fn create_repository(&mut self, body: &XenObject) -> String {
        let id = self.store.generator.uuid();
        let mut repository = Map::new();
        repository.insert("enabled".to_owned(), true.into());
        repository.insert("error".to_owned(), "".into());
        repository.extend(body.clone());
        repository.insert("id".to_owned(), id.into());
        self.store.insert(XenKind::BackupRepository, Value::Object(repository))
    }

    fn create_group(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let name = body.text("name");
        if let Some(id) = self.find_named(XenKind::Group, name) {
            return Err(XenFailure::exists("group", Some(&id)));
        }
        let id = self.store.generator.uuid();
        let group = json!({"name": name, "users": [], "aclRoleIds": [], "id": id});
        Ok(self.store.insert(XenKind::Group, group))
    }

    fn create_server(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let host = body.text("host");
        if self.store.all(XenKind::Server).any(|server| server.1.text("host") == host) {
            return Err(XenFailure::exists("server", None));
        }
        let is = |name: &str| body.get(name) == Some(&Value::Bool(true));
        let id = self.store.generator.uuid();
        let server = json!({
            "allowUnauthorized": is("allowUnauthorized"), "enabled": true, "host": host,
            "label": body.get("label"), "username": body.text("username"),
            "readOnly": is("readOnly"), "id": id, "status": "disconnected",
        });
        Ok(self.store.insert(XenKind::Server, server))
    }

    fn create_storage(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let host = body.text("hostId").to_owned();
        let pool = self.store.find_seen(XenKind::Host, &host)?.text("$pool").to_owned();
        let driver = body.text("SR_type");
        let shared = matches!(driver, "cephfs" | "glusterfs" | "iso" | "lvmoiscsi" | "nfs" | "smb");
        let storage = insert_in_pool(
            &mut self.store,
            XenKind::Sr,
            &pool,
            json!({
                "content_type": body.get("content_type").unwrap_or(&json!("user")),
                "physical_usage": 0, "allocationStrategy": "thin", "current_operations": {},
                "inMaintenanceMode": false, "name_description": body.text("name_description"),
                "name_label": body.text("name_label"),
                "size": body.get("size").unwrap_or(&json!(1_099_511_627_776_u64)),
                "shared": shared, "SR_type": driver, "tags": [], "usage": 0, "VDIs": [],
                "other_config": {}, "sm_config": {},
                "$container": if shared { &pool } else { &host }, "$PBDs": [],
            }),
        );
        let connection = insert_in_pool(
            &mut self.store,
            XenKind::Pbd,
            &pool,
            json!({
                "attached": true, "host": host, "SR": storage,
                "device_config": body.get("device_config"), "otherConfig": {},
            }),
        );
        self.store.link(XenKind::Sr, &storage, "$PBDs", &connection);
        self.store.link(XenKind::Host, &host, "$PBDs", &connection);
        Ok(storage)
    }

    fn create_user(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let name = body.text("name");
        if self.find_named(XenKind::User, name).is_some() {
            return Err(XenFailure::unexpected(format!("the user {name} already exists")));
        }
        let id = self.store.generator.uuid();
        self.accounts.passwords.insert(id.clone(), body.text("password").to_owned());
        Ok(self.store.insert(
            XenKind::User,
            json!({
                "email": name,
                "pw_hash": "***obfuscated***",
                "permission": body.get("permission").unwrap_or(&json!("none")),
                "name": name,
                "groups": [],
                "preferences": {},
                "id": id,
            }),
        ))
    }

    fn create_connection(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let (vm, disk) = (body.text("VM"), body.text("VDI"));
        let machine = self.store.find_seen(XenKind::Vm, vm)?;
        let pool = machine.text("$pool").to_owned();
        // A running VM gets the disk at once.
        let is_running = machine.text("power_state") == "Running";
        let position = match body.text("userdevice") {
            "" => machine.list("$VBDs").len().to_string(),
            position => position.to_owned(),
        };
        self.store.find_seen(XenKind::Vdi, disk)?;
        let letter = char::from(b'a' + position.parse::<u8>().unwrap_or(0).min(25));
        let connection = insert_in_pool(
            &mut self.store,
            XenKind::Vbd,
            &pool,
            json!({
                "attached": is_running, "bootable": body.get("bootable").unwrap_or(&json!(false)),
                "device": format!("xvd{letter}"), "is_cd_drive": body.text("type") == "CD",
                "position": position, "read_only": body.text("mode") == "RO", "VDI": disk, "VM": vm,
            }),
        );
        self.store.link(XenKind::Vm, vm, "$VBDs", &connection);
        self.store.link(XenKind::Vdi, disk, "$VBDs", &connection);
        Ok(connection)
    }

    fn create_disk(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let size = body.get("virtual_size").and_then(Value::as_f64).unwrap_or_default() as u64;
        let disk = self.add_loose_disk(
            body.text("srId"),
            body.text("name_label"),
            body.text("name_description"),
            size,
        )?;
        if let Some(tags) = body.get("tags") {
            self.store.set(XenKind::Vdi, &disk, "tags", tags.clone());
        }
        Ok(disk)
    }

    /// Adds a disk that is connected to nothing.
    pub(super) fn add_loose_disk(
        &mut self,
        storage: &str,
        name: &str,
        description: &str,
        size: u64,
    ) -> Result<String, XenFailure> {
        let pool = self.store.find_seen(XenKind::Sr, storage)?.text("$pool").to_owned();
        let disk = insert_in_pool(
            &mut self.store,
            XenKind::Vdi,
            &pool,
            json!({
                "cbt_enabled": false, "missing": false, "name_description": description,
                "name_label": name, "size": size, "snapshots": [], "tags": [], "usage": size,
                "VDI_type": "user", "current_operations": {}, "other_config": {}, "$SR": storage,
                "$VBDs": [], "chainPhysicalUsage": size,
            }),
        );
        self.store.link(XenKind::Sr, storage, "VDIs", &disk);
        Ok(disk)
    }

    fn create_interface(&mut self, body: &XenObject) -> Result<String, XenFailure> {
        let (vm, network) = (body.text("vmId"), body.text("networkId"));
        self.store.find_seen(XenKind::Vm, vm)?;
        self.store.find_seen(XenKind::Network, network)?;
        let interface = add_interface(&mut self.store, vm, network);
        self.store.update(XenKind::Vif, &interface, |object| {
            for (given, shown) in [
                ("MAC", "MAC"),
                ("MTU", "MTU"),
                ("device", "device"),
                ("ipv4_allowed", "allowedIpv4Addresses"),
                ("ipv6_allowed", "allowedIpv6Addresses"),
                ("locking_mode", "lockingMode"),
                ("other_config", "other_config"),
            ] {
                if let Some(value) = body.get(given) {
                    object.insert(shown.to_owned(), value.clone());
                }
            }
        });
        Ok(interface)
    }

    /// Returns the user or group of a name.
    pub(super) fn find_named(&self, kind: XenKind, name: &str) -> Option<String> {
        let found = self.store.all(kind).find(|object| object.1.text("name") == name);
        found.map(|object| object.0.to_owned())
    }
}

/// Fails unless the action exists on the resource.
pub(super) fn check_privilege(
    resource: &str,
    action: &str,
    body: &XenObject,
) -> Result<(), XenFailure> {
    if privileges::is_known(resource, action) {
        return Ok(());
    }
    Err(invalid_privilege(body))
}

/// Fails as XO does for anything wrong with a privilege: it is one big union to its validator.
pub(super) fn invalid_privilege(body: &XenObject) -> XenFailure {
    let mut errors = Map::new();
    errors.insert(
        "privilege".to_owned(),
        json!({"message": "Value does not match any allowed schema", "value": body}),
    );
    XenFailure::invalid(errors)
}
