//! The blocks of a result of another MCP server, as blocks for a host.
//!
//! What a host can show comes to it as the type that it has: text, images, audio, links and resources.
//! What is larger than the bounds, or would be refused by the provider of a model, is saved, linked and
//! told. Words and values go the way of all results (see [`result`](super::result)): they are cut, noted
//! and checked alike.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dadl_text::text::{quoted_text, start_of};
use rmcp::{
    RoleServer,
    model::{CallToolResult, ContentBlock, ProtocolVersion, ResourceContents},
    service::RequestContext,
};

use super::{McpServer, media, request_owner::client_key, result};
use crate::{
    catalog::CatalogEntry,
    executor::AnswerMemory,
    files::FileError,
    outcome::{
        AnswerPayload, CallOutcome, JsonText, SavedFile,
        content::{ContentPart, MediaKind, MediaPart, ServerContent},
    },
};

/// So much of a content type or a URI is said, in characters.
const LONGEST_WORD: usize = 200;

/// All images and other bytes of a result that are shown have at most so many times the bound of one.
const MOST_MEDIA: u64 = 4;

/// Blocks for a host, and what there is to say about them.
#[derive(Default)]
struct ShownBlocks {
    blocks: Vec<ContentBlock>,
    notes: Vec<String>,
}

/// What shows the blocks of one result.
struct BlockWriter<'call> {
    server: &'call McpServer,
    entry: Option<&'call CatalogEntry>,
    version: Option<ProtocolVersion>,
    room: &'call AnswerMemory,
    /// How many bytes of media may still be shown.
    media_left: u64,
    /// How many characters of links and resources may still be shown.
    chars_left: usize,
    shown: ShownBlocks,
}

