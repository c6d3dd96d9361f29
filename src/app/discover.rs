//! Asks the other MCP servers for what they have, all at once and within a bound: one that is slow or
//! does not start has the tools that it listed last, or none, and takes none from the others.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dadl_descriptor::model::Descriptor;
use dadl_text::text::{cut_text, one_line, quoted_text};
use futures_util::future::join_all;

use super::{
    App, LoadedBackend,
    known_lists::{KnownServer, ListNews, SeenNews, ServerFound, found},
    list_watch::WatchStart,
    mistyped_patterns, operator, overrides,
    servers::LoadedServer,
};
use crate::{
    access::{AccessDecision, AccessDenial, PinDoubt},
    catalog::{BackendId, ServerContent, ServerTools, tool_doubts},
    config::{known_list::KnownList, servers::ServerStart, tool_pins::ServerPins},
    executor::{CallError, Executor},
    mcp_client::{ServerError, ServerFault, ServerList},
};

/// So many remarks about one server are told.
const MOST_REMARKS: usize = 10;

/// So many remarks are kept, whatever servers do.
const MOST_WARNINGS: usize = 1000;

/// What a server says of how it is used is cut behind so many characters: it is one of many.
const LONGEST_INSTRUCTIONS: usize = 1000;

/// A name in a remark has so many characters.
const LONGEST_NAME: usize = 60;

/// Which servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServersAsked {
    /// All.
    All,
    /// Those that are not `start: lazy`, and those of which no list is known.
    AsSet,
}

/// What is known of the lists of a server after it was asked, or was not.
#[derive(Debug)]
enum ListAnswer {
    /// It has answered.
    Listed(Box<ServerList>, SeenNews),
    /// It listed this in an earlier run; why there is nothing newer, unless none was wanted.
    Known(Box<KnownList<ServerList>>, Option<String>),
    /// Nothing.
    Missing(ListError),
}

impl App {
    /// Returns whether a backend is another MCP server.
    pub fn has_servers(&self) -> bool {
        self.backends.iter().any(|backend| backend.server().is_some())
    }

    /// Lists the tools of other MCP servers, each within this time. Of what is not there then the last known
    /// list is used, and of a server with `start: lazy` in any case, if there is one; what has none has no
    /// tools. Servers go on with their start, so that a later call finds them ready.
    #[must_use]
    pub async fn with_servers(self, time: Duration) -> Self {
        self.listing(time, ServersAsked::AsSet).await
    }

    /// Does the same, and starts those with `start: lazy` as well.
    #[must_use]
    pub async fn with_started_servers(self, time: Duration) -> Self {
        self.listing(time, ServersAsked::All).await
    }

    async fn listing(mut self, time: Duration, asked: ServersAsked) -> Self {
        if !self.has_servers() {
            return self;
        }
        let is_asked = |backend: &LoadedBackend| match asked {
            ServersAsked::All => backend.server().is_some(),
            // Those that stayed when settings changed are known.
            ServersAsked::AsSet => {
                backend.server().is_some_and(|it| matches!(it.found, ServerFound::NotAsked))
            }
        };
        let servers = self.backends.iter().enumerate().filter(|(_, it)| is_asked(it));
        let answers = servers
            .map(|(at, backend)| answer(&self.executor, BackendId(at), backend, time, asked));
        let answers = join_all(answers).await;
        let Self { backends, warnings, .. } = &mut self;
        let servers = backends.iter_mut().filter(|backend| is_asked(backend));
        for (backend, answer) in servers.zip(answers) {
            warnings.extend(take_answer(Arc::make_mut(backend), answer));
        }
        self.make_catalog();
        let of_servers: Vec<String> = self
            .backends
            .iter()
            .enumerate()
            .filter_map(|(at, it)| without_levels(&self, at, it))
            .collect();
        self.warnings.extend(of_servers);
        self.warnings.extend(self.name_remarks());
        self
    }

    /// Takes what a server lists by now, and keeps it for the next start; returns what is different since the
    /// list that was in use. Nothing else of the app changes: clients, logins and other backends stay.
    pub fn relisted(&mut self, backend: BackendId, list: &ServerList) -> ListNews {
        let Some(loaded) = self.backends.get_mut(backend.0) else { return ListNews::default() };
        let loaded = Arc::make_mut(loaded);
        let name = loaded.settings.name.clone();
        let Some(server) = loaded.server_mut() else { return ListNews::default() };
        server.listing.keep(&name, list);
        let mut news = server.listing.note(list);
        let listed = ServerFound::Listed(Box::new(found(list)));
        if news.is_empty() {
            server.found = listed;
            return news;
        }
        let mut remarks = take_list(loaded, list, listed);
        self.make_catalog();
        remarks.extend(self.name_remarks());
        // What was told once is known.
        remarks.retain(|remark| !self.warnings.contains(remark));
        let room = MOST_WARNINGS.saturating_sub(self.warnings.len());
        self.warnings.extend(remarks.iter().take(room).cloned());
        news.remarks = remarks;
        news
    }

