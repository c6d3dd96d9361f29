//! The only code that opens sockets to backends.
//!
//! A [`Backend`](backend::Backend) takes a [`CallPlan`](crate::call::CallPlan), adds the
//! credential, sends it, follows redirects that stay where they are allowed to, repeats what may
//! be repeated, and hands back an open response whose body nobody has read yet.
//!
//! **Invariants:** a credential is added to requests of its own origin only, and to those of another
//! that the operator says; no error or log line of this module contains one.

pub mod auth;
pub mod backend;
pub mod certificate;
mod client;
pub mod cookie;
pub mod document;
pub mod error;
pub(crate) mod expect;
pub mod guard;
pub mod identity;
pub mod login;
mod pace;
mod place;
pub(crate) mod rate_limit;
mod reach;
mod redirect;
pub(crate) mod retry;
pub mod tls;
pub(crate) mod under_way;
pub(crate) mod upload;

use dadl_descriptor::model::Method;

pub(crate) use self::under_way::LAST_WAIT;

pub use self::{
    reach::{ReachError, reach},
    under_way::settled,
    upload::BodyTooLarge,
};

fn wire_method(method: Method) -> reqwest::Method {
    match method {
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Patch => reqwest::Method::PATCH,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}
