//! What one simulated Danube Cloud knows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::accounts::{AccountUser, UserSession};
use super::backups::Backup;
use super::clock::SimulatedClock;
use super::definitions::BackupDefinition;
use super::failure::DanubeFailure;
use super::tasks::{DanubeTask, LogEntry};
use super::throttle::RequestThrottle;
use crate::server::SeededGenerator;

/// Everything.
#[derive(Debug)]
pub(super) struct DanubeState {
    pub(super) clock: SimulatedClock,
    pub(super) generator: SeededGenerator,
    pub(super) users: Vec<AccountUser>,
    /// By token.
    pub(super) tokens: BTreeMap<String, UserSession>,
    pub(super) datacenters: Vec<Datacenter>,
    pub(super) nodes: Vec<ComputeNode>,
    pub(super) machines: Vec<VirtualMachine>,
    pub(super) definitions: Vec<BackupDefinition>,
    pub(super) backups: Vec<Backup>,
    pub(super) tasks: Vec<DanubeTask>,
    /// Newest first.
    pub(super) log: Vec<LogEntry>,
    pub(super) throttle: RequestThrottle,
    pub(super) backups_enabled: bool,
    pub(super) task_duration: Duration,
}

/// A virtual datacenter.
#[derive(Debug)]
pub(super) struct Datacenter {
    pub(super) id: u64,
    pub(super) name: &'static str,
    /// The most backups that a definition may keep, and the most definitions of a machine's disk.
    pub(super) limits: Option<DatacenterLimits>,
    /// Whether its backups have reached their limit.
    pub(super) is_full: bool,
}

/// What the settings of a datacenter allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct DatacenterLimits {
    pub(super) backups: u64,
    pub(super) definitions: usize,
}

/// A compute node.
#[derive(Debug)]
pub(super) struct ComputeNode {
    pub(super) hostname: &'static str,
    /// What those who are no administrators see.
    pub(super) color: &'static str,
    pub(super) is_online: bool,
    /// Whether it keeps backups.
    pub(super) is_backup: bool,
    pub(super) zpools: &'static [&'static str],
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub(super) struct VirtualMachine {
    pub(super) hostname: &'static str,
    pub(super) uuid: String,
    pub(super) dc: &'static str,
    pub(super) owner: &'static str,
    pub(super) node: &'static str,
    /// `kvm` or `bhyve` for a machine with virtual hardware, else the brand of its zone.
    pub(super) brand: &'static str,
    pub(super) status: MachineStatus,
    pub(super) is_locked: bool,
    pub(super) disks: Vec<Disk>,
    pub(super) quirk: MachineQuirk,
}

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MachineStatus {
    /// It is deployed, but has no disk yet.
    NotCreated,
    Running,
    Stopped,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum MachineQuirk {
    /// Its tasks fail.
    Fails,
    /// Its tasks do not get their lock.
    NoLock,
    /// Nobody takes its tasks.
    NoWorker,
    #[default]
    None,
}

/// A disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    /// In megabytes.
    pub(super) size: u64,
    /// How many snapshots it has.
    pub(super) snapshots: u32,
    /// The backup that it was restored from.
    pub(super) restored_from: Option<String>,
}

/// Whose backups are meant.
#[derive(Debug, Clone)]
pub(super) enum BackupSubject {
    Machine(Box<VirtualMachine>),
    /// Whatever had this name in this datacenter; there may be nothing.
    Named {
        dc: String,
        hostname: String,
    },
}

impl BackupSubject {
    /// Says whether a backup is one of those that are meant.
    pub(super) fn has(&self, backup: &Backup) -> bool {
        match self {
            Self::Machine(machine) => backup.vm_uuid == machine.uuid,
            Self::Named { dc, hostname } => backup.dc == dc && backup.hostname == *hostname,
        }
    }
}

