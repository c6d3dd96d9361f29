//! Backends that are other MCP servers: what is known of each before it was asked, and its client.

use std::sync::Arc;

use dadl_descriptor::{
    model::{AuthScheme, CredentialName, Descriptor},
    source::SourceText,
};
use url::Url;

use super::{
    ApiAccess, BackendAccess, BuildProblem, LoadedBackend, SettingProblem,
    known_lists::{ServerFound, ServerListing},
};
use crate::{
    access::AccessPolicy,
    call::{BackendPlace, BaseUrl, ProcessPlace},
    catalog::{AppliedOverrides, ServerContent, ServerTools},
    config::{
        BackendSettings, PrivateHost,
        credentials::{BackendCredentials, CredentialResolver},
        server_login::ServerLogin,
        servers::{EnvValue, ServerConnection, ServerSettings, StdioSettings},
    },
    executor::{ServerClient, ServerPlace},
    http::{
        auth::Authenticator, backend::Backend, client_certificate,
        connection_guard::ConnectionGuard, mcp_authorization::StoredLogin,
    },
};

/// Another MCP server, and what is known of it.
#[derive(Debug, Clone)]
pub struct LoadedServer {
    /// What its settings say.
    pub settings: ServerSettings,
    /// How it is started, or where it is.
    pub access: ServerAccess,
    /// The tools that it listed; none before it was asked.
    pub tools: ServerTools,
    /// What else it listed.
    pub content: ServerContent,
    /// What came of asking it.
    pub found: ServerFound,
    /// What is known of its lists besides.
    pub listing: ServerListing,
}

/// How a server is started, or where it is.
#[derive(Debug, Clone)]
pub enum ServerAccess {
    /// It is started.
    Process(StdioSettings),
    /// It is at a URL.
    Http(Box<HttpAccess>),
}

/// Where a server at a URL is.
#[derive(Debug, Clone)]
pub struct HttpAccess {
    /// The whole URL.
    pub url: Url,
    /// Its origin, and where it may connect.
    pub web: ApiAccess,
}

impl LoadedServer {
    /// Returns how it is started, or where it is, for people.
    pub fn place(&self) -> BackendPlace {
        match &self.access {
            ServerAccess::Process(process) => BackendPlace::Process(ProcessPlace {
                program: process.command.to_string_lossy().into_owned(),
                args: process.args.clone(),
            }),
            ServerAccess::Http(http) => BackendPlace::Server(http.url.clone()),
        }
    }

    /// Returns how it is started; `None` for one at a URL.
    pub fn process(&self) -> Option<&StdioSettings> {
        match &self.access {
            ServerAccess::Process(process) => Some(process),
            ServerAccess::Http(_) => None,
        }
    }

    /// Returns where it is reached by requests of HTTP; `None` for one that is started.
    pub fn web(&self) -> Option<&ApiAccess> {
        match &self.access {
            ServerAccess::Process(_) => None,
            ServerAccess::Http(http) => Some(&http.web),
        }
    }

    pub(super) fn web_mut(&mut self) -> Option<&mut ApiAccess> {
        match &mut self.access {
            ServerAccess::Process(_) => None,
            ServerAccess::Http(http) => Some(&mut http.web),
        }
    }

    /// Returns the credentials that its environment gets.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        let env = self.process().into_iter().flat_map(|process| process.env.values());
        env.filter_map(|value| match value {
            EnvValue::Credential(name) => Some(name),
            EnvValue::Literal(_) => None,
        })
    }

    /// Returns what of its resources and prompts may be offered: reading them is a read, so that a backend
    /// whose `access` lacks it offers none.
    pub(super) fn offered(&self, policy: &AccessPolicy) -> ServerContent {
        if !policy.may_read() {
            return ServerContent::default();
        }
        let mut content = self.content.clone();
        if !self.settings.resources {
            content = content.without_resources();
        }
        if !self.settings.prompts {
            content = content.without_prompts();
        }
        content
    }

    /// Makes its client; it is started, or connected to, when something is wanted of it.
    pub(super) fn client(
        &self,
        loaded: &LoadedBackend,
        authenticator: Authenticator,
        credentials: &CredentialResolver,
    ) -> ServerClient {
        let place = match &self.access {
            ServerAccess::Process(process) => ServerPlace::Process {
                process: process.clone(),
                environment: credentials.environment().clone(),
                credentials: Box::new(BackendCredentials {
                    credentials: credentials.clone(),
                    backend: loaded.settings.clone(),
                    origins: loaded.origins(),
                }),
            },
            ServerAccess::Http(http) => {
                let ApiAccess { base, guard } = &http.web;
                let client = Backend::new(loaded.settings.clone(), base.clone(), authenticator);
                let client = Arc::new(client.with_guard(guard.clone()));
                ServerPlace::Http { client, url: http.url.clone() }
            }
        };
        ServerClient::new(loaded.settings.clone(), self.settings.clone(), place)
    }
}

