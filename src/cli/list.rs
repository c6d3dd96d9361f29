//! `list`: the tools, as a table for people and as JSON for programs.

use std::{
    borrow::Cow,
    io::{self, Write as _},
};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets::NOTHING};
use dadl_descriptor::model::AccessLevel;
use dadl_text::text::{about_tokens, one_line};
use serde_json::{Value, json};

use super::{
    args::ListArgs,
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    load,
    proposed_levels::{ProposedLevels, proposal},
    served_profile::exposed_names,
    server_contents,
    wrap::{CUT, display_width, fit_width, pad_width, wrap_text},
};
use crate::{
    access::{AccessDecision, AccessDenial, UNCLASSIFIED},
    app::App,
    catalog::{CatalogEntry, CatalogOperation, UnlistedReason},
    config::{Surface, env_vars::Environment},
    mcp::{ListedTool, ShownTools},
};

/// Longer request lines are cut, so that a description has room.
const REQUEST_WIDTH: u16 = 48;
/// Longer names push what is behind them.
const MOST_NAME: usize = 32;
/// A terminal of this width has room for a description beside the request.
const ROOMY: usize = 110;
const INDENT: &str = "    ";
/// What a composite is for that no list has.
const FOR_QUESTIONS: &str = "shown in questions before dangerous calls";

/// Lists the tools.
pub(super) async fn run(
    args: &ListArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let loaded =
        load::open_backends(&args.backends, args.simulated, environment, load::ServersNeeded::All)
            .await?;
    let app = &loaded.app;
    let catalog = app.gate.catalog();
    if args.tokens {
        write_tokens(&list_sizes(app), args.json, console)?;
        return Ok(ExitReason::Ok);
    }
    if args.resources || args.prompts {
        let contents = catalog.contents();
        let items = match args.resources {
            true => server_contents::resources(contents),
            false => server_contents::prompts(contents),
        };
        server_contents::write_list(&items, args.json, console)?;
        return Ok(ExitReason::Ok);
    }
    let entries: Vec<&CatalogEntry> =
        if args.all { catalog.entries().iter().collect() } else { catalog.listed().collect() };
    if args.json || !console.out_is_terminal {
        console.print_json(&entries.iter().map(|entry| entry_summary(entry)).collect())?;
        return Ok(ExitReason::Ok);
    }
    if !entries.is_empty() {
        write_table(&entries, args.all, console)?;
    }
    if args.all {
        write_proposals(app, console)?;
    }
    if !args.all {
        let absent = catalog.left_out().count();
        let is_shown = |entry: &&CatalogEntry| entry.is_listed() || entry.is_unlisted();
        let denied = catalog.entries().len() - catalog.entries().iter().filter(is_shown).count();
        let denied = denied.saturating_sub(absent);
        let denied = (denied > 0).then(|| format!("{denied} more are not allowed"));
        let absent = (absent > 0).then(|| format!("{absent} more the server lacks or may lack"));
        let hidden: Vec<String> = denied.into_iter().chain(absent).collect();
        if !hidden.is_empty() {
            console.print_note(&format!("{}; --all shows them", hidden.join(", ")))?;
        }
        let contents = catalog.contents();
        let resources = contents.resources().count() + contents.templates().count();
        let counts = [(resources, "resources"), (contents.prompts().count(), "prompts")];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            console.print_note(&format!("{count} {what} of MCP servers; --{what} shows them"))?;
        }
    }
    Ok(ExitReason::Ok)
}

/// Writes which levels other MCP servers propose for their tools that have none.
fn write_proposals(app: &App, console: &mut Console) -> io::Result<()> {
    let width = console.out_width().unwrap_or(ROOMY);
    for backend in app.backends.iter().filter(|backend| backend.server().is_some()) {
        let name = &backend.settings.name;
        let entries = app.gate.catalog().entries().iter();
        let of_backend = entries.filter(|entry| *entry.backend_name == **name);
        let Some(proposed) = ProposedLevels::of(of_backend) else { continue };
        let told = format!("backend `{name}`: {proposed}");
        writeln!(console.out, "\n{}", wrap_text(&told, Some(width), 0, 2))?;
        if let Some(yaml) = proposed.yaml() {
            // It is to be pasted: on one line.
            writeln!(console.out, "{INDENT}{yaml}")?;
        }
        if let Some(doubts) = proposed.doubts() {
            writeln!(console.out, "  {}", wrap_text(&doubts, Some(width), 2, 2))?;
        }
    }
    Ok(())
}

