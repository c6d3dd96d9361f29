//! A question becomes what it asks for: words, each with what else it may stand for.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use crate::{
    clauses::{Clauses, Intent},
    index::{MOST_MEANINGS, SearchIndex},
    phrases::{SaidWord, is_determiner},
    reading::{self, QueryWords},
    thesaurus::{
        Thesaurus, WordKind, is_first_name, is_ordinary, is_particle, is_stop_word, may_stand_apart,
    },
    words::{stem, words},
};

/// Of one question so many characters count.
pub(crate) const MOST_CHARACTERS: usize = 800;
/// So many words may stand between a verb and its particle.
const MOST_APART: usize = 5;

/// How much the words of an expression count by themselves.
const PART_WEIGHT: f32 = 0.4;
/// How much a repaired word counts.
const REPAIRED_WEIGHT: f32 = 1.0;
/// How much a word counts that begins with the one in the question.
const LONGER_WEIGHT: f32 = 0.9;

/// How much a word counts that a question had before.
const AGAIN_WEIGHT: f32 = 0.5;

/// How much the name of a person counts for a user.
const PERSON_WEIGHT: f32 = 0.5;
/// What people are to APIs, as a stem.
const USER: &str = "user";

/// How much the name of some one thing says of its kind.
const CALLED_WEIGHT: f32 = 0.6;

/// From this share of the best on, what a word may stand for is nearly the same.
const NEARLY: f32 = 0.65;

/// One thing that a question asks for.
#[derive(Debug, Default)]
pub(crate) struct Concept {
    /// What may stand for it; the best of them counts.
    pub(crate) alternatives: Vec<ConceptWords>,
    /// The kind of word that it is.
    pub(crate) kind: WordKind,
    /// Whether it is what a backend has: people have words for it.
    pub(crate) is_thing: bool,
    /// Where each of them is.
    places: HashMap<(Option<u32>, Vec<u32>), usize>,
    /// How many there are for each backend.
    of_backend: BTreeMap<u32, usize>,
}

/// Stems that stand for a concept together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConceptWords {
    pub(crate) stems: Vec<u32>,
    pub(crate) weight: f32,
    /// Only for tools of this backend.
    pub(crate) backend: Option<u32>,
}

/// A question, understood.
#[derive(Debug, Default)]
pub(crate) struct ParsedQuery {
    pub(crate) concepts: Vec<Concept>,
    pub(crate) intent: Intent,
    /// What it says of tools word for word, at most one each.
    pub(crate) said: BTreeMap<u32, f32>,
    /// How many words nothing knows.
    pub(crate) unknown: usize,
    /// Whether it is a few words that all say something, and no sentence.
    pub(crate) is_terse: bool,
    /// Whether it is about some one thing rather than a kind of thing: `the kitchen lamp`, `port 443`.
    pub(crate) is_concrete: bool,
    /// Whether it asks for many things rather than one.
    pub(crate) is_of_many: bool,
}

/// Words that ask for many things.
const MANY: &[&str] = &[
    "all", "list", "which", "many", "every", "any", "alle", "liste", "welche", "lister", "liste",
    "quels", "quelles", "todas", "todos", "listar", "cuales", "combien", "cuantos", "cuantas",
    "count",
];

/// Words with which a question begins that asks and wants nothing changed.
const ASKING: &[&str] = &[
    "what", "which", "who", "whose", "when", "is", "are", "was", "were", "does", "did", "has",
    "any", "why", "how", "where", "welche", "welcher", "welches", "wer", "wo", "wann", "wie",
    "wieviele", "gibt", "ist", "sind", "war", "hat", "quel", "quelle", "quels", "quelles",
    "combien", "est", "que", "cual", "cuales", "cuantos", "cuantas", "quien", "donde", "cuando",
    "hay", "do",
];

/// Words after `how` and its like that ask how to do a thing.
const DOING: &[&str] = &["do", "can", "to", "could", "would", "should", "kann", "je", "puedo"];

/// Words with which a question begins that asks whether something can be done, or wants it to be done.
const ABLE: &[&str] = &["can", "could", "kann", "konnte", "puede", "peut"];

/// Words behind these of who wants something done.
const WISHING: &[&str] = &[
    "anybody", "anyone", "i", "ich", "je", "jemand", "man", "on", "one", "se", "somebody",
    "someone", "they", "u", "wir", "we", "you",
];

