//! VMs, templates and snapshots with their disks and interfaces.
//!
//! The functions that add one machine, disk or interface also serve the operations that create
//! them later, so that what a client makes looks like what was there before.

use serde_json::{Value, json};

use super::{DAY, SeededPool, insert_in_pool, insert_with_id};
use crate::server::SimulatedDate;
use crate::xen_orchestra::kind::XenKind;
use crate::xen_orchestra::object::{Properties, XenObject};
use crate::xen_orchestra::snapshots::take_snapshot;
use crate::xen_orchestra::store::ObjectStore;

/// Adds all machines to the pools.
pub(super) fn add(store: &mut ObjectStore, sites: &[SeededPool]) {
    for site in sites {
        add_templates(store, site);
    }
    for (index, &(role, count, cpus, gibibytes, disk, tags)) in ROLES.iter().enumerate() {
        for number in 1..=count {
            let name = match count {
                1 => role.to_owned(),
                _ => format!("{role}-{number:02}"),
            };
            let site = if tags.contains("lab") { sites.last() } else { sites.first() };
            let Some(site) = site else { continue };
            add_seeded(
                store,
                site,
                &SeededMachine { name, number, order: index, cpus, gibibytes, disk, tags },
            );
        }
    }
    add_alarms(store);
}

/// What a VM is made of.
#[derive(Debug, Clone)]
pub(in super::super) struct NewMachine {
    /// The name.
    pub(in super::super) name: String,
    /// The description.
    pub(in super::super) description: String,
    /// The pool.
    pub(in super::super) pool: String,
    /// The host it runs on or the pool.
    pub(in super::super) container: String,
    /// Virtual CPUs.
    pub(in super::super) cpus: u64,
    /// Bytes of memory.
    pub(in super::super) memory: u64,
    /// The template or VM it comes from.
    pub(in super::super) template: Option<String>,
    /// Who made it.
    pub(in super::super) user: Option<String>,
    /// Whether it starts with its host.
    pub(in super::super) auto_poweron: bool,
    /// `bios` or `uefi`.
    pub(in super::super) firmware: String,
}

/// Adds a halted VM without disks and interfaces.
pub(in super::super) fn add_machine(store: &mut ObjectStore, machine: &NewMachine) -> String {
    let mut object = machine_object(machine);
    if let Some(properties) = object.as_object_mut() {
        let created = SimulatedDate(store.moment - 290 * DAY).iso_millis();
        let creation = json!({"date": created, "template": machine.template, "user": machine.user});
        properties.insert("creation".to_owned(), creation);
        properties.insert("installTime".to_owned(), (store.moment - 200 * DAY).into());
        properties.insert("startTime".to_owned(), Value::Null);
        properties.insert("vulnerabilities".to_owned(), json!({"xsa468": false}));
    }
    insert_in_pool(store, XenKind::Vm, &machine.pool, object)
}

/// Adds a disk to a storage and connects it to a machine. Returns the disk.
pub(in super::super) fn add_disk(
    store: &mut ObjectStore,
    machine: (XenKind, &str),
    storage: &str,
    name: &str,
    size: u64,
) -> String {
    let (kind, id) = machine;
    let position = store.get(kind, id).map_or(0, |machine| machine.list("$VBDs").len());
    let pool = store.get(kind, id).map(|machine| machine.text("$pool").to_owned());
    let running = store.get(kind, id).is_some_and(|vm| vm.text("power_state") == "Running");
    let pool = pool.unwrap_or_default();
    let disk = insert_in_pool(
        store,
        XenKind::Vdi,
        &pool,
        json!({
            "cbt_enabled": false, "missing": false, "name_description": "Created by XO",
            "name_label": name, "size": size, "snapshots": [], "tags": [], "usage": size / 4,
            "VDI_type": "user", "current_operations": {}, "other_config": {}, "$SR": storage,
            "$VBDs": [], "chainPhysicalUsage": size / 4,
        }),
    );
    store.link(XenKind::Sr, storage, "VDIs", &disk);
    let letter = char::from(b'a' + u8::try_from(position).unwrap_or(0).min(25));
    let connection = insert_in_pool(
        store,
        XenKind::Vbd,
        &pool,
        json!({
            "attached": running, "bootable": position == 0, "device": format!("xvd{letter}"),
            "is_cd_drive": false, "position": position.to_string(), "read_only": false, "VDI": disk,
            "VM": id,
        }),
    );
    store.link(XenKind::Vdi, &disk, "$VBDs", &connection);
    store.link(kind, id, "$VBDs", &connection);
    disk
}

