//! A call of a tool of another MCP server, from its turn to its result.
//!
//! The arguments were checked, and a server gets them by its own names. What it answers is a stranger's
//! text: it came without our secrets, and is a value for whoever called, never a command.

use dadl_text::{
    json::scan,
    text::{cut_text, one_line},
};
use serde::Deserialize;

use super::{CallContext, CallError, Executor, ToolFailure, inline::InlinedTexts};
use crate::{
    catalog::ServerTool,
    gate::Admitted,
    mcp_client::{RawResult, ServerProgress, ToolAnswer},
    outcome::{AnswerPayload, CallOutcome, CallProgress, HeldMemory, JsonText},
};

/// What a server says of its progress is cut behind so many characters.
const LONGEST_MESSAGE: usize = 200;

/// What a tool says of its failure is cut behind so many characters.
const LONGEST_FAILURE: usize = 4000;

/// The status that outcomes of servers have: there is none of HTTP, and what came is a result.
const STATUS: u16 = 200;

/// A block of a result; only text is looked into.
#[derive(Debug, Deserialize)]
struct ContentBlock {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

impl ContentBlock {
    /// Returns the text of a block that is one.
    fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| self.kind == "text")
    }
}

/// What a result comes to.
#[derive(Debug, PartialEq)]
enum ReadResult {
    Failure(String),
    Payload(ResultParts),
}

/// The parts of a result that a caller gets.
#[derive(Debug, PartialEq)]
enum ResultParts {
    Empty,
    Json(JsonText),
    Text(String),
}

impl Executor {
    /// Executes a call of a server's tool.
    pub(super) async fn call_server(
        &self,
        call: &Admitted<'_>,
        tool: &ServerTool,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let entry = call.entry();
        let turns = self.turns(entry, false, context).await?;
        let room = self.bounds.room(&context.client);
        let inlined = self.inlined_texts(call.arguments(), &room).await?;
        let arguments = match &inlined {
            Some(InlinedTexts { arguments, .. }) => arguments.as_wire(),
            None => call.arguments().as_wire(),
        };
        let link = self.server_link(entry.backend)?;
        let time = self.client(entry)?.settings().timeouts.call;
        let listener = |progress: &ServerProgress| context.observer.progress(told(progress));
        let answer = link.call(&tool.name, arguments, time, &listener).await;
        drop(turns);
        let answer = answer.map_err(|error| CallError::from(error).of_server_write(call))?;
        let failed = |message: String| {
            CallError::ToolFailed(Box::new(ToolFailure {
                backend: entry.backend_name.to_string(),
                tool: cut_text(&one_line(&tool.name), LONGEST_MESSAGE).into_owned(),
                message,
            }))
        };
        match answer {
            ToolAnswer::Done(result) => outcome(result, failed),
            ToolAnswer::InputNeeded(_) => {
                Err(failed("it asks for more input, which cannot be handed on yet".to_owned()))
            }
            ToolAnswer::Task(_) => {
                let message = "it goes on as a task, which cannot be followed yet".to_owned();
                Err(failed(message).of_server_write(call))
            }
        }
    }
}

fn outcome(
    result: RawResult,
    failed: impl FnOnce(String) -> CallError,
) -> Result<CallOutcome, CallError> {
    let (text, memory) = result.into_counted();
    let payload = match read_result(text) {
        ReadResult::Failure(message) => return Err(failed(message)),
        ReadResult::Payload(ResultParts::Empty) => AnswerPayload::Empty,
        ReadResult::Payload(ResultParts::Json(text)) => AnswerPayload::Json(text),
        ReadResult::Payload(ResultParts::Text(text)) => {
            AnswerPayload::Text { content_type: "text/plain".to_owned(), text }
        }
    };
    let (notes, held) = (Vec::new(), HeldMemory::by(memory));
    Ok(CallOutcome { status: STATUS, payload, notes, next: None, held })
}

