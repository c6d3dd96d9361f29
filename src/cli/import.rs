//! `import`: makes a descriptor of an OpenAPI document.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use dadl_openapi::{
    ApiModel, MAX_BYTES,
    import::{ImportError, ImportOptions, ImportedDescriptor},
    report::{ImportRemark, ImportRemarks, RemarkKind},
};
use dadl_text::text;
use serde_json::{Value, json};

use super::{
    args::ImportArgs,
    console::{BAD, Console, DOUBTFUL, GOOD, NAME},
    exit::ExitReason,
    failure::CliFailure,
    rewrite,
};
use crate::config::descriptor_folder::BesideDocument;

/// Makes a descriptor, and tells what became of each part of the document.
///
/// With `is_quiet` it tells errors only.
pub(super) fn run(
    args: &ImportArgs,
    is_quiet: bool,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    // The command line has one or the other.
    let document = args.document.as_deref().unwrap_or(Path::new("-"));
    let (api, mut remarks) = read_document(document)?;
    let options = ImportOptions {
        name: args.name.clone(),
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        no_deprecated: args.no_deprecated,
        openapi_source: args.openapi_source.clone(),
    };
    let imported = dadl_openapi::import_api(&api, &options, &mut remarks);
    for remark in remarks.list().iter().filter(|_| !is_quiet) {
        write_remark(remark, console)?;
    }
    let imported = imported.map_err(|error| {
        let failure = CliFailure::new(ExitReason::Failed, error.clone());
        match error {
            ImportError::Nothing | ImportError::Wrong(_) => failure,
            ImportError::TooLarge(_) => {
                failure.hint("make several descriptors of it, with --include and --exclude")
            }
        }
    })?;
    if let Some(path) = &args.report {
        let report = import_report(&api, &imported, &remarks);
        write_report(path, &report)?;
    }
    match &args.output {
        Some(path) => write_output(path, &imported.text, args.force)?,
        None => console.out.write_all(imported.text.as_bytes())?,
    }
    if is_quiet {
        return Ok(ExitReason::Ok);
    }
    let ImportedDescriptor { tools, excluded, guesses, .. } = imported;
    let count = |kind| remarks.count(kind);
    write!(
        console.err,
        "{NAME}{tools} tools{NAME:#} of {} operations, {excluded} excluded; {} lost, {} mended, {} \
         changed; {guesses} guesses to review",
        api.found,
        count(RemarkKind::Lost),
        count(RemarkKind::Mended),
        count(RemarkKind::Changed),
    )?;
    if remarks.dropped() > 0 {
        write!(console.err, "; {} remarks more", remarks.dropped())?;
    }
    writeln!(console.err)?;
    Ok(ExitReason::Ok)
}

/// Reads a document.
pub(super) fn read_document(path: &Path) -> Result<(ApiModel, ImportRemarks), CliFailure> {
    let name = if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let bytes = read_bytes(path, MAX_BYTES)
        .map_err(|error| CliFailure::settings(format!("{name} cannot be read: {error}")))?;
    let read = if path.as_os_str() == "-" {
        dadl_openapi::read_document(&bytes)
    } else {
        dadl_openapi::read_beside(&bytes, &mut BesideDocument::of(path))
    };
    read.map_err(|reason| {
        CliFailure::settings(format!("{name} is no OpenAPI document: {reason}"))
            .hint("OpenAPI 3.0 and 3.1 and Swagger 2.0 are read, as JSON or YAML")
    })
}

/// Reads a file or standard input, one byte beyond a limit at most.
pub(super) fn read_bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let limit = limit as u64 + 1;
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn unwritten_failure(path: &Path, error: &io::Error) -> CliFailure {
    CliFailure::new(
        ExitReason::Failed,
        anyhow::anyhow!("{} cannot be written: {error}", path.display()),
    )
}

/// Writes the descriptor: the whole of it or nothing, and never over what somebody has reviewed.
fn write_output(path: &Path, text: &str, force: bool) -> Result<(), CliFailure> {
    let written = match std::fs::read(path) {
        Ok(before) if before == text.as_bytes() => Ok(()),
        Ok(_) if !force => {
            let message = format!("{} is there already, and differs", path.display());
            return Err(CliFailure::new(ExitReason::Failed, anyhow::anyhow!(message)).hint(
                "compare with what goes to standard output without --output, or replace it with \
                 --force",
            ));
        }
        Ok(before) => rewrite::replace_file(path, &before, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => rewrite::create_file(path, text),
        Err(error) => Err(error),
    };
    written.map_err(|error| unwritten_failure(path, &error))
}

/// Writes the report: a new file, or over one that is a report.
fn write_report(path: &Path, report: &Value) -> Result<(), CliFailure> {
    let text = format!("{report:#}\n");
    let keys = |value: &Value| -> Option<Vec<String>> {
        Some(value.as_object()?.keys().cloned().collect())
    };
    let is_report = |bytes: &[u8]| {
        serde_json::from_slice(bytes).is_ok_and(|known: Value| keys(&known) == keys(report))
    };
    // A terminal or a pipe holds nothing that could be lost.
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        return std::fs::write(path, text).map_err(|error| unwritten_failure(path, &error));
    }
    let written = match std::fs::read(path) {
        Ok(before) if is_report(&before) => rewrite::replace_file(path, &before, &text),
        Ok(_) => {
            let message = format!("{} is there already, and is no report", path.display());
            return Err(CliFailure::new(ExitReason::Failed, anyhow::anyhow!(message))
                .hint("remove it, or give --report another name"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => rewrite::create_file(path, &text),
        Err(error) => Err(error),
    };
    written.map_err(|error| unwritten_failure(path, &error))
}

fn write_remark(remark: &ImportRemark, console: &mut Console) -> io::Result<()> {
    let style = match remark.kind {
        RemarkKind::Lost => BAD,
        RemarkKind::Mended => DOUBTFUL,
        RemarkKind::Changed => GOOD,
    };
    let ImportRemark { kind, place, message, help } = remark;
    let place = if place.is_empty() { "/" } else { place };
    let text = format!("{place}: {message}: {help}");
    writeln!(console.err, "{style}{kind}:{style:#} {}", text::one_line(&text))
}

/// Returns what a program wants to know.
fn import_report(api: &ApiModel, imported: &ImportedDescriptor, remarks: &ImportRemarks) -> Value {
    let list: Vec<Value> = remarks
        .list()
        .iter()
        .map(|remark| {
            json!({
                "kind": remark.kind.as_str(),
                "place": remark.place,
                "message": remark.message,
                "help": remark.help,
            })
        })
        .collect();
    json!({
        "operations": api.found,
        "tools": imported.tools,
        "excluded": imported.excluded,
        "guesses": imported.guesses,
        "remarks": list,
        "dropped": remarks.dropped(),
    })
}
