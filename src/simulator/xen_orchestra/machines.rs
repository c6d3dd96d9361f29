//! What the actions of VMs do, and how VMs are made and unmade.

use serde_json::{Value, json};

use super::actions::Action;
use super::failure::Failure;
use super::kind::Kind;
use super::seed::{NewMachine, add_disk, add_interface, add_machine};
use super::snapshots::{revert_snapshot, take_snapshot};
use super::state::{State, now};
use super::store::{Properties, Store};

/// Acts on a VM.
pub(super) fn act(state: &mut State, action: &Action) -> Result<Value, Failure> {
    let store = &mut state.store;
    let id = action.id.as_str();
    let needed: &[&str] = match action.name {
        "start" => &["Halted"],
        "clean_shutdown" | "clean_reboot" | "pause" | "suspend" => &["Running"],
        "hard_reboot" => &["Running", "Paused"],
        "hard_shutdown" => &["Running", "Paused", "Suspended"],
        "resume" => &["Suspended"],
        "unpause" => &["Paused"],
        _ => &[],
    };
    check_power(store, id, needed)?;
    match action.name {
        "start" => start(store, id, action.option("hostId"))?,
        "resume" => start(store, id, None)?,
        "clean_shutdown" | "hard_shutdown" => stop(store, id, "Halted"),
        "suspend" => stop(store, id, "Suspended"),
        "pause" => store.set(Kind::Vm, id, "power_state", "Paused"),
        "unpause" => store.set(Kind::Vm, id, "power_state", "Running"),
        "clean_reboot" | "hard_reboot" => store.set(Kind::Vm, id, "startTime", now() / 1000),
        "snapshot" => {
            let snapshot = take_snapshot(store, id, action.option("name_label"), now() / 1000);
            return Ok(json!({"id": snapshot}));
        }
        "revert_snapshot" => {
            if action.body.get("snapshotBefore") == Some(&Value::Bool(true)) {
                take_snapshot(store, id, None, now() / 1000);
            }
            stop(store, id, "Halted");
            revert_snapshot(store, id, action.option("snapshotId").unwrap_or_default());
        }
        "clone" => return Ok(json!({"id": clone(store, action)?})),
        "migrate" => migrate(store, id, action.option("hostId").unwrap_or_default())?,
        _ => {}
    }
    Ok(Value::Null)
}

/// Makes a VM from a template.
pub(super) fn create(store: &mut Store, action: &Action) -> Result<Value, Failure> {
    let template = action.option("template").unwrap_or_default();
    let template = store.find(Kind::VmTemplate, template)?.clone();
    let pool = action.id.clone();
    if template.text("$pool") != pool {
        return Err(Failure::unexpected("the template is not in the pool"));
    }
    let number = |name: &str| action.body.get(name).and_then(Value::as_f64).map(|n| n as u64);
    let inner = |outer: &str, name: &str| {
        template.get(outer).and_then(|outer| outer.get(name)).and_then(Value::as_u64).unwrap_or(1)
    };
    let is = |name: &str| action.body.get(name) == Some(&Value::Bool(true));
    let vm = add_machine(
        store,
        &NewMachine {
            name: action.option("name_label").unwrap_or_default().to_owned(),
            description: action.option("name_description").unwrap_or_default().to_owned(),
            pool: pool.clone(),
            container: pool.clone(),
            cpus: number("cpus").unwrap_or_else(|| inner("CPUs", "number")),
            memory: number("memory").unwrap_or_else(|| inner("memory", "size")),
            template: Some(template.text("uuid").to_owned()),
            user: Some(action.user.clone()),
            auto_poweron: is("autoPoweron"),
            firmware: action.option("hvmBootFirmware").unwrap_or("bios").to_owned(),
        },
    );
    let default_storage = store.find(Kind::Pool, &pool)?.text("default_SR").to_owned();
    let disks = action.body.get("vdis").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = action.option("name_label").unwrap_or_default();
    if disks.is_empty() {
        add_disk(store, (Kind::Vm, &vm), &default_storage, &format!("{name} system"), 10 << 30);
    }
    for disk in disks.iter().filter_map(Value::as_object) {
        let storage = match disk.text("sr") {
            "" => default_storage.as_str(),
            storage => storage,
        };
        let size = disk.get("size").and_then(Value::as_f64).unwrap_or(10_737_418_240.0) as u64;
        add_disk(store, (Kind::Vm, &vm), storage, disk.text("name_label"), size);
    }
    let interfaces = action.body.get("vifs").and_then(Value::as_array).cloned().unwrap_or_default();
    let interfaces = interfaces.iter().filter_map(Value::as_object);
    for network in interfaces.map(|interface| interface.text("network")) {
        if store.get(Kind::Network, network).is_some() {
            add_interface(store, &vm, network);
        }
    }
    if is("boot") {
        start(store, &vm, None)?;
    }
    Ok(json!({"id": vm}))
}

