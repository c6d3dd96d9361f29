//! The commands in README and the guide: they work as a reader pastes them, in a clone, with the
//! settings of README and a simulated Xen Orchestra where it has an address.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use dadl_simulator::{SimulatorOptions, XenOrchestra};

const PAGES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../README.md")),
    ("docs/guide.md", include_str!("../../docs/guide.md")),
];

/// The address that pages have.
const ADDRESS: &str = "https://xo.example.com/rest/v0";

/// A command of a page.
#[derive(Debug, PartialEq, Eq)]
struct Pasted {
    line: usize,
    command: String,
    /// Why it is not run.
    excuse: Option<String>,
}

/// Takes the commands out of a page: indented lines and blocks without a language that begin with
/// the name of the program. The comment above excuses a whole block.
fn commands(page: &str) -> Vec<Pasted> {
    let mut found: Vec<Pasted> = Vec::new();
    let (mut excuse, mut goes_on) = (None, false);
    let mut fence: Option<bool> = None;
    for (number, line) in page.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.is_empty()) };
            continue;
        }
        let code = match fence {
            Some(is_plain) => is_plain.then(|| line.trim_start_matches("$ ")),
            None => line.strip_prefix("    "),
        };
        let Some(code) = code else {
            if let Some(comment) = line.strip_prefix("<!-- not run: ") {
                let reason = comment.strip_suffix(" -->").expect("a comment of one line");
                assert!(reason.len() > 5, "a reason: {line}");
                excuse = Some(reason.to_owned());
            } else if !line.is_empty() {
                excuse = None;
            }
            goes_on = false;
            continue;
        };
        if goes_on && let Some(last) = found.last_mut() {
            last.command += &format!("\n{code}");
        } else if code.starts_with("dadl-mcp ") {
            let command = code.to_owned();
            found.push(Pasted { line: number + 1, command, excuse: excuse.clone() });
        } else {
            continue;
        }
        goes_on = code.ends_with('\\');
    }
    found
}

/// Makes a place like a clone, in which commands may write, and settings as README has them.
fn place(home: &Path, url: &str) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["dadl", "tests", "docs"] {
        symlink(repository.join(folder), home.join(folder)).unwrap();
    }
    let (_, rest) = PAGES[0].1.split_once("```yaml\nbackends:").unwrap();
    let (settings, _) = rest.split_once("```").unwrap();
    assert!(settings.contains(ADDRESS));
    fs::create_dir_all(home.join(".config/dadl-mcp")).unwrap();
    let settings = format!("backends:{}", settings.replace(ADDRESS, url));
    fs::write(home.join(".config/dadl-mcp/backends.yaml"), settings).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_pages_work_as_pasted() {
    let program = Path::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    for (name, page) in PAGES {
        let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        place(home.path(), &simulator.url());
        let mut count = 0;
        for Pasted { line, command, .. } in
            commands(page).into_iter().filter(|it| it.excuse.is_none())
        {
            let output = Command::new("/bin/sh")
                .args(["-c", &command.replace(ADDRESS, &simulator.url())])
                .current_dir(&home)
                .env_clear()
                .env("HOME", home.path())
                .env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()))
                .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", simulator.token())
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}:{line}: {command}\n{err}");
            let says = !output.stdout.is_empty() || !err.is_empty();
            assert!(says, "{name}:{line}: {command} says nothing");
            count += 1;
        }
        assert!(count > 2, "{name} has commands");
    }
}

#[test]
fn commands_are_found_with_what_excuses_them() {
    let page = "text\n\n    dadl-mcp a \\\n      b\n    other\n\n<!-- not run: it needs more -->\n\n    \
                dadl-mcp c\n    dadl-mcp d\n\ntext\n\n    dadl-mcp e\n\n```\n$ dadl-mcp f\n```\n\n```json\n\
                dadl-mcp g\n```\n";
    let found = commands(page);
    let found: Vec<(&str, Option<&str>)> =
        found.iter().map(|it| (it.command.as_str(), it.excuse.as_deref())).collect();
    let more = Some("it needs more");
    let expected = [
        ("dadl-mcp a \\\n  b", None),
        ("dadl-mcp c", more),
        ("dadl-mcp d", more),
        ("dadl-mcp e", None),
        ("dadl-mcp f", None),
    ];
    assert_eq!(found, expected);
}
