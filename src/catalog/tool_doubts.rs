//! What an operator should look at in what other MCP servers say of their tools: names that could be taken
//! for others, and texts that say more to a model than to a person.
//!
//! Nothing is decided by it. Texts are cleaned wherever they are shown, and `dadl-mcp pin` holds back what
//! changes; but whoever reads a remark here may not want the server at all.

use std::collections::BTreeMap;

use dadl_text::text::{first_hidden, plain_text, quoted_text};
use serde_json::Value;

use super::{Catalog, CatalogOperation, ServerTools};
use crate::access::AccessDecision;

/// So much of a tool is looked at, in bytes: a longer one is a remark by itself.
const MOST_LOOKED_AT: usize = 256 * 1024;

/// So many characters around a place are quoted.
const AROUND: usize = 40;

/// A quoted text has so many characters.
const LONGEST_QUOTE: usize = 160;

/// A quoted name has so many.
const LONGEST_NAME: usize = 60;

/// So many pairs of backends are told to have the same names.
const MOST_PAIRS: usize = 10;

/// Schemas are followed so far.
const MOST_DEPTH: usize = 64;

/// Tools that hosts and models have of their own; an MCP tool of that name may be called in their place, or
/// is refused. Everyday words are not among them.
const HOST_TOOLS: [&str; 22] = [
    "apply_patch",
    "bash",
    "code_execution",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "notebook_edit",
    "shell",
    "str_replace_based_edit_tool",
    "str_replace_editor",
    "text_editor",
    "todo_write",
    "tool_search",
    "update_plan",
    "view_image",
    "web_fetch",
    "web_search",
    "web_search_preview",
];

/// Words that speak to a model and not about a tool, in lower case.
const STEERING: [&str; 21] = [
    "<important>",
    "<secret>",
    "<system>",
    "</system>",
    "<|im_start|>",
    "[inst]",
    "disregard all previous",
    "disregard previous",
    "do not mention this",
    "do not tell the user",
    "don't tell the user",
    "hide this from the user",
    "ignore all other instructions",
    "ignore all previous",
    "ignore any previous",
    "ignore previous instructions",
    "ignore prior instructions",
    "ignore the above",
    "ignore your instructions",
    "never tell the user",
    "without telling the user",
];

/// Letters of other scripts, and what they are taken for.
const LOOK_ALIKE: [(&str, &str); 3] = [
    ("аеорсухѕіјԁԛԝһӏѵгкптмнвАВЕКМНОРСТУХЅІЈ", "aeopcyxsijdqwhlvrkntmhbABEKMHOPCTYXSIJ"),
    ("αορνικτυχϲεηγωϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aopviktuxcenywjABEZHIKMNOPTYX"),
    ("ıɑɡⅼⅰⅽⅾⅿʏ‐‑‒–—−", "iaglicdmy------"),
];

/// A tool by name, whose may be taken for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedTool {
    /// Its backend.
    pub(crate) backend: String,
    /// What its backend calls it.
    pub(crate) name: String,
    /// Whether a stranger chose the name.
    pub(crate) is_of_server: bool,
}

/// Returns what a person would read a name as: in lower case, with one sign between words, and letters of
/// other scripts as those of ours that look like them.
fn skeleton(name: &str) -> String {
    let mut read = String::with_capacity(name.len());
    for character in plain_text(name).chars() {
        let character = match character {
            // Wide forms of ASCII.
            '\u{ff01}'..='\u{ff5e}' => {
                char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
            }
            other => other,
        };
        let tables = LOOK_ALIKE.iter().filter(|_| !character.is_ascii());
        let of_ours = tables.into_iter().find_map(|(theirs, ours)| {
            let at = theirs.chars().position(|it| it == character)?;
            ours.chars().nth(at)
        });
        match of_ours.unwrap_or(character) {
            '-' | '.' | ' ' | '/' => read.push('_'),
            other => read.extend(other.to_lowercase()),
        }
    }
    read
}

/// Returns the tools of a catalog that may be called.
pub(crate) fn named_tools(catalog: &Catalog) -> Vec<NamedTool> {
    let allowed = catalog.entries().iter().filter(|it| it.decision == AccessDecision::Allow);
    let named = allowed.map(|entry| NamedTool {
        backend: entry.backend_name.to_string(),
        name: entry.declared_name().to_owned(),
        is_of_server: matches!(entry.operation(), CatalogOperation::Server(_)),
    });
    named.collect()
}

