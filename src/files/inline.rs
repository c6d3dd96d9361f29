//! What a stored file is as text: in base64, as a data URL, or its URL.

use std::{io, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_text::text::text_head;
use futures_util::TryStreamExt as _;
use mime::Mime;

use super::{
    FILES_PATH, FileError, FileId, FileRecord, FileStore, LONGEST_REFERENCE, ReferenceError,
    open_stored,
};
use crate::call::handle::FileHandle;

/// A file may have so many bytes to become text.
const MOST: u64 = 10 * 1024 * 1024;

/// A file that will be text.
pub(crate) struct InlineFile {
    /// What comes before its bytes; all there is of a URL.
    before: String,
    bytes: Option<(FileRecord, PathBuf)>,
}

impl InlineFile {
    /// Returns how many bytes of the file are read.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |(record, _)| record.size)
    }

    /// Returns how long the text is.
    pub(crate) fn length(&self) -> u64 {
        self.before.len() as u64 + self.size().div_ceil(3) * 4
    }
}

impl FileStore {
    /// Finds the file that a text stands for; nothing of it is read.
    ///
    /// # Errors
    ///
    /// [`FileError::Reference`] when there is no such file, no such form, or too much of it.
    pub(crate) async fn inline(
        &self,
        text: &str,
        handle: FileHandle<'_>,
    ) -> Result<InlineFile, FileError> {
        let found = self.found(handle).await;
        found.map_err(|reason| self.not_inlined(text, reason))
    }

    /// Reads what was found, and makes text of it.
    pub(crate) async fn inlined(&self, text: &str, found: InlineFile) -> Result<String, FileError> {
        let InlineFile { before, bytes } = found;
        let Some((record, path)) = bytes else { return Ok(before) };
        let read = read_stored(record, path).await;
        let bytes = read.map_err(|reason| self.not_inlined(text, reason))?;
        let mut text = before;
        STANDARD.encode_string(&bytes, &mut text);
        Ok(text)
    }

    /// Makes the error of a text that stands for no file.
    pub(crate) fn not_inlined(&self, text: &str, reason: ReferenceError) -> FileError {
        let advice = match (&reason, self.published()) {
            (ReferenceError::TooLargeForText { .. } | ReferenceError::TooLargeTogether(_), _) => {
                "send it by a tool that takes a file, as `dadl-file:ID`"
            }
            (ReferenceError::NoAddress, _) => "`#base64` and `#dataurl` need none",
            (_, Some(_)) => {
                "upload it with PUT to /files, and write `#base64`, `#dataurl` or `#url` behind the \
                 `file` of the answer"
            }
            (_, None) => "only `serve --http` gives such names to files",
        };
        FileError::Reference {
            reference: text_head(text, LONGEST_REFERENCE).to_owned(),
            reason,
            advice: advice.to_owned(),
        }
    }

    async fn found(&self, handle: FileHandle<'_>) -> Result<InlineFile, ReferenceError> {
        let FileHandle { id, form } = handle;
        if !matches!(form, "base64" | "dataurl" | "url") {
            return Err(ReferenceError::Form(text_head(form, LONGEST_REFERENCE).to_owned()));
        }
        let id = FileId::parse(id).ok_or(ReferenceError::Gone)?;
        let (record, path) = self.stored(&id).await.ok_or(ReferenceError::Gone)?;
        if form == "url" {
            let base = self.published().filter(|base| !base.is_empty());
            let base = base.ok_or(ReferenceError::NoAddress)?;
            return Ok(InlineFile {
                before: format!("{base}{FILES_PATH}/{}", id.as_str()),
                bytes: None,
            });
        }
        if record.size > MOST {
            return Err(ReferenceError::TooLargeForText { size: record.size, most: MOST });
        }
        let before = match form {
            "dataurl" => format!("data:{};base64,", media_type(&record.content_type)),
            _ => String::new(),
        };
        Ok(InlineFile { before, bytes: Some((record, path)) })
    }
}

/// Reads a file that has the size of its record.
async fn read_stored(record: FileRecord, path: PathBuf) -> Result<Vec<u8>, ReferenceError> {
    let size = record.size;
    let upload = open_stored(record, &path).await?;
    if upload.size != Some(size) {
        return Err(ReferenceError::Gone);
    }
    let most = usize::try_from(size).unwrap_or_default();
    let begun = Vec::with_capacity(most);
    let read = upload.stream.try_fold(begun, async |mut bytes: Vec<u8>, piece| {
        bytes.extend_from_slice(&piece);
        Ok(bytes)
    });
    let bytes = read.await.map_err(|error| ReferenceError::Unreadable(error.kind()))?;
    if bytes.len() == most {
        Ok(bytes)
    } else {
        Err(ReferenceError::Unreadable(io::ErrorKind::UnexpectedEof))
    }
}

/// Writes a content type as a data URL has it (RFC 2397): no spaces, and of its parameters the charset.
fn media_type(text: &str) -> String {
    let Ok(mime) = text.parse::<Mime>() else { return "application/octet-stream".to_owned() };
    let charset = mime.get_param(mime::CHARSET).map(|charset| format!(";charset={charset}"));
    let is_token = |text: &String| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b";=-_.:+".contains(&byte))
    };
    format!("{}{}", mime.essence_str(), charset.filter(is_token).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_has_no_spaces() {
        for (text, expected) in [
            ("image/png", "image/png"),
            ("text/plain; charset=utf-8", "text/plain;charset=utf-8"),
            ("text/csv; header=present; charset=\"a,b\"", "text/csv"),
            ("", "application/octet-stream"),
            ("no type", "application/octet-stream"),
        ] {
            assert_eq!(media_type(text), expected, "{text}");
        }
    }
}
