//! What the operator says of single tools (`overrides`), as it is written: what comes of it is known when
//! the tools are.

use std::collections::BTreeMap;

use dadl_descriptor::{
    code,
    model::AccessLevel,
    yaml::{YamlEntry, YamlValue},
};
use dadl_text::names::{RESERVED, TOOL_NAME_MAX};
use serde_json::Value;

use super::{
    backends_file::is_level,
    reader::{ConfigReader, ConfigSection, ConfigText},
};
use crate::{
    access::{ALL, ToolPatterns, UNCLASSIFIED},
    catalog::ProposedHints,
};

/// So many bytes a title or a description may have here; hosts get less.
const LONGEST_TEXT: usize = 8 * 1024;
/// So many words a tool may be found by besides its own.
const MOST_KEYWORDS: usize = 64;
/// And so many bytes each may have.
const LONGEST_KEYWORD: usize = 100;

/// The keys of one override.
const KEYS: [&str; 7] =
    ["name", "title", "description", "level", "annotations", "hidden", "keywords"];
const ANNOTATIONS: [&str; 4] = ["read_only", "destructive", "idempotent", "open_world"];

/// What is said of the tools that a name or a glob fits.
#[derive(Debug, Clone, Default)]
pub struct ToolOverride {
    /// The name of a tool in its backend, or a glob.
    pub pattern: String,
    /// What hosts call the tool, after the prefix of its backend.
    pub name: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// What hosts are told that it does.
    pub description: Option<String>,
    /// Its access level; the inner one is missing for `unclassified`.
    pub level: Option<Option<AccessLevel>>,
    /// How hosts are told that it behaves.
    pub annotations: ProposedHints,
    /// Values of parameters that callers neither see nor give, by their names on the wire.
    pub hidden: BTreeMap<String, Value>,
    /// Words by which it is found.
    pub keywords: Vec<String>,
    glob: ToolPatterns,
}

/// A glob is its text.
impl PartialEq for ToolOverride {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| {
            let Self { name, title, description, level, annotations, hidden, keywords, .. } =
                it.clone();
            (name, title, description, level, annotations, hidden, keywords)
        };
        self.pattern == other.pattern && parts(self) == parts(other)
    }
}

/// What the operator says of the tools of a backend, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolOverrides(Vec<ToolOverride>);

impl ToolOverrides {
    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what is said of `tool`: an override with its name goes before globs, and these count in the
    /// order of the file. What one does not say, the next may.
    pub fn of(&self, tool: &str) -> Option<ToolOverride> {
        let exact = self.0.iter().filter(|it| it.pattern == tool);
        let globs = self.0.iter().filter(|it| it.pattern != tool);
        let globs = globs.filter(|it| it.glob.matching(tool).is_some());
        exact.chain(globs).cloned().reduce(ToolOverride::or)
    }

    /// Returns the override that names `tool` itself.
    pub fn named(&self, tool: &str) -> Option<&ToolOverride> {
        self.0.iter().find(|it| it.pattern == tool)
    }

    /// Returns the parameters that are hidden by each name or glob.
    pub fn hidden(&self) -> impl Iterator<Item = (&ToolOverride, &str)> {
        self.0.iter().flat_map(|it| it.hidden.keys().map(move |name| (it, name.as_str())))
    }

    /// Returns the names and globs that fit none of `tools`: they are probably mistyped.
    pub fn without_match<'tool>(
        &self,
        tools: impl Iterator<Item = &'tool str> + Clone,
    ) -> Vec<&str> {
        let unused = |it: &&ToolOverride| !tools.clone().any(|tool| it.fits(tool));
        self.0.iter().filter(unused).map(|it| it.pattern.as_str()).collect()
    }
}

impl ToolOverride {
    /// Returns whether it is about `tool`.
    pub fn fits(&self, tool: &str) -> bool {
        self.pattern == tool || self.glob.matching(tool).is_some()
    }

    /// Adds what another one says of the same tool, where this one says nothing.
    fn or(mut self, other: Self) -> Self {
        let hints = self.annotations;
        for (name, value) in other.hidden {
            self.hidden.entry(name).or_insert(value);
        }
        self.keywords.extend(other.keywords);
        Self {
            name: self.name.or(other.name),
            title: self.title.or(other.title),
            description: self.description.or(other.description),
            level: self.level.or(other.level),
            annotations: ProposedHints {
                read_only: hints.read_only.or(other.annotations.read_only),
                destructive: hints.destructive.or(other.annotations.destructive),
                idempotent: hints.idempotent.or(other.annotations.idempotent),
                open_world: hints.open_world.or(other.annotations.open_world),
            },
            ..self
        }
    }
}

