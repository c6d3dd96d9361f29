//! Errors as the proxy sends them: with HTTP 200, and those of its own with a stack trace.

use serde_json::{Value, json};

/// An error object of JSON-RPC.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProxyFailure {
    code: i64,
    message: String,
    data: Option<Value>,
}

impl ProxyFailure {
    /// Something that was thrown.
    pub(super) fn thrown(message: impl Into<String>) -> Self {
        let message = message.into();
        let stack = format!(
            "Error: {message}\n    at Backups.run (file:///opt/xo-proxy/app/mixins/backups.mjs:120:19)\n    \
             at Api._call (file:///opt/xo-proxy/app/mixins/api.mjs:327:12)\n    \
             at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"
        );
        Self { code: -32000, message, data: Some(json!({ "stack": stack })) }
    }

    /// A member was read of nothing.
    pub(super) fn of_type(message: impl Into<String>) -> Self {
        let message = message.into();
        let data = json!({ "stack": format!("TypeError: {message}\n    at parseUrl (file:///opt/xo-proxy/app/xapi.mjs:31:9)") });
        Self { code: -32000, message, data: Some(data) }
    }

    /// A file or a folder does not exist.
    pub(super) fn no_file(path: &str) -> Self {
        let message = format!("ENOENT: no such file or directory, open '{path}'");
        let data = json!({
            "errno": -2, "code": "ENOENT", "syscall": "open", "path": path,
            "stack": format!("Error: {message}\nFrom:\n    at NfsHandler.openFile (file:///opt/xo-proxy/app/fs.mjs:98:7)"),
        });
        Self { code: -32000, message, data: Some(data) }
    }

    /// The worker that runs jobs failed, and does not say why.
    pub(super) fn of_worker() -> Self {
        let message = "unknown error from the peer".to_owned();
        Self { code: -32000, message, data: Some(json!({})) }
    }

    /// The method does not exist; a batch has no method at all.
    pub(super) fn method_not_found(method: Option<&str>) -> Self {
        let message = match method {
            Some(method) => format!("method not found: {method}"),
            None => "method not found".to_owned(),
        };
        Self { code: -32601, message, data: method.map(Value::from) }
    }

    /// The parameters are not those of the method.
    pub(super) fn invalid(errors: Vec<Value>) -> Self {
        let data = Some(json!({ "errors": errors }));
        Self { code: 10, message: "invalid parameters".to_owned(), data }
    }

    /// An object does not exist.
    pub(super) fn no_such(id: &str, kind: &str) -> Self {
        let data = Some(json!({ "id": id, "type": kind }));
        Self { code: 1, message: format!("no such {kind} {id}"), data }
    }

    /// The body is no JSON.
    pub(super) fn not_json() -> Self {
        Self { code: -32700, message: "invalid JSON".to_owned(), data: None }
    }

    /// The body is no request.
    pub(super) fn not_a_request() -> Self {
        Self { code: -32600, message: "invalid JSON-RPC request".to_owned(), data: None }
    }

    /// Returns the error object.
    pub(super) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(error), Some(data)) = (error.as_object_mut(), &self.data) {
            error.insert("data".to_owned(), data.clone());
        }
        error
    }

    /// Returns the message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}
