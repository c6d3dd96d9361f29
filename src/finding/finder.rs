//! Finds tools, and says how they are called.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use dadl_search::{SearchHit, SearchQuery};

use super::{
    answer::{self, AskedFor},
    asked_params::AskedWords,
    builtin::BuiltinText,
    indexed::IndexedTools,
    request::{LEAST_BUDGET, MOST_BUDGET, SearchAnswer, SearchRequest},
    signature::{self, SignatureRoom},
};
use crate::{
    access::AccessDecision,
    catalog::{Catalog, CatalogEntry},
};

/// Finds tools, and says how they are called.
#[derive(Debug)]
pub struct ToolFinder {
    catalog: Arc<Catalog>,
    builtins: Arc<[BuiltinText]>,
    indexed: OnceLock<IndexedTools>,
}

/// How much more a tool counts that takes a parameter which a question names.
const NAMED_PARAM: f32 = 1.6;
/// So many of the best are looked at for that.
const MOST_RAISED: usize = 40;

/// Raises the tools that take a parameter which a question names.
fn raise_named(tools: &IndexedTools, words: &AskedWords, hits: &mut [SearchHit]) {
    for hit in hits.iter_mut().take(MOST_RAISED) {
        if tools.entry(hit.position).is_some_and(|entry| words.name_param_of(entry)) {
            hit.score *= NAMED_PARAM;
        }
    }
    hits.sort_by(|one, other| other.score.total_cmp(&one.score));
}

impl ToolFinder {
    /// Makes a finder of the tools that are listed, which says of those that the server lacks why they are not;
    /// nothing is read before the first question.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, builtins: Arc::new([]), indexed: OnceLock::new() }
    }

    /// Has tools of the program itself found as well.
    pub fn with_builtins(self, builtins: Vec<BuiltinText>) -> Self {
        Self { builtins: builtins.into(), indexed: OnceLock::new(), ..self }
    }

    /// Finds the tools that the questions are about.
    pub fn search(&self, request: &SearchRequest) -> SearchAnswer {
        let backend = request.only_backend.as_deref();
        let is_known = |wanted: &str| self.catalog.listed().any(|it| *it.backend_name == *wanted);
        if backend.is_some_and(|wanted| !is_known(wanted)) {
            return SearchAnswer { text: self.nothing(request), tools: Vec::new() };
        }
        let tools = self.indexed();
        let found = tools.index.search(SearchQuery { queries: &request.queries, backend });
        let (mut hits, mut unmet) = (found.hits, found.unmet);
        let words = AskedWords::of(&request.queries);
        raise_named(tools, &words, &mut hits);
        let first = hits.first().and_then(|hit| tools.entry(hit.position));
        unmet.retain(|at| !first.is_some_and(|entry| words.names_param_of(*at, entry)));
        // Who asks for tools by their names wants these and no others.
        if let Some(names) = self.asked_names(&request.queries) {
            let is_asked = |name: &str| names.contains(&name);
            hits.retain(|hit| tools.found(hit.position).is_some_and(|it| is_asked(tools.name(it))));
            unmet.clear();
        }
        if hits.is_empty() {
            return SearchAnswer { text: self.nothing(request), tools: Vec::new() };
        }
        let asked = AskedFor {
            queries: &request.queries,
            words: &words,
            unmet: &unmet,
            budget: request.budget.clamp(LEAST_BUDGET, MOST_BUDGET),
            detail: request.detail,
        };
        answer::write(tools, &hits, &asked)
    }

    /// Returns the names that the questions are made of; `None` when they have other words.
    fn asked_names<'query>(&self, queries: &'query [String]) -> Option<Vec<&'query str>> {
        let is_blank = |it: char| it == ',' || it == ';' || it.is_whitespace();
        let words = queries.iter().flat_map(|query| query.split(is_blank));
        let names: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let is_name = |name: &&str| {
            // A plain word is a question, even where a tool is called so.
            name.contains('_')
                && (self.catalog.find(name).is_some_and(|it| it.is_listed() || it.is_left_out())
                    || self.builtins.iter().any(|it| it.name == **name))
        };
        (!names.is_empty() && names.iter().all(is_name)).then_some(names)
    }

    /// Says all about one tool; `None` when no tool of this name may be called. The name is the listed one,
    /// or that of the descriptor behind the backend's and a dot.
    pub fn describe(&self, name: &str) -> Option<String> {
        let builtin = self.builtins.iter().find(|it| it.name == name);
        if let Some(builtin) = builtin {
            return Some(builtin.signature.clone());
        }
        let declared = || {
            let (backend, declared) = name.split_once('.')?;
            let is_meant = |entry: &&CatalogEntry| {
                *entry.backend_name == *backend && entry.declared_name() == declared
            };
            self.catalog.entries().iter().find(is_meant)
        };
        let entry = self.catalog.find(name).or_else(declared)?;
        (entry.decision == AccessDecision::Allow)
            .then(|| signature::signature(entry, SignatureRoom::Full))
    }

    /// Says in a line how a tool is called.
    pub fn signature(&self, entry: &CatalogEntry) -> String {
        signature::signature(entry, SignatureRoom::Line)
    }

    fn indexed(&self) -> &IndexedTools {
        self.indexed.get_or_init(|| {
            IndexedTools::read(Arc::clone(&self.catalog), Arc::clone(&self.builtins))
        })
    }

    /// Says that nothing was found, and what there is.
    fn nothing(&self, request: &SearchRequest) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.catalog.listed() {
            *counts.entry(&entry.backend_name).or_default() += 1;
        }
        let of: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} ({count} tools)")).collect();
        let of = of.join(", ");
        match &request.only_backend {
            Some(backend) if !counts.contains_key(backend.as_str()) => {
                format!("There is no backend of that name. Backends: {of}.\n")
            }
            _ if counts.is_empty() => "No tool may be called.\n".to_owned(),
            _ => format!(
                "Nothing found. Ask with other words: what is to be done, and to what thing. There are: {of}.\n"
            ),
        }
    }
}
