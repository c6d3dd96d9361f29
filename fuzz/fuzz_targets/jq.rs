//! Any text is a jq program or none, and any JSON passes through `.` with its digits: the first
//! line is the program, the rest the input. Programs are not run; they may be endless.
#![no_main]

use dadl_descriptor::jq::{JqFilter, JqProgram};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|text: &str| {
    let (program, input) = text.split_once('\n').unwrap_or((text, ""));
    let _ = JqFilter::new(program);
    let identity = JqProgram::compile(".").expect("a program");
    let Ok(output) = identity.run(input.as_bytes().to_vec(), 1 << 20) else { return };
    let output = std::str::from_utf8(&output).expect("UTF-8");
    let _: &RawValue = serde_json::from_str(output).expect("JSON");
    // What came out is what went in, once more.
    let again = identity.run(output.as_bytes().to_vec(), 1 << 20).expect("JSON");
    assert_eq!(output.as_bytes(), again);
});
