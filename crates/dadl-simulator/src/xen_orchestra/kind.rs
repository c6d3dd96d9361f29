//! The kinds of objects: their collection in paths and their name in messages and events.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
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

impl Kind {
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
const KINDS: [(Kind, &str, &str); 32] = [
    (Kind::AclPrivilege, "acl-privileges", "acl-privilege"),
    (Kind::AclRole, "acl-roles", "acl-role"),
    (Kind::Alarm, "alarms", "alarm"),
    (Kind::BackupArchive, "backup-archives", "backup-archive"),
    (Kind::BackupJob, "backup-jobs", "backup-job"),
    (Kind::BackupLog, "backup-logs", "backup-log"),
    (Kind::BackupRepository, "backup-repositories", "backup-repository"),
    (Kind::Group, "groups", "group"),
    (Kind::Host, "hosts", "host"),
    (Kind::Message, "messages", "message"),
    (Kind::Network, "networks", "network"),
    (Kind::Pbd, "pbds", "PBD"),
    (Kind::Pci, "pcis", "PCI"),
    (Kind::Pgpu, "pgpus", "PGPU"),
    (Kind::Pif, "pifs", "PIF"),
    (Kind::Pool, "pools", "pool"),
    (Kind::Proxy, "proxies", "proxy"),
    (Kind::RestoreLog, "restore-logs", "restore-log"),
    (Kind::Schedule, "schedules", "schedule"),
    (Kind::Server, "servers", "server"),
    (Kind::Sm, "sms", "SM"),
    (Kind::Sr, "srs", "SR"),
    (Kind::Task, "tasks", "task"),
    (Kind::User, "users", "user"),
    (Kind::Vbd, "vbds", "VBD"),
    (Kind::Vdi, "vdis", "VDI"),
    (Kind::VdiSnapshot, "vdi-snapshots", "VDI-snapshot"),
    (Kind::Vif, "vifs", "VIF"),
    (Kind::Vm, "vms", "VM"),
    (Kind::VmController, "vm-controllers", "VM-controller"),
    (Kind::VmSnapshot, "vm-snapshots", "VM-snapshot"),
    (Kind::VmTemplate, "vm-templates", "VM-template"),
];
