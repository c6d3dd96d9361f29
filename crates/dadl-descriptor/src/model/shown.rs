//! What a model gets of a result.

/// What a model gets of a result (`_dadl_mcp.shown`). Scripts, jq programs and the command line get all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownRules {
    /// Members that are left out.
    pub omitted: Vec<String>,
    /// Whether members without a value are left out: null, and text, a list or an object without content.
    pub omits_empty: bool,
    /// Members that `returns` requires: they stay.
    pub required: Vec<String>,
}

impl ShownRules {
    /// Returns whether a model gets everything.
    pub fn is_all(&self) -> bool {
        self.omitted.is_empty() && !self.omits_empty
    }
}
