//! Takes the arguments of a built-in tool apart, and tells all that is wrong with them at once.

use dadl_text::text;
use serde_json::{Map, Value};

/// Arguments that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments of `{tool}` cannot be used: {}", .problems.join("; "))]
pub(super) struct ArgumentsError {
    tool: &'static str,
    problems: Vec<String>,
}

/// Arguments, some of which were taken.
#[derive(Debug)]
pub(super) struct GivenArguments {
    tool: &'static str,
    left: Map<String, Value>,
    problems: Vec<String>,
}

impl GivenArguments {
    /// Takes those of `tool` apart.
    pub(super) fn new(tool: &'static str, arguments: Map<String, Value>) -> Self {
        Self { tool, left: arguments, problems: Vec::new() }
    }

    /// Takes an argument that must be there; `what` it is, in words.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        what: &str,
        expected: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.left.shift_remove(name);
            self.problems.push(format!("`{name}` ({what}) is required"));
            return None;
        }
        self.optional(name, expected, read)
    }

    /// Takes an argument that may be absent; null is none.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.left.shift_remove(name).filter(|value| !value.is_null())?;
        let taken = read(value);
        if taken.is_none() {
            self.problems.push(format!("`{name}` must be {expected}"));
        }
        taken
    }

    /// Tells what else is wrong.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Ends with what was `taken`, unless anything is wrong or left.
    pub(super) fn finish<T>(mut self, taken: Option<T>) -> Result<T, ArgumentsError> {
        for (name, _) in self.left.iter().filter(|(_, value)| !value.is_null()) {
            self.problems.push(format!("there is no parameter `{}`", start_of(name)));
        }
        match taken.filter(|_| self.problems.is_empty()) {
            Some(taken) => Ok(taken),
            None => Err(ArgumentsError { tool: self.tool, problems: self.problems }),
        }
    }
}

/// Reads a number; models send `"5"` for 5.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
}

/// Reads a number of things.
pub(super) fn as_count(value: &Value) -> Option<usize> {
    let count = as_number(value).filter(|count| *count >= 0.0 && count.fract() == 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and the number is not negative"
    )]
    Some(count as usize)
}

/// Returns the start of what a caller sent, fit for a message.
pub(super) fn start_of(text: &str) -> String {
    text::start_of(text, 80)
}