/// Words behind `get` where it wants something done.
const GETTING: &[&str] = &["going", "onto", "ready", "rid", "running", "started", "working"];

/// Verbs that may say no more than that something is done.
const LIGHT: &[&str] = &["create", "do", "make", "perform", "run", "start", "take", "trigger"];

/// Words that narrow what is meant and rarely say what it is: the active alarms are alarms.
const NARROWING: &[&str] = &[
    "active",
    "actual",
    "aktuell",
    "aktuelle",
    "available",
    "current",
    "details",
    "eligible",
    "entire",
    "exist",
    "existe",
    "existent",
    "existieren",
    "existiert",
    "existing",
    "exists",
    "info",
    "information",
    "latest",
    "newest",
    "overview",
    "possible",
    "progress",
    "recent",
    "required",
    "specific",
    "type",
];

/// Words that a question of a few words may have and say nothing.
const SMALL: &[&str] = &[
    "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "per", "the", "to",
    "with", "without",
];

/// Returns whether an unknown word seems to name some one thing: `for the helpdesk`, `vm2`.
fn is_single_thing(before: Option<&String>, word: &str) -> bool {
    let introduces = |before: &String| !matches!(before.as_str(), "a" | "an" | "and" | "or");
    word.contains(|it: char| it.is_ascii_digit())
        || before.is_some_and(|it| SMALL.contains(&it.as_str()) && introduces(it))
}

/// Questions of more words are sentences.
const MOST_TERSE: usize = 5;

struct QueryParser<'index> {
    index: &'index SearchIndex,
    words: Vec<String>,
    stems: Vec<String>,
    clauses: Clauses,
    /// What each word may stand for alone: itself, and what means nearly the same.
    meant: Vec<Vec<(u32, f32)>>,
    /// Words that are part of the name of some one thing.
    names: BTreeSet<usize>,
    /// Words that are part of an expression.
    in_expression: BTreeSet<usize>,
    /// What the words say that is to be done, in their order: where, and what kind of word.
    kinds: Vec<(usize, WordKind)>,
    parsed: ParsedQuery,
}

/// Reads a question.
pub(crate) fn parse(index: &SearchIndex, query: &str) -> ParsedQuery {
    let query: String = query.chars().take(MOST_CHARACTERS).collect();
    let is_terse = is_terse(&query);
    let is_concrete = words(&query)
        .iter()
        .any(|word| word == "the" || word.contains(|it: char| it.is_ascii_digit()));
    let QueryWords { words, names, signs } = reading::read_words(index, &query);
    let stems = words.iter().map(|word| stem(word)).collect();
    let clauses = Clauses::read(&words, &signs);
    let meant = vec![Vec::new(); words.len()];
    let mut parser = QueryParser {
        index,
        words,
        stems,
        names,
        clauses,
        meant,
        in_expression: BTreeSet::new(),
        kinds: Vec::new(),
        parsed: ParsedQuery { is_terse, is_concrete, ..ParsedQuery::default() },
    };
    parser.find_expressions();
    parser.find_words();
    parser.finish()
}

fn is_terse(query: &str) -> bool {
    let words = words(query);
    let says_something = |word: &String| !is_stop_word(word) || SMALL.contains(&word.as_str());
    words.len() <= MOST_TERSE && !query.contains('?') && words.iter().all(says_something)
}

/// Returns whether a word is a `get` that does not ask for anything: to get a machine off a host is to move it.
fn is_get(words: &[String], at: usize) -> bool {
    let mut behind = words.iter().skip(at + 1).take(MOST_APART);
    words.get(at).is_some_and(|word| word == "get")
        && behind.any(|word| is_particle(word) || GETTING.contains(&word.as_str()))
}

