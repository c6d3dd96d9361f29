//! Optional parameters that hosts need not list.

use std::collections::BTreeMap;

/// Optional parameters that hosts need not list, and take all the same (`_dadl_mcp.unlisted_params`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnlistedParams {
    /// Their names, in whatever tool they are.
    pub everywhere: Vec<String>,
    /// Their names by the tool that they are unlisted of.
    pub of_tools: BTreeMap<String, Vec<String>>,
}

impl UnlistedParams {
    /// Returns whether a parameter of this tool need not be listed.
    pub fn has(&self, tool: &str, param: &str) -> bool {
        let is_named = |names: &Vec<String>| names.iter().any(|name| name == param);
        is_named(&self.everywhere) || self.of_tools.get(tool).is_some_and(is_named)
    }
}
