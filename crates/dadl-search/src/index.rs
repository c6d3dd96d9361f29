//! The index: for each stem the tools that have it, and how much each is about it.
//!
//! A stem counts by where it stands (BM25F): a word of the name says most, one of the description of a
//! parameter least, and a long text makes each of its words count less. What a tool gets for a stem does not
//! depend on the question, so that it is worked out once, in one pass.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    family::{self, ToolFamily},
    phrases::{PhraseBuilder, Phrases, is_determiner},
    spelling::Spelling,
    thesaurus::{Thesaurus, is_stop_word},
    tool_text::{BackendWords, ToolEffect, ToolText},
    words::{each_word, name_words, stem},
};

/// Of one text so many words are read.
const MOST_WORDS: usize = 300;
/// Of one tool so many parameters are read.
const MOST_PARAMS: usize = 100;
/// What is said of a word twice says less than twice as much.
const SATURATION: f32 = 2.3;

/// A part of what is known about a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum TextField {
    Name,
    Keywords,
    Description,
    ParamNames,
    ParamTexts,
    Result,
    Hints,
    Backend,
}

const FIELDS: usize = 8;

impl TextField {
    const ALL: [Self; FIELDS] = [
        Self::Name,
        Self::Keywords,
        Self::Description,
        Self::ParamNames,
        Self::ParamTexts,
        Self::Result,
        Self::Hints,
        Self::Backend,
    ];

    /// Returns how much a word counts here, and how much the length of the text takes away.
    fn weights(self) -> (f32, f32) {
        match self {
            Self::Name => (8.0, 0.1),
            Self::Keywords => (6.8, 0.2),
            Self::Description => (2.7, 0.1),
            Self::ParamNames => (1.0, 0.8),
            Self::ParamTexts => (0.3, 0.3),
            Self::Result => (0.4, 0.1),
            Self::Hints => (0.5, 0.7),
            Self::Backend => (0.5, 0.0),
        }
    }
}

/// One tool that has a stem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    pub(crate) tool: u32,
    /// How much the tool is about the stem: less than one.
    pub(crate) share: f32,
    /// The same by its own texts, without what people say for it.
    pub(crate) own_share: f32,
}

/// Stems of one expression, each once, in order.
type Phrase = Box<[u32]>;

/// What is kept of a tool besides its stems.
#[derive(Debug)]
pub(crate) struct IndexedTool {
    pub(crate) name: Box<str>,
    /// The name that callers use.
    pub(crate) listed_name: Box<str>,
    /// The stems of the name, each once.
    pub(crate) name_stems: Phrase,
    /// Those of each of its keywords.
    pub(crate) keyword_stems: Box<[Phrase]>,
    pub(crate) effect: ToolEffect,
    pub(crate) gives_list: bool,
    pub(crate) backend: u32,
    /// The family that it belongs to.
    pub(crate) family: Option<u32>,
}

/// An alternative of a word: stems, and how much they count.
pub(crate) type Alternative = (Box<[String]>, f32);

/// Finds tools. Built once, asked often.
#[derive(Debug)]
pub struct SearchIndex {
    stems: HashMap<Box<str>, u32>,
    /// Where the postings of each stem begin; one more at the end.
    starts: Vec<u32>,
    postings: Vec<Posting>,
    rarity: Vec<f32>,
    /// The stems that names of tools have, in order.
    in_names: Vec<u32>,
    /// Those with which they begin.
    first_in_names: Vec<u32>,
    tools: Vec<IndexedTool>,
    backends: Vec<Box<str>>,
    /// Stems of what people call the backends: their names, and the initials of these.
    in_backends: HashSet<String>,
    families: Vec<ToolFamily>,
    /// By what people say, in stems: what a backend calls it.
    people: HashMap<String, Vec<(u32, Alternative)>>,
    /// The most words that an expression of people has.
    most_words: usize,
    spelling: Spelling,
    phrases: Phrases,
}

/// Counts the stems of the tools.
#[derive(Default)]
struct IndexBuilder {
    stems: HashMap<Box<str>, u32>,
    /// The stem of each word that was seen.
    seen: HashMap<Box<str>, u32>,
    /// For each tool its stems in each field.
    counted: Vec<BTreeMap<u32, [f32; FIELDS]>>,
    lengths: Vec<[f32; FIELDS]>,
    phrases: PhraseBuilder,
}

