//! A stream of events gives the same events however it is cut, and each is JSON.
#![no_main]

use dadl_mcp::response::event_stream::EventDecoder;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = EventDecoder::default();
    let mut all = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next_event() {
            all.push(event.into_json(usize::MAX).expect("bounded").into_string());
        }
    }
    all
}

fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = bytes.split_first().unwrap_or((&1, bytes));
    let whole = events(std::iter::once(rest));
    assert_eq!(whole, events(rest.chunks(usize::from(*first).max(1))));
    for event in whole {
        let _: &serde_json::value::RawValue = serde_json::from_str(&event).expect("JSON");
        let value: Result<Value, _> = serde_json::from_str(&event);
        assert!(value.is_err() || value.is_ok_and(|it| it["event"].is_string()));
    }
});
