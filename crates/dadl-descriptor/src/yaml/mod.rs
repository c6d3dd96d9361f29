//! YAML text as a tree whose nodes know their bytes.
//!
//! The tree is built from the events of the parser below `serde_saphyr` and not through serde:
//! serde knows neither where a key is nor where a value ends, stops at the first duplicate key
//! and merges `<<` without a word, and all of that is what findings are about. Plain scalars
//! follow the core schema of YAML 1.2 (section 10.3.2), so `on` and `yes` are text.
//!
//! **Invariant:** any text gives a tree or findings, in bounded time and space. Aliases are
//! copied, but the copies count toward [`MAX_NODES`].

mod arena;
mod problem;
mod scalar;
mod usual;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use serde_json::Number;
use serde_saphyr::granit_parser::{self as parser, Event, ScalarStyle};

pub use arena::YamlArena;
use problem::{not_yaml, syntax_error, too_complex};
use scalar::resolve_plain;

use super::{
    code,
    diagnostic::{Diagnostic, Severity},
};

/// The largest known descriptor has a tenth of this.
pub const MAX_NODES: usize = 400_000;

/// DADL nests ten levels; schemas under `types` may add some.
const MAX_DEPTH: usize = 64;

/// A value and the bytes that it is written in.
#[derive(Debug, Clone)]
pub struct YamlNode<'text> {
    /// What it is.
    pub value: YamlValue<'text>,
    /// Its bytes in the source.
    pub span: Range<usize>,
}

/// A YAML value, resolved by the core schema.
#[derive(Debug, Clone)]
pub enum YamlValue<'text> {
    /// `true` or `false`.
    Bool(bool),
    /// Keys with their values, as the file lists them.
    Mapping(&'text [YamlEntry<'text>]),
    /// Nothing.
    Null,
    /// The text is kept because `3.0` and `1.10` are versions where text is wanted.
    Number(Number, Cow<'text, str>),
    /// A list.
    Sequence(&'text [YamlNode<'text>]),
    /// Text.
    String(Cow<'text, str>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct YamlEntry<'text> {
    /// The key as text.
    pub key: Cow<'text, str>,
    /// The bytes of the key.
    pub key_span: Range<usize>,
    /// What it stands for.
    pub value: YamlNode<'text>,
}

impl<'text> YamlNode<'text> {
    /// Returns whether two trees hold the same, wherever and however it is written.
    pub(crate) fn is_same(&self, other: &YamlNode<'_>) -> bool {
        match (&self.value, &other.value) {
            (YamlValue::Mapping(left), YamlValue::Mapping(right)) => {
                left.len() == right.len()
                    && left.iter().zip(*right).all(|(left, right)| {
                        left.key == right.key && left.value.is_same(&right.value)
                    })
            }
            (YamlValue::Sequence(left), YamlValue::Sequence(right)) => {
                left.len() == right.len()
                    && left.iter().zip(*right).all(|(left, right)| left.is_same(right))
            }
            (YamlValue::Bool(left), YamlValue::Bool(right)) => left == right,
            (YamlValue::Null, YamlValue::Null) => true,
            (YamlValue::Number(_, left), YamlValue::Number(_, right)) => left == right,
            (YamlValue::String(left), YamlValue::String(right)) => left == right,
            _ => false,
        }
    }

    /// Returns the value under `key` when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Returns the entries of a mapping, and none of anything else.
    pub fn entries(&self) -> &[YamlEntry<'text>] {
        match &self.value {
            YamlValue::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the value when it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            YamlValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the kind of the value with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            YamlValue::Bool(_) => "a boolean",
            YamlValue::Mapping(_) => "a mapping",
            YamlValue::Null => "nothing",
            YamlValue::Number(..) => "a number",
            YamlValue::Sequence(_) => "a list",
            YamlValue::String(_) => "text",
        }
    }

    /// Returns the value as JSON; DADL defaults and hints are JSON values.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            YamlValue::Bool(value) => (*value).into(),
            YamlValue::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone().into_owned(), entry.value.to_json()))
                .collect(),
            YamlValue::Null => serde_json::Value::Null,
            YamlValue::Number(number, _) => number.clone().into(),
            YamlValue::Sequence(items) => items.iter().map(YamlNode::to_json).collect(),
            YamlValue::String(text) => text.as_ref().into(),
        }
    }

    /// Returns about how many bytes a checked copy of the value takes.
    pub(crate) fn weight(&self) -> usize {
        const NODE: usize = 64;
        match &self.value {
            YamlValue::Mapping(entries) => entries
                .iter()
                .fold(NODE, |sum, entry| sum + NODE + entry.key.len() + entry.value.weight()),
            YamlValue::Sequence(items) => items.iter().fold(NODE, |sum, item| sum + item.weight()),
            YamlValue::String(text) | YamlValue::Number(_, text) => NODE + text.len(),
            YamlValue::Bool(_) | YamlValue::Null => NODE,
        }
    }

    /// Returns what a copy of the value counts: its nodes, and more for long texts, which the
    /// checked descriptor copies as well.
    pub(crate) fn size(&self) -> usize {
        let text = |text: &Cow<'_, str>| text.len() / 64;
        1 + match &self.value {
            YamlValue::Mapping(entries) => {
                entries.iter().map(|entry| 1 + text(&entry.key) + entry.value.size()).sum()
            }
            YamlValue::Sequence(items) => items.iter().map(YamlNode::size).sum(),
            YamlValue::String(value) => text(value),
            _ => 0,
        }
    }
}