impl ConfigReader {
    /// Reads `overrides`; whether there are such tools and parameters is known when the tools are.
    pub(super) fn read_overrides(&mut self, section: ConfigSection<'_>) -> ToolOverrides {
        let mut overrides = Vec::new();
        let Some(section) = self.read_mapping(section, "overrides") else {
            return ToolOverrides::default();
        };
        for entry in section.entries() {
            let what = format!("the override of `{}`", entry.key);
            let Some(section) = self.open_section(&entry.value, &what) else { continue };
            overrides.extend(self.read_override(entry, section));
        }
        ToolOverrides(overrides)
    }

    fn read_override(
        &mut self,
        entry: &YamlEntry<'_>,
        section: ConfigSection<'_>,
    ) -> Option<ToolOverride> {
        self.check_keys(section, &KEYS);
        let pattern = entry.key.as_ref();
        let glob = match ToolPatterns::new([pattern]) {
            Ok(glob) => glob,
            Err(error) => {
                let message = format!("{error} (in `overrides`)");
                let help = "write the name of a tool, or a glob such as `delete_*`";
                self.report_error(code::WRONG_TYPE, &entry.key_span, message, help);
                return None;
            }
        };
        if pattern.contains(['*', '?', '[', '{']) {
            for key in ["name", "title", "description"] {
                let Some(entry) = section.entry(key) else { continue };
                let message = format!("`{key}` is for one tool, and `{pattern}` is a glob");
                let help = "write the name of a tool instead of the glob";
                self.report_error(code::UNKNOWN_KEY, &entry.key_span, message, help);
            }
        }
        Some(ToolOverride {
            pattern: pattern.to_owned(),
            name: self.override_name(section),
            title: self.override_text(section, "title"),
            description: self.override_text(section, "description"),
            level: self.override_level(section),
            annotations: self.override_hints(section),
            hidden: self.override_hidden(section),
            keywords: self.override_keywords(section),
            glob,
        })
    }

    fn override_name(&mut self, section: ConfigSection<'_>) -> Option<String> {
        let ConfigText { value, span } = self.read_text(section, "name")?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = (1..=TOOL_NAME_MAX).contains(&value.len()) && value.chars().all(is_word);
        if !fits {
            let message = format!("`{value}` is no name for a tool");
            let help = format!("use letters, digits and `_`, {TOOL_NAME_MAX} at most");
            self.report_error(code::UNKNOWN_VALUE, &span, message, help);
        } else if RESERVED.contains(&value) {
            let message = format!("`{value}` is the name of a tool of dadl-mcp itself");
            self.report_error(code::UNKNOWN_VALUE, &span, message, "choose another name");
        }
        Some(value.to_owned())
    }

    fn override_text(&mut self, section: ConfigSection<'_>, key: &str) -> Option<String> {
        let ConfigText { value, span } = self.read_text(section, key)?;
        if value.trim().is_empty() || value.len() > LONGEST_TEXT {
            let message = format!("`{key}` must have 1 to {LONGEST_TEXT} bytes");
            self.report_error(code::UNKNOWN_VALUE, &span, message, "");
        }
        Some(value.to_owned())
    }

    fn override_level(&mut self, section: ConfigSection<'_>) -> Option<Option<AccessLevel>> {
        let ConfigText { value, span } = self.read_text(section, "level")?;
        if !is_level(value) || value == ALL {
            let message = format!("`{value}` is no access level of a tool");
            let help = "levels are words such as `read`, `write`, `admin`, `dangerous` and \
                        `unclassified`";
            self.report_error(code::UNKNOWN_VALUE, &span, message, help);
            return None;
        }
        Some((value != UNCLASSIFIED).then(|| AccessLevel::from_word(value)))
    }

    fn override_hints(&mut self, section: ConfigSection<'_>) -> ProposedHints {
        let Some(section) = self.read_mapping(section, "annotations") else {
            return ProposedHints::default();
        };
        self.check_keys(section, &ANNOTATIONS);
        let [read_only, destructive, idempotent, open_world] =
            ANNOTATIONS.map(|key| self.read_boolean(section, key));
        ProposedHints { read_only, destructive, idempotent, open_world }
    }

