//! The descriptors inside the binary, and how a descriptor is found by path or name.
//!
//! Hosts start servers in folders that others have filled, so that a name never means a file of the
//! working directory, and no file takes the place of a descriptor inside the binary: whoever wants
//! a file writes its path.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use dadl_descriptor::{
    model::CredentialName,
    source::{MAX_BYTES, SourceError, SourceText},
};
use dadl_text::names::{OrMeant, nearest_name};
use sha2::{Digest as _, Sha256};

use super::{
    descriptor_folder::{DescriptorFolder, FileDigest},
    file_trust::{self, FileDoubt},
};

/// The descriptors inside the binary, by name.
const BUNDLED: &[(&str, &str)] = &[
    ("danube-cloud", include_str!("../../dadl/danube-cloud.dadl")),
    ("xen-orchestra", include_str!("../../dadl/xen-orchestra.dadl")),
    ("xo-proxy", include_str!("../../dadl/xo-proxy.dadl")),
];

/// Differences to the documents of their APIs that stay, by name.
const EXCEPTIONS: &[(&str, &str)] =
    &[("xen-orchestra", include_str!("../../dadl/xen-orchestra.drift.yaml"))];

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
    pub bytes: Cow<'static, [u8]>,
    /// A file that has the name and is not used.
    pub unused: Option<UnusedFile>,
}

/// Where descriptors are looked for, besides inside the binary.
#[derive(Debug, Clone, Default)]
pub struct DescriptorPaths {
    /// What paths are relative to: the folder of the settings file, or the working directory.
    pub base: Option<PathBuf>,
    /// The folders in which names are looked for, in order.
    pub folders: Vec<PathBuf>,
}

/// A file that could be taken for the descriptor of a name: once it was, so that somebody may rely
/// on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedFile {
    /// The name.
    pub name: String,
    /// What is used instead: a path, or `bundled:` and the name.
    pub origin: String,
    /// What to write for the file.
    pub path: String,
}

impl fmt::Display for UnusedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, origin, path } = self;
        let used = match origin.strip_prefix(ORIGIN_PREFIX) {
            Some(_) => "the descriptor inside dadl-mcp",
            None => origin,
        };
        write!(
            formatter,
            "`{name}` is {used}, and the file {path} is not used; write `{path}` if you mean the \
             file"
        )
    }
}

