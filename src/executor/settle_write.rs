//! Reading after writing, where an API is eventually consistent: it shows a write only a little later.
//!
//! A descriptor says which tools write so, and which tool reads what they wrote (`_dadl_mcp.settles`).
//! A call of such a tool polls the reader and returns when the write can be seen, or after `within` with
//! a note that it cannot. A 404 of a reader soon after gets a hint to look once more. Both only add
//! words: nothing here makes a failure of a write that succeeded.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dadl_descriptor::model::{
    Tool,
    settle::{SettleCondition, SettleRule},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{CallContext, CallError, Executor, look};
use crate::{
    catalog::BackendId,
    gate::Admitted,
    outcome::{AnswerPayload, ApiError, CallOutcome},
    shares::ClientKey,
};

/// The pause before the second look; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A 404 so long after a write has other reasons.
const RECENT: Duration = Duration::from_secs(10);

/// At most so many writes are remembered.
const MOST_WRITES: usize = 256;

/// The last writes whose API shows them later; a clone holds the same.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWrites(Arc<Mutex<VecDeque<KnownWrite>>>);

#[derive(Debug)]
struct KnownWrite {
    client: ClientKey,
    backend: BackendId,
    /// What kind of things it wrote, as [`write_kind`] has it.
    kind: String,
    tool: String,
    at: Instant,
}

impl LastWrites {
    fn note(&self, known: KnownWrite) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| {
            let is_same =
                it.client == known.client && it.backend == known.backend && it.kind == known.kind;
            it.at.elapsed() < RECENT && !is_same
        });
        if all.len() >= MOST_WRITES {
            all.pop_front();
        }
        all.push_back(known);
    }

    /// Returns the tool that wrote something of this kind a moment ago, and when.
    fn last(
        &self,
        client: &ClientKey,
        backend: BackendId,
        kind: &str,
    ) -> Option<(String, Duration)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |it: &&KnownWrite| it.client == *client && it.backend == backend && it.kind == kind;
        let known = all.iter().rev().find(is_it)?;
        Some((known.tool.clone(), known.at.elapsed())).filter(|(_, since)| *since < RECENT)
    }
}

/// Returns what kind of things a tool is about: the beginning of its path, up to the first parameter, or
/// its JSON-RPC method.
fn write_kind(tool: &Tool) -> &str {
    match tool.rpc() {
        Some(rpc) => &rpc.method,
        None => {
            let path = tool.path().as_str();
            path.split_once('{').map_or(path, |(collection, _)| collection)
        }
    }
}

/// Waits until what a call wrote can be seen. A "not found" error gets a hint that the thing may still
/// appear.
pub(super) async fn settle_after(
    executor: &Executor,
    call: &Admitted<'_>,
    tool: &Tool,
    context: &CallContext<'_>,
    made: Result<CallOutcome, CallError>,
) -> Result<CallOutcome, CallError> {
    match made {
        // What reads has written nothing.
        Ok(outcome) if tool.only_reads() => Ok(outcome),
        Ok(mut outcome) => {
            // An argument that stands for an uploaded file identifies nothing that could be looked for.
            let arguments = call.arguments();
            let given = arguments.iter().filter(|(param, _)| !arguments.stands_for_file(param));
            let given = given.map(|(param, value)| (param.name.clone(), value.clone())).collect();
            wait_until_settled(executor, call, (tool, given), context, &mut outcome).await;
            Ok(outcome)
        }
        Err(CallError::Api(error)) => {
            Err(CallError::Api(Box::new(hinted(executor, call, tool, context, *error))))
        }
        Err(error) => Err(error),
    }
}

/// Waits until what a call of a tool with these arguments wrote can be seen. `call` may be another one
/// of the same caller and backend: the one that waits for the task that wrote.
pub(super) async fn wait_until_settled(
    executor: &Executor,
    call: &Admitted<'_>,
    (tool, arguments): (&Tool, Map<String, Value>),
    context: &CallContext<'_>,
    outcome: &mut CallOutcome,
) {
    let rules = &call.entry().descriptor().settles;
    for rule in rules.iter().filter(|rule| rule.after.contains(&tool.name)) {
        let note = wait_for_rule(executor, call, (tool, &arguments), context, rule, outcome).await;
        outcome.notes.extend(note);
    }
}

/// Says of what was not found that something of its kind was written a moment ago.
fn hinted(
    executor: &Executor,
    call: &Admitted<'_>,
    tool: &Tool,
    context: &CallContext<'_>,
    error: ApiError,
) -> ApiError {
    let is_miss = matches!(error.status, 404 | 410) || error.code == "not_found";
    if !is_miss || error.hint.is_some() {
        return error;
    }
    let last = executor.written.last(&context.client, call.entry().backend, write_kind(tool));
    let hint = last.map(|(by, since)| {
        format!(
            "`{by}` was called {} s ago, and the API shows what it wrote a little later: look once more \
             before you take it for missing, and check the identifier",
            since.as_secs()
        )
    });
    ApiError { hint, ..error }
}

