//! What a call of a tool sends.

use std::{fmt, sync::Arc};

use http::HeaderValue;

use super::{KindList, Pagination, Param, ParamKind, ParamLocation, Shared, WholePart};
use crate::model::template::PathTemplate;

/// What a call of a tool sends.
#[derive(Debug, Clone)]
pub enum ToolRequest {
    /// A request with a method and a path of its own (`backend.type: rest`).
    Http(RestOperation),
    /// A POST to the path of all tools, whose body names the method (`backend.type: jsonrpc`); the
    /// parameters are the members of `params`.
    Rpc(RpcMethod),
}

/// An operation of a REST API.
#[derive(Debug, Clone)]
pub struct RestOperation {
    /// The request method (RFC 9110, section 9).
    pub method: RequestMethod,
    /// The path below the base URL.
    pub path: PathTemplate,
    /// How the body parameters become a body.
    pub body: BodyKind,
    /// Pagination that applies to this tool.
    pub pagination: Option<Shared<Pagination>>,
    /// What else there is to know about the body.
    pub rules: BodyRules,
    /// What `Accept` says, where it does not follow from the answer (`_dadl_mcp.requests`).
    pub accept: Option<Box<HeaderValue>>,
}

/// What there is to know about a body besides its parameters (`_dadl_mcp.requests`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BodyRules {
    /// Whether the API wants one even when no parameter has a value.
    pub required: bool,
    /// Whether its members may have any name.
    pub open: bool,
    /// Whether the parameter that is the whole of it takes the name of a file and nothing else.
    pub only_file: bool,
}

/// A method of a JSON-RPC 2.0 API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcMethod {
    /// Where the requests of all methods go; it has no placeholders.
    pub path: PathTemplate,
    /// `rpc_method`: the name that requests have.
    pub method: String,
    /// Semantic codes by error code; goes before the table of the specification.
    pub codes: Arc<[(i64, String)]>,
    /// The tool of the file that says which methods the server has.
    pub lists_methods: Option<Arc<str>>,
}

/// A request method that DADL allows (`Tool.method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestMethod {
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl RequestMethod {
    /// Every method, alphabetically.
    pub const ALL: [Self; 6] =
        [Self::Delete, Self::Get, Self::Head, Self::Patch, Self::Post, Self::Put];

    /// Returns the method token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// Returns whether the method is safe (RFC 9110, section 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Returns whether the method is idempotent (RFC 9110, section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Delete | Self::Get | Self::Head | Self::Put)
    }
}

impl fmt::Display for RequestMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How the body parameters become a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyKind {
    /// Name and value pairs in `application/x-www-form-urlencoded`; nested values in brackets.
    Form,
    /// A JSON object of the body parameters.
    Json,
    /// The same under a media type of its own, such as `application/merge-patch+json`.
    JsonAs(Box<mime::Mime>),
    /// `multipart/form-data`: fields and files. A body without any parameter gets the synthetic
    /// [`RAW_BODY_PARAM`](super::Tool::RAW_BODY_PARAM).
    Multipart,
    /// The bytes of one parameter, with this content type. The parameter is the single
    /// `in: body` one; a raw body without any gets the synthetic
    /// [`RAW_BODY_PARAM`](super::Tool::RAW_BODY_PARAM).
    Raw(Box<mime::Mime>),
}

impl BodyKind {
    /// Says of a parameter what it can be where it is all of the body.
    pub fn settle(&self, param: &mut Param) {
        let Self::Raw(mime) = self else { return };
        if !param.is_in(ParamLocation::Body) {
            return;
        }
        let whole = WholePart::of(mime);
        param.form.whole = Some(whole);
        param.kind = match (whole, param.kind) {
            (WholePart::Json, ParamKind::FileUrl) => ParamKind::Union(KindList::any()),
            (WholePart::Text, ParamKind::FileUrl) => ParamKind::String,
            (_, kind) => kind,
        };
    }

    /// Returns whether the body is JSON.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Json | Self::JsonAs(_) => true,
            Self::Raw(mime) => WholePart::of(mime) == WholePart::Json,
            Self::Form | Self::Multipart => false,
        }
    }
}
