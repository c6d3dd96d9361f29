//! A JSON value as a person reads it: a list of objects is a table, an object a list of its members.
//!
//! What does not fit is left out and named, so that nobody takes a part for the whole; what has no
//! such form stays JSON.

use std::borrow::Cow;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::NOTHING};
use dadl_text::text::{one_line, shown_json};
use serde_json::{Map, Value};

use super::{
    process_secrets::SECRETS,
    wrap::{display_width, fit_width, pad_width, wrap_text},
};

/// More rows are for a program.
const MOST_ROWS: usize = 10_000;
/// More columns are no table.
const MOST_COLUMNS: usize = 500;
/// A list or an object in a cell is cut here.
const NESTED: usize = 24;
/// A text in a cell is cut here, unless it is what names the row.
const CELL: usize = 40;
/// Columns are so far from each other.
const GAP: usize = 2;
/// Longer names of members push their values.
const MOST_KEY: usize = 30;
/// So many columns that are not shown are named.
const NAMED: usize = 8;
/// What a person calls a thing by; the first of them that there is is never cut.
const NAMES: &[&str] = &["name_label", "name", "title", "label", "hostname", "full_name"];
/// What a further call needs; the same holds.
const IDS: &[&str] = &["id", "uuid", "_id"];
/// Columns that say nothing which the others do not.
const LAST: &[&str] = &["href"];

/// What is written for a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CellText {
    /// Lines, each with its end; none for a list without items.
    pub(super) text: String,
    /// What is to be said about it.
    pub(super) note: Option<String>,
}

/// Returns what a person reads of `value` on a terminal of this width, unless JSON is better.
pub(super) fn cell_text(value: &Value, width: usize) -> Option<CellText> {
    let (text, note) = match value {
        Value::Array(items) if items.is_empty() => {
            (String::new(), Some("the list has no items".to_owned()))
        }
        Value::Array(items) if items.len() > MOST_ROWS => return None,
        Value::Array(items) => {
            if let Some(rows) = items.iter().map(Value::as_object).collect::<Option<Vec<_>>>() {
                render_table(&rows, width)?
            } else if items.iter().all(is_scalar) {
                (items.iter().map(|item| format!("{}\n", scalar_text(item))).collect(), None)
            } else {
                return None;
            }
        }
        Value::Object(members) if members.is_empty() => return None,
        Value::Object(members) => (members_of(members, width), None),
        Value::String(text) => (format!("{}\n", text.trim_end_matches('\n')), None),
        value => (format!("{value}\n"), None),
    };
    Some(CellText { text, note })
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// Writes a value on one line.
fn scalar_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        // What is cut must not be a half of what is hidden.
        Value::String(text) => one_line(&SECRETS.text(text)).into_owned().into(),
        value => SECRETS.text(&shown_json(&value.to_string())).into_owned().into(),
    }
}

/// A column of a table.
struct TableColumn<'rows> {
    key: &'rows str,
    head: Cow<'rows, str>,
    cells: Vec<String>,
    width: usize,
    is_numeric: bool,
    /// Whether it is shown in every case.
    is_name: bool,
}

impl<'rows> TableColumn<'rows> {
    fn new(key: &'rows str, rows: &[&Map<String, Value>], is_name: bool) -> Self {
        let values = || rows.iter().map(|row| row.get(key).unwrap_or(&Value::Null));
        let cells: Vec<String> = values()
            .map(|value| {
                let cell = scalar_text(value);
                let most = if is_scalar(value) { CELL } else { NESTED };
                if is_name { cell.into_owned() } else { fit_width(&cell, most).into_owned() }
            })
            .collect();
        let head = one_line(key);
        let widths = cells.iter().map(String::as_str).chain([&*head]).map(display_width);
        let width = widths.max().unwrap_or_default();
        let is_numeric = values().all(|value| value.is_number() || value.is_null());
        Self { key, head, cells, width, is_numeric, is_name }
    }
}

/// Lays out objects as rows.
fn render_table(rows: &[&Map<String, Value>], width: usize) -> Option<(String, Option<String>)> {
    let mut keys: Vec<&str> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for key in rows.iter().flat_map(|row| row.keys()) {
        if known.insert(key.as_str()) {
            keys.push(key);
        }
    }
    if keys.is_empty() || keys.len() > MOST_COLUMNS {
        return None;
    }
    // A stable sort: otherwise in the order of the answer.
    keys.sort_by_key(|key| LAST.contains(key));
    let name = NAMES.iter().find(|name| keys.contains(name));
    let id = IDS.iter().find(|id| keys.contains(id));
    let is_name = |key: &str| id == Some(&key) || name == Some(&key);
    let columns = keys.iter().map(|key| TableColumn::new(key, rows, is_name(key)));
    let columns: Vec<TableColumn<'_>> = columns.collect();
    let named = columns.iter().filter(|column| column.is_name);
    let mut room = width.saturating_sub(named.map(|column| column.width + GAP).sum());
    let (kept, left): (Vec<_>, Vec<_>) = columns.into_iter().partition(|column| {
        if column.is_name {
            return true;
        }
        // The last column has nothing behind it.
        let fits = column.width <= room;
        room = if fits { room.saturating_sub(column.width + GAP) } else { room };
        fits
    });
    Some((draw_columns(&kept), left_out(&left)))
}

