//! What a tool of another MCP server gives: blocks of content in the server's order, and structured
//! content.
//!
//! A block is kept as the text or JSON that it came as, without what the protocol has beside it
//! (`_meta`); the bytes of an image stay in Base64 until somebody wants them.

use dadl_text::json::scan;
use serde_json::Value;

use super::{JsonText, SavedFile};

/// The content of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerContent {
    /// The blocks.
    pub blocks: Vec<ContentPart>,
    /// What the server gave for programs.
    pub structured: Option<JsonText>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentPart {
    /// A file that was one of the others, with the type of its block (`image`, `audio`, `resource`).
    File(&'static str, SavedFile),
    /// A link to a resource of the server, as its object.
    Link(JsonText),
    /// Bytes.
    Media(MediaPart),
    /// A block of a type that is not known, as its object.
    Other(JsonText),
    /// A resource of the server that is text, as its block.
    Resource(JsonText),
    /// Words.
    Text(TextPart),
}

/// Words in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPart {
    /// As the server wrote them.
    pub text: String,
    /// For whom they are, how much they matter, and when they were written, as hosts may know it.
    pub annotations: Option<Value>,
}

/// Bytes in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPart {
    /// What it is.
    pub kind: MediaKind,
    /// As the server says; may be empty.
    pub content_type: String,
    /// In Base64, as the server wrote it.
    pub data: String,
    /// As those of [`TextPart`].
    pub annotations: Option<Value>,
}

/// What the bytes of a block are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    /// A sound.
    Audio,
    /// A picture.
    Image,
    /// A resource of the server, with its URI.
    Resource(String),
}

impl MediaKind {
    /// Returns the type of the block.
    pub fn block_type(&self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Image => "image",
            Self::Resource(_) => "resource",
        }
    }
}

impl MediaPart {
    /// Returns how many bytes it has.
    pub fn size(&self) -> u64 {
        let padding = self.data.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
        let text = self.data.len().saturating_sub(padding) as u64;
        text / 4 * 3 + (text % 4).saturating_sub(1)
    }
}

impl ServerContent {
    /// Returns how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let structured = self.structured.as_ref().map_or(0, |it| it.as_str().len());
        let blocks = self.blocks.iter().map(|block| match block {
            ContentPart::File(..) => 0,
            ContentPart::Link(json) | ContentPart::Other(json) | ContentPart::Resource(json) => {
                json.as_str().len()
            }
            ContentPart::Media(MediaPart { data, .. }) => data.len(),
            ContentPart::Text(part) => part.text.len(),
        });
        (structured + blocks.sum::<usize>()) as u64
    }

    /// Returns the texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            ContentPart::Text(part) => Some(part.text.as_str()),
            _ => None,
        })
    }

    /// Returns the text that is all there is in blocks.
    pub(crate) fn only_text(&self) -> Option<&str> {
        match self.blocks.as_slice() {
            [ContentPart::Text(part)] => Some(&part.text),
            _ => None,
        }
    }

    /// Returns whether the blocks are but the structured content as a text.
    pub(crate) fn is_structured_as_text(&self) -> bool {
        let (Some(structured), Some(text)) = (&self.structured, self.only_text()) else {
            return false;
        };
        scan::compacted(text).is_ok_and(|text| text == structured.as_str())
    }

    /// Returns the bytes in blocks that the structured content has as well.
    pub(crate) fn repeated_bytes(&self) -> Vec<&str> {
        let Some(structured) = &self.structured else { return Vec::new() };
        let data = self.blocks.iter().filter_map(|block| match block {
            ContentPart::Media(MediaPart { data, .. }) if !data.is_empty() => Some(data.as_str()),
            _ => None,
        });
        data.filter(|data| structured.as_str().contains(&format!("\"{data}\""))).collect()
    }

    /// Returns the blocks that were saved.
    pub fn files(&self) -> impl Iterator<Item = &SavedFile> {
        self.blocks.iter().filter_map(|block| match block {
            ContentPart::File(_, file) => Some(file),
            _ => None,
        })
    }

    /// Returns what programs get, as JSON: the structured content where there are but texts beside it,
    /// else `{"content": [..], "structuredContent": ..}` with the blocks as the protocol writes them; one
    /// that was saved has the members of a file.
    pub fn into_json(self) -> JsonText {
        let is_text = self.blocks.iter().all(|block| matches!(block, ContentPart::Text(_)));
        let Self { blocks, structured } = self;
        let structured = match structured {
            Some(structured) if is_text => return structured,
            None if blocks.is_empty() => return JsonText::trusted("null".to_owned()),
            other => other,
        };
        let blocks: Vec<JsonText> = blocks.into_iter().map(ContentPart::into_json).collect();
        let blocks: Vec<&str> = blocks.iter().map(JsonText::as_str).collect();
        let mut text = format!("{{\"content\":{}", JsonText::array(&blocks).as_str());
        if let Some(structured) = structured {
            text.push_str(",\"structuredContent\":");
            text.push_str(structured.as_str());
        }
        text.push('}');
        JsonText::trusted(text)
    }
}

