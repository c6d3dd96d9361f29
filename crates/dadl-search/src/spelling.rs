//! Which known word was meant by one that is not known.

use std::collections::{BTreeMap, HashMap};

/// Words of fewer letters are not repaired: too many others are as near.
const FEWEST_LETTERS: usize = 4;
/// From this length on, two letters may differ.
const LONG: usize = 10;

/// The known words by their lengths.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    by_length: BTreeMap<usize, Vec<Box<str>>>,
    /// Where only the endings differ.
    by_root: HashMap<String, Vec<Box<str>>>,
}

/// Endings of German, French and Spanish words, with which one word is another form of the same.
const ENDINGS: &[&str] = &[
    "iones", "ionen", "ieren", "ierte", "ierter", "ierten", "ierst", "iert", "iere", "ungen",
    "ation", "acion", "aciones", "ations", "ando", "iendo", "aron", "ieron", "aban", "aba", "adas",
    "ados", "idas", "idos", "ada", "ado", "ida", "ido", "amos", "emos", "imos", "aient", "eront",
    "ert", "erte", "erten", "erai", "era", "ait", "ant", "ante", "ants", "ees", "ent", "ons", "ez",
    "ions", "issent", "issez", "it", "is", "ung", "test", "tet", "tem", "ten", "ter", "tes", "te",
    "sten", "est", "end", "ende", "enden", "ern", "en", "em", "er", "es", "et", "st", "t", "e",
    "n", "s", "ar", "ir", "an", "as", "ais", "os", "a", "o", "i", "ee",
];

/// What Spanish imperatives and infinitives end with besides: `apagala`, `mostrarmelos`.
const ENCLITICS: &[&str] = &[
    "selas", "selos", "sela", "selo", "melas", "melos", "mela", "melo", "nos", "les", "las", "los",
    "me", "te", "se", "le", "la", "lo",
];

/// A root has so many letters at least.
const SHORTEST_ROOT: usize = 4;

/// Returns what is left of a word without the ending of a form.
fn root(word: &str) -> &str {
    let left =
        |ending: &&&str| word.strip_suffix(**ending).filter(|left| left.len() >= SHORTEST_ROOT);
    let endings = ENDINGS.iter().filter(|ending| left(ending).is_some());
    endings.max_by_key(|ending| ending.len()).and_then(|it| left(&it)).unwrap_or(word)
}

/// Returns the roots that a word may have.
fn roots(word: &str) -> Vec<&str> {
    let mut roots = vec![root(word)];
    if let Some(rest) = word.strip_prefix("ge").filter(|it| it.len() > SHORTEST_ROOT) {
        roots.push(root(rest));
    }
    let bare = ENCLITICS.iter().filter_map(|it| word.strip_suffix(*it));
    roots.extend(bare.filter(|it| it.len() >= SHORTEST_ROOT).map(root));
    roots
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
        let mut by_root: HashMap<String, Vec<Box<str>>> = HashMap::new();
        for words in by_length.values_mut() {
            words.sort_unstable();
            words.dedup();
            for word in words.iter().filter(|word| word.is_ascii()) {
                by_root.entry(root(word).to_owned()).or_default().push(word.clone());
            }
        }
        Self { by_length, by_root }
    }

    /// Returns the words of which one is another form, as far as its ending tells: `apagada` is of `apagar`.
    pub(crate) fn other_forms(&self, word: &str) -> Vec<&str> {
        if !word.is_ascii() || word.len() <= SHORTEST_ROOT {
            return Vec::new();
        }
        let forms = roots(word).into_iter().find_map(|root| self.by_root.get(root));
        forms.into_iter().flatten().map(|it| &**it).take(6).collect()
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

    #[test]
    fn forms_of_a_word_are_found() {
        let spelling =
            Spelling::new(["apagar", "scheitern", "loschen", "eteindre"].map(str::to_owned));
        for (form, word) in [
            ("apagada", "apagar"),
            ("apagala", "apagar"),
            ("gescheitert", "scheitern"),
            ("loscht", "loschen"),
        ] {
            assert_eq!(spelling.other_forms(form), [word], "{form}");
        }
        assert!(spelling.other_forms("apart").is_empty() && spelling.other_forms("a").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_word_has_an_answer(word in "\\PC{0,30}") {
            let spelling = Spelling::new(["snapshot", "größe", "日本語日本"].map(str::to_owned));
            spelling.nearest(&word);
            spelling.longer(&word);
            spelling.other_forms(&word);
        }
    }
}
