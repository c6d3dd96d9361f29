//! Texts as YAML: what could be anything else is quoted, and no character hides.

use std::fmt::Write as _;

use dadl_text::text::first_hidden;

/// The words that YAML takes for something else than text, in one version or another.
const WORDS: [&str; 12] =
    ["~", "false", "inf", "n", "nan", "no", "null", "off", "on", "true", "y", "yes"];

/// Returns a text as YAML.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Returns a list on one line.
pub(super) fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| scalar(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// Returns a mapping on one line; the values are YAML.
pub(super) fn mapping<'key>(items: impl IntoIterator<Item = (&'key str, String)>) -> String {
    let items: Vec<String> =
        items.into_iter().map(|(key, value)| format!("{}: {value}", scalar(key))).collect();
    format!("{{{}}}", items.join(", "))
}

/// Returns a reference to a credential.
pub(super) fn credential(name: &str) -> String {
    mapping([("credential", scalar(name))])
}

fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    let goes_on =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=');
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    begins && text.chars().all(goes_on) && !is_word
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for next in text.chars() {
        match next {
            '"' | '\\' => quoted.extend(['\\', next]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // What a person would not see, and what YAML does not take.
            _ if next.is_control() || first_hidden(next.encode_utf8(&mut [0; 4])).is_some() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(next));
            }
            _ => quoted.push(next),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_and_controls_nothing(text in any::<String>()) {
            let yaml = format!("a: {}\nb: {}\n", scalar(&text), list([&text, "x"]));
            let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
            prop_assert_eq!(read, serde_json::json!({"a": text, "b": [text, "x"]}));
            prop_assert!(!yaml.replace('\n', "").chars().any(char::is_control));
        }
    }

    #[test]
    fn words_and_numbers_stay_texts() {
        for text in ["", "no", "1", "1e3", "-y", "a: b", "~", "#x", "null", "0x1F", "@a/b", "${X}"]
        {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        for text in ["npx", "/usr/bin/node", "LOG_LEVEL", "a-b.c"] {
            assert_eq!(scalar(text), text);
        }
    }
}
