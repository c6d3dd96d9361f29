//! From `POST ../actions/..` to the effect of a task.
//!
//! Objects that a body names are looked up before the task starts, because XO refuses those
//! with 404 at once. What depends on the state then (is the VM running?) is found out by the
//! task, as the hypervisor does it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::action_call::ActionCall;
use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::Properties;
use super::state::XenState;
use super::store::ObjectStore;
use super::tasks::StateEffect;
use super::{hosts, machines, seed};
use crate::server::{HttpReply, now_millis};

impl XenApp {
    /// Starts the task of an action.
    pub(super) async fn act(self: &Arc<Self>, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let segments = call.operation.segments();
        let collection = segments.first().copied().unwrap_or_default();
        let kind = XenKind::from_collection(collection)
            .ok_or_else(|| XenFailure::unexpected("no such collection"))?;
        let action = ActionCall {
            id: call.capture(0).to_owned(),
            name: segments.last().copied().unwrap_or_default(),
            body: call.body.clone(),
            user: call.user.id.clone(),
        };
        self.state().check_references(kind, &action)?;
        if kind == XenKind::Task {
            self.abort(&action.id);
            return self.run(call, kind, nothing()).await;
        }
        let effect: StateEffect = match kind {
            XenKind::Vm => Box::new(move |state| machines::act(state, &action)),
            XenKind::Host | XenKind::Pool | XenKind::Pbd | XenKind::Sr => {
                Box::new(move |state| hosts::act(state, kind, &action))
            }
            _ => Box::new(move |state| act(state, kind, &action)),
        };
        self.run(call, kind, effect).await
    }
}

impl XenState {
    /// Says whether a schedule runs other schedules instead of a backup.
    pub(super) fn is_sequence(&self, schedule: &str) -> bool {
        let schedule = self.store.get(XenKind::Schedule, schedule);
        schedule.is_some_and(|it| self.store.get(XenKind::BackupJob, it.text("jobId")).is_none())
    }

    /// Looks up the objects that a body names.
    fn check_references(&self, kind: XenKind, action: &ActionCall) -> Result<(), XenFailure> {
        for (name, kind) in REFERENCES {
            if let Some(id) = action.option(name) {
                self.store.find_seen(kind, id)?;
            }
        }
        for id in action.body.list("pifIds") {
            self.store.find_seen(XenKind::Pif, &id)?;
        }
        let id = &action.id;
        let state_of = |property| {
            let object = self.store.get(kind, id);
            object.map(|object| object.text(property).to_owned()).unwrap_or_default()
        };
        match (kind, action.name) {
            (XenKind::Server, "connect") if state_of("status") == "connected" => {
                Err(XenFailure::incorrect_state(id, "status", "disconnected", "connected"))
            }
            (XenKind::Server, "disconnect") if state_of("status") == "disconnected" => {
                Err(XenFailure::incorrect_state(id, "status", "connected", "disconnected"))
            }
            (XenKind::Vm, "revert_snapshot") => {
                let snapshot = action.option("snapshotId").unwrap_or_default();
                let of = self.store.get(XenKind::VmSnapshot, snapshot);
                if of.is_some_and(|snapshot| snapshot.text("$snapshot_of") == id) {
                    return Ok(());
                }
                let message = format!("snapshot {snapshot} does not belong to VM {id}");
                Err(XenFailure::unprocessable(&message))
            }
            (XenKind::Host, "scan_pifs") if state_of("power_state") != "Running" => {
                let actual = state_of("power_state");
                Err(XenFailure::incorrect_state(id, "power_state", "Running", actual))
            }
            (XenKind::Host, "forget") if state_of("power_state") == "Running" => {
                Err(XenFailure::incorrect_state(id, "power_state", "Halted", "Running"))
            }
            _ => Ok(()),
        }
    }
}

