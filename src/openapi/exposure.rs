//! What an API thinks of giving an operation to a model (`x-mcp-exposure`).
//!
//! Xen Orchestra marks each operation of its document for its own MCP server: allow, confirm, deny.
//! Here it is a hint for the access level: what a guess may not go below.

use std::fmt;

use serde_json::Value;

use crate::descriptor::model::Access;

/// The key of an operation, or of the path that it belongs to.
pub(super) const KEY: &str = "x-mcp-exposure";

/// The word of an API about one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// A model may call it.
    Allow,
    /// A person is asked first.
    Confirm,
    /// No model gets it.
    Deny,
}

impl Exposure {
    /// Reads a word; `None` for one that has no meaning here.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
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
        }
    }

    /// Returns the level that a tool has at least: where its API asks a person each time, an
    /// operator has to allow it, and where its API gives it to no model, a person is asked as well.
    pub const fn least(self) -> Option<Access> {
        match self {
            Self::Allow => None,
            Self::Confirm => Some(Access::Write),
            Self::Deny => Some(Access::Dangerous),
        }
    }

    /// Returns whether a tool of this level is given to models more generously than its API does.
    /// One without a level is not given at all.
    pub fn is_exceeded_by(self, access: Option<&Access>) -> bool {
        match (self.least(), access) {
            (None, _) | (_, None) => false,
            (Some(Access::Write), Some(access)) => *access == Access::Read,
            (Some(_), Some(access)) => *access != Access::Dangerous,
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_compared_with_the_word() {
        let custom = Access::Custom("ops".to_owned());
        let levels = [&Access::Read, &Access::Write, &Access::Admin, &Access::Dangerous, &custom];
        for (word, expected) in [
            (Exposure::Allow, [false; 5]),
            (Exposure::Confirm, [true, false, false, false, false]),
            (Exposure::Deny, [true, true, true, false, true]),
        ] {
            let found = levels.map(|level| word.is_exceeded_by(Some(level)));
            assert_eq!(found, expected, "{word}");
            assert!(!word.is_exceeded_by(None));
        }
    }
}
