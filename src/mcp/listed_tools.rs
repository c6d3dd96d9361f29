//! The list of tools, as JSON text from the catalog where that can be sent as it is.
//!
//! The protocol library takes a list by value, each tool with a tree for its schema, and writes it. Those trees
//! would be the largest part of what a catalog takes, so that they are made only where values are wanted: a list
//! that goes out on lines is put into its message as text.

use std::sync::OnceLock;

use dadl_text::json::writer;
use rmcp::model::{Tool, ToolAnnotations};
use serde::{Serialize, Serializer, ser::SerializeSeq as _};
use serde_json::{Map, Value, value::RawValue};

use super::{builtin::BuiltinTool, tools};
use crate::catalog::{Catalog, CatalogEntry};

/// A tool of the list.
#[derive(Debug, Clone, Copy)]
pub(super) enum ListedItem {
    /// That of the catalog at this place.
    Entry(usize),
    /// One of the server itself.
    Builtin(BuiltinTool),
}

/// What hosts see, in its order; the tools of the catalog are not copied.
#[derive(Debug, Default)]
pub(super) struct ListedTools {
    items: Box<[ListedItem]>,
    /// The tools as values, once somebody wanted these.
    values: OnceLock<Vec<Tool>>,
}

/// Marks a request that came on a line: a list that answers it is put into its message as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakesText;

impl FromIterator<ListedItem> for ListedTools {
    fn from_iter<T: IntoIterator<Item = ListedItem>>(items: T) -> Self {
        Self { items: items.into_iter().collect(), values: OnceLock::new() }
    }
}

impl ListedTools {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns the tools as values.
    pub(super) fn values(&self, catalog: &Catalog) -> &[Tool] {
        self.values.get_or_init(|| {
            let mut tools = Vec::with_capacity(self.len());
            tools.extend(self.items.iter().filter_map(|item| item.value(catalog)));
            tools
        })
    }

    /// Returns what each tool is.
    pub(super) fn items(&self) -> &[ListedItem] {
        &self.items
    }

    /// Returns whether hosts see the same of both.
    pub(super) fn is_same(&self, catalog: &Catalog, other: &Self, others: &Catalog) -> bool {
        self.len() == other.len() && self.text(catalog) == other.text(others)
    }

    /// Returns the list as JSON text.
    pub(super) fn text(&self, catalog: &Catalog) -> String {
        let all = AllTools { items: &self.items, catalog };
        // Invariant: names, texts and schemas are JSON, and JSON is UTF-8.
        let text = writer::json_bytes(&all).expect("tools can be written as JSON");
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}

impl ListedItem {
    fn value(self, catalog: &Catalog) -> Option<Tool> {
        match self {
            Self::Entry(at) => catalog.entries().get(at).map(tools::mcp_tool),
            Self::Builtin(builtin) => Some(builtin.tool()),
        }
    }
}

/// The tools of a list, to be written.
struct AllTools<'list> {
    items: &'list [ListedItem],
    catalog: &'list Catalog,
}

impl Serialize for AllTools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.items.len()))?;
        for item in self.items {
            match item {
                ListedItem::Builtin(builtin) => all.serialize_element(&builtin.tool())?,
                ListedItem::Entry(at) => {
                    if let Some(entry) = self.catalog.entries().get(*at) {
                        all.serialize_element(&ListedEntry::of(entry))?;
                    }
                }
            }
        }
        all.end()
    }
}

/// A tool of the catalog, written as the protocol library writes what [`tools::mcp_tool`] makes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedEntry<'entry> {
    name: &'entry str,
    title: &'entry str,
    description: &'entry str,
    input_schema: &'entry RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'entry Map<String, Value>>,
    annotations: ToolAnnotations,
}

impl<'entry> ListedEntry<'entry> {
    fn of(entry: &'entry CatalogEntry) -> Self {
        Self {
            name: &entry.name,
            title: &entry.title,
            description: &entry.description,
            input_schema: &entry.schema_text,
            output_schema: entry.output.as_ref().map(|output| &**output.schema()),
            annotations: tools::annotations(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::fixture;

    #[test]
    fn the_text_is_what_the_library_writes_of_the_values() {
        let mut described =
            fixture::tool("POST", "/a/{id}", &["id:path:string!", "n:body:integer=1"]);
        described.name = "described".to_owned();
        let returns = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        described.returns = Some(Box::new(returns));
        let plain = fixture::tool("GET", "/b", &["list:query:array", "any:query:any"]);
        let catalog = fixture::catalog(vec![described, plain]);
        assert!(catalog.entries()[0].output.is_some());
        let mut items: Vec<ListedItem> =
            (0..catalog.entries().len()).map(ListedItem::Entry).collect();
        items.push(ListedItem::Builtin(BuiltinTool::ApiSearch));
        items.push(ListedItem::Builtin(BuiltinTool::TaskList));
        for most in 0..=items.len() {
            let listed: ListedTools = items.iter().take(most).copied().collect();
            let values = serde_json::to_string(listed.values(&catalog)).unwrap();
            assert_eq!((listed.text(&catalog), listed.len()), (values, most));
        }
    }
}
