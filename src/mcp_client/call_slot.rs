//! What a request and the transport share that carries it.
//!
//! A slot travels in the extensions of a request, which are never written. The transport puts the answer
//! into it as it came, and tells the protocol library that there is one by an empty result.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleClient,
    model::{ClientNotification, GetExtensions as _, GetMeta as _, ProgressToken, RequestId},
    service::TxJsonRpcMessage,
};
use tokio::sync::watch;

use super::{decode::ServerProgress, error::ServerFault};
use crate::{outcome::JsonText, shares::BudgetShare};

/// The result of a request as the server wrote it, without secrets and without white space between its
/// tokens. It counts as memory for as long as it lives.
pub struct RawResult {
    text: JsonText,
    memory: BudgetShare,
}

impl fmt::Debug for RawResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RawResult({} bytes)", self.text.as_str().len())
    }
}

impl RawResult {
    pub(super) fn new(text: JsonText, memory: BudgetShare) -> Self {
        Self { text, memory }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Returns a member of it, which counts as memory as the whole does.
    pub(crate) fn member(self, name: &str) -> Option<Self> {
        let Self { text, memory } = self;
        Some(Self { text: text.member(&[name])?, memory })
    }

    /// Returns the text, and what counts it as memory until it is dropped.
    pub(crate) fn into_counted(self) -> (JsonText, BudgetShare) {
        (self.text, self.memory)
    }

    /// Returns the text without a copy; it counts as memory no more.
    pub fn into_text(self) -> JsonText {
        drop(self.memory);
        self.text
    }
}

/// Where the answer to a request goes.
pub(super) struct CallSlot {
    answer: Mutex<Option<Result<RawResult, ServerFault>>>,
    progress: watch::Sender<Option<ServerProgress>>,
}

impl Default for CallSlot {
    fn default() -> Self {
        Self { answer: Mutex::default(), progress: watch::channel(None).0 }
    }
}

impl CallSlot {
    /// Puts the answer there; the first one counts.
    pub(super) fn answer(&self, answer: Result<RawResult, ServerFault>) {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(answer);
    }

    /// Takes the answer.
    pub(super) fn take(&self) -> Option<Result<RawResult, ServerFault>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells how far the request is; whoever listens hears the newest.
    pub(super) fn tell(&self, progress: ServerProgress) {
        self.progress.send_replace(Some(progress));
    }

    /// Returns what hears how far the request is.
    pub(super) fn listen(&self) -> watch::Receiver<Option<ServerProgress>> {
        self.progress.subscribe()
    }
}

/// What is under way between us and a server; a clone has the same.
#[derive(Clone, Default)]
pub(super) struct OpenRequests(Arc<Mutex<OpenTable>>);

#[derive(Default)]
struct OpenTable {
    slots: HashMap<RequestId, (Arc<CallSlot>, Option<ProgressToken>)>,
    tokens: HashMap<ProgressToken, RequestId>,
    /// Requests of the protocol library itself: introductions and subscriptions.
    plain: HashSet<RequestId>,
    /// Requests of the server that are not answered.
    of_server: HashSet<RequestId>,
}

/// Who waits for an answer.
pub(super) enum Waiting {
    Slot(Arc<CallSlot>),
    Library,
    Nobody,
}

impl OpenRequests {
    /// Notes what a message that is sent opens or closes.
    pub(super) fn sent(&self, message: &TxJsonRpcMessage<RoleClient>) {
        let mut table = self.lock();
        match message {
            TxJsonRpcMessage::<RoleClient>::Request(request) => {
                let id = request.id.clone();
                match request.request.extensions().get::<Arc<CallSlot>>() {
                    Some(slot) => {
                        let token = request.request.get_meta().get_progress_token();
                        if let Some(token) = &token {
                            table.tokens.insert(token.clone(), id.clone());
                        }
                        table.slots.insert(id, (Arc::clone(slot), token));
                    }
                    None => drop(table.plain.insert(id)),
                }
            }
            TxJsonRpcMessage::<RoleClient>::Notification(notification) => {
                if let ClientNotification::CancelledNotification(it) = &notification.notification
                    && let Some(id) = &it.params.request_id
                {
                    table.forget(id);
                }
            }
            TxJsonRpcMessage::<RoleClient>::Response(response) => {
                table.of_server.remove(&response.id);
            }
            TxJsonRpcMessage::<RoleClient>::Error(error) => {
                if let Some(id) = &error.id {
                    table.of_server.remove(id);
                }
            }
        }
    }

    /// Returns who waits for the answer to a request, which is closed with it.
    pub(super) fn answered(&self, id: &RequestId) -> (RequestId, Waiting) {
        // Some servers answer a number with its text.
        let id = match id {
            RequestId::String(text) => match text.parse() {
                Ok(number) if !self.lock().knows(id) => RequestId::Number(number),
                _ => id.clone(),
            },
            RequestId::Number(_) => id.clone(),
        };
        let waiting = self.lock().forget(&id);
        (id, waiting)
    }

    /// Forgets a request of ours that nobody waits for any more.
    pub(super) fn abandon(&self, id: &RequestId) {
        self.lock().forget(id);
    }

    /// Returns the slot of the request that goes by this token.
    pub(super) fn slot_of(&self, token: &ProgressToken) -> Option<Arc<CallSlot>> {
        let table = self.lock();
        let (slot, _) = table.slots.get(table.tokens.get(token)?)?;
        Some(Arc::clone(slot))
    }

    /// Returns whether the protocol library waits for an answer to this request.
    pub(super) fn is_plain(&self, id: &RequestId) -> bool {
        self.lock().plain.contains(id)
    }

    /// Notes a request of the server; returns whether there may be one more, of so many.
    pub(super) fn asked(&self, id: &RequestId, most: usize) -> bool {
        let mut table = self.lock();
        table.of_server.len() < most && table.of_server.insert(id.clone())
    }

    /// Forgets a request of the server that needs no answer; returns whether there was one.
    pub(super) fn withdrawn(&self, id: &RequestId) -> bool {
        self.lock().of_server.remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, OpenTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenTable {
    fn knows(&self, id: &RequestId) -> bool {
        self.slots.contains_key(id) || self.plain.contains(id)
    }

    fn forget(&mut self, id: &RequestId) -> Waiting {
        if let Some((slot, token)) = self.slots.remove(id) {
            if let Some(token) = token {
                self.tokens.remove(&token);
            }
            return Waiting::Slot(slot);
        }
        if self.plain.remove(id) { Waiting::Library } else { Waiting::Nobody }
    }
}
