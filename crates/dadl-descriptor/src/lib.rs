//! The language DADL: from YAML text to a checked [`model::Descriptor`].
//!
//! A `.dadl` file describes an HTTP API: its tools, their parameters, and how answers are read. [`load`]
//! reads one, [`check`] also says what authors and reviewers care about, [`format::format`] writes it in the one
//! layout, and [`mend`] takes the corrections that findings offer. No network, no environment; files
//! come through [`FragmentFiles`].
//!
//! ```
//! use dadl_descriptor::{check, source::SourceText};
//!
//! let text = "
//! spec: https://dadl.ai/spec/dadl-spec-v0.2
//! backend:
//!   name: shop
//!   type: rest
//!   base_url: https://shop.example/v1
//!   description: A shop.
//!   tools:
//!     list_orders: { method: GET, path: /orders, acess: read, description: Lists orders. }
//! ";
//! let loaded = check(&SourceText::new("shop.dadl", text));
//! let messages: Vec<&str> = loaded.diagnostics.iter().map(|it| it.message.as_str()).collect();
//! assert!(messages.iter().any(|it| it.contains("acess")), "{messages:?}");
//! ```
//!
//! The phases: the text becomes a tree whose nodes know their bytes, the tree is lowered to the
//! checked model, and rules that span several parts of the file look at both. Every phase reports
//! all problems it finds. Filters ([`jq`]) and the scripts of composites ([`script`]) are compiled while
//! loading; what runs them later is here too, and bounds of time and memory are up to who calls it.
//!
//! It is a part of dadl-mcp and promises no stability: any version may change anything.

mod allow;
pub mod code;
pub mod diagnostic;
mod files;
pub mod format;
pub mod jq;
mod lint;
mod lower;
pub mod mend;
pub mod model;
pub mod offer;
mod programs;
pub mod script;
pub mod source;
pub mod units;
pub mod yaml;

use std::ops::Range;

use diagnostic::{Diagnostic, Severity};
use files::NoFiles;
use lower::include::{self, FragmentTexts, IncludeOutcome};
use model::{AuthScheme, Descriptor};
use programs::ProgramCheck;
use source::{SourceError, SourceText};
use yaml::{YamlArena, YamlNode};

pub use files::{FolderError, FragmentFiles};
pub use programs::ProgramsChecked;

/// So many findings of one file are kept, errors first.
const MAX_FINDINGS: usize = 1_000;

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub struct LoadedDescriptor {
    /// The descriptor; `None` exactly when a finding is an error.
    pub descriptor: Option<Descriptor>,
    /// All findings, by their place in the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The OpenAPI document beside the file, if it names one: whoever reads files may fill in with it
    /// what the descriptor does not say.
    pub document: Option<OpenApiLocation>,
    /// What was done about the filters and scripts of the file.
    pub programs: ProgramsChecked,
}

/// Where a descriptor says that its OpenAPI document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenApiLocation {
    /// Its path, from the folder of the descriptor on.
    pub path: String,
    /// Where the descriptor says so.
    pub span: Range<usize>,
}

impl LoadedDescriptor {
    /// Adds a finding that was made after loading.
    pub fn add(&mut self, finding: Diagnostic) {
        self.diagnostics.push(finding);
        sort_findings(&mut self.diagnostics);
    }
}

/// Whether the rules are applied that only authors and reviewers care about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LintChoice {
    Apply,
    Skip,
}

/// Reads a descriptor out of `source`, which cannot include fragments.
pub fn load(source: &SourceText) -> LoadedDescriptor {
    read_fragments(source, LintChoice::Skip)
}

/// Does what [`load`] does, and applies the rules that only authors and reviewers care about.
pub fn check(source: &SourceText) -> LoadedDescriptor {
    read_fragments(source, LintChoice::Apply)
}

fn read_fragments(source: &SourceText, lints: LintChoice) -> LoadedDescriptor {
    let mut diagnostics = Vec::new();
    let arena = YamlArena::for_length(source.text().len());
    let root = yaml::parse_yaml(source.text(), &arena, &mut diagnostics);
    let paths = root.as_ref().map(include::include_paths).unwrap_or_default();
    let without = |path: String| {
        let fragment = NoFiles.fragment(&path);
        (path, fragment.map(|_| 0..0))
    };
    let fragments: FragmentTexts = paths.into_iter().map(without).collect();
    let how = (lints, &ProgramCheck::of_all());
    finish_loading(root, source, &fragments, &arena, how, diagnostics)
}

