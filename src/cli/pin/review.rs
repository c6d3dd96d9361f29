//! `pin --review`: shows what is different from the pins, and lets a person accept it.

use std::{
    io::{self, BufRead as _, Write as _},
    time::SystemTime,
};

use dadl_text::text::{quoted_text, text_head};
use serde_json::{Value, json};

use super::{
    super::{
        args::{AcceptedChange, LEAST_DIGITS},
        console::{BAD, Console, DOUBTFUL, GOOD, NAME},
        exit::ExitReason,
        failure::CliFailure,
    },
    diff::{DiffLine, diff},
};
use crate::config::tool_pins::{BackendPins, PinChange, PinStore, PinSubject, PinnedList};

/// So many lines of one difference are shown.
const MOST_LINES: usize = 400;

/// A name has so many characters.
const LONGEST_NAME: usize = 100;

/// A backend with pins, and what its server lists now.
pub(super) struct Reviewed {
    pub(super) backend: String,
    pub(super) pins: BackendPins,
    pub(super) now: PinnedList,
}

/// What a person says to a difference.
enum Answer {
    Accept,
    AcceptAll,
    Leave,
    Stop,
}

/// Shows all differences, and stores what is accepted.
pub(super) fn review(
    all: &[Reviewed],
    accepted: &[AcceptedChange],
    as_json: bool,
    store: &PinStore,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let changes: Vec<Vec<PinChange>> = all.iter().map(|it| it.pins.list.changes(&it.now)).collect();
    // All of them, or none.
    for wanted in accepted {
        if !changes.iter().flatten().any(|change| is_meant(change, wanted)) {
            let name = quoted_text(&wanted.name, LONGEST_NAME);
            let message =
                format!("there is no difference {name} with the digest {}", wanted.digest);
            let hint = "`dadl-mcp pin --review` shows those that there are, and their digests";
            return Err(CliFailure::usage(message).hint(hint));
        }
    }
    let mut left = 0;
    let mut reports = Vec::new();
    for (reviewed, changes) in all.iter().zip(&changes) {
        let is_silent = as_json || !accepted.is_empty();
        let taken: Vec<&PinChange> = if is_silent || !console.can_ask {
            if !as_json {
                show_all(reviewed, changes, console)?;
            }
            changes.iter().filter(|it| accepted.iter().any(|wanted| is_meant(it, wanted))).collect()
        } else {
            ask_about(reviewed, changes, console)?
        };
        if !taken.is_empty() {
            keep(reviewed, &taken, store)?;
        }
        left += changes.len() - taken.len();
        let digests: Vec<&String> = taken.iter().map(|change| &change.digest).collect();
        reports.push(json!({
            "backend": reviewed.backend,
            "changes": changes.iter().map(to_json).collect::<Vec<_>>(),
            "accepted": digests,
        }));
        if !as_json && !changes.is_empty() {
            let (backend, taken, all) = (&reviewed.backend, taken.len(), changes.len());
            writeln!(console.err, "backend \"{backend}\": {taken} of {all} accepted")?;
        }
    }
    if as_json {
        console.print_json(&json!({ "backends": reports }))?;
    } else if left > 0 && !console.can_ask && accepted.is_empty() {
        console.print_note(
            "nobody can be asked here: run the command at a terminal, or accept what you have looked at \
             with `--accept NAME=DIGEST`",
        )?;
    }
    Ok(if left > 0 { ExitReason::Refused } else { ExitReason::Ok })
}

fn is_meant(change: &PinChange, wanted: &AcceptedChange) -> bool {
    let name = match &change.subject {
        PinSubject::Instructions => "instructions",
        PinSubject::Tool(name) => name,
    };
    name == wanted.name && change.digest.starts_with(&wanted.digest)
}

fn keep(reviewed: &Reviewed, taken: &[&PinChange], store: &PinStore) -> Result<(), CliFailure> {
    let mut list = reviewed.pins.list.clone();
    taken.iter().for_each(|change| list.accept(change));
    list.server.clone_from(&reviewed.now.server);
    let pins = BackendPins { pinned: SystemTime::now(), list };
    let replaced = store.replace(&reviewed.backend, Some(&reviewed.pins), &pins);
    replaced.map_err(CliFailure::settings)
}

