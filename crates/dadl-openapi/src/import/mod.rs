//! Writes a descriptor for an API.
//!
//! The text depends on the document and the options alone, and a small change of the document is a
//! small change of the text: tools stand in the order of their paths, and the name of one depends on
//! its own operation. It is in the layout of `fmt`, and `check` finds neither errors nor warnings in
//! it: what a check of the finished text finds is taken out, and reported.

mod access;
mod credential;
mod descriptor_text;
mod names;
mod pages;
mod requests;
mod write;

use std::collections::{BTreeSet, HashSet};

use dadl_descriptor::{
    diagnostic::{Diagnostic, Severity},
    format::format,
    model::{AccessLevel, ParamLocation},
    source::{MAX_BYTES, SourceText},
};
use dadl_text::names::snake;
use serde_json::Value;

use self::{
    descriptor_text::{TextPart, WrittenDescriptor},
    pages::PageGuess,
    write::DescriptorHead,
};
use super::{
    hint::AccessWord,
    model::{ApiModel, ApiOperation, OperationInput},
    pattern::SchemaPattern,
    report::{ImportRemarks, excerpt},
};

/// So often the text is checked and mended.
const MAX_ROUNDS: usize = 8;

/// What to import, and under which name.
#[derive(Debug, Default)]
pub struct ImportOptions {
    /// `backend.name`; made of the title otherwise.
    pub name: Option<String>,
    /// Only operations that one of these matches, if there are some: the name of the tool, its path (a pattern that
    /// begins with `/`), or a tag (`tag:NAME`).
    pub include: Vec<SchemaPattern>,
    /// None of these operations.
    pub exclude: Vec<SchemaPattern>,
    /// Leave deprecated operations out.
    pub no_deprecated: bool,
    /// `openapi_source` of the descriptor.
    pub openapi_source: Option<String>,
}

/// A descriptor that was made.
#[derive(Debug)]
pub struct ImportedDescriptor {
    /// Its text.
    pub text: String,
    /// How many tools it has.
    pub tools: usize,
    /// How many operations the options left out.
    pub excluded: usize,
    /// How many guesses are marked in it.
    pub guesses: usize,
}

/// Why there is no descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No operation is left.
    #[error("no operation of the document can become a tool")]
    Nothing,
    /// The descriptor would be too large.
    #[error("the descriptor would have {0} bytes, and {MAX_BYTES} are the limit")]
    TooLarge(usize),
    /// The text is not as it should be.
    #[error("the descriptor that was made has an error: {0}")]
    Wrong(String),
}

/// An operation on its way to a tool.
pub(super) struct ToolDraft<'api> {
    operation: &'api ApiOperation,
    name: String,
    access: (AccessLevel, String),
    description: String,
    pages: Option<PageGuess>,
    /// Parameters that were taken out.
    dropped: BTreeSet<usize>,
    /// Parameters whose defaults were taken out.
    bare: BTreeSet<usize>,
    /// Parameters of whose descriptions the list of values is left.
    terse: BTreeSet<usize>,
    /// Parameters whose descriptions were taken out.
    silent: BTreeSet<usize>,
}

impl ToolDraft<'_> {
    fn inputs(&self) -> impl Iterator<Item = (usize, &OperationInput)> {
        let inputs = self.operation.inputs.iter().enumerate();
        inputs.filter(|(at, _)| !self.dropped.contains(at))
    }

    fn default<'input>(&self, at: usize, input: &'input OperationInput) -> Option<&'input Value> {
        input.default.as_ref().filter(|_| !self.bare.contains(&at))
    }

    fn param_description<'input>(&self, at: usize, input: &'input OperationInput) -> &'input str {
        if self.silent.contains(&at) {
            ""
        } else if self.terse.contains(&at) {
            &input.listing
        } else {
            &input.description
        }
    }
}

