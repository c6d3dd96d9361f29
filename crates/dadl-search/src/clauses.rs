//! Which part of a sentence asks, and which only tells why.
//!
//! People tell a story and ask for something somewhere in it: what they ask for counts more than what led to it.

use crate::{
    thesaurus::{Thesaurus, is_stop_word},
    words::stem,
};

/// How much the words of a clause count that only tells something, beside one that asks.
const TOLD_WEIGHT: f32 = 0.75;
/// How much the words of a clause count that says why, when or on what condition.
const REASON_WEIGHT: f32 = 0.6;
/// Shorter clauses are parts of the one before them.
const SHORTEST: usize = 2;

/// What a question wants to be done, as far as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Intent {
    #[default]
    Unknown,
    Read,
    Change,
}

/// What a clause is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClauseKind {
    /// It asks something.
    Asks,
    /// It wants something to be done.
    Wishes,
    /// It says something.
    Tells,
    /// It says why, when or on what condition.
    Reasons,
}

/// The clauses of a question.
#[derive(Debug, Default)]
pub(crate) struct Clauses {
    /// The clause of each word.
    of_word: Vec<usize>,
    kinds: Vec<ClauseKind>,
    /// The first word of each that is no filler.
    firsts: Vec<String>,
}

/// Words with which a clause begins that says why, when or on what condition.
const REASONS: &[&str] = &[
    "because", "since", "if", "unless", "although", "though", "while", "whilst", "before", "after",
    "once", "until", "when", "whenever", "so", "as", "weil", "da", "wenn", "falls", "obwohl",
    "wahrend", "bevor", "ehe", "nachdem", "bis", "sobald", "seit", "damit", "denn", "als", "parce",
    "car", "si", "quand", "lorsque", "avant", "apres", "puisque", "depuis", "afin", "pour",
    "porque", "cuando", "antes", "despues", "desde", "ya", "mientras", "hasta", "aunque",
];

/// Of these those that begin a clause also where no sign stands before them.
const PARTING: &[&str] = &[
    "because", "if", "unless", "although", "whenever", "weil", "wenn", "falls", "obwohl", "bevor",
    "nachdem", "sobald", "damit", "parce", "lorsque", "puisque", "porque", "cuando", "aunque",
];

/// Words that may stand before what a clause begins with.
const FILLERS: &[&str] = &[
    "please",
    "and",
    "then",
    "so",
    "ok",
    "okay",
    "now",
    "also",
    "just",
    "but",
    "or",
    "hi",
    "hello",
    "hey",
    "kindly",
    "well",
    "bitte",
    "und",
    "dann",
    "also",
    "jetzt",
    "mal",
    "aber",
    "oder",
    "hallo",
    "svp",
    "et",
    "alors",
    "puis",
    "maintenant",
    "mais",
    "ou",
    "bonjour",
    "y",
    "entonces",
    "luego",
    "ahora",
    "pero",
    "o",
    "hola",
    "quickly",
    "schnell",
];

/// Words that say that something is wanted.
const WISHES: &[&str] = &[
    "please",
    "need",
    "needs",
    "want",
    "wants",
    "wish",
    "should",
    "must",
    "let",
    "lets",
    "gotta",
    "kindly",
    "pls",
    "plz",
    "bitte",
    "brauche",
    "brauchen",
    "braucht",
    "soll",
    "sollen",
    "sollte",
    "sollten",
    "muss",
    "mussen",
    "mochte",
    "mochten",
    "will",
    "wollen",
    "besoin",
    "faut",
    "faudrait",
    "veux",
    "voudrais",
    "voudrait",
    "dois",
    "doit",
    "svp",
    "stp",
    "plait",
    "necesito",
    "necesita",
    "necesitamos",
    "quiero",
    "queremos",
    "quisiera",
    "debe",
    "favor",
    "tiene",
    "hay",
];

