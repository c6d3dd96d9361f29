//! Findings as text: the code, the place, the underlined source, and what to write instead.

use std::{borrow::Cow, io, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use dadl_descriptor::{
    code,
    diagnostic::{Diagnostic, Severity},
    source::SourceText,
};
use dadl_text::text;

use super::{CheckOutcome, CheckedFile, ColorMode};

/// Writes all findings and a line that counts them.
pub(super) fn write(
    files: &[CheckedFile],
    outcome: &CheckOutcome,
    color: ColorMode,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for file in files {
        for finding in &file.diagnostics {
            writeln!(out, "{}\n", render_excerpt(&file.source, finding, color))?;
        }
    }
    for file in files {
        for wanted in &file.wanted {
            let line = format!("{}: {}", file.source.name(), wanted.sentence());
            writeln!(out, "{}", printable_text(&line))?;
        }
    }
    let counts =
        [(outcome.errors, "error"), (outcome.warnings, "warning"), (outcome.notes, "note")];
    let found: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| count_of(*n, what)).collect();
    let found = if found.is_empty() { "no findings".to_owned() } else { found.join(", ") };
    writeln!(out, "{} checked: {found}", count_of(outcome.files, "file"))?;
    if outcome.fixable > 0 {
        writeln!(out, "{} can be mended by --fix", count_of(outcome.fixable, "finding"))?;
    }
    Ok(())
}

fn count_of(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Renders one finding, without a line break at its end.
pub(super) fn render_excerpt(
    source: &SourceText,
    finding: &Diagnostic,
    color: ColorMode,
) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
    };
    let (message, label) = (printable_text(&finding.message), printable_text(&finding.label));
    let name = printable_text(source.name_at(finding.span.start));
    let mut group: Group<'_> = Group::with_title(level.primary_title(message).id(finding.code.0));
    if source.text().is_empty() {
        group = group.element(Origin::path(name));
    } else {
        let line = FindingLine::of(source, finding);
        let mut shown = without_user_information(line.text);
        if finding.code == code::SECRET {
            // A report goes to logs. What hides it is as long, so that the marks stay right.
            let secret = line.marked.clone();
            let stars = "*".repeat(secret.len());
            shown.to_mut().replace_range(secret, &stars);
        }
        let (shown, marked) = visible_part(&shown, line.marked);
        let annotation = AnnotationKind::Primary.span(marked).label(label);
        let snippet =
            Snippet::source(shown).path(name).line_start(line.number).annotation(annotation);
        group = group.element(snippet);
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(printable_text(help)));
    }
    // Whoever has the program has this, with or without the network.
    let see = format!("dadl-mcp explain {}", finding.code.0);
    group = group.element(Level::NOTE.with_name("see").message(see));
    let renderer = match color {
        ColorMode::Always => Renderer::styled(),
        ColorMode::Never => Renderer::plain(),
    };
    renderer.render(&[group])
}

/// Writes what a terminal obeys or nobody sees as escapes: the renderer lets much of it through.
fn printable_text(text: &str) -> String {
    text::shown_text(&without_user_information(text)).into_owned()
}

/// Does the same to a line with a marked part; returns where that is now.
fn visible_part(line: &str, marked: Range<usize>) -> (String, Range<usize>) {
    let part = |range: Range<usize>| text::shown_text(line.get(range).unwrap_or_default());
    let mut shown = part(0..marked.start).into_owned();
    let start = shown.len();
    shown.push_str(&part(marked.clone()));
    let end = shown.len();
    shown.push_str(&part(marked.end..line.len()));
    (shown, start..end)
}

/// Hides what stands before `@` in a URL: it may be a password, and the excerpt goes to a log.
/// What hides it is as long, so that places in the text stay right.
fn without_user_information(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let mut from = 0;
    while let Some(start) = shown.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + start + "://".len();
        from = start;
        let rest = shown.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if let Some(at) = authority.rfind('@') {
            let hidden = "*".repeat(at);
            shown.to_mut().replace_range(start..start + at, &hidden);
        }
    }
    shown
}

/// The line that a finding begins in. A finding that spans several lines is about how they
/// begin, and handing over one line keeps the cost of a finding apart from the size of the file.
struct FindingLine<'text> {
    text: &'text str,
    number: usize,
    marked: Range<usize>,
}

impl<'text> FindingLine<'text> {
    fn of(source: &'text SourceText, finding: &Diagnostic) -> Self {
        let span = source.clamp(&finding.span);
        let before = source.slice(0..span.start);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = source.slice(start..source.text().len());
        let text = rest.lines().next().unwrap_or_default();
        let end = (span.end - start).min(text.len());
        let begin = (span.start - start).min(text.len());
        Self { text, number: source.position(span.start).line, marked: begin..end.max(begin) }
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::load;
    use insta::assert_snapshot;

    use super::*;

    /// Renders what `check` says about a document with these tools.
    fn report(tools: &str) -> String {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
             description: An example.\n  auth: {{type: bearer, credential: none}}\n  tools:\n{tools}"
        );
        let source = SourceText::new("example.dadl", text);
        let findings = load(&source).diagnostics;
        let rendered: Vec<String> = findings
            .iter()
            .map(|finding| render_excerpt(&source, finding, ColorMode::Never))
            .collect();
        rendered.join("\n\n")
    }

