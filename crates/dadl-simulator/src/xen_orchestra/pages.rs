//! Answers that need no state: redirects, the HTML of unknown routes, and the open addresses.

use dadl_text::names::path::path_placeholders;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::failure::XenFailure;
use super::operations::{extras, operations};
use crate::{
    SimulatorOptions,
    server::{HttpReply, ServiceRequest, now_millis},
};

/// What all paths start with.
pub(super) const BASE: &str = "/rest/v0";

/// The version of the REST API that is simulated.
const VERSION: &str = "0.37.0";

/// Finds a page outside the table of operations, by the path below the base.
pub(super) fn find(method: &Method, path: &str) -> Option<HttpReply> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    match path {
        "" | "/" => Some(redirect(StatusCode::FOUND, &format!("{BASE}/docs"))),
        "/docs" => {
            let location = format!("{BASE}/docs/");
            let page = html(
                StatusCode::MOVED_PERMANENTLY,
                "text/html; charset=UTF-8",
                "Redirecting",
                &format!("Redirecting to {location}"),
            );
            Some(page.header(LOCATION, &location))
        }
        "/docs/" => Some(html(
            StatusCode::OK,
            "text/html; charset=utf-8",
            "Simulated Xen Orchestra REST API",
            "The description is at swagger.json",
        )),
        _ => None,
    }
}

/// Leads to the page where people sign in, as XO does outside the API.
pub(super) fn sign_in(path: &str) -> HttpReply {
    if path != SIGN_IN {
        return redirect(StatusCode::FOUND, SIGN_IN);
    }
    html(StatusCode::OK, "text/html; charset=utf-8", "Simulated Xen Orchestra", "Sign in")
}

/// Answers as Express does when no route takes a request.
pub(super) fn not_found(request: &ServiceRequest) -> HttpReply {
    let escaped = request.path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let escaped = escaped.replace('"', "&quot;").replace('\'', "&#39;");
    let message = format!("Cannot {} {escaped}", request.method);
    html(StatusCode::NOT_FOUND, "text/html; charset=utf-8", "Error", &message)
}

/// Redirects as Express does: the status line once more, as text.
pub(super) fn redirect(status: StatusCode, location: &str) -> HttpReply {
    let reason = status.canonical_reason().unwrap_or_default();
    HttpReply::whole(
        status,
        "text/plain; charset=utf-8",
        format!("{reason}. Redirecting to {location}"),
    )
    .header(LOCATION, location)
}

/// Answers `GET /ping`.
pub(super) fn ping() -> HttpReply {
    HttpReply::json(StatusCode::OK, &json!({"result": "pong", "timestamp": now_millis()}))
}

/// Answers `GET /gui-routes`.
pub(super) fn gui_routes() -> HttpReply {
    HttpReply::json(StatusCode::OK, &json!({"xo5": "/v5", "xo6": "/v6"}))
}

/// Answers `GET /mcp/status`.
pub(super) fn mcp_status() -> HttpReply {
    HttpReply::json(StatusCode::OK, &json!({"enabled": true}))
}

/// Refuses a request through MCP, which the administrator has turned off.
pub(super) fn mcp_disabled() -> XenFailure {
    XenFailure::new(StatusCode::SERVICE_UNAVAILABLE, "MCP is disabled by administrator")
        .with_data(json!({"error": "mcp_disabled"}))
}

/// Answers `GET /docs/swagger.json` with what the table knows: paths, parameters, statuses.
pub(super) fn description(options: &SimulatorOptions) -> HttpReply {
    let mut paths = Map::new();
    // XO 6.7 has routes of the plugin that its document lacks.
    let extras = extras().iter().filter(|(_, is_described)| options.extras && *is_described);
    let all = operations().iter().chain(extras.map(|(operation, _)| operation));
    for operation in all.filter(|operation| !operation.is_lacked(options)) {
        let parameters: Vec<Value> = path_placeholders(operation.path)
            .map(|name| (name, "path"))
            .chain(operation.query.iter().map(|&name| (name, "query")))
            .map(|(name, place)| {
                let required = place == "path";
                let schema = match name {
                    "format" if operation.path.starts_with("/vdi") => {
                        json!({"enum": ["raw", "vhd"]})
                    }
                    "format" => json!({"enum": ["ova", "xva"]}),
                    _ => json!({}),
                };
                json!({"name": name, "in": place, "required": required, "schema": schema})
            })
            .collect();
        let statuses = operation.statuses.iter();
        let responses: Map<String, Value> = statuses
            .map(|status| (status.to_string(), json!({"description": "Success"})))
            .collect();
        let described = json!({"parameters": parameters, "responses": responses});
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.as_str().to_lowercase(), described);
        }
    }
    let version = options.version.as_deref().unwrap_or(VERSION);
    HttpReply::json(
        StatusCode::OK,
        &json!({
            "openapi": "3.0.0",
            "info": {"title": "Simulated Xen Orchestra REST API", "version": version},
            "servers": [{"url": BASE}],
            "paths": paths,
        }),
    )
}

/// Where people sign in.
const SIGN_IN: &str = "/signin";

fn html(status: StatusCode, content_type: &'static str, title: &str, message: &str) -> HttpReply {
    HttpReply::whole(
        status,
        content_type,
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <title>{title}</title>\n</head>\n<body>\n<pre>{message}</pre>\n</body>\n</html>\n"
        ),
    )
}
