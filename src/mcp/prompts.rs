//! The worked examples of descriptors as MCP prompts.
//!
//! A person picks one in the host, and the model gets its steps. Examples that use a tool which is
//! not listed are left out: they would only lead to a refusal.

use std::collections::HashSet;

use rmcp::model::{GetPromptResult, Prompt, PromptMessage, Role};

use crate::{
    catalog::{Catalog, Entry, collapse},
    descriptor::model::Example,
    text::{line, plain},
};

/// A prompt and what it says.
pub(super) struct ExamplePrompt {
    /// What hosts list.
    pub(super) prompt: Prompt,
    text: String,
}

impl ExamplePrompt {
    /// Returns what the model reads.
    pub(super) fn result(&self) -> GetPromptResult {
        let message = PromptMessage::new_text(Role::User, self.text.clone());
        let result = GetPromptResult::new(vec![message]);
        match &self.prompt.description {
            Some(description) => result.with_description(description.clone()),
            None => result,
        }
    }
}

/// Makes the prompts of all backends, in the order of their files.
pub(super) fn of_examples(catalog: &Catalog) -> Vec<ExamplePrompt> {
    let listed: HashSet<(usize, &str)> =
        catalog.listed().map(|entry| (entry.backend.0, entry.declared_name())).collect();
    let mut names = HashSet::new();
    let mut prompts = Vec::new();
    let mut last = None;
    // The entries of a backend stand together.
    for entry in catalog.entries() {
        if last.replace(entry.backend) == Some(entry.backend) {
            continue;
        }
        for example in &entry.descriptor().examples {
            let allowed = tools_of(&example.code).all(|t| listed.contains(&(entry.backend.0, t)));
            let name = slug(&format!("{} {}", entry.backend_name, example.name));
            if allowed && names.insert(name.clone()) {
                prompts.push(of_example(name, entry, example));
            }
        }
    }
    prompts
}

fn of_example(name: String, entry: &Entry, example: &Example) -> ExamplePrompt {
    let (title, description) = (collapse(&example.name), collapse(&example.description));
    let code = plain(example.code.trim_end());
    // What is fenced must not end the fence.
    let ticks = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((ticks + 1).max(3));
    let text = format!(
        "{title} ({description}). Do this with the tools of {}; `api.NAME(arguments)` stands for a \
         call of the tool NAME, and values in quotes are placeholders:\n\n{fence}js\n{code}\n{fence}",
        line(&entry.backend_name),
    );
    let mut prompt = Prompt::new(name, Some(description), None);
    prompt.title = Some(title);
    ExamplePrompt { prompt, text }
}

/// Returns the tools that a script calls as `api.NAME(`.
fn tools_of(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("api.").filter_map(|(at, found)| {
        let rest = code.get(at + found.len()..)?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        after.starts_with('(').then_some(name)
    })
}

/// Makes a name of lower-case words joined by underscores.
fn slug(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tools_of_a_script() {
        let code = "const a = await api.list_vms({});\nreturn api.get_vm(a[0]); // api.docs";
        assert_eq!(tools_of(code).collect::<Vec<_>>(), ["list_vms", "get_vm"]);
    }

    #[test]
    fn names_are_words() {
        assert_eq!(slug("xo Host maintenance (XO 6.7+)"), "xo_host_maintenance_xo_6_7");
    }
}
