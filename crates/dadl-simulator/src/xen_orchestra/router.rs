//! From a request to the function that answers it.
//!
//! The order of the checks is XO's and can be seen from outside: route, login, JSON syntax,
//! existence of the object in the path, privilege, and only then the shape of query and body.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::accounts::XenUser;
use super::app::{XenApp, XenCall};
use super::create::invalid_privilege;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::operations::{self, BodyRule, XenOperation};
use super::pages::{self, BASE};
use crate::server::{HttpReply, HttpService, ServiceRequest};

impl HttpService for XenApp {
    async fn answer(self: Arc<Self>, request: &mut ServiceRequest) -> HttpReply {
        let path = request.path.clone();
        let Some(path) = path.strip_prefix(BASE) else {
            return pages::sign_in(&request.path);
        };
        if self.turns_away(path, request) {
            return pages::mcp_disabled().reply();
        }
        if let Some(page) = pages::find(&request.method, path) {
            return page;
        }
        self.serve(path, request).await.unwrap_or_else(|failure| failure.reply())
    }
}

impl XenApp {
    /// Says whether a request says that it comes through MCP while that is off. The question how it
    /// stands is answered all the same.
    fn turns_away(&self, path: &str, request: &ServiceRequest) -> bool {
        let client = request.header("x-xo-client").unwrap_or_default();
        self.mcp_is_off.load(Ordering::Relaxed)
            && client.eq_ignore_ascii_case("mcp")
            && path != "/mcp/status"
    }

    async fn serve(
        self: &Arc<Self>,
        path: &str,
        request: &mut ServiceRequest,
    ) -> Result<HttpReply, XenFailure> {
        if let Some(reply) = self.redirect_me(path, request)? {
            return Ok(reply);
        }
        let found = match path.strip_prefix("/backup-archives/") {
            // These identifiers contain slashes, which XO leaves in its addresses.
            Some(id) => {
                let path = format!("/backup-archives/{}", id.replace('/', "%2F"));
                operations::find(&request.method, &path, &self.options)
            }
            None => operations::find(&request.method, path, &self.options),
        };
        let Some((operation, captures)) = found else {
            return Ok(pages::not_found(request));
        };
        let user = if operation.is_open() {
            XenUser { id: String::new(), is_admin: false }
        } else {
            self.state().authenticate(request)?
        };
        let mut body = match &operation.body {
            Some(BodyRule::Json { .. }) => read_json(request).await?,
            Some(BodyRule::Bytes) | None => Value::Object(Map::new()),
        };
        self.check_access(operation, &captures, &user, &body)?;
        let mut errors = Map::new();
        operation.check_query(&request.query, &mut errors);
        if let Some(BodyRule::Json { name, optional, shape }) = &operation.body {
            let left_out = *optional && body.as_object().is_some_and(Map::is_empty);
            if !left_out {
                let received = body.clone();
                shape.check(name, &mut body, &mut errors);
                if *name == "privilege" && !errors.is_empty() {
                    let received = received.as_object().cloned().unwrap_or_default();
                    return Err(invalid_privilege(&received));
                }
            }
        }
        if let (true, Some(vlan)) = (operation.path.ends_with("/create_network"), body.get("vlan"))
            && vlan.as_f64().is_some_and(|vlan| !(0.0..=4094.0).contains(&vlan))
        {
            let message = "vlan must be between 0 and 4094";
            errors.insert("body.vlan".to_owned(), json!({"message": message, "value": vlan}));
        }
        if !errors.is_empty() {
            return Err(XenFailure::invalid(errors));
        }
        let body = body.as_object().cloned().unwrap_or_default();
        self.dispatch(XenCall { operation, captures, user, body, request }).await
    }

    /// Checks that the object in the path exists and that the user has the privilege.
    fn check_access(
        &self,
        operation: &XenOperation,
        captures: &[String],
        user: &XenUser,
        body: &Value,
    ) -> Result<(), XenFailure> {
        let mut state = self.state();
        let segments = operation.segments();
        if operation.path == "/pools/{id}/actions/management_reconfigure"
            && body.get("network").is_none()
        {
            // XO looks the network up before it checks that there is one.
            return Err(XenFailure::new(StatusCode::NOT_FOUND, "no such network undefined")
                .with_data(json!({"type": "network"})));
        }
        let kind = segments.first().and_then(|collection| XenKind::from_collection(collection));
        if kind.is_some_and(XenKind::is_of_pool) {
            state.store.look();
        }
        if let (Some(kind), Some(id)) = (kind, captures.first()) {
            state.store.find_seen(kind, id)?;
        }
        if kind == Some(XenKind::Pool) {
            state.check_named(segments.last().copied().unwrap_or_default(), body)?;
        }
        match operation.privilege {
            // Lists are cut down to what the user may read instead.
            Some((resource, "read")) if is_list(&segments, kind, resource) => Ok(()),
            Some((resource, action)) if !state.allows(user, resource, action) => {
                Err(XenFailure::missing_privilege(resource, action))
            }
            _ => Ok(()),
        }
    }

