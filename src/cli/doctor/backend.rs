//! What `doctor` examines about one backend: descriptor, policy, credentials, then one cheap read.

use dadl_descriptor::{
    diagnostic::{Diagnostic, Severity},
    model::{
        AccessLevel, AuthScheme, ParamLocation, RequestMethod, ToolRequest,
        auth::rules::OptionalAuth,
    },
};
use serde_json::{Map, Value, json};

use super::{DoctorReport, availability, certificate, server, switch};
use crate::{
    app::{ApiAccess, App, LoadedBackend, openapi},
    call::CallChannel,
    catalog::{BackendId, Catalog, CatalogEntry, tool_doubts},
    cli::{load, show_overrides},
    config::{
        BackendSettings, Settings,
        binding::CredentialRecipient,
        bundled::LocateError,
        credentials::{CredentialError, CredentialResolver},
    },
    executor::{CallContext, CallError},
    http::{self, error::SendErrorKind},
};

/// Tools that answer without a credential, by parts of their names: they say nothing about it.
const PUBLIC: &[&str] = &["ping", "health", "version", "openapi", "status", "docs", "gui"];

/// Examines the only backend of `settings`; `proxied` says that requests leave through a proxy.
pub(super) async fn examine_backends(
    settings: &Settings,
    credentials: &CredentialResolver,
    proxied: bool,
    report: &mut DoctorReport,
) {
    let Some(backend) = settings.backends.first().cloned() else { return };
    report.backend = Some(backend.name.clone());
    // A server has no descriptor.
    if backend.server.is_some() || describe_descriptor(settings, &backend, report) {
        match App::build(settings, credentials) {
            Ok(app) => {
                let app = app.at(CallChannel::Terminal);
                match app.has_servers() {
                    true => examine_server(app, credentials, proxied, report).await,
                    false => examine_app(&app, credentials, proxied, report).await,
                }
            }
            Err(error) => {
                report.fail("settings", error.to_string(), "docs/configuration.md lists every key");
            }
        }
    }
    report.backend = None;
}

/// Reports where the descriptor is and what is wrong with it; returns whether it loads.
fn describe_descriptor(
    settings: &Settings,
    backend: &BackendSettings,
    report: &mut DoctorReport,
) -> bool {
    let mut text = match settings.descriptor(backend) {
        Ok(text) => text,
        Err(error) => {
            let hint = match &error {
                LocateError::NotFound { tried, .. } if !tried.is_empty() => {
                    let tried: Vec<String> =
                        tried.iter().map(|path| path.display().to_string()).collect();
                    format!("put it at one of {}", tried.join(", "))
                }
                _ => "set `dadl` to the path of a descriptor".to_owned(),
            };
            report.fail("descriptor", error.to_string(), hint);
            return false;
        }
    };
    if let Some(unused) = text.unused.take() {
        report.warn("descriptor", unused.to_string(), "write its path, or remove it");
    }
    let (origin, mut folder) = (text.origin.clone(), text.folder());
    let check = format!("`dadl-mcp check {origin}` shows them with their lines");
    let source = match text.into_source() {
        Ok(source) => source,
        Err(error) => {
            report.fail("descriptor", format!("{origin}: {error}"), check);
            return false;
        }
    };
    let (_, mut loaded) = dadl_descriptor::load_with(source, &mut folder);
    openapi::fill_in(&mut loaded, &folder);
    let found = count_findings(&loaded.diagnostics);
    match (loaded.descriptor, found.is_empty()) {
        (Some(descriptor), true) => {
            report.ok(
                "descriptor",
                format!("{origin}, {} tools", descriptor.offered_names().count()),
            );
            true
        }
        (Some(descriptor), false) => {
            let finding =
                format!("{origin}, {} tools, {found}", descriptor.offered_names().count());
            report.warn("descriptor", finding, check);
            true
        }
        (None, _) => {
            report.fail("descriptor", format!("{origin}: {found}"), check);
            false
        }
    }
}

/// Counts errors and warnings; empty when there are none.
fn count_findings(findings: &[Diagnostic]) -> String {
    let kinds = [(Severity::Error, "error"), (Severity::Warning, "warning")];
    let counts: Vec<String> = kinds
        .into_iter()
        .filter_map(|(severity, word)| {
            match findings.iter().filter(|found| found.severity == severity).count() {
                0 => None,
                1 => Some(format!("1 {word}")),
                count => Some(format!("{count} {word}s")),
            }
        })
        .collect();
    counts.join(", ")
}

