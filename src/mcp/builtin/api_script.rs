//! Scripts over many tools: those that only read, and those that change something.
//!
//! Where a person can be asked, the first change of a script waits for a yes. A host before 2026-07-28 is
//! asked while the request waits. For a later one the question ends the request; the script waits, and the
//! request that brings the answer goes on with it, so that no call is made twice.

use std::sync::Arc;

use dadl_text::text::quoted_text;
use futures_util::{FutureExt as _, future::BoxFuture};
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, ProtocolVersion},
    service::RequestContext,
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{BuiltinTool, arguments::GivenArguments};
use crate::{
    catalog::CatalogEntry,
    executor::{
        CallContext, ChangeApproval, ChangeQuestion, ChangeRefusal, ScriptError, ScriptGuide,
    },
    finding::{SearchRequest, ToolFinder},
    gate::script::ScriptScope,
    mcp::{
        McpServer,
        consent::{self, ConsentRetry, StateError},
        result,
        script_sessions::{ScriptSession, SessionUpdate},
        server::ToolAnswer,
    },
    outcome::CallOutcome,
};

/// So much of a name is shown in a question.
const LONGEST_NAME: usize = 100;

/// Finds and describes tools for scripts.
#[derive(Debug, Clone)]
struct FinderGuide(Arc<ToolFinder>);

impl ScriptGuide for FinderGuide {
    fn search(&self, queries: Vec<String>) -> String {
        self.0.search(&SearchRequest::new(queries)).text
    }

    fn describe(&self, name: &str) -> Option<String> {
        self.0.describe(name)
    }

    fn signature(&self, entry: &CatalogEntry) -> String {
        self.0.signature(entry)
    }
}

/// Asks while the request waits.
struct AskingNow<'request>(&'request RequestContext<RoleServer>);

impl ChangeApproval for AskingNow<'_> {
    fn approve(&self, question: ChangeQuestion) -> BoxFuture<'_, Result<(), ChangeRefusal>> {
        consent::ask_person(question_text(&question), self.0).boxed()
    }
}