/// A text, and where it begins in its source: that of a fragment is not at the start.
#[derive(Debug, Clone, Copy)]
struct YamlPart<'text> {
    text: &'text str,
    offset: usize,
}

/// Parses `text` to a tree in `arena`; without a tree, the last finding says why.
pub fn parse_yaml<'text>(
    text: &'text str,
    arena: &'text YamlArena<'text>,
    findings: &mut Vec<Diagnostic>,
) -> Option<YamlNode<'text>> {
    parse_part(text, 0, arena, findings)
}

/// Does what [`parse_yaml`] does with a text that begins at `offset` of its source.
pub(crate) fn parse_part<'text>(
    text: &'text str,
    offset: usize,
    arena: &'text YamlArena<'text>,
    findings: &mut Vec<Diagnostic>,
) -> Option<YamlNode<'text>> {
    let part = YamlPart { text, offset };
    let mut found = Vec::new();
    let root = match parse_usual(part, arena) {
        Some((root, own)) => {
            found = own;
            Some(root)
        }
        None => parse_any(part, arena, &mut found),
    };
    for finding in &mut found {
        finding.span = shifted(&finding.span, offset);
    }
    findings.extend(found);
    root
}

fn shifted(span: &Range<usize>, offset: usize) -> Range<usize> {
    span.start + offset..span.end + offset
}

/// Parses a text that has nothing unusual.
fn parse_usual<'text>(
    part: YamlPart<'text>,
    arena: &'text YamlArena<'text>,
) -> Option<(YamlNode<'text>, Vec<Diagnostic>)> {
    let mut findings = Vec::new();
    let mut builder = TreeBuilder::new(part, arena, &mut findings);
    usual::read(part.text, &mut builder).ok()?;
    let root = builder.root?;
    Some((root, findings))
}

/// Parses any text.
fn parse_any<'text>(
    part: YamlPart<'text>,
    arena: &'text YamlArena<'text>,
    findings: &mut Vec<Diagnostic>,
) -> Option<YamlNode<'text>> {
    let text = part.text;
    let mut options = parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = TreeBuilder::new(part, arena, findings);
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
///
/// Its spans are those in the text; those of nodes that have their place are in the source.
struct TreeBuilder<'text, 'findings> {
    part: YamlPart<'text>,
    arena: &'text YamlArena<'text>,
    findings: &'findings mut Vec<Diagnostic>,
    open: Vec<OpenNode<'text>>,
    /// The entries of all open mappings, those of the innermost one last.
    entries: Vec<YamlEntry<'text>>,
    /// The items of all open sequences, as those.
    items: Vec<YamlNode<'text>>,
    anchors: HashMap<usize, (YamlNode<'text>, usize)>,
    nodes: usize,
    documents: usize,
    root: Option<YamlNode<'text>>,
}

/// A collection whose end has not come yet.
struct OpenNode<'text> {
    start: usize,
    anchor: usize,
    content: OpenContent<'text>,
}

