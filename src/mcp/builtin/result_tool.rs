//! The tool that reads an answer which was cut and stored, or another text that this server stored.
//!
//! It reads what resources read, and less: no file that others have put into the directory.

use std::io;

use bytes::Bytes;
use dadl_text::text::quoted_text;
use rmcp::{RoleServer, model::CallToolResponse, service::RequestContext};
use serde_json::{Map, Value, json};

use super::{
    BuiltinTool,
    arguments::{self, ArgumentsError, GivenArguments},
    listing::READ_RESULT,
    task_notes,
};
use crate::{
    executor::AnswerMemory,
    files::ReadableFile,
    mcp::{McpServer, request_owner::client_key, result},
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText},
    response::{
        decode::{self, BodyType},
        stored_answer::{self, AnswerPart, PartText, StoredAnswer, WantedPart},
    },
    worker::FilterError,
};

/// A larger file is not read, in bytes.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 200;

/// So much of a content type is said.
const LONGEST_TYPE: usize = 100;

/// Why nothing is read.
#[derive(Debug, thiserror::Error)]
enum StoredReadError {
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(
        "no stored answer is called {}: it may have expired; what says that a result was cut names \
         the file",
        quoted_text(.0, LONGEST_NAME)
    )]
    Gone(String),
    #[error("the file has {0} bytes, and up to {MOST_BYTES} are read")]
    Size(u64),
    #[error("the file is no text ({})", quoted_text(.0, LONGEST_TYPE))]
    NoText(String),
    #[error("the file cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    #[error(
        "there is no room for the file now: all answers that are being read share {0} bytes \
         (`max_memory`); try again later"
    )]
    Room(u64),
    #[error("`jq` {0}")]
    Filter(#[from] FilterError),
}

/// What is to be read.
#[derive(Debug, PartialEq)]
struct ReadArguments {
    file: String,
    query: StoredQuery,
}

#[derive(Debug, PartialEq)]
enum StoredQuery {
    Program(String),
    Part(WantedPart),
}

impl ReadArguments {
    fn read(arguments: Map<String, Value>) -> Result<Self, ArgumentsError> {
        let mut given = GivenArguments::new(READ_RESULT.name, arguments);
        let as_text = |value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let whole = |value: Value| arguments::as_count(&value);
        let file = given.required("file", "string", "the name of a stored answer", as_text);
        let program = given.optional("jq", "a jq program", as_text);
        let find = given.optional("find", "text", as_text);
        let from = given.optional("from", "an integer of at least 0", whole);
        let count = given
            .optional("count", "an integer of at least 1", |it| whole(it).filter(|it| *it > 0));
        let has_part = find.is_some() || from.is_some() || count.is_some();
        if program.is_some() && has_part {
            let problem =
                "`jq` stands alone: write what to find, and which items, into the program";
            given.problem(problem.to_owned());
        }
        let query = match program {
            Some(program) => StoredQuery::Program(program),
            None => StoredQuery::Part(WantedPart { find, from: from.unwrap_or_default(), count }),
        };
        given.finish(file.map(|file| Self { file, query }))
    }

    /// Returns the arguments that read the next part.
    fn next(&self, wanted: &WantedPart, next: usize) -> Value {
        let mut arguments = json!({ "file": self.file, "from": next });
        if let Some(arguments) = arguments.as_object_mut() {
            let find = wanted.find.as_ref().map(|find| ("find".to_owned(), json!(find)));
            let count = wanted.count.map(|count| ("count".to_owned(), json!(count)));
            arguments.extend(find.into_iter().chain(count));
        }
        arguments
    }
}

/// Reads a stored answer.
pub(super) async fn read_result(
    server: &McpServer,
    arguments: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let room = server.executor().room(&client_key(&context.extensions));
    match Box::pin(answer(server, arguments, &room)).await {
        Ok((payload, notes)) => {
            let held = HeldMemory::by(room);
            let outcome = CallOutcome { status: 200, payload, notes, next: None, held };
            server.shown(outcome, None, context).await.into()
        }
        Err(error) => result::failure_result(error.to_string()).into(),
    }
}

async fn answer(
    server: &McpServer,
    arguments: Map<String, Value>,
    room: &AnswerMemory,
) -> Result<(AnswerPayload, Vec<String>), StoredReadError> {
    let asked = ReadArguments::read(arguments)?;
    let stored = stored_answer(server, &asked.file, room).await?;
    match &asked.query {
        StoredQuery::Program(program) => {
            let (before, most) = (stored.len(), usize::try_from(MOST_BYTES).unwrap_or(usize::MAX));
            let as_json = || match stored {
                StoredAnswer::Json(text) => Some(text),
                // Text can become six times as long in JSON.
                StoredAnswer::Text(text) => {
                    JsonText::parse(&text).ok().or_else(|| JsonText::string_within(&text, most))
                }
            };
            let input = room.work(before, as_json).await;
            let input = input.ok_or(StoredReadError::Size(before as u64))?;
            let resized = room.resize(before as u64, input.as_str().len() as u64);
            resized.map_err(|no_room| StoredReadError::Room(no_room.0))?;
            let filters = server.executor().filters(room.client());
            let grow = |bytes| room.grow(bytes).map_err(|no_room| no_room.0);
            let made = filters.run_within(program, input.as_str().as_bytes(), grow).await?;
            Ok((AnswerPayload::Json(JsonText::trusted(made)), Vec::new()))
        }
        StoredQuery::Part(wanted) => {
            let size = stored.len();
            let most = server.most_chars();
            let take = || stored_answer::take_part(&stored, wanted, most);
            let AnswerPart { text, mut note, next } = room.work(size, take).await;
            if let Some(next) = next {
                let arguments = asked.next(wanted, next);
                let way = task_notes::way(server, BuiltinTool::ReadResult, &arguments);
                note.push_str(&format!("; {way} to go on"));
            }
            let payload = match text {
                PartText::Json(text) => AnswerPayload::Json(text),
                PartText::Text(text) => {
                    AnswerPayload::Text { content_type: "text/plain".to_owned(), text }
                }
            };
            Ok((payload, vec![note]))
        }
    }
}