/// Writes a descriptor for `api`; what is taken out of it is added to `remarks`.
///
/// # Errors
///
/// There is no tool, or too much text.
pub fn import_api(
    api: &ApiModel,
    options: &ImportOptions,
    remarks: &mut ImportRemarks,
) -> Result<ImportedDescriptor, ImportError> {
    let names = names::tool_names(&api.operations, remarks);
    let mut excluded = 0;
    let mut tools = Vec::new();
    for (operation, name) in api.operations.iter().zip(names) {
        if !options.takes(operation, &name) {
            excluded += 1;
            continue;
        }
        if operation.hopeless.is_some() {
            continue;
        }
        if let Some(hint) = operation.hint.as_ref().filter(|hint| hint.word == AccessWord::No)
            && !options.names(operation, &name)
        {
            excluded += 1;
            let key = excerpt(&hint.key);
            let message = format!("the API gives `{name}` to no model (`{key}`): left out");
            let help = "name it with --include, if you want it";
            remarks.changed(&operation.place, message, help);
            continue;
        }
        tools.push(ToolDraft {
            operation,
            access: access::guess(operation, &name),
            description: described(operation, &name),
            pages: pages::guess(operation),
            name,
            dropped: BTreeSet::new(),
            bare: BTreeSet::new(),
            terse: BTreeSet::new(),
            silent: BTreeSet::new(),
        });
    }
    let name = options.name.clone().unwrap_or_else(|| backend_name(&api.title));
    let mut description = if api.description.is_empty() {
        format!("{}.", if api.title.is_empty() { &name } else { &api.title })
    } else {
        api.description.clone()
    };
    for _ in 0..MAX_ROUNDS {
        if tools.is_empty() {
            return Err(ImportError::Nothing);
        }
        let head = DescriptorHead {
            api,
            name: &name,
            description: &description,
            openapi_source: options.openapi_source.as_deref(),
            left_out: api.found.saturating_sub(tools.len()),
        };
        let written = write::write_descriptor(&head, &tools);
        if written.text.len() > MAX_BYTES {
            return Err(ImportError::TooLarge(written.text.len()));
        }
        let source = SourceText::new("the descriptor", written.text.as_str());
        let findings = dadl_descriptor::check(&source).diagnostics;
        let wrong: Vec<&Diagnostic> =
            findings.iter().filter(|finding| finding.severity != Severity::Note).collect();
        if wrong.is_empty() {
            let text = format(&source).map_err(|error| ImportError::Wrong(format!("{error:?}")))?;
            let guesses = text.matches("# review: ").count();
            return Ok(ImportedDescriptor { text, tools: tools.len(), excluded, guesses });
        }
        mend(&written, &wrong, &mut tools, &mut description, &name, remarks)?;
    }
    Err(ImportError::Wrong("it cannot be mended".to_owned()))
}

/// Takes out what a check of the text found.
fn mend(
    written: &WrittenDescriptor,
    findings: &[&Diagnostic],
    tools: &mut Vec<ToolDraft<'_>>,
    description: &mut String,
    name: &str,
    remarks: &mut ImportRemarks,
) -> Result<(), ImportError> {
    let mut gone: HashSet<usize> = HashSet::new();
    for finding in findings {
        let what = format!("{} ({})", finding.message, finding.code.0);
        let is_text = matches!(
            finding.code,
            dadl_descriptor::code::SECRET
                | dadl_descriptor::code::ORDERS
                | dadl_descriptor::code::UNQUOTED
        );
        let part = written.part(finding.span.start);
        match part {
            TextPart::Head => {
                let plain = format!("{name}.");
                if *description == plain || !is_text {
                    return Err(ImportError::Wrong(what));
                }
                let message = format!("the description of the API is left out: {what}");
                remarks.lost("/info/description", message, "write one");
                *description = plain;
            }
            TextPart::Description(index) => {
                let Some(tool) = tools.get_mut(index) else { continue };
                let place = &tool.operation.place;
                let plain = format!("{}.", tool.operation.line());
                if tool.description == plain {
                    if gone.insert(index) {
                        let message = format!("the operation is left out: {what}");
                        remarks.lost(place, message, "describe it by hand");
                    }
                    continue;
                }
                let message = format!("the description of `{}` is left out: {what}", tool.name);
                remarks.lost(place, message, "write one");
                tool.description = plain;
            }
            TextPart::Param(index, at) => {
                let Some(tool) = tools.get_mut(index) else { continue };
                let is_there = !gone.contains(&index);
                if !mend_param(tool, at, &what, is_text, is_there, remarks) {
                    gone.insert(index);
                }
            }
            TextPart::Default(index, at) => {
                let Some(tool) = tools.get_mut(index) else { continue };
                let Some(input) = tool.operation.inputs.get(at) else { continue };
                tool.bare.insert(at);
                let message =
                    format!("the default of `{}` is left out: {what}", excerpt(&input.name));
                remarks.lost(&input.place, message, "a call has to say the value");
            }
            TextPart::Pages(index) => {
                let Some(tool) = tools.get_mut(index) else { continue };
                tool.pages = None;
            }
            TextPart::Tool(index) => {
                if let Some(tool) = tools.get(index).filter(|_| gone.insert(index)) {
                    let message = format!("the operation is left out: {what}");
                    remarks.lost(&tool.operation.place, message, "describe it by hand");
                }
            }
        }
    }
    let mut index = 0;
    tools.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    Ok(())
}

