//! The checked descriptor: what the rest of the program works with.
//!
//! A value of these types has passed every check that can be made without sending a request:
//! placeholders match parameters, paths stay below the base URL, JSONPath expressions are
//! compiled, header names are legal, durations are durations. Nothing here refers to the YAML
//! text; findings keep their own spans (see [`super::diagnostic`]).

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    condition::Condition,
    events::Events,
    json_path::JsonPath,
    login::{OAuth2, Session},
    rules::{AuthRules, Pace},
    switch::Switch,
    task::Tasks,
    template::PathTemplate,
};
use crate::jq::Filter;

/// Shapes of results by their names: a subset of JSON Schema (DADL 0.2, section 10). One refers to
/// another with `$ref`, [`TYPE_REF`] and its name.
pub type Types = BTreeMap<String, Value>;

/// What stands before the name of a type in `$ref`.
pub const TYPE_REF: &str = "#/$defs/";

/// One `.dadl` file, checked.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// `backend.name`: `[a-z][a-z0-9-]*`.
    pub name: String,
    /// `backend.version`, as written.
    pub version: Option<String>,
    /// `backend.base_url`; `{NAME}` placeholders are filled from the backend's options.
    pub base_url: Option<String>,
    /// `backend.description`; becomes part of the MCP server instructions.
    pub description: String,
    /// How requests authenticate.
    pub auth: Auth,
    /// The tools in the order of the file.
    pub tools: Vec<Tool>,
    /// The composites in the order of the file; no tool has the name of one.
    pub composites: Vec<Composite>,
    /// Shapes that results have.
    pub types: Types,
    /// The path or URL of an OpenAPI document, as written.
    pub openapi_source: Option<String>,
    /// How to find out whether the backend is well.
    pub health: Option<Health>,
    /// Optional parameters that hosts need not list (`_dadl_mcp.unlisted_params`).
    pub unlisted_params: Vec<String>,
    /// How calls begin work that goes on after their answer (`_dadl_mcp.tasks`).
    pub tasks: Option<Tasks>,
    /// How the API tells what changes (`_dadl_mcp.events`).
    pub events: Option<Events>,
    /// What else there is to know about the credential (`_dadl_mcp.auth`).
    pub auth_rules: AuthRules,
    /// How many requests the API takes in how long a time (`_dadl_mcp.rate_limit`).
    pub pace: Option<Pace>,
    /// A switch of the API with which its administrator turns MCP off (`_dadl_mcp.switch`).
    pub switch: Option<Switch>,
    /// Worked examples for people and models.
    pub examples: Vec<Example>,
    /// What the author says is covered.
    pub coverage: Option<Coverage>,
    /// How an operator obtains a credential.
    pub setup: Option<Setup>,
    /// `date`: when the file was made or last changed, as written.
    pub date: Option<String>,
    /// `source_name`: the API that is described.
    pub source_name: Option<String>,
    /// `source_url`: its documentation.
    pub source_url: Option<String>,
}

impl Descriptor {
    /// Returns the names of all tools and composites.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let tools = self.tools.iter().map(|tool| tool.name.as_str());
        let checks = self.health.iter().filter(|health| health.expose).map(|_| Health::NAME);
        tools.chain(self.composites.iter().map(|composite| composite.name.as_str())).chain(checks)
    }

    /// Returns how tasks work, when calls of `tool` can begin one.
    pub fn tasks_of(&self, tool: &str) -> Option<&Tasks> {
        self.tasks.as_ref().filter(|tasks| tasks.starters.contains(tool))
    }

    /// Returns the access levels of all tools and composites, with repetitions.
    pub fn levels(&self) -> impl Iterator<Item = &Access> {
        let tools = self.tools.iter().filter_map(|tool| tool.access.as_ref());
        tools.chain(self.composites.iter().filter_map(|composite| composite.access.as_ref()))
    }
}

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

/// A method of a JSON-RPC 2.0 API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rpc {
    /// `rpc_method`: the name that requests have.
    pub method: String,
    /// Semantic codes by error code; goes before the table of the specification.
    pub codes: Arc<[(i64, String)]>,
    /// The tool of the file that says which methods the server has.
    pub lists_methods: Option<Arc<str>>,
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

