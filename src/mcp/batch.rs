//! Batches: an array of messages instead of one, which the revision of 2025-03-26 has and no other.
//!
//! The messages of a batch are handled as if each had come alone. Their answers go back together:
//! on a stream of lines as one array, when the last of them is there; over HTTP as the events of one
//! answer (`http::batches`). What the server sends meanwhile waits for none of them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleServer,
    model::{
        ClientNotification, ClientRequest, ErrorCode, JsonRpcMessage, ProtocolVersion, RequestId,
        ServerResult,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
};
use serde_json::{Value, value::RawValue};

use super::{
    json_rpc::{LineAction, error_line, id_of, parse_line},
    message_limits, param_shapes,
};

/// How many messages a batch may have.
const MOST_PARTS: usize = 64;

/// Why a batch is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("batches are part of 2025-03-26 only; this session speaks {0}; send one object")]
    Revision(ProtocolVersion),
    #[error("batches are part of 2025-03-26 only, in a session that speaks it; send one object")]
    NoSession,
    #[error("the batch is empty")]
    Empty,
    #[error("the batch has {0} messages, and may have {MOST_PARTS}")]
    TooMany(usize),
}

impl BatchError {
    /// Makes the reply to the whole.
    pub(super) fn reply(&self) -> Vec<u8> {
        let code = match self {
            Self::NotJson(_) => ErrorCode::PARSE_ERROR,
            _ => ErrorCode::INVALID_REQUEST,
        };
        error_line(&Value::Null, code, &self.to_string())
    }
}

/// A message of a batch.
#[derive(Debug)]
pub(super) struct BatchMessage {
    pub(super) text: Vec<u8>,
    pub(super) message: Box<RxJsonRpcMessage<RoleServer>>,
    /// What it takes in memory.
    pub(super) weight: u64,
}

/// The messages of a batch.
#[derive(Debug, Default)]
pub(super) struct MessageBatch {
    pub(super) parts: Vec<BatchMessage>,
    /// The ids of the requests among them.
    pub(super) ids: HashSet<RequestId>,
    /// The answers to what is no message, and to requests that have no place in a batch.
    pub(super) answers: Vec<Vec<u8>>,
}

/// Returns whether a text is a batch, if it is anything.
pub(super) fn is_batch(text: &[u8]) -> bool {
    trim_message(text).first() == Some(&b'[')
}

fn trim_message(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii()
}

/// Reads a batch in a session of this revision.
///
/// # Errors
///
/// Why there is none.
pub(super) fn read_batch(
    text: &[u8],
    version: Option<&ProtocolVersion>,
) -> Result<MessageBatch, BatchError> {
    let texts: Vec<&RawValue> = serde_json::from_slice(trim_message(text))?;
    match version {
        Some(version) if *version == ProtocolVersion::V_2025_03_26 => {}
        Some(version) => return Err(BatchError::Revision(version.clone())),
        None => return Err(BatchError::NoSession),
    }
    match texts.len() {
        0 => return Err(BatchError::Empty),
        count if count > MOST_PARTS => return Err(BatchError::TooMany(count)),
        _ => {}
    }
    let mut batch = MessageBatch::default();
    for text in texts {
        batch.add(text.get().as_bytes());
    }
    Ok(batch)
}

impl MessageBatch {
    fn add(&mut self, text: &[u8]) {
        let refused = |code, reason: &str| error_line(&id_of(text), code, reason);
        let weight = match message_limits::weigh(text) {
            Ok(weight) => weight,
            Err(error) => return self.answers.push(refused(error.code(), &error.to_string())),
        };
        let message = match parse_line(text) {
            LineAction::Message(message) => message,
            LineAction::Reply(reply) => return self.answers.push(reply),
            LineAction::Ignore => return,
        };
        if let JsonRpcMessage::Request(request) = &*message {
            let reason = if is_introduction(&request.request) {
                Some("`initialize` cannot be in a batch")
            } else if self.ids.insert(request.id.clone()) {
                None
            } else {
                Some("the batch has a request with this id already")
            };
            if let Some(reason) = reason {
                return self.answers.push(refused(ErrorCode::INVALID_REQUEST, reason));
            }
        }
        self.parts.push(BatchMessage { text: text.to_owned(), message, weight });
    }
}

fn is_introduction(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::CustomRequest(custom) => custom.method == param_shapes::INITIALIZE,
        _ => false,
    }
}

/// Writes answers as one array.
pub(super) fn join_answers(answers: &[Vec<u8>]) -> Vec<u8> {
    let texts: Vec<&[u8]> = answers.iter().map(|answer| answer.trim_ascii()).collect();
    [b"[", texts.join(&b","[..]).as_slice(), b"]\n"].concat()
}

/// Returns the request that a message cancels.
pub(super) fn cancelled(message: &RxJsonRpcMessage<RoleServer>) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Notification(notification) => match &notification.notification {
            ClientNotification::CancelledNotification(cancelled) => {
                cancelled.params.request_id.as_ref()
            }
            _ => None,
        },
        _ => None,
    }
}

/// Returns the revision that an answer agrees on.
pub(super) fn agreed(message: &TxJsonRpcMessage<RoleServer>) -> Option<&ProtocolVersion> {
    match message {
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(result) => Some(&result.protocol_version),
            _ => None,
        },
        _ => None,
    }
}

/// The batches of a stream that are not answered yet; a clone has the same.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenBatches(Arc<Mutex<BatchTable>>);

#[derive(Debug, Default)]
struct BatchTable {
    version: Option<ProtocolVersion>,
    waiting: Vec<WaitingBatch>,
}

/// A batch and the answers that are there.
#[derive(Debug)]
struct WaitingBatch {
    ids: HashSet<RequestId>,
    answers: Vec<Vec<u8>>,
}

