//! Where the program of a server is.

use std::path::{Path, PathBuf};

/// Finds a program: a path as it is, a name in the folders of `path`.
pub(super) fn find(command: &str, path: Option<&str>, extensions: Option<&str>) -> Option<PathBuf> {
    let is_path = command.contains(std::path::is_separator);
    if is_path || command.is_empty() {
        return candidates(Path::new(command), extensions).into_iter().find(|it| is_program(it));
    }
    let folders = std::env::split_paths(path?);
    // An empty entry means the working directory, where nothing is looked for.
    let folders = folders.filter(|folder| folder.is_absolute());
    let all = folders.flat_map(|folder| candidates(&folder.join(command), extensions));
    all.into_iter().find(|it| is_program(it))
}

/// Returns the file, and the names that Windows gives to programs.
fn candidates(file: &Path, extensions: Option<&str>) -> Vec<PathBuf> {
    let mut all = vec![file.to_owned()];
    if cfg!(windows) {
        for extension in extensions.unwrap_or(".COM;.EXE;.BAT;.CMD").split(';') {
            let mut name = file.as_os_str().to_owned();
            name.push(extension);
            all.push(name.into());
        }
    }
    all
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_file && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_name_is_found_in_the_path_and_only_where_it_can_run() {
        let folder = tempfile::tempdir().unwrap();
        let [empty, first, second] = ["empty", "first", "second"].map(|it| folder.path().join(it));
        for (place, mode) in [(&first, 0o644), (&second, 0o755)] {
            std::fs::create_dir_all(place).unwrap();
            let file = place.join("server");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([&empty, &PathBuf::new(), &first, &second]).unwrap();
        let path = path.to_str();
        assert_eq!(find("server", path, None), Some(second.join("server")));
        assert_eq!(find("other", path, None), None);
        assert_eq!(find("server", None, None), None);
        assert_eq!(find("", path, None), None);
        let direct = second.join("server");
        assert_eq!(find(direct.to_str().unwrap(), None, None), Some(direct));
        assert_eq!(find(second.to_str().unwrap(), None, None), None);
    }
}
