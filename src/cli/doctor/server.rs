//! What `doctor` examines about a backend that is another MCP server: how it is started, what it gets, and
//! what it says of itself.

use super::{DoctorReport, backend};
use crate::{
    app::{App, ServerFound},
    config::{credentials::CredentialResolver, servers::EnvValue},
    mcp_client::INHERITED,
};

fn text_list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Reports about the only backend of `app`, which is started.
pub(super) async fn examine_server(
    app: App,
    credentials: &CredentialResolver,
    report: &mut DoctorReport,
) {
    if let Some(backend) = app.backends.first() {
        report.ok("command", backend.place().to_string());
        describe_environment(&app, report);
        if !backend::describe_credentials(backend, credentials, report) {
            return;
        }
    }
    let wait = app.backends.first().and_then(|it| it.server()).map(|it| it.settings.start_timeout);
    let app = app.with_servers(wait.unwrap_or_default()).await;
    let Some(backend) = app.backends.first() else { return };
    let Some(server) = backend.server() else { return };
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
            backend::describe_policy(&app, backend, report);
        }
        ServerFound::Failed(why) => {
            report.fail("server", why.clone(), "run its command by hand: what it writes says more");
        }
        ServerFound::NotAsked => {}
    }
    app.executor.end_servers(app.limits.shutdown_grace).await;
}

/// Says which variables the server gets; no values.
fn describe_environment(app: &App, report: &mut DoctorReport) {
    let Some(server) = app.backends.first().and_then(|it| it.server()) else { return };
    let ours = INHERITED.iter().map(|name| (*name).to_owned());
    report.ok("environment", format!("of ours, where they are set: {}", text_list(ours)));
    let given = server.process.env.iter().map(|(name, value)| match value {
        EnvValue::Literal(_) => name.clone(),
        EnvValue::Credential(credential) => format!("{name} (the credential `{}`)", credential.0),
    });
    let given = text_list(given);
    if !given.is_empty() {
        report.ok("environment", format!("of the settings: {given}"));
    }
}
