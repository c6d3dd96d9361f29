//! Every operation of the documents of other APIs, called over MCP: its request is what the document
//! says, as an independent reader has it. See `tests/third_party/openapi_reader`.
//!
//! `DADL_OPENAPI_READER_PYTHON` names a Python that has its requirements, `DADL_OPENAPI_DOCS` the folder
//! of documents; our own are compared as well, and that of Xen Orchestra where `DADL_XO_OPENAPI` names
//! it. `cargo test` ignores this.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use crate::openapi_documents::{others, own};

#[test]
#[ignore = "needs DADL_OPENAPI_READER_PYTHON and DADL_OPENAPI_DOCS"]
fn every_operation_arrives_as_its_document_says() {
    let python =
        env::var("DADL_OPENAPI_READER_PYTHON").expect("DADL_OPENAPI_READER_PYTHON names a Python");
    let directory = tempfile::tempdir().unwrap();
    let results = directory.path().join("results.json");
    let xen_orchestra = env::var_os("DADL_XO_OPENAPI").filter(|it| Path::new(it).is_file());
    let status = Command::new(python)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/third_party/openapi_reader/compare.py"),
        )
        .arg(env!("CARGO_BIN_EXE_dadl-mcp"))
        .arg(&results)
        .args(others())
        .args(own())
        .args(xen_orchestra)
        .status()
        .expect("DADL_OPENAPI_READER_PYTHON can be run");
    assert!(status.success(), "{status}");
    let results: Value = serde_json::from_slice(&fs::read(results).unwrap()).unwrap();
    let unexplained = results["unexplained"].as_array().unwrap();
    let first: Vec<String> = unexplained.iter().take(20).map(|it| format!("{it:#}")).collect();
    assert!(unexplained.is_empty(), "{} differences: {}", unexplained.len(), first.join("\n"));
    assert_eq!(results["stale"], Value::Array(Vec::new()), "reasons that explain nothing");
    for (count, least) in [("operations", 3_000), ("judged", 3_000)] {
        assert!(results[count].as_u64() >= Some(least), "{count}: {}", results[count]);
    }
}
