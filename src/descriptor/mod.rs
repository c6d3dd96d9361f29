//! From YAML text to a checked [`model::Descriptor`]. No network, no MCP, no environment.
//!
//! The phases: the text becomes a tree whose nodes know their bytes, the tree is lowered to the
//! checked model, and rules that span several parts of the file look at both. Every phase reports
//! all problems it finds.

pub mod diagnostic;
pub mod json_path;
pub mod model;
pub mod template;
