//! From a request to the function that answers it.
//!
//! The order of the checks can be seen from outside: the slash at the end, the route, who asks, how
//! often, the method, the parameters, the datacenter, and only then the rest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderName, Method, StatusCode};
use serde_json::{Value, json};

use super::data::RequestData;
use super::definitions::DefinitionScope;
use super::failure::DanubeFailure;
use super::seed;
use super::state::DanubeState;
use super::tasks::BegunTask;
use super::users::{AccountUser, CURRENT_DC, UserRole};
use crate::SimulatorOptions;
use crate::server::{HttpReply, HttpService, ServiceRequest, percent_decode};

/// The simulated product.
#[derive(Debug)]
pub(super) struct DanubeApp {
    state: Mutex<DanubeState>,
}

/// What a path names, with the names in it.
#[derive(Debug, Clone, PartialEq)]
enum PathView {
    Backup(String, String),
    Backups(String),
    Definition(String, String),
    Definitions(String),
    DefinitionsOfDc,
    LogIn,
    LogOut,
    NodeBackups(String),
    NodeDefinitions(String),
    Ping,
    Task(String),
    TaskCancel(String),
    TaskDone(String),
    TaskLog,
    TaskLogStats,
    TaskStatus(String),
    Tasks,
}

/// What a view answers.
enum ViewAnswer {
    /// JSON as it is.
    Bare(StatusCode, Value),
    /// In the envelope: done.
    Done(StatusCode, Value),
    /// In the envelope: begun.
    Begun(BegunTask),
    /// An envelope that is there already, of a real task.
    Task(StatusCode, Value),
}

impl HttpService for DanubeApp {
    async fn answer(self: Arc<Self>, request: &mut ServiceRequest) -> HttpReply {
        let Some(path) = request.path.strip_prefix(BASE).map(str::to_owned) else {
            return not_found();
        };
        let (dc, view) = match route(&path) {
            Some(found) => found,
            // With the slash it would be one: the product sends the client there, without the body.
            None if route(&format!("{path}/")).is_some() => {
                let query = match request.raw_query.as_str() {
                    "" => String::new(),
                    query => format!("?{query}"),
                };
                let location = format!("{BASE}{path}/{query}");
                return HttpReply::empty(StatusCode::MOVED_PERMANENTLY).header(LOCATION, &location);
            }
            None => return not_found(),
        };
        let mut shown = AnswerFields::default();
        // What it could answer is found out before anything else.
        let answer = if takes_json(request.header("accept")) {
            self.serve(dc, &view, request, &mut shown).await
        } else {
            Err(DanubeFailure::new(406, "Could not satisfy the request Accept header."))
        };
        let mut state = self.state();
        reply(&mut state, answer, &shown)
    }
}

/// What the fields of every answer tell.
#[derive(Debug, Default)]
struct AnswerFields {
    user: Option<&'static str>,
    dc: Option<String>,
}

