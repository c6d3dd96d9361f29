//! `composites`: scripts that call tools.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use dadl_text::names::{self, nearest_operation};

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    meta::description,
    named::declared_names,
    params,
    tool::{self, HintsByTool},
};
use crate::{
    code,
    model::{AccessLevel, Composite, CompositeScript, HealthCheck, Tool},
    script,
    source::SourceText,
    yaml::YamlEntry,
};

const KEYS: &[&str] =
    &["description", "access", "delegates", "params", "code", "timeout", "depends_on"];

/// The time of a composite that does not say how long it takes (spec section 12.3).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time of any composite (spec section 12.4).
const MOST_TIMEOUT: Duration = Duration::from_secs(120);

/// Each is compiled; the file with the most has a dozen.
const MOST_COMPOSITES: usize = 500;

/// Has the scripts of all composites parsed while the tools are lowered.
pub(super) fn begin_parsing(backend: &YamlSection<'_>) -> script::ScriptParser {
    let composites = backend.entry("composites").map_or(&[][..], |entry| entry.value.entries());
    let composites = composites.iter().take(MOST_COMPOSITES);
    script::ScriptParser::reading(composites.filter_map(|it| it.value.get("code")?.text()))
}

/// Lowers all composites; `tools` are those of the file that are well formed, and `health` is one
/// more when it is offered.
pub(super) fn lower_all<'tree>(
    backend: &YamlSection<'tree>,
    parser: script::ScriptParser,
    tools: &[Tool],
    health: Option<&HealthCheck>,
    hints: &mut HintsByTool<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<Composite> {
    let Some(entry) = backend.entry("composites") else { return Vec::new() };
    let place = MappingPlace::Key("composites");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    if section.entries().len() > MOST_COMPOSITES {
        let message = format!("the file has more than {MOST_COMPOSITES} composites");
        context.error(code::TOO_COMPLEX, &entry.key_span, message);
    }
    let check = health.filter(|health| health.expose).map(|health| &health.tool);
    let mut names_of_tools = declared_names(backend, &["tools"]);
    names_of_tools.extend(check.map(|_| HealthCheck::NAME));
    let known = DeclaredTools {
        all: names_of_tools.iter().map(|name| (*name).to_owned()).collect(),
        access: tools
            .iter()
            .chain(check)
            .map(|tool| (tool.name.as_str(), tool.access.as_ref()))
            .collect(),
        names: names_of_tools,
        composites: declared_names(backend, &["composites"]),
        parser,
    };
    section
        .entries()
        .iter()
        .take(MOST_COMPOSITES)
        .filter_map(|entry| {
            let mut composite = lower(entry, &known, context)?;
            composite.hints = hints.remove(entry.key.as_ref()).unwrap_or_default();
            Some(composite)
        })
        .collect()
}

/// What the file declares.
struct DeclaredTools<'tools, 'tree> {
    access: HashMap<&'tools str, Option<&'tools AccessLevel>>,
    names: BTreeSet<&'tree str>,
    /// The same, for the scripts that may call everything.
    all: Arc<[String]>,
    composites: BTreeSet<&'tree str>,
    parser: script::ScriptParser,
}

impl DeclaredTools<'_, '_> {
    fn access(&self, name: &str) -> Option<&AccessLevel> {
        self.access.get(name).copied().flatten()
    }

    fn operations(&self) -> impl Iterator<Item = names::KnownOperation<'_>> {
        self.names.iter().map(|name| {
            let danger = AccessLevel::danger(self.access(name));
            names::KnownOperation { name, declared: name, backend: "", danger }
        })
    }
}

