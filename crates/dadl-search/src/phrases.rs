//! What people say for what a tool does, word for word: `let her in` has no word that says anything by itself.

use std::collections::{BTreeMap, HashMap};

/// So many words may stand between two of a phrase: `let the new colleague in`.
const MOST_BETWEEN: usize = 2;
/// How much a phrase of two words, of three and of more says.
const LENGTHS: [f32; 3] = [0.5, 0.8, 1.0];
/// From this share on a word is the same, or what a backend calls it.
const SAME_WORD: f32 = 0.95;
/// How much a word counts behind others.
const APART: f32 = 0.93;
/// Longer phrases are no phrases.
const LONGEST: usize = 10;

/// A word of a phrase: its stem, and what the backend calls the same.
type PhraseWord = Box<[u32]>;

/// One phrase.
#[derive(Debug)]
struct Phrase {
    words: Box<[PhraseWord]>,
    /// The tools that it is said of.
    tools: Vec<u32>,
}

/// The phrases, by the stems with which they begin.
#[derive(Debug, Default)]
pub(crate) struct Phrases {
    all: Vec<Phrase>,
    by_first: HashMap<u32, Vec<u32>>,
}

/// Gathers phrases.
#[derive(Debug, Default)]
pub(crate) struct PhraseBuilder {
    tools: BTreeMap<Box<[u32]>, Vec<u32>>,
}

impl PhraseBuilder {
    /// Adds the stems of a phrase in their order, without what [`is_determiner`] finds.
    pub(crate) fn add(&mut self, stems: Vec<u32>, tool: u32) {
        if !(2..=LONGEST).contains(&stems.len()) {
            return;
        }
        let tools = self.tools.entry(stems.into()).or_default();
        if tools.last() != Some(&tool) {
            tools.push(tool);
        }
    }

    /// Returns the phrases; `called` gives what else a stem is called.
    pub(crate) fn finish(self, called: impl Fn(u32) -> Vec<u32>) -> Phrases {
        let mut phrases = Phrases::default();
        let mut known: HashMap<u32, PhraseWord> = HashMap::new();
        for (stems, tools) in self.tools {
            let words: Box<[PhraseWord]> = stems
                .iter()
                .map(|stem| {
                    let word = || std::iter::once(*stem).chain(called(*stem)).collect();
                    known.entry(*stem).or_insert_with(word).clone()
                })
                .collect();
            let at = u32::try_from(phrases.all.len()).unwrap_or(u32::MAX);
            for first in words.first().into_iter().flatten() {
                phrases.by_first.entry(*first).or_default().push(at);
            }
            phrases.all.push(Phrase { words, tools });
        }
        phrases
    }
}

/// A word of a question, for phrases.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidWord {
    /// Its own stem, where any tool has it.
    pub(crate) own: Option<u32>,
    /// What else it may stand for, and how much that counts beside the best.
    pub(crate) others: Vec<(u32, f32)>,
    /// How much it counts.
    pub(crate) weight: f32,
}

impl SaidWord {
    /// Returns how much the word counts as one of a phrase: less where it only means the same.
    fn fits(&self, word: &[u32]) -> Option<f32> {
        if self.own.is_some_and(|own| word.contains(&own)) {
            return Some(1.0);
        }
        let others = self.others.iter().filter(|(stem, _)| word.contains(stem));
        others.map(|(_, share)| *share).reduce(f32::max)
    }
}

impl Phrases {
    /// Returns what a question says of tools: for each the best of its phrases, at most one.
    pub(crate) fn said(&self, words: &[SaidWord], tools: usize) -> BTreeMap<u32, f32> {
        let mut best: BTreeMap<u32, f32> = BTreeMap::new();
        let most = (tools as f32 + 1.0).ln();
        for (at, word) in words.iter().enumerate() {
            for stem in word.own.iter().chain(word.others.iter().map(|(stem, _)| stem)) {
                let phrases = self.by_first.get(stem).into_iter().flatten();
                for phrase in phrases.filter_map(|it| self.all.get(*it as usize)) {
                    let Some(share) = fit(&phrase.words, words, at) else { continue };
                    let rarity = 1.0 - (phrase.tools.len() as f32).ln() / most;
                    let share = share * rarity;
                    for tool in &phrase.tools {
                        let known = best.entry(*tool).or_default();
                        *known = known.max(share);
                    }
                }
            }
        }
        best
    }
}

