//! What the one layout is, and that nothing is lost on the way to it.

use proptest::prelude::*;

use super::{FormatError, format};
use crate::source::SourceText;

const LIBRARY: &str = include_str!("../fixtures/library.dadl");

fn formatted(text: &str) -> String {
    let done = format(&SourceText::new("t", text));
    let text = done.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    assert_eq!(format(&SourceText::new("t", text.clone())), Ok(text.clone()), "a second run");
    text
}

#[test]
fn indents_by_two_and_leaves_one_space() {
    let text = "a:   1\nb :\n      c:  [1,2 ,  3]\n      d: { e:  1,f: 2}\n      g:\n      - h:  1\n        i: 2\n      -   3\n      - - 4\n        - 5\n";
    let expected = "a: 1\nb:\n  c: [1, 2, 3]\n  d: { e: 1, f: 2}\n  g:\n    - h: 1\n      i: 2\n    - 3\n    - - 4\n      - 5\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn keeps_comments_where_they_are() {
    let text = "# top\n\n\n# second\na:    # behind\n    # in a\n    b: 1   # one\n    # end of a\n# about c\nc:\n- 1\n# between\n- 2\n    # odd\n# last\n";
    let expected = "# top\n\n# second\na:    # behind\n  # in a\n  b: 1   # one\n  # end of a\n# about c\nc:\n  - 1\n  # between\n  - 2\n  # odd\n# last\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn moves_blocks_of_text_as_they_are() {
    let text = "a:\n      b: |   # why\n          one\n            two  \n\n          three\n\n\n      c: >-\n        x\n      d: |2\n           lead\n      e: |+\n         kept\n\n\nf: |\n   end\n";
    let expected = "a:\n  b: |   # why\n    one\n      two  \n\n    three\n\n  c: >-\n    x\n  d: |2\n       lead\n  e: |+\n    kept\n\n\nf: |\n  end\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn lines_of_quoted_and_plain_text_follow_their_key() {
    let text = "a:\n        b: \"one\n           two\\\n         three\"\n        c: plain\n            text\n        d:\n                other\n";
    let expected =
        "a:\n  b: \"one\n    two\\\n    three\"\n  c: plain\n    text\n  d:\n    other\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn quotes_of_single_words_go_when_no_program_needs_them() {
    let text =
        "a: 'word'\nb: \"$.data[*]\"\n'c': \"/x/{id}\"\nd: {e: \"f\", g: \"/x/{id}\", h: 'a:b'}\n";
    let expected = "a: word\nb: $.data[*]\nc: /x/{id}\nd: {e: f, g: \"/x/{id}\", h: 'a:b'}\n";
    assert_eq!(formatted(text), expected);
    for kept in [
        "'on'",
        "\"1.0\"",
        "'No'",
        "'2026-01-01'",
        "'1:30'",
        "'#x'",
        "'a b'",
        "'a: b'",
        "'*x'",
        "''",
        "'~'",
        "\"\\n\"",
        "'it''s'",
        "'-'",
        "'a:'",
        "'0x1'",
        "'.5'",
        "'<<'",
        "'ü'",
    ] {
        let text = format!("a: {kept}\n");
        assert_eq!(formatted(&text), text);
    }
    let prose = "description: \"Seconds\"\nb: {description: 'Host'}\n";
    assert_eq!(formatted(prose), prose);
}

#[test]
fn an_empty_line_is_between_tools_that_are_long() {
    let text = "backend:\n  tools:\n\n\n    a:\n      method: GET\n    # about b\n    b:\n      method: GET\n\n\n\n    c: {method: GET}\n    d: {method: GET}\n";
    let expected = "backend:\n  tools:\n\n    a:\n      method: GET\n\n    # about b\n    b:\n      method: GET\n\n    c: {method: GET}\n    d: {method: GET}\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn keeps_anchors_tags_and_markers() {
    let text = "---\na:   &x\n     b: 1\nc:   *x\n*x : 1\nd: !!str   5\ne: &l\n- 1\n- &m\n  n: 1\n- &o p: 1\n";
    let expected = "---\na: &x\n  b: 1\nc: *x\n*x : 1\nd: !!str 5\ne: &l\n  - 1\n  - &m\n    n: 1\n  - &o p: 1\n";
    let text = text.replace("*x : 1\n", "");
    assert_eq!(formatted(&text), expected.replace("*x : 1\n", ""));
}

