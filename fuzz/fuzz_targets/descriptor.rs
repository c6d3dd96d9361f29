//! Any bytes are a descriptor or a list of findings; what loads becomes tools.
#![no_main]

use std::sync::Arc;

use dadl_mcp::{access::{AccessLevels, AccessPolicy}, catalog::{BackendTools, Catalog}};
use dadl_descriptor::{check, diagnostic::Severity, source::SourceText};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = SourceText::from_bytes("fuzz.dadl", bytes.to_vec()) else { return };
    let loaded = check(&source);
    let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(loaded.descriptor.is_none(), has_error);
    for finding in &loaded.diagnostics {
        assert!(source.text().get(finding.span.clone()).is_some(), "{finding:?}");
        if let Some(fix) = &finding.fix {
            assert!(source.text().get(fix.span.clone()).is_some(), "{finding:?}");
        }
    }
    if let Some(descriptor) = loaded.descriptor {
        let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        let descriptor = Arc::new(descriptor);
        let count = descriptor.tools.len();
        let tools = BackendTools { name: "fuzz", descriptor, server: None, policy: &policy, task_wait: None };
        assert!(Catalog::build(&[tools]).entries().len() >= count);
    }
});