/// Why a descriptor was not found. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// Nothing has this path or name.
    #[error("descriptor `{dadl}` was not found{}", or_meant(*nearest, there.as_deref()))]
    NotFound {
        /// What the settings say.
        dadl: String,
        /// The paths that were tried.
        tried: Vec<PathBuf>,
        /// A bundled descriptor with a similar name.
        nearest: Option<&'static str>,
        /// What to write for a file of this name that is elsewhere.
        there: Option<String>,
    },
    /// Anybody could have put a file there that is found by its name.
    #[error("descriptor {path} cannot be trusted: {doubt}")]
    Untrusted {
        /// The file.
        path: String,
        /// Why.
        doubt: FileDoubt,
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

fn or_meant(nearest: Option<&str>, there: Option<&str>) -> String {
    match (there, nearest) {
        (Some(path), _) => format!("; there is {path}: write `{path}` if you mean that file"),
        (None, nearest) => OrMeant(nearest).to_string(),
    }
}

impl DescriptorText {
    /// Returns the folder that it is in.
    pub fn folder(&self) -> DescriptorFolder {
        if self.origin.starts_with(ORIGIN_PREFIX) {
            DescriptorFolder::none()
        } else {
            DescriptorFolder::beside(Path::new(&self.origin))
        }
    }

    /// Returns the file that it is in, with its digest; `None` for one inside the binary.
    pub(crate) fn file(&self) -> Option<(PathBuf, FileDigest)> {
        let is_file = !self.origin.starts_with(ORIGIN_PREFIX);
        is_file.then(|| (PathBuf::from(&self.origin), Sha256::digest(&self.bytes).into()))
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// The bytes are no text, or too many.
    pub fn into_source(self) -> Result<SourceText, SourceError> {
        match self.bytes {
            Cow::Borrowed(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(SourceText::inside(self.origin, text)),
                Err(error) => Err(SourceError::Encoding { offset: error.valid_up_to() }),
            },
            Cow::Owned(bytes) => SourceText::from_bytes(self.origin, bytes),
        }
    }
}

/// Returns the names of the descriptors inside the binary.
pub fn bundled_names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}

/// Returns the credentials that the descriptors inside the binary name, each behind the name of its
/// descriptor.
pub fn bundled_credentials() -> impl Iterator<Item = (&'static str, CredentialName)> {
    CREDENTIALS.iter().map(|(name, credential)| (*name, CredentialName((*credential).to_owned())))
}

/// Returns whether `source` is a descriptor inside the binary.
pub fn is_bundled(source: &SourceText) -> bool {
    let name = source.name().strip_prefix(ORIGIN_PREFIX);
    // The text as well: a file can be called anything.
    BUNDLED.iter().any(|(known, text)| name == Some(known) && source.text() == *text)
}

/// Returns whether a text is one of those inside the binary, whose filters and scripts are known to compile:
/// a test compiles them.
pub(crate) fn is_bundled_text(text: &str) -> bool {
    BUNDLED.iter().any(|(_, known)| *known == text)
}

/// Returns the differences that stay of a descriptor inside the binary, as a file of exceptions has them.
pub fn bundled_exceptions(source: &SourceText) -> Option<&'static str> {
    let name = source.name().strip_prefix(ORIGIN_PREFIX).filter(|_| is_bundled(source))?;
    EXCEPTIONS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Returns whether `dadl` is a path; other values are names.
fn is_path(dadl: &str) -> bool {
    let extension = dadl.len().checked_sub(EXTENSION.len()).and_then(|at| dadl.get(at..));
    dadl.contains(['/', '\\'])
        || extension.is_some_and(|end| end.eq_ignore_ascii_case(EXTENSION))
        // `C:name`, and the streams of a file.
        || (cfg!(windows) && dadl.contains(':'))
}

/// Finds the descriptor that `dadl` names. A value with a separator, or that ends in `.dadl`, is a
/// path; any other is a name, first of a descriptor inside the binary, then of a file in one of
/// the folders.
///
/// # Errors
///
/// See [`LocateError`].
pub fn locate_descriptor(
    dadl: &str,
    places: &DescriptorPaths,
) -> Result<DescriptorText, LocateError> {
    let mut tried = Vec::new();
    let found = if is_path(dadl) {
        places
            .base
            .iter()
            .map(|base| base.join(dadl))
            .find_map(|path| existing_file(path, &mut tried))
    } else if let Some((name, text)) = BUNDLED.iter().find(|(known, _)| *known == dadl) {
        let origin = format!("{ORIGIN_PREFIX}{name}");
        let unused = places.unused(dadl, &origin);
        return Ok(DescriptorText { origin, bytes: text.as_bytes().into(), unused });
    } else {
        let paths = places.folders.iter().flat_map(|folder| name_spellings(folder, dadl));
        paths.into_iter().find_map(|path| existing_file(path, &mut tried))
    };
    if let Some(path) = found {
        let origin = path.display().to_string();
        let doubts =
            if is_path(dadl) { Vec::new() } else { file_trust::way_to(&path).unwrap_or_default() };
        if let Some(doubt) = doubts.into_iter().find(FileDoubt::is_anybodys) {
            return Err(LocateError::Untrusted { path: origin, doubt });
        }
        let unused = places.unused(dadl, &origin);
        return match read_descriptor(&path) {
            Ok(bytes) => Ok(DescriptorText { origin, bytes: bytes.into(), unused }),
            Err(error) => Err(LocateError::Read { path: origin, error }),
        };
    }
    let name = dadl.strip_suffix(EXTENSION).unwrap_or(dadl);
    let there = places.other(dadl).map(|path| places.written(&path));
    Err(LocateError::NotFound {
        dadl: dadl.to_owned(),
        tried,
        nearest: nearest_name(name, bundled_names()),
        there,
    })
}

/// Returns `path` when it is a file.
fn existing_file(path: PathBuf, tried: &mut Vec<PathBuf>) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    tried.push(path);
    None
}

