//! The index of the tools, and what its positions stand for.

use std::sync::Arc;

use dadl_search::{SearchIndex, ToolText};

use super::{
    asked_params::AskedWords,
    builtin::BuiltinText,
    request::FoundTool,
    signature::{self, SignatureRoom},
    texts,
};
use crate::catalog::{Catalog, CatalogEntry, EntryParam, UnlistedReason};

/// The tools that can be found.
#[derive(Debug)]
pub(super) struct IndexedTools {
    catalog: Arc<Catalog>,
    builtins: Arc<[BuiltinText]>,
    /// The index of their texts.
    pub(super) index: SearchIndex,
    tools: Vec<FoundTool>,
}

/// Returns the name of a parameter that is a filter in a language, and how that is written.
fn filter_of(param: &EntryParam) -> Option<(&str, &str)> {
    let rules = param.param.rules.as_ref().filter(|_| param.listed)?;
    Some((&param.property, &rules.language.as_ref()?.said))
}

impl IndexedTools {
    /// Reads the texts of all tools that are listed, and of those that would be if the server had them.
    pub(super) fn read(catalog: Arc<Catalog>, builtins: Arc<[BuiltinText]>) -> Self {
        let entries = catalog.entries().iter().enumerate();
        let listed = entries.filter(|(_, entry)| entry.is_listed() || entry.is_left_out());
        let (mut tools, mut texts): (Vec<FoundTool>, Vec<ToolText<'_>>) =
            listed.map(|(at, entry)| (FoundTool::Entry(at), texts::tool_text(entry))).unzip();
        for (at, builtin) in builtins.iter().enumerate() {
            tools.push(FoundTool::Builtin(at));
            texts.push(texts::builtin_text(builtin));
        }
        let words = texts::backend_words(&catalog);
        let index = SearchIndex::build(&texts, &words);
        Self { catalog, builtins, index, tools }
    }

    /// Returns what stands at a position of the index.
    pub(super) fn found(&self, position: usize) -> Option<FoundTool> {
        self.tools.get(position).copied()
    }

    /// Returns the tool of an API that stands at a position of the index.
    pub(super) fn entry(&self, position: usize) -> Option<&CatalogEntry> {
        match self.found(position)? {
            FoundTool::Entry(at) => self.catalog.entries().get(at),
            FoundTool::Builtin(_) => None,
        }
    }

    /// Returns what the server lacks, or may lack, for the tool at a position of the index.
    pub(super) fn absence(&self, position: usize) -> Option<&UnlistedReason> {
        self.entry(position)?.absence.as_ref()
    }

    /// Returns the name by which a tool is called.
    pub(super) fn name(&self, found: FoundTool) -> &str {
        match found {
            FoundTool::Entry(at) => self.catalog.entries().get(at).map(|it| it.name.as_str()),
            FoundTool::Builtin(at) => self.builtins.get(at).map(|it| it.name.as_str()),
        }
        .unwrap_or_default()
    }

    /// Returns the parameters of a tool that are filters in a language, and how that is written.
    pub(super) fn filters(&self, found: FoundTool) -> Vec<(&str, &str)> {
        let FoundTool::Entry(at) = found else { return Vec::new() };
        let params = self.catalog.entries().get(at).map(|entry| entry.params.iter());
        params.into_iter().flatten().filter_map(filter_of).collect()
    }

    /// Returns the parameters of a tool that no list has and one of the questions names.
    pub(super) fn unlisted(&self, found: FoundTool, words: &AskedWords) -> Vec<&str> {
        let FoundTool::Entry(at) = found else { return Vec::new() };
        let entry = self.catalog.entries().get(at);
        entry.map(|entry| words.unlisted(entry)).unwrap_or_default()
    }

    /// Writes how a tool is called.
    pub(super) fn signature(&self, found: FoundTool, room: SignatureRoom) -> String {
        match found {
            FoundTool::Entry(at) => {
                let entry = self.catalog.entries().get(at);
                entry.map(|entry| signature::signature(entry, room)).unwrap_or_default()
            }
            FoundTool::Builtin(at) => {
                self.builtins.get(at).map(|it| it.signature.clone()).unwrap_or_default()
            }
        }
    }
}
