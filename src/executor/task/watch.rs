//! Looks at a task again and again, until it has ended.

use std::{pin::Pin, time::Duration};

use dadl_descriptor::model::{
    Tool,
    task::{TaskObservation, TaskPhase},
};
use tokio::time::Instant;

use super::{
    poller::{MissedLook, TaskLook, TaskLookKind, TaskPoller},
    verdict::TaskVerdict,
};
use crate::{
    call,
    executor::{
        AnswerMemory, CallError, TaskError, TaskFailure, WaitBudget,
        step::{CallMeans, to_usize},
    },
    gate::Admitted,
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText, task_report::TaskReport},
    response::{masked_error, shape},
};

/// When looks have failed for so long, the waiting is over; the task may go on.
const LONGEST_TROUBLE: Duration = Duration::from_secs(120);

/// Whatever an answer asks for, the next look comes after this time, unless the descriptor's own
/// waits are longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A task that has ended, as the last look showed it.
pub(super) struct TaskEnd {
    pub(super) glimpse: TaskObservation,
    /// All that the look showed.
    shown: JsonText,
    /// Counts what that takes.
    room: AnswerMemory,
    /// What became of the work, where the state of the task does not say.
    decided: Option<TaskVerdict>,
}

/// How the watching ended.
pub(super) enum WatchEnd {
    /// The task goes on.
    Open(TaskReport),
    /// The task ended.
    Ended(TaskEnd),
}

type LookFuture<'run> = Pin<Box<dyn Future<Output = Result<TaskLook, MissedLook>> + Send + 'run>>;

