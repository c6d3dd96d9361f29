//! Which tool of a descriptor is which operation of a document, and which parameter is which.
//!
//! Operations are matched by method and path, whatever the placeholders are called, with and without
//! the path of the base URL. A descriptor may write a value into the path where the document has a
//! placeholder with a list of values (`/vms/{id}.xva` for `/vms/{id}.{format}`).

use std::collections::HashMap;

use dadl_descriptor::model::{Param, ParamLocation, RequestMethod, Shared, Tool};
use dadl_text::names::path::{anonymous, of_base_url, path_placeholders, spellings};
use serde_json::Value;

use super::model::{ApiModel, ApiOperation, OperationInput};

/// So many paths one operation stands for, when values are written into its path.
const MAX_PATHS: usize = 64;

/// Values that are written into a path, by the number of their placeholder.
pub(super) type FixedSegments = Vec<(usize, String)>;

/// An operation under one of its paths.
#[derive(Clone)]
pub(super) struct PathTarget {
    /// Its number in [`ApiModel::operations`].
    pub(super) operation: usize,
    pub(super) fixed: FixedSegments,
}

/// The operations by method and path, without the names of placeholders.
pub(super) struct PathTargets {
    by_path: HashMap<(RequestMethod, String), PathTarget>,
    /// The path of the descriptor's base URL, without the names of placeholders.
    base: String,
}

impl PathTargets {
    /// Returns the operations of `api` for a descriptor with this base URL.
    pub(super) fn new(api: &ApiModel, base_url: Option<&str>) -> Self {
        let mut targets = Self { by_path: HashMap::new(), base: anonymous(of_base_url(base_url)) };
        // A path as the document has it counts before one that values are written into.
        for (index, operation) in api.operations.iter().enumerate() {
            targets.add(api, operation.method, &operation.path, index, &[]);
        }
        for (index, operation) in api.operations.iter().enumerate() {
            for (path, fixed) in expanded(operation) {
                targets.add(api, operation.method, &path, index, &fixed);
            }
        }
        targets
    }

    fn add(
        &mut self,
        api: &ApiModel,
        method: RequestMethod,
        path: &str,
        operation: usize,
        fixed: &[(usize, String)],
    ) {
        let plain = anonymous(path);
        for path in [plain.clone(), format!("{}{plain}", anonymous(&api.base.path))] {
            for path in [path.clone(), path.trim_end_matches('/').to_owned()] {
                self.by_path
                    .entry((method, path))
                    .or_insert_with(|| PathTarget { operation, fixed: fixed.to_vec() });
            }
        }
    }

    /// Returns the operation that a tool calls; no document has one for a JSON-RPC method. Documents
    /// have paths with a query, too.
    pub(super) fn of(&self, tool: &Tool) -> Option<&PathTarget> {
        let http = tool.http()?;
        let whole = http.path.as_str();
        let path = whole.split('?').next().unwrap_or_default();
        self.find(http.method, whole).or_else(|| self.find(http.method, path))
    }

    /// Returns the operation with this method and path.
    pub(super) fn find(&self, method: RequestMethod, path: &str) -> Option<&PathTarget> {
        spellings(path, &self.base).into_iter().find_map(|path| {
            let trimmed = path.trim_end_matches('/').to_owned();
            self.by_path.get(&(method, path)).or_else(|| self.by_path.get(&(method, trimmed)))
        })
    }
}

/// Returns the paths with values for the placeholders that have a list of them.
pub(super) fn expanded(operation: &ApiOperation) -> Vec<(String, FixedSegments)> {
    let mut paths: Vec<(String, FixedSegments)> = vec![(operation.path.clone(), Vec::new())];
    for (number, name) in path_placeholders(&operation.path).enumerate() {
        let Some(input) = path_input(operation, name) else { continue };
        let values: Vec<&str> = input.values.iter().filter_map(Value::as_str).collect();
        if values.is_empty() || values.len() != input.values.len() {
            continue;
        }
        let mut more = Vec::new();
        for (path, fixed) in &paths {
            for value in &values {
                if paths.len() + more.len() >= MAX_PATHS {
                    break;
                }
                let mut fixed = fixed.clone();
                fixed.push((number, (*value).to_owned()));
                more.push((path.replacen(&format!("{{{name}}}"), value, 1), fixed));
            }
        }
        paths.extend(more);
    }
    paths.remove(0);
    paths
}

/// Returns the path parameter with this name.
pub(super) fn path_input<'api>(
    operation: &'api ApiOperation,
    name: &str,
) -> Option<&'api OperationInput> {
    let mut inputs = operation.inputs.iter();
    inputs.find(|input| input.location == ParamLocation::Path && input.name == name)
}

/// Returns the parameters of the path, which are told apart by their order: the number of that of
/// the tool, and that of the operation.
pub(super) fn in_path<'api>(
    tool: &Tool,
    operation: &'api ApiOperation,
    fixed: &[(usize, String)],
) -> Vec<(usize, &'api OperationInput)> {
    let theirs = path_placeholders(&operation.path)
        .enumerate()
        .filter(|(number, _)| !fixed.iter().any(|(at, _)| at == number))
        .map(|(_, name)| name);
    let pairs = theirs.zip(tool.path().placeholders()).filter_map(|(name, own)| {
        let is_own = |param: &Shared<Param>| param.is_in(ParamLocation::Path) && param.name == own;
        let at = tool.params.iter().position(is_own)?;
        Some((at, path_input(operation, name)?))
    });
    pairs.collect()
}

/// Returns the number of the parameter that sends what `input` is, in another place than the path.
pub(super) fn matching_param(tool: &Tool, input: &OperationInput) -> Option<usize> {
    let is_place = |param: &Param| param.is_in(input.location);
    let plain = |name: &str| name.trim_end_matches("[]").to_owned();
    let is_same = |param: &Shared<Param>| is_place(param) && param.wire() == input.wire();
    let is_like = |param: &Shared<Param>| {
        is_place(param)
            && if input.location == ParamLocation::Header {
                param.wire().eq_ignore_ascii_case(input.wire())
            } else {
                input.location == ParamLocation::Query
                    && (param.wire().ends_with("[]") || input.wire().ends_with("[]"))
                    && plain(param.wire()) == plain(input.wire())
            }
    };
    tool.params.iter().position(is_same).or_else(|| tool.params.iter().position(is_like))
}
