//! That the quick reader gives what the full parser gives: texts of each construct, generated ones, and files.

use proptest::prelude::*;

use crate::{
    diagnostic::Diagnostic,
    yaml::{YamlArena, YamlNode, YamlPart, parse_any, parse_usual},
};

const LIBRARY: &str = include_str!("../../fixtures/library.dadl");

/// Every construct that this reader knows.
const ALL: &str = r#"# A comment.
plain: two words  # and a comment
"quoted: key": "an \"escape\"\n\\ and / more"
'single': 'it''s'
number: 1.10
nothing:
colon: http://host:80/a#b
dash: -5
block:
  deeper:
    key: value
    other: [a, "b, c", {d: e, f: [g]}, 'h' , i j]
  # between
  list:
    - one
    - two: 2
      three:
        - 3
    -
      four: 4
    - [five, 5,
       6 ]
    - "seven"
level:
- a
- b: c
  d:
  - e
anchored: &x { a: 1, b: [ ] }
again: *x
anchored_block: &y
  c: *x
third: &z text
several: one
  two # and no more
empty_between:
  one
    two


   three. (four)
lines:
  - one
   two
  -
    three
   four
numbers: 1
 2
url: a
  http://host/b#c d
flow: {
    a: &w {b: c},
    d: *w,
    "e": f,   # in flow
    'g' : h,
  }
literal: |

    one
      two

    three

stripped: |-
  a
  b
kept: |+
  a

folded: >
  one
  two

    more
  three


  four
in_list:
  - |
    text
  - >-
    more
    text
<<: {merged: yes}
last: ü
"#;

fn read_both<'text>(
    text: &'text str,
    arena: &'text YamlArena<'text>,
) -> Option<[(YamlNode<'text>, Vec<Diagnostic>); 2]> {
    // Not at the beginning of its source, to see the spans move.
    let part = YamlPart { text, offset: 7 };
    let usual = parse_usual(part, arena)?;
    let mut findings = Vec::new();
    let any = parse_any(part, arena, &mut findings);
    let any = any.unwrap_or_else(|| panic!("{text:?}: {findings:?}"));
    Some([usual, (any, findings)])
}

/// Reads `text` in both ways, when it can; returns whether it could.
fn agree(text: &str) -> bool {
    let arena = YamlArena::default();
    let Some([usual, any]) = read_both(text, &arena) else { return false };
    assert_eq!(format!("{usual:?}"), format!("{any:?}"), "{text:?}");
    true
}

#[test]
fn what_descriptors_are_written_in_is_usual() {
    for text in [ALL, LIBRARY, include_str!("../../fixtures/small.dadl")] {
        assert!(agree(text));
    }
    for text in ["a: [b,\n  c]\n", "- a\n- - b\n", "a: b\n", "a: 'b'\nc:   \"d\"  \n"] {
        agree(text);
    }
}

fn is_usual(text: &str) -> bool {
    parse_usual(YamlPart { text, offset: 0 }, &YamlArena::default()).is_some()
}

#[test]
fn what_is_rare_or_wrong_is_left_to_the_full_parser() {
    for text in [
        "",
        "\n# nothing\n",
        "a: b",
        "a: b\r\n",
        "a:\tb\n",
        "\u{feff}a: b\n",
        "a: \u{85}\n",
        "a: b: c\n",
        "a: b\n  c: d\n",
        "a: b\n  c:\n",
        "a: b # c\n  d\n",
        "a: b\n  # c\n  d\n",
        "a: b\n  - c\n",
        "a: b\n  'c'\n",
        "a: b\n  c\n d: e\n",
        "a: \"b\n  c\"\n",
        "a: \"\\u0041\"\n",
        "a: !!str 5\n",
        "? a\n: b\n",
        "a: b\n---\nc: d\n",
        "---\na: b\n",
        "...\n",
        "%YAML 1.2\n",
        "a: *nope\n",
        "a: &a [*a]\n",
        "- &a b: c\n",
        "a: |2\n   b\n",
        "a: |\nb: c\n",
        "a: |\n    \n  b\n",
        "a: b\n c: d\n",
        "  a: b\nc: d\n",
        "a: [b c\n  d]\n",
        "a: [b: c]\n",
        "a: {b}\n",
        "a: {b: }\n",
        "a: [,]\n",
        "a: [b]]\n",
        "a: [\nb]\n",
        "a: [b] c\n",
        "[a]: b\n",
        "a: \"b\" c\n",
        "a: @b\n",
        "a: - b\n",
        "a:\n- b\n c: d\n",
    ] {
        assert!(!is_usual(text), "{text:?}");
    }
    assert!(!is_usual(&format!("{}: a\n", "k".repeat(1_025))));
    assert!(!is_usual(&format!("a: {}{}\n", "[".repeat(99), "]".repeat(99))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_read_any_text_alike(
        text in "([-a-c0{}\\[\\]:,&*#|>'\"~\\\\ \n]|: |- |\n  |\n    ){0,40}\n",
    ) {
        agree(&text);
    }

    #[test]
    fn both_read_any_change_of_a_text_alike(
        at in 0..ALL.len(),
        removed in 0..12_usize,
        inserted in "([-{}\\[\\]:,&*#|>'\"!\n\t ä]|\n  |\n    |- |: ){0,4}",
    ) {
        let end = (at + removed).min(ALL.len());
        if ALL.is_char_boundary(at) && ALL.is_char_boundary(end) {
            let mut text = ALL.to_owned();
            text.replace_range(at..end, &inserted);
            agree(&text);
            // Most changes are far from the end, and most of the text is none.
            let from = text.get(..at).and_then(|head| head.rfind("\n\n")).map_or(0, |at| at + 1);
            agree(text.get(from..).unwrap_or_default());
        }
    }
}
