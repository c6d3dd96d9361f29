//! Differences that somebody has looked at, each with the reason why it stays.

use std::fmt;

use dadl_descriptor::yaml::{self, YamlArena, YamlEntry, YamlNode, YamlValue};
use thiserror::Error;

use super::{
    drift::{ApiDifference, DifferenceKind},
    pattern::{PatternError, SchemaPattern},
};

/// Larger files are not read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// So many exceptions a file may have.
const MAX_EXCEPTIONS: usize = 2_000;

/// A file of exceptions.
#[derive(Debug, Default)]
pub struct ExceptionFile {
    list: Vec<DriftException>,
}

/// One exception: what is given must fit.
#[derive(Debug)]
pub struct DriftException {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Why the difference stays.
    pub reason: String,
    /// What differs; anything if empty.
    what: Vec<DifferenceKind>,
    operation: Option<SchemaPattern>,
    tool: Option<SchemaPattern>,
    parameter: Option<SchemaPattern>,
    message: Option<SchemaPattern>,
}

/// One thing that is wrong with a file of exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}: {what}")]
pub struct ExceptionProblem {
    /// The line that it is on, from 1.
    pub line: usize,
    /// What it is.
    pub what: ExceptionMistake,
}

/// What can be wrong with a file of exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExceptionMistake {
    /// The file is not YAML.
    #[error("{0}")]
    Yaml(String),
    /// Nothing reads this key.
    #[error("unknown key `{0}`")]
    Key(String),
    /// There are more than anybody has a reason for.
    #[error("more than {} exceptions", MAX_EXCEPTIONS)]
    TooMany,
    /// The file has something else.
    #[error("the file needs a list under `exceptions`")]
    NoList,
    /// An item of the list is something else.
    #[error("an exception is a mapping")]
    NoMapping,
    /// A text is no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A word is none of [`DifferenceKind`].
    #[error("`{0}` is no difference; there are {known}", known = KnownWords)]
    Difference(String),
    /// Nothing says why a difference stays.
    #[error("an exception needs a `reason`")]
    NoReason,
    /// An exception for everything.
    #[error(
        "an exception needs at least one of `difference`, `operation`, `tool`, `parameter` or \
         `message`"
    )]
    AboutNothing,
}

/// The words for all that can differ.
struct KnownWords;

impl fmt::Display for KnownWords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = DifferenceKind::ALL.iter().map(|it| it.as_str()).collect();
        formatter.write_str(&known.join(", "))
    }
}

impl ExceptionMistake {
    fn on(self, line: usize) -> ExceptionProblem {
        ExceptionProblem { line, what: self }
    }
}

/// What is left of the differences.
#[derive(Debug, Default)]
pub struct JudgedDifferences<'a> {
    /// Differences that no exception has, in their order.
    pub left: Vec<&'a ApiDifference>,
    /// Differences that one has.
    pub excepted: Vec<(&'a ApiDifference, &'a DriftException)>,
    /// Exceptions that no difference needs.
    pub stale: Vec<&'a DriftException>,
}

impl ExceptionFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<ExceptionProblem>> {
        let mut findings = Vec::new();
        let arena = YamlArena::for_length(text.len());
        let root = yaml::parse_yaml(text, &arena, &mut findings);
        let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let mut problems: Vec<ExceptionProblem> = findings
            .into_iter()
            .map(|finding| ExceptionMistake::Yaml(finding.message).on(line(finding.span.start)))
            .collect();
        let Some(root) = root else {
            if problems.is_empty() {
                return Ok(Self::default());
            }
            return Err(problems);
        };
        let items = match &root.value {
            YamlValue::Null => return Ok(Self::default()),
            YamlValue::Mapping(entries) => {
                for entry in entries.iter().filter(|entry| entry.key != "exceptions") {
                    let unknown = ExceptionMistake::Key(entry.key.to_string());
                    problems.push(unknown.on(line(entry.key_span.start)));
                }
                root.get("exceptions")
            }
            _ => None,
        };
        let mut list = Vec::new();
        match items.map(|items| (&items.value, items.span.start)) {
            Some((YamlValue::Sequence(items), _)) => {
                if items.len() > MAX_EXCEPTIONS {
                    problems.push(ExceptionMistake::TooMany.on(1));
                }
                for item in items.iter().take(MAX_EXCEPTIONS) {
                    match exception(item, line(item.span.start)) {
                        Ok(exception) => list.push(exception),
                        Err(found) => problems.extend(found),
                    }
                }
            }
            Some((YamlValue::Null, _)) => {}
            _ => problems.push(ExceptionMistake::NoList.on(1)),
        }
        if problems.is_empty() { Ok(Self { list }) } else { Err(problems) }
    }

    /// Sorts differences into those that an exception has and those that none has.
    pub fn judge<'a>(&'a self, differences: &'a [ApiDifference]) -> JudgedDifferences<'a> {
        let mut judged = JudgedDifferences::default();
        let mut used = vec![false; self.list.len()];
        for difference in differences {
            let mut found = None;
            // One that several exceptions have keeps all of them fresh.
            for (exception, used) in self.list.iter().zip(&mut used) {
                if exception.fits(difference) {
                    *used = true;
                    found = found.or(Some(exception));
                }
            }
            match found {
                Some(exception) => judged.excepted.push((difference, exception)),
                None => judged.left.push(difference),
            }
        }
        judged.stale =
            self.list.iter().zip(used).filter(|(_, used)| !used).map(|(it, _)| it).collect();
        judged
    }
}

