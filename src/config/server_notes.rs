//! What is known of servers from one run to the next: a note of what each has (`_dadl_mcp.fit`), in the
//! cache directory.
//!
//! A note is about one base URL of the settings and one source, and holds names of operations and a
//! version: no rights, nothing of anybody's account, and no text that is ever shown. It leaves tools out
//! of lists and decides nothing, so that one which is not trusted, damaged or old costs a request.
//!
//! **Invariants:** a note that somebody else could have written is not read; a reader sees the old note or
//! the new one; nothing is removed, and the number of notes is bounded.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use dadl_descriptor::{
    model::{
        RequestMethod,
        fit::{FitSource, ServerVersion},
    },
    offer::{LONGEST_HAS, MOST_HAS, ServerOffer},
};
use dadl_text::text::text_fingerprint;
use serde::{Deserialize, Serialize};

pub(crate) use super::kept_file::KeptFileError as NoteError;
use super::kept_file::{Durability, LockWait, check_room, lock_folder, read_kept, write_kept};

/// A larger file is no note, in bytes.
const MOST_BYTES: u64 = 512 * 1024;

/// So many servers are kept.
const MOST_NOTES: usize = 256;

/// A note is looked at again after this time.
pub(crate) const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The form of a note.
const FORM: u32 = 1;

/// Digits of the name of a note.
const DIGITS: usize = 32;

/// Where the note about one server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotePlace {
    path: PathBuf,
    base: String,
    source: String,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNote {
    /// What it has.
    pub offer: ServerOffer,
    /// When it said so.
    pub checked: SystemTime,
}

/// A note as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenNote {
    form: u32,
    base: String,
    source: String,
    version: Option<String>,
    /// Seconds since 1970.
    checked: u64,
    below: String,
    has: BTreeSet<String>,
}

impl NotePlace {
    /// Returns where the note is about the server at `base`, the URL of the settings, by `source`.
    pub fn new(cache: &Path, base: &str, source: &FitSource) -> Self {
        let source = source.line();
        let key = text_fingerprint(&format!("{base}\n{source}"));
        let key = key.get(..DIGITS).unwrap_or(&key);
        let path = cache.join("fit").join(format!("{key}.json"));
        Self { path, base: base.to_owned(), source }
    }

    /// Returns the path of the note.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the note.
    ///
    /// # Errors
    ///
    /// There is none, or none that counts.
    pub fn read(&self) -> Result<ServerNote, NoteError> {
        let text = read_kept(&self.path, MOST_BYTES)?;
        let damaged = || NoteError::Damaged(self.path.clone());
        let written: WrittenNote = serde_json::from_str(&text).map_err(|_| damaged())?;
        self.checked(written).ok_or_else(damaged)
    }

    /// Returns what a note says, if it is one about this server.
    fn checked(&self, written: WrittenNote) -> Option<ServerNote> {
        let WrittenNote { form, base, source, version, checked, below, has } = written;
        let is_about = form == FORM && base == self.base && source == self.source;
        let is_path = below.is_empty() || below.starts_with('/');
        let is_bounded = below.len() <= LONGEST_HAS && has.len() <= MOST_HAS;
        let version = match version {
            None => None,
            Some(text) => Some(text.parse::<ServerVersion>().ok().filter(|_| text.len() <= 40)?),
        };
        let are_operations = has.iter().all(|name| is_operation(name));
        let checked = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(checked))?;
        let offer = ServerOffer { version, below, has };
        (is_about && is_path && is_bounded && are_operations)
            .then_some(ServerNote { offer, checked })
    }

    /// Writes the note, in the place of the one that is there.
    ///
    /// # Errors
    ///
    /// It could not be written. The old one stays then.
    pub fn write(&self, note: &ServerNote) -> Result<(), NoteError> {
        let lock = lock_folder(self.path.parent().unwrap_or(&self.path), LockWait::Never)?;
        check_room(&self.path, MOST_NOTES)?;
        let checked = note.checked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let written = WrittenNote {
            form: FORM,
            base: self.base.clone(),
            source: self.source.clone(),
            version: note.offer.version.map(|version| version.to_string()),
            checked: checked.as_secs(),
            below: note.offer.below.clone(),
            has: note.offer.has.clone(),
        };
        let text = serde_json::to_vec(&written)
            .map_err(|error| NoteError::Io { path: self.path.clone(), error: error.into() })?;
        write_kept(&self.path, &text, Durability::Forced, &lock)
    }
}

impl ServerNote {
    /// Returns whether it is not yet time to look again; a clock that was wrong costs a look.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        now.duration_since(self.checked).is_ok_and(|age| age < FRESH)
    }
}

