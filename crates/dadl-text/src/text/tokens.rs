//! About how many tokens a text is for a model.

/// A word of more letters is often two tokens.
const LONG_WORD: usize = 7;

/// So many digits are one token.
const DIGITS: usize = 3;

/// So many other signs in a row are one token.
const SIGNS: usize = 3;

/// Returns about how many tokens a text is: of English texts within a tenth of what the vocabulary o200k_base
/// counts, and of lists of tools within a fiftieth. A word takes the sign before it along, and a capital letter
/// behind a small one begins another; digits and other signs go by three.
pub fn about_tokens(text: &str) -> usize {
    let mut counts = TokenCounts::default();
    let mut run = TextRun::None;
    let mut before = None;
    for character in text.chars() {
        let kind = match character {
            it if it.is_alphabetic() => TextRun::Word(1),
            it if it.is_ascii_digit() => TextRun::Digits(1),
            it if it.is_whitespace() => TextRun::Space(1),
            _ => TextRun::Signs(1),
        };
        let begins =
            before.replace(character).is_some_and(char::is_lowercase) && character.is_uppercase();
        run = match (run, kind) {
            (TextRun::Word(length), TextRun::Word(_)) if !begins => TextRun::Word(length + 1),
            (TextRun::Digits(length), TextRun::Digits(_)) => TextRun::Digits(length + 1),
            (TextRun::Space(length), TextRun::Space(_)) => TextRun::Space(length + 1),
            (TextRun::Signs(length), TextRun::Signs(_)) => TextRun::Signs(length + 1),
            (before, kind) => {
                counts.end(before, matches!(kind, TextRun::Word(_)));
                kind
            }
        };
    }
    counts.end(run, false);
    counts.tokens
}

/// A run of characters of a kind, and its length.
#[derive(Debug, Clone, Copy)]
enum TextRun {
    None,
    Word(usize),
    Digits(usize),
    Signs(usize),
    Space(usize),
}

#[derive(Debug, Default)]
struct TokenCounts {
    tokens: usize,
}

impl TokenCounts {
    /// Counts a run; one sign or blank of it belongs to a word that follows.
    fn end(&mut self, run: TextRun, word_follows: bool) {
        let without_last = |length: usize| length - usize::from(word_follows);
        self.tokens += match run {
            TextRun::None => 0,
            TextRun::Word(length) => 1 + usize::from(length > LONG_WORD),
            TextRun::Digits(length) => length.div_ceil(DIGITS),
            TextRun::Signs(length) => without_last(length).div_ceil(SIGNS),
            // Blanks in a row are one token, and one blank belongs to what follows.
            TextRun::Space(length) => usize::from(length > 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_the_sign_before_them_along() {
        assert_eq!(about_tokens(""), 0);
        assert_eq!(about_tokens("list_vms"), 2);
        assert_eq!(about_tokens("The virtual servers of a pool."), 7);
        assert_eq!(about_tokens("The infrastructure of a pool."), 7);
        assert_eq!(about_tokens("networkIdByVif"), 4);
        assert_eq!(about_tokens("2026-11-29"), 6);
        assert_eq!(about_tokens(r#"{"type":"object"}"#), 5);
    }
}
