//! Flags, environment and backends.yaml become [`Settings`].
//!
//! The order is flag, environment, file, default. Everything that names a backend's behavior is
//! decided here, once; later modules get typed values and never look at the environment.

pub(crate) mod address;
mod backends_file;
mod base_url;
pub(crate) mod binding;
pub mod bundled;
mod certificate_pin;
pub mod credentials;
mod default_name;
pub(crate) mod descriptor_folder;
mod dirs;
pub mod env_vars;
pub(crate) mod file_settings;
pub(crate) mod file_trust;
pub(crate) mod kept_file;
pub mod keyring;
pub(crate) mod keys;
pub(crate) mod known_list;
pub(crate) mod known_programs;
pub(crate) mod known_start;
mod limits;
mod load;
mod login_pin;
mod network_reach;
mod origin;
mod origins;
pub(crate) mod overrides;
mod private_files;
mod profiles;
mod reader;
pub mod server_authorization;
pub mod server_login;
pub(crate) mod server_notes;
pub mod servers;
pub(crate) mod shell;
pub(crate) mod store;
mod surface;
#[cfg(test)]
mod tests;
pub(crate) mod tool_pins;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};
use serde_json::Value;

pub(crate) use self::{
    backends_file::backends_file_problems,
    base_url::BaseUrlProblem,
    load::{SettingsError, parse_levels},
    network_reach::{AddressKey, NetworkReach, NoHost, PrivateAddress, PrivateHost},
    origin::Origin,
};
pub use self::{
    bundled::DescriptorPaths,
    certificate_pin::CertificatePin,
    file_settings::{FileHosts, FileSettings},
    limits::OperatorLimits,
    load::SettingsOverrides,
    login_pin::LoginPin,
    overrides::{ToolOverride, ToolOverrides},
    profiles::ProfileSettings,
    surface::Surface,
};
use crate::access::{AccessPolicy, ToolPatterns};

/// All that a run needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The backends in the order of the file.
    pub backends: Vec<BackendSettings>,
    /// Backends of the file that are left out of this run: their credentials are theirs all the same.
    pub beside: Vec<BackendSettings>,
    /// Where binary answers are saved and where uploads are read from.
    pub files: PathBuf,
    /// Where it is kept what servers have; `None` when nothing is kept.
    pub cache: Option<PathBuf>,
    /// Where pins of the tools of other MCP servers are; `None` when nobody has a place for them.
    pub pins: Option<tool_pins::PinStore>,
    /// What may be sent from elsewhere, and how much is kept for how long.
    pub file_settings: FileSettings,
    /// How much happens at once, and how much of an answer is shown.
    pub limits: OperatorLimits,
    /// Which tools hosts are shown.
    pub surface: Surface,
    /// What else can be served than all of it.
    pub profiles: Vec<ProfileSettings>,
    /// The backends.yaml that was read, when one was.
    pub origin: Option<PathBuf>,
    /// Where descriptors are looked for.
    pub places: DescriptorPaths,
    /// Sentences for the operator: files that are not used, or that others could change.
    pub warnings: Vec<String>,
}

/// Where the settings of a backend come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SettingsProvenance {
    /// Flags: nobody has written down where the backend is.
    #[default]
    Flags,
    /// A file that `--config` or `DADL_MCP_CONFIG` names.
    Named(PathBuf),
    /// The user's own file.
    Own,
}

