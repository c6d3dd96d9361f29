//! `health`: makes the health checks that descriptors declare, for operators and their monitors.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use dadl_text::text;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    args::HealthArgs,
    console::{BAD, Console, DOUBTFUL, GOOD},
    exit::ExitReason,
    failure::CliFailure,
    load,
    signals::SignalListener,
    wrap::{display_width, wrap_text},
};
use crate::{
    app::{App, LoadedBackend},
    catalog::BackendId,
    config::env_vars::Environment,
    executor::{CallError, HealthReport},
};

/// What is known of one backend.
enum BackendHealth {
    /// Its descriptor declares no check.
    Unknown,
    /// The check was not made.
    Refused(String),
    /// The check was made.
    Checked(HealthReport),
    /// Another MCP server was asked whether it is there: how long that took, or why it is not.
    Pinged(Result<Duration, CallError>),
}

/// Checks all backends at once, or the one that was named.
pub(super) async fn run(
    args: &HealthArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let loaded =
        load::open_backends(&args.backends, args.simulated, environment, load::ServersNeeded::None)
            .await?;
    let app = &loaded.app;
    let chosen: Vec<(usize, &LoadedBackend)> = app
        .backends
        .iter()
        .enumerate()
        .map(|(at, backend)| (at, &**backend))
        .filter(|(_, backend)| args.backend.as_ref().is_none_or(|it| *it == backend.settings.name))
        .collect();
    if let (Some(name), true) = (&args.backend, chosen.is_empty()) {
        return Err(load::no_backend(name, app, console));
    }
    let checks = chosen.iter().map(|(at, _)| check_backend(app, BackendId(*at)));
    let mut signals = SignalListener::listen()?;
    let states = tokio::select! {
        states = join_all(checks) => states,
        signal = signals.next() => return Ok(signal.exit()),
    };
    let names = chosen.iter().map(|(_, backend)| backend.settings.name.as_str());
    let states: Vec<(&str, BackendHealth)> = names.zip(states).collect();
    // That nothing was checked is no proof that all is well.
    let bad = |state: &BackendHealth| !state.is_ok() && !matches!(state, BackendHealth::Unknown);
    let ok = states.iter().any(|(_, state)| state.is_ok())
        && !states.iter().any(|(_, state)| bad(state));
    if args.json || !console.out_is_terminal {
        let backends: Vec<Value> = states.iter().map(|(name, state)| state.to_json(name)).collect();
        console.print_json(&json!({ "ok": ok, "backends": backends }))?;
    } else {
        for (name, state) in &states {
            state.write(name, console)?;
        }
    }
    Ok(if ok { ExitReason::Ok } else { ExitReason::Failed })
}

/// Makes the check of one backend, through the gate as every call.
async fn check_backend(app: &App, backend: BackendId) -> BackendHealth {
    if let Some(server) = app.backend(backend.0).and_then(LoadedBackend::server) {
        return BackendHealth::Pinged(ping(app, backend, server.settings.start_timeout).await);
    }
    let Some(pending) = app.gate.check_health(backend) else { return BackendHealth::Unknown };
    let admitted = match pending.and_then(|pending| pending.admit()) {
        Ok(admitted) => admitted,
        Err(refusal) => return BackendHealth::Refused(refusal.to_string()),
    };
    match app.executor.check_health(&admitted).await {
        Some(report) => BackendHealth::Checked(report),
        None => BackendHealth::Unknown,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Starts a server, and asks whether it is there.
async fn ping(app: &App, backend: BackendId, time: Duration) -> Result<Duration, CallError> {
    let link = app.executor.server_link(backend)?;
    let begun = Instant::now();
    link.ping(time).await?;
    Ok(begun.elapsed())
}

impl BackendHealth {
    fn is_ok(&self) -> bool {
        match self {
            Self::Checked(report) => report.ok,
            Self::Pinged(answer) => answer.is_ok(),
            Self::Refused(_) | Self::Unknown => false,
        }
    }

    fn to_json(&self, backend: &str) -> Value {
        let mut json = json!({ "backend": backend, "declared": !matches!(self, Self::Unknown) });
        let more = match self {
            Self::Unknown => Value::Null,
            Self::Refused(reason) => json!({ "ok": false, "error": reason }),
            Self::Checked(report) => report.to_json(),
            Self::Pinged(Ok(latency)) => json!({ "ok": true, "latency_ms": millis(*latency) }),
            Self::Pinged(Err(error)) => json!({ "ok": false, "error": error.to_string() }),
        };
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    }

    fn write(&self, name: &str, console: &mut Console) -> std::io::Result<()> {
        let (style, word, text) = match self {
            Self::Unknown => {
                (DOUBTFUL, "NONE", "the descriptor declares no health check".to_owned())
            }
            Self::Refused(reason) => (BAD, "FAIL", reason.clone()),
            Self::Pinged(Err(error)) => (BAD, "FAIL", error.to_string()),
            Self::Pinged(Ok(latency)) => (GOOD, "OK", format!("{} ms", latency.as_millis())),
            Self::Checked(report) => {
                let status = match report.http_status {
                    Some(status) => format!("HTTP {status} in "),
                    None => String::new(),
                };
                let mut text = format!("{status}{} ms", report.latency.as_millis());
                if let Some(error) = &report.error {
                    text = format!("{text}: {error}");
                }
                if let Some(expires) = &report.auth_expires_at {
                    text = format!("{text}, the credential expires {expires}");
                }
                if report.ok { (GOOD, "OK", text) } else { (BAD, "FAIL", text) }
            }
        };
        let name = format!("{:<16}", text::one_line(name));
        let column = "FAIL  ".len() + display_width(&name) + 2;
        let text = wrap_text(&text::one_line(&text), console.out_width(), column, "FAIL  ".len());
        writeln!(console.out, "{style}{word:<4}{style:#}  {name}  {text}")
    }
}
