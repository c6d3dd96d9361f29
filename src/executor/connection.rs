//! An answer without an end that is read for as long as somebody wants it.
//!
//! Unlike a call, it holds no turn while it is open, and a pause between two items has no bound.

use std::time::Duration;

use bytes::Bytes;
use dadl_descriptor::model::{ResponseRules, Tool, json_path::PathError};
use futures_util::{StreamExt as _, stream::BoxStream};
use http::{HeaderName, HeaderValue, header};

use super::{
    CallError, Executor,
    error::media_type::page_advice,
    peek::{check_encoding, header_text},
    result::CallFilters,
    rpc,
    send::{rejected_error, retry_rules},
    step::{timed_out, to_usize},
};
use crate::{
    call::CallPlan,
    catalog::BackendId,
    http::backend::{Backend, HttpExchange},
    outcome::{JsonText, chain},
    response::{
        decode::BodyType,
        decode_error::DecodeError,
        media,
        shape::{self, ShapeError},
        stream_collector::{EndOfList, StreamCollector},
    },
    shares::ClientKey,
    worker::FilterError,
};

/// One item may have so many bytes.
const MOST_ITEM_BYTES: u64 = 1024 * 1024;

/// What a client sends that comes back (HTML Living Standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A stream that is being read.
pub(crate) struct StreamConnection {
    pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    collector: StreamCollector,
    most_bytes: u64,
    hides: bool,
}

/// Why a stream gives no more items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenStream {
    /// A part of a sentence.
    pub(crate) reason: String,
    /// Whether the server ended a list of lines, which is then whole.
    pub(crate) is_end: bool,
}

/// Why no items can be made of what came; a part of a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ItemError {
    /// The caller: its jq program gives none, or is none.
    #[error("the jq filter {0}")]
    Jq(FilterError),
    /// The remote or the author: `result_path` selects nothing.
    #[error("there is nothing at {0}")]
    NothingAt(String),
    /// The remote or the author: what a path selects cannot be found within bounds.
    #[error("`{key}` ({path}) cannot be followed: {error}")]
    Path {
        /// The key of the descriptor.
        key: &'static str,
        /// The path, or all of them.
        path: String,
        /// Which bound was hit.
        error: PathError,
    },
    /// The operator: too many answers are being read at once.
    #[error("there is no room for it")]
    Room,
    /// The author or the remote: the descriptor's jq program does not fit what came.
    #[error("the descriptor's `transform` {0}")]
    Transform(FilterError),
}

impl StreamConnection {
    /// Waits for the next items, which come as an array. Nothing is lost when the future is
    /// dropped.
    pub(crate) async fn next(&mut self) -> Result<JsonText, BrokenStream> {
        loop {
            if let Some(items) = self.collector.take() {
                return Ok(items);
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => {
                    self.collector.push(&piece).map_err(|error| self.undecodable(error))?;
                    if self.collector.is_over() || self.collector.size() as u64 > self.most_bytes {
                        return Err(broken(format!(
                            "an item is larger than {} bytes",
                            self.most_bytes
                        )));
                    }
                }
                Some(Err(error)) => {
                    return Err(broken(format!("the connection broke off: {}", chain(&error))));
                }
                None => {
                    let end = self.collector.end_of_list();
                    if let Some(items) = self.collector.take() {
                        return Ok(items);
                    }
                    // The line that breaks off is not quoted: half of a secret cannot be masked.
                    if !matches!(end, Ok(EndOfList::Whole | EndOfList::Unterminated)) {
                        return Err(broken("the server ended it within an item".to_owned()));
                    }
                    let reason = "the server ended the stream".to_owned();
                    return Err(BrokenStream { reason, is_end: !self.collector.reads_events() });
                }
            }
        }
    }

    /// Returns the last identifier that the server gave.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.collector.decoder()?.last_id()
    }

    /// Returns how long the server asks to wait before the next connection.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.collector.decoder()?.retry().map(Duration::from_millis)
    }

    fn undecodable(&self, error: DecodeError) -> BrokenStream {
        // What a tool hides must not show in a reason either.
        broken(if self.hides {
            format!("it is no valid {}", error.expected)
        } else {
            error.to_string()
        })
    }
}

fn broken(reason: String) -> BrokenStream {
    BrokenStream { reason, is_end: false }
}

