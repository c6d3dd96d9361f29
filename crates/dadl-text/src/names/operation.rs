//! Which operation was meant by a name that no operation has, and that nobody is led to a worse one.
//!
//! A model that got a name wrong calls the one that an error offers. So letters alone decide
//! nothing: `update_network` looks like `delete_network`. What counts is the verb, then what the
//! operation is done to, and the further an operation goes, the less may differ:
//!
//! | an operation that | is offered for |
//! | --- | --- |
//! | only reads | any verb of reading, and things whose letters are alike; things without a verb |
//! | changes something | the same verb or one that means the same, for the same thing |
//! | is dangerous | the same verb, or one of removing for another one, for the same thing |
//!
//! A verb or a thing may be mistyped, in a way that gives no other word. Hosts put their own names
//! in front (`mcp__xo__list_vms`), which are taken off.

use std::{cmp::Ordering, collections::HashSet};

use super::{
    split_words,
    verbs::{self, VerbKind},
};

/// A name has so many bytes at most, with what hosts put in front; no known one is as long.
const LONGEST: usize = 256;

/// How much of the letters must be the same.
const ALIKE: f64 = 0.6;

/// This program, as the name of a server in the settings of a host.
const PROGRAM: &str = "dadl-mcp";

/// How far an operation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DangerLevel {
    /// It changes nothing.
    Reads,
    /// It changes something.
    Writes,
    /// It changes what others depend on.
    Administers,
    /// It cannot be taken back, or nobody said how far it goes.
    Endangers,
}

/// An operation that could be offered.
#[derive(Debug, Clone, Copy)]
pub struct KnownOperation<'known> {
    /// The name that is offered.
    pub name: &'known str,
    /// The name without what was put in front, cut off or added to make it unique.
    pub declared: &'known str,
    /// The backend that it belongs to; empty where that does not matter.
    pub backend: &'known str,
    /// How far it goes.
    pub danger: DangerLevel,
}

impl<'known> KnownOperation<'known> {
    /// Makes one of its name, in a file that has no levels yet: the verb says how far it goes.
    pub fn named(name: &'known str) -> Self {
        let verb = split_words(name).into_iter().next().unwrap_or_default();
        let danger = match VerbKind::of(&verb) {
            Some(_) if verbs::reads(&verb) => DangerLevel::Reads,
            Some(kind) if kind.removes() => DangerLevel::Endangers,
            _ => DangerLevel::Administers,
        };
        Self { name, declared: name, backend: "", danger }
    }
}

/// Returns the name of the operation that was probably meant by `wanted`.
pub fn nearest_operation<'known>(
    wanted: &str,
    known: impl IntoIterator<Item = KnownOperation<'known>>,
) -> Option<&'known str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let known: Vec<OperationCandidate<'known>> =
        known.into_iter().map(OperationCandidate::of).collect();
    let readings = readings(wanted, &known);
    let written = readings.iter().find_map(|reading| reading.written_otherwise(&known));
    if let Some(candidate) = written {
        return Some(candidate.known.name);
    }
    let vocabulary: HashSet<&str> =
        known.iter().flat_map(|candidate| &candidate.words).map(String::as_str).collect();
    // What names its backend is read so first.
    let (named, others): (Vec<_>, Vec<_>) = readings.iter().partition(|it| it.backend.is_some());
    let mut all = named.into_iter().chain(others);
    let near = all.find_map(|reading| reading.near(&known, &vocabulary));
    near.map(|candidate| candidate.known.name)
}

/// A known operation, taken apart.
struct OperationCandidate<'known> {
    known: KnownOperation<'known>,
    words: Vec<String>,
}

impl<'known> OperationCandidate<'known> {
    fn of(known: KnownOperation<'known>) -> Self {
        Self { words: split_words(known.declared), known }
    }