impl DanubeApp {
    /// Makes a product with fresh data.
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        Self { state: Mutex::new(seed::seed(options)) }
    }

    /// Locks the state. Never held across an `await`.
    pub(super) fn state(&self) -> MutexGuard<'_, DanubeState> {
        // A panic elsewhere is a bug that a test shows; the data are still whole objects.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(
        &self,
        dc_of_path: Option<String>,
        view: &PathView,
        request: &mut ServiceRequest,
        shown: &mut AnswerFields,
    ) -> Result<ViewAnswer, DanubeFailure> {
        let is_open = matches!(view, PathView::LogIn | PathView::Ping);
        let user = {
            let mut state = self.state();
            state.settle();
            // A key is looked at wherever there is one.
            let is_asked = !is_open || request.header("es-api-key").is_some();
            let user = if is_asked { Some(state.authenticate(request)?) } else { None };
            let (now, address) = (state.clock.now(), request.peer.ip().to_string());
            let name = user.as_ref().map(|user| user.name);
            state.throttle.take(name, &address, now).map_err(DanubeFailure::Throttled)?;
            user
        };
        shown.user = user.as_ref().map(|user| user.name);
        if !view.allows(&request.method) {
            let text = format!("Method \"{}\" not allowed.", request.method);
            return Err(DanubeFailure::new(405, text));
        }
        let body = request.body.collect(JSON_LIMIT).await?;
        let data = if request.method == Method::GET {
            RequestData::of_query(&request.query)
        } else {
            RequestData::of_body(request.header("content-type"), &body)
        };
        let mut state = self.state();
        match (view, &user) {
            (PathView::LogIn, _) => {
                return state.log_in(&data).map(|(status, value)| ViewAnswer::Bare(status, value));
            }
            (PathView::Ping, _) | (_, None) => {
                return Ok(ViewAnswer::Bare(StatusCode::OK, json!("pong")));
            }
            (_, Some(_)) => {}
        }
        let Some(user) = user else { return Err(DanubeFailure::forbidden()) };
        let dc = data.text("dc").map(str::to_owned).or(dc_of_path);
        let dc = dc.unwrap_or_else(|| CURRENT_DC.to_owned());
        if !state.datacenters.iter().any(|known| known.name == dc) || !user.sees(&dc) {
            return Err(DanubeFailure::not_found("Datacenter"));
        }
        shown.dc = Some(dc.clone());
        let url = format!("http://{}{BASE}/task/log/", request.header("host").unwrap_or_default());
        state.dispatch(&request.method, view, &user, &dc, &url, &data)
    }
}

impl DanubeState {
    fn dispatch(
        &mut self,
        method: &Method,
        view: &PathView,
        user: &AccountUser,
        dc: &str,
        url: &str,
        data: &RequestData,
    ) -> Result<ViewAnswer, DanubeFailure> {
        if view.is_about_backups() && !self.backups_enabled {
            return Err(DanubeFailure::new(404, "Not found."));
        }
        let done = |value: Value| ViewAnswer::Done(StatusCode::OK, value);
        let created = |value: Value| ViewAnswer::Done(StatusCode::CREATED, value);
        let bare = |value: Value| ViewAnswer::Bare(StatusCode::OK, value);
        let is_get = *method == Method::GET;
        Ok(match view {
            PathView::LogIn | PathView::Ping => bare(Value::Null),
            PathView::LogOut => {
                let (status, value) = self.log_out(user);
                ViewAnswer::Bare(status, value)
            }
            PathView::DefinitionsOfDc => {
                done(self.list_definitions(user, dc, &DefinitionScope::Datacenter, data)?)
            }
            PathView::Definitions(vm) => {
                done(self.list_definitions(user, dc, &DefinitionScope::Machine(vm), data)?)
            }
            PathView::Definition(vm, name) => {
                let name = (vm.as_str(), name.as_str());
                match *method {
                    Method::POST => created(self.define(user, dc, name, data)?),
                    Method::PUT => done(self.redefine(user, dc, name, data)?),
                    Method::DELETE => done(self.undefine(user, dc, name, data)?),
                    _ => done(self.show_definition(user, dc, name, data)?),
                }
            }
            PathView::Backups(vm) if is_get => done(self.list_backups(user, dc, vm, data)?),
            PathView::Backups(vm) => deleted(self.begin_delete_many(user, dc, vm, data)?),
            PathView::Backup(vm, name) => {
                let name = (vm.as_str(), name.as_str());
                match *method {
                    Method::POST => ViewAnswer::Begun(self.begin_backup(user, dc, name, data)?),
                    // That it is there is enough.
                    Method::PUT if data.has("note") => done(self.annotate(user, dc, name, data)?),
                    Method::PUT => ViewAnswer::Begun(self.begin_restore(user, dc, name, data)?),
                    Method::DELETE => deleted(self.begin_delete(user, dc, name, data)?),
                    _ => done(self.show_backup(user, dc, name, data)?),
                }
            }
            PathView::NodeDefinitions(node) => {
                self.check_node(user, node)?;
                done(self.list_definitions(user, dc, &DefinitionScope::Node(node), data)?)
            }
            PathView::NodeBackups(node) => {
                self.check_node(user, node)?;
                done(self.list_node_backups(user, node, data)?)
            }
            PathView::Tasks => bare(self.list_tasks(user, dc)),
            PathView::Task(id) if is_get => bare(self.show_task(user, dc, id)?),
            PathView::Task(id) => bare(self.delete_task(user, dc, id, data)?),
            PathView::TaskStatus(id) => {
                let (status, envelope) = self.task_status(user, id)?;
                ViewAnswer::Task(status, envelope)
            }
            PathView::TaskDone(id) => {
                let (status, done) = self.task_done(user, id)?;
                ViewAnswer::Bare(status, done)
            }
            PathView::TaskCancel(id) => {
                let (status, envelope) = self.cancel_task(user, dc, id)?;
                ViewAnswer::Task(status, envelope)
            }
            PathView::TaskLog => bare(self.task_log(user, dc, url, data)?),
            PathView::TaskLogStats => bare(self.log_stats(user, dc, data)?),
        })
    }
}