impl Executor {
    /// Sends the request of a stream, whose answer nobody has read yet.
    ///
    /// # Errors
    ///
    /// Those of a call, and [`CallError::NoStream`].
    pub(crate) async fn connect(
        &self,
        backend: BackendId,
        tool: &Tool,
        plan: &CallPlan,
        client: &ClientKey,
        last_id: Option<&str>,
    ) -> Result<StreamConnection, CallError> {
        let position = backend.0;
        let backend = self.api(backend).ok_or_else(|| CallError::Settings {
            message: "the backend of the stream is not configured".to_owned(),
        })?;
        let bound = backend.settings().timeouts.call;
        let connected = async {
            let _turns = self.bounds.turns(position, client).await?;
            self.begin(backend, tool, plan, last_id).await
        };
        let timed_out = |_| timed_out(backend, plan);
        let connected = tokio::time::timeout(bound, connected).await.map_err(timed_out)?;
        connected.map_err(|error| error.of_write_of(tool))
    }

    async fn begin(
        &self,
        backend: &Backend,
        tool: &Tool,
        plan: &CallPlan,
        last_id: Option<&str>,
    ) -> Result<StreamConnection, CallError> {
        let mut plan = self.numbered(plan.clone());
        // An identifier that no field can hold came from the server, which cannot get it back.
        if let Some(Ok(id)) = last_id.map(HeaderValue::from_str) {
            plan.headers.push((LAST_EVENT_ID, id));
        }
        let exchange = backend.send_for_stream(&plan, retry_rules(tool), &self.files).await?;
        if !exchange.response.status().is_success() {
            return Err(rejected_error(backend, tool, &plan, exchange).await);
        }
        let HttpExchange { response, .. } = exchange;
        check_encoding(backend, &response, || backend.request_line(&plan))?;
        let content_type = header_text(response.headers(), &header::CONTENT_TYPE);
        let kind = BodyType::of(content_type);
        let most_bytes = backend.settings().max_response_bytes.min(MOST_ITEM_BYTES);
        let hides = !tool.response.redact.is_empty();
        if let Some(sent) = rpc::rpc_call(tool.rpc(), &plan)
            && !matches!(kind, BodyType::Binary | BodyType::EventStream)
        {
            let pieces = response.bytes_stream().boxed();
            let pieces = self.rpc_lines(backend, tool, &plan, sent, pieces).await?;
            let collector = StreamCollector::lines(None, backend.secrets());
            return Ok(StreamConnection { collector, most_bytes, hides, pieces });
        }
        let collector = match kind {
            BodyType::EventStream => StreamCollector::events(None, backend.secrets()),
            BodyType::Ndjson => StreamCollector::lines(None, backend.secrets()),
            _ => {
                let advice =
                    media::is_page_type(content_type).then(|| page_advice(backend.missing_path()));
                let content_type = content_type.unwrap_or("not given");
                let content_type = backend.secrets().text(content_type).into_owned();
                let request = backend.request_line(&plan);
                return Err(CallError::NoStream { request, content_type, advice });
            }
        };
        let collector = collector.within(most_bytes);
        Ok(StreamConnection {
            collector,
            most_bytes,
            hides,
            pieces: response.bytes_stream().boxed(),
        })
    }

    /// Takes items through `result_path`, `transform`, `redact` and the caller's jq program, as a
    /// collected stream is; programs get the items that came together.
    ///
    /// # Errors
    ///
    /// [`ItemError`]; the items are lost.
    pub(crate) async fn shape_items(
        &self,
        items: JsonText,
        rules: &ResponseRules,
        jq: Option<&str>,
        client: &ClientKey,
    ) -> Result<Vec<String>, ItemError> {
        let rules = ResponseRules { max_items: None, ..rules.clone() };
        let failed = |error: ShapeError<FilterError>| match error {
            ShapeError::Jq(error) => ItemError::Jq(error),
            ShapeError::NothingAt(path) => ItemError::NothingAt(path),
            ShapeError::Path(key, path, error) => ItemError::Path { key, path, error },
            ShapeError::Room(_) => ItemError::Room,
            // jq quotes values in its messages, and these are not redacted yet.
            ShapeError::Transform(error) if !rules.redact.is_empty() => {
                ItemError::Transform(error.without_data())
            }
            ShapeError::Transform(error) => ItemError::Transform(error),
        };
        let most = 2 * to_usize(MOST_ITEM_BYTES);
        let selected =
            shape::select_path(items, rules.result_path.as_ref(), most).map_err(failed)?;
        let room = self.room(client);
        let filters = CallFilters { filters: &self.filters.of(client), room: &room };
        let shaped = shape::shape_result(selected, &rules, jq, &filters, most).await;
        let (text, _) = shaped.map_err(failed)?;
        match text.items() {
            Some(items) => Ok(items.map(str::to_owned).collect()),
            None => Ok(vec![text.into_string()]),
        }
    }

    /// Checks that a caller's jq program compiles.
    pub(crate) async fn check_jq(&self, jq: &str, client: &ClientKey) -> Result<(), ItemError> {
        self.filters.of(client).compile(jq).await.map_err(ItemError::Jq)
    }
}
