//! The tools that go on with the task of an API, that cancel it, and that list those that were begun.

use std::time::Duration;

use dadl_descriptor::model::ParamKind;
use rmcp::{RoleServer, model::CallToolResponse, service::RequestContext};
use serde_json::{Map, Value, json};

use super::{
    BuiltinTool,
    arguments::{ArgumentsError, GivenArguments, start_of},
    listing::{TASK_CANCEL, TASK_LIST, TASK_WAIT},
    task_notes,
};
use crate::{
    executor::{CallContext, CallError, TaskError, WaitBudget},
    gate::{TaskRight, TaskStop},
    mcp::{
        McpServer,
        asking_calls::{AskingRequest, CallStep},
        consent::ConsentRetry,
        notes::ResultNotes,
        result,
        server::ToolAnswer,
    },
    outcome::{CallOutcome, JsonText, task_report::TaskHandle},
};

/// Lists what calls of the same client began. Nothing is asked of an API.
pub(super) fn list_tasks(
    server: &McpServer,
    arguments: Map<String, Value>,
    carried: &CallContext<'_>,
) -> CallToolResponse {
    match GivenArguments::new(TASK_LIST.name, arguments).finish(Some(())) {
        Ok(()) => {
            let executor = server.executor();
            let mut tasks = json!({ "tasks": executor.begun(&carried.client) });
            let scripts = executor.script_changes(&carried.client);
            if let Some(object) = tasks.as_object_mut().filter(|_| !scripts.is_empty()) {
                object.insert("scripts".to_owned(), scripts.into());
            }
            result::own_result(&JsonText::from(&tasks), ResultNotes::default()).into()
        }
        Err(error) => result::failure_result(error.to_string()).into(),
    }
}

/// Waits for a task.
pub(super) async fn wait_for_task(
    server: &McpServer,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let WaitArguments { handle, budget } = match WaitArguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(result::failure_result(error.to_string()).into()),
    };
    let right = match server.gate().check_task(&handle) {
        Ok(right) => right,
        Err(refusal) => return Ok(result::failure_result(refusal.to_string()).into()),
    };
    let budget = budget.unwrap_or_default();
    let watched = tokio::select! {
        biased;
        watched = watch_task(server, &right, (budget, &retry), context, carried) => watched,
        () = server.ending().leaving() => {
            if server.executor().ends_with_us(&right) {
                let error = TaskError::EndsToo { handle };
                return Ok(result::failure_result(error.to_string()).into());
            }
            let arguments = json!({ "task": handle.to_string() });
            let way = task_notes::way(server, BuiltinTool::TaskWait, &arguments);
            let text = format!(
                "the server is ending; the task {handle} goes on: {way} when the server is back"
            );
            return Ok(result::failure_result(text).into());
        }
    };
    match watched {
        CallStep::Answer(answer) => answer,
        CallStep::Done(watched) => Ok(outcome_response(server, watched, &handle, context).await),
    }
}

