//! What one simulated Danube Cloud knows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::SimulatedClock;
use super::data::RequestData;
use super::failure::DanubeFailure;
use super::records::{
    Backup, BackupDefinition, BackupKey, BackupStatus, BackupSubject, ComputeNode, Datacenter,
    DatacenterLimits, MachineQuirk, VirtualMachine,
};
use super::task_records::{DanubeTask, LogEntry};
use super::throttle::RequestThrottle;
use super::users::{AccountUser, UserSession};
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
    /// UUID, whatever had this name; a request with `hostname` asks for the latter.
    pub(super) fn subject(
        &self,
        user: &AccountUser,
        dc: &str,
        name: &str,
        data: &RequestData,
    ) -> BackupSubject {
        match self.machine(user, dc, name) {
            Ok(machine) if !data.has("hostname") => {
                BackupSubject::Machine(Box::new(machine.clone()))
            }
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

    /// Puts a backup into another state.
    pub(super) fn set_status(&mut self, key: &BackupKey, status: BackupStatus) {
        if let Some(backup) = self.backups.iter_mut().find(|backup| backup.key() == *key) {
            backup.status = status;
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

const NO_LOCK: &str = "Task did not acquire lock";
