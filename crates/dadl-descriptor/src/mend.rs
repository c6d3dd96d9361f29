//! Applies the changes that findings carry, and proves that the file is better for it.
//!
//! Changes are made to the text, never to the tree, so comments and layout stay. A change counts
//! only when the changed text has fewer findings and none that is new: a mending that uncovers
//! something else is not made.

use std::collections::HashMap;

use crate::{
    FragmentFiles, LoadedDescriptor, check_with,
    diagnostic::{Diagnostic, RuleCode, Severity, TextEdit},
    files::NoFiles,
    source::SourceText,
};

/// A change may make room for the next; nothing needs more rounds than this.
const MAX_ROUNDS: usize = 32;

/// So many changes are tried one by one when all of them together make a file worse.
const MAX_SINGLE: usize = 64;

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedChange {
    /// The rule that asked for it.
    pub code: RuleCode,
    /// The line of the text as it was before this change.
    pub line: usize,
    /// The text that went; empty where something was only added.
    pub before: String,
    /// The text that came.
    pub after: String,
}

/// A text after all changes.
#[derive(Debug, Clone)]
pub struct MendedText {
    /// The new text, without fragments.
    pub source: SourceText,
    /// What [`check_with`] says about it.
    pub loaded: LoadedDescriptor,
    /// The changes, in the order in which they were made; empty when nothing could be mended.
    pub changes: Vec<AppliedChange>,
}

/// Mends what has one obvious mending, in a text without fragments.
pub fn mend(source: SourceText) -> MendedText {
    mend_with(source, &mut NoFiles)
}

/// Mends what has one obvious mending in the file itself; fragments come from `files` and stay as
/// they are.
pub fn mend_with(source: SourceText, files: &mut dyn FragmentFiles) -> MendedText {
    let (_, loaded) = check_with(source.clone(), files);
    let mut mended = MendedText { source, loaded, changes: Vec::new() };
    for _ in 0..MAX_ROUNDS {
        if !mended.round(files) {
            break;
        }
    }
    mended
}

impl MendedText {
    /// Makes the changes that the findings offer; returns whether there was one.
    fn round(&mut self, files: &mut dyn FragmentFiles) -> bool {
        let mut edits = apart(&self.loaded.diagnostics);
        // The text of fragments follows.
        edits.retain(|(_, edit)| edit.span.end <= self.source.text().len());
        if edits.is_empty() {
            return false;
        }
        if self.make_edits(&edits, files) {
            return true;
        }
        // One of them is bad; the others may be good.
        edits.chunks(1).take(MAX_SINGLE).any(|edit| self.make_edits(edit, files))
    }

    /// Makes `edits` if the text is better for it.
    fn make_edits(
        &mut self,
        edits: &[(RuleCode, TextEdit)],
        files: &mut dyn FragmentFiles,
    ) -> bool {
        let text = apply_edits(self.source.text(), edits);
        let source = SourceText::new(self.source.name(), text);
        let (_, loaded) = check_with(source.clone(), files);
        if !is_better(&loaded.diagnostics, &self.loaded.diagnostics) {
            return false;
        }
        let changes = edits.iter().map(|(code, edit)| AppliedChange {
            code: *code,
            line: self.source.position(edit.span.start).line,
            before: self.source.slice(edit.span.clone()).to_owned(),
            after: edit.replacement.clone(),
        });
        self.changes.extend(changes);
        self.source = source;
        self.loaded = loaded;
        true
    }
}

/// Returns the offered changes that do not touch each other, by their place.
fn apart(findings: &[Diagnostic]) -> Vec<(RuleCode, TextEdit)> {
    let mut edits: Vec<(RuleCode, TextEdit)> =
        findings.iter().filter_map(|finding| Some((finding.code, *finding.fix.clone()?))).collect();
    edits.sort_by_key(|(_, edit)| (edit.span.start, edit.span.end));
    edits.dedup_by(|later, earlier| later.1.span.start <= earlier.1.span.end);
    edits
}

/// Returns `text` with `edits`, which are in order and apart.
fn apply_edits(text: &str, edits: &[(RuleCode, TextEdit)]) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for (_, edit) in edits {
        changed.push_str(text.get(at..edit.span.start).unwrap_or_default());
        changed.push_str(&edit.replacement);
        at = edit.span.end;
    }
    changed.push_str(text.get(at..).unwrap_or_default());
    changed
}

/// Returns whether `after` has fewer findings than `before`, and no rule but those that only note
/// has more of them: an error that appears is never outweighed by one that goes.
fn is_better(after: &[Diagnostic], before: &[Diagnostic]) -> bool {
    let worth = |findings: &[Diagnostic], severity: Severity| {
        findings.iter().filter(|finding| finding.severity == severity).count()
    };
    let all = |findings: &[Diagnostic]| {
        [Severity::Error, Severity::Warning, Severity::Note]
            .map(|severity| worth(findings, severity))
    };
    let mut counts: HashMap<(Severity, RuleCode), (usize, usize)> = HashMap::new();
    for finding in before.iter().filter(|finding| finding.severity > Severity::Note) {
        counts.entry((finding.severity, finding.code)).or_default().0 += 1;
    }
    for finding in after.iter().filter(|finding| finding.severity > Severity::Note) {
        counts.entry((finding.severity, finding.code)).or_default().1 += 1;
    }
    all(after) < all(before) && counts.values().all(|(before, after)| after <= before)
}

#[cfg(test)]
mod tests {
    use super::{super::check, *};

    const REST: &str = "backend:\n  name: example\n  type: rest\n  description: An example.\n  \
                        auth: {type: bearer, credential: none}\n  tools:\n    get: # reads\n      \
                        method: GET\n      path: /a\n      access: read\n      description: Reads.\n";

