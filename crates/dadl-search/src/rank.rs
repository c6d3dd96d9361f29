//! The best tools for questions.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clauses::Intent,
    glob,
    index::{IndexedTool, SearchIndex},
    query::{self, Concept, ParsedQuery},
    tool_text::ToolEffect,
};

/// So many questions are answered at once; more are left out.
pub const MOST_QUERIES: usize = 8;
/// So many of the tools that have any word of a question are looked at closely.
const MOST_CANDIDATES: usize = 100;

/// How much a tool counts that changes something, where a question only asks.
const CHANGE_WHERE_ASKED: f32 = 0.55;
/// How much a tool counts that only reads, where a question wants a change.
const READ_WHERE_CHANGED: f32 = 0.57;
/// How much a tool counts more that gives many things, where a question asks for many.
const LIST_WHERE_MANY: f32 = 1.05;
/// How much the words of a name that a question has add to what the texts say.
const NAME_SHARE: f32 = 1.1;
/// How much one word, or two, that people say count beside a longer expression: they are said of many things.
const ONE_WORD: f32 = 0.6;
const TWO_WORDS: f32 = 0.85;
/// How much a phrase counts that is said word for word.
const SAID_WEIGHT: f32 = 4.5;
/// From this share of what a word could give on, a tool is about the thing that it names.
const THING_SHARE: f32 = 0.3;
/// How much a tool counts that is about none of the things that a question names.
const WITHOUT_THING: f32 = 0.85;
/// There are so many expressions of people that one of them nearly always means the same as a question: how much a
/// word counts for them that only means the same is raised to this power.
const KEYWORD_POWER: i32 = 3;
/// How much of the score depends on what share of the question a tool is about.
const COVERED_SHARE: f32 = 0.3;
/// How much of what a word says is its own rarity, and not that of its most common synonym.
const OWN_RARITY: f32 = 0.4;
/// What a tool gets whose name is the question.
const NAMED: f32 = 1000.0;
/// How much a tool counts for which another one of its family stands.
const BEHIND: f32 = 0.2;
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

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchFindings {
    /// The tools, the best first.
    pub hits: Vec<SearchHit>,
    /// The positions of the questions that no tool fits: what was found for them is only nearest.
    pub unmet: Vec<usize>,
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchQuery<'a> {
    /// Questions, words, names or patterns of names; a tool that one of them finds is found.
    pub queries: &'a [String],
    /// Only tools of this backend, and those that belong to none.
    pub backend: Option<&'a str>,
}

impl SearchIndex {
    /// Returns the tools that the questions are about, the best first. Of a family of alike tools those that
    /// the questions do not name come behind the others.
    pub fn search(&self, asked: SearchQuery<'_>) -> SearchFindings {
        let mut found: BTreeMap<usize, (f32, f32)> = BTreeMap::new();
        let mut unmet = Vec::new();
        for (at, query) in asked.queries.iter().take(MOST_QUERIES).enumerate() {
            let (answers, fits) = self.answer(query, asked.backend);
            if !fits {
                unmet.push(at);
            }
            for (position, score) in answers {
                let (best, sum) = found.entry(position).or_default();
                *best = best.max(score);
                *sum += score;
            }
        }
        let of_all = |(position, (best, sum)): (usize, (f32, f32))| SearchHit {
            position,
            score: best + SECOND_QUERY * (sum - best),
        };
        let mut hits: Vec<SearchHit> = found.into_iter().map(of_all).collect();
        hits.sort_by(|one, other| {
            other.score.total_cmp(&one.score).then(one.position.cmp(&other.position))
        });
        SearchFindings { hits, unmet }
    }

    /// Returns what one question finds: position, and score of at most one; and whether that fits.
    fn answer(&self, query: &str, backend: Option<&str>) -> (Vec<(usize, f32)>, bool) {
        let is_wanted = |tool: &IndexedTool| {
            let own = self.backend_name(tool.backend);
            own.is_empty() || backend.is_none_or(|wanted| own == wanted)
        };
        if glob::is_pattern(query) {
            let query: String = query.chars().take(query::MOST_CHARACTERS).collect();
            let named = self.tools().iter().enumerate();
            let named = named.filter(|(_, tool)| {
                is_wanted(tool) && Self::names(tool).any(|name| glob::fits(&query, name))
            });
            let named: Vec<(usize, f32)> = named.map(|(position, _)| (position, 1.0)).collect();
            let fits = !named.is_empty();
            return (named, fits);
        }
        let parsed = query::parse(self, query);
        let mut scores = self.scores(&parsed);
        scores.retain(|(position, _)| self.tools().get(*position).is_some_and(is_wanted));
        for (position, score) in &mut scores {
            let tool = self.tools().get(*position);
            if tool.is_some_and(|it| it.name.eq_ignore_ascii_case(query.trim())) {
                *score += NAMED;
            }
        }
        scores.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let Some((first, best)) = scores.first().copied() else { return (scores, false) };
        let fits = best >= NAMED || self.fits(&parsed, first);
        for (_, score) in &mut scores {
            *score /= best;
        }
        self.put_families_behind(&parsed, &mut scores);
        (scores, fits)
    }

