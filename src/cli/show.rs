//! `show`: all about one tool, or what is known of a resource or prompt of another MCP server.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use dadl_descriptor::{
    model::{Descriptor, WorkedExample},
    source::SourceText,
};
use dadl_text::text::{one_line, shown_json};
use serde_json::{Value, json};

use super::{
    args::ShowArgs,
    console::{BAD, Console, GOOD, NAME},
    exit::ExitReason,
    failure::CliFailure,
    flags::BackendFlags,
    list, load, server_contents, show_overrides,
    wrap::{display_width, wrap_text},
};
use crate::{
    access::{AccessDecision, AccessDenial},
    app::{App, CredentialFlow, LoadedBackend},
    catalog::{CatalogEntry, CatalogOperation, ProposedHints, ServerTool},
    config::env_vars::Environment,
    gate::CallRefusal,
};

/// The column in which facts begin.
const FACT: usize = 13;

/// Shows a tool.
pub(super) async fn run(
    args: &ShowArgs,
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
    let catalog = app.gate.catalog();
    let Some(entry) = catalog.find(&args.tool) else {
        if let Some(found) = server_contents::find(catalog.contents(), &args.tool) {
            server_contents::write_one(&found, args.json, console)?;
            return Ok(ExitReason::Ok);
        }
        let nearest = catalog.nearest_of_all(&args.tool).map(str::to_owned);
        return Err(CallRefusal::UnknownTool { name: args.tool.clone(), nearest }.into());
    };
    if args.json || !console.out_is_terminal {
        console.print_json(&entry_details(app, entry))?;
    } else {
        let width = console.out_width();
        write_entry(
            app,
            entry,
            args,
            &mut ToolPage { out: &mut *console.out, width, flags: &console.flags },
        )?;
    }
    Ok(ExitReason::Ok)
}

/// Describes a tool for a program.
fn entry_details(app: &App, entry: &CatalogEntry) -> Value {
    let annotations = entry.listed_annotations();
    let mut details = list::entry_summary(entry);
    let more = json!({
        "title": entry.title,
        "annotations": {
            "readOnlyHint": annotations.read_only,
            "destructiveHint": annotations.destructive,
            "idempotentHint": annotations.idempotent,
            "openWorldHint": annotations.open_world,
        },
        "inputSchema": entry.input_schema(),
        "definedIn": defined_in(app, entry),
        "credentials": credential_flows(app, entry).iter().map(CredentialFlow::to_json).collect::<Vec<_>>(),
        "descriptor": {
            "name": entry.descriptor().name,
            "version": entry.descriptor().version,
            "date": entry.descriptor().date,
        },
        "dependsOn": entry.tool().map(|tool| tool.depends_on.as_slice()).unwrap_or_default(),
        "switch": entry.descriptor().switch.as_ref().map(|switch| switch.fields()),
        "returns": entry.returns(),
        "outputSchema": entry.output.as_ref().map(|output| (**output.schema()).clone()),
        "examples": entry_examples(entry).map(|example| json!({
            "name": example.name, "description": example.description, "code": example.code,
        })).collect::<Vec<_>>(),
        "hints": entry.hints().iter().cloned().map(|(topic, hint)| (topic, hint.into()))
            .collect::<serde_json::Map<_, _>>(),
    });
    if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more);
        details.extend(entry.server_tool().map(|tool| ("server".to_owned(), server_details(tool))));
        let fields = show_overrides::details(entry);
        details.extend(fields.map(|fields| ("overridden".to_owned(), fields)));
    }
    details
}

/// Describes what a server says of its tool, word for word.
fn server_details(tool: &ServerTool) -> Value {
    let ProposedHints { read_only, destructive, idempotent, open_world } = tool.proposed;
    json!({
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": &*tool.input_schema,
        "outputSchema": tool.output_schema.as_deref(),
        "annotations": {
            "readOnlyHint": read_only,
            "destructiveHint": destructive,
            "idempotentHint": idempotent,
            "openWorldHint": open_world,
        },
    })
}

