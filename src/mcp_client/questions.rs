//! What a server asks of whoever calls it, while it is called.
//!
//! A request of a server names no call. So each call of a link has a place at its [`QuestionDesk`], and a
//! question goes to a caller only while all calls that are under way are of one client: nobody is asked on
//! behalf of somebody else. A task that goes on while nobody waits for it is a call that is under way, too.
//! What names its task goes to whoever waits for that.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::shares::ClientKey;

/// So many questions wait for a caller.
const MOST_WAITING: usize = 4;

/// So many reasons are kept why a question was not put.
const MOST_REASONS: usize = 4;

/// So many tasks are known for which nobody waits; the oldest makes room.
const MOST_LEFT: usize = 256;

/// For so long a task counts for which nobody waits: longer ones ask for something when somebody does.
const LEFT_FOR: Duration = Duration::from_secs(3600);

/// Where a question names the task that it is about (2025-11-25).
const RELATED_TASK: &str = "/_meta/io.modelcontextprotocol~1related-task/taskId";

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

/// Why a server gets no answer to what it asks, in words about the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionRefusal {
    /// The call ended before there was an answer.
    #[error("the call is over")]
    CallOver,
    /// The server asks, and is called by nobody.
    #[error("no call is under way")]
    NoCall,
    /// The operator does not lend it the model of the host.
    #[error("it asks for the model of the host, which the operator does not allow (`sampling`)")]
    NoModel,
    /// The operator names no directories for it.
    #[error("it asks for roots, and the operator names none (`roots`)")]
    NoRoots,
    /// There is no person, and no host that could ask one.
    #[error("nobody can be asked here")]
    NobodyToAsk,
    /// A page had to be opened first.
    #[error("it needs a page to be opened first, which was not done")]
    PageNotOpened,
    /// It could concern the call of somebody else.
    #[error("calls of several clients were under way, and nobody knew whose it was about")]
    SeveralClients,
    /// So many questions wait.
    #[error("too many questions wait")]
    TooMany,
    /// It needs more things at once than it may.
    #[error("it asks for more than {0} things at once")]
    TooManyAtOnce(usize),
    /// What it needs is too large or too deep.
    #[error("it asks for more input than can be read")]
    Unreadable,
    /// It needs something that is not known here.
    #[error("it asks for what nobody here can answer")]
    Unknown,
    /// The host did not lend its model.
    #[error("it asks for the model of the host, which it did not get: {0}")]
    ModelRefused(String),
    /// The server has taken the question back.
    #[error("the request was withdrawn")]
    Withdrawn,
}

/// A question of a server, and where its answer goes.
#[derive(Debug)]
pub struct AskedQuestion {
    /// What is asked for.
    pub kind: QuestionKind,
    /// The parameters, as the server wrote them, without secrets.
    pub params: Value,
    /// Takes the result of the request, or why there is none.
    pub answer: oneshot::Sender<Result<Value, QuestionRefusal>>,
}

/// Where the questions of a server are put; a clone is the same desk.
#[derive(Debug, Clone, Default)]
pub(super) struct QuestionDesk(Arc<Mutex<DeskState>>);

#[derive(Debug, Default)]
struct DeskState {
    next: u64,
    callers: Vec<OpenCaller>,
    left: Vec<LeftTask>,
}

/// A task that goes on while nobody waits for it.
#[derive(Debug)]
struct LeftTask {
    client: ClientKey,
    id: String,
    until: Instant,
}

#[derive(Debug)]
struct OpenCaller {
    number: u64,
    client: ClientKey,
    /// The task for which it waits.
    task: Option<String>,
    /// There is none where nobody can be asked.
    questions: Option<mpsc::Sender<AskedQuestion>>,
    unput: Arc<Mutex<Vec<QuestionRefusal>>>,
}

/// The place of a call at the desk of its server, which is given back when it is dropped.
#[derive(Debug)]
pub struct CallerPlace {
    desk: QuestionDesk,
    number: u64,
    questions: mpsc::Receiver<AskedQuestion>,
    unput: Arc<Mutex<Vec<QuestionRefusal>>>,
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
            task: None,
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
    pub(super) async fn ask(
        &self,
        kind: QuestionKind,
        params: Value,
    ) -> Result<Value, QuestionRefusal> {
        let (answer, answered) = oneshot::channel();
        let caller = self.caller(params.pointer(RELATED_TASK).and_then(Value::as_str))?;
        let question = AskedQuestion { kind, params, answer };
        caller.try_send(question).map_err(|_| QuestionRefusal::TooMany)?;
        answered.await.unwrap_or(Err(QuestionRefusal::CallOver))
    }

