//! `ARCHITECTURE.md` says that data flow in one direction; the `use` lines must agree.

use std::{fs, path::Path};

/// The modules of the program from left to right: each uses only those before it. What a crate may use
/// is in its `Cargo.toml`.
const ORDER: &[&str] = &[
    "spawn",
    "shares",
    "access",
    "catalog",
    "finding",
    "outcome",
    "config",
    "call",
    "gate",
    "response",
    "files",
    "worker",
    "http",
    "mcp_client",
    "executor",
    "live",
    "app",
    "mcp",
    "demo",
    "cli",
];

/// Returns the modules of this crate that a source file names.
fn used(source: &str) -> Vec<&str> {
    let mut used = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{a::b, c::{d, e}}`: the names at the first level.
            let mut depth = 1;
            let mut name_at = Some(0);
            for (position, character) in group.char_indices() {
                if let Some(start) = name_at
                    && !character.is_alphanumeric()
                    && character != '_'
                    && !group[start..position].trim().is_empty()
                {
                    used.push(group[start..position].trim());
                    name_at = None;
                }
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => name_at = Some(position + 1),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            used.push(&rest[..end]);
        }
    }
    used
}

fn check(file: &Path, module: &str, problems: &mut Vec<String>) {
    let source = fs::read_to_string(file).unwrap();
    // Tests of a module may build their input with any other.
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let position = ORDER.iter().position(|name| *name == module);
    let Some(position) = position else {
        problems.push(format!("{} is not in ARCHITECTURE.md's order", file.display()));
        return;
    };
    for name in used(source) {
        if ORDER.iter().position(|known| *known == name).is_some_and(|other| other > position) {
            problems.push(format!("{} uses `{name}`, which is to its right", file.display()));
        }
    }
}

fn walk(directory: &Path, module: Option<&str>, problems: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            // The tests of a folder may use anything.
            if stem != "tests" {
                walk(&path, Some(module.unwrap_or(&stem)), problems);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !matches!(stem.as_str(), "lib" | "main" | "tests")
        {
            check(&path, module.unwrap_or(&stem), problems);
        }
    }
}

#[test]
fn modules_use_only_what_is_to_their_left() {
    let mut problems = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_order_is_the_one_that_the_architecture_shows() {
    let text = include_str!("../../ARCHITECTURE.md");
    let shown: String = ORDER.iter().map(|name| format!("`{name}` → ")).collect();
    let shown = shown.trim_end_matches(" → ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(shown), "ARCHITECTURE.md does not show {shown}");
}

#[test]
fn names_in_nested_groups_are_found() {
    let source = "use crate::{\n    access::{A, B},\n    call,\n};\nlet x = crate::http::X;";
    assert_eq!(used(source), ["access", "call", "http"]);
}