/// Says how a server says that its tool behaves; it does not decide.
fn proposed_words(proposed: ProposedHints) -> String {
    let ProposedHints { read_only, destructive, idempotent, open_world } = proposed;
    let hints = [
        (read_only, "readOnlyHint"),
        (destructive, "destructiveHint"),
        (idempotent, "idempotentHint"),
        (open_world, "openWorldHint"),
    ];
    let said = hints.iter().filter_map(|(hint, name)| hint.map(|hint| format!("{name}: {hint}")));
    let said = said.collect::<Vec<_>>().join(", ");
    if said.is_empty() {
        "nothing of how it behaves".to_owned()
    } else {
        format!("{said} (the level is yours)")
    }
}

/// Where a tool is described for a person.
struct ToolPage<'console> {
    out: &'console mut dyn Write,
    width: Option<usize>,
    flags: &'console BackendFlags,
}

impl ToolPage<'_> {
    /// Writes what is known under a word.
    fn fact(&mut self, word: &str, text: &str) -> io::Result<()> {
        let text = wrap_text(text, self.width, FACT, FACT);
        writeln!(self.out, "{word:<FACT$}{text}")
    }
}

fn write_entry(
    app: &App,
    entry: &CatalogEntry,
    args: &ShowArgs,
    page: &mut ToolPage<'_>,
) -> io::Result<()> {
    writeln!(page.out, "{NAME}{}{NAME:#}  {}", entry.name, entry.title)?;
    writeln!(page.out, "\n{}\n", wrap_text(&entry.description, page.width, 0, 0))?;
    write_access(entry, page)?;
    if let Some(absence) = &entry.absence {
        page.fact("server", &absence.lack().to_string())?;
    }
    page.fact("backend", &format!("{}{}", entry.backend_name, api_edition(entry)))?;
    match entry.operation() {
        CatalogOperation::Tool(_) => page.fact("request", &entry.operation().summary())?,
        CatalogOperation::Composite(composite) => {
            page.fact("composite", &format!("may call {}", composite.calls.join(", ")))?;
            page.fact("time limit", &format!("{} s", composite.timeout.as_secs_f64()))?;
        }
        CatalogOperation::Server(tool) => {
            page.fact("MCP server", &format!("its tool {}", one_line(&tool.name)))?;
            page.fact("it says", &proposed_words(tool.proposed))?;
        }
    }
    if entry.server_tool().is_none() {
        page.fact("defined in", &defined_in(app, entry))?;
    }
    for flow in credential_flows(app, entry) {
        page.fact("credential", &flow.to_string())?;
    }
    if let Some(switch) = &entry.descriptor().switch {
        page.fact("switch", &format!("calls through MCP have `{}`", switch.fields()))?;
    }
    let annotations = entry.listed_annotations();
    let promises = [
        (annotations.read_only, "readOnlyHint"),
        (annotations.destructive, "destructiveHint"),
        (annotations.idempotent, "idempotentHint"),
        (annotations.open_world, "openWorldHint"),
    ];
    let promises: Vec<&str> =
        promises.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    page.fact("annotations", &promises.join(", "))?;
    for line in show_overrides::lines(entry) {
        page.fact("override", &line)?;
    }
    for (topic, hint) in entry.hints() {
        page.fact("hint", &format!("{}: {}", one_line(topic), one_line(hint)))?;
    }
    if let Some(tool) = entry.tool().filter(|tool| !tool.depends_on.is_empty()) {
        page.fact("needs", &tool.depends_on.join(", "))?;
    }
    write_arguments(entry, page)?;
    if args.schema {
        write_schemas(entry, page.out)?;
    }
    write_examples(entry, args.examples, page)?;
    if !args.schema {
        let more = page.flags.command(&format!("show {} --schema", entry.name));
        let more = format!("`{more}` shows the schemas of the arguments and of the result.");
        writeln!(page.out, "\n{}", wrap_text(&more, page.width, 0, 0))?;
    }
    Ok(())
}