fn show_all(
    reviewed: &Reviewed,
    changes: &[PinChange],
    console: &mut Console,
) -> Result<(), CliFailure> {
    if changes.is_empty() {
        let backend = &reviewed.backend;
        writeln!(console.out, "backend \"{backend}\": nothing is different from its pins")?;
    }
    for change in changes {
        show(&reviewed.backend, change, &mut *console.out)?;
    }
    Ok(())
}

/// Shows each difference where the question is, and asks about it; returns those that are accepted.
fn ask_about<'a>(
    reviewed: &Reviewed,
    changes: &'a [PinChange],
    console: &mut Console,
) -> Result<Vec<&'a PinChange>, CliFailure> {
    let mut taken = Vec::new();
    let mut rest = changes.iter();
    if changes.is_empty() {
        show_all(reviewed, changes, console)?;
    }
    while let Some(change) = rest.next() {
        show(&reviewed.backend, change, &mut *console.err)?;
        match ask(change, rest.len(), console)? {
            Answer::Accept => taken.push(change),
            Answer::Leave => {}
            Answer::Stop => break,
            // What was not shown is shown before it counts.
            Answer::AcceptAll => {
                let rest: Vec<&PinChange> = rest.by_ref().collect();
                for change in &rest {
                    show(&reviewed.backend, change, &mut *console.err)?;
                }
                taken.push(change);
                let count = rest.len();
                if count == 0
                    || ask_word(&format!("accept these {count} too? [y/N] "), console)? == "y"
                {
                    taken.extend(rest);
                }
                break;
            }
        }
    }
    Ok(taken)
}

fn ask(change: &PinChange, more: usize, console: &mut Console) -> io::Result<Answer> {
    let what = match change.kind() {
        "gone" => "forget its pin",
        _ => "accept it as it is now",
    };
    let rest = if more > 0 {
        format!(", a to see and accept the other {more} as well")
    } else {
        String::new()
    };
    let question = format!("{what}? y for yes, n to leave it held back{rest}, q to stop [N] ");
    Ok(match ask_word(&question, console)?.as_str() {
        "y" => Answer::Accept,
        "a" if more > 0 => Answer::AcceptAll,
        "q" => Answer::Stop,
        _ => Answer::Leave,
    })
}

/// Asks, and returns the first letter of the answer: a word that is none of those that were asked for has
/// none.
fn ask_word(question: &str, console: &mut Console) -> io::Result<String> {
    console.out.flush()?;
    write!(console.err, "{question}")?;
    console.err.flush()?;
    let mut answer = String::new();
    let length = io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(match answer.as_str() {
        // The end of the input is no answer.
        "" if length == 0 => "q",
        "y" | "yes" => "y",
        "a" | "all" => "a",
        "q" | "quit" => "q",
        _ => "n",
    }
    .to_owned())
}

/// Shows one difference.
fn show(backend: &str, change: &PinChange, out: &mut dyn io::Write) -> io::Result<()> {
    let what = match &change.subject {
        PinSubject::Instructions => "instructions".to_owned(),
        PinSubject::Tool(name) => format!("tool {}", quoted_text(name, LONGEST_NAME)),
    };
    let (kind, digest) = (change.kind(), text_head(&change.digest, LEAST_DIGITS));
    writeln!(out, "\n{NAME}{backend}: {what}{NAME:#} is {kind}  (digest {digest})")?;
    let lines = diff(change.before.as_ref(), change.after.as_ref());
    for line in lines.iter().take(MOST_LINES) {
        match line {
            DiffLine::Added(text) => writeln!(out, "  {GOOD}+ {text}{GOOD:#}")?,
            DiffLine::Removed(text) => writeln!(out, "  {BAD}- {text}{BAD:#}")?,
            DiffLine::Kept(text) => writeln!(out, "    {text}")?,
            DiffLine::Skipped(count) => writeln!(out, "    ... {count} lines as before")?,
        }
    }
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        writeln!(out, "  {DOUBTFUL}{more} more lines are not shown; `--json` has all{DOUBTFUL:#}")?;
    }
    Ok(())
}

fn to_json(change: &PinChange) -> Value {
    let (subject, name) = match &change.subject {
        PinSubject::Instructions => ("instructions", Value::Null),
        PinSubject::Tool(name) => ("tool", name.as_str().into()),
    };
    json!({
        "subject": subject, "name": name, "kind": change.kind(), "digest": change.digest,
        "before": change.before, "after": change.after,
    })
}
