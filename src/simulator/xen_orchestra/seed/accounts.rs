//! Users, groups, roles, privileges, servers, and the tokens that open the door.

use serde_json::{Value, json};

use crate::simulator::xen_orchestra::kind::Kind;
use crate::simulator::xen_orchestra::state::State;

/// Adds everything about who may do what.
pub(super) fn add(state: &mut State, token: &str) {
    let admin = add_user(state, "admin@admin.net", "admin", "admin");
    let alice = add_user(state, "alice", "alice", "none");
    let bob = add_user(state, "bob", "bob", "none");
    for (id, user, description) in [
        (token.to_owned(), &admin, "demo token"),
        (format!("{token}-alice"), &alice, "demo token of a user with few privileges"),
    ] {
        let token = json!({
            "created_at": state.store.moment * 1000,
            "description": description,
            "user_id": user,
            "expiration": 4_102_444_800_000_u64,
            "id": id,
        });
        state.accounts.tokens.extend(token.as_object().cloned());
    }
    let store = &mut state.store;
    let operators = store.generator.uuid();
    let developers = store.generator.uuid();
    for (id, name, user) in [(&operators, "operators", &alice), (&developers, "developers", &bob)] {
        store.insert(
            Kind::Group,
            json!({"name": name, "users": [user], "aclRoleIds": [], "id": id}),
        );
        store.link(Kind::User, user, "groups", id);
    }
    for (name, description, privileges) in BUILT_IN_ROLES {
        add_role(state, name, description, true, privileges);
    }
    let role = add_role(
        state,
        "web team",
        "See all machines, start and stop them",
        false,
        &["vm:read", "vm:start", "vm:shutdown", "host:read", "pool:read", "task:read"],
    );
    state.store.link(Kind::AclRole, &role, "groupIds", &operators);
    state.store.link(Kind::Group, &operators, "aclRoleIds", &role);
    add_finished_tasks(state, &admin);
}

fn add_user(state: &mut State, name: &str, password: &str, permission: &str) -> String {
    let id = state.store.generator.uuid();
    state.accounts.passwords.insert(id.clone(), password.to_owned());
    state.store.insert(
        Kind::User,
        json!({
            "email": name,
            "permission": permission,
            "pw_hash": "***obfuscated***",
            "groups": [],
            "preferences": {},
            "id": id,
            "name": name,
        }),
    )
}

fn add_role(
    state: &mut State,
    name: &str,
    description: &str,
    built_in: bool,
    privileges: &[&str],
) -> String {
    let store = &mut state.store;
    let role = store.generator.uuid();
    let mut object = json!({
        "name": name,
        "description": description,
        "id": role,
        "userIds": [],
        "groupIds": [],
        "privilegeIds": [],
    });
    if built_in && let Some(properties) = object.as_object_mut() {
        properties.insert("isTemplate".to_owned(), true.into());
    }
    store.insert(Kind::AclRole, object);
    for (resource, action) in privileges.iter().filter_map(|privilege| privilege.split_once(':')) {
        let id = store.generator.uuid();
        let privilege = json!({
            "action": action, "effect": "allow", "resource": resource, "roleId": role, "id": id,
        });
        store.insert(Kind::AclPrivilege, privilege);
        store.link(Kind::AclRole, &role, "privilegeIds", &id);
    }
    role
}

fn add_finished_tasks(state: &mut State, admin: &str) {
    for (index, (name, result)) in [
        ("API call: vm.convertToTemplate", Value::Null),
        ("API call: sr.scan", json!({"message": "no such SR", "name": "XoError"})),
    ]
    .into_iter()
    .enumerate()
    {
        let start = (state.store.moment - 7200 + index as u64 * 600) * 1000;
        let id = format!("0mwoy{}-{}", index + 1, state.store.generator.base36(10));
        let failed = !result.is_null();
        let method = name.trim_start_matches("API call: ");
        let mut task = json!({
            "id": id,
            "properties": {
                "method": method, "params": {}, "name": name, "userId": admin, "type": "api.call",
            },
            "start": start,
            "status": if failed { "failure" } else { "success" },
            "updatedAt": start + 480,
            "end": start + 480,
        });
        if failed && let Some(properties) = task.as_object_mut() {
            properties.insert("result".to_owned(), result);
        }
        state.store.insert(Kind::Task, task);
    }
}

/// The roles that come with XO: name, description, privileges.
const BUILT_IN_ROLES: [(&str, &str, &[&str]); 3] = [
    (
        "VMs read only",
        "Read all VMs, their disks and their interfaces",
        &["vm:read", "vm-snapshot:read", "vbd:read", "vdi:read", "vif:read", "network:read"],
    ),
    (
        "VMs power state manager",
        "Change the power state of VMs",
        &["vm:read", "vm:start", "vm:shutdown", "vm:reboot", "vm:pause", "vm:suspend", "vm:resume"],
    ),
    (
        "Infrastructure read only",
        "Access the whole infrastructure in read-only mode",
        &[
            "alarm:read",
            "host:read",
            "message:read",
            "network:read",
            "pbd:read",
            "pci:read",
            "pgpu:read",
            "pif:read",
            "pool:read",
            "sm:read",
            "sr:read",
            "task:read",
        ],
    ),
];
