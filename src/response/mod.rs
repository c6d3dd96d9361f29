//! Bytes of an answer become a value: pure functions, no sockets.
//!
//! The order is the contract's: decode by content type, `result_path`, `transform`, `redact`, the
//! caller's jq, `max_items`, then what the caller needs to know about further pages.

pub(crate) mod api_error;
pub(crate) mod budget;
pub mod decode;
pub mod decode_error;
pub mod event_stream;
mod issues;
pub(crate) mod joined_pages;
pub(crate) mod masked_error;
pub(crate) mod media;
pub(crate) mod page;
#[cfg(test)]
mod properties;
pub(crate) mod remarks;
pub mod rpc;
pub(crate) mod rpc_error;
pub(crate) mod shape;
pub(crate) mod stored_answer;
pub(crate) mod stream_collector;
pub(crate) mod xml;

pub(crate) use dadl_text::text::MASK;