/// Examines a backend that is another MCP server, which is started or connected to.
async fn examine_server(
    app: App,
    credentials: &CredentialResolver,
    proxied: bool,
    report: &mut DoctorReport,
) {
    let Some(backend) = app.backends.first() else { return };
    server::describe_start(backend, report);
    let is_at_url = backend.web().is_some();
    let reachable = !is_at_url || proxied || check_reachable(backend, report).await;
    certificate::describe_certificate(backend, reachable, report).await;
    let known = backend.with_stored_login(credentials);
    if !describe_credentials(&known, credentials, report) || !reachable {
        return;
    }
    if is_at_url && !log_in(&app, &known, report).await {
        return;
    }
    let app = server::started(app).await;
    if let Some(backend) = app.backends.first()
        && server::describe_found(backend, report)
    {
        describe_policy(&app, backend, report);
        server::describe_levels(&app, report);
        server::describe_kept(backend, report);
        server::describe_pins(backend, report);
    }
    app.executor.end_servers(app.limits.shutdown_grace).await;
}

async fn examine_app(
    app: &App,
    credentials: &CredentialResolver,
    proxied: bool,
    report: &mut DoctorReport,
) {
    let Some(backend) = app.backends.first() else { return };
    describe_policy(app, backend, report);
    let reachable = proxied || check_reachable(backend, report).await;
    certificate::describe_certificate(backend, reachable, report).await;
    let asks = describe_credentials(backend, credentials, report)
        && reachable
        && log_in(app, backend, report).await;
    switch::describe_switch(app, asks, report).await;
    availability::describe_fit(app, asks, reachable, report).await;
    if asks {
        call_once(app, backend, report).await;
    }
}

fn describe_policy(app: &App, backend: &LoadedBackend, report: &mut DoctorReport) {
    let catalog = app.gate.catalog();
    let left_out = catalog.left_out().count();
    let all = catalog.entries().iter().filter(|entry| !entry.is_unlisted()).count();
    let listed = catalog.listed().count();
    report.listed += listed;
    report.named.extend(tool_doubts::named_tools(catalog));
    let allowed = listed + left_out;
    let mut finding = format!("{allowed} of {all} tools are allowed");
    if left_out > 0 {
        finding.push_str(&format!("; {left_out} of these the server lacks or may lack"));
    }
    if allowed == 0 {
        let hint = format!("{} says why, for each tool", report.command("list --all"));
        report.warn("access", finding, hint);
    } else {
        report.ok("access", finding);
    }
    if let Some(finding) = show_overrides::summary(catalog) {
        report.ok("overrides", finding);
    }
    for warning in app.warnings.iter().cloned().chain(load::unknown_levels(backend)) {
        report.warn("access", warning, "correct it, or remove it");
    }
}

/// Connects and hangs up: this works without a credential. Returns whether somebody listens.
async fn check_reachable(backend: &LoadedBackend, report: &mut DoctorReport) -> bool {
    let Some(ApiAccess { base, guard }) = backend.web() else { return false };
    let url = base.as_url();
    let bound = backend.settings.timeouts.connect;
    let failed = match http::check_reachable(base, bound, guard).await {
        Ok(()) => {
            report.ok("url", format!("{url} can be reached"));
            return true;
        }
        Err(failed) => failed,
    };
    report.fail(
        "url",
        format!("{url} cannot be reached: {failed}"),
        "check `url`, that the backend is up, and what lies between",
    );
    false
}

