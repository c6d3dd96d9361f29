//! Fragments: what a descriptor includes is served, and findings name the file they are in.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const MAIN: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2
includes:
  - path: common/items.dadl.yaml
    merge_into: backend.tools
  - path: common/errors.dadl.yaml
    merge_into: backend.defaults.errors
    overrides: {retry_on: [503]}
backend:
  name: example
  type: rest
  version: '1.0'
  base_url: https://api.example.com/v1
  description: An example.
  auth: {type: bearer, credential: none}
  tools:
    ping: {method: GET, path: /ping, access: read, description: Answers.}
";
const ITEMS: &str = "\
# Items.
_fragment: true
list_items:
  method: GET
  path: /items
  access: read
  description: Lists items.
  acess: read
";
const ERRORS: &str = "_fragment: true\nformat: json\nmessage_path: $.error\nretry_on: [429]\n";

fn home(items: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("common")).unwrap();
    fs::write(home.path().join("main.dadl"), MAIN).unwrap();
    fs::write(home.path().join("common/items.dadl.yaml"), items).unwrap();
    fs::write(home.path().join("common/errors.dadl.yaml"), ERRORS).unwrap();
    home
}

/// Runs the binary in `home`; returns standard output and standard error.
fn run(home: &Path, arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn check_names_the_fragment_and_its_line() {
    let home = home(ITEMS);
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("unknown key `acess` in tool `list_items`"), "{text}");
    assert!(text.contains("--> common/items.dadl.yaml:8:3"), "{text}");
    assert!(text.contains("8 |   acess: read"), "{text}");
    let (text, _) = run(home.path(), &["check", "--format", "json", "main.dadl"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], "common/items.dadl.yaml");
    assert_eq!((&finding["line"], &finding["column"]), (&8.into(), &3.into()));
    assert_eq!((&finding["end_line"], &finding["end_column"]), (&8.into(), &8.into()));
    let (text, _) = run(home.path(), &["check", "--format", "sarif", "main.dadl"]);
    let log: Value = serde_json::from_str(&text).unwrap();
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "common/items.dadl.yaml");
    assert_eq!(place["region"]["startLine"], 8);
}

#[test]
fn tools_of_fragments_are_served() {
    let home = home(ITEMS);
    let (text, log) = run(home.path(), &["list", "--dadl", "main.dadl", "--json"]);
    let tools: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> =
        tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ping", "list_items"]);
    let warning = "common/items.dadl.yaml:8:3: unknown key `acess`";
    assert!(log.contains(warning), "{log}");
    let (text, _) = run(home.path(), &["show", "list_items", "--dadl", "main.dadl", "--json"]);
    let tool: Value = serde_json::from_str(&text).unwrap();
    let defined_in = tool["definedIn"].as_str().unwrap();
    assert!(defined_in.ends_with("common/items.dadl.yaml:3"), "{defined_in}");
}

#[test]
fn a_fragment_stays_in_the_folder_and_is_bounded() {
    let home = home(ITEMS);
    let outside = MAIN.replace("common/items", "../items");
    fs::write(home.path().join("main.dadl"), outside).unwrap();
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("error[D110]"), "{text}");
    assert!(text.contains("the path leaves the folder of the descriptor"), "{text}");
    let (_, error) = run(home.path(), &["list", "--dadl", "main.dadl"]);
    assert!(error.contains("D110"), "{error}");
    fs::write(home.path().join("main.dadl"), MAIN).unwrap();
    let large = format!("{ITEMS}#{}\n", "x".repeat(9 << 20));
    fs::write(home.path().join("common/items.dadl.yaml"), large).unwrap();
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("it is larger than 8388608 bytes"), "{text}");
}

#[test]
fn what_is_in_a_fragment_is_not_mended_and_not_counted() {
    let home = home(ITEMS);
    let main = home.path().join("main.dadl");
    let fragment = fs::read_to_string(home.path().join("common/items.dadl.yaml")).unwrap();
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("unknown key `acess`"), "{text}");
    assert!(!text.contains("can be mended"), "{text}");
    // The file itself is mended with what its fragments say in mind.
    fs::write(&main, MAIN.replace("method: GET", "methd: GET")).unwrap();
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("1 finding can be mended by --fix"), "{text}");
    let (text, _) = run(home.path(), &["check", "--fix", "main.dadl"]);
    assert!(text.starts_with("main.dadl:16: D008: wrote `method` for `methd`\n"), "{text}");
    assert_eq!(text.matches(": wrote ").count(), 1, "{text}");
    assert!(text.contains("unknown key `acess`") && !text.contains("can be mended"), "{text}");
    assert_eq!(fs::read_to_string(main).unwrap(), MAIN);
    assert_eq!(fs::read_to_string(home.path().join("common/items.dadl.yaml")).unwrap(), fragment);
}

#[test]
fn a_feature_of_a_fragment_is_required_by_the_file() {
    let home = home(&ITEMS.replace("  acess: read\n", "  response: {redact: [$.token]}\n"));
    let (text, _) = run(home.path(), &["check", "main.dadl"]);
    assert!(text.contains("D109"), "{text}");
    let (text, _) = run(home.path(), &["check", "--fix", "main.dadl"]);
    let main = fs::read_to_string(home.path().join("main.dadl")).unwrap();
    assert!(main.contains("features: [redact]") && text.contains("D109: wrote"), "{text}{main}");
    assert!(!text.contains("warning[D109]"), "{text}");
}
