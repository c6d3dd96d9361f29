//! What hosts tell a model about the server as a whole.
//!
//! Hosts cut instructions at 2 KB, so the text stays below that whatever goes in. Each backend
//! gets its share: a short description leaves its room to the others, and no backend vanishes
//! because another one talks much. Some hosts show no more than the beginning, which says what the
//! backends are, and how their tools are reached.

use std::borrow::Cow;

use dadl_text::text::{self, cut_bytes, fair_share, plain_text};

/// Most bytes of the whole text.
const MOST_BYTES: usize = 2000;
/// Room that is kept for saying how many backends were left out.
const TAIL_BYTES: usize = 40;
/// Says how a file that has a handle gets into an argument that takes none.
const FILES: &str =
    "An argument's text `dadl-file:ID#base64` (or `#dataurl`, `#url`) becomes that file.";
/// A backend gets at least this room, or is left out.
const LEAST_BYTES: usize = 60;

/// What a model should know about one backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackendSummary<'text> {
    /// Its name.
    pub name: &'text str,
    /// The description of its descriptor.
    pub description: &'text str,
    /// What the operator adds.
    pub hint: Option<&'text str>,
    /// How many of its tools are listed.
    pub tools: usize,
}

/// Whether the instructions speak of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileMention {
    /// Files have handles here, and tools take or save some.
    Named,
    /// No tool has to do with files, or host and server share a machine.
    Unnamed,
}

/// What a model should know where it finds tools by a search.
#[derive(Debug, Clone, Default)]
pub(crate) struct SearchMention<'text> {
    /// The tools that do in one call what takes many.
    pub(crate) composites: Vec<&'text str>,
    /// Whether there is a tool for calls with an effect.
    pub(crate) changes: bool,
    /// Whether there is one for scripts that change something.
    pub(crate) scripts: bool,
}

/// Says how tools are reached that a host does not list.
const SEARCH: &str = "Tools are found by api_search. api_read calls those that only read, and runs code \
                      over them: one script is cheaper than many calls.";

/// The same of what changes something.
const SEARCH_CHANGES: &str = " api_change calls any one.";

const SEARCH_SCRIPTS: &str = " api_script runs code that changes things.";

/// Most bytes of the names of composites.
const COMPOSITES_BYTES: usize = 500;

/// Most bytes of what backends are, before it is said how tools are found.
const HEADS_BYTES: usize = 600;

/// Writes the instructions for these backends, below 2 KB; `search` where tools are found by one.
pub(crate) fn instructions(
    backends: &[BackendSummary<'_>],
    mention: FileMention,
    search: Option<&SearchMention<'_>>,
) -> String {
    let files = match mention {
        FileMention::Named => FILES,
        FileMention::Unnamed => "",
    };
    let room = MOST_BYTES - files.len();
    let mut text = match search {
        Some(search) => found_by_search(backends, room, search),
        None => written_lines(backends.iter().map(BackendLine::of).map(BackendLine::whole), room),
    };
    text.truncate(text.trim_end().len());
    if !files.is_empty() {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str(files);
    }
    text
}

/// Writes a line for each backend, of which each has its share of the room; then how many are left out.
fn written_lines(lines: impl Iterator<Item = String>, room: usize) -> String {
    let lines: Vec<String> = lines.collect();
    let room = room.saturating_sub(TAIL_BYTES);
    let shown = lines.len().min(room / LEAST_BYTES);
    let share = fair_share(lines.iter().take(shown).map(|line| line.len() + 1), room);
    let mut text = String::new();
    for line in lines.iter().take(shown) {
        text.push_str(&cut_text(line, share.saturating_sub(1)));
        text.push('\n');
    }
    match lines.len() - shown {
        0 => {}
        1 => text.push_str("and 1 more backend\n"),
        more => text.push_str(&format!("and {more} more backends\n")),
    }
    text
}

/// Writes what each backend is, then how its tools are found, then what else there is to know. Some hosts show
/// a model no more than the beginning.
fn found_by_search(
    backends: &[BackendSummary<'_>],
    room: usize,
    search: &SearchMention<'_>,
) -> String {
    let lines: Vec<BackendLine<'_>> = backends.iter().map(BackendLine::of).collect();
    let heads = lines.iter().map(|line| line.head.clone());
    let mut text = written_lines(heads, HEADS_BYTES);
    text.push_str(&search_intro(search));
    let named = |line: &BackendLine<'_>| match lines.len() {
        1 => line.rest.clone(),
        _ => format!("{}: {}", line.name, line.rest),
    };
    let rests: Vec<String> = lines.iter().filter(|line| !line.rest.is_empty()).map(named).collect();
    let left = room.saturating_sub(text.len());
    let fitting = rests.len().min(left / LEAST_BYTES);
    text.push_str(&written_lines(rests.into_iter().take(fitting), left + TAIL_BYTES));
    text
}

/// Says how tools are found, and which do what takes many calls.
fn search_intro(search: &SearchMention<'_>) -> String {
    let mut intro = SEARCH.to_owned();
    intro.push_str(if search.changes { SEARCH_CHANGES } else { "" });
    intro.push_str(if search.scripts { SEARCH_SCRIPTS } else { "" });
    let mut names = String::new();
    for name in &search.composites {
        if names.len() + name.len() > COMPOSITES_BYTES {
            break;
        }
        names.push_str(if names.is_empty() { "" } else { ", " });
        names.push_str(name);
    }
    if !names.is_empty() {
        intro.push_str(&format!(" Each of these does what takes many calls: {names}."));
    }
    intro.push('\n');
    intro
}

/// All that is known of a backend.
struct BackendLine<'text> {
    name: Cow<'text, str>,
    /// Its name, how many tools it has, what the operator says of it, and the first sentence about it.
    head: String,
    /// The other sentences.
    rest: String,
}

