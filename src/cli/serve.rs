//! `serve`: the tools for an MCP host, on stdio or over HTTP.

use std::{collections::BTreeSet, io, sync::Arc, time::SystemTime};

use anyhow::Context as _;
use dadl_descriptor::model::CredentialName;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use super::{
    args::ServeArgs,
    console::Console,
    demo,
    exit::ExitReason,
    failure::CliFailure,
    known_start::KnownStarts,
    live_settings::LiveSettings,
    load,
    process_secrets::SECRETS,
    served_profile::{ServedProfile, ServerPlan, warn_of_many},
    signals::{self, ProcessSignal, SignalListener},
    wrap::wrap_text,
};
use crate::{
    app::App,
    call::CallChannel,
    config::{
        BackendSettings,
        credentials::{self, CredentialResolver},
        env_vars::{self, Environment},
        shell::shell_quoted,
    },
    mcp::{
        ConnectionThreads, HttpOptions, LiveServer, ServeError, ServedPaths, serve_paths,
        serve_stdio,
    },
};

/// So many file descriptors are enough for every bound of the program.
#[cfg(unix)]
const ENOUGH_DESCRIPTORS: u64 = 65_536;

/// Raises the soft limit of file descriptors to the hard one: each client, each call and each file
/// takes one, and the usual soft limit is there for programs of the last century.
#[cfg(unix)]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH_DESCRIPTORS, |maximum| maximum.min(ENOUGH_DESCRIPTORS));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::debug!(%error, "cannot raise the limit of file descriptors");
    }
}

/// Serves until the client goes away or a signal comes.
pub(super) async fn run(
    args: ServeArgs,
    environment: Environment,
    threads: &ConnectionThreads,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let http = http_options(&args, &environment)?;
    #[cfg(unix)]
    raise_descriptor_limit();
    // What is done at the start may include a login, which a signal must not break off.
    let (mut signals, shutdown) = (SignalListener::listen()?, CancellationToken::new());
    let (begun, credentials) =
        (SystemTime::now(), CredentialResolver::new(environment.clone()).noting(&SECRETS));
    // The simulator runs for as long as the tools are served.
    let FirstApp { app, starts, _simulator } = tokio::select! {
        first = first_app(&args, &environment, &credentials, console) => first?,
        signal = signals.next() => return Ok(signal.exit()),
    };
    if http.is_none() && console.can_ask {
        let variables = variables(&app, args.demo, &environment);
        say_how_to_attach(&app, &variables, console)?;
    }
    let name = shell_quoted(name_of(&app)).into_owned();
    // The demo is in the program.
    let may_change = !args.demo && !args.no_watch;
    let plan = ServerPlan {
        surface: starts.as_ref().and_then(KnownStarts::surface).or(args.surface),
        most_chars: args.max_result_chars.map(|most| most as usize),
        is_http: http.is_some(),
        may_change,
    };
    let mut served = plan.serve(&app, args.profile.as_deref())?;
    let reload = Arc::new(Notify::new());
    if let Some(known) = starts.as_ref().and_then(KnownStarts::told) {
        served.iter_mut().try_for_each(|profile| profile.sleep(known, &reload))?;
    }
    #[cfg(unix)]
    if http.is_some() && !args.demo && !signals::has_terminal() {
        signals.reloading(Arc::clone(&reload));
    }
    let doors = ServedDoors::of(&served)?;
    let mut settings = LiveSettings {
        args: args.backends,
        environment,
        credentials,
        origin: app.origin.clone(),
        app: Arc::new(app),
        served,
        begun,
        trouble: None,
        paths: doors.paths.clone(),
        starts,
        keeping: None,
    };
    settings.keep_start().await;
    let end = CancellationToken::new();
    let settings = crate::spawn::task(settings.run(reload, may_change, end.clone()));
    let served = match http {
        None => {
            doors.listed.iter().copied().for_each(warn_of_many);
            Ok(signals.end(&shutdown, serve_stdio(doors.first, shutdown.clone())).await)
        }
        Some(options) => doors.listen(&name, options, (signals, &shutdown), threads, console).await,
    };
    end.cancel();
    if let Ok(app) = settings.await {
        app.executor.end_servers(app.limits.shutdown_grace).await;
    }
    match served? {
        Ok(served) => served.map(|()| ExitReason::Ok).map_err(CliFailure::from),
        // Whoever asks twice does not want to wait.
        Err(signal) => Ok(signal.exit()),
    }
}

