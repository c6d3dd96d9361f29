//! What a server has besides tools: resources are read and watched, prompts got, and arguments completed.

use std::{sync::Arc, time::Duration};

use dadl_text::json::scan;
use rmcp::model::{
    ArgumentInfo, ClientRequest, CompleteRequest, CompleteRequestParams, CompletionContext,
    GetPromptRequest, GetPromptRequestParams, ReadResourceRequest, ReadResourceRequestParams,
    Reference,
};
use serde_json::{Map, Value};
use tokio::{sync::watch, time::timeout};

use super::{
    call_slot::RawResult,
    error::{ServerError, ServerFault},
    link::ServerLink,
    news::{ListChanges, ResourceSubscription, UpdateListener},
    session::{ProgressListener, Session},
};

/// What is completed: an argument of a prompt, or a variable of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionQuestion {
    /// The prompt or the template, by the name or URI that the server knows.
    pub of: CompletionPlace,
    /// The argument.
    pub argument: String,
    /// What was typed.
    pub typed: String,
    /// What the other arguments are, as far as they are known.
    pub known: Vec<(String, String)>,
}

/// Where an argument stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionPlace {
    /// In a prompt, by its name.
    Prompt(String),
    /// In a template, by its URI.
    Template(String),
}

impl ServerLink {
    /// Reads a resource, and returns the result as the server wrote it; `listener` hears how far it is.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn read_resource(
        &self,
        uri: &str,
        time: Duration,
        listener: ProgressListener<'_>,
    ) -> Result<RawResult, ServerError> {
        let request = ReadResourceRequest::new(ReadResourceRequestParams::new(uri));
        self.whole_result(request.into(), time, listener).await
    }

    /// Gets a prompt, and returns the result as the server wrote it; `listener` hears how far it is.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn get_prompt(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        time: Duration,
        listener: ProgressListener<'_>,
    ) -> Result<RawResult, ServerError> {
        let mut params = GetPromptRequestParams::new(name);
        params.arguments = Some(arguments).filter(|all| !all.is_empty());
        self.whole_result(GetPromptRequest::new(params).into(), time, listener).await
    }

    /// Asks for values of an argument, and returns the result as the server wrote it.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn complete(
        &self,
        question: CompletionQuestion,
        time: Duration,
    ) -> Result<RawResult, ServerError> {
        let CompletionQuestion { of, argument, typed, known } = question;
        let reference = match of {
            CompletionPlace::Prompt(name) => Reference::for_prompt(name),
            CompletionPlace::Template(uri) => Reference::for_resource(uri),
        };
        let mut params = CompleteRequestParams::new(reference, ArgumentInfo::new(argument, typed));
        if !known.is_empty() {
            params =
                params.with_context(CompletionContext::with_arguments(known.into_iter().collect()));
        }
        self.whole_result(CompleteRequest::new(params).into(), time, &|_| {}).await
    }

    /// Watches a resource: `listener` is told when the server says that it has changed, until what is
    /// returned is dropped, across restarts of the server. Done when the server has agreed.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn subscribe(
        &self,
        uri: &str,
        listener: Arc<dyn UpdateListener>,
        time: Duration,
    ) -> Result<ResourceSubscription, ServerError> {
        let watched = async |session: &Session, left: Duration| {
            if !session.can_subscribe() {
                return Err(ServerFault::NotOffered("tell of changes of its resources"));
            }
            let (subscription, mut outcome) = session.connection.news.watch(uri, listener)?;
            let settled = timeout(left, outcome.wait_for(Option::is_some)).await;
            let settled = settled.map_err(|_| ServerFault::Timeout { after: left })?;
            // Its sender is there for as long as anybody watches.
            let outcome = settled.map_err(|_| ServerFault::Stopped)?.clone();
            outcome.unwrap_or(Err(ServerFault::Stopped)).map(|()| subscription)
        };
        self.with_session(time, watched).await
    }

    /// Returns what counts how often the server said that a list of its has changed, list by list.
    pub fn list_changes(&self) -> watch::Receiver<ListChanges> {
        self.news().list_changes()
    }

    async fn whole_result(
        &self,
        request: ClientRequest,
        time: Duration,
        listener: ProgressListener<'_>,
    ) -> Result<RawResult, ServerError> {
        let asked = async |session: &Session, left| {
            let result = session.request(request, left, listener).await?;
            match scan::member_at(result.as_str(), &["resultType"]).unwrap_or_default() {
                "" | "\"complete\"" => Ok(result),
                "\"input_required\"" => Err(ServerFault::InputNeeded),
                other => Err(ServerFault::Unreadable(format!("a result of the type {other:.50}"))),
            }
        };
        self.with_session(time, asked).await
    }
}
