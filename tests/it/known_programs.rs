//! Filters and scripts of a file are compiled at the first start that sees it, and not at those that follow.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const API: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: example
  type: rest
  description: An example.
  auth: {type: bearer, credential: token}
  tools:
    read:
      method: GET
      path: /x
      access: read
      description: Reads.
      response: {transform: FILTER}
  composites:
    both: {description: Reads twice., code: SCRIPT}
";

/// A descriptor in a home of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, filter: &str, script: &str) {
        let text = API.replace("FILTER", filter).replace("SCRIPT", script);
        fs::write(self.0.path().join("api.dadl"), text).unwrap();
    }

    /// Starts with the descriptor; returns what was wrong with it.
    fn start(&self) -> Option<String> {
        let run = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(["serve", "--dadl", "./api.dadl", "--url", "http://127.0.0.1:1"])
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let wrong = String::from_utf8(run.stderr).unwrap();
        (!run.status.success()).then_some(wrong)
    }

    fn list(&self) -> PathBuf {
        self.0.path().join(".cache/dadl-mcp/programs/known.json")
    }

    fn known(&self) -> String {
        fs::read_to_string(self.list()).unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_was_compiled_is_not_compiled_again() {
    let home = Home::new();
    home.write("'.a'", "return api.read();");
    assert_eq!(home.start(), None);
    let known = home.known();
    assert_eq!(home.start(), None);
    assert_eq!(home.known(), known);
    // Another text is another file.
    home.write("'.b'", "return api.read();");
    assert_eq!(home.start(), None);
    assert_ne!(home.known(), known);
}

#[test]
fn a_file_that_does_not_compile_fails_every_start() {
    let home = Home::new();
    home.write("'.a'", "return api.read();");
    assert_eq!(home.start(), None);
    let known = home.known();
    for (filter, script, code) in [
        ("'.a |'", "return api.read();", "D410"),
        ("'.a'", "let b = ;", "D601"),
        ("'.a'", "return /(/.test(params.x);", "D601"),
    ] {
        home.write(filter, script);
        let first = home.start().unwrap();
        assert!(first.contains(code), "{first}");
        assert_eq!(home.start().as_ref(), Some(&first));
        assert_eq!(home.known(), known, "what failed is not known");
    }
}

#[test]
fn a_list_that_others_can_write_lets_nothing_pass() {
    let home = Home::new();
    home.write("'.a'", "return api.read();");
    assert_eq!(home.start(), None);
    home.write("'.a |'", "return api.read();");
    let text = fs::read_to_string(home.0.path().join("api.dadl")).unwrap();
    let digest = dadl_text::text::text_fingerprint(&text);
    let forged = home.known().replace("\"texts\":[", &format!("\"texts\":[\"{digest}\","));
    fs::write(home.list(), forged).unwrap();
    set_mode(&home.list(), 0o666);
    assert!(home.start().is_some());
    set_mode(&home.list(), 0o600);
    set_mode(home.list().parent().unwrap(), 0o777);
    assert!(home.start().is_some());
}

#[test]
fn where_no_cache_can_be_written_everything_is_compiled() {
    let home = Home::new();
    fs::write(home.0.path().join(".cache"), "no folder").unwrap();
    home.write("'.a'", "return api.read();");
    assert_eq!(home.start(), None);
    home.write("'.a |'", "return api.read();");
    assert!(home.start().is_some());
}
