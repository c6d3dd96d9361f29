//! From a request to the function that answers it.
//!
//! The order of the checks can be seen from outside: the slash at the end, the route, who asks, how
//! often, the method, the parameters, the datacenter, and only then the rest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderName, Method, StatusCode};
use serde_json::{Value, json};

use super::accounts::{CURRENT_DC, Role, User};
use super::data::Data;
use super::definitions::Scope;
use super::failure::Failure;
use super::seed;
use super::state::State;
use super::tasks::Begun;
use crate::SimulatorOptions;
use crate::server::{Reply, Request, Service, percent_decode};

/// The simulated product.
#[derive(Debug)]
pub(super) struct App {
    state: Mutex<State>,
}

/// What a path names, with the names in it.
#[derive(Debug, Clone, PartialEq)]
enum View {
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
enum Answer {
    /// JSON as it is.
    Bare(StatusCode, Value),
    /// In the envelope: done.
    Done(StatusCode, Value),
    /// In the envelope: begun.
    Begun(Begun),
    /// An envelope that is there already, of a real task.
    Task(StatusCode, Value),
}

impl Service for App {
    async fn answer(self: Arc<Self>, request: &mut Request) -> Reply {
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
                return Reply::empty(StatusCode::MOVED_PERMANENTLY).header(LOCATION, &location);
            }
            None => return not_found(),
        };
        let mut shown = Shown::default();
        // What it could answer is found out before anything else.
        let answer = if takes_json(request.header("accept")) {
            self.serve(dc, &view, request, &mut shown).await
        } else {
            Err(Failure::new(406, "Could not satisfy the request Accept header."))
        };
        let mut state = self.state();
        reply(&mut state, answer, &shown)
    }
}

/// What the fields of every answer tell.
#[derive(Debug, Default)]
struct Shown {
    user: Option<&'static str>,
    dc: Option<String>,
}

impl App {
    /// Makes a product with fresh data.
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        Self { state: Mutex::new(seed::seed(options)) }
    }

    /// Locks the state. Never held across an `await`.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is a bug that a test shows; the data are still whole objects.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(
        &self,
        dc_of_path: Option<String>,
        view: &View,
        request: &mut Request,
        shown: &mut Shown,
    ) -> Result<Answer, Failure> {
        let is_open = matches!(view, View::LogIn | View::Ping);
        let user = {
            let mut state = self.state();
            state.settle();
            // A key is looked at wherever there is one.
            let is_asked = !is_open || request.header("es-api-key").is_some();
            let user = if is_asked { Some(state.authenticate(request)?) } else { None };
            let (now, address) = (state.clock.now(), request.peer.ip().to_string());
            let name = user.as_ref().map(|user| user.name);
            state.throttle.take(name, &address, now).map_err(Failure::Throttled)?;
            user
        };
        shown.user = user.as_ref().map(|user| user.name);
        if !view.allows(&request.method) {
            let text = format!("Method \"{}\" not allowed.", request.method);
            return Err(Failure::new(405, text));
        }
        let body = request.body.collect(JSON_LIMIT).await?;
        let data = if request.method == Method::GET {
            Data::of_query(&request.query)
        } else {
            Data::of_body(request.header("content-type"), &body)
        };
        let mut state = self.state();
        match (view, &user) {
            (View::LogIn, _) => {
                return state.log_in(&data).map(|(status, value)| Answer::Bare(status, value));
            }
            (View::Ping, _) | (_, None) => return Ok(Answer::Bare(StatusCode::OK, json!("pong"))),
            (_, Some(_)) => {}
        }
        let Some(user) = user else { return Err(Failure::forbidden()) };
        let dc = data.text("dc").map(str::to_owned).or(dc_of_path);
        let dc = dc.unwrap_or_else(|| CURRENT_DC.to_owned());
        if !state.datacenters.iter().any(|known| known.name == dc) || !user.sees(&dc) {
            return Err(Failure::not_found("Datacenter"));
        }
        shown.dc = Some(dc.clone());
        let url = format!("http://{}{BASE}/task/log/", request.header("host").unwrap_or_default());
        state.dispatch(&request.method, view, &user, &dc, &url, &data)
    }
}

