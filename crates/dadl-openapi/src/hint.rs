//! What an API thinks of giving an operation to a model (`x-mcp-exposure`, `x-mcp`, ..).
//!
//! APIs mark operations for MCP servers of their own, for plugins and for agents, each in its way.
//! Here these words are a hint for the access level: what a guess may not go below. Nothing lowers
//! a guess, and only a plain no leaves an operation out.

use std::fmt;

use dadl_descriptor::model::AccessLevel;
use serde_json::{Map, Value};

/// The key whose words are known and whose every other word is taken for the strictest.
pub(super) const EXPOSURE: &str = "x-mcp-exposure";

/// Keys that say whether a model gets it at all.
const GIVEN: [&str; 5] =
    ["x-mcp", "x-mcp-enabled", "x-mcp-include", "x-mcp-expose", "x-speakeasy-mcp"];

/// Keys that say that no model gets it.
const WITHHELD: [&str; 5] =
    ["x-mcp-ignore", "x-mcp-exclude", "x-mcp-disabled", "x-mcp-hidden", "x-mcp-skip"];

/// Keys that say that a call has consequences.
const CONSEQUENTIAL: [&str; 3] =
    ["x-openai-isconsequential", "x-ms-openai-isconsequential", "x-ms-isconsequential"];

/// The word of an API about one operation, from the most generous to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessWord {
    /// A model may call it.
    Allow,
    /// A person is asked first.
    Confirm,
    /// It is not for a model, or destroys something.
    Deny,
    /// A plain no: it is no tool.
    No,
}

/// What an API says about one operation, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessHint {
    /// What it says.
    pub word: AccessWord,
    /// The key that says it, as the document writes it.
    pub key: String,
    /// Whether the word itself is not known, and was taken for the strictest.
    pub is_odd: bool,
}

impl AccessWord {
    fn read(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "confirm" => Some(Self::Confirm),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Confirm => "confirm",
            Self::Deny => "deny",
            Self::No => "no",
        }
    }

    /// Returns the level that a tool has at least: where its API asks a person each time, an
    /// operator has to allow it, and where its API gives it to no model, a person is asked as well.
    pub const fn least(self) -> Option<AccessLevel> {
        match self {
            Self::Allow => None,
            Self::Confirm => Some(AccessLevel::Write),
            Self::Deny | Self::No => Some(AccessLevel::Dangerous),
        }
    }

    /// Returns whether a tool of this level is given to models more generously than its API does.
    /// One without a level is not given at all.
    pub fn is_exceeded_by(self, access: Option<&AccessLevel>) -> bool {
        match (self.least(), access) {
            (None, _) | (_, None) => false,
            (Some(AccessLevel::Write), Some(access)) => *access == AccessLevel::Read,
            (Some(_), Some(access)) => *access != AccessLevel::Dangerous,
        }
    }
}

impl fmt::Display for AccessWord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl AccessHint {
    /// Reads what an operation, its path and the document say. Of what they say about giving it to a
    /// model the nearest counts, and so it is with what they say about consequences; of the two, and
    /// of several keys of one object, the stricter one.
    pub(super) fn read<'doc>(
        levels: impl Iterator<Item = &'doc Map<String, Value>> + Clone,
    ) -> Option<Self> {
        let nearest = |is_giving| levels.clone().find_map(|level| Self::of(level, is_giving));
        strictest(nearest(true).into_iter().chain(nearest(false)))
    }

    fn of(map: &Map<String, Value>, is_giving: bool) -> Option<Self> {
        let hints = map.iter().filter_map(|(key, value)| {
            let plain = key.to_ascii_lowercase().replace('_', "-");
            if !plain.starts_with("x-") || is_about_giving(&plain) != is_giving {
                return None;
            }
            let (word, is_odd) = said_word(&plain, value)?;
            Some(Self { word, key: key.clone(), is_odd })
        });
        strictest(hints)
    }
}

/// Of two that say the same the first counts: a document is read alike each time.
fn strictest(hints: impl Iterator<Item = AccessHint>) -> Option<AccessHint> {
    hints.reduce(|one, other| if other.word > one.word { other } else { one })
}

/// Members that give something to a model when they are true.
const SHOWS: [&str; 3] = ["enabled", "include", "expose"];
/// Members that withhold it when they are true.
const HIDES: [&str; 5] = ["disabled", "exclude", "ignore", "hidden", "skip"];

fn is_about_giving(key: &str) -> bool {
    key == EXPOSURE || GIVEN.contains(&key) || WITHHELD.contains(&key)
}

/// Returns what a key says, and whether that is a guess.
fn said_word(key: &str, value: &Value) -> Option<(AccessWord, bool)> {
    if key == EXPOSURE {
        let known = value.as_str().and_then(AccessWord::read);
        return Some((known.unwrap_or(AccessWord::Deny), known.is_none()));
    }
    let is_yes = is_true(value);
    let word = if GIVEN.contains(&key) {
        given_word(value)
    } else if WITHHELD.contains(&key) {
        // A `true` of the others gives it to a model, and so does a `false` of these.
        if is_yes { Some(AccessWord::No) } else { is_false(value).then_some(AccessWord::Allow) }
    } else if CONSEQUENTIAL.contains(&key) {
        is_yes.then_some(AccessWord::Confirm)
    } else {
        match key {
            "x-ms-visibility" => {
                (value.as_str() == Some("internal")).then_some(AccessWord::Confirm)
            }
            "x-mcp-annotations" => annotations(value),
            "x-mcp-destructive" => is_yes.then_some(AccessWord::Deny),
            "x-mcp-read-only" | "x-mcp-readonly" => is_false(value).then_some(AccessWord::Confirm),
            _ => None,
        }
    };
    word.map(|word| (word, false))
}