/// Returns the files that have a name in a folder.
fn name_spellings(folder: &Path, name: &str) -> [PathBuf; 2] {
    [folder.join(name), folder.join(format!("{name}{EXTENSION}"))]
}

impl DescriptorPaths {
    /// Returns the file that `dadl` could be taken for, wherever it is.
    fn other(&self, dadl: &str) -> Option<PathBuf> {
        if dadl.is_empty() || dadl.contains(['/', '\\']) {
            return None;
        }
        let folders = self.base.iter().chain(&self.folders);
        folders.flat_map(|folder| name_spellings(folder, dadl)).find(|path| path.is_file())
    }

    /// Returns the file that `name` could be taken for, when `origin` is used.
    fn unused(&self, name: &str, origin: &str) -> Option<UnusedFile> {
        let path = self.other(name).filter(|path| path.display().to_string() != origin)?;
        let (name, origin, path) = (name.to_owned(), origin.to_owned(), self.written(&path));
        Some(UnusedFile { name, origin, path })
    }

    /// Returns what to write for a file.
    fn written(&self, path: &Path) -> String {
        let name = path.file_name().filter(|_| path.parent() == self.base.as_deref());
        match name {
            Some(name) => format!("./{}", name.display()),
            None => path.display().to_string(),
        }
    }
}