    /// Scores the tools that have any word of a question.
    fn scores(&self, parsed: &ParsedQuery) -> Vec<(usize, f32)> {
        let count = self.tools().len();
        let mut sums = vec![0.0_f32; count];
        let mut covered = vec![0.0_f32; count];
        let mut all = 0.0;
        let mut of_concept = vec![0.0_f32; count];
        let mut things = vec![false; count];
        let mut has_things = false;
        for concept in &parsed.concepts {
            let rarity = self.concept_rarity(concept);
            all += rarity;
            let touched = self.add_concept(concept, &mut of_concept);
            let is_thing = concept.is_thing;
            has_things |= is_thing;
            for tool in touched {
                let at = tool as usize;
                let Some(value) = of_concept.get_mut(at).map(std::mem::take) else { continue };
                if is_thing
                    && value > THING_SHARE * rarity
                    && let Some(thing) = things.get_mut(at)
                {
                    *thing = true;
                }
                if let (Some(sum), Some(covered)) = (sums.get_mut(at), covered.get_mut(at)) {
                    *sum += value;
                    *covered += value.min(rarity);
                }
            }
        }
        all += SAID_WEIGHT * parsed.said.values().copied().fold(0.0, f32::max);
        for (tool, said) in &parsed.said {
            let at = *tool as usize;
            if let (Some(sum), Some(covered)) = (sums.get_mut(at), covered.get_mut(at)) {
                *sum += SAID_WEIGHT * said;
                *covered += SAID_WEIGHT * said;
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
            if has_things && !things.get(*position).copied().unwrap_or_default() {
                *score *= WITHOUT_THING;
            }
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
    pub(crate) fn add_concept(&self, concept: &Concept, values: &mut [f32]) -> Vec<u32> {
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
            let mut together: BTreeMap<u32, (f32, usize)> = BTreeMap::new();
            let part = words.weight / words.stems.len() as f32;
            for stem in &words.stems {
                let weight = part * self.shared_rarity(*stem, common);
                for posting in self.postings(*stem).iter().filter(|it| is_wanted(it.tool)) {
                    let (value, having) = together.entry(posting.tool).or_default();
                    *value += weight * posting.share;
                    *having += 1;
                }
            }
            for (tool, (value, having)) in together {
                // Who has one word of an expression alone means something else, as a rule.
                let share = having as f32 / words.stems.len() as f32;
                raise(values, &mut touched, tool, value * share * share);
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
    pub(crate) fn concept_rarity(&self, concept: &Concept) -> f32 {
        let of_words = concept.alternatives.iter().map(|words| {
            let sum: f32 = words.stems.iter().map(|stem| self.rarity(*stem)).sum();
            words.weight * sum / words.stems.len().max(1) as f32
        });
        of_words.fold(0.0, f32::max)
    }

    /// Returns what share of the name of a tool a question has, or of what people say for it.
    pub(crate) fn named_share(&self, position: usize, weights: &BTreeMap<u32, f32>) -> f32 {
        let Some(tool) = self.tools().get(position) else { return 0.0 };
        let said = tool.keyword_stems.iter().map(|stems| {
            let certainty = match stems.len() {
                1 => ONE_WORD,
                2 => TWO_WORDS,
                _ => 1.0,
            };
            certainty * self.share_of(stems, weights, KEYWORD_POWER)
        });
        said.fold(self.share_of(&tool.name_stems, weights, 1), f32::max)
    }

    /// Returns what share of some stems a question has, the rarer ones counting more.
    fn share_of(&self, stems: &[u32], weights: &BTreeMap<u32, f32>, power: i32) -> f32 {
        let (mut named, mut all) = (0.0, 0.0);
        for stem in stems {
            let rarity = self.rarity(*stem);
            all += rarity;
            named += rarity * weights.get(stem).map_or(0.0, |weight| weight.powi(power));
        }
        if all > 0.0 { named / all } else { 0.0 }
    }

    /// Lowers each tool for which another one of its family stands: the first one, and each whose kind the
    /// question names, stand for themselves.
    fn put_families_behind(&self, parsed: &ParsedQuery, scores: &mut [(usize, f32)]) {
        let weights = stem_weights(&parsed.concepts);
        let is_named = |stems: &[String]| {
            stems.iter().all(|stem| self.stem_id(stem).is_some_and(|id| weights.contains_key(&id)))
        };
        let mut seen: BTreeSet<u32> = BTreeSet::new();
        for (position, score) in scores {
            let Some(family) = self.tools().get(*position).and_then(|it| it.family) else {
                continue;
            };
            let is_first = seen.insert(family);
            let kind = self.family_of(*position).and_then(|family| family.kind(*position));
            if !is_first && !kind.is_some_and(is_named) {
                *score *= BEHIND;
            }
        }
    }
}

/// Makes the value of a tool at least so high.
fn raise(values: &mut [f32], touched: &mut Vec<u32>, tool: u32, value: f32) {
    let Some(known) = values.get_mut(tool as usize) else { return };
    if *known == 0.0 && value > 0.0 {
        touched.push(tool);
    }
    *known = known.max(value);
}

/// Returns the stems of a question with the highest weight of each.
pub(crate) fn stem_weights(concepts: &[Concept]) -> BTreeMap<u32, f32> {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for words in concepts.iter().flat_map(|concept| &concept.alternatives) {
        for stem in &words.stems {
            let weight = weights.entry(*stem).or_default();
            *weight = weight.max(words.weight);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool_text::{BackendWords, ParamText, ToolText};

    fn tool<'a>(name: &'a str, description: &'a str, effect: ToolEffect) -> ToolText<'a> {
        ToolText {
            name: name.into(),
            description: description.into(),
            effect,
            ..ToolText::default()
        }
    }

    fn machines() -> SearchIndex {
        let (reads, changes) = (ToolEffect::Reads, ToolEffect::Changes);
        let mut tools = vec![
            tool("list_vms", "VMs.", reads),
            tool("get_vm", "One VM: CPUs, memory.", reads),
            tool("delete_vm", "Destroy a VM and its disks.", changes),
            tool("snapshot_vm", "Take a VM snapshot.", changes),
            tool("list_vm_snapshots", "VM snapshots.", reads),
            tool("find_vms_without_backup", "VMs whose last backup is old.", reads),
            tool("list_backups", "Stored VM backups.", reads),
            tool("list_networks", "Networks.", reads),
            tool("add_user_to_group", "Put a user into a group.", changes),
        ];
        for kind in [
            "list_vm_alarms",
            "list_host_alarms",
            "list_pool_alarms",
            "list_sr_alarms",
            "list_disk_alarms",
        ] {
            let params = vec![ParamText { name: "id".into(), ..ParamText::default() }];
            tools.push(ToolText { params, ..tool(kind, "Alarms.", reads) });
        }
        let said = vec!["server".into(), "port group".into()];
        let words = BackendWords { backend: "".into(), words: vec![("network".into(), said)] };
        SearchIndex::build(&tools, &[words])
    }

    fn found(index: &SearchIndex, queries: &[&str]) -> Vec<String> {
        let queries: Vec<String> = queries.iter().map(|it| (*it).to_owned()).collect();
        let found = index.search(SearchQuery { queries: &queries, backend: None });
        found.hits.iter().map(|hit| index.tools()[hit.position].name.to_string()).collect()
    }

    fn first(query: &str) -> String {
        found(&machines(), &[query]).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn people_are_understood() {
        for (query, expected) in [
            ("show me all virtual machines", "list_vms"),
            ("please get rid of that machine", "delete_vm"),
            ("Maschine löschen", "delete_vm"),
            ("create a snapshot", "snapshot_vm"),
            ("do we have checkpoints?", "list_vm_snapshots"),
            ("which vms have no backup, i.e. are without backup", "find_vms_without_backup"),
            ("backups of a vm", "list_backups"),
            ("which port groups are there", "list_networks"),
            ("whch snapshto of a vm are there", "list_vm_snapshots"),
            ("get_vm", "get_vm"),
            ("put the user in a group", "add_user_to_group"),
        ] {
            assert_eq!(first(query), expected, "{query}");
        }
        assert!(found(&machines(), &["weather in Paris"]).is_empty());
    }

    #[test]
    fn what_no_tool_does_is_said() {
        let index = machines();
        let unmet = |queries: &[&str]| {
            let queries: Vec<String> = queries.iter().map(|it| (*it).to_owned()).collect();
            index.search(SearchQuery { queries: &queries, backend: None }).unmet
        };
        for query in ["create network", "send invoice", "weather"] {
            assert_eq!(unmet(&[query]), [0], "{query}");
        }
        for query in [
            "delete vm",
            "snapshot a machine",
            "list networks",
            "alarms of a host",
            "*snapshot*",
            "get_vm",
            "I would like to know whether jenkins has any of those snapshots left from Friday",
        ] {
            assert!(unmet(&[query]).is_empty(), "{query}");
        }
        assert_eq!(unmet(&["list networks", "create network", "delete vm"]), [1]);
    }

    #[test]
    fn names_of_single_things_are_not_what_is_asked_for() {
        for (query, expected) in [
            ("delete the machine \"list of networks\"", "delete_vm"),
            ("delete backup-01.example.com, the vm", "delete_vm"),
            ("snapshot of the machine alarms-2", "snapshot_vm"),
            ("delete the machine 'list of networks'", "delete_vm"),
        ] {
            assert_eq!(first(query), expected, "{query}");
        }
    }

    #[test]
    fn words_that_are_meant_as_they_are_written_are_no_misspelt_ones() {
        let (reads, changes) = (ToolEffect::Reads, ToolEffect::Changes);
        let tools = [
            tool("list_waiting_jobs", "Jobs that are waiting.", reads),
            tool("list_disks", "Disks.", reads),
            tool("stop_machine", "Power off a machine.", changes),
            tool("get_user", "What a user may do.", reads),
        ];
        let index = SearchIndex::build(&tools, &[]);
        for (query, expected) in [
            ("which disks are wasting", "list_disks"),
            ("poweroff", "stop_machine"),
            ("fahr die Kiste bitte runter", "stop_machine"),
            ("what may Anna do", "get_user"),
        ] {
            let all = found(&index, &[query]);
            assert_eq!(all.first().map(String::as_str), Some(expected), "{query}");
        }
    }

    #[test]
    fn the_name_of_a_backend_says_where_to_look() {
        let reads = ToolEffect::Reads;
        let of = |name, description| ToolText {
            backend: "xen-orchestra".into(),
            ..tool(name, description, reads)
        };
        let tools = [of("list_groups", "Groups."), of("get_status", "What XO says of Xen.")];
        let index = SearchIndex::build(&tools, &[]);
        assert_eq!(found(&index, &["groups in XO"])[0], "list_groups");
    }

    #[test]
    fn one_word_of_an_expression_is_not_the_expression() {
        let reads = ToolEffect::Reads;
        let tools = [tool("list_groups", "Groups.", reads), tool("list_rules", "Rules.", reads)];
        let index = SearchIndex::build(&tools, &[]);
        // A firewall is a security group to some.
        assert_eq!(found(&index, &["firewall"]), ["list_rules"]);
    }

    #[test]
    fn a_family_takes_one_place_unless_its_kind_is_named() {
        let index = machines();
        let alarms =
            |names: &[String]| names.iter().take(3).filter(|it| it.ends_with("alarms")).count();
        assert_eq!(alarms(&found(&index, &["alarms list vms networks"])), 1);
        assert_eq!(found(&index, &["alarms of a pool"])[0], "list_pool_alarms");
        let both = found(&index, &["alarms of a pool or a host"]);
        assert!(
            both[..2].iter().all(|it| it == "list_pool_alarms" || it == "list_host_alarms"),
            "{both:?}"
        );
    }

    #[test]
    fn several_questions_are_joined() {
        let both = found(&machines(), &["delete a vm", "networks"]);
        let first: Vec<&str> = both.iter().take(2).map(String::as_str).collect();
        assert!(first.contains(&"delete_vm") && first.contains(&"list_networks"), "{both:?}");
        let named = found(&machines(), &["*snapshot*"]);
        assert_eq!(named, ["snapshot_vm", "list_vm_snapshots"]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn any_texts_and_questions_have_an_answer(
            names in proptest::collection::vec("\\PC{0,20}|[a-c]_[a-c]_[a-c]", 0..12),
            description in "\\PC{0,60}",
            queries in proptest::collection::vec("\\PC{0,60}|[a-c]( [a-c*?]){0,9}", 0..15),
        ) {
            let tools: Vec<ToolText<'_>> =
                names.iter().map(|name| tool(name, &description, ToolEffect::Reads)).collect();
            let said = vec![description.as_str().into()];
            let words = vec![(description.as_str().into(), said)];
            let words = [BackendWords { backend: "".into(), words }];
            let index = SearchIndex::build(&tools, &words);
            let asked = SearchQuery { queries: &queries, backend: None };
            let found = index.search(asked);
            let hits = &found.hits;
            proptest::prop_assert!(found.unmet.iter().all(|at| *at < queries.len()));
            proptest::prop_assert!(hits.iter().all(|hit| hit.position < tools.len() && hit.score.is_finite()));
            proptest::prop_assert!(hits.is_sorted_by(|one, other| one.score >= other.score));
            proptest::prop_assert_eq!(index.search(asked), found);
        }
    }
}