impl DriftException {
    fn fits(&self, difference: &ApiDifference) -> bool {
        let matches = |pattern: &Option<SchemaPattern>, text: Option<&str>| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.matches(text),
            (Some(_), None) => false,
        };
        (self.what.is_empty() || self.what.contains(&difference.what))
            && matches(&self.operation, Some(&difference.operation))
            && matches(&self.tool, difference.tool.as_deref())
            && matches(&self.parameter, difference.parameter.as_deref())
            && matches(&self.message, Some(&difference.message))
    }

    /// Returns what it is about, in one line.
    pub fn about(&self) -> String {
        let mut parts: Vec<String> = self.what.iter().map(|what| what.to_string()).collect();
        for (key, pattern) in [
            ("operation", &self.operation),
            ("tool", &self.tool),
            ("parameter", &self.parameter),
            ("message", &self.message),
        ] {
            parts.extend(pattern.as_ref().map(|pattern| format!("{key} {}", pattern.as_str())));
        }
        parts.join(", ")
    }
}

fn exception(node: &YamlNode<'_>, line: usize) -> Result<DriftException, Vec<ExceptionProblem>> {
    let YamlValue::Mapping(entries) = &node.value else {
        return Err(vec![ExceptionMistake::NoMapping.on(line)]);
    };
    let mut problems = Vec::new();
    let mut exception = DriftException {
        line,
        reason: String::new(),
        what: Vec::new(),
        operation: None,
        tool: None,
        parameter: None,
        message: None,
    };
    for YamlEntry { key, value, .. } in *entries {
        let text = value.text().unwrap_or_default().trim();
        let mut pattern = || match SchemaPattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(problem) => {
                problems.push(ExceptionMistake::from(problem).on(line));
                None
            }
        };
        match key.as_ref() {
            "reason" => exception.reason = text.to_owned(),
            "operation" => exception.operation = pattern(),
            "tool" => exception.tool = pattern(),
            "parameter" => exception.parameter = pattern(),
            "message" => exception.message = pattern(),
            "difference" => {
                let words: Vec<&str> = match &value.value {
                    YamlValue::Sequence(items) => items.iter().filter_map(YamlNode::text).collect(),
                    _ => vec![text],
                };
                for word in words {
                    match DifferenceKind::ALL.iter().find(|what| what.as_str() == word) {
                        Some(what) => exception.what.push(*what),
                        None => {
                            problems.push(ExceptionMistake::Difference(word.to_owned()).on(line))
                        }
                    }
                }
            }
            other => problems.push(ExceptionMistake::Key(other.to_owned()).on(line)),
        }
    }
    if exception.reason.is_empty() {
        problems.push(ExceptionMistake::NoReason.on(line));
    }
    let is_about_nothing = exception.what.is_empty()
        && exception.operation.is_none()
        && exception.tool.is_none()
        && exception.parameter.is_none()
        && exception.message.is_none();
    if is_about_nothing {
        problems.push(ExceptionMistake::AboutNothing.on(line));
    }
    if problems.is_empty() { Ok(exception) } else { Err(problems) }
}
