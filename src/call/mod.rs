//! A tool and arguments become a [`CallPlan`]: pure functions, no sockets, no secrets.
//!
//! [`check_arguments`] compares arguments with the tool's schema and converts what models get wrong where
//! nothing is lost; [`plan_call`] puts the checked values into path, query, header and body. Both
//! report every problem at once, so that a model can mend its call in one step. What they refuse
//! never reaches a socket.

mod accept;
mod args;
mod base_url;
mod body;
mod convert;
mod door;
pub(crate) mod encode;
mod error;
pub(crate) mod handle;
pub(crate) mod multipart;
mod path;
mod place;
mod plan;
#[cfg(test)]
mod properties;
mod query;
mod rpc;
mod style;

use std::fmt;

use dadl_descriptor::model::RequestMethod;
use http::{HeaderName, HeaderValue};
use url::Url;

pub(crate) use self::{
    args::CallArguments,
    base_url::{BaseUrlError, is_same_origin},
    error::{ArgumentError, ArgumentProblem},
    multipart::MultipartBody,
    rpc::RpcCall,
};
pub use self::{
    args::check_arguments,
    base_url::BaseUrl,
    door::CallChannel,
    place::{BackendPlace, ProcessPlace},
    plan::plan_call,
};

/// A request that could be sent, without credentials: it is safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// The request method.
    pub method: RequestMethod,
    /// The whole URL, encoded.
    pub url: Url,
    /// Header fields, `Content-Type` included when there is a body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: PlannedBody,
    /// What the body may hold at most (`max_body_size`).
    pub limit: Option<BodyLimit>,
    /// Where the call came from: who sends the plan tells APIs that ask for it.
    pub door: CallChannel,
    /// Whether it goes without the credential while that is not set.
    pub credential_optional: bool,
    /// The URL that names it in messages and in the log, where its own has files in its path.
    pub shown: Option<Box<Url>>,
}

impl CallPlan {
    /// Returns the same request, named as one with this URL.
    pub(crate) fn shown_as(self, url: &Url) -> Self {
        let shown = (self.url.path() != url.path()).then(|| Box::new(url.clone()));
        Self { shown, ..self }
    }
}

/// The bound of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyLimit {
    /// The tool that sets it.
    pub tool: String,
    /// In bytes; those between the fields of a multipart body do not count.
    pub bytes: u64,
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
    /// Those of the file of this name in the directory of files, if there is one, and these
    /// otherwise.
    Named {
        /// What the caller wrote.
        name: String,
        /// The same as a JSON string.
        otherwise: Vec<u8>,
    },
    /// Fields and files, framed while they are sent.
    Multipart(MultipartBody),
    /// A JSON-RPC 2.0 request.
    Rpc(RpcCall),
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
            PlannedBody::Named { name, otherwise } => {
                let text = String::from_utf8_lossy(otherwise);
                write!(formatter, "\n\n<bytes of {name} if there is such a file, else {text}>")
            }
            PlannedBody::Multipart(multipart) => write!(formatter, "\n\n{multipart}"),
            PlannedBody::Rpc(call) => write!(formatter, "\n\n{}", call.to_json()),
        }
    }
}
