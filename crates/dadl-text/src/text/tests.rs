//! What may be shown, tried with text of every kind.

use std::{borrow::Cow, collections::HashMap};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    kind::{CharacterKind, character_kind},
    *,
};

/// Characters of every kind, more of those that something is decided about.
fn hostile() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "\u{1b}\u{7}\u{8}\r\n\t\u{7f}\u{80}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{115f}\u{180b}\u{180e}\
         \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\
         \u{3164}\u{e000}\u{fdd0}\u{fe00}\u{fe0f}\u{feff}\u{fff9}\u{ffff}\u{1f3f4}\u{e0001}\
         \u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e007f}\u{e0100}\u{10ffff}\u{301}\u{5d0}\u{6cc}\
         \u{915}\u{94d}\u{1f469}\u{2764}\u{4e2d}[]m;31\"\\<>`*_ a1"
            .chars()
            .collect::<Vec<_>>(),
    );
    let any = prop_oneof![4 => special, 1 => any::<char>(), 1 => prop::char::range(' ', '~')];
    prop::collection::vec(any, 0..40).prop_map(String::from_iter)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let invalid = prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..=0x9f], 0..3);
    prop::collection::vec((hostile(), invalid), 0..4).prop_map(|parts| {
        parts.into_iter().flat_map(|(a, b)| [a.into_bytes(), b].concat()).collect()
    })
}

/// What no terminal may get, whatever stands beside it.
fn is_never_shown(character: char) -> bool {
    character_kind(character) == CharacterKind::Hidden || character == '\r'
}

#[test]
fn nothing_of_others_steers_a_terminal() {
    let cases = [
        ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
        ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ("\u{1b}P1$r", "\\u{1b}P1$r"),
        ("\u{9b}31m \u{9d}52;c;", "\\u{9b}31m \\u{9d}52;c;"),
        ("99%\r100%", "99%\\r100%"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("a\u{8}\u{8}b\u{7f}", "a\\u{8}\\u{8}b\\u{7f}"),
        ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
        ("a\u{200b}b\u{ad}c\u{feff}", "a\\u{200b}b\\u{ad}c\\u{feff}"),
        ("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c"),
        ("\u{e0049}\u{e0067}", "\\u{e0049}\\u{e0067}"),
        ("\u{3164}\u{115f}\u{ffa0}", "\\u{3164}\\u{115f}\\u{ffa0}"),
        ("x\u{fe0f}\u{e0101}", "x\\u{fe0f}\\u{e0101}"),
        ("a\u{200d}b", "a\\u{200d}b"),
        ("\u{f8ff}\u{fffe}", "\\u{f8ff}\\u{fffe}"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown_text(text), expected, "{text:?}");
        assert_eq!(clean(text.as_bytes()), expected.as_bytes(), "{text:?}");
    }
    assert_eq!(clean(b"a\x9b31m\xff\xc3"), b"a\\x9b31m\\xff\\xc3".as_slice());
}

#[test]
fn text_of_any_script_stays_as_it_is() {
    let texts = [
        "Größe, naïve, e\u{301}, Ελλάδα, 中文, 日本語, 한국어",
        // Persian and Hindi need their joiners.
        "می\u{200c}خواهم",
        "क्\u{200d}ष, क्\u{200c}ष",
        "שלום עולם, مرحبا",
        // Families, hearts on fire, keycaps, skin, and the flags of Wales and of pirates.
        "👩\u{200d}💻 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3} 👍🏽 🏳\u{fe0f}\u{200d}🌈",
        "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f} \u{1f3f4}\u{200d}\u{2620}\u{fe0f}",
        // A variant of a Chinese character.
        "葛\u{e0100}",
        "├── tree │ ✔ → ½ ™ €",
    ];
    for text in texts {
        for function in [shown_text, shown_json, plain_text, unsmuggled] {
            assert_eq!(function(text), text);
        }
        assert_eq!(first_hidden(text), None);
        assert_eq!(clean(text.as_bytes()), text.as_bytes());
    }
    assert!(matches!(clean(b"plain"), Cow::Borrowed(_)));
}

#[test]
fn joiners_and_selectors_hide_nothing_where_they_belong() {
    // One selector selects, the next ones would spell something.
    assert_eq!(shown_text("❤\u{fe0f}\u{fe0f}"), "❤\u{fe0f}\\u{fe0f}");
    assert_eq!(shown_text("葛\u{e0100}\u{e0101}"), "葛\u{e0100}\\u{e0101}");
    assert_eq!(shown_text("ی\u{200c}\u{200c}ی"), "ی\\u{200c}\\u{200c}ی");
    assert_eq!(shown_text("ی\u{200c}"), "ی\\u{200c}");
    // Tags that are no flag in use.
    let flag = "\u{1f3f4}\u{e0069}\u{e0067}\u{e006e}\u{e007f}";
    assert_eq!(shown_text(flag), "\u{1f3f4}\\u{e0069}\\u{e0067}\\u{e006e}\\u{e007f}");
    let long = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e0073}\u{e007f}";
    assert!(!shown_text(long).contains(|c| character_kind(c) == CharacterKind::Tag));
}

