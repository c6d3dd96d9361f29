//! `/files`: clients of an HTTP server put files there for tools to send, and fetch what tools
//! saved.
//!
//! A file has an id that cannot be guessed; there is no list of them. Who may come here is decided
//! before, by the same checks as for the protocol.

use std::{io, ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{
    http::answer::{HttpAnswer, busy, json_answer, text_answer},
    slow_peers::{PacedBody, PeerPace},
};
use crate::{
    files::{self, FILES_PATH, FileError, FileId, FileRecord, FileStore},
    outcome::SavedFile,
    shares::{ClientKey, FairQueue, QueueFull, QueueTurn},
};

/// How long a client may be silent in the middle of an upload.
const IDLE: Duration = Duration::from_secs(60);
/// What is said to those for whom there is no room to wait.
const FULL: &str = "too many files are being sent and fetched (`max_transfers`); try again later";
/// Bytes are read in pieces of this size.
const READ_BUFFER: usize = 256 * 1024;
/// What stays as it is in a file name (RFC 8187, `attr-char`).
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Returns what follows `/files/`, or nothing for `/files` itself; `None` for other paths.
pub(super) fn name_in(path: &str) -> Option<&str> {
    match path.strip_prefix(FILES_PATH)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// Answers a request whose path is `/files` or `/files/NAME`.
///
/// Who sends or fetches a file has a turn for that long, as among the calls that do: one client does
/// not keep others from theirs, and who waits has sent nothing yet.
pub(super) async fn answer_request(
    store: &FileStore,
    (transfers, client): (&FairQueue, &ClientKey),
    request: Request<Incoming>,
    pace: PeerPace,
) -> HttpAnswer {
    let name = name_in(request.uri().path()).unwrap_or_default().to_owned();
    match *request.method() {
        Method::HEAD if !name.is_empty() => download(store, &name, request.headers(), None).await,
        Method::GET if !name.is_empty() => match transfers.turn(client).await {
            Ok(turn) => download(store, &name, request.headers(), Some(turn)).await,
            Err(QueueFull(_)) => busy(FULL),
        },
        Method::POST | Method::PUT => match transfers.turn(client).await {
            Ok(_turn) => upload(store, &name, client, request, pace).await,
            Err(QueueFull(_)) => busy(FULL),
        },
        Method::DELETE if !name.is_empty() => {
            let id = FileId::parse(&name);
            match id {
                Some(id) if store.remove(&id).await => text_answer(StatusCode::NO_CONTENT, ""),
                _ => missing_answer(),
            }
        }
        _ => {
            let mut answer = text_answer(
                StatusCode::METHOD_NOT_ALLOWED,
                "use PUT or POST to upload, and GET or DELETE with the id of a file",
            );
            let allowed =
                if name.is_empty() { "POST, PUT" } else { "DELETE, GET, HEAD, POST, PUT" };
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
            answer
        }
    }
}

/// Saves the body of a request; `name` is what the client calls it.
async fn upload(
    store: &FileStore,
    name: &str,
    client: &ClientKey,
    request: Request<Incoming>,
    pace: PeerPace,
) -> HttpAnswer {
    let stated = request.headers().get(header::CONTENT_TYPE);
    let stated = stated.and_then(|value| value.to_str().ok()?.parse::<mime::Mime>().ok());
    let stated = match stated {
        Some(stated) if stated.type_() == mime::MULTIPART => {
            return text_answer(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the bytes of the file alone: curl -T FILE .../files/",
            );
        }
        // What curl says when nobody told it.
        Some(stated) if stated != mime::APPLICATION_WWW_FORM_URLENCODED => Some(stated.to_string()),
        _ => None,
    };
    let name = match name {
        "" => match stated.as_deref().and_then(files::extension_of) {
            Some(extension) => format!("file.{extension}"),
            None => "file".to_owned(),
        },
        name => percent_decode_str(name).decode_utf8_lossy().into_owned(),
    };
    let content_type = stated.unwrap_or_else(|| files::media_type_of(&name).to_owned());
    let body = request.into_body();
    let incoming = files::IncomingFile {
        name: &name,
        content_type: &content_type,
        total: body.size_hint().exact(),
        ttl: None,
        idle: IDLE,
        purpose: files::SavePurpose::Upload,
        client,
    };
    match store.save(incoming, PacedBody::new(BodyDataStream::new(body), pace), &()).await {
        Ok(saved) => created(&name, saved),
        Err(error) => refused_answer(&error),
    }
}

fn created(name: &str, saved: SavedFile) -> HttpAnswer {
    let SavedFile { url, reference, size, content_type, sha256, expires, .. } = saved;
    let location = url.as_deref().and_then(|url| HeaderValue::from_str(url).ok());
    let body = json!({
        "file": reference,
        "url": url,
        "name": name,
        "size": size,
        "content_type": content_type,
        "sha256": sha256,
        "expires": expires,
    });
    let mut answer = json_answer(StatusCode::CREATED, body.to_string().into());
    if let Some(location) = location {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Tells a client why its file was not kept. What the system said is for the operator.
fn refused_answer(error: &FileError) -> HttpAnswer {
    let (status, message) = match error {
        FileError::Quota { setting: "max_upload_size", .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
        }
        FileError::DiskFull { .. } | FileError::Quota { .. } | FileError::Share { .. } => {
            (StatusCode::INSUFFICIENT_STORAGE, error.to_string())
        }
        FileError::Interrupted { .. } => {
            (StatusCode::BAD_REQUEST, "the body broke off; nothing was kept".to_owned())
        }
        _ => {
            tracing::error!(%error, "cannot save an upload");
            (StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be saved".to_owned())
        }
    };
    json_answer(status, json!({ "error": message }).to_string().into())
}

/// Sends a file, or the part of it that `Range` names; without a turn, what is said about it.
async fn download(
    store: &FileStore,
    id: &str,
    headers: &HeaderMap,
    turn: Option<QueueTurn>,
) -> HttpAnswer {
    let Some(id) = FileId::parse(id) else { return missing_answer() };
    let Some((record, path)) = store.stored(&id).await else { return missing_answer() };
    let Ok(mut file) = tokio::fs::File::open(&path).await else { return missing_answer() };
    let etag = format!("\"{}\"", record.sha256);
    let range = match requested_range(headers, &etag, record.size) {
        RequestedRange::All => None,
        RequestedRange::Part(range) => Some(range),
        RequestedRange::Outside => {
            let mut answer = text_answer(StatusCode::RANGE_NOT_SATISFIABLE, "no such range");
            insert_header(&mut answer, header::CONTENT_RANGE, &format!("bytes */{}", record.size));
            return answer;
        }
    };
    let whole = 0..=record.size.saturating_sub(1);
    let part = range.as_ref().unwrap_or(&whole);
    let length = match record.size {
        0 => 0,
        _ => part.end() - part.start() + 1,
    };
    if *part.start() > 0 && file.seek(io::SeekFrom::Start(*part.start())).await.is_err() {
        return missing_answer();
    }
    let body = if let Some(turn) = turn {
        let pieces = ReaderStream::with_capacity(file.take(length), READ_BUFFER);
        let held = move |piece| {
            // Until the last piece has been taken.
            let _ = &turn;
            Frame::data(piece)
        };
        StreamBody::new(futures_util::TryStreamExt::map_ok(pieces, held)).boxed()
    } else {
        http_body_util::Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
    };
    let mut answer = Response::new(body);
    if let Some(range) = &range {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {}-{}/{}", range.start(), range.end(), record.size);
        insert_header(&mut answer, header::CONTENT_RANGE, &text);
    }
    describe_file(&mut answer, &record);
    insert_header(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    insert_header(&mut answer, header::ETAG, &etag);
    answer
}

fn missing_answer() -> HttpAnswer {
    text_answer(StatusCode::NOT_FOUND, "no such file; it may have expired")
}

/// Says what a file is, so that no browser takes it for a page of this server.
fn describe_file(answer: &mut HttpAnswer, record: &FileRecord) {
    let plain: String = record
        .name
        .chars()
        .map(|character| match character {
            ' '..='~' if !matches!(character, '"' | '\\' | '%') => character,
            _ => '_',
        })
        .collect();
    let encoded = utf8_percent_encode(&record.name, ATTR_CHAR);
    // RFC 6266, section 5.
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    insert_header(answer, header::CONTENT_DISPOSITION, &disposition);
    insert_header(answer, header::CONTENT_TYPE, &record.content_type);
    insert_header(answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert_header(answer, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    insert_header(answer, header::CACHE_CONTROL, "private, no-store");
    insert_header(answer, header::ACCEPT_RANGES, "bytes");
}

fn insert_header(answer: &mut HttpAnswer, name: header::HeaderName, value: &str) {
    let unknown = HeaderValue::from_static("application/octet-stream");
    match HeaderValue::from_str(value) {
        Ok(value) => answer.headers_mut().insert(name, value),
        // Only what a backend said can be no field value, and it says types alone.
        Err(_) => answer.headers_mut().insert(name, unknown),
    };
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
enum RequestedRange {
    All,
    Part(RangeInclusive<u64>),
    Outside,
}

/// Reads `Range` (RFC 9110, section 14.2); several ranges, and what is malformed, count as none.
fn requested_range(headers: &HeaderMap, etag: &str, size: u64) -> RequestedRange {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(spec) = text(header::RANGE).and_then(|value| value.strip_prefix("bytes=")) else {
        return RequestedRange::All;
    };
    if text(header::IF_RANGE).is_some_and(|validator| validator != etag) {
        return RequestedRange::All;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return RequestedRange::All };
    let number = |text: &str| text.parse::<u64>().ok();
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last),
        (Some(first), None) if last.is_empty() => (first, u64::MAX),
        (None, Some(suffix)) if first.is_empty() => match suffix {
            0 => return RequestedRange::Outside,
            _ => (size.saturating_sub(suffix), u64::MAX),
        },
        _ => return RequestedRange::All,
    };
    match size.checked_sub(1) {
        Some(end) if first <= end => RequestedRange::Part(first..=last.min(end)),
        _ => RequestedRange::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let check = |value: &'static str, size, expect| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(value));
            assert_eq!(requested_range(&headers, "\"x\"", size), expect, "{value}");
        };
        check("bytes=0-1", 5, RequestedRange::Part(0..=1));
        check("bytes=3-", 5, RequestedRange::Part(3..=4));
        check("bytes=3-99", 5, RequestedRange::Part(3..=4));
        check("bytes=-2", 5, RequestedRange::Part(3..=4));
        check("bytes=-9", 5, RequestedRange::Part(0..=4));
        check("bytes=5-", 5, RequestedRange::Outside);
        check("bytes=-0", 5, RequestedRange::Outside);
        check("bytes=0-", 0, RequestedRange::Outside);
        for ignored in ["bytes=2-1", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=", "bytes=-"]
        {
            check(ignored, 5, RequestedRange::All);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"y\""));
        assert_eq!(requested_range(&headers, "\"x\"", 5), RequestedRange::All);
    }

    #[test]
    fn names_follow_the_path() {
        assert_eq!(name_in("/files"), Some(""));
        assert_eq!(name_in("/files/"), Some(""));
        assert_eq!(name_in("/files/a"), Some("a"));
        assert_eq!(name_in("/filesystem"), None);
        assert_eq!(name_in("/mcp"), None);
    }
}
