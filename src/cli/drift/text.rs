//! The differences for people and for logs.

use std::io::{self, Write as _};

use dadl_openapi::{
    drift::{ApiDifference, DifferenceKind, DriftReport},
    exceptions::JudgedDifferences,
};
use dadl_text::text::one_line;

use super::{
    super::console::{BAD, Console, DOUBTFUL, GOOD, NAME},
    AcceptedDifferences, ComparedSides, is_clean,
};

/// Writes the differences and a summary; around them, for a person, what was compared and what to do.
pub(super) fn write_text(
    compared: &ComparedSides,
    excepted: &AcceptedDifferences<'_>,
    drift: &DriftReport,
    judged: &JudgedDifferences<'_>,
    console: &mut Console,
) -> io::Result<()> {
    let is_person = console.out_is_terminal;
    if is_person {
        let version = compared.api.version.as_deref().unwrap_or("without a version");
        let with = match excepted.from.as_deref() {
            Some("built in") => " (with the exceptions that are built in)".to_owned(),
            Some(path) => format!(" (with the exceptions of {path})"),
            None => String::new(),
        };
        let title = one_line(&compared.api.title);
        let (name, document) = (one_line(compared.source.name()), one_line(&compared.document));
        writeln!(console.err, "{name}{with} and {title} {} of {document}", one_line(version))?;
    }
    let mut last = "";
    for ApiDifference { what, operation, tool, parameter, message, .. } in &judged.left {
        if operation != last {
            writeln!(console.out, "{NAME}{}{NAME:#}", one_line(operation))?;
            last = operation;
        }
        let tool = tool.as_ref().map(|tool| format!(" {}", one_line(tool))).unwrap_or_default();
        let name = parameter.as_ref();
        let parameter = name.map(|name| format!(" `{}`", one_line(name))).unwrap_or_default();
        writeln!(console.out, "  {BAD}{what}{BAD:#}{tool}{parameter}: {}", one_line(message))?;
    }
    if let Some(from) = excepted.from.as_deref().filter(|_| excepted.are_strict) {
        for exception in &judged.stale {
            let (line, about) = (exception.line, exception.about());
            writeln!(
                console.out,
                "{DOUBTFUL}stale{DOUBTFUL:#} {from}:{line}: no difference needs it any more: {about}"
            )?;
        }
    }
    let differences = judged.left.len();
    let style = if is_clean(excepted, judged) { GOOD } else { BAD };
    let left_out = match drift.left_out.len() {
        0 => String::new(),
        count => format!(", {count} tools that this version or its plugins lack"),
    };
    writeln!(
        console.out,
        "{style}{differences} differences{style:#} in {} shared operations; {} with exceptions, {} \
         stale exceptions; {} deprecated operations left out{left_out}",
        drift.shared,
        judged.excepted.len(),
        judged.stale.len(),
        drift.deprecated_left_out,
    )?;
    for lack in &drift.left_out {
        writeln!(console.err, "left out: {}", one_line(&lack.to_string()))?;
    }
    if is_person {
        for advice in drift_advice(compared, judged) {
            writeln!(console.err, "{advice}")?;
        }
    }
    Ok(())
}

/// Says what to do about each kind of difference that is there.
fn drift_advice(compared: &ComparedSides, judged: &JudgedDifferences<'_>) -> Vec<String> {
    let has = |what: DifferenceKind| judged.left.iter().any(|it| it.what == what);
    let mut advice = Vec::new();
    if has(DifferenceKind::MissingOperation) {
        let document = one_line(&compared.document);
        advice.push(format!(
            "missing-operation: `dadl-mcp import {document} --include 'METHOD PATH'` drafts the tool, \
             from a file"
        ));
    }
    if has(DifferenceKind::UnknownOperation) {
        advice.push(
            "unknown-operation: the server is older, or the operation is gone; `dadl-mcp doctor` says \
             what it has"
                .to_owned(),
        );
    }
    let is_other = |it: &&ApiDifference| {
        !matches!(it.what, DifferenceKind::MissingOperation | DifferenceKind::UnknownOperation)
    };
    if judged.left.iter().copied().any(|it| is_other(&it)) {
        advice.push(
            "others: mend the descriptor, or write an exception with its reason (docs/import.md)"
                .to_owned(),
        );
    }
    advice
}