    /// Returns from where on the lists of a server have to be watched; `None` for an API.
    pub fn watch_start(&self, backend: BackendId) -> Option<WatchStart> {
        let server = self.backends.get(backend.0)?.server()?;
        Some(match (&server.found, server.listing.seen()) {
            (ServerFound::Listed(_), Some(SeenNews { changes, starts })) => {
                WatchStart::Listed { changes, starts }
            }
            (ServerFound::Known(known), _) if known.why.is_none() => WatchStart::WhenStarted,
            _ => WatchStart::AtOnce,
        })
    }

    /// Asks servers for what they have, each within its `start_timeout`; nothing is taken of it.
    pub(crate) async fn server_lists(
        &self,
        backends: &[BackendId],
    ) -> Vec<Result<ServerList, ListError>> {
        let asked = backends.iter().map(async |backend| {
            let server = self.backend(backend.0).and_then(LoadedBackend::server);
            let time = server.map(|server| server.settings.start_timeout).unwrap_or_default();
            let bound = (time, "`start_timeout`");
            let listed = ask(&self.executor, *backend, bound).await;
            listed.map(|(list, _)| list)
        });
        join_all(asked).await
    }

    fn make_catalog(&mut self) {
        let catalog = super::build_catalog(&self.backends, &self.offers);
        self.gate = self.gate.clone().with_catalog(Arc::new(catalog));
    }

    /// Says which tools of servers could be taken for others.
    fn name_remarks(&self) -> Vec<String> {
        let catalog = self.gate.catalog();
        let alike = tool_doubts::shadow_remarks(&tool_doubts::named_tools(catalog));
        alike.into_iter().chain(tool_doubts::host_remarks(catalog)).collect()
    }
}

/// Why the tools of a server are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// The operator: it cannot be asked.
    #[error(transparent)]
    Settings(#[from] CallError),
    /// The server: it is slow.
    #[error(
        "the MCP server of backend \"{backend}\" has not listed its tools within {} s ({key})",
        .time.as_secs_f64()
    )]
    Late {
        /// The name of the backend.
        backend: String,
        /// The bound.
        time: Duration,
        /// The setting that has it.
        key: &'static str,
    },
    /// The server.
    #[error(transparent)]
    Server(ServerError),
}

/// Asks a server for what it has, unless what it listed last is enough.
async fn answer(
    executor: &Executor,
    id: BackendId,
    backend: &LoadedBackend,
    time: Duration,
    asked: ServersAsked,
) -> ListAnswer {
    let name = &backend.settings.name;
    let known = || Some(Box::new(backend.server()?.listing.known(name)?));
    let is_lazy = backend.server().is_some_and(|it| it.settings.start == ServerStart::Lazy);
    if is_lazy
        && asked == ServersAsked::AsSet
        && let Some(known) = known()
    {
        return ListAnswer::Known(known, None);
    }
    match ask(executor, id, (time, "`list_wait` of `limits`")).await {
        Ok((list, seen)) => {
            if let Some(server) = backend.server() {
                server.listing.keep(name, &list);
            }
            ListAnswer::Listed(Box::new(list), seen)
        }
        Err(why) => match known() {
            Some(known) => ListAnswer::Known(known, Some(why.to_string())),
            None => ListAnswer::Missing(why),
        },
    }
}

