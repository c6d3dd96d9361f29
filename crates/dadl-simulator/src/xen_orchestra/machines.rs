//! What the actions of VMs do, and how VMs are copied and unmade.

use serde_json::{Value, json};

use super::action_call::ActionCall;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::seed::{NewMachine, add_disk, add_interface, add_machine};
use super::snapshots::{revert_snapshot, take_snapshot};
use super::state::XenState;
use super::store::ObjectStore;
use crate::server::{fingerprint, now_millis};

/// Acts on a VM.
pub(super) fn act(state: &mut XenState, action: &ActionCall) -> Result<Value, XenFailure> {
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
    if matches!(action.name, "clean_shutdown" | "clean_reboot" | "suspend") {
        check_tools(store.find(XenKind::Vm, id)?)?;
    }
    match action.name {
        "start" => start(store, id, action.option("hostId"))?,
        "resume" => start(store, id, None)?,
        "clean_shutdown" | "hard_shutdown" => stop(store, id, "Halted"),
        "suspend" => stop(store, id, "Suspended"),
        "pause" => store.set(XenKind::Vm, id, "power_state", "Paused"),
        "unpause" => store.set(XenKind::Vm, id, "power_state", "Running"),
        "clean_reboot" | "hard_reboot" => {
            store.set(XenKind::Vm, id, "startTime", now_millis() / 1000)
        }
        "snapshot" => {
            let snapshot =
                take_snapshot(store, id, action.option("name_label"), now_millis() / 1000);
            return Ok(json!({"id": snapshot}));
        }
        "revert_snapshot" => {
            if action.body.get("snapshotBefore") == Some(&Value::Bool(true)) {
                take_snapshot(store, id, None, now_millis() / 1000);
            }
            stop(store, id, "Halted");
            revert_snapshot(store, id, action.option("snapshotId").unwrap_or_default());
        }
        "clone" => return Ok(json!({"id": clone(store, action)?})),
        "migrate" => migrate(store, action)?,
        _ => {}
    }
    Ok(Value::Null)
}

/// Removes a machine (VM, snapshot or template) with its disks and interfaces.
pub(super) fn remove(store: &mut ObjectStore, kind: XenKind, id: &str) {
    let Some(machine) = store.remove(kind, id) else {
        return;
    };
    for connection in machine.list("$VBDs") {
        let Some(connection) = store.remove(XenKind::Vbd, &connection) else {
            continue;
        };
        let disk = connection.text("VDI");
        let kind = if kind == XenKind::VmSnapshot { XenKind::VdiSnapshot } else { XenKind::Vdi };
        if let Some(disk) = store.remove(kind, disk) {
            store.unlink(XenKind::Sr, disk.text("$SR"), "VDIs", disk.text("id"));
            store.unlink(XenKind::Vdi, disk.text("$snapshot_of"), "snapshots", disk.text("id"));
        }
    }
    for interface in machine.list("VIFs") {
        if let Some(interface) = store.remove(XenKind::Vif, &interface) {
            store.unlink(
                XenKind::Network,
                interface.text("$network"),
                "VIFs",
                interface.text("id"),
            );
        }
    }
    for snapshot in machine.list("snapshots") {
        remove(store, XenKind::VmSnapshot, &snapshot);
    }
    store.unlink(XenKind::Vm, machine.text("$snapshot_of"), "snapshots", id);
    store.unlink(XenKind::Host, machine.text("$container"), "residentVms", id);
}

/// Fails as the hypervisor does when a VM is in none of the needed states.
fn check_power(store: &ObjectStore, id: &str, needed: &[&str]) -> Result<(), XenFailure> {
    let machine = store.find(XenKind::Vm, id)?;
    let actual = machine.text("power_state");
    match needed.first() {
        Some(expected) if !needed.contains(&actual) => Err(XenFailure::xapi(
            "VM_BAD_POWER_STATE",
            &[machine.text("_xapiRef"), &expected.to_lowercase(), &actual.to_lowercase()],
        )),
        _ => Ok(()),
    }
}

/// Fails as the hypervisor does when nobody in a VM can hear a request.
fn check_tools(machine: &XenObject) -> Result<(), XenFailure> {
    let lacks = |property| machine.get(property) == Some(&Value::Bool(false));
    if lacks("managementAgentDetected") || lacks("pvDriversDetected") {
        return Err(XenFailure::xapi("VM_LACKS_FEATURE", &[machine.text("_xapiRef")]));
    }
    Ok(())
}

