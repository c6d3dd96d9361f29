//! Files that hold secrets: for the account that this program runs as, and for nobody who asks it.
//!
//! They lie in a folder of their own below the directory of files. No reference leads there, no resource
//! and no URL; they stay until somebody removes them.

use std::{io::Write as _, path::PathBuf};

use bytes::Bytes;
use dadl_text::text;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{FileError, FileStore, create_private, error::io_error, exclusive_name};
use crate::outcome::SavedFile;

/// The folder of these files.
pub(super) const PRIVATE: &str = ".private";

impl FileStore {
    /// Saves `bytes` where only this account can read them.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be written.
    pub(crate) async fn seal(
        &self,
        name: &str,
        content_type: &str,
        bytes: Bytes,
    ) -> Result<SavedFile, FileError> {
        let folder = self.inner.directory.join(PRIVATE);
        let name = format!("{}-{name}", Uuid::new_v4().simple());
        let path = folder.join(&name);
        let (to, size) = (path.clone(), bytes.len() as u64);
        let written = move || -> Result<String, FileError> {
            create_private(&folder).map_err(|error| io_error("create", &folder, &error))?;
            let write = || {
                let mut file = exclusive_name::create_private(&to)?;
                file.write_all(&bytes)?;
                file.sync_all()
            };
            if let Err(error) = write() {
                // Half of it helps nobody.
                let _ = std::fs::remove_file(&to);
                return Err(io_error("write", &to, &error));
            }
            Ok(text::hex_text(&Sha256::digest(&bytes)))
        };
        let written = crate::spawn::blocking(written).await;
        let stopped = |_| {
            let error = std::io::Error::other("it was stopped");
            io_error("write", &PathBuf::from(PRIVATE), &error)
        };
        let sha256 = written.map_err(stopped)??;
        Ok(SavedFile {
            name,
            path,
            url: None,
            reference: None,
            size,
            content_type: content_type.to_owned(),
            sha256,
            expires: None,
            is_private: true,
        })
    }
}
