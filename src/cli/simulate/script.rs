//! The script of a simulated server of the Model Context Protocol.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use dadl_descriptor::yaml::{self, YamlArena};
use dadl_simulator::{ScriptedSite, ServerScript, serve_script};
use serde_json::Value;

use crate::{
    cli::{console::Console, failure::CliFailure},
    mcp::ServeError,
};

/// A script is no larger, in bytes: one that lists a thousand tools is.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Serves until the input ends, as the script in this file says.
pub(super) fn serve(path: Option<&Path>, console: &mut Console) -> Result<u8, CliFailure> {
    let script = script_in(path)?;
    // A host starts it with pipes; a person would wait for something that never comes.
    if io::IsTerminal::is_terminal(&io::stdin()) {
        writeln!(console.err, "a message of JSON-RPC a line; Ctrl-D ends")?;
        console.err.flush()?;
    }
    Ok(serve_script(&script, io::stdin().lock(), io::stdout().lock(), io::stderr().lock())?)
}

/// Serves at this address until a script ends it, or a signal.
pub(super) fn serve_http(
    path: Option<&Path>,
    address: SocketAddr,
    console: &mut Console,
) -> Result<u8, CliFailure> {
    let script = script_in(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let site = ScriptedSite::start(script, address).await;
        let mut site = site.map_err(|source| ServeError::Listen { address, source })?;
        let url = site.url();
        writeln!(console.out, "A simulated MCP server listens on {url}")?;
        writeln!(
            console.out,
            "As a backend: {{name: simulated, transport: http, url: \"{url}\"}}"
        )?;
        console.out.flush()?;
        Ok(site.ended().await)
    })
}

fn script_in(path: Option<&Path>) -> Result<ServerScript, CliFailure> {
    match path {
        Some(path) => read(path),
        None => Ok(ServerScript::default()),
    }
}

fn read(path: &Path) -> Result<ServerScript, CliFailure> {
    let wrong = |why: String| CliFailure::settings(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > LARGEST {
        return Err(wrong(format!("the script is larger than {LARGEST} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // JSON is read as such: the bounds on YAML are made for files that people write.
    let script: Value = match serde_json::from_str(&text) {
        Ok(script) => script,
        Err(_) => {
            let mut findings = Vec::new();
            let arena = YamlArena::for_length(text.len());
            let root = yaml::parse_yaml(&text, &arena, &mut findings);
            let why = || findings.last().map_or_else(String::new, |it| it.message.clone());
            root.ok_or_else(|| wrong(why()))?.to_json()
        }
    };
    ServerScript::read(&script).map_err(|error| wrong(error.to_string()))
}
