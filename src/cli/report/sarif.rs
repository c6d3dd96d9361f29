//! Findings as SARIF 2.1.0, which code hosts show beside the changed lines.

use std::{io, ops::Range, path::Path};

use dadl_descriptor::{code, source::SourceText};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde_json::{Value, json};

use super::{CheckedFile, documentation_url, severity_word};
use crate::call::encode;

/// What a path of a URI cannot hold (RFC 3986, section 3.3).
const PATH: &AsciiSet = &encode::TEXT.add(b'%').remove(b'\'');

/// Writes the log and a line break.
pub(super) fn write(files: &[CheckedFile], out: &mut dyn io::Write) -> io::Result<()> {
    let rules: Vec<Value> = code::ALL
        .iter()
        .map(|(code, title)| {
            json!({
                "id": code.0,
                "shortDescription": {"text": title},
                "help": {"text": format!("See {}", documentation_url(*code))},
            })
        })
        .collect();
    let results: Vec<Value> = files.iter().flat_map(sarif_results).collect();
    serde_json::to_writer_pretty(&mut *out, &sarif_log(rules, results))?;
    writeln!(out)
}

/// Makes a log of one run of this program.
pub(in crate::cli) fn sarif_log(rules: Vec<Value>, results: Vec<Value>) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_results(file: &CheckedFile) -> impl Iterator<Item = Value> {
    file.diagnostics.iter().map(move |finding| {
        let uri = uri(file.source.name_at(finding.span.start));
        let text = match &finding.help {
            Some(help) => format!("{}; {help}", finding.message),
            None => finding.message.clone(),
        };
        let mut result = json!({
            "ruleId": finding.code.0,
            "ruleIndex": code::ALL.iter().position(|(code, _)| *code == finding.code),
            "level": severity_word(finding.severity),
            "message": {"text": text},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": uri},
                "region": sarif_region(&file.source, &finding.span),
            }}],
        });
        if let (Some(fix), Some(object)) = (&finding.fix, result.as_object_mut()) {
            let what = finding.help.as_deref().unwrap_or(&finding.message);
            let fix = json!({
                "description": {"text": what},
                "artifactChanges": [{
                    "artifactLocation": {"uri": uri},
                    "replacements": [{
                        "deletedRegion": sarif_region(&file.source, &fix.span),
                        "insertedContent": {"text": fix.replacement},
                    }],
                }],
            });
            object.insert("fixes".to_owned(), json!([fix]));
        }
        result
    })
}

fn sarif_region(source: &SourceText, span: &Range<usize>) -> Value {
    let (start, end) = (source.position(span.start), source.position(span.end));
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// Returns a file name as a URI reference: absolute with `file:`, otherwise relative.
pub(in crate::cli) fn uri(name: &str) -> String {
    if let Ok(url) = url::Url::from_file_path(Path::new(name)) {
        return url.into();
    }
    let slashes = if cfg!(windows) { name.replace('\\', "/") } else { name.to_owned() };
    let encoded = utf8_percent_encode(&slashes, PATH).to_string();
    // A colon in the first segment would read as a scheme (RFC 3986, section 4.2).
    let first = encoded.split('/').next().unwrap_or_default();
    if first.contains(':') { format!("./{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn writes_names_as_uri_references() {
        assert_eq!(uri("apis/a b.dadl"), "apis/a%20b.dadl");
        assert_eq!(uri("a:b.dadl"), "./a:b.dadl");
        assert_eq!(uri("100%.dadl"), "100%25.dadl");
        #[cfg(unix)]
        assert_eq!(uri("/x/ä.dadl"), "file:///x/%C3%A4.dadl");
    }
}