/// Waits for a task; one of another MCP server may ask the host for something meanwhile.
async fn watch_task(
    server: &McpServer,
    right: &TaskRight,
    (budget, retry): (WaitBudget, &ConsentRetry),
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> CallStep {
    if right.server_entry().is_none() {
        let carried = carried.clone().waiting(budget);
        return CallStep::Done(server.executor().watch_task(right, &carried).await);
    }
    let asking = AskingRequest { server, context, carried, digest: right.digest() };
    match Box::pin(asking.go_on(retry)).await {
        Some(step) => step,
        None => Box::pin(asking.watch(right, budget)).await,
    }
}

/// Asks a task to stop.
pub(super) async fn cancel_task(
    server: &McpServer,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let mut given = GivenArguments::new(TASK_CANCEL.name, arguments);
    let handle = handle_argument(&mut given);
    let handle = match given.finish(handle) {
        Ok(handle) => handle,
        Err(error) => return Ok(result::failure_result(error.to_string()).into()),
    };
    let right = server.gate().check_task(&handle).ok();
    let pending = match server.gate().check_stop(&handle) {
        Ok(TaskStop::Call(pending)) => pending,
        Ok(TaskStop::Request(right)) => {
            let stopped = server.executor().stop_task(&right, carried).await;
            return Ok(outcome_response(server, stopped, &handle, context).await);
        }
        Err(refusal) => return Ok(result::failure_result(refusal.to_string()).into()),
    };
    let call = match server.admit(pending, retry, context).await {
        Ok(call) => call,
        Err(answered) => return answered,
    };
    let cancelled = server.executor().cancel_task(call, &handle, right.as_ref(), carried).await;
    Ok(outcome_response(server, cancelled, &handle, context).await)
}

async fn outcome_response(
    server: &McpServer,
    outcome: Result<CallOutcome, CallError>,
    handle: &TaskHandle,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    match outcome {
        Ok(mut outcome) => {
            task_notes::advise(&mut outcome, server);
            server.shown_of_task(outcome, handle, context).await.into()
        }
        Err(error) => result::failure_result(error.for_model()).into(),
    }
}

/// The arguments of a wait.
#[derive(Debug, PartialEq)]
struct WaitArguments {
    handle: TaskHandle,
    /// How long, when the caller says.
    budget: Option<WaitBudget>,
}

impl WaitArguments {
    fn read(arguments: Map<String, Value>) -> Result<Self, ArgumentsError> {
        let mut given = GivenArguments::new(TASK_WAIT.name, arguments);
        let handle = handle_argument(&mut given);
        let budget = given.optional("wait", "a number of seconds", |wait| {
            let seconds = ParamKind::Integer.coerce(wait).ok()?.as_u64()?;
            let time = Duration::from_secs(seconds);
            Some(if seconds == 0 { WaitBudget::AtOnce } else { WaitBudget::For(time) })
        });
        given.finish(handle.map(|handle| Self { handle, budget }))
    }
}

/// Takes the handle of a task.
fn handle_argument(given: &mut GivenArguments) -> Option<TaskHandle> {
    let text = given.required("task", "the handle of a task", "text", |task| match task {
        Value::String(text) => Some(text),
        _ => None,
    })?;
    match text.trim().parse() {
        Ok(handle) => Some(handle),
        Err(error) => {
            given.problem(format!("`task` is \"{}\": {error}", start_of(&text)));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: Value) -> Result<WaitArguments, ArgumentsError> {
        let Value::Object(given) = given else { panic!("not an object") };
        WaitArguments::read(given)
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let read_wait =
            |wait: Value| read(json!({ "task": " a:b:c ", "wait": wait })).map(|it| it.budget);
        let seconds = |seconds| Ok(Some(WaitBudget::For(Duration::from_secs(seconds))));
        assert_eq!(read_wait(json!(null)), Ok(None));
        assert_eq!(read_wait(json!(0)), Ok(Some(WaitBudget::AtOnce)));
        assert_eq!(read_wait(json!("7")), seconds(7));
        let error = |given| read(given).unwrap_err().to_string();
        for wrong in [json!(-1), json!(1.5), json!("soon"), json!([])] {
            let error = error(json!({ "task": "a:b:c", "wait": wrong }));
            assert!(error.contains("`wait` must be a number of seconds"), "{error}");
        }
        assert!(error(json!({})).contains("`task` (the handle of a task) is required"));
        assert!(error(json!({ "task": 1 })).contains("`task` must be text"));
        assert!(error(json!({ "task": "0m8" })).contains("this is no handle"));
        assert!(error(json!({ "task": "a:b:c", "x": 1 })).contains("no parameter `x`"));
        let all = error(json!({ "wait": "soon", "x": 1 }));
        let expected = "the arguments of `task_wait` cannot be used: `task` (the handle of a task) is \
                        required; `wait` must be a number of seconds; there is no parameter `x`";
        assert_eq!(all, expected);
        let mut cancel =
            GivenArguments::new(TASK_CANCEL.name, Map::from_iter([("wait".to_owned(), json!(1))]));
        let handle = handle_argument(&mut cancel);
        let error = cancel.finish(handle).unwrap_err().to_string();
        assert!(error.contains("there is no parameter `wait`"), "{error}");
    }
}
