//! `call`: one call through the same gate as a model's, and its result.

use std::io::{self, BufRead as _, Write as _};

use serde_json::{Map, Value, json};

use super::{
    args::CallArgs,
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    load,
    progress::CallMonitor,
    server_content::print_content,
    server_questions::AskingTerminal,
    signals::{ProcessSignal, SignalListener},
    table, tool_arguments,
    wrap::wrap_text,
};
use crate::{
    app::App,
    catalog::Catalog,
    config::{env_vars::Environment, shell::shell_quoted},
    executor::{CallContext, DryRun, ServerQuestions, TimedPreview, WaitBudget},
    gate::{Admitted, CallConsent, CallRefusal, PendingCall},
    live::{self, StreamHub},
    outcome::{AnswerPayload, CallOutcome, SavedFile},
    shares::ClientKey,
};

/// A value whose tree would take more is printed as it came, in bytes.
const LARGEST_TREE: u64 = 256 * 1024 * 1024;

/// Calls a tool. A signal drops the call, which aborts its request; Ctrl-C also asks a task to stop
/// that the call began.
pub(super) async fn run(
    args: CallArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let loaded = load::open_backends(
        &args.backends,
        args.simulated,
        environment,
        load::ServersNeeded::For(&args.tool),
    )
    .await?;
    let app = &loaded.app;
    let given = tool_arguments::read_arguments(&args.arguments, args.args.as_deref())?;
    let pending =
        app.gate.check(&args.tool, given).map_err(|it| with_meant_name(it, app.gate.catalog()))?;
    if args.dry_run {
        print_request(&app.executor.dry_run(&pending)?, args.json, console)?;
        return Ok(ExitReason::Ok);
    }
    let call = admit_call(pending, args.yes, app, console).await?;
    let watch = CallMonitor::new(console.err_is_terminal);
    // A person can stop the waiting.
    let context = CallContext::heard_by(&watch).waiting(WaitBudget::Longest).saving_media();
    let questions = console.can_ask.then_some(&AskingTerminal as &dyn ServerQuestions);
    let context = CallContext { questions, ..context };
    let mut signals = SignalListener::listen()?;
    // It has to be said before the call is dropped.
    let signal = async {
        let signal = signals.next().await;
        if signal == ProcessSignal::Interrupt {
            context.on_drop.stop();
        }
        signal
    };
    let outcome = tokio::select! {
        outcome = perform_call(app, call, &context) => Ok(outcome?),
        // The log says whether a task could be asked to stop.
        signal = signal => Err(signal),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(signal) => {
            let message = watch.interrupted(signal, &console.flags);
            drop(watch);
            // The terminal may be gone.
            let _ = console.print_note(&message);
            return Ok(signal.exit());
        }
    };
    drop(watch);
    print_outcome(outcome, args.json, console)?;
    Ok(ExitReason::Ok)
}

/// Names the tool that a person may have meant, whether or not it is allowed: they can allow it.
fn with_meant_name(refusal: CallRefusal, catalog: &Catalog) -> CallRefusal {
    match refusal {
        CallRefusal::UnknownTool { name, .. } => {
            let nearest = catalog.nearest_of_all(&name).map(str::to_owned);
            CallRefusal::UnknownTool { name, nearest }
        }
        refusal => refusal,
    }
}

/// Executes a call; one that subscribes collects what comes.
async fn perform_call(
    app: &App,
    call: Admitted<'_>,
    context: &CallContext<'_>,
) -> Result<CallOutcome, CliFailure> {
    if live::subscribes(&call) && !live::is_open(&call) {
        let collected =
            live::collect_once(&StreamHub::default(), &app.executor, &call, &context.client).await;
        return collected.map_err(|error| CliFailure::new(ExitReason::Failed, error));
    }
    Ok(app.executor.execute(call, context).await?)
}

/// Asks the person about a dangerous call.
pub(super) async fn admit_call<'gate>(
    pending: PendingCall<'gate>,
    yes: bool,
    app: &App,
    console: &mut Console,
) -> Result<Admitted<'gate>, CliFailure> {
    if !pending.needs_consent() {
        return Ok(pending.admit()?);
    }
    if !yes {
        if !console.can_ask {
            let refusal = pending.refused("it is dangerous, and there is no terminal to ask on");
            return Err(CliFailure::from(refusal).hint("add --yes if you mean it"));
        }
        let (executor, client) = (&app.executor, ClientKey::only());
        executor.check_before_asking(&pending, &client).await?;
        let mut seen = TimedPreview::read(executor, &pending, &client).await;
        loop {
            let question = pending.question_about(&seen.preview);
            if !is_confirmed(&question, console)? {
                return Err(pending.refused("you said no").into());
            }
            match seen.changed(executor, &pending, &client).await {
                Some(newer) => seen = newer,
                None => break,
            }
        }
    }
    let consent = CallConsent::given_for(pending.digest());
    Ok(pending.admit_with(&consent)?)
}