/// Reads a file, but never more than can be a descriptor.
fn read_descriptor(path: &Path) -> io::Result<Vec<u8>> {
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
        for name in bundled_names() {
            let source = locate_descriptor(name, &DescriptorPaths::default())
                .unwrap()
                .into_source()
                .unwrap();
            assert!(is_bundled(&source));
            assert!(!is_bundled(&SourceText::new(format!("bundled:{name}"), "other")));
            let descriptor = dadl_descriptor::load(&source).descriptor.unwrap();
            let logins = descriptor.auth_rules.logins.values();
            for auth in std::iter::once(&descriptor.auth).chain(logins) {
                found.extend(auth.credentials().into_iter().map(|it| (name, it.clone())));
            }
        }
        found.sort_by(|one, other| one.1.0.cmp(&other.1.0));
        found.dedup();
        assert_eq!(found, bundled_credentials().collect::<Vec<_>>());
    }

    /// A working directory, the folder of a settings file and the user's own folder.
    struct Bench {
        home: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            for folder in ["work", "named", "own"] {
                std::fs::create_dir(home.path().join(folder)).unwrap();
            }
            Self { home }
        }

        fn write(&self, path: &str) {
            std::fs::write(self.home.path().join(path), path).unwrap();
        }

        fn path(&self, path: &str) -> PathBuf {
            self.home.path().join(path)
        }

        /// `--dadl` in the working directory.
        fn flag(&self) -> DescriptorPaths {
            DescriptorPaths { base: Some(self.path("work")), folders: vec![self.path("own")] }
        }

        /// A settings file that was named.
        fn file(&self) -> DescriptorPaths {
            let folders = vec![self.path("named"), self.path("own")];
            DescriptorPaths { base: Some(self.path("named")), folders }
        }
    }

    fn found(dadl: &str, places: &DescriptorPaths) -> String {
        let text = locate_descriptor(dadl, places).unwrap();
        if text.origin.starts_with(ORIGIN_PREFIX) {
            return text.origin;
        }
        String::from_utf8(text.bytes.into_owned()).unwrap()
    }

    fn unused(dadl: &str, places: &DescriptorPaths) -> Option<String> {
        locate_descriptor(dadl, places).unwrap().unused.map(|unused| unused.to_string())
    }

    #[test]
    fn finds_bundled_descriptors_by_name() {
        let places = DescriptorPaths::default();
        assert_eq!(
            locate_descriptor("xen-orchestra", &places).unwrap().origin,
            "bundled:xen-orchestra"
        );
        for dadl in ["xen-orchestre", "xen-orchestra.dadl"] {
            let error = locate_descriptor(dadl, &places).unwrap_err().to_string();
            let expected =
                format!("descriptor `{dadl}` was not found; did you mean `xen-orchestra`?");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn no_file_takes_the_place_of_a_bundled_descriptor() {
        let bench = Bench::new();
        for folder in ["work", "named", "own"] {
            for name in ["xen-orchestra", "xen-orchestra.dadl"] {
                bench.write(&format!("{folder}/{name}"));
            }
        }
        for places in [bench.flag(), bench.file()] {
            assert_eq!(found("xen-orchestra", &places), "bundled:xen-orchestra");
            let expected = "`xen-orchestra` is the descriptor inside dadl-mcp, and the file \
                            ./xen-orchestra is not used; write `./xen-orchestra` if you mean the \
                            file";
            assert_eq!(unused("xen-orchestra", &places).as_deref(), Some(expected));
        }
        // What the warning says to write means the file.
        assert_eq!(found("./xen-orchestra", &bench.flag()), "work/xen-orchestra");
        assert_eq!(found("./xen-orchestra", &bench.file()), "named/xen-orchestra");
        assert_eq!(unused("./xen-orchestra", &bench.flag()), None);
    }

    #[test]
    fn a_path_never_means_a_bundled_descriptor_or_another_folder() {
        let bench = Bench::new();
        bench.write("own/other.dadl");
        let bundled = ["xen-orchestra.dadl", "./xen-orchestra", "a/xen-orchestra", "a\\xo-proxy"];
        for dadl in bundled.into_iter().chain(["other.dadl", "./other.dadl", "xo-proxy.DADL"]) {
            for places in [bench.flag(), bench.file()] {
                assert!(locate_descriptor(dadl, &places).is_err(), "{dadl}");
            }
        }
        let own = bench.path("own/other.dadl").display().to_string();
        let error = locate_descriptor("other.dadl", &bench.flag()).unwrap_err().to_string();
        let expected = format!(
            "descriptor `other.dadl` was not found; there is {own}: write `{own}` if you mean that \
             file"
        );
        assert_eq!(error, expected);
        assert_eq!(found(&own, &bench.flag()), "own/other.dadl");
        bench.write("work/xen-orchestra.dadl");
        assert_eq!(found("xen-orchestra.dadl", &bench.flag()), "work/xen-orchestra.dadl");
        assert!(locate_descriptor("xen-orchestra.dadl", &bench.file()).is_err());
    }

    #[test]
    fn a_name_never_means_a_file_of_the_working_directory() {
        let bench = Bench::new();
        bench.write("work/other.dadl");
        let error = locate_descriptor("other", &bench.flag()).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"descriptor `other` was not found; there is ./other.dadl: write `./other.dadl` if you mean that file");
        bench.write("own/other.dadl");
        assert_eq!(found("other", &bench.flag()), "own/other.dadl");
        let own = bench.path("own/other.dadl").display().to_string();
        let expected = format!(
            "`other` is {own}, and the file ./other.dadl is not used; write `./other.dadl` if you \
             mean the file"
        );
        assert_eq!(unused("other", &bench.flag()), Some(expected));
        assert_eq!(found("other", &bench.file()), "own/other.dadl");
        assert_eq!(unused("other", &bench.file()), None);
        bench.write("named/other.dadl");
        assert_eq!(found("other", &bench.file()), "named/other.dadl");
        for nothing in ["", ".", ".."] {
            assert!(locate_descriptor(nothing, &bench.file()).is_err(), "{nothing}");
        }
    }
}
