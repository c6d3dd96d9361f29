//! The data of a fresh simulator: the same at each start, but for the dates, which are counted back
//! from it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::SimulatedClock;
use super::records::{
    Backup, BackupDefinition, BackupStatus, ComputeNode, Datacenter, DatacenterLimits, Disk,
    MachineQuirk, MachineStatus, VirtualMachine,
};
use super::state::DanubeState;
use super::task_records::LogEntry;
use super::throttle::RequestThrottle;
use super::users::{AccountUser, UserRole};
use crate::SimulatorOptions;
use crate::server::SeededGenerator;
use crate::server::SimulatedDate;

/// Makes the data.
pub(super) fn seed(options: &SimulatorOptions) -> DanubeState {
    let mut generator = SeededGenerator::new(0xdaab);
    let clock = SimulatedClock::new();
    let machines = machines(&mut generator);
    let mut state = DanubeState {
        generator,
        users: users(&options.token),
        tokens: BTreeMap::new(),
        datacenters: vec![
            Datacenter { id: 1, name: "main", is_full: false, limits: None },
            Datacenter {
                id: 2,
                name: "lab",
                is_full: false,
                limits: Some(DatacenterLimits { backups: 60, definitions: 2 }),
            },
            Datacenter { id: 3, name: "full", is_full: true, limits: None },
        ],
        nodes: nodes(),
        machines,
        definitions: Vec::new(),
        backups: Vec::new(),
        tasks: Vec::new(),
        log: Vec::new(),
        throttle: RequestThrottle::default(),
        backups_enabled: true,
        task_duration: options.task_duration,
        clock,
    };
    let define =
        |state: &mut DanubeState, machine: &str, name: &str, disk_id, schedule: &str, retention| {
            let vm_uuid = uuid_of(state, machine);
            // The later ones are younger.
            let younger = Duration::from_secs(60)
                * u32::try_from(state.definitions.len()).unwrap_or_default();
            let created = state.clock.date(90 * DAY - younger);
            state.definitions.push(BackupDefinition {
                vm_uuid,
                name: name.to_owned(),
                disk_id,
                kind: if name == "offsite" { 2 } else { 1 },
                node: "backup01.example.com".to_owned(),
                zpool: "zones".to_owned(),
                desc: format!("{name} backups of {machine}"),
                bwlimit: (name == "offsite").then_some(20_000_000),
                active: machine != "web02.example.com",
                schedule: schedule.to_owned(),
                retention,
                compression: u64::from(name == "offsite"),
                fsfreeze: false,
                created,
            });
        };
    for (machine, name, disk_id, schedule, retention) in DEFINITIONS {
        define(&mut state, machine, name, *disk_id, schedule, *retention);
    }
    for (machine, define, disk_id, ages) in BACKUPS {
        for age in *ages {
            let backup = backup(&state, machine, define, *disk_id, *age);
            state.backups.push(backup);
        }
    }
    // One that its node has lost, and those of a machine that is gone.
    let mut lost = backup(&state, "web01.example.com", "daily", 1, 40);
    lost.status = BackupStatus::Lost;
    "disk of the node was replaced".clone_into(&mut lost.note);
    state.backups.push(lost);
    let gone = state.generator.uuid();
    for age in [20, 21] {
        let mut left = backup(&state, "web01.example.com", "daily", 1, age);
        left.hostname = "old01.example.com".to_owned();
        left.vm_uuid.clone_from(&gone);
        left.define = None;
        left.node = "backup02.example.com".to_owned();
        state.backups.push(left);
    }
    state.log = log(&state);
    state
}

fn nodes() -> Vec<ComputeNode> {
    let node = |hostname, color| ComputeNode {
        hostname,
        color,
        is_online: true,
        is_backup: false,
        zpools: &["zones"],
    };
    let keeps = |hostname, color| ComputeNode { is_backup: true, ..node(hostname, color) };
    vec![
        node("node01.example.com", "#3b7dd8"),
        node("node02.example.com", "#4bb44a"),
        ComputeNode { is_online: false, ..node("node03.example.com", "#d64541") },
        ComputeNode { zpools: &["zones", "tank"], ..keeps("backup01.example.com", "#f9af4b") },
        keeps("backup02.example.com", "#8e6ad8"),
        ComputeNode { is_online: false, ..keeps("backup03.example.com", "#7f8c8d") },
    ]
}

