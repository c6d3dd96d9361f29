//! What every part of the lowering uses: findings, and typed access to the keys of a mapping.
//!
//! A wrong value costs a finding and is then treated as absent, so that one mistake does not
//! hide the next.

use std::{borrow::Cow, fmt, ops::Range, time::Duration};

use dadl_text::names::{KnownOperation, nearest_name, nearest_operation, only_nearest};

use super::fix;
use crate::jq::{CompileError, JqFilter};
use crate::{
    code,
    diagnostic::{Diagnostic, RuleCode, Severity},
    model::{
        json_path::JsonPath,
        template::{NAMES_A_HOST, OtherHost, PathTemplate, TemplateError},
    },
    programs::ProgramCheck,
    source::SourceText,
    units,
    yaml::{YamlEntry, YamlNode, YamlValue},
};

/// More findings of one file are counted by nobody; [`crate::load`] keeps fewer.
const MAX_FINDINGS: usize = 20_000;

/// The path of a tool.
const PATH_EXAMPLE: &str = "/vms/{id}";

/// For so many unknown names of a file the nearest one is looked for.
const MAX_SEARCHES: usize = 100;

/// The findings so far, and what all parts of the lowering must know.
pub(crate) struct LowerContext<'tree> {
    pub(crate) source: &'tree SourceText,
    /// The whole document.
    pub(crate) root: &'tree YamlNode<'tree>,
    pub(crate) findings: Vec<Diagnostic>,
    /// Whether one of them is an error.
    pub(crate) has_error: bool,
    /// Where a finding goes that is one too many; see [`LowerContext::report`].
    pub(crate) spare: Option<Diagnostic>,
    /// Whether the file declares version 0.1, which lacks some keys.
    pub(crate) is_v01: bool,
    /// What the file lists under `requires.features`.
    pub(crate) features: Vec<&'tree str>,
    /// Whether the file is checked for its author, and not loaded to be served.
    pub(crate) is_checked: bool,
    /// Whether what is read is an extension: no other program follows its paths.
    pub(crate) is_extension: bool,
    /// How often a name was looked for among the tools.
    pub(crate) searches: usize,
    /// The jq programs that were read, by their texts.
    pub(crate) filters: Vec<(&'tree str, Result<JqFilter, CompileError>)>,
    /// Decides whether filters and scripts are compiled; they are where nothing decides.
    pub(crate) programs: Option<&'tree ProgramCheck<'tree>>,
}

/// What a mapping describes, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MappingPlace<'tree> {
    /// `` `defaults` ``
    Key(&'static str),
    /// `` tool `list_vms` ``
    Named(&'static str, &'tree str),
    /// `the file`
    Only(&'static str),
}

/// A mapping whose keys are known.
#[derive(Clone)]
pub(crate) struct YamlSection<'tree> {
    entries: &'tree [YamlEntry<'tree>],
    /// The key of the mapping, or the mapping itself where there is none.
    pub(crate) span: Range<usize>,
    pub(crate) place: MappingPlace<'tree>,
}

/// A text and where it is.
#[derive(Debug, Clone)]
pub(crate) struct YamlText<'tree> {
    pub(crate) value: &'tree str,
    pub(crate) span: Range<usize>,
}

impl fmt::Display for MappingPlace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "`{key}`"),
            Self::Named(kind, name) => write!(formatter, "{kind} `{name}`"),
            Self::Only(kind) => formatter.write_str(kind),
        }
    }
}

impl<'tree> YamlSection<'tree> {
    pub(crate) fn entry(&self, key: &str) -> Option<&'tree YamlEntry<'tree>> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn entries(&self) -> &'tree [YamlEntry<'tree>] {
        self.entries
    }
}

impl YamlText<'_> {
    /// Returns where `range` of the text is in the file; the whole text when escapes or folded
    /// lines make the two differ.
    pub(crate) fn part(&self, source: &SourceText, range: &Range<usize>) -> Range<usize> {
        match source.slice(self.span.clone()).find(self.value) {
            Some(offset) => {
                let start = self.span.start + offset;
                start + range.start..start + range.end
            }
            None => self.span.clone(),
        }
    }
}

impl<'tree> LowerContext<'tree> {
    pub(crate) fn new(source: &'tree SourceText, root: &'tree YamlNode<'tree>) -> Self {
        Self {
            source,
            root,
            findings: Vec::new(),
            has_error: false,
            spare: None,
            is_v01: false,
            features: Vec::new(),
            is_checked: false,
            is_extension: false,
            searches: 0,
            filters: Vec::new(),
            programs: None,
        }
    }

    /// Returns whether the filters and scripts of the file are compiled.
    pub(crate) fn compiles_programs(&self) -> bool {
        self.programs.is_none_or(|programs| programs.is_needed(self.source.text()))
    }

