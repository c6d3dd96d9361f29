//! Other servers of the Model Context Protocol, as a client sees them.
//!
//! A [`ServerLink`] starts a server as a process of its own, or reaches one at a URL, introduces itself in
//! whichever era the server speaks, lists what it has and calls its tools. What comes back is raw text: a result is never made into
//! a tree here, and nothing of it is lost.
//!
//! | file | one idea |
//! | --- | --- |
//! | `link`, `restart` | one server: is it there, start it, start it again |
//! | `session` | introduction; one request and its answer, time and end |
//! | `requests`, `content_requests` | the requests that are made |
//! | `news`, `subscriptions` | what a server tells without being asked |
//! | `handler`, `questions`, `pages` | what a server may ask of us, and of whom |
//! | `clock` | the time of a call |
//! | `line_transport` | what is done with each message |
//! | `decode`, `oversized` | one message: which kind it is, and whose |
//! | `call_slot` | what a request and the transport share |
//! | `line_reader`, `line_writer` | lines within bounds |
//! | `message_source` | what messages come from: lines, or answers over HTTP |
//! | `http_link` | each message of ours as a request of HTTP, and its answer |
//! | `http_site`, `http_stream` | a server at a URL: its session, and the streams of it |
//! | `http_message`, `http_answer`, `http_fault` | header fields; what comes; what goes wrong |
//! | `process`, `supervisor`, `program`, `environment` | start and end of a process, and what it gets |
//! | `list_changes` | what a server of the newest revision tells only those who ask |
//! | `error_output`, `pace` | what it says besides goes into our log |
//!
//! The protocol library runs the loop that answers requests of the server, gives ids and introduces us. The
//! transport is ours: the library's reads results into trees, drops long lines without telling the call
//! that waits for them, and makes a task of each notification.
//!
//! **Invariant:** whatever a server sends, memory is bounded by [`LinkLimits`], a call ends within its
//! time, and no other call is hurt.

mod call_slot;
mod clock;
mod content_requests;
mod decode;
mod environment;
mod error;
mod error_output;
mod handler;
mod http_answer;
mod http_fault;
mod http_link;
mod http_message;
mod http_site;
mod http_stream;
mod line_reader;
mod line_transport;
mod line_writer;
mod link;
mod message_source;
mod news;
mod oversized;
mod pace;
mod pages;
mod process;
mod process_end;
mod program;
mod questions;
mod requests;
mod restart;
mod session;
mod settings;
mod subscriptions;
mod supervisor;

pub(crate) use self::supervisor::{child_of, supervise};
pub use self::{
    call_slot::RawResult,
    clock::{CallClock, StoppedClock},
    content_requests::{CompletionPlace, CompletionQuestion},
    decode::ServerProgress,
    environment::INHERITED,
    error::{CredentialRefusal, RpcFailure, ServerError, ServerFault},
    link::{LinkState, ServerLink},
    news::{ListChanges, ResourceSubscription, UpdateListener},
    pages::{PageListener, PageVisit},
    process_end::ProcessEnd,
    questions::{AskedQuestion, CallerPlace, QuestionKind, QuestionRefusal},
    requests::{InputAnswers, ServerList, ToolAnswer, ToolCall},
    session::ProgressListener,
    settings::{
        ClientOffer, HttpSettings, LinkLimits, LinkPlace, LinkSettings, ProcessSettings, ServerEra,
    },
};