/// The members of a collection so far.
enum OpenContent<'text> {
    Mapping {
        /// Where its entries begin among those of all.
        first: usize,
        /// The keys, once there are enough to make a search slow.
        index: Option<HashSet<Cow<'text, str>>>,
        key: Option<(Cow<'text, str>, Range<usize>)>,
        merges: Vec<YamlNode<'text>>,
    },
    Sequence {
        /// Where its items begin among those of all.
        first: usize,
    },
}

/// Up to here a mapping is searched from the start: hashing costs more.
const SMALL_MAPPING: usize = 12;

type BuildResult = Result<(), Diagnostic>;

impl<'text, 'findings> TreeBuilder<'text, 'findings> {
    fn new(
        part: YamlPart<'text>,
        arena: &'text YamlArena<'text>,
        findings: &'findings mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            part,
            arena,
            findings,
            open: Vec::new(),
            entries: Vec::new(),
            items: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    /// Takes one event; the error is a reason to stop.
    fn take(&mut self, event: Event<'text>, span: Range<usize>) -> BuildResult {
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
                    Some(_) => YamlValue::String(text),
                    None if style == ScalarStyle::Plain => resolve_plain(text),
                    None => YamlValue::String(text),
                };
                self.scalar(value, span, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open_sequence(span.start, anchor)?;
            }
            Event::MappingStart(_, anchor, _) => {
                self.open_mapping(span.start, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end)?,
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        value: YamlValue<'text>,
        span: Range<usize>,
        anchor: usize,
    ) -> BuildResult {
        let span = self.trim(span);
        self.add(YamlNode { value, span }, anchor, 1)
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>) -> BuildResult {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            // The anchor belongs to a collection that is still open.
            let message = "an alias refers to a value that contains it".to_owned();
            return Err(not_yaml(message, span, "refers to itself"));
        };
        let (node, size) = (node.clone(), *size);
        self.add(node, 0, size)
    }

    fn open_sequence(&mut self, start: usize, anchor: usize) -> BuildResult {
        let first = self.items.len();
        self.open(start, anchor, OpenContent::Sequence { first })
    }

    fn open_mapping(&mut self, start: usize, anchor: usize) -> BuildResult {
        let first = self.entries.len();
        let content = OpenContent::Mapping { first, index: None, key: None, merges: Vec::new() };
        self.open(start, anchor, content)
    }

    /// Cuts the line break and the spaces that a block scalar ends in.
    fn trim(&self, span: Range<usize>) -> Range<usize> {
        let text = self.part.text.get(span.clone()).unwrap_or_default();
        span.start..span.start + text.trim_end().len()
    }

