//! The examples of every built-in descriptor are run against the simulator of its product: what people
//! and models copy works.
//!
//! An example is a script like that of a composite, so it is run as one, with every level allowed.

use std::{sync::Arc, time::Duration};

use dadl_descriptor::{
    model::{AccessLevel, Descriptor},
    source::SourceText,
};
use dadl_mcp::{config::bundled, outcome::AnswerPayload};
use dadl_simulator::{Product, SimulatorOptions};
use serde_json::{Map, Value, json};

use crate::harness::{Fixed, Harness};

/// What an example gets as `params.NAME`: the product, the name, a tool that lists such things with
/// its arguments, and the member of the first one that is taken.
const PARAMS: &[(&str, &str, &str, &str, &str)] = &[
    ("xen-orchestra", "vm", "list_vms", r#"{"filter": "name_label:web-01"}"#, "id"),
    ("xen-orchestra", "host", "list_hosts", r#"{"filter": "name_label:xcp-02"}"#, "id"),
    ("xen-orchestra", "group", "list_groups", "{}", "id"),
];

fn load(name: &str, text: &str) -> Arc<Descriptor> {
    let loaded = dadl_descriptor::load(&SourceText::new(name, text));
    Arc::new(loaded.descriptor.unwrap_or_else(|| panic!("{name}: {:#?}", loaded.diagnostics)))
}

/// Returns the descriptor with one more composite, `example`, which runs `code`.
fn with_example(text: &str, code: &str, params: &[&str], dangerous: &[String]) -> String {
    let mut composite = format!(
        "    example:\n      description: An example.\n      access: admin\n      delegates: {}\n",
        json!(dangerous)
    );
    if !params.is_empty() {
        composite.push_str("      params:\n");
        for param in params {
            composite.push_str(&format!("        {param}: {{ type: string, required: true }}\n"));
        }
    }
    composite.push_str("      code: |\n");
    for line in code.lines() {
        composite.push_str(&format!("        {line}\n"));
    }
    match text.split_once("\n  composites:\n") {
        Some((before, after)) => format!("{before}\n  composites:\n{composite}\n{after}"),
        None => {
            let (before, after) = text.split_once("\n  tools:\n").unwrap();
            // Features must be named that are used.
            let before = before.replacen("features: [", "features: [composites, ", 1);
            format!("{before}\n  composites:\n{composite}\n  tools:\n{after}")
        }
    }
}

/// The words after `prefix` in a script, each once.
fn names<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let mut names: Vec<&str> =
        code.split(prefix).skip(1).filter_map(|rest| rest.split(is_end).next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test]
async fn every_example_works() {
    for name in bundled::bundled_names() {
        let product = Product::find(name).unwrap_or_else(|| {
            panic!("{name} has no simulator that its examples could run against")
        });
        let bytes =
            bundled::locate_descriptor(name, &bundled::DescriptorPaths::default()).unwrap().bytes;
        let text = String::from_utf8(bytes.into_owned()).unwrap();
        let descriptor = load(name, &text);
        assert!(!descriptor.examples.is_empty(), "{name} has no examples");
        for example in &descriptor.examples {
            let place = format!("{name}, example {}", example.name);
            let options = SimulatorOptions { task_duration: Duration::ZERO, ..Default::default() };
            let simulator = product.start(options).await.unwrap();
            let token = || Fixed(Ok(simulator.token().to_owned()));
            let plain = Harness::new(&text, &simulator.url(), token(), |_| {});
            let params = names(&example.code, "params.");
            let mut arguments = Map::new();
            for param in &params {
                let known = PARAMS.iter().find(|it| it.0 == name && it.1 == *param);
                let (_, _, tool, list, member) =
                    known.unwrap_or_else(|| panic!("{place}: what is params.{param}?"));
                let found = plain.value(tool, serde_json::from_str(list).unwrap()).await;
                arguments.insert((*param).to_owned(), found[0][*member].clone());
            }
            let called = names(&example.code, "api.");
            let dangerous: Vec<String> = called
                .iter()
                .filter(|name| {
                    let tool = descriptor.tools.iter().find(|tool| *tool.name == ***name);
                    tool.is_some_and(|tool| tool.access == Some(AccessLevel::Dangerous))
                })
                .map(|tool| (*tool).to_owned())
                .collect();
            let with_example = with_example(&text, &example.code, &params, &dangerous);
            let harness = Harness::new(&with_example, &simulator.url(), token(), |_| {});
            match harness.call("example", Value::Object(arguments)).await {
                Ok(outcome) => {
                    let AnswerPayload::Json(text) = &outcome.payload else {
                        panic!("{place}: {outcome:?}")
                    };
                    let finds_something = !matches!(text.as_str(), "null" | "[]" | "{}");
                    assert!(finds_something, "{place} finds nothing");
                }
                Err(error) => panic!("{place}: {error}"),
            }
        }
    }
}
