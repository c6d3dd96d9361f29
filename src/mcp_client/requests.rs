//! The requests that are made of servers.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use dadl_text::json::{cost, scan};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, CustomRequest, ListPromptsRequest,
    ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest, PaginatedRequestParams,
    PingRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    call_slot::RawResult,
    clock::CallClock,
    error::ServerFault,
    session::{ProgressListener, Session},
    settings::ServerEra,
};
use crate::outcome::JsonText;

/// A list has no more pages.
const MOST_PAGES: usize = 100;

/// All lists of a server together have no more items.
const MOST_ITEMS: usize = 10_000;

/// And no more bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The tree of a page takes no more, in bytes.
const LARGEST_PAGE: u64 = 64 * 1024 * 1024;

/// What a server has, as it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerList {
    /// Its tools.
    pub tools: Vec<Value>,
    /// Its resources.
    pub resources: Vec<Value>,
    /// Its templates of resources.
    pub templates: Vec<Value>,
    /// Its prompts.
    pub prompts: Vec<Value>,
    /// How it is used, in its words.
    pub instructions: Option<String>,
    /// What it can do.
    pub capabilities: Value,
    /// Its name and version.
    pub server: Value,
    /// The revision of the protocol.
    pub revision: String,
    /// How it introduced itself.
    pub era: ServerEra,
    /// Why a list ends before it should, if one does.
    pub remarks: Vec<String>,
}

/// What a call of a tool gave.
#[derive(Debug)]
pub enum ToolAnswer {
    /// A result, of success or of failure (`isError`).
    Done(RawResult),
    /// The server needs something before it goes on (`InputRequiredResult`).
    InputNeeded(RawResult),
    /// The server goes on without us (`CreateTaskResult`).
    Task(RawResult),
}

/// A call of a tool.
#[derive(Debug)]
pub struct ToolCall<'call> {
    /// The name that the server knows.
    pub tool: &'call str,
    /// By the names that the server knows.
    pub arguments: Map<String, Value>,
    /// What the server asked for, when it answered the same call before.
    pub answers: Option<InputAnswers>,
    /// Whether the server is asked to go on as a task (2025-11-25); a later one decides by itself.
    pub as_task: bool,
}

/// What a server asked for before it goes on with a call.
#[derive(Debug, Clone, Default)]
pub struct InputAnswers {
    /// By the keys of the server.
    pub responses: BTreeMap<String, Value>,
    /// What the server wants to have back.
    pub state: Option<String>,
}

impl ToolCall<'_> {
    fn request(self) -> ClientRequest {
        let Self { tool, arguments, answers, as_task } = self;
        if as_task {
            // The library knows the tasks of the later revision alone.
            let params = json!({ "name": tool, "arguments": arguments, "task": {} });
            return CustomRequest::new("tools/call", Some(params)).into();
        }
        let mut params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        if let Some(InputAnswers { responses, state }) = answers {
            params.input_responses = (!responses.is_empty()).then_some(responses);
            params.request_state = state;
        }
        CallToolRequest::new(params).into()
    }
}

/// Which list.
#[derive(Debug, Clone, Copy)]
enum ListKind {
    Prompts,
    Resources,
    Templates,
    Tools,
}

impl ListKind {
    fn request(self, cursor: Option<String>) -> ClientRequest {
        let page = PaginatedRequestParams::default().with_cursor(cursor);
        match self {
            Self::Prompts => ListPromptsRequest::with_param(page).into(),
            Self::Resources => ListResourcesRequest::with_param(page).into(),
            Self::Templates => ListResourceTemplatesRequest::with_param(page).into(),
            Self::Tools => ListToolsRequest::with_param(page).into(),
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Tools => "tools",
        }
    }
}

/// How much more the lists of a server may have.
struct ListRoom {
    items: usize,
    bytes: usize,
    deadline: Instant,
    remarks: Vec<String>,
}

