//! Calls of other servers that outlive the request which began them, because a server asks for something
//! and a host of 2026-07-28 is asked by the answer to its request.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use crate::{
    executor::{
        CallContext, CallError, Executor, QuestionAnswer, ServerQuestion, ServerQuestions,
        WaitBudget,
    },
    gate::{DetachedCall, TaskRight},
    outcome::{CallObserver, CallOutcome, CallProgress},
};

/// So many reports of a call wait.
const MOST_REPORTS: usize = 64;

/// What a call does that concerns its requests.
pub(super) enum CallUpdate {
    /// It has come further.
    Progress(CallProgress),
    /// Its server asks for something; [`CallSession::answer`] takes the answer.
    Question,
    /// It is done.
    Ended(Box<Result<CallOutcome, CallError>>),
}

/// What the task of a call sends.
enum CallReport {
    Progress(CallProgress),
    Question(Box<ServerQuestion>, oneshot::Sender<QuestionAnswer>),
    Ended(Box<Result<CallOutcome, CallError>>),
}

/// A call that runs in a task of its own. Dropping it ends the call.
#[derive(Debug)]
pub(super) struct CallSession {
    reports: mpsc::Receiver<CallReport>,
    /// What is asked, and where the answer goes.
    asked: Option<(ServerQuestion, oneshot::Sender<QuestionAnswer>)>,
    task: AbortHandle,
}

impl Drop for CallSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a session does.
#[derive(Debug)]
pub(super) enum CallWork {
    /// It makes a call.
    Call(Box<DetachedCall>),
    /// It waits for a task.
    Task(Box<TaskRight>),
}

/// Passes on how far a call is, and what its server asks.
#[derive(Clone)]
struct Reporter {
    reports: mpsc::Sender<CallReport>,
    /// Whether the host gets a task of its own, and is asked by it.
    asks_later: bool,
}

impl CallObserver for Reporter {
    fn progress(&self, progress: CallProgress) {
        // A note that nobody takes is followed by another one.
        let _ = self.reports.try_send(CallReport::Progress(progress));
    }
}

impl ServerQuestions for Reporter {
    fn ask(&self, question: ServerQuestion) -> BoxFuture<'_, QuestionAnswer> {
        async move {
            let (answer, answered) = oneshot::channel();
            let over = || QuestionAnswer::Unput("the request is over".to_owned());
            let report = CallReport::Question(Box::new(question), answer);
            if self.reports.send(report).await.is_err() {
                return over();
            }
            answered.await.unwrap_or_else(|_| over())
        }
        .boxed()
    }

    fn asks_later(&self) -> bool {
        self.asks_later
    }
}

impl CallSession {
    /// Starts a call, or waits for a task.
    pub(super) fn start(
        executor: Arc<Executor>,
        work: CallWork,
        budget: WaitBudget,
        carried: &CallContext<'_>,
    ) -> Self {
        let (sender, reports) = mpsc::channel(MOST_REPORTS);
        let (client, ends) = (carried.client.clone(), carried.ends.clone());
        let task = crate::spawn::task(async move {
            let asks_later = budget == WaitBudget::Brief;
            let reporter = Reporter { reports: sender, asks_later };
            let context = CallContext { ends, ..CallContext::heard_by(&reporter).of(client) };
            let context = context.waiting(budget).asking(&reporter);
            let done = match work {
                CallWork::Call(call) => {
                    let Some(call) = call.call() else { return };
                    Box::pin(executor.execute(call, &context)).await
                }
                CallWork::Task(right) => Box::pin(executor.watch_task(&right, &context)).await,
            };
            // Whoever waited may be gone.
            let _ = reporter.reports.send(CallReport::Ended(Box::new(done))).await;
        });
        Self { reports, asked: None, task: task.abort_handle() }
    }

    /// Waits for what the call does next; nothing when it broke off.
    pub(super) async fn next(&mut self) -> Option<CallUpdate> {
        Some(match self.reports.recv().await? {
            CallReport::Progress(progress) => CallUpdate::Progress(progress),
            CallReport::Ended(done) => CallUpdate::Ended(done),
            CallReport::Question(question, answer) => {
                self.asked = Some((*question, answer));
                CallUpdate::Question
            }
        })
    }

    /// Returns what is asked.
    pub(super) fn question(&self) -> Option<&ServerQuestion> {
        self.asked.as_ref().map(|(question, _)| question)
    }

    /// Gives the call the answer to its question.
    pub(super) fn answer(&mut self, answer: QuestionAnswer) {
        if let Some((_, waiting)) = self.asked.take() {
            // It may have ended meanwhile.
            let _ = waiting.send(answer);
        }
    }
}
