//! A switch of the API with which its administrator turns MCP off (`_dadl_mcp.switch`).
//!
//! The API decides: it is told which requests come through MCP, and refuses these. Nothing here
//! asks it before a call.

use http::{HeaderName, HeaderValue};

use crate::model::condition::AnswerCondition;

/// How the API is told that a call comes through MCP, and how it says that this is turned off.
#[derive(Debug, Clone)]
pub struct McpSwitch {
    /// What each request of such a call has. Never empty, and no tool sets any of them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Answers that say that MCP is off.
    pub off: Option<OffAnswers>,
    /// Where the API says how the switch stands.
    pub state: Option<SwitchState>,
}

/// Answers that say that MCP is off.
#[derive(Debug, Clone)]
pub struct OffAnswers {
    /// Their statuses: 4xx or 5xx. Never empty.
    pub statuses: Vec<u16>,
    /// Conditions on the body, one of which must hold. Never empty: an outage has the same status,
    /// and passes.
    pub when: Vec<AnswerCondition>,
}

/// Where the API says how the switch stands: for an operator, before the first call.
#[derive(Debug, Clone)]
pub struct SwitchState {
    /// A tool that only reads and needs no argument.
    pub tool: String,
    /// A condition on its result that holds while MCP is on; without one, each result says so.
    pub on: Option<AnswerCondition>,
}

impl OffAnswers {
    /// Returns whether an answer with this status can be one of these.
    pub fn may_be(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }

    /// Returns whether the body of such an answer says so.
    pub fn says(&self, body: &[u8]) -> bool {
        AnswerCondition::any_holds(&self.when, body)
    }
}

impl McpSwitch {
    /// Writes the fields as a request has them, for people.
    pub fn fields(&self) -> String {
        let fields = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        fields.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_told_from_an_outage_by_the_body() {
        let when = [r#"$.data.error == "mcp_disabled""#, r#"$[?search(@, "(?i)mcp")]"#];
        let when = when.map(|text| AnswerCondition::compile(text).unwrap()).to_vec();
        let off = OffAnswers { statuses: vec![403, 503], when };
        assert!(off.may_be(503) && off.may_be(403) && !off.may_be(502));
        for body in [
            r#"{"error": "gone", "data": {"error": "mcp_disabled"}}"#,
            r#"{"error": "mcp_disabled"}"#,
            r#"{"error": "MCP is disabled by administrator"}"#,
        ] {
            assert!(off.says(body.as_bytes()), "{body}");
        }
        for body in [r#"{"error": "database is starting"}"#, "{}", "<html>mcp</html>", ""] {
            assert!(!off.says(body.as_bytes()), "{body}");
        }
    }
}
