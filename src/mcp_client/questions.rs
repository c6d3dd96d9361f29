//! What a server asks of whoever calls it, while it is called.
//!
//! A request of a server names no call. So each call of a link has a place at its [`QuestionDesk`], and a
//! question goes to a caller only while all calls that are under way are of one client: nobody is asked on
//! behalf of somebody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::shares::ClientKey;

/// So many questions wait for a caller.
const MOST_WAITING: usize = 4;

/// So many reasons are kept why a question was not put.
const MOST_REASONS: usize = 4;

/// What a server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// Something of a person (`elicitation/create`).
    Elicitation,
    /// Something of the model of the host (`sampling/createMessage`).
    Sampling,
}

impl QuestionKind {
    /// Returns what is asked by a method.
    pub fn of_method(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Self::Elicitation),
            "sampling/createMessage" => Some(Self::Sampling),
            _ => None,
        }
    }
}

/// A question of a server, and where its answer goes.
#[derive(Debug)]
pub struct AskedQuestion {
    /// What is asked for.
    pub kind: QuestionKind,
    /// The parameters, as the server wrote them, without secrets.
    pub params: Value,
    /// Takes the result of the request, or why there is none.
    pub answer: oneshot::Sender<Result<Value, String>>,
}

/// Where the questions of a server are put; a clone is the same desk.
#[derive(Debug, Clone, Default)]
pub(super) struct QuestionDesk(Arc<Mutex<DeskState>>);

#[derive(Debug, Default)]
struct DeskState {
    next: u64,
    callers: Vec<OpenCaller>,
}

#[derive(Debug)]
struct OpenCaller {
    number: u64,
    client: ClientKey,
    /// There is none where nobody can be asked.
    questions: Option<mpsc::Sender<AskedQuestion>>,
    unput: Arc<Mutex<Vec<&'static str>>>,
}

/// The place of a call at the desk of its server, which is given back when it is dropped.
#[derive(Debug)]
pub struct CallerPlace {
    desk: QuestionDesk,
    number: u64,
    questions: mpsc::Receiver<AskedQuestion>,
    unput: Arc<Mutex<Vec<&'static str>>>,
}

impl QuestionDesk {
    /// Takes a place for a call of a client, of whom something can be asked or nothing.
    pub(super) fn place(&self, client: ClientKey, can_ask: bool) -> CallerPlace {
        let (sender, questions) = mpsc::channel(MOST_WAITING);
        let unput = Arc::default();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let questions_of = can_ask.then_some(sender);
        state.callers.push(OpenCaller {
            number,
            client,
            questions: questions_of,
            unput: Arc::clone(&unput),
        });
        CallerPlace { desk: self.clone(), number, questions, unput }
    }

    /// Puts a question to whoever called last, and returns the result of the request.
    ///
    /// # Errors
    ///
    /// Why it was not put, or has no answer.
    pub(super) async fn ask(&self, kind: QuestionKind, params: Value) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let question = AskedQuestion { kind, params, answer };
        let caller = self.caller().map_err(str::to_owned)?;
        caller.try_send(question).map_err(|_| "too many questions wait".to_owned())?;
        answered.await.unwrap_or_else(|_| Err("the call is over".to_owned()))
    }

    /// Returns who is asked, or says why nobody is; those whose calls it may concern are told.
    fn caller(&self) -> Result<mpsc::Sender<AskedQuestion>, &'static str> {
        let state = self.lock();
        let Some(first) = state.callers.first() else { return Err("no call is under way") };
        if state.callers.iter().any(|caller| caller.client != first.client) {
            let why = "calls of several clients were under way, and nobody knew whose it was about";
            state.tell(why);
            return Err(why);
        }
        let found = state.callers.iter().rev().find_map(|caller| caller.questions.clone());
        found.ok_or_else(|| {
            let why = "nobody can be asked here";
            state.tell(why);
            why
        })
    }

    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeskState {
    fn tell(&self, why: &'static str) {
        for caller in &self.callers {
            let mut unput = caller.unput.lock().unwrap_or_else(PoisonError::into_inner);
            if unput.len() < MOST_REASONS && !unput.contains(&why) {
                unput.push(why);
            }
        }
    }
}

impl CallerPlace {
    /// Waits for a question; there is none where nobody can be asked.
    pub async fn next(&mut self) -> AskedQuestion {
        match self.questions.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }

    /// Says why questions were not put that may have concerned this call.
    pub fn unput(&self) -> Vec<&'static str> {
        self.unput.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for CallerPlace {
    fn drop(&mut self) {
        self.desk.lock().callers.retain(|caller| caller.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(host: &str) -> ClientKey {
        ClientKey { host: host.to_owned(), session: String::new() }
    }

    #[tokio::test]
    async fn a_question_goes_to_the_client_that_alone_calls() {
        let desk = QuestionDesk::default();
        let ask = || desk.ask(QuestionKind::Elicitation, json!({}));
        assert_eq!(ask().await, Err("no call is under way".to_owned()));
        let mute = desk.place(client("a"), false);
        assert_eq!(ask().await, Err("nobody can be asked here".to_owned()));
        let mut first = desk.place(client("a"), true);
        let answers = async {
            let asked = first.next().await;
            asked.answer.send(Ok(json!(1))).unwrap();
        };
        assert_eq!(tokio::join!(ask(), answers).0, Ok(json!(1)));
        let other = desk.place(client("b"), true);
        assert!(ask().await.unwrap_err().contains("several clients"));
        assert_eq!((first.unput().len(), other.unput().len(), mute.unput().len()), (1, 1, 2));
        drop(other);
        // Who goes away while a question waits gives no answer.
        let gone = async {
            drop(first.next().await);
        };
        assert_eq!(tokio::join!(ask(), gone).0, Err("the call is over".to_owned()));
    }
}