/// Adds an interface that connects a VM to a network.
pub(in super::super) fn add_interface(store: &mut ObjectStore, vm: &str, network: &str) -> String {
    let machine = store.get(XenKind::Vm, vm);
    let device = machine.map_or(0, |machine| machine.list("VIFs").len()).to_string();
    let pool = machine.map(|machine| machine.text("$pool").to_owned()).unwrap_or_default();
    let attached = machine.is_some_and(|machine| machine.text("power_state") == "Running");
    let mac = store.generator.mac();
    let interface = insert_in_pool(
        store,
        XenKind::Vif,
        &pool,
        json!({
            "allowedIpv4Addresses": [], "allowedIpv6Addresses": [], "attached": attached,
            "device": device, "lockingMode": "network_default", "MAC": mac, "MTU": 1500,
            "other_config": {}, "txChecksumming": true, "$network": network, "$VM": vm,
        }),
    );
    store.link(XenKind::Vm, vm, "VIFs", &interface);
    store.link(XenKind::Network, network, "VIFs", &interface);
    interface
}

/// What VMs and templates have in common.
fn machine_object(machine: &NewMachine) -> Value {
    json!({
        "addresses": {}, "auto_poweron": machine.auto_poweron,
        "bios_strings": {"bios-vendor": "Xen", "system-manufacturer": "Xen"},
        "blockedOperations": {}, "boot": {"firmware": machine.firmware, "order": "cdn"},
        "CPUs": {"max": machine.cpus, "number": machine.cpus},
        "coresPerSocket": 1, "current_operations": {}, "expNestedHvm": false, "isNestedVirtEnabled": false,
        "viridian": false, "high_availability": "", "isFirmwareSupported": true,
        "memory": {
            "dynamic": [machine.memory, machine.memory],
            "static": [machine.memory / 2, machine.memory], "size": machine.memory,
        },
        "name_description": machine.description,
        "name_label": machine.name, "needsVtpm": false, "other": {}, "os_version": null,
        "power_state": "Halted", "hasVendorDevice": false, "snapshots": [], "startDelay": 0,
        "secureBoot": false, "tags": [], "VIFs": [], "VTPMs": [],
        "virtualizationMode": "hvm", "$container": machine.container, "$VBDs": [], "VGPUs": [],
        "$VGPUs": [], "xenStoreData": {}, "vga": "std", "videoram": 8,
    })
}

/// One VM of the plan.
struct SeededMachine {
    name: String,
    number: u64,
    order: usize,
    cpus: u64,
    gibibytes: u64,
    disk: u64,
    tags: &'static str,
}

