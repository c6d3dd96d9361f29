//! What every simulated API shares: the server loop, request bodies and their recording,
//! answers, path patterns, dates, and a small deterministic generator.
//!
//! **Invariant:** nothing here names a product, and nothing here panics on bytes that came
//! from the network.

mod body;
mod date;
mod encoding;
mod generator;
mod listen;
mod pattern;
mod recorder;
mod reply;
mod running;

pub(crate) use self::body::{BodyError, RequestBody};
pub(crate) use self::date::{SimulatedDate, now_millis};
pub(crate) use self::encoding::{base64_decode, percent_decode};
pub(crate) use self::generator::{SeededGenerator, fingerprint};
pub(crate) use self::listen::{HttpService, Server, ServiceRequest};
pub(crate) use self::pattern::{QueryParams, RoutePattern};
pub use self::recorder::RecordedRequest;
pub(crate) use self::recorder::RequestRecorder;
pub(crate) use self::reply::{HttpReply, ReplyBody};
pub(crate) use self::running::RunningService;
