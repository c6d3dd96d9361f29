//! `check` on files: the fixtures of each code, the reports, and descriptors by other authors.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail here")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use dadl_descriptor::{
    code,
    format::{FormatError, format},
    source::SourceText,
};
use dadl_mcp::cli::{
    check,
    report::{CheckOutcome, ColorMode, ReportFormat},
};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(files: &[PathBuf], format: ReportFormat) -> (CheckOutcome, String) {
    let mut out = Vec::new();
    let outcome = check::run(files, format, ColorMode::Never, &mut out).unwrap();
    (outcome, String::from_utf8(out).unwrap())
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&run(&[file.to_owned()], ReportFormat::Json).1).unwrap()
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
    let (outcome, text) = run(&files, ReportFormat::Text);
    let expected =
        CheckOutcome { files: 4, readable: 3, errors: 2, warnings: 1, notes: 0, fixable: 1 };
    assert_eq!(outcome, expected);
    assert_eq!(outcome.exit_code(), 1);
    let end = "4 files checked: 2 errors, 1 warning\n1 finding can be mended by --fix\n";
    assert!(text.ends_with(end), "{text}");
    assert!(text.contains("error[D001]: the file cannot be read"), "{text}");
    assert!(text.contains("did you mean `access`?"), "{text}");
}

#[test]
fn exit_status_follows_the_findings() {
    let folder = root().join("tests/fixtures/check");
    let exit = |name: &str| run(&[folder.join(name)], ReportFormat::Text).0.exit_code();
    assert_eq!(exit("D301/pass.dadl"), 0);
    assert_eq!(exit("D107/fail.dadl"), 0, "notes alone pass");
    assert_eq!(exit("D008/fail.dadl"), 1);
    assert_eq!(exit("D301/fail.dadl"), 1);
    assert_eq!(exit("D001/fail.dadl"), 3);
    assert_eq!(exit("missing.dadl"), 3);
    assert_eq!(run(&[], ReportFormat::Text).0.exit_code(), 3);
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
    let log: Value = serde_json::from_str(&run(&[file], ReportFormat::Sarif).1).unwrap();
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
    let files = fs::read_dir(root().join("dadl")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "dadl")).collect();
    assert!(files.len() > 1, "{files:?}");
    let (outcome, report) = run(&files, ReportFormat::Text);
    assert_eq!((outcome.errors, outcome.warnings, outcome.notes), (0, 0, 0), "{report}");
}

#[test]
fn the_bundled_descriptors_have_the_layout() {
    for entry in fs::read_dir(root().join("dadl")).unwrap() {
        let path = entry.unwrap().path();
        let source = SourceText::new("t", fs::read_to_string(&path).unwrap());
        let formatted = format(&source).unwrap_or_else(|error| panic!("{error:?}"));
        assert!(formatted == source.text(), "run `dadl-mcp fmt {}`", path.display());
    }
}

const BROKEN: &str = "spec: https://dadl.ai/spec/dadl-spec-v0.1.md\nbackend:\n  name: example\n  \
                      type: rest\n  version: \"1.0\"\n  description: An example.\n  \
                      auth: {type: api_key, credential: example_key}\n  coverage: {endpoints: 9}\n  \
                      tools:\n    # the only one\n    send:\n      method: post   # as is\n      \
                      path: /a\n      acess: write\n      description: Sends.\n      \
                      idempotency: {header: Idempotency-Key}\n";

/// Runs `check --fix` on a file with this text; returns outcome, report, log, and the text after.
fn fix(text: &str, fixing: check::FixMode) -> (CheckOutcome, String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.dadl");
    fs::write(&file, text).unwrap();
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let files = [file.clone()];
    let outcome =
        check::run_fixing(&files, fixing, ReportFormat::Text, ColorMode::Never, &mut out, &mut log)
            .unwrap();
    let folder = folder.path().display().to_string();
    let utf8 = |bytes| String::from_utf8(bytes).unwrap().replace(&folder, "");
    (outcome, utf8(out), utf8(log), fs::read_to_string(file).unwrap())
}

#[test]
fn fix_mends_a_file_and_says_what_it_did() {
    let (outcome, report, log, after) = fix(BROKEN, check::FixMode::Apply);
    let expected = BROKEN
        .replace("v0.1.md\n", "v0.2.md\nrequires:\n  features: [idempotency]\n")
        .replace("api_key", "apikey")
        .replace("endpoints: 9", "endpoints: 1")
        .replace("post", "POST")
        .replace("acess", "access");
    assert_eq!(after, expected);
    assert_eq!((outcome.exit_code(), outcome.fixable), (0, 0), "{report}");
    assert!(report.ends_with("1 file checked: no findings\n"), "{report}");
    assert!(log.contains("/a.dadl:12: D010: wrote `POST` for `post`\n"), "{log}");
    assert!(log.contains("D109: wrote `\\nrequires:"), "{log}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let (outcome, report, log, after) = fix(BROKEN, check::FixMode::DryRun);
    assert_eq!(after, BROKEN);
    assert_eq!(outcome.exit_code(), 1);
    assert!(log.contains("would write `access` for `acess`"), "{log}");
    assert!(report.contains("can be mended by --fix"), "{report}");
}

#[test]
fn a_file_without_anything_to_mend_is_not_written() {
    let text = BROKEN.replace("post", "FETCH");
    let (_, _, log, after) = fix(&text, check::FixMode::Apply);
    assert!(after.contains("FETCH") && after.contains("access"), "{log}");
    let (_, report, log, after) = fix("a: [", check::FixMode::Apply);
    assert_eq!((log.as_str(), after.as_str()), ("", "a: ["));
    assert!(report.contains("error[D002]"), "{report}");
}

#[test]
fn the_reports_of_machines_carry_the_change() {
    let file = root().join("tests/fixtures/check/D008/fail.dadl");
    let fix = &json(&file)["findings"][0]["fix"];
    assert_eq!(fix["replacement"], "access");
    let log: Value = serde_json::from_str(&run(&[file], ReportFormat::Sarif).1).unwrap();
    let fix = &log["runs"][0]["results"][0]["fixes"][0]["artifactChanges"][0];
    assert_eq!(fix["replacements"][0]["insertedContent"]["text"], "access");
    assert_eq!(
        fix["replacements"][0]["deletedRegion"],
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    );
}

#[test]
fn every_fixture_that_is_yaml_can_be_formatted() {
    for entry in fs::read_dir(root().join("tests/fixtures/check")).unwrap() {
        for name in ["fail.dadl", "pass.dadl"] {
            let file = entry.as_ref().unwrap().path().join(name);
            let Ok(source) = SourceText::from_bytes("t", fs::read(&file).unwrap()) else {
                continue;
            };
            match format(&source) {
                Ok(_) => {}
                Err(FormatError::Findings(found)) => {
                    let last = found.last().unwrap().code;
                    assert!([code::NOT_YAML, code::TOO_COMPLEX].contains(&last), "{file:?}");
                }
                Err(error) => panic!("{}: {error:?}", file.display()),
            }
        }
    }
}