    /// Returns whether this is the name but for case and what separates words.
    fn is_written(&self, letters: &str) -> bool {
        let is = |words: &[String]| {
            let mut rest = letters;
            let mut words = words.iter();
            words.all(|word| rest.strip_prefix(word.as_str()).map(|it| rest = it).is_some())
                && rest.is_empty()
        };
        is(&self.words)
            || (self.known.name != self.known.declared && is(&split_words(self.known.name)))
    }
}

/// How sure it is that something in front of a name is none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrefixCertainty {
    /// Nothing was taken off, or what a host or this program puts there.
    Known,
    /// Something before `.`, `/`, `:` or `__`.
    Apart,
    /// Something before `_`.
    Word,
}

/// One way to read a name: without what may be a prefix.
struct NameReading<'wanted> {
    words: Vec<String>,
    prefix: PrefixCertainty,
    /// The backend that the prefix names.
    backend: Option<&'wanted str>,
}

/// Returns the ways to read a name, the most certain first.
fn readings<'known>(
    wanted: &str,
    known: &[OperationCandidate<'known>],
) -> Vec<NameReading<'known>> {
    let mut backends: Vec<&str> = known.iter().map(|candidate| candidate.known.backend).collect();
    backends.sort_unstable();
    backends.dedup();
    backends.retain(|backend| !backend.is_empty());
    let wanted = wanted.trim();
    let wanted = split_after(wanted, "functions").map_or(wanted, |(_, rest)| rest);
    let mut found = Vec::new();
    let mut read = |name: &str, prefix| {
        found.push(NameReading { words: split_words(name), prefix, backend: None });
        let named = backends.iter().find_map(|&it| Some((Some(it), split_after(name, it)?.1)));
        let program = || split_after(name, PROGRAM).map(|(_, rest)| (None, rest));
        if let Some((backend, rest)) = named.or_else(program) {
            found.push(NameReading { words: split_words(rest), prefix, backend });
        }
    };
    match split_after(wanted, "mcp") {
        // `mcp__SERVER__NAME`, whose parts are certain.
        Some(("__", rest)) if rest.contains("__") => {
            read(rest.split_once("__").unwrap_or_default().1, PrefixCertainty::Known);
        }
        // `mcp_SERVER_NAME`, whose server may have several words.
        Some((separator, rest)) => {
            read(wanted, PrefixCertainty::Known);
            if backends.iter().chain([&PROGRAM]).any(|it| split_after(rest, it).is_some()) {
                read(rest, PrefixCertainty::Known);
            } else {
                read(rest.split_once(separator).unwrap_or_default().1, PrefixCertainty::Known);
            }
            for (at, _) in rest.match_indices('_').skip(1) {
                read(rest.get(at..).unwrap_or_default(), PrefixCertainty::Word);
            }
        }
        None => {
            read(wanted, PrefixCertainty::Known);
            let apart = wanted.rfind(['.', '/', ':']).into_iter().chain(wanted.rfind("__"));
            if let Some(rest) = apart.max().and_then(|at| wanted.get(at..)) {
                read(rest, PrefixCertainty::Apart);
            }
            for (at, _) in wanted.match_indices('_') {
                read(wanted.get(at..).unwrap_or_default(), PrefixCertainty::Word);
            }
        }
    }
    found.retain(|reading| !reading.words.is_empty());
    found
}

fn is_separator(character: char) -> bool {
    matches!(character, '_' | '.' | '/' | ':' | '-')
}

/// Returns what separates `first` at the front of a name from the rest, and the rest.
fn split_after<'name>(name: &'name str, first: &str) -> Option<(&'name str, &'name str)> {
    let front = name.get(..first.len())?;
    let is_same = front.bytes().zip(first.bytes()).all(|(one, other)| {
        one.eq_ignore_ascii_case(&other)
            || (is_separator(char::from(one)) && is_separator(char::from(other)))
    });
    let rest = name.get(first.len()..).filter(|_| is_same)?;
    let behind = rest.trim_start_matches(is_separator);
    let separator = rest.get(..rest.len() - behind.len())?;
    (!separator.is_empty() && !behind.is_empty()).then_some((separator, behind))
}

