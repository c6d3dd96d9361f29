//! A tool and arguments become a [`CallPlan`]: pure functions, no sockets, no secrets.
//!
//! [`check`] compares arguments with the tool's schema and converts what models get wrong where
//! nothing is lost; [`plan`] puts the checked values into path, query, header and body. Both
//! report every problem at once, so that a model can mend its call in one step. What they refuse
//! never reaches a socket.

mod args;
mod base_url;
mod body;
mod encode;
mod error;
mod path;
mod plan;
#[cfg(test)]
mod properties;

use std::fmt;

use http::{HeaderName, HeaderValue};
use url::Url;

pub use self::{
    args::{Arguments, check},
    base_url::{BaseUrl, BaseUrlError},
    error::{ArgumentError, ArgumentProblem},
    plan::plan,
};
use crate::descriptor::model::Method;

/// A request that could be sent, without credentials: it is safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// The request method.
    pub method: Method,
    /// The whole URL, encoded.
    pub url: Url,
    /// Header fields, `Content-Type` included when there is a body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: PlannedBody,
}

/// The body of a planned request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedBody {
    /// No body and no `Content-Type`.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of a file, streamed; the reference is what the caller wrote.
    File(String),
}

/// Writes the request as text: what a dry run shows.
impl fmt::Display for CallPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            write!(formatter, "\n{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        match &self.body {
            PlannedBody::None => Ok(()),
            PlannedBody::Bytes(bytes) => {
                write!(formatter, "\n\n{}", String::from_utf8_lossy(bytes))
            }
            PlannedBody::File(reference) => write!(formatter, "\n\n<bytes of {reference}>"),
        }
    }
}
