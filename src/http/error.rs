//! Why a request brought no answer.
//!
//! The text for a model names the backend and what happened, not headers, and no hosts but another one
//! than that of the base URL; the whole chain goes to the log.

use std::{fmt, time::Duration};

use super::{
    certificate_trust::{self, RefusedCertificate},
    connection_guard,
};
use crate::{config::PrivateAddress, outcome::chain};

/// A request that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("backend \"{backend}\" did not answer {request}: {kind}{}", attempts_text(*attempts))]
pub struct SendError {
    /// The name of the backend.
    pub backend: String,
    /// The method and the path below the base URL.
    pub request: String,
    /// What happened.
    pub kind: SendErrorKind,
    /// How many requests were sent.
    pub attempts: u32,
}

fn attempts_text(attempts: u32) -> String {
    if attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() }
}

/// What kept a request from being answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// Usually the operator: the certificate is not accepted. Nothing was sent.
    Certificate(Box<RefusedCertificate>),
    /// Usually the operator or the remote: no connection.
    Connect(String),
    /// Usually the operator: the name has no address.
    Dns(String),
    /// The remote broke the protocol or the connection after the request was written.
    Interrupted(String),
    /// The remote: what it sent is no HTTP, or its headers are beyond the bounds of the client.
    Malformed(String),
    /// The operator has to decide: the request is for an origin that nobody has admitted. Nothing was
    /// sent.
    OtherOrigin {
        /// The scheme, host and port.
        origin: String,
    },
    /// The author, most likely: the name of a host in the descriptor leads into the operator's own
    /// network. Nothing was sent.
    PrivateAddress(Box<PrivateAddress>),
    /// The remote: no request is left, and more would come too late for this call.
    RateLimited {
        /// How long until there are more.
        wait: Duration,
    },
    /// Usually the operator: a redirect to another origin; the credential stays here.
    RedirectElsewhere {
        /// The scheme, host and port of the target.
        target: String,
    },
    /// The remote: redirects without end.
    RedirectLoop,
    /// The remote: a redirect that would change the method of a write.
    RedirectUnsafe {
        /// The status of the redirect.
        status: u16,
    },
    /// Usually the operator: slow backend, or timeouts that are too short.
    Timeout {
        /// Which bound was hit: `connect_timeout`, `read_timeout`, `timeout`.
        bound: &'static str,
        /// How long it is.
        after: Duration,
    },
    /// The operator or the remote: there is no encrypted connection.
    Tls(String),
}

impl SendErrorKind {
    /// Sorts an error of reqwest; `connect` and `read` are the timeouts that were set.
    pub(crate) fn from_reqwest(error: &reqwest::Error, connect: Duration, read: Duration) -> Self {
        if let Some(refused) = connection_guard::address_refusal(error) {
            return Self::PrivateAddress(Box::new(refused.clone()));
        }
        if let Some(refused) = certificate_trust::certificate_refusal(error) {
            return Self::Certificate(Box::new(refused.clone()));
        }
        let chain = chain(error);
        if error.is_timeout() {
            return if error.is_connect() {
                Self::Timeout { bound: "connect_timeout", after: connect }
            } else {
                Self::Timeout { bound: "read_timeout", after: read }
            };
        }
        let lower = chain.to_lowercase();
        if lower.contains("certificate") || lower.contains("tls") || lower.contains("handshake") {
            return Self::Tls(chain);
        }
        if error.is_dns() || lower.contains("dns error") {
            return Self::Dns(chain);
        }
        if let Some(parse) = parse_error(error) {
            return Self::Malformed(parse.to_string());
        }
        if error.is_connect() { Self::Connect(chain) } else { Self::Interrupted(chain) }
    }

    /// Returns whether it may be otherwise a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Timeout { .. }) || self.is_quick()
    }

    /// Returns whether another attempt may help within the same call: of what passes, that which does
    /// not take its time.
    ///
    /// Whether it is allowed as well depends on the method; see `http::retry`.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Dns(_) | Self::Interrupted(_))
            || matches!(self, Self::Timeout { bound: "connect_timeout", .. })
    }

    /// Returns whether the request cannot have reached the backend.
    pub fn is_before_request(&self) -> bool {
        matches!(
            self,
            Self::Certificate(_)
                | Self::Connect(_)
                | Self::Dns(_)
                | Self::OtherOrigin { .. }
                | Self::PrivateAddress(_)
                | Self::Tls(_)
        ) || matches!(self, Self::Timeout { bound: "connect_timeout", .. })
    }

    /// Says what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Certificate(refused) => match **refused {
                RefusedCertificate::Changed(_) => {
                    "nothing was sent; where the server has a new certificate, the operator puts its \
                     fingerprint into `tls_fingerprint`; else somebody may be in between"
                }
                RefusedCertificate::Untrusted { .. } => {
                    "nothing was sent; `dadl-mcp setup` shows the certificate and pins it \
                     (`tls_fingerprint`), and `ca_file` names the authority that signed it"
                }
            },
            Self::Connect(_) | Self::Dns(_) => {
                "check that `url` of the backend is right and that it is up (dadl-mcp doctor)"
            }
            Self::Interrupted(_) => "the backend closed the connection; trying again may help",
            Self::Malformed(_) => "something is wrong with the backend, or what is in front of it",
            Self::OtherOrigin { .. } => {
                "nothing was sent; the operator admits it by `allow_origins` of the backend"
            }
            Self::PrivateAddress(_) => "nothing was sent; this is for the operator to decide",
            Self::RateLimited { .. } => "call again after that time",
            Self::RedirectElsewhere { .. } => {
                "redirects to another origin are not followed; set `url` of the backend to it"
            }
            Self::RedirectLoop | Self::RedirectUnsafe { .. } => {
                "check that `url` of the backend is the API's own base URL"
            }
            Self::Timeout { .. } => "trying again may help; the operator can raise the bound",
            Self::Tls(_) => {
                "check that the port speaks TLS, in a version that is not out of date (dadl-mcp doctor)"
            }
        }
    }
}

/// Returns what hyper could not read, when that is the cause.
fn parse_error(error: &reqwest::Error) -> Option<&hyper::Error> {
    let first: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    std::iter::successors(first, |error| error.source())
        .filter_map(|error| error.downcast_ref::<hyper::Error>())
        .find(|error| error.is_parse())
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(refused) => write!(formatter, "TLS failed: {refused}"),
            Self::Connect(cause) => write!(formatter, "no connection ({cause})"),
            Self::Dns(cause) => write!(formatter, "its name was not found ({cause})"),
            Self::Interrupted(cause) => write!(formatter, "the connection broke ({cause})"),
            Self::Malformed(cause) => {
                write!(formatter, "the status line and headers it sent cannot be read ({cause})")
            }
            Self::OtherOrigin { origin } => write!(formatter, "it is at another host, {origin}"),
            Self::PrivateAddress(refused) => write!(formatter, "{refused}"),
            Self::RateLimited { wait } => {
                let seconds = wait.as_secs_f32().ceil();
                write!(formatter, "its rate limit leaves no request for {seconds} s; none was sent")
            }
            Self::RedirectElsewhere { target } => {
                write!(formatter, "it redirects to another origin, {target}")
            }
            Self::RedirectLoop => formatter.write_str("it redirects without end"),
            Self::RedirectUnsafe { status } => {
                write!(formatter, "it answers a write with redirect {status}, which would drop it")
            }
            Self::Timeout { bound, after } => {
                write!(formatter, "{bound} of {} s passed", after.as_secs_f32())
            }
            Self::Tls(cause) => write!(formatter, "TLS failed ({cause})"),
        }
    }
}