/// Removes a machine (VM, snapshot or template) with its disks and interfaces.
pub(super) fn remove(store: &mut Store, kind: Kind, id: &str) {
    let Some(machine) = store.remove(kind, id) else {
        return;
    };
    for connection in machine.list("$VBDs") {
        let Some(connection) = store.remove(Kind::Vbd, &connection) else {
            continue;
        };
        let disk = connection.text("VDI");
        let kind = if kind == Kind::VmSnapshot { Kind::VdiSnapshot } else { Kind::Vdi };
        if let Some(disk) = store.remove(kind, disk) {
            store.unlink(Kind::Sr, disk.text("$SR"), "VDIs", disk.text("id"));
            store.unlink(Kind::Vdi, disk.text("$snapshot_of"), "snapshots", disk.text("id"));
        }
    }
    for interface in machine.list("VIFs") {
        if let Some(interface) = store.remove(Kind::Vif, &interface) {
            store.unlink(Kind::Network, interface.text("$network"), "VIFs", interface.text("id"));
        }
    }
    for snapshot in machine.list("snapshots") {
        remove(store, Kind::VmSnapshot, &snapshot);
    }
    store.unlink(Kind::Vm, machine.text("$snapshot_of"), "snapshots", id);
    store.unlink(Kind::Host, machine.text("$container"), "residentVms", id);
}

/// Fails as the hypervisor does when a VM is in none of the needed states.
fn check_power(store: &Store, id: &str, needed: &[&str]) -> Result<(), Failure> {
    let machine = store.find(Kind::Vm, id)?;
    let actual = machine.text("power_state");
    match needed.first() {
        Some(expected) if !needed.contains(&actual) => Err(Failure::xapi(
            "VM_BAD_POWER_STATE",
            &[machine.text("_xapiRef"), &expected.to_lowercase(), &actual.to_lowercase()],
        )),
        _ => Ok(()),
    }
}

fn start(store: &mut Store, id: &str, host: Option<&str>) -> Result<(), Failure> {
    let machine = store.find(Kind::Vm, id)?;
    if machine.text("name_label") == BROKEN {
        return Err(Failure::xapi("NO_HOSTS_AVAILABLE", &[machine.text("_xapiRef")]));
    }
    let pool = machine.text("$pool").to_owned();
    let free = |candidate: &super::store::Object| {
        candidate.text("$pool") == pool
            && candidate.text("power_state") == "Running"
            && candidate.get("enabled") == Some(&Value::Bool(true))
            && host.is_none_or(|host| candidate.text("id") == host)
    };
    let hosts = store.all(Kind::Host).filter(|host| free(host.1));
    // The host with the fewest VMs, and the first of those.
    let chosen = hosts.min_by_key(|host| host.1.list("residentVms").len());
    let Some(chosen) = chosen.map(|host| host.0.to_owned()) else {
        return Err(Failure::xapi("NO_HOSTS_AVAILABLE", &[machine.text("_xapiRef")]));
    };
    store.update(Kind::Vm, id, |machine| {
        machine.insert("power_state".to_owned(), "Running".into());
        machine.insert("$container".to_owned(), chosen.clone().into());
        machine.insert("startTime".to_owned(), (now() / 1000).into());
    });
    store.link(Kind::Host, &chosen, "residentVms", id);
    attach_devices(store, id, true);
    Ok(())
}

