//! The files beside a descriptor.

use std::io;

use thiserror::Error;

use crate::source::{SourceError, SourceText};

/// Why a file beside a descriptor cannot be read, in words that follow a colon.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The descriptor is a text and no file.
    #[error("this text has no folder")]
    Text,
    /// The descriptor is inside the binary.
    #[error("a descriptor inside the program has no folder")]
    Bundled,
    /// The path is none that stays in the folder.
    #[error("the path leaves the folder of the descriptor")]
    PathLeaves,
    /// The path stays in the folder, and what is there is elsewhere.
    #[error("a link leads out of the folder of the descriptor")]
    LinkLeaves,
    /// It is a folder, or a device.
    #[error("it is not a file")]
    NotAFile,
    /// The system does not let it be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It has more bytes than a file of its kind may have.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// It is no text.
    #[error("{0}")]
    Encoding(SourceError),
    /// There is no room for it beside the other fragments.
    #[error("the fragments of a file may have {0} bytes together")]
    NoRoom(usize),
}

/// The files beside a descriptor.
pub trait FragmentFiles {
    /// Returns the fragment at a path as `includes` has it.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    fn fragment(&mut self, path: &str) -> Result<SourceText, FolderError>;
}

/// For a text that is in no folder.
pub(super) struct NoFiles;

impl FragmentFiles for NoFiles {
    fn fragment(&mut self, _: &str) -> Result<SourceText, FolderError> {
        Err(FolderError::Text)
    }
}