impl TaskPoller<'_> {
    /// Returns until when to wait.
    pub(super) fn deadline(&self, budget: WaitBudget) -> Instant {
        let settings = self.admit(TaskLookKind::Now).ok().and_then(|call| {
            let settings = self.executor.backend(call.entry()).ok()?.settings();
            Some((settings.task_wait, settings.task_after))
        });
        let (usual, brief) = settings.unwrap_or_default();
        let now = Instant::now();
        let (from, time) = match budget {
            WaitBudget::AtOnce => (now, Duration::ZERO),
            WaitBudget::Brief => (now, brief),
            WaitBudget::Longest => (now, self.tasks.max_wait),
            WaitBudget::For(time) => (now, time),
            WaitBudget::Until(end) => (now, end.saturating_duration_since(now)),
            // What was before the task, such as a person's answer, took of the host's time as well.
            WaitBudget::Usual => (self.context.since, usual),
        };
        // A point in time that no clock may reach.
        from.checked_add(time.min(self.tasks.max_wait)).unwrap_or(now + LONGEST_TROUBLE)
    }

    /// Tells who listens, and whoever asks for a list later.
    fn tell(&self, report: &TaskReport) {
        self.executor.begun.saw(report);
        self.context.observer.task(report);
    }

    /// Finds out what became of the work, and tells of the end, which is the last that is told of the
    /// task.
    async fn ended(&self, mut seen: TaskLook) -> WatchEnd {
        let mut decided = None;
        if seen.glimpse.phase == TaskPhase::Succeeded {
            decided = self.decided(&seen).await;
            if let Some(TaskVerdict::Bad { judged, .. }) = &decided {
                seen.glimpse.phase = judged.phase;
                seen.glimpse.state.clone_from(&judged.state);
                seen.glimpse.reason.clone_from(&judged.reason);
            }
        } else {
            let starter = self.right.starter();
            seen.glimpse.reason = starter.and_then(|starter| self.reason(&seen.shown, starter));
        }
        let mut glimpse = seen.glimpse.clone();
        if glimpse.phase == TaskPhase::Succeeded {
            // Whatever the API counts.
            glimpse.percent = Some(100.0);
        }
        self.tell(&TaskReport { is_running: false, glimpse: Some(glimpse), ..self.unseen() });
        let TaskLook { glimpse, shown, room } = seen;
        WatchEnd::Ended(TaskEnd { glimpse, shown, room, decided })
    }

    /// Notes that a look failed for good. That the API shows the task to others only is no failure of
    /// what was called.
    fn lost(&self, error: CallError) -> Result<WatchEnd, CallError> {
        let is_hidden = is_refusal(&error);
        let trouble = match error.inner() {
            Some(inner) if is_hidden => inner.for_model(),
            _ => error.for_model(),
        };
        let is_running = !is_hidden;
        let trouble = Some(trouble);
        let report = TaskReport { trouble, is_hidden, is_running, ..self.unseen() };
        self.executor.begun.lost(&report);
        if is_hidden { Ok(WatchEnd::Open(report)) } else { Err(error) }
    }

    /// Looks at once, and then watches until `deadline`.
    pub(super) async fn begin(&self, deadline: Instant) -> Result<WatchEnd, CallError> {
        let first = self.look(TaskLookKind::Now).await;
        let is_over = Instant::now() >= deadline;
        let report = match first {
            Ok(seen) if seen.glimpse.phase != TaskPhase::Running => {
                return Ok(self.ended(seen).await);
            }
            Ok(seen) => TaskReport { glimpse: Some(seen.glimpse), ..self.unseen() },
            Err(MissedLook::Lasting(error)) => return self.lost(error),
            Err(MissedLook::Passing { error, .. }) => {
                TaskReport { trouble: Some(error.to_string()), ..self.unseen() }
            }
        };
        self.tell(&report);
        if is_over {
            return Ok(WatchEnd::Open(report));
        }
        self.run(Some(report), deadline).await
    }

    /// Watches until the task has ended, or until `deadline`.
    pub(super) async fn run(
        &self,
        report: Option<TaskReport>,
        deadline: Instant,
    ) -> Result<WatchEnd, CallError> {
        let mut report = report.unwrap_or_else(|| self.unseen());
        let mut looks = 0;
        let mut troubled: Option<Instant> = None;
        let mut poll = self.look_after(self.tasks.pause(looks), TaskLookKind::Now);
        // It never ends by itself where there is no such call.
        let mut blocking = self
            .tasks
            .blocking
            .as_ref()
            .map(|_| self.look_after(Duration::ZERO, TaskLookKind::AtEnd));
        loop {
            let blocked = async {
                match &mut blocking {
                    Some(look) => look.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                seen = blocked => match seen {
                    Ok(seen) if seen.glimpse.phase != TaskPhase::Running => {
                        return Ok(self.ended(seen).await);
                    }
                    // A server or a proxy that waits for a while only: ask again.
                    Ok(_) | Err(MissedLook::Passing { .. }) => {
                        blocking = Some(self.look_after(self.tasks.pause(usize::MAX), TaskLookKind::AtEnd));
                    }
                    // The polls find out whether that is so for them too.
                    Err(MissedLook::Lasting(_)) => blocking = None,
                },
                seen = &mut poll => {
                    looks += 1;
                    let mut pause = self.tasks.pause(looks);
                    match seen {
                        Ok(seen) if seen.glimpse.phase != TaskPhase::Running => {
                            return Ok(self.ended(seen).await);
                        }
                        Ok(seen) => {
                            troubled = None;
                            report.trouble = None;
                            report.glimpse = Some(seen.glimpse);
                        }
                        Err(MissedLook::Lasting(error)) => return self.lost(error),
                        Err(MissedLook::Passing { error, retry_after }) => {
                            let since = *troubled.get_or_insert_with(Instant::now);
                            report.trouble = Some(format!("the last look failed: {error}"));
                            if since.elapsed() > LONGEST_TROUBLE {
                                return Ok(WatchEnd::Open(report));
                            }
                            pause = pause.max(retry_after.unwrap_or_default().min(LONGEST_PAUSE));
                        }
                    }
                    report.elapsed = self.unseen().elapsed;
                    self.tell(&report);
                    poll = self.look_after(pause, TaskLookKind::Now);
                }
                () = tokio::time::sleep_until(deadline) => return Ok(WatchEnd::Open(report)),
            }
        }
    }

    fn look_after<'look>(&'look self, pause: Duration, look: TaskLookKind) -> LookFuture<'look> {
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            self.look(look).await
        })
    }

    /// Makes the end of the task the outcome of `call`: the rules of `starter`, which began it, apply
    /// to the result, but for `result_path`, which is about the tool's own answers.
    pub(super) async fn outcome(
        &self,
        end: TaskEnd,
        call: &Admitted<'_>,
        starter: &Tool,
    ) -> Result<CallOutcome, CallError> {
        let Self { executor, right, tasks, context, .. } = self;
        let TaskEnd { glimpse, mut shown, mut room, decided } = end;
        let handle = right.handle().clone();
        let mut notes = Vec::new();
        let mut result = tasks.result.as_ref();
        let mut told_by = None;
        match decided {
            None => {}
            Some(TaskVerdict::Bad { tool, .. }) => told_by = Some(tool),
            Some(TaskVerdict::Good(seen)) => {
                result = tasks.verdict_of(&handle.tool).and_then(|(_, it)| it.result.as_ref());
                (shown, room) = (seen.text, seen.room);
            }
            Some(TaskVerdict::Unknown { tool, why }) => notes.push(format!(
                "the task ended, which does not say whether its work succeeded: `{tool}` would tell, \
                 but {why}"
            )),
        }
        if glimpse.phase != TaskPhase::Succeeded {
            // Where the API shows that somebody asked, nobody has unless it does.
            let was_asked = tasks.stop_requested.is_none() || glimpse.stop_requested;
            return Err(TaskError::Failed(TaskFailure {
                handle,
                is_cancelled: glimpse.phase == TaskPhase::Cancelled
                    && was_asked
                    && told_by.is_none(),
                reason: glimpse.reason,
                state: glimpse.state,
                told_by,
            })
            .into());
        }
        let done = TaskReport { is_running: false, glimpse: Some(glimpse), ..self.unseen() };
        let backend = executor.backend(call.entry())?;
        let before = shown.as_str().len();
        let most = to_usize(backend.settings().max_response_bytes);
        let result = || {
            let path = result?;
            // Whatever is wrong with it, there is no result.
            let selected = shape::select_path::<()>(shown, Some(path), most).ok()?;
            Some(selected).filter(|selected| selected.as_str() != "null")
        };
        let Some(result) = room.work(before, result).await else {
            let payload = AnswerPayload::Task(Box::new(done));
            let held = HeldMemory::default();
            return Ok(CallOutcome { status: 200, payload, notes, next: None, held });
        };
        // For the words of errors only: nothing is sent any more.
        let look = self.admit(TaskLookKind::Now)?;
        let (arguments, door) = (look.arguments(), look.door());
        let plan = call::plan_call(look.entry(), &self.tool, backend.base(), arguments, door)?;
        // What it takes was counted with the look.
        let means = CallMeans { room, ..CallMeans::new(executor, backend, context) };
        let step = means.step(call, starter, &plan);
        step.resize(before as u64, result.as_str().len() as u64)?;
        let mut outcome = step.shape(result, 200).await?;
        outcome.notes.extend(notes);
        Ok(CallOutcome { held: HeldMemory::by(means.room), ..outcome })
    }

    /// Returns why the task failed, without what the tool that began it hides in its results.
    fn reason(&self, shown: &JsonText, starter: &Tool) -> Option<String> {
        let text = shown.as_str();
        if starter.response.redact.is_empty() {
            return self.tasks.reason_in(text);
        }
        let result = self.tasks.result.as_ref().and_then(|path| path.look(text));
        let without = match result {
            None => text.to_owned(),
            Some(result) => {
                // Both are parts of the same text.
                let from = result.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
                let (before, after) = (text.get(..from)?, text.get(from + result.len()..)?);
                let most = result.len().saturating_mul(2);
                let result = JsonText::trusted(result.to_owned());
                let hidden = shape::redact_paths(result, &starter.response.redact, most).ok()?;
                [before, hidden.as_str(), after].concat()
            }
        };
        // What cannot be hidden is not told.
        let (without, hidden) = masked_error::in_json(&without, &starter.response)?;
        self.tasks.reason_in(&without).map(|reason| masked_error::in_text(reason, &hidden))
    }
}

/// Returns whether the API refuses to show the task to this account.
fn is_refusal(error: &CallError) -> bool {
    matches!(error.inner(), Some(CallError::Api(error)) if error.status == 403 || error.code == "forbidden")
}
