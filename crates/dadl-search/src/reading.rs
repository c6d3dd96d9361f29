//! The words of a question as they were meant: typos are repaired, long words parted, and names of single things
//! told from words.

use std::collections::BTreeSet;

use crate::{
    index::SearchIndex,
    thesaurus::{Thesaurus, is_ordinary, is_particle, is_stop_word, nearest_stop_word},
    words::{stem, words},
};

/// Of one question so many words count.
const MOST_WORDS: usize = 80;
/// So many words may stand between single quotes.
const MOST_QUOTED: usize = 6;
/// Shorter words are not repaired before all others are read.
const SHORTEST_REPAIRED: usize = 6;
/// Shorter words are not taken for others.
const SHORTEST_UNKNOWN: usize = 4;

/// Signs that end a clause.
const ENDING: &[char] = &['.', ',', ';', ':', '?', '!', '\u{2026}'];

/// The words of a question.
#[derive(Debug, Default)]
pub(crate) struct QueryWords {
    pub(crate) words: Vec<String>,
    /// The positions of those that are part of the name of some one thing.
    pub(crate) names: BTreeSet<usize>,
    /// For each word the sign behind it that ends a clause.
    pub(crate) signs: Vec<Option<char>>,
}

/// Returns the words of a question, and the positions of those that are part of the name of some one thing:
/// `web-01` has nothing to do with the web.
pub(crate) fn read_words(index: &SearchIndex, query: &str) -> QueryWords {
    let mut read = QueryWords::default();
    for (text, is_quoted) in quoted_parts(query) {
        let tokens: Vec<&str> = text.split_whitespace().collect();
        let mut quoted_until = 0;
        for (at, token) in tokens.iter().enumerate() {
            if at >= quoted_until {
                quoted_until = at + single_quoted(tokens.get(at..).unwrap_or_default());
            }
            let is_name = is_quoted || at < quoted_until || is_name(token);
            for word in words(token) {
                for word in if is_name { vec![word] } else { plain_words(index, word) } {
                    if read.words.len() == MOST_WORDS {
                        return read;
                    }
                    if is_name {
                        read.names.insert(read.words.len());
                    }
                    read.words.push(word);
                    read.signs.push(None);
                }
            }
            let end = token.trim_end_matches(['"', '\'', ')', '\u{2019}']);
            let sign = end.chars().next_back().filter(|it| ENDING.contains(it));
            let is_dash = matches!(*token, "-" | "\u{2013}" | "\u{2014}" | "..");
            if let Some(last) = read.signs.last_mut()
                && (sign.is_some() || is_dash)
            {
                *last = sign.or(Some('-'));
            }
        }
    }
    // What is nothing but a name is a question all the same.
    if read.names.len() == read.words.len() {
        read.names.clear();
    }
    read
}

/// Parts a question at double quotes, and says which parts stand between two of them.
fn quoted_parts(query: &str) -> Vec<(&str, bool)> {
    let is_quote = |it: char| {
        matches!(it, '"' | '`' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}')
    };
    let parts: Vec<&str> = query.split(is_quote).collect();
    let last = parts.len() - 1;
    parts.into_iter().enumerate().map(|(at, part)| (part, at % 2 == 1 && at < last)).collect()
}

/// Returns how many words from the first on stand between single quotes, which are apostrophes elsewhere.
fn single_quoted(tokens: &[&str]) -> usize {
    let is_quote = |it: char| matches!(it, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}');
    let ends = |token: &&str| {
        let token = token.trim_end_matches(['.', ',', ';', ':', '?', '!', ')']);
        token.len() > 1 && token.ends_with(is_quote)
    };
    match tokens.first() {
        Some(first) if first.starts_with(is_quote) => {
            tokens.iter().take(MOST_QUOTED).position(ends).map_or(0, |at| at + 1)
        }
        _ => 0,
    }
}

/// Returns whether a word is written as names of single things are: `web-01`, `docs/install.md`, `@anna`. A
/// name with `_` may be that of a tool.
fn is_name(token: &str) -> bool {
    let token = token.trim_matches(|it: char| !it.is_alphanumeric() && it != '@' && it != '#');
    if token.contains('_') {
        return false;
    }
    let is_inner = |sign: char| {
        token.split_once(sign).is_some_and(|(_, rest)| rest.starts_with(char::is_alphanumeric))
    };
    let has_digit = token.chars().any(|it| it.is_ascii_digit());
    token.starts_with(['@', '#']) || is_inner('.') || has_digit && is_inner('-')
}

/// Returns whether anything is known of a word.
fn is_known(index: &SearchIndex, word: &str) -> bool {
    let stem = stem(word);
    is_stop_word(word)
        || index.stem_id(&stem).is_some()
        || Thesaurus::general().meaning(&stem).is_some()
        || !index.people(&stem).is_empty()
}

/// Returns the one word that an unknown one was to be, where there is but one: what several words mean together is
/// found by what they were to be.
fn repaired(index: &SearchIndex, word: &str) -> Option<String> {
    if word.len() < SHORTEST_REPAIRED || Thesaurus::general().is_part(&stem(word)) {
        return None;
    }
    let spelling = index.spelling();
    if !spelling.other_forms(word).is_empty() {
        return None;
    }
    let meant = |word: &str| -> BTreeSet<String> {
        let near = spelling.nearest(word).into_iter();
        let near = near.filter(|known| strsim::osa_distance(known, word) == 1);
        near.map(str::to_owned).collect()
    };
    let stemmed = stem(word);
    let found = meant(word);
    let found = if found.is_empty() && stemmed != word { meant(&stemmed) } else { found };
    let stems: BTreeSet<String> = found.iter().map(|it| stem(it)).collect();
    if stems.len() == 1 { found.into_iter().next() } else { None }
}

/// Returns the words that an unknown one is made of, as in German, or the idle one that it was to be.
fn plain_words(index: &SearchIndex, word: String) -> Vec<String> {
    if word.len() < SHORTEST_UNKNOWN || is_known(index, &word) || is_ordinary(&word) {
        return vec![word];
    }
    if let Some(idle) = nearest_stop_word(&word) {
        return vec![idle.to_owned()];
    }
    if let Some(meant) = repaired(index, &word) {
        return vec![meant];
    }
    let halves = word.char_indices().map(|(at, _)| word.split_at(at));
    let mut halves = halves.filter(|(first, second)| first.len() >= 3 && second.len() >= 2);
    let is_half = |half: &str| half.len() >= 3 && !is_stop_word(half) && is_known(index, half);
    let found = halves.find_map(|(first, second)| {
        // `poweroff` is `power off`.
        if is_particle(second) && is_half(first) {
            return Some(vec![first.to_owned(), second.to_owned()]);
        }
        if !is_half(second) {
            return None;
        }
        // `Sicherung-s-ziel`
        let linked = first.strip_suffix('s').filter(|first| first.len() >= 3);
        let first = [Some(first), linked].into_iter().flatten().find(|first| is_half(first))?;
        Some(vec![first.to_owned(), second.to_owned()])
    });
    found.unwrap_or_else(|| vec![word])
}
