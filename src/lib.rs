//! Serves HTTP APIs that a DADL file describes as MCP tools, safely.
//!
//! The one direction in which data flows:
//!
//! YAML text → [`descriptor`] → [`catalog`] → [`access`] → [`gate`] → [`call`] plan →
//! HTTP request → response → MCP result
//!
//! `ARCHITECTURE.md` describes the modules and their invariants.

pub mod access;
pub mod app;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo;
pub mod descriptor;
pub mod executor;
pub mod files;
pub mod gate;
pub mod http;
pub mod jq;
pub mod mcp;
pub mod outcome;
pub mod response;
pub mod script;
pub mod simulator;
pub mod worker;
