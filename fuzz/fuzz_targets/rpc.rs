//! A JSON-RPC answer is read or refused: a response object, or the line that announces a list.
#![no_main]

use dadl_mcp::{
    outcome::JsonText,
    response::rpc::{RpcReply, read_head, read_reply},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let _ = read_head(line, 7);
    if let Ok(RpcReply::Result(text)) = read_reply(bytes.to_vec().into(), 7) {
        assert!(JsonText::parse(text.as_str()).is_ok());
    }
});