impl QueryParser<'_> {
    /// Finds what several words mean together, the longest first.
    fn find_expressions(&mut self) {
        let count = self.stems.len();
        for length in (2..=self.index.most_words().min(count)).rev() {
            for start in 0..=count - length {
                let at: Vec<usize> = (start..start + length).collect();
                self.try_expression(&at);
            }
        }
        for verb in 0..count {
            for particle in verb + 2..count.min(verb + 2 + MOST_APART) {
                if self.words.get(particle).is_some_and(|word| may_stand_apart(word)) {
                    self.try_expression(&[verb, particle]);
                }
            }
        }
    }

    fn try_expression(&mut self, at: &[usize]) {
        if at.iter().any(|it| self.in_expression.contains(it) || self.names.contains(it)) {
            return;
        }
        let stems: Vec<&str> =
            at.iter().filter_map(|it| self.stems.get(*it)).map(String::as_str).collect();
        let key = stems.join(" ");
        let own: Vec<u32> = stems.iter().filter_map(|it| self.index.stem_id(it)).collect();
        let mut concept = Concept::default();
        let first = at.first().copied().unwrap_or_default();
        let weight = self.clauses.weight(first);
        self.add_meanings(&mut concept, &key, &key, weight, first);
        if concept.alternatives.is_empty() {
            return;
        }
        if own.len() == at.len() {
            concept.add(own, weight, None);
        }
        self.in_expression.extend(at);
        self.note_meant(first, &concept);
        self.parsed.concepts.push(concept);
    }

    fn find_words(&mut self) {
        let says_something =
            |at: usize, word: &str| !is_stop_word(word) && (word.chars().count() > 1 || at == 0);
        let words = std::mem::take(&mut self.words);
        let all_stop = !words.iter().enumerate().any(|(at, word)| says_something(at, word));
        for (at, (word, stem)) in words.iter().zip(self.stems.clone()).enumerate() {
            let is_part = self.in_expression.contains(&at) || self.names.contains(&at);
            let own = self.index.stem_id(&stem);
            let clause = self.clauses.weight(at);
            let says_nothing = !all_stop && !says_something(at, word);
            // `find_vms_without_backup` has a word that is nearly always idle.
            let is_named = || word.len() > 4 && own.is_some_and(|own| self.index.names_a_tool(own));
            if says_nothing && !is_named() {
                continue;
            }
            let mut concept = Concept::default();
            let narrows = words.len() > 1
                && (NARROWING.contains(&word.as_str()) || self.index.names_a_backend(&stem));
            let says_little = is_part || says_nothing || narrows || self.is_light(at, word);
            // `detach the disk, but keep the disk`
            let is_said = self.stems.iter().take(at).any(|before| *before == stem);
            let weight = clause
                * match (says_little, is_said) {
                    (true, _) => PART_WEIGHT,
                    (false, true) => AGAIN_WEIGHT,
                    (false, false) => 1.0,
                };
            if let Some(own) = own {
                concept.add(vec![own], weight, None);
            }
            if self.names.contains(&at) {
                self.add_called(&mut concept, word, clause);
            }
            if !is_part && !is_get(&words, at) {
                let is_known = self.add_meanings(&mut concept, word, &stem, weight, at);
                if own.is_none() && !is_known {
                    self.guess(&mut concept, word, words.get(at + 1), at);
                }
            }
            self.note_meant(at, &concept);
            if !concept.alternatives.is_empty() {
                self.parsed.concepts.push(concept);
            } else if !is_part
                && !is_single_thing(at.checked_sub(1).and_then(|it| words.get(it)), word)
            {
                self.parsed.unknown += 1;
            }
        }
        self.words = words;
    }

    /// Adds what things are that are called like `hv-02`, as far as people say `hv` for one.
    fn add_called(&self, concept: &mut Concept, word: &str, weight: f32) {
        let letters = word.trim_end_matches(|it: char| it.is_ascii_digit());
        for (backend, (product, share)) in self.index.people(&stem(letters)) {
            concept.add_stems(self.index, product, weight * CALLED_WEIGHT * share, Some(*backend));
        }
    }

    /// Notes what a word may stand for alone.
    fn note_meant(&mut self, at: usize, concept: &Concept) {
        let Some(meant) = self.meant.get_mut(at) else { return };
        let best = concept.alternatives.iter().map(|it| it.weight).fold(0.0, f32::max);
        for words in &concept.alternatives {
            if let [stem] = words.stems.as_slice()
                && words.weight >= NEARLY * best
            {
                meant.push((*stem, words.weight / best));
            }
        }
    }

    /// Returns what the question says word for word.
    fn said(&self) -> BTreeMap<u32, f32> {
        let words = self.words.iter().enumerate();
        let words: Vec<SaidWord> = words
            .filter(|(at, word)| !is_determiner(word) && !self.names.contains(at))
            .map(|(at, _)| SaidWord {
                own: self.stems.get(at).and_then(|stem| self.index.stem_id(stem)),
                others: self.meant.get(at).cloned().unwrap_or_default(),
                weight: self.clauses.weight(at),
            })
            .collect();
        self.index.phrases().said(&words, self.index.len())
    }

    /// Returns whether a verb says only that something is done: to create a snapshot is to snapshot, where
    /// the name of a tool begins so.
    fn is_light(&self, at: usize, word: &str) -> bool {
        let mut behind = self.stems.iter().skip(at + 1).take(3);
        LIGHT.contains(&word)
            && behind
                .any(|stem| self.index.stem_id(stem).is_some_and(|id| self.index.begins_a_name(id)))
    }

    /// Adds what stems may stand for; returns whether anything knows them.
    fn add_meanings(
        &mut self,
        concept: &mut Concept,
        word: &str,
        stems: &str,
        weight: f32,
        at: usize,
    ) -> bool {
        let people = self.index.people(stems);
        concept.is_thing |= people.iter().any(|(_, (product, _))| {
            product
                .iter()
                .all(|it| self.index.stem_id(it).is_some_and(|id| self.index.names_a_tool(id)))
        });
        for (backend, (product, share)) in people {
            concept.add_stems(self.index, product, weight * share, Some(*backend));
        }
        let general = Thesaurus::general().meaning_of(word, stems);
        if let Some(meaning) = general {
            self.kinds.push((at, meaning.kind));
            concept.kind = meaning.kind;
            for synonym in &meaning.alternatives {
                let weight = weight * synonym.weight;
                concept.add_stems(self.index, &synonym.stems, weight, None);
                // What people call a thing in general may be what they call it here, where nobody says better;
                // to dump something is not what they call a dump.
                let people_too = self.index.people(&synonym.stems.join(" "));
                let is_said = |backend: u32| people.iter().any(|(known, _)| *known == backend);
                for (backend, (product, more)) in people_too.iter().filter(|_| synonym.names) {
                    if is_said(*backend) {
                        continue;
                    }
                    concept.add_stems(self.index, product, weight * more, Some(*backend));
                }
            }
        }
        general.is_some() || !people.is_empty()
    }

    /// Guesses what an unknown word is: a part of one, with a number, the beginning of one, or one that is
    /// misspelled.
    fn guess(&mut self, concept: &mut Concept, word: &str, next: Option<&String>, at: usize) {
        if let Some(joined) =
            next.and_then(|next| self.index.stem_id(&stem(&format!("{word}{next}"))))
        {
            concept.add(vec![joined], 1.0, None);
            return;
        }
        let letters = word.trim_end_matches(|it: char| it.is_ascii_digit());
        if letters.len() > 1 && letters.len() < word.len() {
            // `eth2` is an `eth`.
            let is_thing = self.add_meanings(concept, letters, &stem(letters), 1.0, at)
                || self.index.stem_id(&stem(letters)).is_some_and(|it| self.index.names_a_tool(it));
            // `web12` is called so, and need not be a web.
            let weight = if is_thing { 1.0 } else { PART_WEIGHT };
            concept.add_stems(self.index, &[stem(letters)], weight, None);
            return;
        }
        if is_first_name(word) {
            // `what may Anna do`
            concept.add_stems(self.index, &[USER.to_owned()], PERSON_WEIGHT, None);
            self.add_meanings(concept, USER, USER, PERSON_WEIGHT, at);
            return;
        }
        if is_ordinary(word) {
            return;
        }
        let spelling = self.index.spelling();
        let forms = spelling.other_forms(word);
        let (meant, weight) = match spelling.longer(word) {
            _ if !forms.is_empty() => (forms, LONGER_WEIGHT),
            longer if longer.is_empty() => (spelling.nearest(word), REPAIRED_WEIGHT),
            longer => (longer, LONGER_WEIGHT),
        };
        let meant: BTreeSet<String> = meant.into_iter().map(stem).collect();
        for stem in meant {
            if let Some(id) = self.index.stem_id(&stem) {
                concept.add(vec![id], weight, None);
            }
            self.add_meanings(concept, &stem, &stem, weight, at);
        }
    }

    fn finish(mut self) -> ParsedQuery {
        let first = self.words.first().map(String::as_str).unwrap_or_default();
        let second = self.words.get(1).map(String::as_str).unwrap_or_default();
        let asks_how = matches!(first, "how" | "wie" | "comment" | "como" | "where" | "wo")
            && DOING.contains(&second);
        let is_asking = ASKING.contains(&first) && !asks_how;
        let is_plural = |word: &String| {
            let is_known = || word.strip_suffix('s').is_some_and(|one| stem(word) == one);
            (word.len() > 3 || is_known())
                && word.ends_with('s')
                && !word.ends_with("ss")
                && !is_stop_word(word)
        };
        let is_many = |word: &String| MANY.contains(&word.as_str()) || is_plural(word);
        self.parsed.is_of_many = self.words.iter().any(is_many);
        // `can the machine run there` asks whether, `can you run it` wants it done.
        let asks_whether = ABLE.contains(&first) && !WISHING.contains(&second);
        self.parsed.said = self.said();
        self.parsed.intent = if let Some(intent) = self.clauses.intent() {
            intent
        } else if is_asking || self.asks_for_state(&is_plural) {
            Intent::Read
        } else if asks_whether {
            Intent::Unknown
        } else {
            self.wish()
        };
        self.parsed
    }
}

