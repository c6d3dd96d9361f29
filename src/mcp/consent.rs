//! Asks the person before a dangerous call.
//!
//! A host before 2026-07-28 is asked while the call waits (`elicitation/create`). A later one gets
//! the question as the result of the call and sends the call again with the answer; what binds the
//! two is a state that this process has sealed. Either way the answer makes a
//! [`CallConsent`] for exactly the call that was shown.
//!
//! **Invariant:** nothing that a model writes into arguments can confirm. The answer comes from
//! the host, the sealed state holds the digest of the call, and it is good once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{
        CallToolRequestParams, CancelledNotificationParam, ClientCapabilities, ClientResult,
        ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        InputRequest, InputRequiredResult, ProtocolVersion, RequestId, RequestStateCodec,
        RequestStateError, SealOptions, ServerRequest,
    },
    service::{PeerRequestOptions, RequestContext, ServiceError},
};
use rustls::crypto::ring;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::time::Instant;

use super::request_owner::client_key;
use crate::{
    executor::{ChangeRefusal, Executor, TimedPreview},
    gate::{
        CallConsent, CallDigest, PendingCall,
        preview::{CallPreview, PREVIEW_FRESH},
    },
    shares::ClientKey,
};

/// How long a person may take: less than the shortest host that waits for minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(540);
/// The key of the question.
const CONFIRM: &str = "confirm";
/// The key of what another server asks.
pub(super) const QUESTION: &str = "question";
/// What a sealed state is for.
const PURPOSE: &[u8] = b"dadl-mcp/confirm";
/// The same of one that leads back to a call of another server: it confirms nothing.
const CALL_PURPOSE: &[u8] = b"dadl-mcp/question";
const NONCE_BYTES: usize = 16;

/// What became of the question.
pub(super) enum ConsentAnswer {
    /// The host has to put this question and call again.
    Ask(InputRequiredResult),
    /// The person agreed.
    Given(CallConsent),
    /// Nobody agreed, and why.
    Refused(String),
    /// The state is none that this process has sealed.
    Forged,
}

/// What a host is told whose state does not verify.
pub(super) const FORGED: &str = "`requestState` was not made by this server, or it was changed, or \
                                 the server has been started anew since; send the call without it";

/// Puts questions and remembers which answers were used.
pub(super) struct ConsentBroker {
    /// `None` where the system has no random numbers; then such hosts cannot confirm.
    codec: Option<RequestStateCodec>,
    used: Mutex<HashMap<[u8; NONCE_BYTES], Instant>>,
    /// Times in a sealed state count from here.
    began: Instant,
}

impl ConsentBroker {
    /// Makes a keeper with a key of its own: what another process sealed does not open.
    pub(super) fn new() -> Self {
        let key = random_bytes::<{ RequestStateCodec::MIN_KEY_LENGTH }>();
        let codec = key.and_then(|key| RequestStateCodec::try_new(key.to_vec()).ok());
        Self { codec, used: Mutex::default(), began: Instant::now() }
    }

    /// Asks for the person's consent to `pending`.
    pub(super) async fn obtain(
        &self,
        pending: &PendingCall<'_>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
        executor: &Executor,
    ) -> ConsentAnswer {
        if !can_ask(context.client_capabilities().as_ref()) {
            return ConsentAnswer::Refused(cannot_ask(pending));
        }
        let multi_round =
            context.protocol_version().is_some_and(|v| v >= ProtocolVersion::V_2026_07_28);
        match (multi_round, retry.state) {
            (false, _) => ask_now(pending, context, executor).await,
            (true, None) => {
                let client = client_key(&context.extensions);
                self.ask(pending, executor.preview(pending, &client).await)
            }
            (true, Some(state)) => {
                let client = client_key(&context.extensions);
                self.redeem(pending, &state, retry.answer.as_ref(), (executor, &client)).await
            }
        }
    }

    /// Seals the digest of what a person is asked about, and makes it good for one answer.
    pub(super) fn seal(&self, digest: &[u8; 32]) -> Option<(ConsentNonce, String)> {
        self.seal_shown(digest, &[], PURPOSE)
    }

    /// Seals the digest of a call that waits for what its server asks. Nothing is confirmed by it.
    pub(super) fn seal_call(&self, digest: &CallDigest) -> Option<(ConsentNonce, String)> {
        self.seal_shown(digest.as_bytes(), &[], CALL_PURPOSE)
    }

    /// Opens a state that [`seal_call`](Self::seal_call) has made, and spends it.
    pub(super) fn open_call(&self, state: &str) -> Result<(CallDigest, ConsentNonce), StateError> {
        let opened = self.open_shown(state, CALL_PURPOSE);
        opened.map(|it| (CallDigest::from_bytes(it.digest), it.nonce))
    }