impl ContentPart {
    fn into_json(self) -> JsonText {
        let text = |text: &str| JsonText::string(text).into_string();
        let annotated = |annotations: Option<Value>| {
            annotations.map(|it| format!(",\"annotations\":{it}")).unwrap_or_default()
        };
        JsonText::trusted(match self {
            Self::Link(json) | Self::Other(json) | Self::Resource(json) => return json,
            Self::Text(TextPart { text: words, annotations }) => {
                let (words, more) = (text(&words), annotated(annotations));
                format!("{{\"type\":\"text\",\"text\":{words}{more}}}")
            }
            Self::File(kind, file) => {
                let mut value = file.to_value();
                if let Some(members) = value.as_object_mut() {
                    members.shift_insert(0, "type".to_owned(), kind.into());
                }
                value.to_string()
            }
            Self::Media(MediaPart { kind, content_type, data, annotations }) => {
                let (data, mime, more) = (text(&data), text(&content_type), annotated(annotations));
                match kind {
                    MediaKind::Resource(uri) => format!(
                        "{{\"type\":\"resource\",\"resource\":{{\"uri\":{},\"mimeType\":{mime},\"blob\":{data}}}{more}}}",
                        text(&uri)
                    ),
                    kind => format!(
                        "{{\"type\":\"{}\",\"data\":{data},\"mimeType\":{mime}{more}}}",
                        kind.block_type()
                    ),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn media(data: &str) -> MediaPart {
        let (content_type, data) = ("image/png".to_owned(), data.to_owned());
        MediaPart { kind: MediaKind::Image, content_type, data, annotations: None }
    }

    fn text(text: &str) -> ContentPart {
        ContentPart::Text(TextPart { text: text.to_owned(), annotations: None })
    }

    #[test]
    fn the_size_of_bytes_is_known_before_they_are() {
        for (data, size) in [("", 0), ("AA==", 1), ("AAA=", 2), ("AAAA", 3), ("AAAAAA", 4)] {
            assert_eq!(media(data).size(), size, "{data}");
        }
    }

    #[test]
    fn programs_get_all_of_it() {
        let structured = Some(JsonText::from(&json!({ "a": 1 })));
        let words = text("a \"b\"");
        let value = |blocks: Vec<ContentPart>, structured: Option<JsonText>| -> Value {
            ServerContent { blocks, structured }.into_json().value().unwrap()
        };
        assert_eq!(value(vec![words.clone()], structured.clone()), json!({ "a": 1 }));
        assert_eq!(value(vec![], None), Value::Null);
        let picture = MediaPart { annotations: Some(json!({ "priority": 1 })), ..media("AAAA") };
        let blocks = vec![words, ContentPart::Media(picture)];
        assert_eq!(
            value(blocks, structured),
            json!({
                "content": [
                    { "type": "text", "text": "a \"b\"" },
                    { "type": "image", "data": "AAAA", "mimeType": "image/png",
                      "annotations": { "priority": 1 } },
                ],
                "structuredContent": { "a": 1 },
            })
        );
    }

    #[test]
    fn what_is_there_twice_is_known() {
        let content = |blocks: Vec<ContentPart>, structured: Value| ServerContent {
            blocks,
            structured: Some(JsonText::from(&structured)),
        };
        let value = json!({ "a": [1] });
        assert!(content(vec![text("{\n  \"a\": [1]\n}")], value.clone()).is_structured_as_text());
        for blocks in [vec![text("one")], vec![], vec![text("{\"a\":[1]}"), text("b")]] {
            assert!(!content(blocks, value.clone()).is_structured_as_text());
        }
        let pictures = || vec![ContentPart::Media(media("AAAA")), ContentPart::Media(media(""))];
        assert_eq!(content(pictures(), json!([{ "of": "AAAA" }])).repeated_bytes(), ["AAAA"]);
        assert!(content(pictures(), json!([{ "of": "AAAAA" }])).repeated_bytes().is_empty());
    }
}
