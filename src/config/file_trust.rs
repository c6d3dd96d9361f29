//! Whose a file is, and who else could change it: owner, mode, and every directory on the way.
//!
//! Links are followed, and each link and all that is on the way to its target is judged alike. A
//! directory that others may write and that is sticky, such as `/tmp`, keeps in its place what is
//! not theirs: then the owner of what is in it counts. A group that has nobody but the user is no
//! other. What is mounted for reading alone is what whoever mounted it says, as containers get
//! their secrets. On Windows, where each user's folders are closed to others, nothing is judged.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::shell::shell_quoted;

/// Why a file may not be what its user has written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct FileDoubt {
    /// The file, or a link or directory on the way to it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: FileProblem,
    /// Whether it is a directory or a link on the way, and not the file itself.
    pub is_on_the_way: bool,
}

/// What is wrong with a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileProblem {
    /// It belongs to somebody else.
    Owner {
        /// The number of that user.
        owner: u32,
        /// The number of the user of this process.
        user: u32,
        /// Whether everybody could have put it there.
        is_planted: bool,
    },
    /// The users of a group can write to it.
    Group(u32),
    /// Every user can write to it.
    Everybody,
}

impl FileDoubt {
    /// Returns whether anybody on this machine could have made or changed it.
    pub fn is_anybodys(&self) -> bool {
        matches!(self.problem, FileProblem::Everybody | FileProblem::Owner { is_planted: true, .. })
    }

    fn sentence(&self) -> String {
        let path = self.path.display().to_string();
        let word = shell_quoted(&path);
        match self.problem {
            FileProblem::Owner { owner, user, .. } => format!(
                "{path} belongs to user {owner}, and this process runs as user {user}; run it as \
                 that user, {}",
                // What is on the way may be the home of that user.
                if self.is_on_the_way {
                    "or use another place".to_owned()
                } else {
                    format!("or `chown {user} {word}`")
                }
            ),
            FileProblem::Group(group) => {
                format!("the users of group {group} can write to {path}; run `chmod g-w {word}`")
            }
            FileProblem::Everybody => {
                format!("every user can write to {path}; run `chmod go-w {word}`")
            }
        }
    }
}

/// Examines `path`, which must be there, and all that is on the way to it.
///
/// # Errors
///
/// It is not there, or cannot be reached.
#[cfg(unix)]
pub(crate) fn way_to(path: &Path) -> io::Result<Vec<FileDoubt>> {
    unix::way_to(path)
}

/// Examines `path`, which must be there.
///
/// # Errors
///
/// It is not there, or cannot be reached.
#[cfg(not(unix))]
pub fn way_to(path: &Path) -> io::Result<Vec<FileDoubt>> {
    std::fs::metadata(path).map(|_| Vec::new())
}

/// Examines a directory that has files of ours alone, and all that is on the way to it: others may
/// not put anything there, sticky or not.
///
/// # Errors
///
/// It is not there, or cannot be reached.
pub(super) fn way_to_own(directory: &Path) -> io::Result<Vec<FileDoubt>> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "nothing is judged"))]
    let mut doubts = way_to(directory)?;
    #[cfg(unix)]
    doubts.extend(unix::check_shared_directory(directory)?);
    Ok(doubts)
}

/// Examines a file that is open, whatever led to it.
#[cfg(unix)]
pub(super) fn check_opened(path: &Path, file: &File) -> io::Result<Option<FileDoubt>> {
    unix::check_opened(path, file)
}

#[cfg(not(unix))]
pub(super) fn check_opened(_: &Path, _: &File) -> io::Result<Option<FileDoubt>> {
    Ok(None)
}

#[cfg(unix)]
mod unix {
    use std::{
        ffi::OsString,
        fs::{self, File, Metadata},
        io,
        os::unix::fs::MetadataExt as _,
        path::{Component, Path, PathBuf},
    };

    use rustix::{
        fs::{StatVfs, StatVfsMountFlags, fstatvfs, statvfs},
        process::{getegid, geteuid},
    };

