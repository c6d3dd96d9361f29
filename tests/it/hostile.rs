//! Descriptors that want to fill memory or time: each ends in a report that says what was hit, in a
//! process that may not have more than a fixed amount of memory.

use std::{fmt::Write as _, fs, process::Command};

/// The memory that a process of these tests may have, in KiB: a debug build needs a tenth of it for
/// a large descriptor that is fine.
#[cfg(target_os = "linux")]
const MEMORY: u32 = 512 * 1024;

const HEAD: &str = "spec: https://dadl.ai/spec/dadl-spec-v0.2\nrequires: {features: [redact]}\n\
                    backend:\n  name: x\n  type: rest\n  base_url: https://a.example\n  \
                    description: d\n  auth: {type: bearer, credential: none}\n";

/// Writes lines made of numbers.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "{}", line(number)).unwrap();
        text
    })
}

fn tools(count: usize, description: &str) -> String {
    let tool = |number| {
        format!(
            "    t{number}: {{method: GET, path: /{number}, access: read, description: {description}}}"
        )
    };
    format!("  tools:\n{}", lines(count, tool))
}

/// Runs the program on a file with this text; returns what it printed.
fn run(arguments: &[&str], text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.dadl");
    fs::write(&file, text).unwrap();
    let program = env!("CARGO_BIN_EXE_dadl-mcp");
    #[cfg(target_os = "linux")]
    let mut command = {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\""), program]);
        command
    };
    #[cfg(not(target_os = "linux"))]
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(&file).env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    // A process that was killed or ran out of memory has no code, or another one.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {err}", output.status);
    said + &err
}

/// Checks a file and returns the first finding and the line that counts them.
fn check(text: &str) -> (String, String) {
    let report = run(&["check"], text);
    let line = |found: Option<&str>| found.unwrap_or_default().to_owned();
    let first = report.lines().find(|line| line.contains("error[") || line.contains("warning["));
    (line(first), line(report.lines().find(|line| line.contains("checked:"))))
}

#[track_caller]
fn too_complex(text: &str, what: &str) {
    let (first, _) = check(text);
    assert!(first.starts_with("error[D004]") && first.contains(what), "{first}");
}

#[test]
fn aliases_do_not_multiply() {
    let bomb = lines(20, |level| match level {
        0 => "a0: &x0 [a, a, a, a, a, a, a, a]".to_owned(),
        _ => format!("a{level}: &x{level} [{}]", vec![format!("*x{}", level - 1); 8].join(", ")),
    });
    too_complex(&bomb, "aliases expanded");
    let long = format!("_a: &a {}\n{HEAD}{}", "word ".repeat(200_000), tools(5_000, "*a"));
    too_complex(&long, "aliases expanded");
}

#[test]
fn depth_is_bounded() {
    too_complex(&format!("a: {}", "[".repeat(10_000)), "64 levels deep");
    too_complex(&format!("a: {}", "{a: ".repeat(10_000)), "64 levels deep");
    too_complex(&"- ".repeat(10_000), "64 levels deep");
    too_complex(&lines(10_000, |level| format!("{}a:", " ".repeat(level % 400))), "64 levels deep");
}

#[test]
fn numbers_of_things_are_bounded() {
    too_complex(
        &format!("{HEAD}  tools:\n{}", lines(450_000, |n| format!("    t{n}: {{}}"))),
        "values",
    );
    let headers = lines(5_000, |number| format!("      X-{number}: a"));
    let text = format!("{HEAD}  defaults:\n    headers:\n{headers}{}", tools(5_000, "d"));
    too_complex(&text, "`defaults` is too long for 5000 tools");
    let paths: Vec<String> = (0..5_000).map(|number| format!("$.a{number}")).collect();
    let text = format!(
        "{HEAD}  defaults: {{response: {{redact: [{}]}}}}\n{}",
        paths.join(", "),
        tools(5_000, "d")
    );
    too_complex(&text, "`defaults` is too long for 5000 tools");
}

#[test]
fn many_tools_and_parameters_are_no_problem() {
    assert_eq!(check(&format!("{HEAD}{}", tools(10_000, "d"))).1, "1 file checked: no findings");
    let params = lines(20_000, |number| format!("        p{number}: {{type: string, in: query}}"));
    let text = format!(
        "{HEAD}{}      params:\n{params}",
        "  tools:\n    a:\n      method: GET\n      path: /a\n      access: read\n      description: d\n"
    );
    assert_eq!(check(&text).1, "1 file checked: no findings");
}

