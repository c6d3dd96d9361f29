//! What the documents promise is held by tests: each promise names its own, and they exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The rows of all tables in a page, without heads and rules, as their cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = page.lines().collect();
    let is_rule = |line: &str| line.starts_with("| ---");
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_head {
            let cells = line.trim_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// What the items of a list under `heading` begin with in bold, up to the next heading.
fn bold_items(page: &str, heading: Option<&str>) -> Vec<String> {
    let start = heading.map_or(0, |heading| page.find(heading).unwrap() + heading.len());
    let part = page[start..].split("\n## ").next().unwrap();
    part.lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("**"))
        .map(|(bold, _)| bold.to_owned())
        .collect()
}

/// The names in code that a cell has.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::"))
}

/// Whether the test `name` exists: `it::FILE::FUNCTION`, or a path of modules in `src` or in a crate.
fn exists(name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").unwrap();
    let path = match module.strip_prefix("it::") {
        Some(module) => PathBuf::from("tests/it").join(module.replace("::", "/")),
        None => match module.split_once("::").unwrap_or((module, "")) {
            (package, module) if package.starts_with("dadl_") => {
                let source = Path::new("crates").join(package.replace('_', "-")).join("src");
                let module = if module.is_empty() { "lib" } else { module };
                source.join(module.replace("::", "/"))
            }
            _ => PathBuf::from("src").join(module.replace("::", "/")),
        },
    };
    let path = root().join(path);
    let candidates = [path.with_extension("rs"), path.join("mod.rs"), path.join("tests.rs")];
    let wanted = [format!("fn {function}("), format!("fn {function}<")];
    candidates.iter().filter_map(|file| fs::read_to_string(file).ok()).any(|text| {
        // A function beside the tests would not be run.
        wanted.iter().any(|wanted| text.contains(wanted)) && text.contains("#[")
    })
}

#[test]
fn every_row_names_tests_that_exist() {
    let mut unknown = BTreeSet::new();
    for page in ["docs/promises.md", "SECURITY.md"] {
        for row in rows(&read(page)) {
            let last = row.last().unwrap();
            assert!(names(last).next().is_some(), "{page}: no test in the row {row:?}");
            unknown.extend(names(last).filter(|name| !exists(name)).map(str::to_owned));
        }
    }
    assert!(unknown.is_empty(), "these tests do not exist: {unknown:#?}");
}

#[test]
fn every_promise_has_a_row() {
    let promised: BTreeSet<String> =
        rows(&read("docs/promises.md")).into_iter().map(|row| row[0].clone()).collect();
    // A figure, which a benchmark shows and no test.
    let measured = ["Fast and small:"];
    let readme = bold_items(&read("README.md"), None);
    let architecture = bold_items(&read("ARCHITECTURE.md"), Some("## Invariants"));
    assert!(readme.len() > 5 && architecture.len() > 10, "{readme:?} {architecture:?}");
    let made: BTreeSet<String> = readme
        .into_iter()
        .chain(architecture)
        .filter(|promise| !measured.contains(&promise.as_str()))
        .collect();
    let missing: Vec<_> = made.difference(&promised).collect();
    let stale: Vec<_> = promised.difference(&made).collect();
    assert!(missing.is_empty(), "promises without a row in docs/promises.md: {missing:#?}");
    assert!(stale.is_empty(), "rows for what nobody promises: {stale:#?}");
}
