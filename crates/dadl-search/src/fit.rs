//! Whether the best tool for a question does what is asked, or only has some of the words.
//!
//! Something is always nearest. What the nearest tool covers of the question is measured by how rare the
//! things are that are asked for: a tool that creates backup repositories covers little of `create backup job`,
//! since many tools create and few are about jobs. Only questions of a few words are judged: of a sentence,
//! many words are rare and say nothing.

use crate::{
    clauses::Intent,
    index::{IndexedTool, SearchIndex},
    query::{Concept, ParsedQuery},
    rank::stem_weights,
    tool_text::ToolEffect,
};

/// A tool does what is asked when it covers so much of the question.
const ENOUGH: f32 = 0.45;
/// So much is enough for a question about some one thing, whose words name that and not what is to be done.
const ENOUGH_CONCRETE: f32 = 0.3;
/// So much is enough where nothing is to be changed: what to look at has many names, and the nearest list
/// does no harm.
const ENOUGH_TO_READ: f32 = 0.35;
/// From this share on a question has the name of a tool, or what people say for it, and more words: a private
/// network is made as a network is.
const WHOLE_NAME: f32 = 0.95;
/// So much is enough then.
const ENOUGH_NAMED: f32 = 0.37;
/// A tool is about a word when the word counts so much for it: when its name has the word, or people say it.
const FULL_SHARE: f32 = 0.72;
/// How much a word counts that may be meant, beside another one that means the same.
const LOOSE_SHARE: f32 = 0.8;
/// Below this weight a word only may be meant.
const LOOSE_WEIGHT: f32 = 0.5;
/// Tools that get less than this share for a thing are not counted among those that are about it.
const COUNTED_SHARE: f32 = 0.3;
/// What nearly every tool is about says nothing.
const LEAST_RARITY: f32 = 0.15;
/// How much a tool covers that only reads, where something is to be changed.
const READ_WHERE_CHANGED: f32 = 0.8;
/// How much a tool covers that does not do what the verb says.
const WITHOUT_VERB: f32 = 0.6;

/// How much a tool covers that is not about one of the few things of a command.
const WITHOUT_THING: f32 = 0.6;
/// A command of more words than that has some that may be left out.
const FEW: usize = 3;
/// Below this share a tool is not about a thing.
const NOTHING: f32 = 0.15;

impl SearchIndex {
    /// Returns whether a tool, the best that was found, does what a question asks, as far as can be judged.
    pub(crate) fn fits(&self, parsed: &ParsedQuery, position: usize) -> bool {
        let Some(tool) = self.tools().get(position).filter(|_| parsed.is_terse) else {
            return true;
        };
        let unknown = parsed.unknown as f32 * (1.0 + self.len() as f32).ln();
        let (mut covered, mut all) = (0.0, unknown);
        let (mut things, mut is_whole) = (parsed.unknown, parsed.unknown == 0);
        let named = self.named_share(position, &stem_weights(&parsed.concepts));
        // What is a verb and no name tells better than what may be both, as `backup` is.
        let (mut verb, mut mixed): (Option<f32>, Option<f32>) = (None, None);
        for concept in &parsed.concepts {
            let rarity = self.rarity_together(concept);
            if rarity <= LEAST_RARITY {
                continue;
            }
            let share = self.covered_share(concept, tool, (position, named));
            covered += rarity * share;
            all += rarity;
            things += 1;
            is_whole &= share > NOTHING;
            match (concept.kind.changes, concept.kind.names) {
                (true, false) => verb = Some(verb.map_or(share, |known| known.max(share))),
                (true, true) => mixed = mixed.or(Some(share)),
                _ => {}
            }
        }
        if all <= 0.0 {
            return true;
        }
        let mut share = covered / all;
        if parsed.intent == Intent::Change {
            if tool.effect == ToolEffect::Reads {
                share *= READ_WHERE_CHANGED;
            }
            share *= WITHOUT_VERB + (1.0 - WITHOUT_VERB) * verb.or(mixed).unwrap_or(1.0);
            // `delete backup job`: what deletes something else does not.
            if verb.is_some() && !is_whole && things <= FEW {
                share *= WITHOUT_THING;
            }
        }
        let enough = match parsed.intent {
            Intent::Change if parsed.is_concrete => ENOUGH_CONCRETE,
            Intent::Change if named >= WHOLE_NAME => ENOUGH_NAMED,
            Intent::Change => ENOUGH,
            _ => ENOUGH_TO_READ,
        };
        share >= enough
    }

    /// Returns how rare the tools are that are about any word of a concept.
    fn rarity_together(&self, concept: &Concept) -> f32 {
        let mut values = vec![0.0_f32; self.len()];
        let least = COUNTED_SHARE * self.concept_rarity(concept);
        self.add_concept(concept, &mut values);
        let having = values.iter().filter(|value| **value > least).count() as f32;
        let count = self.len() as f32;
        let weight = concept.alternatives.iter().map(|words| words.weight).fold(0.0, f32::max);
        weight * (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
    }

    /// Returns how much a tool is about a concept: all words of the best of its alternatives.
    fn covered_share(
        &self,
        concept: &Concept,
        tool: &IndexedTool,
        (position, named): (usize, f32),
    ) -> f32 {
        let wanted = concept.alternatives.iter();
        let wanted = wanted.filter(|words| words.backend.is_none_or(|it| it == tool.backend));
        let shares = wanted.map(|words| {
            let shares = words.stems.iter().map(|stem| self.share(*stem, position, named));
            let certainty = if words.weight < LOOSE_WEIGHT { LOOSE_SHARE } else { 1.0 };
            certainty * shares.fold(1.0, f32::min)
        });
        (shares.fold(0.0, f32::max) / FULL_SHARE).min(1.0)
    }

    /// Returns how much a tool is about a stem. A word of what people say for it counts as far as the
    /// question says all of that: `named`.
    fn share(&self, stem: u32, position: usize, named: f32) -> f32 {
        let postings = self.postings(stem);
        let found = postings.binary_search_by_key(&position, |posting| posting.tool as usize);
        let posting = found.ok().and_then(|at| postings.get(at));
        posting.map_or(0.0, |it| it.own_share.max(it.share * named * named))
    }
}