    /// Redirects `/users/me` and what is below it to the user who asks. XO compares the raw
    /// address, so `/users/me?x=y` is not redirected and finds no user "me".
    fn redirect_me(
        &self,
        path: &str,
        request: &ServiceRequest,
    ) -> Result<Option<HttpReply>, XenFailure> {
        let Some(rest) = path.strip_prefix("/users/me") else {
            return Ok(None);
        };
        let exact = rest.is_empty() && request.raw_query.is_empty();
        if !exact && !rest.starts_with('/') {
            return Ok(None);
        }
        let user = self.state().authenticate(request)?;
        let mut location = format!("{BASE}/users/{}{rest}", user.id);
        if !request.raw_query.is_empty() {
            location.push('?');
            location.push_str(&request.raw_query);
        }
        Ok(Some(pages::redirect(StatusCode::TEMPORARY_REDIRECT, &location)))
    }

    async fn dispatch(self: &Arc<Self>, mut call: XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let segments = call.operation.segments();
        let method = call.operation.method.clone();
        match (method, segments.as_slice()) {
            (Method::GET, ["ping"]) => Ok(pages::ping()),
            (Method::GET, ["gui-routes"]) => Ok(pages::gui_routes()),
            (Method::GET, ["mcp", "status"]) => match self.mcp_is_off.load(Ordering::Relaxed) {
                true => Err(pages::mcp_disabled()),
                false => Ok(pages::mcp_status()),
            },
            (Method::GET, ["docs", _]) => Ok(pages::description(&self.options)),
            (_, ["plugins", ..]) => self.change_rules(&call).await,
            (Method::GET, ["dashboard"] | [_, _, "dashboard"]) => self.dashboard(&call),
            (Method::GET, ["events"]) => Ok(self.open_events()),
            (_, ["events", ..]) => self.subscribe(&call),
            (Method::GET, ["tasks"]) if call.flag("watch") => self.watch_tasks(&call),
            (Method::GET, ["tasks", _]) if call.flag("wait") => self.wait_for_task(&call).await,
            (_, [_, format]) if format.contains(".{") => self.transfer(&mut call).await,
            (Method::GET, [_, _, "stats"]) => self.stats(&call),
            (Method::GET, [_, _, "missing_patches"]) => self.missing_patches(&call),
            (Method::GET, ["hosts", _, name @ ("smt" | "audit.txt" | "logs.tgz")]) => {
                self.host_details(&call, name)
            }
            (Method::GET, ["backup-repositories", _, "health"]) => self.health(&call),
            (method, ["users", _, "authentication_tokens"]) => self.tokens(&call, &method),
            (Method::GET, [_] | [_, _, _]) => self.list(&call),
            (Method::GET, _) => self.show(&call),
            (_, [_, _, "actions", _]) => self.act(&call).await,
            (Method::POST, ["pools", _, "vms"] | ["srs", _, "vdis"]) => {
                self.import(&mut call).await
            }
            (Method::POST, _) => self.create(&call),
            _ => self.edit(&call),
        }
    }
}

/// Says whether an operation that reads gives a list, rather than an object or what it tells about
/// itself.
fn is_list(segments: &[&str], kind: Option<XenKind>, resource: &str) -> bool {
    match segments.len() {
        1 => true,
        3 => kind.is_some_and(|kind| kind.resource() != resource),
        _ => false,
    }
}

/// Reads a body as Express reads it: JSON or a form, by its type; anything else is no body.
async fn read_json(request: &mut ServiceRequest) -> Result<Value, XenFailure> {
    let body = request.body.collect(JSON_LIMIT).await?;
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let form = crate::server::QueryParams::new(&String::from_utf8_lossy(&body));
        let pairs = form.pairs().iter().cloned();
        return Ok(Value::Object(pairs.map(|(name, value)| (name, value.into())).collect()));
    }
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Ok(Value::Object(Map::new()));
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    match serde_json::from_slice(&body) {
        // Express accepts objects and arrays alone.
        Ok(value @ (Value::Array(_) | Value::Object(_))) => Ok(value),
        Ok(_) => Err(XenFailure::unexpected(unexpected_token(text.trim_start(), &text))),
        Err(error) => Err(XenFailure::unexpected(syntax_error(&text, &error))),
    }
}

/// Says what V8 says about a text that is not JSON, as far as its start decides.
fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    let trimmed = text.trim_start();
    if error.is_eof() {
        return "Unexpected end of JSON input".to_owned();
    }
    if let Some(rest) = trimmed.strip_prefix('{') {
        let rest = rest.trim_start();
        if !rest.starts_with(['"', '}']) {
            let position = text.chars().count() - rest.chars().count();
            return format!("Expected property name or '}}' in JSON at position {position}");
        }
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    unexpected_token(if rest.is_empty() { trimmed } else { rest }, text)
}

fn unexpected_token(rest: &str, text: &str) -> String {
    let token = rest.chars().next().unwrap_or(' ');
    format!("Unexpected token '{token}', \"{text}\" is not valid JSON")
}

/// How long a JSON body may be.
const JSON_LIMIT: usize = 1024 * 1024;
