//! Our filters against jq itself: the programs of real descriptors and of a table, on inputs that
//! are made after the names that a program reads.
//!
//! `jq_expected.txt` holds what jq 1.7 gives, so that the table needs no jq; with `UPDATE_JQ=1` the
//! tests that have one write it. `DADL_JQ` names the jq to compare with, otherwise the one on the path;
//! `cargo test` ignores the tests that need it.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Map, Value, json};

/// The jq to compare with.
fn jq() -> PathBuf {
    let jq = env::var_os("DADL_JQ").map_or_else(|| PathBuf::from("jq"), PathBuf::from);
    let version = Command::new(&jq).arg("--version").output();
    let version = version.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    let found = version.as_ref().is_ok_and(|version| version.starts_with("jq-1.7"));
    assert!(found, "DADL_JQ names no jq 1.7 ({}: {version:?})", jq.display());
    jq
}

/// Makes errors and several outputs part of the value.
fn wrapped(program: &str) -> String {
    format!("try {{ok: [{program}\n]}} catch {{failed: true}}")
}

/// What jq gives for each input; `None` when the program is none of jq's.
fn oracle(jq: &Path, program: &str, inputs: &[Value]) -> Option<Vec<String>> {
    let mut child = Command::new(jq)
        .args(["-c", &wrapped(program)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text: String = inputs.iter().map(|input| format!("{input}\n")).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A program that does not compile is not read to.
    let _ = writer.join().unwrap();
    if output.status.code() == Some(3) {
        return None;
    }
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {error}");
    let lines: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.iter().all(|line| !line.is_empty()), "{program}: {lines:?}");
    assert_eq!(lines.len(), inputs.len(), "{program}: {error}");
    Some(lines)
}

/// The same value with all numbers as doubles: jq of PyPI knows no others.
fn canonical(text: &str) -> String {
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) => json!(number.as_f64()),
            Value::Array(items) => items.into_iter().map(rounded).collect(),
            Value::Object(members) => {
                Value::Object(members.into_iter().map(|(key, it)| (key, rounded(it))).collect())
            }
            other => other,
        }
    }
    rounded(serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .to_string()
}

/// What differs between jq and us; the second number counts inputs for which jq had a result.
async fn differences(
    program: &str,
    inputs: &[Value],
    expected: Option<Vec<String>>,
) -> (Vec<String>, usize) {
    let Some(expected) = expected else {
        return (vec![format!("{program}\n  is no program of jq")], 0);
    };
    let filters = crate::jq::filters();
    let mut found = Vec::new();
    let mut results = 0;
    for (input, expected) in inputs.iter().zip(expected) {
        results += usize::from(!expected.contains("failed"));
        let ours = filters.run(&wrapped(program), input.to_string().as_bytes()).await;
        let ours = ours.map_or_else(|error| format!("\"{error}\""), |text| canonical(&text));
        let expected = canonical(&expected);
        if ours != expected {
            found.push(format!("{program}\n  on   {input}\n  jq   {expected}\n  ours {ours}"));
        }
    }
    (found, results)
}

/// Numbers that look random and are the same in every run.
struct Random {
    state: u64,
    /// Whether values are now and then missing or not what the program expects.
    is_noisy: bool,
}

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % most
    }

    fn pick<'it, T>(&mut self, items: &'it [T]) -> &'it T {
        &items[self.below(items.len())]
    }
}

/// What a program does with a member of this name.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Array,
    Object,
    Text,
    Any,
}

/// The names that a program reads, and how: `.tags[]` is an array, `.account.id` an object.
fn names(program: &str) -> BTreeMap<String, Use> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeMap::new();
    let mut at = 0;
    while let Some(found) = program[at..].find(word) {
        let start = at + found;
        let length = program[start..].find(|c| !word(c)).unwrap_or(program.len() - start);
        let (name, rest) = (&program[start..start + length], &program[start + length..]);
        at = start + length;
        let is_member = program[..start].ends_with(['.', '{', ',', '"', ' ', '\n']);
        if !is_member || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let rest = rest.strip_prefix('?').unwrap_or(rest);
        let is_array = rest.starts_with("[]")
            || rest.starts_with("[:")
            || rest.starts_with(" // []")
            || (name == "rows" && rest.starts_with(" |"));
        let used = if is_array {
            Use::Array
        } else if rest.starts_with('.') || rest.starts_with(" // {}") {
            Use::Object
        } else if rest.starts_with(" | gsub") || rest.starts_with(" // \"\") | test") {
            Use::Text
        } else {
            Use::Any
        };
        let known = names.entry(name.to_owned()).or_insert(used);
        if *known == Use::Any {
            *known = used;
        }
    }
    names
}

