//! The kinds of objects: their collection in paths and their name in messages and events.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum XenKind {
    AclPrivilege,
    AclRole,
    Alarm,
    BackupArchive,
    BackupJob,
    BackupLog,
    BackupRepository,
    Group,
    Host,
    Message,
    Network,
    Pbd,
    Pci,
    Pgpu,
    Pif,
    Pool,
    Proxy,
    RestoreLog,
    Schedule,
    Server,
    Sm,
    Sr,
    Task,
    User,
    Vbd,
    Vdi,
    VdiSnapshot,
    Vif,
    Vm,
    VmController,
    VmSnapshot,
    VmTemplate,
}

impl XenKind {
    /// Returns the kind of a collection, e.g. of `vms`.
    pub(super) fn from_collection(collection: &str) -> Option<Self> {
        KINDS.iter().find(|entry| entry.1 == collection).map(|entry| entry.0)
    }

    /// Returns the kind of an object's `type`, e.g. of `VM-snapshot`.
    pub(super) fn from_type(name: &str) -> Option<Self> {
        KINDS.iter().find(|entry| entry.2 == name).map(|entry| entry.0)
    }

    /// Returns the collection in paths.
    pub(super) fn collection(self) -> &'static str {
        self.entry().1
    }

    /// Returns the name in messages, in tasks and in events.
    pub(super) fn type_name(self) -> &'static str {
        self.entry().2
    }

    /// Returns what XO calls a kind when there is no such object.
    pub(super) fn missing_name(self) -> &'static str {
        match self {
            Self::AclPrivilege => "privilege",
            Self::AclRole => "role",
            Self::BackupJob => "job",
            Self::BackupLog | Self::RestoreLog => "backup-ng-log",
            Self::BackupRepository => "remote",
            Self::Server => "xenServer",
            other => other.type_name(),
        }
    }

    /// Returns the resource that privileges are given on.
    pub(super) fn resource(self) -> String {
        self.type_name().to_ascii_lowercase()
    }

    /// Returns the address of an object. XO leaves identifiers as they are, slashes too.
    pub(super) fn href(self, id: &str) -> String {
        format!("/rest/v0/{}/{id}", self.collection())
    }

    /// Says whether objects of this kind belong to a pool. XO learns of them from the pool's
    /// events, which come a little after what a request changed there.
    pub(super) fn is_of_pool(self) -> bool {
        !matches!(
            self,
            Self::AclPrivilege
                | Self::AclRole
                | Self::BackupArchive
                | Self::BackupJob
                | Self::BackupLog
                | Self::BackupRepository
                | Self::Group
                | Self::Proxy
                | Self::RestoreLog
                | Self::Schedule
                | Self::Server
                | Self::Task
                | Self::User
        )
    }

    fn entry(self) -> &'static (Self, &'static str, &'static str) {
        KINDS.iter().find(|entry| entry.0 == self).unwrap_or(&KINDS[0])
    }
}

/// All kinds with their collection and type.
const KINDS: [(XenKind, &str, &str); 32] = [
    (XenKind::AclPrivilege, "acl-privileges", "acl-privilege"),
    (XenKind::AclRole, "acl-roles", "acl-role"),
    (XenKind::Alarm, "alarms", "alarm"),
    (XenKind::BackupArchive, "backup-archives", "backup-archive"),
    (XenKind::BackupJob, "backup-jobs", "backup-job"),
    (XenKind::BackupLog, "backup-logs", "backup-log"),
    (XenKind::BackupRepository, "backup-repositories", "backup-repository"),
    (XenKind::Group, "groups", "group"),
    (XenKind::Host, "hosts", "host"),
    (XenKind::Message, "messages", "message"),
    (XenKind::Network, "networks", "network"),
    (XenKind::Pbd, "pbds", "PBD"),
    (XenKind::Pci, "pcis", "PCI"),
    (XenKind::Pgpu, "pgpus", "PGPU"),
    (XenKind::Pif, "pifs", "PIF"),
    (XenKind::Pool, "pools", "pool"),
    (XenKind::Proxy, "proxies", "proxy"),
    (XenKind::RestoreLog, "restore-logs", "restore-log"),
    (XenKind::Schedule, "schedules", "schedule"),
    (XenKind::Server, "servers", "server"),
    (XenKind::Sm, "sms", "SM"),
    (XenKind::Sr, "srs", "SR"),
    (XenKind::Task, "tasks", "task"),
    (XenKind::User, "users", "user"),
    (XenKind::Vbd, "vbds", "VBD"),
    (XenKind::Vdi, "vdis", "VDI"),
    (XenKind::VdiSnapshot, "vdi-snapshots", "VDI-snapshot"),
    (XenKind::Vif, "vifs", "VIF"),
    (XenKind::Vm, "vms", "VM"),
    (XenKind::VmController, "vm-controllers", "VM-controller"),
    (XenKind::VmSnapshot, "vm-snapshots", "VM-snapshot"),
    (XenKind::VmTemplate, "vm-templates", "VM-template"),
];