/// Acts on the kinds that have one or two actions.
fn act(state: &mut XenState, kind: XenKind, action: &ActionCall) -> Result<Value, XenFailure> {
    let id = action.id.as_str();
    let store = &mut state.store;
    match (kind, action.name) {
        (XenKind::AclRole, _) => copy_role(store, action),
        (XenKind::BackupRepository, "benchmark") => {
            let rates =
                (2e8 + store.generator.fraction() * 2e8, 7e8 + store.generator.fraction() * 3e8);
            Ok(json!({"success": true, "writeRate": rates.0, "readRate": rates.1}))
        }
        (XenKind::BackupRepository, _) => {
            store.remove(XenKind::BackupRepository, id);
            Ok(Value::Null)
        }
        (XenKind::Schedule, _) => run_schedule(store, id),
        (XenKind::Server, "connect") => {
            let server = store.find(XenKind::Server, id)?;
            if server.get("poolId").is_none() {
                // Only the seeded servers lead anywhere.
                let host = server.text("host");
                let (address, port) = host.rsplit_once(':').unwrap_or((host, ""));
                return Err(XenFailure::connection_refused(address, port.parse().unwrap_or(443)));
            }
            store.set(XenKind::Server, id, "status", "connected");
            Ok(Value::Null)
        }
        (XenKind::Server, _) => {
            store.set(XenKind::Server, id, "status", "disconnected");
            Ok(Value::Null)
        }
        (XenKind::Vbd | XenKind::Vif, name) => {
            let attached = name == "connect";
            let object = store.find(kind, id)?;
            if object.get("attached").and_then(Value::as_bool) == Some(attached) {
                let code =
                    if attached { "DEVICE_ALREADY_ATTACHED" } else { "DEVICE_ALREADY_DETACHED" };
                return Err(XenFailure::xapi(code, &[object.text("_xapiRef")]));
            }
            store.set(kind, id, "attached", attached);
            Ok(Value::Null)
        }
        (XenKind::Vdi, _) => {
            let target = action.option("srId").unwrap_or_default().to_owned();
            let source = store.find(XenKind::Vdi, id)?.text("$SR").to_owned();
            store.unlink(XenKind::Sr, &source, "VDIs", id);
            store.link(XenKind::Sr, &target, "VDIs", id);
            store.set(XenKind::Vdi, id, "$SR", target);
            Ok(json!({"id": id}))
        }
        _ => Ok(Value::Null),
    }
}

/// Copies a role with its privileges.
fn copy_role(store: &mut ObjectStore, action: &ActionCall) -> Result<Value, XenFailure> {
    let role = store.find(XenKind::AclRole, &action.id)?.clone();
    let copy = store.generator.uuid();
    let name = action
        .option("name")
        .map_or_else(|| format!("{} (copy)", role.text("name")), str::to_owned);
    let description = action.option("description").unwrap_or(role.text("description"));
    store.insert(
        XenKind::AclRole,
        json!({
            "name": name, "description": description, "id": copy, "userIds": [],
            "groupIds": [], "privilegeIds": [],
        }),
    );
    for privilege in role.list("privilegeIds") {
        let Some(mut object) = store.get(XenKind::AclPrivilege, &privilege).cloned() else {
            continue;
        };
        let id = store.generator.uuid();
        object.insert("roleId".to_owned(), copy.clone().into());
        object.insert("id".to_owned(), id.clone().into());
        store.insert(XenKind::AclPrivilege, Value::Object(object));
        store.link(XenKind::AclRole, &copy, "privilegeIds", &id);
    }
    Ok(json!({"id": copy}))
}

/// Runs the job of a schedule. Whatever becomes of the backup, the task succeeds: that a run failed
/// stands in its log alone.
fn run_schedule(store: &mut ObjectStore, id: &str) -> Result<Value, XenFailure> {
    let schedule = store.find(XenKind::Schedule, id)?.clone();
    let Some(job) = store.get(XenKind::BackupJob, schedule.text("jobId")).cloned() else {
        // A sequence runs other schedules, of which nothing is seen here.
        return Ok(Value::Null);
    };
    let repositories = ids(job.get("remotes"));
    let failure = repositories.iter().find_map(|repository| {
        let error = store.get(XenKind::BackupRepository, repository)?.text("error");
        (!error.is_empty()).then(|| error.to_owned())
    });
    seed::add_run(
        store,
        &seed::JobRun {
            job: job.text("id"),
            schedule: id,
            name: job.text("name"),
            mode: job.text("mode"),
            vms: &ids(job.get("vms")),
            repository: repositories.first().map_or("", String::as_str),
            start: now_millis(),
            took: 0,
            failure: failure.as_deref(),
        },
    );
    Ok(Value::Null)
}

/// Returns the identifiers that a pattern such as `{"id": {"__or": [..]}}` names.
fn ids(pattern: Option<&Value>) -> Vec<String> {
    match pattern.and_then(|pattern| pattern.get("id")) {
        Some(Value::String(id)) => vec![id.clone()],
        Some(Value::Object(several)) => several.list("__or"),
        _ => Vec::new(),
    }
}

/// An effect that changes nothing.
fn nothing() -> StateEffect {
    Box::new(|_| Ok(Value::Null))
}

/// The properties of bodies that name objects.
const REFERENCES: [(&str, XenKind); 7] = [
    ("affinity", XenKind::Host),
    ("host", XenKind::Host),
    ("hostId", XenKind::Host),
    ("migrationNetworkId", XenKind::Network),
    ("network", XenKind::Network),
    ("pif", XenKind::Pif),
    ("srId", XenKind::Sr),
];
