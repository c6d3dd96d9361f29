//! XO's filters: the language that XO calls complex matcher.
//!
//! A text such as `power_state:Running !tags:|(old test) memory:size:>2147483648` becomes a
//! predicate on JSON values. Terms side by side, in `(a b)` too, must all match; `|(a b)` wants one
//! of them; `!` negates; `name:` descends into a property, and `name?` is true when the property is
//! truthy. A word is found anywhere in any text inside the value, whatever its case; `*` stands for
//! anything, `/expression/i` is one, a number equals numbers too, and `"quoted text"` is a word.
//! What follows `>` and its like is a plain number. `or` and `and` are words like any other.
//!
//! The parser tries one form after the other, and so says of broken text only where the last whole
//! term ended, in the units of JavaScript's texts.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// A compiled filter.
#[derive(Debug, Clone)]
pub(super) enum ObjectFilter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(ComparisonOrder, f64),
    Expression(Regex),
    Not(Box<Self>),
    Number(f64, String),
    Property(String, Box<Self>),
    Text(String),
    Truthy(String),
}

/// The direction of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ComparisonOrder {
    Above,
    AtLeast,
    AtMost,
    Below,
}

/// A text is no filter; the messages are those of XO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    /// An expression between slashes is malformed, or too large.
    #[error("Invalid regular expression: /{0}/: Invalid group")]
    Expression(String),
    /// What follows a comparison is no number, e.g. `2GiB`.
    #[error("value must be a number")]
    Number,
    /// Something is left after the last whole term.
    #[error("parse error: expected end of input at position {position}")]
    Rest { position: usize },
}

impl ObjectFilter {
    /// Compiles a filter.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = FilterParser { text, position: 0, depth: 0 };
        parser.skip_blanks();
        let terms = parser.terms()?;
        if parser.position == text.len() {
            return Ok(lower_verdict(terms, Self::All));
        }
        let read = text.get(..parser.position).unwrap_or_default();
        Err(FilterError::Rest { position: read.encode_utf16().count() })
    }

    /// Says whether a value matches.
    pub(super) fn matches(&self, value: &Value) -> bool {
        self.accepts(Some(value))
    }

    /// Says whether a value, or that there is none, matches.
    fn accepts(&self, value: Option<&Value>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.accepts(value)),
            Self::Any(filters) => filters.iter().any(|filter| filter.accepts(value)),
            Self::Not(filter) => !filter.accepts(value),
            Self::Property(name, filter) => match value {
                None | Some(Value::Null) => false,
                Some(value) => with_property(value, name, |inner| filter.accepts(inner)),
            },
            Self::Truthy(name) => match value {
                None | Some(Value::Null) => false,
                Some(value) => with_property(value, name, is_truthy),
            },
            Self::Compare(order, limit) => {
                let number = value.map_or(f64::NAN, to_number);
                match order {
                    ComparisonOrder::Above => number > *limit,
                    ComparisonOrder::AtLeast => number >= *limit,
                    ComparisonOrder::AtMost => number <= *limit,
                    ComparisonOrder::Below => number < *limit,
                }
            }
            Self::Number(number, text) => {
                any_leaf(value, &|leaf| leaf.as_f64() == Some(*number) || contains(leaf, text))
            }
            Self::Text(text) => any_leaf(value, &|leaf| contains(leaf, text)),
            Self::Expression(regex) => {
                any_leaf(value, &|leaf| leaf.as_str().is_some_and(|text| regex.is_match(text)))
            }
        }
    }
}

fn any_leaf(value: Option<&Value>, test: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        None => false,
        Some(Value::Array(elements)) => {
            elements.iter().any(|element| any_leaf(Some(element), test))
        }
        Some(Value::Object(object)) => object.values().any(|inner| any_leaf(Some(inner), test)),
        Some(leaf) => test(leaf),
    }
}

fn contains(leaf: &Value, lower_case: &str) -> bool {
    leaf.as_str().is_some_and(|text| text.to_lowercase().contains(lower_case))
}

/// Calls a function with a property as JavaScript has it: lists and texts have a length.
fn with_property(value: &Value, name: &str, then: impl FnOnce(Option<&Value>) -> bool) -> bool {
    match value {
        Value::Object(object) => then(object.get(name)),
        Value::Array(elements) if name == "length" => then(Some(&elements.len().into())),
        Value::Array(elements) => then(name.parse().ok().and_then(|at: usize| elements.get(at))),
        Value::String(text) if name == "length" => then(Some(&text.encode_utf16().count().into())),
        _ => then(None),
    }
}

fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(truth)) => *truth,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// Returns the number that JavaScript compares a value as: nothing is 0, and so is an empty text.
fn to_number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.trim().is_empty() => 0.0,
        Value::String(text) => number(text.trim()).unwrap_or(f64::NAN),
        Value::Array(elements) => match elements.as_slice() {
            [] => 0.0,
            [one] if !one.is_boolean() => to_number(one),
            _ => f64::NAN,
        },
        Value::Object(_) => f64::NAN,
    }
}

/// Reads a number as JavaScript does: `3`, `-1.5`, `1e9`, `0x1f`, but not `2GiB`.
fn number(text: &str) -> Option<f64> {
    let digits = |prefixes: [&str; 2]| prefixes.iter().find_map(|it| text.strip_prefix(it));
    for (prefixes, radix) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        if let Some(digits) = digits(prefixes) {
            return u64::from_str_radix(digits, radix).ok().map(|number| number as f64);
        }
    }
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust would take `inf` and `nan` too.
        _ if text.contains(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))) => None,
        _ => text.parse().ok(),
    }
}

/// Reads a filter from left to right. `None` means that no form fits here, and then the position is
/// where it was; an error ends the parsing whatever else could fit.
struct FilterParser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

type ParseResult<T> = Result<Option<T>, FilterError>;

impl<'a> FilterParser<'a> {
    /// Reads as many terms as there are.
    fn terms(&mut self) -> Result<Vec<ObjectFilter>, FilterError> {
        let mut terms = Vec::new();
        while let Some(term) = self.term()? {
            terms.push(term);
        }
        Ok(terms)
    }

    /// Reads a term and the blanks after it.
    fn term(&mut self) -> ParseResult<ObjectFilter> {
        if self.depth >= DEPTH {
            return Ok(None);
        }
        let begin = self.position;
        self.depth += 1;
        let term = self.inner_term();
        self.depth -= 1;
        let term = term?;
        match term {
            Some(_) => self.skip_blanks(),
            None => self.position = begin,
        }
        Ok(term)
    }

    fn inner_term(&mut self) -> ParseResult<ObjectFilter> {
        if self.take("(") {
            return Ok(self.group()?.map(|terms| lower_verdict(terms, ObjectFilter::All)));
        }
        if self.take("|") {
            self.skip_blanks();
            let terms = if self.take("(") { self.group()? } else { None };
            return Ok(terms.map(|terms| lower_verdict(terms, ObjectFilter::Any)));
        }
        if self.take("!") {
            self.skip_blanks();
            return Ok(self.term()?.map(|term| ObjectFilter::Not(Box::new(term))));
        }
        for (sign, order) in ORDERS {
            if self.take(sign) {
                let word = self.word(is_raw);
                if word.is_empty() {
                    return Ok(None);
                }
                let limit = number(&word).ok_or(FilterError::Number)?;
                return Ok(Some(ObjectFilter::Compare(order, limit)));
            }
        }
        if let Some(property) = self.property()? {
            return Ok(Some(property));
        }
        self.value()
    }

    /// Reads the terms of a group, of which there must be one, to its end.
    fn group(&mut self) -> ParseResult<Vec<ObjectFilter>> {
        self.skip_blanks();
        let terms = self.terms()?;
        let ends = self.take(")");
        Ok((ends && !terms.is_empty()).then_some(terms))
    }

    /// Reads `name:term` or `name?`.
    fn property(&mut self) -> ParseResult<ObjectFilter> {
        let begin = self.position;
        let name = match self.quoted() {
            Some(name) => name,
            None => self.word(is_raw),
        };
        if self.position == begin {
            return Ok(None);
        }
        let after_name = self.position;
        self.skip_blanks();
        if self.take(":") {
            self.skip_blanks();
            if let Some(term) = self.term()? {
                return Ok(Some(ObjectFilter::Property(name, Box::new(term))));
            }
        }
        self.position = after_name;
        if self.take("?") {
            return Ok(Some(ObjectFilter::Truthy(name)));
        }
        self.position = begin;
        Ok(None)
    }

