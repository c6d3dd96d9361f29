//! Asks the other MCP servers for what they have, all at once and within a bound: one that is slow or
//! does not start has no tools, and takes none from the others.

use std::{sync::Arc, time::Duration};

use dadl_descriptor::model::Descriptor;
use dadl_text::text::{cut_text, one_line};
use futures_util::future::join_all;

use super::{
    App, LoadedBackend, mistyped_patterns, operator, overrides,
    servers::{FoundServer, LoadedServer, ServerFound},
};
use crate::{
    access::{AccessDecision, AccessDenial},
    catalog::{BackendId, ServerTools},
    executor::{CallError, Executor},
    mcp_client::{ServerError, ServerFault, ServerList},
};

/// So many remarks about one server are told.
const MOST_REMARKS: usize = 10;

/// A longer text of a server about itself is cut.
const LONGEST_NAME: usize = 100;

/// What a server says of how it is used is cut behind so many characters: it is one of many.
const LONGEST_INSTRUCTIONS: usize = 1000;

impl App {
    /// Returns whether a backend is another MCP server.
    pub fn has_servers(&self) -> bool {
        self.backends.iter().any(|backend| backend.server().is_some())
    }

    /// Lists the tools of other MCP servers, each within this time; what is not there then has none.
    /// Servers go on with their start, so that a later call finds them ready.
    #[must_use]
    pub async fn with_servers(mut self, time: Duration) -> Self {
        if !self.has_servers() {
            return self;
        }
        let asked = self.backends.iter().enumerate().filter(|(_, it)| it.server().is_some());
        let asked = asked.map(|(at, _)| ask(&self.executor, BackendId(at), time));
        let answers = join_all(asked).await;
        let Self { backends, warnings, .. } = &mut self;
        let servers = backends.iter_mut().filter(|backend| backend.server().is_some());
        for (backend, answer) in servers.zip(answers) {
            match answer {
                Ok(list) => warnings.extend(take_list(backend, &list)),
                Err(why) => {
                    let name = &backend.settings.name;
                    warnings.push(format!("backend \"{name}\" has no tools: {why}"));
                    if let Some(server) = backend.server_mut() {
                        server.found = ServerFound::Failed(why.to_string());
                    }
                }
            }
        }
        let catalog = super::build_catalog(&self.backends, &self.offers);
        self.gate = self.gate.with_catalog(Arc::new(catalog));
        let of_servers: Vec<String> = self
            .backends
            .iter()
            .enumerate()
            .filter_map(|(at, it)| without_levels(&self, at, it))
            .collect();
        self.warnings.extend(of_servers);
        self
    }
}

/// Why the tools of a server are not known.
#[derive(Debug, thiserror::Error)]
enum ListError {
    /// The operator: it cannot be asked.
    #[error(transparent)]
    Settings(#[from] CallError),
    /// The server: it is slow.
    #[error(
        "the MCP server of backend \"{backend}\" has not listed its tools within {} s (`list_wait` of \
         `limits`)",
        .time.as_secs_f64()
    )]
    Late { backend: String, time: Duration },
    /// The server.
    #[error(transparent)]
    Server(ServerError),
}

/// Asks a server for what it has.
async fn ask(
    executor: &Executor,
    backend: BackendId,
    time: Duration,
) -> Result<ServerList, ListError> {
    let link = executor.server_link(backend)?;
    link.list(time).await.map_err(|error| match error.fault {
        ServerFault::Starting { .. } | ServerFault::Timeout { .. } => {
            ListError::Late { backend: error.backend, time }
        }
        _ => ListError::Server(error),
    })
}

/// Takes what a server listed; returns what an operator should know of it.
fn take_list(backend: &mut LoadedBackend, list: &ServerList) -> Vec<String> {
    let defaults = backend.settings.defaults.clone();
    let said = backend.settings.overrides.clone();
    let Some(server) = backend.server_mut() else { return Vec::new() };
    let (mut tools, errors) = ServerTools::read(&list.tools, &server.settings.levels);
    let mut remarks: Vec<String> = errors.iter().map(ToString::to_string).collect();
    remarks.extend(list.remarks.iter().cloned());
    for (name, value) in &defaults {
        remarks.extend(
            operator::fill_server_default(name, value, &mut tools).err().map(|it| it.to_string()),
        );
    }
    let (applied, told) = overrides::apply_to_server(&said, &mut tools);
    remarks.extend(told);
    let names = || tools.iter().map(|tool| tool.name.as_str());
    let unused = server.settings.levels.without_match(names());
    remarks.extend(
        unused.iter().map(|it| format!("`{it}` in `levels` matches no tool of the server")),
    );
    server.found = ServerFound::Listed(Box::new(found(list)));
    server.tools = tools;
    backend.overrides = applied;
    // The operator's own words go before it.
    if let Some(instructions) = &list.instructions {
        let descriptor: &mut Descriptor = Arc::make_mut(&mut backend.descriptor);
        descriptor.description =
            cut_text(&one_line(instructions), LONGEST_INSTRUCTIONS).into_owned();
    }
    let more = remarks.len().saturating_sub(MOST_REMARKS);
    remarks.truncate(MOST_REMARKS);
    if more > 0 {
        remarks.push(format!("{more} more remarks are left out"));
    }
    let name = &backend.settings.name;
    let told = remarks.into_iter().map(|remark| format!("backend \"{name}\": {remark}"));
    told.chain(mistyped_patterns(backend)).collect()
}

fn found(list: &ServerList) -> FoundServer {
    let text = |key: &str| list.server.get(key).and_then(|it| it.as_str()).unwrap_or_default();
    let name = format!("{} {}", text("name"), text("version"));
    FoundServer {
        name: cut_text(one_line(&name).trim(), LONGEST_NAME).into_owned(),
        revision: cut_text(&one_line(&list.revision), LONGEST_NAME).into_owned(),
        counts: [list.tools.len(), list.resources.len(), list.templates.len(), list.prompts.len()],
    }
}

/// Says that no tool of a server may be called since nobody gave one a level.
fn without_levels(app: &App, at: usize, backend: &LoadedBackend) -> Option<String> {
    let LoadedServer { found: ServerFound::Listed(_), .. } = backend.server()? else { return None };
    let entries = app.gate.catalog().entries().iter();
    let mut entries = entries.filter(|entry| entry.backend.0 == at).peekable();
    entries.peek()?;
    let has_none =
        |decision: &AccessDecision| matches!(decision, AccessDecision::Deny(AccessDenial::NoLevel));
    entries.all(|entry| has_none(&entry.decision)).then(|| {
        let name = &backend.settings.name;
        format!(
            "no tool of backend \"{name}\" is allowed: none has a level; give them some with `levels`, \
             such as `levels: {{\"get_*\": read}}`"
        )
    })
}
