//! What the actions of hosts, pools and storage do, and what hosts tell about themselves.

use http::StatusCode;
use serde_json::{Value, json};

use super::action_call::ActionCall;
use super::app::{XenApp, XenCall};
use super::disks::remove_storage;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::Properties;
use super::seed::insert_in_pool;
use super::state::XenState;
use super::store::ObjectStore;
use super::{deploy, machines};
use crate::server::{HttpReply, SeededGenerator, fingerprint, now_millis};

/// Acts on a host, a pool, a storage, or a connection between the two.
pub(super) fn act(
    state: &mut XenState,
    kind: XenKind,
    action: &ActionCall,
) -> Result<Value, XenFailure> {
    let store = &mut state.store;
    let id = action.id.as_str();
    match (kind, action.name) {
        (XenKind::Pool, "create_vm") => return deploy::create(store, action),
        (XenKind::Pool, "create_network" | "create_bonded_network" | "create_internal_network") => {
            return create_network(store, action);
        }
        (XenKind::Pool, "emergency_shutdown") => {
            for host in hosts_of(store, id) {
                shut_down(store, &host);
            }
        }
        (XenKind::Pool, "rolling_reboot" | "rolling_update") => {
            for host in hosts_of(store, id) {
                restart(store, &host);
            }
        }
        (XenKind::Host, "disable") => {
            if action.body.get("evacuate") == Some(&Value::Bool(true)) {
                evacuate(store, id);
            }
            store.set(XenKind::Host, id, "enabled", false);
        }
        (XenKind::Host, "enable") => store.set(XenKind::Host, id, "enabled", true),
        (XenKind::Host, "start") => {
            store.set(XenKind::Host, id, "power_state", "Running");
            store.set(XenKind::Host, id, "enabled", true);
        }
        (XenKind::Host, "clean_shutdown") => {
            if action.body.get("bypassEvacuate") != Some(&Value::Bool(true)) {
                evacuate(store, id);
            }
            shut_down(store, id);
        }
        (XenKind::Host, "emergency_shutdown") => shut_down(store, id),
        (XenKind::Host, "clean_reboot" | "smart_reboot") => restart(store, id),
        (XenKind::Host, "restart_toolstack") => {
            store.set(XenKind::Host, id, "agentStartTime", now_millis() / 1000);
        }
        (XenKind::Host, "detach" | "forget") => forget(store, id)?,
        (XenKind::Sr, "forget") => remove_storage(store, id),
        (XenKind::Pbd, "plug") => store.set(XenKind::Pbd, id, "attached", true),
        (XenKind::Pbd, "unplug") => store.set(XenKind::Pbd, id, "attached", false),
        // Scans and the like find that everything is as it was.
        _ => {}
    }
    Ok(Value::Null)
}

impl XenApp {
    /// Answers with what a host tells about itself.
    pub(super) fn host_details(
        &self,
        call: &XenCall<'_>,
        name: &str,
    ) -> Result<HttpReply, XenFailure> {
        let state = self.state();
        let host = state.store.find(XenKind::Host, call.capture(0))?;
        if host.text("power_state") != "Running" {
            return Err(XenFailure::xapi("HOST_OFFLINE", &[host.text("_xapiRef")]));
        }
        let generator = SeededGenerator::new(fingerprint(call.capture(0)));
        Ok(match name {
            "smt" => HttpReply::json(StatusCode::OK, &json!({"enabled": true})),
            "audit.txt" => HttpReply::whole(
                StatusCode::OK,
                "application/octet-stream",
                format!(
                    "Nov 20 13:26:14 {} xapi: [audit] ('session' 'root' 'ALLOWED' 'OK' 'API' \
                     'VM.start' ())\n",
                    host.text("hostname")
                ),
            ),
            _ => HttpReply::generated(generator, 256 * 1024),
        })
    }

    /// Answers with the patches that a host, or the hosts of a pool, lack.
    pub(super) fn missing_patches(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let moment = self.state().store.moment;
        Ok(HttpReply::json(StatusCode::OK, &missing_patches(call.capture(0), moment)))
    }
}

/// Returns the patches that are missing on a host or in a pool.
pub(super) fn missing_patches(id: &str, moment: u64) -> Value {
    let mut patches = json!([
        {
            "url": "http://www.openssh.com/portable.html", "version": "7.4p1", "name": "openssh",
            "license": "BSD",
            "changelog": {
                "date": moment - 9 * 86_400, "description": "- Fix two vulnerabilities",
                "author": "Packager <packager@example.org> - 7.4p1-23.3.4",
            },
            "release": "23.3.4.xcpng8.3", "size": 429_044,
            "description": "An open source implementation of SSH protocol version 2",
        },
        {
            "url": "http://www.xen.org", "version": "25.33.1", "name": "xenopsd-xc",
            "license": "LGPL-2.1-or-later",
            "changelog": {
                "date": moment - 12 * 86_400, "description": "- Fix a memory leak",
                "author": "Packager <packager@example.org> - 25.33.1-2.1",
            },
            "release": "2.1.xcpng8.3", "size": 5_421_696, "description": "Xenopsd using xc",
        },
    ]);
    // Some hosts are more up to date than others, and always the same ones.
    if fingerprint(id).is_multiple_of(3)
        && let Some(list) = patches.as_array_mut()
    {
        list.truncate(1);
    }
    patches
}