impl NameReading<'_> {
    /// Returns the operation whose name this is, but for case and what separates words.
    fn written_otherwise<'a, 'known>(
        &self,
        known: &'a [OperationCandidate<'known>],
    ) -> Option<&'a OperationCandidate<'known>> {
        let letters = self.words.concat();
        let most = match self.prefix {
            PrefixCertainty::Known => DangerLevel::Endangers,
            PrefixCertainty::Apart => DangerLevel::Administers,
            PrefixCertainty::Word => DangerLevel::Reads,
        };
        let found: Vec<_> = known
            .iter()
            .filter(|it| it.known.danger <= most && self.may_be_of(it))
            .filter(|it| it.is_written(&letters))
            .collect();
        let best = found.iter().min_by_key(|it| (!self.names(it), it.known.danger)).copied()?;
        // Which of two systems is meant cannot be guessed when something is at stake.
        let is_only =
            best.known.danger < DangerLevel::Endangers || self.names(best) || found.len() == 1;
        is_only.then_some(best)
    }

    /// Returns the operation that is near enough.
    fn near<'a, 'known>(
        &self,
        known: &'a [OperationCandidate<'known>],
        vocabulary: &HashSet<&str>,
    ) -> Option<&'a OperationCandidate<'known>> {
        let most = match self.prefix {
            PrefixCertainty::Known => DangerLevel::Endangers,
            PrefixCertainty::Apart => DangerLevel::Reads,
            PrefixCertainty::Word => return None,
        };
        let possible = || known.iter().filter(|it| it.known.danger <= most && self.may_be_of(it));
        let best = |wanted: &NamePhrase<'_>| {
            let rated = possible().filter_map(|candidate| {
                let meant = NamePhrase::of(&candidate.words)?;
                let score = score(wanted, &meant, candidate.known.danger, vocabulary)?;
                Some((score, candidate))
            });
            let mut rated: Vec<_> = rated.collect();
            rated.sort_by(|(a, one), (b, other)| {
                let named = || self.names(other).cmp(&self.names(one));
                let danger = || one.known.danger.cmp(&other.known.danger);
                b.compared(a).then_with(danger).then_with(named)
            });
            let (score, found) = *rated.first()?;
            let is_only = found.known.danger < DangerLevel::Endangers
                || self.names(found)
                || rated.get(1).is_none_or(|(other, _)| score.compared(other) != Ordering::Equal);
            is_only.then_some(found)
        };
        let phrase = NamePhrase::of(&self.words)?;
        if phrase.kind.is_some() && phrase.manner.is_none() && !phrase.verb_is_last {
            return best(&phrase);
        }
        // The first word is no verb: it is mistyped, or how something is done, or a thing.
        best(&NamePhrase::beginning_with_verb(&self.words)?)
            .or_else(|| phrase.kind.and_then(|_| best(&phrase)))
            .or_else(|| ending_with(&self.words, possible()))
    }

    /// Returns whether the prefix is that of the candidate's backend.
    fn names(&self, candidate: &OperationCandidate<'_>) -> bool {
        self.backend.is_some_and(|backend| backend == candidate.known.backend)
    }

    /// Returns whether the candidate could be meant: what changes something at one backend was not
    /// meant for another.
    fn may_be_of(&self, candidate: &OperationCandidate<'_>) -> bool {
        self.backend.is_none()
            || candidate.known.danger == DangerLevel::Reads
            || self.names(candidate)
    }
}

/// Returns the operation that reads what the words name: `vms` is `list_vms`.
fn ending_with<'a, 'known: 'a>(
    things: &[String],
    known: impl Iterator<Item = &'a OperationCandidate<'known>>,
) -> Option<&'a OperationCandidate<'known>> {
    known
        .filter(|candidate| candidate.known.danger == DangerLevel::Reads)
        .filter(|candidate| {
            let behind = candidate.words.len().checked_sub(things.len());
            let end = behind.filter(|it| *it > 0).and_then(|at| candidate.words.get(at..));
            end.is_some_and(|end| {
                end.iter().zip(things).all(|(one, other)| stem(one) == stem(other))
            })
        })
        .min_by_key(|candidate| {
            // The same number first, then the shortest.
            (candidate.words.last() != things.last(), candidate.known.declared.len())
        })
}

