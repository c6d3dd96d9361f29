//! Descriptors by other authors, which are no part of this project.
//!
//! `DADL_CORPUS` names a folder of `.dadl` files, with the DADL JSON Schema beside them. Without it
//! these tests say that they were skipped; with `DADL_CORPUS_REQUIRED` they fail instead.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the program itself has no such variables, and a skipped test says so"
)]

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::Arc};

use dadl_mcp::{
    access::{Levels, Policy},
    call::{self, BaseUrl},
    catalog::{BackendTools, Catalog},
    descriptor::{
        check,
        format::format,
        load,
        model::{Descriptor, Location, ParamKind},
        source::Source,
    },
};
use serde_json::{Map, Value, json};

const BUNDLED: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// Returns the folder, or says that the test is skipped.
pub(crate) fn corpus() -> Option<PathBuf> {
    let folder = env::var_os("DADL_CORPUS").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        assert!(env::var_os("DADL_CORPUS_REQUIRED").is_none(), "DADL_CORPUS names no folder");
        println!("skipped: DADL_CORPUS names no folder of descriptors");
    }
    folder
}

pub(crate) fn texts(folder: &PathBuf) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|it| it == "dadl"));
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

fn catalog(descriptor: Descriptor) -> Catalog {
    let policy = Policy { levels: Levels::new(["all"]), ..Policy::default() };
    let descriptor = Arc::new(descriptor);
    Catalog::build(&[BackendTools { name: "it", descriptor, policy: &policy }])
}

#[test]
fn real_descriptors_load() {
    let Some(folder) = corpus() else { return };
    for (name, text) in texts(&folder) {
        let loaded = load(&Source::from_bytes(&*name, text).unwrap());
        let findings: Vec<&str> = loaded.diagnostics.iter().map(|it| it.code.0).collect();
        let Some(descriptor) = loaded.descriptor else {
            panic!("{name}: {:#?}", loaded.diagnostics)
        };
        let tools = catalog(descriptor).entries().len();
        match name.as_str() {
            // The file has a hint for a tool that it does not describe.
            "xen-orchestra-3.0.dadl" => assert_eq!((tools, findings), (229, vec!["D501"])),
            "xen-orchestra-3.3.dadl" => assert_eq!((tools, findings), (267, vec![])),
            _ => {}
        }
    }
}

#[test]
fn real_descriptors_can_be_formatted() {
    let Some(folder) = corpus() else { return };
    for (name, text) in texts(&folder) {
        let source = Source::from_bytes(&*name, text).unwrap();
        // That meaning and comments stay is checked inside.
        let once = format(&source).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let codes = |source: &Source| -> Vec<_> {
            let mut codes: Vec<_> =
                check(source).diagnostics.into_iter().map(|it| (it.code, it.message)).collect();
            codes.sort();
            codes
        };
        assert_eq!(codes(&Source::new(&*name, once)), codes(&source), "{name}");
    }
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
        ParamKind::String => json!("a/b ü🦀%"),
    }
}

#[test]
fn every_tool_makes_a_request_below_its_base() {
    let Some(folder) = corpus() else { return };
    let base = BaseUrl::parse("https://api.example.com/base").unwrap();
    let mut tools = 0;
    for (name, text) in texts(&folder) {
        let loaded = load(&Source::from_bytes(&*name, text).unwrap());
        let Some(descriptor) = loaded.descriptor else { continue };
        for entry in catalog(descriptor).entries() {
            tools += 1;
            for everything in [false, true] {
                let given: Map<String, Value> = entry
                    .params
                    .iter()
                    .filter(|known| everything || known.param.required)
                    // Containers have no form in a path or a header.
                    .filter(|known| !known.param.is_in(Location::Header))
                    .map(|known| (known.property.clone(), argument(known.param.kind)))
                    .collect();
                // A composite sends what its script says.
                let Some(tool) = entry.tool() else { continue };
                let context = || format!("{name}: {} {given:?}", entry.name);
                let arguments = call::check(entry, given.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                let plan = call::plan(entry, tool, &base, &arguments, call::Door::Mcp)
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                assert!(base.contains(&plan.url), "{}", context());
                assert_eq!(plan.method, tool.method(), "{}", context());
            }
        }
    }
    assert!(tools > 3300, "{tools}");
}

#[test]
fn the_bundled_descriptor_has_every_tool_of_its_predecessor() {
    let Some(folder) = corpus() else { return };
    let names = |text: &str| -> Vec<String> {
        let loaded = load(&Source::new("xen-orchestra", text));
        loaded.descriptor.unwrap().tools.into_iter().map(|tool| tool.name).collect()
    };
    let ours = names(BUNDLED);
    let before = fs::read_to_string(folder.join("xen-orchestra-3.0.dadl")).unwrap();
    let missing: Vec<String> =
        names(&before).into_iter().filter(|name| !ours.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_bundled_descriptor_is_valid_by_the_schema_of_dadl() {
    let Some(folder) = corpus() else { return };
    let schema = fs::read_to_string(folder.join("dadl-v0.2.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_yaml::from_str(BUNDLED).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new());
}
