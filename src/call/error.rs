//! What is wrong with the arguments of a call, in words that a model can act on.
//!
//! Values are never repeated: they may be secrets, and the caller knows them.

use std::{fmt, sync::Arc};

use dadl_descriptor::model::{Param, ParamKind};
use dadl_text::{names::MeantName, text::cut_text};
use serde_json::Value;

use crate::catalog::CatalogEntry;

/// Arguments that cannot be sent. The caller's fault; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    /// The MCP name of the tool.
    pub tool: String,
    /// Everything that is wrong, in a stable order.
    pub problems: Vec<ArgumentProblem>,
    /// The parameters that the tool takes, in words.
    pub expected: String,
}

/// One thing that is wrong with the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentProblem {
    /// The API takes only certain words.
    Choice {
        /// The property name.
        name: String,
        /// The word that was probably meant.
        meant: Option<String>,
        /// All of them; never empty.
        choices: Arc<[String]>,
    },
    /// A required argument is absent, or null.
    Missing {
        /// The property name.
        name: String,
        /// What it must be.
        kind: ParamKind,
    },
    /// An argument is of another type and cannot be converted without loss.
    Type {
        /// The property name.
        name: String,
        /// What it must be.
        kind: ParamKind,
        /// What it is.
        given: &'static str,
    },
    /// The tool has no such parameter.
    Unknown {
        /// The name that the caller used.
        name: String,
        /// The property that was probably meant.
        nearest: Option<String>,
    },
    /// The value cannot go where the parameter puts it.
    Value {
        /// The property name.
        name: String,
        /// Why not.
        reason: String,
    },
}

impl ArgumentError {
    /// Collects the problems of a call of `entry`.
    pub(crate) fn new(entry: &CatalogEntry, problems: Vec<ArgumentProblem>) -> Self {
        Self { tool: entry.name.clone(), problems, expected: expected_arguments(entry) }
    }
}

impl ArgumentProblem {
    /// Reports that `value` is not what the parameter takes.
    pub(crate) fn wrong_type(property: &str, param: &Param, value: &Value) -> Self {
        let given = match value {
            Value::Array(_) => "an array",
            Value::Bool(_) => "a boolean",
            Value::Null => "null",
            Value::Number(number) if number.is_f64() && param.kind == ParamKind::Integer => {
                "a number that has a fraction or too many digits"
            }
            Value::Number(number) if number.is_f64() && param.kind == ParamKind::String => {
                "a number that is too large to keep its digits"
            }
            Value::Number(_) => "a number",
            Value::Object(_) => "an object",
            Value::String(_) => "a string",
        };
        Self::Type { name: property.to_owned(), kind: param.kind, given }
    }

    /// Reports that a value cannot go where the parameter puts it.
    pub(crate) fn value(property: &str, reason: impl Into<String>) -> Self {
        Self::Value { name: property.to_owned(), reason: reason.into() }
    }
}

impl std::error::Error for ArgumentError {}

impl fmt::Display for ArgumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the arguments of `{}` cannot be used: ", self.tool)?;
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        let by_name = |problem: &ArgumentProblem| {
            matches!(problem, ArgumentProblem::Missing { .. } | ArgumentProblem::Unknown { .. })
        };
        if self.problems.iter().any(by_name) {
            let end =
                if self.problems.last().is_some_and(ArgumentProblem::asks) { "" } else { "." };
            write!(formatter, "{end} {}", self.expected)?;
        }
        Ok(())
    }
}

impl ArgumentProblem {
    /// Returns whether its words are a question at their end.
    fn asks(&self) -> bool {
        matches!(self, Self::Unknown { nearest: Some(_), .. })
    }
}

impl fmt::Display for ArgumentProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choice { name, meant, choices } => {
                write!(formatter, "`{name}` must be one of ")?;
                for (at, choice) in choices.iter().enumerate() {
                    let separator = if at == 0 { "" } else { ", " };
                    // A word that is empty is shown as one.
                    let shown = if choice.is_empty() { "\"\"" } else { choice };
                    write!(formatter, "{separator}{shown}")?;
                }
                match meant {
                    Some(meant) => write!(formatter, ", {}", MeantName(meant)),
                    None => Ok(()),
                }
            }
            Self::Missing { name, kind } => {
                write!(formatter, "`{name}` ({kind}) is required")
            }
            Self::Type { name, kind, given } => {
                write!(formatter, "`{name}` must be {}, not {given}", kind_with_article(*kind))
            }
            Self::Unknown { name, nearest } => {
                // A mistaken name can be anything, a whole document included.
                write!(formatter, "there is no parameter `{}`", cut_text(name, 64))?;
                match nearest {
                    Some(nearest) => write!(formatter, ", {}", MeantName(nearest)),
                    None => Ok(()),
                }
            }
            Self::Value { name, reason } => write!(formatter, "`{name}` {reason}"),
        }
    }
}

fn kind_with_article(kind: ParamKind) -> String {
    let word = match kind {
        ParamKind::Array => "an array",
        ParamKind::Boolean => "a boolean",
        ParamKind::FileUrl => "the name of a file, as a string",
        ParamKind::Integer => "an integer of at most 64 bits",
        ParamKind::Number => "a number",
        ParamKind::Object => "an object",
        ParamKind::String => "a string",
        ParamKind::Union(kinds) if kinds.is_any() => "a value",
        ParamKind::Union(kinds) => {
            let words: Vec<String> = kinds.iter().map(kind_with_article).collect();
            return words.join(" or ");
        }
    };
    word.to_owned()
}

/// Lists the parameters, the required ones first.
fn expected_arguments(entry: &CatalogEntry) -> String {
    if entry.given_params().next().is_none() {
        return "It takes no arguments".to_owned();
    }
    let list =
        |required: bool| entry.given_params().filter(move |param| param.param.required == required);
    let words: Vec<String> = list(true)
        .map(|p| format!("{} ({}, required)", p.property, p.param.kind))
        .chain(list(false).map(|p| format!("{} ({})", p.property, p.param.kind)))
        .collect();
    format!("It takes: {}", words.join(", "))
}
