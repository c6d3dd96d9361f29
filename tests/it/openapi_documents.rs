//! OpenAPI documents: those of `tests/fixtures/openapi`, and those of other APIs, which are no part of
//! this project.
//!
//! `DADL_OPENAPI_DOCS` names a folder of documents, as `.ci/openapi-docs` fetches them, and
//! `DADL_XO_OPENAPI` the document of Xen Orchestra; `cargo test` ignores the tests that need them.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The document of Xen Orchestra.
pub(crate) fn xen_orchestra() -> PathBuf {
    let file = env::var_os("DADL_XO_OPENAPI").map(PathBuf::from).filter(|file| file.is_file());
    file.expect("DADL_XO_OPENAPI names a document")
}

/// The documents of other APIs.
pub(crate) fn others() -> Vec<PathBuf> {
    let folder = env::var_os("DADL_OPENAPI_DOCS").map(PathBuf::from).filter(|it| it.is_dir());
    documents(&folder.expect("DADL_OPENAPI_DOCS names a folder of documents"))
}

/// The documents of our own.
pub(crate) fn own() -> Vec<PathBuf> {
    documents(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openapi"))
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "json" || extension == "yaml")
    };
    let mut files: Vec<PathBuf> = entries.filter(is_document).collect();
    files.sort();
    files
}