/// Asks a server for what it has; returns what it had told before, too.
async fn ask(
    executor: &Executor,
    backend: BackendId,
    (time, key): (Duration, &'static str),
) -> Result<(ServerList, SeenNews), ListError> {
    let link = executor.server_link(backend)?;
    let SeenNews { changes, .. } = SeenNews::of(&link);
    let listed = link.list(time).await.map_err(|error| match error.fault {
        ServerFault::Starting { .. } | ServerFault::Timeout { .. } => {
            ListError::Late { backend: error.backend, time, key }
        }
        _ => ListError::Server(error),
    });
    // It was started by the question, at the latest.
    let SeenNews { starts, .. } = SeenNews::of(&link);
    Ok((listed?, SeenNews { changes, starts }))
}

/// Takes what came of asking; returns what an operator should know of it.
fn take_answer(backend: &mut LoadedBackend, answer: ListAnswer) -> Vec<String> {
    let name = backend.settings.name.clone();
    let Some(server) = backend.server_mut() else { return Vec::new() };
    match answer {
        ListAnswer::Listed(list, seen) => {
            server.listing.note(&list);
            server.listing.note_news(Some(seen));
            let listed = ServerFound::Listed(Box::new(found(&list)));
            take_list(backend, &list, listed)
        }
        ListAnswer::Known(known, why) => {
            let KnownList { list, listed } = *known;
            server.listing.note(&list);
            let known = KnownServer { found: found(&list), listed, why };
            let sentence = format!("backend \"{name}\": {}", known.sentence());
            let is_wanted = known.why.is_none();
            let mut told = take_list(backend, &list, ServerFound::Known(Box::new(known)));
            match is_wanted {
                true => tracing::info!("{sentence}"),
                false => told.insert(0, sentence),
            }
            told
        }
        ListAnswer::Missing(why) => {
            server.found = ServerFound::Failed(why.to_string());
            vec![format!("backend \"{name}\" has no tools: {why}")]
        }
    }
}

/// Takes what a server listed; returns what an operator should know of it.
fn take_list(backend: &mut LoadedBackend, list: &ServerList, how: ServerFound) -> Vec<String> {
    let (name, defaults) = (backend.settings.name.clone(), backend.settings.defaults.clone());
    let said = backend.settings.overrides.clone();
    let Some(server) = backend.server_mut() else { return Vec::new() };
    let (mut tools, errors) = ServerTools::read(&list.tools, &server.settings.levels);
    tools.note_tasks(&list.capabilities);
    let pins = &server.listing.pins;
    let doubts = pins.doubts(&list.tools);
    tools.hold_back(|tool| doubts.get(tool).copied());
    let mut remarks = pin_remarks(&name, pins, &doubts, list);
    remarks.extend(errors.iter().map(ToString::to_string));
    let lists = [&*list.resources, &*list.templates, &*list.prompts];
    let (content, errors) = ServerContent::read(lists, &list.capabilities);
    remarks.extend(errors.iter().map(ToString::to_string));
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
    // Whoever has pinned a text has seen it.
    let is_seen = |tool: &str| !pins.is_none() && !doubts.contains_key(tool);
    let instructions = list.instructions.as_deref();
    let allowed = instructions.filter(|_| pins.allow_instructions(instructions));
    let unseen = instructions.filter(|_| pins.is_none() || allowed.is_none());
    remarks.extend(tool_doubts::text_remarks(&list.tools, unseen, is_seen));
    // The operator's own words go before it.
    let description = one_line(allowed.unwrap_or_default());
    let description = cut_text(&description, LONGEST_INSTRUCTIONS);
    server.found = how;
    server.tools = tools;
    server.content = content;
    backend.overrides = applied;
    if *backend.descriptor.description != *description {
        let descriptor: &mut Descriptor = Arc::make_mut(&mut backend.descriptor);
        descriptor.description = description.into_owned();
    }
    let more = remarks.len().saturating_sub(MOST_REMARKS);
    remarks.truncate(MOST_REMARKS);
    if more > 0 {
        remarks.push(format!("{more} more remarks are left out"));
    }
    let told = remarks.into_iter().map(|remark| format!("backend \"{name}\": {remark}"));
    told.chain(mistyped_patterns(backend)).collect()
}

/// Says what a server lists otherwise than a person has pinned.
fn pin_remarks(
    backend: &str,
    pins: &ServerPins,
    doubts: &BTreeMap<String, PinDoubt>,
    list: &ServerList,
) -> Vec<String> {
    if let ServerPins::Unusable(why) = pins {
        return vec![format!("its tools are held back: {why}")];
    }
    let named = |count: usize, first: &str, one: &str, several: &str| {
        let first = quoted_text(first, LONGEST_NAME);
        match count {
            1 => format!("the tool {first} {one}"),
            count => format!("{count} tools, such as {first}, {several}"),
        }
    };
    let review = format!("; `dadl-mcp pin --review {backend}` shows what is different");
    let mut remarks = Vec::new();
    for (doubt, one, several) in [
        (
            PinDoubt::Changed,
            "has changed since it was pinned, and is held back",
            "have changed since they were pinned, and are held back",
        ),
        (
            PinDoubt::New,
            "is not among those that were pinned, and is held back",
            "are not among those that were pinned, and are held back",
        ),
    ] {
        let mut names = doubts.iter().filter(|(_, it)| **it == doubt).map(|(name, _)| name);
        if let Some(first) = names.next() {
            remarks.push(format!("{}{review}", named(1 + names.count(), first, one, several)));
        }
    }
    if let gone @ [first, ..] = pins.gone(&list.tools).as_slice() {
        let (one, several) = ("was pinned, and is gone", "were pinned, and are gone");
        remarks.push(format!("{}{review}", named(gone.len(), first, one, several)));
    }
    if !pins.allow_instructions(list.instructions.as_deref()) {
        let changed = "its instructions are others than those that were pinned, and are not used";
        remarks.push(format!("{changed}{review}"));
    }
    remarks
}

/// Says that no tool of a server may be called since nobody gave one a level.
fn without_levels(app: &App, at: usize, backend: &LoadedBackend) -> Option<String> {
    let LoadedServer { found: ServerFound::Listed(_) | ServerFound::Known(_), .. } =
        backend.server()?
    else {
        return None;
    };
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
