//! Users, groups, roles, privileges, servers, and the tokens that open the door.

use serde_json::{Value, json};

use crate::server::SeededGenerator;
use crate::xen_orchestra::kind::XenKind;
use crate::xen_orchestra::state::XenState;

/// Adds everything about who may do what.
pub(super) fn add(state: &mut XenState, token: &str) {
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
    // Who signs in with a second factor has its secret there.
    store.set(XenKind::User, &alice, "preferences", json!({"otp": "JBSWY3DPEHPK3PXP"}));
    let operators = store.generator.uuid();
    let developers = store.generator.uuid();
    for (id, name, user) in [(&operators, "operators", &alice), (&developers, "developers", &bob)] {
        store.insert(
            XenKind::Group,
            json!({"name": name, "users": [user], "aclRoleIds": [], "id": id}),
        );
        store.link(XenKind::User, user, "groups", id);
    }
    add_built_in_roles(state);
    let role = add_role(
        state,
        "web team",
        "See all machines, start and stop them",
        &["vm:read", "vm:start", "vm:shutdown", "host:read", "pool:read", "task:read"],
    );
    state.store.link(XenKind::AclRole, &role, "groupIds", &operators);
    state.store.link(XenKind::Group, &operators, "aclRoleIds", &role);
    add_finished_tasks(state, &admin);
}

fn add_user(state: &mut XenState, name: &str, password: &str, permission: &str) -> String {
    let id = state.store.generator.uuid();
    state.accounts.passwords.insert(id.clone(), password.to_owned());
    state.store.insert(
        XenKind::User,
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

fn add_built_in_roles(state: &mut XenState) {
    let own = SeededGenerator::new(ROLE_SEED);
    let common = std::mem::replace(&mut state.store.generator, own);
    for (name, description, privileges) in BUILT_IN_ROLES {
        let role = add_role(state, name, description, privileges);
        state.store.set(XenKind::AclRole, &role, "isTemplate", true);
    }
    state.store.generator = common;
    for _ in 0..LEFT_OUT {
        state.store.generator.uuid();
    }
}

fn add_role(state: &mut XenState, name: &str, description: &str, privileges: &[&str]) -> String {
    let store = &mut state.store;
    let role = store.generator.uuid();
    let object = json!({
        "name": name,
        "description": description,
        "id": role,
        "userIds": [],
        "groupIds": [],
        "privilegeIds": [],
    });
    store.insert(XenKind::AclRole, object);
    for (resource, action) in privileges.iter().filter_map(|privilege| privilege.split_once(':')) {
        let id = store.generator.uuid();
        let privilege = json!({
            "action": action, "effect": "allow", "resource": resource, "roleId": role, "id": id,
        });
        store.insert(XenKind::AclPrivilege, privilege);
        store.link(XenKind::AclRole, &role, "privilegeIds", &id);
    }
    role
}

fn add_finished_tasks(state: &mut XenState, admin: &str) {
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
        state.store.insert(XenKind::Task, task);
    }
}

/// The roles that come with XO: name, description, privileges.
const BUILT_IN_ROLES: [(&str, &str, &[&str]); 8] = [
    (
        "Read only",
        "Access the whole infra in read-only mode",
        &[
            "sr:read",
            "vdi:read",
            "vdi-snapshot:read",
            "vdi-unmanaged:read",
            "vbd:read",
            "vgpu:read",
            "vgpuType:read",
            "vm:read",
            "vm-template:read",
            "vm-snapshot:read",
            "vm-controller:read",
            "vif:read",
            "vtpm:read",
            "network:read",
            "pif:read",
            "host:read",
            "pbd:read",
            "pool:read",
            "message:read",
            "pci:read",
            "pgpu:read",
            "sm:read",
            "acl-privilege:read",
            "acl-role:read",
            "alarm:read",
            "backup-archive:read",
            "backup-job:read",
            "backup-log:read",
            "backup-repository:read",
            "gpuGroup:read",
            "group:read",
            "proxy:read",
            "restore-log:read",
            "schedule:read",
            "server:read",
            "task:read",
            "user:read",
        ],
    ),
    (
        "VMs power state manager",
        "Allow to manage VM's power state",
        &[
            "vm:start",
            "vm:shutdown",
            "vm:reboot",
            "vm:pause",
            "vm:suspend",
            "vm:resume",
            "vm:unpause",
        ],
    ),
    (
        "VMs creator",
        "Allow to create VMs",
        &[
            "pool:create:vm",
            "vm-template:instantiate",
            "vdi:create",
            "vif:create",
            "vdi:boot",
            "host:allow-vm",
        ],
    ),
    ("VMs read only", "Allow to only see VMs", &["vm:read"]),
    (
        "VMs administrator",
        "Full control over VM actions, plus read access to VM snapshots",
        &["vm:*", "vm-snapshot:read"],
    ),
    (
        "Network administrator",
        "Manage networks and VIFs, and view what they connect",
        &[
            "network:*",
            "vif:*",
            "pool:create:network",
            "pif:read",
            "pif:update",
            "pool:read",
            "host:read",
            "vm:read",
        ],
    ),
    (
        "Storage administrator",
        "Manage storage and backup repositories, and view what uses them",
        &[
            "sr:*",
            "vdi:*",
            "vbd:*",
            "pbd:*",
            "backup-repository:*",
            "vdi-unmanaged:read",
            "pool:read",
            "host:read",
            "vm:read",
        ],
    ),
    (
        "Administrator",
        "Full access to the entire infra, all objects, and user management",
        &[
            "vm:*",
            "vm-snapshot:*",
            "vm-template:*",
            "vm-controller:*",
            "vdi:*",
            "vdi-snapshot:*",
            "vbd:*",
            "vif:*",
            "sr:*",
            "pbd:*",
            "network:*",
            "pif:*",
            "host:*",
            "pool:*",
            "message:*",
            "pci:*",
            "pgpu:*",
            "sm:*",
            "acl-privilege:*",
            "acl-role:*",
            "alarm:*",
            "backup-archive:*",
            "backup-job:*",
            "backup-log:*",
            "backup-repository:*",
            "group:*",
            "proxy:*",
            "restore-log:*",
            "schedule:*",
            "server:*",
            "task:*",
            "user:*",
        ],
    ),
];

/// The seed of the identifiers of these roles and their privileges.
const ROLE_SEED: u64 = 0x00ac_10ff;

/// How many identifiers are left out in place of theirs: those of everything that is seeded later
/// stand in documents, and do not depend on which roles there are.
const LEFT_OUT: usize = 28;
