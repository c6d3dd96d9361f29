//! `import hosts`: backends of the MCP servers that a host has in its settings.
//!
//! Only files that were named are read: they say which programs run. What is a secret in them is not
//! written and not shown; it becomes a credential that `setup` asks for, or the backend a comment.

mod document;
mod entry;
mod looks_secret;
mod places;
mod process;
mod url;
mod values;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dadl_text::text::one_line;
use serde_json::{Map, Value, json};

use self::{
    document::{HostDocument, HostServer, MAX_BYTES, read_document},
    entry::{BackendDraft, make_backend, shown_name, shown_names},
    places::{home_of, host_places},
    values::CredentialNames,
    written::WrittenBackend,
};
use super::{
    args::ImportHostsArgs,
    console::{BAD, Console, DOUBTFUL, NAME},
    exit::ExitReason,
    failure::CliFailure,
    import::read_bytes,
    rewrite,
};
use crate::config::{backends_file_problems, env_vars::Environment};

/// What is said before the backends.
const HEAD: &str = "\
# Backends that `dadl-mcp import hosts` made of the settings of hosts. Read them before you use them: each
# is a program that runs with your rights, or a place that is sent what models say.
#
# - No tool of theirs may be called before `levels` says what it does: `dadl-mcp list --all` shows the tools,
#   and what each server proposes.
# - A host may hand its whole environment on; here a server gets PATH, HOME and the like, and its `env`.
# - What begins with # as a whole needs a person first; the lines before it say why.
";

/// A longer name of a backend makes long names of tools.
const LONGEST_NAME: usize = 30;

/// Writes backends of the servers in the files that were named, or says where hosts keep theirs.
///
/// With `is_quiet` it tells errors only.
pub(super) fn run(
    args: &ImportHostsArgs,
    is_quiet: bool,
    environment: &Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    if args.files.is_empty() {
        list_places(environment, console)?;
        return Ok(ExitReason::Ok);
    }
    let home = home_of(environment);
    let mut import = HostImport::default();
    for file in &args.files {
        let document = read_file(file, home.as_deref())?;
        import.take(document, home.as_deref());
    }
    import.check();
    import.tell(is_quiet, console)?;
    if import.drafts.is_empty() {
        let message = anyhow::anyhow!("there is no server that could be a backend");
        return Err(CliFailure::new(ExitReason::Failed, message)
            .hint("`dadl-mcp import hosts` without a file lists where hosts keep theirs"));
    }
    let text = import.text();
    match &args.output {
        Some(path) => write_new(path, &text)?,
        None => console.out.write_all(text.as_bytes())?,
    }
    if !is_quiet {
        import.sum_up(console)?;
    }
    Ok(ExitReason::Ok)
}

fn read_file(file: &Path, home: Option<&Path>) -> Result<HostDocument, CliFailure> {
    let name = match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let bytes = read_bytes(file, MAX_BYTES)
        .map_err(|error| CliFailure::settings(format!("{name} cannot be read: {error}")))?;
    read_document(&bytes, file, home).map_err(|error| {
        CliFailure::settings(format!("{name} cannot be used: {error}")).hint(
            "the settings of Claude, Cursor, VS Code, Windsurf, Gemini (JSON) and Codex (TOML) are read; \
             `dadl-mcp import hosts` without a file lists where they are",
        )
    })
}

/// Writes the backends to a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), CliFailure> {
    rewrite::create_file(path, text).map_err(|error| {
        let shown = path.display();
        let (message, hint) = match error.kind() {
            io::ErrorKind::AlreadyExists => (
                format!("{shown} is there already"),
                "name another file, or take what goes to standard output without --output",
            ),
            _ => (format!("{shown} cannot be written: {error}"), "name another file"),
        };
        CliFailure::new(ExitReason::Failed, anyhow::anyhow!(message)).hint(hint)
    })
}

/// Says where hosts keep their servers on this system, and which of these files there are.
fn list_places(environment: &Environment, console: &mut Console) -> io::Result<()> {
    let directory = std::env::current_dir().unwrap_or_default();
    let places = host_places(environment, &directory);
    if console.out_is_terminal {
        for place in &places {
            let mark = if place.path.is_file() { "there" } else { "-" };
            writeln!(console.out, "{:<16}{mark:<7}{}", place.host, place.path.display())?;
        }
    } else {
        let all = places.iter().map(|place| {
            json!({
                "host": place.host,
                "path": place.path.display().to_string(),
                "exists": place.path.is_file(),
            })
        });
        console.print_json(&all.collect())?;
    }
    console.print_note(
        "none of these files was read: what they name are programs that would run with your rights; \
         `dadl-mcp import hosts FILE` reads one that you know",
    )
}

/// What has been taken of all files.
#[derive(Debug, Default)]
struct HostImport {
    drafts: Vec<BackendDraft>,
    names: CredentialNames,
    backend_names: BTreeSet<String>,
    /// What is about no backend.
    told: Vec<String>,
    /// What the backends were made of.
    taken: Vec<(Map<String, Value>, Option<PathBuf>, String)>,
}

