//! What a descriptor says about its credential beyond DADL (`_dadl_mcp.auth`). `docs/extensions.md`
//! describes the keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::model::{AuthScheme, condition::AnswerCondition};

/// `auth`: what there is to know about the credential.
#[derive(Debug, Clone, Default)]
pub struct AuthRules {
    /// Answers that mean what 401 means: the credential is not, or no longer, accepted.
    pub refused: Option<RefusalRules>,
    /// How long a session lasts; until the backend refuses it when nothing says.
    pub lifetime: Option<Duration>,
    /// Other ways to authenticate than [`Descriptor::auth`](crate::model::Descriptor::auth), by the
    /// names under which an operator chooses one.
    pub logins: BTreeMap<String, AuthScheme>,
    /// Which requests go without the credential while it is not set.
    pub optional: OptionalAuth,
}

/// Which tools can do without a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OptionalAuth {
    /// None: a call without its credential is an error.
    #[default]
    No,
    /// All of them, and the health check.
    All,
    /// These.
    Tools(BTreeSet<String>),
}

impl OptionalAuth {
    /// Returns whether this tool can.
    pub fn has(&self, tool: &str) -> bool {
        match self {
            Self::No => false,
            Self::All => true,
            Self::Tools(names) => names.contains(tool),
        }
    }
}

/// Answers that refuse the credential with another status than 401.
#[derive(Debug, Clone)]
pub struct RefusalRules {
    /// The status: 4xx, and never 401.
    pub status: u16,
    /// Conditions on the body, one of which must hold. Never empty: a plain lack of a right has
    /// the same status, and another login would not help.
    pub when: Vec<AnswerCondition>,
}

impl RefusalRules {
    /// Returns whether an answer with this status can be one of these.
    pub fn may_be(&self, status: u16) -> bool {
        self.status == status
    }

    /// Returns whether the body of such an answer says so.
    pub fn says(&self, body: &[u8]) -> bool {
        AnswerCondition::any_holds(&self.when, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_text() {
        let when = vec![AnswerCondition::compile(r#"$.detail == "Invalid token.""#).unwrap()];
        let refused = RefusalRules { status: 403, when };
        assert!(refused.may_be(403) && !refused.may_be(404));
        assert!(refused.says(br#"{"detail": "Invalid token."}"#));
        for other in [&br#"{"detail": "Permission denied"}"#[..], b"{}", b"<html>", b""] {
            assert!(!refused.says(other));
        }
    }
}
