//! Pins: what the tools of other MCP servers were when a person looked at them (`dadl-mcp pin`).
//!
//! A tool's description is text of a stranger that a model reads, and it may change at any start. The pins
//! of a backend hold a digest, and the text, of each tool and of the server's instructions, in a form that
//! neither the order of members nor white space changes. What differs is held back until a person has seen
//! the difference. Prompts and resources are not pinned.
//!
//! There is one file for each backend, in the directory of the settings: pins are decisions of the operator.
//! They belong to the name of the backend, whatever its command is by now: another version of the server is
//! what they are for.
//!
//! **Invariants:** pins that cannot be read are no reason to let anything pass; nothing but `dadl-mcp pin`
//! writes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use dadl_text::text::text_fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    dirs,
    env_vars::Environment,
    kept_file::{
        Durability, FolderLock, KeptFileError, LockWait, check_room, lock_folder, read_kept,
        write_kept,
    },
};
use crate::{access::PinDoubt, catalog::ServerTools};

/// A larger file has no pins, in bytes: the lists of a server have 16 MB together.
const MOST_BYTES: u64 = 48 * 1024 * 1024;

/// So many backends have pins.
const MOST_FILES: usize = 1024;

/// The form of the file.
const FORM: u32 = 1;

/// What a pin holds of a tool, in the order of the alphabet.
const PINNED_KEYS: [&str; 6] =
    ["annotations", "description", "inputSchema", "name", "outputSchema", "title"];

/// Where pins are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinStore {
    folder: PathBuf,
}

/// What is pinned of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PinnedTool {
    /// The digest of the rest.
    pub digest: String,
    /// What it was, in the form that is compared.
    pub tool: Value,
}

/// What a server has, as far as pins hold it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PinnedList {
    /// Its name and version, for people.
    pub server: String,
    /// How it is used, in its words.
    pub instructions: Option<String>,
    /// Its tools, by name.
    pub tools: BTreeMap<String, PinnedTool>,
}

/// The pins of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendPins {
    /// When they were changed last.
    pub pinned: SystemTime,
    /// What is pinned.
    pub list: PinnedList,
}

/// As they are written.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenPins {
    form: u32,
    backend: String,
    /// Seconds since 1970.
    pinned: u64,
    #[serde(flatten)]
    list: PinnedList,
}

/// What a difference is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinSubject {
    /// How the server is used, in its words.
    Instructions,
    /// The tool of this name.
    Tool(String),
}

/// One difference between pins and what a server lists.
#[derive(Debug, Clone, PartialEq)]
pub struct PinChange {
    /// What it is about.
    pub subject: PinSubject,
    /// What is pinned; `None` for what is new.
    pub before: Option<Value>,
    /// What is listed; `None` for what is gone.
    pub after: Option<Value>,
    /// The digest of exactly this difference.
    pub digest: String,
}

/// Why pins cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The file.
    #[error("the pins of backend \"{backend}\" in {} cannot be used: {error}", path.display())]
    File {
        /// The backend.
        backend: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeptFileError,
    },
    /// Another process has changed them since they were read.
    #[error("the pins of backend \"{0}\" were changed meanwhile; look again")]
    Changed(String),
    /// The system.
    #[error("{}: {error}", path.display())]
    Folder {
        /// Where pins are kept.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// What decides which tools of a backend are held back.
#[derive(Debug, Clone, Default)]
pub enum ServerPins {
    /// Nobody has pinned them.
    #[default]
    None,
    /// These digests count.
    Pinned {
        /// When they were pinned.
        pinned: SystemTime,
        /// That of the instructions, where there were some.
        instructions: Option<String>,
        /// Those of tools, by name.
        tools: BTreeMap<String, String>,
    },
    /// They cannot be read, and why: nothing passes.
    Unusable(String),
}

/// Writes a value with the members of objects in the order of the alphabet.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<&String, Value> =
                members.iter().map(|(name, value)| (name, sorted(value))).collect();
            members.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        other => other.clone(),
    }
}

/// Writes a text with one space where white space is: hosts get no other.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns what is pinned of an item of a `tools/list`.
fn pinned_form(item: &Value) -> Value {
    let mut form = Map::new();
    for key in PINNED_KEYS {
        let value = match item.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) if matches!(key, "description" | "title") => {
                spaced(text).into()
            }
            Some(value) => sorted(value),
        };
        form.insert(key.to_owned(), value);
    }
    Value::Object(form)
}

