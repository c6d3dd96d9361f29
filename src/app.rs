//! Puts the parts together: settings become a gate and an executor.
//!
//! All that can fail before the first request fails here, for all backends at once, so that an
//! operator sees every problem in one run. Credentials are not read yet: a call that needs a
//! missing one says so.

mod credential_problem;
mod discover;
mod error;
mod flows;
mod known_lists;
mod list_pace;
mod list_watch;
pub(crate) mod openapi;
mod operator;
mod overrides;
mod reload;
mod servers;
mod source_files;

use std::{
    borrow::Cow,
    collections::BTreeSet,
    num::NonZero,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use dadl_descriptor::{
    ProgramsChecked,
    diagnostic::Diagnostic,
    model::{AuthScheme, CredentialName, Descriptor},
    offer::ServerOffer,
    source::{MAX_BYTES, SourceText},
};
use sha2::{Digest as _, Sha256};
use url::Url;

pub use self::{
    error::BuildError,
    known_lists::{
        FoundServer, KnownServer as KnownServerList, ListNews, ServerFound, ServerListing,
    },
    list_pace::ListPace,
    list_watch::{WatchStart, follow_lists, watch_lists},
    servers::{HttpAccess, LoadedServer, ServerAccess},
};
pub(crate) use self::{
    error::{BuildProblem, RotationError, SettingProblem},
    flows::CredentialFlow,
    known_lists::pinned_list,
    reload::ReloadReport,
};
use crate::{
    access::{AccessDecision, AccessDenial, AccessPolicy},
    call::{BackendPlace, BaseUrl, CallChannel},
    catalog::{AppliedOverrides, BackendContent, BackendTools, Catalog, OfferedContents},
    config::{
        AddressKey, BackendSettings, BaseUrlProblem, ConfirmPolicy, OperatorLimits, Origin,
        ProfileSettings, Settings, Surface,
        bundled::{self, UnusedFile},
        credentials::{BackendCredentials, CredentialResolver},
        descriptor_folder::{FileDigest, read_bounded},
        known_list::KnownListPlace,
        known_programs::KnownPrograms,
        server_notes::NotePlace,
    },
    executor::{BackendClient, Executor, KnownServer},
    files::{FileStore, HostResolver, SystemResolver},
    gate::Gate,
    http::{
        auth::Authenticator, backend::Backend, client_certificate,
        connection_guard::ConnectionGuard,
    },
};

/// So many tools of a backend that are left out are named.
const MOST_LEFT_OUT: usize = 20;

/// Everything that a run needs, ready for calls.
#[derive(Debug)]
pub struct App {
    /// Decides about calls.
    pub gate: Gate,
    /// Executes them.
    pub executor: Executor,
    /// What was loaded, in the order of the settings.
    pub backends: Vec<Arc<LoadedBackend>>,
    /// How much happens at once, and how much of an answer is shown.
    pub limits: OperatorLimits,
    /// Which tools hosts are shown.
    pub surface: Surface,
    /// What else can be served than all of it.
    pub profiles: Vec<ProfileSettings>,
    /// The settings file that was read, when one was.
    pub origin: Option<PathBuf>,
    /// Sentences for the operator: nothing is broken, but something looks mistyped.
    pub warnings: Vec<String>,
    /// What is known of the servers of APIs, in the order of the settings.
    pub(crate) offers: Vec<Option<Arc<ServerOffer>>>,
}

/// A backend and the descriptor that it was loaded from.
#[derive(Debug, Clone)]
pub struct LoadedBackend {
    /// The settings.
    pub settings: BackendSettings,
    /// The checked descriptor.
    pub descriptor: Arc<Descriptor>,
    /// The text of the descriptor, as long as anything is to be said of it, and where it comes from.
    pub source: SourceText,
    /// That of the file, where the text is not kept.
    pub(crate) text_digest: Option<FileDigest>,
    /// What the check found; no errors.
    pub diagnostics: Vec<Diagnostic>,
    /// How it is reached.
    pub access: BackendAccess,
    /// A file that could be taken for the descriptor.
    pub unused: Option<UnusedFile>,
    /// The files that were read for it.
    pub(crate) read: Vec<(PathBuf, FileDigest)>,
    /// What the operator says of its tools, as far as it is in force.
    pub overrides: AppliedOverrides,
}

/// How a backend is reached.
#[derive(Debug, Clone)]
pub enum BackendAccess {
    /// By requests of an API.
    Api(Box<ApiAccess>),
    /// As another MCP server.
    Server(Box<LoadedServer>),
}

/// Where requests go.
#[derive(Debug, Clone)]
pub struct ApiAccess {
    /// The base URL.
    pub base: BaseUrl,
    /// Where it may connect.
    pub guard: ConnectionGuard,
}

impl App {
    /// Has the calls come through `door`; without this, through that of models.
    #[must_use]
    pub fn at(self, door: CallChannel) -> Self {
        Self { gate: self.gate.at(door), ..self }
    }

    /// Returns the backend at a position.
    pub fn backend(&self, at: usize) -> Option<&LoadedBackend> {
        self.backends.get(at).map(|backend| &**backend)
    }

    /// Loads all descriptors and puts everything together. Nothing is sent, unless an operator
    /// lets an OpenAPI document be fetched.
    ///
    /// # Errors
    ///
    /// All problems of all backends.
    pub fn build(
        settings: &Settings,
        credentials: &CredentialResolver,
    ) -> Result<Self, BuildError> {
        Self::build_with(settings, credentials, Arc::new(SystemResolver))
    }

    /// Does what [`build`](Self::build) does, where `resolver` finds the addresses of the hosts that
    /// descriptors name.
    ///
    /// # Errors
    ///
    /// All problems of all backends.
    pub fn build_with(
        settings: &Settings,
        credentials: &CredentialResolver,
        resolver: Arc<dyn HostResolver>,
    ) -> Result<Self, BuildError> {
        let mut backends = checked_backends(settings, credentials, &resolver)?;
        let files =
            FileStore::with_settings(settings.files.clone(), settings.file_settings.clone());
        let (clients, mut warnings) = new_clients(&mut backends, credentials, &files);
        let executor = Executor::new(clients, files).with_limits(settings.limits);
        let backends: Vec<Arc<LoadedBackend>> = backends.into_iter().map(Arc::new).collect();
        let known = known_servers(&backends, settings);
        let offers = offers_of(&known);
        let executor = executor.with_known(known);
        let catalog = Arc::new(build_catalog(&backends, &offers));
        warnings.extend(remarks(&backends));
        let gate = Gate::new(catalog, confirm_policies(&backends)).with_places(places(&backends));
        let (limits, surface) = (settings.limits, settings.surface);
        let (profiles, origin) = (settings.profiles.clone(), settings.origin.clone());
        Ok(Self { gate, executor, backends, limits, surface, profiles, origin, warnings, offers })
    }
}

/// Loads all backends, and checks what they would do to each other.
fn checked_backends(
    settings: &Settings,
    credentials: &CredentialResolver,
    resolver: &Arc<dyn HostResolver>,
) -> Result<Vec<LoadedBackend>, BuildError> {
    let (mut backends, mut problems) = (Vec::new(), Vec::new());
    let programs = KnownPrograms::new(settings.cache.as_deref());
    for loaded in load_all(settings, &settings.backends, credentials, &programs) {
        match loaded {
            Ok(loaded) => {
                backends.push(loaded.finding_hosts(resolver).knowing_lists(settings));
            }
            Err(found) => problems.extend(found),
        }
    }
    // What keeps one of these from being loaded is said when it is.
    let beside: Vec<LoadedBackend> = load_all(settings, &settings.beside, credentials, &programs)
        .into_iter()
        .flatten()
        .collect();
    programs.keep();
    problems.extend(flows::flow_problems(&backends, &beside, credentials));
    if problems.is_empty() { Ok(backends) } else { Err(BuildError { problems }) }
}

/// Makes clients for backends that have none, and fetches the documents that they allow to be fetched.
/// Returns also what an operator should know.
fn new_clients(
    backends: &mut [LoadedBackend],
    credentials: &CredentialResolver,
    files: &FileStore,
) -> (Vec<BackendClient>, Vec<String>) {
    let authenticators: Vec<Authenticator> =
        backends.iter().map(|backend| build_authenticator(backend, credentials)).collect();
    let warnings = openapi::fetch_all(backends, &authenticators, files);
    let clients = backends.iter().zip(authenticators);
    let clients =
        clients.map(|(backend, authenticator)| backend.any_client(authenticator, credentials));
    (clients.collect(), warnings)
}

/// Returns what is known of the servers of APIs from earlier runs.
fn known_servers(backends: &[Arc<LoadedBackend>], settings: &Settings) -> Vec<Option<KnownServer>> {
    backends.iter().map(|backend| backend.known(settings)).collect()
}

fn offers_of(known: &[Option<KnownServer>]) -> Vec<Option<Arc<ServerOffer>>> {
    known.iter().map(|known| known.as_ref().and_then(KnownServer::offer)).collect()
}

fn confirm_policies(backends: &[Arc<LoadedBackend>]) -> Vec<ConfirmPolicy> {
    backends.iter().map(|backend| backend.settings.confirm).collect()
}

fn places(backends: &[Arc<LoadedBackend>]) -> Vec<BackendPlace> {
    backends.iter().map(|backend| backend.place()).collect()
}

/// Returns what looks mistyped, and what is left out.
fn remarks(backends: &[Arc<LoadedBackend>]) -> Vec<String> {
    // Which tools a server has, it says when it is asked.
    let apis = backends.iter().filter(|backend| backend.api().is_some());
    let mistyped = apis.flat_map(|backend| mistyped_patterns(backend));
    mistyped.chain(backends.iter().flat_map(|backend| left_out(backend))).collect()
}

/// Makes the catalog of all backends, from what is known of each.
fn build_catalog(backends: &[Arc<LoadedBackend>], offers: &[Option<Arc<ServerOffer>>]) -> Catalog {
    let tools: Vec<BackendTools<'_>> = backends
        .iter()
        .map(|backend| BackendTools {
            name: &backend.settings.name,
            descriptor: Arc::clone(&backend.descriptor),
            server: backend.server().map(|server| server.tools.clone()),
            policy: &backend.settings.policy,
            task_wait: Some(backend.settings.task_wait),
        })
        .collect();
    let contents = backends.iter().map(|backend| BackendContent {
        name: &backend.settings.name,
        scheme: backend
            .descriptor
            .events
            .as_ref()
            .and_then(|events| Some(events.resources.as_ref()?.scheme.as_str())),
        content: backend.server().map(|server| server.offered(&backend.settings.policy)),
    });
    let contents = OfferedContents::new(contents.collect());
    let overrides: Vec<&AppliedOverrides> = backends.iter().map(|it| &it.overrides).collect();
    Catalog::overridden(&tools, offers, &overrides).with_contents(contents)
}

/// Loads the descriptors of `backends`, on as many threads as there are processors; the order is
/// that of the settings.
fn load_all(
    settings: &Settings,
    backends: &[BackendSettings],
    credentials: &CredentialResolver,
    programs: &KnownPrograms,
) -> Vec<Result<LoadedBackend, Vec<BuildProblem>>> {
    let load = |backend| load_backend(settings, backend, credentials, programs);
    // The system is asked for its processors by several files.
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if backends.len() < 2 { 1 } else { processors().min(backends.len()) };
    if threads < 2 {
        return backends.iter().map(load).collect();
    }
    let loaded: Vec<OnceLock<_>> = backends.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((backend, slot)) = backends.get(at).zip(loaded.get(at)) else { return };
            slot.get_or_init(|| load(backend));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    // Invariant: the counter gave out each place once, and the scope waits for its threads.
    loaded.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Loads the descriptor of a backend and works out its base URL.
fn load_backend(
    settings: &Settings,
    backend: &BackendSettings,
    credentials: &CredentialResolver,
    programs: &KnownPrograms,
) -> Result<LoadedBackend, Vec<BuildProblem>> {
    let setting = |problem: SettingProblem| BuildProblem::Setting {
        backend: backend.name.clone(),
        problem: Box::new(problem),
    };
    if let Some(server) = &backend.server {
        return servers::load_server(backend, server, credentials);
    }
    let mut located = bundled::locate_descriptor(&backend.dadl, &settings.places)
        .map_err(|error| [setting(error.into())])?;
    let unused = located.unused.take();
    let (origin, mut folder) = (located.origin.clone(), located.folder());
    let own = located.file();
    let source = located
        .into_source()
        .map_err(|error| [setting(SettingProblem::NoDescriptor { origin, error })])?;
    let is_known = |text: &str| programs.has(text);
    let (source, mut loaded) = dadl_descriptor::load_knowing(source, &mut folder, &is_known);
    if loaded.descriptor.is_some() && loaded.programs == ProgramsChecked::Compiled {
        programs.add(source.text());
    }
    openapi::fill_in(&mut loaded, &folder);
    let Some(mut descriptor) = loaded.descriptor else {
        return Err(vec![BuildProblem::Descriptor {
            backend: backend.name.clone(),
            source: Box::new(source),
            diagnostics: loaded.diagnostics,
        }]);
    };
    let mut problems = Vec::new();
    let base = base_url(backend, &descriptor).map_err(|found| problems.push(*found)).ok();
    let applied = operator::apply_settings(backend, &mut descriptor);
    problems.extend(applied.map_err(|errors| setting(SettingProblem::Operator(errors))).err());
    let overrides = overrides::apply_to_descriptor(&backend.overrides, &mut descriptor);
    let overrides = overrides
        .map_err(|errors| problems.push(setting(SettingProblem::Overrides(errors))))
        .unwrap_or_default();
    let rotation = check_rotation(&descriptor, credentials);
    problems.extend(rotation.map_err(|error| setting(error.into())).err());
    let Some(base) = base else { return Err(problems) };
    let shown = client_certificate::check_identity(backend, base.as_url());
    problems.extend(shown.map_err(|error| setting(error.into())).err());
    let reach = backend.reach(base.as_url(), descriptor.base_url.as_deref());
    for (key, url) in backend_addresses(&descriptor) {
        let checked = reach.check(key, url);
        let address = |problem| BuildProblem::Address { backend: backend.name.clone(), problem };
        problems.extend(checked.map_err(address).err());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Findings show their places in it. Without any, it would be kept for nothing.
    let is_kept = !loaded.diagnostics.is_empty() || !folder.files().is_empty();
    let (source, text_digest) = match &own {
        _ if is_kept => (source, None),
        Some((_, digest)) => (source.without_text(), Some(*digest)),
        None => (source.without_lines(), None),
    };
    let read = own.into_iter().chain(folder.files()).collect();
    Ok(LoadedBackend {
        settings: backend.clone(),
        descriptor: Arc::new(descriptor),
        source,
        text_digest,
        diagnostics: loaded.diagnostics,
        access: BackendAccess::Api(Box::new(ApiAccess {
            base,
            guard: ConnectionGuard::new(reach),
        })),
        unused,
        read,
        overrides,
    })
}

fn base_url(
    backend: &BackendSettings,
    descriptor: &Descriptor,
) -> Result<BaseUrl, Box<BuildProblem>> {
    let name = || backend.name.clone();
    let setting =
        |problem| Box::new(BuildProblem::Setting { backend: name(), problem: Box::new(problem) });
    let url =
        backend.base_url(descriptor.base_url.as_deref()).map_err(|problem| match problem {
            BaseUrlProblem::Private(problem) => {
                Box::new(BuildProblem::Address { backend: name(), problem })
            }
            problem => setting(problem.into()),
        })?;
    BaseUrl::parse(&url).map_err(|error| setting(error.into()))
}

/// Returns the addresses of a descriptor besides its base URL; those of logins that are not used
/// get nothing.
fn backend_addresses(descriptor: &Descriptor) -> impl Iterator<Item = (AddressKey, &Url)> {
    let oauth2 = match &descriptor.auth {
        AuthScheme::OAuth2(oauth2) => Some(oauth2),
        _ => None,
    };
    oauth2.into_iter().flat_map(|oauth2| {
        let token = oauth2.token_url.as_ref().map(|url| (AddressKey::TokenUrl, url));
        let authorize = oauth2.consent().map(|it| (AddressKey::AuthorizeUrl, &it.authorize_url));
        token.into_iter().chain(authorize)
    })
}

/// Refuses a refresh token that each use replaces when there is nowhere to keep the next one: the
/// login would be lost with the process.
fn check_rotation(
    descriptor: &Descriptor,
    credentials: &CredentialResolver,
) -> Result<(), RotationError> {
    let AuthScheme::OAuth2(oauth2) = &descriptor.auth else { return Ok(()) };
    let Some(name) = oauth2.rotating() else { return Ok(()) };
    let checked = credentials.store().and_then(|store| Ok(store.check_writable()?));
    checked.map_err(|error| RotationError { name: name.clone(), error: Box::new(error) })
}

impl LoadedBackend {
    /// Returns where requests go; `None` for another MCP server.
    pub fn api(&self) -> Option<&ApiAccess> {
        match &self.access {
            BackendAccess::Api(api) => Some(api),
            BackendAccess::Server(_) => None,
        }
    }

    /// Returns where requests of HTTP go: those of an API, or those of another MCP server at a URL.
    pub fn web(&self) -> Option<&ApiAccess> {
        match &self.access {
            BackendAccess::Api(api) => Some(api),
            BackendAccess::Server(server) => server.web(),
        }
    }

    /// Returns what is known of another MCP server; `None` for an API.
    pub fn server(&self) -> Option<&LoadedServer> {
        match &self.access {
            BackendAccess::Api(_) => None,
            BackendAccess::Server(server) => Some(server),
        }
    }

    fn server_mut(&mut self) -> Option<&mut LoadedServer> {
        match &mut self.access {
            BackendAccess::Api(_) => None,
            BackendAccess::Server(server) => Some(server),
        }
    }

    /// Returns where its calls go, for people.
    pub fn place(&self) -> BackendPlace {
        match &self.access {
            BackendAccess::Api(api) => BackendPlace::Api(api.base.clone()),
            BackendAccess::Server(server) => server.place(),
        }
    }

    /// Returns the text that it was loaded from, read again where it was not kept; without text where the file
    /// is another one now.
    pub fn whole_source(&self) -> Cow<'_, SourceText> {
        let again = || {
            let (path, digest) = self.read.first()?;
            let bytes = read_bounded(path, MAX_BYTES).ok()?;
            let is_same = *digest == <FileDigest>::from(Sha256::digest(&bytes));
            let bytes = is_same.then_some(bytes)?;
            SourceText::from_bytes(self.source.name(), bytes).ok().map(Cow::Owned)
        };
        let again = self.text_digest.and_then(|_| again());
        again.unwrap_or(Cow::Borrowed(&self.source))
    }

    /// Returns whether both were loaded from the same text.
    pub(crate) fn has_text_of(&self, other: &Self) -> bool {
        let digest = |backend: &Self| {
            backend.text_digest.unwrap_or_else(|| Sha256::digest(backend.source.text()).into())
        };
        match (self.text_digest, other.text_digest) {
            (None, None) => self.source.text() == other.source.text(),
            _ => digest(self) == digest(other),
        }
    }

    /// Returns the names of the credentials that its calls need.
    pub fn credentials(&self) -> Vec<&CredentialName> {
        let of_process = self.server().into_iter().flat_map(LoadedServer::credentials);
        of_process.chain(self.descriptor.auth.credentials()).collect()
    }

    fn finding_hosts(mut self, resolver: &Arc<dyn HostResolver>) -> Self {
        let web = match &mut self.access {
            BackendAccess::Api(api) => Some(&mut **api),
            BackendAccess::Server(server) => server.web_mut(),
        };
        if let Some(web) = web {
            web.guard = web.guard.clone().with_resolver(Arc::clone(resolver));
        }
        self
    }

    /// Finds out where the last list of a server is, and what of its tools is pinned.
    fn knowing_lists(mut self, settings: &Settings) -> Self {
        let cache = settings.cache.as_deref();
        let place = cache.and_then(|cache| KnownListPlace::new(cache, &self.settings));
        if let BackendAccess::Server(server) = &mut self.access {
            let name = &self.settings.name;
            let file = settings.pins.as_ref().map(|pins| pins.path(name));
            self.read.extend(file.map(|path| {
                let digest = std::fs::read(&path).map(|bytes| Sha256::digest(bytes).into());
                (path, digest.unwrap_or_default())
            }));
            let pins = settings.pins.as_ref().map(|pins| pins.server_pins(name));
            server.listing = ServerListing::new(place, pins.unwrap_or_default());
        }
        self
    }

    /// Returns where its credentials go, or what a login makes of them.
    pub fn origins(&self) -> BTreeSet<Origin> {
        let token_url = match &self.descriptor.auth {
            AuthScheme::OAuth2(oauth2) => oauth2.token_url.as_ref(),
            AuthScheme::Basic { .. }
            | AuthScheme::None
            | AuthScheme::Session(_)
            | AuthScheme::Several(_)
            | AuthScheme::Token { .. } => None,
        };
        if let BackendPlace::Process(place) = self.place() {
            let args = place.args.iter().map(String::as_str);
            return BTreeSet::from([Origin::of_process(&place.program, args)]);
        }
        let Some(web) = self.web() else { return BTreeSet::new() };
        let base = web.base.as_url();
        let urls = std::iter::once(base).chain(token_url);
        urls.filter_map(Origin::of).chain(self.along(base)).collect()
    }

    /// Returns where the operator sends the credential besides the base URL.
    fn along(&self, base: &Url) -> impl Iterator<Item = Origin> {
        let allowed = self.settings.policy.origins.iter();
        let others = allowed.filter(|it| it.credential && !it.is_at(base));
        others.filter_map(|it| Origin::of(it.url()))
    }

    /// Returns where it is kept what the server has, where anything is to be learned and kept.
    pub fn note(&self, settings: &Settings) -> Option<NotePlace> {
        let fit = self.descriptor.fit.as_ref().filter(|_| self.settings.fit)?;
        let base = self.api()?.base.as_str();
        Some(NotePlace::new(settings.cache.as_deref()?, base, &fit.source))
    }

    /// Returns what is known of the server from an earlier run; `None` where nothing is to be learned.
    fn known(&self, settings: &Settings) -> Option<KnownServer> {
        if self.descriptor.fit.is_none() || !self.settings.fit {
            return None;
        }
        let place = self.note(settings);
        let note = place.as_ref().and_then(|place| match place.read() {
            Ok(note) => Some(note),
            Err(reason) => {
                tracing::debug!(backend = %self.settings.name, %reason, "no note of the server");
                None
            }
        });
        Some(KnownServer::new(place, note.as_ref()))
    }

    /// Makes the client of the backend; it connects or starts when its first call does.
    fn any_client(
        &self,
        authenticator: Authenticator,
        credentials: &CredentialResolver,
    ) -> BackendClient {
        match &self.access {
            BackendAccess::Api(api) => self.client(api, authenticator).into(),
            BackendAccess::Server(server) => server.client(self, authenticator, credentials).into(),
        }
    }

    /// Makes the client of an API.
    fn client(&self, api: &ApiAccess, authenticator: Authenticator) -> Backend {
        let ApiAccess { base, guard } = api;
        let backend = Backend::new(self.settings.clone(), base.clone(), authenticator);
        let backend = backend.with_guard(guard.clone()).with_pace(self.descriptor.pace);
        let backend = backend.with_switch(self.descriptor.switch.clone());
        backend.with_base_path(self.descriptor.base_path.clone())
    }
}

/// Makes what adds the credential of a backend; it looks for it when the first call does.
fn build_authenticator(backend: &LoadedBackend, credentials: &CredentialResolver) -> Authenticator {
    let source = BackendCredentials {
        credentials: credentials.clone(),
        backend: backend.settings.clone(),
        origins: backend.origins(),
    };
    let Descriptor { auth, auth_rules, .. } = &*backend.descriptor;
    let authenticator =
        Authenticator::with_rules(auth.clone(), auth_rules.clone(), Box::new(source));
    match servers::later_login(backend, credentials) {
        Some(later) => authenticator.after(later),
        None => authenticator,
    }
}

/// Names the patterns of `tools`, `exclude_tools` and `overrides` that match no tool.
fn mistyped_patterns(backend: &LoadedBackend) -> Vec<String> {
    let AccessPolicy { tools, exclude_tools, .. } = &backend.settings.policy;
    let of_server = backend.server().into_iter().flat_map(|server| server.tools.iter());
    let of_server = of_server.map(|tool| tool.name.as_str());
    let names = || backend.descriptor.names().chain(of_server.clone());
    let included = tools.iter().flat_map(|tools| tools.without_match(names()));
    let excluded = exclude_tools.without_match(names());
    let overridden = backend.settings.overrides.without_match(names());
    let name = &backend.settings.name;
    let owner = if backend.server().is_some() { "server" } else { "descriptor" };
    included
        .map(|pattern| ("tools", pattern))
        .chain(excluded.into_iter().map(|pattern| ("exclude_tools", pattern)))
        .chain(overridden.into_iter().map(|pattern| ("overrides", pattern)))
        .map(|(key, pattern)| {
            format!("backend \"{name}\": `{pattern}` in `{key}` matches no tool of the {owner}")
        })
        .collect()
}

/// Names the tools that are left out because they are at another host.
fn left_out(backend: &LoadedBackend) -> Vec<String> {
    let AccessPolicy { tools, exclude_tools, .. } = &backend.settings.policy;
    let is_wanted = |name: &str| {
        exclude_tools.matching(name).is_none()
            && tools.as_ref().is_none_or(|tools| tools.matching(name).is_some())
    };
    let mut found = backend.descriptor.tools.iter().filter_map(|tool| {
        let AccessDecision::Deny(denial) =
            backend.settings.policy.decide(&tool.name, tool.access.as_ref(), tool.elsewhere())
        else {
            return None;
        };
        let is_elsewhere = matches!(denial, AccessDenial::Origin { .. } | AccessDenial::Host);
        (is_elsewhere && is_wanted(&tool.name)).then(|| {
            let remedy = denial.remedy(&backend.settings.name, &tool.name);
            format!("the tool `{}` is left out: {denial}; {remedy}", tool.name)
        })
    });
    let mut warnings: Vec<String> = found.by_ref().take(MOST_LEFT_OUT).collect();
    match found.count() {
        0 => {}
        more => warnings.push(format!("{more} more tools are left out: they are at other hosts")),
    }
    let name = &backend.settings.name;
    warnings.into_iter().map(|warning| format!("backend \"{name}\": {warning}")).collect()
}
