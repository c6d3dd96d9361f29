//! A backend as text, between what is said of it and what a person adds.

use std::fmt::Write as _;

use dadl_text::text::{one_line, shown_text};

use crate::cli::yaml_text::scalar;

/// Longer comments are broken.
const COMMENT_WIDTH: usize = 96;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum YamlText {
    /// It is on the line of its key.
    Line(String),
    /// Its own keys, each with its value on one line.
    Block(Vec<(String, String)>),
}

/// A backend that is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WrittenBackend {
    /// What is said before it.
    pub comments: Vec<String>,
    /// Its keys, `name` first.
    pub keys: Vec<(&'static str, YamlText)>,
    /// Whether all of it is a comment, for a person to complete.
    pub is_comment: bool,
}

impl WrittenBackend {
    /// Returns the item of the list `backends`.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for comment in &self.comments {
            for line in textwrap::wrap(&one_line(&shown_text(comment)), COMMENT_WIDTH) {
                let _ = writeln!(text, "  # {line}");
            }
        }
        let (outer, inner) = if self.is_comment { ("  # - ", "  #   ") } else { ("  - ", "    ") };
        for (number, (key, value)) in self.keys.iter().enumerate() {
            let start = if number == 0 { outer } else { inner };
            match value {
                YamlText::Line(value) => {
                    let _ = writeln!(text, "{start}{key}: {value}");
                }
                YamlText::Block(items) => {
                    let _ = writeln!(text, "{start}{key}:");
                    for (name, value) in items {
                        let _ = writeln!(text, "{inner}  {}: {value}", scalar(name));
                    }
                }
            }
        }
        text
    }
}
