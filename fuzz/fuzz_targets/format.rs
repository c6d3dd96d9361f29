//! Formatting keeps the meaning, which it checks itself, and a second run changes nothing.
#![no_main]

use dadl_descriptor::{format::format, source::SourceText};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(once) = format(&SourceText::new("fuzz.dadl", text)) else { return };
    assert_eq!(format(&SourceText::new("fuzz.dadl", once.clone())), Ok(once));
});