    /// Returns who is asked, or says why nobody is; those whose calls it may concern are told.
    fn caller(&self, task: Option<&str>) -> Result<mpsc::Sender<AskedQuestion>, QuestionRefusal> {
        let mut state = self.lock();
        let now = Instant::now();
        state.left.retain(|left| left.until > now);
        if let Some(id) = task {
            let waits = |caller: &&OpenCaller| caller.task.as_deref() == Some(id);
            if let Some(caller) = state.callers.iter().rev().find(waits) {
                return caller.questions.clone().ok_or_else(|| {
                    caller.tell(&QuestionRefusal::NobodyToAsk);
                    QuestionRefusal::NobodyToAsk
                });
            }
            if state.left.iter().any(|left| left.id == id) {
                return Err(QuestionRefusal::NoCall);
            }
        }
        let Some(first) = state.callers.first() else { return Err(QuestionRefusal::NoCall) };
        let is_other = |client: &ClientKey| *client != first.client;
        if state.callers.iter().any(|caller| is_other(&caller.client))
            || state.left.iter().any(|left| is_other(&left.client))
        {
            state.tell(&QuestionRefusal::SeveralClients);
            return Err(QuestionRefusal::SeveralClients);
        }
        let found = state.callers.iter().rev().find_map(|caller| caller.questions.clone());
        found.ok_or_else(|| {
            state.tell(&QuestionRefusal::NobodyToAsk);
            QuestionRefusal::NobodyToAsk
        })
    }

    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeskState {
    fn tell(&self, why: &QuestionRefusal) {
        self.callers.iter().for_each(|caller| caller.tell(why));
    }
}

impl OpenCaller {
    fn tell(&self, why: &QuestionRefusal) {
        let mut unput = self.unput.lock().unwrap_or_else(PoisonError::into_inner);
        if unput.len() < MOST_REASONS && !unput.contains(why) {
            unput.push(why.clone());
        }
    }
}

impl CallerPlace {
    /// Says for which task the call waits from now on.
    pub fn wait_for_task(&self, id: &str) {
        let mut state = self.desk.lock();
        state.left.retain(|left| left.id != id);
        let own = state.callers.iter_mut().find(|caller| caller.number == self.number);
        if let Some(caller) = own {
            caller.task = Some(id.to_owned());
        }
    }

    /// Says that its task goes on while nobody waits for it.
    pub fn leave_task(&self) {
        let mut state = self.desk.lock();
        let own = state.callers.iter_mut().find(|caller| caller.number == self.number);
        let Some((id, client)) = own.and_then(|it| Some((it.task.take()?, it.client.clone())))
        else {
            return;
        };
        if state.left.len() >= MOST_LEFT {
            state.left.remove(0);
        }
        state.left.push(LeftTask { client, id, until: Instant::now() + LEFT_FOR });
    }

    /// Waits for a question; there is none where nobody can be asked.
    pub async fn next(&mut self) -> AskedQuestion {
        match self.questions.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }

    /// Says why questions were not put that may have concerned this call.
    pub fn unput(&self) -> Vec<QuestionRefusal> {
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
        assert_eq!(ask().await, Err(QuestionRefusal::NoCall));
        let mute = desk.place(client("a"), false);
        assert_eq!(ask().await, Err(QuestionRefusal::NobodyToAsk));
        let mut first = desk.place(client("a"), true);
        let answers = async {
            let asked = first.next().await;
            asked.answer.send(Ok(json!(1))).unwrap();
        };
        assert_eq!(tokio::join!(ask(), answers).0, Ok(json!(1)));
        let other = desk.place(client("b"), true);
        assert_eq!(ask().await, Err(QuestionRefusal::SeveralClients));
        assert_eq!((first.unput().len(), other.unput().len(), mute.unput().len()), (1, 1, 2));
        drop(other);
        // A task of somebody else goes on, for which nobody waits.
        let left = desk.place(client("b"), true);
        left.wait_for_task("t1");
        left.leave_task();
        drop(left);
        assert_eq!(ask().await, Err(QuestionRefusal::SeveralClients));
        let of_task =
            json!({ "_meta": { "io.modelcontextprotocol/related-task": { "taskId": "t1" } } });
        let ask_for = || desk.ask(QuestionKind::Elicitation, of_task.clone());
        assert_eq!(ask_for().await, Err(QuestionRefusal::NoCall));
        let mut waiting = desk.place(client("b"), true);
        waiting.wait_for_task("t1");
        let answers = async {
            waiting.next().await.answer.send(Ok(json!(2))).unwrap();
        };
        assert_eq!(tokio::join!(ask_for(), answers).0, Ok(json!(2)));
        drop(waiting);
        // Who goes away while a question waits gives no answer.
        let gone = async {
            drop(first.next().await);
        };
        assert_eq!(tokio::join!(ask(), gone).0, Err(QuestionRefusal::CallOver));
    }
}