fn given_word(value: &Value) -> Option<AccessWord> {
    if let Some(text) = value.as_str().filter(|text| AccessWord::read(text).is_some()) {
        return AccessWord::read(text);
    }
    if is_false(value) {
        return Some(AccessWord::No);
    }
    if is_true(value) {
        return Some(AccessWord::Allow);
    }
    let map = value.as_object()?;
    let is_any = |keys: &[&str], says: fn(&Value) -> bool| {
        keys.iter().any(|key| map.get(*key).is_some_and(says))
    };
    let is_out = is_any(&SHOWS, is_false) || is_any(&HIDES, is_true);
    if is_out {
        return Some(AccessWord::No);
    }
    let words = ["exposure", "access"].into_iter().filter_map(|key| map.get(key)?.as_str());
    let word = words.filter_map(AccessWord::read).max();
    let own = annotations(value);
    let nested = map.get("annotations").and_then(annotations);
    let is_in = is_any(&SHOWS, is_true);
    word.max(own).max(nested).max(is_in.then_some(AccessWord::Allow))
}

/// Reads the annotations of MCP.
fn annotations(value: &Value) -> Option<AccessWord> {
    if value.get("destructiveHint").is_some_and(is_true) {
        Some(AccessWord::Deny)
    } else if value.get("readOnlyHint").is_some_and(is_false) {
        Some(AccessWord::Confirm)
    } else {
        None
    }
}

/// Returns whether a value says yes.
fn is_true(value: &Value) -> bool {
    read_flag(value) == Some(true)
}

/// Returns whether a value says no, which one that says nothing does not.
fn is_false(value: &Value) -> bool {
    read_flag(value) == Some(false)
}

/// Reads a flag, which some write in quotes.
fn read_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_level_is_compared_with_the_word() {
        let custom = AccessLevel::Custom("ops".to_owned());
        let levels = [
            &AccessLevel::Read,
            &AccessLevel::Write,
            &AccessLevel::Admin,
            &AccessLevel::Dangerous,
            &custom,
        ];
        for (word, expected) in [
            (AccessWord::Allow, [false; 5]),
            (AccessWord::Confirm, [true, false, false, false, false]),
            (AccessWord::Deny, [true, true, true, false, true]),
            (AccessWord::No, [true, true, true, false, true]),
        ] {
            let found = levels.map(|level| word.is_exceeded_by(Some(level)));
            assert_eq!(found, expected, "{word}");
            assert!(!word.is_exceeded_by(None));
        }
    }

    fn word(key: &str, value: Value) -> Option<AccessWord> {
        let map = Map::from_iter([(key.to_owned(), value)]);
        AccessHint::read([&map].into_iter()).map(|hint| hint.word)
    }

    #[test]
    fn keys_of_several_makers_are_known() {
        for (key, value, expected) in [
            ("x-mcp-exposure", json!("confirm"), Some(AccessWord::Confirm)),
            ("x-mcp-exposure", json!("whatever"), Some(AccessWord::Deny)),
            ("x-mcp", json!(false), Some(AccessWord::No)),
            ("x-mcp", json!("false"), Some(AccessWord::No)),
            ("x-mcp", json!(true), Some(AccessWord::Allow)),
            ("x-mcp", json!({ "enabled": false }), Some(AccessWord::No)),
            ("x-mcp", json!({ "ignore": true }), Some(AccessWord::No)),
            ("x-mcp", json!({ "exposure": "deny" }), Some(AccessWord::Deny)),
            (
                "x-mcp",
                json!({ "annotations": { "destructiveHint": true } }),
                Some(AccessWord::Deny),
            ),
            ("x-mcp", json!({ "name": "list" }), None),
            ("x-mcp", json!("deny"), Some(AccessWord::Deny)),
            ("X-MCP-Ignore", json!(true), Some(AccessWord::No)),
            ("x_mcp_enabled", json!(false), Some(AccessWord::No)),
            ("x-mcp_enabled", json!(false), Some(AccessWord::No)),
            ("x-speakeasy-mcp", json!({ "disabled": true }), Some(AccessWord::No)),
            ("x-openai-isConsequential", json!(true), Some(AccessWord::Confirm)),
            ("x-openai-isConsequential", json!(false), None),
            ("x-ms-visibility", json!("internal"), Some(AccessWord::Confirm)),
            ("x-ms-visibility", json!("important"), None),
            ("x-mcp-destructive", json!(true), Some(AccessWord::Deny)),
            ("x-mcp-read-only", json!(true), None),
            ("x-mcp-read-only", json!(false), Some(AccessWord::Confirm)),
            ("x-other", json!(false), None),
        ] {
            assert_eq!(word(key, value.clone()), expected, "{key}: {value}");
        }
    }

    #[test]
    fn the_strictest_key_of_the_nearest_level_counts() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let all = map(json!({ "x-mcp": true, "x-openai-isConsequential": true }));
        let hint = AccessHint::read([&all].into_iter()).unwrap();
        assert_eq!(
            (hint.word, hint.key.as_str()),
            (AccessWord::Confirm, "x-openai-isConsequential")
        );
        let (own, path) = (map(json!({ "x-mcp": true })), map(json!({})));
        let document = map(json!({ "x-mcp": false }));
        let word = |levels: &[&Map<String, Value>]| {
            AccessHint::read(levels.iter().copied()).map(|hint| hint.word)
        };
        assert_eq!(word(&[&own, &path, &document]), Some(AccessWord::Allow));
        assert_eq!(word(&[&path, &path, &document]), Some(AccessWord::No));
        assert_eq!(word(&[&path]), None);
        // Consequences take nothing back.
        let own = map(json!({ "x-openai-isConsequential": true }));
        assert_eq!(word(&[&own, &path, &document]), Some(AccessWord::No));
    }
}
