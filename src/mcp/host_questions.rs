//! What other servers ask for, as requests to a host.
//!
//! The form of a server is shown to the person as a form of this server, below a sentence that says whose
//! it is. It is no consent to any call of ours: that has a question and a state of its own
//! (see [`consent`](super::consent)).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use rmcp::{
    RoleServer,
    model::{
        ClientCapabilities, ClientResult, CustomNotification, CustomRequest, ElicitRequest,
        ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, InputRequiredResult,
        ServerNotification, ServerRequest,
    },
    service::{RequestContext, ServiceError},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::consent::{self, PATIENCE};
use crate::{
    executor::{ChangeRefusal, Elicitation, QuestionAnswer, ServerQuestion, ServerQuestions},
    mcp_client::PageListener,
};

/// Asks a host before 2026-07-28 while the call waits.
pub(super) struct AskingHost<'request>(pub(super) &'request RequestContext<RoleServer>);

impl ServerQuestions for AskingHost<'_> {
    fn ask(&self, question: ServerQuestion) -> BoxFuture<'_, QuestionAnswer> {
        ask_now(question, self.0).boxed()
    }

    fn page_visit(&self) -> Option<(String, PageListener)> {
        let number = PAGES.fetch_add(1, Ordering::Relaxed);
        let (id, peer) = (format!("page-{number}"), self.0.peer.clone());
        let told = id.clone();
        let done = move || {
            let params = json!({ "elicitationId": told });
            let told = CustomNotification::new(PAGE_DONE, Some(params));
            let peer = peer.clone();
            // At the end of the program there is no runtime, and soon no host.
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
            runtime.spawn(crate::spawn::boxed(async move {
                let told = peer.send_notification(ServerNotification::CustomNotification(told));
                // A host that does not read, or is gone, hears nothing.
                let _ = tokio::time::timeout(TO_TELL, told).await;
            }));
        };
        Some((id, Arc::new(done)))
    }
}

/// Says that a page is done with (2025-11-25): later revisions have no such thing.
const PAGE_DONE: &str = "notifications/elicitation/complete";

/// A host that does not read is not told any more after this time.
const TO_TELL: Duration = Duration::from_secs(10);

/// How many pages hosts were asked to open.
static PAGES: AtomicU64 = AtomicU64::new(1);

/// Returns whether a host can be asked for anything.
pub(super) fn can_be_asked(capabilities: Option<&ClientCapabilities>) -> bool {
    capabilities.is_some_and(|it| it.elicitation.is_some() || it.sampling.is_some())
}

/// Says why a host cannot be asked this, if it cannot.
pub(super) fn why_not(
    question: &ServerQuestion,
    capabilities: Option<&ClientCapabilities>,
) -> Option<&'static str> {
    let elicitation = capabilities.and_then(|it| it.elicitation.as_ref());
    match question {
        ServerQuestion::Person(Elicitation::Form { .. }) if !consent::can_ask(capabilities) => {
            Some("this host shows no forms")
        }
        ServerQuestion::Person(Elicitation::Page { .. })
            if elicitation.is_none_or(|it| it.url.is_none()) =>
        {
            Some("this host opens no pages for servers")
        }
        ServerQuestion::Model(params) => {
            let sampling = capabilities.and_then(|it| it.sampling.as_ref());
            let has_tools = params.get("tools").is_some() || params.get("toolChoice").is_some();
            match sampling {
                None => Some("this host lends its model to no server"),
                Some(sampling) if has_tools && sampling.tools.is_none() => {
                    Some("this host lends its model without tools")
                }
                Some(_) => None,
            }
        }
        ServerQuestion::Person(_) => None,
    }
}

/// Makes the answer that has a later host put a question, and call again.
pub(super) fn put_later(question: ServerQuestion, state: String) -> Option<InputRequiredResult> {
    let request = as_request(question)?;
    let requests = [(consent::QUESTION.to_owned(), request)].into();
    Some(InputRequiredResult::new(Some(requests), Some(state)))
}

/// Makes the request that a later host puts.
pub(super) fn as_request(question: ServerQuestion) -> Option<InputRequest> {
    Some(match question {
        ServerQuestion::Person(elicitation) => {
            InputRequest::Elicitation(ElicitRequest::new(elicit_params(elicitation)?))
        }
        ServerQuestion::Model(params) => {
            let request = json!({ "method": "sampling/createMessage", "params": params });
            let request = InputRequest::deserialize(request).ok()?;
            matches!(request, InputRequest::CreateMessage(_)).then_some(request)?
        }
    })
}

/// Reads the answer of a later host to a question.
pub(super) fn given(question: &ServerQuestion, answer: Option<&Value>) -> QuestionAnswer {
    let Some(answer) = answer else { return unput("the host sent no answer") };
    match question {
        ServerQuestion::Model(_) => QuestionAnswer::Given(answer.clone()),
        ServerQuestion::Person(_) => match ElicitResult::deserialize(answer) {
            Ok(result) => judged(result),
            Err(_) => unput("the host sent what is no answer"),
        },
    }
}

async fn ask_now(question: ServerQuestion, context: &RequestContext<RoleServer>) -> QuestionAnswer {
    if let Some(why) = why_not(&question, context.client_capabilities().as_ref()) {
        return unput(why);
    }
    let request = match question {
        ServerQuestion::Person(elicitation) => match elicit_params(elicitation) {
            Some(params) => ServerRequest::ElicitRequest(ElicitRequest::new(params)),
            None => return unput("no host can show its form"),
        },
        ServerQuestion::Model(params) => {
            let request = CustomRequest::new("sampling/createMessage", Some(params));
            ServerRequest::CustomRequest(request)
        }
    };
    match consent::put_request(request, Instant::now() + PATIENCE, context).await {
        Ok(ClientResult::ElicitResult(result)) => judged(result),
        Ok(ClientResult::CreateMessageResult(result)) => {
            QuestionAnswer::Given(serde_json::to_value(result).unwrap_or_default())
        }
        Ok(ClientResult::CustomResult(result)) => QuestionAnswer::Given(result.0),
        Ok(_) => unput("the host sent what is no answer"),
        Err(ServiceError::Timeout { .. }) => unput(&ChangeRefusal::Late(PATIENCE).to_string()),
        Err(error) => {
            tracing::debug!(%error, "the host could not ask");
            unput("the host could not ask")
        }
    }
}

fn judged(result: ElicitResult) -> QuestionAnswer {
    match result.action {
        ElicitationAction::Accept => QuestionAnswer::Given(result.content.unwrap_or_default()),
        ElicitationAction::Cancel => QuestionAnswer::Closed,
        _ => QuestionAnswer::Declined,
    }
}

fn unput(why: &str) -> QuestionAnswer {
    QuestionAnswer::Unput(why.to_owned())
}

fn elicit_params(elicitation: Elicitation) -> Option<ElicitRequestParams> {
    Some(match elicitation {
        Elicitation::Form { message, schema } => ElicitRequestParams::FormElicitationParams {
            meta: None,
            message,
            requested_schema: serde_json::from_value(Value::Object(schema)).ok()?,
        },
        Elicitation::Page { message, url, id } => ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message,
            url,
            elicitation_id: id,
        },
    })
}