fn add_seeded(store: &mut ObjectStore, site: &SeededPool, plan: &SeededMachine) {
    let moment = store.moment;
    let power = match plan.name.as_str() {
        "broken-01" | "build-03" | "legacy-erp" | "test-02" | "web-06" | "win-02" => "Halted",
        "build-02" | "test-03" => "Suspended",
        _ => "Running",
    };
    let turn = plan.order + usize::try_from(plan.number).unwrap_or_default();
    let host = site.hosts.get(turn % site.hosts.len().max(1)).map(|host| host.0.clone());
    let host = host.unwrap_or_default();
    let vm = add_machine(
        store,
        &NewMachine {
            name: plan.name.clone(),
            description: format!(
                "{} server",
                plan.name.trim_end_matches(|c: char| !c.is_alphabetic())
            ),
            pool: site.pool.clone(),
            container: if power == "Running" { host.clone() } else { site.pool.clone() },
            cpus: plan.cpus,
            memory: plan.gibibytes << 30,
            template: None,
            user: None,
            auto_poweron: power == "Running",
            firmware: if plan.name.starts_with("win") { "uefi" } else { "bios" }.to_owned(),
        },
    );
    let address = format!(
        "10.0.{}.{}",
        if plan.tags.contains("lab") { 19 } else { 11 },
        20 + store.count(XenKind::Vm)
    );
    store.update(XenKind::Vm, &vm, |object| {
        object.insert("power_state".to_owned(), power.into());
        object.insert("tags".to_owned(), plan.tags.split(' ').collect());
        if power == "Running" {
            let addresses = json!({"0/ipv4/0": address, "0/ipv6/0": "fe80::1"});
            object.insert("addresses".to_owned(), addresses);
            object.insert("mainIpAddress".to_owned(), address.into());
            object.insert("os_version".to_owned(), system(&plan.name));
            object.insert("startTime".to_owned(), (moment - 30 * DAY).into());
            report_tools(object, GuestTools::Found);
        }
    });
    if power == "Running" {
        store.link(XenKind::Host, &host, "residentVms", &vm);
    }
    let system = format!("{} system", plan.name);
    add_disk(store, (XenKind::Vm, &vm), &site.shared_storage, &system, plan.disk << 30);
    if plan.tags.contains("data") {
        let data = format!("{} data", plan.name);
        add_disk(store, (XenKind::Vm, &vm), &site.shared_storage, &data, plan.disk << 32);
    }
    let network = site.networks.get(usize::from(plan.tags.contains("dmz"))).cloned();
    add_interface(store, &vm, &network.unwrap_or_default());
    if power == "Running" {
        insert_in_pool(
            store,
            XenKind::Message,
            &site.pool,
            json!({
                "body": format!("VM '{}' (uuid: {vm}) started on host (uuid: {host})", plan.name),
                "name": "VM_STARTED", "time": moment - 30 * DAY, "$object": vm,
            }),
        );
    }
    if plan.tags.contains("snapshots") {
        take_snapshot(store, &vm, Some("before the upgrade"), moment - 3 * DAY);
    }
}

/// What the guest tools of a VM say about its system.
fn system(name: &str) -> Value {
    if name.starts_with("win") {
        json!({
            "name": "Windows Server 2022 Standard", "distro": "windows", "major": "10",
            "minor": "0", "uname": "10.0.20348",
        })
    } else {
        json!({
            "name": "Debian GNU/Linux 12 (bookworm)", "distro": "debian", "major": "12",
            "minor": "5", "uname": "6.1.0-18-amd64",
        })
    }
}

/// Whether guest tools answer in a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum GuestTools {
    Found,
    Missing,
}

/// Says in a VM whether guest tools answer in it, and which.
pub(in super::super) fn report_tools(machine: &mut XenObject, tools: GuestTools) {
    let there = tools == GuestTools::Found;
    for property in ["managementAgentDetected", "pvDriversDetected"] {
        machine.insert(property.to_owned(), there.into());
    }
    if there {
        machine.insert("pvDriversVersion".to_owned(), "8.4.0".into());
        machine.insert("pvDriversUpToDate".to_owned(), true.into());
        machine.insert("xenTools".to_owned(), json!({"major": 8, "minor": 4, "version": 8.4}));
    } else {
        machine.insert("xenTools".to_owned(), false.into());
        machine.shift_remove("pvDriversVersion");
        machine.shift_remove("pvDriversUpToDate");
    }
}

fn add_templates(store: &mut ObjectStore, site: &SeededPool) {
    for name in [
        "Debian Bookworm 12",
        "Ubuntu Noble Numbat 24.04",
        "Rocky Linux 9",
        "AlmaLinux 9",
        "Windows Server 2022 (64-bit)",
        "Other install media",
    ] {
        let uuid = store.generator.uuid();
        let mut object = template_object(site, name, "Use it to install from a medium");
        if let Some(properties) = object.as_object_mut() {
            let disk = json!({"bootable": true, "device": "0", "size": 10_u64 << 30,
                "type": "system", "SR": ""});
            let info = json!({
                "arch": "amd64", "disks": [disk],
                "install_methods": ["cdrom", "nfs", "http", "ftp"],
            });
            let other = json!({
                "default_template": "true", "install-arch": "amd64",
                "install-methods": "cdrom,nfs,http,ftp",
                "disks": "<provision><disk device=\"0\" size=\"10737418240\"/></provision>",
            });
            properties.insert("other".to_owned(), other);
            properties.insert("isDefaultTemplate".to_owned(), true.into());
            properties.insert("template_info".to_owned(), info);
            properties.insert("uuid".to_owned(), uuid.clone().into());
        }
        // XO adds the pool, because each pool has the default templates under the same UUID.
        let id = format!("{}-{uuid}", site.pool);
        insert_with_id(store, XenKind::VmTemplate, &site.pool, &id, object);
    }
    let mut object = template_object(site, "golden-debian-12", "Debian 12 with cloud-init");
    if let Some(properties) = object.as_object_mut() {
        properties.insert("isDefaultTemplate".to_owned(), false.into());
    }
    let golden = insert_in_pool(store, XenKind::VmTemplate, &site.pool, object);
    let storage = &site.shared_storage;
    add_disk(store, (XenKind::VmTemplate, &golden), storage, "golden system", 10 << 30);
}

