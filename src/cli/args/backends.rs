//! The flags that say which backends there are, and what is allowed on them.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::{
    access::{AccessLevels, AllowedOrigin},
    config::{CertificatePin, PrivateHost, SettingsOverrides, parse_levels},
};

/// What says which backends there are: a demo has one of its own.
pub(super) const BESIDES_DEMO: [&str; 9] = [
    "config",
    "dadl",
    "url",
    "allow_private_hosts",
    "allow_origins",
    "name",
    "ca_file",
    "client_cert",
    "tls_skip_verify",
];

/// Which backends, and what is allowed on them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Backends")]
pub struct BackendArgs {
    /// Read backends from this file [env: DADL_MCP_CONFIG]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "dadl")]
    pub config: Option<PathBuf>,
    /// Use this descriptor instead of a settings file: a path, or the name of one that is built in
    #[arg(long, value_name = "FILE_OR_NAME", value_hint = ValueHint::FilePath)]
    pub dadl: Option<String>,
    /// Send the calls of --dadl to this base URL
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, requires = "dadl")]
    pub url: Option<String>,
    /// Let this host have a private address where the descriptor of --dadl leads there, such as its
    /// token endpoint: a name for every port, or name:port; can be repeated
    #[arg(long = "allow-private-host", value_name = "HOST", requires = "dadl")]
    pub allow_private_hosts: Vec<PrivateHost>,
    /// Call tools of --dadl whose path is a whole URL there, without the credential: scheme, host and
    /// port; can be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN", requires = "dadl")]
    pub allow_origins: Vec<AllowedOrigin>,
    /// Call the backend of --dadl this
    #[arg(long, value_name = "NAME", requires = "dadl")]
    pub name: Option<String>,
    /// Trust the certificates in this PEM file, for the backend of --dadl
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "dadl")]
    pub ca_file: Option<PathBuf>,
    /// Show the certificate in this PEM file to the backend of --dadl
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "dadl")]
    pub client_cert: Option<PathBuf>,
    /// Its key, where that is in another file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Accept the certificate with this SHA-256 from the backend of --dadl, and no other; can be
    /// repeated (`dadl-mcp setup` shows it)
    #[arg(long = "tls-fingerprint", value_name = "SHA256", requires = "dadl")]
    pub tls_fingerprints: Vec<CertificatePin>,
    /// Accept any certificate from the backend of --dadl; prefer --tls-fingerprint
    #[arg(long, requires = "dadl")]
    pub tls_skip_verify: bool,
    /// Allow at most these access levels, separated by commas [env: DADL_MCP_ACCESS]
    ///
    /// With --dadl these are the levels that are allowed (default: read). With a settings file
    /// they are an upper bound over all of its backends.
    #[arg(long, value_name = "LEVELS", value_parser = parse_levels)]
    pub access: Option<AccessLevels>,
    /// Save downloads to this directory and read uploads from it [env: DADL_MCP_FILES]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub files: Option<PathBuf>,
}

/// Whether a simulator takes the place of backends.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct SimulatedArgs {
    /// Use a simulated Xen Orchestra with every level allowed; it begins anew with each command
    #[arg(long, conflicts_with_all = BESIDES_DEMO, help_heading = "Backends")]
    pub demo: bool,
}

impl From<&BackendArgs> for SettingsOverrides {
    fn from(args: &BackendArgs) -> Self {
        let BackendArgs {
            config,
            dadl,
            url,
            allow_private_hosts,
            allow_origins,
            name,
            ca_file,
            client_cert,
            client_key,
            tls_fingerprints,
            tls_skip_verify,
            access,
            files,
        } = args.clone();
        Self {
            config,
            dadl,
            url,
            allow_private_hosts,
            allow_origins,
            name,
            ca_file,
            client_cert,
            client_key,
            tls_fingerprint: tls_fingerprints,
            tls_skip_verify,
            access,
            files,
        }
    }
}
