//! How a server is reached. Everything is resolved: nothing is looked up again here.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{config::env_vars::Environment, files::FileStore, http::backend::Backend};

/// How a server is reached, and what it may take.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// The name of the backend.
    pub backend: String,
    /// Where the server is.
    pub place: LinkPlace,
    /// What it may take.
    pub limits: LinkLimits,
    /// Which introduction is tried first.
    pub first_era: ServerEra,
    /// What it may ask for.
    pub offer: ClientOffer,
}

/// What a server may ask for beside pings and persons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientOffer {
    /// Directories that it is told of as roots.
    pub roots: Vec<PathBuf>,
    /// Whether it may ask the model of the host.
    pub sampling: bool,
    /// Which of its messages it is asked for; `None` for those that it sends by itself.
    pub log_level: Option<&'static str>,
}

impl ClientOffer {
    /// Returns the answer to `roots/list`; a path that is not absolute is no root.
    pub fn roots_result(&self) -> Value {
        let roots = self.roots.iter().filter_map(|root| {
            let uri = Url::from_directory_path(root).ok()?;
            let name = root.file_name().map(|name| name.to_string_lossy().into_owned());
            // No slash at the end: servers compare texts.
            let uri = uri.as_str().trim_end_matches('/');
            Some(json!({ "uri": uri, "name": name.unwrap_or_default() }))
        });
        json!({ "roots": roots.collect::<Vec<_>>() })
    }
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum LinkPlace {
    /// It is started.
    Process(ProcessSettings),
    /// It is at a URL.
    Http(HttpSettings),
}

/// A server at a URL, which speaks the streamable HTTP transport.
#[derive(Clone)]
pub struct HttpSettings {
    /// What connects, and adds the credential: it is for the origin of the URL.
    pub client: Arc<Backend>,
    /// The whole URL, to which messages go.
    pub url: Url,
    /// What the client takes files from; messages have none.
    pub files: FileStore,
}

impl fmt::Debug for HttpSettings {
    /// Leaves the query of the URL out: people write secrets there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("HttpSettings").field(&self.client.settings().name).finish()
    }
}

/// A server that runs as a process of its own and speaks on its standard input and output.
#[derive(Clone)]
pub struct ProcessSettings {
    /// The program: a name that is looked up in the path, or a path.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of the operator; credentials are known to [`crate::secrets`] already.
    pub variables: Vec<(String, SecretString)>,
    /// Our own environment, of which it gets what is [`super::INHERITED`].
    pub environment: Environment,
    /// Where it runs; its home directory without.
    pub directory: Option<PathBuf>,
    /// The program that runs `mcp-child`; this one without. A test is another one.
    pub supervisor: Option<PathBuf>,
}

impl fmt::Debug for ProcessSettings {
    /// Leaves the values of variables out: some are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|(name, _)| name.as_str());
        formatter
            .debug_struct("ProcessSettings")
            .field("command", &self.command)
            .field("arguments", &self.arguments)
            .field("variables", &names.collect::<Vec<_>>())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// What a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// The largest message, in bytes.
    pub message: u64,
    /// All messages that are being read, and results that are held, in bytes.
    pub memory: u64,
    /// How long it may take to start and to introduce itself.
    pub start: Duration,
    /// How long it may take to end before it is ended.
    pub end: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self {
            message: 32 * 1024 * 1024,
            memory: 256 * 1024 * 1024,
            start: Duration::from_secs(60),
            end: Duration::from_secs(2),
        }
    }
}

/// How a server introduces itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerEra {
    /// By `initialize`, in revisions up to 2025-11-25.
    #[default]
    Initialize,
    /// By `server/discover`, from 2026-07-28 on.
    Discover,
}

impl ServerEra {
    /// Returns the other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Initialize => Self::Discover,
            Self::Discover => Self::Initialize,
        }
    }
}
