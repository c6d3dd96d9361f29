//! Words that people have for what a descriptor describes (`_dadl_mcp.keywords`).

use std::collections::BTreeMap;

/// What a search knows besides the texts of the tools; nobody is shown it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchKeywords {
    /// Words of the file, each with what people say for it, in the order of the file. A text may have several words
    /// and expressions with commas between them, which [`said_words`] parts.
    pub words: Vec<(String, Vec<String>)>,
    /// What people say for what single tools and composites do, by their names; as in `words`.
    pub tools: BTreeMap<String, Vec<String>>,
}

/// Returns each word and expression of texts that have them with commas between them.
pub fn said_words(said: &[String]) -> impl Iterator<Item = &str> {
    said.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty())
}