/// Reads a descriptor out of `source` and the fragments that it includes.
///
/// The spans of findings refer to the source that comes back.
pub fn load_with(
    source: SourceText,
    files: &mut dyn FragmentFiles,
) -> (SourceText, LoadedDescriptor) {
    read_with(source, LintChoice::Skip, ProgramCheck::of_all(), files)
}

/// Does what [`load_with`] does, and compiles the filters and scripts of a text only when `is_known` says
/// that this has not been done before, by this version and without an error. The text that is asked
/// about has the fragments in it.
pub fn load_knowing(
    source: SourceText,
    files: &mut dyn FragmentFiles,
    is_known: &dyn Fn(&str) -> bool,
) -> (SourceText, LoadedDescriptor) {
    read_with(source, LintChoice::Skip, ProgramCheck::unless(is_known), files)
}

/// Does what [`load_with`] does, and applies the rules that only authors and reviewers care about.
pub fn check_with(
    source: SourceText,
    files: &mut dyn FragmentFiles,
) -> (SourceText, LoadedDescriptor) {
    read_with(source, LintChoice::Apply, ProgramCheck::of_all(), files)
}

fn read_with(
    mut source: SourceText,
    lints: LintChoice,
    programs: ProgramCheck<'_>,
    files: &mut dyn FragmentFiles,
) -> (SourceText, LoadedDescriptor) {
    let end = source.text().len();
    let (none, how) = (FragmentTexts::new(), (lints, &programs));
    let paths = match read_alone(&source, &none, how) {
        Ok(loaded) => return (source, loaded),
        Err(paths) => paths,
    };
    let fragments = include::read_fragments(paths, &mut source, &mut |path| files.fragment(path));
    // The first tree borrowed a source that has grown since.
    let loaded = {
        let mut diagnostics = Vec::new();
        let arena = YamlArena::for_length(source.text().len());
        let text = source.text().get(..end).unwrap_or_default();
        let root = yaml::parse_yaml(text, &arena, &mut diagnostics);
        finish_loading(root, &source, &fragments, &arena, how, diagnostics)
    };
    (source, loaded)
}

/// Reads a descriptor that includes nothing; the error has the paths of what it includes.
fn read_alone(
    source: &SourceText,
    none: &FragmentTexts,
    how: (LintChoice, &ProgramCheck<'_>),
) -> Result<LoadedDescriptor, Vec<String>> {
    let mut diagnostics = Vec::new();
    let arena = YamlArena::for_length(source.text().len());
    let root = yaml::parse_yaml(source.text(), &arena, &mut diagnostics);
    let paths = root.as_ref().map(include::include_paths).unwrap_or_default();
    if !paths.is_empty() {
        return Err(paths);
    }
    Ok(finish_loading(root, source, none, &arena, how, diagnostics))
}

/// Makes a descriptor of a tree.
fn finish_loading<'tree>(
    root: Option<YamlNode<'tree>>,
    source: &'tree SourceText,
    fragments: &'tree FragmentTexts,
    arena: &'tree YamlArena<'tree>,
    (lints, programs): (LintChoice, &ProgramCheck<'_>),
    mut diagnostics: Vec<Diagnostic>,
) -> LoadedDescriptor {
    let (mut descriptor, mut document) = (None, None);
    if let Some(root) = root {
        let root = arena.node(root);
        let merged = include::merge_fragments(root, source, fragments, arena, &mut diagnostics);
        let tree = match merged {
            IncludeOutcome::Nothing => Some(root),
            IncludeOutcome::Tree(tree) => Some(tree),
            IncludeOutcome::Broken => None,
        };
        if let Some(tree) = tree {
            let is_checked = lints == LintChoice::Apply;
            let (lowered, findings) = lower::lower(tree, source, programs, is_checked);
            descriptor = lowered;
            diagnostics.extend(findings);
            document = descriptor.as_ref().and_then(|descriptor| document_of(descriptor, tree));
            if is_checked {
                diagnostics.extend(allow::without_allowed(lint::run(tree, source), source));
            }
        }
    } else if diagnostics.is_empty() {
        diagnostics.push(Diagnostic {
            code: code::WRONG_TYPE,
            severity: Severity::Error,
            message: "the file is empty".to_owned(),
            span: 0..0,
            label: String::new(),
            help: None,
            fix: None,
        });
    }
    sort_findings(&mut diagnostics);
    if diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        descriptor = None;
    }
    LoadedDescriptor { descriptor, diagnostics, document, programs: programs.done() }
}