/// Takes a VM off its host and leaves it halted or suspended.
pub(super) fn stop(store: &mut Store, id: &str, power_state: &str) {
    let Some(machine) = store.get(Kind::Vm, id) else {
        return;
    };
    let host = machine.text("$container").to_owned();
    let pool = machine.text("$pool").to_owned();
    store.unlink(Kind::Host, &host, "residentVms", id);
    store.update(Kind::Vm, id, |machine| {
        machine.insert("power_state".to_owned(), power_state.into());
        machine.insert("$container".to_owned(), pool.into());
        machine.insert("startTime".to_owned(), Value::Null);
        if power_state == "Halted" {
            machine.insert("addresses".to_owned(), json!({}));
            machine.shift_remove("mainIpAddress");
        }
    });
    attach_devices(store, id, false);
}

fn attach_devices(store: &mut Store, vm: &str, attached: bool) {
    let Some(machine) = store.get(Kind::Vm, vm) else {
        return;
    };
    let (disks, interfaces) = (machine.list("$VBDs"), machine.list("VIFs"));
    for disk in disks {
        store.set(Kind::Vbd, &disk, "attached", attached);
    }
    for interface in interfaces {
        store.set(Kind::Vif, &interface, "attached", attached);
    }
}

fn migrate(store: &mut Store, id: &str, host: &str) -> Result<(), Failure> {
    let pool = store.find(Kind::Host, host)?.text("$pool").to_owned();
    let machine = store.find(Kind::Vm, id)?;
    let source = machine.text("$container").to_owned();
    if machine.text("power_state") == "Running" {
        store.unlink(Kind::Host, &source, "residentVms", id);
        store.link(Kind::Host, host, "residentVms", id);
        store.set(Kind::Vm, id, "$container", host);
    } else {
        store.set(Kind::Vm, id, "$container", pool.clone());
    }
    store.set(Kind::Vm, id, "$pool", pool.clone());
    store.set(Kind::Vm, id, "$poolId", pool);
    Ok(())
}

fn clone(store: &mut Store, action: &Action) -> Result<String, Failure> {
    let source = store.find(Kind::Vm, &action.id)?.clone();
    let inner = |outer: &str, name: &str| {
        source.get(outer).and_then(|outer| outer.get(name)).and_then(Value::as_u64).unwrap_or(1)
    };
    let name = action
        .option("name_label")
        .map_or_else(|| format!("{}_clone", source.text("name_label")), str::to_owned);
    let vm = add_machine(
        store,
        &NewMachine {
            name,
            description: source.text("name_description").to_owned(),
            pool: source.text("$pool").to_owned(),
            container: source.text("$pool").to_owned(),
            cpus: inner("CPUs", "number"),
            memory: inner("memory", "size"),
            template: None,
            user: Some(action.user.clone()),
            auto_poweron: false,
            firmware: "bios".to_owned(),
        },
    );
    for connection in source.list("$VBDs") {
        let disk = store.get(Kind::Vbd, &connection).map(|connection| connection.text("VDI"));
        let disk = disk.and_then(|disk| store.get(Kind::Vdi, disk)).cloned();
        let Some(disk) = disk else { continue };
        let storage = action.option("srId").unwrap_or(disk.text("$SR"));
        add_disk(store, (Kind::Vm, &vm), storage, disk.text("name_label"), disk.number("size"));
    }
    for interface in source.list("VIFs") {
        let network = store.get(Kind::Vif, &interface).map(|vif| vif.text("$network").to_owned());
        add_interface(store, &vm, &network.unwrap_or_default());
    }
    Ok(vm)
}

/// The VM that never starts, to show what a failure looks like.
const BROKEN: &str = "broken-01";
