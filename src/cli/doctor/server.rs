//! What `doctor` examines about a backend that is another MCP server: how it is started, what it gets, and
//! what it says of itself.

use super::DoctorReport;
use crate::{
    app::{App, LoadedBackend, ServerFound},
    config::servers::EnvValue,
    mcp_client::INHERITED,
};

/// Says how the server is started, or where it is, and which variables it gets; no values.
pub(super) fn describe_start(backend: &LoadedBackend, report: &mut DoctorReport) {
    let Some(server) = backend.server() else { return };
    let Some(process) = server.process() else {
        report.ok("server", format!("at {}", backend.place()));
        return;
    };
    report.ok("command", backend.place().to_string());
    report.ok("environment", format!("of ours, where they are set: {}", INHERITED.join(", ")));
    let given = process.env.iter().map(|(name, value)| match value {
        EnvValue::Literal(_) => name.clone(),
        EnvValue::Credential(credential) => format!("{name} (the credential `{}`)", credential.0),
    });
    let given: Vec<String> = given.collect();
    if !given.is_empty() {
        report.ok("environment", format!("of the settings: {}", given.join(", ")));
    }
}

/// Starts the server, or connects to it, and asks it for what it has.
pub(super) async fn started(app: App) -> App {
    let server = app.backends.first().and_then(LoadedBackend::server);
    let time = server.map(|server| server.settings.start_timeout).unwrap_or_default();
    app.with_servers(time).await
}

/// Says what came of that; returns whether the server has answered.
pub(super) fn describe_found(backend: &LoadedBackend, report: &mut DoctorReport) -> bool {
    let Some(server) = backend.server() else { return false };
    match &server.found {
        ServerFound::Listed(found) => {
            let [tools, resources, templates, prompts] = found.counts;
            report.ok(
                "server",
                format!(
                    "{} speaks MCP {}: {tools} tools; its {resources} resources, {templates} templates \
                     and {prompts} prompts are not offered yet",
                    found.name, found.revision
                ),
            );
            true
        }
        ServerFound::Failed(why) => {
            let hint = match server.process() {
                Some(_) => "run its command by hand: what it writes says more",
                None => "check `url`, and what the log of the server says",
            };
            report.fail("server", why.clone(), hint);
            false
        }
        ServerFound::NotAsked => false,
    }
}
