//! The worked examples of descriptors as MCP prompts.
//!
//! A person picks one in the host, and the model gets its steps. Examples that use a tool which is
//! not listed are left out: they would only lead to a refusal.

use std::collections::HashSet;

use dadl_descriptor::model::WorkedExample;
use dadl_text::text::{one_line, plain_text, quoted_text};
use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::{Map, Value};

use super::builtin::BuiltinTool;
use crate::{
    catalog::{BackendId, Catalog, CatalogEntry, collapse_spaces},
    executor::script_name,
};

/// How long the value of an argument may be, in characters.
const LONGEST_VALUE: usize = 1000;
/// How many arguments a prompt has.
const MOST_ARGUMENTS: usize = 32;

/// A prompt and what it says.
pub(super) struct ExamplePrompt {
    /// What hosts list.
    pub(super) prompt: Prompt,
    /// The backend of its tools.
    pub(super) backend: BackendId,
    /// What its code takes from whoever runs it.
    pub(super) arguments: Vec<ExampleArgument>,
    text: String,
}

/// A value that the code of an example takes: `params.NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExampleArgument {
    pub(super) name: String,
    /// The parameters that it is given to: the name of a tool, and that of its parameter.
    pub(super) uses: Vec<(String, String)>,
}

/// Why a prompt cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArgumentError {
    #[error("the prompt has no argument {}; it takes: {known}", quoted_text(.name, 100))]
    Unknown { name: String, known: String },
    #[error("the prompt needs the argument `{0}`")]
    Missing(String),
    #[error("`{0}` must be text")]
    NoText(String),
    #[error("`{name}` is too long: it may have {most} bytes")]
    TooLarge { name: String, most: usize },
    #[error("`{name}` has {size} characters, and may have {LONGEST_VALUE}")]
    TooLong { name: String, size: usize },
}

impl ExamplePrompt {
    /// Returns the argument of this name.
    pub(super) fn argument(&self, name: &str) -> Result<&ExampleArgument, ArgumentError> {
        let known = self.arguments.iter().find(|argument| argument.name == name);
        known.ok_or_else(|| {
            let names: Vec<&str> = self.arguments.iter().map(|it| it.name.as_str()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            ArgumentError::Unknown { name: name.to_owned(), known }
        })
    }

    /// Returns what the model reads. What is not given, it has to ask for: not every host fills
    /// prompts in.
    pub(super) fn result(
        &self,
        given: &Map<String, Value>,
    ) -> Result<GetPromptResult, ArgumentError> {
        for name in given.keys() {
            self.argument(name)?;
        }
        let mut text = self.text.clone();
        for (at, ExampleArgument { name, .. }) in self.arguments.iter().enumerate() {
            text.push_str(if at == 0 { "\n\n" } else { "\n" });
            match given.get(name) {
                Some(Value::String(value)) if !value.is_empty() => {
                    let size = value.chars().count();
                    if size > LONGEST_VALUE {
                        return Err(ArgumentError::TooLong { name: name.clone(), size });
                    }
                    // It is data of a person and no words to the model.
                    let value = Value::from(plain_text(value));
                    text.push_str(&format!("`params.{name}` is {value}"));
                }
                None | Some(Value::String(_) | Value::Null) => {
                    text.push_str(&format!("`params.{name}` is not given: ask for it"));
                }
                Some(_) => return Err(ArgumentError::NoText(name.clone())),
            }
        }
        let message = PromptMessage::new_text(Role::User, text);
        let result = GetPromptResult::new(vec![message]);
        Ok(match &self.prompt.description {
            Some(description) => result.with_description(description.clone()),
            None => result,
        })
    }
}

/// Makes the prompts of all backends, in the order of their files; `runners` are the tools that run scripts.
pub(super) fn of_examples(catalog: &Catalog, runners: &[BuiltinTool]) -> Vec<ExamplePrompt> {
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
                prompts.push(of_example(name, entry, example, &way_of(catalog, entry, runners)));
            }
        }
    }
    prompts
}

