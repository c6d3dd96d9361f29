//! Serves HTTP APIs that a DADL file describes as MCP tools, safely.
//!
//! The one direction in which data flows:
//!
//! YAML text → [`descriptor`] → [`catalog`] → [`access`] → [`call`] plan → HTTP request →
//! response → MCP result
//!
//! `ARCHITECTURE.md` describes the modules and their invariants.

pub mod access;
pub mod call;
pub mod catalog;
pub mod descriptor;
