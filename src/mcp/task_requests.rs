//! What hosts ask about tasks of the protocol: how one is, what it asks for, and that it stops.

use futures_util::{FutureExt as _, future::BoxFuture};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CancelTaskParams, DetailedTask, GetTaskParams, GetTaskResult, InputRequests, TaskPayload,
        UpdateTaskParams,
    },
    service::RequestContext,
};

use super::{
    McpServer,
    handler::refusal_error,
    host_questions,
    progress::{self, ProgressReporter},
    request_owner::client_key,
    shutdown::StopReason,
    task_protocol::TaskId,
};
use crate::{
    executor::{
        CallContext, CallError, QuestionAnswer, ServerQuestion, ServerQuestions, WaitBudget,
    },
    gate::{PendingCall, TaskRight, TaskStop},
    outcome::{AnswerPayload, CallOutcome},
};

/// A host that has a task as one of its own, and puts its questions by itself.
struct HostOfTask;

impl ServerQuestions for HostOfTask {
    fn ask(&self, _: ServerQuestion) -> BoxFuture<'_, QuestionAnswer> {
        let why = "the host asks by the task";
        std::future::ready(QuestionAnswer::Unput(why.to_owned())).boxed()
    }

    fn asks_later(&self) -> bool {
        true
    }
}

impl McpServer {
    /// Says how a task is; what it asks for is put to the host where that can ask all of it.
    pub(super) async fn task_state(
        &self,
        request: GetTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let id = TaskId::read(&request.task_id)?;
        let right = self.gate().check_task(&id.handle).map_err(refusal_error)?;
        let looked = Box::pin(self.look_at_task(&id, &right, context));
        let reporter = ProgressReporter::default();
        let looked = progress::run_reporting(context, self.ending(), &reporter, looked).await;
        let stopped = |why: StopReason| ErrorData::internal_error(why.to_string(), None);
        match looked.map_err(stopped)? {
            TaskLook::Asks(asked) => Ok(*asked),
            TaskLook::Looked(looked) => Box::pin(self.task_shown(&id, *looked, context)).await,
        }
    }

    async fn look_at_task(
        &self,
        id: &TaskId,
        right: &TaskRight,
        context: &RequestContext<RoleServer>,
    ) -> TaskLook {
        let executor = self.executor();
        let carried =
            CallContext::default().of(client_key(&context.extensions)).waiting(WaitBudget::AtOnce);
        let capabilities = context.client_capabilities();
        let can_ask = host_questions::can_be_asked(capabilities.as_ref());
        let questions = can_ask.then_some(&HostOfTask as &dyn ServerQuestions);
        let asking = CallContext { questions, ..carried.clone() };
        let looked = executor.watch_task(right, &asking).await;
        if !can_ask || !waits_for_input(&looked) {
            return TaskLook::Looked(Box::new(looked));
        }
        let questions = executor.task_questions(right, &carried).await.unwrap_or_default();
        let mut requests = InputRequests::new();
        for (key, question) in questions {
            let unput = host_questions::why_not(&question, capabilities.as_ref());
            let request = host_questions::as_request(question).filter(|_| unput.is_none());
            match request {
                Some(request) => drop(requests.insert(key, request)),
                // Not all of it can be asked: what can be done without the host is done.
                None => {
                    let looked = executor.watch_task(right, &carried).await;
                    return TaskLook::Looked(Box::new(looked));
                }
            }
        }
        if requests.is_empty() {
            return TaskLook::Looked(Box::new(executor.watch_task(right, &carried).await));
        }
        let payload = TaskPayload::InputRequired { input_requests: requests };
        let task = id.task(payload.status());
        TaskLook::Asks(Box::new(GetTaskResult::new(DetailedTask::new(task, payload))))
    }

    /// Hands on what a host answers to the questions of a task.
    pub(super) async fn answer_task(
        &self,
        request: UpdateTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let executor = self.executor();
        let id = TaskId::read(&request.task_id)?;
        let right = self.gate().check_task(&id.handle).map_err(refusal_error)?;
        let carried =
            CallContext::default().of(client_key(&context.extensions)).waiting(WaitBudget::AtOnce);
        let failed = |error: CallError| ErrorData::internal_error(error.for_model(), None);
        // What counts is what the server asks for now, and not what a host says that it does.
        let asked = Box::pin(executor.task_questions(&right, &carried)).await.map_err(failed)?;
        let answers = asked.into_iter().filter_map(|(key, question)| {
            let given = request.input_responses.get(&key)?;
            let answer = host_questions::given(&question, Some(given));
            Some((key, question, answer))
        });
        let answers: Vec<_> = answers.collect();
        if answers.is_empty() {
            return Err(ErrorData::invalid_params("the task asks for nothing of this", None));
        }
        Box::pin(executor.answer_task(&right, answers, &carried)).await.map_err(failed)
    }

    /// Asks a task to stop.
    pub(super) async fn stop_task(
        &self,
        request: CancelTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (gate, executor) = (self.gate(), self.executor());
        let id = TaskId::read(&request.task_id)?;
        let carried = CallContext::default().of(client_key(&context.extensions));
        let failed = |error: CallError| ErrorData::internal_error(error.for_model(), None);
        match gate.check_stop(&id.handle).map_err(refusal_error)? {
            TaskStop::Call(pending) => {
                let call = PendingCall::admit(pending).map_err(refusal_error)?;
                executor.execute(call, &carried).await.map(drop).map_err(failed)
            }
            TaskStop::Request(right) => {
                Box::pin(executor.ask_to_stop(&right, &carried)).await.map_err(failed)
            }
        }
    }
}

/// What a look gave.
enum TaskLook {
    /// The task asks the host for something.
    Asks(Box<GetTaskResult>),
    /// What there is to show.
    Looked(Box<Result<CallOutcome, CallError>>),
}

/// Returns whether a task of a server waits for an answer.
fn waits_for_input(looked: &Result<CallOutcome, CallError>) -> bool {
    let Ok(CallOutcome { payload: AnswerPayload::Task(report), .. }) = looked else { return false };
    report.is_running && report.glimpse.as_ref().is_some_and(|seen| seen.state == "input_required")
}