/// The words of a name, by what they are.
struct NamePhrase<'words> {
    words: &'words [String],
    /// How it is done: `hard` of `hard_reboot_vm`.
    manner: Option<&'words str>,
    verb: &'words str,
    kind: Option<VerbKind>,
    verb_is_last: bool,
    /// What it is done to.
    things: &'words [String],
}

impl<'words> NamePhrase<'words> {
    /// Takes words apart: the verb is the first one, or the second, or the last.
    fn of(words: &'words [String]) -> Option<Self> {
        let first = Self::beginning_with_verb(words)?;
        if first.kind.is_some() {
            return Some(first);
        }
        if let [manner, verb, things @ ..] = words
            && !things.is_empty()
            && let kind @ Some(_) = VerbKind::of(verb)
        {
            return Some(Self { manner: Some(manner), verb, kind, things, ..first });
        }
        if let [things @ .., verb] = words
            && let kind @ Some(_) = VerbKind::of(verb)
        {
            return Some(Self { verb, kind, things, verb_is_last: true, ..first });
        }
        Some(first)
    }

    fn beginning_with_verb(words: &'words [String]) -> Option<Self> {
        let (verb, things) = words.split_first()?;
        let kind = VerbKind::of(verb);
        Some(Self { words, manner: None, verb, kind, verb_is_last: false, things })
    }
}

/// How alike two names are.
#[derive(Debug, Clone, Copy)]
struct SimilarityScore {
    /// Of the things, without plurals.
    things: f64,
    verb: VerbRelation,
    /// Of the things and of all, added.
    letters: f64,
}

impl SimilarityScore {
    fn compared(&self, other: &Self) -> Ordering {
        self.things
            .total_cmp(&other.things)
            .then(self.verb.cmp(&other.verb))
            .then(self.letters.total_cmp(&other.letters))
    }
}

/// How a verb stands to another; the best comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum VerbRelation {
    Mistyped,
    MeansTheSame,
    Same,
}

/// Says how alike a name is to one that was possibly meant; `None` when it was not.
fn score(
    wanted: &NamePhrase<'_>,
    meant: &NamePhrase<'_>,
    danger: DangerLevel,
    vocabulary: &HashSet<&str>,
) -> Option<SimilarityScore> {
    let verb = verb(wanted, meant, danger, vocabulary)?;
    let reads = danger == DangerLevel::Reads;
    let manner_fits = match (wanted.manner, meant.manner) {
        (one, other) if one == other => true,
        (None, Some(_)) => danger <= DangerLevel::Writes,
        (Some(_), _) => reads && wanted.kind == Some(VerbKind::Reads),
        (None, None) => true,
    };
    // `hard_reboot_vm` was not meant by who says nothing of it.
    let is_worse =
        |word: &String| word != meant.verb && verbs::harms(word) && !wanted.words.contains(word);
    if !reads && meant.words.iter().any(is_worse) {
        return None;
    }
    if !manner_fits || !(reads || are_of(wanted.things, meant, danger, vocabulary)) {
        return None;
    }
    // One and many are the same first, and decide where all else is the same.
    let stems = |words: &[String]| words.iter().map(|word| stem(word)).collect::<String>();
    let things = similarity(&stems(wanted.things), &stems(meant.things));
    if things < ALIKE {
        return None;
    }
    let letters = similarity(&wanted.things.concat(), &meant.things.concat())
        + similarity(&wanted.words.concat(), &meant.words.concat());
    Some(SimilarityScore { things, verb, letters })
}

