//! Finds tools by what people say.

use std::sync::Arc;

use crate::catalog::{Catalog, CatalogEntry};

/// Finds tools.
#[derive(Debug)]
pub struct ToolFinder {
    catalog: Arc<Catalog>,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// In words.
    pub queries: Vec<String>,
    /// The backend to look at, when it is one only.
    pub only_backend: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// Signatures, names and counts.
    pub text: String,
}

impl ToolFinder {
    /// Finds tools of `catalog`.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// Finds tools.
    pub fn search(&self, request: &SearchRequest) -> SearchAnswer {
        let words: Vec<&str> = request.queries.iter().flat_map(|it| it.split(' ')).collect();
        let found =
            self.catalog.listed().filter(|it| words.iter().any(|word| it.name.contains(word)));
        let lines: Vec<String> = found.take(10).map(|it| self.signature(it)).collect();
        SearchAnswer { text: lines.join("\n") }
    }

    /// Describes a tool.
    pub fn describe(&self, name: &str) -> Option<String> {
        self.catalog.find(name).map(|it| self.signature(it))
    }

    /// Returns the signature of a tool in a line.
    pub fn signature(&self, entry: &CatalogEntry) -> String {
        format!("{}(..)", entry.name)
    }
}