    /// Does so with what else the person is shown.
    fn seal_shown(
        &self,
        digest: &[u8; 32],
        shown: &[u8],
        purpose: &[u8],
    ) -> Option<(ConsentNonce, String)> {
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let payload = [digest.as_slice(), shown, &nonce].concat();
        let options = SealOptions::new().associated_data(purpose).ttl(PATIENCE);
        Some((nonce, self.codec.as_ref()?.seal_with(&payload, &options)))
    }

    /// Opens a state that [`seal`](Self::seal) has made, and spends it.
    pub(super) fn open(&self, state: &str) -> Result<([u8; 32], ConsentNonce), StateError> {
        self.open_shown(state, PURPOSE).map(|SealedQuestion { digest, nonce, .. }| (digest, nonce))
    }

    fn open_shown(&self, state: &str, purpose: &[u8]) -> Result<SealedQuestion, StateError> {
        let payload = match self.codec.as_ref().map(|codec| codec.open_with(state, purpose)) {
            Some(Ok(payload)) => payload,
            Some(Err(RequestStateError::Expired)) => return Err(StateError::Expired),
            Some(Err(_)) | None => return Err(StateError::Forged),
        };
        let (Some(sealed), Some(nonce)) = (payload.first_chunk(), payload.last_chunk()) else {
            return Err(StateError::Forged);
        };
        // The state is spent whatever the answer is: a no cannot become a yes later.
        if !self.spend(*nonce) {
            return Err(StateError::Used);
        }
        let shown = payload.get(sealed.len()..payload.len() - nonce.len());
        let shown = shown.and_then(ShownPreview::from_bytes);
        Ok(SealedQuestion { digest: *sealed, nonce: *nonce, shown })
    }

    /// Has the host put the question, and call again.
    fn ask(&self, pending: &PendingCall<'_>, preview: CallPreview) -> ConsentAnswer {
        let at = self.began.elapsed();
        let shown = pending.has_preview().then(|| ShownPreview { digest: preview.digest(), at });
        let shown = shown.map(ShownPreview::into_bytes).unwrap_or_default();
        match self.seal_shown(pending.digest().as_bytes(), &shown, PURPOSE) {
            Some((_, state)) => {
                ConsentAnswer::Ask(put_later(pending.question_about(&preview), state))
            }
            None => ConsentAnswer::Refused("the system has no random numbers".to_owned()),
        }
    }

    /// Takes the answer that came with a repeated call.
    async fn redeem(
        &self,
        pending: &PendingCall<'_>,
        state: &str,
        answer: Option<&Value>,
        (executor, client): (&Executor, &ClientKey),
    ) -> ConsentAnswer {
        let refused = |reason: &str| ConsentAnswer::Refused(reason.to_owned());
        let sealed = match self.open_shown(state, PURPOSE) {
            Ok(sealed) => sealed,
            Err(StateError::Expired) => {
                return refused("the question was open for too long; call again to ask anew");
            }
            Err(StateError::Used) => {
                return refused("the confirmation was used already; call again to ask anew");
            }
            Err(StateError::Forged) => return ConsentAnswer::Forged,
        };
        if CallDigest::from_bytes(sealed.digest) != pending.digest() {
            return refused("the confirmation was given for another call or other arguments");
        }
        // A host that sends none has not put the question.
        let Some(answer) = answer else {
            return self.ask(pending, executor.preview(pending, client).await);
        };
        let judged = match ElicitResult::deserialize(answer) {
            Ok(answer) => judge_answer(pending, &answer),
            Err(_) => ConsentAnswer::Refused(no_answer(pending)),
        };
        let ConsentAnswer::Given(_) = judged else { return judged };
        // What the person has seen may be otherwise by now.
        let is_old =
            |shown: &ShownPreview| self.began.elapsed().saturating_sub(shown.at) > PREVIEW_FRESH;
        if let Some(shown) = sealed.shown.filter(is_old) {
            let preview = executor.preview(pending, client).await;
            if preview.digest() != shown.digest {
                return self.ask(pending, preview.renewed());
            }
        }
        judged
    }

    /// Returns whether this is the first use of `nonce`.
    fn spend(&self, nonce: [u8; NONCE_BYTES]) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // Older states do not open any more; the margin covers the wall clock of the seal.
        used.retain(|_, at| at.elapsed() < PATIENCE * 2);
        used.insert(nonce, Instant::now()).is_none()
    }
}

/// What a sealed state says.
struct SealedQuestion {
    /// Of what was asked.
    digest: [u8; 32],
    nonce: ConsentNonce,
    /// Where something was shown besides.
    shown: Option<ShownPreview>,
}

/// What a person was shown of the thing that a call is about.
struct ShownPreview {
    digest: [u8; 32],
    /// When it was read, from the start of this process.
    at: Duration,
}

