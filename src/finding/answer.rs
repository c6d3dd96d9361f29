//! What a model reads of the tools that were found: signatures as far as the budget goes, then names, then
//! counts.

use std::fmt::Write as _;

use dadl_search::{SearchHit, ToolFamily};
use dadl_text::text::{about_tokens, cut_text, quoted_text};

use super::{
    asked_params::AskedWords,
    fold::fold,
    indexed::IndexedTools,
    request::{FoundTool, SearchAnswer, SearchDetail},
    signature::SignatureRoom,
};
use crate::catalog::{UnlistedReason, collapse_spaces};

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
/// A tool that the server lacks is told of where it fits that well.
const ABSENT_SCORE: f32 = 0.6;
/// So many reasons are given why tools are not available, each in so many characters.
const MOST_REASONS: usize = 2;
const LONGEST_REASON: usize = 300;
/// Where no tool fits, so many of the nearest are told.
const MOST_NEAREST: usize = 5;
/// So much of a question is repeated that no tool fits.
const LONGEST_QUERY: usize = 80;
/// What is kept for the names and the last line, in tokens.
const TAIL: usize = 100;
/// What ends an answer that leaves something out.
const MORE: &str = "Ask for a name to read its signature, for a pattern such as `*snapshot*`, or with other words.\n";

/// Writes what was found, the best first.
pub(super) fn write(
    indexed: &IndexedTools,
    hits: &[SearchHit],
    asked: &AskedFor<'_>,
) -> SearchAnswer {
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let is_near_only = asked.unmet.len() == asked.queries.len();
    let hits: Vec<SearchHit> =
        hits.iter().copied().take_while(|hit| hit.score >= LEAST_SCORE * best).collect();
    let is_absent = |hit: &SearchHit| indexed.absence(hit.position).is_some();
    let absent = match is_near_only {
        true => AbsentTools::default(),
        false => AbsentTools::of(indexed, &hits),
    };
    // What the server lacks is behind what it has; the best of all is among the first all the same.
    let leading = hits.iter().take_while(|hit| is_absent(hit)).count().min(absent.positions.len());
    let most_before = match leading {
        0 => usize::MAX,
        leading => FIRST_SIGNATURES.saturating_sub(leading).max(1),
    };
    let mut writer = AnswerWriter {
        indexed,
        left: asked.budget.saturating_sub(about_tokens(&absent.text)),
        text: String::new(),
        families: Vec::new(),
        tools: Vec::new(),
    };
    writer.say_unmet(asked);
    let (mut rest, mut told) = (Vec::new(), Vec::new());
    let mut signatures = 0;
    for hit in hits.iter().filter(|hit| !is_absent(hit)) {
        if is_near_only && signatures == MOST_NEAREST {
            break;
        }
        let share = if signatures < FIRST_SIGNATURES { SIGNATURE_SCORE } else { NEAR_SCORE };
        let has_room = writer.tools.len() < most_before;
        let wants_line = hit.score >= share * best
            && signatures < MOST_SIGNATURES
            && has_room
            && rest.is_empty()
            && asked.detail != SearchDetail::Names;
        if writer.is_told(hit.position) {
            told.push(hit.position);
        } else if wants_line && writer.add_line(hit.position, asked) {
            signatures += 1;
        } else {
            rest.push(hit.position);
        }
        if has_room {
            told.drain(..).for_each(|position| writer.note(position));
        }
    }
    writer.text.push_str(&absent.text);
    absent.positions.iter().chain(&told).for_each(|position| writer.note(*position));
    if is_near_only {
        writer.text.push_str(MORE);
    } else {
        writer.add_filters();
        writer.add_names(&rest);
    }
    SearchAnswer { text: writer.text, tools: writer.tools }
}

/// Tools that fit and that the server lacks.
#[derive(Default)]
struct AbsentTools {
    positions: Vec<usize>,
    /// A line for each reason.
    text: String,
}

impl AbsentTools {
    /// Takes those that are among the first and fit well, by what is missing.
    fn of(indexed: &IndexedTools, hits: &[SearchHit]) -> Self {
        let best = hits.first().map_or(0.0, |hit| hit.score);
        let fits = hits.iter().take(FIRST_SIGNATURES).filter(|it| it.score >= ABSENT_SCORE * best);
        let mut reasons: Vec<((&str, String), Vec<usize>)> = Vec::new();
        for position in fits.map(|hit| hit.position) {
            let Some(absence) = indexed.absence(position) else { continue };
            let reason = reason(absence);
            if let Some((_, positions)) = reasons.iter_mut().find(|(known, _)| *known == reason) {
                positions.push(position);
            } else if reasons.len() < MOST_REASONS {
                reasons.push((reason, vec![position]));
            }
        }
        let mut absent = Self::default();
        for ((how, reason), positions) in reasons {
            let names = positions.iter().filter_map(|it| indexed.found(*it));
            let names: Vec<&str> = names.map(|found| indexed.name(found)).collect();
            let _ = writeln!(absent.text, "{how}: {}: {reason}.", names.join(", "));
            absent.positions.extend(positions);
        }
        absent
    }
}

