//! What `docs/conformance.md` says fits what `tests/conformance/run` does. The suite itself comes from
//! npm, and is not run here.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::json;

use crate::mcp_support::{Client, serve, with_meta};

const PAGE: &str = include_str!("../../docs/conformance.md");
const RUN: &str = include_str!("../conformance/run");

/// The rows of the checks that do not pass: scenario, check and reason.
fn rows() -> Vec<[&'static str; 3]> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| {
        let (scenario, rest) = row.split_once("` | `").unwrap();
        let (check, reason) = rest.split_once("` | ").unwrap();
        [scenario, check, reason]
    })
    .collect()
}

/// The revisions that are played.
fn revisions() -> BTreeSet<&'static str> {
    let (_, rest) = RUN.split_once("\nREVISIONS = {\n").unwrap();
    let (lines, _) = rest.split_once("\n}\n").unwrap();
    lines.lines().map(|line| line.trim().split('"').nth(1).unwrap()).collect()
}

#[test]
fn each_check_that_does_not_pass_has_one_reason() {
    let mut seen = BTreeSet::new();
    for [scenario, check, reason] in rows() {
        assert!(seen.insert((scenario, check)), "{scenario}:{check} has two rows");
        assert!(reason.len() > 8, "{scenario}:{check} has no reason");
    }
    assert!(!seen.is_empty());
}

#[tokio::test]
async fn the_suite_plays_each_revision_that_it_knows() {
    let mut client = Client::connect(serve("http://127.0.0.1:9/"));
    let answer = client.request(1, "server/discover", with_meta(json!({}))).await;
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    let mut served: BTreeSet<&str> = versions.iter().map(|it| it.as_str().unwrap()).collect();
    assert!(served.remove("2024-11-05") && PAGE.contains("The suite knows no 2024-11-05"));
    assert_eq!(revisions(), served);
    for revision in served {
        assert!(PAGE.contains(&format!("\n| {revision} | ")), "{revision} was not counted");
    }
}

#[test]
fn what_was_counted_is_what_is_installed() {
    let suite = RUN.lines().find_map(|line| line.strip_prefix("SUITE = \"")?.strip_suffix('"'));
    assert!(PAGE.contains(&format!(" with `{}`:\n", suite.unwrap())), "run it with --record");
}

#[test]
fn the_descriptor_of_the_suite_has_no_findings() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/test.dadl");
    let output =
        Command::new(env!("CARGO_BIN_EXE_dadl-mcp")).arg("check").arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