impl QueryParser<'_> {
    /// Returns whether a few words ask for things in a state: `suspended vms`, `hosts that are disabled`. What
    /// was done to them is nothing that is to be done.
    fn asks_for_state(&self, is_plural: &dyn Fn(&String) -> bool) -> bool {
        let is_state = |at: usize| {
            self.words.get(at).is_some_and(|word| word.len() > 4 && word.ends_with("ed"))
        };
        let mut changes =
            self.kinds.iter().filter(|(_, kind)| kind.changes && !kind.names).peekable();
        self.parsed.is_terse
            && changes.peek().is_some()
            && changes.all(|(at, _)| is_state(*at))
            && self.words.iter().any(is_plural)
    }

    /// Returns what a sentence wants that is no question: what its first word that says anything is, or
    /// else its first verb that cannot be the name of a thing.
    fn wish(&mut self) -> Intent {
        self.kinds.sort_by_key(|(at, _)| *at);
        let first = self.words.iter().position(|word| !is_stop_word(word)).unwrap_or_default();
        let of_kind = |kind: WordKind| match (kind.changes, kind.reads) {
            (true, false) => Intent::Change,
            (false, true) => Intent::Read,
            _ => Intent::Unknown,
        };
        // `backups of a machine` are things, though one can back up.
        let is_thing = |kind: &WordKind| {
            let ends = |word: &String| word.ends_with('s') || word.ends_with("ing");
            let behind = self.words.get(first + 1).map(String::as_str);
            kind.names && (self.words.get(first).is_some_and(ends) || behind == Some("of"))
        };
        let leading = self.kinds.iter().filter(|(at, kind)| *at <= first && !is_thing(kind));
        let leading = leading.map(|(_, kind)| of_kind(*kind));
        if let Some(intent) = leading.into_iter().find(|it| *it != Intent::Unknown) {
            return intent;
        }
        let verbs =
            self.kinds.iter().filter(|(_, kind)| !kind.names).map(|(_, kind)| of_kind(*kind));
        verbs.into_iter().find(|it| *it != Intent::Unknown).unwrap_or_default()
    }
}

impl Concept {
    fn add_stems(
        &mut self,
        index: &SearchIndex,
        stems: &[String],
        weight: f32,
        backend: Option<u32>,
    ) {
        let ids: Vec<u32> = stems.iter().filter_map(|stem| index.stem_id(stem)).collect();
        if ids.len() == stems.len() {
            self.add(ids, weight, backend);
        }
    }

    /// Adds an alternative; of two alike the heavier one stays, and of those for one backend so many as it
    /// may have for one word.
    fn add(&mut self, stems: Vec<u32>, weight: f32, backend: Option<u32>) {
        let place = self.places.entry((backend, stems));
        let stems = place.key().1.clone();
        if let Entry::Occupied(place) = &place {
            if let Some(known) = self.alternatives.get_mut(*place.get()) {
                known.weight = known.weight.max(weight);
            }
            return;
        }
        if let Some(backend) = backend {
            let count = self.of_backend.entry(backend).or_default();
            if *count >= MOST_MEANINGS {
                return;
            }
            *count += 1;
        }
        place.or_insert(self.alternatives.len());
        self.alternatives.push(ConceptWords { stems, weight, backend });
    }
}
