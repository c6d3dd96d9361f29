//! Pools, hosts, storage, networks, and the devices that connect them.

use serde_json::json;

use super::{DAY, SeededPool, insert_in_pool, insert_with_id};
use crate::xen_orchestra::kind::XenKind;
use crate::xen_orchestra::store::ObjectStore;

/// Adds both pools.
pub(super) fn add(store: &mut ObjectStore) -> Vec<SeededPool> {
    let production = PoolPlan {
        name: "Production",
        description: "Three hosts with shared storage",
        hosts: &["xcp-01", "xcp-02", "xcp-03"],
        network: "10.0.1",
    };
    let lab = PoolPlan {
        name: "Lab",
        description: "One host for trying things out",
        hosts: &["lab-01"],
        network: "10.0.9",
    };
    let sites = vec![add_pool(store, &production), add_pool(store, &lab)];
    let id = store.generator.uuid();
    // A server that was switched off, so that not everything is well.
    store.insert(
        XenKind::Server,
        json!({
            "allowUnauthorized": true, "enabled": false, "host": "10.0.5.1", "label": "Old site",
            "username": "root", "readOnly": true, "id": id, "status": "disconnected",
        }),
    );
    sites
}

struct PoolPlan {
    name: &'static str,
    description: &'static str,
    hosts: &'static [&'static str],
    network: &'static str,
}

fn add_pool(store: &mut ObjectStore, plan: &PoolPlan) -> SeededPool {
    let pool = store.generator.uuid();
    let hosts: Vec<String> = plan.hosts.iter().map(|_| store.generator.uuid()).collect();
    let master = hosts.first().cloned().unwrap_or_default();
    insert_with_id(
        store,
        XenKind::Pool,
        &pool,
        &pool,
        json!({
            "auto_poweron": true, "current_operations": {}, "HA_enabled": false,
            "haRebootVmOnInternalShutdown": true, "haSrs": [], "migrationCompression": false,
            "master": master, "tags": [plan.name.to_lowercase()],
            "name_description": plan.description, "name_label": plan.name, "otherConfig": {},
            "cpus": {"cores": 16 * hosts.len(), "sockets": hosts.len()}, "zstdSupported": true,
            "vtpmSupported": true, "platform_version": "3.4.0",
        }),
    );
    let networks = add_networks(store, &pool);
    let mut site =
        SeededPool { pool: pool.clone(), hosts: vec![], shared_storage: String::new(), networks };
    for (index, host) in hosts.iter().enumerate() {
        let name = plan.hosts.get(index).copied().unwrap_or_default();
        let address = format!("{}.{}", plan.network, index + 11);
        add_host(store, &pool, host, name, &address);
        add_ports(store, &pool, host, &address, &site.networks);
        let local = add_storage(
            store,
            &pool,
            host,
            &StoragePlan {
                name: "Local storage",
                description: name,
                driver: "ext",
                content: "user",
                size: 480 * GIB,
                hosts: std::slice::from_ref(host),
                device: json!({"device": "/dev/disk/by-id/nvme-part3"}),
            },
        );
        site.hosts.push((host.clone(), local));
    }
    site.shared_storage = site.hosts.first().map(|host| host.1.clone()).unwrap_or_default();
    if hosts.len() > 1 {
        site.shared_storage = add_storage(
            store,
            &pool,
            &pool,
            &StoragePlan {
                name: "nfs-storage",
                description: "Shared by all hosts",
                driver: "nfs",
                content: "user",
                size: 8192 * GIB,
                hosts: &hosts,
                device: json!({"server": "10.0.1.50", "serverpath": "/export/vms"}),
            },
        );
    }
    add_storage(
        store,
        &pool,
        &pool,
        &StoragePlan {
            name: "ISO library",
            description: "Installation media",
            driver: "iso",
            content: "iso",
            size: 200 * GIB,
            hosts: &hosts,
            device: json!({"location": "10.0.1.50:/export/iso"}),
        },
    );
    let default_storage = site.shared_storage.clone();
    store.set(XenKind::Pool, &pool, "default_SR", default_storage.clone());
    store.set(XenKind::Pool, &pool, "suspendSr", default_storage);
    add_drivers(store, &pool);
    add_server(store, plan, &pool, &hosts);
    site
}

fn add_server(store: &mut ObjectStore, plan: &PoolPlan, pool: &str, hosts: &[String]) {
    let id = store.generator.uuid();
    let addresses = (11..).zip(hosts).map(|(last, _)| format!("{}.{last}", plan.network));
    store.insert(
        XenKind::Server,
        json!({
            "host": format!("{}.11", plan.network), "label": plan.name, "username": "root",
            "allowUnauthorized": true, "poolNameDescription": plan.description,
            "poolNameLabel": plan.name, "poolMembersAddresses": addresses.collect::<Vec<_>>(),
            "enabled": true, "readOnly": false, "id": id, "status": "connected", "poolId": pool,
            "master": hosts.first(),
        }),
    );
}