/// Runs a script over tools without an effect.
pub(super) async fn run_reads(
    server: &McpServer,
    code: String,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> CallToolResponse {
    let Some(finder) = server.finder() else { return unlisted() };
    let script = server.script(code, ScriptScope::Reads);
    let guide = FinderGuide(Arc::clone(finder));
    let run = server.executor().run_script(server.gate(), &script, None, &guide, carried);
    answered(server, Box::pin(run).await, context).await
}

/// Runs a script over all tools that are not dangerous.
pub(super) async fn run(
    server: &McpServer,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let mut given = GivenArguments::new(BuiltinTool::ApiScript.name(), arguments);
    let code =
        given.required("code", "the body of an async function", "text", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
    let code = match given.finish(code) {
        Ok(code) => code,
        Err(error) => return Ok(result::failure_result(error.to_string()).into()),
    };
    let Some(finder) = server.finder() else { return Ok(unlisted()) };
    let guide = FinderGuide(Arc::clone(finder));
    // No digest of a call, whatever the code is.
    let digest: [u8; 32] =
        Sha256::new().chain_update(b"script\0").chain_update(&code).finalize().into();
    let script = server.script(code, ScriptScope::Changes);
    if let Some(state) = &retry.state {
        return go_on(server, (state, &retry), &digest, context, carried).await;
    }
    let can_ask = consent::can_ask(context.client_capabilities().as_ref());
    let is_later = context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28);
    if can_ask && is_later {
        let executor = server.shared_executor();
        let gate = server.gate().clone();
        let session = ScriptSession::start(executor, gate, script, guide, carried);
        return follow(server, session, &digest, context, carried).await;
    }
    let asking = AskingNow(context);
    let approval = can_ask.then_some(&asking as &dyn ChangeApproval);
    let run = server.executor().run_script(server.gate(), &script, approval, &guide, carried);
    Ok(answered(server, Box::pin(run).await, context).await)
}

/// Goes on with the script that waits for this answer.
async fn go_on(
    server: &McpServer,
    (state, retry): (&str, &ConsentRetry),
    digest: &[u8; 32],
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let failed = |text: &str| Ok(result::failure_result(text.to_owned()).into());
    let (sealed, nonce) = match server.consents().open(state) {
        Ok(opened) => opened,
        Err(StateError::Expired | StateError::Used) => return failed(OVER),
        Err(StateError::Forged) => {
            return Err(ErrorData::invalid_params(consent::FORGED, None));
        }
    };
    let paused = server.paused_scripts().take(&nonce, &carried.client);
    let Some(mut session) = paused else { return failed(OVER) };
    if sealed != *digest {
        session.answer(Err(ChangeRefusal::OtherScript));
    } else if let Some(answer) = &retry.answer {
        session.answer(consent::judge_plainly(answer));
    } else if let Some(question) = session.question() {
        // A host that sends no answer has not put the question.
        let question = question.clone();
        match pause(server, session, &question, digest, carried) {
            Ok(asked) => return Ok(asked),
            Err(going) => session = *going,
        }
    }
    follow(server, session, digest, context, carried).await
}

const OVER: &str = "the script that asked is over, and nothing more was changed; task_list has what it \
                    changed before";

/// Follows a script to its end, or to the question that ends the request.
async fn follow(
    server: &McpServer,
    mut session: ScriptSession,
    digest: &[u8; 32],
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    loop {
        match session.next().await {
            SessionUpdate::Progress(progress) => carried.observer.progress(progress),
            SessionUpdate::Ended(outcome) => {
                return Ok(answered(server, *outcome, context).await);
            }
            SessionUpdate::Question(question) => {
                match pause(server, session, &question, digest, carried) {
                    Ok(asked) => return Ok(asked),
                    Err(going) => session = *going,
                }
            }
        }
    }
}

/// Keeps a script that waits for a person, and has the host ask; the error is the script, which nobody
/// can be asked about.
fn pause(
    server: &McpServer,
    mut session: ScriptSession,
    question: &ChangeQuestion,
    digest: &[u8; 32],
    carried: &CallContext<'_>,
) -> Result<CallToolResponse, Box<ScriptSession>> {
    let Some((nonce, state)) = server.consents().seal(digest) else {
        session.answer(Err(ChangeRefusal::NoRandom));
        return Err(Box::new(session));
    };
    match server.paused_scripts().keep(nonce, &carried.client, session) {
        Ok(()) => Ok(consent::put_later(question_text(question), state).into()),
        Err(mut refused) => {
            refused.answer(Err(ChangeRefusal::TooMany));
            Err(refused)
        }
    }
}

/// Writes the question in the program's words: names of tools and backends are all that is of others.
fn question_text(question: &ChangeQuestion) -> String {
    let ChangeQuestion { changes, backends, most } = question;
    let shown = |name: &String| quoted_text(name, LONGEST_NAME);
    let backends: Vec<String> = backends.iter().map(shown).collect();
    let plural = if backends.len() == 1 { "backend" } else { "backends" };
    let mut text = format!(
        "A script wants to change something.\n\nAt the {plural} {}, so far:\n",
        backends.join(", ")
    );
    for (tool, count) in changes {
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        text.push_str(&format!("- {} {times}\n", shown(tool)));
    }
    text.push_str(&format!(
        "\nIt may go on with other changes: {most} calls at most, and none that is dangerous. You are \
         asked once."
    ));
    text
}

async fn answered(
    server: &McpServer,
    done: Result<CallOutcome, ScriptError>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    match done {
        Ok(outcome) => server.shown(outcome, None, context).await.into(),
        Err(error) => result::failure_result(error.for_model()).into(),
    }
}

fn unlisted() -> CallToolResponse {
    result::failure_result("scripts are run where tools are found by a search".to_owned()).into()
}