impl State {
    fn dispatch(
        &mut self,
        method: &Method,
        view: &View,
        user: &User,
        dc: &str,
        url: &str,
        data: &Data,
    ) -> Result<Answer, Failure> {
        if view.is_about_backups() && !self.backups_enabled {
            return Err(Failure::new(404, "Not found."));
        }
        let done = |value: Value| Answer::Done(StatusCode::OK, value);
        let created = |value: Value| Answer::Done(StatusCode::CREATED, value);
        let bare = |value: Value| Answer::Bare(StatusCode::OK, value);
        let is_get = *method == Method::GET;
        Ok(match view {
            View::LogIn | View::Ping => bare(Value::Null),
            View::LogOut => {
                let (status, value) = self.log_out(user);
                Answer::Bare(status, value)
            }
            View::DefinitionsOfDc => {
                done(self.list_definitions(user, dc, &Scope::Datacenter, data)?)
            }
            View::Definitions(vm) => {
                done(self.list_definitions(user, dc, &Scope::Machine(vm), data)?)
            }
            View::Definition(vm, name) => {
                let name = (vm.as_str(), name.as_str());
                match *method {
                    Method::POST => created(self.define(user, dc, name, data)?),
                    Method::PUT => done(self.redefine(user, dc, name, data)?),
                    Method::DELETE => done(self.undefine(user, dc, name, data)?),
                    _ => done(self.show_definition(user, dc, name, data)?),
                }
            }
            View::Backups(vm) if is_get => done(self.list_backups(user, dc, vm, data)?),
            View::Backups(vm) => deleted(self.begin_delete_many(user, dc, vm, data)?),
            View::Backup(vm, name) => {
                let name = (vm.as_str(), name.as_str());
                match *method {
                    Method::POST => Answer::Begun(self.begin_backup(user, dc, name, data)?),
                    // That it is there is enough.
                    Method::PUT if data.has("note") => done(self.annotate(user, dc, name, data)?),
                    Method::PUT => Answer::Begun(self.begin_restore(user, dc, name, data)?),
                    Method::DELETE => deleted(self.begin_delete(user, dc, name, data)?),
                    _ => done(self.show_backup(user, dc, name, data)?),
                }
            }
            View::NodeDefinitions(node) => {
                self.check_node(user, node)?;
                done(self.list_definitions(user, dc, &Scope::Node(node), data)?)
            }
            View::NodeBackups(node) => {
                self.check_node(user, node)?;
                done(self.list_node_backups(user, node, data)?)
            }
            View::Tasks => bare(self.list_tasks(user, dc)),
            View::Task(id) if is_get => bare(self.show_task(user, dc, id)?),
            View::Task(id) => bare(self.delete_task(user, dc, id, data)?),
            View::TaskStatus(id) => {
                let (status, envelope) = self.task_status(user, id)?;
                Answer::Task(status, envelope)
            }
            View::TaskDone(id) => {
                let (status, done) = self.task_done(user, id)?;
                Answer::Bare(status, done)
            }
            View::TaskCancel(id) => {
                let (status, envelope) = self.cancel_task(user, dc, id)?;
                Answer::Task(status, envelope)
            }
            View::TaskLog => bare(self.task_log(user, dc, url, data)?),
            View::TaskLogStats => bare(self.log_stats(user, dc, data)?),
        })
    }
}

impl State {
    /// Nodes are for those who run them.
    fn check_node(&self, user: &User, node: &str) -> Result<(), Failure> {
        if user.role != Role::SuperAdmin {
            return Err(Failure::forbidden());
        }
        if self.node(node).is_none() {
            return Err(Failure::not_found("Node"));
        }
        Ok(())
    }
}

impl View {
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
fn deleted(begun: Option<Begun>) -> Answer {
    match begun {
        Some(begun) => Answer::Begun(begun),
        None => {
            Answer::Done(StatusCode::OK, json!({"message": "Backup successfully deleted from DB"}))
        }
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
fn route(path: &str) -> Option<(Option<String>, View)> {
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
        ["ping"] if dc.is_none() => View::Ping,
        ["accounts", "login"] if dc.is_none() => View::LogIn,
        ["accounts", "logout"] if dc.is_none() => View::LogOut,
        ["task"] => View::Tasks,
        ["task", "log"] => View::TaskLog,
        ["task", "log", "stats"] => View::TaskLogStats,
        ["task", id] => View::Task(own(id)),
        ["task", id, "status" | "state"] => View::TaskStatus(own(id)),
        ["task", id, "done"] => View::TaskDone(own(id)),
        ["task", id, "cancel"] => View::TaskCancel(own(id)),
        ["vm", "define", "backup"] => View::DefinitionsOfDc,
        ["vm", vm, "define", "backup"] => View::Definitions(own(vm)),
        ["vm", vm, "define", "backup", name] => View::Definition(own(vm), own(name)),
        ["vm", vm, "backup"] => View::Backups(own(vm)),
        ["vm", vm, "backup", name] => View::Backup(own(vm), own(name)),
        ["node", node, "define", "backup"] if dc.is_none() => View::NodeDefinitions(own(node)),
        ["node", node, "backup"] if dc.is_none() => View::NodeBackups(own(node)),
        _ => return None,
    };
    Some((dc, view))
}

fn reply(state: &mut State, answer: Result<Answer, Failure>, shown: &Shown) -> Reply {
    let mut wait = None;
    let mut task = None;
    let dummy = |state: &mut State| {
        state.dummy_id(shown.user.unwrap_or_default(), shown.dc.as_deref().unwrap_or_default())
    };
    let envelope = |id: &str, status: &str, result: Value| json!({"task_id": id, "status": status, "result": result});
    let (status, value) = match answer {
        Ok(Answer::Bare(status, value)) => (status, value),
        Ok(Answer::Done(status, result)) => {
            let id = dummy(state);
            task = Some((id.clone(), false));
            (status, envelope(&id, "SUCCESS", result))
        }
        Ok(Answer::Begun(Begun(id))) => {
            task = Some((id.clone(), true));
            (StatusCode::CREATED, envelope(&id, "PENDING", Value::Null))
        }
        Ok(Answer::Task(status, value)) => (status, value),
        Err(Failure::Raised(status, detail)) => (status, json!({"detail": detail})),
        Err(Failure::Invalid(fields)) => {
            let id = dummy(state);
            (StatusCode::BAD_REQUEST, envelope(&id, "FAILURE", Value::Object(fields)))
        }
        Err(Failure::Fields(fields)) => (StatusCode::BAD_REQUEST, json!({"detail": fields})),
        Err(Failure::NotBegun(text)) => {
            let id = dummy(state);
            (StatusCode::BAD_REQUEST, envelope(&id, "FAILURE", text.into()))
        }
        Err(Failure::Throttled(seconds)) => {
            wait = Some(seconds);
            let detail =
                format!("Request was throttled. Expected available in {seconds}.0 seconds.");
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": detail}))
        }
    };
    let field = HeaderName::from_static;
    let mut reply = Reply::whole(status, "application/json", value.to_string());
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
fn not_found() -> Reply {
    Reply::whole(StatusCode::NOT_FOUND, "application/json", "Resource not found")
}

/// What all paths start with.
const BASE: &str = "/api";

/// How long a JSON body may be.
const JSON_LIMIT: usize = 1024 * 1024;
