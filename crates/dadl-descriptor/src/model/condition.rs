//! `has_more`: a path, or a comparison of two values of an answer.
//!
//! DADL has paths only; authors also write `$.page < $.pages` and `$.next != null`, which say
//! more exactly whether a page follows.

use std::borrow::Cow;

use dadl_text::json::{cost, scan};
use serde_json::Value;

use crate::model::json_path::{JsonPath, PathSyntaxError};

/// A compiled condition on an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerCondition {
    left: ConditionOperand,
    right: Option<(ComparisonOperator, ConditionOperand)>,
}

#[derive(Debug, Clone, PartialEq)]
enum ConditionOperand {
    Literal(Value),
    Path(JsonPath),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ComparisonOperator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// The longer ones first: `<=` begins with `<`.
const COMPARISONS: [(&str, ComparisonOperator); 6] = [
    ("==", ComparisonOperator::Equal),
    ("!=", ComparisonOperator::NotEqual),
    ("<=", ComparisonOperator::LessOrEqual),
    (">=", ComparisonOperator::GreaterOrEqual),
    ("<", ComparisonOperator::Less),
    (">", ComparisonOperator::Greater),
];

/// Why a text is no condition. The author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// One side of a comparison is nothing that can be compared.
    #[error("`{0}` is neither a path nor a JSON value")]
    Operand(String),
    /// A path is none.
    #[error(transparent)]
    Path(#[from] PathSyntaxError),
}

impl AnswerCondition {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// It is neither a path nor a comparison.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        let split = COMPARISONS
            .iter()
            .filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison)))
            .min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
        // A filter (`$[?@.a == 1]`) holds a sign of its own and stays one path.
        match split.filter(|_| !text.contains("[?")) {
            None => {
                let left = ConditionOperand::Path(JsonPath::compile(text)?);
                Ok(Self { left, right: None })
            }
            Some((at, sign, comparison)) => {
                let (left, right) = text.split_at_checked(at).unwrap_or((text, ""));
                let left = ConditionOperand::compile(left)?;
                let right = ConditionOperand::compile(right.trim_start_matches(sign))?;
                Ok(Self { left, right: Some((comparison, right)) })
            }
        }
    }

    /// Returns whether one of `conditions` holds on a body; on one that is no JSON, none does.
    pub fn any_holds(conditions: &[Self], body: &[u8]) -> bool {
        let text = std::str::from_utf8(body).ok().and_then(|text| scan::compacted(text).ok());
        let holds = |condition: &Self| condition.holds(text.as_deref()?);
        conditions.iter().any(|condition| holds(condition) == Some(true))
    }

    /// Returns whether this is a plain path, as DADL has it.
    pub fn is_path(&self) -> bool {
        self.right.is_none()
    }

    /// Evaluates the condition on an answer, a compact JSON text; `None` when the answer does not say.
    pub fn holds(&self, answer: &str) -> Option<bool> {
        let Some((comparison, right)) = &self.right else {
            let ConditionOperand::Path(path) = &self.left else { return None };
            return match path.look(answer)? {
                "null" | "false" | "[]" | "{}" | "\"\"" | "\"false\"" => Some(false),
                text if text.starts_with(['[', '{', '"']) || text == "true" => Some(true),
                number => Some(number.parse::<f64>().ok() != Some(0.0)),
            };
        };
        let (left, right) = (self.left.seen(answer), right.seen(answer));
        let ordering = || left.number()?.partial_cmp(&right.number()?);
        match comparison {
            ComparisonOperator::Equal => Some(left.is(&right)),
            ComparisonOperator::NotEqual => Some(!left.is(&right)),
            ComparisonOperator::Less => ordering().map(|order| order.is_lt()),
            ComparisonOperator::LessOrEqual => ordering().map(|order| order.is_le()),
            ComparisonOperator::Greater => ordering().map(|order| order.is_gt()),
            ComparisonOperator::GreaterOrEqual => ordering().map(|order| order.is_ge()),
        }
    }
}

/// What an operand stands for.
enum OperandValue<'answer> {
    /// A value that is too large to be compared: it is like no other.
    Large,
    Value(Cow<'answer, Value>),
}

impl OperandValue<'_> {
    fn is(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Value(one), Self::Value(other)) if one == other)
    }

    /// Servers write counts as numbers and as text.
    fn number(&self) -> Option<f64> {
        let Self::Value(value) = self else { return None };
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }
}

impl ConditionOperand {
    fn compile(text: &str) -> Result<Self, ConditionError> {
        let text = text.trim();
        if text.starts_with('$') {
            return Ok(Self::Path(JsonPath::compile(text)?));
        }
        let value = serde_json::from_str(text).map(Self::Literal);
        value.map_err(|_| ConditionError::Operand(text.to_owned()))
    }

    fn seen(&self, answer: &str) -> OperandValue<'_> {
        match self {
            Self::Literal(value) => OperandValue::Value(Cow::Borrowed(value)),
            Self::Path(path) => match path.look(answer) {
                // What is absent compares as null does: `$.next != null`.
                None => OperandValue::Value(Cow::Owned(Value::Null)),
                Some(text) => cost::small(text)
                    .map_or(OperandValue::Large, |value| OperandValue::Value(Cow::Owned(value))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str, answer: Value) -> Option<bool> {
        AnswerCondition::compile(text).unwrap().holds(&answer.to_string())
    }

    #[test]
    fn a_path_says_yes_or_no_or_nothing() {
        assert_eq!(holds("$.more", json!({"more": true})), Some(true));
        assert_eq!(holds("$.next", json!({"next": "/x?page=2"})), Some(true));
        for no in [json!(false), json!(null), json!(""), json!(0), json!([])] {
            assert_eq!(holds("$.more", json!({ "more": no })), Some(false));
        }
        assert_eq!(holds("$.more", json!({})), None);
        assert!(AnswerCondition::compile("$.more").unwrap().is_path());
    }

    #[test]
    fn comparisons_are_evaluated() {
        let answer = json!({"page": 2, "pages": "3", "next": null});
        assert_eq!(holds("$.page < $.pages", answer.clone()), Some(true));
        assert_eq!(holds("$.pages>$.page", answer.clone()), Some(true));
        assert_eq!(holds("$.page >= 3", answer.clone()), Some(false));
        assert_eq!(holds("$.next != null", answer.clone()), Some(false));
        assert_eq!(holds("$.absent != null", answer.clone()), Some(false));
        assert_eq!(holds("$.page == 2", answer.clone()), Some(true));
        assert_eq!(holds("$.absent < 3", answer), None);
        assert!(!AnswerCondition::compile("$.a < 1").unwrap().is_path());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "more", "$.a < b", "$.a <", "< 1"] {
            assert!(AnswerCondition::compile(text).is_err(), "{text}");
        }
    }
}
