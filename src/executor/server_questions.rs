//! What a server asks for while it is called goes to whoever can answer.
//!
//! A server of a revision up to 2025-11-25 asks while the call waits; a later one answers the call with
//! what it needs, and is called again with the answers. Both come here, and both are put through
//! [`ServerQuestions`]: without somebody there, a person's part is declined, which the result says.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    pin::{Pin, pin},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dadl_text::json::{cost, scan};
use serde_json::{Value, json};

use super::{
    CallContext,
    call_bounds::CallTurns,
    elicitation::Elicitation,
    questions::{QuestionAnswer, ServerQuestion, ServerQuestions},
};
use crate::mcp_client::{
    AskedQuestion, CallClock, CallerPlace, ClientOffer, InputAnswers, PageVisit, QuestionKind,
    QuestionRefusal, RawResult, RpcFailure, ServerFault, ServerLink,
};

/// So much is read of what a server needs: the tree, in bytes.
pub(super) const LARGEST_INPUT: u64 = 4 * 1024 * 1024;

/// The code of an error that names pages which have to be opened first (2025-11-25).
const PAGES_NEEDED: i64 = -32042;

/// A server asks for no more at once.
pub(super) const MOST_AT_ONCE: usize = 8;

/// The questions of a server during one call.
pub(super) struct CallQuestions<'call> {
    backend: &'call str,
    link: ServerLink,
    offer: ClientOffer,
    asker: Option<&'call dyn ServerQuestions>,
    clock: CallClock,
    /// The turn of the call: while a person thinks, others call.
    turns: Mutex<Option<CallTurns>>,
    notes: Mutex<Vec<String>>,
    was_put: AtomicBool,
}