/// Starts a VM on a host of its pool.
pub(super) fn start(
    store: &mut ObjectStore,
    id: &str,
    host: Option<&str>,
) -> Result<(), XenFailure> {
    let machine = store.find(XenKind::Vm, id)?;
    if machine.text("name_label") == BROKEN {
        return Err(XenFailure::xapi("NO_HOSTS_AVAILABLE", &[machine.text("_xapiRef")]));
    }
    let pool = machine.text("$pool").to_owned();
    let free = |candidate: &XenObject| {
        candidate.text("$pool") == pool
            && candidate.text("power_state") == "Running"
            && candidate.get("enabled") == Some(&Value::Bool(true))
            && host.is_none_or(|host| candidate.text("id") == host)
    };
    let hosts = store.all(XenKind::Host).filter(|host| free(host.1));
    // The host with the fewest VMs, and the first of those.
    let chosen = hosts.min_by_key(|host| host.1.list("residentVms").len());
    let Some(chosen) = chosen.map(|host| host.0.to_owned()) else {
        return Err(XenFailure::xapi("NO_HOSTS_AVAILABLE", &[machine.text("_xapiRef")]));
    };
    store.update(XenKind::Vm, id, |machine| {
        machine.insert("power_state".to_owned(), "Running".into());
        machine.insert("$container".to_owned(), chosen.clone().into());
        machine.insert("startTime".to_owned(), (now_millis() / 1000).into());
        report_address(machine, id);
    });
    store.link(XenKind::Host, &chosen, "residentVms", id);
    attach_devices(store, id);
    Ok(())
}

/// Gives a VM whose guest tools are known an address, as the tools do soon after the start.
fn report_address(machine: &mut XenObject, id: &str) {
    if machine.get("managementAgentDetected") != Some(&true.into())
        || machine.list("VIFs").is_empty()
    {
        return;
    }
    let number = fingerprint(id);
    let address = format!("10.0.12.{}", 1 + number % 254);
    machine.insert("addresses".to_owned(), json!({"0/ipv4/0": address}));
    machine.insert("mainIpAddress".to_owned(), address.into());
}

/// Takes a VM off its host and leaves it halted or suspended.
pub(super) fn stop(store: &mut ObjectStore, id: &str, power_state: &str) {
    let Some(machine) = store.get(XenKind::Vm, id) else {
        return;
    };
    let host = machine.text("$container").to_owned();
    let pool = machine.text("$pool").to_owned();
    store.unlink(XenKind::Host, &host, "residentVms", id);
    store.update(XenKind::Vm, id, |machine| {
        machine.insert("power_state".to_owned(), power_state.into());
        machine.insert("$container".to_owned(), pool.into());
        machine.insert("startTime".to_owned(), Value::Null);
        if power_state == "Halted" {
            machine.insert("addresses".to_owned(), json!({}));
            machine.shift_remove("mainIpAddress");
        }
    });
    detach_devices(store, id);
}

fn attach_devices(store: &mut ObjectStore, vm: &str) {
    set_attached(store, vm, &true.into());
}

fn detach_devices(store: &mut ObjectStore, vm: &str) {
    set_attached(store, vm, &false.into());
}

fn set_attached(store: &mut ObjectStore, vm: &str, attached: &Value) {
    let Some(machine) = store.get(XenKind::Vm, vm) else {
        return;
    };
    let (disks, interfaces) = (machine.list("$VBDs"), machine.list("VIFs"));
    for disk in disks {
        store.set(XenKind::Vbd, &disk, "attached", attached.clone());
    }
    for interface in interfaces {
        store.set(XenKind::Vif, &interface, "attached", attached.clone());
    }
}

fn migrate(store: &mut ObjectStore, action: &ActionCall) -> Result<(), XenFailure> {
    let (id, host) = (action.id.as_str(), action.option("hostId").unwrap_or_default());
    let pool = store.find(XenKind::Host, host)?.text("$pool").to_owned();
    let machine = store.find(XenKind::Vm, id)?;
    let moves_disks = ["srId", "srIdByVdiId", "networkIdByVifId"];
    let moves_disks = moves_disks.iter().any(|name| action.body.contains_key(*name));
    if machine.text("$pool") == pool && !moves_disks {
        // Within a pool a VM moves while it runs, or it is just started elsewhere.
        check_power(store, id, &["Running"])?;
    }
    let machine = store.find(XenKind::Vm, id)?;
    let source = machine.text("$container").to_owned();
    if machine.text("power_state") == "Running" {
        store.unlink(XenKind::Host, &source, "residentVms", id);
        store.link(XenKind::Host, host, "residentVms", id);
        store.set(XenKind::Vm, id, "$container", host);
    } else {
        store.set(XenKind::Vm, id, "$container", pool.clone());
    }
    store.set(XenKind::Vm, id, "$pool", pool.clone());
    store.set(XenKind::Vm, id, "$poolId", pool);
    Ok(())
}

fn clone(store: &mut ObjectStore, action: &ActionCall) -> Result<String, XenFailure> {
    let source = store.find(XenKind::Vm, &action.id)?.clone();
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
        let disk = store.get(XenKind::Vbd, &connection).map(|connection| connection.text("VDI"));
        let disk = disk.and_then(|disk| store.get(XenKind::Vdi, disk)).cloned();
        let Some(disk) = disk else { continue };
        let storage = action.option("srId").unwrap_or(disk.text("$SR"));
        add_disk(store, (XenKind::Vm, &vm), storage, disk.text("name_label"), disk.number("size"));
    }
    for interface in source.list("VIFs") {
        let network =
            store.get(XenKind::Vif, &interface).map(|vif| vif.text("$network").to_owned());
        add_interface(store, &vm, &network.unwrap_or_default());
    }
    Ok(vm)
}

/// The VM that never starts, to show what a failure looks like.
const BROKEN: &str = "broken-01";
