//! Which tools a host sees: each one, or a few that find and call the others.

use super::{
    builtin::BuiltinTool,
    listed_tools::{ListedItem, ListedTools},
};
use crate::{config::Surface, gate::Gate};

/// What the operator says about the tools that hosts see.
#[derive(Debug, Clone, Default)]
pub struct ShownTools {
    /// Each one, or a few.
    pub surface: Surface,
    /// The names of those that are seen beside a few.
    pub exposed: Vec<String>,
}

/// What a model reads of a listed tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON text.
    pub schema: String,
}

/// What hosts see, and which built-in tools can be called.
pub(super) struct ToolList {
    pub(super) tools: ListedTools,
    pub(super) builtins: Vec<BuiltinTool>,
    /// Whether tools are found by a search.
    pub(super) is_compact: bool,
}

impl ShownTools {
    /// Returns whether hosts see a few tools that find the others.
    pub fn is_compact(&self, gate: &Gate) -> bool {
        let catalog = gate.catalog();
        let (count, bytes) = match self.surface {
            // The size of a list is found out only where it decides.
            Surface::Auto => (catalog.listed().count(), catalog.listed().map(size_of_tool).sum()),
            Surface::Tools | Surface::Compact => (0, 0),
        };
        self.surface.is_compact(count, bytes)
    }

    /// Returns whether there is a tool for calls with an effect, and one for scripts that change something.
    pub(crate) fn changes(&self, gate: &Gate) -> (bool, bool) {
        let few = BuiltinTool::of_compact(gate);
        (few.contains(&BuiltinTool::ApiChange), few.contains(&BuiltinTool::ApiScript))
    }

    /// Returns what a model reads of each listed tool. How hosts put it together differs between them.
    pub fn texts(&self, gate: &Gate) -> Vec<ListedTool> {
        let listing = |item: &ListedItem| match item {
            ListedItem::Entry(at) => {
                let entry = gate.catalog().entries().get(*at)?;
                Some(ListedTool {
                    name: entry.name.clone(),
                    description: entry.description.clone(),
                    schema: entry.schema_text.get().to_owned(),
                })
            }
            ListedItem::Builtin(builtin) => {
                let tool = builtin.tool();
                Some(ListedTool {
                    name: tool.name.to_string(),
                    description: tool.description.map(String::from).unwrap_or_default(),
                    schema: serde_json::json!(&*tool.input_schema).to_string(),
                })
            }
        };
        self.list(gate).tools.items().iter().filter_map(listing).collect()
    }

    /// Makes the list of hosts.
    pub(super) fn list(&self, gate: &Gate) -> ToolList {
        let mut builtins = BuiltinTool::needed(gate);
        let catalog = gate.catalog();
        if !self.is_compact(gate) {
            let built_in = builtins.iter().copied().map(ListedItem::Builtin);
            let tools = catalog.listed_places().map(ListedItem::Entry).chain(built_in).collect();
            return ToolList { tools, builtins, is_compact: false };
        }
        let few = BuiltinTool::of_compact(gate);
        let is_exposed = |at: &usize| {
            let entry = catalog.entries().get(*at);
            entry.is_some_and(|entry| self.exposed.contains(&entry.name))
        };
        let exposed = catalog.listed_places().filter(is_exposed).map(ListedItem::Entry);
        let tools = few.iter().copied().map(ListedItem::Builtin).chain(exposed).collect();
        if few.contains(&BuiltinTool::ApiScript) && !builtins.contains(&BuiltinTool::TaskList) {
            // It tells what scripts have changed.
            builtins.push(BuiltinTool::TaskList);
        }
        builtins.splice(0..0, few);
        ToolList { tools, builtins, is_compact: true }
    }
}

/// Returns about how many bytes a tool takes in a list.
fn size_of_tool(entry: &crate::catalog::CatalogEntry) -> usize {
    entry.name.len() + entry.description.len() + entry.schema_text.get().len()
}
