//! The only code that opens sockets to backends.
//!
//! A [`Backend`](backend::Backend) takes a [`CallPlan`](crate::call::CallPlan), adds the
//! credential, sends it, follows redirects that stay where they are allowed to, repeats what may
//! be repeated, and hands back an open response whose body nobody has read yet.
//!
//! **Invariants:** a credential is added to requests of its own origin only, and to those of another
//! that the operator says; no error or log line of this module contains one.

pub(crate) mod answer_start;
pub mod auth;
pub mod backend;
mod backend_origin;
pub mod certificate;
pub mod certificate_trust;
mod client;
pub(crate) mod client_certificate;
pub(crate) mod client_error;
pub mod connection_guard;
pub mod cookie;
mod crypto_provider;
pub(crate) mod document;
pub mod error;
pub(crate) mod expect_continue;
pub mod login;
pub mod mcp_authorization;
mod rate_limiter;
mod reachability;
mod redirect;
pub(crate) mod retry;
mod runtime_clients;
pub(crate) mod throttle;
pub(crate) mod tls;
pub(crate) mod under_way;
pub(crate) mod upload;

use dadl_descriptor::model::RequestMethod;

pub(crate) use self::under_way::LAST_WAIT;

pub(crate) use self::upload::BodyTooLarge;
pub use self::{reachability::check_reachable, under_way::settled};

fn wire_method(method: RequestMethod) -> reqwest::Method {
    match method {
        RequestMethod::Delete => reqwest::Method::DELETE,
        RequestMethod::Get => reqwest::Method::GET,
        RequestMethod::Head => reqwest::Method::HEAD,
        RequestMethod::Patch => reqwest::Method::PATCH,
        RequestMethod::Post => reqwest::Method::POST,
        RequestMethod::Put => reqwest::Method::PUT,
    }
}
