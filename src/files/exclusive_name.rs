//! Gives a file its name without ever replacing another one.
//!
//! Whoever looks first whether a name is free, and renames then, replaces what somebody made in
//! between. So the system has to do both in one step; where it cannot rename that way, a second link
//! or a file that holds the place does it.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// How a file gets a name that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamingWay {
    /// The system renames it unless the name is taken.
    Exclusive,
    /// It gets a second name, and loses the first.
    Link,
    /// An empty file takes the name first, and is replaced while it is still that.
    Reserve,
}

/// In the order in which they are tried: file systems of cameras have no links, and network file
/// systems often cannot rename exclusively.
const WAYS: [NamingWay; 3] = [NamingWay::Exclusive, NamingWay::Link, NamingWay::Reserve];

/// Calls the file at `from` `to`.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when anything has that name, a link that leads nowhere included;
/// what the system says otherwise.
pub(crate) fn give_name(from: &Path, to: &Path) -> io::Result<()> {
    give_by(&WAYS, from, to)
}

fn give_by(ways: &[NamingWay], from: &Path, to: &Path) -> io::Result<()> {
    let mut lacking = io::ErrorKind::Unsupported.into();
    for way in ways {
        let done = match way {
            NamingWay::Exclusive => rename_exclusively(from, to),
            // The name is given; what is left of the first one is swept up one day.
            NamingWay::Link => fs::hard_link(from, to).map(|()| drop(fs::remove_file(from))),
            NamingWay::Reserve => rename_to_reserved(from, to),
        };
        match done {
            // A file system without links says that they are not permitted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::TooManyLinks
                ) =>
            {
                lacking = error;
            }
            done => return done,
        }
    }
    Err(lacking)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_exclusively(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets two files have each other's names, in one step.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] where the system cannot do that; what it says otherwise.
pub(crate) fn exchange_names(one: &Path, other: &Path) -> io::Result<()> {
    let done = swap_names(one, other);
    done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => io::ErrorKind::Unsupported.into(),
        _ => error,
    })
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn swap_names(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn swap_names(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn rename_to_reserved(from: &Path, to: &Path) -> io::Result<()> {
    let held = create_private(to)?;
    // Whoever wrote into it, or put another file there, took the name.
    let is_still_ours =
        || is_at(&held, to) && held.metadata().is_ok_and(|metadata| metadata.len() == 0);
    let done = if is_still_ours() {
        fs::rename(from, to)
    } else {
        return Err(io::ErrorKind::AlreadyExists.into());
    };
    if done.is_err() && is_still_ours() {
        // The error says more than one about what is left.
        let _ = fs::remove_file(to);
    }
    done
}

/// Creates a file that is not there yet, for this user alone.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns whether `path` still names an open file.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same =
        |one: &fs::Metadata, two: &fs::Metadata| (one.dev(), one.ino()) == (two.dev(), two.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => same(&open, &there),
        _ => false,
    }
}

/// Nothing tells files apart here; a name that is taken is not given to another.
#[cfg(not(unix))]
pub(super) fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_a_free_name_whatever_the_file_system_can_do() {
        for first in 0..WAYS.len() {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::write(&from, "x").unwrap();
            give_by(&WAYS[first..], &from, &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), "x");
            assert!(!from.exists(), "{first}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn nothing_is_replaced() {
        for first in 0..WAYS.len() {
            let folder = tempfile::tempdir().unwrap();
            let (from, file) = (folder.path().join("from"), folder.path().join("file"));
            let directory = folder.path().join("directory");
            fs::write(&from, "x").unwrap();
            fs::write(&file, "the work of a person").unwrap();
            fs::create_dir(&directory).unwrap();
            let mut taken = vec![file.clone(), directory];
            #[cfg(unix)]
            {
                let nowhere = folder.path().join("link");
                std::os::unix::fs::symlink("nowhere", &nowhere).unwrap();
                taken.push(nowhere);
            }
            for to in taken {
                let error = give_by(&WAYS[first..], &from, &to).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{first} {}", to.display());
            }
            assert_eq!(fs::read_to_string(&from).unwrap(), "x");
            assert_eq!(fs::read_to_string(&file).unwrap(), "the work of a person");
            assert!(!folder.path().join("nowhere").exists());
        }
    }

    #[test]
    fn of_many_that_want_a_name_one_gets_it() {
        for first in 0..WAYS.len() {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("to");
            let won: usize = std::thread::scope(|scope| {
                let runs: Vec<_> = (0..8)
                    .map(|number| {
                        let (from, to) = (folder.path().join(number.to_string()), &to);
                        scope.spawn(move || {
                            fs::write(&from, number.to_string()).unwrap();
                            usize::from(give_by(&WAYS[first..], &from, to).is_ok())
                        })
                    })
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).sum()
            });
            assert_eq!(won, 1, "{first}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 8);
        }
    }
}
