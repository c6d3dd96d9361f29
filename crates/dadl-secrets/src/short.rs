//! Secrets so short that they occur by chance: they are masked as a whole value or beside a name,
//! and never within a word.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::{
    presence::PresenceTest,
    spellings,
    wanted::{WantedSecret, is_common},
};

/// What stands between a name and a value.
const MOST_BETWEEN: usize = 12;

/// So many spellings are looked for one by one.
const MOST_PASSES: usize = 16;

/// The longest name before a value.
const MOST_NAME: usize = 64;

/// Parts of the names that values have which are secrets.
const TELLING: &[&str] = &[
    "authentic",
    "authoriz",
    "bearer",
    "cookie",
    "credential",
    "key",
    "passphrase",
    "passw",
    "secret",
    "session",
    "token",
    "xauth",
];

/// Such names.
const TELLING_WHOLE: &[&str] = &["auth", "basic", "pass", "pin", "pw", "pwd", "sid"];

/// Words between a name and a value.
const LINKS: &[&str] = &["is", "was"];

/// Looks for short secrets.
#[derive(Debug)]
pub(super) struct ShortSecretFinder {
    values: SpellingSearch,
    /// Tells faster whether there is any of them.
    any: Option<PresenceTest>,
    spellings: Vec<SpelledSecret>,
    /// The names of credentials, in lower case, letters and digits only.
    names: Vec<String>,
}

/// Finds spellings; one pass for each is faster than one for all while they are few, since hardly any byte
/// is looked at by itself.
#[derive(Debug)]
enum SpellingSearch {
    Few(Vec<memmem::Finder<'static>>),
    Many(AhoCorasick),
}

impl SpellingSearch {
    fn new(spellings: &[SpelledSecret]) -> Option<Self> {
        let bytes = spellings.iter().map(|it| &it.bytes);
        if spellings.len() <= MOST_PASSES {
            return Some(Self::Few(
                bytes.map(|bytes| memmem::Finder::new(bytes).into_owned()).collect(),
            ));
        }
        AhoCorasick::new(bytes).ok().map(Self::Many)
    }

    /// Calls `found` with the number of a spelling, and with a place.
    fn find(&self, text: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        match self {
            Self::Few(all) => {
                for (number, one) in all.iter().enumerate() {
                    let mut from = 0;
                    while let Some(at) = text.get(from..).and_then(|rest| one.find(rest)) {
                        let start = from + at;
                        found(number, start..start + one.needle().len());
                        from = start + 1;
                    }
                }
            }
            Self::Many(all) => {
                let places = all.find_overlapping_iter(text);
                places.for_each(|place| found(place.pattern().as_usize(), place.range()));
            }
        }
    }
}

#[derive(Debug)]
struct SpelledSecret {
    bytes: Vec<u8>,
    is_common: bool,
}

impl ShortSecretFinder {
    /// Looks for `wanted`; `None` when there are none.
    pub(super) fn new(wanted: &[WantedSecret<'_>]) -> Option<Self> {
        let mut all = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for WantedSecret { value, names: own } in wanted.iter().filter(|it| !it.value.is_empty()) {
            let mut bytes = Vec::new();
            spellings::of_short(value, &mut bytes);
            let is_common = is_common(value);
            bytes.sort_unstable();
            bytes.dedup();
            all.extend(bytes.into_iter().map(|bytes| SpelledSecret { bytes, is_common }));
            for name in *own {
                let last = name.rsplit(['/', '.']).next().unwrap_or(name);
                names.extend([plain_name(name.as_bytes()), plain_name(last.as_bytes())]);
            }
        }
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !name.is_empty());
        if all.is_empty() {
            return None;
        }
        let values = SpellingSearch::new(&all)?;
        let any = PresenceTest::new(all.iter().map(|it| it.bytes.as_slice()));
        Some(Self { values, any, spellings: all, names })
    }

    /// Returns the bytes of all spellings.
    pub(super) fn bytes(&self) -> impl Iterator<Item = &u8> {
        self.spellings.iter().flat_map(|it| &it.bytes)
    }

    /// Finds whole values, and values beside a name.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        if self.any.as_ref().is_some_and(|any| !any.is_in(text)) {
            return;
        }
        self.values.find(text, |number, place| {
            let (before, behind) = text.split_at(place.start);
            let behind = behind.get(place.len()..).unwrap_or_default();
            if before.last().is_some_and(is_word) || behind.first().is_some_and(is_word) {
                return;
            }
            let is_common = self.spellings.get(number).is_none_or(|it| it.is_common);
            if (!is_common && is_whole(before, behind)) || self.is_named(before, behind, is_common)
            {
                found(place);
            }
        });
    }

    /// Returns whether a name stands before a value: `"password": "..."`, `token=...`.
    fn is_named(&self, before: &[u8], behind: &[u8], is_common: bool) -> bool {
        if is_key(behind) {
            return false;
        }
        let between = before.iter().rev().take(MOST_BETWEEN).take_while(|byte| is_between(byte));
        let between = between.count();
        let (name, between) = before.split_at(before.len() - between);
        let is_sign = |byte: &u8| matches!(byte, b':' | b'=' | b'>');
        if between.is_empty() || (is_common && !between.iter().any(is_sign)) {
            return false;
        }
        let (rest, mut name) = last_word(name);
        if LINKS.contains(&name.as_str()) && !is_common {
            (_, name) = last_word(rest.trim_ascii_end());
        }
        !name.is_empty() && (self.names.contains(&name) || tells_secret(&name))
    }
}

/// Returns whether a value of this name is a secret.
pub(super) fn tells_secret(name: &str) -> bool {
    let name = plain_name(name.as_bytes());
    TELLING_WHOLE.contains(&name.as_str()) || TELLING.iter().any(|part| name.contains(part))
}

/// Takes the last word off, in lower case.
fn last_word(text: &[u8]) -> (&[u8], String) {
    let length = text.iter().rev().take(MOST_NAME).take_while(|byte| is_named(byte)).count();
    let (rest, name) = text.split_at(text.len() - length);
    (rest, plain_name(name))
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80
}

fn is_named(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_between(byte: &u8) -> bool {
    matches!(byte, b':' | b'=' | b'"' | b'\'' | b'`' | b'\\' | b'>' | b'(' | b'[' | b'{')
        || byte.is_ascii_whitespace()
}

/// Returns whether what ended before `behind` is the name of a member of an object.
fn is_key(behind: &[u8]) -> bool {
    let behind = behind.strip_prefix(b"\\").unwrap_or(behind);
    let Some(behind) = behind.strip_prefix(b"\"") else { return false };
    behind.iter().take(MOST_BETWEEN).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Returns whether a value is all that there is between two signs of an end.
fn is_whole(before: &[u8], behind: &[u8]) -> bool {
    let mut behind = behind;
    while let Some(rest) = behind.strip_prefix(b"=") {
        behind = rest;
    }
    let begins =
        matches!(before.last(), None | Some(b'"' | b'\'' | b'`' | b'>' | b'\n' | b'=' | b':'));
    let ends = matches!(
        behind,
        [] | [b'"' | b'\'' | b'`' | b'<' | b'\n' | b'\r' | b'&' | b'@', ..]
            | [b'\\', b'"' | b'n' | b'r', ..]
    );
    begins && ends && !is_key(behind)
}

fn plain_name(name: &[u8]) -> String {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}
