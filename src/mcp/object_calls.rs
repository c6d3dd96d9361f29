//! The calls that list and read the objects of backends.
//!
//! An object is read by a tool of its descriptor, and listed by another, so that both pass the gate and
//! are redacted like any call.

use std::{sync::Arc, time::Duration};

use dadl_text::text::{one_line, text_head};
use futures_util::future::join_all;
use rmcp::{
    ErrorData, RoleServer,
    model::{CacheScope, ReadResourceResult, Resource, ResourceContents},
    service::RequestContext,
};

use super::{
    McpServer, file_resources,
    known_values::{KnownValue, read_values},
    progress::{self, ProgressReporter},
    request_owner::client_key,
    shutdown::StopReason,
};
use crate::{
    executor::CallContext,
    gate::PendingCall,
    live::watch::{FoundResource, ObjectKind},
    outcome::{AnswerPayload, JsonText},
};

/// How long somebody who types waits for a list.
const LISTING_PATIENCE: Duration = Duration::from_secs(5);
/// How long an API may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many kinds are listed.
const MOST_KINDS: usize = 16;
/// So many objects of a kind.
const MOST_OF_A_KIND: usize = 25;
/// So much of a name is shown, in bytes.
const LONGEST_NAME: usize = 80;

impl McpServer {
    /// Lists the few objects that are listed.
    pub(super) async fn list_objects(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Arc<[Resource]> {
        let kinds = self.objects().resources().listed().take(MOST_KINDS);
        let lists = join_all(kinds.map(|(kind, call)| of_kind(self, kind, call, context)));
        self.objects().listed().objects(lists).await
    }

    /// Reads an object; `None` when the URI names none.
    pub(super) async fn read_object(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<ReadResourceResult, ErrorData>> {
        let found = self.objects().resources().find(uri)?;
        Some(self.read_found(uri, &found, context).await)
    }

    async fn read_found(
        &self,
        uri: &str,
        found: &FoundResource<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResult, ErrorData> {
        let admitted = self.objects().resources().read_call(found).and_then(PendingCall::admit);
        let admitted =
            admitted.map_err(|refusal| ErrorData::invalid_params(refusal.to_string(), None))?;
        let entry = admitted.entry();
        let reporter = ProgressReporter::default();
        let client = client_key(&context.extensions);
        let carried = CallContext::heard_by(&reporter).of(client);
        let call = Box::pin(self.executor().execute(admitted, &carried));
        let done = progress::run_reporting(context, self.ending(), &reporter, call).await;
        let stopped = |why: StopReason| ErrorData::internal_error(why.to_string(), None);
        let outcome = match done.map_err(stopped)? {
            Ok(outcome) => outcome,
            Err(error) => {
                let text = error.for_model();
                if let Some(contents) = self.objects().listed().instead_of(uri, &text) {
                    return Ok(private_result(vec![contents]));
                }
                return Err(match error.is_gone() {
                    true => file_resources::not_found(uri, text),
                    false => ErrorData::internal_error(text, None),
                });
            }
        };
        let contents = Box::pin(self.contents(outcome, entry, uri, context)).await;
        let contents = contents.ok_or_else(|| {
            let message = format!("\"{uri}\" is no value: call the tool that reads it");
            ErrorData::internal_error(message, None)
        })?;
        Ok(private_result(contents))
    }
}

/// Calls the tool that lists.
pub(super) async fn list_values(
    server: &McpServer,
    call: PendingCall<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<JsonText> {
    let name = call.entry().name.as_str();
    let admitted = call.admit().ok()?;
    let carried = CallContext::default().of(client_key(&context.extensions));
    let call = Box::pin(server.executor().execute(admitted, &carried));
    let call = tokio::time::timeout(LISTING_PATIENCE, call);
    let listed =
        progress::run_reporting(context, server.ending(), &ProgressReporter::default(), call).await;
    match listed {
        Ok(Ok(Ok(outcome))) => match outcome.payload {
            AnswerPayload::Json(text) => Some(text),
            _ => None,
        },
        Ok(Ok(Err(error))) => {
            tracing::debug!(tool = name, %error, "nothing to complete with");
            None
        }
        Ok(Err(_)) => {
            tracing::debug!(tool = name, "nothing to complete with in time");
            None
        }
        Err(_) => None,
    }
}

/// Lists the objects of a kind; `None` when the API does not in time.
async fn of_kind(
    server: &McpServer,
    kind: ObjectKind<'_>,
    call: PendingCall<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<Vec<Resource>> {
    let list = list_values(server, call, context);
    let Ok(list) = tokio::time::timeout(PATIENCE, list).await else {
        tracing::debug!(kind = kind.collection(), "no objects are listed in time");
        return None;
    };
    let known = read_values(&list?, &kind.id_members());
    let resource = |known: KnownValue| {
        let name = if known.name.is_empty() { &known.value } else { &known.name };
        let text = format!("A {} of backend {}", kind.collection(), kind.backend());
        Resource::new(kind.uri(&known.value), text_head(&one_line(name), LONGEST_NAME).to_owned())
            .with_description(one_line(&text).into_owned())
            .with_mime_type("application/json")
    };
    Some(known.into_iter().take(MOST_OF_A_KIND).map(resource).collect())
}

/// What an object is now, for this client alone.
fn private_result(contents: Vec<ResourceContents>) -> ReadResourceResult {
    ReadResourceResult::new(contents).with_ttl_ms(0).with_cache_scope(CacheScope::Private)
}