/// What a server begins with.
struct FirstApp {
    app: App,
    /// What is known of its starts; the app has no backend yet when this one is known.
    starts: Option<KnownStarts>,
    _simulator: Option<demo::Simulator>,
}

/// Loads what the flags name, or less where it is known what hosts are told.
async fn first_app(
    args: &ServeArgs,
    environment: &Environment,
    credentials: &CredentialResolver,
    console: &Console,
) -> Result<FirstApp, CliFailure> {
    let reached = |app: App| App { gate: app.gate.reached_by(console.flags.terminal()), ..app };
    if args.demo {
        let (app, simulator) =
            demo::simulated_app(&args.backends, environment, args.demo_changes).await?;
        return Ok(FirstApp { app: reached(app), starts: None, _simulator: Some(simulator) });
    }
    let settings = load::load_settings(&args.backends, environment)?;
    load::print_warnings(&settings);
    let starts = KnownStarts::of(args, &settings, console);
    if starts.as_ref().is_some_and(|starts| starts.told().is_some()) {
        let app = App::without_backends(&settings, credentials).at(CallChannel::Mcp);
        let app = App { executor: app.executor.learning(), ..app };
        return Ok(FirstApp { app: reached(app), starts, _simulator: None });
    }
    let app = load::build_app_of(&settings, credentials, CallChannel::Mcp)?;
    let app = App { executor: app.executor.learning(), ..app };
    let app = reached(load::list_servers(app).await);
    if app.gate.catalog().listed().next().is_none() {
        let command = console.flags.command("list --all");
        tracing::warn!("no tool is allowed; `{command}` says why");
    }
    Ok(FirstApp { app, starts, _simulator: None })
}

/// What clients talk to.
struct ServedDoors {
    first: LiveServer,
    /// Those at paths that end with their names.
    paths: ServedPaths,
    /// How many tools each lists.
    listed: Vec<usize>,
}

impl ServedDoors {
    fn of(served: &[ServedProfile]) -> Result<Self, CliFailure> {
        let Some((first, others)) = served.split_first() else {
            return Err(CliFailure::settings("there is nothing to serve"));
        };
        let paths = ServedPaths::default();
        others.iter().for_each(|profile| profile.put(&paths));
        Ok(Self {
            first: first.live.clone(),
            paths,
            listed: served.iter().map(|profile| profile.listed).collect(),
        })
    }

    /// Listens until a signal comes.
    async fn listen(
        self,
        name: &str,
        options: HttpOptions,
        (signals, shutdown): (SignalListener, &CancellationToken),
        threads: &ConnectionThreads,
        console: &mut Console,
    ) -> Result<Result<Result<(), ServeError>, ProcessSignal>, CliFailure> {
        let address = options.listen;
        options.require_token(address)?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError::Listen { address, source })?;
        // Whoever chose port 0 has to learn the port.
        let url = format!("http://{}/mcp", listener.local_addr()?);
        writeln!(console.err, "listening on {url}")?;
        if console.can_ask {
            say_how_to_reach(name, &url, options.token.is_some(), console)?;
        }
        let Self { first, paths, listed } = self;
        listed.into_iter().for_each(warn_of_many);
        let serving = serve_paths(first, paths, listener, options, threads, shutdown.clone());
        Ok(signals.end(shutdown, serving).await)
    }
}

