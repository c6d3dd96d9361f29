//! The checked descriptor: what the rest of the program works with.
//!
//! A value of these types has passed every check that can be made without sending a request:
//! placeholders match parameters, paths stay below the base URL, JSONPath expressions are
//! compiled, header names are legal, durations are durations. Nothing here refers to the YAML
//! text; findings keep their own spans (see [`crate::diagnostic`]).

mod about;
mod access;
pub mod auth;
mod composite;
pub mod condition;
pub mod entries;
mod errors;
pub mod events;
pub mod filters;
pub mod fit;
mod form;
mod health;
pub mod json_path;
pub mod keywords;
mod kind;
mod pagination;
mod param;
pub mod preview;
mod rate_limit;
mod request;
mod response;
pub mod settle;
mod shared;
mod shown;
pub mod switch;
pub mod task;
pub mod template;
mod tool;
mod unlisted;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::{
    about::{ApiCoverage, CredentialSetup, WorkedExample},
    access::AccessLevel,
    auth::{AuthScheme, CredentialName, TokenPlacement},
    composite::{Composite, CompositeScript},
    errors::{Backoff, ErrorFormat, ErrorHint, ErrorRules, RateLimitHeaders, RetryStrategy},
    form::{ListDelimiter, ParamForm, ParamStyle, StylePrefix, WholePart},
    health::HealthCheck,
    kind::{KindList, ParamKind},
    pagination::{PageBehavior, PageStrategy, Pagination},
    param::{Param, ParamLocation, ParamRole, StreamArgument, ValueRules},
    rate_limit::RequestRate,
    request::{BodyKind, BodyRules, RequestMethod, RestOperation, RpcMethod, ToolRequest},
    response::{ResponseRules, StreamHandling, StreamRules},
    shared::{HeaderFields, Shared},
    shown::ShownRules,
    tool::{DeclaredEffect, Deprecation, Tool, UploadSize},
    unlisted::UnlistedParams,
};
use self::{
    auth::rules::AuthRules, entries::EntryRules, events::EventRules, fit::ServerFit,
    keywords::SearchKeywords, preview::PreviewRule, settle::SettleRule, switch::McpSwitch,
    task::TaskRules,
};

/// Shapes of results by their names: a subset of JSON Schema (DADL 0.2, section 10). One refers to
/// another with `$ref`, [`TYPE_REF`] and its name.
pub type ResultTypes = BTreeMap<String, Value>;

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
    /// The path in which base URLs of the API end: that of `base_url`, or `_dadl_mcp.base_path`.
    pub base_path: Option<String>,
    /// `backend.description`; becomes part of the MCP server instructions.
    pub description: String,
    /// How requests authenticate.
    pub auth: AuthScheme,
    /// The tools in the order of the file.
    pub tools: Vec<Tool>,
    /// The composites in the order of the file; no tool has the name of one.
    pub composites: Vec<Composite>,
    /// Shapes that results have.
    pub types: ResultTypes,
    /// The path or URL of an OpenAPI document, as written.
    pub openapi_source: Option<String>,
    /// How to find out whether the backend is well.
    pub health: Option<HealthCheck>,
    /// Optional parameters that hosts need not list (`_dadl_mcp.unlisted_params`).
    pub unlisted_params: UnlistedParams,
    /// What people say for what the file has (`_dadl_mcp.keywords`).
    pub keywords: SearchKeywords,
    /// How calls begin work that goes on after their answer (`_dadl_mcp.tasks`).
    pub tasks: Option<TaskRules>,
    /// How to see that what was written is there (`_dadl_mcp.settles`).
    pub settles: Vec<SettleRule>,
    /// What a person is shown of a thing before a dangerous call about it (`_dadl_mcp.preview`).
    pub previews: Vec<PreviewRule>,
    /// How the entries of a log tell that something failed (`_dadl_mcp.entries`).
    pub entries: Vec<EntryRules>,
    /// How the API tells what changes (`_dadl_mcp.events`).
    pub events: Option<EventRules>,
    /// What else there is to know about the credential (`_dadl_mcp.auth`).
    pub auth_rules: AuthRules,
    /// How many requests the API takes in how long a time (`_dadl_mcp.rate_limit`).
    pub pace: Option<RequestRate>,
    /// A switch of the API with which its administrator turns MCP off (`_dadl_mcp.switch`).
    pub switch: Option<McpSwitch>,
    /// What a server may have or lack, and where it says so (`_dadl_mcp.fit`).
    pub fit: Option<ServerFit>,
    /// Worked examples for people and models.
    pub examples: Vec<WorkedExample>,
    /// What the author says is covered.
    pub coverage: Option<ApiCoverage>,
    /// How an operator obtains a credential.
    pub setup: Option<CredentialSetup>,
    /// `date`: when the file was made or last changed, as written.
    pub date: Option<String>,
    /// `source_name`: the API that is described.
    pub source_name: Option<String>,
    /// `source_url`: its documentation.
    pub source_url: Option<String>,
}

impl Descriptor {
    /// Describes what has no tools of its own.
    pub fn without_tools(name: String) -> Self {
        Self {
            name,
            version: None,
            base_url: None,
            base_path: None,
            description: String::new(),
            auth: AuthScheme::None,
            tools: Vec::new(),
            composites: Vec::new(),
            types: ResultTypes::default(),
            openapi_source: None,
            health: None,
            unlisted_params: UnlistedParams::default(),
            keywords: SearchKeywords::default(),
            tasks: None,
            settles: Vec::new(),
            previews: Vec::new(),
            entries: Vec::new(),
            events: None,
            auth_rules: AuthRules::default(),
            pace: None,
            switch: None,
            fit: None,
            examples: Vec::new(),
            coverage: None,
            setup: None,
            date: None,
            source_name: None,
            source_url: None,
        }
    }

    /// Returns the names of all tools and composites.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let tools = self.tools.iter().map(|tool| tool.name.as_str());
        let checks = self.health.iter().filter(|health| health.expose).map(|_| HealthCheck::NAME);
        tools.chain(self.composites.iter().map(|composite| composite.name.as_str())).chain(checks)
    }

    /// Returns the names of those that lists may have.
    pub fn offered_names(&self) -> impl Iterator<Item = &str> {
        let is_unlisted =
            |name: &str| self.composites.iter().any(|it| it.is_unlisted && it.name == name);
        self.names().filter(move |name| !is_unlisted(name))
    }

    /// Returns how tasks work, when calls of `tool` can begin one.
    pub fn tasks_of(&self, tool: &str) -> Option<&TaskRules> {
        self.tasks.as_ref().filter(|tasks| tasks.starters.contains(tool))
    }

    /// Returns how the entries of a result of `tool` tell that something failed.
    pub fn entries_of(&self, tool: &str) -> Option<&EntryRules> {
        self.entries.iter().find(|rules| rules.of.contains(tool))
    }

    /// Returns the access levels of all tools and composites, with repetitions.
    pub fn levels(&self) -> impl Iterator<Item = &AccessLevel> {
        let tools = self.tools.iter().filter_map(|tool| tool.access.as_ref());
        tools.chain(self.composites.iter().filter_map(|composite| composite.access.as_ref()))
    }
}
