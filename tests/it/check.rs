//! `check` on files: the fixtures of each code, the reports, and descriptors by other authors.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail here")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use dadl_mcp::{
    cli::{
        check::{self, CheckOutcome},
        report::{Color, Format},
    },
    descriptor::code,
};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(files: &[PathBuf], format: Format) -> (CheckOutcome, String) {
    let mut out = Vec::new();
    let outcome = check::run(files, format, Color::Never, &mut out).unwrap();
    (outcome, String::from_utf8(out).unwrap())
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&run(&[file.to_owned()], Format::Json).1).unwrap()
}

fn codes(file: &Path) -> Vec<String> {
    let report = json(file);
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_code_has_a_failing_and_a_passing_fixture() {
    let fixtures = root().join("tests/fixtures/check");
    for (code, _) in code::ALL {
        let folder = fixtures.join(code.0);
        // What a short fixture leaves out is no matter where another rule is shown.
        let is_shown =
            |found: &String| !matches!(found.as_str(), "D702" | "D707") || code.0 == found.as_str();
        let codes = |file: &str| -> Vec<String> {
            codes(&folder.join(file)).into_iter().filter(is_shown).collect()
        };
        assert_eq!(codes("fail.dadl"), [code.0], "{}/fail.dadl", code.0);
        let passing = codes("pass.dadl");
        assert_eq!(passing, [""; 0], "{}/pass.dadl", code.0);
    }
    let folders = fs::read_dir(&fixtures).unwrap().count();
    assert_eq!(folders, code::ALL.len(), "a fixture has no code");
}

#[test]
fn each_code_is_documented_under_its_title() {
    let text = fs::read_to_string(root().join("docs/checks.md")).unwrap();
    let sections: Vec<&str> = text.split("\n### ").skip(1).collect();
    assert_eq!(sections.len(), code::ALL.len());
    for (section, (code, title)) in sections.iter().zip(code::ALL) {
        let start = format!("{}\n\n**{title}** (", code.0);
        assert!(section.starts_with(&start), "expected {start:?}, found {section:.80?}");
        assert_eq!(section.matches("```yaml").count(), 2, "{}", code.0);
    }
}

#[test]
fn reports_all_files_at_once() {
    let folder = root().join("tests/fixtures/check");
    let files = [
        folder.join("D301/fail.dadl"),
        folder.join("missing.dadl"),
        folder.join("D008/fail.dadl"),
        folder.join("D301/pass.dadl"),
    ];
    let (outcome, text) = run(&files, Format::Text);
    let expected = CheckOutcome { files: 4, readable: 3, errors: 2, warnings: 1, notes: 0 };
    assert_eq!(outcome, expected);
    assert_eq!(outcome.exit_code(), 1);
    assert!(text.ends_with("4 files checked: 2 errors, 1 warning\n"), "{text}");
    assert!(text.contains("error[D001]: the file cannot be read"), "{text}");
    assert!(text.contains("did you mean `access`?"), "{text}");
}

#[test]
fn exit_status_follows_the_findings() {
    let folder = root().join("tests/fixtures/check");
    let exit = |name: &str| run(&[folder.join(name)], Format::Text).0.exit_code();
    assert_eq!(exit("D301/pass.dadl"), 0);
    assert_eq!(exit("D107/fail.dadl"), 0, "notes alone pass");
    assert_eq!(exit("D008/fail.dadl"), 1);
    assert_eq!(exit("D301/fail.dadl"), 1);
    assert_eq!(exit("D001/fail.dadl"), 3);
    assert_eq!(exit("missing.dadl"), 3);
    assert_eq!(run(&[], Format::Text).0.exit_code(), 3);
}

#[test]
fn json_has_places_and_a_summary() {
    let report = json(&root().join("tests/fixtures/check/D301/fail.dadl"));
    let finding = &report["findings"][0];
    let place = ["line", "column", "end_line", "end_column"].map(|key| finding[key].clone());
    assert_eq!(place, [14, 20, 14, 24]);
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["help"], "declare `id: {type: string, in: path}`");
    assert_eq!(report["summary"]["errors"], 1);
}

#[test]
fn sarif_names_the_rule_and_the_region() {
    let file = root().join("tests/fixtures/check/D301/fail.dadl");
    let log: Value = serde_json::from_str(&run(&[file], Format::Sarif).1).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][0];
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "D301");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 14);
    let uri = place["artifactLocation"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///") && uri.ends_with("/D301/fail.dadl"), "{uri}");
}

#[test]
fn the_bundled_descriptors_have_no_finding() {
    let files = [root().join("dadl/xen-orchestra.dadl")];
    let (outcome, report) = run(&files, Format::Text);
    assert_eq!((outcome.errors, outcome.warnings, outcome.notes), (0, 0, 0), "{report}");
}
