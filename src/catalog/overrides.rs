//! What the operator says of single tools, and what hosts see because of it.
//!
//! The words of the operator take the place of those of a descriptor or of another MCP server. A level and
//! fixed values are in the tools already when entries are made, since they count for whatever looks at a
//! tool; names, titles, descriptions and annotations are put on the entry. Annotations are for hosts: what
//! this program decides, it decides by [`CatalogEntry::annotations`].

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use dadl_descriptor::model::AccessLevel;
use dadl_text::text::cut_prose;

use super::{
    CatalogEntry, CatalogOperation, ProposedHints, ToolHints,
    description::{self, DESCRIPTION_MAX, TITLE_MAX},
};

/// What the operator says of one tool, as far as it is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedOverride {
    /// What hosts call it, instead of its own name.
    pub name: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its level, where the operator gave one.
    pub level: Option<OverruledLevel>,
    /// How hosts are told that it behaves.
    pub hints: ProposedHints,
    /// The parameters with fixed values, by their names on the wire.
    pub hidden: Vec<String>,
    /// What people say for what it does.
    pub keywords: Vec<String>,
}

/// A level of the operator, and the one that counted without it; `None` is `unclassified`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverruledLevel {
    /// What counts.
    pub level: Option<AccessLevel>,
    /// What the descriptor says, or `levels`.
    pub original: Option<AccessLevel>,
}

/// What the operator says of the tools of one backend, by the names that these have there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedOverrides(pub BTreeMap<String, Arc<AppliedOverride>>);

impl AppliedOverrides {
    /// Returns what is said of a tool.
    pub fn of(&self, tool: &str) -> Option<&Arc<AppliedOverride>> {
        self.0.get(tool)
    }

    /// Returns the name from which that for hosts is made.
    pub(super) fn shown_name<'a>(&'a self, tool: &'a str) -> &'a str {
        self.of(tool).and_then(|it| it.name.as_deref()).unwrap_or(tool)
    }

    /// Takes back the names that another tool has; returns these, with the tools that were to get them.
    pub(crate) fn drop_taken_names<'tool>(
        &mut self,
        tools: impl Iterator<Item = &'tool str> + Clone,
    ) -> Vec<(String, String)> {
        let mut dropped = Vec::new();
        loop {
            let mut seen = HashSet::new();
            let shown = tools.clone().map(|tool| self.shown_name(tool).to_owned());
            let twice: HashSet<String> = shown.filter(|name| !seen.insert(name.clone())).collect();
            let mut is_done = true;
            for (tool, said) in &mut self.0 {
                if said.name.as_ref().is_some_and(|name| twice.contains(name)) {
                    let name = Arc::make_mut(said).name.take();
                    dropped.extend(name.map(|name| (tool.clone(), name)));
                    // What was renamed has its own name again, which may be in use by now.
                    is_done = false;
                }
            }
            if is_done {
                return dropped;
            }
        }
    }
}

impl AppliedOverride {
    /// Puts the texts of the operator on an entry.
    pub(super) fn put_on(self: &Arc<Self>, entry: &mut CatalogEntry) {
        let cleaned = |text: &Option<String>, most: usize| {
            let text = description::collapse_spaces(text.as_deref()?);
            (!text.is_empty()).then(|| cut_prose(&text, most).0.into_owned())
        };
        if let Some(title) = cleaned(&self.title, TITLE_MAX) {
            entry.title = title;
        }
        if let Some(description) = cleaned(&self.description, DESCRIPTION_MAX) {
            entry.description = description;
        }
        entry.overridden = Some(Arc::clone(self));
    }

    /// Returns whether anything is said of how the tool behaves.
    pub fn has_hints(&self) -> bool {
        self.hints != ProposedHints::default()
    }

    /// Returns the keys of `overrides` that are in force, in the order of the documentation.
    pub fn keys(&self) -> Vec<&'static str> {
        let all = [
            (self.name.is_some(), "name"),
            (self.title.is_some(), "title"),
            (self.description.is_some(), "description"),
            (self.level.is_some(), "level"),
            (self.has_hints(), "annotations"),
            (!self.hidden.is_empty(), "hidden"),
            (!self.keywords.is_empty(), "keywords"),
        ];
        all.into_iter().filter(|(is_said, _)| *is_said).map(|(_, key)| key).collect()
    }
}

impl CatalogEntry {
    /// Returns what the operator says of the tool (`overrides`).
    pub fn overridden(&self) -> Option<&AppliedOverride> {
        self.overridden.as_deref()
    }

    /// Returns the behavior hints that hosts get: the operator's word goes before what the level and the
    /// request say. Nothing else is decided by them.
    pub fn listed_annotations(&self) -> ToolHints {
        let own = self.annotations;
        let Some(AppliedOverride { hints, .. }) = self.overridden() else { return own };
        ToolHints {
            read_only: hints.read_only.unwrap_or(own.read_only),
            destructive: hints.destructive.unwrap_or(own.destructive),
            idempotent: hints.idempotent.unwrap_or(own.idempotent),
            open_world: hints.open_world.unwrap_or(own.open_world),
        }
    }

    /// Returns whether the operator says that a second call changes nothing more: then a call may be
    /// repeated of which nobody knows whether it was carried out.
    pub fn is_idempotent_by_operator(&self) -> bool {
        self.overridden().is_some_and(|it| it.hints.idempotent == Some(true))
    }

    /// Returns the title that hosts would see without the operator's.
    pub fn original_title(&self) -> String {
        description::operation_title(self.operation())
    }

    /// Returns the description that hosts would see without the operator's.
    pub fn original_description(&self) -> String {
        description::tool_description(self.operation(), None)
    }

    /// Returns the arguments' parameters that a caller may give.
    pub fn given_params(&self) -> impl Iterator<Item = &super::EntryParam> {
        self.params.iter().filter(|known| !known.param.fixed)
    }

    /// Returns those with fixed values, which a caller neither sees nor gives.
    pub fn fixed_params(&self) -> impl Iterator<Item = &super::EntryParam> {
        self.params.iter().filter(|known| known.param.fixed)
    }

    /// Says whose the tool is besides the operator's, for people.
    pub fn author(&self) -> &'static str {
        match self.operation() {
            CatalogOperation::Server(_) => "the server",
            CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => "the descriptor",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[(&str, &str)]) -> AppliedOverrides {
        let said = |name: &str| AppliedOverride { name: Some(name.into()), ..Default::default() };
        let all = names.iter().map(|(tool, name)| ((*tool).to_owned(), Arc::new(said(name))));
        AppliedOverrides(all.collect())
    }

    #[test]
    fn a_name_that_another_tool_has_is_taken_back() {
        let dropped = |names: &[(&str, &str)]| {
            let mut overrides = named(names);
            let dropped = overrides.drop_taken_names(["a", "b", "c"].into_iter());
            dropped.into_iter().map(|(tool, _)| tool).collect::<Vec<_>>()
        };
        assert_eq!(dropped(&[("a", "x")]), Vec::<String>::new());
        assert_eq!(dropped(&[("a", "b"), ("b", "a")]), Vec::<String>::new());
        assert_eq!(dropped(&[("a", "b")]), ["a"]);
        assert_eq!(dropped(&[("a", "x"), ("b", "x")]), ["a", "b"]);
        // One that gets its own name back may take it from another.
        assert_eq!(dropped(&[("a", "b"), ("b", "c")]), ["b", "a"]);
    }
}
