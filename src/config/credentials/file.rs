//! Secrets in files that an operator names: `CREDENTIAL_.._FILE`, `--http-token-file`.
//!
//! Whoever could write such a file would choose whose account is used, or who may call: it belongs
//! to the user or to root, and nobody else can write to it. What leads to it is the operator's
//! word, and is told when others could change it.

use std::{fs::File, io::Read as _, path::Path};

use secrecy::SecretString;

use super::super::{
    env_vars::unexpanded_reference,
    file_trust::{self, FileDoubt},
};

/// Credential files are tokens and passwords; this is a file that is something else.
const MOST_BYTES: u64 = 64 * 1024;

/// Why a file gives no secret: the end of a sentence that begins with its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It is not there, or is not text, or the system does not give it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is something else.
    #[error("is too large for a credential")]
    TooLarge,
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// Whoever wrote it left the name of a variable in it.
    #[error("holds `{0}`, the name of a variable: write the value into it")]
    Unexpanded(String),
    /// Somebody else could have written it.
    #[error("cannot be trusted: {0}")]
    Untrusted(FileDoubt),
}

/// Reads a secret from a file; one line break at its end does not belong to it.
///
/// # Errors
///
/// See [`SecretFileError`].
pub(crate) fn read_secret(path: &Path) -> Result<SecretString, SecretFileError> {
    let file = open_secret(path)?;
    warn_when_open_to_all(path, &file);
    secret_text(file)
}

/// Reads a file that everybody may see, and that decides as much as a secret does: a certificate.
///
/// # Errors
///
/// See [`SecretFileError`].
pub(crate) fn read_public(path: &Path) -> Result<SecretString, SecretFileError> {
    secret_text(open_secret(path)?)
}

/// Opens a file that only the operator can have written.
fn open_secret(path: &Path) -> Result<File, SecretFileError> {
    let file = File::open(path).map_err(unreadable)?;
    match file_trust::check_opened(path, &file).map_err(unreadable)? {
        Some(doubt) => Err(SecretFileError::Untrusted(doubt)),
        None => Ok(file),
    }
}

fn unreadable(error: std::io::Error) -> SecretFileError {
    SecretFileError::Unreadable(error.to_string())
}

fn secret_text(file: File) -> Result<SecretString, SecretFileError> {
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(SecretFileError::TooLarge);
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretFileError::Empty);
    }
    if let Some(reference) = unexpanded_reference(text) {
        return Err(SecretFileError::Unexpanded(reference.shown.into_owned()));
    }
    Ok(text.into())
}

fn warn_when_open_to_all(path: &Path, file: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o004 != 0) {
            let path = path.display();
            tracing::warn!(%path, "every user can read this credential; chmod 600 it");
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    // Another program's pipe has no way to it.
    for doubt in file_trust::way_to(path).unwrap_or_default() {
        if doubt.is_on_the_way {
            let path = path.display();
            tracing::warn!(%path, "this credential may be replaced by another file: {doubt}");
        }
    }
}
