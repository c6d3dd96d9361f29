//! The server instructions: what the backends are, for a model that meets them for the first time.

use std::fmt::Write as _;

/// Hosts cut instructions at 2 KB.
const MOST_BYTES: usize = 2_000;

/// What is said about one backend.
#[derive(Debug, Clone, Copy)]
pub struct Introduction<'a> {
    /// Its name.
    pub name: &'a str,
    /// The descriptor's description.
    pub description: &'a str,
    /// What the operator adds.
    pub hint: Option<&'a str>,
    /// How many tools are listed.
    pub tools: usize,
}

/// Writes the instructions, in under 2 KB whatever goes in; each backend gets a fair share.
pub fn instructions(backends: &[Introduction<'_>]) -> String {
    let share = MOST_BYTES / backends.len().max(1);
    let mut text = String::new();
    for backend in backends {
        let mut part = String::new();
        let noun = if backend.tools == 1 { "tool" } else { "tools" };
        // Writing to a string cannot fail.
        let _ = write!(part, "{} ({} {noun}): ", backend.name, backend.tools);
        if let Some(hint) = backend.hint {
            let _ = write!(part, "{} ", hint.trim());
        }
        part.push_str(backend.description.trim());
        // The line break takes a byte of the share.
        text.push_str(cut(&part, share.saturating_sub(1)));
        text.push('\n');
    }
    cut(text.trim_end(), MOST_BYTES).to_owned()
}

/// Returns the start of `text`, at most `bytes` long, cut at the end of a word.
fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= bytes).last();
    let start = text.get(..end.unwrap_or_default()).unwrap_or_default();
    start.rfind(char::is_whitespace).and_then(|at| start.get(..at)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(descriptions: &[&str]) -> String {
        let backends: Vec<Introduction<'_>> = descriptions
            .iter()
            .map(|description| Introduction { name: "xo", description, hint: None, tools: 2 })
            .collect();
        instructions(&backends)
    }

    #[test]
    fn names_each_backend() {
        assert_eq!(of(&["Manages VMs."]), "xo (2 tools): Manages VMs.");
        let hinted =
            Introduction { name: "xo", description: "VMs.", hint: Some("Test lab."), tools: 1 };
        assert_eq!(instructions(&[hinted]), "xo (1 tool): Test lab. VMs.");
        assert_eq!(instructions(&[]), "");
    }

    #[test]
    fn stays_under_two_kilobytes_and_is_fair() {
        let long = "wörd ".repeat(2000);
        let text = of(&[&long, "Second.", &long]);
        assert!(text.len() <= MOST_BYTES, "{}", text.len());
        assert!(text.contains("Second."));
        assert!(of(&vec![long.as_str(); 300]).len() <= MOST_BYTES);
    }
}