/// Takes a backend that is another MCP server; nothing is started or asked.
pub(super) fn load_server(
    backend: &BackendSettings,
    settings: &ServerSettings,
    credentials: &CredentialResolver,
) -> Result<LoadedBackend, Vec<BuildProblem>> {
    let problem = |problem: Box<SettingProblem>| {
        vec![BuildProblem::Setting { backend: backend.name.clone(), problem }]
    };
    let mut descriptor = Descriptor::without_tools(backend.name.clone());
    let access = match &settings.connection {
        ServerConnection::Stdio(process) => ServerAccess::Process(process.clone()),
        ServerConnection::Http(http) => {
            let access = http_access(backend, &http.auth).map_err(problem)?;
            descriptor.auth = http.auth.clone();
            let rotation = super::check_rotation(&descriptor, credentials);
            rotation.map_err(|error| problem(Box::new(error.into())))?;
            ServerAccess::Http(Box::new(access))
        }
    };
    let server = LoadedServer {
        settings: settings.clone(),
        access,
        tools: ServerTools::default(),
        content: ServerContent::default(),
        found: ServerFound::NotAsked,
        listing: ServerListing::default(),
    };
    Ok(LoadedBackend {
        settings: backend.clone(),
        descriptor: Arc::new(descriptor),
        source: SourceText::new(backend.name.clone(), String::new()),
        text_digest: None,
        diagnostics: Vec::new(),
        access: BackendAccess::Server(Box::new(server)),
        unused: None,
        read: Vec::new(),
        overrides: AppliedOverrides::default(),
    })
}

/// Returns what finds the login that `setup` has stored for a server, where its settings leave that to MCP.
/// Without one nothing is sent, and the server says whether it takes that.
pub(super) fn later_login(
    loaded: &LoadedBackend,
    credentials: &CredentialResolver,
) -> Option<Arc<StoredLogin>> {
    let (settings, url) = loaded.mcp_login()?;
    Some(Arc::new(StoredLogin::new(settings, url, credentials)))
}

impl LoadedBackend {
    /// Returns the server whose login is left to MCP, and its URL.
    fn mcp_login(&self) -> Option<(&BackendSettings, &Url)> {
        let server = self.server()?;
        let ServerConnection::Http(http) = &server.settings.connection else { return None };
        http.authorization.as_ref()?;
        match &server.access {
            ServerAccess::Process(_) => None,
            ServerAccess::Http(access) => Some((&self.settings, &access.url)),
        }
    }

    /// Returns the same with the login that is stored for it now, for people who want to know of it: a run
    /// reads it when a request needs it.
    #[must_use]
    pub fn with_stored_login(&self, credentials: &CredentialResolver) -> Self {
        let mut known = self.clone();
        let Some((settings, url)) = self.mcp_login() else { return known };
        match ServerLogin::load(credentials, settings, url) {
            Ok(Some(login)) => {
                let descriptor: &mut Descriptor = Arc::make_mut(&mut known.descriptor);
                descriptor.auth = login.auth(&settings.name);
            }
            Ok(None) => {}
            // A run tells the same.
            Err(error) => tracing::debug!(%error, "a stored login cannot be used"),
        }
        known
    }
}

fn http_access(
    backend: &BackendSettings,
    written: &AuthScheme,
) -> Result<HttpAccess, Box<SettingProblem>> {
    let parsed = Url::parse(backend.url.as_deref().unwrap_or_default());
    let mut url = parsed.map_err(|error| Box::new(SettingProblem::Url(error.into())))?;
    url.set_fragment(None);
    // A credential is for the whole origin, and requests go to the one URL.
    let base = BaseUrl::parse(&url.origin().ascii_serialization());
    let base = base.map_err(|error| Box::new(SettingProblem::Url(error)))?;
    let shown = client_certificate::check_identity(backend, base.as_url());
    shown.map_err(|error| Box::new(SettingProblem::ClientCert(error)))?;
    // The operator has written down where logins are, too.
    let mut reached = backend.clone();
    reached.allow_private_hosts.extend(login_hosts(written));
    let guard = ConnectionGuard::new(reached.reach(base.as_url(), None));
    Ok(HttpAccess { url, web: ApiAccess { base, guard } })
}

/// Returns the hosts to which a login leads.
fn login_hosts(auth: &AuthScheme) -> Vec<PrivateHost> {
    let AuthScheme::OAuth2(oauth2) = auth else { return Vec::new() };
    let consent = oauth2.consent().map(|consent| &consent.authorize_url);
    let urls = oauth2.token_url.iter().chain(consent);
    let hosts = urls.filter_map(|url| {
        let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str()?).parse().ok()
    });
    hosts.collect()
}