fn uuid_of(state: &DanubeState, hostname: &str) -> String {
    let machine = state.machines.iter().find(|machine| machine.hostname == hostname);
    machine.map(|machine| machine.uuid.clone()).unwrap_or_default()
}

/// Makes a backup that is `age` days old.
fn backup(state: &DanubeState, hostname: &str, define: &str, disk_id: u64, age: u32) -> Backup {
    let machine = state.machines.iter().find(|machine| machine.hostname == hostname);
    let at = usize::try_from(disk_id).ok().and_then(|id| id.checked_sub(1)).unwrap_or_default();
    let disk = machine.and_then(|machine| machine.disks.get(at));
    let day = state.clock.date(DAY * age).0 / 86_400;
    let created = SimulatedDate(day * 86_400 + 4 * 3600 + 17 * 60);
    Backup {
        dc: machine.map_or("main", |machine| machine.dc),
        hostname: hostname.to_owned(),
        vm_uuid: uuid_of(state, hostname),
        define: Some(define.to_owned()),
        name: format!("{define}-{}", created.compact()),
        disk_id,
        disk_size: disk.map_or(10_240, |disk| disk.size),
        brand: machine.map_or("kvm", |machine| machine.brand),
        kind: if define == "offsite" { 2 } else { 1 },
        node: "backup01.example.com".to_owned(),
        zpool: "zones".to_owned(),
        created,
        status: BackupStatus::Ok,
        size: Some(2_147_483_648 - u64::from(age) * 10_000_000),
        time: Some(120 + u64::from(age)),
        note: String::new(),
    }
}

fn users(key: &str) -> Vec<AccountUser> {
    let user = |id, name, role, may_use_api| AccountUser {
        id,
        name,
        key: if name == "admin" { key.to_owned() } else { format!("demo-key-{name}") },
        role,
        may_use_api,
    };
    vec![
        user(1, "admin", UserRole::SuperAdmin, true),
        user(4, "operator", UserRole::Admin("main"), true),
        user(9, "owner", UserRole::Owner, true),
        user(12, "guest", UserRole::Owner, false),
    ]
}

fn machines(generator: &mut SeededGenerator) -> Vec<VirtualMachine> {
    let mut machine = |hostname, dc, brand, status, sizes: &[u64]| VirtualMachine {
        hostname,
        uuid: generator.uuid(),
        dc,
        owner: "admin",
        node: "node01.example.com",
        brand,
        status,
        is_locked: false,
        disks: sizes
            .iter()
            .map(|size| Disk { size: *size, snapshots: 0, restored_from: None })
            .collect(),
        quirk: MachineQuirk::None,
    };
    let (running, stopped) = (MachineStatus::Running, MachineStatus::Stopped);
    let mut machines = vec![
        machine("web01.example.com", "main", "kvm", running, &[10_240, 20_480]),
        machine("web02.example.com", "main", "kvm", running, &[10_240]),
        machine("db01.example.com", "main", "kvm", running, &[51_200, 102_400]),
        machine("spare01.example.com", "main", "kvm", stopped, &[10_240, 20_480]),
        machine("big01.example.com", "main", "kvm", stopped, &[40_960]),
        machine("zone01.example.com", "main", "joyent-minimal", stopped, &[10_240]),
        machine("snap01.example.com", "main", "kvm", stopped, &[10_240]),
        machine("locked01.example.com", "main", "kvm", stopped, &[10_240]),
        machine("new01.example.com", "main", "kvm", MachineStatus::NotCreated, &[10_240]),
        machine("down01.example.com", "main", "kvm", stopped, &[10_240]),
        machine("broken01.example.com", "main", "kvm", running, &[10_240]),
        machine("nolock01.example.com", "main", "kvm", running, &[10_240]),
        machine("shop01.example.com", "main", "kvm", running, &[10_240]),
        machine("lab01.example.com", "lab", "kvm", running, &[10_240]),
        machine("full01.example.com", "full", "kvm", running, &[10_240]),
        machine("noworker01.example.com", "main", "kvm", running, &[10_240]),
        machine("bhyve01.example.com", "main", "bhyve", stopped, &[10_240]),
    ];
    for machine in &mut machines {
        match machine.hostname {
            "snap01.example.com" => {
                machine.disks.iter_mut().for_each(|disk| disk.snapshots = 3);
            }
            "locked01.example.com" => machine.is_locked = true,
            "down01.example.com" => machine.node = "node03.example.com",
            "broken01.example.com" => machine.quirk = MachineQuirk::Fails,
            "nolock01.example.com" => machine.quirk = MachineQuirk::NoLock,
            "noworker01.example.com" => machine.quirk = MachineQuirk::NoWorker,
            "shop01.example.com" => machine.owner = "owner",
            _ => {}
        }
    }
    machines
}

