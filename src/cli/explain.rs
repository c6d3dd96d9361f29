//! `explain`: what the codes of findings mean. The text is that of `docs/checks.md`, which is part
//! of the binary.

use std::io::{self, Write as _};

use dadl_descriptor::code;
use dadl_text::names::{OrMeant, nearest_name};
use serde_json::{Value, json};

use super::{
    args::ExplainArgs,
    console::{Console, NAME},
    exit::ExitReason,
    failure::CliFailure,
    wrap::wrap_text,
};

/// Each code has a section in it.
const CHECKS: &str = include_str!("../../docs/checks.md");

/// What `docs/checks.md` says about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CheckSection {
    code: &'static str,
    title: &'static str,
    /// Markdown, without the heading.
    text: &'static str,
}

/// Explains codes, or lists all of them.
pub(super) fn run(args: &ExplainArgs, console: &mut Console) -> Result<ExitReason, CliFailure> {
    let sections = check_sections();
    if args.codes.is_empty() {
        list_codes(&sections, args.json, console)?;
        return Ok(ExitReason::Ok);
    }
    let wanted = args.codes.iter().map(|code| find_section(&sections, code));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    if args.json {
        console.print_json(&wanted.iter().copied().map(CheckSection::to_json).collect())?;
        return Ok(ExitReason::Ok);
    }
    for (number, section) in wanted.iter().enumerate() {
        if number > 0 {
            writeln!(console.out)?;
        }
        section.write(console)?;
    }
    Ok(ExitReason::Ok)
}

fn list_codes(
    sections: &[CheckSection],
    as_json: bool,
    console: &mut Console,
) -> Result<(), CliFailure> {
    if as_json {
        console.print_json(&sections.iter().copied().map(CheckSection::to_json).collect())?;
        return Ok(());
    }
    for CheckSection { code, title, .. } in sections {
        let title = wrap_text(title, console.out_width(), 6, 6);
        writeln!(console.out, "{NAME}{code}{NAME:#}  {title}")?;
    }
    console.print_note("`dadl-mcp explain CODE` explains one, with examples")?;
    Ok(())
}

/// A part of a Markdown text.
#[derive(Debug, PartialEq, Eq)]
enum MarkdownBlock {
    Code(String),
    Paragraph(String),
}

/// Reads what `docs/checks.md` has of Markdown: paragraphs, and fences around code.
fn markdown_blocks(text: &str) -> Vec<MarkdownBlock> {
    let mut blocks = Vec::new();
    let (mut lines, mut is_code) = (Vec::new(), false);
    for line in text.lines().chain([""]) {
        let is_fence = line.starts_with("```");
        if is_fence || (line.is_empty() && !is_code) {
            let text = std::mem::take(&mut lines).join("\n");
            match text.is_empty() {
                true => {}
                false if is_code => blocks.push(MarkdownBlock::Code(text)),
                false => blocks.push(MarkdownBlock::Paragraph(text.replace("**", ""))),
            }
            is_code ^= is_fence;
        } else {
            lines.push(line);
        }
    }
    blocks
}

impl CheckSection {
    /// Writes it for a person: examples are indented, and paragraphs are broken anew.
    fn write(&self, console: &mut Console) -> io::Result<()> {
        // The first paragraph is the title.
        let mut start = format!("{NAME}{}{NAME:#}  ", self.code);
        let mut first = self.code.len() + 2;
        for block in markdown_blocks(self.text) {
            match block {
                MarkdownBlock::Code(code) => {
                    writeln!(console.out)?;
                    for line in code.lines() {
                        writeln!(console.out, "{}", format!("    {line}").trim_end())?;
                    }
                }
                MarkdownBlock::Paragraph(text) => {
                    let width = console.out_width();
                    let text = if width.is_some() { text.replace('\n', " ") } else { text };
                    let text = wrap_text(&text, width, std::mem::take(&mut first), 0);
                    writeln!(console.out, "{}{text}", std::mem::replace(&mut start, "\n".into()))?;
                }
            }
        }
        Ok(())
    }

    fn to_json(self) -> Value {
        json!({ "code": self.code, "title": self.title, "explanation": self.text })
    }
}

/// Finds a section; the letter may be small or left out.
fn find_section(sections: &[CheckSection], code: &str) -> Result<CheckSection, CliFailure> {
    let upper = code.trim().to_ascii_uppercase();
    let wanted = if upper.starts_with('D') { upper } else { format!("D{upper}") };
    if let Some(section) = sections.iter().find(|section| section.code == wanted) {
        return Ok(*section);
    }
    let meant = OrMeant(nearest_name(&wanted, sections.iter().map(|section| section.code)));
    Err(CliFailure::usage(format!("there is no code \"{code}\"{meant:#}"))
        .hint("`dadl-mcp explain` lists all of them"))
}

/// Returns what the file says about each code, in order.
fn check_sections() -> Vec<CheckSection> {
    let parts = CHECKS.split("\n### ").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once('\n')?;
        // The next group has a heading of its own.
        let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
        let (code, title) = code::ALL.iter().find(|(code, _)| code.0 == name.trim())?;
        Some(CheckSection { code: code.0, title, text: text.trim() })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_section() {
        let found: Vec<&str> = check_sections().iter().map(|section| section.code).collect();
        let all: Vec<&str> = code::ALL.iter().map(|(code, _)| code.0).collect();
        assert_eq!(found, all);
        for section in check_sections() {
            assert!(section.text.contains(section.title), "{section:?}");
            assert!(!section.text.contains("\n## "), "{section:?}");
        }
    }

    #[test]
    fn code_is_told_from_paragraphs() {
        let text = "**One**\ntwo.\n\nFails:\n\n```yaml\na: 1\n\nb: 2\n```\n\nEnd.";
        let paragraph = |text: &str| MarkdownBlock::Paragraph(text.to_owned());
        let code = MarkdownBlock::Code("a: 1\n\nb: 2".to_owned());
        let expected = [paragraph("One\ntwo."), paragraph("Fails:"), code, paragraph("End.")];
        assert_eq!(markdown_blocks(text), expected);
    }

    #[test]
    fn a_code_is_found_as_it_is_typed() {
        let sections = check_sections();
        for typed in ["D303", "d303", "303"] {
            assert_eq!(find_section(&sections, typed).unwrap().code, "D303");
        }
        let error = find_section(&sections, "D3033").unwrap_err().to_string();
        assert!(error.starts_with("there is no code \"D3033\"; did you mean \"D3"), "{error}");
        assert!(find_section(&sections, "").is_err());
    }
}
