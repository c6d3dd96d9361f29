//! Text becomes words: in lower case, without marks, each with its stem.

use std::{borrow::Cow, collections::BTreeSet, sync::OnceLock};

use dadl_text::names::split_words;
use frostem::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization as _, char::canonical_combining_class};

/// Longer words are no words that anybody asks for.
const MOST_LETTERS: usize = 40;

/// Calls `each` with the words of a text, in order. What is written as one word of several
/// (`nameLabel`, `OpenVPN`) gives its parts, and then the whole.
pub(crate) fn each_word(text: &str, mut each: impl FnMut(&str)) {
    for piece in pieces(&plain(text)) {
        let whole = small(piece);
        if is_joined(piece) {
            let parts = split_words(piece);
            if parts.len() > 1 {
                for part in &parts {
                    each(&small(part));
                }
            }
        }
        if whole.chars().count() <= MOST_LETTERS {
            each(&whole);
        }
    }
}

/// Returns what stands between blanks and other signs.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(|letter: char| !letter.is_alphanumeric() && !is_mark(letter));
    pieces
        .filter(|piece| piece.len() <= 4 * MOST_LETTERS && piece.chars().any(char::is_alphanumeric))
}

/// Returns the words of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    each_word(text, |word| all.push(word.to_owned()));
    all
}

/// Returns the parts of an identifier, without the wholes that [`each_word`] adds.
pub(crate) fn name_words(name: &str) -> Vec<String> {
    pieces(&plain(name))
        .flat_map(|it| if is_joined(it) { split_words(it) } else { vec![it.to_owned()] })
        .map(|part| small(&part))
        .collect()
}

/// Returns whether a capital follows a small letter.
fn is_joined(piece: &str) -> bool {
    let mut before_is_small = false;
    piece.chars().any(|letter| {
        let joins = before_is_small && letter.is_uppercase();
        before_is_small = letter.is_lowercase();
        joins
    })
}

/// Returns a word in lower case, without the marks of Latin letters.
#[cfg(test)]
pub(crate) fn folded(word: &str) -> String {
    small(&plain(word))
}

fn small(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    // Not by the rules for whole words, of which a sigma is another one at the end.
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Returns a text in which letters have no marks, and what can be written in several ways is written in
/// one: a letter with an accent is one character to some keyboards and two to others.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfkd() {
        match letter {
            // Marks of Latin, Greek and Cyrillic letters; hyphens and joints that nobody sees.
            '\u{300}'..='\u{36f}'
            | '\u{ad}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'
            | '\u{feff}' => {}
            // Letters that have no other form, and are written otherwise where a keyboard lacks them.
            'đ' | 'ð' => plain.push('d'),
            'Đ' | 'Ð' => plain.push('D'),
            'ı' => plain.push('i'),
            'ł' => plain.push('l'),
            'Ł' => plain.push('L'),
            'ø' => plain.push('o'),
            'Ø' => plain.push('O'),
            'æ' => plain.push_str("ae"),
            'Æ' => plain.push_str("AE"),
            'œ' => plain.push_str("oe"),
            'Œ' => plain.push_str("OE"),
            'ß' => plain.push_str("ss"),
            'ẞ' => plain.push_str("SS"),
            'ς' => plain.push('σ'),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

/// Returns whether a character is a sign on the letter before it, and parts no words.
fn is_mark(letter: char) -> bool {
    !letter.is_ascii() && canonical_combining_class(letter) != 0
}

/// Returns the stems of a text, each once: what a search knows of it.
pub fn text_stems(text: &str) -> BTreeSet<String> {
    let mut stems = BTreeSet::new();
    each_word(text, |word| {
        stems.insert(stem(word));
    });
    stems
}

/// Returns the stem of a folded word.
pub(crate) fn stem(word: &str) -> String {
    static STEMMER: OnceLock<Stemmer> = OnceLock::new();
    if word.len() < 3 || !word.bytes().all(|letter| letter.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let stemmer = STEMMER.get_or_init(|| Stemmer::new(Algorithm::English));
    let stem = stemmer.stem(word);
    // The algorithm leaves the plurals of abbreviations alone: `vms`, `vdis`, `cpus`.
    match stem.strip_suffix('s') {
        Some(singular) if singular.len() >= 2 && !singular.ends_with('s') => singular.to_owned(),
        _ => stem.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_letters_without_marks() {
        assert_eq!(
            words("Größe der VMs (nameLabel)"),
            ["grosse", "der", "vms", "name", "label", "namelabel"]
        );
        assert_eq!(words("IPv6, OpenVPN"), ["ipv6", "open", "vpn", "openvpn"]);
        assert_eq!(name_words("list_vm_VDIs"), ["list", "vm", "vdis"]);
        assert_eq!(name_words("getVMStats"), ["get", "vm", "stats"]);
        assert!(words("—  _!").is_empty());
    }

    #[test]
    fn letters_with_marks_are_alike_however_they_are_written() {
        for (composed, decomposed) in [
            ("l\u{f6}schen", "lo\u{308}schen"),
            ("Gr\u{f6}\u{df}eDerVMs", "Gro\u{308}\u{df}eDerVMs"),
            ("\u{1ebf}", "e\u{302}\u{301}"),
            ("\u{439}", "\u{438}\u{306}"),
            ("\u{d55c}\u{ad6d}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("\u{30ac}", "\u{30ab}\u{3099}"),
            ("l\u{f6}schen", "lo\u{308}\u{ad}schen"),
            ("VM", "\u{ff36}\u{ff2d}"),
        ] {
            assert_eq!(words(composed), words(decomposed), "{composed}");
            assert_eq!(name_words(composed), name_words(decomposed), "{composed}");
        }
        assert_eq!(words("lo\u{308}schen"), ["loschen"]);
        // A sign that only stands on letters parts no word.
        assert_eq!(words("\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}").len(), 1);
        assert!(words("\u{308} \u{94d}").is_empty());
    }

    #[test]
    fn a_plural_has_the_stem_of_its_singular() {
        for (one, many) in [
            ("vm", "vms"),
            ("vdi", "vdis"),
            ("cpu", "cpus"),
            ("alias", "aliases"),
            ("policy", "policies"),
        ] {
            assert_eq!(stem(one), stem(many), "{one}");
        }
        assert_eq!(stem("deleting"), stem("deleted"));
        assert_eq!(stem("access"), "access");
        assert_eq!(stem("日本"), "日本");
    }
}