impl OpenBatches {
    fn open(&self) -> MutexGuard<'_, BatchTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the revision of the session.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.open().version.clone()
    }

    /// Waits for the answers to these requests. Returns what can be sent at once.
    pub(super) fn wait(&self, ids: HashSet<RequestId>, answers: Vec<Vec<u8>>) -> Option<Vec<u8>> {
        if ids.is_empty() {
            return (!answers.is_empty()).then(|| join_answers(&answers));
        }
        self.open().waiting.push(WaitingBatch { ids, answers });
        None
    }

    /// Takes a message that is to be sent, in text; returns what is sent instead of it now.
    pub(super) fn sent(
        &self,
        message: &TxJsonRpcMessage<RoleServer>,
        mut line: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        let mut open = self.open();
        if let Some(version) = agreed(message) {
            open.version = Some(version.clone());
        }
        let at = id.and_then(|id| open.waiting.iter().position(|it| it.ids.contains(id)));
        if let (Some(at), Some(id)) = (at, id) {
            if let Some(waiting) = open.waiting.get_mut(at) {
                waiting.answers.push(line);
            }
            return open.leave(at, id);
        }
        line.push(b'\n');
        Some(line)
    }

    /// Waits no more for a request that was cancelled and has no answer; returns what is sent now.
    pub(super) fn cancelled(&self, id: &RequestId) -> Option<Vec<u8>> {
        let mut open = self.open();
        let at = open.waiting.iter().position(|it| it.ids.contains(id))?;
        open.leave(at, id)
    }
}

impl BatchTable {
    /// Takes a request out of a batch; returns its answers when it was the last.
    fn leave(&mut self, at: usize, id: &RequestId) -> Option<Vec<u8>> {
        let waiting = self.waiting.get_mut(at)?;
        waiting.ids.remove(id);
        if !waiting.ids.is_empty() {
            return None;
        }
        let WaitingBatch { answers, .. } = self.waiting.remove(at);
        (!answers.is_empty()).then(|| join_answers(&answers))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Result<MessageBatch, BatchError> {
        read_batch(value.to_string().as_bytes(), Some(&ProtocolVersion::V_2025_03_26))
    }

    fn ping(id: u32) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })
    }

    fn answers(batch: &MessageBatch) -> Value {
        serde_json::from_slice(&join_answers(&batch.answers)).unwrap()
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": 1 } });
        let initialize = json!({ "jsonrpc": "2.0", "id": 5, "method": "initialize", "params": {} });
        let batch = of(&json!([ping(1), cancel, ping(1), initialize, { "id": 6 }, 7, [], ping(2)]))
            .unwrap();
        assert_eq!(batch.parts.len(), 3);
        assert_eq!(batch.ids.len(), 2);
        assert_eq!(cancelled(&batch.parts[1].message), Some(&RequestId::Number(1)));
        let answers = answers(&batch);
        let ids: Vec<&Value> = answers.as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&json!(1), &json!(5), &json!(6), &Value::Null, &Value::Null]);
        assert!(answers.as_array().unwrap().iter().all(|it| it["error"]["code"] == -32600));
    }

    #[test]
    fn other_revisions_have_none() {
        let text = b"[{}]";
        let reason = |version| read_batch(text, version).unwrap_err().to_string();
        assert!(reason(Some(&ProtocolVersion::V_2025_06_18)).contains("speaks 2025-06-18"));
        assert!(reason(None).contains("in a session"));
        assert!(of(&json!([])).unwrap_err().to_string().contains("empty"));
        let many: Vec<Value> = (0..65).map(ping).collect();
        assert!(of(&json!(many)).unwrap_err().to_string().contains("65 messages, and may have 64"));
        assert!(of(&json!(many[..64])).is_ok());
    }

    #[test]
    fn answers_wait_for_each_other() {
        let batches = OpenBatches::default();
        let id = RequestId::Number;
        let answer = |number: i64| {
            let message =
                TxJsonRpcMessage::<RoleServer>::response(ServerResult::empty(()), id(number));
            let line = serde_json::to_vec(&message).unwrap();
            batches.sent(&message, line)
        };
        assert_eq!(batches.wait(HashSet::new(), Vec::new()), None);
        assert_eq!(batches.wait(HashSet::new(), vec![b"{}\n".to_vec()]), Some(b"[{}]\n".to_vec()));
        assert_eq!(
            batches.wait(HashSet::from([id(1), id(2), id(3)]), vec![b"{}\n".to_vec()]),
            None
        );
        assert_eq!(batches.wait(HashSet::from([id(4)]), Vec::new()), None);
        assert_eq!(answer(2), None);
        assert!(answer(9).unwrap().starts_with(b"{"));
        assert_eq!(batches.cancelled(&id(4)), None);
        assert_eq!(batches.cancelled(&id(3)), None);
        let all: Value = serde_json::from_slice(&answer(1).unwrap()).unwrap();
        assert_eq!(
            (&all[1]["id"], &all[2]["id"], all.as_array().unwrap().len()),
            (&json!(2), &json!(1), 3)
        );
        assert!(answer(3).unwrap().starts_with(b"{"), "it is an answer of its own now");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_makes_it_fail(text in proptest::collection::vec(any::<u8>(), 0..100), json in "[\\[\\]{},:\"0a]{0,40}") {
            let version = Some(&ProtocolVersion::V_2025_03_26);
            let _ = read_batch(&text, version);
            if let Ok(batch) = read_batch(json.as_bytes(), version) {
                prop_assert!(batch.parts.len() + batch.answers.len() <= MOST_PARTS);
                prop_assert!(serde_json::from_slice::<Value>(&join_answers(&batch.answers)).is_ok());
            }
        }
    }
}
