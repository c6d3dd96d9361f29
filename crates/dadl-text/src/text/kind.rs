//! What each character may do, by itself and beside its neighbours.

use crate::{blocks, lanes::Lanes};

/// What a character is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharacterKind {
    /// It steers a terminal, changes the order of a line, or nobody sees it.
    Hidden,
    /// It joins its neighbours or keeps them apart, in scripts that need it and in emoji.
    Joiner,
    /// A line break or a tab.
    Layout,
    /// Text.
    Plain,
    /// A carriage return: half of a line break, or the way to overwrite a line.
    Return,
    /// It chooses among the shapes of the character before it.
    Selector,
    /// A letter that nobody sees; emoji of flags are spelled with them.
    Tag,
}

/// Says what a character is.
pub(super) fn character_kind(character: char) -> CharacterKind {
    match character {
        ' '..='~' => CharacterKind::Plain,
        '\n' | '\t' => CharacterKind::Layout,
        '\r' => CharacterKind::Return,
        // The controls of C0, DEL and the controls of C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => CharacterKind::Hidden,
        '\u{200c}' | '\u{200d}' => CharacterKind::Joiner,
        '\u{180b}'..='\u{180d}'
        | '\u{180f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}' => CharacterKind::Selector,
        '\u{e0000}'..='\u{e007f}' => CharacterKind::Tag,
        // What Unicode calls ignorable by default, or a format without a shape.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e0fff}' => CharacterKind::Hidden,
        // Private use: what it means, and whether it is seen, is between two others.
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => CharacterKind::Hidden,
        '\u{fdd0}'..='\u{fdef}' => CharacterKind::Hidden,
        // The last two of each plane are no characters.
        _ if u32::from(character) & 0xfffe == 0xfffe => CharacterKind::Hidden,
        _ => CharacterKind::Plain,
    }
}

/// Returns whether there is nothing to decide in a text.
pub(super) fn is_plain(text: &str) -> bool {
    is_plain_ascii(text.as_bytes())
        || text.chars().all(|character| {
            matches!(character_kind(character), CharacterKind::Plain | CharacterKind::Layout)
        })
}

/// Returns the same of ASCII.
fn is_plain_ascii(bytes: &[u8]) -> bool {
    let other = |lanes: Lanes| {
        let layout = lanes.equal(b'\n') | lanes.equal(b'\t');
        (lanes.below(b' ') & !layout) | lanes.at_least(0x7F)
    };
    blocks::first(bytes, b' ', other).is_none()
}

/// Returns whether a character separates lines where it is none of the usual line breaks.
pub(super) fn separates(character: char) -> bool {
    matches!(character, '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns whether a joiner belongs behind this character, if the next one fits too.
pub(super) fn joins_after(joiner: char, before: char) -> bool {
    is_joined_script(before) || (joiner == '\u{200d}' && (is_emoji(before) || ends_emoji(before)))
}

/// Returns whether a joiner belongs between these characters.
pub(super) fn joins(before: char, joiner: char, after: char) -> bool {
    let of_script = is_joined_script(before) && is_joined_script(after);
    let of_emoji = (is_emoji(before) || ends_emoji(before)) && is_emoji(after);
    of_script || (joiner == '\u{200d}' && of_emoji)
}

/// Returns whether a selector has something to choose behind this character.
pub(super) fn selects(before: char, selector: char) -> bool {
    match selector {
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji(before) || before.is_ascii_digit() || matches!(before, '#' | '*')
        }
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1800}'..='\u{18af}'),
        '\u{fe00}'..='\u{fe02}' => {
            let of_symbols = matches!(before, '\u{2200}'..='\u{22ff}' | '\u{2a00}'..='\u{2aff}');
            is_han(before) || (selector == '\u{fe00}' && of_symbols)
        }
        '\u{e0100}'..='\u{e01ef}' => is_han(before),
        _ => false,
    }
}

/// Returns whether these tags, behind a black flag, are those of a country in general use.
pub(super) fn is_flag(tags: &str) -> bool {
    let letters: String = tags
        .chars()
        .filter_map(|tag| char::from_u32(u32::from(tag).checked_sub(0xe_0000)?))
        .collect();
    matches!(letters.as_str(), "gbeng\u{7f}" | "gbsct\u{7f}" | "gbwls\u{7f}")
}

/// The black flag that tags follow.
pub(super) const FLAG: char = '\u{1f3f4}';
/// The tag that ends a flag.
pub(super) const END_OF_TAGS: char = '\u{e007f}';

fn is_han(character: char) -> bool {
    matches!(
        character,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    ) && character_kind(character) == CharacterKind::Plain
}

/// Returns whether letters of this script change their shape beside others (RFC 5892, appendix A).
fn is_joined_script(character: char) -> bool {
    matches!(
        character,
        // Arabic, Syriac, Thaana, N'Ko, Mandaic.
        '\u{620}'..='\u{6ff}' | '\u{700}'..='\u{74f}' | '\u{750}'..='\u{7ff}' | '\u{840}'..='\u{8ff}'
            // The scripts of India, Sri Lanka, Tibet, Myanmar and Cambodia.
            | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}' | '\u{1800}'..='\u{18af}' | '\u{1b00}'..='\u{1bff}'
            | '\u{a840}'..='\u{a87f}' | '\u{a8e0}'..='\u{a8ff}' | '\u{a980}'..='\u{a9df}'
            | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{11000}'..='\u{11dff}'
    ) && character_kind(character) == CharacterKind::Plain
}

fn is_emoji(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2190}'..='\u{21ff}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}'
            | '\u{25a0}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns whether an emoji may end with this character.
fn ends_emoji(character: char) -> bool {
    matches!(character, '\u{fe0f}' | END_OF_TAGS)
}
