//! `pin`: what the tools of other MCP servers are is written down, and what differs from that later is
//! shown to a person. Nothing that a model can call leads here.

mod diff;
mod review;

use std::{io::Write as _, time::SystemTime};

use dadl_text::{
    names::{OrMeant, meant_or, nearest_name},
    text::quoted_text,
};
use serde_json::{Value, json};

use self::review::Reviewed;
use super::{
    args::PinArgs,
    console::{BAD, Console, NAME},
    exit::ExitReason,
    failure::CliFailure,
    load,
    signals::SignalListener,
};
use crate::{
    app::{App, pinned_list},
    call::CallChannel,
    catalog::{BackendId, tool_doubts},
    config::{
        env_vars::Environment,
        tool_pins::{BackendPins, PinError, PinStore},
    },
    mcp_client::ServerList,
    outcome::timestamp::rfc3339,
};

/// A name has so many characters.
const LONGEST_NAME: usize = 100;

/// So many remarks about one server are told.
const MOST_REMARKS: usize = 20;

/// Pins, reviews, lists or removes.
pub(super) async fn run(
    args: &PinArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let store = PinStore::of(&environment).ok_or_else(|| {
        CliFailure::settings("there is no place for pins: neither XDG_CONFIG_HOME nor HOME is set")
    })?;
    if args.list {
        return list_pins(args.json, &store, console);
    }
    if args.remove {
        return remove_pins(&args.names, &store, console);
    }
    let app = load::build_app(&args.backends, environment, CallChannel::Terminal)?;
    let chosen = choose(args, &app, &store, console)?;
    if chosen.is_empty() {
        let none = match args.review {
            true => "nothing is pinned; `dadl-mcp pin` does it",
            false => "no backend is another MCP server: the tools of an API are in its descriptor",
        };
        console.print_note(none)?;
        return Ok(ExitReason::Ok);
    }
    let mut signals = SignalListener::listen()?;
    let lists = tokio::select! {
        lists = app.server_lists(&chosen) => lists,
        signal = signals.next() => return Ok(signal.exit()),
    };
    // They have said what they say.
    app.executor.end_servers(app.limits.shutdown_grace).await;
    drop(signals);
    let named = chosen.iter().filter_map(|id| app.backends.get(id.0));
    let named = named.map(|backend| backend.settings.name.as_str());
    let (mut listed, mut is_complete) = (Vec::new(), true);
    for (backend, list) in named.zip(lists) {
        match list {
            Ok(list) => listed.push((backend, list)),
            Err(why) => {
                is_complete = false;
                writeln!(console.err, "{BAD}error:{BAD:#} backend \"{backend}\": {why}")?;
            }
        }
    }
    let exit = if args.review {
        let read = |(backend, list): &(&str, ServerList)| match store.read(backend) {
            Ok(Some(pins)) => {
                Some(Ok(Reviewed { backend: (*backend).to_owned(), pins, now: pinned_list(list) }))
            }
            Ok(None) => None,
            Err(error) => Some(Err(unusable(&error))),
        };
        let all: Vec<Reviewed> = listed.iter().filter_map(read).collect::<Result<_, _>>()?;
        review::review(&all, &args.accept, args.json, &store, console)?
    } else {
        pin_all(&listed, args.json, &store, console)?
    };
    Ok(if is_complete { exit } else { ExitReason::Unreachable })
}

/// Returns the backends that are meant, in the order of the settings.
fn choose(
    args: &PinArgs,
    app: &App,
    store: &PinStore,
    console: &Console,
) -> Result<Vec<BackendId>, CliFailure> {
    let is_server = |name: &str| {
        let found = app.backends.iter().find(|backend| backend.settings.name == name);
        found.map(|backend| backend.server().is_some())
    };
    for name in &args.names {
        match is_server(name) {
            None => return Err(load::no_backend(name, app, console)),
            Some(false) => {
                let message = format!("backend \"{name}\" is no other MCP server");
                return Err(CliFailure::usage(message).hint("its tools are in its descriptor"));
            }
            Some(true) => {}
        }
        if args.review && store.read(name).map_err(|error| unusable(&error))?.is_none() {
            let message = format!("nothing is pinned of backend \"{name}\"");
            return Err(CliFailure::usage(message).hint(format!("`dadl-mcp pin {name}` does it")));
        }
    }
    let is_pinned = |name: &str| !matches!(store.read(name), Ok(None));
    let chosen = app.backends.iter().enumerate().filter(|(_, backend)| {
        let name = &backend.settings.name;
        let is_named = args.names.is_empty() || args.names.contains(name);
        // Without a name, only what has pins can be reviewed.
        is_named && backend.server().is_some() && (!args.review || is_pinned(name))
    });
    Ok(chosen.map(|(at, _)| BackendId(at)).collect())
}

fn unusable(error: &PinError) -> CliFailure {
    let hint = "mend the file or its folder; or remove the file, look at the tools with `dadl-mcp list \
                --all`, and pin them anew";
    CliFailure::settings(error).hint(hint)
}