fn add_networks(store: &mut ObjectStore, pool: &str) -> Vec<String> {
    let plans = [
        ("Pool-wide network associated with eth0", "xenbr0", "Management and machines"),
        ("DMZ (VLAN 20)", "xapi20", "Machines that face the Internet"),
        ("Storage", "xenbr1", "Reserved for NFS"),
        ("Host internal management network", "xenapi", "Link-local addresses of guests"),
    ];
    plans
        .into_iter()
        .map(|(name, bridge, description)| {
            insert_in_pool(
                store,
                XenKind::Network,
                pool,
                json!({
                    "automatic": false, "bridge": bridge, "current_operations": {},
                    "defaultIsLocked": false, "MTU": 1500, "name_description": description,
                    "name_label": name, "other_config": {}, "tags": [], "PIFs": [], "VIFs": [],
                    "nbd": bridge == "xenbr0", "insecureNbd": false, "isBonded": false,
                }),
            )
        })
        .collect()
}

fn add_host(store: &mut ObjectStore, pool: &str, host: &str, name: &str, address: &str) {
    let started = store.moment - 40 * DAY;
    let dom0 = store.generator.uuid();
    let memory = 137_438_953_472_u64;
    insert_with_id(
        store,
        XenKind::Host,
        pool,
        host,
        json!({
            "CPUs": {
                "cpu_count": "16", "socket_count": "1", "threads_per_core": "2",
                "vendor": "AuthenticAMD", "speed": "2994.374",
                "modelname": "AMD EPYC 7313P 16-Core Processor", "family": "25", "model": "1",
                "stepping": "1",
            },
            "address": address,
            "bios_strings": {
                "bios-vendor": "AMI", "bios-version": "2.4", "system-manufacturer": "Supermicro",
                "system-product-name": "AS-1114S-WTRT",
            },
            "build": "8.3.0", "chipset_info": {"iommu": true}, "enabled": true,
            "controlDomain": dom0, "cpus": {"cores": 16, "sockets": 1}, "current_operations": {},
            "hostname": name, "iscsiIqn": format!("iqn.2026-01.example:{name}"),
            "zstdSupported": true, "license_params": {"enable_xha": "true"},
            "license_server": {"address": "localhost", "port": "27000"}, "license_expiry": null,
            "logging": {}, "name_description": "Rack 4", "name_label": name,
            "memory": {"usage": memory / 2, "size": memory}, "multipathing": false,
            "otherConfig": {"boot_time": format!("{}.", started)}, "patches": [],
            "powerOnMode": "IPMI", "power_state": "Running", "residentVms": [dom0],
            "startTime": started, "supplementalPacks": [],
            "agentStartTime": started + 66, "rebootRequired": false, "tags": [],
            "version": "8.3.0", "productBrand": "XCP-ng", "hvmCapable": true, "certificates": [],
            "PIFs": [], "$PIFs": [], "PCIs": [], "$PCIs": [], "PGPUs": [], "$PGPUs": [], "$PBDs": [],
        }),
    );
    insert_with_id(
        store,
        XenKind::VmController,
        pool,
        &dom0,
        json!({
            "addresses": {}, "auto_poweron": false, "bios_strings": {}, "blockedOperations": {},
            "boot": {"firmware": "bios", "order": "cdn"}, "CPUs": {"max": 8, "number": 8},
            "coresPerSocket": 1, "current_operations": {}, "expNestedHvm": false,
            "isNestedVirtEnabled": false, "viridian": false,
            "high_availability": "", "isFirmwareSupported": true,
            "memory": {
                "dynamic": [2_785_017_856_u64, 2_785_017_856_u64],
                "static": [2_785_017_856_u64, 2_785_017_856_u64], "size": 2_785_017_856_u64,
            },
            "installTime": started - 300 * DAY,
            "name_description": "The domain which manages physical devices and other domains",
            "name_label": format!("Control domain on host: {name}"), "needsVtpm": false,
            "other": {}, "os_version": null, "power_state": "Running",
            "hasVendorDevice": false, "snapshots": [], "startDelay": 0, "startTime": started,
            "secureBoot": false, "tags": [], "VIFs": [], "VTPMs": [], "virtualizationMode": "pv",
            "xenTools": false, "$container": host, "$VBDs": [], "VGPUs": [], "$VGPUs": [],
            "xenStoreData": {}, "PV_args": "",
        }),
    );
}

