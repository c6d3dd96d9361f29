//! A file that does not have the length that a backend takes.

/// A file of the wrong length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {}, and `{tool}` takes exactly {expected}: `{asked}` answers that at {path}; \
     nothing was sent{}",
    .file.as_ref().map_or_else(|| "the body".to_owned(), |file| format!("file \"{file}\"")),
    .size.map_or_else(|| "does not say how long it is".to_owned(), |size| format!("has {size} bytes")),
    if .size.is_none() { "; give a file of known length" } else { "" }
)]
pub struct UploadSizeError {
    /// What the caller wrote; `None` when it is the bytes themselves.
    pub file: Option<String>,
    /// In bytes; `None` when nobody knows before it is sent.
    pub size: Option<u64>,
    /// In bytes.
    pub expected: u64,
    /// The tool that sends the file.
    pub tool: String,
    /// The tool that was asked.
    pub asked: String,
    /// Where the length is in its answer.
    pub path: String,
}