#[test]
fn what_a_model_reads_is_what_a_person_sees() {
    assert_eq!(plain_text("ig\u{200b}nore\u{e0041}\u{e0042}"), "ignore");
    assert_eq!(plain_text("one\u{2028}two\rthree\u{85}four"), "one two three four");
    assert_eq!(plain_text("a\u{1b}[8mb"), "a[8mb");
    assert_eq!(first_hidden("abc\u{e0041}"), Some('\u{e0041}'));
    assert_eq!(unsmuggled("a\u{e0041}\u{200b}\u{1b}"), "a\u{fffd}\u{200b}\u{1b}");
    assert_eq!(unsmuggled("😀\u{e0110}\u{fe01}"), "😀\u{fffd}\u{fffd}");
}

#[test]
fn a_label_is_one_line() {
    assert_eq!(one_line("  a\n\n b\tc \u{3000}d\u{2028}e "), "a b c d e");
    assert_eq!(one_line("a\u{1b}[2J"), "a\\u{1b}[2J");
    assert_eq!(one_line("\u{301}a"), "\\u{301}a");
    assert_eq!(
        one_line(&format!("a{}", "\u{301}".repeat(6))),
        "a\u{301}\u{301}\u{301}\u{301}\\u{301}\\u{301}"
    );
    assert_eq!(start_of("one two three", 7), "one two…");
    assert_eq!(start_of("one", 7), "one");
    assert_eq!(start_of(&"x".repeat(10_000), 3), "xxx…");
}

