//! Images and other bytes in a result of another MCP server become files, for those who have no use for
//! them as text: scripts and terminals, and hosts where they are too large.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dadl_text::text::{cut_text, one_line};
use futures_util::stream;

use super::Executor;
use crate::{
    catalog::CatalogEntry,
    files::{FileError, IncomingFile, SavePurpose, extension_of},
    outcome::{
        SavedFile,
        content::{ContentPart, MediaPart, ServerContent},
    },
    shares::ClientKey,
};

/// A longer content type is cut, in characters.
const LONGEST_TYPE: usize = 100;

/// What a file holds of which nobody says it.
const UNKNOWN: &str = "application/octet-stream";

impl Executor {
    /// Saves the bytes in content; returns what there is to say about those that could not be.
    pub(super) async fn save_media(
        &self,
        content: &mut ServerContent,
        entry: &CatalogEntry,
        client: &ClientKey,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        for block in &mut content.blocks {
            let ContentPart::Media(media) = block else { continue };
            let kind = media.kind.block_type();
            match self.save_medium(media, entry, client).await {
                Ok(Some(file)) => *block = ContentPart::File(kind, file),
                Ok(None) => notes.push(format!("the bytes of a block ({kind}) are no Base64")),
                Err(error) => notes.push(format!("a block ({kind}) could not be saved: {error}")),
            }
        }
        notes
    }

    /// Saves bytes; there are none where the server wrote no Base64.
    pub(crate) async fn save_medium(
        &self,
        media: &MediaPart,
        entry: &CatalogEntry,
        client: &ClientKey,
    ) -> Result<Option<SavedFile>, FileError> {
        let size = usize::try_from(media.size()).unwrap_or(usize::MAX);
        let room = self.bounds.room(client);
        let decoded = room.work(size, || STANDARD.decode(media.data.as_bytes()).ok()).await;
        let Some(bytes) = decoded else { return Ok(None) };
        let content_type = one_line(&media.content_type);
        let content_type = cut_text(&content_type, LONGEST_TYPE);
        let content_type = if content_type.is_empty() { UNKNOWN } else { &content_type };
        self.save_content(bytes.into(), content_type, entry, client).await.map(Some)
    }

    /// Saves a part of a result.
    pub(crate) async fn save_content(
        &self,
        bytes: Bytes,
        content_type: &str,
        entry: &CatalogEntry,
        client: &ClientKey,
    ) -> Result<SavedFile, FileError> {
        let settings = self.client(entry).ok().map(super::BackendClient::settings);
        let name = format!("{}.{}", entry.name, extension_of(content_type).unwrap_or("bin"));
        let incoming = IncomingFile {
            name: &name,
            content_type,
            total: Some(bytes.len() as u64),
            ttl: settings.and_then(|settings| settings.file_ttl),
            idle: settings.map(|settings| settings.timeouts.read).unwrap_or_default(),
            purpose: SavePurpose::Kept,
            client,
        };
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        self.files.save(incoming, body, &()).await
    }
}
