//! What goes with a storage, a disk or a connection that is removed.

use super::kind::XenKind;
use super::object::Properties;
use super::store::ObjectStore;

/// Removes a storage with its disks and connections.
pub(super) fn remove_storage(store: &mut ObjectStore, id: &str) {
    let Some(storage) = store.remove(XenKind::Sr, id) else {
        return;
    };
    for disk in storage.list("VDIs") {
        remove_disk(store, XenKind::Vdi, &disk);
    }
    for connection in storage.list("$PBDs") {
        if let Some(connection) = store.remove(XenKind::Pbd, &connection) {
            store.unlink(XenKind::Host, connection.text("host"), "$PBDs", connection.text("id"));
        }
    }
}

/// Removes a disk with what connects it to machines.
pub(super) fn remove_disk(store: &mut ObjectStore, kind: XenKind, id: &str) {
    let Some(disk) = store.remove(kind, id) else {
        return;
    };
    store.unlink(XenKind::Sr, disk.text("$SR"), "VDIs", id);
    store.unlink(XenKind::Vdi, disk.text("$snapshot_of"), "snapshots", id);
    for connection in disk.list("$VBDs") {
        remove_connection(store, &connection);
    }
}

/// Removes what connects a disk to a machine.
pub(super) fn remove_connection(store: &mut ObjectStore, id: &str) {
    let Some(connection) = store.remove(XenKind::Vbd, id) else {
        return;
    };
    for kind in [XenKind::Vm, XenKind::VmSnapshot, XenKind::VmTemplate] {
        store.unlink(kind, connection.text("VM"), "$VBDs", id);
    }
    for kind in [XenKind::Vdi, XenKind::VdiSnapshot] {
        store.unlink(kind, connection.text("VDI"), "$VBDs", id);
    }
}