impl Session {
    /// Asks whether the server is there.
    pub(super) async fn ping(&self, time: Duration) -> Result<(), ServerFault> {
        let ping = PingRequest { method: Default::default(), extensions: Default::default() };
        match self.request(ping.into(), time, &|_| {}).await {
            // Servers of the newest revision need not know it, and who says so is there.
            Err(ServerFault::Rpc(failure)) if failure.is_unknown_method() => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Calls a tool.
    pub(super) async fn call(
        &self,
        call: ToolCall<'_>,
        clock: &CallClock,
        listener: ProgressListener<'_>,
    ) -> Result<ToolAnswer, ServerFault> {
        let result = self.request_by(call.request(), clock, listener).await?;
        let kind = scan::member_at(result.as_str(), &["resultType"]).unwrap_or_default();
        match kind {
            "\"input_required\"" => Ok(ToolAnswer::InputNeeded(result)),
            "\"task\"" => Ok(ToolAnswer::Task(result)),
            "" | "\"complete\"" if is_task(result.as_str()) => Ok(ToolAnswer::Task(result)),
            "" | "\"complete\"" => Ok(ToolAnswer::Done(result)),
            other => Err(ServerFault::Unreadable(format!("a result of the type {other:.50}"))),
        }
    }

    /// Makes a request that has no type of its own.
    pub(super) async fn other(
        &self,
        method: &str,
        params: Value,
        clock: &CallClock,
    ) -> Result<RawResult, ServerFault> {
        let request = CustomRequest::new(method, Some(params));
        self.request_by(request.into(), clock, &|_| {}).await
    }

    /// Asks for all that the server has.
    pub(super) async fn lists(&self, time: Duration) -> Result<ServerList, ServerFault> {
        let info = &self.info;
        let capabilities = serde_json::to_value(&info.capabilities).unwrap_or_default();
        let mut room = ListRoom {
            items: MOST_ITEMS,
            bytes: MOST_BYTES,
            deadline: Instant::now() + time,
            remarks: Vec::new(),
        };
        let mut list = ServerList {
            instructions: info.instructions.clone().map(|it| self.masked(it)),
            server: serde_json::to_value(&info.server_info).unwrap_or_default(),
            revision: info.protocol_version.to_string(),
            era: self.era,
            ..ServerList::default()
        };
        // Some servers have tools and do not say so.
        list.tools = self.list(ListKind::Tools, &mut room).await?;
        if capabilities.get("resources").is_some() {
            list.resources = self.list(ListKind::Resources, &mut room).await?;
            list.templates = self.list(ListKind::Templates, &mut room).await?;
        }
        if capabilities.get("prompts").is_some() {
            list.prompts = self.list(ListKind::Prompts, &mut room).await?;
        }
        list.capabilities = capabilities;
        list.remarks = room.remarks;
        Ok(list)
    }

    /// Reads the pages of a list; a server that does not know the list has none.
    async fn list(&self, kind: ListKind, room: &mut ListRoom) -> Result<Vec<Value>, ServerFault> {
        let (key, mut items) = (kind.key(), Vec::new());
        let (mut cursor, mut seen) = (None, HashSet::new());
        for _ in 0..MOST_PAGES {
            let left = room.deadline.saturating_duration_since(Instant::now());
            let answer = self.request(kind.request(cursor), left, &|_| {}).await;
            let page = match answer {
                Ok(page) => page.into_text(),
                Err(ServerFault::Rpc(failure)) if failure.is_unknown_method() => return Ok(items),
                Err(fault) => return Err(fault),
            };
            let (more, next) = read_page(&page, key)?;
            if page.as_str().len() > room.bytes || more.len() > room.items {
                room.remarks.push(format!("its list of {key} is cut: it is too large"));
                return Ok(items);
            }
            room.bytes -= page.as_str().len();
            room.items -= more.len();
            items.extend(more);
            match next {
                None => return Ok(items),
                Some(next) if !seen.insert(next.clone()) => {
                    room.remarks.push(format!("its list of {key} is cut: a cursor comes twice"));
                    return Ok(items);
                }
                next => cursor = next,
            }
        }
        room.remarks.push(format!("its list of {key} is cut: it has more than {MOST_PAGES} pages"));
        Ok(items)
    }
}

/// Returns whether a result is a task of 2025-11-25: it has one and no content.
fn is_task(result: &str) -> bool {
    scan::member_at(result, &["task", "taskId"]).is_some()
        && scan::member_at(result, &["content"]).is_none()
}

/// Reads a page of a list: its items, and the cursor of the next one.
fn read_page(page: &JsonText, key: &str) -> Result<(Vec<Value>, Option<String>), ServerFault> {
    let unreadable = |why: &str| ServerFault::Unreadable(format!("a page of {key} {why}"));
    if page.tree_cost() > LARGEST_PAGE {
        return Err(unreadable("is too large"));
    }
    let items = scan::member_at(page.as_str(), &[key]).ok_or_else(|| unreadable("has none"))?;
    let items = cost::parse_tree(items, LARGEST_PAGE).ok_or_else(|| unreadable("is too deep"))?;
    let Value::Array(items) = items else { return Err(unreadable("has no list")) };
    let cursor = scan::member_at(page.as_str(), &["nextCursor"]);
    let cursor =
        cursor.and_then(|it| Option::<String>::deserialize(&mut reader(it)).ok().flatten());
    Ok((items, cursor.filter(|cursor| !cursor.is_empty())))
}

fn reader(text: &str) -> serde_json::Deserializer<serde_json::de::StrRead<'_>> {
    serde_json::Deserializer::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_items_and_perhaps_a_cursor() {
        let read = |page: Value| read_page(&JsonText::parse(&page.to_string()).unwrap(), "tools");
        let items = vec![json!({ "name": "a" })];
        let page = json!({ "tools": items, "nextCursor": "x" });
        assert_eq!(read(page), Ok((items, Some("x".to_owned()))));
        for cursor in [json!(""), json!(null), json!(1)] {
            assert_eq!(read(json!({ "tools": [], "nextCursor": cursor })), Ok((vec![], None)));
        }
        for page in [json!({}), json!({ "tools": {} }), json!([])] {
            assert!(matches!(read(page), Err(ServerFault::Unreadable(_))));
        }
    }
}
