//! One plain JSON answer where a stream of events would hold nothing else.
//!
//! A client before 2026-07-28 takes either (streamable HTTP, "Sending messages to the server"), and the
//! protocol library always gives a stream. Its events are looked at before it begins: when the first one is
//! the answer, that is all there is to send. Whatever else comes first, a notification or a question, opens
//! the stream, and so does an answer that takes long: a client that loses its connection then goes on
//! reading behind the last event that it has seen.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use http::request::Parts;
use rmcp::{
    model::{ClientJsonRpcMessage, GetExtensions as _, JsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::session::ServerSseMessage,
};
use tokio::time::Instant;

use super::kept_timer::SharedTimer;

/// How long an answer may take that comes without a stream.
const WITHIN: Duration = Duration::from_secs(1);

/// Where the answer to a request is put that needs no stream; a clone is the same place.
#[derive(Debug, Clone, Default)]
pub(super) struct PlainAnswer {
    place: Arc<OnceLock<Arc<ServerJsonRpcMessage>>>,
    /// The timer of the connection, which has one request at a time.
    timer: SharedTimer,
}

impl PlainAnswer {
    /// Makes a place for the answer to a request that came on a connection which has this timer.
    pub(super) fn new(timer: SharedTimer) -> Self {
        Self { place: Arc::default(), timer }
    }

    /// Returns the place for the answer to a request, where its client takes a plain one.
    pub(super) fn wanted(message: &ClientJsonRpcMessage) -> Option<Self> {
        let JsonRpcMessage::Request(request) = message else { return None };
        request.request.extensions().get::<Parts>()?.extensions.get::<Self>().cloned()
    }

    /// Returns the answer, if it needs no stream.
    pub(super) fn get(&self) -> Option<&ServerJsonRpcMessage> {
        self.place.get().map(|message| &**message)
    }
}

/// Waits for the first of the events that answer a request. An answer that needs no stream is put where it is
/// `wanted`; else these are the events.
pub(super) async fn settled(
    events: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static,
    wanted: Option<PlainAnswer>,
) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
    let mut events = Box::pin(events);
    let mut seen = Vec::new();
    if let Some(PlainAnswer { place, timer }) = wanted {
        let first = async {
            while let Some(event) = events.next().await {
                let message = event.message.clone();
                seen.push(event);
                // An event without a message says from where on a stream can be read again.
                if message.is_some() {
                    return message;
                }
            }
            None
        };
        let first = tokio::select! {
            biased;
            first = first => first,
            () = timer.until(Instant::now() + WITHIN) => None,
        };
        if let Some(answer) = first
            && matches!(&*answer, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))
        {
            seen.clear();
            // There is one answer to a request.
            let _ = place.set(answer);
        }
    }
    stream::iter(seen).chain(events)
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ErrorData, ServerNotification, ToolListChangedNotification};

    use super::*;

    fn answer() -> ServerSseMessage {
        let error = ErrorData::internal_error("the answer", None);
        ServerSseMessage::from_message(JsonRpcMessage::error(error, None))
    }

    fn notice() -> ServerSseMessage {
        let notice = ToolListChangedNotification::default();
        let notice = ServerNotification::ToolListChangedNotification(notice);
        ServerSseMessage::from_message(JsonRpcMessage::notification(notice))
    }

    fn priming() -> ServerSseMessage {
        ServerSseMessage::priming("0/0", Duration::from_secs(3))
    }

    /// Returns whether the answer is plain, and how many events there are.
    async fn shape(events: Vec<ServerSseMessage>) -> (bool, usize) {
        let place = PlainAnswer::default();
        let left = settled(stream::iter(events), Some(place.clone())).await;
        (place.get().is_some(), left.count().await)
    }

    #[tokio::test]
    async fn an_answer_that_comes_first_needs_no_stream() {
        assert_eq!(shape(vec![priming(), answer()]).await, (true, 0));
        assert_eq!(shape(vec![answer()]).await, (true, 0));
        assert_eq!(shape(vec![priming(), notice(), answer()]).await, (false, 3));
        assert_eq!(shape(vec![priming()]).await, (false, 1));
        assert_eq!(shape(Vec::new()).await, (false, 0));
        let kept = settled(stream::iter(vec![priming(), answer()]), None).await;
        assert_eq!(kept.count().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_long_comes_in_a_stream() {
        let late = stream::once(async {
            tokio::time::sleep(2 * WITHIN).await;
            answer()
        });
        let place = PlainAnswer::default();
        let left = settled(stream::iter([priming()]).chain(late), Some(place.clone())).await;
        assert!(place.get().is_none());
        assert_eq!(left.count().await, 2);
    }
}