fn digest_of(kind: &str, value: &Value) -> String {
    text_fingerprint(&format!("{kind}\n{value}"))
}

fn instructions_digest(instructions: Option<&str>) -> Option<String> {
    let text = spaced(instructions?);
    (!text.is_empty()).then(|| digest_of("instructions", &text.into()))
}

impl PinnedList {
    /// Takes what a server lists: the `items` of its `tools/list`, and its instructions; `server` is its
    /// name and version.
    pub fn of(server: &str, items: &[Value], instructions: Option<&str>) -> Self {
        let tools = ServerTools::items(items).into_iter().map(|(name, item)| {
            let tool = pinned_form(item);
            (name.to_owned(), PinnedTool { digest: digest_of("tool", &tool), tool })
        });
        Self {
            server: server.to_owned(),
            instructions: instructions.map(spaced).filter(|text| !text.is_empty()),
            tools: tools.collect(),
        }
    }

    /// Returns what is different in `now`: the instructions first, then tools by name.
    pub fn changes(&self, now: &Self) -> Vec<PinChange> {
        let mut changes = Vec::new();
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let instructions = (text(&self.instructions), text(&now.instructions));
        changes.extend(PinChange::between(
            PinSubject::Instructions,
            instructions.0,
            instructions.1,
        ));
        let names: BTreeSet<&String> = self.tools.keys().chain(now.tools.keys()).collect();
        for name in names {
            let of = |list: &Self| list.tools.get(name).map(|it| it.tool.clone());
            let subject = PinSubject::Tool(name.clone());
            changes.extend(PinChange::between(subject, of(self), of(now)));
        }
        changes
    }

    /// Makes a difference a part of what is pinned.
    pub fn accept(&mut self, change: &PinChange) {
        match (&change.subject, &change.after) {
            (PinSubject::Instructions, after) => {
                let text = after.as_ref().and_then(Value::as_str);
                self.instructions = text.map(str::to_owned);
            }
            (PinSubject::Tool(name), Some(tool)) => {
                let digest = digest_of("tool", tool);
                self.tools.insert(name.clone(), PinnedTool { digest, tool: tool.clone() });
            }
            (PinSubject::Tool(name), None) => drop(self.tools.remove(name)),
        }
    }

    /// Returns whether each digest is that of its text.
    fn is_whole(&self) -> bool {
        self.tools.values().all(|it| it.digest == digest_of("tool", &it.tool))
    }
}

impl PinChange {
    fn between(subject: PinSubject, before: Option<Value>, after: Option<Value>) -> Option<Self> {
        if before == after {
            return None;
        }
        let name = match &subject {
            PinSubject::Instructions => Value::Null,
            PinSubject::Tool(name) => name.as_str().into(),
        };
        let digest = digest_of("change", &serde_json::json!([name, before, after]));
        Some(Self { subject, before, after, digest })
    }

    /// Returns what it is in a word.
    pub fn kind(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "new",
            (_, None) => "gone",
            _ => "changed",
        }
    }
}

impl PinStore {
    /// Keeps pins in this folder, which need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps pins in the directory of the user's settings; `None` where nobody knows it.
    pub fn of(environment: &Environment) -> Option<Self> {
        Some(Self::new(dirs::config_dir(environment)?.join("pins")))
    }

    /// Returns the file of a backend.
    pub fn path(&self, backend: &str) -> PathBuf {
        self.folder.join(format!("{backend}.json"))
    }

    /// Reads the pins of a backend; `None` where there are none.
    ///
    /// # Errors
    ///
    /// They are there and cannot be used.
    pub fn read(&self, backend: &str) -> Result<Option<BackendPins>, PinError> {
        let path = self.path(backend);
        let fail =
            |error| PinError::File { backend: backend.to_owned(), path: path.clone(), error };
        let text = match read_kept(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(KeptFileError::Missing) => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let damaged = || fail(KeptFileError::Damaged(path.clone()));
        let written: WrittenPins = serde_json::from_str(&text).map_err(|_| damaged())?;
        let is_about = written.form == FORM && written.backend == backend;
        if !is_about || !written.list.is_whole() {
            return Err(damaged());
        }
        let pinned = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(written.pinned));
        Ok(Some(BackendPins { pinned: pinned.ok_or_else(damaged)?, list: written.list }))
    }

