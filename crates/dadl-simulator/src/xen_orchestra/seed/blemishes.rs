//! What is not well, for somebody to find. Made last, and of what is there: no identifier changes.

use serde_json::json;

use super::report_tools;
use crate::xen_orchestra::kind::Kind;
use crate::xen_orchestra::store::{Properties, Store};

/// Spoils some objects.
pub(super) fn add(store: &mut Store) {
    // Of which an alarm tells.
    if let Some(storage) = named(store, Kind::Sr, "nfs-storage") {
        let size = store.get(Kind::Sr, &storage).map_or(0, |storage| storage.number("size"));
        store.set(Kind::Sr, &storage, "physical_usage", (size * 91).div_ceil(100));
    }
    // What is written there is lost, although the tasks of its schedules succeed.
    if let Some(repository) = all_named(store, Kind::BackupRepository, "name", "offsite-s3").pop() {
        store.set(Kind::BackupRepository, &repository, "error", "getaddrinfo ENOTFOUND s3.example");
    }
    // Its job runs other schedules, and is no backup job.
    let (id, job) = (store.generator.uuid(), store.generator.uuid());
    store.insert(
        Kind::Schedule,
        json!({
            "cron": "0 22 * * 6", "enabled": false, "jobId": job, "name": "all of Saturday",
            "timezone": "Europe/Prague", "id": id,
        }),
    );
    if let Some(vm) = named(store, Kind::Vm, "build-01") {
        store.update(Kind::Vm, &vm, |vm| {
            report_tools(vm, false);
            vm.insert("addresses".to_owned(), json!({}));
            vm.shift_remove("mainIpAddress");
        });
    }
    // It is not to be deleted by mistake.
    if let Some(vm) = named(store, Kind::Vm, "wiki") {
        let blocked = json!({"destroy": "protected from accidental deletion"});
        store.set(Kind::Vm, &vm, "blockedOperations", blocked);
    }
}

fn named(store: &Store, kind: Kind, name: &str) -> Option<String> {
    all_named(store, kind, "name_label", name).pop()
}

fn all_named(store: &Store, kind: Kind, property: &str, name: &str) -> Vec<String> {
    let found = store.all(kind).filter(|object| object.1.text(property) == name);
    found.map(|object| object.0.to_owned()).collect()
}
