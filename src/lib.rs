//! Serves HTTP APIs that a DADL file describes as MCP tools, safely.
//!
//! The one direction in which data flows:
//!
//! YAML text → [`dadl_descriptor`] → [`catalog`] → [`access`] → [`gate`] → [`call`] plan →
//! HTTP request → response → MCP result
//!
//! `ARCHITECTURE.md` describes the modules and their invariants.

pub mod access;
pub mod app;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
#[cfg(feature = "simulator")]
mod demo;
pub mod executor;
pub mod files;
pub mod finding;
pub mod gate;
pub mod http;
pub mod live;
pub mod mcp;
pub mod mcp_client;
pub mod outcome;
pub mod response;
pub mod shares;
mod spawn;
#[cfg(test)]
mod tests;
pub mod worker;

/// What takes secrets out of all that leaves the program.
pub use dadl_secrets as secrets;

/// What the targets in `fuzz/` need and no other user of the library does.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    use ::http::{HeaderMap, HeaderValue, header};
    use url::Url;

    use crate::call::{
        MultipartBody,
        multipart::{self, FieldValue},
    };

    /// Reads the next page out of a `Link` header, below `url`.
    pub fn link_next(header: &[u8], url: &Url) -> Option<Url> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, HeaderValue::from_bytes(header).ok()?);
        crate::response::page::link_next(&headers, url)
    }

    /// Writes a multipart body of text fields; returns its boundary and its bytes.
    pub fn multipart_body(fields: &MultipartBody, random: &str) -> (String, String) {
        let mut number = 0;
        let boundary = fields.boundary(|| {
            number += 1;
            format!("{random}{number}")
        });
        let mut body = String::new();
        for field in &fields.fields {
            if let FieldValue::Text(text) = &field.value {
                body.push_str(&multipart::part_head(&boundary, &field.name, None, None));
                body.push_str(text);
                body.push_str(multipart::AFTER_FIELD);
            }
        }
        body.push_str(&multipart::closing_boundary(&boundary));
        (boundary, body)
    }
}
