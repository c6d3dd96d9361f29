//! Parameters that a question names. Some of them are in no list: few need them, but whoever looks for one finds
//! it.

use std::collections::BTreeSet;

use dadl_descriptor::model::ParamRole;
use dadl_text::names::split_words;

use crate::catalog::{CatalogEntry, EntryParam};

/// Returns those of a tool.
pub(super) fn unlisted_params(entry: &CatalogEntry) -> impl Iterator<Item = &EntryParam> {
    entry.params.iter().filter(|known| !known.listed && is_passed(known))
}

/// Returns whether a parameter is for the API and not for this program.
pub(super) fn is_passed(known: &EntryParam) -> bool {
    !known.param.fixed && matches!(known.param.role, ParamRole::Sent(_) | ParamRole::Script)
}

/// The words of questions.
pub(super) struct AskedWords(Vec<BTreeSet<String>>);

impl AskedWords {
    /// Reads them.
    pub(super) fn of(queries: &[String]) -> Self {
        Self(queries.iter().map(|query| small_words(query).collect()).collect())
    }

    /// Returns the names of parameters of a tool that no list has, and whose words one of the questions has.
    pub(super) fn unlisted<'entry>(&self, entry: &'entry CatalogEntry) -> Vec<&'entry str> {
        let is_asked = |known: &&EntryParam| {
            self.0
                .iter()
                .any(|asked| small_words(&known.property).all(|word| asked.contains(&word)))
        };
        unlisted_params(entry).filter(is_asked).map(|known| known.property.as_str()).collect()
    }

    /// Returns whether one of the questions has the words of a parameter, several of them: what takes a
    /// `startDelay` does what somebody looks for who asks for a start delay.
    pub(super) fn name_param_of(&self, entry: &CatalogEntry) -> bool {
        (0..self.0.len()).any(|at| self.names_param_of(at, entry))
    }

    /// Returns whether the question at a position does.
    pub(super) fn names_param_of(&self, at: usize, entry: &CatalogEntry) -> bool {
        let Some(asked) = self.0.get(at).filter(|asked| asked.len() > 1) else { return false };
        entry.params.iter().filter(|known| is_passed(known)).any(|known| {
            let words: Vec<String> = small_words(&known.property).collect();
            words.len() > 1 && words.iter().all(|word| asked.contains(word))
        })
    }
}

fn small_words(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|letter: char| !letter.is_alphanumeric());
    let words = parts.filter(|part| !part.is_empty()).flat_map(split_words);
    words.map(|word| word.to_lowercase())
}