    /// Reads a quoted text, an expression or a word.
    fn value(&mut self) -> ParseResult<ObjectFilter> {
        if let Some(text) = self.quoted() {
            return Ok(Some(ObjectFilter::Text(text.to_lowercase())));
        }
        if self.rest().starts_with('/') {
            return self.expression();
        }
        let word = self.word(|c| c == '*' || is_raw(c));
        if word.is_empty() {
            return Ok(None);
        }
        Ok(Some(match number(&word) {
            Some(number) => ObjectFilter::Number(number, word.to_lowercase()),
            None if word.contains('*') => {
                let parts: Vec<String> = word.split('*').map(regex::escape).collect();
                ObjectFilter::Expression(compile(&parts.join(".*"), LetterCase::Ignored)?)
            }
            None => ObjectFilter::Text(word.to_lowercase()),
        }))
    }

    fn expression(&mut self) -> ParseResult<ObjectFilter> {
        let begin = self.position;
        self.take("/");
        let (mut pattern, mut escaped) = (String::new(), false);
        let mut last = '/';
        for character in self.rest().chars() {
            self.position += character.len_utf8();
            last = character;
            if character == '/' && !escaped {
                break;
            }
            escaped = character == '\\';
            pattern.push(character);
        }
        if last != '/' || self.position == begin + 1 {
            return Ok(None);
        }
        let ignore_case = self.take("i");
        let case = if ignore_case { LetterCase::Ignored } else { LetterCase::Kept };
        Ok(Some(ObjectFilter::Expression(compile(&pattern, case)?)))
    }

    /// Reads a quoted text; XO does not miss the second quotation mark.
    fn quoted(&mut self) -> Option<String> {
        if !self.take("\"") {
            return None;
        }
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        let length = loop {
            match characters.next() {
                None => break self.rest().len(),
                Some((end, '"')) => break end + 1,
                Some((_, '\\')) => text.extend(characters.next().map(|it| it.1)),
                Some((_, character)) => text.push(character),
            }
        };
        self.position += length;
        Some(text)
    }

    fn word(&mut self, is_word: impl Fn(char) -> bool) -> String {
        let length = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let word = self.rest().get(..length).unwrap_or_default().to_owned();
        self.position += length;
        word
    }

    fn skip_blanks(&mut self) {
        self.position += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }
}

/// Says whether a character can be in a word without quotes: digits, four signs, and what has an
/// upper and a lower case. JavaScript sees halves of the characters beyond U+FFFF, which have none.
fn is_raw(character: char) -> bool {
    character.is_ascii_digit()
        || "_-.$".contains(character)
        || (u32::from(character) <= 0xffff
            && !(character.to_lowercase().eq([character])
                && character.to_uppercase().eq([character])))
}

fn lower_verdict(
    mut filters: Vec<ObjectFilter>,
    many: fn(Vec<ObjectFilter>) -> ObjectFilter,
) -> ObjectFilter {
    if filters.len() == 1 {
        return filters.remove(0);
    }
    many(filters)
}

/// Whether letters are others in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetterCase {
    Ignored,
    Kept,
}

fn compile(pattern: &str, case: LetterCase) -> Result<Regex, FilterError> {
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(case == LetterCase::Ignored)
        .size_limit(256 * 1024)
        .build();
    regex.map_err(|_| FilterError::Expression(pattern.to_owned()))
}

/// Signs of comparison; the longer ones come first.
const ORDERS: [(&str, ComparisonOrder); 4] = [
    (">=", ComparisonOrder::AtLeast),
    ("<=", ComparisonOrder::AtMost),
    (">", ComparisonOrder::Above),
    ("<", ComparisonOrder::Below),
];

