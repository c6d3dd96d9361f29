//! Words that mean the same in general, from a list inside of the crate.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use crate::words::stem;

/// How much a verb that means the same counts, beside the word itself.
const VERB_WEIGHT: f32 = 0.8;
/// How much another name of the same thing counts.
const NAME_WEIGHT: f32 = 0.7;
/// How much the name of a thing that may be meant counts.
const LOOSE_WEIGHT: f32 = 0.45;

/// What a word of a question says about the kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WordKind {
    /// It is a verb that only reads.
    pub(crate) reads: bool,
    /// It is a verb that changes something.
    pub(crate) changes: bool,
    /// It is the name of a thing as well.
    pub(crate) names: bool,
}

/// What else has a meaning.
#[derive(Debug)]
pub(crate) struct Synonym {
    /// Stems, several of an expression.
    pub(crate) stems: Box<[String]>,
    /// How much it counts.
    pub(crate) weight: f32,
    /// Whether it is the name of a thing in this meaning, and no verb.
    pub(crate) names: bool,
}

/// What a word, or an expression of several, may stand for.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    /// What has the same meaning.
    pub(crate) alternatives: Vec<Synonym>,
    /// The kind of verb that it is, if any.
    pub(crate) kind: WordKind,
}

impl Meaning {
    /// Adds the words of a group, of which `own` is one.
    fn add(&mut self, own: &[String], group: &[Box<[String]>], weight: f32, kind: WordKind) {
        self.kind.reads |= kind.reads;
        self.kind.changes |= kind.changes;
        self.kind.names |= kind.names;
        for other in group.iter().filter(|other| ***other != *own && !is_idle(other)) {
            match self.alternatives.iter_mut().find(|known| known.stems == *other) {
                Some(known) => {
                    known.weight = known.weight.max(weight);
                    known.names |= kind.names;
                }
                None => {
                    let stems = other.clone();
                    self.alternatives.push(Synonym { stems, weight, names: kind.names });
                }
            }
        }
    }
}

/// The list, by the stems of a word; those of an expression have a space between them.
#[derive(Debug, Default)]
pub(crate) struct Thesaurus {
    meanings: HashMap<String, Meaning>,
    /// By participles as they are written: what is running is in progress, and to run something is to start
    /// it.
    exact: HashMap<String, Meaning>,
    /// The words as they are written, for the repair of typos.
    spelled: Vec<String>,
    /// The most words of an expression.
    most_words: usize,
    /// The stems that expressions of several words have.
    parts: HashSet<String>,
}

/// Verbs with which expressions begin whose meaning is in the words behind.
const IDLE: &[&str] = &["bring", "get", "give", "go", "have", "make", "put", "take", "who"];

/// Words of an expression that may stand apart: `turn the machine on`.
const PARTICLES: &[&str] = &["away", "back", "down", "in", "off", "on", "out", "up"];

/// Such words of German: `fahr die Maschine herunter`.
const GERMAN_PARTICLES: &[&str] = &[
    "ab", "an", "aus", "ein", "frei", "herunter", "hinzu", "hoch", "neu", "runter", "um", "weg",
    "zuruck",
];

impl Thesaurus {
    /// Returns the list inside of the crate.
    pub(crate) fn general() -> &'static Self {
        static GENERAL: OnceLock<Thesaurus> = OnceLock::new();
        GENERAL.get_or_init(|| Self::read(include_str!("thesaurus.txt")))
    }

    fn read(text: &str) -> Self {
        let mut thesaurus = Self::default();
        for line in text.lines() {
            let Some((sign, words)) = line.split_once(' ') else { continue };
            let (weight, kind) = match sign {
                "?" => (VERB_WEIGHT, WordKind { reads: true, ..WordKind::default() }),
                "!" => (VERB_WEIGHT, WordKind { changes: true, ..WordKind::default() }),
                "=" => (NAME_WEIGHT, WordKind { names: true, ..WordKind::default() }),
                "~" => (LOOSE_WEIGHT, WordKind { names: true, ..WordKind::default() }),
                _ => continue,
            };
            let words: Vec<&str> = words.split_whitespace().collect();
            thesaurus.add_group(&words, weight, kind);
        }
        thesaurus.spelled.sort_unstable();
        thesaurus.spelled.dedup();
        thesaurus
    }

    fn add_group(&mut self, words: &[&str], weight: f32, kind: WordKind) {
        let stems: Vec<Box<[String]>> =
            words.iter().map(|word| word.split('_').map(stem).collect()).collect();
        for (word, own) in words.iter().zip(&stems) {
            self.most_words = self.most_words.max(own.len());
            if own.len() == 1 {
                self.spelled.push((*word).to_owned());
            } else {
                self.parts.extend(own.iter().cloned());
            }
            let stemmed = self.meanings.entry(own.join(" ")).or_default();
            stemmed.add(own, &stems, weight, kind);
            if own.len() == 1 && is_participle(word) {
                let exact = self.exact.entry((*word).to_owned()).or_default();
                exact.add(own, &stems, weight, kind);
            }
        }
    }

    /// Returns what a word stands for: as it is written, or else by its stem.
    pub(crate) fn meaning_of(&self, word: &str, stem: &str) -> Option<&Meaning> {
        self.exact.get(word).or_else(|| self.meaning(stem))
    }

    /// Returns what stems stand for.
    pub(crate) fn meaning(&self, stems: &str) -> Option<&Meaning> {
        self.meanings.get(stems)
    }

    /// Returns whether an expression of several words has a stem.
    pub(crate) fn is_part(&self, stem: &str) -> bool {
        self.parts.contains(stem)
    }

    /// Returns the most words that an expression has.
    pub(crate) fn most_words(&self) -> usize {
        self.most_words
    }

    /// Returns all single words, as they are written.
    pub(crate) fn spelled(&self) -> &[String] {
        &self.spelled
    }
}

