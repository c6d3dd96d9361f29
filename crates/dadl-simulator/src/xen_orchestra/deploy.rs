//! How a VM is made from a template.
//!
//! A template is named by its UUID: the identifier of a default template (pool and UUID) names
//! nothing here. Disks and interfaces of the template are copied;
//! what the body says about a position changes the copy, anything else is new.

use serde_json::{Value, json};

use super::action_call::ActionCall;
use super::disks::remove_disk;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::machines::start;
use super::object::{Properties, XenObject};
use super::seed::{GuestTools, NewMachine, add_disk, add_interface, add_machine, report_tools};
use super::store::ObjectStore;

/// Makes a VM from a template of the pool.
pub(super) fn create(store: &mut ObjectStore, action: &ActionCall) -> Result<Value, XenFailure> {
    let uuid = action.option("template").unwrap_or_default();
    let pool = action.id.clone();
    let fits =
        |template: &XenObject| template.text("uuid") == uuid && template.text("$pool") == pool;
    let template = store.all(XenKind::VmTemplate).find(|template| fits(template.1));
    let Some(template) = template.map(|template| template.1.clone()) else {
        let message = format!("no object with UUID or opaque ref: {uuid}");
        return Err(XenFailure::unexpected(message));
    };
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
            template: Some(uuid.to_owned()),
            user: Some(action.user.clone()),
            auto_poweron: is("autoPoweron"),
            firmware: action.option("hvmBootFirmware").unwrap_or("bios").to_owned(),
        },
    );
    copy_disks(store, &template, &vm);
    let disks = action.body.get("vdis").and_then(Value::as_array).cloned().unwrap_or_default();
    for disk in disks.iter().filter_map(Value::as_object) {
        apply_disk(store, &vm, disk)?;
    }
    if let Some(config) = action.option("cloud_config") {
        let storage = store.find(XenKind::Pool, &pool)?.text("default_SR").to_owned();
        let size = (config.len() as u64).max(10 << 20);
        add_disk(store, (XenKind::Vm, &vm), &storage, "XO CloudConfigDrive", size);
    }
    let interfaces = action.body.get("vifs").and_then(Value::as_array).cloned().unwrap_or_default();
    let interfaces = interfaces.iter().filter_map(Value::as_object);
    for network in interfaces.map(|interface| interface.text("network")) {
        if store.get(XenKind::Network, network).is_some() {
            add_interface(store, &vm, network);
        }
    }
    // A system is on the disk of other templates, and in it the guest tools.
    let has_tools = template.get("isDefaultTemplate") == Some(&false.into());
    let tools = if has_tools { GuestTools::Found } else { GuestTools::Missing };
    store.update(XenKind::Vm, &vm, |vm| report_tools(vm, tools));
    if is("boot") {
        start(store, &vm, None)?;
    }
    Ok(json!({"id": vm}))
}

fn copy_disks(store: &mut ObjectStore, template: &XenObject, vm: &str) {
    for connection in template.list("$VBDs") {
        let disk = store.get(XenKind::Vbd, &connection).map(|connection| connection.text("VDI"));
        let disk = disk.and_then(|disk| store.get(XenKind::Vdi, disk)).cloned();
        let Some(disk) = disk else { continue };
        let (storage, name) = (disk.text("$SR"), disk.text("name_label"));
        add_disk(store, (XenKind::Vm, vm), storage, name, disk.number("size"));
    }
}

/// Changes or removes the disk at the position that is given, or adds one.
fn apply_disk(store: &mut ObjectStore, vm: &str, wanted: &XenObject) -> Result<(), XenFailure> {
    if wanted.contains_key("userdervice") {
        // XO's validator wants this name and its code another: the disk is taken for a new one.
        return Err(XenFailure::xapi("INTERNAL_ERROR", &["no virtual_size"]));
    }
    let position = wanted.text("userdevice");
    let connections = store.find(XenKind::Vm, vm)?.list("$VBDs");
    let existing = connections.iter().filter_map(|id| store.get(XenKind::Vbd, id));
    let existing = existing.filter(|vbd| !position.is_empty() && vbd.text("position") == position);
    let existing = existing.map(|vbd| vbd.text("VDI").to_owned()).next();
    let size = wanted.get("size").and_then(Value::as_f64).map(|size| size as u64);
    let storage = wanted.get("sr").and_then(Value::as_str);
    let Some(disk) = existing else {
        if wanted.get("destroy") == Some(&true.into()) {
            return Ok(());
        }
        let storage = storage.unwrap_or("undefined");
        if store.get(XenKind::Sr, storage).is_none() {
            let message = format!("no object with UUID or opaque ref: {storage}");
            return Err(XenFailure::unexpected(message));
        }
        let size = size.unwrap_or_default();
        add_disk(store, (XenKind::Vm, vm), storage, wanted.text("name_label"), size);
        return Ok(());
    };
    if wanted.get("destroy") == Some(&true.into()) {
        remove_disk(store, XenKind::Vdi, &disk);
        return Ok(());
    }
    if let Some(storage) = storage {
        let old = store.find(XenKind::Vdi, &disk)?.text("$SR").to_owned();
        store.find(XenKind::Sr, storage)?;
        store.unlink(XenKind::Sr, &old, "VDIs", &disk);
        store.link(XenKind::Sr, storage, "VDIs", &disk);
        store.set(XenKind::Vdi, &disk, "$SR", storage);
    }
    if let Some(size) = size {
        let present = store.find(XenKind::Vdi, &disk)?.number("size");
        if size < present {
            return Err(XenFailure::unexpected(format!(
                "Unable to update to a smaller VDI size for VDI with PBD userdevice: {position}. \
                 Current size: {present}, new size: {size}"
            )));
        }
        store.set(XenKind::Vdi, &disk, "size", size);
    }
    if let Some(name) = wanted.get("name_label") {
        store.set(XenKind::Vdi, &disk, "name_label", name.clone());
    }
    Ok(())
}