impl ShownPreview {
    fn into_bytes(self) -> Vec<u8> {
        let millis = u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX);
        [self.digest.as_slice(), &millis.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, at) = bytes.split_first_chunk()?;
        let at = Duration::from_millis(u64::from_be_bytes(at.try_into().ok()?));
        Some(Self { digest: *digest, at })
    }
}

/// What makes a question one of its own.
pub(super) type ConsentNonce = [u8; NONCE_BYTES];

/// Why a state does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateError {
    /// It was sealed too long ago.
    Expired,
    /// It was answered before.
    Used,
    /// This process has not sealed it.
    Forged,
}

/// What a repeated call of 2026-07-28 brings along.
#[derive(Default)]
pub(super) struct ConsentRetry {
    pub(super) state: Option<String>,
    pub(super) answer: Option<Value>,
    /// The answer to what another server asked.
    pub(super) given: Option<Value>,
}

impl ConsentRetry {
    /// Takes the answer out of a request.
    pub(super) fn take(request: &mut CallToolRequestParams) -> Self {
        let mut answers = request.input_responses.take().unwrap_or_default();
        let state = request.request_state.take();
        Self { state, answer: answers.remove(CONFIRM), given: answers.remove(QUESTION) }
    }
}

/// Returns whether the client shows forms to a person; an empty capability means forms.
pub(super) fn can_ask(capabilities: Option<&ClientCapabilities>) -> bool {
    capabilities
        .and_then(|capabilities| capabilities.elicitation.as_ref())
        .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}

fn cannot_ask(pending: &PendingCall<'_>) -> String {
    format!(
        "it is dangerous and this host cannot ask a person to confirm. Tell the person: they can \
         {}. There is no other way",
        otherwise(pending)
    )
}

/// Says what a person can do where nobody can be asked.
fn otherwise(pending: &PendingCall<'_>) -> String {
    if pending.is_simulated() {
        return format!(
            "attach `dadl-mcp serve --demo` to a host that can ask, such as Claude Code or Codex, or \
             run `dadl-mcp call {} .. --demo` in a terminal, which begins with fresh data",
            pending.entry().name
        );
    }
    let terminal = pending.terminal();
    let command = format!("dadl-mcp call {} ..{}", pending.entry().name, terminal.flags);
    if terminal.has_no_file {
        return format!("run `{command}` in a terminal, with the arguments in place of the dots");
    }
    format!(
        "run `{command}` in a terminal, or the operator can set `confirm: never` for backend \
         \"{}\" in backends.yaml",
        pending.entry().backend_name
    )
}

fn no_answer(pending: &PendingCall<'_>) -> String {
    format!("the host sent no answer to the question; the person can {}", otherwise(pending))
}

/// Makes the form: the whole call. It has no box: who accepts it means yes, and hosts show boxes
/// that are not ticked.
fn form(message: String) -> ElicitRequestParams {
    let requested_schema = ElicitationSchema::new(BTreeMap::new());
    ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema }
}

/// Makes the answer that has the host put a question, and call again.
pub(super) fn put_later(message: String, state: String) -> InputRequiredResult {
    let request = InputRequest::Elicitation(ElicitRequest::new(form(message)));
    let requests = BTreeMap::from([(CONFIRM.to_owned(), request)]);
    InputRequiredResult::new(Some(requests), Some(state))
}

/// What became of a question that is not about a single call.
pub(super) fn judge_plainly(answer: &Value) -> Result<(), ChangeRefusal> {
    match ElicitResult::deserialize(answer) {
        Ok(answer) if answer.action == ElicitationAction::Accept => Ok(()),
        Ok(_) => Err(ChangeRefusal::Declined),
        Err(_) => Err(ChangeRefusal::NoAnswer),
    }
}

/// Asks a person while the request waits.
pub(super) async fn ask_person(
    message: String,
    context: &RequestContext<RoleServer>,
) -> Result<(), ChangeRefusal> {
    match put_now(message, Instant::now() + PATIENCE, context).await {
        Ok(ClientResult::ElicitResult(answer)) if answer.action == ElicitationAction::Accept => {
            Ok(())
        }
        Ok(ClientResult::ElicitResult(_)) => Err(ChangeRefusal::Declined),
        Ok(_) => Err(ChangeRefusal::NoAnswer),
        Err(ServiceError::Timeout { .. }) => Err(ChangeRefusal::Late(PATIENCE)),
        Err(error) => {
            tracing::debug!(%error, "the host could not ask");
            Err(ChangeRefusal::CannotAsk)
        }
    }
}

/// Puts a question while the call waits, until then.
async fn put_now(
    message: String,
    deadline: Instant,
    context: &RequestContext<RoleServer>,
) -> Result<ClientResult, ServiceError> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form(message)));
    put_request(request, deadline, context).await
}

