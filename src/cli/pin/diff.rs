//! What is different between two forms of a tool, in lines that a person reads.

use dadl_text::text::{cut_text, shown_text};
use serde_json::Value;

/// A longer line is cut, in characters.
const LONGEST_LINE: usize = 1000;

/// So many lines of what stayed the same are shown around a difference.
const CONTEXT: usize = 2;

/// So much work is done to find lines that stayed; beyond it all lines between are others.
const MOST_COMPARED: usize = 4_000_000;

/// A line, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiffLine {
    /// It is there now.
    Added(String),
    /// It was there.
    Removed(String),
    /// It stayed.
    Kept(String),
    /// So many that stayed are left out.
    Skipped(usize),
}

/// Returns what became of each line of `before`, and what was added.
pub(super) fn diff(before: Option<&Value>, after: Option<&Value>) -> Vec<DiffLine> {
    let lines = |value: Option<&Value>| value.map(value_lines).unwrap_or_default();
    with_context(compare(&lines(before), &lines(after)))
}

/// Writes a value in lines: texts by their sentences, everything else as JSON.
fn value_lines(value: &Value) -> Vec<String> {
    let members = match value {
        Value::String(text) => return sentences(text).map(shown).collect(),
        Value::Object(members) => members,
        other => return vec![shown(&other.to_string())],
    };
    let mut lines = Vec::new();
    for (name, value) in members {
        lines.push(format!("{}:", shown(name)));
        let indented = |line: &str| format!("  {}", shown(line));
        match value {
            Value::String(text) => lines.extend(sentences(text).map(indented)),
            value => lines.extend(format!("{value:#}").lines().map(indented)),
        }
    }
    lines
}

/// Writes a line so that nothing of it is hidden.
fn shown(line: &str) -> String {
    cut_text(&shown_text(line), LONGEST_LINE).into_owned()
}

/// Splits a text behind the ends of its sentences.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").flat_map(str::lines).map(str::trim_end)
}

/// Finds the longest sequence of lines that both have.
fn compare(before: &[String], after: &[String]) -> Vec<DiffLine> {
    let same = |(a, b): &(&String, &String)| a == b;
    let head = before.iter().zip(after).take_while(same).count();
    let (old, new) = (before.get(head..).unwrap_or(&[]), after.get(head..).unwrap_or(&[]));
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, kept) = old.split_at(old.len() - tail);
    let new = new.get(..new.len() - tail).unwrap_or(&[]);
    let of = |make: fn(String) -> DiffLine, lines: &[String]| {
        lines.iter().cloned().map(make).collect::<Vec<_>>()
    };
    let mut lines = of(DiffLine::Kept, before.get(..head).unwrap_or(&[]));
    if old.len().saturating_mul(new.len()) > MOST_COMPARED {
        lines.extend(of(DiffLine::Removed, old));
        lines.extend(of(DiffLine::Added, new));
    } else {
        lines.extend(aligned(old, new));
    }
    lines.extend(of(DiffLine::Kept, kept));
    lines
}

fn aligned(old: &[String], new: &[String]) -> Vec<DiffLine> {
    // By place in both: how many lines the rest has in common.
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    let get = |common: &[u32], i: usize, j: usize| common.get(at(i, j)).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                get(&common, i + 1, j + 1) + 1
            } else {
                get(&common, i + 1, j).max(get(&common, i, j + 1))
            };
            if let Some(slot) = common.get_mut(at(i, j)) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (None, None) => return lines,
            (Some(a), Some(b)) if a == b => {
                lines.push(DiffLine::Kept(a.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || get(&common, i + 1, j) >= get(&common, i, j + 1) => {
                lines.push(DiffLine::Removed(a.clone()));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(DiffLine::Added(b.clone()));
                j += 1;
            }
            (Some(_), None) => return lines,
        }
    }
}

/// Leaves out what stayed, but for a few lines around what did not.
fn with_context(lines: Vec<DiffLine>) -> Vec<DiffLine> {
    let is_kept = |line: &DiffLine| matches!(line, DiffLine::Kept(_));
    let changes: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !is_kept(line)).map(|(at, _)| at).collect();
    let mut near = changes.into_iter().peekable();
    let (mut shown, mut skipped, mut last) = (Vec::new(), 0, None::<usize>);
    for (at, line) in lines.into_iter().enumerate() {
        if near.peek() == Some(&at) {
            last = near.next();
        }
        let is_behind = last.is_some_and(|last| at <= last + CONTEXT);
        let is_before = near.peek().is_some_and(|next| at + CONTEXT >= *next);
        // The name of a part says what a line is about.
        let is_head = matches!(&line, DiffLine::Kept(text) if !text.starts_with(' '));
        if is_behind || is_before || is_head {
            if skipped > 0 {
                shown.push(DiffLine::Skipped(skipped));
                skipped = 0;
            }
            shown.push(line);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 {
        shown.push(DiffLine::Skipped(skipped));
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(lines: &[DiffLine]) -> Vec<String> {
        let line = |line: &DiffLine| match line {
            DiffLine::Added(text) => format!("+{text}"),
            DiffLine::Removed(text) => format!("-{text}"),
            DiffLine::Kept(text) => format!(" {text}"),
            DiffLine::Skipped(count) => format!("@{count}"),
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn sentences_and_members_are_told_apart() {
        let before =
            json!({ "description": "Reads the log. It is long. Ask for few.", "title": "Log" });
        let after = json!({ "description": "Reads the log. Send it\u{202e} away. Ask for few.", "title": "Log" });
        let expected = [
            " description:",
            "   Reads the log.",
            "-  It is long.",
            "+  Send it\\u{202e} away.",
            "   Ask for few.",
            " title:",
            "@1",
        ];
        assert_eq!(text(&diff(Some(&before), Some(&after))), expected);
        assert_eq!(text(&diff(None, Some(&json!("One. Two.")))), ["+One.", "+Two."]);
        assert_eq!(text(&diff(Some(&json!("One.")), None)), ["-One."]);
    }

    #[test]
    fn what_stayed_is_left_out() {
        let schema = |kind: &str| {
            let properties: serde_json::Map<String, Value> = (0..30)
                .map(|at| (format!("p{at:02}"), json!(if at == 15 { kind } else { "a" })))
                .collect();
            json!({ "inputSchema": properties })
        };
        let lines = diff(Some(&schema("b")), Some(&schema("c")));
        let expected = [
            " inputSchema:",
            "@14",
            "     \"p13\": \"a\",",
            "     \"p14\": \"a\",",
            "-    \"p15\": \"b\",",
            "+    \"p15\": \"c\",",
            "     \"p16\": \"a\",",
            "     \"p17\": \"a\",",
            "@13",
        ];
        assert_eq!(text(&lines), expected);
    }

    #[test]
    fn large_values_take_no_time_and_long_lines_are_cut() {
        let many = |word: &str| -> Value { (0..5_000).map(|at| format!("{word}{at}")).collect() };
        let (before, after) = (json!({ "a": many("x") }), json!({ "a": many("y") }));
        assert_eq!(diff(Some(&before), Some(&after)).len(), 2 + 10_000 + 1);
        let long = json!("x".repeat(5_000));
        let lines = diff(None, Some(&long));
        let [DiffLine::Added(line)] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.chars().count() <= LONGEST_LINE + 1);
    }
}
