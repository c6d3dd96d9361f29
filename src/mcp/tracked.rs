//! The body of an answer, which knows when it has been sent.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};

use super::{
    connection_slots::{ConnectionPhase, ConnectionSlot},
    shutdown::{GracefulShutdown, UnderWay},
    silence::ServerTurn,
};

/// The last thing that a stream of events says.
const FAREWELL: &[u8] = b": the server is ending; connect again when it is back\n\n";

/// A body, and what lasts as long as it does.
pub(super) struct TrackedBody {
    body: BoxBody<Bytes, io::Error>,
    /// Ends a stream of events that has no end of its own.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    is_over: bool,
    place: Arc<ConnectionSlot>,
    _under_way: UnderWay,
    turn: Option<ServerTurn>,
}

impl TrackedBody {
    pub(super) fn new(
        body: BoxBody<Bytes, io::Error>,
        place: Arc<ConnectionSlot>,
        under_way: UnderWay,
    ) -> Self {
        Self { body, end: None, is_over: false, place, _under_way: under_way, turn: None }
    }

    /// Lets the turn of the server last until the answer is over.
    pub(super) fn during(mut self, turn: ServerTurn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// Ends the body when nothing new begins.
    pub(super) fn ending_with(mut self, ending: &GracefulShutdown) -> Self {
        let ending = ending.clone();
        self.end = Some(Box::pin(async move { ending.closing().await }));
        self
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            self.is_over = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(FAREWELL)))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.place.set(ConnectionPhase::Idle);
    }
}