fn lower<'tree>(
    entry: &'tree YamlEntry<'tree>,
    known: &DeclaredTools<'_, 'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Composite> {
    let name = entry.key.as_ref();
    tool::check_name(entry, context);
    let is_taken = known.names.contains(name);
    if is_taken {
        context
            .error(code::NAME_TAKEN, &entry.key_span, format!("`{name}` is a tool already"))
            .help("tools and composites share their names; give the composite another one");
    }
    let place = MappingPlace::Named("composite", name);
    let section = context.section(&entry.value, &entry.key_span, place, KEYS)?;
    let description = description(&section, context);
    context.since_v02(&section, "access");
    context.since_v02(&section, "delegates");
    let access = context.text(&section, "access").map(|text| AccessLevel::from_word(text.value));
    let params = params::lower_for_script(&section, context);
    let timeout = lower_timeout(&section, context);
    let mut references = |key: &'static str| -> Vec<String> {
        let texts = context.texts(&section, key);
        for text in &texts {
            tool::unknown_tool(text.value, &text.span, key, &known.names, context);
        }
        let tools: BTreeSet<&str> = texts.iter().map(|text| text.value).collect();
        let tools = tools.into_iter().filter(|name| known.names.contains(name));
        tools.map(str::to_owned).collect()
    };
    let delegates = references("delegates");
    let depends_on = references("depends_on");
    let text = context.required_text(&section, "code")?;
    let (script, parsed) = lower_script(&text, known, context)?;
    let named = parsed.calls.iter().map(|(name, _)| name.as_str());
    let declared = delegates.iter().chain(&depends_on).map(String::as_str);
    let calls: Arc<[String]> = if parsed.computes_calls {
        Arc::clone(&known.all)
    } else {
        let mut seen = HashSet::new();
        let calls = named.chain(declared);
        let calls = calls.filter(|call| known.names.contains(call) && seen.insert(*call));
        calls.map(str::to_owned).collect()
    };
    check_access(&section, access.as_ref(), &calls, known, context);
    check_delegates(&parsed, &delegates, &text, known, context);
    // Fail closed: what nobody classified is as dangerous as the worst of what it may do.
    let access = match access {
        Some(access) => Some(access),
        None => {
            calls.iter().map(|call| known.access(call)).fold(Some(AccessLevel::Read), higher_level)
        }
    };
    (!is_taken).then(|| Composite {
        name: name.to_owned(),
        access,
        description,
        hints: Vec::new(),
        params: params.into_iter().map(Into::into).collect(),
        value_hints: BTreeMap::new(),
        script,
        timeout,
        delegates,
        calls,
        is_unlisted: false,
    })
}

/// Returns the level that needs more trust. A level of the author's own and a missing one are
/// above those that have a meaning, except for what needs a person's consent.
fn higher_level(one: Option<AccessLevel>, other: Option<&AccessLevel>) -> Option<AccessLevel> {
    let rank = |access: Option<&AccessLevel>| match access {
        Some(AccessLevel::Read) => 0,
        Some(AccessLevel::Write) => 1,
        Some(AccessLevel::Admin) => 2,
        Some(AccessLevel::Custom(_)) => 3,
        None => 4,
        Some(AccessLevel::Dangerous) => 5,
    };
    if rank(other) > rank(one.as_ref()) { other.cloned() } else { one }
}

fn lower_timeout<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Duration {
    let Some(timeout) = context.duration(section, "timeout") else { return DEFAULT_TIMEOUT };
    let Some(entry) = section.entry("timeout") else { return timeout };
    if timeout.is_zero() {
        let message = "a composite needs some time";
        context.error(code::SCRIPT_TIMEOUT, &entry.value.span, message);
    }
    if timeout > MOST_TIMEOUT {
        let most = MOST_TIMEOUT.as_secs();
        context
            .warning(
                code::SCRIPT_TIMEOUT,
                &entry.value.span,
                format!("no composite runs for more than {most} s"),
            )
            .label(format!("counts as `{most}s`"))
            .help(format!("write `{most}s` or less, and do less in one call"));
    }
    timeout.min(MOST_TIMEOUT)
}

