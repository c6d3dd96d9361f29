//! A tool and arguments become a [`CallPlan`]: pure functions, no sockets, no secrets.

use http::{HeaderName, HeaderValue};
use url::Url;

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
