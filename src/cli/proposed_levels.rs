//! The levels that tools of another MCP server would have by what it says of them, as lines to paste into
//! `levels`. Nothing is decided by them: a person reads them, and a word of the name that says something else
//! counts against them.

use std::{collections::BTreeMap, fmt};

use dadl_text::{
    names::{split_words, verbs},
    text::{cut_text, first_hidden, one_line},
};

use super::yaml_text::{mapping, scalar};
use crate::{
    access::UNCLASSIFIED,
    catalog::{CatalogEntry, ProposedHints},
};

/// So many lines are shown.
const MOST_LINES: usize = 60;

/// A longer name is not shown as a line to paste.
const LONGEST_NAME: usize = 100;

/// So many names are told of whose words say something else.
const MOST_TOLD: usize = 5;

/// What a server proposes for its tools that have no level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProposedLevels {
    /// How many tools have no level.
    without: usize,
    /// Names and globs, and the level of each, in the order of the list.
    lines: Vec<(String, &'static str)>,
    /// Tools that are said to read only, and whose names say that they change something.
    doubtful: Vec<String>,
    /// How many lines are not shown.
    more: usize,
}

/// A tool of a server.
struct NamedTool<'entry> {
    name: &'entry str,
    level: Option<&'entry str>,
    proposed: Option<&'static str>,
}

/// Returns the level that a server proposes for a tool without one, as far as its name does not say
/// something else.
pub(super) fn proposal(entry: &CatalogEntry) -> Option<&'static str> {
    let tool = entry.server_tool().filter(|tool| tool.held.is_none())?;
    if entry.access().is_some() {
        return None;
    }
    proposed_level(&tool.proposed).filter(|level| !is_doubtful(&tool.name, level))
}

/// Returns the level that hints speak of.
fn proposed_level(hints: &ProposedHints) -> Option<&'static str> {
    match (hints.read_only, hints.destructive) {
        // Something is destructive unless its server says that it is not.
        (_, Some(true)) | (Some(false), None) => Some("dangerous"),
        (Some(true), _) => Some("read"),
        (_, Some(false)) => Some("write"),
        (None, None) => None,
    }
}

/// Returns whether a name says that more is done than a level allows.
fn is_doubtful(name: &str, level: &str) -> bool {
    let words = split_words(name);
    let removes = |word: &String| verbs::VerbKind::of(word).is_some_and(verbs::VerbKind::removes);
    match level {
        "read" => words.first().is_some_and(|word| verbs::is_changing(word) || removes(word)),
        "write" => words.first().is_some_and(removes),
        _ => false,
    }
}

impl ProposedLevels {
    /// Collects what the server of a backend proposes; `None` where each tool has a level, or it is no
    /// server.
    pub(super) fn of<'entry>(entries: impl Iterator<Item = &'entry CatalogEntry>) -> Option<Self> {
        let mut proposed = Self::default();
        let mut tools = Vec::new();
        for entry in entries {
            let Some(tool) = entry.server_tool() else { continue };
            if entry.access().is_none() {
                proposed.without += 1;
                let level = proposed_level(&tool.proposed);
                if level.is_some_and(|level| is_doubtful(&tool.name, level)) {
                    proposed.doubtful.push(tool.name.clone());
                }
            }
            let level = entry.access().map(|it| it.as_str());
            tools.push(NamedTool { name: &tool.name, level, proposed: proposal(entry) });
        }
        proposed.lines = grouped(&tools);
        proposed.more = proposed.lines.len().saturating_sub(MOST_LINES);
        proposed.lines.truncate(MOST_LINES);
        (proposed.without > 0).then_some(proposed)
    }

    /// Names the tools whose names say more than their server does, if there are some.
    pub(super) fn doubts(&self) -> Option<String> {
        let names = self.doubtful.iter().take(MOST_TOLD);
        let names: Vec<String> =
            names.map(|it| format!("`{}`", cut_text(&one_line(it), LONGEST_NAME))).collect();
        let more = self.doubtful.len().saturating_sub(MOST_TOLD);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| {
            format!(
                "of {}{more} the server says less than the name does: nothing is proposed",
                names.join(", ")
            )
        })
    }

    /// Returns the lines to paste; `None` where nothing is proposed.
    pub(super) fn yaml(&self) -> Option<String> {
        let items = self.lines.iter().map(|(name, level)| (name.as_str(), scalar(level)));
        (!self.lines.is_empty()).then(|| format!("levels: {}", mapping(items)))
    }
}

/// Says what is proposed, and whose word that is.
impl fmt::Display for ProposedLevels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools =
            if self.without == 1 { "1 tool has" } else { &format!("{} tools have", self.without) };
        write!(formatter, "{tools} no level")?;
        if self.lines.is_empty() {
            formatter.write_str(", and the server says nothing that could be one")?;
        } else {
            formatter.write_str(
                "; by the word of the server alone, which nobody has checked, it would be as follows",
            )?;
        }
        if self.more > 0 {
            write!(formatter, " ({} more lines are not shown)", self.more)?;
        }
        Ok(())
    }
}

