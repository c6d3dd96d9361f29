//! Parameters of tools and composites.

use serde_json::Value;

/// One parameter of a tool.
#[derive(Debug, Clone)]
pub struct Param {
    /// The name on the wire, as the descriptor has it.
    pub name: String,
    /// Where the value goes.
    pub location: Location,
    /// What the value is.
    pub kind: ParamKind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// Sent when the caller gives no value.
    pub default: Option<Value>,
    /// What the value means, for a model.
    pub description: Option<String>,
    /// Whether `false` is left out, for an API that takes any value for a yes
    /// (`_dadl_mcp.omit_false`).
    pub omit_false: bool,
}

impl Param {
    /// Returns whether this is the caller's jq program, which the runtime adds.
    pub fn is_jq(&self) -> bool {
        self.location == Location::Result && self.kind == ParamKind::String
    }

    /// Returns whether this says how many seconds the caller waits for a task, which the runtime
    /// adds.
    pub fn is_wait(&self) -> bool {
        self.location == Location::Result && self.kind == ParamKind::Integer
    }
}

/// OpenAPI's `in`, plus `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// A member of the request body.
    Body,
    /// A header field.
    Header,
    /// A placeholder of the path.
    Path,
    /// A pair of the query.
    Query,
    /// Not sent: the value shapes the result.
    Result,
    /// Not sent: the value says how a stream is read; see [`StreamArgument`].
    Stream,
}

/// What a parameter with [`Location::Stream`] says.
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

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A JSON array.
    Array,
    /// `true` or `false`.
    Boolean,
    /// The name of a file whose bytes are sent.
    FileUrl,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A JSON object.
    Object,
    /// Text.
    String,
}
