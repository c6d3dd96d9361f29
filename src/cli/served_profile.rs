//! What clients are served: all that is loaded, and what each profile lets through of it.

use std::sync::Arc;

use dadl_text::names::{OrMeant, nearest_name};
use tokio::sync::Notify;

use super::failure::CliFailure;
use crate::{
    app::App,
    catalog::{CatalogEntry, CatalogOperation},
    config::{ProfileSettings, Surface, known_start::KnownStart},
    mcp::{
        BackendSummary, FileMention, LiveServer, McpServer, SearchMention, ServedPaths, ShownTools,
        instructions,
    },
};

/// What the flags say about what is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerPlan {
    /// Which tools hosts see.
    pub(super) surface: Option<Surface>,
    /// A longer result is cut.
    pub(super) most_chars: Option<usize>,
    /// Whether clients are elsewhere.
    pub(super) is_http: bool,
    /// Whether the settings may become others.
    pub(super) may_change: bool,
}

/// A profile that is served, or all that is loaded.
pub(super) struct ServedProfile {
    /// Which one; `None` for all that is loaded.
    profile: Option<String>,
    /// What follows the path of the protocol.
    path: Option<String>,
    /// What clients talk to.
    pub(super) live: LiveServer,
    /// How many tools are listed at first.
    pub(super) listed: usize,
    plan: ServerPlan,
    /// What the flags say, without what was chosen for this one.
    flags: ServerPlan,
}

impl ServerPlan {
    /// Makes what is served of a profile at a path of its own; otherwise it is all that is served.
    fn serve_one(
        self,
        app: &App,
        profile: Option<&ProfileSettings>,
        has_path: bool,
    ) -> ServedProfile {
        let (server, plan) = self.build(app, profile);
        let name = || profile.map(|it| it.bound.name.clone());
        ServedProfile {
            profile: name(),
            path: name().filter(|_| has_path),
            listed: server.tool_count(),
            live: LiveServer::new(server, self.may_change || app.has_servers()),
            plan,
            flags: self,
        }
    }

    /// Makes what is served: over HTTP all that is loaded and each profile, unless one is named.
    pub(super) fn serve(
        self,
        app: &App,
        profile: Option<&str>,
    ) -> Result<Vec<ServedProfile>, CliFailure> {
        let names = || app.profiles.iter().map(|profile| profile.bound.name.as_str());
        let wanted: Vec<Option<&ProfileSettings>> = match profile {
            Some(name) => match app.profiles.iter().find(|profile| profile.bound.name == name) {
                Some(profile) => vec![Some(profile)],
                None => {
                    let meant = OrMeant(nearest_name(name, names()));
                    let failure = format!("there is no profile \"{name}\"{meant:#}");
                    let hint = match names().collect::<Vec<_>>().join(", ") {
                        none if none.is_empty() => "the settings file has no `profiles`".to_owned(),
                        all => format!("the settings file has {all}"),
                    };
                    return Err(CliFailure::settings(failure).hint(hint));
                }
            },
            None if self.is_http => {
                std::iter::once(None).chain(app.profiles.iter().map(Some)).collect()
            }
            None => vec![None],
        };
        // Clients of one profile reach no other, unless they are told of its path.
        let is_alone = profile.is_some();
        Ok(wanted.into_iter().map(|profile| self.serve_one(app, profile, !is_alone)).collect())
    }

    /// Makes a server, and the plan for those that come after it: they have the same surface.
    fn build(self, app: &App, profile: Option<&ProfileSettings>) -> (McpServer, Self) {
        let gate = match profile {
            Some(profile) => app.gate.narrowed(&profile.bound),
            None => app.gate.clone(),
        };
        let catalog = gate.catalog();
        // On stdio files have names.
        let names_files = self.is_http && catalog.listed().any(CatalogEntry::handles_files);
        let files = if names_files { FileMention::Named } else { FileMention::Unnamed };
        let listed =
            |name: &str| catalog.listed().filter(|tool| *tool.backend_name == *name).count();
        let is_told = |name: &str| profile.is_none_or(|profile| profile.bound.has_backend(name));
        let backends = app.backends.iter().filter(|backend| is_told(&backend.settings.name));
        let summaries: Vec<BackendSummary<'_>> = backends
            .map(|backend| BackendSummary {
                name: &backend.settings.name,
                description: &backend.descriptor.description,
                hint: backend.settings.hint.as_deref(),
                tools: listed(&backend.settings.name),
            })
            .collect();
        let surface = self.surface.or(profile.and_then(|it| it.surface)).unwrap_or(app.surface);
        let shown = ShownTools { surface, exposed: exposed_names(app) };
        let is_compact = shown.is_compact(&gate);
        // A host keeps what it was shown first: a reload does not change the surface.
        let fixed = if is_compact { Surface::Compact } else { Surface::Tools };
        let is_composite =
            |entry: &&CatalogEntry| matches!(entry.operation(), CatalogOperation::Composite(_));
        let composites = catalog.listed().filter(is_composite);
        let composites = composites.map(|entry| entry.name.as_str()).collect();
        let (changes, scripts) = shown.changes(&gate);
        let search = is_compact.then_some(SearchMention { composites, changes, scripts });
        let instructions = instructions(&summaries, files, search.as_ref());
        let most_chars = self.most_chars.unwrap_or(app.limits.result_chars);
        let (time, calls) = (app.limits.script_time, app.limits.script_calls);
        let executor = Arc::new(app.executor.clone());
        let server = McpServer::with_surface(gate, executor, instructions, &shown)
            .with_scripts(time, calls)
            .with_most_chars(most_chars)
            .with_most_media(app.limits.media_bytes)
            .with_grace(app.limits.shutdown_grace);
        (server, Self { surface: Some(fixed), ..self })
    }
}