fn hosts_of(store: &ObjectStore, pool: &str) -> Vec<String> {
    let hosts = store.all(XenKind::Host).filter(|host| host.1.text("$pool") == pool);
    hosts.map(|host| host.0.to_owned()).collect()
}

fn guests(store: &ObjectStore, host: &str) -> Vec<String> {
    let residents = store.get(XenKind::Host, host).map(|host| host.list("residentVms"));
    let residents = residents.into_iter().flatten();
    residents.filter(|vm| store.get(XenKind::Vm, vm).is_some()).collect()
}

fn shut_down(store: &mut ObjectStore, host: &str) {
    for vm in guests(store, host) {
        machines::stop(store, &vm, "Halted");
    }
    store.set(XenKind::Host, host, "power_state", "Halted");
    store.set(XenKind::Host, host, "enabled", false);
}

fn restart(store: &mut ObjectStore, host: &str) {
    store.set(XenKind::Host, host, "startTime", now_millis() / 1000);
    store.set(XenKind::Host, host, "agentStartTime", now_millis() / 1000 + 60);
}

/// Moves the VMs of a host to the others of its pool; those that find no place are stopped.
fn evacuate(store: &mut ObjectStore, host: &str) {
    let pool = store.get(XenKind::Host, host).map(|host| host.text("$pool").to_owned());
    let mut others = hosts_of(store, &pool.unwrap_or_default());
    others.retain(|other| other != host);
    let mut turn = others.iter().cycle();
    for vm in guests(store, host) {
        match turn.next() {
            Some(other) => {
                store.unlink(XenKind::Host, host, "residentVms", &vm);
                store.link(XenKind::Host, other, "residentVms", &vm);
                store.set(XenKind::Vm, &vm, "$container", other.as_str());
            }
            None => machines::stop(store, &vm, "Halted"),
        }
    }
}

fn forget(store: &mut ObjectStore, id: &str) -> Result<(), XenFailure> {
    let host = store.find(XenKind::Host, id)?.clone();
    shut_down(store, id);
    for (list, kind) in [
        ("$PBDs", XenKind::Pbd),
        ("PCIs", XenKind::Pci),
        ("PGPUs", XenKind::Pgpu),
        ("PIFs", XenKind::Pif),
    ] {
        for device in host.list(list) {
            if let Some(device) = store.remove(kind, &device) {
                store.unlink(XenKind::Sr, device.text("SR"), "$PBDs", device.text("id"));
                store.unlink(XenKind::Network, device.text("$network"), "PIFs", device.text("id"));
            }
        }
    }
    store.remove(XenKind::VmController, host.text("controlDomain"));
    store.remove(XenKind::Host, id);
    Ok(())
}

fn create_network(store: &mut ObjectStore, action: &ActionCall) -> Result<Value, XenFailure> {
    let pool = action.id.as_str();
    let count = store.count(XenKind::Network);
    let network = insert_in_pool(
        store,
        XenKind::Network,
        pool,
        json!({
            "automatic": false, "bridge": format!("xapi{count}"), "current_operations": {},
            "defaultIsLocked": false, "MTU": action.body.get("mtu").unwrap_or(&json!(1500)),
            "name_description": action.option("description").unwrap_or_default(),
            "name_label": action.option("name").unwrap_or_default(), "other_config": {}, "tags": [],
            "PIFs": [], "VIFs": [], "nbd": action.body.get("nbd").unwrap_or(&json!(false)),
            "insecureNbd": false, "isBonded": action.name == "create_bonded_network",
        }),
    );
    let mut bases = action.body.list("pifIds");
    bases.truncate(1);
    bases.extend(action.option("pif").map(str::to_owned));
    for base in bases {
        let base = store.find(XenKind::Pif, &base)?.clone();
        let mac = store.generator.mac();
        let port = insert_in_pool(
            store,
            XenKind::Pif,
            pool,
            json!({
                "attached": true, "isBondMaster": action.name == "create_bonded_network",
                "isBondSlave": false, "device": base.text("device"),
                "deviceName": base.text("deviceName"), "dns": "", "disallowUnplug": false,
                "gateway": "", "ip": "", "ipv6": [], "mac": mac, "management": false, "carrier": true,
                "mode": "None", "ipv6Mode": "None", "mtu": 1500, "netmask": "", "physical": false,
                "primaryAddressType": "IPv4",
                "vlan": action.body.get("vlan").unwrap_or(&json!(-1)), "speed": 10_000,
                "$host": base.text("$host"), "$network": network,
            }),
        );
        store.link(XenKind::Network, &network, "PIFs", &port);
        store.link(XenKind::Host, base.text("$host"), "PIFs", &port);
        store.link(XenKind::Host, base.text("$host"), "$PIFs", &port);
    }
    Ok(json!({"id": network}))
}
