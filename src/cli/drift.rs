//! `drift`: compares a descriptor with an OpenAPI document.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    args::DriftArgs,
    console::{BAD, Console, DOUBTFUL, GOOD, NAME},
    exit::Exit,
    failure::Failure,
    import,
};
use crate::{
    config::bundled::{self, Places},
    descriptor::{self, diagnostic::Severity, model::Descriptor},
    openapi::{
        self,
        drift::{Difference, Drift},
        exceptions::{self, Exceptions, Judged},
    },
    text::line,
};

/// Compares the two, and tells what differs and has no exception.
pub(super) fn run(args: &DriftArgs, console: &mut Console) -> Result<Exit, Failure> {
    let exceptions = match &args.exceptions {
        Some(path) => read_exceptions(path)?,
        None => Exceptions::default(),
    };
    let descriptor = descriptor(&args.descriptor, console)?;
    if let Some(tool) = descriptor.tools.iter().find(|tool| tool.rpc().is_some()) {
        let message = format!(
            "{} describes a JSON-RPC API, and OpenAPI knows operations by method and path only: \
             nothing can be compared with \"{}\"",
            args.descriptor, tool.name
        );
        return Err(Failure::settings(message));
    }
    let (api, _) = import::document(&args.document)?;
    let drift = openapi::drift(&descriptor, &api);
    let judged = exceptions.judge(&drift.differences);
    if args.json {
        console.json(&report(&drift, &judged))?;
    } else {
        text(args, &drift, &judged, console)?;
    }
    let is_clean = judged.left.is_empty() && judged.stale.is_empty();
    Ok(if is_clean { Exit::Ok } else { Exit::Drift })
}

fn read_exceptions(path: &Path) -> Result<Exceptions, Failure> {
    let name = path.display();
    let bytes = import::bytes(path, exceptions::MAX_BYTES)
        .map_err(|error| Failure::settings(format!("{name} cannot be read: {error}")))?;
    if bytes.len() > exceptions::MAX_BYTES {
        let message = format!("{name} is larger than {} bytes", exceptions::MAX_BYTES);
        return Err(Failure::settings(message));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::settings(format!("{name} is not UTF-8")))?;
    Exceptions::parse(&text).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{name}:{problem}")).collect();
        Failure::settings(format!("the exceptions cannot be used\n{}", lines.join("\n")))
            .hint("docs/import.md describes the file")
    })
}

/// Reads a descriptor by its path or its name.
fn descriptor(dadl: &str, console: &mut Console) -> Result<Descriptor, Failure> {
    let places = Places { base: Some(PathBuf::new()), ..Places::default() };
    let mut text = bundled::locate(dadl, &places).map_err(Failure::settings)?;
    if let Some(unused) = text.unused.take() {
        console.note(&unused.to_string())?;
    }
    let name = text.origin.clone();
    let mut folder = text.folder();
    let source =
        text.into_source().map_err(|error| Failure::settings(format!("{name}: {error}")))?;
    let (source, loaded) = descriptor::load_with(source, &mut folder);
    loaded.descriptor.ok_or(()).or_else(|()| {
        for finding in &loaded.diagnostics {
            if finding.severity == Severity::Error {
                let line = source.position(finding.span.start).line;
                writeln!(console.err, "{name}:{line}: {}", finding.message)?;
            }
        }
        Err(Failure::settings(format!("the descriptor {name} cannot be used"))
            .hint("`dadl-mcp check` shows what is wrong with it"))
    })
}

fn text(
    args: &DriftArgs,
    drift: &Drift,
    judged: &Judged<'_>,
    console: &mut Console,
) -> io::Result<()> {
    let mut last = "";
    for Difference { what, operation, tool, parameter, message, .. } in &judged.left {
        if operation != last {
            writeln!(console.out, "{NAME}{}{NAME:#}", line(operation))?;
            last = operation;
        }
        let tool = tool.as_ref().map(|tool| format!(" {}", line(tool))).unwrap_or_default();
        let name = parameter.as_ref();
        let parameter = name.map(|name| format!(" `{}`", line(name))).unwrap_or_default();
        writeln!(console.out, "  {BAD}{what}{BAD:#}{tool}{parameter}: {}", line(message))?;
    }
    if let Some(path) = &args.exceptions {
        for exception in &judged.stale {
            let (line, about) = (exception.line, exception.about());
            writeln!(
                console.out,
                "{DOUBTFUL}stale{DOUBTFUL:#} {}:{line}: no difference needs it any more: {about}",
                path.display()
            )?;
        }
    }
    let differences = judged.left.len();
    let style = if differences == 0 && judged.stale.is_empty() { GOOD } else { BAD };
    writeln!(
        console.out,
        "{style}{differences} differences{style:#} in {} shared operations; {} with exceptions, {} \
         stale exceptions; {} deprecated operations left out",
        drift.shared,
        judged.excepted.len(),
        judged.stale.len(),
        drift.deprecated_left_out,
    )
}

fn report(drift: &Drift, judged: &Judged<'_>) -> Value {
    let difference = |it: &Difference| {
        json!({
            "difference": it.what.as_str(),
            "operation": it.operation,
            "tool": it.tool,
            "parameter": it.parameter,
            "message": it.message,
            "place": it.place,
        })
    };
    let excepted = judged.excepted.iter().map(|(it, exception)| {
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
    json!({
        "differences": judged.left.iter().map(|it| difference(it)).collect::<Vec<_>>(),
        "excepted": excepted.collect::<Vec<_>>(),
        "stale": stale.collect::<Vec<_>>(),
        "shared": drift.shared,
        "deprecated_left_out": drift.deprecated_left_out,
    })
}