impl IndexBuilder {
    fn stem_id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.seen.get(word) {
            return *id;
        }
        let next = u32::try_from(self.stems.len()).unwrap_or(u32::MAX);
        let id = *self.stems.entry(stem(word).into()).or_insert(next);
        self.seen.insert(word.into(), id);
        id
    }

    fn count(&mut self, field: TextField, text: &str) {
        let mut words = Vec::new();
        each_word(text, |word| {
            if words.len() < MOST_WORDS {
                words.push(word.to_owned());
            }
        });
        self.count_words(field, &words, 1.0);
    }

    fn count_words(&mut self, field: TextField, words: &[String], weight: f32) {
        let ids: Vec<u32> = words.iter().map(|word| self.stem_id(word)).collect();
        let (Some(counted), Some(lengths)) = (self.counted.last_mut(), self.lengths.last_mut())
        else {
            return;
        };
        if let Some(length) = lengths.get_mut(field as usize) {
            *length += weight * ids.len() as f32;
        }
        for id in ids {
            let counts = counted.entry(id).or_default();
            if let Some(count) = counts.get_mut(field as usize) {
                *count += weight;
            }
        }
    }

    /// Returns the stems of words, each once; those that say nothing are left out where others are left.
    fn phrase(&mut self, words: &[String]) -> Phrase {
        let says: Vec<&String> = words.iter().filter(|word| !is_stop_word(word)).collect();
        let words = if says.is_empty() { words.iter().collect() } else { says };
        let mut stems: Vec<u32> = words.into_iter().map(|word| self.stem_id(word)).collect();
        stems.sort_unstable();
        stems.dedup();
        stems.into()
    }

    /// Counts a tool; returns the stems of its name and of its keywords.
    fn add(&mut self, tool: &ToolText<'_>) -> (Phrase, Box<[Phrase]>) {
        self.counted.push(BTreeMap::new());
        self.lengths.push([0.0; FIELDS]);
        let name = name_words(&tool.name);
        self.count_words(TextField::Name, &name, 1.0);
        // `list_vms_by_host` is about machines and hosts, and a question seldom has `by`.
        let telling = name.iter().filter(|word| !is_connective(word));
        let mut name_stems: Vec<u32> = telling.map(|word| self.stem_id(word)).collect();
        name_stems.sort_unstable();
        name_stems.dedup();
        let mut keyword_stems = Vec::with_capacity(tool.keywords.len());
        for keyword in &tool.keywords {
            let words = name_words(keyword);
            keyword_stems.push(self.phrase(&words));
            let said = words.iter().filter(|word| !is_determiner(word));
            let said = said.map(|word| self.stem_id(word)).collect();
            self.phrases.add(said, u32::try_from(self.counted.len() - 1).unwrap_or(u32::MAX));
            let says: Vec<String> =
                words.iter().filter(|word| !is_stop_word(word)).cloned().collect();
            let counted = if says.is_empty() { words } else { says };
            let weight = (counted.len() as f32).sqrt().recip();
            self.count_words(TextField::Keywords, &counted, weight);
        }
        self.count(TextField::Description, &tool.description);
        for param in tool.params.iter().take(MOST_PARAMS) {
            self.count(TextField::ParamNames, &param.name);
            self.count(TextField::ParamTexts, &param.description);
            for value in &param.values {
                self.count(TextField::ParamTexts, value);
            }
        }
        self.count(TextField::Result, &tool.result);
        self.count(TextField::Hints, &tool.hints);
        self.count(TextField::Backend, &tool.backend);
        (name_stems.into(), keyword_stems.into())
    }

    /// Returns where the postings of each stem begin, and the postings, in the order of the tools.
    fn postings(&self) -> (Vec<u32>, Vec<Posting>) {
        let tools = self.counted.len().max(1) as f32;
        let mut means = [0.0_f32; FIELDS];
        for lengths in &self.lengths {
            for (mean, length) in means.iter_mut().zip(lengths) {
                *mean += *length / tools;
            }
        }
        let mut by_stem: Vec<Vec<Posting>> = vec![Vec::new(); self.stems.len()];
        for (at, (counted, lengths)) in self.counted.iter().zip(&self.lengths).enumerate() {
            for (stem, counts) in counted {
                let (mut sum, mut own) = (0.0, 0.0);
                let parts = counts.iter().zip(lengths).zip(means).zip(TextField::ALL);
                for (((count, length), mean), field) in parts {
                    let (weight, flattening) = field.weights();
                    let relative = if mean > 0.0 { *length / mean } else { 1.0 };
                    let part = weight * *count / (1.0 - flattening + flattening * relative);
                    sum += part;
                    own += if field == TextField::Keywords { 0.0 } else { part };
                }
                let (share, own_share) = (sum / (SATURATION + sum), own / (SATURATION + own));
                let tool = u32::try_from(at).unwrap_or(u32::MAX);
                if let Some(postings) = by_stem.get_mut(*stem as usize) {
                    postings.push(Posting { tool, share, own_share });
                }
            }
        }
        let mut starts = Vec::with_capacity(by_stem.len() + 1);
        let mut postings = Vec::with_capacity(by_stem.iter().map(Vec::len).sum());
        starts.push(0);
        for of_stem in by_stem {
            postings.extend(of_stem);
            starts.push(u32::try_from(postings.len()).unwrap_or(u32::MAX));
        }
        (starts, postings)
    }
}

