//! Scripts that outlive the request which began them, because a person has to be asked between two
//! requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::Instant,
};

use super::consent::ConsentNonce;
use crate::{
    executor::{
        CallContext, CallerScript, ChangeApproval, ChangeQuestion, ChangeRefusal, Executor,
        ScriptError, ScriptGuide,
    },
    gate::Gate,
    outcome::{CallObserver, CallOutcome, CallProgress},
    shares::ClientKey,
};

/// So many scripts wait for people: fewer than may run, so that some can.
const MOST_PAUSED: usize = 6;

/// So many of one address; the oldest makes room for another one.
const MOST_OF_HOST: usize = 3;

/// A script waits no longer than its question is good.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a script does that concerns its requests.
#[derive(Debug)]
pub(super) enum SessionUpdate {
    /// It has come further.
    Progress(CallProgress),
    /// A person has to be asked; [`ScriptSession::answer`] takes what they say.
    Question(ChangeQuestion),
    /// It is done.
    Ended(Box<Result<CallOutcome, ScriptError>>),
}

/// What the task of a script sends.
enum ScriptReport {
    Progress(CallProgress),
    Question(ChangeQuestion, oneshot::Sender<Result<(), ChangeRefusal>>),
    Ended(Box<Result<CallOutcome, ScriptError>>),
}

/// A script that runs in a task of its own. Dropping it ends the script.
#[derive(Debug)]
pub(super) struct ScriptSession {
    reports: mpsc::Receiver<ScriptReport>,
    /// What a person is asked, and where the answer goes.
    asked: Option<(ChangeQuestion, oneshot::Sender<Result<(), ChangeRefusal>>)>,
    task: AbortHandle,
}

impl Drop for ScriptSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on how far a script is, and its question.
#[derive(Clone)]
struct Reporter(mpsc::Sender<ScriptReport>);

impl CallObserver for Reporter {
    fn progress(&self, progress: CallProgress) {
        // A note that nobody takes is followed by another one.
        let _ = self.0.try_send(ScriptReport::Progress(progress));
    }
}

impl ChangeApproval for Reporter {
    fn approve(&self, question: ChangeQuestion) -> BoxFuture<'_, Result<(), ChangeRefusal>> {
        async move {
            let (answer, answered) = oneshot::channel();
            let asked = self.0.send(ScriptReport::Question(question, answer)).await;
            asked.map_err(|_| ChangeRefusal::Gone)?;
            answered.await.unwrap_or(Err(ChangeRefusal::Gone))
        }
        .boxed()
    }
}

impl ScriptSession {
    /// Starts a script.
    pub(super) fn start(
        executor: Arc<Executor>,
        gate: Gate,
        script: CallerScript,
        guide: impl ScriptGuide + 'static,
        carried: &CallContext<'_>,
    ) -> Self {
        let (sender, reports) = mpsc::channel(64);
        let (client, ends) = (carried.client.clone(), carried.ends.clone());
        let task = crate::spawn::task(async move {
            let reporter = Reporter(sender);
            let context = CallContext { ends, ..CallContext::heard_by(&reporter).of(client) };
            let run = executor.run_script(&gate, &script, Some(&reporter), &guide, &context);
            let done = Box::pin(run).await;
            // Whoever waited may be gone.
            let _ = reporter.0.send(ScriptReport::Ended(Box::new(done))).await;
        });
        Self { reports, asked: None, task: task.abort_handle() }
    }

    /// Waits for what the script does next.
    pub(super) async fn next(&mut self) -> SessionUpdate {
        match self.reports.recv().await {
            Some(ScriptReport::Progress(progress)) => SessionUpdate::Progress(progress),
            Some(ScriptReport::Question(question, answer)) => {
                self.asked = Some((question.clone(), answer));
                SessionUpdate::Question(question)
            }
            Some(ScriptReport::Ended(done)) => SessionUpdate::Ended(done),
            None => {
                let reason = "it broke off; task_list has what it changed".to_owned();
                let failed = ScriptError::Failed { reason, changes: None };
                SessionUpdate::Ended(Box::new(Err(failed)))
            }
        }
    }

    /// Returns what a person is asked.
    pub(super) fn question(&self) -> Option<&ChangeQuestion> {
        self.asked.as_ref().map(|(question, _)| question)
    }

    /// Gives the script the answer to its question.
    pub(super) fn answer(&mut self, answer: Result<(), ChangeRefusal>) {
        if let Some((_, waiting)) = self.asked.take() {
            // It may have ended meanwhile.
            let _ = waiting.send(answer);
        }
    }
}

/// The scripts, or calls, that wait for an answer that another request brings.
#[derive(Debug, Clone)]
pub(super) struct PausedSessions<Session>(
    Arc<Mutex<HashMap<ConsentNonce, PausedSession<Session>>>>,
);

#[derive(Debug)]
struct PausedSession<Session> {
    client: ClientKey,
    since: Instant,
    session: Session,
    /// Ends it when nobody can answer any more.
    expiry: AbortHandle,
}

impl<Session> Default for PausedSessions<Session> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Session: Send + 'static> PausedSessions<Session> {
    /// Keeps a script of `client` until its answer comes, or nobody can answer any more.
    ///
    /// # Errors
    ///
    /// The script, when too many wait.
    pub(super) fn keep(
        &self,
        nonce: ConsentNonce,
        client: &ClientKey,
        session: Session,
    ) -> Result<(), Box<Session>> {
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paused.retain(|_, it| it.since.elapsed() < PATIENCE);
        let own = paused.iter().filter(|(_, it)| it.client.host == client.host);
        let (own, oldest) = (own.clone().count(), own.min_by_key(|(_, it)| it.since));
        // Nobody can take the question back: its request has ended.
        if let Some(oldest) = oldest.filter(|_| own >= MOST_OF_HOST).map(|(nonce, _)| *nonce) {
            paused.remove(&oldest);
        }
        if paused.len() >= MOST_PAUSED {
            return Err(Box::new(session));
        }
        let all = Self(Arc::clone(&self.0));
        let expiry = crate::spawn::task(async move {
            tokio::time::sleep(PATIENCE).await;
            drop(all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&nonce));
        });
        let (client, since, expiry) = (client.clone(), Instant::now(), expiry.abort_handle());
        paused.insert(nonce, PausedSession { client, since, session, expiry });
        Ok(())
    }

    /// Takes the script of `client` that waits for this answer.
    pub(super) fn take(&self, nonce: &ConsentNonce, client: &ClientKey) -> Option<Session> {
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = paused.get(nonce).is_some_and(|it| it.client == *client);
        let taken = is_own.then(|| paused.remove(nonce)).flatten()?;
        taken.expiry.abort();
        Some(taken.session)
    }
}
