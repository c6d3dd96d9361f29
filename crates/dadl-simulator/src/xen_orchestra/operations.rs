//! The table of operations: `operations.txt`, compiled once.
//!
//! It takes a method and a path and gives the operation with the captures, and it checks query
//! parameters and bodies against what the operation declares.

use std::sync::LazyLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::shape::BodyShape;
use crate::{
    SimulatorOptions,
    server::{QueryParams, RoutePattern},
};

/// One operation.
#[derive(Debug)]
pub(super) struct XenOperation {
    /// The method.
    pub(super) method: Method,
    /// The path below `/rest/v0`, as the table has it.
    pub(super) path: &'static str,
    /// The documented statuses of success.
    pub(super) statuses: Vec<u16>,
    /// The resource and the action of the privilege that a user needs.
    pub(super) privilege: Option<(&'static str, &'static str)>,
    /// The names of the query parameters.
    pub(super) query: Vec<&'static str>,
    /// What the body must be.
    pub(super) body: Option<BodyRule>,
    pattern: RoutePattern,
}

/// What a body must be.
#[derive(Debug)]
pub(super) enum BodyRule {
    /// Raw bytes, not to be read before the handler wants them.
    Bytes,
    /// A JSON object.
    Json {
        /// What complaints call it.
        name: &'static str,
        /// Whether it may be left out.
        optional: bool,
        /// Its shape.
        shape: BodyShape,
    },
}

/// Returns all operations, those with a format in the path first.
pub(super) fn operations() -> &'static [XenOperation] {
    static OPERATIONS: LazyLock<Vec<XenOperation>> = LazyLock::new(|| {
        let lines = include_str!("operations.txt").lines();
        let mut operations: Vec<_> = lines.filter_map(XenOperation::parse).collect();
        // `/vdis/{id}` would take `/vdis/a.raw` too.
        operations.sort_by_key(|operation| !operation.path.contains(".{"));
        operations
    });
    &OPERATIONS
}

/// Returns the operations that few servers have, and whether the document of XO 6.7 has each.
pub(super) fn extras() -> &'static [(XenOperation, bool)] {
    static EXTRAS: LazyLock<Vec<(XenOperation, bool)>> = LazyLock::new(|| {
        let parsed = |line: &'static str| {
            let plain = line.strip_prefix('+');
            Some((XenOperation::parse(plain.unwrap_or(line))?, plain.is_some()))
        };
        include_str!("extras.txt").lines().filter_map(parsed).collect()
    });
    &EXTRAS
}

/// Finds the operation of a method and a path below `/rest/v0` that a server with these options has,
/// with the captures.
pub(super) fn find(
    method: &Method,
    path: &str,
    options: &SimulatorOptions,
) -> Option<(&'static XenOperation, Vec<String>)> {
    // Express answers HEAD with the handler of GET.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let extras = extras().iter().map(|(operation, _)| operation).filter(|_| options.extras);
    operations()
        .iter()
        .chain(extras)
        .filter(|operation| !operation.is_lacked(options))
        .filter(|operation| operation.method == method)
        .find_map(|operation| Some((operation, operation.pattern.captures(path)?)))
}

impl XenOperation {
    fn parse(line: &'static str) -> Option<Self> {
        let mut columns = line.splitn(5, " | ");
        let (method, path) = columns.next()?.split_once(' ')?;
        let statuses = columns.next()?.split(',').filter_map(|code| code.parse().ok()).collect();
        let privilege = columns.next()?.split_once(':');
        let query = columns.next()?.split(',').flat_map(|name| match name {
            "-" => Vec::new(),
            "list" => LIST.to_vec(),
            _ => vec![name],
        });
        Some(Self {
            method: method.parse().ok()?,
            path,
            statuses,
            privilege,
            query: query.collect(),
            body: match columns.next() {
                None => None,
                Some(text) => Some(BodyRule::parse(text)?),
            },
            pattern: RoutePattern::new(path),
        })
    }

    /// Returns the segments of the path.
    pub(super) fn segments(&self) -> Vec<&'static str> {
        self.path.split('/').skip(1).collect()
    }

    /// Says whether a server with these options lacks the operation.
    pub(super) fn is_lacked(&self, options: &SimulatorOptions) -> bool {
        options.lacks.iter().any(|line| {
            let (method, path) = line.split_once(' ').unwrap_or_default();
            method == self.method.as_str() && path == self.path
        })
    }

    /// Says whether the operation can be called without a login.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.path, "/ping" | "/gui-routes" | "/mcp/status" | "/docs/swagger.json")
    }

    /// Returns the status of success other than "accepted".
    pub(super) fn status(&self) -> u16 {
        self.statuses.iter().copied().find(|&status| status != 202).unwrap_or(200)
    }

    /// Collects complaints about the query. Parameters that are not declared are ignored.
    pub(super) fn check_query(&self, query: &QueryParams, errors: &mut Map<String, Value>) {
        for &name in &self.query {
            let Some(value) = query.first(name) else {
                continue;
            };
            let message = match name {
                "markdown" | "ndjson" | "raw" | "sync" | "wait" | "watch" => {
                    (!matches!(value, "true" | "false")).then_some("invalid boolean value")
                }
                "limit" => value.parse::<f64>().is_err().then_some("invalid float number"),
                "granularity" => (!GRANULARITIES.contains(&value)).then_some(NO_SCHEMA),
                "compress" => {
                    (!matches!(value, "gzip" | "zstd" | "true" | "false")).then_some(NO_SCHEMA)
                }
                _ => None,
            };
            if let Some(message) = message {
                errors.insert(name.to_owned(), json!({"message": message, "value": value}));
            }
        }
    }
}

impl BodyRule {
    fn parse(text: &'static str) -> Option<Self> {
        if text == "bytes" {
            return Some(Self::Bytes);
        }
        let (optional, text) = match text.strip_prefix("optional ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, text) = match text.strip_prefix("privilege ") {
            Some(rest) => ("privilege", rest),
            None => ("body", text),
        };
        Some(Self::Json { name, optional, shape: BodyShape::parse(text)? })
    }
}

/// What `list` stands for.
const LIST: [&str; 5] = ["fields", "ndjson", "markdown", "filter", "limit"];

/// The values of `granularity`.
const GRANULARITIES: [&str; 4] = ["seconds", "minutes", "hours", "days"];

/// What XO says about unions.
const NO_SCHEMA: &str = "Value does not match any allowed schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiles_every_line() {
        let lines = include_str!("operations.txt").lines();
        let expected = lines.filter(|line| !line.starts_with('#')).count();
        assert_eq!(operations().len(), expected);
        assert_eq!(expected, 260);
    }

    #[test]
    fn prefers_formats() {
        let usual = SimulatorOptions::default();
        let (operation, captures) = find(&Method::GET, "/vdis/a.raw", &usual).unwrap();
        assert_eq!(operation.path, "/vdis/{id}.{format}");
        assert_eq!(captures, ["a", "raw"]);
        assert_eq!(find(&Method::HEAD, "/vdis/a", &usual).unwrap().0.path, "/vdis/{id}");
        assert!(find(&Method::PUT, "/users", &usual).is_none());
    }
}
