//! What hosts tell a model about the server as a whole.
//!
//! Hosts cut instructions at 2 KB, so the text stays below that whatever goes in. Each backend
//! gets its share: a short description leaves its room to the others, and no backend vanishes
//! because another one talks much.

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

/// Writes the instructions for these backends, below 2 KB; `search` where tools are found by one.
pub(crate) fn instructions(
    backends: &[BackendSummary<'_>],
    mention: FileMention,
    search: Option<&SearchMention<'_>>,
) -> String {
    let intro = search.map(search_intro).unwrap_or_default();
    let lines: Vec<String> = backends.iter().map(backend_line).collect();
    let files = match mention {
        FileMention::Named => FILES,
        FileMention::Unnamed => "",
    };
    let room = MOST_BYTES - TAIL_BYTES - files.len() - intro.len();
    let shown = lines.len().min(room / LEAST_BYTES);
    let share = fair_share(lines.iter().take(shown).map(|line| line.len() + 1), room);
    let mut text = intro;
    for line in lines.iter().take(shown) {
        text.push_str(&cut_text(line, share.saturating_sub(1)));
        text.push('\n');
    }
    match lines.len() - shown {
        0 => {}
        1 => text.push_str("and 1 more backend"),
        more => text.push_str(&format!("and {more} more backends")),
    }
    text.truncate(text.trim_end().len());
    if !files.is_empty() {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str(files);
    }
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

/// Writes all that is known of a backend in one line.
fn backend_line(backend: &BackendSummary<'_>) -> String {
    let BackendSummary { name, description, hint, tools } = backend;
    let plural = if *tools == 1 { "" } else { "s" };
    // The operator knows this installation, so the hint comes before the description.
    let words = [hint.unwrap_or_default(), description]
        .map(|text| plain_text(text).split_whitespace().collect::<Vec<_>>().join(" "));
    let words: Vec<String> = words.into_iter().filter(|text| !text.is_empty()).collect();
    let mut line = format!("{} ({tools} tool{plural})", text::one_line(name));
    if !words.is_empty() {
        line.push_str(": ");
        line.push_str(&words.join(" "));
    }
    line
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
