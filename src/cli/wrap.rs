//! Long texts on a terminal: broken between words, so that what is to be copied stays whole.

use std::borrow::Cow;

use dadl_text::text;
pub(super) use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

use super::process_secrets::SECRETS;

/// A narrower terminal is treated as one of this width.
const NARROWEST: usize = 20;

/// Stands where a text was cut.
pub(super) const CUT: char = '…';

/// Breaks each line of a text to `width`, where there is one; nothing is broken without.
///
/// The first line begins in column `first`; what is broken off a line, and each further line of the
/// text, gets `indent` blanks. What stands in backquotes is one word: it may be a command.
pub(super) fn wrap_text(text: &str, width: Option<usize>, first: usize, indent: usize) -> String {
    let Some(width) = width else {
        return text.replace('\n', &format!("\n{}", " ".repeat(indent)));
    };
    // What is hidden has to be found before it is torn apart, and an escape is longer than what it
    // stands for.
    let text = SECRETS.text(text);
    let text = text::shown_text(&text);
    let (before, rest) = (" ".repeat(first), " ".repeat(indent));
    let lines = text.split('\n').enumerate().map(|(number, line)| {
        let begin = if number == 0 { &before } else { &rest };
        let options = Options::new(width.max(NARROWEST))
            .initial_indent(begin)
            .subsequent_indent(&rest)
            .break_words(false)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
            .word_separator(WordSeparator::Custom(|line| Box::new(LineWords { rest: line })))
            .word_splitter(WordSplitter::NoHyphenation);
        let filled = textwrap::fill(line.trim_end(), options);
        // Where the text begins, something else stands already.
        if number == 0 { filled.get(first..).unwrap_or_default().to_owned() } else { filled }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Cuts a text of one line to `width` columns, with a mark where something is missing.
pub(super) fn fit_width(text: &str, width: usize) -> Cow<'_, str> {
    if display_width(text) <= width {
        return text.into();
    }
    // The mark takes a column.
    let mut used = 1;
    let kept: String = text
        .chars()
        .take_while(|character| {
            used += display_width(character.encode_utf8(&mut [0; 4]));
            used <= width
        })
        .collect();
    format!("{}{CUT}", kept.trim_end()).into()
}

/// Adds blanks to a text of one line until it takes `width` columns.
pub(super) fn pad_width(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(display_width(text))))
}

/// The words of a line, each with the blanks behind it.
struct LineWords<'line> {
    rest: &'line str,
}

impl<'line> Iterator for LineWords<'line> {
    type Item = Word<'line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = self.rest.len();
        let mut at = 0;
        while let Some(next) = self.rest.get(at..).and_then(|rest| rest.find([' ', '`'])) {
            let found = at + next;
            let behind = self.rest.get(found + 1..).unwrap_or_default();
            if self.rest.get(found..).is_some_and(|rest| rest.starts_with('`')) {
                // One without a partner is a sign as any other.
                at = found + 1 + behind.find('`').map_or(0, |length| length + 1);
                continue;
            }
            if found > 0 && !self.rest.get(..found).is_some_and(|it| it.trim().is_empty()) {
                end = found + 1 + (behind.len() - behind.trim_start_matches(' ').len());
                break;
            }
            at = found + 1;
        }
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(Word::from(word))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_and_so_do_commands() {
        let text = "add `--access read,write` to the command, which is long enough\nsecond line";
        assert_snapshot!(wrap_text(text, Some(30), 7, 2), @r"
        add
          `--access read,write` to the
          command, which is long
          enough
          second line
        ");
        assert_eq!(wrap_text(text, None, 7, 2), text.replace('\n', "\n  "));
        let url = "see https://example.com/a/long/path/that/nobody/breaks for more";
        assert!(wrap_text(url, Some(20), 0, 0).contains("/a/long/path/that/nobody/breaks\n"));
    }

    #[test]
    fn a_sign_of_two_columns_counts_twice() {
        assert_eq!(
            wrap_text("世界 世界 世界 世界 世界", Some(20), 0, 0),
            "世界 世界 世界 世界\n世界"
        );
    }

    #[test]
    fn a_cut_text_fits() {
        assert_eq!(fit_width("abcdef", 6), "abcdef");
        assert_eq!(fit_width("abc def", 5), "abc…");
        assert_eq!(fit_width("世界世界", 6), "世界…");
        assert_eq!(pad_width("世界", 6), "世界  ");
    }

    #[test]
    fn a_secret_is_not_torn_apart() {
        SECRETS.add("wrapped", "horse staple wrapped battery");
        let shown = wrap_text("it is horse staple wrapped battery, says he", Some(20), 0, 0);
        assert!(!shown.contains("staple") && shown.contains("[REDACTED]"), "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z` \n]{0,80}|\\PC{0,40}", width in 20..90_usize, first in 0..10_usize) {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let shown = text::shown_text(&text).into_owned();
            prop_assert_eq!(words(&wrap_text(&text, Some(width), first, 2)), words(&shown));
        }

        #[test]
        fn lines_fit_unless_a_word_does_not(text in "([a-z]{1,12} ){0,30}", width in 20..90_usize) {
            for line in wrap_text(&text, Some(width), 0, 2).lines() {
                prop_assert!(line.len() <= width, "{line}");
            }
        }
    }
}