/// Puts a question, and returns whether the answer is a yes.
fn is_confirmed(question: &str, console: &mut Console) -> io::Result<bool> {
    let question = wrap_text(question, console.err_width(), 0, 2);
    write!(console.err, "{question}\n[y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Prints the request that would be sent.
fn print_request(request: &DryRun, as_json: bool, console: &mut Console) -> io::Result<()> {
    if !as_json {
        return writeln!(console.out, "{request}");
    }
    let (plan, credential) = match request {
        DryRun::Request { plan, credential } => (plan, credential),
        DryRun::Composite { name, calls } => {
            return console.print_json(&json!({ "composite": name, "may_call": calls }));
        }
        DryRun::Server { backend, tool, arguments } => {
            return console
                .print_json(&json!({ "backend": backend, "tool": tool, "arguments": arguments }));
        }
    };
    let headers: Map<String, Value> = plan
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    console.print_json(&json!({
        "method": plan.method.as_str(),
        "url": plan.url.as_str(),
        "headers": headers,
        "credential": credential,
        "request": request.to_string(),
    }))
}

/// Prints a value for a person: as a table where it is one.
fn print_value(value: &Value, console: &mut Console) -> io::Result<()> {
    let Some(shown) = console.out_width().and_then(|width| table::cell_text(value, width)) else {
        return console.print_json(value);
    };
    write!(console.out, "{}", shown.text)?;
    match shown.note {
        Some(note) => console.print_note(&note),
        None => Ok(()),
    }
}

/// Prints a result to standard output and what is to say about it to standard error.
pub(super) fn print_outcome(
    outcome: CallOutcome,
    as_json: bool,
    console: &mut Console,
) -> io::Result<()> {
    match outcome.payload {
        AnswerPayload::Content(content) => print_content(*content, as_json, console)?,
        AnswerPayload::Empty if as_json => console.print_json(&Value::Null)?,
        AnswerPayload::Empty => {
            console.print_note(&format!("HTTP {}, without content", outcome.status))?
        }
        AnswerPayload::Json(text) => {
            // On a terminal with line breaks, unless the tree would take much memory.
            let is_pretty = console.out_is_terminal && text.tree_cost() <= LARGEST_TREE;
            match is_pretty.then(|| text.value()) {
                Some(Ok(value)) if as_json => console.print_json(&value)?,
                Some(Ok(value)) => print_value(&value, console)?,
                // As it came: a script gets every digit.
                _ => console.json_text(text.as_str())?,
            }
        }
        AnswerPayload::Text { content_type, text } if as_json => {
            console.print_json(&json!({ "content_type": content_type, "text": text }))?;
        }
        AnswerPayload::Task(report) => {
            if as_json || !console.out_is_terminal {
                console.print_json(&report.to_value())?;
            } else {
                writeln!(console.out, "{}", report.summary())?;
            }
            if report.is_running {
                let command = console.flags.command(&format!("task {}", report.handle));
                let note = if console.flags.is_demo() {
                    "the task is gone with the simulator".to_owned()
                } else {
                    format!("the task goes on: `{command}`")
                };
                console.print_note(&note)?;
            }
        }
        AnswerPayload::Text { text, .. } => {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            write!(console.out, "{text}{end}")?;
        }
        AnswerPayload::File(file) if as_json || !console.out_is_terminal => {
            console.print_json(&file.to_value())?;
        }
        AnswerPayload::File(SavedFile { path, size, content_type, sha256, expires, .. }) => {
            let path = path.display();
            writeln!(
                console.out,
                "saved    {path}\nsize     {size} bytes\ntype     {content_type}\nsha256   {sha256}"
            )?;
            if let Some(expires) = expires {
                writeln!(console.out, "expires  {expires}")?;
            }
        }
    }
    for note in outcome.notes {
        console.print_note(&note)?;
    }
    if let Some(next) = outcome.next {
        let words: Vec<String> = next
            .arguments
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) => format!("{key}={text}"),
                value => format!("{key}:={value}"),
            })
            .map(|word| shell_quoted(&word).into_owned())
            .collect();
        console.print_note(&format!(
            "{}; for the next page, add `{}`",
            next.reason,
            words.join(" ")
        ))?;
    }
    Ok(())
}
