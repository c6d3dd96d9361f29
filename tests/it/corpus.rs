//! Descriptors of many APIs: those of `dadl` and of `tests/fixtures/apis`, and those by other authors,
//! which are no part of this project.
//!
//! `DADL_CORPUS` names a folder of `.dadl` files, with the DADL JSON Schema beside them; `cargo test`
//! ignores the tests that need it.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dadl_descriptor::{
    check,
    format::format,
    load,
    model::{Descriptor, ParamKind, ParamLocation},
    source::SourceText,
};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    call::{self, BaseUrl},
    catalog::{BackendTools, Catalog},
};
use serde_json::{Map, Value, json};

const BUNDLED: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// Files by their names.
pub(crate) type Texts = BTreeMap<String, Vec<u8>>;

fn texts(folders: &[PathBuf]) -> Texts {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "dadl"));
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

fn folder() -> PathBuf {
    let folder = env::var_os("DADL_CORPUS").map(PathBuf::from).filter(|folder| folder.is_dir());
    folder.expect("DADL_CORPUS names a folder of descriptors")
}

/// The descriptors by other authors.
pub(crate) fn corpus() -> Texts {
    texts(&[folder()])
}

/// The descriptors of our own.
pub(crate) fn own() -> Texts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    texts(&[root.join("dadl"), root.join("tests/fixtures/apis")])
}

/// Those of our own that keep to the language: extensions have readings and tests of their own.
pub(crate) fn plain() -> Texts {
    let is_plain = |text: &[u8]| !String::from_utf8_lossy(text).contains("_dadl_mcp:");
    own().into_iter().filter(|(_, text)| is_plain(text)).collect()
}

fn catalog(descriptor: Descriptor) -> Catalog {
    let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    let descriptor = Arc::new(descriptor);
    Catalog::build(&[BackendTools {
        name: "it",
        descriptor,
        server: None,
        policy: &policy,
        task_wait: None,
    }])
}

/// Loads each; returns how many tools it has and what was found in it.
fn loaded(texts: Texts) -> BTreeMap<String, (usize, Vec<&'static str>)> {
    let each = texts.into_iter().map(|(name, text)| {
        let loaded = load(&SourceText::from_bytes(&*name, text).unwrap());
        let findings = loaded.diagnostics.iter().map(|it| it.code.0).collect();
        let Some(descriptor) = loaded.descriptor else {
            panic!("{name}: {:#?}", loaded.diagnostics)
        };
        (name, (catalog(descriptor).entries().len(), findings))
    });
    each.collect()
}

#[test]
fn our_descriptors_load() {
    for (name, (tools, findings)) in loaded(own()) {
        assert!(tools > 0 && findings.is_empty(), "{name}: {tools} {findings:?}");
    }
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn real_descriptors_load() {
    let loaded = loaded(corpus());
    // The file has a hint for a tool that it does not describe.
    assert_eq!(loaded["xen-orchestra-3.0.dadl"], (229, vec!["D501"]));
    assert_eq!(loaded["xen-orchestra-3.3.dadl"], (267, vec![]));
}

fn can_be_formatted(texts: Texts) {
    for (name, text) in texts {
        let source = SourceText::from_bytes(&*name, text).unwrap();
        // That meaning and comments stay is checked inside.
        let once = format(&source).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let codes = |source: &SourceText| -> Vec<_> {
            let mut codes: Vec<_> =
                check(source).diagnostics.into_iter().map(|it| (it.code, it.message)).collect();
            codes.sort();
            codes
        };
        assert_eq!(codes(&SourceText::new(&*name, once)), codes(&source), "{name}");
    }
}

#[test]
fn our_descriptors_can_be_formatted() {
    can_be_formatted(own());
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn real_descriptors_can_be_formatted() {
    can_be_formatted(corpus());
}

/// A value of the right type.
fn argument(kind: ParamKind) -> Value {
    match kind {
        ParamKind::Array => json!(["a b", 7]),
        ParamKind::Boolean => json!(true),
        ParamKind::FileUrl => json!("upload.bin"),
        ParamKind::Integer => json!(9_007_199_254_740_993_u64),
        ParamKind::Number => json!(1.5),
        ParamKind::Object => json!({ "k": { "n": "ü" } }),
        ParamKind::String | ParamKind::Union(_) => json!("a/b ü🦀%"),
    }
}

/// Plans a call of each tool; returns how many there are.
fn make_requests_below_their_base(texts: Texts) -> usize {
    let base = BaseUrl::parse("https://api.example.com/base").unwrap();
    let mut tools = 0;
    for (name, text) in texts {
        let loaded = load(&SourceText::from_bytes(&*name, text).unwrap());
        let Some(descriptor) = loaded.descriptor else { continue };
        for entry in catalog(descriptor).entries() {
            tools += 1;
            for everything in [false, true] {
                let given: Map<String, Value> = entry
                    .params
                    .iter()
                    .filter(|known| everything || known.param.required)
                    // Containers have no form in a path or a header.
                    .filter(|known| !known.param.is_in(ParamLocation::Header))
                    .map(|known| (known.property.clone(), argument(known.param.kind)))
                    .collect();
                // A composite sends what its script says.
                let Some(tool) = entry.tool() else { continue };
                let context = || format!("{name}: {} {given:?}", entry.name);
                let arguments = call::check_arguments(entry, given.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                let plan = call::plan_call(entry, tool, &base, &arguments, call::CallChannel::Mcp)
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                assert!(base.contains(&plan.url), "{}", context());
                assert_eq!(plan.method, tool.method(), "{}", context());
            }
        }
    }
    tools
}

#[test]
fn every_tool_of_ours_makes_a_request_below_its_base() {
    let tools = make_requests_below_their_base(plain());
    assert!(tools > 20, "{tools}");
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn every_tool_makes_a_request_below_its_base() {
    let tools = make_requests_below_their_base(corpus());
    assert!(tools > 3300, "{tools}");
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn the_bundled_descriptor_has_every_tool_of_its_predecessor() {
    let names = |text: &str| -> Vec<String> {
        let loaded = load(&SourceText::new("xen-orchestra", text));
        loaded.descriptor.unwrap().tools.into_iter().map(|tool| tool.name).collect()
    };
    let ours = names(BUNDLED);
    let before = fs::read_to_string(folder().join("xen-orchestra-3.0.dadl")).unwrap();
    let missing: Vec<String> =
        names(&before).into_iter().filter(|name| !ours.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn the_bundled_descriptor_is_valid_by_the_schema_of_dadl() {
    let schema = fs::read_to_string(folder().join("dadl-v0.2.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_saphyr::from_str(BUNDLED).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new());
}