    fn open(&mut self, start: usize, anchor: usize, content: OpenContent<'text>) -> BuildResult {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_complex(
                format!("values nest more than {MAX_DEPTH} levels deep"),
                start..start,
            ));
        }
        self.open.push(OpenNode { start, anchor, content });
        Ok(())
    }

    fn close(&mut self, end: usize) -> BuildResult {
        let Some(OpenNode { start, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            OpenContent::Sequence { first } => {
                YamlValue::Sequence(self.arena.items(self.items.drain(first..)))
            }
            OpenContent::Mapping { first, merges, .. } => {
                if !merges.is_empty() {
                    merge(&mut self.entries, first, merges);
                }
                YamlValue::Mapping(self.arena.entries(self.entries.drain(first..)))
            }
        };
        let span = self.trim(start..end);
        self.add(YamlNode { value, span }, anchor, 1)
    }

    /// Puts a finished node where it belongs; `size` is what it adds to the count.
    fn add(&mut self, node: YamlNode<'text>, anchor: usize, size: usize) -> BuildResult {
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
        let offset = self.part.offset;
        let placed = |node: YamlNode<'text>| YamlNode { span: shifted(&node.span, offset), ..node };
        match self.open.last_mut() {
            None => self.root = Some(placed(node)),
            Some(OpenNode { content: OpenContent::Sequence { .. }, .. }) => {
                self.items.push(placed(node));
            }
            Some(OpenNode {
                content: OpenContent::Mapping { first, index, key, merges }, ..
            }) => {
                let entries = &mut self.entries;
                let own = entries.get(*first..).unwrap_or_default();
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
                        fix: None,
                    });
                    merges.push(node);
                } else if has_key(own, index.as_ref(), &name) {
                    self.findings.push(Diagnostic {
                        code: code::DUPLICATE_KEY,
                        severity: Severity::Error,
                        message: format!("the key `{name}` occurs twice"),
                        span: key_span,
                        label: "the same mapping has this key above".to_owned(),
                        help: Some("remove or rename one of the two".to_owned()),
                        fix: None,
                    });
                } else {
                    if own.len() >= SMALL_MAPPING {
                        let all = || own.iter().map(|entry| entry.key.clone()).collect();
                        index.get_or_insert_with(all).insert(name.clone());
                    }
                    let key_span = shifted(&key_span, offset);
                    entries.push(YamlEntry { key: name, key_span, value: placed(node) });
                }
            }
        }
        Ok(())
    }
}

/// Returns whether `name` is among the keys of `entries`.
fn has_key(entries: &[YamlEntry<'_>], index: Option<&HashSet<Cow<'_, str>>>, name: &str) -> bool {
    match index {
        None => entries.iter().any(|entry| entry.key == name),
        Some(index) => index.contains(name),
    }
}

/// Adds the keys of `merges` that are not there yet, from the entry `first` on; the first mapping that has a
/// key wins.
fn merge<'text>(entries: &mut Vec<YamlEntry<'text>>, first: usize, merges: Vec<YamlNode<'text>>) {
    let own = entries.iter().skip(first);
    let mut known: HashSet<Cow<'text, str>> = own.map(|entry| entry.key.clone()).collect();
    let mut add = |value: &YamlValue<'text>| {
        if let YamlValue::Mapping(others) = value {
            for other in *others {
                if known.insert(other.key.clone()) {
                    entries.push(other.clone());
                }
            }
        }
    };
    for merged in merges {
        match &merged.value {
            YamlValue::Sequence(items) => items.iter().for_each(|item| add(&item.value)),
            value => add(value),
        }
    }
}

