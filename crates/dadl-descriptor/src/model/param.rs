//! Parameters of tools and composites.

use std::sync::Arc;

use serde_json::Value;

use super::{ParamForm, Shared, kind::ParamKind};
use crate::model::filters::FilterLanguage;

/// One parameter of a tool.
#[derive(Debug, Clone)]
pub struct Param {
    /// What the descriptor calls it: the name on the wire, unless another parameter has that one.
    pub name: String,
    /// What becomes of the value.
    pub role: ParamRole,
    /// What the value is.
    pub kind: ParamKind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// Sent when the caller gives no value.
    pub default: Option<Box<Value>>,
    /// What the value means, for a model.
    pub description: Option<String>,
    /// Whether `false` is left out, for an API that takes any value for a yes
    /// (`_dadl_mcp.omit_false`).
    pub omit_false: bool,
    /// Whether the API certainly refuses what does not fit its `values` (`_dadl_mcp.enforced`).
    pub enforced: bool,
    /// How it is written, and what else it may be (`_dadl_mcp.requests`).
    pub form: Shared<ParamForm>,
    /// What is checked about the value before it is sent, and told about the answer.
    pub rules: Option<Box<ValueRules>>,
    /// Whether the operator has fixed the value, which is its default: no caller sees or gives it.
    pub fixed: bool,
}

/// What is known about the values of a parameter, and counts.
#[derive(Debug, Clone, Default)]
pub struct ValueRules {
    /// The words that it may have (`_dadl_mcp.choices`); none: any.
    pub choices: Arc<[String]>,
    /// The language of a filter (`_dadl_mcp.filters`).
    pub language: Option<Arc<FilterLanguage>>,
    /// Whether it names the members that the items of the answer are to have (`_dadl_mcp.members`).
    pub names_members: bool,
}

impl Param {
    /// Makes a parameter that a caller may leave out, about which a file says nothing else.
    pub fn new(name: impl Into<String>, role: ParamRole, kind: ParamKind) -> Self {
        Self {
            name: name.into(),
            role,
            kind,
            required: false,
            default: None,
            description: None,
            omit_false: false,
            enforced: false,
            form: Shared::default(),
            rules: None,
            fixed: false,
        }
    }

    /// Returns the name on the wire.
    pub fn wire(&self) -> &str {
        self.form.name.as_deref().unwrap_or(&self.name)
    }

    /// Returns the part of the request that the value goes to; `None` when it is not sent.
    pub fn location(&self) -> Option<ParamLocation> {
        match self.role {
            ParamRole::Sent(location) => Some(location),
            ParamRole::Jq | ParamRole::Script | ParamRole::Stream(_) | ParamRole::Wait => None,
        }
    }

    /// Returns whether the value goes to this part of the request.
    pub fn is_in(&self, location: ParamLocation) -> bool {
        self.role == ParamRole::Sent(location)
    }

    /// Returns whether every call has to have a value for it. A path has no optional parts, and a
    /// default fills what the caller leaves out.
    pub fn is_needed(&self) -> bool {
        self.default.is_none() && (self.required || self.is_in(ParamLocation::Path))
    }
}

/// What becomes of the value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamRole {
    /// It is sent, in this part of the request.
    Sent(ParamLocation),
    /// The script of a composite gets it.
    Script,
    /// Not sent: a jq program that makes of the result what the caller gets. The runtime adds it.
    Jq,
    /// Not sent: how many seconds the caller waits for a task. The runtime adds it.
    Wait,
    /// Not sent: how a stream is read. The runtime adds it.
    Stream(StreamArgument),
}

/// A part of a request: OpenAPI's `in`, plus `body`; a cookie is said in `_dadl_mcp.requests` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamLocation {
    /// A member of the request body.
    Body,
    /// A pair of the `Cookie` field.
    Cookie,
    /// A header field.
    Header,
    /// A placeholder of the path.
    Path,
    /// A pair of the query.
    Query,
}

impl ParamLocation {
    /// Every location that a parameter of DADL can have, in the order in which messages name them.
    pub const ALL: [Self; 4] = [Self::Path, Self::Query, Self::Header, Self::Body];

    /// Returns the word that `in` has.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

/// What a caller says about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamArgument {
    /// How long items are collected, in seconds.
    Duration,
    /// How many items are collected.
    MaxItems,
    /// Whether the stream stays open and the result is its handle.
    Open,
    /// The collections whose changes the stream is to carry.
    Subscribe,
}

impl StreamArgument {
    /// Every argument, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Open, Self::Subscribe, Self::Duration, Self::MaxItems];

    /// Returns the names that the parameter may have: the first that the tool leaves free.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::Duration => ["duration", "stream_duration"],
            Self::MaxItems => ["max_items", "stream_max_items"],
            Self::Open => ["open", "stream_open"],
            Self::Subscribe => ["subscribe", "stream_subscribe"],
        }
    }
}
