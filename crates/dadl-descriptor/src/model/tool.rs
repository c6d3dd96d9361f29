//! A tool: one operation of the API.

use std::collections::BTreeMap;

use http::HeaderName;
use serde_json::{Map, Value};

use super::{
    AccessLevel, BodyKind, ErrorRules, HeaderFields, Pagination, Param, RequestMethod,
    ResponseRules, RestOperation, RpcMethod, Shared, ShownRules, ToolRequest,
};
use crate::model::{
    json_path::JsonPath,
    template::{OtherHost, PathTemplate},
};

/// One operation of the API.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The key under `tools`.
    pub name: String,
    /// What a call sends.
    pub request: ToolRequest,
    /// How dangerous a call is; `None` when the author did not say.
    pub access: Option<AccessLevel>,
    /// What the tool does, for a model.
    pub description: String,
    /// Domain knowledge from `hints`, in the order of the file.
    pub hints: Vec<(String, String)>,
    /// The parameters in the order of the file, without those the runtime adds.
    pub params: Vec<Shared<Param>>,
    /// Whether `a.b` names the member `b` of a body's object `a`.
    pub nest_body_keys: bool,
    /// How many bytes a body may hold; those between the fields of a multipart body do not count.
    pub max_body_size: Option<u64>,
    /// Header fields sent with each call, defaults merged with the tool's; credentials excluded.
    pub headers: Shared<HeaderFields>,
    /// How a non-2xx answer is read and when a request is repeated.
    pub errors: Shared<ErrorRules>,
    /// How a 2xx answer becomes a result.
    pub response: Shared<ResponseRules>,
    /// The field that carries a key of its own for each call, the same on every retry.
    pub idempotency: Option<Box<HeaderName>>,
    /// Whether a method that is not idempotent may be repeated.
    pub retry_unsafe: bool,
    /// Why the tool should no longer be used, when it should not.
    pub deprecated: Option<Box<Deprecation>>,
    /// Tools whose results this one needs.
    pub depends_on: Vec<String>,
    /// What is known about the values of parameters besides their type, by the name on the wire:
    /// keywords of JSON Schema that hosts list, and nobody enforces here.
    pub value_hints: BTreeMap<String, Map<String, Value>>,
    /// The shape of a result, as JSON Schema that may refer to
    /// [`Descriptor::types`](super::Descriptor::types). A server may answer otherwise.
    pub returns: Option<Box<Value>>,
    /// How long the body must be (`_dadl_mcp.uploads`).
    pub upload_size: Option<Box<UploadSize>>,
    /// Whether null is a value only where a parameter says so (`_dadl_mcp.requests`).
    pub nulls_declared: bool,
    /// Whether a request goes without the credential while it is not set (`_dadl_mcp.auth`).
    pub credential_optional: bool,
    /// What the author says of its effect, where level and method say something else
    /// (`_dadl_mcp.effects`).
    pub declared_effect: Option<DeclaredEffect>,
    /// Whether the operator calls it a read, and its author does not: nobody may take it for a safe one.
    pub lowered: bool,
    /// What a model gets of a result (`_dadl_mcp.shown`).
    pub shown: Shared<ShownRules>,
}

/// Whether a call leaves a trace, in the word of the author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredEffect {
    /// It leaves none, whatever its method is.
    None,
    /// It leaves some, although its level is `read`.
    Some,
}

impl Tool {
    /// The name of the file parameter that a raw or multipart body gets when the descriptor declares none.
    pub const RAW_BODY_PARAM: &'static str = "file";

    /// Makes a tool that sends `request`, about which a file says nothing else.
    pub fn new(name: String, request: ToolRequest) -> Self {
        Self {
            name,
            request,
            access: None,
            description: String::new(),
            hints: Vec::new(),
            params: Vec::new(),
            nest_body_keys: false,
            max_body_size: None,
            headers: Shared::default(),
            errors: Shared::default(),
            response: Shared::default(),
            idempotency: None,
            retry_unsafe: false,
            deprecated: None,
            depends_on: Vec::new(),
            value_hints: BTreeMap::new(),
            returns: None,
            upload_size: None,
            nulls_declared: false,
            credential_optional: false,
            declared_effect: None,
            lowered: false,
            shown: Shared::default(),
        }
    }