/// Reads a result: its structured content where it has some, its text where it has nothing else, and all
/// of it otherwise.
fn read_result(text: JsonText) -> ReadResult {
    let member = |name: &str| scan::member_at(text.as_str(), &[name]);
    let content = member("content").unwrap_or("[]");
    // Blocks that cannot be read are handed on as they came.
    let content: Option<Vec<ContentBlock>> = serde_json::from_str(content).ok();
    let is_read = content.is_some();
    let content = content.unwrap_or_default();
    let texts: Vec<&str> = content.iter().filter_map(ContentBlock::text).collect();
    let is_text = is_read && texts.len() == content.len();
    if member("isError") == Some("true") {
        let words = if texts.is_empty() { text.as_str().to_owned() } else { texts.join("\n") };
        return ReadResult::Failure(cut_text(words.trim(), LONGEST_FAILURE).into_owned());
    }
    let structured = member("structuredContent").filter(|it| *it != "null");
    let payload = match (structured, texts.as_slice()) {
        // Other parts would be lost.
        (Some(structured), _) if is_text => {
            ResultParts::Json(JsonText::trusted(structured.to_owned()))
        }
        (None, []) if is_text => ResultParts::Empty,
        (None, [one]) if is_text => match object_or_list(one) {
            Some(json) => ResultParts::Json(json),
            None => ResultParts::Text((*one).to_owned()),
        },
        (None, several) if is_text => ResultParts::Text(several.join("\n")),
        _ => ResultParts::Json(text),
    };
    ReadResult::Payload(payload)
}

/// Reads a text that is an object or a list of JSON: other JSON is a text as well.
fn object_or_list(text: &str) -> Option<JsonText> {
    let start = text.trim_start();
    if !start.starts_with(['{', '[']) {
        return None;
    }
    JsonText::parse(text).ok()
}

/// Says how far a server is.
pub(super) fn told(progress: &ServerProgress) -> CallProgress {
    let message = progress.message.as_deref().unwrap_or_default();
    let message = cut_text(&one_line(message), LONGEST_MESSAGE).into_owned();
    CallProgress { done: whole(progress.progress), total: progress.total.map(whole), message }
}

/// Returns the whole part of a number; none is less than 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, which is meant"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(result: Value) -> ReadResult {
        read_result(JsonText::parse(&result.to_string()).unwrap())
    }

    fn json_of(value: Value) -> ReadResult {
        ReadResult::Payload(ResultParts::Json(JsonText::parse(&value.to_string()).unwrap()))
    }

    fn text_of(text: &str) -> ReadResult {
        ReadResult::Payload(ResultParts::Text(text.to_owned()))
    }

    fn block(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[test]
    fn a_result_is_its_content_and_nothing_of_it_is_lost() {
        assert_eq!(read(json!({ "content": [block("hello")] })), text_of("hello"));
        assert_eq!(read(json!({ "content": [block("5")] })), text_of("5"));
        assert_eq!(read(json!({ "content": [block("a"), block("b")] })), text_of("a\nb"));
        assert_eq!(read(json!({ "content": [block("{\"a\":1}")] })), json_of(json!({ "a": 1 })));
        assert_eq!(read(json!({ "content": [block("{a: 1}")] })), text_of("{a: 1}"));
        let structured = json!({ "content": [block("1")], "structuredContent": { "sum": 1 } });
        assert_eq!(read(structured), json_of(json!({ "sum": 1 })));
        for nothing in [json!({}), json!({ "content": [] })] {
            assert_eq!(read(nothing), ReadResult::Payload(ResultParts::Empty));
        }
        for whole in [
            json!({ "content": [block("a"), { "type": "image", "data": "AA==" }] }),
            json!({ "content": [{ "type": "new", "text": "a" }] }),
            json!({ "content": "no list" }),
            json!({ "content": [{ "type": "image" }], "structuredContent": { "a": 1 } }),
        ] {
            assert_eq!(read(whole.clone()), json_of(whole));
        }
    }

    #[test]
    fn a_failure_is_what_the_tool_says() {
        let failure = |text: &str| ReadResult::Failure(text.to_owned());
        let content = json!([block("no such file"), block("try another")]);
        let result = json!({ "content": content, "isError": true });
        assert_eq!(read(result), failure("no such file\ntry another"));
        // What cannot be read is no success.
        let ReadResult::Failure(_) = read(json!({ "isError": true, "content": [{ "text": 1 }] }))
        else {
            panic!("no failure");
        };
        let result = json!({ "content": [block("a")], "isError": false });
        assert_eq!(read(result), text_of("a"));
        let ReadResult::Failure(words) =
            read(json!({ "content": [block(&"x".repeat(10_000))], "isError": true }))
        else {
            panic!("no failure");
        };
        assert!(words.chars().count() <= LONGEST_FAILURE + 1);
    }

    #[test]
    fn progress_is_bounded() {
        let of = |progress, message: &str| {
            told(&ServerProgress { progress, total: Some(f64::NAN), message: Some(message.into()) })
        };
        assert_eq!(of(2.7, "half\nway").message, "half way");
        assert_eq!((of(2.7, "").done, of(-1.0, "").done, of(2.7, "").total), (2, 0, Some(0)));
        assert!(of(f64::INFINITY, &"x".repeat(1000)).message.chars().count() <= 201);
    }
}