fn draw_columns(columns: &[TableColumn<'_>]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| &*column.head));
    let count = columns.first().map(|column| column.cells.len()).unwrap_or_default();
    for row in 0..count {
        let cells = columns.iter().map(|column| column.cells.get(row).map_or("", String::as_str));
        table.add_row(cells);
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        shown.set_padding((0, u16::try_from(GAP).unwrap_or_default()));
        if column.is_numeric {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn left_out(columns: &[TableColumn<'_>]) -> Option<String> {
    let names: Vec<Cow<'_, str>> = columns.iter().take(NAMED).map(|it| one_line(it.key)).collect();
    let more = if columns.len() > NAMED { ", .." } else { "" };
    let what = match columns.len() {
        0 => return None,
        1 => "1 column is not shown".to_owned(),
        count => format!("{count} columns are not shown"),
    };
    Some(format!("{what}: {}{more}; --json shows all", names.join(", ")))
}

/// Writes a member a line; what is nested and long stands below its name, as JSON.
fn members_of(members: &Map<String, Value>, width: usize) -> String {
    let keys = members.keys().map(|key| display_width(&one_line(key)));
    let column = keys.max().unwrap_or_default().min(MOST_KEY) + GAP;
    let mut text = String::new();
    for (key, value) in members {
        let key = one_line(key);
        let start = if display_width(&key) + GAP > column {
            format!("{key}{}", " ".repeat(GAP))
        } else {
            pad_width(&key, column)
        };
        let first = display_width(&start);
        let room = width.saturating_sub(first);
        let shown = match value {
            Value::String(value) => wrap_text(value.trim_end(), Some(width), first, column),
            value if is_scalar(value) || display_width(&scalar_text(value)) <= room => {
                scalar_text(value).into_owned()
            }
            value => format!("\n{}", shown_json(&format!("{value:#}"))).replace('\n', "\n    "),
        };
        // What begins on the next line leaves nothing behind the name.
        let start = if shown.starts_with('\n') { start.trim_end() } else { &start };
        text.push_str(format!("{start}{shown}").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tests::hostile;

    fn text(value: &Value, width: usize) -> String {
        let CellText { text, note } = cell_text(value, width).unwrap();
        note.map(|note| format!("{text}note: {note}\n")).unwrap_or(text)
    }

    #[test]
    fn objects_are_rows() {
        let vms = json!([
            {"href": "/vms/1", "id": "1", "name_label": "web", "CPUs": 12, "tags": ["a", "b"]},
            {"id": "22", "name_label": "a longer name", "CPUs": 2, "power_state": null},
        ]);
        assert_snapshot!(text(&vms, 80), @r#"
        id  name_label     CPUs  tags       power_state  href
        1   web              12  ["a","b"]               /vms/1
        22  a longer name     2
        "#);
        assert_snapshot!(text(&vms, 30), @r#"
        id  name_label     CPUs
        1   web              12
        22  a longer name     2
        note: 3 columns are not shown: tags, power_state, href; --json shows all
        "#);
    }

    #[test]
    fn what_names_a_row_is_never_cut() {
        let id = "f07ab729-c0e8-721c-45ec-f11276377030";
        let name = "n".repeat(60);
        let rows = json!([{"uuid": id, "name": name, "more": "m".repeat(60), "deep": {"a": "b".repeat(60)}}]);
        let shown = text(&rows, 80);
        assert!(
            shown.contains(id) && shown.contains(&name) && shown.contains("2 columns"),
            "{shown}"
        );
        let wide = text(&rows, 300);
        assert!(wide.contains(&format!("{}…", "m".repeat(39))), "{wide}");
        assert!(wide.contains(r#"{"a":"bbbbbbbbbbbbbbbbb…"#), "{wide}");
    }

    #[test]
    fn an_object_has_a_line_for_each_member() {
        let vm = json!({
            "id": "1", "name_label": "web", "memory": 1024, "note": null,
            "description": "some words that go on for longer than a line has room",
            "tags": ["a"], "disks": [{"id": 1, "name": "a name that is long"}],
        });
        assert_snapshot!(text(&vm, 40), @r#"
        id           1
        name_label   web
        memory       1024
        note
        description  some words that go on for
                     longer than a line has room
        tags         ["a"]
        disks
            [
              {
                "id": 1,
                "name": "a name that is long"
              }
            ]
        "#);
    }

    #[test]
    fn what_is_no_table_is_a_line_each_or_json() {
        assert_eq!(text(&json!(["a", 1, null]), 80), "a\n1\n\n");
        assert_eq!(text(&json!("a\nb\n"), 80), "a\nb\n");
        assert_eq!(text(&json!(true), 80), "true\n");
        assert_eq!(text(&json!([]), 80), "note: the list has no items\n");
        for other in [json!([1, {}]), json!([[1]]), json!({}), json!([{}])] {
            assert_eq!(cell_text(&other, 80), None, "{other}");
        }
        assert_eq!(cell_text(&vec![json!({"a": 1}); MOST_ROWS + 1].into(), 80), None);
    }

    proptest! {
        /// A row is a line, whatever is in its cells.
        #[test]
        fn no_cell_makes_a_line(texts in prop::collection::vec(hostile(), 1..5), width in 20..120_usize) {
            let rows: Value = texts.iter().map(|text| json!({"id": 1, text: text, "b": [text]})).collect();
            let shown = cell_text(&rows, width).unwrap();
            prop_assert_eq!(shown.text.lines().count(), texts.len() + 1);
        }
    }
}
