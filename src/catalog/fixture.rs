//! Descriptors for tests, made without the YAML loader.

use std::{collections::BTreeMap, sync::Arc};

use dadl_descriptor::model::{
    AuthScheme, BodyKind, BodyRules, Descriptor, KindList, PageBehavior, PageStrategy, Pagination,
    Param, ParamKind, ParamLocation, ParamRole, RequestMethod, RestOperation, Shared, Tool,
    ToolRequest, UnlistedParams, auth::rules::AuthRules, keywords::SearchKeywords,
    template::PathTemplate,
};
use serde_json::Value;

use super::{BackendTools, Catalog, ServerTools};
use crate::access::{AccessLevels, AccessPolicy, LevelMap};

/// Makes a tool called `tool`; each parameter is written as `name:location:kind`, `!` behind it
/// for a required one and `=JSON` for a default.
pub(crate) fn tool(method: &str, path: &str, params: &[&str]) -> Tool {
    let http = RestOperation {
        method: RequestMethod::ALL.into_iter().find(|known| known.as_str() == method).unwrap(),
        path: PathTemplate::parse(path).unwrap(),
        body: BodyKind::Json,
        pagination: None,
        rules: BodyRules::default(),
        accept: None,
    };
    Tool {
        description: "A tool.".to_owned(),
        params: params.iter().map(|text| param(text).into()).collect(),
        ..Tool::new("tool".to_owned(), ToolRequest::Http(http))
    }
}

/// Makes pages with a limit, which a caller walks through.
pub(crate) fn pages(strategy: PageStrategy) -> Option<Shared<Pagination>> {
    Some(Shared::from(Pagination {
        strategy,
        limit_param: Some("limit".to_owned()),
        limit_default: Some(100),
        has_more: None,
        behavior: PageBehavior::Expose,
        total_pages: None,
        total_count: None,
    }))
}

/// Makes pages by an offset and a limit.
pub(crate) fn offset() -> Option<Shared<Pagination>> {
    pages(PageStrategy::Offset { param: Some("offset".to_owned()) })
}

/// Makes a parameter from `name:location:kind`, where the name may contain colons.
pub(crate) fn param(text: &str) -> Param {
    let (text, default) = match text.split_once('=') {
        Some((text, default)) => (text, Some(serde_json::from_str::<Value>(default).unwrap())),
        None => (text, None),
    };
    let (text, required) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let mut parts = text.rsplitn(3, ':');
    let kind = match parts.next().unwrap() {
        "array" => ParamKind::Array,
        "boolean" => ParamKind::Boolean,
        "file_url" => ParamKind::FileUrl,
        "integer" => ParamKind::Integer,
        "number" => ParamKind::Number,
        "object" => ParamKind::Object,
        "string" => ParamKind::String,
        "any" => ParamKind::Union(KindList::any()),
        other => panic!("no kind: {other}"),
    };
    let location = match parts.next().unwrap() {
        "body" => ParamLocation::Body,
        "cookie" => ParamLocation::Cookie,
        "header" => ParamLocation::Header,
        "path" => ParamLocation::Path,
        "query" => ParamLocation::Query,
        other => panic!("no location: {other}"),
    };
    let name = parts.next().unwrap().to_owned();
    let role = ParamRole::Sent(location);
    Param { required, default: default.map(Box::new), ..Param::new(name, role, kind) }
}

/// Makes a descriptor of these tools.
pub(crate) fn descriptor(name: &str, tools: Vec<Tool>) -> Arc<Descriptor> {
    Arc::new(Descriptor {
        types: BTreeMap::new(),
        health: None,
        openapi_source: None,
        unlisted_params: UnlistedParams::default(),
        keywords: SearchKeywords::default(),
        switch: None,
        fit: None,
        tasks: None,
        settles: Vec::new(),
        previews: Vec::new(),
        entries: Vec::new(),
        events: None,
        auth_rules: AuthRules::default(),
        pace: None,
        name: name.to_owned(),
        version: None,
        base_url: None,
        base_path: None,
        description: String::new(),
        auth: AuthScheme::None,
        tools,
        composites: Vec::new(),
        examples: Vec::new(),
        coverage: None,
        setup: None,
        date: None,
        source_name: None,
        source_url: None,
    })
}

/// Makes the tools of a server from the items of its list, and the levels that the operator gives.
pub(crate) fn server_tools(items: &Value, levels: &[(&str, &str)]) -> ServerTools {
    let mut map = LevelMap::default();
    levels.iter().for_each(|(pattern, level)| map.push(pattern, level).unwrap());
    let (tools, errors) = ServerTools::read(items.as_array().unwrap(), &map);
    assert_eq!(errors, []);
    tools
}

/// Makes the catalog of an MCP server called `git`, of which the `allowed` levels may be called.
pub(crate) fn server_catalog(items: &Value, levels: &[(&str, &str)], allowed: &[&str]) -> Catalog {
    let policy = AccessPolicy {
        levels: AccessLevels::new(allowed.iter().copied()),
        ..AccessPolicy::default()
    };
    Catalog::build(&[BackendTools {
        name: "git",
        descriptor: descriptor("git", Vec::new()),
        server: Some(server_tools(items, levels)),
        policy: &policy,
        task_wait: None,
    }])
}

/// Makes the catalog of one backend that allows everything.
pub(crate) fn catalog(tools: Vec<Tool>) -> Catalog {
    let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    Catalog::build(&[BackendTools {
        name: "test",
        descriptor: descriptor("test", tools),
        server: None,
        policy: &policy,
        task_wait: None,
    }])
}