/// Leaves out of a parameter what cannot be written of it; returns whether the tool can do without.
fn mend_param(
    tool: &mut ToolDraft<'_>,
    at: usize,
    what: &str,
    is_text: bool,
    is_there: bool,
    remarks: &mut ImportRemarks,
) -> bool {
    let Some(input) = tool.operation.inputs.get(at) else { return true };
    let shown = excerpt(&input.name);
    if is_text && (tool.terse.insert(at) || tool.silent.insert(at)) {
        let message = format!("the description of `{shown}` is left out: {what}");
        remarks.lost(&input.place, message, "write one");
        return true;
    }
    if input.location == ParamLocation::Path || input.required {
        if is_there {
            let message =
                format!("left out, since no call could succeed: `{shown}` is required: {what}");
            let help = "correct the document, or describe the operation by hand";
            remarks.lost(&tool.operation.place, message, help);
        }
        return false;
    }
    tool.dropped.insert(at);
    let message = format!("the parameter `{shown}` is left out: {what}");
    remarks.lost(&input.place, message, "add it by hand");
    true
}

impl ImportOptions {
    /// Returns whether a pattern that stands for one thing alone names the operation.
    fn names(&self, operation: &ApiOperation, name: &str) -> bool {
        self.include.iter().any(|pattern| {
            !pattern.as_str().contains('*')
                && (pattern.matches(name) || pattern.matches(&operation.path))
        })
    }

    fn takes(&self, operation: &ApiOperation, name: &str) -> bool {
        if self.no_deprecated && operation.deprecated {
            return false;
        }
        let matches = |pattern: &SchemaPattern| {
            pattern.matches(name)
                || pattern.matches(&operation.path)
                || operation.tags.iter().any(|tag| pattern.matches(&format!("tag:{tag}")))
        };
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

/// Returns one line about an operation: never an empty one.
fn described(operation: &ApiOperation, name: &str) -> String {
    let ApiOperation { summary, description, .. } = operation;
    let has_words = |text: &str| text.chars().any(char::is_alphanumeric);
    match (has_words(summary), has_words(description)) {
        // A summary of a few words is a title.
        (true, true) if summary.len() < 60 && description.len() <= 240 => {
            let is_same = description.to_lowercase().starts_with(&summary.to_lowercase());
            if is_same {
                description.clone()
            } else {
                let mut line = summary.clone();
                super::read::push_sentence(&mut line, description);
                line
            }
        }
        (true, _) => summary.clone(),
        (false, true) => description.clone(),
        (false, false) => {
            let words = name.replace('_', " ");
            let mut characters = words.chars();
            let first = characters.next().map(|it| it.to_ascii_uppercase());
            format!("{}{}.", first.unwrap_or_default(), characters.as_str())
        }
    }
}

/// Makes a backend name of a title.
fn backend_name(title: &str) -> String {
    let title = snake(title);
    let words: Vec<&str> = title
        .split('_')
        .filter(|word| !matches!(*word, "api" | "rest" | "openapi" | "swagger" | "the"))
        .take(4)
        .collect();
    let name = words.join("-");
    let name = name.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    if name.is_empty() { "api".to_owned() } else { name.to_owned() }
}
