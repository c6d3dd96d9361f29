//! No file of the libraries and of the program uses another one that uses it in turn, over however many
//! files; a module and those within it are one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

type ModulePath = Vec<String>;

/// The files of a crate by the paths of their modules, and what each says outside of tests.
struct Sources(BTreeMap<ModulePath, String>);

impl Sources {
    fn read(root: &Path) -> Self {
        let (mut modules, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(root.join(&folder)).unwrap() {
                let path = folder.join(entry.unwrap().file_name());
                let stem = path.file_stem().unwrap().to_str().unwrap();
                if root.join(&path).is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") && stem != "tests" {
                    let parts = folder.iter().map(|part| part.to_str().unwrap().to_owned());
                    let own = (!matches!(stem, "mod" | "lib")).then(|| stem.to_owned());
                    let text = fs::read_to_string(root.join(&path)).unwrap();
                    modules.insert(parts.chain(own).collect(), code(&text));
                }
            }
        }
        Self(modules)
    }

    /// Returns the path that a path within a module means, if it leads into this crate.
    fn absolute(&self, module: &[String], path: &str) -> Option<ModulePath> {
        let mut base = module.to_vec();
        let mut parts = path.split("::").map(str::trim).peekable();
        match parts.peek().copied()? {
            "crate" => {
                base.clear();
                parts.next();
            }
            "self" => drop(parts.next()),
            "super" => {
                while parts.next_if_eq(&"super").is_some() {
                    base.pop();
                }
            }
            first => {
                let child: ModulePath = [module, &[first.to_owned()]].concat();
                self.0.get(&child)?;
            }
        }
        base.extend(parts.filter(|part| !matches!(*part, "self" | "*" | "")).map(str::to_owned));
        Some(base)
    }

    /// Returns which module each module uses, re-exports followed; those above and below left out.
    fn uses(&self) -> BTreeMap<&ModulePath, BTreeSet<&ModulePath>> {
        let mut exports: HashMap<ModulePath, ModulePath> = HashMap::new();
        let mut named: Vec<(&ModulePath, ModulePath)> = Vec::new();
        for (module, text) in &self.0 {
            for (path, is_public) in paths(text) {
                let Some(target) = self.absolute(module, &path) else { continue };
                if let Some(name) = target.last().filter(|_| is_public) {
                    let own: ModulePath = [module.as_slice(), std::slice::from_ref(name)].concat();
                    exports.insert(own, target.clone());
                }
                named.push((module, target));
            }
        }
        let mut uses: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = BTreeMap::new();
        for (module, mut target) in named {
            for _ in 0..6 {
                let longest = (1..=target.len()).rev().find(|length| {
                    exports.get(&target[..*length]).is_some_and(|to| *to != target[..*length])
                });
                let Some(length) = longest else { break };
                target = [exports[&target[..length]].as_slice(), &target[length..]].concat();
            }
            let found = (0..=target.len()).rev().find_map(|it| self.0.get_key_value(&target[..it]));
            let Some((other, _)) = found else { continue };
            if !other.starts_with(module) && !module.starts_with(other) {
                uses.entry(module).or_default().insert(other);
            }
        }
        uses
    }
}

/// Returns a source file without its tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

static STATEMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap());
static INLINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:crate|self|super)(?:::\w+)+").unwrap());

/// Returns the paths that a file names, and whether they are offered to others.
fn paths(text: &str) -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = Vec::new();
    for found in STATEMENT.captures_iter(text) {
        expand("", &found[2], found.get(1).is_some(), &mut all);
    }
    let rest = STATEMENT.replace_all(text, "");
    all.extend(INLINE.find_iter(&rest).map(|found| (found.as_str().to_owned(), false)));
    all
}

/// Writes out the paths of a `use` tree.
fn expand(before: &str, tree: &str, is_public: bool, all: &mut Vec<(String, bool)>) {
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        if !path.is_empty() {
            all.push((format!("{before}{path}"), is_public));
        }
        return;
    };
    let before = format!("{before}{}", head.trim());
    let group = &group[..group.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&before, &group[start..at], is_public, all);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&before, &group[start..], is_public, all);
}

/// Returns the modules that one leads to, over others too.
fn reached<'all>(
    from: &'all ModulePath,
    uses: &BTreeMap<&'all ModulePath, BTreeSet<&'all ModulePath>>,
) -> BTreeSet<&'all ModulePath> {
    let (mut all, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in uses.get(module).into_iter().flatten().copied() {
            if all.insert(next) {
                open.push(next);
            }
        }
    }
    all
}

/// Returns the modules that lead back to themselves.
fn in_circles(uses: &BTreeMap<&ModulePath, BTreeSet<&ModulePath>>) -> Vec<String> {
    let all = uses.keys().filter(|module| reached(module, uses).contains(*module));
    all.map(|module| module.join("::")).collect()
}

#[test]
fn files_of_the_libraries_are_in_no_circle() {
    for library in [
        "dadl-text",
        "dadl-descriptor",
        "dadl-openapi",
        "dadl-search",
        "dadl-secrets",
        "dadl-simulator",
    ] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(library).join("src");
        let sources = Sources::read(&root);
        let uses = sources.uses();
        assert!(uses.len() > 3, "{library}: {uses:?}");
        let circles = in_circles(&uses);
        assert!(circles.is_empty(), "{library}: {circles:?}");
    }
}

#[test]
fn files_of_the_program_are_in_no_circle() {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let uses = sources.uses();
    assert!(uses.len() > 100, "{uses:?}");
    let circles = in_circles(&uses);
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn a_circle_is_found_over_several_files() {
    let texts = [
        ("a", "use super::b::B;"),
        ("b", "crate::c::d()"),
        ("c", "use super::a::{A, e};"),
        ("e", "use crate::a;"),
    ];
    let modules = texts.map(|(name, text)| (vec![name.to_owned()], text.to_owned()));
    let sources = Sources(BTreeMap::from(modules));
    assert_eq!(in_circles(&sources.uses()), ["a", "b", "c"]);
}

#[test]
fn paths_of_all_kinds_are_found() {
    let text = "use super::{a::{B, c::D}, e};\npub use f::G;\nlet x = crate::h::i();\n// crate::no";
    let found: Vec<String> = paths(&code(text)).into_iter().map(|(path, _)| path).collect();
    assert_eq!(found, ["super::a::B", "super::a::c::D", "super::e", "f::G", "crate::h::i"]);
}
