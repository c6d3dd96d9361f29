//! `watch`: the events of a backend, one JSON value a line, until Ctrl-C.

use std::io::Write as _;

use dadl_descriptor::model::{ParamRole, StreamArgument, events::EventRules};
use serde_json::{Map, Value};

use super::{
    args::WatchArgs, console::Console, demo, exit::ExitReason, failure::CliFailure, load,
    signals::SignalListener,
};
use crate::{
    app::{App, LoadedBackend},
    call::CallChannel,
    catalog::{BackendId, CatalogEntry},
    config::env_vars::Environment,
    gate::PendingCall,
    live::{LONGEST_WAIT, StreamHub, StreamOwner, StreamPhase},
    shares::ClientKey,
};

/// How many items are taken at once.
const ITEMS: usize = 1000;
/// How many bytes are taken at once.
const BYTES: usize = 1024 * 1024;

/// Prints events. They are read as fast as they can be written.
pub(super) async fn run(
    args: WatchArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let (app, _simulator) = if args.demo {
        let changes = demo::CHANGES;
        let (app, simulator) =
            demo::simulated_app(&args.backends, &environment, Some(changes)).await?;
        (app.at(CallChannel::Terminal), Some(simulator))
    } else {
        (load::build_app(&args.backends, environment, CallChannel::Terminal)?, None)
    };
    let (id, backend) = find_backend(&app, &args.backend, console)?;
    let Some(events) = &backend.descriptor.events else {
        return Err(CliFailure::usage(format!(
            "the descriptor of backend \"{}\" does not say how events are watched \
             (`_dadl_mcp.events`)",
            args.backend
        )));
    };
    check_collections(events, &args)?;
    let entry = app.gate.catalog().find_declared(id, &events.stream);
    let entry = entry.ok_or_else(|| {
        CliFailure::settings(format!("there is no tool `{}` to open the stream", events.stream))
    })?;
    let call = app.gate.check(&entry.name, stream_arguments(entry, &args.collections))?;
    let call = PendingCall::admit(call)?;
    let (hub, owner) = (StreamHub::default(), StreamOwner::Session(String::new()));
    let mut signals = SignalListener::listen()?;
    tokio::select! {
        done = async {
            let handle = hub.open(&app.executor, &call, owner.clone(), &ClientKey::only()).await;
            let handle = handle.map_err(|error| CliFailure::new(ExitReason::Failed, error))?;
            print_stream(&hub, &handle, &owner, console).await
        } => done,
        signal = signals.next() => Ok(signal.exit()),
    }
}

fn find_backend<'app>(
    app: &'app App,
    name: &str,
    console: &Console,
) -> Result<(BackendId, &'app LoadedBackend), CliFailure> {
    let found = app.backends.iter().position(|backend| backend.settings.name == name);
    if let Some((at, backend)) = found.and_then(|at| Some((at, app.backends.get(at)?))) {
        return Ok((BackendId(at), backend));
    }
    Err(load::no_backend(name, app, console))
}

/// Checks that what is named fits what the stream carries.
fn check_collections(events: &EventRules, args: &WatchArgs) -> Result<(), CliFailure> {
    let known: Vec<&str> = events
        .resources
        .iter()
        .flat_map(|resources| &resources.readers)
        .map(|reader| reader.collection.as_str())
        .collect();
    let hint = format!("some are {}", known.join(", "));
    match (&events.subscribe, args.collections.is_empty()) {
        (Some(_), true) => {
            let failure = CliFailure::usage("name the collections to watch");
            Err(if known.is_empty() { failure } else { failure.hint(hint) })
        }
        (None, false) => Err(CliFailure::usage(format!(
            "the stream of backend \"{}\" carries everything; name no collections",
            args.backend
        ))),
        _ => Ok(()),
    }
}

/// Makes the arguments of the call that opens the stream.
fn stream_arguments(entry: &CatalogEntry, collections: &[String]) -> Map<String, Value> {
    let named = |argument: StreamArgument, value: Value| {
        let property = entry.property_of(ParamRole::Stream(argument))?;
        Some((property.to_owned(), value))
    };
    let open = named(StreamArgument::Open, true.into());
    let names = (!collections.is_empty())
        .then(|| named(StreamArgument::Subscribe, collections.to_vec().into()))
        .flatten();
    open.into_iter().chain(names).collect()
}

async fn print_stream(
    hub: &StreamHub,
    handle: &str,
    owner: &StreamOwner,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let mut known = StreamPhase::Open;
    loop {
        let batch = hub.read(handle, owner, LONGEST_WAIT, ITEMS, BYTES).await;
        let batch = batch.map_err(|error| CliFailure::new(ExitReason::Failed, error))?;
        if batch.taken.dropped > 0 {
            console.print_note(&format!("{} events were dropped", batch.taken.dropped))?;
        }
        for item in &batch.taken.items {
            console.json_text(item)?;
        }
        console.out.flush()?;
        if batch.phase != known {
            match &batch.phase {
                StreamPhase::Open => console.print_note("the stream is open again")?,
                StreamPhase::Reconnecting { reason } => {
                    console.print_note(&format!("the stream is opened again: {reason}"))?;
                }
                StreamPhase::Ended { .. } => {}
            }
            known.clone_from(&batch.phase);
        }
        if let StreamPhase::Ended { reason } = batch.phase {
            if batch.taken.left > 0 {
                continue;
            }
            return Err(CliFailure::new(
                ExitReason::Failed,
                anyhow::anyhow!("the stream ended: {reason}"),
            ));
        }
        // A stream that is busy must not keep Ctrl-C waiting.
        tokio::task::yield_now().await;
    }
}
