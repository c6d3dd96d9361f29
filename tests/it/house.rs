//! Rules of this repository that no compiler knows: how long things are, what ignored tests say, and
//! what is given away with the binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a function, from its head to its end.
const FUNCTION: usize = 80;
/// The most lines of a file.
const FILE: usize = 700;

/// What a test may need, as `.ci/run` knows it.
const NEEDS: [&str; 11] = [
    "DADL_AUTH_SERVER_MODULES",
    "DADL_AUTH_SERVER_PYTHON",
    "DADL_CORPUS",
    "DADL_OPENAPI_DOCS",
    "DADL_OPENAPI_READER_PYTHON and DADL_OPENAPI_DOCS",
    "DADL_XO_OPENAPI",
    "DADL_XO_SAMPLES",
    "a keyring",
    "jq 1.7",
    "jq 1.7 and DADL_CORPUS",
    "the right to mount",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below these folders, with their texts.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The functions of a formatted file: name and number of lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some(at) = code.find("fn ") else { continue };
        let is_head = code[..at].split(' ').filter(|word| !word.is_empty()).all(|word| {
            matches!(word, "async" | "const" | "extern" | "\"C\"") || word.starts_with("pub")
        });
        if !is_head {
            continue;
        }
        let name = code[at + 3..].split(['(', '<']).next().unwrap().to_owned();
        // One that has no body, or all of it on a line, is short.
        let head = lines[start..].iter().find(|line| line.ends_with(['{', '}', ';']));
        let end = format!("{indent}}}");
        let length = match head {
            Some(head) if head.ends_with('{') => {
                lines[start..].iter().position(|line| *line == end).map_or(1, |it| it + 1)
            }
            _ => 1,
        };
        found.push((name, length));
    }
    found
}

#[test]
fn functions_and_files_are_short() {
    let mut long = BTreeMap::new();
    for (path, text) in sources(&["src", "crates", "tests", "benches", "fuzz/fuzz_targets"]) {
        let path = path.display();
        let lines = text.lines().count();
        if lines > FILE {
            long.insert(path.to_string(), lines);
        }
        let functions = functions(&text).into_iter().filter(|(_, lines)| *lines > FUNCTION);
        long.extend(functions.map(|(name, lines)| (format!("{path}: {name}"), lines)));
    }
    assert_eq!(long, BTreeMap::new(), "at most {FUNCTION} lines a function, {FILE} a file");
}

#[test]
fn the_length_of_a_function_is_that_of_its_lines() {
    let text = "fn a() {}\n\npub(crate) async fn b<T>(\n    x: T,\n) -> T {\n    x\n}\n\nimpl C {\n    fn d() {\n    }\n}\n";
    let expected = [("a", 1), ("b", 5), ("d", 2)];
    assert_eq!(functions(text), expected.map(|(name, lines)| (name.to_owned(), lines)));
}

#[test]
fn the_paths_that_documents_name_exist() {
    for document in ["CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        // What is in backquotes and begins with a folder of the repository; what links lead to.
        let quoted = text.split('`').skip(1).step_by(2).filter(|code| {
            let folders =
                ["src/", "crates/", "tests/", "docs/", "dadl/", "benches/", "fuzz/", ".ci/"];
            folders.iter().any(|folder| code.starts_with(folder))
        });
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.contains("://"));
        for path in quoted.chain(links) {
            // Words in capitals stand for names, and what comes after a space or a brace for more.
            let path = path.split([' ', '{', '#']).next().unwrap();
            let is_name = |part: &str| part.len() > 1 && part.chars().all(|it| it.is_uppercase());
            let fixed = path.split('/').take_while(|part| !is_name(part));
            let path = fixed.fold(root().to_owned(), |path, part| path.join(part));
            // A module is a file or a folder.
            let exists = path.exists() || path.with_extension("rs").exists();
            assert!(exists, "{document} names {}", path.display());
        }
    }
}