/// Looks until what `rule` is about can be seen; returns what there is to say when it cannot.
async fn wait_for_rule(
    executor: &Executor,
    call: &Admitted<'_>,
    (tool, arguments): (&Tool, &Map<String, Value>),
    context: &CallContext<'_>,
    rule: &SettleRule,
    outcome: &CallOutcome,
) -> Option<String> {
    let reader = call.gate().catalog().find_declared(call.entry().backend, &rule.look.tool);
    // Only what was made is remembered: what was changed was there before, and a 404 has other reasons.
    if let (Some(reader), SettleCondition::There) =
        (reader.and_then(|entry| entry.tool()), &rule.until)
    {
        let (client, backend) = (context.client.clone(), call.entry().backend);
        let (kind, tool) = (write_kind(reader).to_owned(), tool.name.clone());
        executor.written.note(KnownWrite { client, backend, kind, tool, at: Instant::now() });
    }
    let result = match &outcome.payload {
        // It has not been written yet.
        AnswerPayload::Task(report) if report.is_running => return None,
        // The caller may not see the task, so nobody knows whether it has ended. A condition that only
        // the write can bring about is looked for all the same.
        AnswerPayload::Task(report) if report.is_hidden && !rule.until.is_certain() => return None,
        AnswerPayload::Json(text) => Some(text.as_str()),
        _ => None,
    };
    let values = rule.values(arguments, result)?;
    let look = call.look(&rule.look, &values)?;
    let reader = look::once(look.entry().tool()?);
    let context = context.unheard();
    let mut steady = SteadyValue::default();
    let looks = async {
        let mut pause = FIRST_PAUSE;
        loop {
            match look_and_judge(executor, &context, &look, &reader, rule, &values, &mut steady)
                .await
            {
                SettleLook::Settled => return true,
                // The reader cannot be asked: there is nothing to say about a write that succeeded.
                SettleLook::Blind => return true,
                SettleLook::NotYet => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    if tokio::time::timeout(rule.within, looks).await.is_ok() {
        return None;
    }
    let seconds = rule.within.as_secs_f64();
    Some(match &rule.until {
        SettleCondition::There => {
            format!("`{}` does not show it yet, {seconds} s after it was made", reader.name)
        }
        SettleCondition::Gone => format!("`{}` still shows it after {seconds} s", reader.name),
        SettleCondition::Is { path, .. }
        | SettleCondition::IsNot { path, .. }
        | SettleCondition::Steady { path, .. } => format!(
            "`{}` does not show the change at {} yet, {seconds} s after it was made",
            reader.name,
            path.as_str()
        ),
    })
}

/// What one look says.
enum SettleLook {
    Settled,
    NotYet,
    /// It cannot be looked at.
    Blind,
}

/// The value that was last seen, and since when.
#[derive(Default)]
struct SteadyValue(Option<(String, Instant)>);

async fn look_and_judge(
    executor: &Executor,
    context: &CallContext<'_>,
    call: &Admitted<'_>,
    reader: &Tool,
    rule: &SettleRule,
    values: &[(String, String)],
    steady: &mut SteadyValue,
) -> SettleLook {
    let shown = match look::look_once(executor, context, call, reader).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return SettleLook::Blind,
        Err(error) => return missed(&error, rule),
    };
    if let Some(error) = &shown.rejected {
        return missed(error, rule);
    }
    let text = shown.text.as_str();
    let holds = rule.until.holds(text, values).unwrap_or_else(|| {
        let SettleCondition::Steady { path, time } = &rule.until else { return true };
        let value = path.look(text).unwrap_or_default();
        match &steady.0 {
            Some((last, since)) if last == value => since.elapsed() >= *time,
            _ => {
                steady.0 = Some((value.to_owned(), Instant::now()));
                false
            }
        }
    });
    if holds { SettleLook::Settled } else { SettleLook::NotYet }
}

fn missed(error: &CallError, rule: &SettleRule) -> SettleLook {
    let is_miss =
        error.is_gone() || matches!(error, CallError::Api(error) if error.code == "not_found");
    match &rule.until {
        SettleCondition::Gone if is_miss => SettleLook::Settled,
        _ if is_miss || error.is_transient() => SettleLook::NotYet,
        _ => SettleLook::Blind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_of_one_backend_is_not_forgotten_for_one_of_another() {
        let writes = LastWrites::default();
        let client = ClientKey { host: "h".to_owned(), session: "s".to_owned() };
        for backend in [BackendId(0), BackendId(1)] {
            let (kind, tool) = ("/vms/".to_owned(), format!("create_{}", backend.0));
            let client = client.clone();
            writes.note(KnownWrite { client, backend, kind, tool, at: Instant::now() });
        }
        for backend in [BackendId(0), BackendId(1)] {
            let (tool, _) = writes.last(&client, backend, "/vms/").unwrap();
            assert_eq!(tool, format!("create_{}", backend.0));
        }
    }
}