/// Says how a model does what an example does.
fn way_of(catalog: &Catalog, entry: &CatalogEntry, runners: &[BuiltinTool]) -> String {
    let names: Vec<String> = runners.iter().map(|it| format!("`{}`", it.name())).collect();
    if names.is_empty() {
        return "`api.NAME(arguments)` stands for a call of the tool NAME, and values in quotes are \
                placeholders"
            .to_owned();
    }
    let is_alone = catalog.entries().iter().all(|other| other.backend == entry.backend);
    let api = match is_alone {
        true => String::new(),
        false => format!("`api.{}` in place of `api`, and with ", script_name(&entry.backend_name)),
    };
    format!(
        "it is a script for {}, with {api}values in place of `params.NAME` and of the placeholders in \
         quotes",
        names.join(" or ")
    )
}

fn of_example(
    name: String,
    entry: &CatalogEntry,
    example: &WorkedExample,
    way: &str,
) -> ExamplePrompt {
    let (title, description) =
        (collapse_spaces(&example.name), collapse_spaces(&example.description));
    let code = plain_text(example.code.trim_end());
    // What is fenced must not end the fence.
    let ticks = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((ticks + 1).max(3));
    let text = format!(
        "{title} ({description}). Do this with the tools of {}; {way}:\n\n{fence}js\n{code}\n{fence}",
        one_line(&entry.backend_name),
    );
    let arguments = arguments_of(&example.code);
    let listed = |argument: &ExampleArgument| {
        let ExampleArgument { name, .. } = argument;
        PromptArgument::new(name.clone())
            .with_description(format!("The value of `params.{name}` in the example"))
            .with_required(true)
    };
    let mut prompt = Prompt::new(name, Some(description), None);
    prompt.title = Some(title);
    prompt.arguments =
        Some(arguments.iter().map(listed).collect()).filter(|all: &Vec<_>| !all.is_empty());
    ExamplePrompt { prompt, backend: entry.backend, arguments, text }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// Returns the word that a text begins with.
fn example_word(text: &str) -> &str {
    text.split(|character| !is_word(character)).next().unwrap_or_default()
}

/// Returns what a script takes as `params.NAME`, in the order of the script, and where it goes.
fn arguments_of(code: &str) -> Vec<ExampleArgument> {
    let mut found: Vec<ExampleArgument> = Vec::new();
    for (at, params) in code.match_indices("params.") {
        let (before, rest) = code.split_at(at);
        let name = example_word(rest.get(params.len()..).unwrap_or_default());
        let is_member = before.ends_with(|before| is_word(before) || before == '.');
        if name.is_empty() || is_member {
            continue;
        }
        let index = match found.iter().position(|argument| argument.name == name) {
            Some(index) => index,
            None if found.len() < MOST_ARGUMENTS => {
                found.push(ExampleArgument { name: name.to_owned(), uses: Vec::new() });
                found.len() - 1
            }
            None => continue,
        };
        if let (Some(argument), Some(used)) = (found.get_mut(index), place_of(before)) {
            argument.uses.push(used);
        }
    }
    found
}

/// Returns the tool and the parameter that a value is for which stands behind this part of a script.
fn place_of(before: &str) -> Option<(String, String)> {
    let key = before.trim_end().strip_suffix(':')?.trim_end();
    let key = key.rsplit(|character| !is_word(character)).next().filter(|key| !key.is_empty())?;
    let tool = before.rsplit_once("api.").map(|(_, call)| example_word(call))?;
    Some((tool.to_owned(), key.to_owned()))
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
    fn arguments_are_what_a_script_takes() {
        let code = "const a = await api.get_vm({ uuid: params.vm });\n\
                    await api.set_mode({\n  uuid: params.vm, mode : params.mode,\n});\n\
                    return [a.params.x, myparams.y, params[0], params.$z, `${params.vm}`];";
        let used = |tool: &str, key: &str| (tool.to_owned(), key.to_owned());
        let argument = |name: &str, uses: Vec<_>| ExampleArgument { name: name.to_owned(), uses };
        assert_eq!(
            arguments_of(code),
            [
                argument("vm", vec![used("get_vm", "uuid"), used("set_mode", "uuid")]),
                argument("mode", vec![used("set_mode", "mode")]),
                argument("$z", vec![]),
            ]
        );
        let many: String = (0..100).map(|number| format!("params.a{number};")).collect();
        assert_eq!(arguments_of(&many).len(), MOST_ARGUMENTS);
    }

    #[test]
    fn names_are_words() {
        assert_eq!(slug("xo Host maintenance (XO 6.7+)"), "xo_host_maintenance_xo_6_7");
    }
}