#[test]
fn paths_of_thousands_of_levels_are_told() {
    let tool = |path: &str| {
        format!(
            "{HEAD}  tools:\n    a:\n      method: GET\n      path: /a\n      access: read\n      \
             description: d\n      response: {{result_path: \"{path}\", redact: [\"{path}\"]}}\n      \
             errors: {{message_path: \"{path}\"}}\n"
        )
    };
    for path in [
        format!("${}", ".a".repeat(5_000)),
        format!("${}", ".a".repeat(40)),
        format!("${}", "[0]".repeat(300)),
        format!("${}", "..*".repeat(33)),
        format!("$[?{}@.a{}]", "(".repeat(5_000), ")".repeat(5_000)),
        format!("$[?{}@.a{}]", "!(".repeat(400), ")".repeat(400)),
        format!("${}a", "[?@".repeat(5_000)),
        format!("${}", "[".repeat(5_000)),
        "$[?@..a..b]".to_owned(),
    ] {
        let report = run(&["check"], &tool(&path));
        assert_eq!(report.matches("error[D401]").count(), 3, "{path:.40}: {report:.2000}");
    }
    let (first, count) = check(&tool("$..*..*..*"));
    assert!(first.starts_with("warning[D401]"), "{first} {count}");
}

#[test]
fn many_findings_are_cut() {
    let keys = lines(50_000, |number| format!("  k{number}: 1"));
    let (first, count) = check(&format!("{HEAD}{keys}"));
    assert!(first.contains("D009"), "{first}");
    assert_eq!(count, "1 file checked: 1 error, 999 warnings");
    let tool = |number| {
        let path = "/{x}".repeat(900);
        format!("    t{number}: {{method: GET, path: \"{path}\", access: read, description: d}}")
    };
    let (first, _) = check(&format!("{HEAD}  tools:\n{}", lines(500, tool)));
    assert!(first.contains("D301"), "{first}");
}

#[test]
fn long_keys_and_huge_numbers_are_told() {
    let key = "k".repeat(1_000_000);
    assert!(check(&format!("{HEAD}  {key}: 1\n")).0.contains("D002"));
    assert!(check(&format!("{HEAD}  \"{key}\": 1\n")).0.contains("D002"));
    for (number, code) in
        [("9".repeat(400_000), "D006"), ("-1".to_owned(), "D408"), ("1e999".to_owned(), "D006")]
    {
        let tool = format!(
            "  tools:\n    a: {{method: GET, path: /a, access: read, description: d, response: {{max_items: {number}}}}}\n"
        );
        let (first, _) = check(&format!("{HEAD}{tool}"));
        assert!(first.contains(code), "{first:.200}");
    }
}

#[test]
fn paths_that_climb_or_leave_are_refused() {
    for path in [
        "/a/../../b",
        "/a/%2e%2E/b",
        "//evil.example/b",
        "https://evil.example/b",
        "'/a\\..\\b'",
        "'/a/..'",
        "'\\\\evil.example\\b'",
        "'/a#b'",
        "'javascript:b'",
        "'{x}://evil.example'",
    ] {
        let tool = format!(
            "  tools:\n    a: {{method: GET, path: {path}, access: read, description: d}}\n"
        );
        let (first, _) = check(&format!("{HEAD}{tool}"));
        assert!(first.contains("D303") || first.contains("D301"), "{path}: {first}");
    }
}

#[test]
fn mending_and_formatting_are_bounded_as_well() {
    let keys = lines(5_000, |number| format!("  desciption{number}: 1"));
    assert!(run(&["check", "--fix"], &format!("{HEAD}{keys}")).contains("checked:"));
    assert_eq!(run(&["fmt", "--check"], &format!("{HEAD}{}", tools(10_000, "d"))), "");
    assert!(run(&["fmt"], &"[".repeat(100_000)).contains("D004"));
    let text = format!("a: [{}]\n", "1 ,".repeat(100_000));
    assert!(run(&["fmt"], &text).contains("hostile.dadl"));
}

#[test]
fn texts_that_look_like_secrets_and_orders_are_read_in_one_go() {
    for prose in
        ["eyJ".repeat(1_000_000), "ignore the ".repeat(200_000), "password: a1b2".repeat(100_000)]
    {
        let text = format!(
            "# {prose}\n{}{}",
            HEAD.replace("description: d", &format!("description: '{prose}'")),
            tools(1, "d")
        );
        assert!(check(&text).1.contains("checked:"));
    }
}