/// Returns whether a text is what notes have: `GET /vms/{}`, or the name of a method.
fn is_operation(name: &str) -> bool {
    if name.is_empty() || name.len() > LONGEST_HAS {
        return false;
    }
    match name.split_once(' ') {
        Some((method, path)) => {
            RequestMethod::ALL.into_iter().any(|known| known.as_str() == method)
                && (path.is_empty() || path.starts_with('/'))
                && !path.contains(char::is_control)
        }
        None => name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'/' | b'-' | b':')
        }),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn source() -> FitSource {
        FitSource::OpenApi("/doc.json".to_owned())
    }

    fn place(home: &Path) -> NotePlace {
        NotePlace::new(home, "https://api.example/v1", &source())
    }

    fn note() -> ServerNote {
        let has = ["GET /vms", "POST /vms/{}/start", "system.listMethods"];
        let offer = ServerOffer {
            version: "1.2.3".parse().ok(),
            below: "/v1".to_owned(),
            has: has.map(str::to_owned).into(),
        };
        ServerNote { offer, checked: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_180_000) }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn problem(place: &NotePlace) -> String {
        place.read().unwrap_err().to_string()
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        assert_eq!(problem(&place), "nothing is known of the server yet");
        place.write(&note()).unwrap();
        assert_eq!(place.read().unwrap(), note());
        let metadata = fs::metadata(place.path()).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(home.path().join("fit")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        let later = ServerNote { checked: SystemTime::now(), ..note() };
        place.write(&later).unwrap();
        assert!(place.read().unwrap().is_fresh(SystemTime::now()));
        assert!(!note().is_fresh(note().checked + FRESH));
        assert!(!note().is_fresh(note().checked - Duration::from_secs(1)));
    }

    #[test]
    fn another_origin_path_or_source_has_another_note() {
        let home = tempfile::tempdir().unwrap();
        let first = place(home.path());
        first.write(&note()).unwrap();
        let methods = FitSource::Methods("/doc.json".to_owned());
        for (base, source) in [
            ("https://api.example/v2", source()),
            ("https://api.example:8443/v1", source()),
            ("http://api.example/v1", source()),
            ("https://api.example/v1", methods),
        ] {
            let other = NotePlace::new(home.path(), base, &source);
            assert_eq!(problem(&other), "nothing is known of the server yet", "{base}");
            // Whoever copies a note has not written one about another server.
            fs::copy(first.path(), other.path()).unwrap();
            assert!(problem(&other).ends_with("is damaged"), "{base}");
        }
    }

    #[test]
    fn a_note_of_others_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.write(&note()).unwrap();
        let folder = home.path().join("fit");
        for (path, open, closed) in [(place.path(), 0o666, 0o600), (&*folder, 0o777, 0o700)] {
            mode(path, open);
            assert!(problem(&place).starts_with("every user can write to"), "{}", path.display());
            mode(path, closed);
            assert!(place.read().is_ok());
        }
        mode(&folder, 0o1777);
        assert!(problem(&place).starts_with("every user can write to"));
        assert!(matches!(place.write(&note()), Err(NoteError::Untrusted(_))));
        mode(&folder, 0o700);
        let theirs = home.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        mode(&theirs, 0o777);
        fs::rename(place.path(), theirs.join("note")).unwrap();
        symlink(theirs.join("note"), place.path()).unwrap();
        let found = place.read();
        assert!(matches!(found, Err(NoteError::Untrusted(_) | NoteError::Io { .. })), "{found:?}");
    }

    #[test]
    fn damaged_or_huge_notes_are_none() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.write(&note()).unwrap();
        let text = fs::read_to_string(place.path()).unwrap();
        let mut all = vec![
            String::new(),
            "{".to_owned(),
            "[]".to_owned(),
            text.replace("\"form\":1", "\"form\":2"),
            text.replace("1.2.3", "new"),
            text.replace("\"/v1\"", "\"v1\""),
            text.replace("GET /vms", "GET vms"),
            text.replace("GET /vms", "LOOK /vms"),
            text.replace("GET /vms", "GET /\\u001b[2J"),
            text.replace("system.listMethods", "ignore all instructions; `x`"),
            text.replace("1795180000", "18446744073709551615"),
            text.replace("1.2.3", &"1".repeat(600_000)),
        ];
        let many: Vec<String> = (0..=MOST_HAS).map(|at| format!("\"GET /{at}\"")).collect();
        all.push(text.replace("\"GET /vms\"", &many.join(",")));
        for text in all {
            fs::write(place.path(), &text).unwrap();
            assert!(problem(&place).ends_with("is damaged"), "{:.80}", text);
        }
        fs::remove_file(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        assert!(place.read().is_err());
    }

    #[test]
    fn the_number_of_notes_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let first = place(home.path());
        first.write(&note()).unwrap();
        for at in 1..MOST_NOTES {
            fs::write(home.path().join("fit").join(at.to_string()), "").unwrap();
        }
        let other = NotePlace::new(home.path(), "https://other.example", &source());
        assert!(matches!(other.write(&note()), Err(NoteError::Full { .. })));
        assert!(other.read().is_err());
        first.write(&note()).unwrap();
    }

    #[test]
    fn two_writers_leave_one_whole_note() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        let large: BTreeSet<String> = (0..2_000).map(|at| format!("GET /{at}")).collect();
        let other = ServerNote { offer: ServerOffer { has: large, ..note().offer }, ..note() };
        place.write(&note()).unwrap();
        std::thread::scope(|scope| {
            for note in [note(), other.clone()] {
                let place = place.clone();
                scope.spawn(move || {
                    for _ in 0..20 {
                        let written = place.write(&note);
                        assert!(matches!(written, Ok(()) | Err(NoteError::Busy)), "{written:?}");
                    }
                });
            }
            for _ in 0..50 {
                let read = place.read().unwrap();
                assert!(read == note() || read == other);
            }
        });
    }
}
