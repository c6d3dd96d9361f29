//! A server that has loaded nothing yet: it tells hosts what was told at an earlier start.
//!
//! The first request that needs more has everything loaded, and waits for it. If that fails, it is answered
//! why, and the next request tries again.

use std::sync::Arc;

use dadl_text::text::{cut_text, one_line, shown_text};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientRequest, JsonRpcMessage, ListToolsResult, Prompt, ResourceTemplate, ServerConfig,
        ServerResult,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::{McpServer, handler::tools_page};
use crate::config::known_start::{KnownStart, ToldStart};

/// So much of the reason is told why nothing is loaded, in characters.
const LONGEST_WHY: usize = 1000;

/// What is told, and who loads the rest.
pub(super) struct Asleep {
    info: ServerConfig,
    prompts: Vec<Prompt>,
    templates: Vec<ResourceTemplate>,
    tools: Arc<str>,
    told: ToldStart,
    /// Is told when everything is to be loaded.
    asked: Arc<Notify>,
    state: watch::Sender<WakeState>,
}

/// Why nothing is loaded, in the words that the operator reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tools cannot be loaded: {0}")]
pub(super) struct WakeError(String);

/// How far loading has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WakeState {
    /// Nobody needed it yet.
    Asleep,
    /// Somebody waits for it.
    Asked,
    /// It is served.
    Awake,
    /// Why there is nothing to serve.
    Failed(WakeError),
}

impl Asleep {
    /// Tells what is known of a start; `asked` hears when the rest is to be loaded.
    ///
    /// # Errors
    ///
    /// What is known has not the shapes of the protocol.
    pub(super) fn new(start: &KnownStart, asked: Arc<Notify>) -> serde_json::Result<Self> {
        let told = start.told.clone();
        Ok(Self {
            info: serde_json::from_str(&told.info)?,
            prompts: serde_json::from_str(&told.prompts)?,
            templates: serde_json::from_str(&told.templates)?,
            tools: Arc::clone(&start.tools),
            told,
            asked,
            state: watch::Sender::new(WakeState::Asleep),
        })
    }

    /// Returns the answer to `initialize`.
    pub(super) fn info(&self) -> ServerConfig {
        self.info.clone()
    }

    /// Returns the prompts of examples.
    pub(super) fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// Returns the templates of resources.
    pub(super) fn templates(&self) -> &[ResourceTemplate] {
        &self.templates
    }

    /// Returns the list of tools as JSON text.
    pub(super) fn tools(&self) -> &Arc<str> {
        &self.tools
    }

    /// Returns which lists are the same as those of a server.
    pub(super) fn same_lists(&self, server: &McpServer) -> SameLists {
        let Ok((told, tools)) = told_by(server) else { return SameLists::default() };
        SameLists {
            tools: tools == *self.tools,
            prompts: told.prompts == self.told.prompts,
            resources: told.templates == self.told.templates,
        }
    }

    /// Has everything loaded, and waits until it is served.
    ///
    /// # Errors
    ///
    /// Why it cannot be.
    pub(super) async fn wake(&self) -> Result<(), WakeError> {
        let mut state = self.state.subscribe();
        let is_first = self.state.send_if_modified(|state| {
            let is_first = matches!(state, WakeState::Asleep | WakeState::Failed(_));
            if is_first {
                *state = WakeState::Asked;
            }
            is_first
        });
        if is_first {
            self.asked.notify_one();
        }
        let is_known = |state: &WakeState| matches!(state, WakeState::Awake | WakeState::Failed(_));
        match state.wait_for(is_known).await.as_deref() {
            Ok(WakeState::Failed(why)) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Says that everything is served.
    pub(super) fn served(&self) {
        self.state.send_replace(WakeState::Awake);
    }

    /// Says that there is nothing to serve.
    pub(super) fn failed(&self, why: &str) {
        // A descriptor may be somebody else's, and what is wrong with it is said in its words.
        let why = cut_text(&one_line(&shown_text(why)), LONGEST_WHY).into_owned();
        self.state.send_replace(WakeState::Failed(WakeError(why)));
    }
}

/// Which lists are the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SameLists {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

/// Returns what a server tells hosts before they call anything, and its list of tools as JSON text.
///
/// # Errors
///
/// There is no JSON for it.
pub(super) fn told_by(server: &McpServer) -> serde_json::Result<(ToldStart, String)> {
    use rmcp::ServerHandler as _;
    let told = ToldStart {
        info: serde_json::to_string(&server.get_info())?,
        prompts: serde_json::to_string(&server.listed_prompts())?,
        templates: serde_json::to_string(&server.listed_templates())?,
        count: server.tool_count(),
        is_compact: server.finder().is_some(),
    };
    Ok((told, server.tools_text()))
}

/// Returns whether a message cannot be understood before everything is loaded: what a client may subscribe
/// to is found out before it is handled.
pub(super) fn needs_everything(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    let JsonRpcMessage::Request(request) = message else { return false };
    let ClientRequest::SubscriptionsListenRequest(listen) = &request.request else { return false };
    listen.params.notifications.resource_subscriptions.as_ref().is_some_and(|it| !it.is_empty())
}

/// What stands in the `_meta` of a list whose tools are put in when it is written.
const WRITTEN_LATER: &str = "dadl-mcp/tools";

/// Returns a list whose tools are put in by [`written_list`]: they are there as text.
pub(super) fn list_written_later() -> ListToolsResult {
    let mut page = tools_page(Vec::new());
    page.meta.get_or_insert_default().0.insert(WRITTEN_LATER.to_owned(), Value::Null);
    page
}

/// Writes a list whose tools are to be put in, with those that `tools` gives as JSON text; `None` for any
/// other message.
///
/// # Errors
///
/// There is no JSON for it.
pub(super) fn written_list(
    message: &mut TxJsonRpcMessage<RoleServer>,
    tools: impl FnOnce() -> serde_json::Result<Arc<str>>,
) -> Option<serde_json::Result<Vec<u8>>> {
    let JsonRpcMessage::Response(response) = message else { return None };
    let ServerResult::ListToolsResult(page) = &mut response.result else { return None };
    let meta = page.meta.as_mut()?;
    meta.0.remove(WRITTEN_LATER)?;
    if meta.0.is_empty() {
        page.meta = None;
    }
    let written = || {
        let (text, tools) = (serde_json::to_string(message)?, tools()?);
        // A quote in a text is escaped.
        let (before, after) = text.split_once(NO_TOOLS).unwrap_or((&text, ""));
        let field = NO_TOOLS.trim_end_matches("[]");
        Ok([before, field, &tools, after].concat().into_bytes())
    };
    Some(written())
}

/// The list of no tools in a message.
const NO_TOOLS: &str = "\"tools\":[]";

impl From<WakeError> for ErrorData {
    fn from(error: WakeError) -> Self {
        Self::internal_error(error.to_string(), None)
    }
}
