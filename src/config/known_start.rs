//! What hosts were told at an earlier start, so that the next one with the same program, settings and files
//! tells them the same, and loads the descriptors only when something needs them.
//!
//! A note has the names and digests of all files that the list was made of, descriptors before all. One that
//! is not there, not trusted, damaged, or about other files is no note: everything is loaded then, and
//! checked. It lets nothing through: what is called is loaded, checked and asked for as ever.
//!
//! **Invariants:** a note that somebody else could have written is not read; a reader sees the old note or
//! the new one; the number of notes, and the size of each, are bounded.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dadl_text::text::{hex_text, text_fingerprint};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Settings,
    descriptor_folder::{FileDigest, read_bounded},
    kept_file::{
        Durability, KeptFileError, LockWait, lock_folder, make_room, read_kept, write_kept,
    },
    known_programs::program,
};

/// A larger file is no note, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// So many starts are known; the oldest go.
const MOST_STARTS: usize = 32;

/// The form of a note.
const FORM: u32 = 1;

/// Digits of the name of a note.
const DIGITS: usize = 32;

/// A start, as far as it can be told again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownStart {
    /// The descriptors of the backends, in the order of the settings.
    pub descriptors: Vec<ReadFile>,
    /// What else was read for them. What was looked for and not there has no digest.
    pub files: Vec<ReadFile>,
    /// What the operator was told.
    pub said: Vec<SaidLine>,
    /// What hosts are told.
    pub told: ToldStart,
    /// Their list of tools, as JSON text.
    #[serde(skip)]
    pub tools: Arc<str>,
}

/// A file, or a descriptor inside the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadFile {
    /// Its path; `bundled:` and a name inside the program.
    pub path: PathBuf,
    /// Its SHA-256 in hexadecimal digits; `None` for what is inside the program or was not there.
    pub digest: Option<String>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SaidLine {
    /// Whether the operator should act.
    pub is_warning: bool,
    /// What it says.
    pub text: String,
}

/// What hosts are told besides the list of tools; the shapes are those of the protocol, as JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldStart {
    /// The answer to `initialize`.
    pub info: String,
    /// The array of prompts.
    pub prompts: String,
    /// The array of resource templates.
    pub templates: String,
    /// How many tools are listed.
    pub count: usize,
    /// Whether hosts see a few tools that find the others.
    pub is_compact: bool,
}

/// Where the note about a start is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartPlace {
    path: PathBuf,
    /// What the start was made with: program, flags and settings.
    made_with: String,
}

/// The beginning of a note; the list of tools follows on the next line.
#[derive(Debug, Serialize, Deserialize)]
struct NoteHead {
    form: u32,
    made_with: String,
    /// The SHA-256 of the list in hexadecimal digits: what was written may be damaged when the power is lost.
    digest: String,
    start: KnownStart,
}

impl ReadFile {
    /// Describes a file that was read.
    pub(crate) fn new(path: PathBuf, digest: Option<&FileDigest>) -> Self {
        Self { path, digest: digest.map(|digest| hex_text(digest)) }
    }

    /// Describes a file as it is now.
    pub(crate) fn now(path: &Path) -> Self {
        // The largest files that are read for a descriptor.
        let bytes = read_bounded(path, dadl_openapi::MAX_BYTES).ok();
        let digest: Option<FileDigest> = bytes.map(|it| Sha256::digest(it).into());
        Self::new(path.to_owned(), digest.as_ref())
    }
}

impl StartPlace {
    /// Returns where the note is about a start with these flags and settings; `None` where none is kept, or
    /// where what hosts are told depends on more than settings and files.
    pub(crate) fn of(settings: &Settings, flags: &str) -> Option<Self> {
        let is_known = settings.beside.is_empty()
            && settings.backends.iter().all(|backend| {
                backend.server.is_none() && !backend.fetch_openapi && backend.client_cert.is_none()
            });
        let cache = settings.cache.as_deref().filter(|_| is_known)?;
        // What stands in them is made of text, numbers and ordered maps, so that equal settings are written
        // in equal words. Nobody reads these: only their digest is kept.
        let made_with = text_fingerprint(&format!("{}\n{flags}\n{settings:?}", program()));
        let key = made_with.get(..DIGITS).unwrap_or(&made_with);
        Some(Self { path: cache.join("starts").join(format!("{key}.json")), made_with })
    }

