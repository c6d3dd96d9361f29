//! Writes a filter again as its language has it, and notes what had to be changed.

use super::{
    FilterFault, FilterLanguage,
    read::{self, FilterItem, ItemPiece},
};

/// Words of amounts, in the order in which the longer ones come first.
const UNITS: &[(&str, f64)] = &[
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
    ("pib", 1_125_899_906_842_624.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("pb", 1e15),
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("ti", 1_099_511_627_776.0),
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("t", 1e12),
    ("b", 1.0),
    ("%", 1.0),
];

/// Beyond it a double does not have all digits.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// What an item is among its neighbours.
enum FilterPart {
    And,
    Not,
    Or,
    /// As it has to be written, where that is known.
    Term(Option<String>),
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemPlace {
    /// Among the terms of a filter.
    Filter,
    /// In the bracket that is the value of a field.
    FieldValue,
}

/// Writes filters, and collects faults.
pub(super) struct FilterWriter<'language> {
    language: &'language FilterLanguage,
    pub(super) faults: Vec<FilterFault>,
}

impl<'language> FilterWriter<'language> {
    pub(super) fn new(language: &'language FilterLanguage) -> Self {
        Self { language, faults: Vec::new() }
    }

    /// Writes a whole filter; `None` where a part of it cannot be.
    pub(super) fn filter(&mut self, items: &[FilterItem<'_>]) -> Option<String> {
        let runs = self.runs(items, ItemPlace::Filter)?;
        match runs.as_slice() {
            [run] => Some(self.all(run)),
            runs => self.any(runs),
        }
    }

    /// Writes the alternatives that `or` separates, each of which is a list of terms.
    fn runs(&mut self, items: &[FilterItem<'_>], place: ItemPlace) -> Option<Vec<Vec<String>>> {
        let parts = self.filter_parts(items, place);
        let mut runs = vec![Vec::new()];
        let mut is_not = false;
        let mut was_term = false;
        // Every part is looked at, so that all faults are found.
        let mut is_whole = true;
        for part in parts {
            let is_operator = !matches!(part, FilterPart::Term(_));
            match part {
                FilterPart::Or | FilterPart::And if !was_term => is_whole = false,
                FilterPart::Or => runs.push(Vec::new()),
                FilterPart::And => {}
                FilterPart::Not => is_not = !is_not,
                FilterPart::Term(None) => is_whole = false,
                FilterPart::Term(Some(term)) => {
                    let not = self.language.not.as_deref().filter(|_| is_not).unwrap_or_default();
                    is_not = false;
                    runs.last_mut()?.push(format!("{not}{term}"));
                }
            }
            was_term = !is_operator;
        }
        let ends = was_term || items.is_empty();
        (is_whole && ends && !is_not).then_some(runs)
    }

    fn filter_parts(&mut self, items: &[FilterItem<'_>], place: ItemPlace) -> Vec<FilterPart> {
        let mut parts: Vec<FilterPart> = Vec::with_capacity(items.len());
        let mut rest = items;
        while let Some((item, after)) = rest.split_first() {
            rest = after;
            let is_between = matches!(parts.last(), Some(FilterPart::Term(_))) && !after.is_empty();
            if let Some(operator) = self.operator(item, &parts, after, place, is_between) {
                parts.push(operator);
                continue;
            }
            // `a = b`, `a > 1`, `a:> 1`, `a >1`, `a:>2 GiB`
            let mut text = item.text.to_owned();
            if item.inside.is_none() {
                if self.is_loose(item.text, place)
                    && matches!(parts.last(), Some(FilterPart::Term(Some(name))) if is_name(name))
                    && let Some(FilterPart::Term(Some(name))) = parts.pop()
                {
                    text = name + &text;
                }
                let is_open = text.ends_with(['=', '>', '<']) && self.knows_sign(&text);
                if let Some((next, after)) = rest.split_first().filter(|_| is_open) {
                    rest = after;
                    text.push_str(next.text);
                    if next.inside.is_some() {
                        self.check_compared(&text);
                        parts.push(FilterPart::Term(self.bracket(&text, next.inside.as_deref())));
                        continue;
                    }
                    if text.contains(['>', '<']) && !text.contains("<>") {
                        self.note_comparison();
                    }
                }
                if let Some((next, after)) = rest.split_first().filter(|(next, _)| {
                    self.language.compare.is_some() && !self.language.units && is_unit(&text, next)
                }) {
                    rest = after;
                    text.push_str(next.text);
                }
            }
            parts.push(FilterPart::Term(self.bracket(&text, item.inside.as_deref())));
        }
        parts
    }

    /// Returns the operator that an item is in other languages.
    fn operator(
        &mut self,
        item: &FilterItem<'_>,
        before: &[FilterPart],
        after: &[FilterItem<'_>],
        place: ItemPlace,
        is_between: bool,
    ) -> Option<FilterPart> {
        if item.inside.is_some() {
            return None;
        }
        let FilterLanguage { or, and, not, .. } = self.language;
        let (fault, part, is_known) = match item.text {
            "||" | "|" => (FilterFault::Or, FilterPart::Or, or.is_some()),
            "&&" | "&" => (FilterFault::And, FilterPart::And, and.is_some()),
            word if word.eq_ignore_ascii_case("or") => {
                (FilterFault::Or, FilterPart::Or, or.is_some() && is_between)
            }
            word if word.eq_ignore_ascii_case("and") => {
                (FilterFault::And, FilterPart::And, and.is_some() && is_between)
            }
            word if word.eq_ignore_ascii_case("not") => {
                let next = after.first()?;
                let is_first =
                    matches!(before.last(), None | Some(FilterPart::And | FilterPart::Or));
                // `not responding` is what somebody may look for.
                let is_meant = word == "NOT"
                    || (is_first && (place == ItemPlace::FieldValue || !before.is_empty()))
                    || next.inside.is_some()
                    || next.text.contains([':', '?', '=', '>', '<']);
                (FilterFault::Not, FilterPart::Not, not.is_some() && is_meant)
            }
            _ => return None,
        };
        is_known.then(|| {
            self.faults.push(fault);
            part
        })
    }

    /// Returns whether an item begins with a sign that belongs to the name before it.
    fn is_loose(&self, text: &str, place: ItemPlace) -> bool {
        let is_comparison = text.starts_with(['>', '<']) && !text.starts_with("<>");
        match text.chars().next() {
            Some('=') => self.language.equals.is_some(),
            Some('!') => text.starts_with("!=") && self.language.equals.is_some(),
            Some('<') if text.starts_with("<>") => self.language.equals.is_some(),
            // Within the bracket of a field comparisons stand alone: `size:(>1 <5)`.
            _ => is_comparison && place == ItemPlace::Filter && self.language.compare.is_some(),
        }
    }

    fn knows_sign(&self, text: &str) -> bool {
        let FilterLanguage { equals, compare, .. } = self.language;
        let is_comparison = text.ends_with(">=") || text.ends_with("<=");
        if text.ends_with('=') && !is_comparison { equals.is_some() } else { compare.is_some() }
    }

    /// Writes an item and its bracket.
    fn bracket(&mut self, text: &str, inside: Option<&[FilterItem<'_>]>) -> Option<String> {
        let Some(inside) = inside else { return self.write_term(text) };
        let lead = self.language.or.as_ref().and_then(super::PairSyntax::lead);
        let any = lead.filter(|lead| !lead.is_empty()).and_then(|lead| text.strip_suffix(lead));
        let name = any.unwrap_or(text).trim_end();
        let is_field = name.ends_with([':', '=']);
        let place = if is_field { ItemPlace::FieldValue } else { ItemPlace::Filter };
        let name = self.write_term(name);
        let runs = self.runs(inside, place);
        let (name, runs) = (name?, runs?);
        if any.is_some() {
            let flat: Vec<&str> = runs.iter().flatten().map(String::as_str).collect();
            let or = self.language.or.as_ref()?;
            // `and` between alternatives is nothing that can be guessed.
            return (!self.faults.contains(&FilterFault::And)).then(|| name + &or.join(&flat));
        }
        match runs.as_slice() {
            [run] => Some(format!("{name}({})", self.all(run))),
            runs => Some(name + &self.any(runs)?),
        }
    }

    fn all(&self, terms: &[String]) -> String {
        match &self.language.and {
            Some(and) if !terms.is_empty() => and.join(terms),
            _ => terms.join(" "),
        }
    }

    fn any(&self, runs: &[Vec<String>]) -> Option<String> {
        let runs = runs.iter().map(|run| match run.as_slice() {
            [] => None,
            [term] => Some(term.clone()),
            terms => Some(format!("({})", self.all(terms))),
        });
        let runs: Option<Vec<String>> = runs.collect();
        Some(self.language.or.as_ref()?.join(&runs?))
    }

    /// Writes a term without its bracket; `None` where nobody knows how.
    fn write_term(&mut self, text: &str) -> Option<String> {
        let mut written = String::with_capacity(text.len());
        let mut is_known = true;
        for piece in read::split_pieces(text) {
            match piece {
                ItemPiece::Closed(closed) => written.push_str(closed),
                ItemPiece::Single(inside) => {
                    self.faults.push(FilterFault::Quotes);
                    is_known &= !inside.contains(['"', '\\']);
                    written.extend(["\"", inside, "\""]);
                }
                ItemPiece::Open(open) => {
                    let is_first = written.is_empty();
                    match self.open(open, is_first) {
                        Some((part, is_opposite)) => {
                            written.push_str(&part);
                            if is_opposite {
                                let not = self.language.not.as_deref();
                                written.insert_str(0, not.unwrap_or_default());
                                is_known &= not.is_some();
                            }
                        }
                        None => is_known = false,
                    }
                }
            }
        }
        is_known.then_some(written)
    }

    /// Writes a part of a term that is not quoted, and whether the term is the opposite of it.
    fn open(&mut self, text: &str, is_first: bool) -> Option<(String, bool)> {
        let Some(at) = text.find(['=', '>', '<']) else { return Some((text.to_owned(), false)) };
        let (before, rest) = (text.get(..at)?, text.get(at..)?);
        let is_difference =
            before.ends_with('!') && rest.starts_with('=') || rest.starts_with("<>");
        if rest.starts_with('=') || is_difference {
            let Some(equals) = &self.language.equals else { return Some((text.to_owned(), false)) };
            self.faults.push(if is_difference {
                FilterFault::Differs
            } else {
                FilterFault::Equals
            });
            let value = rest.trim_start_matches(['=', '<', '>', '~']);
            let name = before.strip_suffix('!').filter(|_| is_difference).unwrap_or(before);
            let name = name.strip_suffix(equals.between.as_str()).unwrap_or(name);
            let is_readable = !value.contains(['=', '>', '<']) && equals.after.is_empty();
            let has_name = !is_first || !name.trim_start_matches('!').is_empty();
            let written = format!("{}{name}{}{value}", equals.before, equals.between);
            return (is_readable && has_name).then_some((written, is_difference));
        }
        let Some(between) = &self.language.compare else { return Some((text.to_owned(), false)) };
        let sign = if rest.get(1..2) == Some("=") { 2 } else { 1 };
        let (sign, number) = rest.split_at_checked(sign)?;
        let stands = before.ends_with(between.as_str()) || before.is_empty() || before == "!";
        if !stands {
            self.faults.push(FilterFault::Compare);
        }
        let number = self.write_number(number)?;
        let between = if stands { "" } else { between };
        Some((format!("{before}{between}{sign}{number}"), false))
    }

    /// Writes the number of a comparison without its unit.
    fn write_number(&mut self, text: &str) -> Option<String> {
        if self.language.units || text.is_empty() || is_number(text) {
            return Some(text.to_owned());
        }
        self.faults.push(FilterFault::Unit);
        let plain = text.replace([',', '_'], "");
        let lower = plain.to_ascii_lowercase();
        let units = UNITS.iter().find_map(|(unit, factor)| {
            let number = lower.strip_suffix(unit)?;
            Some(number.parse::<f64>().ok().filter(|it| it.is_finite())? * factor)
        });
        let value = plain.parse::<f64>().ok().filter(|it| it.is_finite()).or(units)?;
        (value.abs() <= LARGEST_EXACT).then(|| value.to_string())
    }

    /// Notes a comparison with a bracket.
    fn check_compared(&mut self, text: &str) {
        if text.ends_with(['>', '<']) {
            self.note_comparison();
        }
    }

    /// Notes a comparison, where the language knows any.
    fn note_comparison(&mut self) {
        if self.language.compare.is_some() {
            self.faults.push(FilterFault::Compare);
        }
    }
}

/// Returns whether a term can be the name of a field.
fn is_name(term: &str) -> bool {
    !term.is_empty()
        && !term.ends_with(['?', '*', ':', '!', ')'])
        && !term.contains(['=', '>', '<', '/'])
}

/// Returns whether an item is the unit of the comparison before it.
fn is_unit(text: &str, item: &FilterItem<'_>) -> bool {
    let number = text.rsplit(['>', '<', '=']).next().unwrap_or_default();
    let is_comparison = text.contains(['>', '<']) && is_number(number);
    let lower = item.text.to_ascii_lowercase();
    let is_word = lower.len() > 1 || lower == "%";
    is_comparison && item.inside.is_none() && is_word && UNITS.iter().any(|(it, _)| *it == lower)
}

/// Returns whether a text is a number where `Number` of JavaScript reads it, as most such languages do.
fn is_number(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_prefixed = ["0x", "0b", "0o"].iter().any(|prefix| lower.starts_with(prefix));
    let is_decimal = text.contains(|it: char| it.is_ascii_digit()) && text.parse::<f64>().is_ok();
    is_prefixed || is_decimal || text.trim_start_matches('-') == "Infinity"
}