    use super::{FileDoubt, FileProblem};

    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;

    const ROOT: u32 = 0;
    const STICKY: u32 = 0o1000;
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;

    /// What the system says about a file.
    #[derive(Debug, Clone, Copy)]
    struct FileFacts {
        owner: u32,
        group: u32,
        mode: u32,
        is_directory: bool,
        is_link: bool,
    }

    impl From<&Metadata> for FileFacts {
        fn from(metadata: &Metadata) -> Self {
            Self {
                owner: metadata.uid(),
                group: metadata.gid(),
                mode: metadata.mode(),
                is_directory: metadata.is_dir(),
                is_link: metadata.is_symlink(),
            }
        }
    }

    /// Who can put something into the directory that a file is in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum ParentFolder {
        /// Everybody.
        Open,
        /// Not everybody.
        Guarded,
    }

    /// Judges a file that is in such a directory.
    fn judge_facts(
        facts: FileFacts,
        user: u32,
        parent: ParentFolder,
        is_private: impl FnOnce(u32) -> bool,
    ) -> Option<FileProblem> {
        let FileFacts { owner, group, mode, is_directory, is_link } = facts;
        if owner != user && owner != ROOT {
            return Some(FileProblem::Owner {
                owner,
                user,
                is_planted: parent == ParentFolder::Open,
            });
        }
        // The mode of a link means nothing.
        if is_link || (is_directory && mode & STICKY != 0) {
            return None;
        }
        if mode & OTHERS_WRITE != 0 {
            return Some(FileProblem::Everybody);
        }
        (mode & GROUP_WRITES != 0 && !is_private(group)).then_some(FileProblem::Group(group))
    }

    pub(super) fn way_to(path: &Path) -> io::Result<Vec<FileDoubt>> {
        let user = geteuid().as_raw();
        let mut doubts = Vec::new();
        let mut here = PathBuf::from("/");
        let mut parent = ParentFolder::Guarded;
        let mut rest = path_parts(&std::path::absolute(path)?);
        // The root is judged like everything below it.
        rest.push(OsString::from("."));
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let next = match part.to_str() {
                Some(".") => here.clone(),
                Some("..") => here.parent().unwrap_or(Path::new("/")).to_owned(),
                _ => here.join(&part),
            };
            let metadata = fs::symlink_metadata(&next)?;
            let facts = FileFacts::from(&metadata);
            let found = judge_facts(facts, user, parent, |group| is_private(group, user));
            let mount = if facts.is_link { &here } else { &next };
            if let Some(problem) = found
                && !statvfs(mount).is_ok_and(|mount| is_read_only(&mount))
            {
                let is_on_the_way = facts.is_link || !rest.is_empty();
                doubts.push(FileDoubt { path: next.clone(), problem, is_on_the_way });
            }
            if facts.is_link {
                links += 1;
                if links > MOST_LINKS {
                    let reason = format!("{} leads through too many links", path.display());
                    return Err(io::Error::other(reason));
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                    parent = ParentFolder::Guarded;
                }
                rest.extend(path_parts(&target));
            } else {
                let is_open = facts.is_directory && facts.mode & OTHERS_WRITE != 0;
                parent = if is_open { ParentFolder::Open } else { ParentFolder::Guarded };
                here = next;
            }
        }
        Ok(doubts)
    }

    /// Returns the parts of a path, the first one at the end.
    fn path_parts(path: &Path) -> Vec<OsString> {
        let parts = path.components().filter_map(|component| match component {
            Component::Normal(_) | Component::ParentDir => {
                Some(component.as_os_str().to_os_string())
            }
            Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
        });
        let mut parts: Vec<OsString> = parts.collect();
        parts.reverse();
        parts
    }

    pub(super) fn check_shared_directory(directory: &Path) -> io::Result<Option<FileDoubt>> {
        let facts = FileFacts::from(&fs::metadata(directory)?);
        let everybody = facts.mode & STICKY != 0 && facts.mode & (OTHERS_WRITE | GROUP_WRITES) != 0;
        Ok(everybody.then(|| FileDoubt {
            path: directory.to_owned(),
            problem: FileProblem::Everybody,
            is_on_the_way: true,
        }))
    }

    pub(super) fn check_opened(path: &Path, file: &File) -> io::Result<Option<FileDoubt>> {
        let (user, metadata) = (geteuid().as_raw(), file.metadata()?);
        if !metadata.is_file() || fstatvfs(file).is_ok_and(|mount| is_read_only(&mount)) {
            return Ok(None);
        }
        let problem =
            judge_facts(FileFacts::from(&metadata), user, ParentFolder::Guarded, |group| {
                is_private(group, user)
            });
        let doubt = |problem| FileDoubt { path: path.to_owned(), problem, is_on_the_way: false };
        Ok(problem.map(doubt))
    }

    fn is_read_only(mount: &StatVfs) -> bool {
        mount.f_flag.contains(StatVfsMountFlags::RDONLY)
    }

    /// Returns whether a group has nobody but this user: many systems give each user one, and let
    /// it write to all that the user makes.
    fn is_private(group: u32, user: u32) -> bool {
        match (user, group) {
            (ROOT, _) => return false,
            // Containers that run under any number give it the group of root, and what it writes.
            (_, ROOT) => return getegid().as_raw() == ROOT,
            // By the custom of those systems the two have the same number.
            (user, group) if user != group => return false,
            _ => {}
        }
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        !has_others(&read("/etc/group"), &read("/etc/passwd"), group, user)
    }

    /// Returns whether group(5) and passwd(5) have somebody else in a group.
    fn has_others(groups: &str, users: &str, group: u32, user: u32) -> bool {
        let number = |text: Option<&&str>| text.and_then(|text| text.parse::<u32>().ok());
        let users: Vec<(&str, Option<u32>, Option<u32>)> = users
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let name = fields.first().copied().unwrap_or_default();
                (name, number(fields.get(2)), number(fields.get(3)))
            })
            .collect();
        let is_ours = |name: &str| {
            users.iter().any(|(known, number, _)| *known == name && *number == Some(user))
        };
        let by_group = groups
            .lines()
            .map(|line| line.split(':').collect::<Vec<&str>>())
            .filter(|fields| number(fields.get(2)) == Some(group))
            .flat_map(|fields| fields.get(3).copied().unwrap_or_default().split(','))
            .any(|name| !name.trim().is_empty() && !is_ours(name.trim()));
        by_group
            || users.iter().any(|(_, number, first)| *first == Some(group) && *number != Some(user))
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

        use proptest::prelude::*;

        use super::*;

        fn mode(path: &Path, mode: u32) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        /// What is doubted on the way to a file below `home`, by its path there.
        fn doubts(home: &Path, path: &str) -> Vec<(String, FileProblem)> {
            let found = way_to(&home.join(path)).unwrap();
            let home = home.canonicalize().unwrap();
            let below = |doubt: FileDoubt| {
                let path = doubt.path.strip_prefix(&home).unwrap().display().to_string();
                (path, doubt.problem)
            };
            found.into_iter().map(below).collect()
        }

        fn home() -> tempfile::TempDir {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir_all(home.path().join("a/b")).unwrap();
            for folder in ["a", "a/b"] {
                mode(&home.path().join(folder), 0o755);
            }
            let file = home.path().join("a/b/file");
            fs::write(&file, "").unwrap();
            mode(&file, 0o600);
            home
        }

        #[test]
        fn what_the_user_alone_can_change_is_not_doubted() {
            let home = home();
            assert_eq!(doubts(home.path(), "a/b/file"), []);
            assert_eq!(doubts(home.path(), "a/./b/../b/file"), []);
            symlink("b/file", home.path().join("a/link")).unwrap();
            symlink(home.path().join("a"), home.path().join("absolute")).unwrap();
            assert_eq!(doubts(home.path(), "absolute/link"), []);
            assert!(way_to(&home.path().join("gone")).is_err());
            symlink("loop", home.path().join("loop")).unwrap();
            assert!(way_to(&home.path().join("loop")).is_err());
        }

        #[test]
        fn every_directory_on_the_way_counts() {
            let home = home();
            mode(&home.path().join("a"), 0o777);
            let open = vec![("a".to_owned(), FileProblem::Everybody)];
            assert_eq!(doubts(home.path(), "a/b/file"), open);
            // A link cannot lead around it, nor from a good place into a bad one.
            symlink("a/b/file", home.path().join("link")).unwrap();
            assert_eq!(doubts(home.path(), "link"), open);
            assert_eq!(doubts(home.path(), "a/../link"), [&open[..], &open[..]].concat());
            mode(&home.path().join("a"), 0o1777);
            assert_eq!(doubts(home.path(), "a/b/file"), []);
            assert_eq!(check_shared_directory(&home.path().join("a/b")).unwrap(), None);
            assert!(check_shared_directory(&home.path().join("a")).unwrap().is_some());
            mode(&home.path().join("a"), 0o755);
            mode(&home.path().join("a/b/file"), 0o606);
            let open = [("a/b/file".to_owned(), FileProblem::Everybody)];
            assert_eq!(doubts(home.path(), "a/b/file"), open);
        }

        /// Only root can give files away.
        #[test]
        fn what_belongs_to_somebody_else_is_doubted() {
            let user = geteuid().as_raw();
            if user != ROOT {
                return;
            }
            let home = home();
            let owner = |is_planted| FileProblem::Owner { owner: 12345, user, is_planted };
            chown(home.path().join("a/b/file"), Some(12345), None).unwrap();
            let file = ("a/b/file".to_owned(), owner(false));
            assert_eq!(doubts(home.path(), "a/b/file"), std::slice::from_ref(&file));
            chown(home.path().join("a"), Some(12345), None).unwrap();
            assert_eq!(doubts(home.path(), "a/b/file"), [("a".to_owned(), owner(false)), file]);
            // The link of somebody else, in a directory that keeps it there.
            chown(home.path().join("a"), Some(ROOT), None).unwrap();
            mode(&home.path().join("a"), 0o1777);
            chown(home.path().join("a/b/file"), Some(ROOT), None).unwrap();
            let link = home.path().join("a/link");
            symlink("b/file", &link).unwrap();
            std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
            assert_eq!(doubts(home.path(), "a/link"), [("a/link".to_owned(), owner(true))]);
        }

        #[test]
        fn a_group_of_one_is_nobody_else() {
            let users = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n\
                         bob:x:1001:1001::/home/bob:/bin/sh\n";
            let has = |groups: &str, users: &str| has_others(groups, users, 1000, 1000);
            assert!(!has("ada:x:1000:\nusers:x:100:ada,bob\n", users));
            assert!(!has("ada:x:1000:ada\n", users) && !has("", "") && !has("a:b", "::"));
            assert!(has("ada:x:1000:ada,bob\n", users) && has("ada:x:1000:eve\n", users));
            assert!(has("ada:x:1000:\n", &users.replace("1001:1001", "1001:1000")));
            // The administrator's files are everybody's concern.
            assert!(!is_private(0, 0) && !is_private(1001, 1000));
        }

        proptest! {
            /// Nobody but the user and root may own it, and nobody else may write to it.
            #[test]
            fn nothing_that_others_can_change_passes(
                owner in 0_u32..4,
                mode in 0_u32..0o2000,
                user in 0_u32..4,
                is_directory in any::<bool>(),
                private in any::<bool>(),
            ) {
                let facts = FileFacts { owner, group: 9, mode, is_directory, is_link: false };
                let passes = judge_facts(facts, user, ParentFolder::Guarded, |_| private).is_none();
                let is_ours = owner == user || owner == ROOT;
                let keeps = is_directory && mode & STICKY != 0;
                let others = mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITES != 0 && !private);
                prop_assert_eq!(passes, is_ours && (keeps || !others));
            }
        }
    }
}
