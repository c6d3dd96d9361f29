//! The files beside a descriptor: fragments that it includes, and an OpenAPI document.
//!
//! A descriptor may come from somebody else, so that it reaches no file outside of its own folder,
//! whatever its paths and the links on them say.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use crate::descriptor::{
    Files, openapi,
    source::{MAX_BYTES, Source, SourceError},
};

/// The folder of a descriptor.
#[derive(Debug, Clone)]
pub struct Folder {
    /// `None` for a descriptor inside the binary.
    path: Option<PathBuf>,
}

impl Folder {
    /// The folder of a descriptor that is in no folder.
    pub const NONE: Self = Self { path: None };

    /// Returns the folder that holds the file `descriptor`.
    pub fn beside(descriptor: &Path) -> Self {
        let parent = descriptor.parent().unwrap_or(Path::new(""));
        let path = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Self { path: Some(path.to_owned()) }
    }

    /// Reads the fragment at `path`.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn fragment(&self, path: &str) -> Result<Source, String> {
        let (name, bytes) = self.read(path, MAX_BYTES)?;
        Source::from_bytes(name, bytes).map_err(|error| match error {
            SourceError::TooLarge { .. } => format!("it is larger than {MAX_BYTES} bytes"),
            encoding @ SourceError::Encoding { .. } => encoding.to_string(),
        })
    }

    /// Reads the file at `path`, but not much more than `limit` bytes, and returns it with the
    /// name that people know it by.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<(String, Vec<u8>), String> {
        let Some(folder) = &self.path else {
            return Err("a descriptor inside the program has no folder".to_owned());
        };
        let relative = Path::new(path);
        let is_plain = relative
            .components()
            .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        // A backslash separates on Windows alone; a colon there names a drive or a stream.
        if path.is_empty() || !is_plain || path.contains(['\\', ':', '\0']) {
            return Err("the path leaves the folder of the descriptor".to_owned());
        }
        let file = folder.join(relative);
        let name = file.strip_prefix("./").unwrap_or(&file).display().to_string();
        let no_file = |error: std::io::Error| error.to_string();
        let resolved = fs::canonicalize(&file).map_err(no_file)?;
        if !resolved.starts_with(fs::canonicalize(folder).map_err(no_file)?) {
            return Err("a link leads out of the folder of the descriptor".to_owned());
        }
        // Opening something else than a file may wait for ever.
        if !fs::metadata(&resolved).map_err(no_file)?.is_file() {
            return Err("it is not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let opened = File::open(&resolved).map_err(no_file)?;
        opened.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(no_file)?;
        Ok((name, bytes))
    }
}

impl Files for Folder {
    fn fragment(&mut self, path: &str) -> Result<Source, String> {
        Self::fragment(self, path)
    }

    fn openapi(&mut self, path: &str) -> Option<Result<Vec<u8>, String>> {
        // What is at a URL is not beside the descriptor.
        let is_here = !path.contains("://");
        is_here.then(|| self.read(path, openapi::MAX_BYTES).map(|(_, bytes)| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir_all(inner.join("common")).unwrap();
        fs::write(home.path().join("secret.yaml"), "outside").unwrap();
        fs::write(inner.join("common/a.yaml"), "a: 1").unwrap();
        let folder = Folder::beside(&inner.join("x.dadl"));
        assert_eq!(folder.fragment("common/a.yaml").unwrap().text(), "a: 1");
        assert_eq!(folder.fragment("./common/a.yaml").unwrap().text(), "a: 1");
        let absolute = inner.join("common/a.yaml").display().to_string();
        for path in ["", "../secret.yaml", "common/../../secret.yaml", "c:x", &absolute] {
            let error = folder.fragment(path).unwrap_err();
            assert_eq!(error, "the path leaves the folder of the descriptor", "{path}");
        }
        assert!(folder.fragment("missing.yaml").is_err());
        assert_eq!(folder.fragment("common").unwrap_err(), "it is not a file");
        assert!(Folder::NONE.fragment("a.yaml").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn follows_links_inside_only() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(home.path().join("secret.yaml"), "outside").unwrap();
        fs::write(inner.join("a.yaml"), "a: 1").unwrap();
        std::os::unix::fs::symlink("../secret.yaml", inner.join("out.yaml")).unwrap();
        std::os::unix::fs::symlink("a.yaml", inner.join("in.yaml")).unwrap();
        let folder = Folder::beside(&inner.join("x.dadl"));
        assert_eq!(folder.fragment("in.yaml").unwrap().text(), "a: 1");
        let error = folder.fragment("out.yaml").unwrap_err();
        assert_eq!(error, "a link leads out of the folder of the descriptor");
    }
}