/// What a list of tools costs.
struct ListSize {
    /// The surface, or a backend.
    name: String,
    tools: usize,
    tokens: usize,
}

/// Returns what the list of each surface costs, and of `tools` each backend's part.
fn list_sizes(app: &App) -> Vec<ListSize> {
    let gate = &app.gate;
    let mut sizes = Vec::new();
    for surface in [Surface::Tools, Surface::Compact] {
        let shown = ShownTools { surface, exposed: exposed_names(app) };
        let texts = shown.texts(gate);
        let tokens = texts.iter().map(tokens_of).sum();
        sizes.push(ListSize { name: surface.to_string(), tools: texts.len(), tokens });
        if surface == Surface::Compact {
            continue;
        }
        let mut of_backends: Vec<ListSize> = Vec::new();
        for listing in &texts {
            let Some(entry) = gate.catalog().find(&listing.name) else { continue };
            let tokens = tokens_of(listing);
            match of_backends.iter_mut().find(|it| it.name == *entry.backend_name) {
                Some(size) => {
                    size.tools += 1;
                    size.tokens += tokens;
                }
                None => {
                    let name = entry.backend_name.to_string();
                    of_backends.push(ListSize { name, tools: 1, tokens });
                }
            }
        }
        sizes.append(&mut of_backends);
    }
    sizes
}

/// Returns about how many tokens a model reads of a tool.
fn tokens_of(tool: &ListedTool) -> usize {
    [&tool.name, &tool.description, &tool.schema].into_iter().map(|text| about_tokens(text)).sum()
}

/// Writes what lists cost: names, descriptions and schemas of arguments.
fn write_tokens(sizes: &[ListSize], json: bool, console: &mut Console) -> io::Result<()> {
    if json || !console.out_is_terminal {
        let all = sizes
            .iter()
            .map(|it| json!({ "list": it.name, "tools": it.tools, "tokens": it.tokens }));
        return console.print_json(&all.collect());
    }
    for ListSize { name, tools, tokens } in sizes {
        let each = tokens.checked_div(*tools).unwrap_or_default();
        let name = pad_width(name, TOKENS_NAME);
        writeln!(console.out, "{name} {tools:>5} tools {tokens:>7} tokens {each:>5} a tool")?;
    }
    Ok(())
}

/// The column in which the numbers begin.
const TOKENS_NAME: usize = 20;

/// Describes a tool for a program.
pub(super) fn entry_summary(entry: &CatalogEntry) -> Value {
    let mut summary = json!({
        "name": entry.name,
        "backend": &*entry.backend_name,
        "access": access_level(entry),
    });
    let how = match entry.operation() {
        CatalogOperation::Tool(tool) => {
            let mut how = json!({ "method": tool.method().as_str(), "path": tool.path().as_str() });
            if let (Some(rpc), Some(how)) = (tool.rpc(), how.as_object_mut()) {
                how.insert("rpc_method".to_owned(), rpc.method.as_str().into());
            }
            how
        }
        CatalogOperation::Composite(composite) => json!({ "composite_of": composite.calls }),
        CatalogOperation::Server(tool) => json!({ "server_tool": tool.name }),
    };
    let rest = json!({
        "description": entry.description,
        "allowed": entry.decision == AccessDecision::Allow,
    });
    for part in [how, rest] {
        if let (Some(summary), Value::Object(part)) = (summary.as_object_mut(), part) {
            summary.extend(part);
        }
    }
    if let (AccessDecision::Deny(denial), Some(summary)) =
        (&entry.decision, summary.as_object_mut())
    {
        summary.insert("reason".to_owned(), denial.to_string().into());
        let remedy = denial.remedy(&entry.backend_name, entry.declared_name());
        summary.insert("remedy".to_owned(), remedy.into());
    } else if let (Some(absence), Some(summary)) = (&entry.absence, summary.as_object_mut()) {
        let lack = absence.lack();
        let known = match absence {
            UnlistedReason::Lacking(_) => "lacking",
            UnlistedReason::Unknown(_) => "unknown",
        };
        summary.insert("listed".to_owned(), false.into());
        summary.insert("fit".to_owned(), known.into());
        summary.insert("reason".to_owned(), lack.to_string().into());
        summary.insert("remedy".to_owned(), lack.remedy.clone().into());
    } else if let (true, Some(summary)) = (entry.is_unlisted(), summary.as_object_mut()) {
        summary.insert("listed".to_owned(), false.into());
        summary.insert("reason".to_owned(), FOR_QUESTIONS.into());
    }
    if let (Some(level), Some(summary)) = (proposal(entry), summary.as_object_mut()) {
        summary.insert("proposed_by_server".to_owned(), level.into());
    }
    if let (Some(said), Some(summary)) = (entry.overridden(), summary.as_object_mut()) {
        summary.insert("overridden".to_owned(), said.keys().into());
        summary.insert("declared_name".to_owned(), entry.declared_name().into());
    }
    summary
}

