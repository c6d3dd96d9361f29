//! Snapshots: taking one, and going back to one.

use serde_json::{Value, json};

use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::seed;
use super::store::ObjectStore;

/// Takes a snapshot of a VM with its disks. Returns the snapshot.
pub(super) fn take_snapshot(
    store: &mut ObjectStore,
    vm: &str,
    name: Option<&str>,
    time: u64,
) -> Option<String> {
    let machine = store.get(XenKind::Vm, vm)?.clone();
    let pool = machine.text("$pool").to_owned();
    let id = store.generator.uuid();
    let name =
        name.map_or_else(|| format!("{}_snapshot", machine.text("name_label")), str::to_owned);
    let mut connections = Vec::new();
    for connection in machine.list("$VBDs") {
        connections.extend(snapshot_disk(store, &connection, &id, &pool, time));
    }
    let mut snapshot = machine;
    forget_identity(&mut snapshot);
    for property in OF_MACHINES {
        snapshot.shift_remove(property);
    }
    snapshot.insert("type".to_owned(), XenKind::VmSnapshot.type_name().into());
    snapshot.insert("name_label".to_owned(), name.into());
    snapshot.insert("power_state".to_owned(), "Halted".into());
    snapshot.insert("$VBDs".to_owned(), connections.into());
    snapshot.insert("VIFs".to_owned(), json!([]));
    snapshot.insert("snapshots".to_owned(), json!([]));
    snapshot.insert("$container".to_owned(), pool.clone().into());
    snapshot.insert("$snapshot_of".to_owned(), vm.into());
    snapshot.insert("snapshot_time".to_owned(), time.into());
    seed::insert_with_id(store, XenKind::VmSnapshot, &pool, &id, Value::Object(snapshot));
    store.link(XenKind::Vm, vm, "snapshots", &id);
    Some(id)
}

/// Gives a VM the settings of one of its snapshots.
pub(super) fn revert_snapshot(store: &mut ObjectStore, vm: &str, snapshot: &str) {
    let Some(snapshot) = store.get(XenKind::VmSnapshot, snapshot).cloned() else {
        return;
    };
    let pool = snapshot.text("$pool").to_owned();
    store.update(XenKind::Vm, vm, |machine| {
        for property in ["CPUs", "memory", "tags", "boot", "auto_poweron", "name_description"] {
            if let Some(value) = snapshot.get(property) {
                machine.insert(property.to_owned(), value.clone());
            }
        }
        machine.insert("power_state".to_owned(), "Halted".into());
        machine.insert("$container".to_owned(), pool.into());
    });
}

/// Takes out what must differ between an object and its copy.
pub(super) fn forget_identity(object: &mut XenObject) {
    for property in ["id", "uuid", "_xapiRef", "type"] {
        object.shift_remove(property);
    }
}

/// What XO does not say of a snapshot.
const OF_MACHINES: [&str; 6] = [
    "creation",
    "managementAgentDetected",
    "pvDriversDetected",
    "pvDriversUpToDate",
    "pvDriversVersion",
    "vulnerabilities",
];

fn snapshot_disk(
    store: &mut ObjectStore,
    connection: &str,
    snapshot: &str,
    pool: &str,
    time: u64,
) -> Option<String> {
    let connection = store.get(XenKind::Vbd, connection)?.clone();
    let disk = connection.text("VDI").to_owned();
    let mut copy = store.get(XenKind::Vdi, &disk)?.clone();
    forget_identity(&mut copy);
    copy.insert("snapshot_time".to_owned(), time.into());
    copy.insert("$snapshot_of".to_owned(), disk.clone().into());
    copy.insert("$VBDs".to_owned(), json!([]));
    let copy = seed::insert_in_pool(store, XenKind::VdiSnapshot, pool, Value::Object(copy));
    let mut link = connection;
    forget_identity(&mut link);
    link.insert("attached".to_owned(), false.into());
    link.insert("VDI".to_owned(), copy.clone().into());
    link.insert("VM".to_owned(), snapshot.into());
    let link = seed::insert_in_pool(store, XenKind::Vbd, pool, Value::Object(link));
    store.link(XenKind::VdiSnapshot, &copy, "$VBDs", &link);
    store.link(XenKind::Vdi, &disk, "snapshots", &copy);
    Some(link)
}
