//! The blocks of a result of another MCP server, as blocks for a host.
//!
//! What a host can show comes to it as the type that it has: text, images, audio, links and resources; words
//! as the server wrote them, also where they are JSON.
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
use serde_json::Value;

use super::{
    McpServer, media, request_owner::client_key, result, server_resources::read_annotations,
    structured_text::CopyForm,
};
use crate::{
    catalog::CatalogEntry,
    executor::AnswerMemory,
    files::FileError,
    outcome::{
        AnswerPayload, CallOutcome, JsonText, SavedFile,
        content::{ContentPart, MediaKind, MediaPart, ServerContent, TextPart},
    },
};

/// So much of a content type or a URI is said, in characters.
const LONGEST_WORD: usize = 200;

/// All images and other bytes of a result that are shown have at most so many times the bound of one.
const MOST_MEDIA: u64 = 4;

/// What stands for bytes in JSON that are left out of it.
const BYTES_IN_BLOCK: &str = "\"(these bytes are a block of this result)\"";

/// Where the value of a result is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueSource {
    /// There is none.
    Nothing,
    /// The server gave it for programs.
    Structured,
    /// It is what the server says in words.
    Words,
}

/// What becomes of the words of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// There are none.
    None,
    /// All of them are shown.
    Fit,
    /// The value says the same, or as much of it as can be shown.
    InValue,
    /// So many bytes beside the value are not shown.
    LeftOut(usize),
}

/// The value of a result: for programs, and for models as far as the words of the server are not shown.
struct ResultValue {
    payload: AnswerPayload,
    source: ValueSource,
    words: Words,
    /// Whether blocks that are shown say all of it.
    is_in_blocks: bool,
}

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
    /// Makes the result of content: its words and blocks as the server wrote them where they fit, and for
    /// programs what the server gave for them.
    pub(super) async fn shown_content(
        &self,
        mut content: ServerContent,
        outcome: CallOutcome,
        (entry, form): (Option<&CatalogEntry>, CopyForm),
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let room = self.executor().room(&client_key(&context.extensions));
        let most = self.most_chars();
        let is_declared = entry.is_some_and(|entry| entry.output.is_some());
        let size = usize::try_from(content.bytes()).unwrap_or(usize::MAX);
        let take = || ResultValue::take_from(&mut content, most, is_declared);
        let ResultValue { payload, source, words, is_in_blocks } = room.work(size, take).await;
        let mut writer = BlockWriter {
            server: self,
            entry,
            version: context.protocol_version(),
            room: &room,
            media_left: self.most_media().saturating_mul(MOST_MEDIA),
            chars_left: most,
            shown: ShownBlocks::default(),
        };
        if let Words::LeftOut(size) = words {
            writer.note(format!("{size} bytes of text beside the structured content are left out"));
        }
        let mut placed = Vec::new();
        for block in content.blocks {
            match block {
                ContentPart::Text(part) if words == Words::Fit => {
                    placed.push((writer.shown.blocks.len(), text_block(part)));
                }
                ContentPart::Text(_) => {}
                other => writer.push(other).await,
            }
        }
        let ShownBlocks { blocks, notes } = writer.shown;
        let CallOutcome { notes: said, .. } = outcome;
        let notes = said.into_iter().chain(notes).collect();
        let outcome = CallOutcome { payload, notes, ..outcome };
        let (mut made, is_cut) = self.shown_value(outcome, (entry, None), form, context).await;
        if source != ValueSource::Structured && !is_declared {
            made.structured_content = None;
        }
        let is_for_programs = made.structured_content.is_some();
        let stands_for_value = match source {
            ValueSource::Nothing => !blocks.is_empty(),
            ValueSource::Words => words == Words::Fit,
            ValueSource::Structured => is_in_blocks || words == Words::Fit && is_for_programs,
        };
        if stands_for_value && !is_cut {
            made.content.pop();
        }
        // A part of the words stands for all of them.
        if source == ValueSource::Words && is_cut {
            placed.clear();
        }
        made.content.extend(in_place(blocks, placed));
        made
    }
}

impl ResultValue {
    /// Takes the value out of content, of whose words `most` characters are shown; `is_declared` says
    /// whether programs expect one.
    fn take_from(content: &mut ServerContent, most: usize, is_declared: bool) -> Self {
        let size: usize = content.texts().map(str::len).sum();
        let count = || content.texts().map(|text| text.chars().count()).sum::<usize>();
        let fits = size <= most || count() <= most;
        let is_copy = content.is_structured_as_text();
        let words = match content.texts().next() {
            None => Words::None,
            Some(_) if fits => Words::Fit,
            Some(_) if content.structured.is_none() || is_copy => Words::InValue,
            Some(_) => Words::LeftOut(size),
        };
        let is_in_blocks = match words {
            Words::Fit => is_copy,
            Words::None => !content.repeated_bytes().is_empty(),
            Words::InValue | Words::LeftOut(_) => false,
        };
        if let Some(structured) = take_structured(content, most) {
            let payload = AnswerPayload::Json(structured);
            return Self { payload, source: ValueSource::Structured, words, is_in_blocks };
        }
        let (payload, source) = match words {
            Words::None => (AnswerPayload::Content(Box::default()), ValueSource::Nothing),
            _ => (words_payload(content, is_declared || !fits), ValueSource::Words),
        };
        Self { payload, source, words, is_in_blocks }
    }
}