/// Verbs of wishes that are in no group of verbs.
const IMPERATIVES: &[&str] = &[
    "bring", "call", "get", "give", "go", "keep", "kick", "let", "make", "put", "tell", "take",
    "cut", "hold", "pull", "push", "leave", "hang", "stick", "nimm", "mach", "gib", "stell", "hol",
    "bring", "schick", "mets", "mettez", "donne", "donnez", "fais", "faites", "pon", "ponga",
    "dame", "haz", "saca", "deja",
];

/// Words with which a question begins that wants to know something.
const ASKING: &[&str] = &[
    "what",
    "whats",
    "which",
    "who",
    "whos",
    "whose",
    "whom",
    "when",
    "is",
    "are",
    "was",
    "were",
    "does",
    "do",
    "did",
    "has",
    "have",
    "any",
    "anything",
    "anybody",
    "anyone",
    "why",
    "how",
    "hows",
    "where",
    "wheres",
    "am",
    "isn",
    "aren",
    "don",
    "welche",
    "welcher",
    "welches",
    "welchen",
    "welchem",
    "wer",
    "wem",
    "wen",
    "wo",
    "wohin",
    "woher",
    "wann",
    "wie",
    "wieviele",
    "wieviel",
    "warum",
    "wieso",
    "weshalb",
    "was",
    "gibt",
    "ist",
    "sind",
    "war",
    "waren",
    "hat",
    "haben",
    "habe",
    "irgendwas",
    "lauft",
    "quel",
    "quelle",
    "quels",
    "quelles",
    "combien",
    "est",
    "qui",
    "quoi",
    "ou",
    "quand",
    "pourquoi",
    "comment",
    "que",
    "cual",
    "cuales",
    "cuanto",
    "cuanta",
    "cuantos",
    "cuantas",
    "quien",
    "quienes",
    "donde",
    "adonde",
    "cuando",
    "hay",
    "esta",
    "estan",
    "tenemos",
];

/// Words that ask whether somebody can do something: it may be a wish.
const ABLE: &[&str] = &[
    "can", "could", "would", "will", "may", "kann", "kannst", "konnen", "konntest", "konnte",
    "peux", "peut", "pouvez", "pourrais", "puedes", "puede", "podrias", "podria",
];

impl Clauses {
    /// Reads the words of a question, for each of which `signs` says whether a sign stands behind it that
    /// ends a clause.
    pub(crate) fn read(words: &[String], signs: &[Option<char>]) -> Self {
        let mut clauses = Self::default();
        let mut begins = vec![0];
        for (at, word) in words.iter().enumerate().skip(1) {
            let is_behind_sign = signs.get(at - 1).is_some_and(Option::is_some);
            let begin = begins.last().copied().unwrap_or_default();
            let is_parting = PARTING.contains(&word.as_str()) && at >= begin + SHORTEST;
            if is_parting || is_behind_sign {
                begins.push(at);
            }
        }
        // A list of words is no list of clauses.
        let mut kept: Vec<usize> = Vec::new();
        for (nth, begin) in begins.iter().copied().enumerate() {
            let end = begins.get(nth + 1).copied().unwrap_or(words.len());
            let ends_question =
                end.checked_sub(1).and_then(|at| signs.get(at).copied().flatten()) == Some('?');
            if nth == 0 || end - begin >= SHORTEST || ends_question {
                kept.push(begin);
            }
        }
        for (nth, begin) in kept.iter().copied().enumerate() {
            let end = kept.get(nth + 1).copied().unwrap_or(words.len());
            let sign = end.checked_sub(1).and_then(|at| signs.get(at).copied().flatten());
            let own = words.get(begin..end).unwrap_or_default();
            clauses.kinds.push(kind(own, sign));
            let first = own.iter().find(|word| !FILLERS.contains(&word.as_str()));
            clauses.firsts.push(first.cloned().unwrap_or_default());
            clauses.of_word.extend(std::iter::repeat_n(nth, end - begin));
        }
        clauses
    }

