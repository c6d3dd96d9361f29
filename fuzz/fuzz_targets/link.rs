//! A `Link` header names the next page or none.
#![no_main]

use dadl_mcp::fuzzing::link_next;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let url = url::Url::parse("https://api.example.com/v1/items?page=1").expect("a URL");
    let _ = link_next(bytes, &url);
});
