//! Of which texts of descriptors the filters and scripts were compiled before, so that a start need not
//! do it again: digests, in the cache directory.
//!
//! A digest is of a whole text with its fragments, and only of one that was loaded without an error. It
//! holds for the very file of the program that wrote it. What is not known, for whatever reason, is
//! compiled: so much costs a cache that is not there, not trusted, damaged, or of another version. The
//! texts inside the program are known without it, because a test compiles them.
//!
//! **Invariants:** a list that somebody else could have written is not read; a reader sees the old list or
//! the new one; a digest says that programs compile and nothing else, so that one which is wrong makes a
//! call of a tool fail that would have failed the start, and lets nothing through; the number of digests
//! is bounded.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use dadl_text::text::text_fingerprint;
use serde::{Deserialize, Serialize};

use super::{
    bundled,
    kept_file::{Durability, KeptFileError, LockWait, lock_folder, read_kept, write_kept},
};

/// A larger file is no list, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// So many texts are known.
const MOST_TEXTS: usize = 500;

/// The form of the file.
const FORM: u32 = 1;

/// The texts whose programs compile.
#[derive(Debug, Default)]
pub(crate) struct KnownPrograms {
    /// Where the list is; `None` where nothing is kept.
    path: Option<PathBuf>,
    /// What the list has, once somebody asked.
    listed: OnceLock<BTreeSet<String>>,
    /// What was compiled since, oldest first.
    new: Mutex<Vec<String>>,
}

/// The list as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenList {
    form: u32,
    /// The program that compiled them.
    program: String,
    /// Digests, oldest first.
    texts: Vec<String>,
}

impl KnownPrograms {
    /// Knows what the list below the cache directory has.
    pub(crate) fn new(cache: Option<&Path>) -> Self {
        let path = cache.map(|cache| cache.join("programs").join("known.json"));
        Self { path, ..Self::default() }
    }

    /// Returns whether the programs of this text are known to compile.
    pub(crate) fn has(&self, text: &str) -> bool {
        if bundled::is_bundled_text(text) {
            return true;
        }
        let Some(path) = &self.path else { return false };
        let listed = self.listed.get_or_init(|| {
            let list = read_list(path).unwrap_or_else(|reason| {
                tracing::debug!(%reason, "no list of compiled programs");
                Vec::new()
            });
            list.into_iter().collect()
        });
        !listed.is_empty() && listed.contains(&text_fingerprint(text))
    }

    /// Adds a text that was loaded without an error, and whose programs were compiled.
    pub(crate) fn add(&self, text: &str) {
        if self.path.is_some() {
            let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
            new.push(text_fingerprint(text));
        }
    }

    /// Writes what was added into the list. Where that fails, it is compiled again the next time.
    pub(crate) fn keep(&self) {
        let new = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(path) = self.path.as_deref().filter(|_| !new.is_empty())
            && let Err(reason) = add_to_list(path, new)
        {
            tracing::debug!(%reason, "compiled programs are not kept");
        }
    }
}

/// Reads the digests of the list.
fn read_list(path: &Path) -> Result<Vec<String>, KeptFileError> {
    let text = read_kept(path, MOST_BYTES)?;
    let damaged = || KeptFileError::Damaged(path.to_owned());
    let written: WrittenList = serde_json::from_str(&text).map_err(|_| damaged())?;
    let is_ours = written.form == FORM && written.program == program();
    if is_ours && written.texts.len() <= MOST_TEXTS { Ok(written.texts) } else { Err(damaged()) }
}

/// Adds digests to the list; the oldest go.
fn add_to_list(path: &Path, new: Vec<String>) -> Result<(), KeptFileError> {
    let lock = lock_folder(path.parent().unwrap_or(path), LockWait::Never)?;
    // Another process may have added some.
    let mut texts = read_list(path).unwrap_or_default();
    texts.retain(|digest| !new.contains(digest));
    texts.extend(new);
    texts.drain(..texts.len().saturating_sub(MOST_TEXTS));
    let list = WrittenList { form: FORM, program: program(), texts };
    let text = serde_json::to_vec(&list)
        .map_err(|error| KeptFileError::Io { path: path.to_owned(), error: error.into() })?;
    write_kept(path, &text, Durability::Cached, &lock)
}

