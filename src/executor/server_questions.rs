//! What a server asks for while it is called goes to whoever can answer.
//!
//! A server of a revision up to 2025-11-25 asks while the call waits; a later one answers the call with
//! what it needs, and is called again with the answers. Both come here, and both are put through
//! [`ServerQuestions`]: without somebody there, a person's part is declined, which the result says.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Mutex, PoisonError},
};

use dadl_text::json::{cost, scan};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{CallContext, elicitation::Elicitation};
use crate::mcp_client::{
    AskedQuestion, CallClock, CallerPlace, ClientOffer, InputAnswers, QuestionKind, RawResult,
};

/// So much is read of what a server needs: the tree, in bytes.
const LARGEST_INPUT: u64 = 4 * 1024 * 1024;

/// A server asks for no more at once.
const MOST_AT_ONCE: usize = 8;

/// What a server asks for of whoever calls it.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerQuestion {
    /// Something of a person.
    Person(Elicitation),
    /// Something of the model of the host: the parameters of `sampling/createMessage`.
    Model(Value),
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum QuestionAnswer {
    /// The values of a form, or the result of the model.
    Given(Value),
    /// The person said no.
    Declined,
    /// The person closed the question.
    Closed,
    /// It was not put, and why.
    Unput(String),
}

/// Whoever can be asked by servers.
pub trait ServerQuestions: Send + Sync {
    /// Puts a question. Dropping the future withdraws it.
    fn ask(&self, question: ServerQuestion) -> BoxFuture<'_, QuestionAnswer>;
}

/// The questions of a server during one call.
pub(super) struct CallQuestions<'call> {
    backend: &'call str,
    offer: ClientOffer,
    asker: Option<&'call dyn ServerQuestions>,
    clock: &'call CallClock,
    notes: Mutex<Vec<String>>,
}

impl<'call> CallQuestions<'call> {
    pub(super) fn new(
        backend: &'call str,
        offer: ClientOffer,
        context: &CallContext<'call>,
        clock: &'call CallClock,
    ) -> Self {
        let asker = context.questions;
        Self { backend, offer, asker, clock, notes: Mutex::default() }
    }

    /// Returns whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.asker.is_some()
    }

    /// Returns what there is to say about questions that were not put.
    pub(super) fn notes(&self, place: &CallerPlace) -> Vec<String> {
        let unput = place.unput().into_iter().map(|why| unput(why));
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<String> = notes.iter().cloned().chain(unput).collect();
        all.dedup();
        all
    }

    /// Waits for a request of the server, and answers what it asks meanwhile.
    pub(super) async fn during<T>(
        &self,
        place: &mut CallerPlace,
        request: impl Future<Output = T>,
    ) -> T {
        let mut request = pin!(request);
        loop {
            let asked = tokio::select! {
                biased;
                done = &mut request => return done,
                asked = place.next() => asked,
            };
            let AskedQuestion { kind, params, mut answer } = asked;
            let answered = tokio::select! {
                biased;
                // Nobody waits for the answer any more: the question is withdrawn.
                done = &mut request => return done,
                () = answer.closed() => continue,
                answered = self.answer(kind, &params) => answered,
            };
            let _ = answer.send(answered);
        }
    }

    /// Answers all that a server needs before it goes on.
    ///
    /// # Errors
    ///
    /// Why it cannot go on.
    pub(super) async fn inputs(&self, needed: &RawResult) -> Result<InputAnswers, String> {
        let member = |name: &str| scan::member_at(needed.as_str(), &[name]);
        let state = member("requestState").and_then(|it| serde_json::from_str(it).ok());
        let mut responses = BTreeMap::new();
        let requests = member("inputRequests").unwrap_or("{}");
        let requests = cost::parse_tree(requests, LARGEST_INPUT);
        let Some(Value::Object(requests)) = requests else {
            return Err("it asks for more input than can be read".to_owned());
        };
        if requests.len() > MOST_AT_ONCE {
            return Err(format!("it asks for more than {MOST_AT_ONCE} things at once"));
        }
        for (key, request) in requests {
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = request.get("params").unwrap_or(&Value::Null);
            let response = match (QuestionKind::of_method(method), method) {
                (Some(kind), _) => self.answer(kind, params).await?,
                (None, "roots/list") if !self.offer.roots.is_empty() => self.offer.roots_result(),
                (None, "roots/list") => {
                    return Err("it asks for roots, and the operator names none (`roots`)".to_owned());
                }
                _ => return Err("it asks for what nobody here can answer".to_owned()),
            };
            responses.insert(key, response);
        }
        Ok(InputAnswers { responses, state })
    }

    /// Answers one request: with its result, or says why there is none.
    async fn answer(&self, kind: QuestionKind, params: &Value) -> Result<Value, String> {
        match kind {
            QuestionKind::Sampling => self.sample(params).await,
            QuestionKind::Elicitation => Ok(self.elicit(params).await),
        }
    }

    async fn elicit(&self, params: &Value) -> Value {
        let elicitation = match Elicitation::read(self.backend, params) {
            Ok(elicitation) => elicitation,
            Err(fault) => return self.declined(&fault.to_string()),
        };
        let Some(asker) = self.asker else { return self.declined("nobody can be asked here") };
        let stopped = self.clock.stop();
        let answer = asker.ask(ServerQuestion::Person(elicitation.clone())).await;
        drop(stopped);
        match answer {
            QuestionAnswer::Given(content) => match (elicitation.taken(content), &elicitation) {
                (Some(_), Elicitation::Page { .. }) => json!({ "action": "accept" }),
                (Some(content), _) => json!({ "action": "accept", "content": content }),
                (None, _) => self.declined("the answer was too long"),
            },
            QuestionAnswer::Declined => json!({ "action": "decline" }),
            QuestionAnswer::Closed => json!({ "action": "cancel" }),
            QuestionAnswer::Unput(why) => self.declined(&why),
        }
    }

    async fn sample(&self, params: &Value) -> Result<Value, String> {
        if !self.offer.sampling {
            return Err("it asks for the model of the host, which the operator does not allow \
                        (`sampling`)"
                .to_owned());
        }
        let unput = |why: &str| format!("it asks for the model of the host, which it did not get: {why}");
        let asker = self.asker.ok_or_else(|| unput("nobody can be asked here"))?;
        let mut params = params.clone();
        if let Some(members) = params.as_object_mut() {
            members.shift_remove("_meta");
            members.shift_remove("metadata");
        }
        let stopped = self.clock.stop();
        let answer = asker.ask(ServerQuestion::Model(params)).await;
        drop(stopped);
        match answer {
            QuestionAnswer::Given(result) => Ok(result),
            QuestionAnswer::Declined | QuestionAnswer::Closed => Err(unput("the host said no")),
            QuestionAnswer::Unput(why) => Err(unput(&why)),
        }
    }

    /// Declines, and says so in the result.
    fn declined(&self, why: &str) -> Value {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST_AT_ONCE {
            notes.push(unput(why));
        }
        json!({ "action": "decline" })
    }
}

/// Says that a question was declined without a person.
fn unput(why: &str) -> String {
    format!("the server asked for something that a person has to answer; it was declined: {why}")
}
