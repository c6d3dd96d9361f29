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

/// So many scripts wait for people.
const MOST_PAUSED: usize = 64;

/// So many of one host.
const MOST_OF_HOST: usize = 8;

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
        let task = tokio::spawn(async move {
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
                let reason = "the script engine failed".to_owned();
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

/// The scripts that wait for an answer that another request brings.
#[derive(Debug, Clone, Default)]
pub(super) struct PausedScripts(Arc<Mutex<HashMap<ConsentNonce, PausedScript>>>);

#[derive(Debug)]
struct PausedScript {
    client: ClientKey,
    since: Instant,
    session: ScriptSession,
}

impl PausedScripts {
    /// Keeps a script of `client` until its answer comes, or nobody can answer any more.
    ///
    /// # Errors
    ///
    /// The script, when too many wait.
    pub(super) fn keep(
        &self,
        nonce: ConsentNonce,
        client: &ClientKey,
        session: ScriptSession,
    ) -> Result<(), Box<ScriptSession>> {
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paused.retain(|_, it| it.since.elapsed() < PATIENCE);
        let own = paused.values().filter(|it| it.client.host == client.host).count();
        if paused.len() >= MOST_PAUSED || own >= MOST_OF_HOST {
            return Err(Box::new(session));
        }
        paused
            .insert(nonce, PausedScript { client: client.clone(), since: Instant::now(), session });
        drop(paused);
        let all = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            drop(all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&nonce));
        });
        Ok(())
    }

    /// Takes the script of `client` that waits for this answer.
    pub(super) fn take(&self, nonce: &ConsentNonce, client: &ClientKey) -> Option<ScriptSession> {
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = paused.get(nonce).is_some_and(|it| it.client == *client);
        is_own.then(|| paused.remove(nonce)).flatten().map(|it| it.session)
    }
}
