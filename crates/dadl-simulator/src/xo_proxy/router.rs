//! From a request to the method that answers it.
//!
//! The order is the proxy's: path, method, cookie, and only then the body. What is wrong with a
//! body comes with HTTP 200.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, SET_COOKIE};
use http::{HeaderName, Method as HttpMethod, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use super::params;
use crate::server::{HttpReply, HttpService, SeededGenerator, ServiceRequest, fingerprint};

/// Where the API is.
const PATH: &str = "/api/v1";
/// The cookie that holds the token.
const COOKIE: &str = "authenticationToken";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// A body is not longer than this.
const BODY_LIMIT: usize = 1024 * 1024;

impl HttpService for ProxyApp {
    async fn answer(self: Arc<Self>, request: &mut ServiceRequest) -> HttpReply {
        if request.path.trim_end_matches('/') != PATH {
            // The proxy never answers on other paths.
            return std::future::pending().await;
        }
        let reply = if request.method != HttpMethod::POST {
            HttpReply::whole(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed")
                .header(ALLOW, "POST")
        } else {
            match self.authenticate(request) {
                Some(cookie) => {
                    let reply = self.called(request).await;
                    match cookie {
                        Some(cookie) => reply.header(SET_COOKIE, &cookie),
                        None => reply,
                    }
                }
                None => HttpReply::whole(StatusCode::UNAUTHORIZED, TEXT, "Unauthorized"),
            }
        };
        reply.header(HeaderName::from_static("expect-ct"), "max-age=0")
    }
}

impl ProxyApp {
    /// Looks at the token; gives the cookie that replaces it, if it is time. Nothing but the cookie
    /// counts.
    fn authenticate(&self, request: &ServiceRequest) -> Option<Option<String>> {
        let cookies = request.header("cookie").unwrap_or_default();
        let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, given) = pairs.find(|(name, _)| *name == COOKIE)?;
        let mut state = self.state();
        if given != state.token {
            return None;
        }
        Some(state.next_token.take().map(|token| {
            state.token.clone_from(&token);
            format!("{COOKIE}={token}")
        }))
    }

    async fn called(self: &Arc<Self>, request: &mut ServiceRequest) -> HttpReply {
        let Ok(body) = request.body.collect(BODY_LIMIT).await else {
            return HttpReply::whole(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "Payload Too Large");
        };
        // Koa takes what it is given as text, unless it is told otherwise; here nobody tells.
        let unreadable = |failure: ProxyFailure| plain(TEXT, Some(&Value::Null), Err(&failure));
        let Ok(body) = serde_json::from_slice::<Value>(&body) else {
            return unreadable(ProxyFailure::not_json());
        };
        if body.is_array() {
            return plain(JSON, None, Err(&ProxyFailure::method_not_found(None)));
        }
        let name = body.get("method").and_then(Value::as_str);
        let is_request = body.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
        let Some(name) = name.filter(|_| is_request) else {
            return unreadable(ProxyFailure::not_a_request());
        };
        let id = body.get("id");
        let given = body.get("params").cloned().unwrap_or_else(|| json!({}));
        match self.dispatch(name, given).await {
            Err(failure) => plain(JSON, id, Err(&failure)),
            Ok(MethodOutcome::Value(value)) => plain(JSON, id, Ok(value)),
            Ok(MethodOutcome::Bytes(length)) => {
                HttpReply::generated(SeededGenerator::new(fingerprint(name)), length)
            }
            Ok(MethodOutcome::List(items)) => {
                let items = items.into_iter().map(|item| format!("{item}\n"));
                HttpReply::pieces(JSON, std::iter::once(head(id)).chain(items).collect())
            }
            Ok(MethodOutcome::Stream(items)) => {
                let (sender, receiver) = mpsc::channel(16);
                tokio::spawn(write(head(id), items, sender, self.options.keep_alive));
                HttpReply::stream(JSON, receiver)
            }
        }
    }

    async fn dispatch(
        self: &Arc<Self>,
        name: &str,
        given: Value,
    ) -> Result<MethodOutcome, ProxyFailure> {
        let method = self.methods().find(|method| method.name == name);
        let method = method.ok_or_else(|| ProxyFailure::method_not_found(Some(name)))?;
        let params = params::check(method.params, given)?;
        let (area, name) = method.name.split_once('.').unwrap_or_default();
        let call = ProxyCall { name, params };
        match area {
            "system" => self.system(&call),
            "test" => test(&call),
            "appliance" => self.appliance(&call),
            "authentication" => {
                self.state().token = call.text("token").to_owned();
                Ok(MethodOutcome::Value(true.into()))
            }
            "backup" if matches!(name, "run" | "importVmBackup") => self.run(&call).await,
            "backup" => self.backup(&call),
            "remote" => self.remote(&call),
            "task" => self.task(&call),
            "event" => self.events(&call).await,
            _ => Err(ProxyFailure::method_not_found(Some(method.name))),
        }
    }
}

/// The methods that the proxy's own tests use.
fn test(call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
    if call.name == "throw" {
        return Err(ProxyFailure::thrown(call.text("message")));
    }
    let number = |name: &str| call.params.get(name).and_then(Value::as_i64);
    let (start, stop) = (number("start").unwrap_or(0), number("stop").unwrap_or(0));
    let step = number("step").unwrap_or(if start > stop { -1 } else { 1 });
    let within = |at: &i64| if step > 0 { *at < stop } else { *at > stop };
    let numbers = std::iter::successors(Some(start), |at| at.checked_add(step));
    let numbers = numbers.take_while(within).take(MOST_NUMBERS).map(Value::from);
    Ok(MethodOutcome::List(numbers.collect()))
}

/// So many numbers has a range at most.
const MOST_NUMBERS: usize = 100_000;

/// Writes a response object. A call without an id has an answer without one.
fn plain(
    content_type: &'static str,
    id: Option<&Value>,
    outcome: Result<Value, &ProxyFailure>,
) -> HttpReply {
    HttpReply::whole(StatusCode::OK, content_type, response(id, outcome).to_string())
}

fn response(id: Option<&Value>, outcome: Result<Value, &ProxyFailure>) -> Value {
    let mut response = match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result }),
        Err(failure) => json!({ "jsonrpc": "2.0", "error": failure.to_json() }),
    };
    if let (Some(response), Some(id)) = (response.as_object_mut(), id) {
        response.insert("id".to_owned(), id.clone());
    }
    response
}

/// The line that announces a list.
fn head(id: Option<&Value>) -> String {
    format!("{}\n", response(id, Ok(json!({ "$responseType": "ndjson" }))))
}

/// Writes items as they come, with a space whenever nothing came for `keep_alive`. The head comes
/// with the first item.
async fn write(
    head: String,
    mut items: mpsc::Receiver<Value>,
    sender: mpsc::Sender<Bytes>,
    keep_alive: std::time::Duration,
) {
    let mut head = Some(head);
    loop {
        let piece = match tokio::time::timeout(keep_alive, items.recv()).await {
            Ok(Some(item)) => format!("{}{item}\n", head.take().unwrap_or_default()),
            Ok(None) => head.take().unwrap_or_default(),
            Err(_) => " ".to_owned(),
        };
        if piece.is_empty() || sender.send(piece.into()).await.is_err() {
            return;
        }
    }
}
