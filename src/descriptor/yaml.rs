//! YAML text as a tree whose nodes know their bytes.
//!
//! The tree is built from the events of the parser below `serde_yaml` and not through serde:
//! serde knows neither where a key is nor where a value ends, stops at the first duplicate key
//! and merges `<<` without a word, and all of that is what findings are about. Plain scalars
//! follow the core schema of YAML 1.2 (section 10.3.2), so `on` and `yes` are text.
//!
//! **Invariant:** any text gives a tree or findings, in bounded time and space. Aliases are
//! copied, but the copies count toward [`MAX_NODES`].

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use serde_json::Number;
use serde_yaml::granit_parser::{self as parser, ErrorKind, Event, ScalarStyle};

use super::{
    code,
    diagnostic::{Diagnostic, Severity},
};

/// The largest known descriptor has a tenth of this.
const MAX_NODES: usize = 400_000;

/// DADL nests ten levels; schemas under `types` may add some.
const MAX_DEPTH: usize = 64;

/// A value and the bytes that it is written in.
#[derive(Debug, Clone)]
pub(crate) struct Node<'text> {
    pub(crate) value: Value<'text>,
    pub(crate) span: Range<usize>,
}

/// A YAML value, resolved by the core schema.
#[derive(Debug, Clone)]
pub(crate) enum Value<'text> {
    Bool(bool),
    Mapping(Vec<Entry<'text>>),
    Null,
    /// The text is kept because `3.0` and `1.10` are versions where text is wanted.
    Number(Number, Cow<'text, str>),
    Sequence(Vec<Node<'text>>),
    String(Cow<'text, str>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'text> {
    pub(crate) key: Cow<'text, str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node<'text>,
}

impl Node<'_> {
    /// Returns the kind of the value with its article, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "a boolean",
            Value::Mapping(_) => "a mapping",
            Value::Null => "nothing",
            Value::Number(..) => "a number",
            Value::Sequence(_) => "a list",
            Value::String(_) => "text",
        }
    }

    /// Returns the value as JSON; DADL defaults and hints are JSON values.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Bool(value) => (*value).into(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone().into_owned(), entry.value.to_json()))
                .collect(),
            Value::Null => serde_json::Value::Null,
            Value::Number(number, _) => number.clone().into(),
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::String(text) => text.as_ref().into(),
        }
    }

    /// Returns what a copy of the value counts: its nodes, and more for long texts of its own.
    fn size(&self) -> usize {
        let text = |text: &Cow<'_, str>| match text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.len() / 64,
        };
        1 + match &self.value {
            Value::Mapping(entries) => {
                entries.iter().map(|entry| 1 + text(&entry.key) + entry.value.size()).sum()
            }
            Value::Sequence(items) => items.iter().map(Node::size).sum(),
            Value::String(value) => text(value),
            _ => 0,
        }
    }
}

/// Parses `text`; without a tree, the last finding says why.
pub(crate) fn parse<'text>(
    text: &'text str,
    findings: &mut Vec<Diagnostic>,
) -> Option<Node<'text>> {
    let mut options = parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::new(text, findings);
    for event in parser::Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span.byte_range().unwrap_or_default()),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                Err(syntax_error(error.kind(), at..at))
            }
        };
        if let Err(finding) = step {
            builder.findings.push(finding);
            return None;
        }
    }
    builder.root
}

/// The tree while it grows.
struct Builder<'text, 'findings> {
    text: &'text str,
    findings: &'findings mut Vec<Diagnostic>,
    open: Vec<Open<'text>>,
    anchors: HashMap<usize, (Node<'text>, usize)>,
    nodes: usize,
    documents: usize,
    root: Option<Node<'text>>,
}

/// A collection whose end has not come yet.
struct Open<'text> {
    start: usize,
    anchor: usize,
    content: Content<'text>,
}

