//! Text becomes words: in lower case, without marks, each with its stem.

use std::{collections::BTreeSet, sync::OnceLock};

use dadl_text::names::split_words;
use frostem::{Algorithm, Stemmer};

/// Longer words are no words that anybody asks for.
const MOST_LETTERS: usize = 40;

/// Calls `each` with the words of a text, in order. What is written as one word of several
/// (`nameLabel`, `OpenVPN`) gives its parts, and then the whole.
pub(crate) fn each_word(text: &str, mut each: impl FnMut(&str)) {
    for piece in text.split(|letter: char| !letter.is_alphanumeric()) {
        if piece.is_empty() || piece.len() > 4 * MOST_LETTERS {
            continue;
        }
        let whole = folded(piece);
        if is_joined(piece) {
            let parts = split_words(piece);
            if parts.len() > 1 {
                for part in &parts {
                    each(&folded(part));
                }
            }
        }
        if whole.chars().count() <= MOST_LETTERS {
            each(&whole);
        }
    }
}

/// Returns the words of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    each_word(text, |word| all.push(word.to_owned()));
    all
}

/// Returns the parts of an identifier, without the wholes that [`each_word`] adds.
pub(crate) fn name_words(name: &str) -> Vec<String> {
    let pieces = name.split(|letter: char| !letter.is_alphanumeric());
    let pieces = pieces.filter(|it| !it.is_empty() && it.len() <= 4 * MOST_LETTERS);
    pieces
        .flat_map(|it| if is_joined(it) { split_words(it) } else { vec![it.to_owned()] })
        .map(|part| folded(&part))
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
pub(crate) fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut plain = String::with_capacity(word.len());
    for letter in word.chars().flat_map(char::to_lowercase) {
        match letter {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' | 'ă' => plain.push('a'),
            'ç' | 'ć' | 'č' => plain.push('c'),
            'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => plain.push('e'),
            'ì' | 'í' | 'î' | 'ï' => plain.push('i'),
            'ł' => plain.push('l'),
            'ñ' | 'ń' | 'ň' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => plain.push('o'),
            'ř' => plain.push('r'),
            'ś' | 'š' => plain.push('s'),
            'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' => plain.push('u'),
            'ý' | 'ÿ' => plain.push('y'),
            'ź' | 'ż' | 'ž' => plain.push('z'),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ß' => plain.push_str("ss"),
            // A mark that stands by itself.
            '\u{300}'..='\u{36f}' => {}
            other => plain.push(other),
        }
    }
    plain
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