#[test]
fn quotes_hold_what_is_in_them() {
    let cases = [
        ("vm-1", r#""vm-1""#),
        ("my_vm", r#""my_vm""#),
        ("_a_", r#""\u005fa\u005f""#),
        ("a\"b\\c", r#""a\u0022b\u005cc""#),
        ("a\nb\tc\r", r#""a\nb\tc\r""#),
        ("a  b ", r#""a\u0020 b\u0020""#),
        ("<!-- x -->", r#""\u003c!-- x --\u003e""#),
        ("![x](http://h)", r#""![x\u005d(http://h)""#),
        (
            "`x` **y** ~~z~~",
            r#""\u0060x\u0060 \u002a\u002ay\u002a\u002a \u007e\u007ez\u007e\u007e""#,
        ),
        ("a\u{202e}b\u{200d}c\u{a0}d", r#""a\u202eb\u200dc\u00a0d""#),
        ("Köln 中文", "\"Köln 中文\""),
    ];
    for (text, expected) in cases {
        assert_eq!(quoted_text(text, 200), expected);
    }
    assert_eq!(quoted_text("abcdef", 4), "\"abc…\"");
    assert_eq!(quoted_text(&"x".repeat(1_000_000), 10).len(), 10 + "…\"".len());
    assert_eq!(quoted_json(&json!({"a": [1, null, "x"]})), r#"{"a":[1,null,"x"]}"#);
    assert_eq!(quoted_json(&json!("Köln")), "\"K\\u00f6ln\", which reads \"Köln\"");
    // A Cyrillic letter is another one.
    assert_eq!(quoted_json(&json!("аdmin")), "\"\\u0430dmin\", which reads \"аdmin\"");
    let long = quoted_json(&json!("x".repeat(10_000)));
    assert!(long.starts_with("\"xxx") && long.ends_with("xxx\""), "{long}");
    assert!(long.contains("9502 characters are not shown here, their SHA-256 is "), "{long}");
    assert!(long.len() < 700, "{long}");
    let shorter = quoted_json_within(&json!("x".repeat(10_000)), 300);
    assert!(shorter.starts_with("\"xxx") && shorter.ends_with("xxx\""), "{shorter}");
    assert!(shorter.contains(" characters are not shown here, their SHA-256 is "), "{shorter}");
    assert_eq!(quoted_json_within(&json!("x".repeat(298)), 300).len(), 300);
}

/// The classes of Unicode, by another implementation.
#[test]
fn what_unicode_calls_invisible_is_not_plain() {
    let pattern = r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]";
    let invisible = fancy_regex::Regex::new(pattern).unwrap();
    // Signs of Arabic, Syriac and Kaithi have a shape, although Unicode calls them formats.
    let seen = |c: char| {
        matches!(c, '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{110bd}' | '\u{110cd}')
    };
    for character in '\0'..=char::MAX {
        let is_invisible = invisible.is_match(character.encode_utf8(&mut [0; 4])).unwrap();
        let is_plain = character_kind(character) == CharacterKind::Plain;
        assert_eq!(is_plain, !is_invisible || seen(character), "U+{:04X}", u32::from(character));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_terminal_gets_text_only(bytes in bytes()) {
        let cleaned = clean(&bytes);
        let text = std::str::from_utf8(&cleaned).unwrap();
        prop_assert!(!text.contains(is_never_shown), "{text:?}");
        let again = clean(&cleaned);
        prop_assert_eq!(&cleaned, &again);
    }

    #[test]
    fn how_a_text_is_cut_does_not_matter(bytes in bytes(), sizes in prop::collection::vec(1..7_usize, 1..9)) {
        let (mut cleaner, mut out, mut rest) = (TerminalCleaner::default(), Vec::new(), bytes.as_slice());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            cleaner.push(piece, &mut out);
            rest = after;
        }
        cleaner.finish(&mut out);
        prop_assert_eq!(out, clean(&bytes).into_owned());
    }

    #[test]
    fn each_place_is_settled_after_one_time(text in hostile()) {
        for function in [shown_text, shown_json, plain_text, unsmuggled] {
            let once = function(&text).into_owned();
            prop_assert_eq!(function(&once), once.as_str());
        }
        prop_assert_eq!(first_hidden(&plain_text(&text)), None);
        prop_assert!(!plain_text(&text).contains(is_never_shown));
        let line = one_line(&text);
        prop_assert!(!line.contains(|c| is_never_shown(c) || c == '\n' || c == '\t'), "{line:?}");
    }

    #[test]
    fn json_means_the_same(text in hostile(), key in hostile()) {
        let value = json!({ key: [text, 1] });
        for written in [value.to_string(), format!("{value:#}")] {
            let shown = shown_json(&written);
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value.clone());
            prop_assert!(!shown.contains(is_never_shown));
            prop_assert_eq!(clean(shown.as_bytes()), shown.as_bytes());
        }
    }

    #[test]
    fn a_quote_is_json_on_one_line(text in hostile()) {
        let quoted = quoted_json(&json!(text));
        let exact = quoted.split(", which reads").next().unwrap();
        prop_assert!(exact.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(serde_json::from_str::<String>(exact).unwrap(), text);
        let hidden = |c: char| !matches!(character_kind(c), CharacterKind::Plain) || "<>&`*~]$|".contains(c);
        prop_assert!(!quoted.contains(hidden), "{quoted}");
    }

    #[test]
    fn different_values_are_quoted_differently(
        values in prop::collection::vec(prop::collection::vec(hostile(), 0..10), 2..4),
    ) {
        let mut seen = HashMap::new();
        for value in values {
            let quoted = quoted_json(&json!(value));
            prop_assert!(quoted.len() < 2000);
            if let Some(other) = seen.insert(quoted, value.clone()) {
                prop_assert_eq!(other, value);
            }
        }
    }

    /// Also in little room, which nothing exceeds.
    #[test]
    fn what_is_cut_has_a_bound_and_a_digest(
        values in prop::collection::vec(prop::collection::vec(hostile(), 0..10), 2..4),
        most in 0_usize..900,
    ) {
        let mut seen = HashMap::new();
        for value in values {
            let quoted = quoted_json_within(&json!(value), most);
            prop_assert!(quoted.chars().count() <= most.max(LEAST_QUOTED), "{quoted}");
            if let Some(other) = seen.insert(quoted, value.clone()) {
                prop_assert_eq!(other, value);
            }
        }
    }
}
