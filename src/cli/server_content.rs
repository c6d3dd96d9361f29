//! Prints what a tool of another MCP server gave: words as they are, and files, links and values each in
//! its way. Bytes were saved; none are printed.

use std::io::{self, Write as _};

use serde_json::Value;

use super::console::Console;
use crate::outcome::{
    JsonText, SavedFile,
    content::{ContentPart, ServerContent, TextPart},
};

/// A value whose tree would take more is printed as it came, in bytes.
const LARGEST_TREE: u64 = 16 * 1024 * 1024;

/// Prints content: for a person block by block, for a program as one value.
pub(super) fn print_content(
    content: ServerContent,
    as_json: bool,
    console: &mut Console,
) -> io::Result<()> {
    let is_nothing = content.blocks.is_empty() && content.structured.is_none();
    if is_nothing && !as_json {
        return console.print_note("done, without content");
    }
    let is_words = content.structured.is_none()
        && content.blocks.iter().all(|block| matches!(block, ContentPart::Text(_)));
    if as_json || !is_words && !console.out_is_terminal {
        return print_json(&content.into_json(), console);
    }
    let ServerContent { blocks, structured } = content;
    for block in blocks {
        match block {
            ContentPart::Text(TextPart { text, .. }) => {
                let end = if text.ends_with('\n') { "" } else { "\n" };
                write!(console.out, "{text}{end}")?;
            }
            ContentPart::File(kind, SavedFile { path, size, content_type, .. }) => {
                let path = path.display();
                writeln!(console.out, "{kind} ({size} bytes, {content_type}) saved to {path}")?;
            }
            ContentPart::Media(media) => {
                let (kind, size) = (media.kind.block_type(), media.size());
                writeln!(console.out, "{kind} ({size} bytes, {})", media.content_type)?;
            }
            ContentPart::Link(link) => {
                let link = link.value().unwrap_or_default();
                let text = |key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default();
                writeln!(console.out, "{} ({})", text("uri"), text("name"))?;
            }
            ContentPart::Resource(block) => {
                let member = |name: &str| block.member(&["resource", name]);
                let text = |name: &str| member(name).and_then(|it| it.value().ok());
                let words = |it: Option<Value>| it.and_then(|it| it.as_str().map(str::to_owned));
                let uri = words(text("uri")).unwrap_or_default();
                let words = words(text("text")).unwrap_or_default();
                writeln!(console.out, "{uri}:\n{words}")?;
            }
            ContentPart::Other(json) => print_json(&json, console)?,
        }
    }
    match structured {
        Some(value) => print_json(&value, console),
        None => Ok(()),
    }
}

fn print_json(json: &JsonText, console: &mut Console) -> io::Result<()> {
    let is_pretty = console.out_is_terminal && json.tree_cost() <= LARGEST_TREE;
    match is_pretty.then(|| json.value()) {
        Some(Ok(value)) => console.print_json(&value),
        // As it came: a script gets every digit.
        _ => console.json_text(json.as_str()),
    }
}
