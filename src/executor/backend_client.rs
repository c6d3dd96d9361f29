//! What calls of a backend go through: the client of an API, or the link to another MCP server.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use url::Url;

use super::{CallError, Executor};
use crate::{
    catalog::{BackendId, CatalogEntry},
    config::{
        BackendSettings,
        credentials::CredentialSource,
        env_vars::Environment,
        servers::{EnvValue, ServerSettings, StdioSettings},
    },
    files::FileStore,
    http::backend::Backend,
    mcp_client::{
        ClientOffer, HttpSettings, LinkLimits, LinkPlace, LinkSettings, LinkState, ProcessSettings,
        ServerEra, ServerLink,
    },
    secrets::{self, Secrets},
    shares::SharedBudget,
};

/// What calls of a backend go through.
#[derive(Debug)]
pub enum BackendClient {
    /// Requests of an API.
    Api(Box<Backend>),
    /// Messages to another MCP server.
    Server(Box<ServerClient>),
}

/// The client of a server that is started, or connected to, when something is wanted of it.
pub struct ServerClient {
    settings: BackendSettings,
    server: ServerSettings,
    place: ServerPlace,
    /// There is none before the first call: until then no credential is read.
    link: Mutex<Option<ServerLink>>,
    /// Whether there is one.
    made: watch::Sender<bool>,
}

/// How a server is reached.
pub enum ServerPlace {
    /// It is started.
    Process {
        /// How.
        process: StdioSettings,
        /// Our environment: it gets what [`crate::mcp_client::INHERITED`] names of it.
        environment: Environment,
        /// What it gets besides, where its settings name credentials.
        credentials: Box<dyn CredentialSource>,
    },
    /// It is at a URL.
    Http {
        /// What connects, and adds the credential.
        client: Arc<Backend>,
        /// The whole URL.
        url: Url,
    },
}

impl fmt::Debug for ServerClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ServerClient").field(&self.settings.name).finish()
    }
}

impl From<Backend> for BackendClient {
    fn from(backend: Backend) -> Self {
        Self::Api(Box::new(backend))
    }
}

impl From<ServerClient> for BackendClient {
    fn from(server: ServerClient) -> Self {
        Self::Server(Box::new(server))
    }
}

impl BackendClient {
    /// Returns the settings of the backend.
    pub fn settings(&self) -> &BackendSettings {
        match self {
            Self::Api(backend) => backend.settings(),
            Self::Server(server) => &server.settings,
        }
    }

    /// Returns the client of an API.
    pub fn api(&self) -> Option<&Backend> {
        match self {
            Self::Api(backend) => Some(backend),
            Self::Server(_) => None,
        }
    }

    /// Returns what sends requests of HTTP: those of an API, or the messages to a server at a URL.
    pub fn web(&self) -> Option<&Backend> {
        match self {
            Self::Api(backend) => Some(backend),
            Self::Server(server) => match &server.place {
                ServerPlace::Process { .. } => None,
                ServerPlace::Http { client, .. } => Some(client),
            },
        }
    }

    /// Returns the secrets that are in use.
    pub(super) fn secrets(&self) -> Secrets {
        match self {
            Self::Api(backend) => backend.secrets().clone(),
            Self::Server(server) => server.secrets(),
        }
    }
}

impl ServerClient {
    /// Makes the client of a server; nothing is started.
    pub fn new(settings: BackendSettings, server: ServerSettings, place: ServerPlace) -> Self {
        if let ServerPlace::Process { process, credentials, .. } = &place {
            // People write secrets into files.
            let noted = credentials.secrets();
            for (name, value) in &process.env {
                let EnvValue::Literal(value) = value else { continue };
                if secrets::sounds_secret(name) {
                    noted.add(name, value);
                } else if has_password(value) {
                    noted.add_url(name, value);
                }
            }
        }
        if let ServerPlace::Http { client, url } = &place {
            for (name, value) in url.query_pairs().filter(|(name, _)| secrets::sounds_secret(name))
            {
                client.secrets().add(&name, &value);
            }
        }
        let (link, made) = (Mutex::default(), watch::channel(false).0);
        Self { settings, server, place, link, made }
    }

    fn secrets(&self) -> Secrets {
        match &self.place {
            ServerPlace::Process { credentials, .. } => credentials.secrets(),
            ServerPlace::Http { client, .. } => client.secrets().clone(),
        }
    }

