//! What goes wrong, in the three forms in which XO tells it: an answer, the result of a task,
//! and a log line nobody sees here.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::{Map, Value, json};

use super::kind::XenKind;
use crate::server::{BodyError, HttpReply};

/// A refusal or a failure.
#[derive(Debug, Clone)]
pub(super) struct XenFailure(Box<FailureDetails>);

/// Boxed, because nearly every function here can fail and few do.
#[derive(Debug, Clone)]
struct FailureDetails {
    status: StatusCode,
    error: Value,
    data: Option<Value>,
    xapi: Option<(String, Vec<String>)>,
    /// The address and the port that nobody listened on.
    refused: Option<(String, u16)>,
}

impl XenFailure {
    /// Fails with a status and a message.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(Box::new(FailureDetails {
            status,
            error: Value::String(message.into()),
            data: None,
            xapi: None,
            refused: None,
        }))
    }

    /// Adds `data`.
    pub(super) fn with_data(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// Fails with 500: an error that XO did not foresee.
    pub(super) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Fails because an object does not exist.
    pub(super) fn no_such(kind: XenKind, id: &str) -> Self {
        Self::no_such_type(kind.missing_name(), id)
    }

    /// Fails because an object of a type without a collection does not exist.
    pub(super) fn no_such_type(name: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {name} {id}"))
            .with_data(json!({"id": id, "type": name}))
    }

    /// Fails because nothing at all has this identifier, or none was given.
    pub(super) fn no_such_object(id: Option<&str>) -> Self {
        let data = id.map_or_else(|| json!({}), |id| json!({"id": id}));
        let message = format!("no such object {}", id.unwrap_or("undefined"));
        Self::new(StatusCode::NOT_FOUND, message).with_data(data)
    }

    /// Fails because an object exists already; some types do not say which.
    pub(super) fn exists(name: &str, id: Option<&str>) -> Self {
        let data = id.map_or_else(
            || json!({"objectType": name}),
            |id| json!({"objectId": id, "objectType": name}),
        );
        Self::new(StatusCode::CONFLICT, format!("{name} already exists")).with_data(data)
    }

    /// Fails because parameters do not have the documented shape.
    pub(super) fn invalid(fields: Map<String, Value>) -> Self {
        Self(Box::new(FailureDetails {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: Value::Object(fields),
            data: Some(json!({})),
            xapi: None,
            refused: None,
        }))
    }

    /// Fails because parameters contradict each other or the state.
    pub(super) fn unprocessable(message: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message).with_data(json!({}))
    }

    /// Fails because an object is in the wrong state for what was asked.
    pub(super) fn incorrect_state(
        id: &str,
        property: &str,
        expected: impl Into<Value>,
        actual: impl Into<Value>,
    ) -> Self {
        let (expected, actual): (Value, Value) = (expected.into(), actual.into());
        Self::new(StatusCode::CONFLICT, "incorrect state").with_data(json!({
            "actual": actual, "expected": expected, "object": id, "property": property,
        }))
    }

    /// Fails because the credentials are missing or wrong.
    pub(super) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid credentials")
    }

    /// Fails because the user may not do this.
    pub(super) fn missing_privilege(resource: &str, action: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not enough privileges").with_data(json!({
            "missingPrivileges": [{"action": action, "resource": resource}],
        }))
    }

    /// Fails because an operation is refused whatever the privileges.
    pub(super) fn forbidden(operation: &str, reason: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("forbidden operation: {operation}"))
            .with_data(json!({"operation": operation, "reason": reason}))
    }

    /// Fails because somebody has blocked an operation of an object.
    pub(super) fn blocked(operation: &str, reason: &str) -> Self {
        let operation = format!("{operation} is blocked: {reason}");
        Self::new(StatusCode::FORBIDDEN, format!("forbidden operation: {operation}"))
            .with_data(json!({"operation": operation}))
    }

    /// Fails as the hypervisor fails: a code and its parameters.
    pub(super) fn xapi(code: &str, parameters: &[&str]) -> Self {
        let parameters: Vec<String> = parameters.iter().map(|&text| text.to_owned()).collect();
        let mut failure = Self::unexpected(format!("{code}({})", parameters.join(", ")));
        failure.0.xapi = Some((code.to_owned(), parameters));
        failure
    }

    /// Fails because nobody listens on the address of a pool.
    pub(super) fn connection_refused(address: &str, port: u16) -> Self {
        let mut failure = Self::unexpected(format!("connect ECONNREFUSED {address}:{port}"));
        failure.0.refused = Some((address.to_owned(), port));
        failure
    }

    /// Returns the answer.
    pub(super) fn reply(&self) -> HttpReply {
        let mut body = Map::new();
        body.insert("error".to_owned(), self.0.error.clone());
        if let Some(data) = &self.0.data {
            body.insert("data".to_owned(), data.clone());
        }
        if self.0.xapi.is_some() {
            body.insert("info".to_owned(), XAPI_INFO.into());
        }
        let reply = HttpReply::json(self.0.status, &Value::Object(body));
        if self.0.status == StatusCode::UNAUTHORIZED {
            return reply.header(WWW_AUTHENTICATE, "Basic realm=\"xo\"");
        }
        reply
    }

    /// Returns the result of the task that failed.
    pub(super) fn task_result(&self, method: &str) -> Value {
        let message = self.0.error.as_str().unwrap_or("invalid parameters");
        if let Some((address, port)) = &self.0.refused {
            return json!({
                "errno": -111, "code": "ECONNREFUSED", "syscall": "connect", "address": address,
                "port": port,
                "call": {
                    "duration": 12, "method": "session.login_with_password",
                    "params": "* obfuscated *",
                },
                "message": message,
                "name": "Error",
                "stack": format!("Error: {message}\n    at simulator"),
            });
        }
        match &self.0.xapi {
            Some((code, parameters)) => json!({
                "code": code,
                "params": parameters,
                "call": {"duration": 12, "method": method, "params": "* obfuscated *"},
                "message": message,
                "name": "XapiError",
                "stack": format!("XapiError: {message}\n    at simulator"),
            }),
            None => json!({
                "data": self.0.data,
                "message": message,
                "name": "XoError",
                "stack": format!("XoError: {message}\n    at simulator"),
            }),
        }
    }
}

impl From<BodyError> for XenFailure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            BodyError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        }
    }
}

/// What XO adds to an error of the hypervisor.
const XAPI_INFO: &str = "This is a XenServer/XCP-ng error, not an XO error";
