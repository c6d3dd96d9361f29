//! The best tools for questions.

use std::collections::BTreeMap;

use crate::{
    glob,
    index::SearchIndex,
    query::{self, Concept, Intent, ParsedQuery},
    tool_text::ToolEffect,
};

/// So many questions are answered at once; more are left out.
pub const MOST_QUERIES: usize = 12;
/// So many of the tools that have any word of a question are looked at closely.
const MOST_CANDIDATES: usize = 100;

/// How much a tool counts that changes something, where a question only asks.
const CHANGE_WHERE_ASKED: f32 = 0.55;
/// How much a tool counts that only reads, where a question wants a change.
const READ_WHERE_CHANGED: f32 = 0.57;
/// How much a tool counts more that gives many things, where a question asks for many.
const LIST_WHERE_MANY: f32 = 1.05;
/// How much the words of a name that a question has add to what the texts say.
const NAME_SHARE: f32 = 1.3;
/// How much one word that people say counts beside an expression.
const ONE_WORD: f32 = 0.6;
/// How much of the score depends on what share of the question a tool is about.
const COVERED_SHARE: f32 = 0.2;
/// How much of what a word says is its own rarity, and not that of its most common synonym.
const OWN_RARITY: f32 = 0.4;
/// What the second-best question adds for a tool that several lead to.
const SECOND_QUERY: f32 = 0.2;

/// A tool that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchHit {
    /// Its position in what the index was built of.
    pub position: usize,
    /// How well it fits: 1 for the best of a question.
    pub score: f32,
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchQuery<'a> {
    /// Questions, words, names or patterns of names; a tool that one of them finds is found.
    pub queries: &'a [String],
    /// Only tools of this backend.
    pub backend: Option<&'a str>,
}

impl SearchIndex {
    /// Returns the tools that the questions are about, the best first. Of a family of alike tools those that
    /// the questions do not name come behind the others.
    pub fn search(&self, asked: SearchQuery<'_>) -> Vec<SearchHit> {
        let mut found: BTreeMap<usize, (f32, f32)> = BTreeMap::new();
        let mut behind: BTreeMap<usize, bool> = BTreeMap::new();
        for query in asked.queries.iter().take(MOST_QUERIES) {
            for (position, score, is_behind) in self.answer(query, asked.backend) {
                let (best, sum) = found.entry(position).or_default();
                *best = best.max(score);
                *sum += score;
                behind.entry(position).and_modify(|it| *it &= is_behind).or_insert(is_behind);
            }
        }
        let mut hits: Vec<(bool, SearchHit)> = found
            .into_iter()
            .map(|(position, (best, sum))| {
                let score = best + SECOND_QUERY * (sum - best);
                let is_behind = behind.get(&position).copied().unwrap_or_default();
                (is_behind, SearchHit { position, score })
            })
            .collect();
        hits.sort_by(|(_, one), (_, other)| {
            other.score.total_cmp(&one.score).then(one.position.cmp(&other.position))
        });
        hits.into_iter().map(|(_, hit)| hit).collect()
    }

    /// Returns what one question finds: position, score of at most one, whether another of its family stands
    /// for it.
    fn answer(&self, query: &str, backend: Option<&str>) -> Vec<(usize, f32, bool)> {
        let is_wanted = |tool: u32| backend.is_none_or(|it| self.backend_name(tool) == it);
        if glob::is_pattern(query) {
            let query: String = query.chars().take(query::MOST_CHARACTERS).collect();
            let named = self.tools().iter().enumerate();
            let named = named.filter(|(_, it)| {
                is_wanted(it.backend) && Self::names(it).any(|name| glob::fits(&query, name))
            });
            return named.map(|(position, _)| (position, 1.0, false)).collect();
        }
        let parsed = query::parse(self, query);
        let mut scores: Vec<(usize, f32)> = self
            .scores(&parsed)
            .into_iter()
            .filter(|(position, _)| {
                self.tools().get(*position).is_some_and(|it| is_wanted(it.backend))
            })
            .collect();
        for (position, score) in &mut scores {
            if self
                .tools()
                .get(*position)
                .is_some_and(|it| it.name.eq_ignore_ascii_case(query.trim()))
            {
                *score += 1000.0;
            }
        }
        scores.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let best = scores.first().map_or(1.0, |(_, score)| *score);
        let scores: Vec<(usize, f32)> =
            scores.into_iter().map(|(position, score)| (position, score / best)).collect();
        self.with_families(&parsed, scores)
    }