const TEXTS: &[&str] = &[
    "<p>a <b>bold</b> ü🦀 text</p>",
    "1",
    "0",
    "true",
    "",
    "10.0.0.1/24",
    "1700000000",
    "2024-02-29T12:34:56Z",
    "x",
];

fn value(random: &mut Random, names: &BTreeMap<String, Use>, used: Use, depth: usize) -> Value {
    let used = match used {
        // Now and then something is not what the program expects.
        _ if random.is_noisy && random.below(10) == 0 => return Value::Null,
        Use::Any if random.is_noisy && depth < 3 && random.below(8) == 0 => {
            *random.pick(&[Use::Array, Use::Object])
        }
        Use::Array if depth >= 4 => return json!([]),
        Use::Object if depth >= 4 => return json!({}),
        used => used,
    };
    match used {
        Use::Array => {
            let items = random.below(4);
            (0..items).map(|_| value(random, names, Use::Object, depth + 1)).collect()
        }
        Use::Object => object(random, names, depth),
        Use::Text => json!(random.pick(TEXTS)),
        Use::Any => match random.below(5) {
            0 => json!(random.below(2) == 0),
            1 => json!(random.below(2000)),
            2 => json!(1.5),
            _ => json!(random.pick(TEXTS)),
        },
    }
}

fn object(random: &mut Random, names: &BTreeMap<String, Use>, depth: usize) -> Value {
    let mut members = Map::new();
    for (name, used) in names {
        if (!random.is_noisy || random.below(8) != 0)
            && (depth < 2 || random.below(3) == 0 || matches!(used, Use::Array | Use::Text))
        {
            members.insert(name.clone(), value(random, names, *used, depth + 1));
        }
    }
    Value::Object(members)
}

/// Inputs for a program: lists and objects of what it reads, and what it does not expect.
fn inputs(program: &str) -> Vec<Value> {
    let names = names(program);
    let mut random = Random { state: u64::try_from(program.len()).unwrap(), is_noisy: false };
    let mut inputs = vec![json!(null), json!([]), json!({}), json!("text"), json!([null])];
    for round in 0..12 {
        random.is_noisy = round >= 4;
        let items = 1 + random.below(3);
        inputs.push((0..items).map(|_| object(&mut random, &names, 1)).collect());
        inputs.push(object(&mut random, &names, 0));
        let rows: Value = (0..items).map(|_| object(&mut random, &names, 1)).collect();
        inputs.push(json!({"total": items, "rowCount": 1, "rows": rows, "current": 1}));
        let entries = (0..items).map(|at| (format!("e{at}"), object(&mut random, &names, 1)));
        inputs.push(Value::Object(entries.collect()));
        inputs.push(json!({"@page": "1", "list": rows, "items": rows}));
    }
    inputs
}

/// The programs under `transform`, or in lists of programs under keys that begin with `_`.
fn transforms(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "transform" => found.push(text.clone()),
                    Value::Object(named) if key == "_transforms" => {
                        found.extend(named.values().filter_map(Value::as_str).map(str::to_owned));
                    }
                    other => transforms(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| transforms(item, found)),
        _ => {}
    }
}

fn programs(texts: crate::corpus::Texts) -> Vec<String> {
    let mut programs = Vec::new();
    for text in texts.into_values() {
        let text = String::from_utf8(text).unwrap();
        let options = serde_saphyr::options! { budget: None };
        let document: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
        transforms(&document, &mut programs);
    }
    programs.sort();
    programs.dedup();
    programs
}

