//! `has_more`: a path, or a comparison of two values of an answer.
//!
//! DADL has paths only; authors also write `$.page < $.pages` and `$.next != null`, which say
//! more exactly whether a page follows.

use serde_json::Value;

use super::json_path::JsonPath;

/// A compiled condition on an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    left: Operand,
    right: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    Path(JsonPath),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// The longer ones first: `<=` begins with `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Condition {
    /// Compiles `text`; the error says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let split = COMPARISONS
            .iter()
            .filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison)))
            .min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
        // A filter (`$[?@.a == 1]`) holds a sign of its own and stays one path.
        match split.filter(|_| !text.contains("[?")) {
            None => {
                let left = Operand::Path(JsonPath::compile(text)?);
                Ok(Self { left, right: None })
            }
            Some((at, sign, comparison)) => {
                let (left, right) = text.split_at_checked(at).unwrap_or((text, ""));
                let left = Operand::compile(left)?;
                let right = Operand::compile(right.trim_start_matches(sign))?;
                Ok(Self { left, right: Some((comparison, right)) })
            }
        }
    }

    /// Returns whether this is a plain path, as DADL has it.
    pub fn is_path(&self) -> bool {
        self.right.is_none()
    }

    /// Evaluates the condition on an answer; `None` when the answer does not say.
    pub fn holds(&self, answer: &Value) -> Option<bool> {
        let Some((comparison, right)) = &self.right else {
            return match self.left.value(answer)? {
                Value::Null => Some(false),
                Value::Bool(value) => Some(*value),
                Value::String(text) => Some(!text.is_empty() && text != "false"),
                Value::Number(number) => Some(number.as_f64() != Some(0.0)),
                Value::Array(items) => Some(!items.is_empty()),
                Value::Object(members) => Some(!members.is_empty()),
            };
        };
        // What is absent compares as null does: `$.next != null`.
        let left = self.left.value(answer).unwrap_or(&Value::Null);
        let right = right.value(answer).unwrap_or(&Value::Null);
        let ordering = || number(left)?.partial_cmp(&number(right)?);
        match comparison {
            Comparison::Equal => Some(left == right),
            Comparison::NotEqual => Some(left != right),
            Comparison::Less => ordering().map(|order| order.is_lt()),
            Comparison::LessOrEqual => ordering().map(|order| order.is_le()),
            Comparison::Greater => ordering().map(|order| order.is_gt()),
            Comparison::GreaterOrEqual => ordering().map(|order| order.is_ge()),
        }
    }
}

impl Operand {
    fn compile(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('$') {
            return JsonPath::compile(text).map(Self::Path);
        }
        serde_json::from_str(text)
            .map(Self::Literal)
            .map_err(|_| format!("`{text}` is neither a path nor a JSON value"))
    }

    fn value<'answer>(&'answer self, answer: &'answer Value) -> Option<&'answer Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Path(path) => path.first(answer),
        }
    }
}

/// Servers write counts as numbers and as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str, answer: Value) -> Option<bool> {
        Condition::compile(text).unwrap().holds(&answer)
    }

    #[test]
    fn a_path_says_yes_or_no_or_nothing() {
        assert_eq!(holds("$.more", json!({"more": true})), Some(true));
        assert_eq!(holds("$.next", json!({"next": "/x?page=2"})), Some(true));
        for no in [json!(false), json!(null), json!(""), json!(0), json!([])] {
            assert_eq!(holds("$.more", json!({ "more": no })), Some(false));
        }
        assert_eq!(holds("$.more", json!({})), None);
        assert!(Condition::compile("$.more").unwrap().is_path());
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
        assert!(!Condition::compile("$.a < 1").unwrap().is_path());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "more", "$.a < b", "$.a <", "< 1"] {
            assert!(Condition::compile(text).is_err(), "{text}");
        }
    }
}
