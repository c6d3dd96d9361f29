//! `serve`: the tools for an MCP host, on stdio or over HTTP.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::{args::ServeArgs, console::Console, exit::Exit, failure::Failure, load, simulated};
use crate::{
    app::App,
    config::{
        credentials,
        env_vars::{self, Environment},
    },
    mcp::{
        BackendSummary, HttpOptions, ServeError, Server, instructions, serve_listener, serve_stdio,
        shutdown_on_signals,
    },
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
    let most_chars = args.max_result_chars.map(|most| most as usize);
    let server = server(app, most_chars);
    let shutdown = shutdown_on_signals()?;
    match http {
        None => serve_stdio(server, shutdown).await?,
        Some(options) => {
            let address = options.listen;
            options.require_token(address)?;
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| ServeError::Listen { address, source })?;
            // Whoever chose port 0 has to learn the port.
            writeln!(console.err, "listening on http://{}/mcp", listener.local_addr()?)?;
            serve_listener(server, listener, options, shutdown).await?;
        }
    }
    Ok(Exit::Ok)
}

fn server(app: App, most_chars: Option<usize>) -> Server {
    let catalog = app.gate.catalog();
    let listed = |name: &str| catalog.listed().filter(|tool| *tool.backend_name == *name).count();
    let summaries: Vec<BackendSummary<'_>> = app
        .backends
        .iter()
        .map(|backend| BackendSummary {
            name: &backend.settings.name,
            description: &backend.descriptor.description,
            hint: backend.settings.hint.as_deref(),
            tools: listed(&backend.settings.name),
        })
        .collect();
    let instructions = instructions(&summaries);
    let most_chars = most_chars.unwrap_or(app.limits.result_chars);
    Server::new(app.gate, Arc::new(app.executor), instructions).with_most_chars(most_chars)
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
    Ok(Some(HttpOptions {
        listen,
        token,
        allowed_origins: args.allowed_origin.clone(),
        allowed_hosts: args.allowed_host.clone(),
    }))
}
