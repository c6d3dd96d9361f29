//! What `docs/hosts.md` says was seen with real hosts fits what `tests/hosts/run` plays. The hosts
//! themselves come from npm and PyPI, and are not run here.

const PAGE: &str = include_str!("../../docs/hosts.md");
const README: &str = include_str!("../../README.md");
const SCENARIOS: &str = include_str!("../hosts/scenarios.py");
const COMPACT: &str = include_str!("../hosts/compact.py");
const PACKAGES: &str = include_str!("../hosts/packages.py");

/// The names in the order in which they are played.
fn scenarios() -> Vec<String> {
    let named = |page: &'static str, mark: &str| -> Vec<String> {
        let decorators = page.lines().filter_map(|line| line.strip_prefix("@scenario(\""));
        decorators.map(|rest| format!("{mark}{}", rest.split('"').next().unwrap())).collect()
    };
    [named(SCENARIOS, ""), named(COMPACT, "compact: ")].concat()
}

/// The version that `packages.py` pins.
fn pinned(name: &str) -> &'static str {
    let start = format!("{name} = \"");
    let package = PACKAGES.lines().find_map(|line| line.strip_prefix(&*start)?.strip_suffix('"'));
    package.unwrap().rsplit(['@', '=']).next().unwrap()
}

/// What was recorded: the date, and the rows of the table with its head.
fn seen() -> (&'static str, Vec<Vec<&'static str>>) {
    let (_, rest) = PAGE.split_once("<!-- seen -->\n").unwrap();
    let (part, _) = rest.split_once("<!-- end of seen -->").unwrap();
    let (date, table) = part.strip_prefix("Seen on ").unwrap().split_once(":\n\n").unwrap();
    let rows = table.lines().filter(|line| !line.starts_with("| ---"));
    let cells = |row: &'static str| row.trim_matches('|').split(" | ").map(str::trim).collect();
    (date, rows.map(cells).collect())
}

#[test]
fn each_scenario_was_seen_with_each_host() {
    let (date, rows) = seen();
    assert!(date.len() == 10 && date.starts_with("20"), "{date}");
    let names: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(names, scenarios(), "run it with --record");
    for row in &rows[1..] {
        assert_eq!(row.len(), rows[0].len(), "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty() && !cell.starts_with("fails")), "{row:?}");
    }
}

#[test]
fn the_hosts_are_those_that_are_installed() {
    let hosts = [
        ("Claude Code", "CLAUDE"),
        ("Codex", "CODEX"),
        ("Python SDK", "PYTHON_SDK"),
        ("TypeScript SDK", "TYPESCRIPT_SDK"),
    ];
    let expected: Vec<String> =
        hosts.iter().map(|(host, package)| format!("{host} {}", pinned(package))).collect();
    assert_eq!(seen().1[0][1..], expected, "run it with --record");
}

#[test]
fn a_first_answer_has_commands_in_the_readme() {
    let (_, rest) = README.split_once("\n## In two minutes\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    for host in ["claude", "codex"] {
        let is_its = |line: &&str| line.split(' ').next() == Some(host);
        let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
        let commands: Vec<&str> = lines.filter(is_its).collect();
        let (last, first) = commands.split_last().unwrap();
        assert!(first.iter().any(|it| it.contains(" mcp add ")), "{host}: {commands:?}");
        assert!(!last.contains(" mcp "), "the host itself comes last: {commands:?}");
    }
}