fn template_object(site: &SeededPool, name: &str, description: &str) -> Value {
    let template = NewMachine {
        name: name.to_owned(),
        description: description.to_owned(),
        pool: site.pool.clone(),
        container: site.pool.clone(),
        cpus: 2,
        memory: 2 << 30,
        template: None,
        user: None,
        auto_poweron: false,
        firmware: if name.starts_with("Windows") { "uefi" } else { "bios" }.to_owned(),
    };
    machine_object(&template)
}

fn add_alarms(store: &mut ObjectStore) {
    let moment = store.moment;
    let busy = |store: &ObjectStore, name: &str| {
        let found = store.all(XenKind::Vm).find(|vm| vm.1.text("name_label") == name);
        found.map(|vm| (vm.0.to_owned(), vm.1.text("$pool").to_owned()))
    };
    let storage = store.all(XenKind::Sr).find(|storage| storage.1.text("SR_type") == "nfs");
    let storage = storage.map(|found| (found.0.to_owned(), found.1.text("$pool").to_owned()));
    for (target, kind, name, value, age) in [
        (busy(store, "db-01"), XenKind::Vm, "mem_usage", "97.0", 1),
        (busy(store, "web-01"), XenKind::Vm, "cpu_usage", "93.0", 2),
        (storage, XenKind::Sr, "physical_utilisation", "91.0", 5),
    ] {
        let Some((id, pool)) = target else { continue };
        let href = kind.href(&id);
        insert_in_pool(
            store,
            XenKind::Alarm,
            &pool,
            json!({
                "name": "ALARM", "time": (moment - age * DAY) * 1000,
                "body": {"value": value, "name": name},
                "object": {"type": kind.type_name(), "uuid": id, "href": href},
            }),
        );
    }
}

/// Role, how many, CPUs, GiB of memory, GiB of disk, tags. A tag also says where and how:
/// `lab` the pool, `dmz` the network, `data` a second disk, `snapshots` one snapshot.
const ROLES: [(&str, u64, u64, u64, u64, &str); 19] = [
    ("web", 6, 2, 4, 20, "prod web dmz"),
    ("app", 6, 4, 8, 30, "prod app"),
    ("db", 3, 8, 32, 40, "prod db data snapshots"),
    ("cache", 2, 2, 8, 10, "prod cache"),
    ("mail", 1, 4, 8, 60, "prod mail dmz snapshots"),
    ("dns", 2, 1, 1, 8, "prod infra"),
    ("proxy", 2, 2, 2, 8, "prod infra dmz"),
    ("monitoring", 1, 4, 16, 100, "prod infra data"),
    ("git", 1, 4, 8, 80, "prod dev snapshots"),
    ("build", 3, 8, 16, 60, "dev"),
    ("wiki", 1, 2, 4, 20, "prod office"),
    ("files", 1, 2, 4, 40, "prod office data"),
    ("win", 2, 4, 8, 60, "prod windows"),
    ("legacy-erp", 1, 4, 8, 120, "old"),
    ("vpn", 2, 1, 1, 8, "prod infra dmz"),
    ("xo-proxy", 1, 2, 2, 10, "prod infra"),
    ("broken-01", 1, 2, 4, 20, "lab broken"),
    ("test", 6, 2, 2, 10, "lab test"),
    ("k8s", 2, 4, 8, 40, "lab k8s"),
];