/// Returns the word for the access level of a tool.
pub(super) fn access_level(entry: &CatalogEntry) -> &str {
    entry.access().map_or(UNCLASSIFIED, AccessLevel::as_str)
}

/// What a person reads about one tool, each part on one line.
struct ToolRow<'entry> {
    name: Cow<'entry, str>,
    /// The level, and where the reason of a denial stands.
    access: String,
    request: String,
    description: Cow<'entry, str>,
}

/// Writes the tools for a person, and below them why some of them may not be called.
fn write_table(
    entries: &[&CatalogEntry],
    with_overrides: bool,
    console: &mut Console,
) -> io::Result<()> {
    let width = console.out_width().unwrap_or(ROOMY);
    let mut reasons: Vec<String> = Vec::new();
    let mut rows: Vec<ToolRow<'_>> =
        entries.iter().map(|entry| tool_row(entry, console, &mut reasons)).collect();
    if with_overrides {
        for (entry, row) in entries.iter().zip(&mut rows) {
            let Some(said) = entry.overridden() else { continue };
            let (keys, backend) = (said.keys().join(", "), &entry.backend_name);
            let note = format!("from `overrides` of backend `{backend}`: {keys}");
            row.access = format!("{} ({})", row.access, number_of(note, &mut reasons));
        }
    }
    if width < ROOMY {
        let columns = ColumnWidths::of(&rows, width);
        for line in rows.iter().flat_map(|row| row_lines(row, columns)) {
            writeln!(console.out, "{}", line.trim_end())?;
        }
    } else {
        writeln!(console.out, "{}", tool_table(&rows, width))?;
    }
    for (number, reason) in reasons.iter().enumerate() {
        let mark = format!("({}) ", number + 1);
        let between = if number == 0 { "\n" } else { "" };
        let reason = wrap_text(reason, Some(width), mark.len(), mark.len());
        writeln!(console.out, "{between}{mark}{reason}")?;
    }
    Ok(())
}

/// Collects what is shown of a tool; a reason that other tools have as well stands once.
fn tool_row<'entry>(
    entry: &'entry CatalogEntry,
    console: &Console,
    reasons: &mut Vec<String>,
) -> ToolRow<'entry> {
    let mut access = access_level(entry).to_owned();
    let reason = match (&entry.decision, &entry.absence) {
        (AccessDecision::Deny(denial), _) => {
            let remedy = match denial {
                AccessDenial::Bound { level } => {
                    format!("`{}` allows it", console.flags.allowing(level))
                }
                denial => denial.remedy(&entry.backend_name, "NAME"),
            };
            Some(format!("not allowed: {denial}; {remedy}"))
        }
        (AccessDecision::Allow, Some(absence)) => {
            let lack = absence.lack().of_all();
            Some(format!("not listed: {lack}; a call is sent all the same"))
        }
        (AccessDecision::Allow, None) if entry.is_unlisted() => {
            Some(format!("not listed: {FOR_QUESTIONS}"))
        }
        (AccessDecision::Allow, None) => None,
    };
    if let Some(reason) = reason {
        access = format!("{access} ({})", number_of(reason, reasons));
    }
    ToolRow {
        name: one_line(&entry.name),
        access: one_line(&access).into_owned(),
        request: one_line(&entry.operation().summary()).into_owned(),
        description: one_line(first_line(&entry.description)),
    }
}

/// Returns the number of a remark, which stands once below the table.
fn number_of(remark: String, remarks: &mut Vec<String>) -> usize {
    let at = remarks.iter().position(|it| *it == remark);
    at.unwrap_or_else(|| {
        remarks.push(remark);
        remarks.len() - 1
    }) + 1
}

/// How wide the first columns are.
#[derive(Clone, Copy)]
struct ColumnWidths {
    name: usize,
    access: usize,
    all: usize,
}

