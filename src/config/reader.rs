//! Typed access to the YAML tree of backends.yaml.
//!
//! A wrong value costs a finding and counts as absent, so that one mistake does not hide the
//! next. Unlike in a descriptor, every finding here is an error: a misspelled key of a policy
//! must not widen it silently.

use std::{fmt, ops::Range, time::Duration};

use dadl_descriptor::{
    code,
    diagnostic::{Diagnostic, RuleCode, Severity},
    units,
    yaml::{YamlEntry, YamlNode, YamlValue},
};
use dadl_text::names::{meant_or, nearest_name};

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct ConfigReader {
    pub(super) findings: Vec<Diagnostic>,
    /// What works and is not what the operator means.
    pub(super) warnings: Vec<String>,
}

/// A mapping and what it describes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfigSection<'tree> {
    entries: &'tree [YamlEntry<'tree>],
    /// The mapping, for messages: `` backend `xo` ``.
    what: &'tree str,
}

/// A text and where it is.
#[derive(Debug, Clone)]
pub(super) struct ConfigText<'tree> {
    pub(super) value: &'tree str,
    pub(super) span: Range<usize>,
}

impl<'tree> ConfigSection<'tree> {
    pub(super) fn entry(&self, key: &str) -> Option<&'tree YamlEntry<'tree>> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn entries(&self) -> &'tree [YamlEntry<'tree>] {
        self.entries
    }

    /// Returns what the mapping is called in messages.
    pub(super) fn what(&self) -> &'tree str {
        self.what
    }

    /// Gives the mapping another name for messages.
    pub(super) fn called(self, what: &'tree str) -> Self {
        Self { what, ..self }
    }
}

impl ConfigReader {
    /// Reports an error; `help` says what to write instead.
    pub(super) fn report_error(
        &mut self,
        code: RuleCode,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let mut finding = Diagnostic::new(Severity::Error, code, span.clone(), message);
        finding.help = Some(help.into()).filter(|help| !help.is_empty());
        self.findings.push(finding);
    }

