//! Which quotes can go.

/// Returns whether quoted text can be written without quotes and is still the same text for every
/// YAML program: those of YAML 1.1 read `on` and `1:30` differently, so what they might take for
/// something else keeps its quotes, and so does anything with a space.
pub(super) fn is_plain_word(text: &str, in_flow: bool) -> bool {
    const OTHER: &[&str] =
        &["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let begins = text
        .starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '/' | '$'));
    let is_word = |other: char| {
        other.is_ascii_alphanumeric()
            || matches!(
                other,
                '_' | '-' | '.' | '/' | '$' | '+' | '=' | '(' | ')' | '@' | '*' | ';'
            )
            || (!in_flow && matches!(other, '{' | '}' | '[' | ']'))
            || (!in_flow && other == ':')
    };
    begins
        && text.chars().all(is_word)
        && !text.ends_with(':')
        && !OTHER.iter().any(|word| text.eq_ignore_ascii_case(word))
}