    /// Scores the tools that have any word of a question.
    fn scores(&self, parsed: &ParsedQuery) -> Vec<(usize, f32)> {
        let count = self.tools().len();
        let mut sums = vec![0.0_f32; count];
        let mut covered = vec![0.0_f32; count];
        let mut all = 0.0;
        let mut of_concept = vec![0.0_f32; count];
        for concept in &parsed.concepts {
            let rarity = self.concept_rarity(concept);
            all += rarity;
            let touched = self.add_concept(concept, &mut of_concept);
            for tool in touched {
                let at = tool as usize;
                let Some(value) = of_concept.get_mut(at).map(std::mem::take) else { continue };
                if let (Some(sum), Some(covered)) = (sums.get_mut(at), covered.get_mut(at)) {
                    *sum += value;
                    *covered += value.min(rarity);
                }
            }
        }
        let mut scores: Vec<(usize, f32)> =
            sums.into_iter().enumerate().filter(|it| it.1 > 0.0).collect();
        for (position, score) in &mut scores {
            let Some(tool) = self.tools().get(*position) else { continue };
            let share = covered.get(*position).map_or(0.0, |it| it / all.max(f32::MIN_POSITIVE));
            *score *= 1.0 - COVERED_SHARE + COVERED_SHARE * share;
            *score *= match (parsed.intent, tool.effect) {
                (Intent::Read, ToolEffect::Changes) => CHANGE_WHERE_ASKED,
                (Intent::Change, ToolEffect::Reads) => READ_WHERE_CHANGED,
                _ => 1.0,
            };
            if parsed.is_of_many && tool.gives_list {
                *score *= LIST_WHERE_MANY;
            }
        }
        scores.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let weights = stem_weights(&parsed.concepts);
        for (position, score) in scores.iter_mut().take(MOST_CANDIDATES) {
            *score *= 1.0 + NAME_SHARE * self.named_share(*position, &weights);
        }
        scores
    }

    /// Adds what each tool gets for a concept: for the best of its alternatives. Returns the tools.
    fn add_concept(&self, concept: &Concept, values: &mut [f32]) -> Vec<u32> {
        let mut touched = Vec::new();
        let common = self.common_rarity(concept);
        for words in &concept.alternatives {
            let is_wanted = |tool: u32| {
                words.backend.is_none()
                    || self.tools().get(tool as usize).map(|it| it.backend) == words.backend
            };
            if let [stem] = words.stems.as_slice() {
                let weight = words.weight * self.shared_rarity(*stem, common);
                for posting in self.postings(*stem).iter().filter(|it| is_wanted(it.tool)) {
                    raise(values, &mut touched, posting.tool, weight * posting.share);
                }
                continue;
            }
            let mut together: BTreeMap<u32, f32> = BTreeMap::new();
            let part = words.weight / words.stems.len() as f32;
            for stem in &words.stems {
                let weight = part * self.shared_rarity(*stem, common);
                for posting in self.postings(*stem).iter().filter(|it| is_wanted(it.tool)) {
                    *together.entry(posting.tool).or_default() += weight * posting.share;
                }
            }
            for (tool, value) in together {
                raise(values, &mut touched, tool, value);
            }
        }
        touched
    }

    /// Returns how rare the most common of the words is that stand for a concept alone.
    fn common_rarity(&self, concept: &Concept) -> f32 {
        let single = concept.alternatives.iter().filter(|words| words.stems.len() == 1);
        let rarity = single.flat_map(|words| &words.stems).map(|stem| self.rarity(*stem));
        rarity.fold(f32::INFINITY, f32::min)
    }