/// Names this program: its version, and the size and time of its file, which a build changes.
pub(super) fn program() -> String {
    let file = std::env::current_exe().and_then(fs::metadata);
    let (size, time) = file.map_or((0, None), |file| (file.len(), file.modified().ok()));
    let time = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{} {size} {}", env!("CARGO_PKG_VERSION"), time.unwrap_or_default().as_nanos())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const TEXT: &str = "a text";

    fn path(home: &Path) -> PathBuf {
        home.join("programs/known.json")
    }

    fn add(home: &Path, text: &str) {
        let known = KnownPrograms::new(Some(home));
        known.add(text);
        known.keep();
    }

    fn has(home: &Path, text: &str) -> bool {
        KnownPrograms::new(Some(home)).has(text)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_was_added_is_known_to_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        assert!(!has(home.path(), TEXT));
        let known = KnownPrograms::new(Some(home.path()));
        known.keep();
        assert!(!path(home.path()).exists(), "nothing to keep");
        known.add(TEXT);
        known.keep();
        add(home.path(), "another");
        assert!(has(home.path(), TEXT) && has(home.path(), "another"));
        assert!(!has(home.path(), "a text "), "every byte counts");
        let file = fs::metadata(path(home.path())).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_inside_the_program_is_known_without_a_cache() {
        let known = KnownPrograms::new(None);
        for name in bundled::bundled_names() {
            let text = bundled::locate_descriptor(name, &bundled::DescriptorPaths::default());
            let source = text.unwrap().into_source().unwrap();
            assert!(known.has(source.text()));
            let loaded = dadl_descriptor::load(&source);
            assert!(loaded.descriptor.is_some(), "{name}: {:?}", loaded.diagnostics);
            assert_ne!(loaded.programs, dadl_descriptor::ProgramsChecked::Known);
        }
        known.add(TEXT);
        known.keep();
        assert!(!known.has(TEXT));
    }

    #[test]
    fn a_list_of_others_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        add(home.path(), TEXT);
        let (folder, file) = (home.path().join("programs"), path(home.path()));
        for (path, open, closed) in [(&file, 0o666, 0o600), (&folder, 0o777, 0o700)] {
            mode(path, open);
            assert!(!has(home.path(), TEXT), "{}", path.display());
            mode(path, closed);
            assert!(has(home.path(), TEXT));
        }
        let theirs = home.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        mode(&theirs, 0o777);
        fs::rename(&file, theirs.join("known.json")).unwrap();
        symlink(theirs.join("known.json"), &file).unwrap();
        assert!(!has(home.path(), TEXT));
    }

    /// Only root can give files away.
    #[test]
    fn a_list_of_another_owner_is_not_read() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        add(home.path(), TEXT);
        std::os::unix::fs::chown(path(home.path()), Some(12_345), None).unwrap();
        assert!(!has(home.path(), TEXT));
    }

    #[test]
    fn half_a_list_and_one_of_another_version_are_none() {
        let home = tempfile::tempdir().unwrap();
        add(home.path(), TEXT);
        let text = fs::read_to_string(path(home.path())).unwrap();
        let half = text.get(..text.len() / 2).unwrap().to_owned();
        let version = text.replace(env!("CARGO_PKG_VERSION"), "0.0.1");
        let build = text.replace(&program(), &format!("{}1", program()));
        let large = text.replace(&program(), &"1".repeat(70_000));
        for other in [half, version, build, text.replace("\"form\":1", "\"form\":2"), large] {
            fs::write(path(home.path()), &other).unwrap();
            assert!(!has(home.path(), TEXT), "{other:.80}");
        }
        // The next one that is compiled takes its place.
        add(home.path(), "another");
        assert!(has(home.path(), "another") && !has(home.path(), TEXT));
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_known() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("programs"), "in the way").unwrap();
        add(home.path(), TEXT);
        assert!(!has(home.path(), TEXT));
    }

    #[test]
    fn the_oldest_go() {
        let home = tempfile::tempdir().unwrap();
        add(home.path(), TEXT);
        let known = KnownPrograms::new(Some(home.path()));
        (0..MOST_TEXTS).for_each(|number| known.add(&number.to_string()));
        known.keep();
        assert!(!has(home.path(), TEXT) && has(home.path(), "0"));
        assert_eq!(read_list(&path(home.path())).unwrap().len(), MOST_TEXTS);
    }

    #[test]
    fn two_writers_leave_one_whole_list() {
        let home = tempfile::tempdir().unwrap();
        add(home.path(), TEXT);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let home = home.path();
                scope.spawn(move || {
                    (0..20).for_each(|number| add(home, &format!("{writer} {number}")));
                });
            }
            for _ in 0..50 {
                assert!(has(home.path(), TEXT));
            }
        });
    }
}
