//! Backends that are other MCP servers: what is known of each before it was asked, and its client.

use std::sync::Arc;

use dadl_descriptor::{
    model::{CredentialName, Descriptor},
    source::SourceText,
};

use super::{BackendAccess, BuildProblem, LoadedBackend, SettingProblem};
use crate::{
    call::ProcessPlace,
    catalog::{AppliedOverrides, ServerTools},
    config::{
        BackendSettings,
        credentials::{BackendCredentials, CredentialResolver},
        servers::{EnvValue, ServerConnection, ServerSettings, StdioSettings},
    },
    executor::ServerClient,
};

/// A server that is started, and what is known of it.
#[derive(Debug, Clone)]
pub struct LoadedServer {
    /// What its settings say.
    pub settings: ServerSettings,
    /// How it is started.
    pub process: StdioSettings,
    /// The tools that it listed; none before it was asked.
    pub tools: ServerTools,
    /// What came of asking it.
    pub found: ServerFound,
}

/// What came of asking a server for what it has.
#[derive(Debug, Clone, Default)]
pub enum ServerFound {
    /// It was not asked.
    #[default]
    NotAsked,
    /// It has answered.
    Listed(Box<FoundServer>),
    /// It has not, and why.
    Failed(String),
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct FoundServer {
    /// Its name and version, on one line.
    pub name: String,
    /// The revision of the protocol.
    pub revision: String,
    /// How many of each it has: tools, resources, templates, prompts.
    pub counts: [usize; 4],
}

impl LoadedServer {
    /// Returns how it is started.
    pub fn place(&self) -> ProcessPlace {
        ProcessPlace {
            program: self.process.command.to_string_lossy().into_owned(),
            args: self.process.args.clone(),
        }
    }

    /// Returns the credentials that its environment gets.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        self.process.env.values().filter_map(|value| match value {
            EnvValue::Credential(name) => Some(name),
            EnvValue::Literal(_) => None,
        })
    }

    /// Makes its client; it is started when something is wanted of it.
    pub(super) fn client(
        &self,
        loaded: &LoadedBackend,
        credentials: &CredentialResolver,
    ) -> ServerClient {
        let source = BackendCredentials {
            credentials: credentials.clone(),
            backend: loaded.settings.clone(),
            origins: loaded.origins(),
        };
        ServerClient::new(
            loaded.settings.clone(),
            self.settings.clone(),
            self.process.clone(),
            credentials.environment().clone(),
            Box::new(source),
        )
    }
}

/// Takes a backend that is another MCP server; nothing is started.
pub(super) fn load_server(
    backend: &BackendSettings,
    settings: &ServerSettings,
) -> Result<LoadedBackend, Vec<BuildProblem>> {
    let ServerConnection::Stdio(process) = &settings.connection else {
        return Err(vec![BuildProblem::Setting {
            backend: backend.name.clone(),
            problem: Box::new(SettingProblem::HttpServer),
        }]);
    };
    let server = LoadedServer {
        settings: settings.clone(),
        process: process.clone(),
        tools: ServerTools::default(),
        found: ServerFound::NotAsked,
    };
    Ok(LoadedBackend {
        settings: backend.clone(),
        descriptor: Arc::new(Descriptor::without_tools(backend.name.clone())),
        source: SourceText::new(backend.name.clone(), String::new()),
        diagnostics: Vec::new(),
        access: BackendAccess::Server(Box::new(server)),
        unused: None,
        overrides: AppliedOverrides::default(),
    })
}