/// A request method that DADL allows (`Tool.method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
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

impl Method {
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

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An access level: DADL's well-known values and any other word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Changes who may do what, or the system itself.
    Admin,
    /// Loses data or interrupts service.
    Dangerous,
    /// A level of the author's own.
    Custom(String),
}

impl Access {
    /// Returns the level that `word` names.
    pub fn from_word(word: &str) -> Self {
        match word {
            "read" => Self::Read,
            "write" => Self::Write,
            "admin" => Self::Admin,
            "dangerous" => Self::Dangerous,
            other => Self::Custom(other.to_owned()),
        }
    }

    /// Returns the word that names the level.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Dangerous => "dangerous",
            Self::Custom(word) => word,
        }
    }
}

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

/// How the body parameters become a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyKind {
    /// Name and value pairs in `application/x-www-form-urlencoded`; nested values in brackets.
    Form,
    /// A JSON object of the body parameters.
    Json,
    /// The same under a media type of its own, such as `application/merge-patch+json`.
    JsonAs(mime::Mime),
    /// `multipart/form-data`: fields and files. A body without any parameter gets the synthetic
    /// [`Tool::RAW_BODY_PARAM`].
    Multipart,
    /// The bytes of one parameter, with this content type. The parameter is the single
    /// `in: body` one; a raw body without any gets the synthetic [`Tool::RAW_BODY_PARAM`].
    Raw(mime::Mime),
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

/// A script that calls several tools (spec section 12).
#[derive(Debug, Clone)]
pub struct Composite {
    /// The key under `composites`.
    pub name: String,
    /// How dangerous a call is: the author's word, or the highest level of the tools that it may
    /// call; `None` when one of these has no level.
    pub access: Option<Access>,
    /// What the composite does, for a model.
    pub description: String,
    /// Domain knowledge from `hints`, in the order of the file.
    pub hints: Vec<(String, String)>,
    /// The members of `params`; their location is [`Location::Body`], which null may clear.
    pub params: Vec<Param>,
    /// What runs.
    pub script: Script,
    /// The time for everything, inner calls included: 30 s unless the author says otherwise, and
    /// never more than 120 s.
    pub timeout: Duration,
    /// Tools that the composite may call under the consent that was given to itself.
    pub delegates: Vec<String>,
    /// Tools that the composite may call, as far as the file says: those that the script names,
    /// `delegates` and `depends_on`; every tool where the script computes a name.
    pub calls: Arc<[String]>,
}

/// The body of an async function with the parameters `api` and `params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// JavaScript: as written, with spaces where TypeScript's annotations were.
    pub code: String,
    /// The line of the file that holds the first line of the code; `None` when folding or quoting
    /// makes the lines of both differ.
    pub first_line: Option<usize>,
}

/// The request that says whether a backend is there and takes the credential (DADL 0.2, section
/// 4.6).
#[derive(Debug, Clone)]
pub struct Health {
    /// The request, as a tool called [`Health::NAME`] that takes no argument.
    pub tool: Tool,
    /// The tool of the file that the request is from; who may not call that one may not call this.
    pub declared: Option<String>,
    /// The only status that is well; any 2xx when it is not given.
    pub expect_status: Option<u16>,
    /// What the answer must have, whatever its value.
    pub expect_path: Option<JsonPath>,
    /// Where the answer says when the credential expires.
    pub auth_expires_path: Option<JsonPath>,
    /// How long the check may take.
    pub timeout: Duration,
    /// Whether models may make the check.
    pub expose: bool,
}

impl Health {
    /// The name of the tool that models get.
    pub const NAME: &'static str = "health";
}

/// Why a tool should no longer be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deprecation {
    /// The author's reason.
    pub reason: Option<String>,
    /// The tool to use instead.
    pub replaced_by: Option<String>,
}

