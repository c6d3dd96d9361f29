//! What identifiers, paths and header fields are called, and which name was meant.
//!
//! | question | answer |
//! | --- | --- |
//! | which words has an identifier? | [`split_words`], [`snake`], [`joined_name`] |
//! | does a word say that an operation reads, or changes something? | [`verbs`] |
//! | which known name was meant? | [`nearest_name`], [`only_nearest`], [`nearest_loosely`], [`MeantName`] |
//! | which operation was meant, and no worse one? | [`nearest_operation`] |
//! | which operations read what one changes? | [`readers`] |
//! | what is between the braces of a path? | [`path`] |
//! | whose is a header field? | [`header`] |
//! | can a parameter be called so? | `param` |
//! | which names are for no tool? | [`RESERVED`], [`TOOL_NAME_MAX`] |
//! | how does a name stay unique? | [`suffixed`] |

mod hash;
pub mod header;
mod near;
mod operation;
pub mod param;
pub mod path;
mod readers;
mod tool;
pub mod verbs;
mod words;

pub use self::{
    hash::{SUFFIX, suffixed},
    near::{MeantName, OrMeant, meant_or, nearest_loosely, nearest_name, only_nearest},
    operation::{DangerLevel, KnownOperation, nearest_operation},
    readers::readers,
    tool::{RESERVED, TOOL_NAME_MAX},
    words::{joined_name, snake, split_words},
};