/// Sorts findings by their place, and leaves out what there are too many of.
fn sort_findings(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() > MAX_FINDINGS {
        diagnostics.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        diagnostics.truncate(MAX_FINDINGS);
    }
    // An aliased value is lowered at each of its uses and would report the same thing each time.
    diagnostics.sort_by(|left, right| {
        let key = |finding: &Diagnostic| (finding.span.start, finding.span.end, finding.code);
        key(left).cmp(&key(right)).then_with(|| left.message.cmp(&right.message))
    });
    diagnostics.dedup();
}

/// Returns where the document beside the file is; what is at a URL is not beside it.
fn document_of(descriptor: &Descriptor, tree: &YamlNode<'_>) -> Option<OpenApiLocation> {
    let path = descriptor.openapi_source.clone().filter(|path| !path.contains("://"))?;
    let node = ["backend", "openapi_source"].iter().try_fold(tree, |node, key| match &node.value {
        yaml::YamlValue::Mapping(entries) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
        }
        _ => None,
    });
    Some(OpenApiLocation { path, span: node.map(|node| node.span.clone()).unwrap_or_default() })
}

/// Reads a block that says what `backend.auth` of a descriptor says, and stands in another file, under a
/// key at `key`. There is no scheme exactly when a finding is an error.
pub fn read_auth(node: &YamlNode<'_>, key: &Range<usize>) -> (Option<AuthScheme>, Vec<Diagnostic>) {
    lower::lower_auth(node, key)
}

/// Turns the bytes of a file that cannot be read as text into a finding.
pub fn unreadable(error: &SourceError) -> Diagnostic {
    let help = match error {
        SourceError::Encoding { .. } => "save the file as UTF-8",
        SourceError::TooLarge { .. } => "check that this is a descriptor",
    };
    Diagnostic {
        code: code::UNREADABLE,
        severity: Severity::Error,
        message: error.to_string(),
        span: 0..0,
        label: String::new(),
        help: Some(help.to_owned()),
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = include_str!("fixtures/small.dadl");

    /// Loads `text` and checks what holds for every text.
    fn holds(text: &str) {
        let source = SourceText::new("t", text);
        let loaded = load(&source);
        let has_error =
            loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
        assert_eq!(loaded.descriptor.is_none(), has_error);
        for finding in &loaded.diagnostics {
            let Diagnostic { span, .. } = finding;
            assert!(source.text().get(span.clone()).is_some(), "{finding:?}");
            source.position(span.end);
        }
    }

    #[test]
    fn a_section_without_a_value_is_an_error() {
        holds("spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n");
        for key in ["backend", "auth", "tools", "name", "type", "get_item"] {
            let text: String = VALID
                .lines()
                .map(|line| match line.trim_start().strip_prefix(&format!("{key}:")) {
                    Some(_) => format!(
                        "{}{key}:\n_rest: |\n",
                        &line[..line.len() - line.trim_start().len()]
                    ),
                    None => format!("{line}\n"),
                })
                .collect();
            holds(&text);
        }
    }

    #[test]
    fn bounds_aliases_and_depth() {
        let mut bomb = "_0: &x0 [a, a, a, a, a, a, a, a]\n".to_owned();
        for level in 1..20 {
            let aliases = vec![format!("*x{}", level - 1); 8].join(", ");
            bomb.push_str(&format!("_{level}: &x{level} [{aliases}]\n"));
        }
        let long =
            format!("_a: &a \"\\n{}\"\n_b: [{}]\n", "x".repeat(100_000), "*a,".repeat(9_000));
        for text in [bomb, long, "[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(99)] {
            let loaded = load(&SourceText::new("t", text));
            assert_eq!(loaded.diagnostics[0].code, code::TOO_COMPLEX);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            holds(&text);
        }

        #[test]
        fn no_yaml_like_text_makes_it_panic(text in "[-a-c0-9{}\\[\\]:,&*#|>'\"!%@`<~\\\\.\\s]{0,80}") {
            holds(&text);
        }

        #[test]
        fn no_change_of_a_valid_file_makes_it_panic(
            at in 0..VALID.len(),
            removed in 0..12_usize,
            inserted in "(\\PC|[-{}\\[\\]:,&*#|>'\"!\\n\\t ä]){0,4}",
        ) {
            let mut text = VALID.to_owned();
            let end = (at + removed).min(text.len());
            text.replace_range(at..end, &inserted);
            holds(&text);
        }
    }
}
