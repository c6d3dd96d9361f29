//! `list`: the tools, as a table for people and as JSON for programs.

use std::io::Write as _;

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets::NOTHING};
use serde_json::{Value, json};

use super::{args::ListArgs, console::Console, exit::Exit, failure::Failure, load};
use crate::{
    access::{Decision, UNCLASSIFIED},
    call::Door,
    catalog::{Entry, Operation},
    config::env_vars::Environment,
    descriptor::model::Access,
    text::line,
};

/// Longer request lines are cut, so that a description has room.
const REQUEST_WIDTH: u16 = 48;

/// Lists the tools.
pub(super) fn run(
    args: &ListArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let app = load::app(&args.backends, environment, Door::Terminal)?;
    let catalog = app.gate.catalog();
    let entries: Vec<&Entry> =
        if args.all { catalog.entries().iter().collect() } else { catalog.listed().collect() };
    if args.json || !console.out_is_terminal {
        console.json(&entries.iter().map(|entry| summary(entry)).collect())?;
        return Ok(Exit::Ok);
    }
    if !entries.is_empty() {
        let width = console.width();
        writeln!(console.out, "{}", table(&entries, width))?;
    }
    let hidden = catalog.entries().len() - entries.len();
    if hidden > 0 {
        console.note(&format!("{hidden} more are not allowed; --all shows them"))?;
    }
    Ok(Exit::Ok)
}

/// Describes a tool for a program.
pub(super) fn summary(entry: &Entry) -> Value {
    let mut summary = json!({
        "name": entry.name,
        "backend": &*entry.backend_name,
        "access": level(entry),
    });
    let how = match entry.operation() {
        Operation::Tool(tool) => {
            let mut how = json!({ "method": tool.method().as_str(), "path": tool.path().as_str() });
            if let (Some(rpc), Some(how)) = (tool.rpc(), how.as_object_mut()) {
                how.insert("rpc_method".to_owned(), rpc.method.as_str().into());
            }
            how
        }
        Operation::Composite(composite) => json!({ "composite_of": composite.calls }),
    };
    let rest = json!({
        "description": entry.description,
        "allowed": entry.decision == Decision::Allow,
    });
    for part in [how, rest] {
        if let (Some(summary), Value::Object(part)) = (summary.as_object_mut(), part) {
            summary.extend(part);
        }
    }
    if let (Decision::Deny(denial), Some(summary)) = (&entry.decision, summary.as_object_mut()) {
        summary.insert("reason".to_owned(), denial.to_string().into());
        let remedy = denial.remedy(&entry.backend_name, entry.declared_name());
        summary.insert("remedy".to_owned(), remedy.into());
    }
    summary
}

/// Returns the word for the access level of a tool.
pub(super) fn level(entry: &Entry) -> &str {
    entry.access().map_or(UNCLASSIFIED, Access::as_str)
}

fn table(entries: &[&Entry], width: u16) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table.set_header(["TOOL", "ACCESS", "REQUEST", "DESCRIPTION"]);
    for entry in entries {
        let description = match &entry.decision {
            Decision::Allow => first_line(&entry.description).to_owned(),
            Decision::Deny(denial) => {
                format!("{denial}; {}", denial.remedy(&entry.backend_name, entry.declared_name()))
            }
        };
        let request = entry.operation().summary();
        // The width of a cell is that of what is shown.
        let cells = [entry.name.as_str(), level(entry), &request, &description];
        let mut row = Row::from(cells.map(line));
        // A denial is worth its lines: the remedy is at its end.
        if entry.decision == Decision::Allow {
            row.max_height(1);
        }
        table.add_row(row);
    }
    for (column, constraint) in table.column_iter_mut().zip([
        ColumnConstraint::ContentWidth,
        ColumnConstraint::ContentWidth,
        ColumnConstraint::UpperBoundary(Width::Fixed(REQUEST_WIDTH)),
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