/// Compares each with jq; returns how many jq refuses.
async fn give_what_jq_gives(programs: &[String]) -> usize {
    let jq = jq();
    let (mut found, mut refused) = (Vec::new(), 0);
    for program in programs {
        let inputs = inputs(program);
        let expected = oracle(&jq, program, &inputs);
        if expected.is_none() {
            // jq takes no comparison as the value of a member (`{a: length > 0}`); we do.
            let filters = crate::jq::filters();
            assert!(filters.run(program, b"{}").await.is_ok(), "{program}");
            refused += 1;
            continue;
        }
        let (differences, results) = differences(program, &inputs, expected).await;
        found.extend(differences);
        assert!(results >= 5, "{results} inputs fit {program}");
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    refused
}

#[tokio::test]
#[ignore = "needs jq 1.7"]
async fn transforms_of_our_descriptors_give_what_jq_gives() {
    let programs = programs(crate::corpus::own());
    assert!(programs.len() >= 8, "{}", programs.len());
    assert_eq!(give_what_jq_gives(&programs).await, 0);
}

#[tokio::test]
#[ignore = "needs jq 1.7 and DADL_CORPUS"]
async fn transforms_of_real_descriptors_give_what_jq_gives() {
    let programs = programs(crate::corpus::corpus());
    assert!(programs.len() >= 30, "{}", programs.len());
    assert!(give_what_jq_gives(&programs).await <= 1);
}

/// Programs that every stage of a pipeline may use, each with inputs.
const TABLE: &str = include_str!("jq_programs.txt");

/// For each line of the table what jq gives for each of its inputs: a list of the outputs of all
/// programs.
const EXPECTED: &str = include_str!("jq_expected.txt");

/// The inputs of each line, and its programs; with all of them as one.
fn table() -> impl Iterator<Item = (Vec<Value>, Vec<&'static str>, String)> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(|line| {
        let (inputs, programs) = line.split_once(" ⊢ ").expect("INPUT, INPUT.. ⊢ PROGRAM");
        let inputs: Vec<Value> = serde_json::from_str(&format!("[{inputs}]"))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let programs: Vec<&str> = programs.split(" ⫶ ").collect();
        let all: Vec<String> = programs.iter().map(|it| format!("[{}]", wrapped(it))).collect();
        (inputs, programs, all.join(", "))
    })
}

#[tokio::test]
async fn the_language_is_that_of_jq() {
    let mut expected = EXPECTED.lines().map(str::to_owned);
    let mut found = Vec::new();
    for (inputs, _, all) in table() {
        let expected: Vec<String> = expected.by_ref().take(inputs.len()).collect();
        assert_eq!(expected.len(), inputs.len(), "jq_expected.txt has fewer lines than the table");
        found.extend(differences(&all, &inputs, Some(expected)).await.0);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(expected.next(), None, "jq_expected.txt has more lines than the table");
}

#[tokio::test]
#[ignore = "needs jq 1.7"]
async fn the_table_is_what_jq_gives() {
    let jq = jq();
    let mut given = String::new();
    let mut found = Vec::new();
    for (inputs, programs, all) in table() {
        let Some(lines) = oracle(&jq, &all, &inputs) else { panic!("{all} is no program of jq") };
        for line in &lines {
            given.push_str(line);
            given.push('\n');
        }
        if differences(&all, &inputs, Some(lines)).await.0.is_empty() {
            continue;
        }
        // Which of them it is.
        for program in programs {
            let expected = oracle(&jq, program, &inputs);
            found.extend(differences(program, &inputs, expected).await.0);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    if env::var_os("UPDATE_JQ").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/jq_expected.txt");
        std::fs::write(path, given).unwrap();
    } else {
        let same = |text: &str| text.lines().map(canonical).collect::<Vec<_>>();
        assert_eq!(same(&given), same(EXPECTED), "UPDATE_JQ=1 writes jq_expected.txt");
    }
}

#[test]
fn names_are_found_with_their_use() {
    let names = names("map({id, t: [.tags[].name], a: .account.id, (.note | gsub(\"a\"; \"\"))})");
    assert!(names["tags"] == Use::Array && names["account"] == Use::Object);
    assert!(names["note"] == Use::Text && names["id"] == Use::Any);
}
