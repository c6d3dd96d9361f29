//! Reads a path: that it is one, says the library; what it is made of, is read here.

use serde_json_path::JsonPath as Checked;

use super::{CompiledPath, DEEPEST_BRACKETS, LONGEST, MOST_SEGMENTS, PathSegment, PathSelector};
use crate::text::cut_text;

/// Why a text is no path. The fault of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathSyntaxError {
    /// A filter looks for descendants more than once: each multiplies the work.
    #[error("a filter has `..` at most once")]
    Descendants,
    /// It has too many segments.
    #[error("it has {0} levels; at most {MOST_SEGMENTS} are allowed")]
    Levels(usize),
    /// It is too long.
    #[error("it has {0} bytes; at most {LONGEST} are allowed")]
    Long(usize),
    /// It is not what RFC 9535 says, in the words of the library.
    #[error("{0}")]
    Malformed(String),
    /// Reading it would take a deep stack.
    #[error("its brackets are nested more than {DEEPEST_BRACKETS} deep")]
    Nested,
    /// A filter looks at more than the item.
    #[error("a filter looks at the item (`@`) only, and not at `$`")]
    Root,
    /// It is a path, but no reader knows what follows.
    #[error("it cannot be read at `{}`", cut_text(.0, 40))]
    Unknown(String),
}

impl CompiledPath {
    /// Compiles a path; the error says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, PathSyntaxError> {
        // The parser recurses; what could exhaust its stack never comes there.
        if text.len() > LONGEST {
            return Err(PathSyntaxError::Long(text.len()));
        }
        if deepest(text) > DEEPEST_BRACKETS {
            return Err(PathSyntaxError::Nested);
        }
        if !is_names(text) {
            check_path(text)?;
        }
        let rest = text.strip_prefix('$').unwrap_or_default();
        let segments = PathReader { rest }.segments()?;
        if segments.len() > MOST_SEGMENTS {
            return Err(PathSyntaxError::Levels(segments.len()));
        }
        let bit = |(at, segment): (usize, &PathSegment)| u64::from(segment.needs_length()) << at;
        let counting = segments.iter().enumerate().map(bit).sum();
        let mut all_deep = segments.iter().enumerate().filter(|(_, segment)| segment.is_deep);
        let deep = match (all_deep.next(), all_deep.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        };
        Ok(Self { segments, counting, deep })
    }
}

/// Has the library judge.
fn check_path(text: &str) -> Result<Checked, PathSyntaxError> {
    Checked::parse(text).map_err(|error| PathSyntaxError::Malformed(error.to_string()))
}

/// Returns whether a path is nothing but names, such as `$.data.items`: most are, and the library need not
/// be asked.
fn is_names(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let mut parts = text.split('.');
    parts.next() == Some("$") && parts.all(is_name)
}

/// Returns how deep the brackets of a path are nested, quoted ones left out.
fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '(') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    deepest
}

/// Reads the segments of a path that is valid.
struct PathReader<'text> {
    rest: &'text str,
}

impl<'text> PathReader<'text> {
    fn segments(mut self) -> Result<Vec<PathSegment>, PathSyntaxError> {
        let mut segments = Vec::new();
        loop {
            self.blank();
            if self.rest.is_empty() {
                return Ok(segments);
            }
            let is_deep = self.takes("..");
            let is_dotted = is_deep || self.takes(".");
            let selectors = if self.takes("[") {
                self.bracketed()?
            } else if is_dotted && self.takes("*") {
                vec![PathSelector::Wildcard]
            } else if is_dotted {
                let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
                let name = self.until(is_end);
                if name.is_empty() {
                    return Err(self.syntax_error());
                }
                vec![PathSelector::Name(name.to_owned())]
            } else {
                return Err(self.syntax_error());
            };
            segments.push(PathSegment { is_deep, selectors });
        }
    }

    fn bracketed(&mut self) -> Result<Vec<PathSelector>, PathSyntaxError> {
        let mut selectors = Vec::new();
        loop {
            self.blank();
            let selector = match self.rest.chars().next() {
                Some(quote @ ('\'' | '"')) => PathSelector::Name(self.read_quoted(quote)?),
                Some('*') => {
                    self.takes("*");
                    PathSelector::Wildcard
                }
                Some('?') => {
                    self.takes("?");
                    self.filter()?
                }
                _ => {
                    let text = self.until(|c| matches!(c, ',' | ']'));
                    numbers(text).ok_or_else(|| self.syntax_error())?
                }
            };
            selectors.push(selector);
            self.blank();
            if self.takes("]") {
                return Ok(selectors);
            }
            if !self.takes(",") {
                return Err(self.syntax_error());
            }
        }
    }

    /// Reads a quoted name, whose escapes are those of JSON, and that of the quote.
    fn read_quoted(&mut self, quote: char) -> Result<String, PathSyntaxError> {
        let mut json = String::from("\"");
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, '\'')) => json.push('\''),
                    Some((_, escaped)) => json.extend(['\\', escaped]),
                    None => break,
                },
                _ if character == quote => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    json.push('"');
                    let name = serde_json::from_str(&json);
                    return name.map_err(|error| PathSyntaxError::Malformed(error.to_string()));
                }
                '"' => json.push_str("\\\""),
                _ => json.push(character),
            }
        }
        Err(self.syntax_error())
    }

    /// Reads a filter up to the end of its selector.
    fn filter(&mut self) -> Result<PathSelector, PathSyntaxError> {
        let mut depth = 0_usize;
        let mut quote = None;
        let mut deep = 0;
        let mut before = ' ';
        let mut length = self.rest.len();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match (quote, character) {
                (Some(_), '\\') => drop(characters.next()),
                (Some(open), _) if open == character => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(character),
                (None, '$') => {
                    return Err(PathSyntaxError::Root);
                }
                (None, '.') if before == '.' => deep += 1,
                (None, ',' | ']') if depth == 0 => {
                    length = at;
                    break;
                }
                (None, '[' | '(') => depth += 1,
                (None, ']' | ')') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
            before = character;
        }
        if deep > 1 {
            return Err(PathSyntaxError::Descendants);
        }
        let (filter, rest) = self.rest.split_at(length);
        let compiled = check_path(&format!("$[?{filter}]"))?;
        self.rest = rest;
        Ok(PathSelector::Filter(Box::new(compiled)))
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn takes(&mut self, start: &str) -> bool {
        let rest = self.rest.strip_prefix(start);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'text str {
        let (text, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }

    fn syntax_error(&self) -> PathSyntaxError {
        PathSyntaxError::Unknown(self.rest.to_owned())
    }
}

/// Reads an index or a slice.
fn numbers(text: &str) -> Option<PathSelector> {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let Some((start, rest)) = text.split_once(':') else {
        return number(text).map(PathSelector::Index);
    };
    let (end, step) = rest.split_once(':').unwrap_or((rest, ""));
    let optional = |text: &str| match text.trim() {
        "" => Some(None),
        text => number(text).map(Some),
    };
    Some(PathSelector::Slice {
        start: optional(start)?,
        end: optional(end)?,
        step: optional(step)?.unwrap_or(1),
    })
}