    pub(crate) fn error(
        &mut self,
        code: RuleCode,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report(Severity::Error, code, span, message.into())
    }

    pub(crate) fn warning(
        &mut self,
        code: RuleCode,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report(Severity::Warning, code, span, message.into())
    }

    pub(crate) fn note(
        &mut self,
        code: RuleCode,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report(Severity::Note, code, span, message.into())
    }

    /// Keeps a finding, up to a number that nobody reads; the first error is always kept.
    fn report(
        &mut self,
        severity: Severity,
        code: RuleCode,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let finding = Diagnostic::new(severity, code, span.clone(), message);
        let is_first_error = severity == Severity::Error && !self.has_error;
        self.has_error |= is_first_error;
        if self.findings.len() >= MAX_FINDINGS && !is_first_error {
            return self.spare.insert(finding);
        }
        self.findings.push_mut(finding)
    }

    /// Returns the nearest name of a list without a bound: comparing every wrong name with every
    /// other is quadratic, and nobody reads that many, so that only the first ones are compared.
    pub(crate) fn nearest<'known>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'known str>,
    ) -> Option<&'known str> {
        self.searches += 1;
        if self.searches > MAX_SEARCHES { None } else { nearest_name(name, known) }
    }

    /// Returns the name of the tool that was probably meant, as [`nearest`](Self::nearest) does for
    /// other names: what reads is not answered with what changes something.
    pub(crate) fn nearest_tool<'known>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'known str>,
    ) -> Option<&'known str> {
        self.searches += 1;
        if self.searches > MAX_SEARCHES {
            return None;
        }
        nearest_operation(name, known.into_iter().map(KnownOperation::named))
    }

    /// Notes a key that only documents.
    pub(crate) fn warn_ignored(&mut self, section: &YamlSection<'tree>, key: &str) {
        if let Some(entry) = section.entry(key) {
            self.note(
                code::IGNORED,
                &entry.key_span,
                format!("`{key}` only documents and is ignored"),
            );
        }
    }

    /// Warns about a key that version 0.1 does not have.
    pub(crate) fn since_v02(&mut self, section: &YamlSection<'tree>, key: &str) {
        let Some(entry) = section.entry(key).filter(|_| self.is_v01) else { return };
        let fix = fix::newer_spec(self.root, self.source);
        self.warning(
            code::NEWER_FEATURE,
            &entry.key_span,
            format!("`{key}` is a feature of DADL 0.2, but the file declares 0.1"),
        )
        .help("declare `spec: https://dadl.ai/spec/dadl-spec-v0.2.md`")
        .fix = fix.map(Box::new);
    }

    /// Warns about a key whose feature the file does not require: a program that lacks it would
    /// serve the file all the same.
    pub(crate) fn requires_feature(&mut self, entry: &YamlEntry<'tree>, feature: &str) {
        if self.features.contains(&feature) {
            return;
        }
        let fix = fix::required_feature(self.root, self.source, feature);
        self.warning(
            code::UNDECLARED_FEATURE,
            &entry.key_span,
            format!("`{}` is used, but `requires.features` does not list {feature}", entry.key),
        )
        .label("programs without it ignore this key")
        .help(format!("write `requires: {{ features: [{feature}] }}` at the top of the file"))
        .fix = fix.map(Box::new);
    }

    /// Opens a mapping and reports keys that are not in `known`.
    pub(crate) fn section(
        &mut self,
        node: &'tree YamlNode<'tree>,
        span: &Range<usize>,
        place: MappingPlace<'tree>,
        known: &[&'static str],
    ) -> Option<YamlSection<'tree>> {
        let section = self.open(node, span, place)?;
        for entry in section.entries {
            if known.contains(&entry.key.as_ref()) {
                continue;
            }
            let finding = self.warning(
                code::UNKNOWN_KEY,
                &entry.key_span,
                format!("unknown key `{}` in {place}", entry.key),
            );
            finding.label("ignored when the file is served");
            finding.meant_or(nearest_name(&entry.key, known.iter().copied()), || {
                format!("known keys are {}", join_names(known))
            });
            finding.fix = fix::renamed_key(entry, section.entries, known).map(Box::new);
        }
        Some(section)
    }

    /// Opens a mapping whose keys are names that the author chose.
    pub(crate) fn open(
        &mut self,
        node: &'tree YamlNode<'tree>,
        span: &Range<usize>,
        place: MappingPlace<'tree>,
    ) -> Option<YamlSection<'tree>> {
        match &node.value {
            YamlValue::Mapping(entries) => Some(YamlSection { entries, span: span.clone(), place }),
            YamlValue::Null => {
                self.no_value(span, place);
                None
            }
            _ => {
                self.wrong_type(node, &place.to_string(), "a mapping");
                None
            }
        }
    }

    /// Opens the mapping under `key`.
    pub(crate) fn subsection(
        &mut self,
        section: &YamlSection<'tree>,
        key: &'static str,
        known: &[&'static str],
    ) -> Option<YamlSection<'tree>> {
        let entry = section.entry(key)?;
        self.section(&entry.value, &entry.key_span, MappingPlace::Key(key), known)
    }

    pub(crate) fn wrong_type(&mut self, node: &YamlNode<'_>, what: &str, wanted: &str) {
        let found = node.kind();
        self.error(code::WRONG_TYPE, &node.span, format!("{what} must be {wanted}, not {found}"))
            .label(format!("this is {found}"));
    }

    fn no_value(&mut self, span: &Range<usize>, what: impl fmt::Display) {
        self.warning(code::WRONG_TYPE, span, format!("{what} has no value"))
            .help("remove the key, or give it a value");
    }

    pub(crate) fn report_missing(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> &mut Diagnostic {
        let place = section.place;
        self.error(code::MISSING_KEY, &section.span, format!("{place} has no `{key}`"))
            .label(format!("`{key}` is required"))
    }

    /// Reads a node as text.
    pub(crate) fn node_text(
        &mut self,
        node: &'tree YamlNode<'tree>,
        what: impl fmt::Display,
    ) -> Option<YamlText<'tree>> {
        let (value, kind) = match &node.value {
            YamlValue::String(text) => {
                return Some(YamlText { value: text, span: node.span.clone() });
            }
            YamlValue::Number(_, text) => (text.as_ref(), "a number"),
            YamlValue::Bool(true) => ("true", "a boolean"),
            YamlValue::Bool(false) => ("false", "a boolean"),
            YamlValue::Null => {
                self.no_value(&node.span, what);
                return None;
            }
            YamlValue::Mapping(_) | YamlValue::Sequence(_) => {
                self.wrong_type(node, &what.to_string(), "text");
                return None;
            }
        };
        self.warning(code::UNQUOTED, &node.span, format!("{what} must be text, not {kind}"))
            .label(format!("YAML reads this as {kind}"))
            .help(format!("write \"{value}\""))
            .fix(node.span.clone(), format!("\"{value}\""));
        Some(YamlText { value, span: node.span.clone() })
    }

    pub(crate) fn text(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> Option<YamlText<'tree>> {
        let entry = section.entry(key)?;
        self.node_text(&entry.value, format_args!("`{key}`"))
    }

    pub(crate) fn string(&mut self, section: &YamlSection<'tree>, key: &str) -> Option<String> {
        self.text(section, key).map(|text| text.value.to_owned())
    }

    pub(crate) fn required_text(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> Option<YamlText<'tree>> {
        if section.entry(key).is_none_or(|entry| matches!(entry.value.value, YamlValue::Null)) {
            self.report_missing(section, key);
            return None;
        }
        self.text(section, key)
    }

    pub(crate) fn boolean(&mut self, section: &YamlSection<'tree>, key: &str) -> Option<bool> {
        let entry = section.entry(key)?;
        match entry.value.value {
            YamlValue::Bool(value) => Some(value),
            _ => {
                let what = format!("`{key}`");
                self.wrong_type(&entry.value, &what, "`true` or `false`");
                None
            }
        }
    }

    /// Reads a whole number that is not negative.
    pub(crate) fn count(&mut self, section: &YamlSection<'tree>, key: &str) -> Option<u64> {
        let entry = section.entry(key)?;
        let YamlValue::Number(number, _) = &entry.value.value else {
            self.wrong_type(&entry.value, &format!("`{key}`"), "a whole number");
            return None;
        };
        if number.is_f64() {
            self.wrong_type(&entry.value, &format!("`{key}`"), "a whole number");
        } else if number.as_u64().is_none() {
            self.error(code::RANGE, &entry.value.span, format!("`{key}` cannot be negative"));
        }
        number.as_u64()
    }

    /// Reads the nodes of a list.
    pub(crate) fn items(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> &'tree [YamlNode<'tree>] {
        let Some(entry) = section.entry(key) else { return &[] };
        match &entry.value.value {
            YamlValue::Sequence(items) => items,
            YamlValue::Null => {
                self.no_value(&entry.key_span, format_args!("`{key}`"));
                &[]
            }
            _ => {
                self.wrong_type(&entry.value, &format!("`{key}`"), "a list");
                &[]
            }
        }
    }

    /// Reads a list of texts.
    pub(crate) fn texts(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> Vec<YamlText<'tree>> {
        let items = self.items(section, key);
        items
            .iter()
            .filter_map(|item| self.node_text(item, format_args!("an item of `{key}`")))
            .collect()
    }

    pub(crate) fn strings(&mut self, section: &YamlSection<'tree>, key: &str) -> Vec<String> {
        self.texts(section, key).into_iter().map(|text| text.value.to_owned()).collect()
    }

    /// Reads one of a fixed set of words; another word is an error.
    pub(crate) fn choice<T: Clone>(
        &mut self,
        text: &YamlText<'tree>,
        what: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let finding = self.error(
                code::UNKNOWN_VALUE,
                &text.span,
                format!("unknown {what} `{}`", text.value),
            );
            let lower = text.value.to_ascii_lowercase();
            let near = words.iter().find(|word| word.eq_ignore_ascii_case(&lower)).copied();
            if let Some(meant) = near.or_else(|| only_nearest(text.value, words.iter().copied())) {
                finding.fix(text.span.clone(), meant);
            }
            finding
                .meant_or(near.or_else(|| nearest_name(text.value, words.iter().copied())), || {
                    format!("known values are {}", join_names(&words))
                });
        }
        found.map(|(_, value)| value.clone())
    }

    pub(crate) fn json_path(
        &mut self,
        section: &YamlSection<'tree>,
        key: &str,
    ) -> Option<JsonPath> {
        let text = self.text(section, key)?;
        self.compile_path(&text, key)
    }

    pub(crate) fn json_paths(&mut self, section: &YamlSection<'tree>, key: &str) -> Vec<JsonPath> {
        let texts = self.texts(section, key);
        texts.iter().filter_map(|text| self.compile_path(text, key)).collect()
    }

    fn compile_path(&mut self, text: &YamlText<'tree>, key: &str) -> Option<JsonPath> {
        match JsonPath::compile(text.value) {
            Ok(path) => {
                if !self.is_extension && !path.is_in_dialect() {
                    self.warning(
                        code::JSON_PATH,
                        &text.span,
                        format!("`{key}` is JSONPath that DADL does not have"),
                    )
                    .label("works here, but not everywhere")
                    .help("use names, indexes and wildcards only");
                }
                Some(path)
            }
            Err(error) => {
                self.error(code::JSON_PATH, &text.span, format!("`{key}` is not JSONPath"))
                    .label(error.to_string())
                    .help("a path begins with `$`, such as `$.data.items`");
                None
            }
        }
    }

    /// Splits a path below the base URL; `example` is one of its kind.
    pub(crate) fn compile_template(
        &mut self,
        text: &YamlText<'tree>,
        example: Option<&str>,
    ) -> Option<PathTemplate> {
        self.split(text, example, PathTemplate::parse(text.value))
    }

    /// Splits the path of a tool. One that names a host leaves out the tool when the file is served,
    /// and is an error to its author.
    pub(crate) fn template_of_tool(&mut self, text: &YamlText<'tree>) -> Option<PathTemplate> {
        let parsed = PathTemplate::parse_of_tool(text.value);
        let template = self.split(text, Some(PATH_EXAMPLE), parsed)?;
        match template.elsewhere() {
            None => {}
            Some(_) if self.is_checked => {
                self.error(code::PATH, &text.span, NAMES_A_HOST)
                    .help(format!("a path is joined below the base URL, such as `{PATH_EXAMPLE}`"));
            }
            Some(OtherHost::Origin(url)) => {
                let origin = url.origin().ascii_serialization();
                self.warning(code::PATH, &text.span, NAMES_A_HOST)
                    .label("the tool is left out when the file is served")
                    .help(format!("`allow_origins: [\"{origin}\"]` of the backend admits it"));
            }
            Some(OtherHost::Unclear) => {
                self.warning(code::PATH, &text.span, NAMES_A_HOST)
                    .label("the tool is left out when the file is served");
            }
        }
        Some(template)
    }

    fn split(
        &mut self,
        text: &YamlText<'tree>,
        example: Option<&str>,
        parsed: Result<PathTemplate, TemplateError>,
    ) -> Option<PathTemplate> {
        match parsed {
            Ok(template) => Some(template),
            Err(error) => {
                let span = text.part(self.source, &error.range);
                let finding = self.error(code::PATH, &span, error.message);
                if let Some(example) = example {
                    finding
                        .help(format!("a path is joined below the base URL, such as `{example}`"));
                }
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, section: &YamlSection<'tree>, key: &str) -> Option<Duration> {
        let text = self.text(section, key)?;
        let duration = units::parse_duration(text.value);
        if duration.is_none() {
            self.error(
                code::DURATION,
                &text.span,
                format!("`{key}` is not a duration: `{}`", text.value),
            )
            .help("write a number and a unit, such as `500ms`, `2s`, `1m` or `1h30m`");
        }
        duration
    }
}

/// Joins names for a message.
pub(crate) fn join_names<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<Cow<'_, str>> =
        names.iter().map(|name| Cow::Owned(format!("`{}`", name.as_ref()))).collect();
    quoted.join(", ")
}
