//! What is not well, for somebody to find. Made last, and of what is there: no identifier changes.

use serde_json::json;

use super::{GuestTools, report_tools};
use crate::xen_orchestra::kind::XenKind;
use crate::xen_orchestra::object::Properties;
use crate::xen_orchestra::store::ObjectStore;

/// Spoils some objects.
pub(super) fn add(store: &mut ObjectStore) {
    // Of which an alarm tells.
    if let Some(storage) = named(store, XenKind::Sr, "nfs-storage") {
        let size = store.get(XenKind::Sr, &storage).map_or(0, |storage| storage.number("size"));
        store.set(XenKind::Sr, &storage, "physical_usage", (size * 91).div_ceil(100));
    }
    // What is written there is lost, although the tasks of its schedules succeed.
    if let Some(repository) =
        all_named(store, XenKind::BackupRepository, "name", "offsite-s3").pop()
    {
        store.set(
            XenKind::BackupRepository,
            &repository,
            "error",
            "getaddrinfo ENOTFOUND s3.example",
        );
    }
    // Its job runs other schedules, and is no backup job.
    let (id, job) = (store.generator.uuid(), store.generator.uuid());
    store.insert(
        XenKind::Schedule,
        json!({
            "cron": "0 22 * * 6", "enabled": false, "jobId": job, "name": "all of Saturday",
            "timezone": "Europe/Prague", "id": id,
        }),
    );
    if let Some(vm) = named(store, XenKind::Vm, "build-01") {
        store.update(XenKind::Vm, &vm, |vm| {
            report_tools(vm, GuestTools::Missing);
            vm.insert("addresses".to_owned(), json!({}));
            vm.shift_remove("mainIpAddress");
        });
    }
    // It is not to be deleted by mistake.
    if let Some(vm) = named(store, XenKind::Vm, "wiki") {
        let blocked = json!({"destroy": "protected from accidental deletion"});
        store.set(XenKind::Vm, &vm, "blockedOperations", blocked);
    }
}

fn named(store: &ObjectStore, kind: XenKind, name: &str) -> Option<String> {
    all_named(store, kind, "name_label", name).pop()
}

fn all_named(store: &ObjectStore, kind: XenKind, property: &str, name: &str) -> Vec<String> {
    let found = store.all(kind).filter(|object| object.1.text(property) == name);
    found.map(|object| object.0.to_owned()).collect()
}