impl HostImport {
    fn take(&mut self, document: HostDocument, home: Option<&Path>) {
        let HostDocument { servers, inputs, remarks } = document;
        self.told.extend(remarks);
        for server in servers {
            let shown = format!("{} of {}", shown_name(&server.name), server.origin);
            if entry::is_own(&server.settings) {
                self.told.push(format!("{shown} is dadl-mcp itself; left out"));
                continue;
            }
            let is_same = |(settings, folder, _): &&(_, Option<PathBuf>, _)| {
                *settings == server.settings && *folder == server.folder
            };
            if let Some((_, _, name)) = self.taken.iter().find(is_same) {
                self.told.push(format!("{shown} is the same as the backend `{name}`; left out"));
                continue;
            }
            let name = self.backend_name(&server);
            let draft = make_backend(&server, &name, &inputs, home, &mut self.names);
            self.taken.push((server.settings, server.folder, name));
            self.drafts.push(draft);
        }
    }

    /// Returns a name for a backend that no other one has.
    fn backend_name(&mut self, server: &HostServer) -> String {
        let lower = server.name.to_ascii_lowercase();
        let words =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let plain: String =
            words.collect::<Vec<_>>().join("-").chars().take(LONGEST_NAME).collect();
        let plain = plain.trim_matches('-');
        let plain = match plain.starts_with(|first: char| first.is_ascii_lowercase()) {
            true => plain.to_owned(),
            false => format!("mcp-{plain}").trim_end_matches('-').to_owned(),
        };
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        let name = names.find(|name| !self.backend_names.contains(name)).unwrap_or(plain);
        self.backend_names.insert(name.clone());
        name
    }

    /// Makes comments of what could not be used, or would show a secret after all.
    fn check(&mut self) {
        for draft in &mut self.drafts {
            let text = format!("backends:\n{}", draft.written.text());
            if self.names.is_in(&text) {
                // It is a secret elsewhere, and an ordinary text here.
                draft.reasons =
                    vec!["a secret of these files is in it: write it by hand".to_owned()];
                draft.told.clear();
                draft.credentials.clear();
                draft.written.keys.truncate(1);
            } else if draft.reasons.is_empty() {
                draft.reasons.extend(backends_file_problems(&text));
            }
            draft.told.retain(|told| !self.names.is_in(told));
            draft.reasons.retain(|reason| !self.names.is_in(reason));
            draft.reasons.dedup();
            let WrittenBackend { comments, is_comment, .. } = &mut draft.written;
            comments.push(draft.origin.clone());
            comments.extend(draft.reasons.iter().map(|reason| format!("Not used yet: {reason}.")));
            comments.extend(draft.told.iter().map(|told| format!("{told}.")));
            *is_comment = !draft.reasons.is_empty();
        }
        self.told.retain(|told| !self.names.is_in(told));
    }

    fn tell(&self, is_quiet: bool, console: &mut Console) -> io::Result<()> {
        for told in self.told.iter().filter(|_| !is_quiet) {
            writeln!(console.err, "{DOUBTFUL}told:{DOUBTFUL:#} {}", one_line(told))?;
        }
        for BackendDraft { name, reasons, told, .. } in &self.drafts {
            for reason in reasons {
                writeln!(console.err, "{BAD}unused:{BAD:#} {name}: {}", one_line(reason))?;
            }
            for told in told.iter().filter(|_| !is_quiet) {
                writeln!(console.err, "{DOUBTFUL}told:{DOUBTFUL:#} {name}: {}", one_line(told))?;
            }
        }
        Ok(())
    }

    fn text(&self) -> String {
        let is_any_used = self.drafts.iter().any(|draft| draft.reasons.is_empty());
        let list = if is_any_used { "backends:\n" } else { "backends: []\n" };
        let drafts: Vec<String> = self.drafts.iter().map(|draft| draft.written.text()).collect();
        format!("{HEAD}{list}{}", drafts.join("\n"))
    }

    /// Says what came of it, and what to do next.
    fn sum_up(&self, console: &mut Console) -> io::Result<()> {
        let used: Vec<&BackendDraft> =
            self.drafts.iter().filter(|draft| draft.reasons.is_empty()).collect();
        let unused = self.drafts.len() - used.len();
        writeln!(
            console.err,
            "{NAME}{} backends{NAME:#}, and {unused} as comments that need a person",
            used.len()
        )?;
        let mut asked: BTreeMap<&str, &[String]> = BTreeMap::new();
        for draft in used.iter().filter(|draft| !draft.credentials.is_empty()) {
            asked.insert(&draft.name, &draft.credentials);
        }
        for (name, credentials) in asked {
            let credentials = shown_names(credentials);
            console.print_note(&format!("`dadl-mcp setup {name}` will ask for {credentials}"))?;
        }
        Ok(())
    }
}