fn verb(
    wanted: &NamePhrase<'_>,
    meant: &NamePhrase<'_>,
    danger: DangerLevel,
    vocabulary: &HashSet<&str>,
) -> Option<VerbRelation> {
    if wanted.verb == meant.verb {
        return Some(VerbRelation::Same);
    }
    let Some(kind) = wanted.kind else {
        // A word that the API has is not mistyped.
        let is_word = vocabulary.contains(wanted.verb);
        let is_near = match danger {
            DangerLevel::Reads => {
                let letters = wanted.verb.chars().count();
                let most = if letters < 6 { 1 } else { 2 };
                letters > 2 && strsim::osa_distance(wanted.verb, meant.verb) <= most
            }
            _ => wanted.verb.chars().count() > 4 && is_slip(wanted.verb, meant.verb),
        };
        return (is_near && !is_word).then_some(VerbRelation::Mistyped);
    };
    let is_fine = meant.kind == Some(kind)
        && match danger {
            DangerLevel::Reads => true,
            // What is read at another level is so because of what it is.
            DangerLevel::Writes | DangerLevel::Administers => kind != VerbKind::Reads,
            DangerLevel::Endangers => kind.removes(),
        };
    is_fine.then_some(VerbRelation::MeansTheSame)
}

/// Returns whether things are those that an operation changes: all of them are among its own, in
/// their order, and its last one is the last one.
fn are_of(
    things: &[String],
    meant: &NamePhrase<'_>,
    danger: DangerLevel,
    vocabulary: &HashSet<&str>,
) -> bool {
    let is = |thing: &str, known: &str| {
        // One is never led to many.
        let grows = known.len() > thing.len() && meant.kind != Some(VerbKind::Reads);
        (stem(thing) == stem(known) && !grows)
            || (danger < DangerLevel::Endangers
                && !vocabulary.contains(thing)
                && (undoubled(thing) == undoubled(known) || is_swapped(thing, known)))
    };
    let (Some(last), Some(known_last)) = (things.last(), meant.things.last()) else {
        return things.is_empty() && meant.things.is_empty();
    };
    let mut known = meant.things.iter();
    is(last, known_last) && things.iter().all(|thing| known.any(|known| is(thing, known)))
}

/// Returns whether `typed` is `meant` with two letters swapped, one that is missing, or one too
/// many; the first one is right. Another letter, or one more at the end, makes another word:
/// `smart` and `start`, `deleted` and `delete`.
fn is_slip(typed: &str, meant: &str) -> bool {
    let (front, typed, meant, behind) = difference(typed, meant);
    front > 0
        && match (typed.as_slice(), meant.as_slice()) {
            ([a, b], [c, d]) => a == d && b == c,
            ([], [_]) => true,
            ([_], []) => behind > 0,
            _ => false,
        }
}

/// Returns whether `typed` is `meant` with two letters swapped.
fn is_swapped(typed: &str, meant: &str) -> bool {
    let (_, typed, meant, _) = difference(typed, meant);
    match (typed.as_slice(), meant.as_slice()) {
        // `vm12` is not `vm21`.
        ([a, b], [c, d]) => a == d && b == c && a.is_alphabetic() && b.is_alphabetic(),
        _ => false,
    }
}

/// Returns in what two words differ, and how many letters before and behind it are the same.
fn difference(one: &str, other: &str) -> (usize, Vec<char>, Vec<char>, usize) {
    let (mut one, mut other): (Vec<char>, Vec<char>) =
        (one.chars().collect(), other.chars().collect());
    let front = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    one.drain(..front);
    other.drain(..front);
    let behind = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    one.truncate(one.len() - behind);
    other.truncate(other.len() - behind);
    (front, one, other, behind)
}

/// Returns a word without the second of two equal letters.
fn undoubled(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters.dedup_by(|a, b| a == b && a.is_alphabetic());
    letters.into_iter().collect()
}

/// Returns a word without the `s` of a plural.
pub(super) fn stem(word: &str) -> &str {
    let stem = word.strip_suffix('s').filter(|stem| stem.len() > 1 && !stem.ends_with('s'));
    stem.unwrap_or(word)
}

fn similarity(one: &str, other: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(one, other)
}

#[cfg(test)]
mod tests;
