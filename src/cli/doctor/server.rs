//! What `doctor` examines about a backend that is another MCP server: how it is started, what it gets, and
//! what it says of itself.

use super::DoctorReport;
use crate::{
    app::{App, LoadedBackend, ServerFound},
    cli::proposed_levels::ProposedLevels,
    config::{servers::EnvValue, tool_pins::ServerPins},
    mcp_client::INHERITED,
    outcome::timestamp::rfc3339,
};

/// From this revision on there are no sessions.
const STATELESS: &str = "2026-07-28";

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
        EnvValue::Literal(_) => format!("{name} (a text)"),
        EnvValue::Credential(credential) => format!("{name} (the credential `{}`)", credential.0),
    });
    let given: Vec<String> = given.collect();
    if !given.is_empty() {
        report.ok("environment", format!("of the settings: {}", given.join(", ")));
    }
    let directory = process.cwd.as_ref().map(|path| path.display().to_string());
    let directory =
        directory.unwrap_or_else(|| "your home, since `cwd` says nothing else".to_owned());
    report.ok("directory", directory);
}

/// Says which levels the server proposes for its tools that have none.
pub(super) fn describe_levels(app: &App, report: &mut DoctorReport) {
    let Some(proposed) = ProposedLevels::of(app.gate.catalog().entries().iter()) else { return };
    match proposed.yaml() {
        Some(yaml) => report.ok("levels", format!("{proposed}: {yaml}")),
        None => report.ok("levels", proposed.to_string()),
    }
    if let Some(doubts) = proposed.doubts() {
        report.ok("levels", doubts);
    }
}

/// Returns how the protocol is spoken in a revision.
fn era(revision: &str) -> &'static str {
    match revision >= STATELESS {
        true => "each request is for itself",
        false => "a session begins with an introduction",
    }
}

/// Starts the server, or connects to it, and asks it for what it has.
pub(super) async fn started(app: App) -> App {
    let server = app.backend(0).and_then(LoadedBackend::server);
    let time = server.map(|server| server.settings.start_timeout).unwrap_or_default();
    app.with_started_servers(time).await
}

/// Says where its list is kept, for a start that finds it down.
pub(super) fn describe_kept(backend: &LoadedBackend, report: &mut DoctorReport) {
    let place = backend.server().and_then(|server| server.listing.place());
    if let Some(path) = place.filter(|path| path.exists()) {
        let finding = format!("kept for a start that finds the server down: {}", path.display());
        report.ok("list", finding);
    }
}

/// Says what is pinned of its tools, or that something can be.
pub(super) fn describe_pins(backend: &LoadedBackend, report: &mut DoctorReport) {
    let Some(server) = backend.server() else { return };
    let name = &backend.settings.name;
    match &server.listing.pins {
        ServerPins::None => {
            let pin = report.command(&format!("pin {name}"));
            report.ok("pins", format!("none; {pin} holds back what changes after you have looked"));
        }
        ServerPins::Pinned { pinned, tools, .. } => {
            let held = server.tools.iter().filter(|tool| tool.held.is_some()).count();
            let finding = format!("{} tools, since {}", tools.len(), rfc3339(*pinned));
            match held {
                0 => report.ok("pins", finding),
                held => {
                    let review = report.command(&format!("pin --review {name}"));
                    let finding = format!("{finding}; {held} are held back");
                    report.warn("pins", finding, format!("{review} shows what is different"));
                }
            }
        }
        ServerPins::Unusable(why) => {
            let hint = "all of its tools are held back: mend the file, or look again and pin anew";
            report.fail("pins", why.clone(), hint);
        }
    }
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
                    "{} speaks MCP {}: {tools} tools, {resources} resources, {templates} templates and \
                     {prompts} prompts; {}",
                    found.name,
                    found.revision,
                    era(&found.revision)
                ),
            );
            true
        }
        ServerFound::Known(known) => {
            let hint = "run its command by hand: what it writes says more";
            report.fail("server", known.sentence(), hint);
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
