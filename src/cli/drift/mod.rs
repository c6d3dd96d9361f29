//! `drift`: compares a descriptor with an OpenAPI document: a file, or that of a running server.

mod sarif;
mod source;
mod text;

use std::{borrow::Cow, path::Path};

use dadl_openapi::{
    drift::{ApiDifference, DriftReport},
    exceptions::{self, ExceptionFile, JudgedDifferences},
};
use serde_json::{Value, json};

use self::source::ComparedSides;
use super::{
    args::{DriftArgs, FormatArg},
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    import,
};
use crate::config::{bundled, env_vars::Environment};

/// Which differences stay.
struct AcceptedDifferences<'args> {
    exceptions: ExceptionFile,
    /// Where they are from: a file, or the program itself.
    from: Option<Cow<'args, str>>,
    /// Whether each of them has to be needed: those of the program can be mended by nobody here.
    are_strict: bool,
}

/// Compares the two, and tells what differs and has no exception.
pub(super) async fn run(
    args: &DriftArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let compared = source::open_sides(args, environment, console).await?;
    let excepted = accepted_differences(args, &compared)?;
    let drift = dadl_openapi::drift(&compared.descriptor, &compared.api);
    let judged = excepted.exceptions.judge(&drift.differences);
    let format = if args.json { FormatArg::Json } else { args.format };
    match format {
        FormatArg::Json => {
            console.print_json(&json_report(&compared, &excepted, &drift, &judged))?
        }
        FormatArg::Sarif => {
            let log = sarif::sarif_log(&compared, &excepted, &drift, &judged);
            serde_json::to_writer_pretty(&mut *console.out, &log).map_err(std::io::Error::from)?;
            writeln!(console.out)?;
        }
        FormatArg::Text => text::write_text(&compared, &excepted, &drift, &judged, console)?,
    }
    Ok(if is_clean(&excepted, &judged) { ExitReason::Ok } else { ExitReason::Drift })
}

fn is_clean(excepted: &AcceptedDifferences<'_>, judged: &JudgedDifferences<'_>) -> bool {
    judged.left.is_empty() && (judged.stale.is_empty() || !excepted.are_strict)
}

/// Returns the exceptions of the file that is named, or else those that a built-in descriptor has.
fn accepted_differences<'args>(
    args: &'args DriftArgs,
    compared: &ComparedSides,
) -> Result<AcceptedDifferences<'args>, CliFailure> {
    if let Some(path) = &args.exceptions {
        let exceptions = read_exceptions(path)?;
        return Ok(AcceptedDifferences {
            exceptions,
            from: Some(path.to_string_lossy()),
            are_strict: true,
        });
    }
    let built_in = bundled::bundled_exceptions(&compared.source).filter(|_| !args.no_exceptions);
    let exceptions = match built_in {
        Some(text) => parse_exceptions("built in", text)?,
        None => ExceptionFile::default(),
    };
    let from = built_in.map(|_| Cow::Borrowed("built in"));
    Ok(AcceptedDifferences { exceptions, from, are_strict: false })
}

fn read_exceptions(path: &Path) -> Result<ExceptionFile, CliFailure> {
    let name = path.display();
    let bytes = import::read_bytes(path, exceptions::MAX_BYTES)
        .map_err(|error| CliFailure::settings(format!("{name} cannot be read: {error}")))?;
    if bytes.len() > exceptions::MAX_BYTES {
        let message = format!("{name} is larger than {} bytes", exceptions::MAX_BYTES);
        return Err(CliFailure::settings(message));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| CliFailure::settings(format!("{name} is not UTF-8")))?;
    parse_exceptions(&name.to_string(), &text)
}

fn parse_exceptions(name: &str, text: &str) -> Result<ExceptionFile, CliFailure> {
    ExceptionFile::parse(text).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{name}:{problem}")).collect();
        CliFailure::settings(format!("the exceptions cannot be used\n{}", lines.join("\n")))
            .hint("docs/import.md describes the file")
    })
}

fn json_report(
    compared: &ComparedSides,
    excepted: &AcceptedDifferences<'_>,
    drift: &DriftReport,
    judged: &JudgedDifferences<'_>,
) -> Value {
    let difference = |it: &ApiDifference| {
        json!({
            "difference": it.what.as_str(),
            "operation": it.operation,
            "tool": it.tool,
            "parameter": it.parameter,
            "message": it.message,
            "place": it.place,
        })
    };
    let with_reasons = judged.excepted.iter().map(|(it, exception)| {
        let mut value = difference(it);
        if let Value::Object(map) = &mut value {
            map.insert("reason".to_owned(), exception.reason.as_str().into());
        }
        value
    });
    let stale = judged
        .stale
        .iter()
        .map(|it| json!({ "line": it.line, "about": it.about(), "reason": it.reason }));
    let left_out =
        drift.left_out.iter().map(|lack| json!({ "tool": lack.tool, "reason": lack.to_string() }));
    json!({
        "clean": is_clean(excepted, judged),
        "document": {
            "source": compared.document,
            "title": compared.api.title,
            "version": compared.api.version,
        },
        "exceptions": excepted.from,
        "differences": judged.left.iter().map(|it| difference(it)).collect::<Vec<_>>(),
        "excepted": with_reasons.collect::<Vec<_>>(),
        "stale": stale.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
        "shared": drift.shared,
        "deprecated_left_out": drift.deprecated_left_out,
    })
}
