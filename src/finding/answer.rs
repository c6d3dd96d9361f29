//! What a model reads of the tools that were found: signatures as far as the budget goes, then names, then
//! counts.

use std::fmt::Write as _;

use dadl_search::{SearchHit, ToolFamily};

use super::{
    indexed::IndexedTools,
    request::{FoundTool, SearchAnswer, SearchDetail},
    signature::SignatureRoom,
};
use crate::catalog::collapse_spaces;

/// So many characters are one token, about.
const CHARACTERS_A_TOKEN: usize = 4;
/// Tools that fit less well than this share of the best are names only.
const SIGNATURE_SCORE: f32 = 0.3;
/// So many signatures are written of what fits that well; then the share is higher.
const FIRST_SIGNATURES: usize = 5;
/// Behind the first ones only what fits nearly as well as the best has its line.
const NEAR_SCORE: f32 = 0.5;
/// Tools that fit less well than this share of the best are not told at all.
const LEAST_SCORE: f32 = 0.15;
/// So many signatures are written, however large the budget is.
const MOST_SIGNATURES: usize = 12;
/// So many names are written behind them.
const MOST_NAMES: usize = 20;
/// Of kinds of a family so many are named.
const MOST_KINDS: usize = 30;
/// What is kept for the names and the last line, in characters.
const TAIL: usize = 400;

/// Writes what was found, the best first.
pub(super) fn write(
    indexed: &IndexedTools,
    hits: &[SearchHit],
    asked: &AskedFor<'_>,
) -> SearchAnswer {
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let hits: Vec<SearchHit> =
        hits.iter().copied().take_while(|hit| hit.score >= LEAST_SCORE * best).collect();
    let mut writer = AnswerWriter {
        indexed,
        room: asked.budget.saturating_mul(CHARACTERS_A_TOKEN),
        text: String::new(),
        families: Vec::new(),
        tools: Vec::new(),
    };
    let mut rest = Vec::new();
    let mut signatures = 0;
    for hit in hits {
        let share = if signatures < FIRST_SIGNATURES { SIGNATURE_SCORE } else { NEAR_SCORE };
        let wants_line = hit.score >= share * best
            && signatures < MOST_SIGNATURES
            && rest.is_empty()
            && asked.detail != SearchDetail::Names;
        if writer.is_told(hit.position) {
            writer.note(hit.position);
        } else if wants_line && writer.add_line(hit.position, asked) {
            signatures += 1;
        } else {
            rest.push(hit.position);
        }
    }
    writer.add_filters();
    writer.add_names(&rest);
    SearchAnswer { text: writer.text, tools: writer.tools }
}

/// How much is asked for.
pub(super) struct AskedFor<'a> {
    pub(super) queries: &'a [String],
    pub(super) budget: usize,
    pub(super) detail: SearchDetail,
}

struct AnswerWriter<'tools> {
    indexed: &'tools IndexedTools,
    /// The characters that the answer may have.
    room: usize,
    text: String,
    /// Families that a line has told of.
    families: Vec<&'tools ToolFamily>,
    tools: Vec<FoundTool>,
}

impl AnswerWriter<'_> {
    /// Returns whether a line has told of the family of a tool.
    fn is_told(&self, position: usize) -> bool {
        let family = self.indexed.index.family_of(position);
        family.is_some_and(|family| self.families.iter().any(|told| std::ptr::eq(*told, family)))
    }

    fn note(&mut self, position: usize) {
        self.tools.extend(self.indexed.found(position));
    }

    /// Writes the line of a tool, if there is room; the first one always has its line.
    fn add_line(&mut self, position: usize, asked: &AskedFor<'_>) -> bool {
        let Some(found) = self.indexed.found(position) else { return false };
        let name = self.indexed.name(found);
        let is_named = asked.queries.iter().any(|query| query.trim().eq_ignore_ascii_case(name));
        let room = match asked.detail {
            SearchDetail::Full => SignatureRoom::Full,
            _ if is_named => SignatureRoom::Full,
            _ => SignatureRoom::Line,
        };
        let mut line = self.indexed.signature(found, room);
        if let Some(alike) = self.alike(position) {
            let _ = write!(line, " {alike}");
        }
        let is_first = self.text.is_empty();
        if !is_first && self.text.len() + line.len() + TAIL > self.room {
            return false;
        }
        self.families.extend(self.indexed.index.family_of(position));
        self.text.push_str(&line);
        self.text.push('\n');
        self.tools.push(found);
        true
    }

    /// Says for which other kinds there is the same tool.
    fn alike(&self, position: usize) -> Option<String> {
        let family = self.indexed.index.family_of(position)?;
        let others = family.members.iter().filter(|member| member.position != position);
        let kinds: Vec<&str> = others.map(|member| member.kind.as_str()).collect();
        let shown = kinds.get(..MOST_KINDS.min(kinds.len())).unwrap_or_default().join(",");
        let more = kinds.len().saturating_sub(MOST_KINDS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (before, after) = self.around(position, family);
        Some(format!("Alike: {before}{{{shown}}}{after}{more}"))
    }

    /// Returns what the listed names of a family have in common: the prefix of a backend counts too.
    fn around(&self, position: usize, family: &ToolFamily) -> (String, String) {
        let name =
            self.indexed.found(position).map(|found| self.indexed.name(found)).unwrap_or_default();
        let member = family.members.iter().find(|member| member.position == position);
        let (before, after) = &family.around;
        let own = member.map(|it| format!("{before}{}{after}", it.kind)).unwrap_or_default();
        let prefix = name.strip_suffix(own.as_str()).unwrap_or_default();
        (format!("{prefix}{before}"), after.clone())
    }

    /// Says how the filters of what was told are written, once for each language, where there is room.
    fn add_filters(&mut self) {
        let mut told: Vec<&str> = Vec::new();
        let indexed = self.indexed;
        for (name, said) in self.tools.iter().flat_map(|found| indexed.filters(*found)) {
            let is_room = self.text.len() + name.len() + said.len() + TAIL <= self.room;
            if is_room && !told.contains(&said) {
                let _ = writeln!(self.text, "// {name}: {}", collapse_spaces(said));
                told.push(said);
            }
        }
    }

    /// Writes names as far as there is room, and how many more there are.
    fn add_names(&mut self, rest: &[usize]) {
        if rest.is_empty() {
            return;
        }
        let mut names = String::new();
        let mut written = 0;
        for position in rest.iter().take(MOST_NAMES) {
            let Some(found) = self.indexed.found(*position) else { continue };
            let name = self.indexed.name(found);
            if written > 0 && self.text.len() + names.len() + name.len() + TAIL / 2 > self.room {
                break;
            }
            let _ = write!(names, "{}{name}", if written > 0 { ", " } else { "" });
            self.tools.push(found);
            written += 1;
        }
        let left = rest.len() - written;
        let left = if left > 0 { format!(" and {left} more") } else { String::new() };
        let _ = writeln!(self.text, "Also: {names}{left}.");
        self.text.push_str("Ask for a name to read its signature, for a pattern such as `*snapshot*`, or with other words.\n");
    }
}