    fn has_ask(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, ClauseKind::Asks | ClauseKind::Wishes))
    }

    /// Returns how much the word at a place counts.
    pub(crate) fn weight(&self, at: usize) -> f32 {
        if self.kinds.len() < 2 {
            return 1.0;
        }
        let kind = self.of_word.get(at).and_then(|clause| self.kinds.get(*clause));
        match kind {
            Some(ClauseKind::Reasons) => REASON_WEIGHT,
            Some(ClauseKind::Tells) if self.has_ask() => TOLD_WEIGHT,
            _ => 1.0,
        }
    }

    /// Returns whether the clauses that ask say more than the first word of the question, and what.
    pub(crate) fn intent(&self) -> Option<Intent> {
        if self.kinds.len() < 2 {
            return None;
        }
        let asks = self.kinds.contains(&ClauseKind::Asks);
        let wishes = self.kinds.contains(&ClauseKind::Wishes);
        match (asks, wishes) {
            (true, true) => Some(Intent::Unknown),
            (true, false) => Some(Intent::Read),
            _ => None,
        }
    }
}

fn kind(words: &[String], sign: Option<char>) -> ClauseKind {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let mut telling = words.iter().filter(|word| !FILLERS.contains(&word.as_str()));
    let first = telling.next().map(String::as_str).unwrap_or_default();
    let begin = words.first().map(String::as_str).unwrap_or_default();
    if REASONS.contains(&begin) && sign != Some('?') && !has(WISHES) {
        return ClauseKind::Reasons;
    }
    if ABLE.contains(&first) {
        return if has(WISHES) || sign != Some('?') {
            ClauseKind::Wishes
        } else {
            ClauseKind::Asks
        };
    }
    if ASKING.contains(&first) || sign == Some('?') && !has(WISHES) {
        return ClauseKind::Asks;
    }
    if has(WISHES) || IMPERATIVES.contains(&first) {
        return ClauseKind::Wishes;
    }
    let stem = stem(first);
    let meaning = Thesaurus::general().meaning_of(first, &stem);
    let is_verb = meaning.is_some_and(|it| !it.kind.names && (it.kind.changes || it.kind.reads));
    let is_participle = first.ends_with("ed") || first.ends_with("ing");
    if is_verb && !is_participle && !is_stop_word(first) {
        return ClauseKind::Wishes;
    }
    ClauseKind::Tells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    /// Reads a sentence with signs that stand apart.
    fn clauses(sentence: &str) -> (Vec<String>, Clauses) {
        let (mut all, mut signs) = (Vec::new(), Vec::new());
        for token in sentence.split(' ') {
            match token {
                "." | "," | "?" => *signs.last_mut().unwrap() = token.chars().next(),
                word => {
                    all.extend(words(word));
                    signs.resize(all.len(), None);
                }
            }
        }
        let clauses = Clauses::read(&all, &signs);
        (all, clauses)
    }

    #[test]
    fn what_is_asked_for_counts_more_than_what_led_to_it() {
        let (words, clauses) =
            clauses("the update broke the shop this morning . please restore the snapshot");
        let weight = |word: &str| clauses.weight(words.iter().position(|it| it == word).unwrap());
        assert!(weight("update") < weight("snapshot") && weight("snapshot") == 1.0);
        assert_eq!(clauses.intent(), None);
    }

    #[test]
    fn a_clause_that_asks_wants_nothing_changed() {
        let (_, story) = clauses("the host must be emptied at noon . what runs there ?");
        assert_eq!(story.intent(), Some(Intent::Unknown), "one wishes, one asks");
        let (_, asked) = clauses("something floods the uplink . which guest is it ?");
        assert_eq!(asked.intent(), Some(Intent::Read));
        let (words, short) = clauses("delete the snapshot");
        assert!((0..words.len()).all(|at| short.weight(at) == 1.0) && short.intent().is_none());
    }
}
