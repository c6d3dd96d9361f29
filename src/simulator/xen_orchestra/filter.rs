//! XO's filters ("complex matcher"), the part of the language that people use.
//!
//! It takes a text such as `power_state:Running !tags:(old or test) memory:>2GiB` and gives a
//! predicate on JSON values. Terms next to each other must all match, `or` and `|(..)` want one
//! of them, `!` negates, `name:` descends into a property, `name?` is true when the property
//! is truthy. A word matches as a case-insensitive part of any text inside the value, with `*`
//! as a wildcard; `"quoted text"` and `/expression/i` do what they look like.

use serde_json::Value;

use regex::{Regex, RegexBuilder};

/// A compiled filter.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Order, f64),
    Glob(Regex),
    Not(Box<Self>),
    Number(f64, String),
    Property(String, Box<Self>),
    Regex(Regex),
    Text(String),
    Truthy,
}

/// The direction of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    Above,
    AtLeast,
    AtMost,
    Below,
}

/// A text is no filter; the message is that of XO's parser, which says where the last complete
/// expression ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected end of input at position {position}")]
pub(super) struct FilterError {
    position: usize,
}

impl Filter {
    /// Compiles a filter.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { text, position: 0, depth: 0 };
        parser.skip_blanks();
        let filter = parser.sequence();
        match filter {
            Some(filter) if parser.position == text.len() => Ok(filter),
            Some(_) => Err(FilterError { position: parser.position }),
            None => Err(FilterError { position: 0 }),
        }
    }

    /// Says whether a value matches.
    pub(super) fn matches(&self, value: &Value) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(value)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(value)),
            Self::Not(filter) => !filter.matches(value),
            Self::Property(name, filter) => match (value, name.as_str()) {
                // A property of JavaScript's arrays.
                (Value::Array(elements), "length") => filter.matches(&elements.len().into()),
                _ => filter.matches(value.get(name).unwrap_or(&Value::Null)),
            },
            Self::Truthy => match value {
                Value::Null => false,
                Value::Bool(truth) => *truth,
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::String(text) => !text.is_empty(),
                Value::Array(_) | Value::Object(_) => true,
            },
            Self::Compare(order, limit) => any_leaf(value, &|leaf| {
                leaf.as_f64().is_some_and(|number| match order {
                    Order::Above => number > *limit,
                    Order::AtLeast => number >= *limit,
                    Order::AtMost => number <= *limit,
                    Order::Below => number < *limit,
                })
            }),
            Self::Number(number, text) => {
                any_leaf(value, &|leaf| leaf.as_f64() == Some(*number) || contains(leaf, text))
            }
            Self::Text(text) => any_leaf(value, &|leaf| contains(leaf, text)),
            Self::Glob(regex) | Self::Regex(regex) => {
                any_leaf(value, &|leaf| leaf.as_str().is_some_and(|text| regex.is_match(text)))
            }
        }
    }
}

fn any_leaf(value: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| any_leaf(element, test)),
        Value::Object(object) => object.values().any(|element| any_leaf(element, test)),
        leaf => test(leaf),
    }
}

fn contains(leaf: &Value, lower_case: &str) -> bool {
    leaf.as_str().is_some_and(|text| text.to_lowercase().contains(lower_case))
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Terms side by side, with `or` between runs of them.
    fn sequence(&mut self) -> Option<Filter> {
        let mut runs = vec![Vec::new()];
        loop {
            self.skip_blanks();
            if self.rest().is_empty() || self.rest().starts_with(')') {
                break;
            }
            let before = self.position;
            let Some(term) = self.term() else {
                self.position = before;
                break;
            };
            match term {
                Filter::Text(word) if word == "or" && before + 2 == self.position => {
                    runs.push(Vec::new());
                }
                Filter::Text(word) if word == "and" && before + 3 == self.position => {}
                term => runs.last_mut()?.push(term),
            }
        }
        if runs.len() > 1 && runs.iter().any(Vec::is_empty) {
            return None;
        }
        let mut alternatives: Vec<_> = runs.into_iter().map(|run| one(run, Filter::All)).collect();
        Some(match alternatives.len() {
            1 => alternatives.remove(0),
            _ => Filter::Any(alternatives),
        })
    }

    fn term(&mut self) -> Option<Filter> {
        self.depth += 1;
        let term = if self.depth > DEPTH { None } else { self.inner_term() };
        self.depth -= 1;
        term
    }

    fn inner_term(&mut self) -> Option<Filter> {
        if self.take("!") {
            return Some(Filter::Not(Box::new(self.term()?)));
        }
        if self.take("|(") {
            let mut alternatives = Vec::new();
            loop {
                self.skip_blanks();
                if self.take(")") {
                    return Some(Filter::Any(alternatives));
                }
                alternatives.push(self.term()?);
            }
        }
        if self.take("(") {
            let inner = self.sequence()?;
            self.skip_blanks();
            return self.take(")").then_some(inner);
        }
        for (sign, order) in ORDERS {
            if self.take(sign) {
                return Some(Filter::Compare(order, size(&self.word())?));
            }
        }
        if self.rest().starts_with('/') {
            return self.regex();
        }
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            return self.property(text.clone(), Filter::Text(text.to_lowercase()));
        }
        let word = self.word();
        if word.is_empty() {
            return None;
        }
        let filter = match size(&word) {
            Some(number) => Filter::Number(number, word.to_lowercase()),
            None if word.contains('*') => Filter::Glob(glob(&word)?),
            None => Filter::Text(word.to_lowercase()),
        };
        self.property(word, filter)
    }

    /// Returns `name:term`, `name?`, or the term that the name is when nothing follows.
    fn property(&mut self, name: String, otherwise: Filter) -> Option<Filter> {
        if self.take("?") {
            return Some(Filter::Property(name, Box::new(Filter::Truthy)));
        }
        if self.take(":") {
            self.skip_blanks();
            return Some(Filter::Property(name, Box::new(self.term()?)));
        }
        Some(otherwise)
    }

    fn regex(&mut self) -> Option<Filter> {
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find(|&(_, character)| {
            let ends = character == '/' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        })?;
        let pattern = self.rest().get(1..end.0)?.to_owned();
        self.position += end.0 + 1;
        let ignore_case = self.take("i");
        Some(Filter::Regex(compile(&pattern, ignore_case)?))
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        loop {
            match characters.next()? {
                (end, '"') => {
                    self.position += end + 1;
                    return Some(text);
                }
                (_, '\\') => text.push(characters.next()?.1),
                (_, character) => text.push(character),
            }
        }
    }

    fn word(&mut self) -> String {
        let is_word = |c: char| c.is_alphanumeric() || "-_.$@+*%,;=[]{}~^&#'".contains(c);
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

    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }
}