/// The settings of one backend: an entry of backends.yaml, or `--dadl` and `--url`.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSettings {
    /// The name by which people and tool names call it.
    pub name: String,
    /// Where these settings come from.
    pub provenance: SettingsProvenance,
    /// What is said of another MCP server; `None` for an API with a descriptor.
    pub server: Option<Box<servers::ServerSettings>>,
    /// The path of a descriptor, or the name of one inside the binary or in a folder; empty for a server.
    pub dadl: String,
    /// Supplies or overrides the descriptor's `base_url`.
    pub url: Option<String>,
    /// Let the descriptor's `base_url` be a private or loopback address; [`Self::url`] always may.
    pub allow_private_url: bool,
    /// Hosts of other addresses of the descriptor that may be private or loopback.
    pub allow_private_hosts: Vec<PrivateHost>,
    /// Fetch the descriptor's OpenAPI document when it is below the base URL.
    pub fetch_openapi: bool,
    /// Learn which tools the server has, and leave out of the list what it lacks.
    pub fit: bool,
    /// What the operator tells models about this backend.
    pub hint: Option<String>,
    /// Which tools may be listed and called.
    pub policy: AccessPolicy,
    /// Whether a person is asked before a dangerous call.
    pub confirm: ConfirmPolicy,
    /// Tools that hosts are shown beside those that find the others, where there are such (`expose_tools`).
    pub exposed: ToolPatterns,
    /// Header fields added to each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Certificates to trust besides the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The certificate that the API is shown, with its chain, in PEM.
    pub client_cert: Option<PathBuf>,
    /// Its key; `None` when that is in the same file.
    pub client_key: Option<PathBuf>,
    /// Accept the certificates with these fingerprints, and no others.
    pub tls_fingerprint: Vec<CertificatePin>,
    /// Certificates of those who give access to it, which a person has seen in `setup`.
    pub login_pins: Vec<LoginPin>,
    /// Accept any certificate.
    pub tls_skip_verify: bool,
    /// Which of the descriptor's other logins is used (`_dadl_mcp.auth.logins`).
    pub login: Option<String>,
    /// What parameters are when a caller gives no value, by their names on the wire, in all tools.
    pub defaults: BTreeMap<String, Value>,
    /// What the operator says of single tools.
    pub overrides: ToolOverrides,
    /// Credential names that replace those of the descriptor.
    pub credentials: BTreeMap<String, String>,
    /// How long to wait.
    pub timeouts: BackendTimeouts,
    /// Answers that are not saved to a file may have this many bytes.
    pub max_response_bytes: u64,
    /// From where files are fetched for its calls besides what the settings of files say.
    pub file_hosts: FileHosts,
    /// How long a saved file is kept when its tool does not say (`blob_ttl`).
    pub file_ttl: Option<Duration>,
    /// So many calls wait for an answer of this backend at once.
    pub max_calls: usize,
    /// How long a call waits for a task that it began, since it came.
    pub task_wait: Duration,
    /// How long it waits when its host is told of the task as one of the protocol.
    pub task_after: Duration,
    /// Values for `{NAME}` placeholders of the base URL.
    pub variables: BTreeMap<String, String>,
}

impl Settings {
    /// Leaves out every backend but that called `name`.
    #[must_use]
    pub fn only(&self, name: &str) -> Self {
        let (backends, others): (Vec<_>, Vec<_>) =
            self.backends.iter().cloned().partition(|backend| backend.name == name);
        let beside = self.beside.iter().cloned().chain(others).collect();
        Self { backends, beside, ..self.clone() }
    }

    /// Finds the descriptor of `backend`.
    ///
    /// # Errors
    ///
    /// See [`bundled::LocateError`].
    pub fn descriptor(
        &self,
        backend: &BackendSettings,
    ) -> Result<bundled::DescriptorText, bundled::LocateError> {
        bundled::locate_descriptor(&backend.dadl, &self.places)
    }
}

impl BackendSettings {
    /// Makes the settings of a backend for which nothing but these two is given.
    pub fn new(name: impl Into<String>, dadl: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            provenance: SettingsProvenance::default(),
            server: None,
            dadl: dadl.into(),
            url: None,
            allow_private_url: false,
            allow_private_hosts: Vec::new(),
            fetch_openapi: false,
            fit: true,
            hint: None,
            policy: AccessPolicy::default(),
            confirm: ConfirmPolicy::default(),
            exposed: ToolPatterns::default(),
            headers: Vec::new(),
            ca_file: None,
            client_cert: None,
            client_key: None,
            tls_fingerprint: Vec::new(),
            login_pins: Vec::new(),
            tls_skip_verify: false,
            login: None,
            defaults: BTreeMap::new(),
            overrides: ToolOverrides::default(),
            credentials: BTreeMap::new(),
            timeouts: BackendTimeouts::default(),
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            file_hosts: FileHosts::default(),
            file_ttl: None,
            max_calls: OperatorLimits::CALLS_OF_BACKEND,
            task_wait: DEFAULT_TASK_WAIT,
            task_after: DEFAULT_TASK_AFTER,
            variables: BTreeMap::new(),
        }
    }
}

/// [`BackendSettings::max_response_bytes`] unless the operator says otherwise: 64 MiB.
pub const DEFAULT_MAX_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

/// [`BackendSettings::task_wait`] unless the operator says otherwise: several hosts give up on a
/// call after a minute, whether or not they hear how far it is.
pub const DEFAULT_TASK_WAIT: Duration = Duration::from_secs(50);

/// [`BackendSettings::task_after`] unless the operator says otherwise: what ends within it is one
/// call.
pub const DEFAULT_TASK_AFTER: Duration = Duration::from_secs(5);

/// Whether a person is asked before a dangerous call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConfirmPolicy {
    /// Each time; refused where nobody can be asked.
    #[default]
    Ask,
    /// Never: the operator vouches for the host.
    Never,
}

/// How long to wait for a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendTimeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub read: Duration,
    /// For a whole call, retries included; downloads are exempt.
    pub call: Duration,
    /// Until the first byte of a file comes that a backend prepares.
    pub first_byte: Duration,
    /// Between two pieces of such a file.
    pub stall: Duration,
}

impl Default for BackendTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            call: Duration::from_secs(300),
            first_byte: Duration::from_secs(30 * 60),
            stall: Duration::from_secs(10 * 60),
        }
    }
}