impl DanubeState {
    /// Nodes are for those who run them.
    fn check_node(&self, user: &AccountUser, node: &str) -> Result<(), DanubeFailure> {
        if user.role != UserRole::SuperAdmin {
            return Err(DanubeFailure::forbidden());
        }
        if self.node(node).is_none() {
            return Err(DanubeFailure::not_found("Node"));
        }
        Ok(())
    }
}

impl PathView {
    fn allows(&self, method: &Method) -> bool {
        let methods: &[Method] = match self {
            Self::LogIn => &[Method::POST],
            Self::Backup(..) | Self::Definition(..) => {
                &[Method::GET, Method::POST, Method::PUT, Method::DELETE]
            }
            Self::Backups(_) | Self::Task(_) => &[Method::GET, Method::DELETE],
            Self::TaskCancel(_) => &[Method::PUT],
            _ => &[Method::GET],
        };
        methods.contains(method)
    }

    const fn is_about_backups(&self) -> bool {
        matches!(
            self,
            Self::Backup(..)
                | Self::Backups(_)
                | Self::Definition(..)
                | Self::Definitions(_)
                | Self::DefinitionsOfDc
                | Self::NodeBackups(_)
                | Self::NodeDefinitions(_)
        )
    }
}

/// Makes the answer to a deletion: begun, or done because the backup was lost.
fn deleted(begun: Option<BegunTask>) -> ViewAnswer {
    match begun {
        Some(begun) => ViewAnswer::Begun(begun),
        None => ViewAnswer::Done(
            StatusCode::OK,
            json!({"message": "Backup successfully deleted from DB"}),
        ),
    }
}

/// Says whether somebody who accepts `accept` takes JSON.
fn takes_json(accept: Option<&str>) -> bool {
    let is_json = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        ["*/*", "application/*", "application/json"].contains(&range)
    };
    accept.is_none_or(|accept| accept.trim().is_empty() || accept.split(',').any(is_json))
}