fn write_access(entry: &CatalogEntry, page: &mut ToolPage<'_>) -> io::Result<()> {
    let level = list::access_level(entry);
    let AccessDecision::Deny(denial) = &entry.decision else {
        return writeln!(page.out, "{:<FACT$}{level} ({GOOD}allowed{GOOD:#})", "access");
    };
    writeln!(page.out, "{:<FACT$}{level} ({BAD}denied{BAD:#}: {denial})", "access")?;
    let remedy = match denial {
        AccessDenial::Bound { level } => format!("add `{}`", page.flags.allowing(level)),
        denial => denial.remedy(&entry.backend_name, entry.declared_name()),
    };
    page.fact("", &format!("to allow it: {remedy}"))
}

fn write_schemas(entry: &CatalogEntry, out: &mut dyn Write) -> io::Result<()> {
    let schema = Value::Object(entry.input_schema());
    writeln!(out, "\n{NAME}Input schema{NAME:#}\n{}", shown_json(&format!("{schema:#}")))?;
    if let Some(returns) = entry.returns() {
        let listed = if entry.output.is_some() { "" } else { " (not listed for hosts)" };
        let returns = format!("{returns:#}");
        writeln!(out, "\n{NAME}Result{NAME:#}{listed}\n{}", shown_json(&returns))?;
    }
    Ok(())
}

