//! The question that a person answers before a dangerous call.
//!
//! A person has to see what is about to happen, whatever a descriptor or a model writes. The facts
//! come first, in the words of this program, each on a line of its own; what others wrote is in
//! quotes ([`text::quoted`]), which hold no line break, nothing that cannot be seen and nothing that
//! a host takes for Markdown or HTML. Every argument is named, and one that is too long to be shown
//! says how much of it is not. The description of the tool comes last, as words of others.

use std::fmt::Write as _;

use serde_json::Value;

use super::Pending;
use crate::{
    access::UNCLASSIFIED,
    call,
    catalog::{Entry, Operation},
    descriptor::model::{Access, Tool},
    text,
};

/// So much of a name is shown.
const LONGEST_NAME: usize = 120;
/// So much of a description is shown.
const LONGEST_DESCRIPTION: usize = 300;
/// So many tools that a composite may call are named.
const MOST_CALLS: usize = 20;

impl Pending<'_> {
    /// Returns the question for the person: tool, backend, level, request and every argument.
    pub fn question(&self) -> String {
        let entry = self.entry;
        let mut text = format!(
            "Allow the dangerous call {} on backend {}?",
            name(&entry.name),
            name(&entry.backend_name)
        );
        let mut fact = |fact: &str| {
            text.push_str("\n- ");
            text.push_str(fact);
        };
        fact(&format!("Access level: {}", level(entry)));
        match entry.operation() {
            Operation::Tool(tool) => {
                fact(&format!("Request: {}", self.request(tool)));
            }
            Operation::Composite(composite) => {
                let calls = names(composite.calls.iter().map(String::as_str));
                fact(&format!("Runs a script of the descriptor, which may call: {calls}"));
            }
        }
        let arguments = self.arguments.as_object();
        if arguments.is_empty() {
            fact("(no arguments)");
        }
        for (argument, value) in &arguments {
            fact(&format!("Argument {} = {}", name(argument), text::quoted_json(value)));
        }
        let delegates: Vec<&Entry> = self.gate.dangerous_delegates(entry).collect();
        if !delegates.is_empty() {
            let listed: Vec<String> = delegates.iter().map(|it| name(&it.name)).collect();
            fact(&format!(
                "It may make these dangerous calls, with arguments of its own: {}",
                listed.join(", ")
            ));
        }
        for (delegate, tool) in delegates.iter().filter_map(|it| Some((it, it.tool()?))) {
            fact(&format!("{} sends {}", name(&delegate.name), self.any_request(tool)));
        }
        let words: Vec<&str> = entry.operation().description().split_whitespace().collect();
        let words = words.join(" ");
        if !words.is_empty() {
            let words = text::quoted(&words, LONGEST_DESCRIPTION);
            fact(&format!("The descriptor says about the tool, and nobody has checked: {words}"));
        }
        text
    }

    /// Returns the request of this call: its method and its whole URL.
    fn request(&self, tool: &Tool) -> String {
        let base = self.gate.bases.get(self.entry.backend.0);
        let plan = base.and_then(|base| call::plan(self.entry, tool, base, &self.arguments).ok());
        match plan {
            Some(plan) => request(tool, plan.url.as_str()),
            // What cannot be planned is not sent either.
            None => self.any_request(tool),
        }
    }

    /// Returns the request of any call of a tool: its method, and its URL with placeholders.
    fn any_request(&self, tool: &Tool) -> String {
        let base = self.gate.bases.get(self.entry.backend.0);
        let base = base.map(|base| base.as_str()).unwrap_or_default();
        let path = tool.path.as_str();
        let slash = if path.is_empty() || path.starts_with(['/', '?']) { "" } else { "/" };
        request(tool, &format!("{base}{slash}{path}"))
    }
}

fn request(tool: &Tool, url: &str) -> String {
    let mut text = String::new();
    if let Some(rpc) = &tool.rpc {
        let _ = write!(text, "JSON-RPC method {}, ", name(&rpc.method));
    }
    let url = text::quoted_json(&Value::from(url));
    let _ = write!(text, "{} {url}", tool.method);
    text
}

/// Writes the level as the words of DADL are, and a word of the author in quotes.
fn level(entry: &Entry) -> String {
    match entry.access() {
        None => UNCLASSIFIED.to_owned(),
        Some(Access::Custom(word)) => text::quoted(word, LONGEST_NAME),
        Some(level) => level.as_str().to_owned(),
    }
}

fn names<'name>(all: impl ExactSizeIterator<Item = &'name str>) -> String {
    let more = all.len().saturating_sub(MOST_CALLS);
    let mut listed: Vec<String> = all.take(MOST_CALLS).map(name).collect();
    match (listed.is_empty(), more) {
        (true, _) => listed.push("no tool".to_owned()),
        (false, 0) => {}
        (false, more) => listed.push(format!("and {more} more")),
    }
    listed.join(", ")
}

/// Writes a name, in quotes unless it is a plain word.
fn name(name: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let quoted = text::quoted(name, LONGEST_NAME);
    let bare = quoted.trim_matches('"');
    if bare == name && !name.is_empty() && name.bytes().all(is_word) {
        name.to_owned()
    } else {
        quoted
    }
}