    /// Returns how rare a stem is that stands for a concept: a rare one says hardly more than a common one
    /// that means the same.
    fn shared_rarity(&self, stem: u32, common: f32) -> f32 {
        let own = self.rarity(stem);
        OWN_RARITY * own + (1.0 - OWN_RARITY) * own.min(common)
    }

    /// Returns the most that a tool could get for a concept.
    fn concept_rarity(&self, concept: &Concept) -> f32 {
        let of_words = concept.alternatives.iter().map(|words| {
            let sum: f32 = words.stems.iter().map(|stem| self.rarity(*stem)).sum();
            words.weight * sum / words.stems.len().max(1) as f32
        });
        of_words.fold(0.0, f32::max)
    }

    /// Returns what share of the name of a tool a question has, or of what people say for it.
    fn named_share(&self, position: usize, weights: &BTreeMap<u32, f32>) -> f32 {
        let Some(tool) = self.tools().get(position) else { return 0.0 };
        let said = tool.keyword_stems.iter().map(|stems| {
            // One word alone is said of many things.
            let certainty = if stems.len() > 1 { 1.0 } else { ONE_WORD };
            certainty * self.share_of(stems, weights)
        });
        said.fold(self.share_of(&tool.name_stems, weights), f32::max)
    }

    /// Returns what share of some stems a question has, the rarer ones counting more.
    fn share_of(&self, stems: &[u32], weights: &BTreeMap<u32, f32>) -> f32 {
        let (mut named, mut all) = (0.0, 0.0);
        for stem in stems {
            let rarity = self.rarity(*stem);
            all += rarity;
            named += rarity * weights.get(stem).copied().unwrap_or_default();
        }
        if all > 0.0 { named / all } else { 0.0 }
    }

    /// Says of each tool whether another one of its family stands for it: the first one, and each whose kind
    /// the question names, stand for themselves.
    fn with_families(
        &self,
        parsed: &ParsedQuery,
        scores: Vec<(usize, f32)>,
    ) -> Vec<(usize, f32, bool)> {
        let weights = stem_weights(&parsed.concepts);
        let is_named = |stems: &[String]| {
            stems.iter().all(|stem| self.stem_id(stem).is_some_and(|id| weights.contains_key(&id)))
        };
        let mut seen: Vec<u32> = Vec::new();
        let mut answers = Vec::with_capacity(scores.len());
        for (position, score) in scores {
            let family = self.tools().get(position).and_then(|it| it.family);
            let Some(family) = family else {
                answers.push((position, score, false));
                continue;
            };
            let is_first = !seen.contains(&family);
            if is_first {
                seen.push(family);
            }
            let members =
                self.family_of(position).map(|it| it.members.as_slice()).unwrap_or_default();
            let member = members.iter().find(|it| it.position == position);
            let is_behind = !is_first && !member.is_some_and(|it| is_named(&it.stems));
            answers.push((position, if is_behind { score * BEHIND } else { score }, is_behind));
        }
        answers
    }
}

/// How much a tool counts for which another one of its family stands.
const BEHIND: f32 = 0.2;

/// Makes the value of a tool at least so high.
fn raise(values: &mut [f32], touched: &mut Vec<u32>, tool: u32, value: f32) {
    let Some(known) = values.get_mut(tool as usize) else { return };
    if *known == 0.0 && value > 0.0 {
        touched.push(tool);
    }
    *known = known.max(value);
}

/// Returns the stems of a question with the highest weight of each.
fn stem_weights(concepts: &[Concept]) -> BTreeMap<u32, f32> {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for words in concepts.iter().flat_map(|concept| &concept.alternatives) {
        for stem in &words.stems {
            let weight = weights.entry(*stem).or_default();
            *weight = weight.max(words.weight);
        }
    }
    weights
}
