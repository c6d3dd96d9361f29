//! Text that is too long for its place. What is cut says so, with one mark: `…`.

use std::borrow::Cow;

use super::one_line;

/// Cuts a text after `most` characters.
pub fn cut_text(text: &str, most: usize) -> Cow<'_, str> {
    marked(text, text_head(text, most))
}

/// Cuts a text after the last character that ends within `most` bytes.
pub fn cut_bytes(text: &str, most: usize) -> Cow<'_, str> {
    marked(text, text.get(..text.floor_char_boundary(most)).unwrap_or(text))
}

/// Cuts prose so that it has `most` characters with the mark: behind a sentence if one ends late
/// enough, else behind a word. The flag says that something was cut.
pub fn cut_prose(text: &str, most: usize) -> (Cow<'_, str>, bool) {
    if text_head(text, most).len() == text.len() {
        return (Cow::Borrowed(text), false);
    }
    // Room for a space and the mark.
    let head = text_head(text, most.saturating_sub(2));
    let sentence = head.rfind(". ").map(|at| at + 1).filter(|at| *at >= head.len() / 2);
    let end = sentence.or_else(|| head.rfind(' ')).unwrap_or(head.len());
    let kept = head.get(..end).unwrap_or(head).trim_end_matches([' ', ',', ';', ':', '(']);
    let space = if sentence.is_some() { " " } else { "" };
    (Cow::Owned(format!("{kept}{space}…")), true)
}

/// Writes the start of a text on one line, of at most `most` characters and a mark where it is cut.
pub fn start_of(text: &str, most: usize) -> String {
    // What is never shown need not be cleaned; an escape has ten characters at most.
    let start = text_head(text, most.saturating_add(1).saturating_mul(4));
    let line = one_line(start);
    match cut_text(&line, most) {
        Cow::Borrowed(whole) if start.len() < text.len() => format!("{whole}…"),
        short => short.into_owned(),
    }
}

/// Returns the first `most` characters, without a mark: for what is kept and not shown.
pub fn text_head(text: &str, most: usize) -> &str {
    // Nothing need be counted where there are no more bytes.
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

fn marked<'text>(text: &'text str, head: &str) -> Cow<'text, str> {
    if head.len() == text.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", head.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_characters_or_bytes() {
        assert_eq!(cut_text("größe", 5), "größe");
        assert_eq!(cut_text("größe", 4), "größ…");
        assert_eq!(cut_text("one two", 4), "one…");
        assert_eq!(cut_bytes("größe", 7), "größe");
        assert_eq!(cut_bytes("größe", 3), "gr…");
        assert_eq!(text_head("größe", 3), "grö");
        assert_eq!(text_head("größe", 30), "größe");
    }

    #[test]
    fn prose_ends_at_a_sentence_or_a_word() {
        assert_eq!(cut_prose("One two. Three.", 15), ("One two. Three.".into(), false));
        assert_eq!(cut_prose("One two. Three.", 14), ("One two. …".into(), true));
        assert_eq!(cut_prose("One. Two three four five.", 20), ("One. Two three…".into(), true));
        assert_eq!(cut_prose("One two, three four.", 12), ("One two…".into(), true));
        assert_eq!(cut_prose("x".repeat(30).as_str(), 5), ("xxx…".into(), true));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn what_is_cut_has_room_and_says_so(text in ".{0,30}|[ab .,ö]{0,30}", most in 0_usize..32) {
            let count = |text: &str| text.chars().count();
            let short = cut_text(&text, most);
            proptest::prop_assert!(count(&short) <= most + 1);
            proptest::prop_assert_eq!(&*short == text.as_str(), count(&text) <= most);
            let short = cut_bytes(&text, most);
            proptest::prop_assert!(short.len() <= most + '…'.len_utf8());
            proptest::prop_assert_eq!(&*short == text.as_str(), text.len() <= most);
            let (short, is_cut) = cut_prose(&text, most.max(2));
            proptest::prop_assert!(count(&short) <= most.max(2));
            proptest::prop_assert_eq!(is_cut, count(&text) > most.max(2));
            proptest::prop_assert_eq!(is_cut, &*short != text.as_str());
            proptest::prop_assert!(count(&start_of(&text, most)) <= most + 1);
            proptest::prop_assert_eq!(text_head(&text, most), text.chars().take(most).collect::<String>());
        }
    }
}