#[test]
fn flow_collections_keep_their_lines() {
    let text = "a: [\n  1,   # one\n  {b: 2,\n  c: 3}\n  ]\nd: {}\ne: [ 1 ]\nf: {g: , h: 1}\n";
    let expected = "a: [\n  1,   # one\n  {b: 2,\n    c: 3}\n]\nd: {}\ne: [ 1 ]\nf: {g: , h: 1}\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn line_breaks_stay_those_of_the_file() {
    assert_eq!(
        formatted("a:\r\n    b:  1\r\n    c: |\r\n      x\r\n"),
        "a:\r\n  b: 1\r\n  c: |\r\n    x\r\n"
    );
    assert_eq!(formatted("a: 1"), "a: 1\n");
    assert_eq!(formatted("\n\n# c  \n\n"), "\n\n# c  \n\n", "no value, no layout");
    assert_eq!(formatted("a: 1  \n\n\n\n"), "a: 1\n");
}

#[test]
fn says_what_it_cannot_format() {
    let error = |text: &str| format(&SourceText::new("t", text)).unwrap_err();
    assert!(matches!(error("a: ["), FormatError::Findings(_)));
    assert!(matches!(error("? a\n: 1\n"), FormatError::Layout { offset: 0, .. }));
    assert!(matches!(error("a: |\n  x\r\r\n  y\n"), FormatError::Layout { .. }));
    assert!(matches!(error("\u{feff}\u{feff}"), FormatError::Layout { .. }));
    assert!(matches!(error("%YAML 1.2\n---\na: 1\n"), FormatError::Layout { .. }));
}

/// A value, and the layout that it is written in.
#[derive(Debug, Clone)]
enum Tree {
    Text(String),
    Map(Vec<(String, Self)>, u8),
    List(Vec<Self>, u8),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}",
        "\"[a-z :#,]{0,6}\"",
        "'[a-z \\]{}]{0,6}'",
        Just("\"a\n\n  b  \n c\"".to_owned()),
        Just("|\n§x\n§  y \n\n§z".to_owned()),
        Just(">+ # c\n§x\n\n\n".to_owned()),
        Just("|2-\n§  x".to_owned()),
        Just("[a,  b]".to_owned()),
        Just("{ a:  1,\n§ b: [c] } # d".to_owned()),
        Just(String::new()),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    text().prop_map(Tree::Text).prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(("[a-z]{1,4}", inner.clone()), 1..4), any::<u8>())
                .prop_map(|(entries, style)| Tree::Map(entries, style)),
            (prop::collection::vec(inner, 1..4), any::<u8>())
                .prop_map(|(items, style)| Tree::List(items, style)),
        ]
    })
}

/// Writes a tree below a key or dash in `column`; the first line of a map may follow a dash.
fn write(tree: &Tree, column: usize, after_dash: bool, out: &mut String) {
    let noise = |style: u8, out: &mut String, column: usize| {
        if style & 4 != 0 {
            out.push_str(&format!("\n{}# c{style}  ", " ".repeat(column)));
        }
        if style & 8 != 0 {
            out.push_str("\n   \n");
        } else {
            out.push('\n');
        }
    };
    match tree {
        Tree::Text(text) => {
            out.push(' ');
            // Two columns inside of the parent.
            out.push_str(&text.replace('§', &" ".repeat(column + 2)));
        }
        Tree::Map(entries, style) => {
            let inner = column + 1 + usize::from(style & 3);
            for (number, (key, value)) in entries.iter().enumerate() {
                if number == 0 && after_dash {
                    out.push_str(&" ".repeat(inner - column - 1));
                } else {
                    noise(*style, out, inner);
                    out.push_str(&" ".repeat(inner));
                }
                out.push_str(&format!("{key}{number}:"));
                write(value, inner, false, out);
            }
        }
        Tree::List(items, style) => {
            // A list may stand in the column of its key.
            let inner = column + usize::from(style & 3) + usize::from(after_dash);
            for item in items {
                noise(*style, out, inner);
                out.push_str(&" ".repeat(inner));
                out.push('-');
                write(item, inner, matches!(item, Tree::Map(..)), out);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_keeps_its_meaning(entries in prop::collection::vec(tree(), 1..4)) {
        let mut text = String::new();
        for (number, tree) in entries.iter().enumerate() {
            text.push_str(&format!("k{number}:"));
            write(tree, 0, false, &mut text);
            text.push('\n');
        }
        let mut findings = Vec::new();
        // Some layouts are no YAML; most are.
        if crate::yaml::parse_yaml(&text, &crate::yaml::YamlArena::default(), &mut findings).is_none() {
            return Ok(());
        }
        // That the tree is the same is checked inside.
        formatted(&text);
    }

    #[test]
    fn no_text_makes_it_panic(
        at in 0..4_000_usize,
        removed in 0..12_usize,
        inserted in "(\\PC|[-{}\\[\\]:,&*#|>'\"!\\n\\t ä]){0,4}",
    ) {
        let mut text: String = LIBRARY.chars().take(4_000).filter(char::is_ascii).collect();
        let at = at.min(text.len());
        let end = (at + removed).min(text.len());
        text.replace_range(at..end, &inserted);
        // An error is fine; what is wrong inside is an error and never a text.
        let _ = format(&SourceText::new("t", text));
    }
}
