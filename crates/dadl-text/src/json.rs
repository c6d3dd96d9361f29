//! JSON text is looked into without a tree.
//!
//! A tree takes up to a hundred times the memory of its text: an answer of a few bytes a value makes
//! gigabytes of a body that is within its bound. What a large answer needs (a path, a mask, the first
//! items of a list) is therefore found in its text, in one pass, with memory that depends on what is
//! found. The text is valid and compact, as `outcome::JsonText` has it; of any other text the functions
//! give some part of it, or nothing.

pub mod agreed;
mod check;
pub mod cost;
pub mod members;
pub mod path;
pub mod quote;
pub mod scan;
pub mod tree;
pub mod writer;
