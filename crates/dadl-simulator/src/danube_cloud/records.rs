//! The rows that one simulated Danube Cloud keeps: datacenters, nodes, machines, and what is backed up
//! of them.

use super::failure::DanubeFailure;
use crate::server::SimulatedDate;

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

/// One backup.
#[derive(Debug, Clone)]
pub(super) struct Backup {
    pub(super) dc: &'static str,
    /// The name of the machine when the backup was made.
    pub(super) hostname: String,
    pub(super) vm_uuid: String,
    pub(super) define: Option<String>,
    pub(super) name: String,
    pub(super) disk_id: u64,
    /// In megabytes: the size of the disk.
    pub(super) disk_size: u64,
    pub(super) brand: &'static str,
    pub(super) kind: u64,
    pub(super) node: String,
    pub(super) zpool: String,
    pub(super) created: SimulatedDate,
    pub(super) status: BackupStatus,
    /// In bytes.
    pub(super) size: Option<u64>,
    /// In seconds.
    pub(super) time: Option<u64>,
    pub(super) note: String,
}

/// What state a backup is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupStatus {
    Ok = 1,
    Pending = 2,
    Restore = 3,
    Lost = 4,
}

/// What names one backup.
pub(super) type BackupKey = (String, u64, String);

impl Backup {
    /// Returns what names it.
    pub(super) fn key(&self) -> BackupKey {
        (self.vm_uuid.clone(), self.disk_id, self.name.clone())
    }
}

/// One definition.
#[derive(Debug, Clone)]
pub(super) struct BackupDefinition {
    pub(super) vm_uuid: String,
    pub(super) name: String,
    pub(super) disk_id: u64,
    /// 1 dataset, 2 file.
    pub(super) kind: u64,
    pub(super) node: String,
    pub(super) zpool: String,
    pub(super) desc: String,
    /// Bytes per second.
    pub(super) bwlimit: Option<u64>,
    pub(super) active: bool,
    pub(super) schedule: String,
    pub(super) retention: u64,
    /// 0 none, 1 gzip, 2 bzip2, 3 xz.
    pub(super) compression: u64,
    pub(super) fsfreeze: bool,
    pub(super) created: SimulatedDate,
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