    fn override_hidden(&mut self, section: ConfigSection<'_>) -> BTreeMap<String, Value> {
        let mut hidden = BTreeMap::new();
        let Some(section) = self.read_mapping(section, "hidden") else { return hidden };
        for entry in section.entries() {
            if matches!(entry.value.value, YamlValue::Null) {
                let message = format!("`{}` in `hidden` has no value", entry.key);
                let help = "give it the value that is sent";
                self.report_error(code::WRONG_TYPE, &entry.key_span, message, help);
                continue;
            }
            hidden.insert(entry.key.clone().into_owned(), entry.value.to_json());
        }
        hidden
    }

    fn override_keywords(&mut self, section: ConfigSection<'_>) -> Vec<String> {
        let words = self.read_words(section, "keywords").unwrap_or_default();
        if let Some(word) = words.get(MOST_KEYWORDS) {
            let message = format!("`keywords` has more than {MOST_KEYWORDS} items");
            self.report_error(code::UNKNOWN_VALUE, &word.span, message, "");
        }
        for ConfigText { value, span } in &words {
            if value.trim().is_empty() || value.len() > LONGEST_KEYWORD {
                let message =
                    format!("an item of `keywords` must have 1 to {LONGEST_KEYWORD} bytes");
                self.report_error(code::UNKNOWN_VALUE, span, message, "");
            }
        }
        words.into_iter().map(|word| word.value.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dadl_descriptor::source::SourceText;
    use serde_json::json;

    use super::*;
    use crate::config::backends_file::read_backends_file;

    fn read(overrides: &Value) -> Result<ToolOverrides, String> {
        let text = json!({ "backends": [{ "name": "a", "dadl": "a", "overrides": overrides }] });
        let source = SourceText::new("backends.yaml", text.to_string());
        let mut file = read_backends_file(&source, Path::new("/"));
        let found = file.findings.iter().map(|it| it.message.clone()).collect::<Vec<_>>();
        if found.is_empty() {
            return Ok(file.backends.remove(0).overrides);
        }
        Err(found.join("; "))
    }

    #[test]
    fn a_name_goes_before_globs_and_these_count_in_their_order() {
        let overrides = read(&json!({
            "delete_*": { "level": "dangerous", "hidden": { "force": false, "x": 1 }, "keywords": "a, b" },
            "delete_vm": { "level": "write", "hidden": { "force": true }, "name": "remove_machine" },
            "*": { "annotations": { "idempotent": true }, "level": "unclassified" },
        }))
        .unwrap();
        let of = |tool: &str| overrides.of(tool).unwrap();
        let level = |word: &str| Some(Some(AccessLevel::from_word(word)));
        assert_eq!(
            (of("delete_vm").level, of("delete_net").level),
            (level("write"), level("dangerous"))
        );
        assert_eq!(of("get").level, Some(None));
        assert_eq!(
            of("delete_vm").hidden,
            [("force".into(), json!(true)), ("x".into(), json!(1))].into()
        );
        assert_eq!(of("delete_vm").name.as_deref(), Some("remove_machine"));
        assert_eq!(of("delete_vm").keywords, ["a", "b"]);
        assert_eq!(of("delete_vm").annotations.idempotent, Some(true));
        assert_eq!(overrides.without_match(["get"].into_iter()), ["delete_*", "delete_vm"]);
        assert!(read(&json!({})).unwrap().is_empty());
        assert_eq!(overrides, overrides.clone());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let with = |said: Value| read(&json!({ "delete_vm": said })).unwrap_err();
        assert!(with(json!({ "nmae": "x" })).contains("unknown key `nmae`"));
        assert!(with(json!({ "name": "remove machine" })).contains("no name for a tool"));
        assert!(with(json!({ "name": "x".repeat(46) })).contains("no name for a tool"));
        assert!(with(json!({ "name": "api_read" })).contains("of dadl-mcp itself"));
        assert!(with(json!({ "level": "all" })).contains("no access level"));
        assert!(with(json!({ "annotations": { "readOnly": true } })).contains("unknown key"));
        assert!(
            with(json!({ "annotations": { "read_only": "yes" } })).contains("`true` or `false`")
        );
        assert!(with(json!({ "hidden": { "force": null } })).contains("has no value"));
        assert!(with(json!({ "title": " " })).contains("`title` must have"));
        assert!(with(json!({ "keywords": ["x".repeat(101)] })).contains("an item of `keywords`"));
        let of_many = read(&json!({ "delete_*": { "name": "x", "title": "y" } })).unwrap_err();
        assert!(of_many.contains("`name` is for one tool, and `delete_*` is a glob"), "{of_many}");
    }
}
