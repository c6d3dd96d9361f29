//! The table of methods, in the order in which `system.listMethods` has them.

use super::params::{Kind, Param};

/// A method of the API.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    /// Empty where the proxy has none.
    pub(super) description: &'static str,
    pub(super) params: &'static [Param],
}

const fn param(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, is_optional: false, default: None }
}

const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, is_optional: true, default: None }
}

const fn method(name: &'static str, description: &'static str, params: &'static [Param]) -> Method {
    Method { name, description, params }
}

const DISK: Param = param("disk", Kind::String);
const PARTITION: Param = optional("partition", Kind::String);
const REMOTE: Param = param("remote", Kind::Object);
const REMOTES: Param = param("remotes", Kind::Objects);
const STREAM_LOGS: Param = optional("streamLogs", Kind::Boolean);
const BACKUP_ID: Param = param("backupId", Kind::String);
const TASK_ID: Param = param("taskId", Kind::String);

/// What every proxy has.
pub(super) const METHODS: &[Method] = &[
    method("system.getMethodsInfo", "returns the signatures of all available API methods", &[]),
    method("system.getServerVersion", "returns the version of xo-proxy", &[]),
    method("system.listMethods", "returns the name of all available API methods", &[]),
    method(
        "system.methodSignature",
        "returns the signature of an API method",
        &[param("method", Kind::String)],
    ),
    method(
        "test.range",
        "",
        &[
            optional("start", Kind::Number),
            optional("step", Kind::Number),
            param("stop", Kind::Number),
        ],
    ),
    method("test.throw", "", &[param("message", Kind::String)]),
    method("appliance.check", "", &[]),
    method("appliance.getInfo", "returns various information about the appliance itself", &[]),
    method("appliance.supportTunnel.close", "close the support tunnel", &[]),
    method("appliance.supportTunnel.getState", "getState the support tunnel", &[]),
    method("appliance.supportTunnel.open", "open the support tunnel", &[]),
    method("appliance.updater.getLocalManifest", "", &[]),
    method("appliance.updater.getState", "", &[]),
    method("appliance.updater.configure", "", &[param("channel", Kind::String)]),
    method("appliance.updater.upgrade", "", &[]),
    method(
        "authentication.setToken",
        "change the authentication token used by this XO Proxy",
        &[param("token", Kind::Words)],
    ),
    method("backup.deleteMetadataBackup", "delete Metadata backup", &[BACKUP_ID, REMOTE]),
    method("backup.deleteVmBackup", "delete VM backup", &[param("filename", Kind::String), REMOTE]),
    method(
        "backup.deleteVmBackups",
        "delete VM backups",
        &[param("filenames", Kind::Strings), REMOTE],
    ),
    method(
        "backup.fetchPartitionFiles",
        "fetch files from partition",
        &[
            DISK,
            Param { name: "format", kind: Kind::String, is_optional: true, default: Some("zip") },
            PARTITION,
            param("paths", Kind::Strings),
            REMOTE,
        ],
    ),
    method(
        "backup.importVmBackup",
        "create a new VM from a backup",
        &[
            BACKUP_ID,
            REMOTE,
            optional("settings", Kind::Object),
            param("srUuid", Kind::String),
            STREAM_LOGS,
            param("xapi", Kind::Object),
        ],
    ),
    method("backup.listDiskPartitions", "list disk partitions", &[DISK, REMOTE]),
    method(
        "backup.listPartitionFiles",
        "list partition files",
        &[DISK, PARTITION, param("path", Kind::String), REMOTE],
    ),
    method("backup.listPoolMetadataBackups", "list pool metadata backups", &[REMOTES]),
    method("backup.listVmBackups", "list VM backups", &[REMOTES, optional("vmId", Kind::String)]),
    method("backup.listRunningJobs", "returns a list of running jobs", &[]),
    method("backup.listXoMetadataBackups", "list XO metadata backups", &[REMOTES]),
    method(
        "backup.restoreMetadataBackup",
        "restore a metadata backup",
        &[BACKUP_ID, REMOTE, optional("xapi", Kind::Object)],
    ),
    method(
        "backup.run",
        "run a backup job",
        &[
            param("job", Kind::Object),
            param("remotes", Kind::Object),
            param("schedule", Kind::Object),
            optional("xapis", Kind::Object),
            optional("jobData", Kind::Object),
            optional("recordToXapi", Kind::Object),
            STREAM_LOGS,
        ],
    ),
    method("backup.mountPartition", "mount a partition", &[DISK, PARTITION, REMOTE]),
    method("backup.unmountPartition", "unmount a partition", &[param("path", Kind::String)]),
    method("remote.getInfo", "", &[REMOTE]),
    method("remote.ping", "", &[REMOTE]),
    method("remote.test", "", &[REMOTE]),
    method("remote.getTotalBackupSize", "", &[REMOTE]),
];

/// What older proxies have besides.
pub(super) const OLD_METHODS: &[Method] = &[
    method("event.from", "", &[optional("token", Kind::String), optional("timeout", Kind::Number)]),
    method("task.cancel", "", &[TASK_ID]),
    method("task.destroy", "", &[TASK_ID]),
    method("task.get", "", &[TASK_ID]),
    method("task.getAll", "", &[optional("limit", Kind::Number)]),
];