/// Parses the code and reports what is wrong with it.
fn lower_script<'tree>(
    text: &YamlText<'tree>,
    known: &DeclaredTools<'_, 'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<(CompositeScript, script::ParsedScript)> {
    let layout = script_layout(text, context.source);
    let compiled = match context.compiles_programs() {
        true => known.parser.parse(text.value),
        false => known.parser.parse_known(text.value),
    };
    let parsed = match compiled {
        Ok(parsed) => parsed,
        Err(problems) => {
            for problem in problems {
                let span = place_in_file(text, &problem.at, layout, context.source);
                let finding = context.error(code::SCRIPT, &span, problem.message);
                if let Some(help) = problem.help {
                    finding.help(help);
                }
            }
            return None;
        }
    };
    for (name, at) in &parsed.calls {
        if known.names.contains(name.as_str()) {
            continue;
        }
        let span = place_in_file(text, at, layout, context.source);
        let is_composite = known.composites.contains(name.as_str());
        let what = if is_composite { "is a composite" } else { "does not exist" };
        let message = format!("the code calls `api.{name}`, which {what}");
        let finding = context.warning(code::SCRIPT_CALL, &span, message);
        finding.label("the call fails");
        if is_composite {
            finding.help("a composite calls tools only; copy what the other one does");
        } else if let Some(meant) = nearest_operation(name, known.operations()) {
            finding.meant(Some(&format!("api.{meant}")));
        }
    }
    let script =
        CompositeScript { code: parsed.code.clone(), first_line: layout.map(|layout| layout.line) };
    Some((script, parsed))
}

/// Notes a composite whose level nobody gave, although it does more than reading.
fn check_access<'tree>(
    section: &YamlSection<'tree>,
    access: Option<&AccessLevel>,
    calls: &[String],
    known: &DeclaredTools<'_, 'tree>,
    context: &mut LowerContext<'tree>,
) {
    if access.is_some() {
        return;
    }
    let changes = |call: &&String| known.access(call) != Some(&AccessLevel::Read);
    let Some(call) = calls.iter().find(changes) else { return };
    let level = known.access(call).map_or("no level", AccessLevel::as_str);
    let place = section.place;
    let message = format!("{place} has no `access`, and `{call}`, which it may call, has {level}");
    let newer = if context.is_v01 { "declare DADL 0.2, and " } else { "" };
    let finding = context.note(code::SCRIPT_ACCESS, &section.span, message);
    finding.label("counts as the highest level of what it may call");
    finding.help(format!("{newer}write the `access` that the composite as a whole needs"));
}

/// Warns about dangerous calls that no consent covers.
fn check_delegates<'tree>(
    parsed: &script::ParsedScript,
    delegates: &[String],
    text: &YamlText<'tree>,
    known: &DeclaredTools<'_, 'tree>,
    context: &mut LowerContext<'tree>,
) {
    let layout = script_layout(text, context.source);
    let mut seen = BTreeSet::new();
    for (name, at) in &parsed.calls {
        let is_dangerous = known.access(name) == Some(&AccessLevel::Dangerous);
        if !is_dangerous || delegates.contains(name) || !seen.insert(name) {
            continue;
        }
        let span = place_in_file(text, at, layout, context.source);
        let message = format!("`{name}` is dangerous, and `delegates` does not list it");
        context
            .warning(code::NOT_DELEGATED, &span, message)
            .label("the call fails unless the operator confirms nothing")
            .help(format!("write `delegates: [{name}]`, so that the person who is asked knows"));
    }
}

/// So many lines around the beginning of a text are compared with its first one.
const MOST_EMPTY_LINES: usize = 16;

/// Where the lines of a script are in the file.
#[derive(Debug, Clone, Copy)]
struct ScriptLayout {
    /// The line that holds the first line of the code.
    line: usize,
    /// The byte at which it begins.
    start: usize,
}

