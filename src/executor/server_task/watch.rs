//! Looks at a task of a server again and again, until it has ended or nobody waits any more.

use std::time::Duration;

use dadl_text::json::scan;
use serde_json::json;
use tokio::time::Instant;

use super::{
    InputRule, ServerTask,
    state::{LONGEST_PAUSE, SeenTask, USUAL_PAUSE, clean},
};
use crate::{
    executor::{CallError, TaskError, TaskFailure},
    mcp_client::{CallClock, CallerPlace, RawResult, ServerError, ServerFault},
    outcome::task_report::TaskReport,
};

/// When looks have failed for so long, the waiting is over; the task may go on.
const LONGEST_TROUBLE: Duration = Duration::from_secs(120);

/// The code with which a server refuses what it does not know (JSON-RPC).
const INVALID_PARAMS: i64 = -32602;

/// How the waiting ended.
pub(super) enum ServerTaskEnd {
    /// The task goes on.
    Open(Box<TaskReport>),
    /// It has ended, and this is what the call would have given.
    Result(RawResult),
}

/// What follows from a look.
enum NextStep {
    /// It is looked at again.
    Again,
    /// The waiting is over.
    End(RawResult),
    /// The waiting is over, and the task goes on.
    Leave,
}

impl ServerTask<'_> {
    /// Watches the task, which was `seen` so first; without that it is looked at once at least.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`]: it has no good end, or cannot be looked at.
    pub(super) async fn watch(
        &self,
        seen: Option<SeenTask>,
        place: &mut CallerPlace,
    ) -> Result<ServerTaskEnd, CallError> {
        place.wait_for_task(&self.name());
        let ended = self.look_on(seen, place).await;
        if matches!(ended, Ok(ServerTaskEnd::Open(_))) {
            place.leave_task();
        }
        ended
    }

    async fn look_on(
        &self,
        seen: Option<SeenTask>,
        place: &mut CallerPlace,
    ) -> Result<ServerTaskEnd, CallError> {
        let (mut report, mut pause) = (self.unseen(), USUAL_PAUSE);
        let mut is_first = seen.is_none();
        let (mut seen, mut given, mut troubled) = (seen, None, None);
        loop {
            if let Some(now) = seen.take() {
                (report, pause) = (self.report(&now.state), now.state.pause());
                self.tell(&report);
                match self.judge(now, &mut given, place).await? {
                    NextStep::Again => {}
                    NextStep::End(result) => return Ok(ServerTaskEnd::Result(result)),
                    NextStep::Leave => return Ok(ServerTaskEnd::Open(Box::new(report))),
                }
            }
            if !std::mem::take(&mut is_first) && !self.goes_on_after(pause, place).await {
                return Ok(ServerTaskEnd::Open(Box::new(report)));
            }
            match self.look(place).await {
                Ok(Some(now)) => (seen, troubled) = (Some(now), None),
                Ok(None) => return Err(self.unclear("is no task")),
                Err(error) if may_pass(&error.fault) => {
                    let since = *troubled.get_or_insert_with(Instant::now);
                    let again = error.fault.retry_after().unwrap_or_default();
                    pause = USUAL_PAUSE.max(again).min(LONGEST_PAUSE);
                    let trouble = Some(format!("the last look failed: {error}"));
                    report = TaskReport { trouble, elapsed: self.unseen().elapsed, ..report };
                    self.tell(&report);
                    if since.elapsed() > LONGEST_TROUBLE {
                        return Ok(ServerTaskEnd::Open(Box::new(report)));
                    }
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// Waits before the next look; returns whether there is one.
    async fn goes_on_after(&self, pause: Duration, place: &mut CallerPlace) -> bool {
        let left = self.clock.left();
        if left.is_zero() || self.context.has_ended() {
            return false;
        }
        let sleep = tokio::time::sleep(pause.min(left));
        tokio::select! {
            () = self.questions.beside(place, sleep) => !self.clock.left().is_zero(),
            () = self.context.program_ends() => false,
        }
    }

    /// Looks at the task once; nothing where what comes is none.
    pub(super) async fn look(
        &self,
        place: &mut CallerPlace,
    ) -> Result<Option<SeenTask>, ServerError> {
        Ok(SeenTask::read(self.ask("tasks/get", place).await?))
    }

    /// Makes a request about the task.
    async fn ask(&self, method: &str, place: &mut CallerPlace) -> Result<RawResult, ServerError> {
        let clock = CallClock::new(self.time);
        let request = self.link.other(method, json!({ "taskId": self.name() }), &clock);
        self.questions.beside(place, request).await
    }

    /// Does what a state wants to have done.
    async fn judge(
        &self,
        now: SeenTask,
        given: &mut Option<String>,
        place: &mut CallerPlace,
    ) -> Result<NextStep, CallError> {
        let is_older = self.link.has_older_tasks();
        match now.state.status.as_str() {
            "completed" => self.completed(now, is_older, place).await.map(NextStep::End),
            "failed" => self.failed(now, is_older, place).await.map(NextStep::End),
            "cancelled" => Err(self.ended_badly(&now, None, true)),
            "input_required" if self.input == InputRule::Leave => Ok(NextStep::Leave),
            // There the questions come with the result.
            "input_required" if is_older => self.result_with_questions(place).await,
            "input_required" => self.give_inputs(now, given, place).await,
            _ => Ok(NextStep::Again),
        }
    }

    /// Returns the result of a task that has ended well.
    async fn completed(
        &self,
        now: SeenTask,
        is_older: bool,
        place: &mut CallerPlace,
    ) -> Result<RawResult, CallError> {
        if is_older {
            return self.ask("tasks/result", place).await.map_err(|error| self.lost(error));
        }
        let looked = match now.looked {
            Some(looked) => looked,
            // It was over before anybody looked.
            None => self.ask("tasks/get", place).await.map_err(|error| self.lost(error))?,
        };
        looked.member("result").ok_or_else(|| self.unclear("has no result"))
    }

    /// Says why a task failed; one of 2025-11-25 has the result of a tool that says so itself.
    async fn failed(
        &self,
        now: SeenTask,
        is_older: bool,
        place: &mut CallerPlace,
    ) -> Result<RawResult, CallError> {
        if !is_older {
            let reason = now.error();
            return Err(self.ended_badly(&now, reason, false));
        }
        let reason = match self.ask("tasks/result", place).await {
            Ok(result) if scan::member_at(result.as_str(), &["isError"]) == Some("true") => {
                return Ok(result);
            }
            Err(ServerError { fault: ServerFault::Rpc(failure), .. }) => Some(failure.message),
            Ok(_) | Err(_) => None,
        };
        Err(self.ended_badly(&now, reason, false))
    }

    /// Waits for the result of a task of 2025-11-25 that asks for something meanwhile.
    async fn result_with_questions(&self, place: &mut CallerPlace) -> Result<NextStep, CallError> {
        if self.clock.left().is_zero() {
            return Ok(NextStep::Leave);
        }
        let params = json!({ "taskId": self.name() });
        let request = self.link.other("tasks/result", params, &self.clock);
        let asked = tokio::select! {
            asked = self.questions.during(place, request) => asked,
            () = self.context.program_ends() => return Ok(NextStep::Leave),
        };
        match asked {
            Ok(result) => {
                self.executor.begun.saw(&TaskReport { is_running: false, ..self.unseen() });
                Ok(NextStep::End(result))
            }
            Err(error) if matches!(error.fault, ServerFault::Timeout { .. }) => Ok(NextStep::Leave),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Gives a task of 2026-07-28 what it asks for.
    async fn give_inputs(
        &self,
        now: SeenTask,
        given: &mut Option<String>,
        place: &mut CallerPlace,
    ) -> Result<NextStep, CallError> {
        // Only a look says what it asks for. A task that has not taken what it was given asks nobody twice.
        let asked = now.inputs().map(str::to_owned);
        let (Some(asked), Some(looked)) =
            (asked.filter(|it| Some(it) != given.as_ref()), &now.looked)
        else {
            return Ok(NextStep::Again);
        };
        let inputs = tokio::select! {
            inputs = self.questions.inputs(looked) => inputs,
            () = self.context.program_ends() => return Ok(NextStep::Leave),
        };
        let answers = match inputs {
            Ok(answers) => answers,
            Err(why) => {
                let stopped = match self.ask("tasks/cancel", place).await {
                    Ok(_) => "it was asked to stop",
                    Err(_) => "it could not be asked to stop",
                };
                return Err(self.ended_badly(&now, Some(format!("{why}; {stopped}")), false));
            }
        };
        match self.update(answers.responses).await {
            Ok(()) => *given = Some(asked),
            Err(error) if may_pass(&error.fault) => {}
            Err(error) => return Err(self.lost(error)),
        }
        Ok(NextStep::Again)
    }

    /// Makes the error of a task that has no good end.
    pub(super) fn ended_badly(
        &self,
        now: &SeenTask,
        reason: Option<String>,
        is_cancelled: bool,
    ) -> CallError {
        let seen = now.state.observation();
        let reason = reason.map(|reason| clean(&reason)).filter(|it| !it.is_empty());
        let failure = TaskFailure {
            handle: self.right.handle().clone(),
            is_cancelled,
            reason: reason.or(seen.message),
            state: seen.state,
            told_by: None,
        };
        TaskError::Failed(failure).into()
    }

    /// Notes that a look failed for good.
    pub(super) fn lost(&self, error: ServerError) -> CallError {
        let handle = self.right.handle().clone();
        let error = match &error.fault {
            ServerFault::Rpc(failure) if failure.code == INVALID_PARAMS => TaskError::Forgotten {
                handle,
                backend: error.backend.clone(),
                said: clean(&failure.message),
            },
            _ => TaskError::Unseen { handle, error: Box::new(error.into()) },
        };
        let error = CallError::from(error);
        let trouble = Some(error.for_model());
        self.executor.begun.lost(&TaskReport { trouble, ..self.unseen() });
        error
    }

    fn unclear(&self, reason: &str) -> CallError {
        let (handle, tool) = (self.right.handle().clone(), "tasks/get".to_owned());
        TaskError::State { handle, tool, reason: reason.to_owned() }.into()
    }
}

/// Returns whether another look may help: the task goes on whether or not it was seen.
fn may_pass(fault: &ServerFault) -> bool {
    let ended = matches!(
        fault,
        ServerFault::BrokenOff(_) | ServerFault::Ended { .. } | ServerFault::Timeout { .. }
    );
    ended || fault.is_transient()
}