/// Returns whether an expression has words that say nothing by themselves: people use it, and no text of a tool
/// is found by `get` and `back`, or by `no` and `need`.
fn is_idle(expression: &[String]) -> bool {
    let first = expression.first().map(String::as_str).unwrap_or_default();
    let is_filler = |word: &String| is_stop_word(word) && !is_particle(word);
    let begins_idle = IDLE.contains(&first) && expression.iter().any(|word| is_particle(word));
    expression.len() > 1 && (begins_idle || expression.iter().any(is_filler))
}

fn is_participle(word: &str) -> bool {
    word.ends_with("ing") || word.ends_with("ed")
}

/// Returns whether a word may stand apart from the verb before it.
pub(crate) fn may_stand_apart(word: &str) -> bool {
    is_particle(word) || GERMAN_PARTICLES.contains(&word)
}

/// Returns whether a word ends expressions from which it may stand apart.
pub(crate) fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&word)
}

/// Returns whether a folded word says nothing about what is looked for.
pub(crate) fn is_stop_word(word: &str) -> bool {
    stop_words().binary_search(&word).is_ok()
}

/// Returns the word that says nothing and of which one letter differs.
pub(crate) fn nearest_stop_word(word: &str) -> Option<&'static str> {
    let near = |known: &&&str| {
        known.len() >= 4
            && known.len().abs_diff(word.len()) <= 1
            && known.bytes().next() == word.bytes().next()
            && strsim::osa_distance(known, word) == 1
    };
    stop_words().iter().find(near).copied()
}

/// Returns whether a folded word is one of everyday language, or a name of people or places: no misspelling
/// of another one.
pub(crate) fn is_ordinary(word: &str) -> bool {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    let words = WORDS.get_or_init(|| read_words(include_str!("ordinary_words.txt")));
    words.binary_search(&word).is_ok() || is_first_name(word)
}

/// Returns whether a folded word is what people are called.
pub(crate) fn is_first_name(word: &str) -> bool {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| read_words(include_str!("first_names.txt")));
    names.binary_search(&word).is_ok()
}

fn stop_words() -> &'static [&'static str] {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WORDS.get_or_init(|| read_words(include_str!("stop_words.txt")))
}

fn read_words(text: &'static str) -> Vec<&'static str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, to: &str) -> bool {
        let meaning = Thesaurus::general().meaning(from);
        meaning
            .is_some_and(|it| it.alternatives.iter().any(|synonym| synonym.stems.join(" ") == to))
    }

    #[test]
    fn a_word_of_a_group_leads_to_the_others() {
        assert!(leads("remov", "delet") && leads("turn on", "start") && leads("machin", "vm"));
        assert!(!leads("start", "delet"));
        let kind = |stems| Thesaurus::general().meaning(stems).unwrap().kind;
        assert!(kind("delet").changes && !kind("delet").reads);
        assert!(kind("list").reads && !kind("list").changes);
    }

    #[test]
    fn words_of_the_list_are_as_questions_have_them() {
        for word in Thesaurus::general().spelled() {
            assert_eq!(crate::words::folded(word), *word);
        }
        assert!(is_stop_word("which") && is_stop_word("les") && !is_stop_word("vm"));
    }
}
