//! The data a simulated XO starts with: two pools, four hosts, 44 VMs and what belongs to them.
//!
//! Everything comes from one seed and one moment, so identifiers are the same in every run and can
//! be written into documents. Only the token and the moment come from the options.

mod accounts;
mod backups;
mod blemishes;
mod infrastructure;
mod machines;

use serde_json::{Map, Value, json};

use super::accounts::AccountTable;
use super::kind::XenKind;
use super::state::XenState;
use super::store::ObjectStore;
use crate::server::SeededGenerator;

pub(super) use self::backups::{JobRun, add_run};
pub(super) use self::machines::{
    GuestTools, NewMachine, add_disk, add_interface, add_machine, report_tools,
};

/// Makes the state that a simulated XO starts with.
pub(super) fn seed(token: &str, moment: u64) -> XenState {
    let store = ObjectStore::new(SeededGenerator::new(SEED), moment);
    let mut state = XenState { store, accounts: AccountTable::default() };
    accounts::add(&mut state, token);
    let sites = infrastructure::add(&mut state.store);
    machines::add(&mut state.store, &sites);
    backups::add(&mut state);
    // Oldest first, whatever the jobs.
    for kind in [XenKind::BackupLog, XenKind::RestoreLog] {
        state.store.sort(kind, "start");
    }
    blemishes::add(&mut state.store);
    state
}

/// A pool with what VMs need of it.
pub(super) struct SeededPool {
    /// The pool.
    pub(super) pool: String,
    /// Its hosts, the master first, each with its local storage.
    pub(super) hosts: Vec<(String, String)>,
    /// The storage that all hosts share, or the local one of a lonely host.
    pub(super) shared_storage: String,
    /// The networks: the one of eth0, then the VLAN.
    pub(super) networks: Vec<String>,
}

/// Adds an object of a pool: XO's common properties after its own.
pub(super) fn insert_in_pool(
    store: &mut ObjectStore,
    kind: XenKind,
    pool: &str,
    object: Value,
) -> String {
    let id = store.generator.uuid();
    insert_with_id(store, kind, pool, &id, object)
}

/// Adds an object of a pool under a given identifier, which is its UUID too.
pub(super) fn insert_with_id(
    store: &mut ObjectStore,
    kind: XenKind,
    pool: &str,
    id: &str,
    object: Value,
) -> String {
    let type_name = match kind {
        XenKind::Alarm => XenKind::Message.type_name(),
        _ => kind.type_name(),
    };
    let mut properties = Map::new();
    properties.insert("type".to_owned(), type_name.into());
    if let Value::Object(own) = object {
        properties.extend(own);
    }
    let reference = format!("OpaqueRef:{}", store.generator.uuid());
    let common = json!({
        "id": id, "uuid": id, "$pool": pool, "$poolId": pool, "_xapiRef": reference,
    });
    if let Value::Object(common) = common {
        for (name, value) in common {
            // Default templates have an identifier and a UUID that differ.
            properties.entry(name).or_insert(value);
        }
    }
    store.insert(kind, Value::Object(properties))
}

/// The seed of all data.
const SEED: u64 = 0x00da_d1c0_ffee;

/// A day in seconds.
const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xen_orchestra::object::Properties as _;

    #[test]
    fn everything_is_dated_from_the_moment() {
        let moment = 2_000_000_000;
        let store = seed("token", moment).store;
        let newest = |kind: XenKind, property: &str, unit: u64| {
            let times = store.all(kind).map(|(_, object)| object.number(property) / unit);
            times.max().unwrap()
        };
        for (kind, property, unit) in [
            (XenKind::BackupLog, "start", 1000),
            (XenKind::BackupArchive, "timestamp", 1000),
            (XenKind::Alarm, "time", 1000),
            (XenKind::VmSnapshot, "snapshot_time", 1),
            (XenKind::Task, "start", 1000),
        ] {
            let time = newest(kind, property, unit);
            assert!((moment - 4 * DAY..moment).contains(&time), "{kind:?}: {time}");
        }
        let (_, vm) = store.all(XenKind::Vm).next().unwrap();
        let created = &vm["creation"]["date"];
        assert_eq!(created, "2032-08-01T03:33:20.000Z");
    }
}
