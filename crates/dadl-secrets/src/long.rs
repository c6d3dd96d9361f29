//! Finds the spellings that are secrets wherever they are.

use std::{ops::Range, sync::OnceLock};

use aho_corasick::AhoCorasick;

use super::{presence::PresenceTest, runs, spellings::SecretSpelling};

/// Looks for these spellings.
#[derive(Debug)]
pub(super) struct LongSecretFinder {
    spellings: Vec<SecretSpelling>,
    /// Tells faster whether there is any of them.
    any: Option<PresenceTest>,
    /// Tells where; made when it is needed first, which takes longer than to search most texts.
    places: OnceLock<Option<AhoCorasick>>,
}

impl LongSecretFinder {
    /// Looks for `spellings`, none of which is empty.
    pub(super) fn new(spellings: Vec<SecretSpelling>) -> Self {
        let any = PresenceTest::new(spellings.iter().map(|it| it.bytes.as_slice()));
        Self { spellings, any, places: OnceLock::new() }
    }

    /// Returns whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.spellings.is_empty()
    }

    /// Returns whether there is one.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        match &self.any {
            Some(any) => any.is_in(text),
            None => self.places().is_some_and(|places| places.is_match(text)),
        }
    }

    /// Returns where they are, with the characters of Base64 around that share bits with them.
    pub(super) fn find<'text>(
        &'text self,
        text: &'text [u8],
    ) -> impl Iterator<Item = Range<usize>> + 'text {
        let places = if self.is_in(text) { self.places() } else { None };
        let places = places.map(|places| places.find_overlapping_iter(text));
        places.into_iter().flatten().map(|place| {
            let spelling = self.spellings.get(place.pattern().as_usize());
            let (before, behind) = spelling.map(|it| it.shares).unwrap_or_default();
            let is_own = |at: usize| text.get(at).copied().is_some_and(runs::is_base64);
            let before = before && place.start().checked_sub(1).is_some_and(is_own);
            let behind = behind && is_own(place.end());
            place.start() - usize::from(before)..place.end() + usize::from(behind)
        })
    }

    fn places(&self) -> Option<&AhoCorasick> {
        let make = || {
            let bytes = self.spellings.iter().map(|it| &it.bytes);
            // More spellings than it can hold would be gigabytes.
            (!self.is_empty()).then(|| AhoCorasick::new(bytes).ok()).flatten()
        };
        self.places.get_or_init(make).as_ref()
    }
}