/// Says whether tools are certainly not there, what they need, and what a person can do.
fn reason(absence: &UnlistedReason) -> (&'static str, String) {
    let how = match absence {
        UnlistedReason::Lacking(_) => "Not available",
        UnlistedReason::Unknown(_) => "Perhaps not available",
    };
    let reason = collapse_spaces(&absence.lack().of_all());
    (how, cut_text(&reason, LONGEST_REASON).into())
}

/// How much is asked for.
pub(super) struct AskedFor<'a> {
    pub(super) queries: &'a [String],
    pub(super) words: &'a AskedWords,
    /// The positions of those that no tool fits.
    pub(super) unmet: &'a [usize],
    pub(super) budget: usize,
    pub(super) detail: SearchDetail,
}

struct AnswerWriter<'tools> {
    indexed: &'tools IndexedTools,
    /// The tokens that the answer may still have.
    left: usize,
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

    /// Says which questions no tool fits.
    fn say_unmet(&mut self, asked: &AskedFor<'_>) {
        let unmet = asked.unmet.iter().filter_map(|at| asked.queries.get(*at));
        let unmet: Vec<String> = unmet.map(|query| quoted_text(query, LONGEST_QUERY)).collect();
        if unmet.is_empty() {
            return;
        }
        let end = if unmet.len() == asked.queries.len() { "; nearest:" } else { "." };
        let line = format!("No tool does {}{end}", unmet.join(" or "));
        self.left = self.left.saturating_sub(about_tokens(&line) + 1);
        self.text.push_str(&line);
        self.text.push('\n');
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
            _ if asked.unmet.len() == asked.queries.len() => SignatureRoom::Brief,
            _ => SignatureRoom::Line,
        };
        let mut line = self.indexed.signature(found, room);
        let more = self.indexed.unlisted(found, asked.words);
        if room == SignatureRoom::Line && !more.is_empty() {
            let _ = write!(line, " Takes {}, too.", more.join(", "));
        }
        if room != SignatureRoom::Brief
            && let Some(alike) = self.alike(position)
        {
            let _ = write!(line, " {alike}");
        }
        let tokens = about_tokens(&line) + 1;
        if !self.tools.is_empty() && tokens + TAIL > self.left {
            return false;
        }
        self.left = self.left.saturating_sub(tokens);
        self.families.extend(self.indexed.index.family_of(position));
        self.text.push_str(&line);
        self.text.push('\n');
        self.tools.push(found);
        true
    }

    /// Says for which other kinds there is the same tool.
    fn alike(&self, position: usize) -> Option<String> {
        let family = self.indexed.index.family_of(position)?;
        let name = |position: usize| Some(self.indexed.name(self.indexed.found(position)?));
        let others = family.positions().filter(|other| *other != position).filter_map(name);
        Some(format!("Alike: {}", fold(name(position)?, &others.collect::<Vec<_>>())))
    }

    /// Says how the filters of what was told are written, once for each language, where there is room.
    fn add_filters(&mut self) {
        let mut told: Vec<&str> = Vec::new();
        let indexed = self.indexed;
        for (name, said) in self.tools.iter().flat_map(|found| indexed.filters(*found)) {
            let line = format!("// {name}: {}", collapse_spaces(said));
            let tokens = about_tokens(&line) + 1;
            if tokens + TAIL <= self.left && !told.contains(&said) {
                self.left -= tokens;
                self.text.push_str(&line);
                self.text.push('\n');
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
            let tokens = about_tokens(name) + 1;
            if written > 0 && tokens + TAIL / 2 > self.left {
                break;
            }
            self.left = self.left.saturating_sub(tokens);
            let _ = write!(names, "{}{name}", if written > 0 { ", " } else { "" });
            self.tools.push(found);
            written += 1;
        }
        let left = rest.len() - written;
        let left = if left > 0 { format!(" and {left} more") } else { String::new() };
        let _ = writeln!(self.text, "Also: {names}{left}.");
        self.text.push_str(MORE);
    }
}