impl<'text> BackendLine<'text> {
    fn of(backend: &BackendSummary<'text>) -> Self {
        let BackendSummary { name, description, hint, tools } = backend;
        let plural = if *tools == 1 { "" } else { "s" };
        let [hint, description] = [hint.unwrap_or_default(), description]
            .map(|text| plain_text(text).split_whitespace().collect::<Vec<_>>().join(" "));
        let end = description.find(". ").map_or(description.len(), |at| at + 1);
        let (first, rest) = description.split_at(end);
        let name = text::one_line(name);
        let mut head = format!("{name} ({tools} tool{plural})");
        // The operator knows this installation, so the hint comes before the description.
        let words = [hint.as_str(), first].map(str::trim).into_iter().filter(|it| !it.is_empty());
        for (at, words) in words.enumerate() {
            head.push_str(if at == 0 { ": " } else { " " });
            head.push_str(words);
        }
        Self { name, head, rest: rest.trim().to_owned() }
    }

    /// Returns everything in one line.
    fn whole(self) -> String {
        let Self { head, rest, .. } = self;
        if rest.is_empty() { head } else { format!("{head} {rest}") }
    }
}

/// Cuts a text at a character boundary.
fn cut_text(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    cut_bytes(text, most.saturating_sub('…'.len_utf8())).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backend<'text>(name: &'text str, description: &'text str) -> BackendSummary<'text> {
        BackendSummary { name, description, hint: None, tools: 2 }
    }

    #[test]
    fn names_each_backend_in_one_line() {
        let one = BackendSummary { hint: Some("The lab."), ..backend("xo", "Xen\n Orchestra.") };
        let two = BackendSummary { tools: 1, ..backend("dc", "") };
        let named = "xo (2 tools): The lab. Xen Orchestra.\ndc (1 tool)";
        assert_eq!(instructions(&[one, two], FileMention::Unnamed, None), named);
        assert_eq!(
            instructions(&[one, two], FileMention::Named, None),
            format!("{named}\n{FILES}")
        );
        assert_eq!(instructions(&[], FileMention::Unnamed, None), "");
    }

    #[test]
    fn a_long_description_leaves_the_short_ones_whole() {
        let long = "word ".repeat(2000);
        let text = instructions(
            &[backend("a", &long), backend("b", "Short."), backend("c", &long)],
            FileMention::Unnamed,
            None,
        );
        assert!(text.contains("\nb (2 tools): Short.\n"), "{text}");
        assert!(text.contains("\nc (2 tools): word"), "{text}");
        assert!(text.len() > 1900, "{}", text.len());
    }

    #[test]
    fn what_is_behind_and_how_it_is_reached_comes_first() {
        let xo = BackendSummary {
            hint: Some("The lab."),
            ..backend("xo", "Xen Orchestra manages pools. IDs are UUIDs.")
        };
        let search =
            SearchMention { composites: vec!["find_problems"], ..SearchMention::default() };
        let one = instructions(&[xo], FileMention::Unnamed, Some(&search));
        let reached = format!("{SEARCH} Each of these does what takes many calls: find_problems.");
        let head = "xo (2 tools): The lab. Xen Orchestra manages pools.";
        assert_eq!(one, format!("{head}\n{reached}\nIDs are UUIDs."));
        let both =
            instructions(&[xo, backend("dc", "Backups.")], FileMention::Unnamed, Some(&search));
        let heads = format!("{head}\ndc (2 tools): Backups.");
        assert_eq!(both, format!("{heads}\n{reached}\nxo: IDs are UUIDs."));
    }

    #[test]
    fn many_backends_leave_room_for_how_tools_are_found() {
        let long = format!("A. {}", "word ".repeat(400));
        let names: Vec<String> = (0..40).map(|at| format!("backend-{at}")).collect();
        let backends: Vec<_> = names.iter().map(|name| backend(name, &long)).collect();
        let search = SearchMention::default();
        let text = instructions(&backends, FileMention::Unnamed, Some(&search));
        assert!(text.starts_with("backend-0 (2 tools): A.\nbackend-1 (2 tools): A.\n"), "{text}");
        assert!(text.contains(&format!("more backends\n{SEARCH}\nbackend-0: word")), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_text_stays_below_two_kilobytes(
            texts in proptest::collection::vec(("\\PC{0,80}", "[a-zé \n]{0,900}"), 0..60),
            names_files: bool,
            names in 0_usize..60,
        ) {
            let backends: Vec<_> =
                texts.iter().map(|(name, description)| backend(name, description)).collect();
            let files = if names_files { FileMention::Named } else { FileMention::Unnamed };
            let search = SearchMention { composites: vec!["list_things_by_kind"; names], changes: true, scripts: true };
            let search = (names > 0).then_some(&search);
            prop_assert!(instructions(&backends, files, search).len() <= MOST_BYTES);
        }
    }
}
