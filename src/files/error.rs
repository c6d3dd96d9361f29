//! Why a file is not saved, or not sent.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::outcome::transfer;

/// Why a file could not be read or written.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operator: the disk of the directory of files has no room.
    #[error(
        "the disk is full: {}, and {} may be written to the directory of files; nothing was kept",
        .total.map_or_else(
            || "more bytes came".to_owned(),
            |total| format!("the file has {}", transfer::format_size(total)),
        ),
        transfer::format_size(*.usable)
    )]
    DiskFull {
        /// The announced length in bytes, when there was one.
        total: Option<u64>,
        /// What may be written, in bytes: some of the disk stays free.
        usable: u64,
    },
    /// The system or the network: a file broke off while it was sent.
    #[error("file \"{name}\" broke off while it was sent: {reason}")]
    Broken {
        /// The name of the file.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The backend or the network: the answer ended early.
    #[error(
        "the download ended after {received} bytes: {reason}; {}",
        if *.kept { "the same call goes on from there" } else { "nothing was kept" }
    )]
    Interrupted {
        /// How many bytes had come.
        received: u64,
        /// What happened.
        reason: String,
        /// Whether the same call goes on with them.
        kept: bool,
    },
    /// The operator: the directory or the disk.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The operator: no more fits.
    #[error(
        "the file does not fit: `{setting}` of `files` in backends.yaml is {limit}; nothing was \
         kept"
    )]
    Quota {
        /// The key that sets the bound.
        setting: &'static str,
        /// The bound, in files or in bytes.
        limit: u64,
    },
    /// The client: what is left is for those who have less here.
    #[error(
        "the file does not fit: you have most of what is here, and the rest of `{setting}` \
         ({limit}) is kept for others; nothing was kept. Remove files with DELETE, or wait until \
         they expire"
    )]
    Share {
        /// The key that sets the bound.
        setting: &'static str,
        /// The bound, in files or in bytes.
        limit: u64,
    },
    /// The caller: the reference names nothing that may be sent.
    #[error("file \"{reference}\" {reason}; {advice}")]
    Reference {
        /// What the caller wrote.
        reference: String,
        /// Why it cannot be sent.
        reason: ReferenceError,
        /// What to do instead.
        advice: String,
    },
}

impl FileError {
    /// Names a file whose bytes broke off.
    pub(crate) fn broken(name: &str, error: &io::Error) -> Self {
        Self::Broken { name: name.to_owned(), reason: error.to_string() }
    }
}

pub(super) fn io_error(action: &'static str, path: &Path, error: &io::Error) -> FileError {
    if is_full(error) {
        return FileError::DiskFull { total: None, usable: 0 };
    }
    FileError::Io { action, path: path.display().to_string(), reason: error.to_string() }
}

/// Returns whether the system said that the disk is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a reference names nothing that may be sent; goes on after the name of the file. Mostly the
/// caller's fault, else that of the operator, of the other server or of the network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// No client can be made that fetches.
    #[error("cannot be fetched: {0}")]
    Client(#[from] FetchClientError),
    /// There is no such way to write a file as text.
    #[error("ends in `#{0}`, which is none of `#base64`, `#dataurl` and `#url`")]
    Form(String),
    /// The server changes what it sends though nobody asked.
    #[error("cannot be fetched: the server encodes it though nobody asked")]
    Encoded,
    /// It was in the store, or never was.
    #[error("is not in the store; it may have expired")]
    Gone,
    /// Nothing leads to it: `#url` needs an address of the server.
    #[error(
        "has no URL: `public_url` of `files` in backends.yaml says where `serve --http` is reached"
    )]
    NoAddress,
    /// The text can name no file.
    #[error("is no file name")]
    NoName,
    /// A pipe, a device or a directory.
    #[error("is no regular file")]
    NoRegularFile,
    /// The text is no URL.
    #[error("is no URL: {0}")]
    NoUrl(#[from] url::ParseError),
    /// Neither the file nor the directory of files is there.
    #[error("was not found, nor was the directory")]
    NotFound,
    /// Nothing there is sent.
    #[error("lies outside the directory of files")]
    Outside,
    /// The URL, or one that it leads to, is not fetched.
    #[error(
        "{}{refusal}, and is not fetched",
        if *.is_redirect { "redirects to a URL that " } else { "" }
    )]
    Refused {
        /// Whether another URL led there.
        is_redirect: bool,
        /// Why.
        refusal: UrlRefusal,
    },
    /// The redirects have no end.
    #[error("cannot be fetched: it redirects without end")]
    Redirects,
    /// The server has no such file, or does not give it.
    #[error("cannot be fetched: HTTP {0}")]
    Status(u16),
    /// It is larger than a text may be that it becomes.
    #[error("has {size} bytes, and is larger than the {most} that an argument takes")]
    TooLargeForText {
        /// Its bytes.
        size: u64,
        /// The bound of one file.
        most: u64,
    },
    /// The files of the call are together.
    #[error("and the other files in the arguments have more than the {0} bytes that a call takes")]
    TooLargeTogether(u64),
    /// It is larger than a file that is sent may be.
    #[error("is larger than {0} bytes (`max_upload_size` of `files`)")]
    TooLarge(u64),
    /// Anybody on the way could change it.
    #[error("is a URL without TLS, which is not fetched")]
    Unencrypted,
    /// The system does not give it.
    #[error("cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    /// No answer came.
    #[error("cannot be fetched: {0}")]
    Unreachable(String),
}

/// Why no client can be made that fetches. The operator's fault, or the system's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchClientError {
    /// The file of certificates cannot be used.
    #[error("`ca_file` {}: {reason}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library makes none.
    #[error("{0}")]
    Library(String),
}

/// Why a URL is not fetched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlRefusal {
    /// It would be sent to whoever is there.
    #[error("holds a user name or a password")]
    Credentials,
    /// The operator does not name the host.
    #[error("is on {0}, which is not in `allow_hosts` of `files` in backends.yaml")]
    Host(String),
    /// It has no host.
    #[error("names no host")]
    NoHost,
    /// Its address is one of the operator's own network.
    #[error("leads to {0}, which is no public address")]
    Private(IpAddr),
    /// Anybody on the way could change it.
    #[error("is not https")]
    Scheme,
}
