//! Filter languages of APIs (`_dadl_mcp.filters`): how one writes what callers know from other
//! languages.
//!
//! Many such languages take a text that means something else without a word: where terms stand side by
//! side, `a or b` looks for the word `or`, and the answer is an empty list. A [`FilterLanguage`] says how it
//! writes `or`, `and`, `not`, `=` and comparisons; [`FilterLanguage::misuse`] finds what is certainly meant
//! otherwise and writes it again. What may be right passes: quoted text and expressions are not looked
//! into, and what cannot be read is left to the API, which says what it expects.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use dadl_text::text::cut_text;

use self::write::FilterWriter;

/// A longer filter is the API's to read, in bytes.
const LONGEST: usize = 16 * 1024;

/// A longer correction is not quoted, in bytes.
const LONGEST_CORRECTION: usize = 1_000;

/// How an API writes filters. What a language does not say is not checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterLanguage {
    /// One of several terms, such as `|(a b)`.
    pub or: Option<PairSyntax>,
    /// All of several terms, such as `a b`.
    pub and: Option<PairSyntax>,
    /// The opposite of a term: what stands before it, such as `!`.
    pub not: Option<String>,
    /// A field that has a value, such as `a:b`.
    pub equals: Option<PairSyntax>,
    /// What stands between a field and the sign of a comparison: `:` of `a:>1`.
    pub compare: Option<String>,
    /// Whether numbers of comparisons may have units, such as `2GiB`.
    pub units: bool,
    /// How filters are written, for who gets nothing: the author's words.
    pub said: String,
}

/// How two things are written together, such as `|(a b)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairSyntax {
    before: String,
    between: String,
    after: String,
}

/// A filter that means something else than its author thinks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FilterMisuse {
    /// What is wrong, and how the language writes it.
    faults: Vec<(FilterFault, String)>,
    /// The whole filter as it was probably meant.
    pub instead: Option<String>,
}

/// What a language does not have, or has otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FilterFault {
    /// `or`, `||`
    Or,
    /// `and`, `&&`
    And,
    /// `not`
    Not,
    /// `=`, `==`
    Equals,
    /// `!=`, `<>`
    Differs,
    /// `size>1`
    Compare,
    /// `>2GiB`
    Unit,
    /// `'text'`
    Quotes,
}

impl PairSyntax {
    /// Reads an example of two things, `a` and `b`.
    pub fn parse(example: &str) -> Option<Self> {
        let (before, rest) = example.split_once('a')?;
        let (between, after) = rest.split_once('b')?;
        let is_sign = |text: &str| !text.contains(char::is_alphanumeric);
        let is_fine = is_sign(before) && is_sign(between) && is_sign(after) && !between.is_empty();
        let own = |text: &str| text.to_owned();
        is_fine.then(|| Self { before: own(before), between: own(between), after: own(after) })
    }

    /// Writes several things together.
    fn join<T: AsRef<str>>(&self, things: &[T]) -> String {
        let things: Vec<&str> = things.iter().map(AsRef::as_ref).collect();
        format!("{}{}{}", self.before, things.join(&self.between), self.after)
    }

    /// Returns what stands before the bracket of `|(a b)`, when it has one.
    fn lead(&self) -> Option<&str> {
        self.before.strip_suffix('(').filter(|_| self.after.starts_with(')'))
    }
}

impl FilterLanguage {
    /// Finds what a filter certainly does not mean.
    pub fn misuse(&self, filter: &str) -> Option<FilterMisuse> {
        let found = self.found(filter)?;
        // Nobody is given a correction that would be refused again.
        let instead = found
            .instead
            .filter(|instead| instead.len() <= LONGEST_CORRECTION && self.found(instead).is_none());
        Some(FilterMisuse { instead, ..found })
    }

    fn found(&self, filter: &str) -> Option<FilterMisuse> {
        if filter.len() > LONGEST {
            return None;
        }
        let items = read::parse_items(filter)?;
        let mut writer = FilterWriter::new(self);
        let instead = writer.filter(&items);
        let mut faults = writer.faults;
        faults.sort_unstable();
        faults.dedup();
        let faults: Vec<_> = faults.into_iter().map(|it| (it, self.correct(it))).collect();
        (!faults.is_empty()).then_some(FilterMisuse { faults, instead })
    }

    /// Writes a construct as this language has it.
    fn correct(&self, fault: FilterFault) -> String {
        let pair = |pair: &Option<PairSyntax>| pair.as_ref().map(|it| it.join(&["a", "b"]));
        let not = self.not.as_deref().unwrap_or_default();
        let written = match fault {
            FilterFault::Or => pair(&self.or),
            FilterFault::And => pair(&self.and),
            FilterFault::Not => Some(format!("{not}a")),
            FilterFault::Equals => pair(&self.equals),
            FilterFault::Differs => pair(&self.equals).map(|it| format!("{not}{it}")),
            FilterFault::Compare => self.compare.as_ref().map(|between| format!("a{between}>1")),
            FilterFault::Unit => Some("2147483648".to_owned()),
            FilterFault::Quotes => Some("\"text\"".to_owned()),
        };
        written.unwrap_or_default()
    }
}

impl fmt::Display for FilterMisuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("would be taken for something else: ")?;
        for (at, (fault, written)) in self.faults.iter().enumerate() {
            formatter.write_str(if at == 0 { "" } else { ", " })?;
            let what = match fault {
                FilterFault::Or => "`or`",
                FilterFault::And => "`and`",
                FilterFault::Not => "`not`",
                FilterFault::Equals => "`=`",
                FilterFault::Differs => "`!=`",
                FilterFault::Compare => "a comparison",
                FilterFault::Unit => "numbers have no unit: 2 GiB",
                FilterFault::Quotes => "quoted text",
            };
            write!(formatter, "{what} is written `{written}`")?;
        }
        if let Some(instead) = &self.instead {
            write!(formatter, "; write `{}`", cut_text(instead, LONGEST_CORRECTION))?;
        }
        let is_word = |(fault, _): &(FilterFault, String)| {
            matches!(fault, FilterFault::Or | FilterFault::And | FilterFault::Not)
        };
        if self.faults.iter().any(is_word) {
            formatter.write_str("; who looks for the word itself quotes it, as in `\"or\"`")?;
        }
        Ok(())
    }
}