impl SearchIndex {
    /// Reads the texts of the tools, whose positions are their places in `tools`, and the words of people
    /// for what the backends have.
    pub fn build(tools: &[ToolText<'_>], words: &[BackendWords<'_>]) -> Self {
        let mut builder = IndexBuilder::default();
        let mut backends: Vec<Box<str>> = Vec::new();
        let mut backend_ids: HashMap<String, u32> = HashMap::new();
        let mut indexed = Vec::with_capacity(tools.len());
        for tool in tools {
            let next = u32::try_from(backends.len()).unwrap_or(u32::MAX);
            let backend =
                *backend_ids.entry(tool.backend.clone().into_owned()).or_insert_with(|| {
                    backends.push((&*tool.backend).into());
                    next
                });
            let (name_stems, keyword_stems) = builder.add(tool);
            indexed.push(IndexedTool {
                name: (&*tool.name).into(),
                listed_name: (&*tool.listed_name).into(),
                name_stems,
                keyword_stems,
                effect: tool.effect,
                gives_list: tool.gives_list || begins_as_list(&tool.name),
                backend,
                family: None,
            });
        }
        let families = family::families(tools);
        for (id, family) in families.iter().enumerate() {
            for position in family.positions() {
                if let Some(tool) = indexed.get_mut(position) {
                    tool.family = u32::try_from(id).ok();
                }
            }
        }
        let (starts, postings) = builder.postings();
        let count = tools.len() as f32;
        let rarity = starts
            .windows(2)
            .map(|pair| {
                let having =
                    pair.last().zip(pair.first()).map_or(0, |(end, start)| end - start) as f32;
                (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
            })
            .collect();
        let mut in_names: Vec<u32> =
            indexed.iter().flat_map(|tool| tool.name_stems.iter().copied()).collect();
        in_names.sort_unstable();
        in_names.dedup();
        let first = tools.iter().filter_map(|tool| name_words(&tool.name).into_iter().next());
        let mut first_in_names: Vec<u32> =
            first.filter_map(|word| builder.seen.get(word.as_str()).copied()).collect();
        first_in_names.sort_unstable();
        first_in_names.dedup();
        let (people, most_words, said) = people_words(words, &backend_ids);
        let phrases = called_phrases(std::mem::take(&mut builder.phrases), &builder.stems, &people);
        let known = builder.seen.keys().map(|word| word.to_string());
        let general = Thesaurus::general();
        let spelling = Spelling::new(known.chain(said).chain(general.spelled().iter().cloned()));
        Self {
            stems: builder.stems,
            starts,
            postings,
            rarity,
            in_names,
            first_in_names,
            tools: indexed,
            in_backends: stems_of_backends(&backends),
            backends,
            families,
            people,
            most_words: most_words.max(general.most_words()),
            spelling,
            phrases,
        }
    }

    /// Returns how many tools there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Returns whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Returns the families of alike tools.
    pub fn families(&self) -> &[ToolFamily] {
        &self.families
    }

    /// Returns the family of the tool at a position.
    pub fn family_of(&self, position: usize) -> Option<&ToolFamily> {
        let family = self.tools.get(position)?.family?;
        self.families.get(family as usize)
    }

    /// Returns what people may write for the name of a tool.
    pub(crate) fn names(tool: &IndexedTool) -> impl Iterator<Item = &str> {
        [&*tool.name, &*tool.listed_name].into_iter().filter(|name| !name.is_empty())
    }

    pub(crate) fn tools(&self) -> &[IndexedTool] {
        &self.tools
    }

    pub(crate) fn backend_name(&self, backend: u32) -> &str {
        self.backends.get(backend as usize).map_or("", |it| it)
    }

    pub(crate) fn stem_id(&self, stem: &str) -> Option<u32> {
        self.stems.get(stem).copied()
    }

    /// Returns how rare a stem is: the rarer, the more it says.
    pub(crate) fn rarity(&self, stem: u32) -> f32 {
        self.rarity.get(stem as usize).copied().unwrap_or_default()
    }

    /// Returns whether the name of any tool has a stem.
    pub(crate) fn names_a_tool(&self, stem: u32) -> bool {
        self.in_names.binary_search(&stem).is_ok()
    }

    /// Returns whether a stem names a backend and no tool: it says where to look, not for what.
    pub(crate) fn names_a_backend(&self, stem: &str) -> bool {
        self.in_backends.contains(stem)
            && !self.stem_id(stem).is_some_and(|id| self.names_a_tool(id))
    }

    /// Returns whether the name of any tool begins with a stem.
    pub(crate) fn begins_a_name(&self, stem: u32) -> bool {
        self.first_in_names.binary_search(&stem).is_ok()
    }

    pub(crate) fn postings(&self, stem: u32) -> &[Posting] {
        let at = stem as usize;
        let start = self.starts.get(at).copied().unwrap_or_default();
        let end = self.starts.get(at + 1).copied().unwrap_or_default();
        self.postings.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn people(&self, stems: &str) -> &[(u32, Alternative)] {
        self.people.get(stems).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn most_words(&self) -> usize {
        self.most_words
    }

    pub(crate) fn phrases(&self) -> &Phrases {
        &self.phrases
    }

    pub(crate) fn spelling(&self) -> &Spelling {
        &self.spelling
    }
}

/// Returns the stems of the names of backends, and of their initials: `xo` is a `xen-orchestra`.
fn stems_of_backends(backends: &[Box<str>]) -> HashSet<String> {
    let mut stems = HashSet::new();
    for words in backends.iter().map(|backend| name_words(backend)) {
        if words.len() > 1 {
            stems.insert(words.iter().filter_map(|word| word.chars().next()).collect());
        }
        stems.extend(words.iter().map(|word| stem(word)));
    }
    stems
}

/// Returns whether a word of a name only joins others.
fn is_connective(word: &str) -> bool {
    matches!(
        word,
        "a" | "an" | "and" | "at" | "by" | "for" | "from" | "in" | "of" | "on" | "the" | "to"
    )
}

/// Returns whether the name of a tool says that it gives many things.
fn begins_as_list(name: &str) -> bool {
    let first = name_words(name).into_iter().next();
    first.is_some_and(|verb| matches!(verb.as_str(), "list" | "search" | "query" | "find"))
}

/// Returns the phrases, whose words are also what the backends call them.
fn called_phrases(
    builder: PhraseBuilder,
    stems: &HashMap<Box<str>, u32>,
    people: &HashMap<String, Vec<(u32, Alternative)>>,
) -> Phrases {
    let mut called: HashMap<u32, Vec<u32>> = HashMap::new();
    for (said, meanings) in people {
        let Some(said) = stems.get(said.as_str()) else { continue };
        for (_, (product, _)) in meanings {
            if let [product] = &**product
                && let Some(id) = stems.get(product.as_str())
            {
                called.entry(*said).or_default().push(*id);
            }
        }
    }
    for ids in called.values_mut() {
        ids.sort_unstable();
        ids.dedup();
    }
    builder.finish(|stem| called.get(&stem).cloned().unwrap_or_default())
}

/// How much a backend's word counts for what people say.
const PEOPLE_WEIGHT: f32 = 1.0;

/// So many things one backend may call what people call one.
pub(crate) const MOST_MEANINGS: usize = 64;

/// The words of people by their stems, the most words of an expression, and how single words are spelled.
type PeopleWords = (HashMap<String, Vec<(u32, Alternative)>>, usize, Vec<String>);

fn people_words(words: &[BackendWords<'_>], backends: &HashMap<String, u32>) -> PeopleWords {
    let mut people: HashMap<String, Vec<(u32, Alternative)>> = HashMap::new();
    let mut most_words = 1;
    let mut spelled = Vec::new();
    for of_backend in words {
        let Some(backend) = backends.get(&*of_backend.backend) else { continue };
        let mut known: HashMap<String, HashSet<Box<[String]>>> = HashMap::new();
        for (product, said) in &of_backend.words {
            let product: Box<[String]> =
                name_words(product).iter().map(|word| stem(word)).collect();
            if product.is_empty() {
                continue;
            }
            for expression in said {
                let parts = name_words(expression);
                if let [word] = parts.as_slice() {
                    spelled.push(word.clone());
                }
                most_words = most_words.max(parts.len());
                let stems: Vec<String> = parts.iter().map(|word| stem(word)).collect();
                let stems = stems.join(" ");
                let known = known.entry(stems.clone()).or_default();
                if known.len() < MOST_MEANINGS && known.insert(product.clone()) {
                    let meaning = (*backend, (product.clone(), PEOPLE_WEIGHT));
                    people.entry(stems).or_default().push(meaning);
                }
            }
        }
    }
    (people, most_words, spelled)
}
