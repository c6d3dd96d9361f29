//! Writes a text to a file: the whole of it or nothing, and never over what somebody else wrote.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use crate::files::exclusive_name;

/// Writes `text` to the file at `path`, which held `before` when it was read.
///
/// The text goes to a file beside it that then takes its name, with the permissions of the old
/// one. A link stays a link: what it points to is replaced. A file that has changed since it was
/// read, or that is no regular file, is an error and stays.
pub(super) fn replace_file(path: &Path, before: &[u8], text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let is_same = |path: &Path| fs::read(path).is_ok_and(|text| text == before);
    if !is_same(&path) {
        return Err(changed_error());
    }
    put_file(&path, text, Some(metadata.permissions()), |new| {
        match exclusive_name::exchange_names(new, &path) {
            // What was there is beside it now, and is the last that somebody wrote.
            Ok(()) if is_same(new) => fs::remove_file(new),
            Ok(()) => exclusive_name::exchange_names(new, &path).and(Err(changed_error())),
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            Err(_) if is_same(&path) => fs::rename(new, &path),
            Err(_) => Err(changed_error()),
        }
    })
}

/// Writes `text` to a new file at `path`, in the same way; one that is there is an error and stays.
pub(super) fn create_file(path: &Path, text: &str) -> io::Result<()> {
    put_file(path, text, None, |new| exclusive_name::give_name(new, path))
}

fn changed_error() -> io::Error {
    io::Error::other("the file has changed since it was read")
}

fn put_file(
    path: &Path,
    text: &str,
    permissions: Option<fs::Permissions>,
    name: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{file}.{}", uuid::Uuid::new_v4().simple()));
    let written = write_temporary(&beside, text, permissions).and_then(|()| name(&beside));
    if written.is_err() {
        // The error says more than one about what is left.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_temporary(
    path: &Path,
    text: &str,
    permissions: Option<fs::Permissions>,
) -> io::Result<()> {
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.dadl");
        fs::write(&file, "old").unwrap();
        replace_file(&file, b"old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let error = replace_file(&file, b"old", "newer").unwrap_err();
        assert!(error.to_string().contains("has changed"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace_file(folder.path(), b"", "x").is_err());
    }

    #[test]
    fn what_appeared_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.dadl");
        fs::write(&file, "theirs").unwrap();
        let error = create_file(&file, "ours").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn keeps_links_and_permissions() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.dadl"), folder.path().join("link.dadl"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace_file(&link, b"old", "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