/// Returns a node as the text of a key: YAML allows any value there, DADL scalars.
fn key_text(node: YamlNode<'_>) -> Result<(Cow<'_, str>, Range<usize>), Diagnostic> {
    let text = match node.value {
        YamlValue::String(text) | YamlValue::Number(_, text) => text,
        YamlValue::Bool(true) => Cow::Borrowed("true"),
        YamlValue::Bool(false) => Cow::Borrowed("false"),
        YamlValue::Null => Cow::Borrowed("null"),
        YamlValue::Mapping(_) | YamlValue::Sequence(_) => {
            let message = "a key must be a single value".to_owned();
            return Err(not_yaml(message, node.span, "this key is a collection"));
        }
    };
    Ok((text, node.span))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(text: &str) -> YamlNode<'_> {
        let mut findings = Vec::new();
        let node = parse_yaml(text, Box::leak(Box::default()), &mut findings);
        node.unwrap_or_else(|| panic!("{findings:?}"))
    }

    fn json(text: &str) -> serde_json::Value {
        tree(text).to_json()
    }

    /// Returns the findings as `code text: message`.
    fn findings(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        parse_yaml(text, &YamlArena::default(), &mut findings);
        let show = |it: &Diagnostic| {
            let marked = text.get(it.span.clone()).unwrap_or("?");
            format!("{} {marked}: {}", it.code.0, it.message)
        };
        findings.iter().map(show).collect()
    }

    /// Returns the text of the value under `key` as the file has it.
    fn written<'text>(text: &'text str, key: &str) -> &'text str {
        let YamlValue::Mapping(entries) = tree(text).value else { panic!("no mapping") };
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        assert_eq!(text[entry.key_span.clone()].trim_matches(['"', '\'']), key);
        &text[entry.value.span.clone()]
    }

    #[test]
    fn resolves_scalars_by_the_core_schema() {
        let text = "[null, ~, true, False, on, yes, 1, -2, +3, 0x10, 0o17, 1.5, .5, 1e3, 012]";
        let expected =
            json!([null, null, true, false, "on", "yes", 1, -2, 3, 16, 15, 1.5, 0.5, 1000.0, 12]);
        assert_eq!(json(text), expected);
        let text = "['1', \"true\", .inf, .nan, 1_000, 1:30, 2026-05-02, 1.2.3, -, e3, !!str 5]";
        let expected = json!([
            "1",
            "true",
            ".inf",
            ".nan",
            "1_000",
            "1:30",
            "2026-05-02",
            "1.2.3",
            "-",
            "e3",
            "5"
        ]);
        assert_eq!(json(&text.replace(" -,", " '-',")), expected);
        assert_eq!(json("18446744073709551615"), json!(18_446_744_073_709_551_615_u64));
    }

    #[test]
    fn keeps_the_text_of_numbers() {
        assert!(matches!(tree("1.10").value, YamlValue::Number(_, text) if text == "1.10"));
    }

    #[test]
    fn knows_where_keys_and_values_are() {
        assert_eq!(written("a: 1\nb:   text here # c\nc: 2\n", "b"), "text here");
        assert_eq!(written("\"a\": 'it''s'\n", "a"), "'it''s'");
        assert_eq!(written("ä: ö\nb: ü\n", "b"), "ü");
        assert_eq!(written("a: {b: [1, 2]}\nc: 3\n", "a"), "{b: [1, 2]}");
        assert_eq!(written("a:\n  - x\n  - y\n\nc: 3\n", "a"), "- x\n  - y");
        let block = written("a: |\n  one\n  two\n\nc: 3\n", "a");
        assert!(block.contains("one") && block.ends_with("two"), "{block:?}");
    }

    #[test]
    fn reports_every_duplicate_key() {
        let expected = ["D003 a: the key `a` occurs twice", "D003 'b': the key `b` occurs twice"];
        assert_eq!(findings("a: 1\nb: 2\na: 3\n'b': 4\n"), expected);
        let many: String = (0..40).map(|number| format!("k{number}: 1\n")).collect();
        assert_eq!(findings(&format!("{many}k7: 1\nk39: 1\n")).len(), 2);
        assert_eq!(findings("404: a\n'404': b\n").len(), 1, "keys are compared as text");
    }

    #[test]
    fn merges_one_level_and_says_so() {
        let text = "b: &b {x: 1, y: {z: 1}}\nc: &c {x: 2, w: 2}\na: {<<: [*b, *c], y: 3}\n";
        assert_eq!(json(text)["a"], json!({"y": 3, "x": 1, "w": 2}));
        assert_eq!(findings(text), ["D005 <<: `<<` merges one level only"]);
    }

    #[test]
    fn aliases_copy_whole_values() {
        assert_eq!(json("a: &x {b: [1]}\nc: *x\n")["c"], json!({"b": [1]}));
    }

    #[test]
    fn refuses_what_is_no_single_document() {
        for text in [
            "a: b: c",
            "a: [1",
            "a: \"x",
            "a:\n\tb: 1",
            "a: *nope",
            "a: 1\n---\nb: 2\n",
            "[1]: 2",
            "a: &a [*a]",
            "a: @x",
            "a: \"\\q\"",
            "- a\nb: 1\n",
        ] {
            let found = findings(text);
            assert!(found.last().is_some_and(|it| it.starts_with("D002")), "{text:?}: {found:?}");
        }
    }
}