#[test]
fn an_ignored_test_says_what_it_needs() {
    let gate = fs::read_to_string(root().join(".ci/run")).unwrap();
    let mut seen = BTreeSet::new();
    for (path, text) in sources(&["src", "crates", "tests"]) {
        for line in text.lines().filter(|line| line.trim_start().starts_with("#[ignore")) {
            let need = line.trim().strip_prefix("#[ignore = \"needs ");
            let need = need.and_then(|it| it.strip_suffix("\"]")).unwrap_or_default().to_owned();
            assert!(NEEDS.contains(&&*need), "{}: {line}", path.display());
            seen.insert(need);
        }
    }
    for need in NEEDS {
        assert!(seen.contains(need), "no test needs {need}");
        let quoted = [format!("\nneeds {need} "), format!("\nneeds \"{need}\" ")];
        assert!(quoted.iter().any(|it| gate.contains(it)), ".ci/run does not know {need}");
    }
}

/// The packages that the program itself depends on, whatever the platform.
fn direct(manifest: &str) -> BTreeSet<&str> {
    let tables = manifest.split("\n[").filter(|table| {
        let head = table.lines().next().unwrap_or_default();
        head == "dependencies]" || head.starts_with("target.") && head.ends_with(".dependencies]")
    });
    let lines = tables.flat_map(|table| table.lines().skip(1));
    lines
        .filter(|line| line.starts_with(char::is_alphabetic))
        .map(|line| match line.split_once("package = \"") {
            Some((_, package)) => package.split('"').next().unwrap(),
            None => line.split([' ', '.']).next().unwrap(),
        })
        .collect()
}

/// What this package and those of the workspace that it uses are built of, as Cargo.lock has it:
/// `name version`. The manifests of the workspace say what is for tests alone.
fn built(manifests: &BTreeMap<String, String>, lock: &str) -> BTreeSet<String> {
    let mut packages: BTreeMap<&str, Vec<(&str, Vec<&str>)>> = BTreeMap::new();
    for package in lock.split("\n[[package]]\n").skip(1) {
        let quoted = |key: &str| package.lines().find_map(|line| line.strip_prefix(key));
        let name = quoted("name = ").unwrap().trim_matches('"');
        let version = quoted("version = ").unwrap().trim_matches('"');
        let needs = package.lines().filter_map(|line| line.strip_prefix(" \""));
        let needs = needs.map(|line| line.trim_end_matches("\",")).collect();
        packages.entry(name).or_default().push((version, needs));
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![env!("CARGO_PKG_NAME")];
    while let Some(need) = open.pop() {
        let mut words = need.split(' ');
        let (name, wanted) = (words.next().unwrap(), words.next());
        for (version, needs) in &packages[name] {
            if wanted.is_none_or(|it| it == *version) && found.insert(format!("{name} {version}")) {
                let direct = manifests.get(name).map(|manifest| direct(manifest));
                let is_built = |need: &&&str| {
                    let name = need.split(' ').next().unwrap();
                    direct.as_ref().is_none_or(|direct| direct.contains(name))
                };
                open.extend(needs.iter().filter(is_built));
            }
        }
    }
    found.retain(|package| !manifests.contains_key(package.split(' ').next().unwrap()));
    found
}

/// The manifests of the packages of the workspace, by their names.
fn manifests() -> BTreeMap<String, String> {
    let mut manifests = BTreeMap::new();
    let read = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    manifests.insert(env!("CARGO_PKG_NAME").to_owned(), read(root()));
    for entry in fs::read_dir(root().join("crates")).into_iter().flatten() {
        let entry = entry.unwrap();
        manifests.insert(entry.file_name().into_string().unwrap(), read(&entry.path()));
    }
    manifests
}

#[test]
fn the_notices_name_what_is_linked() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let notices = read("THIRD-PARTY-NOTICES.md");
    let built = built(&manifests(), &read("Cargo.lock"));
    let building = notices.lines().find_map(|line| line.split_once("are no part of it: "));
    let building = building.unwrap().1.trim_end_matches('.').split(", ").map(str::to_owned);
    let mut listed: BTreeSet<String> = building.collect();
    for row in notices.lines().skip_while(|line| !line.starts_with("| ---")).skip(1) {
        let Some(row) = row.strip_prefix("| ") else { break };
        let cells: Vec<&str> = row.split(" | ").collect();
        listed.insert(format!("{} {}", cells[0], cells[1]));
    }
    assert_eq!(listed, built, "`.ci/notices` writes THIRD-PARTY-NOTICES.md");
}