/// Finds the view of a path, which ends in a slash, and the datacenter before it.
fn route(path: &str) -> Option<(Option<String>, PathView)> {
    let path = path.strip_prefix('/')?.strip_suffix('/')?;
    let decoded: Vec<String> = path.split('/').map(percent_decode).collect();
    let is_name = |part: &&str| {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && part.chars().all(is_fine)
    };
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    if !parts.iter().all(is_name) {
        return None;
    }
    let (dc, parts) = match parts.as_slice() {
        ["dc", dc, rest @ ..] => (Some((*dc).to_owned()), rest),
        all => (None, all),
    };
    let own = |part: &&str| (*part).to_owned();
    let view = match parts {
        ["ping"] if dc.is_none() => PathView::Ping,
        ["accounts", "login"] if dc.is_none() => PathView::LogIn,
        ["accounts", "logout"] if dc.is_none() => PathView::LogOut,
        ["task"] => PathView::Tasks,
        ["task", "log"] => PathView::TaskLog,
        ["task", "log", "stats"] => PathView::TaskLogStats,
        ["task", id] => PathView::Task(own(id)),
        ["task", id, "status" | "state"] => PathView::TaskStatus(own(id)),
        ["task", id, "done"] => PathView::TaskDone(own(id)),
        ["task", id, "cancel"] => PathView::TaskCancel(own(id)),
        ["vm", "define", "backup"] => PathView::DefinitionsOfDc,
        ["vm", vm, "define", "backup"] => PathView::Definitions(own(vm)),
        ["vm", vm, "define", "backup", name] => PathView::Definition(own(vm), own(name)),
        ["vm", vm, "backup"] => PathView::Backups(own(vm)),
        ["vm", vm, "backup", name] => PathView::Backup(own(vm), own(name)),
        ["node", node, "define", "backup"] if dc.is_none() => PathView::NodeDefinitions(own(node)),
        ["node", node, "backup"] if dc.is_none() => PathView::NodeBackups(own(node)),
        _ => return None,
    };
    Some((dc, view))
}

fn reply(
    state: &mut DanubeState,
    answer: Result<ViewAnswer, DanubeFailure>,
    shown: &AnswerFields,
) -> HttpReply {
    let mut wait = None;
    let mut task = None;
    let dummy = |state: &mut DanubeState| {
        state.dummy_id(shown.user.unwrap_or_default(), shown.dc.as_deref().unwrap_or_default())
    };
    let envelope = |id: &str, status: &str, result: Value| json!({"task_id": id, "status": status, "result": result});
    let (status, value) = match answer {
        Ok(ViewAnswer::Bare(status, value)) => (status, value),
        Ok(ViewAnswer::Done(status, result)) => {
            let id = dummy(state);
            task = Some((id.clone(), false));
            (status, envelope(&id, "SUCCESS", result))
        }
        Ok(ViewAnswer::Begun(BegunTask(id))) => {
            task = Some((id.clone(), true));
            (StatusCode::CREATED, envelope(&id, "PENDING", Value::Null))
        }
        Ok(ViewAnswer::Task(status, value)) => (status, value),
        Err(DanubeFailure::Raised(status, detail)) => (status, json!({"detail": detail})),
        Err(DanubeFailure::Invalid(fields)) => {
            let id = dummy(state);
            (StatusCode::BAD_REQUEST, envelope(&id, "FAILURE", Value::Object(fields)))
        }
        Err(DanubeFailure::Fields(fields)) => (StatusCode::BAD_REQUEST, json!({"detail": fields})),
        Err(DanubeFailure::NotBegun(text)) => {
            let id = dummy(state);
            (StatusCode::BAD_REQUEST, envelope(&id, "FAILURE", text.into()))
        }
        Err(DanubeFailure::Throttled(seconds)) => {
            wait = Some(seconds);
            let detail =
                format!("Request was throttled. Expected available in {seconds}.0 seconds.");
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": detail}))
        }
    };
    let field = HeaderName::from_static;
    let mut reply = HttpReply::whole(status, "application/json", value.to_string());
    reply = reply.header(field("es_version"), "4.6");
    if let Some(user) = shown.user {
        reply = reply.header(field("es_username"), user);
    }
    if let Some(dc) = &shown.dc {
        reply = reply.header(field("es_dc"), dc);
    }
    if let Some((id, is_real)) = task {
        reply = reply.header(field("es_task_id"), &id);
        if is_real {
            reply = reply.header(field("es_task_response"), "true");
        }
    }
    match wait {
        Some(seconds) => reply.header(RETRY_AFTER, &seconds.to_string()),
        None => reply,
    }
}

/// Answers as the product does where there is nothing: with a text that says that it is JSON.
fn not_found() -> HttpReply {
    HttpReply::whole(StatusCode::NOT_FOUND, "application/json", "Resource not found")
}

/// What all paths start with.
const BASE: &str = "/api";

/// How long a JSON body may be.
const JSON_LIMIT: usize = 1024 * 1024;
