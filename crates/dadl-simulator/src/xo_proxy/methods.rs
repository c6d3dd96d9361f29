//! The table of methods, in the order in which `system.listMethods` has them.

use super::params::{MethodParam, ParamType};

/// A method of the API.
#[derive(Debug)]
pub(super) struct ProxyMethod {
    pub(super) name: &'static str,
    /// Empty where the proxy has none.
    pub(super) description: &'static str,
    pub(super) params: &'static [MethodParam],
}

const fn param(name: &'static str, kind: ParamType) -> MethodParam {
    MethodParam { name, kind, is_optional: false, default: None }
}

const fn lower_optional(name: &'static str, kind: ParamType) -> MethodParam {
    MethodParam { name, kind, is_optional: true, default: None }
}

const fn method(
    name: &'static str,
    description: &'static str,
    params: &'static [MethodParam],
) -> ProxyMethod {
    ProxyMethod { name, description, params }
}

const DISK: MethodParam = param("disk", ParamType::String);
const PARTITION: MethodParam = lower_optional("partition", ParamType::String);
const REMOTE: MethodParam = param("remote", ParamType::Object);
const REMOTES: MethodParam = param("remotes", ParamType::Objects);
const STREAM_LOGS: MethodParam = lower_optional("streamLogs", ParamType::Boolean);
const BACKUP_ID: MethodParam = param("backupId", ParamType::String);
const TASK_ID: MethodParam = param("taskId", ParamType::String);

/// What every proxy has.
pub(super) const METHODS: &[ProxyMethod] = &[
    method("system.getMethodsInfo", "returns the signatures of all available API methods", &[]),
    method("system.getServerVersion", "returns the version of xo-proxy", &[]),
    method("system.listMethods", "returns the name of all available API methods", &[]),
    method(
        "system.methodSignature",
        "returns the signature of an API method",
        &[param("method", ParamType::String)],
    ),
    method(
        "test.range",
        "",
        &[
            lower_optional("start", ParamType::Number),
            lower_optional("step", ParamType::Number),
            param("stop", ParamType::Number),
        ],
    ),
    method("test.throw", "", &[param("message", ParamType::String)]),
    method("appliance.check", "", &[]),
    method("appliance.getInfo", "returns various information about the appliance itself", &[]),
    method("appliance.supportTunnel.close", "close the support tunnel", &[]),
    method("appliance.supportTunnel.getState", "getState the support tunnel", &[]),
    method("appliance.supportTunnel.open", "open the support tunnel", &[]),
    method("appliance.updater.getLocalManifest", "", &[]),
    method("appliance.updater.getState", "", &[]),
    method("appliance.updater.configure", "", &[param("channel", ParamType::String)]),
    method("appliance.updater.upgrade", "", &[]),
    method(
        "authentication.setToken",
        "change the authentication token used by this XO Proxy",
        &[param("token", ParamType::Words)],
    ),
    method("backup.deleteMetadataBackup", "delete Metadata backup", &[BACKUP_ID, REMOTE]),
    method(
        "backup.deleteVmBackup",
        "delete VM backup",
        &[param("filename", ParamType::String), REMOTE],
    ),
    method(
        "backup.deleteVmBackups",
        "delete VM backups",
        &[param("filenames", ParamType::Strings), REMOTE],
    ),
    method(
        "backup.fetchPartitionFiles",
        "fetch files from partition",
        &[
            DISK,
            MethodParam {
                name: "format",
                kind: ParamType::String,
                is_optional: true,
                default: Some("zip"),
            },
            PARTITION,
            param("paths", ParamType::Strings),
            REMOTE,
        ],
    ),
    method(
        "backup.importVmBackup",
        "create a new VM from a backup",
        &[
            BACKUP_ID,
            REMOTE,
            lower_optional("settings", ParamType::Object),
            param("srUuid", ParamType::String),
            STREAM_LOGS,
            param("xapi", ParamType::Object),
        ],
    ),
    method("backup.listDiskPartitions", "list disk partitions", &[DISK, REMOTE]),
    method(
        "backup.listPartitionFiles",
        "list partition files",
        &[DISK, PARTITION, param("path", ParamType::String), REMOTE],
    ),
    method("backup.listPoolMetadataBackups", "list pool metadata backups", &[REMOTES]),
    method(
        "backup.listVmBackups",
        "list VM backups",
        &[REMOTES, lower_optional("vmId", ParamType::String)],
    ),
    method("backup.listRunningJobs", "returns a list of running jobs", &[]),
    method("backup.listXoMetadataBackups", "list XO metadata backups", &[REMOTES]),
    method(
        "backup.restoreMetadataBackup",
        "restore a metadata backup",
        &[BACKUP_ID, REMOTE, lower_optional("xapi", ParamType::Object)],
    ),
    method(
        "backup.run",
        "run a backup job",
        &[
            param("job", ParamType::Object),
            param("remotes", ParamType::Object),
            param("schedule", ParamType::Object),
            lower_optional("xapis", ParamType::Object),
            lower_optional("jobData", ParamType::Object),
            lower_optional("recordToXapi", ParamType::Object),
            STREAM_LOGS,
        ],
    ),
    method("backup.mountPartition", "mount a partition", &[DISK, PARTITION, REMOTE]),
    method("backup.unmountPartition", "unmount a partition", &[param("path", ParamType::String)]),
    method("remote.getInfo", "", &[REMOTE]),
    method("remote.ping", "", &[REMOTE]),
    method("remote.test", "", &[REMOTE]),
    method("remote.getTotalBackupSize", "", &[REMOTE]),
];

/// What older proxies have besides.
pub(super) const OLD_METHODS: &[ProxyMethod] = &[
    method(
        "event.from",
        "",
        &[lower_optional("token", ParamType::String), lower_optional("timeout", ParamType::Number)],
    ),
    method("task.cancel", "", &[TASK_ID]),
    method("task.destroy", "", &[TASK_ID]),
    method("task.get", "", &[TASK_ID]),
    method("task.getAll", "", &[lower_optional("limit", ParamType::Number)]),
];