/// Returns the variables that a host has to hand on: hosts do not pass the environment of a shell on.
/// What else is in it, such as the credential of another API, is not for this server.
fn variables(app: &App, demo: bool, environment: &Environment) -> Vec<String> {
    if demo {
        return Vec::new();
    }
    let is_set = |name: &String| environment.get(name).is_some();
    let of_credential = |backend: &BackendSettings, name: &CredentialName| {
        let names = CredentialResolver::variable_names(backend, name).into_iter();
        let mut names = names.flat_map(|name| [format!("{name}_FILE"), name]);
        names.find(is_set)
    };
    let credentials = app.backends.iter().flat_map(|backend| {
        let names = backend.credentials();
        names.into_iter().filter_map(|name| of_credential(&backend.settings, name))
    });
    let settings = [env_vars::ACCESS, env_vars::CONFIG, env_vars::FILES].map(str::to_owned);
    let found: BTreeSet<String> = settings.into_iter().filter(is_set).chain(credentials).collect();
    found.into_iter().collect()
}

/// Returns what a host may call this server.
fn name_of(app: &App) -> &str {
    match app.backends.as_slice() {
        [backend] => &backend.settings.name,
        _ => "dadl-mcp",
    }
}

/// Says to a person what waits here, and what they may have wanted.
fn say_how_to_attach(
    app: &App,
    variables: &[String],
    console: &mut Console,
) -> Result<(), CliFailure> {
    let count = app.gate.catalog().listed().count();
    let backends: Vec<&str> = app.backends.iter().map(|it| it.settings.name.as_str()).collect();
    let backends = backends.join(", ");
    let program = std::env::current_exe().context("cannot find the program itself")?;
    let server = console.flags.server(&program);
    let name = shell_quoted(name_of(app)).into_owned();
    let variables: String =
        variables.iter().map(|name| format!(" --env {name}=\"${name}\"")).collect();
    let said = format!(
        "Serving {count} tools of {backends} on standard input and output, which a host reads and \
         writes: it starts this command itself. Attach it with one of"
    );
    writeln!(console.err, "{}\n", wrap_text(&said, console.err_width(), 0, 0))?;
    for host in ["claude", "codex"] {
        writeln!(console.err, "    {host} mcp add {name}{variables} -- {server}")?;
    }
    writeln!(console.err, "\nCtrl-C ends it.")?;
    Ok(())
}

/// Says to a person how hosts reach an endpoint.
fn say_how_to_reach(
    name: &str,
    url: &str,
    has_token: bool,
    console: &mut Console,
) -> io::Result<()> {
    let header = if has_token { " --header \"Authorization: Bearer $TOKEN\"" } else { "" };
    let token = if has_token { " --bearer-token-env-var TOKEN" } else { "" };
    writeln!(console.err, "Attach it with one of\n")?;
    writeln!(console.err, "    claude mcp add --transport http {name} {url}{header}")?;
    writeln!(console.err, "    codex mcp add {name} --url {url}{token}")?;
    writeln!(console.err, "\nCtrl-C ends it.")
}

/// Reads what concerns HTTP. Anybody on the network could call the tools of an endpoint that
/// listens beyond this machine, so that needs a token.
fn http_options(
    args: &ServeArgs,
    environment: &Environment,
) -> Result<Option<HttpOptions>, CliFailure> {
    let Some(listen) = args.http else { return Ok(None) };
    let token = match &args.http_token_file {
        Some(path) => Some(credentials::read_secret(path).map_err(|reason| {
            CliFailure::settings(format!("--http-token-file: {} {reason}", path.display()))
        })?),
        None => environment.secret(env_vars::HTTP_TOKEN).map_err(CliFailure::settings)?,
    };
    Ok(Some(HttpOptions {
        listen,
        token,
        allowed_origins: args.allowed_origin.clone(),
        allowed_hosts: args.allowed_host.clone(),
    }))
}