    /// Returns the operation of a REST API that the tool is, when it is one.
    pub fn http(&self) -> Option<&RestOperation> {
        match &self.request {
            ToolRequest::Http(http) => Some(http),
            ToolRequest::Rpc(_) => None,
        }
    }

    /// Returns the same to be changed.
    pub fn http_mut(&mut self) -> Option<&mut RestOperation> {
        match &mut self.request {
            ToolRequest::Http(http) => Some(http),
            ToolRequest::Rpc(_) => None,
        }
    }

    /// Returns the method of a JSON-RPC API that the tool is, when it is one.
    pub fn rpc(&self) -> Option<&RpcMethod> {
        match &self.request {
            ToolRequest::Http(_) => None,
            ToolRequest::Rpc(rpc) => Some(rpc),
        }
    }

    /// Returns the method of the HTTP request.
    pub fn method(&self) -> RequestMethod {
        match &self.request {
            ToolRequest::Http(http) => http.method,
            ToolRequest::Rpc(_) => RequestMethod::Post,
        }
    }

    /// Returns the path of the HTTP request.
    pub fn path(&self) -> &PathTemplate {
        match &self.request {
            ToolRequest::Http(http) => &http.path,
            ToolRequest::Rpc(rpc) => &rpc.path,
        }
    }

    /// Returns where the request goes, when the path names a host.
    pub fn elsewhere(&self) -> Option<&OtherHost> {
        self.path().elsewhere()
    }

    /// Returns how the body parameters become a body, where there is more than one way.
    pub fn body(&self) -> Option<&BodyKind> {
        self.http().map(|http| &http.body)
    }

    /// Returns the pagination that applies to this tool.
    pub fn pagination(&self) -> Option<&Pagination> {
        self.http()?.pagination.as_deref()
    }

    /// Names the request in a line: its method and path, and the JSON-RPC method.
    pub fn line(&self) -> String {
        let line = format!("{} {}", self.method(), self.path().as_str());
        match &self.request {
            ToolRequest::Http(_) => line,
            ToolRequest::Rpc(rpc) => line + " " + &rpc.method,
        }
    }

    /// Returns whether the same request may be sent again without harm: a safe method, or a
    /// JSON-RPC method that only reads.
    pub fn only_reads(&self) -> bool {
        match &self.request {
            ToolRequest::Http(http) => http.method.is_safe(),
            ToolRequest::Rpc(_) => self.access == Some(AccessLevel::Read) && !self.lowered,
        }
    }

    /// Returns whether a call leaves nothing behind: its level is `read`, the request is safe (RFC 9110,
    /// 9.2.1, or a method of JSON-RPC), and the answer is a value that ends. The author may know better.
    pub fn has_no_effect(&self) -> bool {
        match self.declared_effect {
            _ if self.lowered => false,
            Some(effect) => effect == DeclaredEffect::None,
            None => {
                self.access == Some(AccessLevel::Read)
                    && self.only_reads()
                    && !self.response.binary
                    && !self.response.is_private
                    && !self.response.is_stream()
            }
        }
    }

    /// Returns whether a call shows something and leaves nothing behind, whoever may make it: that of an
    /// administrator's tool counts, too, where its request is safe.
    pub fn only_shows(&self) -> bool {
        let is_admins = self.access == Some(AccessLevel::Admin)
            && self.declared_effect.is_none()
            && self.only_reads()
            && !self.response.binary
            && !self.response.is_private
            && !self.response.is_stream();
        is_admins || (self.has_no_effect() && self.access == Some(AccessLevel::Read))
    }

    /// Returns whether a call may change something: neither the method nor the author says that it
    /// only reads.
    pub fn may_change(&self) -> bool {
        !self.method().is_safe() && (self.lowered || self.access != Some(AccessLevel::Read))
    }
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