/// Reports whether the credentials are set; returns whether a call can be made.
fn describe_credentials(
    backend: &LoadedBackend,
    credentials: &CredentialResolver,
    report: &mut DoctorReport,
) -> bool {
    let names = backend.credentials();
    if names.is_empty() {
        report.ok("credential", "none is needed");
    }
    for flow in backend.flows() {
        report.ok("sent to", flow.to_string());
    }
    for note in backend.notes() {
        report.warn("sent to", note, "check that the descriptor is one that you know");
    }
    let mut complete = true;
    let origins = backend.origins();
    let recipient = CredentialRecipient { backend: &backend.settings, origins: &origins };
    for name in names {
        match credentials.origin(recipient, name) {
            Ok(Some(variable)) => report.ok("credential", format!("`{name}` from {variable}")),
            Ok(None) if backend.descriptor.auth_rules.optional == OptionalAuth::All => {
                report.ok("credential", format!("`{name}` is not set, and optional"));
            }
            Ok(None) => {
                complete = false;
                let hint = setup_hint(backend);
                report.fail(
                    "credential",
                    CredentialResolver::missing_hint(&backend.settings, name),
                    hint,
                );
            }
            Err(error @ CredentialError::Store(_)) => {
                let hint = "docs/guide.md says where credentials are stored";
                report.fail("credential", error.to_string(), hint);
                // A keyring that does not answer would not do so for the next one.
                return false;
            }
            Err(error @ CredentialError::Binding(_)) => {
                complete = false;
                let hint = "docs/guide.md says how stored credentials are bound";
                report.fail("credential", error.to_string(), hint);
            }
            Err(error) => {
                complete = false;
                report.fail("credential", error.to_string(), "correct the variable");
            }
        }
    }
    complete
}

/// Returns the descriptor's own words on how to get a credential.
fn setup_hint(backend: &LoadedBackend) -> String {
    let setup = backend.descriptor.setup.as_ref();
    let steps = setup.map(|setup| setup.credential_steps.as_slice()).unwrap_or_default();
    match (steps, setup.and_then(|setup| setup.docs_url.as_deref())) {
        ([], Some(url)) => format!("{url} says how to get one"),
        ([], None) => "hosts do not pass your shell's environment on: set it in the host's \
                       settings"
            .to_owned(),
        (steps, _) => steps.join("\n"),
    }
}

/// Logs in, where that takes a request of its own; returns whether a call can be made.
async fn log_in(app: &App, backend: &LoadedBackend, report: &mut DoctorReport) -> bool {
    let Some(client) = app.executor.web(BackendId(0)) else { return false };
    // That of an MCP server is not read before it is needed.
    let is_stored = matches!(backend.descriptor.auth, AuthScheme::OAuth2(_));
    if !client.authenticator().renews() && !is_stored {
        return true;
    }
    match client.log_in().await {
        Ok(()) => {
            let how = match &backend.descriptor.auth {
                AuthScheme::OAuth2(oauth2) => {
                    format!("`{}` gave an access token", oauth2.grant.flow())
                }
                _ => "a session has begun".to_owned(),
            };
            report.ok("login", how);
            true
        }
        Err(error) => {
            let error = CallError::from(error);
            let hint = failure_hint(&error, backend);
            report.fail("login", error.to_string(), hint);
            false
        }
    }
}

/// Makes one cheap read, and says what that tells about address and credential.
async fn call_once(app: &App, backend: &LoadedBackend, report: &mut DoctorReport) {
    if check_health(app, backend, report).await {
        return;
    }
    let Some((entry, arguments)) = probe_call(app.gate.catalog()) else {
        let hint = format!("try one with {}", report.command("call TOOL"));
        let finding = "no tool can be tried: none that reads is allowed without arguments";
        report.warn("call", finding, hint);
        return;
    };
    let call = app.gate.check(&entry.name, arguments).and_then(|pending| pending.admit());
    let call = match call {
        Ok(call) => call,
        Err(refusal) => {
            let hint = format!("try another tool with {}", report.command("call TOOL"));
            report.warn("call", refusal.to_string(), hint);
            return;
        }
    };
    let needs_credential = backend.descriptor.auth != AuthScheme::None;
    match app.executor.execute(call, &CallContext::default()).await {
        Ok(outcome) => {
            let finding = format!("{} answered HTTP {}", entry.name, outcome.status);
            match outcome.notes.first() {
                Some(note) => report.warn("call", format!("{finding}, but {note}"), "check `url`"),
                None if needs_credential => {
                    report.ok("call", format!("{finding}: the credential is accepted"));
                }
                None => report.ok("call", finding),
            }
        }
        Err(error) => {
            let hint = failure_hint(&error, backend);
            report.fail("call", format!("{}: {error}", entry.name), hint);
        }
    }
}

