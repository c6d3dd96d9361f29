//! Mending ends, and the file has fewer findings than before.
#![no_main]

use dadl_descriptor::{check, mend::mend, source::SourceText};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = SourceText::new("fuzz.dadl", text);
    let before = check(&source).diagnostics;
    let mended = mend(source);
    let after = check(&mended.source).diagnostics;
    if mended.changes.is_empty() {
        assert_eq!(mended.source.text(), SourceText::new("fuzz.dadl", text).text());
    } else {
        let errors = |found: &[dadl_descriptor::diagnostic::Diagnostic]| {
            let error = dadl_descriptor::diagnostic::Severity::Error;
            found.iter().filter(|it| it.severity == error).count()
        };
        assert!(errors(&after) <= errors(&before));
        assert!(after != before);
    }
});