impl DanubeState {
    /// Finds a machine that `user` may see in `dc`, by its name or UUID.
    pub(super) fn machine(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
    ) -> Result<&VirtualMachine, DanubeFailure> {
        let found = self
            .machines
            .iter()
            .find(|machine| (machine.hostname == name || machine.uuid == name) && machine.dc == dc);
        let found = found.filter(|machine| user.is_admin(dc) || machine.owner == user.name);
        found.ok_or_else(|| DanubeFailure::not_found("VM"))
    }

    /// Finds whose backups `name` means: those of a machine, or, where `user` has none of this name or
    /// UUID, whatever had this name; `by_name` asks for the latter.
    pub(super) fn subject(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
        by_name: bool,
    ) -> BackupSubject {
        match self.machine(user, dc, name) {
            Ok(machine) if !by_name => BackupSubject::Machine(Box::new(machine.clone())),
            _ => BackupSubject::Named { dc: dc.to_owned(), hostname: name.to_owned() },
        }
    }

    /// Checks that the node of a machine answers.
    pub(super) fn check_node_of(&self, machine: &VirtualMachine) -> Result<(), DanubeFailure> {
        self.check_online(machine.node)
    }

    /// Checks that a node answers.
    pub(super) fn check_online(&self, node: &str) -> Result<(), DanubeFailure> {
        if self.node(node).is_some_and(|node| node.is_online) {
            return Ok(());
        }
        Err(DanubeFailure::new(423, "Node is not operational"))
    }

    /// Checks that nothing else is done with a disk, and that the queue takes the task.
    pub(super) fn check_lock(
        &self,
        machine: &str,
        disk_id: u64,
        quirk: MachineQuirk,
    ) -> Result<(), DanubeFailure> {
        let is_held = self
            .tasks
            .iter()
            .any(|task| task.is_pending() && task.machine == machine && task.disk_id == disk_id);
        match quirk {
            MachineQuirk::NoWorker => {
                let text = "Task queue worker (backup) is not responding!";
                Err(DanubeFailure::NotBegun(text.to_owned()))
            }
            MachineQuirk::NoLock => Err(DanubeFailure::NotBegun(NO_LOCK.to_owned())),
            MachineQuirk::Fails | MachineQuirk::None if is_held => {
                Err(DanubeFailure::NotBegun(NO_LOCK.to_owned()))
            }
            MachineQuirk::Fails | MachineQuirk::None => Ok(()),
        }
    }

    /// Returns the settings of a datacenter.
    pub(super) fn limits(&self, dc: &str) -> Option<DatacenterLimits> {
        self.datacenters.iter().find(|known| known.name == dc).and_then(|known| known.limits)
    }

    /// Finds a compute node.
    pub(super) fn node(&self, hostname: &str) -> Option<&ComputeNode> {
        self.nodes.iter().find(|node| node.hostname == hostname)
    }

    /// Returns how a node is called for `user`.
    pub(super) fn node_for(&self, user: &AccountUser, dc: &str, hostname: &str) -> Value {
        if user.is_admin(dc) {
            return json!(hostname);
        }
        json!(self.node(hostname).map(|node| node.color))
    }
}

impl VirtualMachine {
    /// Checks that the machine is there: a definition or a backup of one that is not is refused.
    pub(super) fn check_state(&self) -> Result<(), DanubeFailure> {
        match self.status {
            MachineStatus::Running | MachineStatus::Stopped => Ok(()),
            MachineStatus::NotCreated => Err(DanubeFailure::new(423, "VM is not operational")),
        }
    }

    /// Says whether it has virtual hardware; these restore into each other.
    pub(super) fn is_hvm(&self) -> bool {
        is_hvm(self.brand)
    }

    /// Finds a disk by its number, from 1.
    pub(super) fn disk(&self, id: u64, parameter: &str) -> Result<&Disk, DanubeFailure> {
        let at = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        at.and_then(|at| self.disks.get(at))
            .ok_or_else(|| DanubeFailure::new(412, format!("Invalid {parameter}")))
    }
}

/// Says whether a brand has virtual hardware.
pub(super) fn is_hvm(brand: &str) -> bool {
    matches!(brand, "kvm" | "bhyve" | "hvm")
}

const NO_LOCK: &str = "Task did not acquire lock";