/// Makes the health check that the descriptor declares; returns whether there was one to make.
async fn check_health(app: &App, backend: &LoadedBackend, report: &mut DoctorReport) -> bool {
    let Some(Ok(pending)) = app.gate.check_health(BackendId(0)) else { return false };
    let Ok(call) = pending.admit() else { return false };
    let Some(health) = app.executor.check_health(&call).await else { return false };
    let status = health.http_status.map(|status| format!("HTTP {status} in ")).unwrap_or_default();
    let finding = format!("{status}{} ms", health.latency.as_millis());
    match (&health.error, &health.auth_expires_at) {
        (None, None) => report.ok("health", finding),
        (None, Some(at)) => report.ok("health", format!("{finding}, the credential expires {at}")),
        (Some(error), _) => {
            let hint = match health.http_status {
                _ if health.is_refused => {
                    format!("the credential is wrong or expired\n{}", setup_hint(backend))
                }
                Some(403) => {
                    "the account lacks a right, or the credential is of another server".into()
                }
                Some(404) => path_hint(backend),
                Some(200..=299) => "check that `url` is the API's own base URL".to_owned(),
                Some(_) => "the backend answers; look at its own log".to_owned(),
                None => "check that `url` is right and that the backend is up".to_owned(),
            };
            report.fail("health", format!("{finding}: {error}"), hint);
        }
    }
    true
}

/// Picks a read that needs no argument: a list that can be cut short, if there is one, and not one
/// that everybody may make.
fn probe_call(catalog: &Catalog) -> Option<(&CatalogEntry, Map<String, Value>)> {
    let limit = |entry: &CatalogEntry| {
        let limit = entry.given_params().find(|parameter| {
            parameter.param.is_in(ParamLocation::Query) && parameter.param.name == "limit"
        });
        limit.map(|parameter| parameter.property.clone())
    };
    let entry = catalog
        .listed()
        .filter(|entry| {
            let Some(tool) = entry.tool() else { return false };
            let may_list = match &tool.request {
                ToolRequest::Http(http) => http.method == RequestMethod::Get,
                ToolRequest::Rpc(_) => true,
            };
            tool.access == Some(AccessLevel::Read)
                && !tool.lowered
                && may_list
                && !tool.response.is_stream()
                && !tool.response.binary
                // It never fails.
                && entry.health().is_none()
                && tool.deprecated.is_none()
                // Another host says nothing about this one.
                && tool.elsewhere().is_none()
                && !entry.params.iter().any(|parameter| parameter.param.required)
        })
        .min_by_key(|entry| {
            let is_public = PUBLIC.iter().any(|word| entry.declared_name().contains(word));
            (is_public, limit(entry).is_none())
        })?;
    let arguments = limit(entry).map(|property| (property, json!(1))).into_iter().collect();
    Some((entry, arguments))
}

/// Says what `url` may lack, as far as the descriptor tells.
fn path_hint(backend: &LoadedBackend) -> String {
    match backend.descriptor.base_path.as_deref() {
        Some(path) if backend.api().is_some_and(|api| !api.base.ends_in(path)) => {
            format!("`url` lacks the path {path}, in which base URLs of this API end")
        }
        _ => "`url` may lack the API's path, or be that of another version".to_owned(),
    }
}

fn failure_hint(error: &CallError, backend: &LoadedBackend) -> String {
    match error {
        CallError::Api(error) if error.status == 401 || error.code == "unauthorized" => {
            format!("the credential is wrong or expired\n{}", setup_hint(backend))
        }
        CallError::Api(error) if error.status == 403 => {
            "the account lacks a right, or the credential is of another server".to_owned()
        }
        CallError::Api(error) if error.status == 404 => path_hint(backend),
        CallError::Api(_) => "the backend answers; look at its own log".to_owned(),
        CallError::Send(error) => match &error.kind {
            SendErrorKind::Connect(_) => "is the backend up, and is the port right?".to_owned(),
            SendErrorKind::Dns(_) => {
                "is the host name right, and can this machine resolve it?".to_owned()
            }
            kind => kind.hint().to_owned(),
        },
        CallError::Login { error, .. } if error.is_transient() => {
            "the login may work a moment later: try again".to_owned()
        }
        CallError::Login { .. } | CallError::Settings { .. } => {
            let command = backend.settings.setup_command();
            format!("`{command}` asks for the credentials and tries them")
        }
        _ => "check that `url` is the API's own base URL".to_owned(),
    }
}