/// How requests authenticate.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// RFC 7617; the password may be absent.
    Basic {
        /// Names the credential that holds the user name.
        username: CredentialName,
        /// Names the credential that holds the password.
        password: Option<CredentialName>,
    },
    /// No credential is needed (`credential: none`).
    None,
    /// An access token that the program obtains and renews.
    OAuth2(Box<OAuth2>),
    /// A login request, whose answer holds what later requests carry.
    Session(Box<Session>),
    /// One secret, put in one place: DADL's `bearer` and `apikey`.
    Token {
        /// Names the credential.
        credential: CredentialName,
        /// Where it goes.
        placement: Placement,
    },
}

impl Auth {
    /// Returns the credentials that are needed, each once.
    pub fn credentials(&self) -> Vec<&CredentialName> {
        match self {
            Self::Basic { username, password } => {
                std::iter::once(username).chain(password).collect()
            }
            Self::None => Vec::new(),
            Self::OAuth2(oauth2) => oauth2.grant.credentials(),
            Self::Session(session) => {
                let mut names = Vec::new();
                if let Some(body) = &session.login.body {
                    body.credentials(&mut names);
                }
                names
            }
            Self::Token { credential, .. } => vec![credential],
        }
    }

    /// Returns whether `name` is a header field that carries the credential.
    pub fn uses_header(&self, name: &HeaderName) -> bool {
        let placement = match self {
            Self::Basic { .. } => return *name == http::header::AUTHORIZATION,
            Self::None => return false,
            Self::Session(session) => {
                return session.inject.iter().any(|(field, _)| field == name);
            }
            Self::OAuth2(oauth2) => &oauth2.placement,
            Self::Token { placement, .. } => placement,
        };
        matches!(placement, Placement::Header { name: field, .. } if field == name)
    }
}

/// Where a token goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// A cookie of this name (RFC 6265), merged with other cookies.
    Cookie(String),
    /// A header field whose value is `prefix` and the token.
    Header {
        /// The field name.
        name: HeaderName,
        /// Goes before the token; with `Bearer ` this is RFC 6750.
        prefix: String,
    },
    /// A query parameter.
    Query(String),
}

/// The reference name of a credential, such as `xen_orchestra_token` or `vault/stripe-key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialName(pub String);

impl fmt::Display for CredentialName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a list is read in pages.
#[derive(Debug, Clone)]
pub struct Pagination {
    /// Who asks for the pages after the first.
    pub behavior: PageBehavior,
    /// How pages are named.
    pub strategy: PageStrategy,
    /// The query parameter that bounds a page, when there is one.
    pub limit_param: Option<String>,
    /// Sent as the bound when the caller gives none.
    pub limit_default: Option<u64>,
    /// Says whether there is another page.
    pub has_more: Option<Condition>,
    /// The header field that holds the number of pages.
    pub total_pages: Option<HeaderName>,
    /// The header field that holds the number of items on all pages.
    pub total_count: Option<HeaderName>,
    /// [`PageBehavior::Auto`] stops after this many pages, and says so.
    pub max_pages: u32,
}

/// Who asks for the pages after the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PageBehavior {
    /// The runtime, which joins them.
    Auto,
    /// The caller, page by page.
    #[default]
    Expose,
}

/// How pages are named.
#[derive(Debug, Clone)]
pub enum PageStrategy {
    /// An opaque cursor from the previous answer.
    Cursor {
        /// The query parameter that takes it.
        param: Option<String>,
        /// Where an answer holds the next one.
        next: Option<JsonPath>,
    },
    /// `Link: <..>; rel="next"` (RFC 8288).
    LinkHeader {
        /// The query parameter of the target that names the page.
        param: Option<String>,
    },
    /// The number of items to skip.
    Offset {
        /// The query parameter that takes it.
        param: Option<String>,
    },
    /// The number of the page, from 1.
    Page {
        /// The query parameter that takes it.
        param: Option<String>,
    },
}