/// Returns a line for each verb whose tools all have one proposal, and for each other tool with one.
fn grouped(tools: &[NamedTool<'_>]) -> Vec<(String, &'static str)> {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for tool in tools.iter().filter(|tool| tool.proposed.is_some()) {
        if let Some(verb) = verb_of(tool.name) {
            *groups.entry(verb).or_default() += 1;
        }
    }
    let mut lines: Vec<(String, &'static str)> = Vec::new();
    for tool in tools {
        let Some(level) = tool.proposed else { continue };
        if !can_be_pasted(tool.name) {
            continue;
        }
        let verb = verb_of(tool.name).filter(|verb| {
            // One that has a level already is before these lines, or has the same.
            let agrees = |other: &NamedTool<'_>| other.level.or(other.proposed) == Some(level);
            groups.get(verb).is_some_and(|count| *count > 1)
                && tools.iter().filter(|other| other.name.starts_with(verb)).all(agrees)
        });
        let line = match verb {
            Some(verb) => (format!("{verb}*"), level),
            None => (tool.name.to_owned(), level),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Returns the first word of a name with what is behind it, where something goes on after that.
fn verb_of(name: &str) -> Option<&str> {
    let end = name.find(['_', '-'])?;
    let verb = name.get(..=end)?;
    let is_verb = verb.len() > 1 && name.len() > verb.len() && can_be_pasted(name);
    is_verb.then_some(verb)
}

/// Returns whether a name stands for itself in a pattern, and a person sees all of it.
fn can_be_pasted(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && !name.contains(['*', '?', '[', ']', '{', '}', '\\', '!', ','])
        && !name.chars().any(char::is_control)
        && first_hidden(name).is_none()
        && name != UNCLASSIFIED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(tools: &[(&str, Option<&str>, Option<&'static str>)]) -> Vec<String> {
        let named =
            |&(name, level, proposed): &(&'static str, _, _)| NamedTool { name, level, proposed };
        let tools: Vec<(&'static str, _, _)> = tools
            .iter()
            .map(|&(name, level, proposed)| (&*name.to_owned().leak(), level, proposed))
            .collect();
        let tools: Vec<NamedTool<'_>> = tools.iter().map(named).collect();
        grouped(&tools).into_iter().map(|(name, level)| format!("{name} {level}")).collect()
    }

    #[test]
    fn a_glob_stands_only_where_all_of_a_verb_agree() {
        let read = Some("read");
        let tools =
            [("get_a", None, read), ("get_b", None, read), ("delete_x", None, Some("dangerous"))];
        assert_eq!(lines(&tools), ["get_* read", "delete_x dangerous"]);
        let silent = [("get_a", None, read), ("get_b", None, read), ("get_c", None, None)];
        assert_eq!(lines(&silent), ["get_a read", "get_b read"]);
        let other = [("get_a", None, read), ("get_b", None, read), ("get_c", None, Some("write"))];
        assert_eq!(lines(&other), ["get_a read", "get_b read", "get_c write"]);
        // The operator has said something else of one of them.
        let known = [("get_a", None, read), ("get_b", None, read), ("get_c", Some("admin"), None)];
        assert_eq!(lines(&known), ["get_a read", "get_b read"]);
        let known = [("get_a", None, read), ("get_b", None, read), ("get_c", Some("read"), None)];
        assert_eq!(lines(&known), ["get_* read"]);
    }

    #[test]
    fn a_name_that_is_a_pattern_is_no_line() {
        let read = Some("read");
        assert_eq!(lines(&[("*", None, read), ("get_{a,b}", None, read)]), [""; 0]);
        assert_eq!(lines(&[("get_\u{200b}a", None, read), ("get_b", None, read)]), ["get_b read"]);
    }

    #[test]
    fn hints_are_read_as_mcp_means_them_and_names_are_believed_more() {
        let level = |read_only, destructive| {
            proposed_level(&ProposedHints { read_only, destructive, ..ProposedHints::default() })
        };
        assert_eq!(level(Some(true), None), Some("read"));
        assert_eq!(level(Some(true), Some(false)), Some("read"));
        assert_eq!(level(Some(true), Some(true)), Some("dangerous"));
        assert_eq!(level(Some(false), Some(false)), Some("write"));
        assert_eq!(level(None, Some(false)), Some("write"));
        assert_eq!(level(Some(false), None), Some("dangerous"));
        assert_eq!(level(None, None), None);
        assert!(is_doubtful("delete_repo", "read") && is_doubtful("delete_repo", "write"));
        assert!(!is_doubtful("delete_repo", "dangerous") && !is_doubtful("get_repo", "read"));
    }
}