/// Takes the structured content. Bytes that a block has as well are left out of one that is too long to be
/// shown.
fn take_structured(content: &mut ServerContent, most: usize) -> Option<JsonText> {
    let is_long = content.structured.as_ref().is_some_and(|it| it.as_str().len() > most);
    let repeated = if is_long { content.repeated_bytes() } else { Vec::new() };
    if repeated.is_empty() {
        return content.structured.take();
    }
    let text = content.structured.as_ref()?.as_str().to_owned();
    let text = repeated
        .into_iter()
        .fold(text, |text, data| text.replace(&format!("\"{data}\""), BYTES_IN_BLOCK));
    content.structured = None;
    Some(JsonText::trusted(text))
}

/// Makes a value of words: as JSON, if they are, where programs want it or a part has to be found.
fn words_payload(content: &ServerContent, is_value_wanted: bool) -> AnswerPayload {
    let only_text = content.only_text().filter(|_| is_value_wanted);
    if let Some(json) = only_text.and_then(JsonText::of_words) {
        return AnswerPayload::Json(json);
    }
    let text = content.texts().collect::<Vec<_>>().join("\n");
    AnswerPayload::Text { content_type: "text/plain".to_owned(), text }
}

fn text_block(part: TextPart) -> ContentBlock {
    let TextPart { text, annotations } = part;
    annotated(ContentBlock::text(result::masked_text(text)), annotations)
}

/// Adds annotations to a block.
pub(super) fn annotated(mut block: ContentBlock, annotations: Option<Value>) -> ContentBlock {
    let annotations = annotations.and_then(read_annotations);
    match &mut block {
        ContentBlock::Text(it) => it.annotations = annotations,
        ContentBlock::Image(it) => it.annotations = annotations,
        ContentBlock::Audio(it) => it.annotations = annotations,
        ContentBlock::Resource(it) => it.annotations = annotations,
        ContentBlock::ResourceLink(it) => it.annotations = annotations,
        _ => {}
    }
    block
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
            ContentPart::Text(part) => self.shown.blocks.push(text_block(part)),
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
            let MediaPart { kind, content_type, data, annotations } = media;
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
            self.shown.blocks.push(annotated(block, annotations));
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
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> ContentPart {
        ContentPart::Text(TextPart { text: text.to_owned(), annotations: None })
    }

    fn taken(
        blocks: Vec<ContentPart>,
        structured: Option<&Value>,
        is_declared: bool,
    ) -> (Value, ValueSource, Words, bool) {
        let mut content = ServerContent { blocks, structured: structured.map(JsonText::from) };
        let ResultValue { payload, source, words, is_in_blocks } =
            ResultValue::take_from(&mut content, 40, is_declared);
        assert_eq!(content.structured, None);
        let payload = match payload {
            AnswerPayload::Json(json) => json.value().unwrap(),
            AnswerPayload::Text { text, .. } => text.into(),
            other => format!("{other:?}").into(),
        };
        (payload, source, words, is_in_blocks)
    }

    #[test]
    fn words_are_a_value_where_they_have_to_be() {
        let (one, long) = ("{\n \"a\": 1 }", format!("[{}1]", "1, ".repeat(20)));
        let value = json!({ "a": 1 });
        let numbers = json!(vec![1; 21]);
        let (structured, of_words) = (ValueSource::Structured, ValueSource::Words);
        for (blocks, given, is_declared, expected) in [
            (vec![text(one)], Some(&value), false, (value.clone(), structured, Words::Fit, true)),
            (vec![text("one")], Some(&value), true, (value.clone(), structured, Words::Fit, false)),
            (vec![], Some(&value), true, (value.clone(), structured, Words::None, false)),
            (vec![text(one)], None, false, (json!(one), of_words, Words::Fit, false)),
            (vec![text(one)], None, true, (value.clone(), of_words, Words::Fit, false)),
            (vec![text(&long)], None, false, (numbers.clone(), of_words, Words::InValue, false)),
            (
                vec![text(&long)],
                Some(&numbers),
                false,
                (numbers.clone(), structured, Words::InValue, false),
            ),
            (
                vec![text(&long)],
                Some(&value),
                false,
                (value.clone(), structured, Words::LeftOut(long.len()), false),
            ),
        ] {
            assert_eq!(taken(blocks, given, is_declared), expected);
        }
    }

    #[test]
    fn bytes_are_not_shown_as_text_besides() {
        let picture = |data: &str| {
            let (content_type, data) = ("image/png".to_owned(), data.to_owned());
            let kind = MediaKind::Image;
            ContentPart::Media(MediaPart { kind, content_type, data, annotations: None })
        };
        let value = json!({ "data": "AAAA" });
        let (payload, _, _, is_in_blocks) = taken(vec![picture("AAAA")], Some(&value), true);
        assert!(is_in_blocks);
        assert_eq!(payload, value);
        let long = "AAAA".repeat(20);
        let (value, blocks) = (json!({ "data": long }), vec![picture(&long), text("a dot")]);
        let (payload, _, words, _) = taken(blocks, Some(&value), true);
        assert_eq!(payload["data"], "(these bytes are a block of this result)");
        assert_eq!(words, Words::Fit);
    }

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