fn add_ports(store: &mut ObjectStore, pool: &str, host: &str, address: &str, networks: &[String]) {
    let plans = [("eth0", -1, address), ("eth0", 20, ""), ("eth1", -1, "")];
    for ((device, vlan, ip), network) in plans.into_iter().zip(networks) {
        let mac = store.generator.mac();
        let port = insert_in_pool(
            store,
            XenKind::Pif,
            pool,
            json!({
                "attached": true, "isBondMaster": false, "isBondSlave": false, "device": device,
                "deviceName": "Ethernet Controller X550", "dns": "", "disallowUnplug": !ip.is_empty(),
                "gateway": if ip.is_empty() { "" } else { "10.0.0.1" }, "ip": ip, "ipv6": [],
                "mac": mac, "management": !ip.is_empty(), "carrier": true,
                "mode": if ip.is_empty() { "None" } else { "Static" }, "ipv6Mode": "None",
                "mtu": 1500, "netmask": if ip.is_empty() { "" } else { "255.255.0.0" },
                "physical": vlan < 0, "primaryAddressType": "IPv4", "vlan": vlan, "speed": 10_000,
                "$host": host, "$network": network,
            }),
        );
        store.link(XenKind::Network, network, "PIFs", &port);
        store.link(XenKind::Host, host, "PIFs", &port);
        store.link(XenKind::Host, host, "$PIFs", &port);
    }
    for (slot, class, device) in [
        ("0000:41:00.0", "Ethernet controller", "Ethernet Controller X550"),
        ("0000:81:00.0", "VGA compatible controller", "AST2600"),
    ] {
        let pci = insert_in_pool(
            store,
            XenKind::Pci,
            pool,
            json!({
                "class_name": class, "device_name": device, "pci_id": slot, "$host": host,
            }),
        );
        store.link(XenKind::Host, host, "PCIs", &pci);
        store.link(XenKind::Host, host, "$PCIs", &pci);
        if class.starts_with("VGA") {
            let group = store.generator.uuid();
            let gpu = insert_in_pool(
                store,
                XenKind::Pgpu,
                pool,
                json!({
                    "dom0Access": "enabled", "enabledVgpuTypes": [], "gpuGroup": group,
                    "isSystemDisplayDevice": true, "pci": pci, "supportedVgpuTypes": [],
                    "host": host, "$host": host, "vgpus": [], "$vgpus": [],
                }),
            );
            store.link(XenKind::Host, host, "PGPUs", &gpu);
            store.link(XenKind::Host, host, "$PGPUs", &gpu);
        }
    }
}

struct StoragePlan<'a> {
    name: &'a str,
    description: &'a str,
    driver: &'a str,
    content: &'a str,
    size: u64,
    hosts: &'a [String],
    device: serde_json::Value,
}

fn add_storage(
    store: &mut ObjectStore,
    pool: &str,
    container: &str,
    plan: &StoragePlan<'_>,
) -> String {
    let storage = insert_in_pool(
        store,
        XenKind::Sr,
        pool,
        json!({
            "content_type": plan.content, "physical_usage": plan.size / 3,
            "allocationStrategy": if plan.driver == "iso" { "unknown" } else { "thin" },
            "current_operations": {}, "inMaintenanceMode": false,
            "name_description": plan.description, "name_label": plan.name, "size": plan.size,
            "shared": container == pool, "SR_type": plan.driver, "tags": [], "usage": plan.size / 2,
            "VDIs": [], "other_config": {}, "sm_config": {}, "$container": container, "$PBDs": [],
        }),
    );
    for host in plan.hosts {
        let connection = insert_in_pool(
            store,
            XenKind::Pbd,
            pool,
            json!({
                "attached": true, "host": host, "SR": storage, "device_config": plan.device,
                "otherConfig": {},
            }),
        );
        store.link(XenKind::Sr, &storage, "$PBDs", &connection);
        store.link(XenKind::Host, host, "$PBDs", &connection);
    }
    storage
}

fn add_drivers(store: &mut ObjectStore, pool: &str) {
    for (driver, name) in [
        ("ext", "Local EXT4 VHD and QCOW2"),
        ("iso", "ISO"),
        ("lvm", "Local VHD on LVM"),
        ("nfs", "NFS VHD and QCOW2"),
    ] {
        let configuration = match driver {
            "nfs" => json!({"server": "hostname or IP address", "serverpath": "path"}),
            _ => json!({"device": "local device path"}),
        };
        insert_in_pool(
            store,
            XenKind::Sm,
            pool,
            json!({
                "name_description": format!("SR plugin for {driver}"), "name_label": name,
                "SM_type": driver, "configuration": configuration, "vendor": "Vates",
                "features": {
                    "SR_PROBE": "1", "SR_UPDATE": "1", "VDI_CREATE": "1", "VDI_SNAPSHOT": "1",
                },
                "driver_filename": format!("/opt/xensource/sm/{}SR", driver.to_uppercase()),
                "required_cluster_stack": [], "supported_image_formats": ["vhd", "qcow2", "raw"],
            }),
        );
    }
}

/// A gibibyte.
const GIB: u64 = 1 << 30;
