//! A checked call from the question to the result.

use dadl_descriptor::model::ParamRole;
use rmcp::{RoleServer, model::CallToolResponse, service::RequestContext};

use super::{
    McpServer, asking_calls::CallStep, builtin::task_notes, consent::ConsentRetry,
    omission::Omission, result, server::ToolAnswer, stream_opening, task_protocol,
};
use crate::{
    access::AccessDecision,
    catalog::CatalogEntry,
    executor::{CallContext, CallError, WaitBudget},
    gate::PendingCall,
    outcome::{AnswerPayload, CallOutcome},
};

impl McpServer {
    /// Runs a checked call: asks if need be, executes, and makes the result.
    pub(super) async fn perform(
        &self,
        pending: PendingCall<'_>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
        carried: CallContext<'_>,
    ) -> ToolAnswer {
        let (gate, executor) = (self.gate(), self.executor());
        let entry = pending.entry();
        // How long it waits, and what is made of the result, are no business of a host's task.
        let is_given = |role| pending.arguments().given(role).is_some();
        let is_plain = !is_given(ParamRole::Wait) && !is_given(ParamRole::Jq);
        let omission = Omission::of_call(entry, pending.arguments());
        let watch = gate.catalog().task_tools(entry.backend).map(|tools| &tools.watch.decision);
        let is_server = entry.server_tool().is_some();
        let as_task = entry.may_begin_task()
            && is_plain
            && (is_server || watch == Some(&AccessDecision::Allow))
            && context.client_capabilities().is_some_and(|client| client.supports_tasks());
        let taken = pending.arguments().taken_note();
        // Other calls ask nobody.
        let asking = is_server.then(|| self.asking(&pending, context, &carried));
        let resumed = match asking {
            Some(asking) => Box::pin(asking.go_on(&retry)).await,
            None => None,
        };
        match resumed {
            Some(CallStep::Answer(answer)) => return answer,
            Some(CallStep::Done(done)) => {
                return Ok(self.made(done, entry, (omission.as_ref(), taken), context).await);
            }
            None => {}
        }
        let call = match self.admit(pending, retry, context).await {
            Ok(call) => call,
            Err(answered) => return answered,
        };
        // Boxed, like what it waits for: the futures of calls are large, and would lie side by side.
        match Box::pin(stream_opening::perform(self, &call, context)).await {
            Some(Ok(outcome)) => return Ok(self.shown(outcome, Some(entry), context).await.into()),
            Some(Err(error)) => return Ok(result::failure_result(error.to_string()).into()),
            None => {}
        }
        let budget = if as_task { WaitBudget::Brief } else { WaitBudget::Usual };
        let done = match asking {
            Some(asking) => match Box::pin(asking.execute(call, budget)).await {
                CallStep::Answer(answer) => return answer,
                CallStep::Done(done) => done,
            },
            None => executor.execute(call, &carried.waiting(budget)).await,
        };
        match done {
            Ok(CallOutcome { payload: AnswerPayload::Task(report), .. })
                if as_task && report.is_running =>
            {
                // It may have been waited for.
                let began = executor.task_began(&report.handle);
                Ok(CallToolResponse::Task(task_protocol::created(*report, began)))
            }
            done => Ok(self.made(done, entry, (omission.as_ref(), taken), context).await),
        }
    }

    /// Makes the answer of what a call came to.
    async fn made(
        &self,
        done: Result<CallOutcome, CallError>,
        entry: &CatalogEntry,
        (omission, taken): (Option<&Omission<'_>>, Option<String>),
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        match done {
            Ok(mut outcome) => {
                outcome.notes.extend(taken);
                task_notes::advise(&mut outcome, self);
                self.shown_without(outcome, (Some(entry), omission), context).await.into()
            }
            Err(error) => {
                let note = taken.map(|note| format!("; {note}")).unwrap_or_default();
                result::failure_result(error.for_model() + &note).into()
            }
        }
    }
}