/// Returns how well a phrase fits the words from a place on, whose word fits its first.
fn fit(phrase: &[PhraseWord], words: &[SaidWord], begin: usize) -> Option<f32> {
    let (mut share, mut sum, mut otherwise) = (1.0, 0.0, 0);
    let mut next = begin;
    for (nth, part) in phrase.iter().enumerate() {
        let most = if nth == 0 { 0 } else { MOST_BETWEEN };
        let near = words.get(next..(next + most + 1).min(words.len()))?;
        let (between, fit) =
            near.iter().enumerate().find_map(|(at, word)| word.fits(part).map(|it| (at, it)))?;
        share *= fit * APART.powi(between as i32);
        sum += near.get(between).map_or(0.0, |word| word.weight);
        otherwise += usize::from(fit < SAME_WORD);
        next += between + 1;
    }
    if 2 * otherwise > phrase.len() {
        return None;
    }
    let length = LENGTHS.get(phrase.len().saturating_sub(2)).or(LENGTHS.last())?;
    Some(length * share * sum / phrase.len() as f32)
}

/// Returns whether a word only points at a thing, and a phrase is the same without it.
pub(crate) fn is_determiner(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "the"
            | "my"
            | "our"
            | "your"
            | "his"
            | "its"
            | "their"
            | "this"
            | "that"
            | "these"
            | "those"
            | "der"
            | "die"
            | "das"
            | "den"
            | "dem"
            | "des"
            | "ein"
            | "eine"
            | "einen"
            | "einem"
            | "einer"
            | "diese"
            | "diesen"
            | "dieser"
            | "dieses"
            | "unsere"
            | "unseren"
            | "meine"
            | "meinen"
            | "le"
            | "la"
            | "les"
            | "l"
            | "un"
            | "une"
            | "du"
            | "mon"
            | "ma"
            | "mes"
            | "notre"
            | "nos"
            | "ce"
            | "cet"
            | "cette"
            | "ces"
            | "el"
            | "los"
            | "las"
            | "una"
            | "mi"
            | "nuestro"
            | "nuestra"
            | "este"
            | "esta"
            | "esa"
            | "ese"
            | "please"
            | "bitte"
            | "just"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(stems: &[u32]) -> Vec<SaidWord> {
        let word = |stem: &u32| SaidWord { own: Some(*stem), others: Vec::new(), weight: 1.0 };
        stems.iter().map(word).collect()
    }

    #[test]
    fn a_phrase_is_found_with_few_words_between_and_in_its_order() {
        let mut builder = PhraseBuilder::default();
        builder.add(vec![1, 2], 7);
        builder.add(vec![3], 8);
        let phrases = builder.finish(|stem| if stem == 2 { vec![20] } else { Vec::new() });
        let said = |stems: &[u32]| phrases.said(&words(stems), 10).contains_key(&7);
        assert!(said(&[5, 1, 2]) && said(&[1, 5, 6, 2]) && said(&[1, 20]));
        assert!(!said(&[2, 1]) && !said(&[1, 5, 6, 9, 2]) && !said(&[1]));
        assert!(phrases.said(&words(&[3]), 10).is_empty(), "one word is no phrase");
    }

    #[test]
    fn at_most_half_of_a_phrase_may_be_said_otherwise() {
        let mut builder = PhraseBuilder::default();
        builder.add(vec![1, 2], 7);
        let phrases = builder.finish(|_| Vec::new());
        let otherwise = |stem| SaidWord { own: None, others: vec![(stem, 0.8)], weight: 1.0 };
        let one = [words(&[1]), vec![otherwise(2)]].concat();
        assert!(phrases.said(&one, 10).contains_key(&7));
        assert!(phrases.said(&[otherwise(1), otherwise(2)], 10).is_empty());
    }
}