fn one(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if filters.len() == 1 {
        return filters.remove(0);
    }
    many(filters)
}

/// Reads `3`, `1.5k`, `2GiB`, `10GB`.
fn size(word: &str) -> Option<f64> {
    let split = word.find(|c: char| !(c.is_ascii_digit() || ".-".contains(c)));
    let (number, unit) = word.split_at(split.unwrap_or(word.len()));
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) => (letter, 1024_f64),
        None => (unit, 1000_f64),
    };
    let power = match letter {
        "" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * base.powi(power))
}

/// Turns `web*` into an expression for the whole text.
fn glob(word: &str) -> Option<Regex> {
    let parts: Vec<String> = word.split('*').map(regex::escape).collect();
    compile(&format!("^(?s:{})$", parts.join(".*")), true)
}

/// Compiles an expression; `None` when it is malformed or too large.
fn compile(pattern: &str, ignore_case: bool) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(256 * 1024).build().ok()
}

/// Signs of comparison; the longer ones come first.
const ORDERS: [(&str, Order); 4] =
    [(">=", Order::AtLeast), ("<=", Order::AtMost), (">", Order::Above), ("<", Order::Below)];

/// How deep terms may be nested.
const DEPTH: usize = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let vm = json!({
            "name_label": "Web-01",
            "power_state": "Running",
            "auto_poweron": false,
            "tags": ["prod", "eu"],
            "CPUs": {"number": 4, "max": 8},
            "memory": {"size": 4_294_967_296_u64},
            "other": {"os": {"name": "Debian 12"}},
        });
        assert_eq!(Filter::parse(filter).unwrap().matches(&vm), expected, "{filter}");
    }

    #[test]
    fn matches() {
        check("", true);
        check("power_state:Running", true);
        check("power_state:running name_label:web", true);
        check("power_state:Running name_label:db", false);
        check("power_state:(Halted or Running)", true);
        check("tags:|(test prod)", true);
        check("tags:length:2", true);
        check("tags:length:>2", false);
        check("tags:|(test old)", false);
        check("power_state:Halted or tags:eu", true);
        check("!power_state:Running", false);
        check("!auto_poweron?", true);
        check("auto_poweron?", false);
        check("tags?", true);
        check("memory:>2GiB", true);
        check("memory:size:>=4GiB", true);
        check("memory:size:<4GB", false);
        check("CPUs:number:4", true);
        check("CPUs:number:5", false);
        check("other:os:name:\"Debian 12\"", true);
        check("name_label:/^web-\\d+$/i", true);
        check("name_label:/^web-\\d+$/", false);
        check("name_label:web-*", true);
        check("debian", true);
        check("fedora", false);
        check("missing:x", false);
    }

    #[track_caller]
    fn fail(filter: &str) {
        assert!(Filter::parse(filter).is_err(), "{filter}");
    }

    #[test]
    fn refuses() {
        let error = Filter::parse("((").unwrap_err();
        assert_eq!(error.to_string(), "expected end of input at position 0");
        fail("a)");
        fail("a:");
        fail("\"a");
        fail("a:/(/");
        fail("a or");
        fail("memory:>big");
        fail(&"!".repeat(5000));
        fail(&"(".repeat(5000));
    }
}
