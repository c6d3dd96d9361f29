//! Resources and prompts of other MCP servers, as `list` and `show` write them.

use std::io::{self, Write as _};

use dadl_text::text::one_line;
use serde_json::{Value, json};

use super::{
    console::{Console, NAME},
    wrap::{display_width, pad_width, wrap_text},
};
use crate::catalog::{OfferedContents, PromptParam};

/// Longer names push what is behind them.
const MOST_NAME: usize = 48;

/// What stands before what is said of something.
const INDENT: usize = 4;

/// Describes the resources and templates for a program.
pub(super) fn resources(contents: &OfferedContents) -> Vec<Value> {
    let resources = contents.resources().map(|(uri, offered)| {
        let words = &offered.item.words;
        json!({
            "uri": uri, "backend": offered.backend_name, "server_uri": offered.item.uri,
            "name": words.name, "title": words.title, "description": words.description,
            "mimeType": words.mime_type, "size": offered.item.size,
        })
    });
    let templates = contents.templates().map(|(uri, offered)| {
        let words = &offered.item.words;
        json!({
            "uriTemplate": uri, "backend": offered.backend_name, "server_uri": offered.item.uri,
            "name": words.name, "title": words.title, "description": words.description,
            "mimeType": words.mime_type,
        })
    });
    resources.chain(templates).collect()
}

/// Describes the prompts for a program.
pub(super) fn prompts(contents: &OfferedContents) -> Vec<Value> {
    let param = |param: &PromptParam| {
        let PromptParam { name, title, description, required } = param;
        json!({ "name": name, "title": title, "description": description, "required": required })
    };
    let prompts = contents.prompts().map(|(name, offered)| {
        let arguments: Vec<Value> = offered.item.arguments.iter().map(param).collect();
        json!({
            "name": name, "backend": offered.backend_name, "server_prompt": offered.item.name,
            "title": offered.item.title, "description": offered.item.description,
            "arguments": arguments,
        })
    });
    prompts.collect()
}

/// Finds the resource, template or prompt of this URI or name, for a program.
pub(super) fn find(contents: &OfferedContents, name: &str) -> Option<Value> {
    let all = resources(contents).into_iter().chain(prompts(contents));
    all.into_iter().find(|it| called(it) == name)
}

/// Writes them for a person, or for a program.
pub(super) fn write_list(items: &[Value], json: bool, console: &mut Console) -> io::Result<()> {
    if json || !console.out_is_terminal {
        return console.print_json(&items.to_vec().into());
    }
    let names = items.iter().map(|item| display_width(&one_line(called(item))));
    let column = names.max().unwrap_or_default().min(MOST_NAME);
    for item in items {
        let name = pad_width(&one_line(called(item)), column);
        writeln!(console.out, "{name}  {}", one_line(words(item)))?;
    }
    Ok(())
}

/// Writes one for a person, or for a program.
pub(super) fn write_one(item: &Value, json: bool, console: &mut Console) -> io::Result<()> {
    if json || !console.out_is_terminal {
        return console.print_json(item);
    }
    let width = console.out_width();
    writeln!(console.out, "{NAME}{}{NAME:#}", one_line(called(item)))?;
    let members = item.as_object().into_iter().flatten();
    let facts =
        members.filter(|(key, _)| !matches!(key.as_str(), "uri" | "uriTemplate" | "arguments"));
    for (key, value) in facts {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => one_line(text).into_owned(),
            other => other.to_string(),
        };
        let text = wrap_text(&format!("{key}: {text}"), width, 0, INDENT);
        writeln!(console.out, "{text}")?;
    }
    for argument in item["arguments"].as_array().into_iter().flatten() {
        let required = if argument["required"] == true { ", required" } else { "" };
        let name = one_line(argument["name"].as_str().unwrap_or_default());
        let text = format!("argument {name}{required}: {}", one_line(words(argument)));
        writeln!(console.out, "{}", wrap_text(&text, width, 0, INDENT))?;
    }
    Ok(())
}

/// Returns what one is found by.
fn called(item: &Value) -> &str {
    let found = ["uri", "uriTemplate", "name"].iter().find_map(|key| item[*key].as_str());
    found.unwrap_or_default()
}

/// Returns what is said of one.
fn words(item: &Value) -> &str {
    let found = ["description", "title", "name"].iter().find_map(|key| item[*key].as_str());
    found.unwrap_or_default()
}
