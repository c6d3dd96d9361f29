//! Images and audio that an API gives, as content that a model sees or hears.
//!
//! The file is saved like any other. What is small enough goes into the result as well, when its first
//! bytes are those of the type that the server named: a host hands it to a model without looking.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rmcp::model::{ContentBlock, ProtocolVersion};
use tokio::io::AsyncReadExt as _;

use crate::{executor::AnswerMemory, outcome::SavedFile};

/// What the protocol has content for.
struct MediaContent {
    /// The names of its type; the first is the one that models know.
    names: &'static [&'static str],
    is_audio: bool,
    /// Whether a file begins as one of this type does.
    begins: fn(&[u8]) -> bool,
}

const fn image(names: &'static [&'static str], begins: fn(&[u8]) -> bool) -> MediaContent {
    MediaContent { names, is_audio: false, begins }
}

const fn audio(names: &'static [&'static str], begins: fn(&[u8]) -> bool) -> MediaContent {
    MediaContent { names, is_audio: true, begins }
}

const MEDIA: &[MediaContent] = &[
    image(&["image/png"], |start| start.starts_with(b"\x89PNG\r\n\x1a\n")),
    image(&["image/jpeg", "image/jpg", "image/pjpeg"], |start| start.starts_with(b"\xff\xd8\xff")),
    image(&["image/gif"], |start| start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a")),
    image(&["image/webp"], |start| is_riff(start, b"WEBP")),
    audio(&["audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"], |start| {
        is_riff(start, b"WAVE")
    }),
    audio(&["audio/mpeg", "audio/mp3"], |start| {
        start.starts_with(b"ID3") || layer(start).is_some_and(|layer| layer > 0)
    }),
    audio(&["audio/mp4", "audio/m4a", "audio/x-m4a"], |start| {
        start.get(4..8) == Some(&b"ftyp"[..])
    }),
    audio(&["audio/ogg"], |start| start.starts_with(b"OggS")),
    audio(&["audio/flac", "audio/x-flac"], |start| start.starts_with(b"fLaC")),
    audio(&["audio/webm"], |start| start.starts_with(b"\x1a\x45\xdf\xa3")),
    audio(&["audio/aac"], |start| layer(start) == Some(0)),
];

fn is_riff(start: &[u8], kind: &[u8]) -> bool {
    start.starts_with(b"RIFF") && start.get(8..12) == Some(kind)
}

/// Returns the layer of a frame of MPEG audio; AAC has the one that is none.
fn layer(start: &[u8]) -> Option<u8> {
    match start {
        [0xff, second, ..] if second & 0xe0 == 0xe0 => Some((second >> 1) & 3),
        _ => None,
    }
}

/// Returns the content for a saved file of at most `most` bytes; `None` for what is too large, for what
/// is no image and no audio, and for what the client's revision has no content for. `declared` is what the
/// descriptor says of a type that the server did not name.
pub(super) async fn inline_content(
    file: &SavedFile,
    declared: Option<&str>,
    most: u64,
    version: Option<&ProtocolVersion>,
    room: &AnswerMemory,
) -> Option<ContentBlock> {
    if file.size > most {
        return None;
    }
    let medium = of_type(&file.content_type, declared)?;
    let is_new = |version: &ProtocolVersion| *version >= ProtocolVersion::V_2025_03_26;
    if medium.is_audio && !version.is_none_or(is_new) {
        return None;
    }
    // The bytes, and their text.
    room.grow(file.size.saturating_mul(7) / 3).ok()?;
    let opened = tokio::fs::File::open(&file.path).await.ok()?;
    let mut bytes = Vec::new();
    opened.take(file.size).read_to_end(&mut bytes).await.ok()?;
    let is_whole = u64::try_from(bytes.len()) == Ok(file.size);
    if !is_whole || !(medium.begins)(&bytes) {
        return None;
    }
    let name = *medium.names.first()?;
    let data = room.work(bytes.len(), || STANDARD.encode(&bytes)).await;
    Some(if medium.is_audio {
        ContentBlock::audio(data, name)
    } else {
        ContentBlock::image(data, name)
    })
}

/// Returns whether bytes begin as those of their type do; nobody knows it of other types.
pub(super) fn begins_as(content_type: &str, bytes: &[u8]) -> bool {
    of_type(content_type, None).is_none_or(|medium| (medium.begins)(bytes))
}

/// Returns whether a content type is that of an image.
pub(super) fn is_image(content_type: &str) -> bool {
    media_essence(content_type).starts_with("image/")
}

/// Finds what a content type names.
fn of_type(content_type: &str, declared: Option<&str>) -> Option<&'static MediaContent> {
    let mut name = media_essence(content_type);
    if name == "application/octet-stream" {
        name = media_essence(declared?);
    }
    MEDIA.iter().find(|medium| medium.names.contains(&name.as_str()))
}

fn media_essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

    #[test]
    fn a_file_begins_as_its_type_says() {
        for (name, start) in [
            ("image/png", PNG),
            ("Image/PNG; charset=binary", PNG),
            ("image/jpg", b"\xff\xd8\xff\xe0"),
            ("image/gif", b"GIF89a"),
            ("image/webp", b"RIFF0000WEBPVP8 "),
            ("audio/x-wav", b"RIFF0000WAVEfmt "),
            ("audio/mpeg", b"ID3\x04"),
            ("audio/mpeg", b"\xff\xfb\x90\x00"),
            ("audio/mp4", b"0000ftypM4A "),
            ("audio/ogg", b"OggS"),
            ("audio/flac", b"fLaC"),
            ("audio/webm", b"\x1a\x45\xdf\xa3"),
            ("audio/aac", b"\xff\xf1\x50\x80"),
        ] {
            let medium = of_type(name, None).unwrap();
            assert!((medium.begins)(start), "{name}");
            // Nothing but its own beginning.
            let others = MEDIA.iter().filter(|other| (other.begins)(start));
            assert_eq!(others.count(), 1, "{name}");
            assert!(!(medium.begins)(b"<html></html>") && !(medium.begins)(b""), "{name}");
        }
    }

    #[test]
    fn the_descriptor_names_what_the_server_does_not() {
        let name = |server: &str, declared: Option<&str>| {
            of_type(server, declared).map(|medium| medium.names[0])
        };
        assert_eq!(name("application/octet-stream", Some("image/png")), Some("image/png"));
        assert_eq!(name("application/octet-stream", None), None);
        assert_eq!(name("text/html", Some("image/png")), None);
        assert_eq!(name("image/gif", Some("image/png")), Some("image/gif"));
        for other in ["image/svg+xml", "image/tiff", "video/mp4", "image", ""] {
            assert_eq!(name(other, None), None, "{other}");
        }
        assert!(is_image("IMAGE/svg+xml") && !is_image("images/x") && !is_image("im\u{e4}ge/"));
    }
}
