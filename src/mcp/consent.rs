//! Asks the person about a dangerous call.
//!
//! Hosts of the session era are asked by a request of ours (`elicitation/create`) while the call
//! waits. Hosts of 2026-07-28 get the question as an intermediate result and repeat the call with
//! the answer and a state that we sealed: an HMAC with a key of this process, bound to the digest
//! of the call, valid for ten minutes, and good for one use. Either way the host shows the
//! question to a person; what a model puts into arguments makes no consent.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rmcp::{
    Peer, RoleServer,
    model::{
        ClientCapabilities, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction,
        ElicitationSchema, InputRequest, InputRequests, InputRequiredResult, InputResponses,
        RequestStateCodec, SealOptions,
    },
};
use uuid::Uuid;

use crate::gate::{Consent, Pending};

/// How long a question stands.
const PATIENCE: Duration = Duration::from_secs(600);
/// The name of the question among the input requests.
const QUESTION: &str = "confirm";
/// The property that the person sets.
const ANSWER: &str = "allow";

/// Questions and the answers that were used.
pub(super) struct Consents {
    codec: RequestStateCodec,
    used: Mutex<HashMap<Vec<u8>, Instant>>,
}

impl Consents {
    pub(super) fn new() -> Self {
        // Two version 4 UUIDs hold 244 random bits from the operating system.
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self { codec: RequestStateCodec::new_unchecked(key), used: Mutex::new(HashMap::new()) }
    }

    /// Asks with a request of our own, and waits.
    ///
    /// # Errors
    ///
    /// The reason for which the call is refused.
    pub(super) async fn ask(
        peer: &Peer<RoleServer>,
        capabilities: Option<&ClientCapabilities>,
        pending: &Pending<'_>,
    ) -> Result<Consent, String> {
        if !can_ask(capabilities) {
            return Err(cannot_ask(pending));
        }
        let answer = peer
            .create_elicitation_with_timeout(question(pending), Some(PATIENCE))
            .await
            .map_err(|error| format!("the host could not ask a person: {error}"))?;
        consent(&answer, pending)
    }

    /// Makes the intermediate result that asks.
    ///
    /// # Errors
    ///
    /// The reason for which the call is refused.
    pub(super) fn question(
        &self,
        capabilities: Option<&ClientCapabilities>,
        pending: &Pending<'_>,
    ) -> Result<InputRequiredResult, String> {
        if !can_ask(capabilities) {
            return Err(cannot_ask(pending));
        }
        let nonce = Uuid::new_v4().into_bytes();
        let digest = pending.digest();
        let options = SealOptions::new().associated_data(digest.as_bytes()).ttl(PATIENCE);
        let state = self.codec.seal_with(&nonce, &options);
        let request = InputRequest::Elicitation(ElicitRequest::new(question(pending)));
        let requests = InputRequests::from([(QUESTION.to_owned(), request)]);
        Ok(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// Reads the answer that came with a repeated call.
    ///
    /// # Errors
    ///
    /// The reason for which the call is refused.
    pub(super) fn answer(
        &self,
        state: &str,
        responses: Option<&InputResponses>,
        pending: &Pending<'_>,
    ) -> Result<Consent, String> {
        let nonce = self.codec.open_with(state, pending.digest().as_bytes()).map_err(|_| {
            "the confirmation was given for another call, or has expired; ask again".to_owned()
        })?;
        self.use_once(nonce)?;
        let answer = responses
            .and_then(|responses| responses.get(QUESTION))
            .and_then(|answer| serde_json::from_value::<ElicitResult>(answer.clone()).ok())
            .ok_or("the host sent no answer to the question")?;
        consent(&answer, pending)
    }

    fn use_once(&self, nonce: Vec<u8>) -> Result<(), String> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // A sealed state that is older than this does not open any more.
        used.retain(|_, at| at.elapsed() < PATIENCE);
        match used.insert(nonce, Instant::now()) {
            None => Ok(()),
            Some(_) => Err("the confirmation was used already; ask again".to_owned()),
        }
    }
}

fn can_ask(capabilities: Option<&ClientCapabilities>) -> bool {
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation.as_ref());
    // A host that names no mode means forms; one that names URLs alone cannot show ours.
    elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

fn cannot_ask(pending: &Pending<'_>) -> String {
    let entry = pending.entry();
    format!(
        "it is dangerous, and this host cannot ask a person; a person can run `dadl-mcp call {}` in \
         a terminal, or the operator can set `confirm: never` for backend `{}`",
        entry.name, entry.backend_name
    )
}

fn question(pending: &Pending<'_>) -> ElicitRequestParams {
    let requested_schema = ElicitationSchema::builder()
        .required_bool_with(ANSWER, |property| {
            property.title("Allow this call").description("Once, with exactly these arguments")
        })
        .build_unchecked();
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: pending.question(),
        requested_schema,
    }
}

fn consent(answer: &ElicitResult, pending: &Pending<'_>) -> Result<Consent, String> {
    let allowed = answer
        .content
        .as_ref()
        .and_then(|content| content.get(ANSWER))
        .and_then(serde_json::Value::as_bool);
    match (&answer.action, allowed) {
        (ElicitationAction::Accept, Some(true)) => Ok(Consent::given_for(pending.digest())),
        (ElicitationAction::Cancel, _) => Err("the person closed the question".to_owned()),
        _ => Err("the person said no".to_owned()),
    }
}