/// Writes the examples, or their names and how to see the rest: the code of one may fill screens.
fn write_examples(
    entry: &CatalogEntry,
    with_code: bool,
    page: &mut ToolPage<'_>,
) -> io::Result<()> {
    if with_code {
        for example in entry_examples(entry) {
            let (name, description) = (one_line(&example.name), one_line(&example.description));
            let description = wrap_text(&description, page.width, 0, 0);
            writeln!(page.out, "\n{NAME}Example: {name}{NAME:#}\n{description}")?;
            writeln!(page.out, "{}", example.code.trim_end())?;
        }
        return Ok(());
    }
    let names: Vec<Cow<'_, str>> =
        entry_examples(entry).map(|example| one_line(&example.name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let command = page.flags.command(&format!("show {} --examples", entry.name));
    let text = format!("{} (`{command}` shows their code)", names.join(", "));
    let text = wrap_text(&text, page.width, "Examples: ".len(), 2);
    writeln!(page.out, "\n{NAME}Examples:{NAME:#} {text}")
}

/// Returns which credentials the descriptor of a tool gets, and where they go.
fn credential_flows(app: &App, entry: &CatalogEntry) -> Vec<CredentialFlow> {
    app.backend(entry.backend.0).map(LoadedBackend::flows).unwrap_or_default()
}

/// Says which edition of the descriptor is loaded, as far as it says so itself.
fn api_edition(entry: &CatalogEntry) -> String {
    let Descriptor { name, version, date, .. } = entry.descriptor();
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let date = date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
    if version.is_empty() && date.is_empty() {
        return String::new();
    }
    format!(" (descriptor {name}{version}{date})")
}

/// Returns the examples whose code mentions the operation.
fn entry_examples(entry: &CatalogEntry) -> impl Iterator<Item = &WorkedExample> {
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

fn write_arguments(entry: &CatalogEntry, page: &mut ToolPage<'_>) -> io::Result<()> {
    if entry.given_params().next().is_none() {
        return writeln!(page.out, "\nIt takes no arguments.");
    }
    writeln!(page.out, "\n{NAME}Arguments{NAME:#}")?;
    for parameter in entry.given_params() {
        let param = &parameter.param;
        let required = if param.required { ", required" } else { "" };
        let default = match &param.default {
            Some(value) => format!(", default {value}"),
            None => String::new(),
        };
        let description = param.description.as_deref().map(one_line).unwrap_or_default();
        let text = format!("({}{required}{default})  {description}", param.kind);
        let first = display_width(&parameter.property) + 3;
        let text = wrap_text(text.trim_end(), page.width, first, 6);
        writeln!(page.out, "  {NAME}{}{NAME:#} {text}", parameter.property)?;
    }
    Ok(())
}

/// Returns the file and the line of a tool.
fn defined_in(app: &App, entry: &CatalogEntry) -> String {
    let Some(backend) = app.backend(entry.backend.0) else {
        return String::new();
    };
    let source = backend.whole_source();
    match place_of(&source, entry) {
        Some(at) => format!("{}:{}", source.name_at(at), source.position(at).line),
        None => source.name().to_owned(),
    }
}

/// Finds the line where the key of an operation is, as its offset. The checked model keeps no
/// places; the key is the first of its name after `tools:` or `composites:`, except in a descriptor
/// that is written very oddly. Fragments are behind the file.
fn place_of(source: &SourceText, entry: &CatalogEntry) -> Option<usize> {
    let is_key = |line: &str, key: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix(['"', '\'']).unwrap_or(line);
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let section = match entry.operation() {
        CatalogOperation::Tool(_) => "tools",
        CatalogOperation::Composite(_) => "composites",
        CatalogOperation::Server(_) => return None,
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

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use clap::Parser as _;

    use super::*;
    use crate::{
        catalog::fixture,
        cli::args::{Cli, CliCommand},
        config::{ConfirmPolicy, OperatorLimits, Surface},
        executor::Executor,
        files::FileStore,
        gate::Gate,
        http::backend::Backend,
    };

    #[test]
    fn a_tool_of_a_server_is_shown_with_what_its_server_says() {
        let all = json!([{
            "name": "get log", "title": "Log", "description": "The\u{202e} log.",
            "inputSchema": { "properties": { "n": { "$ref": "#/$defs/N" } }, "$defs": { "N": { "type": "integer" } } },
            "annotations": { "readOnlyHint": false },
        }]);
        let catalog = Arc::new(fixture::server_catalog(&all, &[("get*", "read")], &["read"]));
        let app = App {
            profiles: Vec::new(),
            origin: None,
            gate: Gate::new(Arc::clone(&catalog), vec![ConfirmPolicy::Ask]),
            executor: Executor::new(Vec::<Backend>::new(), FileStore::new(PathBuf::new())),
            backends: Vec::new(),
            limits: OperatorLimits::default(),
            surface: Surface::default(),
            warnings: Vec::new(),
            offers: Vec::new(),
        };
        let entry = &catalog.entries()[0];
        let details = entry_details(&app, entry);
        // What hosts see, and what came.
        assert_eq!(details["inputSchema"]["properties"]["n"], json!({ "type": "integer" }));
        assert_eq!(details["server"]["inputSchema"], all[0]["inputSchema"]);
        assert_eq!(details["server"]["description"], "The\u{202e} log.");
        assert_eq!(details["server"]["annotations"]["readOnlyHint"], false);
        assert_eq!(details["annotations"]["readOnlyHint"], true);
        let mut out = Vec::new();
        let flags = BackendFlags::default();
        let command = ["dadl-mcp", "show", "get_log"];
        let CliCommand::Show(args) = Cli::try_parse_from(command).unwrap().command else {
            panic!("{command:?}")
        };
        write_entry(
            &app,
            entry,
            &args,
            &mut ToolPage { out: &mut out, width: Some(100), flags: &flags },
        )
        .unwrap();
        let shown = String::from_utf8(out).unwrap();
        for expected in [
            "Log\n\nThe log.\n",
            "MCP server   its tool get log\n",
            "it says      readOnlyHint: false (the level is yours)\n",
        ] {
            assert!(shown.contains(expected), "{shown}");
        }
        assert!(!shown.contains("defined in   \n") && !shown.contains("request"), "{shown}");
    }
}
