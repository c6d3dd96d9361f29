//! Why a text is no program, and why a program gave no result.

use std::ops::Range;

/// Why a text is no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the program; `None` when it is the program as a whole.
    pub span: Option<Range<usize>>,
}

impl CompileError {
    pub(super) fn whole(message: String) -> Self {
        Self { message, span: None }
    }

    /// Puts the place of `part` into the error when it is part of `text`.
    pub(super) fn at(message: String, text: &str, part: &str) -> Self {
        let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        let span = start
            .map(|start| start..start + part.len())
            .filter(|span| text.get(span.clone()).is_some());
        Self { message, span }
    }
}

/// Why a program gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The input is not JSON.
    #[error("the input is no JSON: {0}")]
    Input(String),
    /// The program failed, in its own words or in those of jq.
    #[error("{0}")]
    Failed(String),
    /// The result is larger than the limit, in bytes.
    #[error("the result is larger than {0} bytes")]
    Output(usize),
}
