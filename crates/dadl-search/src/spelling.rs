//! Which known word was meant by one that is not known.

use std::collections::BTreeMap;

/// Words of fewer letters are not repaired: too many others are as near.
const FEWEST_LETTERS: usize = 4;
/// From this length on, two letters may differ.
const LONG: usize = 8;

/// The known words by their lengths.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    by_length: BTreeMap<usize, Vec<Box<str>>>,
}

impl Spelling {
    /// Takes known words, folded.
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut by_length: BTreeMap<usize, Vec<Box<str>>> = BTreeMap::new();
        for word in words {
            let length = word.chars().count();
            if length >= FEWEST_LETTERS && !word.bytes().any(|letter| letter.is_ascii_digit()) {
                by_length.entry(length).or_default().push(word.into());
            }
        }
        for words in by_length.values_mut() {
            words.sort_unstable();
            words.dedup();
        }
        Self { by_length }
    }

    /// Returns the words that an unknown one may be a misspelling of, the nearest ones only.
    pub(crate) fn nearest(&self, word: &str) -> Vec<&str> {
        let length = word.chars().count();
        if length < FEWEST_LETTERS || word.bytes().any(|letter| letter.is_ascii_digit()) {
            return Vec::new();
        }
        let most = if length >= LONG { 2 } else { 1 };
        let mut best = most + 1;
        let mut nearest: Vec<&str> = Vec::new();
        let lengths = self.by_length.range(length.saturating_sub(most)..=length + most);
        for known in lengths.flat_map(|(_, words)| words) {
            if !begin_alike(word, known) {
                continue;
            }
            let distance = strsim::osa_distance(word, known);
            if distance < best {
                best = distance;
                nearest.clear();
            }
            if distance == best && distance <= most {
                nearest.push(known);
            }
        }
        nearest.truncate(4);
        nearest
    }

    /// Returns words that a word is the beginning of, the shortest ones first.
    pub(crate) fn longer(&self, word: &str) -> Vec<&str> {
        let length = word.chars().count();
        if length < FEWEST_LETTERS {
            return Vec::new();
        }
        let longer = self.by_length.range(length + 1..).flat_map(|(_, words)| words);
        longer.filter(|known| known.starts_with(word)).map(|it| &**it).take(4).collect()
    }
}

/// Returns whether the first letters are the same, or the first two change places: others are rarely
/// mistyped, and to compare with all words takes long.
fn begin_alike(word: &str, known: &str) -> bool {
    let first_two = |word: &str| {
        let mut letters = word.chars();
        (letters.next(), letters.next())
    };
    let (word, known) = (first_two(word), first_two(known));
    word.0 == known.0 || (word.0 == known.1 && word.1 == known.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_words_are_found() {
        let spelling =
            Spelling::new(["snapshot", "template", "start", "restart", "vlan"].map(str::to_owned));
        for (wrong, right) in [
            ("snapshto", "snapshot"),
            ("sanpshot", "snapshot"),
            ("tempalte", "template"),
            ("strat", "start"),
            ("snapsot", "snapshot"),
        ] {
            assert_eq!(spelling.nearest(wrong), [right], "{wrong}");
        }
        assert!(spelling.nearest("plan").is_empty(), "another first letter");
        assert!(spelling.nearest("vla").is_empty() && spelling.nearest("house").is_empty());
        assert_eq!(spelling.longer("snap"), ["snapshot"]);
    }

    proptest::proptest! {
        #[test]
        fn any_word_has_an_answer(word in "\\PC{0,30}") {
            let spelling = Spelling::new(["snapshot", "größe", "日本語日本"].map(str::to_owned));
            spelling.nearest(&word);
            spelling.longer(&word);
        }
    }
}