/// Says which backends have tools that could be taken for those of another one, where a server is one of
/// the two.
pub(crate) fn shadow_remarks(tools: &[NamedTool]) -> Vec<String> {
    let mut readings: BTreeMap<String, Vec<&NamedTool>> = BTreeMap::new();
    for tool in tools {
        // One of a backend is enough.
        let alike = readings.entry(skeleton(&tool.name)).or_default();
        if alike.iter().all(|it| it.backend != tool.backend) {
            alike.push(tool);
        }
    }
    // In the order of the settings: how many, and the first.
    let mut pairs: Vec<(&NamedTool, &NamedTool, usize)> = Vec::new();
    for alike in readings.values() {
        for (at, second) in alike.iter().enumerate() {
            for first in alike.iter().take(at) {
                if !(first.is_of_server || second.is_of_server) {
                    continue;
                }
                let is_pair = |(a, b, _): &&mut (&NamedTool, &NamedTool, usize)| {
                    a.backend == first.backend && b.backend == second.backend
                };
                match pairs.iter_mut().find(is_pair) {
                    Some((_, _, count)) => *count += 1,
                    None => pairs.push((first, second, 1)),
                }
            }
        }
    }
    let count = pairs.len();
    let remark = |(first, second, count): &(&NamedTool, &NamedTool, usize)| {
        let more = match count - 1 {
            0 => String::new(),
            more => format!(", and so can {more} more"),
        };
        format!(
            "the tool {} of backend \"{}\" can be taken for {} of backend \"{}\"{more}; `exclude_tools` \
             leaves one of them out",
            quoted_text(&second.name, LONGEST_NAME),
            second.backend,
            quoted_text(&first.name, LONGEST_NAME),
            first.backend
        )
    };
    let mut remarks: Vec<String> = pairs.iter().take(MOST_PAIRS).map(remark).collect();
    if count > MOST_PAIRS {
        remarks.push(format!("{} more pairs of backends have such tools", count - MOST_PAIRS));
    }
    remarks
}

/// Says which tools of servers hosts list under the name of a tool of their own.
pub(crate) fn host_remarks(catalog: &Catalog) -> Vec<String> {
    let listed = catalog.listed();
    let listed = listed.filter(|it| matches!(it.operation(), CatalogOperation::Server(_)));
    let taken = listed.filter_map(|entry| {
        let name = skeleton(&entry.name);
        let own = HOST_TOOLS.iter().find(|own| **own == name)?;
        Some(format!(
            "the tool {} of backend \"{}\" has the name of a tool that hosts have themselves (`{own}`): \
             some refuse it, or call theirs",
            quoted_text(&entry.name, LONGEST_NAME),
            entry.backend_name
        ))
    });
    taken.take(MOST_PAIRS).collect()
}

/// Says what a person does not see, or should read, in the texts of each tool of a `tools/list`, unless it
/// is `known`, and in the instructions of the server.
pub(crate) fn text_remarks(
    items: &[Value],
    instructions: Option<&str>,
    known: impl Fn(&str) -> bool,
) -> Vec<String> {
    let said = instructions.and_then(text_doubt);
    let said = said.map(|doubt| format!("its instructions have {doubt}"));
    let tools = ServerTools::items(items).into_iter().filter(|(name, _)| !known(name));
    let tools = tools.filter_map(|(name, item)| {
        let doubt = tool_doubt(name, item)?;
        Some(format!("its tool {} has {doubt}", quoted_text(name, LONGEST_NAME)))
    });
    said.into_iter().chain(tools).collect()
}

/// Says what is strange about a tool; the first thing alone.
fn tool_doubt(name: &str, item: &Value) -> Option<String> {
    if let Some(doubt) = text_doubt(name) {
        return Some(format!("{doubt} in its name"));
    }
    let mut room = MOST_LOOKED_AT;
    for key in ["title", "description", "inputSchema", "outputSchema", "annotations"] {
        let Some(value) = item.get(key) else { continue };
        if let Some(doubt) = value_doubt(value, &mut room, 0) {
            return Some(format!("{doubt} in its `{key}`"));
        }
    }
    (room == 0).then(|| format!("more than {MOST_LOOKED_AT} bytes of texts"))
}

fn value_doubt(value: &Value, room: &mut usize, depth: usize) -> Option<String> {
    match value {
        _ if *room == 0 || depth > MOST_DEPTH => None,
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => {
            *room = room.saturating_sub(text.len().max(1));
            text_doubt(text)
        }
        Value::Array(items) => items.iter().find_map(|it| value_doubt(it, room, depth + 1)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            text_doubt(name).or_else(|| value_doubt(value, room, depth + 1))
        }),
    }
}

/// Says what a text has that a person does not see, or should read; the first thing alone.
fn text_doubt(text: &str) -> Option<String> {
    if let Some(hidden) = first_hidden(text) {
        let what = match hidden {
            '\u{1b}' | '\u{9b}' => "a sequence that steers terminals",
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => "a character that changes the direction of reading",
            hidden if hidden.is_control() => "a control character",
            _ => "a character that nobody sees",
        };
        let number = u32::from(hidden);
        let at = text.find(hidden).unwrap_or_default();
        return Some(format!("{what} (U+{number:04X}): {}", excerpt(text, at)));
    }
    if let Some(at) = text.find("<!--") {
        return Some(format!("a comment of HTML: {}", excerpt(text, at)));
    }
    let lower = text.to_lowercase();
    let read: String = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let at = STEERING.iter().filter_map(|words| read.find(words)).min()?;
    Some(format!("words that are meant for a model: {}", excerpt(&read, at)))
}

/// Quotes what is around a place.
fn excerpt(text: &str, at: usize) -> String {
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, ""));
    let start: Vec<char> = before.chars().rev().take(AROUND).collect();
    let around: String = start.into_iter().rev().chain(behind.chars().take(2 * AROUND)).collect();
    quoted_text(&around, LONGEST_QUOTE)
}

#[cfg(test)]
mod tests;