    /// Returns what is known of the start, if all that it was made of is as it was.
    pub(crate) fn read(&self, settings: &Settings) -> Result<KnownStart, KeptFileError> {
        let damaged = || KeptFileError::Damaged(self.path.clone());
        let text = read_kept(&self.path, MOST_BYTES)?;
        let (head, tools) = text.split_once('\n').ok_or_else(damaged)?;
        let NoteHead { form, made_with, digest, start } =
            serde_json::from_str(head).map_err(|_| damaged())?;
        if form != FORM || made_with != self.made_with || digest != text_fingerprint(tools) {
            return Err(damaged());
        }
        let is_current = start.files.iter().all(|file| ReadFile::now(&file.path) == *file)
            && start.descriptors == descriptors_now(settings).unwrap_or_default();
        if !is_current {
            return Err(KeptFileError::Missing);
        }
        Ok(KnownStart { tools: tools.into(), ..start })
    }

    /// Keeps what is known of the start, in the place of what was.
    ///
    /// # Errors
    ///
    /// It could not be written. What was known stays then.
    pub(crate) fn write(&self, start: KnownStart) -> Result<(), KeptFileError> {
        let fail = |error| KeptFileError::Io { path: self.path.clone(), error };
        let tools = Arc::clone(&start.tools);
        let (form, made_with) = (FORM, self.made_with.clone());
        let head = NoteHead { form, made_with, digest: text_fingerprint(&tools), start };
        let mut text = serde_json::to_string(&head).map_err(|error| fail(error.into()))?;
        text.push('\n');
        text.push_str(&tools);
        if text.len() as u64 > MOST_BYTES {
            return Err(KeptFileError::Damaged(self.path.clone()));
        }
        let lock = lock_folder(self.path.parent().unwrap_or(&self.path), LockWait::Never)?;
        make_room(&self.path, MOST_STARTS);
        write_kept(&self.path, text.as_bytes(), Durability::Cached, &lock)
    }
}