impl ColumnWidths {
    fn of(rows: &[ToolRow<'_>], all: usize) -> Self {
        let names = rows.iter().map(|row| display_width(&row.name));
        let levels = rows.iter().map(|row| display_width(&row.access));
        Self {
            name: names.max().unwrap_or_default().min(MOST_NAME),
            access: levels.max().unwrap_or_default(),
            all,
        }
    }
}

/// Lays a tool out for a narrow terminal: name, level and request, and below them the description.
fn row_lines(row: &ToolRow<'_>, columns: ColumnWidths) -> Vec<String> {
    let (name, access) =
        (pad_width(&row.name, columns.name), pad_width(&row.access, columns.access));
    let first = format!("{name}  {access}  ");
    let room = columns.all.saturating_sub(INDENT.len());
    let mut lines =
        match request_within(&row.request, columns.all.saturating_sub(display_width(&first))) {
            Some(request) => vec![format!("{first}{request}")],
            // It is worth a line.
            None => {
                let request = request_within(&row.request, room);
                let request = request.unwrap_or_else(|| fit_width(&row.request, room).into_owned());
                vec![first, format!("{INDENT}{request}")]
            }
        };
    if !row.description.is_empty() {
        lines.push(format!("{INDENT}{}", fit_width(&row.description, room)));
    }
    lines
}

/// Cuts a request so that it fits: what is in the middle of its path goes, never the method or the
/// last part.
fn request_within(request: &str, width: usize) -> Option<String> {
    if display_width(request) <= width {
        return Some(request.to_owned());
    }
    let (method, path) = request.split_once(" /")?;
    let parts: Vec<&str> = path.split('/').collect();
    let (last, before) = parts.split_last()?;
    (0..before.len()).rev().find_map(|kept| {
        let start: String = before.iter().take(kept).flat_map(|part| ["/", part]).collect();
        let shown = format!("{method} {start}/{CUT}/{last}");
        (display_width(&shown) <= width).then_some(shown)
    })
}

fn tool_table(rows: &[ToolRow<'_>], width: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(["TOOL", "ACCESS", "REQUEST", "DESCRIPTION"]);
    for row in rows {
        let request = request_within(&row.request, REQUEST_WIDTH.into());
        let request = request.as_deref().unwrap_or(&row.request);
        // The width of a cell is that of what is shown.
        let mut row = Row::from([&row.name, &*row.access, request, &row.description]);
        row.max_height(1);
        table.add_row(row);
    }
    for (column, constraint) in table.column_iter_mut().zip([
        ColumnConstraint::ContentWidth,
        ColumnConstraint::ContentWidth,
        ColumnConstraint::UpperBoundary(Width::Fixed(REQUEST_WIDTH + 2)),
    ]) {
        column.set_constraint(constraint);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture;

    #[test]
    fn a_tool_of_a_server_has_no_request() {
        let all = json!([
            { "name": "get log", "description": "The\u{202e} log.", "inputSchema": {} },
            { "name": "drop", "inputSchema": {}, "annotations": { "readOnlyHint": true } },
        ]);
        let catalog = fixture::server_catalog(&all, &[("get*", "read")], &["read"]);
        let summaries: Vec<Value> = catalog.entries().iter().map(entry_summary).collect();
        let expected = json!([
            {
                "name": "get_log", "backend": "git", "access": "read", "server_tool": "get log",
                "description": "The log.", "allowed": true,
            },
            {
                "name": "drop", "backend": "git", "access": "unclassified", "server_tool": "drop",
                "description": "tool drop", "allowed": false, "reason": "it has no access level",
                "remedy": "give it one under `levels` of backend `git` in backends.yaml, such as \
                           `drop: read` where it changes nothing",
            },
        ]);
        assert_eq!(Value::from(summaries), expected);
        assert_eq!(catalog.entries()[0].operation().summary(), "tool get log");
    }

    #[test]
    fn a_request_keeps_its_method_and_its_end() {
        let request = "GET /vms/{uuid}/snapshots/{id}/stats";
        let within = |width| request_within(request, width);
        assert_eq!(within(80).as_deref(), Some(request));
        assert_eq!(within(33).as_deref(), Some("GET /vms/{uuid}/snapshots/…/stats"));
        assert_eq!(within(32).as_deref(), Some("GET /vms/{uuid}/…/stats"));
        assert_eq!(within(12).as_deref(), Some("GET /…/stats"));
        assert_eq!(within(11), None);
        assert_eq!(request_within("composite of 2 tools", 10), None);
    }
}