    /// Opens a mapping.
    pub(super) fn open_section<'tree>(
        &mut self,
        node: &'tree YamlNode<'tree>,
        what: &'tree str,
    ) -> Option<ConfigSection<'tree>> {
        match &node.value {
            YamlValue::Mapping(entries) => Some(ConfigSection { entries, what }),
            _ => {
                self.wrong_type(node, what, "a mapping");
                None
            }
        }
    }

    /// Opens the mapping under `key`.
    pub(super) fn read_mapping<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        key: &'tree str,
    ) -> Option<ConfigSection<'tree>> {
        let entry = self.find_value(section, key)?;
        self.open_section(&entry.value, key)
    }

    /// Reports the keys of `section` that are not in `known`.
    pub(super) fn check_keys(&mut self, section: ConfigSection<'_>, known: &[&str]) {
        for entry in section.entries {
            if !known.contains(&entry.key.as_ref()) {
                self.unknown_key(section, entry, known);
            }
        }
    }

    pub(super) fn unknown_key(
        &mut self,
        section: ConfigSection<'_>,
        entry: &YamlEntry<'_>,
        known: &[&str],
    ) {
        let message = format!("unknown key `{}` in {}", entry.key, section.what);
        let meant = nearest_name(&entry.key, known.iter().copied());
        let help = meant_or(meant, || format!("known keys are {}", join_names(known)));
        self.report_error(code::UNKNOWN_KEY, &entry.key_span, message, help);
    }

    pub(super) fn wrong_type(
        &mut self,
        node: &YamlNode<'_>,
        what: impl fmt::Display,
        wanted: &str,
    ) {
        let message = format!("{what} must be {wanted}, not {}", node.kind());
        self.report_error(code::WRONG_TYPE, &node.span, message, "");
    }

    pub(super) fn report_missing(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
        span: &Range<usize>,
    ) {
        let message = format!("{} has no `{key}`", section.what);
        self.report_error(code::MISSING_KEY, span, message, format!("add `{key}: ..`"));
    }

    /// Finds `key`; a key without a value is an error, because it may be half written.
    pub(super) fn find_value<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        key: &str,
    ) -> Option<&'tree YamlEntry<'tree>> {
        let entry = section.entry(key)?;
        if matches!(entry.value.value, YamlValue::Null) {
            let message = format!("`{key}` has no value");
            self.report_error(
                code::WRONG_TYPE,
                &entry.key_span,
                message,
                "remove the key, or give it a value",
            );
            return None;
        }
        Some(entry)
    }

    pub(super) fn read_text<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        key: &str,
    ) -> Option<ConfigText<'tree>> {
        let entry = self.find_value(section, key)?;
        self.node_text(&entry.value, format_args!("`{key}`"))
    }

    pub(super) fn read_string(&mut self, section: ConfigSection<'_>, key: &str) -> Option<String> {
        self.read_text(section, key).map(|text| text.value.to_owned())
    }

    /// Reads a node as text; a number is what somebody forgot to quote.
    pub(super) fn node_text<'tree>(
        &mut self,
        node: &'tree YamlNode<'tree>,
        what: impl fmt::Display,
    ) -> Option<ConfigText<'tree>> {
        match &node.value {
            YamlValue::String(value) => Some(ConfigText { value, span: node.span.clone() }),
            YamlValue::Number(_, value) => {
                let message = format!("{what} must be text, not a number");
                self.report_error(
                    code::WRONG_TYPE,
                    &node.span,
                    message,
                    format!("write \"{value}\""),
                );
                None
            }
            _ => {
                self.wrong_type(node, what, "text");
                None
            }
        }
    }

    pub(super) fn read_boolean(&mut self, section: ConfigSection<'_>, key: &str) -> Option<bool> {
        let entry = self.find_value(section, key)?;
        match entry.value.value {
            YamlValue::Bool(value) => Some(value),
            _ => {
                self.wrong_type(&entry.value, format_args!("`{key}`"), "`true` or `false`");
                None
            }
        }
    }

    /// Reads a list of texts.
    pub(super) fn read_texts<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        key: &str,
    ) -> Option<Vec<ConfigText<'tree>>> {
        let entry = self.find_value(section, key)?;
        let YamlValue::Sequence(items) = &entry.value.value else {
            self.wrong_type(&entry.value, format_args!("`{key}`"), "a list");
            return None;
        };
        let what = format_args!("an item of `{key}`").to_string();
        Some(items.iter().filter_map(|item| self.node_text(item, &what)).collect())
    }

    /// Reads a list of words: a list, or text with commas.
    pub(super) fn read_words<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        key: &str,
    ) -> Option<Vec<ConfigText<'tree>>> {
        let entry = self.find_value(section, key)?;
        let YamlValue::String(text) = &entry.value.value else {
            return self.read_texts(section, key);
        };
        let span = entry.value.span.clone();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Some(words.map(|value| ConfigText { value, span: span.clone() }).collect())
    }

    pub(super) fn read_duration(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
    ) -> Option<Duration> {
        self.some_duration(section, key, "a duration longer than zero", |it| !it.is_zero())
    }

    /// Reads a duration that may be zero, with a unit or as the bare number.
    pub(super) fn duration_or_zero(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
    ) -> Option<Duration> {
        let is_zero =
            |value: &YamlValue<'_>| matches!(value, YamlValue::Number(_, text) if text == "0");
        match section.entry(key) {
            Some(entry) if is_zero(&entry.value.value) => Some(Duration::ZERO),
            _ => self.some_duration(section, key, "a duration", |_| true),
        }
    }

    fn some_duration(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
        what: &str,
        fits: impl Fn(&Duration) -> bool,
    ) -> Option<Duration> {
        let entry = self.find_value(section, key)?;
        let duration = match &entry.value.value {
            YamlValue::String(text) => units::parse_duration(text).filter(fits),
            _ => None,
        };
        if duration.is_none() {
            self.report_error(
                code::DURATION,
                &entry.value.span,
                format!("`{key}` is not {what}"),
                "write a number and a unit, such as `500ms`, `2s`, `1m` or `1h30m`",
            );
        }
        duration
    }

    pub(super) fn read_size(&mut self, section: ConfigSection<'_>, key: &str) -> Option<u64> {
        self.size_of_at_least(1, section, key)
    }

    /// Reads a size that may be 0.
    pub(super) fn size_or_none(&mut self, section: ConfigSection<'_>, key: &str) -> Option<u64> {
        self.size_of_at_least(0, section, key)
    }

    fn size_of_at_least(
        &mut self,
        least: u64,
        section: ConfigSection<'_>,
        key: &str,
    ) -> Option<u64> {
        let entry = self.find_value(section, key)?;
        let size = match &entry.value.value {
            YamlValue::String(text) | YamlValue::Number(_, text) => {
                units::parse_size(text).filter(|size| *size >= least)
            }
            _ => None,
        };
        if size.is_none() {
            let above = if least > 0 { " above zero" } else { "" };
            self.report_error(
                code::SIZE,
                &entry.value.span,
                format!("`{key}` is not a size{above}"),
                "write a number and a unit, such as `500KB` or `64MB`",
            );
        }
        size
    }

    /// Reads one of a fixed set of words.
    pub(super) fn read_choice<Choice: Copy>(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
        choices: &[(&str, Choice)],
    ) -> Option<Choice> {
        let text = self.read_text(section, key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let message = format!("unknown value `{}` of `{key}`", text.value);
            let meant = nearest_name(text.value, words.iter().copied());
            let help = meant_or(meant, || format!("known values are {}", join_names(&words)));
            self.report_error(code::UNKNOWN_VALUE, &text.span, message, help);
        }
        found.map(|(_, choice)| *choice)
    }
}

/// Joins names for a message.
fn join_names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
