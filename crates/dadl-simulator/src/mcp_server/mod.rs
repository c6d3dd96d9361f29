//! A server of the Model Context Protocol on lines or over HTTP, honest or as a script says.
//!
//! It is written by hand, without a library of the protocol, so that a client is tried against another
//! reading of the specification than its own. Without a script it has a few tools, resources and
//! prompts, in every revision; a [`ServerScript`] says what it does instead when it is asked for
//! something: a wrong answer, none, half of one, a hundred megabytes, the end.

mod content;
mod honest;
mod http;
mod refusal;
mod script;
mod serve;
mod subscribers;

pub use self::{
    http::ScriptedSite,
    script::{ScriptError, ServerScript},
    serve::serve_script,
};
