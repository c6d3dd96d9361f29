//! An answer that nobody may see goes to a private file, as it came: no model, no result and no error
//! shows any of it (`_dadl_mcp.private`).

use bytes::Bytes;
use http::header;

use super::{
    CallError,
    peek::header_text,
    rpc,
    step::{RequestStep, to_usize},
};
use crate::{
    files::extension_of,
    http::backend::HttpExchange,
    outcome::{AnswerPayload, CallOutcome, HeldMemory},
    response::{
        decode::BodyType,
        rpc::{self as response, RpcReply},
    },
};

/// What is said of such an answer.
const NOTE: &str = "the answer holds secrets: it was saved to a private file, which only the account that \
                    dadl-mcp runs as can read, and is shown to nobody";

impl RequestStep<'_> {
    /// Saves an answer to a private file. What says that there is none is an error as usual.
    pub(super) async fn seal(self, exchange: HttpExchange) -> Result<CallOutcome, CallError> {
        let HttpExchange { response, attempts, retry_after, .. } = exchange;
        let status = response.status().as_u16();
        let content_type = header_text(response.headers(), &header::CONTENT_TYPE)
            .unwrap_or("application/octet-stream")
            .to_owned();
        let body = self.read(response).await?;
        let size = body.len() as u64;
        let outcome = |payload, notes| CallOutcome {
            status,
            payload,
            notes,
            next: None,
            held: HeldMemory::default(),
        };
        let mut extension = extension_of(&content_type).unwrap_or("bin");
        if let Some((rpc, sent)) = rpc::rpc_call(self.tool.rpc(), self.plan)
            && BodyType::of(Some(&content_type)) != BodyType::Binary
        {
            let text = self.backend.secrets().body(first_line(&body));
            let read = || response::read_reply(text, sent.id);
            match self.room.work(to_usize(size), read).await {
                Ok(RpcReply::Error(error)) => {
                    let about = (status, retry_after, attempts);
                    return Err(self.rpc_error((rpc, sent), error, about));
                }
                Ok(RpcReply::Result(result))
                    if is_nothing(result.as_str()) && is_one_line(&body) =>
                {
                    self.resize(size, 0)?;
                    return Ok(outcome(AnswerPayload::Empty, Vec::new()));
                }
                // Whatever it is, nobody sees it.
                Ok(RpcReply::Result(_)) | Err(_) => extension = "ndjson",
            }
        }
        if body.is_empty() {
            return Ok(outcome(AnswerPayload::Empty, Vec::new()));
        }
        let name = format!("{}.{extension}", self.tool.name);
        let file = self.executor.files.seal(&name, &content_type, body).await?;
        self.resize(size, 0)?;
        Ok(outcome(AnswerPayload::File(file), vec![NOTE.to_owned()]))
    }
}

/// Returns whether a result says that all there is to say is that it was done.
fn is_nothing(result: &str) -> bool {
    matches!(result, "null" | "true" | "{}")
}

/// Returns the first line that is not empty: the answer, or what announces the list that follows.
fn first_line(body: &Bytes) -> Bytes {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    let rest = body.slice(start..);
    let end = memchr::memchr(b'\n', &rest).unwrap_or(rest.len());
    // An answer may be written over several lines.
    let line = rest.slice(..end);
    if line.trim_ascii_end().ends_with(b"}") { line } else { rest }
}

fn is_one_line(body: &Bytes) -> bool {
    let line = first_line(body).len();
    body.trim_ascii().len() <= line
}