impl<'call> CallQuestions<'call> {
    pub(super) fn new(
        (backend, link): (&'call str, &ServerLink),
        offer: ClientOffer,
        context: &CallContext<'call>,
        clock: &CallClock,
        turns: Option<CallTurns>,
    ) -> Self {
        let (asker, turns, clock) = (context.questions, Mutex::new(turns), clock.clone());
        let (link, notes, was_put) = (link.clone(), Mutex::default(), AtomicBool::default());
        Self { backend, link, offer, asker, clock, turns, notes, was_put }
    }

    /// Gives the turn of the call back.
    pub(super) fn give_turn(&self) {
        drop(self.turns.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Puts a question, for as long as it takes.
    async fn put(&self, asker: &dyn ServerQuestions, question: ServerQuestion) -> QuestionAnswer {
        self.was_put.store(true, Ordering::Relaxed);
        self.give_turn();
        let _stopped = self.clock.stop();
        asker.ask(question).await
    }

    /// Returns whether somebody was asked: nobody likes to be asked the same again.
    pub(super) fn was_put(&self) -> bool {
        self.was_put.load(Ordering::Relaxed)
    }

    /// Returns whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.asker.is_some()
    }

    /// Returns what there is to say about questions that were not put.
    pub(super) fn notes(&self, place: &CallerPlace) -> Vec<String> {
        let unput = place.unput().into_iter().map(|why| unput(&why.to_string()));
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
            let AskedQuestion { kind, params, mut answer } =
                match done_or_asked(request.as_mut(), place).await {
                    ControlFlow::Break(done) => return done,
                    ControlFlow::Continue(asked) => asked,
                };
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

    /// Waits for something that is about the questions of nobody, and answers what the server asks meanwhile:
    /// whoever was asked is waited for.
    pub(super) async fn beside<T>(
        &self,
        place: &mut CallerPlace,
        request: impl Future<Output = T>,
    ) -> T {
        let mut request = pin!(request);
        loop {
            let AskedQuestion { kind, params, mut answer } =
                match done_or_asked(request.as_mut(), place).await {
                    ControlFlow::Break(done) => return done,
                    ControlFlow::Continue(asked) => asked,
                };
            let answered = tokio::select! {
                biased;
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
    pub(super) async fn inputs(&self, needed: &RawResult) -> Result<InputAnswers, QuestionRefusal> {
        let member = |name: &str| scan::member_at(needed.as_str(), &[name]);
        let state = member("requestState").and_then(|it| serde_json::from_str(it).ok());
        let mut responses = BTreeMap::new();
        let requests = member("inputRequests").unwrap_or("{}");
        let requests = cost::parse_tree(requests, LARGEST_INPUT);
        let Some(Value::Object(requests)) = requests else {
            return Err(QuestionRefusal::Unreadable);
        };
        if requests.len() > MOST_AT_ONCE {
            return Err(QuestionRefusal::TooManyAtOnce(MOST_AT_ONCE));
        }
        for (key, request) in requests {
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = request.get("params").unwrap_or(&Value::Null);
            let response = match (QuestionKind::of_method(method), method) {
                (Some(kind), _) => self.answer(kind, params).await?,
                (None, "roots/list") if !self.offer.roots.is_empty() => self.offer.roots_result(),
                (None, "roots/list") => return Err(QuestionRefusal::NoRoots),
                _ => return Err(QuestionRefusal::Unknown),
            };
            responses.insert(key, response);
        }
        Ok(InputAnswers { responses, state })
    }

    /// Has the pages opened that a server needs to be opened before it does what it is called for; `None`
    /// for any other failure.
    pub(super) async fn visits(&self, fault: &ServerFault) -> Option<Result<(), QuestionRefusal>> {
        let ServerFault::Rpc(RpcFailure { code: PAGES_NEEDED, data: Some(data), .. }) = fault
        else {
            return None;
        };
        let Some(Value::Object(data)) = cost::parse_tree(data, LARGEST_INPUT) else { return None };
        let pages = data.get("elicitations").and_then(Value::as_array)?;
        let is_page = |it: &Value| it.get("mode").and_then(Value::as_str) == Some("url");
        if pages.is_empty() || pages.len() > MOST_AT_ONCE || !pages.iter().all(is_page) {
            return None;
        }
        for page in pages {
            if self.elicit(page).await.get("action") != Some(&json!("accept")) {
                return Some(Err(QuestionRefusal::PageNotOpened));
            }
        }
        Some(Ok(()))
    }

    /// Answers one request: with its result, or says why there is none.
    async fn answer(&self, kind: QuestionKind, params: &Value) -> Result<Value, QuestionRefusal> {
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
        let (elicitation, visit) = self.expecting(elicitation, asker);
        let answer = self.put(asker, ServerQuestion::Person(elicitation.clone())).await;
        if let (QuestionAnswer::Given(_), Some(visit)) = (&answer, visit) {
            visit.keep();
        }
        person_response(&elicitation, answer).unwrap_or_else(|why| self.declined(&why.to_string()))
    }

    /// Has the host told when the server says that a page is done with; the host knows it by an id of ours.
    fn expecting(
        &self,
        elicitation: Elicitation,
        asker: &dyn ServerQuestions,
    ) -> (Elicitation, Option<PageVisit>) {
        match elicitation {
            Elicitation::Page { message, url, id } if !id.is_empty() => match asker.page_visit() {
                Some((own, done)) => {
                    let visit = self.link.expect_page(&id, done);
                    (Elicitation::Page { message, url, id: own }, Some(visit))
                }
                None => (Elicitation::Page { message, url, id }, None),
            },
            other => (other, None),
        }
    }

    async fn sample(&self, params: &Value) -> Result<Value, QuestionRefusal> {
        if !self.offer.sampling {
            return Err(QuestionRefusal::NoModel);
        }
        let unput = |why: &str| QuestionRefusal::ModelRefused(why.to_owned());
        let asker = self.asker.ok_or_else(|| unput("nobody can be asked here"))?;
        match self.put(asker, as_question_of_model(params)).await {
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

/// Waits for the end of a request, or for the next question of its server.
async fn done_or_asked<T>(
    request: Pin<&mut impl Future<Output = T>>,
    place: &mut CallerPlace,
) -> ControlFlow<T, AskedQuestion> {
    tokio::select! {
        biased;
        done = request => ControlFlow::Break(done),
        asked = place.next() => ControlFlow::Continue(asked),
    }
}

/// Why a person gave no answer that a server could get.
#[derive(Debug, thiserror::Error)]
enum NoPersonAnswer {
    #[error("the answer was too long")]
    TooLong,
    /// It was not put, and why.
    #[error("{0}")]
    Unput(String),
}

/// Makes the question to a model of the parameters of a request.
pub(super) fn as_question_of_model(params: &Value) -> ServerQuestion {
    let mut params = params.clone();
    if let Some(members) = params.as_object_mut() {
        members.shift_remove("_meta");
        members.shift_remove("metadata");
    }
    ServerQuestion::Model(params)
}

/// Makes what a server gets of an answer; nothing where a model gave none.
pub(super) fn response_to(question: &ServerQuestion, answer: QuestionAnswer) -> Option<Value> {
    match question {
        ServerQuestion::Person(elicitation) => {
            let response = person_response(elicitation, answer);
            Some(response.unwrap_or_else(|_| json!({ "action": "decline" })))
        }
        ServerQuestion::Model(_) => match answer {
            QuestionAnswer::Given(result) => Some(result),
            QuestionAnswer::Declined | QuestionAnswer::Closed | QuestionAnswer::Unput(_) => None,
        },
    }
}

/// Makes what a server gets of the answer of a person; the error says why there is none.
fn person_response(
    elicitation: &Elicitation,
    answer: QuestionAnswer,
) -> Result<Value, NoPersonAnswer> {
    Ok(match answer {
        QuestionAnswer::Given(content) => match (elicitation.taken(content), elicitation) {
            (Some(_), Elicitation::Page { .. }) => json!({ "action": "accept" }),
            (Some(content), _) => json!({ "action": "accept", "content": content }),
            (None, _) => return Err(NoPersonAnswer::TooLong),
        },
        QuestionAnswer::Declined => json!({ "action": "decline" }),
        QuestionAnswer::Closed => json!({ "action": "cancel" }),
        QuestionAnswer::Unput(why) => return Err(NoPersonAnswer::Unput(why)),
    })
}

/// Says that a question was declined without a person.
fn unput(why: &str) -> String {
    format!("the server asked for something that a person has to answer; it was declined: {why}")
}
