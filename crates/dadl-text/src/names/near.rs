//! Which known name was meant by one that is not known.
//!
//! An author mistypes a key: [`nearest_name`] counts the letters that differ, and what differs in more
//! than a third is another word. [`only_nearest`] is for a change without a question, so that it
//! must be the only one. A model makes up a name of a tool or a parameter, in another spelling or
//! without its prefix: [`nearest_loosely`] looks at what is alike.

use std::fmt;

/// Of a name so many letters are compared loosely: no known name has as many.
const MOST_LETTERS: usize = 128;

/// Says which name was meant; the alternate form has the quotes of messages that quote names so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeantName<'name>(pub &'name str);

impl fmt::Display for MeantName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if formatter.alternate() { '"' } else { '`' };
        write!(formatter, "did you mean {quote}{}{quote}?", self.0)
    }
}

/// Says which name was meant, or else what there is.
pub fn meant_or(nearest: Option<&str>, known: impl FnOnce() -> String) -> String {
    nearest.map_or_else(known, |name| MeantName(name).to_string())
}

/// [`MeantName`] at the end of a sentence, where a name is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrMeant<'name>(pub Option<&'name str>);

impl fmt::Display for OrMeant<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = self.0 else { return Ok(()) };
        formatter.write_str("; ")?;
        MeantName(name).fmt(formatter)
    }
}

/// Returns the known name that is nearest to `name`, when one is near enough to be meant.
pub fn nearest_name<'known>(
    name: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let length = name.chars().count();
    let limit = (length / 3).max(1);
    known
        .into_iter()
        // The distance is at least the difference of the lengths, and much cheaper to have.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the known name that is nearest to `name`, when exactly one is.
pub fn only_nearest<'known>(
    name: &str,
    known: impl IntoIterator<Item = &'known str> + Clone,
) -> Option<&'known str> {
    let first = nearest_name(name, known.clone())?;
    let distance = strsim::damerau_levenshtein(name, first);
    let length = name.chars().count();
    let is_as_near = |other: &&str| {
        *other != first
            && other.chars().count().abs_diff(length) <= distance
            && strsim::damerau_levenshtein(name, other) <= distance
    };
    known.into_iter().find(is_as_near).is_none().then_some(first)
}

/// Returns the known name that `name` was probably meant to be.
///
/// Case, hyphens and dots are ignored; a known name that contains the whole of `name` as its end
/// (a tool without its backend's prefix) counts as near.
pub fn nearest_loosely<'known>(
    name: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            // No known name is longer; a mistaken argument can be.
            .take(MOST_LETTERS)
            .collect()
    };
    let wanted = plain(name);
    if wanted.is_empty() {
        return None;
    }
    let score = |candidate: &str| {
        let candidate = plain(candidate);
        if candidate == wanted {
            return 2.0;
        }
        let similarity = strsim::normalized_damerau_levenshtein(&candidate, &wanted);
        if wanted.len() >= 3 && candidate.ends_with(&wanted) {
            1.0 + similarity
        } else {
            similarity
        }
    };
    known
        .into_iter()
        .map(|candidate| (score(candidate), candidate))
        .filter(|(score, _)| *score >= 0.6)
        // `max_by` prefers the last of equals; the first is the stable choice.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_in_three_may_differ() {
        let near = |name| nearest_name(name, ["method", "path", "params"]);
        assert_eq!(near("metod"), Some("method"));
        assert_eq!(near("parms"), Some("params"));
        assert_eq!(near("frobnicate"), None);
        assert_eq!(only_nearest("pat", ["path", "part"]), None);
        assert_eq!(only_nearest("pat", ["path", "method"]), Some("path"));
    }

    #[test]
    fn what_is_alike_was_meant() {
        let known = ["list_vms", "get_vm", "name_label", "id"];
        let near = |name| nearest_loosely(name, known);
        assert_eq!(near("list_vm"), Some("list_vms"));
        assert_eq!(near("nameLabel"), Some("name_label"));
        assert_eq!(near("label"), Some("name_label"));
        assert_eq!(near("frobnicate"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"z".repeat(100_000)), None);
    }

    #[test]
    fn a_sentence_says_what_was_meant() {
        assert_eq!(MeantName("path").to_string(), "did you mean `path`?");
        assert_eq!(format!("{:#}", MeantName("path")), "did you mean \"path\"?");
        assert_eq!(OrMeant(Some("path")).to_string(), "; did you mean `path`?");
        assert_eq!(format!("{:#}", OrMeant(Some("path"))), "; did you mean \"path\"?");
        assert_eq!(OrMeant(None).to_string(), "");
    }
}
