//! `show`: all about one tool.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{
    args::ShowArgs,
    console::{BAD, Console, GOOD, NAME},
    exit::Exit,
    failure::Failure,
    list, load,
};
use crate::{
    access::Decision,
    app::{App, Flow, LoadedBackend},
    call::Door,
    catalog::{Entry, Operation},
    config::env_vars::Environment,
    descriptor::{
        model::{Descriptor, Example},
        source::Source,
    },
    gate::Refusal,
    text::{json, line},
};

/// Shows a tool.
pub(super) fn run(
    args: &ShowArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let app = load::app(&args.backends, environment, Door::Terminal)?;
    let catalog = app.gate.catalog();
    let Some(entry) = catalog.find(&args.tool) else {
        let nearest = catalog.nearest_of_all(&args.tool).map(str::to_owned);
        return Err(Refusal::UnknownTool { name: args.tool.clone(), nearest }.into());
    };
    if args.json || !console.out_is_terminal {
        console.json(&details(&app, entry))?;
    } else {
        write(&app, entry, &mut console.out)?;
    }
    Ok(Exit::Ok)
}

/// Describes a tool for a program.
fn details(app: &App, entry: &Entry) -> Value {
    let annotations = entry.annotations;
    let mut details = list::summary(entry);
    let more = json!({
        "title": entry.title,
        "annotations": {
            "readOnlyHint": annotations.read_only,
            "destructiveHint": annotations.destructive,
            "idempotentHint": annotations.idempotent,
            "openWorldHint": annotations.open_world,
        },
        "inputSchema": &*entry.input_schema,
        "definedIn": defined_in(app, entry),
        "credentials": flows(app, entry).iter().map(Flow::to_json).collect::<Vec<_>>(),
        "descriptor": {
            "name": entry.descriptor().name,
            "version": entry.descriptor().version,
            "date": entry.descriptor().date,
        },
        "dependsOn": entry.tool().map(|tool| tool.depends_on.as_slice()).unwrap_or_default(),
        "switch": entry.descriptor().switch.as_ref().map(|switch| switch.fields()),
        "returns": entry.returns(),
        "outputSchema": entry.output.as_ref().map(|output| (**output.schema()).clone()),
        "examples": examples(entry).map(|example| json!({
            "name": example.name, "description": example.description, "code": example.code,
        })).collect::<Vec<_>>(),
        "hints": entry.hints().iter().cloned().map(|(topic, hint)| (topic, hint.into()))
            .collect::<serde_json::Map<_, _>>(),
    });
    if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more);
    }
    details
}