    #[test]
    fn underlines_a_placeholder() {
        let tools = "    get:\n      method: GET\n      path: /vms/{uid}\n      description: Reads.\n\
                     \x20     params:\n        uuid: {type: string, in: path}\n";
        assert_snapshot!(report(tools), @r#"
        error[D301]: the placeholder `{uid}` has no path parameter
          --> example.dadl:10:18
           |
        10 |       path: /vms/{uid}
           |                  ^^^^^ no entry under `params` with `in: path`
           |
           = help: did you mean `{uuid}`?
           = see: dadl-mcp explain D301

        error[D302]: the path has no placeholder `{uuid}`
          --> example.dadl:13:9
           |
        13 |         uuid: {type: string, in: path}
           |         ^^^^
           |
           = help: add the placeholder to the path, or send the parameter elsewhere
           = see: dadl-mcp explain D302
        "#);
    }

    #[test]
    fn names_the_nearest_key() {
        let tools = "    get:\n      methood: GET\n      path: /vms\n      description: Reads.\n";
        assert_snapshot!(report(tools), @r#"
        error[D009]: tool `get` has no `method`
         --> example.dadl:8:5
          |
        8 |     get:
          |     ^^^ `method` is required
          |
          = see: dadl-mcp explain D009

        warning[D008]: unknown key `methood` in tool `get`
         --> example.dadl:9:7
          |
        9 |       methood: GET
          |       ^^^^^^^ ignored when the file is served
          |
          = help: did you mean `method`?
          = see: dadl-mcp explain D008
        "#);
    }

    #[test]
    fn shows_where_a_program_is_wrong() {
        let tools = "    get:\n      method: GET\n      path: /vms\n      description: Reads.\n\
                     \x20     response:\n        transform: |\n          .a\n            | nope(.b)\n";
        assert_snapshot!(report(tools), @r#"
        error[D410]: `transform` is not a jq program
          --> example.dadl:15:15
           |
        15 |             | nope(.b)
           |               ^^^^ `nope/1` is not defined
           |
           = help: try the program with `jq` on an answer of the API
           = see: dadl-mcp explain D410
        "#);
    }

    #[test]
    fn explains_a_syntax_error() {
        let tools = "    get:\n      description: Reads: all of it.\n";
        assert_snapshot!(report(tools), @r#"
        error[D002]: a `key: value` pair cannot stand here
         --> example.dadl:9:25
          |
        9 |       description: Reads: all of it.
          |                         ^
          |
          = help: quote text that contains `: `, and check the indentation
          = see: dadl-mcp explain D002
        "#);
    }

    #[test]
    fn hides_a_secret_and_keeps_its_place() {
        let token = "ghp_k3Jf8sLq0Zr7TtYw2Vb5Nn1Mx9Pc4Hd6Ga0Q";
        let source =
            SourceText::new("example.dadl", format!("# ä curl -H 'token: {token}' now\na: 1\n"));
        let findings = dadl_descriptor::check(&source).diagnostics;
        let secret = findings.iter().find(|finding| finding.code == code::SECRET).unwrap();
        assert_snapshot!(render_excerpt(&source, secret, ColorMode::Never), @r"
        warning[D703]: this looks like a secret
         --> example.dadl:1:21
          |
        1 | # ä curl -H 'token: ****************************************' now
          |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ everybody who gets the file gets it
          |
          = help: revoke it, name a credential instead, and write a placeholder such as `YOUR_TOKEN` in examples
          = see: dadl-mcp explain D703
        ");
    }

    #[test]
    fn writes_color_only_when_asked() {
        let source = SourceText::new("empty.dadl", "");
        let finding = load(&source).diagnostics.remove(0);
        assert!(render_excerpt(&source, &finding, ColorMode::Always).contains('\u{1b}'));
        assert_snapshot!(render_excerpt(&source, &finding, ColorMode::Never), @r#"
        error[D006]: the file is empty
        --> empty.dadl
         = see: dadl-mcp explain D006
        "#);
    }

    proptest::proptest! {
        #[test]
        fn renders_any_span_of_any_text(
            text in "(\\PC|[\n\r\t\u{80}-\u{9f}äé中]){0,40}",
            start in 0..60_usize,
            length in 0..60_usize,
        ) {
            let source = SourceText::new("t", text);
            let finding = Diagnostic {
                code: code::PATH,
                severity: Severity::Error,
                message: "m".to_owned(),
                span: start..start + length,
                label: String::new(),
                help: None,
                fix: None,
            };
            assert!(render_excerpt(&source, &finding, ColorMode::Never).starts_with("error[D303]: m"));
        }
    }

    proptest::proptest! {
        /// What has color holds no sequence but those of the renderer.
        #[test]
        fn nothing_of_a_file_steers_a_terminal(
            text in crate::tests::hostile(),
            message in crate::tests::hostile(),
            start in 0..60_usize,
            length in 0..60_usize,
        ) {
            let finding = Diagnostic {
                code: code::PATH,
                severity: Severity::Error,
                message: message.clone(),
                span: start..start + length,
                label: message.clone(),
                help: Some(message),
                fix: None,
            };
            let source = SourceText::new(text.clone(), text);
            let plain = render_excerpt(&source, &finding, ColorMode::Never);
            // What depends on a neighbor may have lost it where a long line is cut.
            let depends = |it: char| {
                matches!(it, '\u{200c}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}')
            };
            for character in plain.chars().filter(|it| !depends(*it)).map(String::from) {
                assert_eq!(text::shown_text(&character), character);
            }
            let styles = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
            let colored = render_excerpt(&source, &finding, ColorMode::Always);
            assert_eq!(styles.replace_all(&colored, ""), plain);
        }
    }

    #[test]
    fn shows_no_control_characters_of_a_file() {
        let source = SourceText::new("a.dadl", "\"\\e[31m\": 1\n\u{9b}x: 1\n");
        for finding in load(&source).diagnostics {
            let text = render_excerpt(&source, &finding, ColorMode::Never);
            assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
        }
    }
}
