//! Text of others: what it may do, what it calls things, and how much of it there is.
//!
//! Descriptions of APIs, their documents and their answers bring text that a program shows to people and
//! to models, names that it compares, and JSON that is too large for a tree. This crate has what all parts
//! of dadl-mcp need for that. It is pure: no socket, no file, no environment.
//!
//! ```
//! use dadl_text::{names, text};
//!
//! // What steers a terminal is shown and does nothing.
//! assert_eq!(text::shown_text("\u{1b}[31mred"), "\\u{1b}[31mred");
//! assert_eq!(names::snake("listVMSnapshots"), "list_vm_snapshots");
//! ```
//!
//! It is a part of dadl-mcp and promises no stability: any version may change anything.

pub mod blocks;
pub mod growth;
pub mod json;
pub mod lanes;
pub mod names;
pub mod text;
pub mod words;