/// How a non-2xx answer is read and when a request is repeated.
#[derive(Debug, Clone, Default)]
pub struct ErrorRules {
    /// What bodies are.
    pub format: ErrorFormat,
    /// Where the message is.
    pub message_path: Option<JsonPath>,
    /// Where the provider's code is.
    pub code_path: Option<JsonPath>,
    /// Statuses that are worth another attempt.
    pub retry_on: Vec<u16>,
    /// Statuses that are final.
    pub terminal: Vec<u16>,
    /// How often and how fast.
    pub retry: RetryStrategy,
    /// Where answers say how many requests are left.
    pub rate_limit: Option<RateLimit>,
    /// Semantic codes by status; goes before the default table.
    pub map: Vec<(u16, String)>,
    /// Places where the message may be, before [`message_path`](Self::message_path)
    /// (`_dadl_mcp.errors`).
    pub messages: Vec<JsonPath>,
    /// Conditions on the body of a 2xx answer, one of which says that it is an error.
    pub failed: Vec<Condition>,
}

/// The header fields in which answers tell about the rate limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Holds the number of requests that are left.
    pub remaining: Option<HeaderName>,
    /// Says when there are more: seconds, a point in time, or a date; `Retry-After` otherwise.
    pub reset: Option<HeaderName>,
}

/// The form of an error body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// JSON, searched by path.
    #[default]
    Json,
    /// Text, shown as it is.
    Text,
    /// XML, searched by path: `$.Error.Message`.
    Xml,
}

/// How often a request is repeated, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStrategy {
    /// Further attempts after the first.
    pub max_retries: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The delay before the first retry.
    pub initial_delay: Duration,
}

impl Default for RetryStrategy {
    /// Three retries, one second at first, doubling: DADL's defaults.
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Doubles, with jitter.
    Exponential,
    /// Stays.
    Fixed,
    /// Grows by the initial delay.
    Linear,
}

/// How a 2xx answer becomes a result.
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// Where in the body the result is.
    pub result_path: Option<JsonPath>,
    /// Makes the result of what `result_path` selects; it compiles.
    pub transform: Option<Filter>,
    /// Whether a caller may pass a jq program of its own, which sees the redacted result.
    pub allow_jq: bool,
    /// Values that nobody sees: the defaults' and the tool's together.
    pub redact: Vec<JsonPath>,
    /// Lists longer than this are cut, and say so.
    pub max_items: Option<usize>,
    /// The body goes to a file instead of into the result (`binary: true`, `type: file_url`).
    pub binary: bool,
    /// How long that file is kept.
    pub ttl: Option<Duration>,
    /// The content type that the author expects.
    pub content_type: Option<String>,
    /// How an answer without an end is read.
    pub streaming: Streaming,
}

impl ResponseRules {
    /// Returns whether the author says that the answer is a stream whose items are read.
    pub fn is_stream(&self) -> bool {
        let Streaming { is_declared, handling, .. } = self.streaming;
        is_declared && handling == StreamHandling::Collect && !self.binary
    }
}

/// How a stream of events or lines is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streaming {
    /// Whether the author says that the answer is a stream; others are seen by their content type.
    pub is_declared: bool,
    /// What is done with it.
    pub handling: StreamHandling,
    /// How long items are collected.
    pub max_duration: Option<Duration>,
}

/// What is done with a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamHandling {
    /// Its items become an array.
    #[default]
    Collect,
    /// Nothing: the call is over when the answer begins.
    Skip,
}

/// A worked example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// One sentence more.
    pub description: String,
    /// Script text; never run by this program.
    pub code: String,
}

/// What the author says is covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The number of tools.
    pub endpoints: Option<u64>,
    /// The number of operations that the API has.
    pub total_endpoints: Option<u64>,
    /// The areas that are covered.
    pub focus: Option<String>,
    /// The areas that are not.
    pub missing: Option<String>,
    /// When somebody last compared.
    pub last_reviewed: Option<String>,
}

/// How an operator obtains a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Steps for a person.
    pub credential_steps: Vec<String>,
    /// The environment variable that the author suggests.
    pub env_var: Option<String>,
    /// An entry for backends.yaml.
    pub backends_yaml: Option<String>,
    /// Rights that the credential needs.
    pub required_scopes: Vec<String>,
    /// Rights that widen what works.
    pub optional_scopes: Vec<String>,
    /// The API's own page about it.
    pub docs_url: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
}