/// Has the host answer a request while the call waits, until then; it is withdrawn with the call.
pub(super) async fn put_request(
    request: ServerRequest,
    deadline: Instant,
    context: &RequestContext<RoleServer>,
) -> Result<ClientResult, ServiceError> {
    let options =
        PeerRequestOptions::with_timeout(deadline.saturating_duration_since(Instant::now()));
    let asked = context.peer.send_cancellable_request(request, options).await;
    match asked {
        Ok(question) => {
            let mut withdrawal =
                QuestionWithdrawal { context, question: Some(question.id.clone()) };
            let answer = question.await_response().await;
            withdrawal.question = None;
            answer
        }
        Err(error) => Err(error),
    }
}

/// Asks while the call waits; and again, when what the person has seen has changed since.
async fn ask_now(
    pending: &PendingCall<'_>,
    context: &RequestContext<RoleServer>,
    executor: &Executor,
) -> ConsentAnswer {
    let deadline = Instant::now() + PATIENCE;
    let client = client_key(&context.extensions);
    let mut seen = TimedPreview::read(executor, pending, &client).await;
    loop {
        let judged = match put_now(pending.question_about(&seen.preview), deadline, context).await {
            Ok(ClientResult::ElicitResult(answer)) => judge_answer(pending, &answer),
            Ok(_) => ConsentAnswer::Refused(no_answer(pending)),
            Err(ServiceError::Timeout { .. }) => {
                ConsentAnswer::Refused(ChangeRefusal::Late(PATIENCE).to_string())
            }
            Err(error) => {
                tracing::debug!(%error, "the host could not ask");
                ConsentAnswer::Refused(cannot_ask(pending))
            }
        };
        let ConsentAnswer::Given(_) = judged else { return judged };
        match seen.changed(executor, pending, &client).await {
            Some(newer) => seen = newer,
            None => return judged,
        }
    }
}

/// Takes the question back when the call is dropped while it is open.
struct QuestionWithdrawal<'context> {
    context: &'context RequestContext<RoleServer>,
    question: Option<RequestId>,
}

impl Drop for QuestionWithdrawal<'_> {
    fn drop(&mut self) {
        let Some(question) = self.question.take() else { return };
        let peer = self.context.peer.clone();
        let reason = Some("the call was cancelled".to_owned());
        crate::spawn::task(async move {
            let params = CancelledNotificationParam::new(Some(question), reason);
            // The client may be gone, and the question with it.
            let _ = peer.notify_cancelled(params).await;
        });
    }
}

/// Only an accepted form is a yes, whatever a host writes into it. A host that can show no form says no
/// by itself, though it said that it can ask: nobody knows here whether a person has seen it.
fn judge_answer(pending: &PendingCall<'_>, answer: &ElicitResult) -> ConsentAnswer {
    let refused = |what: &str| {
        ConsentAnswer::Refused(format!(
            "{what}. Do not try again unasked. If nobody has seen the question, the person can {}",
            otherwise(pending)
        ))
    };
    match answer.action {
        ElicitationAction::Accept => ConsentAnswer::Given(CallConsent::given_for(pending.digest())),
        ElicitationAction::Cancel => refused(
            "the question was closed without an answer, by the person or by a host that shows none",
        ),
        _ => refused("the question was declined, by the person or by a host that shows none"),
    }
}

/// Returns random bytes of the system.
fn random_bytes<const LENGTH: usize>() -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, live};

    /// The times after which hosts give up on a call, in seconds, as the page for them says.
    fn patience_of_hosts() -> Vec<u64> {
        let page = include_str!("../../docs/hosts.md");
        let (_, table) = page.split_once("| host | length of a result | time of a call |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(3));
        let numbers = |cell: &str| -> Vec<u64> {
            let plain = cell.replace(',', "");
            let unit = if cell.contains("in ms") { 1000 } else { 1 };
            let words = plain.split(|it: char| !it.is_ascii_digit());
            words.filter_map(|word| word.parse::<u64>().ok()).map(|it| it / unit).collect()
        };
        cells.flat_map(numbers).collect()
    }

    #[test]
    fn no_wait_is_that_of_a_host() {
        let hosts = patience_of_hosts();
        assert!(hosts.contains(&60) && hosts.contains(&600), "{hosts:?}");
        let shortest = *hosts.iter().min().unwrap();
        assert!(config::DEFAULT_TASK_WAIT.as_secs() + 5 <= shortest, "{hosts:?}");
        assert!(config::DEFAULT_TASK_AFTER < config::DEFAULT_TASK_WAIT);
        let ours =
            [config::DEFAULT_TASK_WAIT, config::DEFAULT_TASK_AFTER, live::LONGEST_WAIT, PATIENCE];
        for time in ours {
            assert!(!hosts.contains(&time.as_secs()), "{time:?} of {hosts:?}");
        }
    }
}
