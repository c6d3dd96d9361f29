//! OpenAPI documents of other APIs, which are no part of this project.
//!
//! `DADL_OPENAPI_DOCS` names a folder of documents, as `.ci/openapi-docs` fetches them, and
//! `DADL_XO_OPENAPI` the document of Xen Orchestra. Without them the tests say that they were
//! skipped; with `DADL_OPENAPI_DOCS_REQUIRED` and `DADL_XO_OPENAPI_REQUIRED` they fail instead.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the program itself has no such variables, and a skipped test says so"
)]

use std::{env, fs, path::PathBuf};

/// Returns the document of Xen Orchestra, or says that the test is skipped.
pub(crate) fn xen_orchestra() -> Option<PathBuf> {
    let file = env::var_os("DADL_XO_OPENAPI").map(PathBuf::from).filter(|file| file.is_file());
    if file.is_none() {
        assert!(env::var_os("DADL_XO_OPENAPI_REQUIRED").is_none(), "DADL_XO_OPENAPI names no file");
        println!("skipped: DADL_XO_OPENAPI names no document");
    }
    file
}

/// Returns the other documents by their names, or says that the test is skipped.
pub(crate) fn others() -> Vec<PathBuf> {
    let folder = env::var_os("DADL_OPENAPI_DOCS").map(PathBuf::from).filter(|it| it.is_dir());
    let Some(folder) = folder else {
        assert!(
            env::var_os("DADL_OPENAPI_DOCS_REQUIRED").is_none(),
            "DADL_OPENAPI_DOCS names no folder"
        );
        println!("skipped: DADL_OPENAPI_DOCS names no folder of documents");
        return Vec::new();
    };
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "json" || extension == "yaml")
    };
    let mut files: Vec<PathBuf> = entries.filter(is_document).collect();
    files.sort();
    files
}