/// Some of what was done in the last days: 60 tasks with two rows each, so that there are two pages.
fn log(state: &DanubeState) -> Vec<LogEntry> {
    let rows = |age: u32| {
        let failed = age % 17 == 5;
        let row = |status, seconds: u64| LogEntry {
            task: format!("1e1d1-{age:08x}-0000-0000-0000"),
            user: "admin",
            dc: "main".to_owned(),
            status,
            time: state
                .clock
                .date(Duration::from_secs(3600 * 6) * (age + 1) - Duration::from_secs(seconds)),
            message: "Create backup",
            object: if age.is_multiple_of(2) { "web01.example.com" } else { "db01.example.com" }
                .to_owned(),
        };
        [row(if failed { "FAILURE" } else { "SUCCESS" }, 121), row("PENDING", 0)]
    };
    (0..60).flat_map(rows).collect()
}

/// Machine, name, disk, schedule and retention.
const DEFINITIONS: &[(&str, &str, u64, &str, u64)] = &[
    ("web01.example.com", "daily", 1, "17 4 * * *", 30),
    ("web01.example.com", "daily", 2, "27 4 * * *", 30),
    ("web01.example.com", "offsite", 1, "0 2 * * 0", 12),
    ("web02.example.com", "daily", 1, "17 4 * * *", 7),
    ("db01.example.com", "hourly", 1, "5 * * * *", 24),
    ("snap01.example.com", "daily", 1, "17 4 * * *", 30),
    ("locked01.example.com", "daily", 1, "17 4 * * *", 30),
    ("new01.example.com", "daily", 1, "17 4 * * *", 30),
    ("down01.example.com", "daily", 1, "17 4 * * *", 30),
    ("broken01.example.com", "daily", 1, "17 4 * * *", 30),
    ("nolock01.example.com", "daily", 1, "17 4 * * *", 30),
    ("noworker01.example.com", "daily", 1, "17 4 * * *", 30),
    ("shop01.example.com", "daily", 1, "17 4 * * *", 30),
    ("lab01.example.com", "daily", 1, "17 4 * * *", 30),
    ("full01.example.com", "daily", 1, "17 4 * * *", 30),
];

/// Machine, definition, disk, and the ages of backups in days.
const BACKUPS: &[(&str, &str, u64, &[u32])] = &[
    ("web01.example.com", "daily", 1, &[1, 2, 3]),
    ("web01.example.com", "daily", 2, &[1, 2]),
    ("web01.example.com", "offsite", 1, &[6]),
    ("web02.example.com", "daily", 1, &[12]),
    ("db01.example.com", "hourly", 1, &[1, 2]),
    ("broken01.example.com", "daily", 1, &[2]),
    ("shop01.example.com", "daily", 1, &[1]),
];

const DAY: Duration = Duration::from_secs(86_400);