/// Pins what is not pinned yet; what is stays as it is.
fn pin_all(
    listed: &[(&str, ServerList)],
    as_json: bool,
    store: &PinStore,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let (mut reports, mut is_held) = (Vec::new(), false);
    for (backend, list) in listed {
        let now = pinned_list(list);
        let tools = now.tools.len();
        let before = store.read(backend).map_err(|error| unusable(&error))?;
        let changes = before.as_ref().map(|pins| pins.list.changes(&now));
        reports.push(json!({
            "backend": backend, "tools": tools, "new": before.is_none(),
            "changes": changes.as_ref().map(Vec::len),
        }));
        let told = match changes.as_deref() {
            None => {
                let pins = BackendPins { pinned: SystemTime::now(), list: now };
                let from = match pins.list.server.as_str() {
                    "" => String::new(),
                    server => format!(" of {}", quoted_text(server, LONGEST_NAME)),
                };
                store.replace(backend, None, &pins).map_err(CliFailure::settings)?;
                remark(backend, list, console)?;
                format!("pinned {tools} tools of backend \"{backend}\"{from}")
            }
            Some([]) => {
                format!("backend \"{backend}\" has its pins already, and nothing is different")
            }
            Some(changes) => {
                is_held = true;
                let review = console.flags.command(&format!("pin --review {backend}"));
                format!(
                    "backend \"{backend}\" has its pins already, and {} things are different; `{review}` \
                     shows them",
                    changes.len()
                )
            }
        };
        if !as_json {
            writeln!(console.out, "{told}")?;
        }
    }
    if as_json {
        console.print_json(&json!({ "backends": reports }))?;
    }
    Ok(if is_held { ExitReason::Refused } else { ExitReason::Ok })
}

/// Says what somebody who pins should have looked at.
fn remark(backend: &str, list: &ServerList, console: &mut Console) -> Result<(), CliFailure> {
    let instructions = list.instructions.as_deref();
    let remarks = tool_doubts::text_remarks(&list.tools, instructions, |_| false);
    for remark in remarks.iter().take(MOST_REMARKS) {
        console.print_note(&format!("backend \"{backend}\": {remark}"))?;
    }
    if let more @ 1.. = remarks.len().saturating_sub(MOST_REMARKS) {
        console.print_note(&format!("backend \"{backend}\": {more} more remarks are left out"))?;
    }
    Ok(())
}

/// Lists what is pinned. No settings are read: pins may belong to a backend that is in none any more.
fn list_pins(
    as_json: bool,
    store: &PinStore,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let names = store.backends().map_err(CliFailure::settings)?;
    let mut is_complete = true;
    let mut all = Vec::new();
    for name in &names {
        let path = store.path(name);
        let read = store.read(name);
        is_complete &= read.is_ok();
        if as_json || !console.out_is_terminal {
            all.push(match &read {
                Ok(pins) => listed_json(name, pins.as_ref()),
                Err(error) => json!({ "backend": name, "error": error.to_string() }),
            });
            continue;
        }
        match read {
            Ok(Some(BackendPins { pinned, list })) => {
                let (count, when) = (list.tools.len(), rfc3339(pinned));
                writeln!(
                    console.out,
                    "{NAME}{name}{NAME:#}  {count} tools, {when}, {}",
                    path.display()
                )?;
            }
            Ok(None) => {}
            Err(error) => writeln!(console.out, "{NAME}{name}{NAME:#}  {BAD}{error}{BAD:#}")?,
        }
    }
    if as_json || !console.out_is_terminal {
        console.print_json(&json!({ "backends": all }))?;
    } else if names.is_empty() {
        console.print_note("nothing is pinned")?;
    }
    Ok(if is_complete { ExitReason::Ok } else { ExitReason::Failed })
}

fn listed_json(name: &str, pins: Option<&BackendPins>) -> Value {
    let Some(BackendPins { pinned, list }) = pins else { return json!({ "backend": name }) };
    let tools: serde_json::Map<String, Value> =
        list.tools.iter().map(|(name, tool)| (name.clone(), tool.digest.as_str().into())).collect();
    json!({
        "backend": name, "pinned": rfc3339(*pinned), "server": list.server,
        "instructions": list.instructions.is_some(), "tools": tools,
    })
}

fn remove_pins(
    names: &[String],
    store: &PinStore,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let known = store.backends().map_err(CliFailure::settings)?;
    // All of them, or none.
    for name in names {
        if !known.contains(name) {
            let meant = nearest_name(name, known.iter().map(String::as_str));
            let message = format!("nothing is pinned of a backend \"{name}\"{:#}", OrMeant(meant));
            return Err(CliFailure::usage(message)
                .hint(meant_or(None, || "`dadl-mcp pin --list` shows what is".to_owned())));
        }
    }
    for name in names {
        store.remove(name).map_err(CliFailure::settings)?;
        writeln!(
            console.out,
            "removed the pins of backend \"{name}\": its tools may change unseen"
        )?;
    }
    Ok(ExitReason::Ok)
}
