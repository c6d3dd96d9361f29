//! Notices that files of the settings have changed.
//!
//! The files are looked at now and then: that works on every system, over networks, and for the links by
//! which orchestrators put files in place.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How often files are looked at; a change counts when it was seen twice.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Files, and how they were when they were last looked at.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    paths: Vec<PathBuf>,
    /// How they were when they counted.
    known: Vec<FileStamp>,
    /// How they were at the last look, when that is something else.
    seen: Option<Vec<FileStamp>>,
}

/// What tells one state of a file from another: when it was written, and its size; nothing for a file that is
/// not there.
type FileStamp = Option<(SystemTime, u64)>;

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookFinding {
    /// Nothing has changed, or something is still changing.
    Nothing,
    /// The files are others than those that count.
    Changed,
}

impl WatchedFiles {
    /// Watches these files; the states that they have now count.
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut paths: Vec<PathBuf> = paths.into_iter().collect();
        paths.sort();
        paths.dedup();
        let known = stamps(&paths);
        Self { paths, known, seen: None }
    }

    /// Returns whether there is nothing to watch, as for a descriptor inside the binary.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Returns whether a file was written at this time or later.
    pub(super) fn is_newer_than(&self, time: SystemTime) -> bool {
        self.known.iter().flatten().any(|(written, _)| *written >= time)
    }

    /// Looks at the files.
    pub(super) fn look(&mut self) -> LookFinding {
        let now = stamps(&self.paths);
        if now == self.known {
            self.seen = None;
            return LookFinding::Nothing;
        }
        // An editor may write in several steps.
        if self.seen.as_ref() != Some(&now) {
            self.seen = Some(now);
            return LookFinding::Nothing;
        }
        self.seen = None;
        self.known = now;
        LookFinding::Changed
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<FileStamp> {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    paths.iter().map(|path| stamp(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_is_over() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        fs::write(&one, "a").unwrap();
        let mut files = WatchedFiles::new([one.clone(), other.clone(), one.clone()]);
        assert!(files.is_newer_than(SystemTime::UNIX_EPOCH));
        let mut looks = |change: &dyn Fn()| {
            change();
            files.look()
        };
        assert_eq!(looks(&|| {}), LookFinding::Nothing);
        assert_eq!(looks(&|| fs::write(&one, "ab").unwrap()), LookFinding::Nothing);
        assert_eq!(looks(&|| fs::write(&one, "abc").unwrap()), LookFinding::Nothing);
        assert_eq!(looks(&|| {}), LookFinding::Changed);
        assert_eq!(looks(&|| {}), LookFinding::Nothing);
        assert_eq!(looks(&|| fs::write(&other, "").unwrap()), LookFinding::Nothing);
        assert_eq!(looks(&|| fs::remove_file(&other).unwrap()), LookFinding::Nothing);
        assert_eq!(looks(&|| {}), LookFinding::Nothing);
        assert_eq!(looks(&|| fs::remove_file(&one).unwrap()), LookFinding::Nothing);
        assert_eq!(looks(&|| {}), LookFinding::Changed);
    }
}
