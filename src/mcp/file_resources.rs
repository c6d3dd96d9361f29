//! Resources: what hosts read beside the results of tools.
//!
//! The scheme of a URI says what it names. `dadl-file:ID` is a file that this server keeps, and
//! `file://` one below the directory of files, where host and server share a machine. A file may be
//! larger than any message, so that it is read in ranges: `?offset=N&length=M`.

use std::{borrow::Cow, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_text::text::{cut_text, one_line};
use rmcp::{
    ErrorData,
    model::{MetaObject, ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use url::Url;

use super::notes::META_NOTE;
use crate::{
    files::{FileStore, REFERENCE, ReadableFile},
    outcome::SavedFile,
    response::decode::BodyType,
};

/// The bytes of one read: with base64, a message of 1.4 MB.
const MOST_BYTES: u64 = 1024 * 1024;
/// So many files are listed.
const MOST_LISTED: usize = 100;
/// So much of a URI is repeated in an error.
const LONGEST_URI: usize = 200;

/// Lists what a host may read without having been told: a few objects, what servers list, and files on its
/// own machine.
pub(super) async fn list_files(
    files: &FileStore,
    objects: &[Resource],
    of_servers: impl Iterator<Item = Resource>,
) -> Vec<Resource> {
    let listed = files.listed(MOST_LISTED.saturating_sub(objects.len())).await;
    let listed =
        listed.into_iter().filter_map(|ReadableFile { path, name, content_type, size }| {
            let uri = Url::from_file_path(path).ok()?;
            let name = one_line(&name).into_owned();
            Some(Resource::new(uri, name).with_mime_type(content_type).with_size(size))
        });
    objects.iter().cloned().chain(of_servers).chain(listed).collect()
}

/// Says how the URIs are made that are not listed.
pub(super) fn file_templates() -> Vec<ResourceTemplate> {
    let description = format!(
        "A file that a tool saved, or that was uploaded. Up to {MOST_BYTES} bytes are \
         read at once, and what is read of a longer one says so"
    );
    vec![
        ResourceTemplate::new(format!("{REFERENCE}{{id}}{{?offset,length}}"), "file")
            .with_description(description),
    ]
}

/// Reads a resource.
pub(super) async fn read_resource(
    files: &FileStore,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri.split_once(':') {
        Some(("dadl-file" | "file", _)) => read_file(files, uri).await?,
        _ => return Err(unknown_resource(uri)),
    };
    Ok(ReadResourceResult::new(contents))
}

/// Makes the link to a file that a tool saved.
pub(super) fn of_saved(file: &SavedFile) -> Option<Resource> {
    let uri = match &file.reference {
        Some(reference) => reference.clone(),
        None => Url::from_file_path(&file.path).ok()?.into(),
    };
    let name = match &file.reference {
        Some(_) => file.name.clone(),
        None => file.path.file_name()?.to_string_lossy().into_owned(),
    };
    let mut link = Resource::new(uri, one_line(&name).into_owned())
        .with_mime_type(one_line(&file.content_type).into_owned())
        .with_size(file.size);
    if let Some(expires) = &file.expires {
        link.meta = Some(meta(&json!({ "expires": expires, "sha256": file.sha256 })));
        link.description = Some(format!("kept until {expires}"));
    } else {
        link.meta = Some(meta(&json!({ "sha256": file.sha256 })));
    }
    Some(link)
}

fn meta(value: &serde_json::Value) -> MetaObject {
    MetaObject(value.as_object().cloned().unwrap_or_default())
}

/// Says that there is no such resource, and which.
pub(super) fn not_found(uri: &str, message: String) -> ErrorData {
    ErrorData::resource_not_found(message, Some(json!({ "uri": uri })))
}

/// Does so where nothing more is known.
pub(super) fn unknown_resource(uri: &str) -> ErrorData {
    let why = if uri.starts_with(REFERENCE) {
        "the file may have expired"
    } else {
        "resources/list and resources/templates/list say what there is"
    };
    not_found(uri, format!("no resource \"{}\": {why}", short(uri)))
}

async fn read_file(files: &FileStore, uri: &str) -> Result<Vec<ResourceContents>, ErrorData> {
    let invalid = |error: RangeError| {
        ErrorData::invalid_params(error.to_string(), Some(json!({ "uri": uri })))
    };
    let (name, query) = uri.split_once('?').unwrap_or((uri, ""));
    let range = ByteRange::parse(query).map_err(invalid)?;
    let Some(file) = files.readable(name).await else { return Err(unknown_resource(uri)) };
    let (offset, length) = range.within(file.size).map_err(invalid)?;
    // It may have expired this very moment.
    let mut bytes =
        read_range(&file.path, offset, length).await.map_err(|_| unknown_resource(uri))?;
    let is_text = is_text(&file.content_type);
    let end = offset + bytes.len() as u64;
    let size = if (bytes.len() as u64) < length { end } else { file.size };
    let is_part = end < size;
    if is_text && is_part && range.length.is_none() {
        // The next part begins with the character that this one would divide.
        bytes.truncate(whole_characters(&bytes));
    }
    let length = bytes.len() as u64;
    // A range may begin in the middle of a character.
    let text = is_text.then(|| std::str::from_utf8(&bytes).ok()).flatten();
    let contents = match text {
        Some(text) => ResourceContents::text(text, uri),
        None => ResourceContents::blob(STANDARD.encode(&bytes), uri),
    };
    let mut facts = json!({ "offset": offset, "length": length, "size": size });
    let note = (is_part && range.length.is_none()).then(|| rest_hint(offset, length, size));
    if let (Some(note), Some(facts)) = (&note, facts.as_object_mut()) {
        facts.insert(META_NOTE.to_owned(), note.as_str().into());
    }
    // Who gets a part of a file sees that before it.
    let note = note.map(|note| ResourceContents::text(note, uri).with_mime_type("text/plain"));
    let contents = contents.with_mime_type(file.content_type).with_meta(meta(&facts));
    Ok(note.into_iter().chain([contents]).collect())
}

/// Says how the rest of a file is read.
fn rest_hint(offset: u64, length: u64, size: u64) -> String {
    let next = offset + length;
    let shown = match offset {
        0 => format!("the first {length} of {size} bytes"),
        _ => format!("bytes {offset} to {} of {size}", next.saturating_sub(1)),
    };
    format!("{shown}; the rest is read with ?offset={next} after the URI")
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.ends_with("yaml")
        || !matches!(BodyType::of(Some(content_type)), BodyType::Binary | BodyType::Unknown)
}

/// Returns how many bytes are whole characters, where only the last one is divided; all of them where
/// it is not that.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// Reads what there is of a range: a file may have shrunk since it was measured.
async fn read_range(path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(io::SeekFrom::Start(offset)).await?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Why a range is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum RangeError {
    #[error("`{}` is neither `offset` nor `length`", short(.0))]
    Name(String),
    #[error("`{name}={}` is no number of bytes", short(.value))]
    Number { name: &'static str, value: String },
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    #[error("offset {offset} is beyond the end: the file has {size} bytes")]
    Offset { offset: u64, size: u64 },
    #[error("length {0} is more than the {MOST_BYTES} bytes of one read")]
    Length(u64),
}

/// Which bytes of a file are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct ByteRange {
    offset: Option<u64>,
    length: Option<u64>,
}

impl ByteRange {
    /// Reads `offset=N&length=M`.
    fn parse(query: &str) -> Result<Self, RangeError> {
        let mut range = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, place) = match name {
                "offset" => ("offset", &mut range.offset),
                "length" => ("length", &mut range.length),
                _ => return Err(RangeError::Name(name.to_owned())),
            };
            let number = value.parse();
            let number =
                number.map_err(|_| RangeError::Number { name, value: value.to_owned() })?;
            if place.replace(number).is_some() {
                return Err(RangeError::Twice(name));
            }
        }
        Ok(range)
    }

    /// Returns offset and length within a file of this size.
    fn within(&self, size: u64) -> Result<(u64, u64), RangeError> {
        let offset = self.offset.unwrap_or_default();
        if offset > size || (offset == size && size > 0) {
            return Err(RangeError::Offset { offset, size });
        }
        let rest = size - offset;
        match self.length {
            Some(length) if length > MOST_BYTES => Err(RangeError::Length(length)),
            Some(length) => Ok((offset, length.min(rest))),
            None => Ok((offset, rest.min(MOST_BYTES))),
        }
    }
}

fn short(text: &str) -> Cow<'_, str> {
    cut_text(text, LONGEST_URI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_with_a_whole_character() {
        for (bytes, whole) in [
            (&b"ab"[..], 2),
            (b"gr\xC3", 2),
            (b"a\xE2\x82", 1),
            (b"", 0),
            // No text: nothing is lost.
            (b"\xC3", 1),
            (b"a\xFFb", 3),
        ] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_shrank_gives_what_there_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_range(&path, 1, 10).await.unwrap(), b"2345");
        assert_eq!(read_range(&path, 9, 10).await.unwrap(), b"");
    }

    #[test]
    fn a_range_lies_within_the_file() {
        let within =
            |query: &str, size| ByteRange::parse(query).and_then(|range| range.within(size));
        assert_eq!(within("", 5), Ok((0, 5)));
        assert_eq!(within("", 0), Ok((0, 0)));
        assert_eq!(within("", MOST_BYTES + 1), Ok((0, MOST_BYTES)));
        assert_eq!(within("offset=2", 5), Ok((2, 3)));
        assert_eq!(within("offset=2&length=1", 5), Ok((2, 1)));
        assert_eq!(within("length=9", 5), Ok((0, 5)));
        assert_eq!(within("offset=0", 3 * MOST_BYTES), Ok((0, MOST_BYTES)));
        assert_eq!(within("length=1", 3 * MOST_BYTES), Ok((0, 1)));
        for (query, size, reason) in [
            ("offset=5", 5, "beyond the end"),
            ("offset=6&length=0", 5, "beyond the end"),
            ("length=1048577", 5, "1048576 bytes of one read"),
            ("offset=x", 5, "no number"),
            ("offset=-1", 5, "no number"),
            ("offset=1&offset=2", 5, "twice"),
            ("size=1", 5, "neither"),
        ] {
            let error = within(query, size).unwrap_err().to_string();
            assert!(error.contains(reason), "{query}: {error}");
        }
    }
}