/// Reads a whole file, without the secrets that are in use: not every file has lost them.
async fn stored_answer(
    server: &McpServer,
    name: &str,
    room: &AnswerMemory,
) -> Result<StoredAnswer, StoredReadError> {
    let found = server.files().stored_text(name).await;
    let file = found.ok_or_else(|| StoredReadError::Gone(name.to_owned()))?;
    let ReadableFile { path, content_type, size, .. } = file;
    if size > MOST_BYTES {
        return Err(StoredReadError::Size(size));
    }
    room.grow(size).map_err(|no_room| StoredReadError::Room(no_room.0))?;
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|error| StoredReadError::Unreadable(error.kind()))?;
    let secrets = server.executor().secrets();
    let length = bytes.len();
    let read = || {
        let stored = decoded(bytes, &content_type)?;
        Ok(match stored {
            StoredAnswer::Json(text) => {
                StoredAnswer::Json(JsonText::trusted(secrets.masked_json(text.into_string())))
            }
            StoredAnswer::Text(text) => StoredAnswer::Text(secrets.masked(text)),
        })
    };
    let stored: Result<StoredAnswer, StoredReadError> = room.work(length, read).await;
    let stored = stored?;
    // Another charset, or a mask, makes another length.
    let resized = room.resize(length as u64, stored.len() as u64);
    resized.map_err(|no_room| StoredReadError::Room(no_room.0))?;
    Ok(stored)
}

/// Decodes a file: by its type where that is one of text, else only what is text without doubt.
fn decoded(bytes: Vec<u8>, content_type: &str) -> Result<StoredAnswer, StoredReadError> {
    let is_plain = !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok();
    if BodyType::of(Some(content_type)) == BodyType::Binary && !is_plain {
        return Err(StoredReadError::NoText(content_type.to_owned()));
    }
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let bytes = Bytes::from(bytes);
    // What is called JSON may be a part of it.
    let decoded = decode::decode(bytes.clone(), Some(content_type), most)
        .or_else(|_| decode::decode(bytes, Some("text/plain"), most));
    match decoded {
        Ok(AnswerPayload::Json(text)) => Ok(StoredAnswer::Json(text)),
        Ok(AnswerPayload::Text { text, .. }) => Ok(StoredAnswer::Text(text)),
        Ok(_) => Ok(StoredAnswer::Text(String::new())),
        Err(_) => Err(StoredReadError::NoText(content_type.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: Value) -> Result<ReadArguments, String> {
        let Value::Object(given) = given else { panic!("not an object") };
        ReadArguments::read(given).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let part = WantedPart { find: Some("x".to_owned()), from: 7, count: Some(2) };
        let asked = read(json!({ "file": "a", "find": "x", "from": "7", "count": 2 })).unwrap();
        assert_eq!(asked.query, StoredQuery::Part(part.clone()));
        let next = json!({ "file": "a", "from": 9, "find": "x", "count": 2 });
        assert_eq!(asked.next(&part, 9), next);
        assert_eq!(
            read(json!({ "jq": ".", "from": 0, "count": 0, "x": 1 })).unwrap_err(),
            "the arguments of `read_result` cannot be used: `file` (string) is required; `count` must \
             be an integer of at least 1; `jq` stands alone: write what to find, and which items, into \
             the program; there is no parameter `x`"
        );
    }

    #[test]
    fn text_is_read_and_nothing_else() {
        let kind = |bytes: &[u8], content_type| match decoded(bytes.to_vec(), content_type) {
            Ok(StoredAnswer::Json(text)) => format!("json {}", text.as_str()),
            Ok(StoredAnswer::Text(text)) => format!("text {text}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(kind(b"[ 1 ]", "application/json"), "json [1]");
        assert_eq!(kind(b"[1", "application/json"), "text [1");
        assert_eq!(kind(b"{}\n{}\n", "application/jsonl"), "json [{},{}]");
        assert_eq!(kind(b"caf\xe9", "text/plain; charset=latin1"), "text caf\u{e9}");
        assert_eq!(kind(b"a log", "application/octet-stream"), "text a log");
        assert_eq!(kind(b"\x89PNG\xff", "image/png"), "the file is no text (\"image/png\")");
    }
}
