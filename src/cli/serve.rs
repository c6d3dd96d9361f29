//! `serve`: the tools for an MCP host, on stdio or over HTTP.

use tokio_util::sync::CancellationToken;

use super::{args::ServeArgs, console::Console, exit::Exit, failure::Failure, load, simulated};
use crate::{
    app::App,
    config::{
        credentials,
        env_vars::{self, Environment},
    },
    mcp::{HttpOptions, HttpServer, Introduction, Server, instructions, serve_stdio},
};

/// Serves until the client goes away or a signal comes.
pub(super) async fn run(
    args: ServeArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let http = http_options(&args, &environment)?;
    // The simulator runs for as long as the tools are served.
    let (app, _simulator) = if args.demo {
        let (app, simulator) = simulated::app(&args.backends, environment).await?;
        (app, Some(simulator))
    } else {
        (load::app(&args.backends, environment)?, None)
    };
    if app.gate.catalog().listed().next().is_none() {
        tracing::warn!("no tool is allowed; `dadl-mcp list --all` says why");
    }
    let server = server(app);
    let shutdown = shutdown_on_signal()?;
    match http {
        None => serve_stdio(server, shutdown).await?,
        Some(options) => {
            let server = HttpServer::bind(server, options, shutdown).await?;
            // Whoever chose port 0 has to learn the port.
            writeln!(console.err, "listening on http://{}/mcp", server.address())?;
            server.run().await;
        }
    }
    Ok(Exit::Ok)
}

fn server(app: App) -> Server {
    let catalog = app.gate.catalog();
    let listed = |name: &str| catalog.listed().filter(|tool| *tool.backend_name == *name).count();
    let introductions: Vec<Introduction<'_>> = app
        .backends
        .iter()
        .map(|backend| Introduction {
            name: &backend.settings.name,
            description: &backend.descriptor.description,
            hint: backend.settings.hint.as_deref(),
            tools: listed(&backend.settings.name),
        })
        .collect();
    let instructions = instructions(&introductions);
    Server::new(app.gate, app.executor, instructions)
}

/// Reads what concerns HTTP. Anybody on the network could call the tools of an endpoint that
/// listens beyond this machine, so that needs a token.
fn http_options(
    args: &ServeArgs,
    environment: &Environment,
) -> Result<Option<HttpOptions>, Failure> {
    let Some(listen) = args.http else { return Ok(None) };
    let token = match &args.http_token_file {
        Some(path) => Some(credentials::read(path).map_err(|reason| {
            Failure::settings(format!("--http-token-file: {} {reason}", path.display()))
        })?),
        None => environment.secret(env_vars::HTTP_TOKEN).map_err(Failure::settings)?,
    };
    if token.is_none() && !listen.ip().is_loopback() {
        let message = format!("serving on {listen} without a token would let anybody in");
        return Err(Failure::settings(message)
            .hint("give --http-token-file, or listen on 127.0.0.1 behind a proxy"));
    }
    Ok(Some(HttpOptions {
        listen,
        token,
        allowed_origins: args.allowed_origin.clone(),
        allowed_hosts: args.allowed_host.clone(),
    }))
}

/// Returns a token that SIGINT and SIGTERM cancel, so that running calls end in order.
fn shutdown_on_signal() -> Result<CancellationToken, Failure> {
    let shutdown = CancellationToken::new();
    let signaled = shutdown.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        signaled.cancel();
    });
    Ok(shutdown)
}