    /// Returns the link to the server, whose messages take of `room`.
    fn link(
        &self,
        room: &SharedBudget,
        memory: u64,
        files: &FileStore,
    ) -> Result<ServerLink, CallError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = &*link {
            return Ok(link.clone());
        }
        let link_settings = self.link_settings(memory, files)?;
        let made = ServerLink::sharing(link_settings, self.secrets(), room.clone());
        *link = Some(made.clone());
        self.made.send_replace(true);
        Ok(made)
    }

    fn link_settings(&self, memory: u64, files: &FileStore) -> Result<LinkSettings, CallError> {
        let limits = LinkLimits {
            message: self.settings.max_response_bytes,
            memory,
            start: self.server.start_timeout,
            ..LinkLimits::default()
        };
        let first_era = match self.server.protocol {
            Some(revision) if revision >= FIRST_OF_DISCOVER => ServerEra::Discover,
            _ => ServerEra::Initialize,
        };
        let place = match &self.place {
            ServerPlace::Process { process, environment, credentials } => {
                let StdioSettings { command, args, cwd, .. } = process;
                LinkPlace::Process(ProcessSettings {
                    command: command.to_string_lossy().into_owned(),
                    arguments: args.clone(),
                    variables: self.variables(process, &**credentials)?,
                    environment: environment.clone(),
                    directory: cwd.clone(),
                    supervisor: None,
                })
            }
            ServerPlace::Http { client, url } => LinkPlace::Http(HttpSettings {
                client: Arc::clone(client),
                url: url.clone(),
                files: files.clone(),
            }),
        };
        let offer = self.offer();
        Ok(LinkSettings { backend: self.settings.name.clone(), place, limits, first_era, offer })
    }

    fn variables(
        &self,
        process: &StdioSettings,
        credentials: &dyn CredentialSource,
    ) -> Result<Vec<(String, SecretString)>, CallError> {
        let noted = credentials.secrets();
        let value = |value: &EnvValue| match value {
            EnvValue::Literal(text) => Ok(SecretString::from(text.as_str())),
            EnvValue::Credential(name) => match credentials.find(name) {
                Ok(value) => {
                    if secrets::is_secret(&name.0) {
                        noted.add(&name.0, value.expose_secret());
                    }
                    Ok(value)
                }
                Err(error) => {
                    let backend = &self.settings.name;
                    let message = format!("backend \"{backend}\": {error}");
                    Err(CallError::Settings { message })
                }
            },
        };
        let named = process.env.iter();
        named.map(|(name, it)| Ok((name.clone(), value(it)?))).collect()
    }

    /// Returns what the server may ask for.
    fn offer(&self) -> ClientOffer {
        let ServerSettings { roots, sampling, log_level, .. } = &self.server;
        ClientOffer { roots: roots.clone(), sampling: *sampling, log_level: *log_level }
    }

    fn made_link(&self) -> Option<ServerLink> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns whether a text is a URL with a password in it.
fn has_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.password().is_some())
}

/// The first revision of the protocol that begins with `server/discover`.
const FIRST_OF_DISCOVER: &str = "2026-07-28";

impl Executor {
    /// Returns the client of an API; `None` for a backend that is another MCP server.
    pub fn api(&self, backend: BackendId) -> Option<&Backend> {
        self.backends.get(backend.0)?.api()
    }

    /// Returns what sends requests of HTTP; `None` for a server that is started.
    pub fn web(&self, backend: BackendId) -> Option<&Backend> {
        self.backends.get(backend.0)?.web()
    }

    /// Returns the link to a server, which starts it when something is wanted of it.
    ///
    /// # Errors
    ///
    /// The backend is no such server, or a credential for its environment is missing.
    pub fn server_link(&self, backend: BackendId) -> Result<ServerLink, CallError> {
        match self.backends.get(backend.0).map(|client| &**client) {
            Some(BackendClient::Server(server)) => {
                server.link(self.bounds.memory(), self.bounds.most_memory(), &self.files)
            }
            _ => {
                let message = "the backend is no MCP server".to_owned();
                Err(CallError::Settings { message })
            }
        }
    }

    /// Returns what a server may ask for.
    pub(super) fn server_offer(&self, backend: BackendId) -> ClientOffer {
        match self.backends.get(backend.0).map(|client| &**client) {
            Some(BackendClient::Server(server)) => server.offer(),
            _ => ClientOffer::default(),
        }
    }

    /// Returns how a server is; `None` before anything was wanted of it.
    pub fn server_state(&self, backend: BackendId) -> Option<LinkState> {
        match &**self.backends.get(backend.0)? {
            BackendClient::Server(server) => Some(server.made_link()?.state()),
            BackendClient::Api(_) => None,
        }
    }

    /// Returns the link to a server as soon as something is wanted of it; `None` for an API.
    pub async fn made_server_link(&self, backend: BackendId) -> Option<ServerLink> {
        let BackendClient::Server(server) = &**self.backends.get(backend.0)? else { return None };
        let mut made = server.made.subscribe();
        made.wait_for(|is_made| *is_made).await.ok()?;
        server.made_link()
    }

    /// Ends all servers that were started, at once, within this time; none is started again.
    pub async fn end_servers(&self, within: Duration) {
        let links = self.backends.iter().filter_map(|client| match &**client {
            BackendClient::Server(server) => server.made_link(),
            BackendClient::Api(_) => None,
        });
        let links: Vec<ServerLink> = links.collect();
        if links.is_empty() {
            return;
        }
        let all = futures_util::future::join_all(links.iter().map(ServerLink::end));
        // What does not end is ended by its supervisor as soon as we are gone.
        let _ = tokio::time::timeout(within, all).await;
    }

    /// Returns what calls of an entry go through.
    pub(super) fn client(&self, entry: &CatalogEntry) -> Result<&BackendClient, CallError> {
        let client = self.backends.get(entry.backend.0).map(|client| &**client);
        client.ok_or_else(|| CallError::Settings {
            message: format!("backend \"{}\" is not configured", entry.backend_name),
        })
    }

    /// Returns the client of the API that an entry is of.
    pub(super) fn backend(&self, entry: &CatalogEntry) -> Result<&Backend, CallError> {
        self.client(entry)?.api().ok_or_else(|| CallError::Settings {
            message: format!("backend \"{}\" is another MCP server", entry.backend_name),
        })
    }
}