    /// Returns what decides about the tools of a backend.
    pub fn server_pins(&self, backend: &str) -> ServerPins {
        match self.read(backend) {
            Ok(None) => ServerPins::None,
            Ok(Some(BackendPins { pinned, list })) => ServerPins::Pinned {
                pinned,
                instructions: instructions_digest(list.instructions.as_deref()),
                tools: list.tools.into_iter().map(|(name, tool)| (name, tool.digest)).collect(),
            },
            Err(error) => ServerPins::Unusable(error.to_string()),
        }
    }

    /// Puts pins in the place of those that were read `before`.
    ///
    /// # Errors
    ///
    /// They cannot be written, or others are there by now.
    pub fn replace(
        &self,
        backend: &str,
        before: Option<&BackendPins>,
        pins: &BackendPins,
    ) -> Result<(), PinError> {
        let path = self.path(backend);
        let fail =
            |error| PinError::File { backend: backend.to_owned(), path: path.clone(), error };
        let lock = self.lock(&path, backend)?;
        if self.read(backend)?.as_ref() != before {
            return Err(PinError::Changed(backend.to_owned()));
        }
        check_room(&path, MOST_FILES).map_err(fail)?;
        let written = WrittenPins {
            form: FORM,
            backend: backend.to_owned(),
            pinned: pins
                .pinned
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
            list: pins.list.clone(),
        };
        let text = serde_json::to_vec_pretty(&written)
            .map_err(|error| fail(KeptFileError::Io { path: path.clone(), error: error.into() }))?;
        write_kept(&path, &text, Durability::Forced, &lock).map_err(fail)
    }

    /// Removes the pins of a backend that is among [`backends`](Self::backends).
    ///
    /// # Errors
    ///
    /// The system says no.
    pub fn remove(&self, backend: &str) -> Result<(), PinError> {
        let path = self.path(backend);
        let _lock = self.lock(&path, backend)?;
        fs::remove_file(&path).map_err(|error| PinError::Folder { path, error })
    }

    /// Returns the backends that have pins, in the order of the alphabet.
    ///
    /// # Errors
    ///
    /// The system says no.
    pub fn backends(&self) -> Result<Vec<String>, PinError> {
        let fail = |error| PinError::Folder { path: self.folder.clone(), error };
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for file in files.take(MOST_FILES + 2) {
            let path = file.map_err(fail)?.path();
            let is_pins = path.extension().is_some_and(|it| it == "json");
            let name = path.file_stem().and_then(|it| it.to_str()).filter(|_| is_pins);
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn lock(&self, path: &Path, backend: &str) -> Result<FolderLock, PinError> {
        lock_folder(&self.folder, LockWait::ForIt).map_err(|error| PinError::File {
            backend: backend.to_owned(),
            path: path.to_owned(),
            error,
        })
    }
}

impl ServerPins {
    /// Returns whether nothing is pinned.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns why tools of a `tools/list` are held back, by their names.
    pub(crate) fn doubts(&self, items: &[Value]) -> BTreeMap<String, PinDoubt> {
        let doubt = |name: &str, item: &Value| match self {
            Self::None => None,
            Self::Unusable(_) => Some(PinDoubt::Unusable),
            Self::Pinned { tools, .. } => match tools.get(name) {
                None => Some(PinDoubt::New),
                Some(digest) => {
                    let is_same = *digest == digest_of("tool", &pinned_form(item));
                    (!is_same).then_some(PinDoubt::Changed)
                }
            },
        };
        let items = ServerTools::items(items).into_iter();
        items.filter_map(|(name, item)| Some((name.to_owned(), doubt(name, item)?))).collect()
    }

    /// Returns the names of pinned tools that a `tools/list` does not have.
    pub(crate) fn gone(&self, items: &[Value]) -> Vec<&str> {
        let Self::Pinned { tools, .. } = self else { return Vec::new() };
        let listed: BTreeSet<&str> =
            ServerTools::items(items).into_iter().map(|(name, _)| name).collect();
        tools.keys().map(String::as_str).filter(|name| !listed.contains(name)).collect()
    }

    /// Returns whether the instructions of the server may be used.
    pub(crate) fn allow_instructions(&self, now: Option<&str>) -> bool {
        match self {
            Self::None => true,
            Self::Unusable(_) => false,
            Self::Pinned { instructions, .. } => *instructions == instructions_digest(now),
        }
    }
}

#[cfg(test)]
mod tests;
