//! How a list is read in pages.

use http::HeaderName;

use crate::model::{condition::AnswerCondition, json_path::JsonPath};

/// How a list is read in pages.
#[derive(Debug, Clone)]
pub struct Pagination {
    /// Who asks for the pages after the first.
    pub behavior: PageBehavior,
    /// How pages are named.
    pub strategy: PageStrategy,
    /// The query parameter that bounds a page, when there is one.
    pub limit_param: Option<String>,
    /// Sent as the bound when the caller gives none.
    pub limit_default: Option<u64>,
    /// Says whether there is another page.
    pub has_more: Option<AnswerCondition>,
    /// The header field that holds the number of pages.
    pub total_pages: Option<HeaderName>,
    /// The header field that holds the number of items on all pages.
    pub total_count: Option<HeaderName>,
}

/// Who asks for the pages after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageBehavior {
    /// The runtime, which joins them.
    Auto {
        /// It stops after this many pages, and says so.
        max_pages: u32,
    },
    /// The caller, page by page.
    Expose,
}

/// How pages are named.
#[derive(Debug, Clone)]
pub enum PageStrategy {
    /// An opaque cursor from the previous answer.
    Cursor {
        /// The query parameter that takes it.
        param: Option<String>,
        /// Where an answer holds the next one.
        next: Option<JsonPath>,
    },
    /// `Link: <..>; rel="next"` (RFC 8288).
    LinkHeader {
        /// The query parameter of the target that names the page.
        param: Option<String>,
    },
    /// The number of items to skip.
    Offset {
        /// The query parameter that takes it.
        param: Option<String>,
    },
    /// The number of the page, from 1.
    Page {
        /// The query parameter that takes it.
        param: Option<String>,
    },
}

impl PageStrategy {
    /// Returns the query parameter that says which page is meant.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Cursor { param, .. }
            | Self::LinkHeader { param }
            | Self::Offset { param }
            | Self::Page { param } => param.as_deref(),
        }
    }
}
