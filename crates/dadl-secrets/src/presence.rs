//! Whether a text has any of a few parts, found out for many bytes of it at once.

use aho_corasick::packed::Searcher;
use memchr::memmem;

/// More parts are not looked for at once.
const MOST: usize = 64;

/// Tells whether any of some parts is in a text.
#[derive(Debug)]
pub(super) struct PresenceTest(Searcher);

impl PresenceTest {
    /// Looks for these parts; `None` where there are too many, or this processor cannot do it.
    pub(super) fn new<'all>(parts: impl Iterator<Item = &'all [u8]>) -> Option<Self> {
        let parts = needed(parts)?;
        if parts.is_empty() { None } else { Searcher::new(parts).map(Self) }
    }

    /// Returns whether one is there.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.0.find(text).is_some()
    }
}

/// Leaves out what has another one in it: where it is, that one is as well. `None` when too many are left, or
/// one is empty.
fn needed<'all>(parts: impl Iterator<Item = &'all [u8]>) -> Option<Vec<&'all [u8]>> {
    let mut all: Vec<&[u8]> = parts.collect();
    all.sort_unstable_by_key(|part| part.len());
    let mut needed: Vec<&[u8]> = Vec::new();
    for part in all {
        if part.is_empty() {
            return None;
        }
        if needed.iter().any(|known| memmem::find(part, known).is_some()) {
            continue;
        }
        if needed.len() >= MOST {
            return None;
        }
        needed.push(part);
    }
    Some(needed)
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_another_one_in_it_is_not_looked_for() {
        let parts: [&[u8]; 4] = [b"abcdef", b"cde", b"xyz", b"cde"];
        assert_eq!(needed(parts.into_iter()).unwrap(), [b"cde".as_slice(), b"xyz"]);
        let many: Vec<String> = (100..165).map(|number| number.to_string()).collect();
        assert!(needed(many.iter().map(String::as_bytes)).is_none());
        assert!(PresenceTest::new([].into_iter()).is_none());
        assert!(PresenceTest::new([b"".as_slice()].into_iter()).is_none());
    }

    proptest! {
        #[test]
        fn it_says_what_an_automaton_says(
            parts in proptest::collection::vec("[ab]{3,6}|[a-z]{4,12}", 1..40),
            text in "[abc]{0,200}|[a-z]{0,300}",
            place in any::<prop::sample::Index>(),
            part in any::<prop::sample::Index>(),
            is_there in any::<bool>(),
        ) {
            let mut text = text;
            if is_there {
                let at = place.index(text.len() + 1);
                text.insert_str(at, &parts[part.index(parts.len())]);
            }
            let all = AhoCorasick::new(&parts).unwrap();
            let test = PresenceTest::new(parts.iter().map(String::as_bytes));
            if let Some(test) = test {
                prop_assert_eq!(test.is_in(text.as_bytes()), all.is_match(&text), "{}", text);
            }
        }
    }
}
