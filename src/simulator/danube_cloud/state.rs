//! What one simulated Danube Cloud knows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::accounts::{Session, User};
use super::backups::Backup;
use super::clock::Clock;
use super::definitions::Definition;
use super::failure::Failure;
use super::tasks::{LogEntry, Task};
use super::throttle::Throttle;
use crate::simulator::core::Generator;

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) generator: Generator,
    pub(super) users: Vec<User>,
    /// By token.
    pub(super) tokens: BTreeMap<String, Session>,
    pub(super) datacenters: Vec<Datacenter>,
    pub(super) nodes: Vec<Node>,
    pub(super) machines: Vec<Machine>,
    pub(super) definitions: Vec<Definition>,
    pub(super) backups: Vec<Backup>,
    pub(super) tasks: Vec<Task>,
    /// Newest first.
    pub(super) log: Vec<LogEntry>,
    pub(super) throttle: Throttle,
    pub(super) backups_enabled: bool,
    pub(super) task_duration: Duration,
}

/// A virtual datacenter.
#[derive(Debug)]
pub(super) struct Datacenter {
    pub(super) name: &'static str,
    /// Whether its backups have reached their limit.
    pub(super) is_full: bool,
}

/// A compute node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) hostname: &'static str,
    /// What those who are no administrators see.
    pub(super) color: &'static str,
    pub(super) is_online: bool,
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) hostname: &'static str,
    pub(super) uuid: String,
    pub(super) dc: &'static str,
    pub(super) owner: &'static str,
    pub(super) node: &'static str,
    /// `kvm` for a machine with virtual hardware, else the brand of its zone.
    pub(super) brand: &'static str,
    pub(super) status: Status,
    pub(super) is_locked: bool,
    pub(super) disks: Vec<Disk>,
    pub(super) quirk: Quirk,
}

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It is deployed, but has no disk yet.
    NotCreated,
    Running,
    Stopped,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Quirk {
    /// Its tasks fail.
    Fails,
    /// Its tasks do not get their lock.
    NoLock,
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

/// A machine, or what is left of one that was deleted.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) hostname: String,
    pub(super) uuid: String,
    /// The machine, when there still is one.
    pub(super) machine: Option<Machine>,
}

impl State {
    /// Finds a machine that `user` may see in `dc`, by its name or UUID.
    pub(super) fn machine(&self, user: &User, dc: &str, name: &str) -> Result<&Machine, Failure> {
        let found = self
            .machines
            .iter()
            .find(|machine| (machine.hostname == name || machine.uuid == name) && machine.dc == dc);
        let found = found.filter(|machine| user.is_admin(dc) || machine.owner == user.name);
        found.ok_or_else(|| Failure::not_found("VM"))
    }

    /// Finds whose backups `name` means: a machine, or one that was deleted, by the name that it
    /// had; `by_name` asks for the latter.
    pub(super) fn subject(
        &self,
        user: &User,
        dc: &str,
        name: &str,
        by_name: bool,
    ) -> Result<Subject, Failure> {
        let machine = self.machine(user, dc, name);
        if let (Ok(machine), false) = (&machine, by_name) {
            let (hostname, uuid) = (machine.hostname.to_owned(), machine.uuid.clone());
            return Ok(Subject { hostname, uuid, machine: Some((*machine).clone()) });
        }
        let left = self
            .backups
            .iter()
            .find(|backup| backup.hostname == name && backup.dc == dc && user.is_admin(dc));
        let Some(backup) = left else { return Err(Failure::not_found("VM")) };
        let machine = self.machines.iter().find(|machine| machine.uuid == backup.vm_uuid);
        Ok(Subject {
            hostname: backup.hostname.clone(),
            uuid: backup.vm_uuid.clone(),
            machine: machine.cloned(),
        })
    }

    /// Checks that something can be done with a machine now.
    pub(super) fn check_operational(&self, machine: &Machine) -> Result<(), Failure> {
        if !self.node(machine.node).is_some_and(|node| node.is_online) {
            return Err(Failure::new(423, "Node is not operational"));
        }
        if machine.is_locked {
            return Err(Failure::new(423, "VM is locked"));
        }
        if machine.status == Status::NotCreated {
            return Err(Failure::new(428, "VM is not installed"));
        }
        if self.tasks.iter().any(|task| task.is_pending() && task.machine == machine.uuid) {
            return Err(Failure::new(409, "VM has pending tasks"));
        }
        Ok(())
    }

    /// Finds a compute node.
    pub(super) fn node(&self, hostname: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.hostname == hostname)
    }

    /// Returns how a node is called for `user`.
    pub(super) fn node_for(&self, user: &User, dc: &str, hostname: &str) -> Value {
        if user.is_admin(dc) {
            return json!(hostname);
        }
        json!(self.node(hostname).map(|node| node.color))
    }
}

impl Machine {
    /// Finds a disk by its number, from 1.
    pub(super) fn disk(&self, id: u64, parameter: &str) -> Result<&Disk, Failure> {
        let at = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        at.and_then(|at| self.disks.get(at))
            .ok_or_else(|| Failure::new(412, format!("Invalid {parameter}")))
    }
}
