//! Flags become a loaded [`App`], with a remark for each setting that has no effect.

use std::path::Path;

use dadl_descriptor::{
    code,
    diagnostic::Severity,
    model::{AccessLevel, Descriptor},
    source::SourcePosition,
};
use dadl_text::names::{OrMeant, nearest_name};

use super::{
    args::{BackendArgs, SimulatedArgs},
    console::Console,
    demo,
    failure::CliFailure,
    process_secrets::SECRETS,
};
use crate::{
    access::{ALL, UNCLASSIFIED},
    app::{App, LoadedBackend},
    call::CallChannel,
    config::{
        Settings, SettingsOverrides, credentials::CredentialResolver, env_vars::Environment,
        known_start::SaidLine,
    },
};

/// What was loaded, and the simulator that answers it, if one does.
pub(super) struct LoadedApp {
    pub(super) app: App,
    /// It runs for as long as this is there.
    _simulator: Option<demo::Simulator>,
}

/// Which tools of other MCP servers a command needs: to list them, a server is started.
#[derive(Debug, Clone, Copy)]
pub(super) enum ServersNeeded<'name> {
    /// All.
    All,
    /// All, unless a tool of this name is there without them.
    For(&'name str),
    /// All, where a backend of this name is another MCP server.
    Of(&'name str),
    /// None.
    None,
}

/// Loads the simulator, if it is wanted, or the backends that `args` and `environment` name, for
/// the calls of a person; the tools of other MCP servers as far as they are needed.
pub(super) async fn open_backends(
    args: &BackendArgs,
    simulated: SimulatedArgs,
    environment: Environment,
    needed: ServersNeeded<'_>,
) -> Result<LoadedApp, CliFailure> {
    if simulated.demo {
        let (app, simulator) = demo::simulated_app(args, &environment, None).await?;
        return Ok(LoadedApp { app: app.at(CallChannel::Terminal), _simulator: Some(simulator) });
    }
    let app = build_app(args, environment, CallChannel::Terminal)?;
    let is_needed = match needed {
        ServersNeeded::All => true,
        ServersNeeded::For(name) => app.gate.catalog().find(name).is_none(),
        ServersNeeded::Of(backend) => {
            let of = app.backends.iter().find(|it| it.settings.name == backend);
            of.is_some_and(|it| it.server().is_some())
        }
        ServersNeeded::None => false,
    };
    let app = if is_needed { list_servers(app).await } else { app };
    Ok(LoadedApp { app, _simulator: None })
}

/// Lists the tools of other MCP servers, and tells what an operator should know of them.
pub(super) async fn list_servers(app: App) -> App {
    let (told, wait) = (app.warnings.len(), app.limits.list_wait);
    let app = app.with_servers(wait).await;
    for warning in app.warnings.iter().skip(told) {
        tracing::warn!("{warning}");
    }
    app
}

/// Says that no backend has that name, and how to see those that there are.
pub(super) fn no_backend(name: &str, app: &App, console: &Console) -> CliFailure {
    let names = app.backends.iter().map(|backend| backend.settings.name.as_str());
    let meant = OrMeant(nearest_name(name, names));
    CliFailure::settings(format!("there is no backend \"{name}\"{meant:#}"))
        .hint(format!("`{}` names all", console.flags.command("list")))
}

/// Loads the backends that `args` and `environment` name, for calls through `door`.
pub(super) fn build_app(
    args: &BackendArgs,
    environment: Environment,
    door: CallChannel,
) -> Result<App, CliFailure> {
    build_app_with(args, &CredentialResolver::new(environment).noting(&SECRETS), door)
}

/// Does the same with credentials that are looked up so.
pub(super) fn build_app_with(
    args: &BackendArgs,
    credentials: &CredentialResolver,
    door: CallChannel,
) -> Result<App, CliFailure> {
    let settings = load_settings(args, credentials.environment())?;
    print_warnings(&settings);
    build_app_of(&settings, credentials, door)
}

/// Loads the backends of `settings`.
pub(super) fn build_app_of(
    settings: &Settings,
    credentials: &CredentialResolver,
    door: CallChannel,
) -> Result<App, CliFailure> {
    let app = App::build(settings, credentials)?;
    remarks(&app).iter().for_each(say_line);
    Ok(app.at(door))
}

/// Tells an operator something.
pub(super) fn say_line(line: &SaidLine) {
    let SaidLine { is_warning, text } = line;
    if *is_warning {
        tracing::warn!("{text}");
    } else {
        tracing::info!("{text}");
    }
}

/// Returns what is to be told of what was loaded.
pub(super) fn remarks(app: &App) -> Vec<SaidLine> {
    let warning = |text: String| SaidLine { is_warning: true, text };
    let mut said: Vec<SaidLine> = app.warnings.iter().cloned().map(warning).collect();
    for backend in &app.backends {
        let about = |text: String| format!("backend \"{}\": {text}", backend.settings.name);
        said.extend(backend.unused.iter().map(|unused| warning(about(unused.to_string()))));
        said.extend(backend.notes().into_iter().map(|note| warning(about(note))));
        said.extend(unknown_levels(backend).into_iter().map(|level| warning(about(level))));
        let name = backend.source.name();
        let (ignored, others): (Vec<_>, Vec<_>) = backend
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Warning)
            .partition(|found| found.code == code::UNKNOWN_KEY);
        // What the author wrote and nobody does is worth a line each.
        for found in ignored {
            let SourcePosition { line, column } = backend.source.position(found.span.start);
            let name = backend.source.name_at(found.span.start);
            let text = format!("{name}:{line}:{column}: {}; it has no effect", found.message);
            said.push(warning(text));
        }
        if !others.is_empty() {
            let count = others.len();
            let text = format!("{name} has {count} warnings; `dadl-mcp check` shows them");
            said.push(SaidLine { is_warning: false, text });
        }
    }
    said
}

/// Reads the settings that `args` and `environment` name.
pub(super) fn load_settings(
    args: &BackendArgs,
    environment: &Environment,
) -> Result<Settings, CliFailure> {
    Ok(Settings::load(&SettingsOverrides::from(args), environment, Path::new(""))?)
}

/// Tells what is strange about files that are used, and which are not.
pub(super) fn print_warnings(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
}

/// Returns a sentence for each access level that no tool of the descriptor has: it is probably
/// mistyped.
pub(super) fn unknown_levels(backend: &LoadedBackend) -> Vec<String> {
    // The levels of a server's tools are in the settings as well.
    if backend.server().is_some() {
        return Vec::new();
    }
    let policy = &backend.settings.policy;
    let mut warnings = Vec::new();
    for levels in std::iter::once(&policy.levels).chain(&policy.bound) {
        for level in levels.to_string().split(", ") {
            if !is_known(level, &backend.descriptor) {
                let known = ["read", "write", "admin", "dangerous", UNCLASSIFIED, ALL];
                let meant = OrMeant(nearest_name(level, known));
                warnings.push(format!("no tool has the access level `{level}`{meant}"));
            }
        }
    }
    warnings
}

/// Returns whether a level means something here; the levels of DADL always do.
fn is_known(level: &str, descriptor: &Descriptor) -> bool {
    match AccessLevel::from_word(level) {
        AccessLevel::Custom(word) => {
            word == ALL
                || word == UNCLASSIFIED
                || descriptor.levels().any(|it| *it == AccessLevel::Custom(word.clone()))
        }
        _ => true,
    }
}
