//! The descriptors inside the binary, and how a descriptor is found by path or name.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::folder::Folder;
use crate::descriptor::{
    diagnostic::nearest,
    model::CredentialName,
    source::{MAX_BYTES, Source, SourceError},
};

/// The descriptors inside the binary, by name.
const BUNDLED: &[(&str, &str)] = &[
    ("danube-cloud", include_str!("../../dadl/danube-cloud.dadl")),
    ("xen-orchestra", include_str!("../../dadl/xen-orchestra.dadl")),
    ("xo-proxy", include_str!("../../dadl/xo-proxy.dadl")),
];

/// The credentials that they name, for all of their logins.
const CREDENTIALS: &[(&str, &str)] = &[
    ("danube-cloud", "danube_cloud_api_key"),
    ("danube-cloud", "danube_cloud_password"),
    ("danube-cloud", "danube_cloud_username"),
    ("xen-orchestra", "xen_orchestra_token"),
    ("xo-proxy", "xo_proxy_token"),
];

/// What the origin of a bundled descriptor begins with.
const ORIGIN_PREFIX: &str = "bundled:";
const EXTENSION: &str = ".dadl";

/// The bytes of a descriptor and where they come from.
#[derive(Debug, Clone)]
pub struct DescriptorText {
    /// A path, or `bundled:` and a name.
    pub origin: String,
    /// What is there; not necessarily text.
    pub bytes: Vec<u8>,
}

/// Why a descriptor was not found. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// Nothing has this path or name.
    #[error("descriptor `{dadl}` was not found{}", did_you_mean(*nearest))]
    NotFound {
        /// What the settings say.
        dadl: String,
        /// The paths that were tried.
        tried: Vec<PathBuf>,
        /// A bundled descriptor with a similar name.
        nearest: Option<&'static str>,
    },
    /// The file is there and cannot be read.
    #[error("descriptor {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl DescriptorText {
    /// Returns the folder that it is in.
    pub fn folder(&self) -> Folder {
        if self.origin.starts_with(ORIGIN_PREFIX) {
            Folder::NONE
        } else {
            Folder::beside(Path::new(&self.origin))
        }
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// The bytes are no text, or too many.
    pub fn into_source(self) -> Result<Source, SourceError> {
        Source::from_bytes(self.origin, self.bytes)
    }
}

/// Returns the names of the descriptors inside the binary.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}

/// Returns the credentials that the descriptors inside the binary name, each behind the name of its
/// descriptor.
pub fn credentials() -> impl Iterator<Item = (&'static str, CredentialName)> {
    CREDENTIALS.iter().map(|(name, credential)| (*name, CredentialName((*credential).to_owned())))
}

/// Returns whether `source` is a descriptor inside the binary.
pub fn is_bundled(source: &Source) -> bool {
    let name = source.name().strip_prefix(ORIGIN_PREFIX);
    // The text as well: a file can be called anything.
    BUNDLED.iter().any(|(known, text)| name == Some(known) && source.text() == *text)
}

/// Finds the descriptor that `dadl` names: a path relative to the first of `directories`, or a
/// bare name in one of them or inside the binary. Files win, so that an operator can replace a
/// bundled descriptor.
///
/// # Errors
///
/// See [`LocateError`].
pub fn locate(dadl: &str, directories: &[PathBuf]) -> Result<DescriptorText, LocateError> {
    let is_bare = !dadl.contains(['/', '\\']);
    let searched = if is_bare { directories } else { directories.get(..1).unwrap_or_default() };
    let mut tried = Vec::new();
    for directory in searched {
        let exact = directory.join(dadl);
        let extended = directory.join(format!("{dadl}{EXTENSION}"));
        let with_extension = is_bare && !dadl.ends_with(EXTENSION);
        for path in [Some(exact), with_extension.then_some(extended)].into_iter().flatten() {
            if path.is_file() {
                let origin = path.display().to_string();
                return match read(&path) {
                    Ok(bytes) => Ok(DescriptorText { origin, bytes }),
                    Err(error) => Err(LocateError::Read { path: origin, error }),
                };
            }
            tried.push(path);
        }
    }
    let name = dadl.strip_suffix(EXTENSION).unwrap_or(dadl);
    if let Some((name, text)) = BUNDLED.iter().find(|(known, _)| *known == name) {
        let origin = format!("{ORIGIN_PREFIX}{name}");
        return Ok(DescriptorText { origin, bytes: text.as_bytes().to_vec() });
    }
    Err(LocateError::NotFound { dadl: dadl.to_owned(), tried, nearest: nearest(name, names()) })
}

/// Reads a file, but never more than can be a descriptor.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_credentials_of_every_descriptor() {
        let mut found = Vec::new();
        for name in names() {
            let source = locate(name, &[]).unwrap().into_source().unwrap();
            assert!(is_bundled(&source));
            assert!(!is_bundled(&Source::new(format!("bundled:{name}"), "other")));
            let descriptor = crate::descriptor::load(&source).descriptor.unwrap();
            let logins = descriptor.auth_rules.logins.values();
            for auth in std::iter::once(&descriptor.auth).chain(logins) {
                found.extend(auth.credentials().into_iter().map(|it| (name, it.clone())));
            }
        }
        found.sort_by(|one, other| one.1.0.cmp(&other.1.0));
        found.dedup();
        assert_eq!(found, credentials().collect::<Vec<_>>());
    }

    #[test]
    fn finds_bundled_descriptors_by_name() {
        for name in ["xen-orchestra", "xen-orchestra.dadl"] {
            assert_eq!(locate(name, &[]).unwrap().origin, "bundled:xen-orchestra");
        }
        let error = locate("xen-orchestre", &[]).unwrap_err().to_string();
        insta::assert_snapshot!(
            error,
            @"descriptor `xen-orchestre` was not found; did you mean `xen-orchestra`?"
        );
    }

    #[test]
    fn files_win_and_the_first_directory_wins() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        let directories = [first.path().to_owned(), second.path().to_owned()];
        std::fs::write(second.path().join("xen-orchestra.dadl"), "second").unwrap();
        assert_eq!(locate("xen-orchestra", &directories).unwrap().bytes, b"second");
        std::fs::write(first.path().join("xen-orchestra.dadl"), "first").unwrap();
        assert_eq!(locate("xen-orchestra", &directories).unwrap().bytes, b"first");
        // A path is not searched for elsewhere.
        std::fs::write(second.path().join("other.dadl"), "other").unwrap();
        assert!(locate("./other.dadl", &directories).is_err());
    }
}
