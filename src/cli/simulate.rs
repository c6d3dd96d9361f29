//! `simulate`: the simulated API of a product, until Ctrl-C.

mod script;
pub(super) mod values;

use std::{io::Write as _, net::SocketAddr};

use dadl_simulator::{Product, SimulatorOptions, WriteLag};

use super::{
    args::SimulateArgs, console::Console, exit::ExitReason, failure::CliFailure,
    signals::SignalListener,
};
use crate::{config::shell::shell_quoted, mcp::ServeError};

/// Serves on standard input and output, or over HTTP, when the product is a server of the Model Context
/// Protocol; returns the code that its script ends with.
pub(super) fn run_by_script(
    args: &SimulateArgs,
    console: &mut Console,
) -> Option<Result<u8, CliFailure>> {
    let is_server = args.product == values::MCP;
    match &args.script {
        Some(_) if !is_server => {
            let failure = format!("--script: {} does nothing by script", args.product);
            Some(Err(CliFailure::usage(failure).hint("`dadl-mcp simulate mcp` does")))
        }
        _ if !is_server && args.http.is_some() => {
            let failure = format!("--http: {} listens where --listen says", args.product);
            Some(Err(CliFailure::usage(failure)))
        }
        _ => is_server.then(|| match args.http {
            None => script::serve(args.script.as_deref(), console),
            Some(address) => match is_open(address, args) {
                Some(failure) => Err(failure),
                None => script::serve_http(args.script.as_deref(), address, console),
            },
        }),
    }
}

/// Says that others could reach an address, unless they may.
fn is_open(address: SocketAddr, args: &SimulateArgs) -> Option<CliFailure> {
    if address.ip().to_canonical().is_loopback() || args.allow_remote {
        return None;
    }
    let failure = format!("{address} can be reached from other machines");
    let hint = "say --allow-remote when they may do everything, or listen on 127.0.0.1";
    Some(CliFailure::settings(failure).hint(hint))
}

/// Serves until a signal comes.
pub(super) async fn run(
    args: SimulateArgs,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let product = Product::find(&args.product)
        .ok_or_else(|| CliFailure::usage(format!("there is no product \"{}\"", args.product)))?;
    if let Some(failure) = is_open(args.listen, &args) {
        return Err(failure);
    }
    if args.changes.is_some() && !product.changes {
        let failure = format!("--changes: nothing changes by itself in {}", product.title);
        return Err(CliFailure::usage(failure));
    }
    if args.mcp_off && !product.switch {
        let failure = format!("--mcp-off: {} has no such switch", product.title);
        return Err(CliFailure::usage(failure));
    }
    // Before the URL is printed, so that whoever reads it may end the process cleanly.
    let mut signals = SignalListener::listen()?;
    let address = args.listen;
    let usual = SimulatorOptions::default();
    let options = SimulatorOptions {
        listen: address,
        token: args.token.unwrap_or_else(|| usual.token.clone()),
        task_duration: args.task_duration.unwrap_or(usual.task_duration),
        lag: WriteLag::REAL,
        export_size: args.export_size.unwrap_or(usual.export_size),
        changes_per_second: args.changes,
        mcp: !args.mcp_off,
        extras: args.plugins,
        moment: dadl_simulator::recent(),
        record: false,
        ..usual
    };
    let simulator = product.start(options).await;
    let simulator = simulator.map_err(|source| ServeError::Listen { address, source })?;
    let (url, token) = (simulator.url(), simulator.token());
    let Product { name, title, credential, example, .. } = product;
    let out = &mut console.out;
    writeln!(out, "A simulated {title} listens on {url}")?;
    writeln!(out, "Its credential is {token}")?;
    let token = shell_quoted(token);
    for host in ["claude", "codex"] {
        writeln!(
            out,
            "Attach it: {host} mcp add {name} --env {credential}={token} -- dadl-mcp serve --dadl \
             {name} --url {url}"
        )?;
    }
    if address.port() == 0 {
        writeln!(out, "The next start has another port, unless --listen says which")?;
    }
    writeln!(
        out,
        "Try it: {credential}={token} dadl-mcp call {example} --dadl {name} --url {url}",
    )?;
    out.flush()?;
    signals.next().await;
    Ok(ExitReason::Ok)
}
