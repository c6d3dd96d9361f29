//! A tool: one operation of the API.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{Access, BodyKind, ErrorRules, Method, Pagination, Param, ResponseRules, Rpc};
use crate::descriptor::{json_path::JsonPath, template::PathTemplate};

/// One operation of the API.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The key under `tools`.
    pub name: String,
    /// The request method (RFC 9110, section 9).
    pub method: Method,
    /// The path below the base URL.
    pub path: PathTemplate,
    /// The method that a JSON-RPC request names (`backend.type: jsonrpc`). `method` and `path` are
    /// then those of all tools, and the parameters are the members of `params`.
    pub rpc: Option<Box<Rpc>>,
    /// How dangerous a call is; `None` when the author did not say.
    pub access: Option<Access>,
    /// What the tool does, for a model.
    pub description: String,
    /// Domain knowledge from `hints`, in the order of the file.
    pub hints: Vec<(String, String)>,
    /// The parameters in the order of the file, without those the runtime adds.
    pub params: Vec<Param>,
    /// How the body parameters become a body.
    pub body: BodyKind,
    /// Whether `a.b` names the member `b` of a body's object `a`.
    pub nest_body_keys: bool,
    /// How many bytes a body may hold; those between the fields of a multipart body do not count.
    pub max_body_size: Option<u64>,
    /// Header fields sent with each call, defaults merged with the tool's; credentials excluded.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Pagination that applies to this tool.
    pub pagination: Option<Pagination>,
    /// How a non-2xx answer is read and when a request is repeated.
    pub errors: ErrorRules,
    /// How a 2xx answer becomes a result.
    pub response: ResponseRules,
    /// The field that carries a key of its own for each call, the same on every retry.
    pub idempotency: Option<HeaderName>,
    /// Whether a method that is not idempotent may be repeated.
    pub retry_unsafe: bool,
    /// Why the tool should no longer be used, when it should not.
    pub deprecated: Option<Deprecation>,
    /// Tools whose results this one needs.
    pub depends_on: Vec<String>,
    /// What is known about the values of parameters besides their type, by the name on the wire:
    /// keywords of JSON Schema that hosts list, and nobody enforces here.
    pub value_hints: BTreeMap<String, Map<String, Value>>,
    /// The shape of a result, as JSON Schema that may refer to [`Descriptor::types`]. A server may
    /// answer otherwise.
    pub returns: Option<Value>,
    /// How long the body must be (`_dadl_mcp.uploads`).
    pub upload_size: Option<Box<UploadSize>>,
}

impl Tool {
    /// Returns whether the same request may be sent again without harm: a safe method, or a
    /// JSON-RPC method that only reads.
    pub fn only_reads(&self) -> bool {
        match self.rpc {
            Some(_) => self.access == Some(Access::Read),
            None => self.method.is_safe(),
        }
    }

    /// The name of the file parameter that a raw or multipart body gets when the descriptor declares none.
    pub const RAW_BODY_PARAM: &'static str = "file";
}

/// What an upload is compared with before it is sent: a length that another tool answers.
#[derive(Debug, Clone)]
pub struct UploadSize {
    /// Only reads; its parameters are those that it shares with the upload, and those with a
    /// default.
    pub tool: Tool,
    /// Where the length is in the answer, in bytes.
    pub path: JsonPath,
}

/// Why a tool should no longer be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deprecation {
    /// The author's reason.
    pub reason: Option<String>,
    /// The tool to use instead.
    pub replaced_by: Option<String>,
}
