//! About how many tokens a text is for a model.

/// A word of more letters is often more than one token.
const LONG_WORD: usize = 9;

/// Of long words so many in ten are two tokens.
const TENTHS_OF_LONG: usize = 6;

/// So many digits are one token.
const DIGITS: usize = 3;

/// So many other signs in a row are one token.
const SIGNS: usize = 4;

/// Returns about how many tokens a text is: of English texts and lists of tools within a tenth of what the
/// vocabulary o200k_base counts. A word takes the sign before it along; digits go by three, other signs
/// by four.
pub fn about_tokens(text: &str) -> usize {
    let mut counts = TokenCounts::default();
    let mut run = TextRun::None;
    for character in text.chars() {
        let kind = match character {
            it if it.is_alphabetic() => TextRun::Word(1),
            it if it.is_ascii_digit() => TextRun::Digits(1),
            it if it.is_whitespace() => TextRun::Space(1),
            _ => TextRun::Signs(1),
        };
        run = match (run, kind) {
            (TextRun::Word(length), TextRun::Word(_)) => TextRun::Word(length + 1),
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
    counts.tokens + counts.long_words * TENTHS_OF_LONG / 10
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
    long_words: usize,
}

impl TokenCounts {
    /// Counts a run; one sign or blank of it belongs to a word that follows.
    fn end(&mut self, run: TextRun, word_follows: bool) {
        let without_last = |length: usize| length - usize::from(word_follows);
        self.tokens += match run {
            TextRun::None => 0,
            TextRun::Word(length) => {
                self.long_words += usize::from(length > LONG_WORD);
                1
            }
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
        assert_eq!(about_tokens("The virtual machines of a pool."), 7);
        assert_eq!(about_tokens("2026-11-29"), 6);
        assert_eq!(about_tokens(r#"{"type":"object"}"#), 5);
    }
}
