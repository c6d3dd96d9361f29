//! How a 2xx answer becomes a result.

use std::time::Duration;

use crate::{jq::JqFilter, model::json_path::JsonPath};

/// How a 2xx answer becomes a result.
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// Where in the body the result is.
    pub result_path: Option<JsonPath>,
    /// Makes the result of what `result_path` selects; it compiles.
    pub transform: Option<JqFilter>,
    /// Whether a caller may pass a jq program of its own, which sees the redacted result.
    pub allow_jq: bool,
    /// Values that nobody sees: the defaults' and the tool's together.
    pub redact: Vec<JsonPath>,
    /// Lists longer than this are cut, and say so.
    pub max_items: Option<usize>,
    /// The body goes to a file instead of into the result (`binary: true`, `type: file_url`).
    pub binary: bool,
    /// How long that file is kept.
    pub ttl: Option<Duration>,
    /// The content type that the author expects.
    pub content_type: Option<String>,
    /// How an answer without an end is read.
    pub streaming: StreamRules,
    /// Whether the answer goes to a private file and to nobody (`_dadl_mcp.private`).
    pub is_private: bool,
}

impl ResponseRules {
    /// Returns whether the author says that the answer is a stream whose items are read.
    pub fn is_stream(&self) -> bool {
        let StreamRules { is_declared, handling, .. } = self.streaming;
        is_declared && handling == StreamHandling::Collect && !self.binary
    }
}

/// How a stream of events or lines is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamRules {
    /// Whether the author says that the answer is a stream; others are seen by their content type.
    pub is_declared: bool,
    /// What is done with it.
    pub handling: StreamHandling,
    /// How long items are collected.
    pub max_duration: Option<Duration>,
}

/// What is done with a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamHandling {
    /// Its items become an array.
    #[default]
    Collect,
    /// Nothing: the call is over when the answer begins.
    Skip,
}