/// Returns where the code is, when the lines of code and file are the same.
fn script_layout(text: &YamlText<'_>, source: &SourceText) -> Option<ScriptLayout> {
    let file = source.text();
    let mut first = source.position(text.span.start).line;
    let mut start = file.get(..text.span.start)?.rfind('\n').map_or(0, |at| at + 1);
    // Empty lines at the beginning belong to the code, and not to the span.
    let empty = text.value.lines().take(MOST_EMPTY_LINES).take_while(|line| line.trim().is_empty());
    for _ in 0..=empty.count() {
        let Some(end) = start.checked_sub(1) else { break };
        start = file.get(..end)?.rfind('\n').map_or(0, |at| at + 1);
        first -= 1;
    }
    // The text begins at its indicator, or on a line after it.
    for line in first..first + MOST_EMPTY_LINES {
        let rest = file.get(start..)?;
        let mut lines = rest.lines();
        if text.value.lines().all(|line| lines.next().is_some_and(|raw| raw.trim() == line.trim()))
        {
            return Some(ScriptLayout { line, start });
        }
        start += rest.find('\n')? + 1;
    }
    None
}

/// Returns where a part of the code is in the file.
fn place_in_file(
    text: &YamlText<'_>,
    part: &Range<usize>,
    layout: Option<ScriptLayout>,
    source: &SourceText,
) -> Range<usize> {
    let find = || {
        let layout = layout?;
        text.value.get(part.clone())?;
        let before = text.value.get(..part.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.value.get(line_start..)?.lines().next().unwrap_or_default();
        let block = source.text().get(layout.start..)?;
        let mut raw_lines = block.split_inclusive('\n');
        let rows = before.matches('\n').count();
        let skipped: usize = raw_lines.by_ref().take(rows).map(str::len).sum();
        let raw = raw_lines.next()?.trim_end();
        let raw_start = layout.start + skipped;
        let start = raw_start + raw.find(line.trim_end())? + (part.start - line_start);
        // A part of several lines is marked on its first.
        let end = (start + part.len()).min(raw_start + raw.len()).max(start);
        Some(start..end)
    };
    find().unwrap_or_else(|| text.span.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    const TOOLS: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: example
  type: rest
  description: An example.
  auth: {type: bearer, credential: token}
  tools:
    read: {method: GET, path: /x, access: read, description: Reads.}
    write: {method: POST, path: /x, access: write, description: Writes.}
    audit: {method: POST, path: /x, access: audit, description: Audits.}
    plain: {method: POST, path: /x, description: Does.}
    drop: {method: POST, path: /x, access: dangerous, description: Drops.}
  composites:
    c:
      description: Composes.
";

    /// The findings as `code line: message`, and the composite.
    fn check(keys: &str) -> (Vec<String>, Option<Composite>) {
        let source = SourceText::new("test.dadl", format!("{TOOLS}{keys}"));
        let loaded = load(&source);
        let findings = loaded.diagnostics.iter().map(|finding| {
            let line = source.position(finding.span.start).line;
            format!("{} {line}: {}", finding.code.0, finding.message)
        });
        (findings.collect(), loaded.descriptor.and_then(|mut it| it.composites.pop()))
    }

    fn composite(keys: &str) -> Composite {
        let (findings, composite) = check(keys);
        composite.unwrap_or_else(|| panic!("{keys}: {findings:?}"))
    }

    fn access(keys: &str) -> String {
        let access = composite(keys).access;
        access.as_ref().map_or("none", AccessLevel::as_str).to_owned()
    }

    #[test]
    fn without_a_level_the_worst_call_counts() {
        assert_eq!(access("      code: return 1;\n"), "read");
        assert_eq!(access("      code: return api.read();\n"), "read");
        assert_eq!(access("      code: return [api.read(), api.write()];\n"), "write");
        assert_eq!(access("      code: return [api.write(), api.audit()];\n"), "audit");
        assert_eq!(access("      code: return [api.audit(), api.plain()];\n"), "none");
        assert_eq!(access("      code: return [api.plain(), api.drop()];\n"), "dangerous");
        assert_eq!(access("      code: return api.read();\n      depends_on: [write]\n"), "write");
        assert_eq!(
            access("      code: return api.read();\n      delegates: [drop]\n"),
            "dangerous"
        );
        assert_eq!(access("      code: return api[params.x]();\n"), "dangerous");
        assert_eq!(access("      code: return api.drop();\n      access: read\n"), "read");
    }

    #[test]
    fn calls_are_those_that_the_file_names() {
        let calls = |keys: &str| composite(keys).calls.join(" ");
        assert_eq!(
            calls("      code: return [api.write(), api.read(), api.write()];\n"),
            "write read"
        );
        let keys =
            "      code: return api.read();\n      depends_on: [write]\n      delegates: [drop]\n";
        assert_eq!(calls(keys), "read drop write");
        assert_eq!(calls("      code: const { read } = api;\n"), "audit drop plain read write");
    }

    #[test]
    fn the_time_has_a_default_and_a_bound() {
        let seconds = |keys: &str| composite(keys).timeout.as_secs();
        assert_eq!(seconds("      code: return 1;\n"), 30);
        assert_eq!(seconds("      code: return 1;\n      timeout: 1m30s\n"), 90);
        assert_eq!(seconds("      code: return 1;\n      timeout: 1h\n"), 120);
        let (findings, composite) = check("      code: return 1;\n      timeout: 0s\n");
        assert!(composite.is_none());
        assert_eq!(findings, ["D603 17: a composite needs some time"]);
    }

    #[test]
    fn findings_are_on_the_line_of_the_code() {
        for (style, line) in [
            ("code: |\n        let a;\n        let b = ;\n", 18),
            ("code: |-\n\n\n        let a;\n        let b = ;\n", 20),
            ("code: |2\n          let a;\n\n          let b = ;\n", 19),
            // The whole text, because its lines are not those of the file.
            ("code: >\n        let a;\n\n        let b = ;\n", 16),
            ("code: \"let a;\\nlet b = ;\"\n", 16),
        ] {
            let (findings, _) = check(&format!("      {style}"));
            assert_eq!(findings.len(), 1, "{findings:?}");
            let place = format!("D601 {line}: ");
            assert!(findings[0].starts_with(&place) || line == 16, "{style}: {findings:?}");
        }
        assert_eq!(composite("      code: |\n        return 1;\n").script.first_line, Some(17));
        assert_eq!(composite("      code: 'return 1;'\n").script.first_line, None);
    }

    #[test]
    fn references_are_tools() {
        let keys = "      code: |\n        return [api.c(), api.wrte(), api.drop()];\n      delegates: [c]\n      depends_on: [reed]\n";
        let (findings, composite) = check(keys);
        assert_eq!(composite.unwrap().calls.join(" "), "drop");
        let expected = [
            "D605 14: composite `c` has no `access`, and `drop`, which it may call, has dangerous",
            "D602 17: the code calls `api.c`, which is a composite",
            "D602 17: the code calls `api.wrte`, which does not exist",
            "D606 17: `drop` is dangerous, and `delegates` does not list it",
            "D501 18: `delegates` names the tool `c`, which does not exist",
            "D501 19: `depends_on` names the tool `reed`, which does not exist",
        ];
        assert_eq!(findings, expected);
    }

    #[test]
    fn params_have_no_place_in_a_request() {
        let keys = "      code: return 1;\n      params: {p: {type: string, in: query}}\n";
        let (findings, _) = check(keys);
        assert_eq!(findings, ["D008 17: unknown key `in` in parameter `p`"]);
    }

    #[test]
    fn the_number_of_composites_is_bounded() {
        let more: String = (0..MOST_COMPOSITES)
            .map(|number| format!("    c{number}: {{description: C., code: return 1}}\n"))
            .collect();
        let (findings, _) = check(&format!("      code: return 1;\n{more}"));
        assert_eq!(findings, ["D004 13: the file has more than 500 composites"]);
    }
}