impl ServedProfile {
    /// Tells hosts what is known of an earlier start until something is published; `asked` hears when that
    /// is needed.
    pub(super) fn sleep(
        &mut self,
        known: &KnownStart,
        asked: &Arc<Notify>,
    ) -> Result<(), CliFailure> {
        self.listed = known.told.count;
        let damaged = |error: serde_json::Error| {
            CliFailure::settings(format!("what is known of the last start is damaged: {error}"))
        };
        self.live.sleep(known, Arc::clone(asked)).map_err(damaged)
    }

    /// Serves it at its path.
    pub(super) fn put(&self, paths: &ServedPaths) {
        if let Some(name) = &self.path {
            paths.put(name, self.live.clone());
        }
    }

    /// Returns whether it has a path of its own, and the settings do not have it any more.
    fn is_gone(&self, app: &App) -> bool {
        let is_known =
            |name: &String| app.profiles.iter().any(|profile| profile.bound.name == *name);
        self.path.as_ref().is_some_and(|name| !is_known(name))
    }

    /// Serves from now on what has been loaded; a profile that is gone lets nothing through.
    pub(super) fn publish(&self, app: &App) {
        let known = self.profile.as_ref().map(|name| {
            let known = app.profiles.iter().find(|profile| profile.bound.name == *name);
            known.cloned().unwrap_or_else(|| ProfileSettings::nothing(name))
        });
        let (server, _) = self.plan.build(app, known.as_ref());
        self.live.publish(server);
    }
}

/// Serves from now on what has been loaded: profiles that are new get a path, and those that are gone lose
/// theirs.
pub(super) fn publish_all(served: &mut Vec<ServedProfile>, app: &App, paths: &ServedPaths) {
    served.retain(|profile| {
        let is_gone = profile.is_gone(app);
        if let Some(name) = profile.path.as_ref().filter(|_| is_gone) {
            paths.remove(name);
            tracing::info!("profile \"{name}\" is gone: nothing is served at its path any more");
        }
        !is_gone
    });
    served.iter().for_each(|profile| profile.publish(app));
    // Where one profile is served alone, others have no path.
    let Some(all) = served.first().filter(|it| it.profile.is_none() && it.flags.is_http) else {
        return;
    };
    let flags = all.flags;
    let is_served = |name: &str| served.iter().any(|it| it.profile.as_deref() == Some(name));
    let new = app.profiles.iter().filter(|profile| !is_served(&profile.bound.name));
    let new: Vec<ServedProfile> =
        new.map(|profile| flags.serve_one(app, Some(profile), true)).collect();
    for profile in new {
        profile.put(paths);
        if let Some(name) = &profile.path {
            tracing::info!("profile \"{name}\" is new: it is served at /mcp/{name}");
        }
        warn_of_many(profile.listed);
        served.push(profile);
    }
}

/// Says in the log when some hosts would refuse a list of so many tools.
pub(super) fn warn_of_many(count: usize) {
    if count > MOST_LISTED {
        tracing::warn!(
            "{count} tools are listed, and some hosts take {MOST_LISTED} at most; `--surface compact` \
             lists a few that find and call the others"
        );
    }
}

/// Some hosts refuse a list with more tools.
pub(super) const MOST_LISTED: usize = 128;

/// Returns the names of the tools that are listed beside a few, as the operator says.
pub(super) fn exposed_names(app: &App) -> Vec<String> {
    let exposes = |entry: &&CatalogEntry| {
        let backend = app.backends.get(entry.backend.0);
        backend.is_some_and(|it| it.settings.exposed.matching(entry.declared_name()).is_some())
    };
    app.gate.catalog().listed().filter(exposes).map(|entry| entry.name.clone()).collect()
}