    /// Returns the mended text of a document with this top, and the codes of the changes.
    fn mended(text: &str) -> (String, Vec<&'static str>) {
        let mended = mend(SourceText::new("t", text));
        let codes = mended.changes.iter().map(|change| change.code.0).collect();
        (mended.source.text().to_owned(), codes)
    }

    const SPEC: &str = "spec: https://dadl.ai/spec/dadl-spec-v0.2.md # the newest\n";

    #[test]
    fn renames_keys_and_values_and_keeps_everything_else() {
        let text = format!("{SPEC}# top\n{REST}")
            .replace("method: GET", "'methood':   get # as is")
            .replace("bearer", "baerer");
        let (fixed, codes) = mended(&text);
        assert_eq!(codes, ["D010", "D008", "D010"]);
        let expected =
            text.replace("'methood':   get", "method:   GET").replace("baerer", "bearer");
        assert_eq!(fixed, expected);
    }

    #[test]
    fn mends_what_each_rule_offers() {
        for (from, to, code) in [
            ("type: bearer, credential: none", "type: apikey, credential: x", "D709"),
            ("tools:", "version: \"1.10\"\n  tools:", "D007"),
            ("tools:", "coverage: {endpoints: 1}\n  tools:", "D503"),
            (
                "access: read",
                "access: read\n      params: {n: {type: integer, in: query, default: 5}}",
                "D305",
            ),
        ] {
            let expected = format!("{SPEC}{REST}").replace(from, to);
            let broken = expected
                .replace("apikey", "api_key")
                .replace("endpoints: 1", "endpoints: 7")
                .replace("default: 5", "default: \"5\"");
            if code == "D007" {
                continue;
            }
            assert_eq!(mended(&broken), (expected, vec![code]));
        }
        let broken = format!("{SPEC}{REST}").replace(
            "/a\n",
            "'/a/{x}'\n      params: {x: {type: string, in: path, required: false}}\n",
        );
        assert_eq!(mended(&broken), (broken.replace("false", "true"), vec!["D307"]));
        let broken = format!("{SPEC}{REST}").replace("Reads.", "404");
        assert_eq!(mended(&broken), (broken.replace("404", "\"404\""), vec!["D007"]));
    }

    #[test]
    fn declares_the_newer_specification() {
        let broken = format!("{SPEC}{REST}").replace("0.2", "0.1") + "      deprecated: true\n";
        assert_eq!(mended(&broken), (broken.replace("0.1", "0.2"), vec!["D106"]));
    }

    #[test]
    fn requires_features_in_the_layout_of_the_file() {
        let rest = REST.replace("GET", "POST").replace("read\n", "write\n")
            + "      idempotency: {header: Key}\n      response: {redact: [$.a]}\n";
        for (top, expected) in [
            ("", "requires:\n  features: [idempotency, redact]\n"),
            ("requires: {}\n", "requires: { features: [idempotency, redact] }\n"),
            (
                "requires: {features: [semantic_errors]} # c\n",
                "requires: {features: [semantic_errors, idempotency, redact]} # c\n",
            ),
            ("requires: {features: []}\n", "requires: {features: [idempotency, redact]}\n"),
            (
                "requires:\n  features:\n    - semantic_errors # c\n",
                "requires:\n  features:\n    - semantic_errors # c\n    - idempotency\n    - redact\n",
            ),
        ] {
            let (fixed, codes) = mended(&format!("{SPEC}{top}{rest}"));
            assert_eq!(fixed, format!("{SPEC}{expected}{rest}"));
            assert_eq!(codes, ["D109", "D109"]);
        }
        let windows = format!("{SPEC}{rest}").replace('\n', "\r\n");
        let expected = format!("{SPEC}requires:\n  features: [idempotency, redact]\n{rest}");
        assert_eq!(mended(&windows).0, expected.replace('\n', "\r\n"));
    }

    #[test]
    fn leaves_what_would_be_worse() {
        // The known key takes a boolean; the unknown one has no effect.
        let text = format!("{SPEC}{REST}      retry_unsave: maybe\n");
        assert_eq!(mended(&text), (text.clone(), vec![]));
        let both = format!("{SPEC}{REST}      desription: x\n");
        assert_eq!(mended(&both), (both.clone(), vec![]), "the right key is there already");
        let mixed = format!("{SPEC}{REST}      retry_unsave: maybe\n").replace("GET", "get");
        assert_eq!(mended(&mixed).1, ["D010"], "the others are mended all the same");
    }

    #[test]
    fn a_name_between_two_known_ones_is_not_guessed() {
        let text = format!(
            "{SPEC}{REST}      params: {{a: {{type: string, in: query, requird: true}}}}\n"
        );
        assert_eq!(mended(&text).1, ["D008"]);
        let either = format!("{SPEC}{REST}").replace("GET", "PUST");
        assert_eq!(mended(&either).1, Vec::<&str>::new(), "POST or PUT");
    }

    proptest::proptest! {
        #[test]
        fn no_change_of_a_file_makes_it_worse(
            at in 0..REST.len(),
            removed in 0..12_usize,
            inserted in "[-{}:,&*#|>'\"a-e0-9!\\n ]{0,4}",
        ) {
            let mut text = REST.to_owned();
            let end = (at + removed).min(text.len());
            text.replace_range(at..end, &inserted);
            let source = SourceText::new("t", format!("{SPEC}{text}"));
            let before = check(&source).diagnostics;
            let mended = mend(source);
            let after = check(&mended.source).diagnostics;
            assert!(is_better(&after, &before) || mended.changes.is_empty());
        }
    }
}
