//! `fmt`: writes descriptors in one layout.

use std::{
    io::{self, Read as _},
    path::Path,
};

use dadl_descriptor::{
    format::{FormatError, format},
    source::{MAX_BYTES, SourcePosition, SourceText},
};

use super::{
    args::FmtArgs, check, console::Console, exit::ExitReason, failure::CliFailure, report, rewrite,
    screen::ours,
};

/// Formats the files, or says which ones have another layout.
///
/// A file that cannot be formatted stays as it is, and the others are formatted all the same.
pub(super) fn run(args: &FmtArgs, console: &mut Console) -> Result<ExitReason, CliFailure> {
    let mut exit = ExitReason::Ok;
    for path in &args.files {
        let is_input = path.as_os_str() == "-";
        let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
        match format_file(path, &name, is_input, args.check, console) {
            Ok(true) => {}
            Ok(false) => exit = ExitReason::Failed,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error.into()),
            Err(error) => {
                writeln!(console.err, "error: {name}: {error}")?;
                exit = ExitReason::Failed;
            }
        }
    }
    Ok(exit)
}

/// Formats one file; returns whether all is well.
fn format_file(
    path: &Path,
    name: &str,
    is_input: bool,
    only_check: bool,
    console: &mut Console,
) -> io::Result<bool> {
    let bytes = if is_input { read_input()? } else { check::read_file(path)? };
    let source = match SourceText::from_bytes(name, bytes.clone()) {
        Ok(source) => source,
        Err(error) => return Err(io::Error::other(error)),
    };
    let text = match format(&source) {
        Ok(text) => text,
        Err(FormatError::Findings(findings)) => {
            let color = console.stderr_color();
            for finding in &findings {
                let report = report::render_finding(&source, finding, color);
                writeln!(console.err, "{}\n", ours(&report))?;
            }
            return Ok(false);
        }
        Err(FormatError::Layout { message, offset }) => {
            let SourcePosition { line, .. } = source.position(offset);
            writeln!(console.err, "error: {name}:{line}: {message}; nothing was changed")?;
            return Ok(false);
        }
    };
    let is_same = text == source.text();
    match (only_check, is_input) {
        (true, _) if is_same => return Ok(true),
        (true, _) => {
            writeln!(console.out, "{name}")?;
            return Ok(false);
        }
        (false, true) => console.out.write_all(text.as_bytes())?,
        (false, false) if is_same => {}
        (false, false) => {
            rewrite::replace_file(path, &bytes, &text)?;
            writeln!(console.out, "{name}")?;
        }
    }
    Ok(true)
}

/// Reads standard input, but never more than can be a descriptor.
fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
