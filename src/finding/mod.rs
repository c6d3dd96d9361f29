//! Finding the tools that a model needs: it asks in words, and reads how to call them.
//!
//! The catalog is listed in full only where it is small. What stands here takes questions and gives
//! signatures, as many as fit a budget; the index behind it ([`dadl_search`]) is built when the first
//! question comes, since a session that asks none needs none.

mod answer;
mod asked_params;
mod builtin;
mod choice;
mod finder;
mod fold;
mod indexed;
mod members;
mod request;
mod result_type;
mod signature;
#[cfg(test)]
mod tests;
mod texts;

pub use self::{
    builtin::BuiltinText,
    finder::ToolFinder,
    request::{
        DEFAULT_BUDGET, FoundTool, MOST_BUDGET, MOST_QUERIES, SearchAnswer, SearchDetail,
        SearchRequest, as_queries, queries_expected,
    },
};