fn write(app: &App, entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{NAME}{}{NAME:#}  {}", entry.name, entry.title)?;
    writeln!(out, "\n{}\n", entry.description)?;
    let level = list::level(entry);
    match &entry.decision {
        Decision::Allow => writeln!(out, "access       {level} ({GOOD}allowed{GOOD:#})")?,
        Decision::Deny(denial) => {
            writeln!(out, "access       {level} ({BAD}denied{BAD:#}: {denial})")?;
            let remedy = denial.remedy(&entry.backend_name, entry.declared_name());
            writeln!(out, "             to allow it: {remedy}")?;
        }
    }
    writeln!(out, "backend      {}{}", entry.backend_name, line(&edition(entry)))?;
    match entry.operation() {
        Operation::Tool(_) => writeln!(out, "request      {}", entry.operation().summary())?,
        Operation::Composite(composite) => {
            writeln!(out, "composite    may call {}", composite.calls.join(", "))?;
            writeln!(out, "time limit   {} s", composite.timeout.as_secs_f64())?;
        }
    }
    writeln!(out, "defined in   {}", defined_in(app, entry))?;
    for flow in flows(app, entry) {
        writeln!(out, "credential   {flow}")?;
    }
    if let Some(switch) = &entry.descriptor().switch {
        writeln!(out, "switch       calls through MCP have `{}`", switch.fields())?;
    }
    let annotations = entry.annotations;
    let promises = [
        (annotations.read_only, "readOnlyHint"),
        (annotations.destructive, "destructiveHint"),
        (annotations.idempotent, "idempotentHint"),
        (annotations.open_world, "openWorldHint"),
    ];
    let promises: Vec<&str> =
        promises.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    writeln!(out, "annotations  {}", promises.join(", "))?;
    for (topic, hint) in entry.hints() {
        writeln!(out, "hint         {}: {}", line(topic), line(hint))?;
    }
    if let Some(tool) = entry.tool().filter(|tool| !tool.depends_on.is_empty()) {
        writeln!(out, "needs        {}", tool.depends_on.join(", "))?;
    }
    write_arguments(entry, out)?;
    let schema = Value::Object((*entry.input_schema).clone());
    writeln!(out, "\n{NAME}Input schema{NAME:#}\n{}", json(&format!("{schema:#}")))?;
    if let Some(returns) = entry.returns() {
        let listed = if entry.output.is_some() { "" } else { " (not listed for hosts)" };
        let returns = format!("{returns:#}");
        writeln!(out, "\n{NAME}Result{NAME:#}{listed}\n{}", json(&returns))?;
    }
    for example in examples(entry) {
        let (name, description) = (line(&example.name), line(&example.description));
        writeln!(out, "\n{NAME}Example: {name}{NAME:#}\n{description}")?;
        writeln!(out, "{}", example.code.trim_end())?;
    }
    Ok(())
}

/// Returns which credentials the descriptor of a tool gets, and where they go.
fn flows(app: &App, entry: &Entry) -> Vec<Flow> {
    app.backends.get(entry.backend.0).map(LoadedBackend::flows).unwrap_or_default()
}

/// Says which edition of the descriptor is loaded, as far as it says so itself.
fn edition(entry: &Entry) -> String {
    let Descriptor { name, version, date, .. } = entry.descriptor();
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let date = date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
    if version.is_empty() && date.is_empty() {
        return String::new();
    }
    format!(" (descriptor {name}{version}{date})")
}

/// Returns the examples whose code mentions the operation.
fn examples(entry: &Entry) -> impl Iterator<Item = &Example> {
    let name = entry.declared_name();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    entry.descriptor().examples.iter().filter(move |example| {
        example.code.match_indices(name).any(|(at, _)| {
            let (before, rest) = example.code.split_at_checked(at).unwrap_or_default();
            let after = rest.get(name.len()..).unwrap_or_default();
            !before.ends_with(is_word) && !after.starts_with(is_word)
        })
    })
}

fn write_arguments(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    if entry.params.is_empty() {
        return writeln!(out, "\nIt takes no arguments.");
    }
    writeln!(out, "\n{NAME}Arguments{NAME:#}")?;
    for parameter in entry.params.iter() {
        let param = &parameter.param;
        let required = if param.required { ", required" } else { "" };
        let default = match &param.default {
            Some(value) => format!(", default {value}"),
            None => String::new(),
        };
        write!(
            out,
            "  {NAME}{}{NAME:#} ({}{required}{default})",
            parameter.property,
            param.kind.schema_type()
        )?;
        match &param.description {
            Some(description) => writeln!(out, "  {}", line(description))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// Returns the file and the line of a tool.
fn defined_in(app: &App, entry: &Entry) -> String {
    let Some(LoadedBackend { source, .. }) = app.backends.get(entry.backend.0) else {
        return String::new();
    };
    match place_of(source, entry) {
        Some(at) => format!("{}:{}", source.name_at(at), source.position(at).line),
        None => source.name().to_owned(),
    }
}

/// Finds the line where the key of an operation is, as its offset. The checked model keeps no
/// places; the key is the first of its name after `tools:` or `composites:`, except in a descriptor
/// that is written very oddly. Fragments are behind the file.
fn place_of(source: &Source, entry: &Entry) -> Option<usize> {
    let is_key = |line: &str, key: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix(['"', '\'']).unwrap_or(line);
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let section = match entry.operation() {
        Operation::Tool(_) => "tools",
        Operation::Composite(_) => "composites",
    };
    let name = entry.declared_name();
    let mut at = 0;
    let mut lines = source.text().split_inclusive('\n').map(|line| {
        at += line.len();
        (at - line.len(), line)
    });
    // A fragment may have all tools, and then no such key.
    let has_section = source.text().lines().any(|line| is_key(line, section));
    lines.find(|(_, line)| !has_section || is_key(line, section))?;
    lines.find(|(_, line)| is_key(line, name)).map(|(at, _)| at)
}
