//! A body is decoded or refused: the first line is the content type (NDJSON, JSON, text in any
//! charset), the rest is the body.
#![no_main]

use dadl_mcp::response::{decode::decode, decode_error::excerpt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = bytes.split_at(at);
    let body = body.get(1..).unwrap_or_default();
    let decoded = |content_type| decode(body.to_vec().into(), content_type, 2 * body.len());
    let _ = decoded(std::str::from_utf8(head).ok());
    let _ = decoded(Some("application/x-ndjson"));
    let _ = decoded(None);
    assert!(excerpt(body).len() < 4_000);
});