impl McpServer {
    /// Makes the result of content: what it says for programs, or else its words, is its value, and all
    /// its blocks are beside it.
    pub(super) async fn shown_content(
        &self,
        content: ServerContent,
        outcome: CallOutcome,
        entry: Option<&CatalogEntry>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let room = self.executor().room(&client_key(&context.extensions));
        let ServerContent { blocks, structured } = content;
        let texts = blocks.iter().filter_map(|block| match block {
            ContentPart::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let most = self.most_chars();
        let size: usize = texts.clone().map(str::len).sum();
        let has_structured = structured.is_some();
        let joined = texts.collect::<Vec<_>>().join("\n");
        let has_text = !joined.is_empty();
        // Beside a value, words that are too long are left out.
        let is_long = has_structured && size > most && joined.chars().count() > most;
        let payload = match structured {
            Some(structured) => AnswerPayload::Json(structured),
            None if has_text => {
                AnswerPayload::Text { content_type: "text/plain".to_owned(), text: joined }
            }
            None => AnswerPayload::Content(Box::default()),
        };
        let mut writer = BlockWriter {
            server: self,
            entry,
            version: context.protocol_version(),
            room: &room,
            media_left: self.most_media().saturating_mul(MOST_MEDIA),
            chars_left: most,
            shown: ShownBlocks::default(),
        };
        if is_long {
            writer.note(format!("{size} bytes of text beside the structured content are left out"));
        }
        let mut words = Vec::new();
        for block in blocks {
            match block {
                ContentPart::Text(text) => {
                    let block = ContentBlock::text(result::masked_text(text));
                    words.push((writer.shown.blocks.len(), block));
                }
                other => writer.push(other).await,
            }
        }
        let ShownBlocks { blocks, notes } = writer.shown;
        let CallOutcome { notes: said, .. } = outcome;
        let notes = said.into_iter().chain(notes).collect();
        let outcome = CallOutcome { payload, notes, ..outcome };
        let (mut made, is_cut) = self.shown_value(outcome, (entry, None), context).await;
        // The words of the server stand where it wrote them; a part of them stands for all.
        let is_whole = !has_structured || made.structured_content.is_some();
        if !is_cut && !is_long && has_text && is_whole {
            made.content.pop();
            made.content.extend(in_place(blocks, words));
        } else {
            if !has_structured && !has_text && !blocks.is_empty() {
                made.content.pop();
            }
            made.content.extend(blocks);
        }
        made
    }
}

/// Puts words between blocks: each before the block that has its number.
fn in_place(
    blocks: Vec<ContentBlock>,
    words: Vec<(usize, ContentBlock)>,
) -> impl Iterator<Item = ContentBlock> {
    let blocks = blocks.into_iter().enumerate();
    let mut all: Vec<(usize, bool, ContentBlock)> =
        blocks.map(|(at, block)| (at, true, block)).collect();
    all.extend(words.into_iter().map(|(at, block)| (at, false, block)));
    // The order of those that are equal stays.
    all.sort_by_key(|(at, is_block, _)| (*at, *is_block));
    all.into_iter().map(|(_, _, block)| block)
}

impl BlockWriter<'_> {
    fn note(&mut self, note: String) {
        self.shown.notes.push(note);
    }

    async fn push(&mut self, part: ContentPart) {
        match part {
            ContentPart::File(kind, file) => self.file(kind, &file),
            ContentPart::Link(json) => self.link(json).await,
            ContentPart::Media(media) => self.media(media).await,
            ContentPart::Resource(json) => self.resource(json).await,
            ContentPart::Other(json) => self.other(json).await,
            ContentPart::Text(text) => {
                self.shown.blocks.push(ContentBlock::text(result::masked_text(text)));
            }
        }
    }

    /// Takes room for characters that are shown.
    fn takes(&mut self, text: &str) -> bool {
        let count = if text.len() <= self.chars_left { text.len() } else { text.chars().count() };
        let fits = count <= self.chars_left;
        if fits {
            self.chars_left -= count;
        }
        fits
    }

    async fn link(&mut self, json: JsonText) {
        let knows_links =
            self.version.as_ref().is_none_or(|it| *it >= ProtocolVersion::V_2025_06_18);
        if !knows_links || !self.takes(json.as_str()) {
            return self.other(json).await;
        }
        match serde_json::from_str(json.as_str()) {
            Ok(ContentBlock::ResourceLink(mut link)) => match self.host_uri(&link.uri) {
                Some(uri) => {
                    link.uri = uri;
                    self.shown.blocks.push(ContentBlock::resource_link(link));
                }
                None => self.other(json).await,
            },
            _ => self.other(json).await,
        }
    }

    async fn resource(&mut self, json: JsonText) {
        if !self.takes(json.as_str()) {
            return self.other(json).await;
        }
        match serde_json::from_str(json.as_str()) {
            Ok(ContentBlock::Resource(mut block)) => {
                if let ResourceContents::TextResourceContents { uri, text, .. } =
                    &mut block.resource
                {
                    *uri = self.uri(uri);
                    *text = result::masked_text(std::mem::take(text));
                }
                self.shown.blocks.push(ContentBlock::Resource(block));
            }
            _ => self.other(json).await,
        }
    }

    /// Shows a block as the JSON that it is.
    async fn other(&mut self, json: JsonText) {
        if self.takes(json.as_str()) {
            let text = result::masked_json(json.into_string());
            self.shown.blocks.push(ContentBlock::text(text));
            return;
        }
        let bytes = Bytes::from(json.into_string());
        let size = bytes.len();
        let saved = self.save(bytes, "application/json").await;
        self.saved(&format!("a block of {size} bytes"), saved);
    }

    async fn media(&mut self, media: MediaPart) {
        let size = media.size();
        let kind = media.kind.block_type();
        let named = quoted_text(&start_of(&media.content_type, LONGEST_WORD), LONGEST_WORD);
        let what = format!("a block ({kind}, {size} bytes, {named})");
        let is_small = size <= self.server.most_media() && size <= self.media_left;
        let is_new = |it: &ProtocolVersion| *it >= ProtocolVersion::V_2025_03_26;
        let is_known = media.kind != MediaKind::Audio || self.version.as_ref().is_none_or(is_new);
        if is_small && is_known && self.is_sound(&media).await {
            self.media_left -= size;
            let MediaPart { kind, content_type, data } = media;
            let block = match kind {
                MediaKind::Audio => ContentBlock::audio(data, content_type),
                MediaKind::Image => ContentBlock::image(data, content_type),
                MediaKind::Resource(uri) => {
                    let mut contents = ResourceContents::blob(data, self.uri(&uri));
                    if !content_type.is_empty() {
                        contents = contents.with_mime_type(content_type);
                    }
                    ContentBlock::resource(contents)
                }
            };
            self.shown.blocks.push(block);
            return;
        }
        let Some(entry) = self.entry else { return self.note(format!("{what} is left out")) };
        let client = self.room.client().clone();
        match self.server.executor().save_medium(&media, entry, &client).await {
            Ok(Some(file)) => self.saved(&what, Ok(file)),
            Ok(None) => self.note(format!("{what} is no Base64 and is left out")),
            Err(error) => self.saved(&what, Err(error)),
        }
    }

    /// Returns whether a block is what it says: Base64, and of a known type only what begins as such. A
    /// provider refuses a whole conversation for one image that is none.
    async fn is_sound(&self, media: &MediaPart) -> bool {
        // The bytes, for a moment.
        let Ok(()) = self.room.grow(media.size()) else { return false };
        let size = usize::try_from(media.size()).unwrap_or(usize::MAX);
        let is_sound = || {
            let bytes = STANDARD.decode(media.data.as_bytes()).ok()?;
            let is_resource = matches!(media.kind, MediaKind::Resource(_));
            Some(is_resource || media::begins_as(&media.content_type, &bytes))
        };
        let is_sound = self.room.work(size, is_sound).await.unwrap_or_default();
        let _ = self.room.resize(media.size(), 0);
        is_sound
    }

    async fn save(&self, bytes: Bytes, content_type: &str) -> Option<Result<SavedFile, FileError>> {
        let client = self.room.client().clone();
        let executor = self.server.executor();
        Some(executor.save_content(bytes, content_type, self.entry?, &client).await)
    }

    fn saved(&mut self, what: &str, saved: impl Into<Option<Result<SavedFile, FileError>>>) {
        match saved.into() {
            Some(Ok(file)) => {
                let note = format!("{what} is not shown: {}", result::saved(&file));
                self.note(note);
                self.shown.blocks.extend(result::file_link(&file, self.version.as_ref()));
            }
            Some(Err(error)) => self.note(format!("{what} is not shown and not saved: {error}")),
            None => self.note(format!("{what} is left out")),
        }
    }

    fn file(&mut self, kind: &str, file: &SavedFile) {
        self.note(format!("a block ({kind}) was {}", result::saved(file)));
        self.shown.blocks.extend(result::file_link(file, self.version.as_ref()));
    }

    /// Returns what hosts call a resource of the server; `None` for what leads nowhere.
    fn host_uri(&self, uri: &str) -> Option<String> {
        let backend = self.entry?.backend;
        self.server.gate().catalog().contents().host_uri(backend, uri)
    }

    /// Returns the same for a resource whose contents are here, so that its URI need not lead anywhere; it
    /// is none of another backend's.
    fn uri(&self, uri: &str) -> String {
        let name = self.entry.map_or("server", |entry| &*entry.backend_name);
        self.host_uri(uri).unwrap_or_else(|| format!("{name}+{uri}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_where_they_stood() {
        let text = |text: &str| ContentBlock::text(text);
        let blocks = vec![text("0"), text("1")];
        let words = vec![(0, text("a")), (0, text("b")), (2, text("c"))];
        let all: Vec<String> =
            in_place(blocks, words).map(|block| block.as_text().unwrap().text.clone()).collect();
        assert_eq!(all, ["a", "b", "0", "1", "c"]);
    }
}