/// The members of a collection so far.
enum Content<'text> {
    Mapping {
        entries: Vec<Entry<'text>>,
        /// Where each key is in `entries`, once there are enough to make a search slow.
        index: HashMap<Cow<'text, str>, usize>,
        key: Option<(Cow<'text, str>, Range<usize>)>,
        merges: Vec<Node<'text>>,
    },
    Sequence(Vec<Node<'text>>),
}

/// Up to here a mapping is searched from the start: hashing costs more.
const SMALL_MAPPING: usize = 12;

type Step = Result<(), Diagnostic>;

impl<'text, 'findings> Builder<'text, 'findings> {
    fn new(text: &'text str, findings: &'findings mut Vec<Diagnostic>) -> Self {
        Self {
            text,
            findings,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    /// Takes one event; the error is a reason to stop.
    fn take(&mut self, event: Event<'text>, span: Range<usize>) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a descriptor is a single YAML document".to_owned();
                    return Err(not_yaml(message, span, "a second document begins here"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = match tag {
                    Some(tag) if tag.suffix() != "str" => resolve_plain(text),
                    Some(_) => Value::String(text),
                    None if style == ScalarStyle::Plain => resolve_plain(text),
                    None => Value::String(text),
                };
                let span = self.trim(span);
                let node = Node { value, span };
                self.add(node, anchor, 1)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(span.start, anchor, Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Mapping {
                    entries: Vec::new(),
                    index: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(span.start, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end)?,
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    // The anchor belongs to a collection that is still open.
                    let message = "an alias refers to a value that contains it".to_owned();
                    return Err(not_yaml(message, span, "refers to itself"));
                };
                let (node, size) = (node.clone(), *size);
                self.add(node, 0, size)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Cuts the line break and the spaces that a block scalar ends in.
    fn trim(&self, span: Range<usize>) -> Range<usize> {
        let text = self.text.get(span.clone()).unwrap_or_default();
        span.start..span.start + text.trim_end().len()
    }

    fn open(&mut self, start: usize, anchor: usize, content: Content<'text>) -> Step {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_complex(
                format!("values nest more than {MAX_DEPTH} levels deep"),
                start..start,
            ));
        }
        self.open.push(Open { start, anchor, content });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Step {
        let Some(Open { start, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { mut entries, merges, .. } => {
                if !merges.is_empty() {
                    merge(&mut entries, merges);
                }
                Value::Mapping(entries)
            }
        };
        let span = self.trim(start..end);
        self.add(Node { value, span }, anchor, 1)
    }

    /// Puts a finished node where it belongs; `size` is what it adds to the count.
    fn add(&mut self, node: Node<'text>, anchor: usize, size: usize) -> Step {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} values, aliases expanded");
            return Err(too_complex(message, node.span));
        }
        if anchor != 0 {
            let size = node.size();
            self.nodes += size;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { content: Content::Sequence(items), .. }) => items.push(node),
            Some(Open { content: Content::Mapping { entries, index, key, merges }, .. }) => {
                let Some((name, key_span)) = key.take() else {
                    *key = Some(key_text(node)?);
                    return Ok(());
                };
                if name == "<<" {
                    self.findings.push(Diagnostic {
                        code: code::MERGE_KEY,
                        severity: Severity::Warning,
                        message: "`<<` merges one level only".to_owned(),
                        span: key_span,
                        label: "merges the keys of another mapping".to_owned(),
                        help: Some(
                            "write the keys out, or alias the whole value (`key: *anchor`)"
                                .to_owned(),
                        ),
                    });
                    merges.push(node);
                } else if position(entries, index, &name).is_some() {
                    self.findings.push(Diagnostic {
                        code: code::DUPLICATE_KEY,
                        severity: Severity::Error,
                        message: format!("the key `{name}` occurs twice"),
                        span: key_span,
                        label: "the same mapping has this key above".to_owned(),
                        help: Some("remove or rename one of the two".to_owned()),
                    });
                } else {
                    if entries.len() >= SMALL_MAPPING {
                        if index.is_empty() {
                            index.extend(
                                entries.iter().enumerate().map(|(at, e)| (e.key.clone(), at)),
                            );
                        }
                        index.insert(name.clone(), entries.len());
                    }
                    entries.push(Entry { key: name, key_span, value: node });
                }
            }
        }
        Ok(())
    }
}

/// Returns where `name` is among `entries`.
fn position(
    entries: &[Entry<'_>],
    index: &HashMap<Cow<'_, str>, usize>,
    name: &str,
) -> Option<usize> {
    if index.is_empty() {
        entries.iter().position(|entry| entry.key == name)
    } else {
        index.get(name).copied()
    }
}

/// Adds the keys of `merges` that are not there yet; the first mapping that has a key wins.
fn merge<'text>(entries: &mut Vec<Entry<'text>>, merges: Vec<Node<'text>>) {
    let mut known: HashSet<Cow<'text, str>> =
        entries.iter().map(|entry| entry.key.clone()).collect();
    let mut add = |value: Value<'text>| {
        if let Value::Mapping(others) = value {
            for other in others {
                if known.insert(other.key.clone()) {
                    entries.push(other);
                }
            }
        }
    };
    for merged in merges {
        match merged.value {
            Value::Sequence(items) => items.into_iter().for_each(|item| add(item.value)),
            value => add(value),
        }
    }
}

/// Returns a node as the text of a key: YAML allows any value there, DADL scalars.
fn key_text(node: Node<'_>) -> Result<(Cow<'_, str>, Range<usize>), Diagnostic> {
    let text = match node.value {
        Value::String(text) | Value::Number(_, text) => text,
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Null => Cow::Borrowed("null"),
        Value::Mapping(_) | Value::Sequence(_) => {
            let message = "a key must be a single value".to_owned();
            return Err(not_yaml(message, node.span, "this key is a collection"));
        }
    };
    Ok((text, node.span))
}

/// Resolves a plain scalar by the core schema.
fn resolve_plain(text: Cow<'_, str>) -> Value<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match number(&text) {
        Some(number) => Value::Number(number, text),
        None => Value::String(text),
    }
}

/// Reads a number of the core schema; infinity and not-a-number stay text, JSON has neither.
fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins = unsigned.strip_prefix('.').unwrap_or(unsigned);
    if !begins.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = text.strip_prefix('+').unwrap_or(text);
        if let Ok(value) = text.parse::<i64>() {
            return Some(value.into());
        }
        if let Ok(value) = text.parse::<u64>() {
            return Some(value.into());
        }
    }
    if !unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

fn not_yaml(message: String, span: Range<usize>, label: &str) -> Diagnostic {
    let label = label.to_owned();
    Diagnostic { code: code::NOT_YAML, severity: Severity::Error, message, span, label, help: None }
}

fn too_complex(message: String, span: Range<usize>) -> Diagnostic {
    Diagnostic {
        code: code::TOO_COMPLEX,
        severity: Severity::Error,
        message,
        span,
        label: "the limit is reached here".to_owned(),
        help: Some("split the descriptor into several backends".to_owned()),
    }
}

/// Says what the parser could not read.
fn syntax_error(kind: &ErrorKind, span: Range<usize>) -> Diagnostic {
    let (message, help) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            return too_complex(format!("values nest more than {MAX_DEPTH} levels deep"), span);
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => ("a tab is not allowed here", "indent with spaces"),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quoted text has no end", "close the quotes")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "something follows the end of a quoted text",
            "double a quote inside single quotes, escape it inside double quotes",
        ),
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidUnicodeEscape => (
            "double quotes hold an escape that YAML does not know",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("a bracket or brace has no partner", "close it")
        }
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket or brace closes nothing", "remove it, or open it before")
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a comma is missing between two values",
            "separate values with commas; quote text that contains `: `, `,` or brackets",
        ),
        ErrorKind::UnknownAnchor => {
            ("an alias refers to an anchor that does not exist", "define it above with `&name`")
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey => (
            "a `key: value` pair cannot stand here",
            "quote text that contains `: `, and check the indentation",
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => {
            ("the indentation does not fit", "align the line with its neighbors")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            ("a value cannot begin with this character", "put the text in quotes")
        }
        _ => ("this is not YAML", "check the indentation and the quotes of this line"),
    };
    let mut finding = not_yaml(message.to_owned(), span, "");
    finding.help = Some(help.to_owned());
    finding
}
