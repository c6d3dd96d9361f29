//! What is looked for, and what was found.

pub use dadl_search::MOST_QUERIES;
use serde_json::Value;

/// Reads the questions of one search: a text, or a list of as many as are answered at once.
pub fn as_queries(value: Value) -> Option<Vec<String>> {
    let queries = match value {
        Value::String(text) => vec![text],
        Value::Array(items) => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Some(text),
                _ => None,
            });
            texts.collect::<Option<_>>()?
        }
        _ => return None,
    };
    (1..=MOST_QUERIES).contains(&queries.len()).then_some(queries)
}

/// Says what [`as_queries`] reads.
pub fn queries_expected() -> String {
    format!("a list of 1 to {MOST_QUERIES} texts")
}

/// An answer has so many tokens where nobody says how many.
pub const DEFAULT_BUDGET: usize = 1_500;
/// An answer has no more tokens than that, whatever is asked for.
pub const MOST_BUDGET: usize = 20_000;
/// An answer may always have so many tokens.
pub(super) const LEAST_BUDGET: usize = 200;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// Questions, words, names or patterns of names (`*snapshot*`); what one of them finds is found.
    pub queries: Vec<String>,
    /// Only tools of this backend.
    pub only_backend: Option<String>,
    /// About how many tokens the answer may have.
    pub budget: usize,
    /// How much is said of each tool.
    pub detail: SearchDetail,
}

impl SearchRequest {
    /// Makes a request that says nothing but what is looked for.
    pub fn new(queries: Vec<String>) -> Self {
        Self {
            queries,
            only_backend: None,
            budget: DEFAULT_BUDGET,
            detail: SearchDetail::default(),
        }
    }
}

/// How much is said of each tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchDetail {
    /// A signature on a line.
    #[default]
    Signatures,
    /// Whole descriptions, and what is said of each parameter.
    Full,
    /// Names alone.
    Names,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchAnswer {
    /// What a model reads.
    pub text: String,
    /// The tools that the text tells of, the best first; those that are not available, which the text says,
    /// come behind those that have a signature.
    pub tools: Vec<FoundTool>,
}

/// A tool that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundTool {
    /// The entry of the catalog at this position.
    Entry(usize),
    /// The tool of the program at this position of those that were given.
    Builtin(usize),
}