/// How deep terms may be nested.
const DEPTH: usize = 50;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let vm = json!({
            "name_label": "Web-01",
            "name_description": "or so",
            "power_state": "Running",
            "auto_poweron": false,
            "startTime": null,
            "tags": ["prod", "eu"],
            "CPUs": {"number": 4, "max": 8},
            "memory": {"size": 4_294_967_296_u64},
            "body": {"value": "95.0"},
            "other": {"os": {"name": "Debian 12"}},
        });
        assert_eq!(ObjectFilter::parse(filter).unwrap().matches(&vm), expected, "{filter}");
    }

    #[test]
    fn matches() {
        check("", true);
        check(" \t", true);
        check("power_state:Running", true);
        check("power_state : running name_label:web", true);
        check("power_state:Running name_label:db", false);
        check("(power_state:Running name_label:db)", false);
        check("tags:(prod eu)", true);
        check("tags:(prod test)", false);
        check("power_state:|(Halted Running)", true);
        check("| ( power_state:Halted tags:eu )", true);
        check("tags:|(test prod)", true);
        check("tags:|(test old)", false);
        check("tags:length:2", true);
        check("tags:length:>2", false);
        check("tags:0:prod", true);
        check("name_label:length:6", true);
        check("!power_state:Running", false);
        check("! power_state:Halted", true);
        check("!auto_poweron?", true);
        check("auto_poweron?", false);
        check("tags?", true);
        check("missing?", false);
        check("\"tags\"?", true);
        check("memory:size:>2147483648", true);
        check("memory:size:>=4294967296", true);
        check("memory:size:<4e9", false);
        check("CPUs:number:4", true);
        check("CPUs:number:5", false);
        check("CPUs:4", true);
        check("name_label:01", true);
        check("other:os:name:\"Debian 12\"", true);
        check("other:\"debian", true);
        check("name_label:/^web-\\d+$/i", true);
        check("name_label:/^web-\\d+$/", false);
        check("name_label:e*-", true);
        check("debian", true);
        check("fedora", false);
        check("missing:x", false);
        check("!missing:x", true);
    }

    #[test]
    fn words_of_other_languages_are_words() {
        // The word `or` is in the description alone.
        check("power_state:(Halted or Running)", false);
        check("power_state:Halted or tags:eu", false);
        check("power_state:Running or tags:eu", true);
        check("power_state:Running and tags:eu", false);
        check("name_description:or", true);
    }

    #[test]
    fn compares_as_javascript_does() {
        check("memory:>1", false);
        check("body:value:>=95", true);
        check("startTime:<5", true);
        check("missing:<5", false);
        check("power_state:>0", false);
    }

    #[track_caller]
    fn fail(filter: &str, message: &str) {
        assert_eq!(ObjectFilter::parse(filter).unwrap_err().to_string(), message, "{filter}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_says_where_it_ends(text in "[ab1>< :!|()\"/*?=.é😀-]{0,40}") {
            match ObjectFilter::parse(&text) {
                Ok(filter) => {
                    filter.matches(&json!({"a": ["b", 1, null], "b": {"a": "1"}}));
                }
                Err(FilterError::Rest { position }) => {
                    let units: Vec<u16> = text.encode_utf16().collect();
                    prop_assert!(position < units.len());
                    // What comes before is a filter.
                    let before = String::from_utf16(&units[..position]).unwrap();
                    prop_assert!(ObjectFilter::parse(&before).is_ok(), "{before:?}");
                }
                Err(_) => {}
            }
        }

        #[test]
        fn a_word_is_found_and_its_negation_is_not(word in "[a-z]{1,8}", more in "[a-z]{0,4}") {
            let value = json!({"name": format!("{more}{word}{more}")});
            for filter in [format!("name:{word}"), format!("|(name:{word} x:y)"), word.clone()] {
                prop_assert!(ObjectFilter::parse(&filter).unwrap().matches(&value), "{filter}");
                let not = format!("!({filter})");
                prop_assert!(!ObjectFilter::parse(&not).unwrap().matches(&value), "{not}");
            }
        }
    }

    #[test]
    fn refuses() {
        let rest = |at: usize| format!("parse error: expected end of input at position {at}");
        fail("((", &rest(0));
        fail("()", &rest(0));
        fail("  |(a", &rest(2));
        fail("|a", &rest(0));
        fail("a)", &rest(1));
        fail("name_label:", &rest(10));
        fail("a b:", &rest(3));
        fail("a name=b", &rest(6));
        fail("é:1 =", &rest(4));
        fail("\"😀\" =", &rest(5));
        fail("a:/b", &rest(1));
        fail("size:>", &rest(4));
        fail("size:> 5", &rest(4));
        fail("name:日本", &rest(4));
        fail("memory:size:>2GiB", "value must be a number");
        fail("a size:<=big )", "value must be a number");
        fail("a:/(/", "Invalid regular expression: /(/: Invalid group");
        fail(&"!".repeat(5000), &rest(0));
        fail(&"(".repeat(5000), &rest(0));
    }
}
