//! Words that people have for what a descriptor describes (`_dadl_mcp.keywords`).

use std::collections::BTreeMap;

/// What a search knows besides the texts of the tools; nobody is shown it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchKeywords {
    /// Words of the file, each with what people say for it, in the order of the file.
    pub words: Vec<(String, Vec<String>)>,
    /// What people say for what single tools and composites do, by their names.
    pub tools: BTreeMap<String, Vec<String>>,
}