/// Finds the descriptors of all backends as they are now; `None` where one is missing, or where the operator
/// is to be told of another file.
fn descriptors_now(settings: &Settings) -> Option<Vec<ReadFile>> {
    let found = settings.backends.iter().map(|backend| {
        let located = settings.descriptor(backend).ok().filter(|it| it.unused.is_none())?;
        let digest = located.file().map(|(_, digest)| digest);
        Some(ReadFile::new(located.origin.into(), digest.as_ref()))
    });
    found.collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::config::{SettingsOverrides, env_vars::Environment};

    const FLAGS: &str = "flags";

    /// A home with a descriptor, and the settings that name it.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            fs::write(home.path("api.dadl"), "one").unwrap();
            fs::write(home.path("part.yaml"), "part").unwrap();
            home
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn settings(&self) -> Settings {
            let dadl = self.path("api.dadl").display().to_string();
            let overrides = SettingsOverrides { dadl: Some(dadl), ..SettingsOverrides::default() };
            let home = self.0.path().display().to_string();
            let variables = [("HOME", home.as_str())];
            let environment = Environment::from_iter(variables);
            Settings::load(&overrides, &environment, Path::new("")).unwrap()
        }

        fn start(&self) -> KnownStart {
            let now = |name: &str| ReadFile::now(&self.path(name));
            KnownStart {
                descriptors: vec![now("api.dadl")],
                files: vec![now("part.yaml"), now("absent")],
                said: vec![SaidLine { is_warning: true, text: "look".to_owned() }],
                told: ToldStart { count: 1, info: "{}\n".to_owned(), ..ToldStart::default() },
                tools: "[{\"name\":\"a\"}]".into(),
            }
        }

        fn place(&self) -> StartPlace {
            StartPlace::of(&self.settings(), FLAGS).unwrap()
        }

        fn known(&self) -> Option<KnownStart> {
            self.place().read(&self.settings()).ok()
        }
    }

    #[test]
    fn a_start_is_known_while_all_that_it_was_made_of_is_the_same() {
        let home = Home::new();
        assert_eq!(home.known(), None);
        home.place().write(home.start()).unwrap();
        assert_eq!(home.known(), Some(home.start()));
        for name in ["api.dadl", "part.yaml", "absent"] {
            let before = fs::read(home.path(name)).ok();
            fs::write(home.path(name), "two").unwrap();
            assert_eq!(home.known(), None, "{name}");
            match before {
                Some(before) => fs::write(home.path(name), before).unwrap(),
                None => fs::remove_file(home.path(name)).unwrap(),
            }
            assert!(home.known().is_some(), "{name}");
        }
        let place = StartPlace::of(&home.settings(), "other flags").unwrap();
        assert!(place.read(&home.settings()).is_err());
        let mut settings = home.settings();
        settings.backends[0].hint = Some("A hint.".to_owned());
        assert!(StartPlace::of(&settings, FLAGS).unwrap().read(&settings).is_err());
    }

    #[test]
    fn what_is_no_file_any_more_is_not_waited_for() {
        let home = Home::new();
        home.place().write(home.start()).unwrap();
        let part = home.path("part.yaml");
        fs::remove_file(&part).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(&part).status().unwrap();
        assert!(pipe.success());
        assert_eq!(home.known(), None);
    }

    #[test]
    fn what_depends_on_more_than_files_is_not_known() {
        let home = Home::new();
        let without = |change: fn(&mut Settings)| {
            let mut settings = home.settings();
            change(&mut settings);
            StartPlace::of(&settings, FLAGS)
        };
        assert!(without(|_| {}).is_some());
        assert_eq!(without(|it| it.cache = None), None);
        assert_eq!(without(|it| it.backends[0].fetch_openapi = true), None);
        assert_eq!(without(|it| it.backends[0].client_cert = Some(PathBuf::from("a"))), None);
        assert_eq!(without(|it| it.beside = it.backends.clone()), None);
    }

    #[test]
    fn a_note_that_is_damaged_or_open_to_others_is_none() {
        let home = Home::new();
        let place = home.place();
        place.write(home.start()).unwrap();
        let text = fs::read_to_string(&place.path).unwrap();
        let version = text.replace("\"form\":1", "\"form\":2");
        let other = text.replace(&place.made_with, &"0".repeat(64));
        let head = text.split_once('\n').unwrap().0;
        for damaged in [&text[..text.len() - 1], "", "{}", head, &version, &other] {
            fs::write(&place.path, damaged).unwrap();
            assert_eq!(home.known(), None, "{damaged:.60}");
        }
        fs::write(&place.path, &text).unwrap();
        let folder = place.path.parent().unwrap().to_owned();
        for (path, open, closed) in [(&place.path, 0o666, 0o600), (&folder, 0o777, 0o700)] {
            let mode = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            mode(open);
            assert_eq!(home.known(), None);
            mode(closed);
            assert!(home.known().is_some());
        }
    }

    #[test]
    fn the_oldest_go() {
        let home = Home::new();
        for at in 0..MOST_STARTS + 4 {
            let place = StartPlace::of(&home.settings(), &at.to_string()).unwrap();
            place.write(home.start()).unwrap();
        }
        let folder = home.place().path.parent().unwrap().to_owned();
        // The lock is beside them.
        assert!(fs::read_dir(folder).unwrap().count() <= MOST_STARTS + 1);
    }
}
