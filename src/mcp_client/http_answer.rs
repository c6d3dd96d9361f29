//! What a server answers over HTTP, message by message: one of JSON, or server-sent events.

use std::time::Duration;

use bytes::Bytes;
use dadl_text::growth;
use futures_util::{StreamExt as _, stream::BoxStream};
use http::header;

use super::{error::ServerFault, line_reader::has_room};
use crate::{
    http::backend::HttpExchange,
    outcome::chain,
    response::event_stream::EventDecoder,
    shares::{BudgetShare, ClientKey, SharedBudget},
};

/// How much is read behind an answer, so that its connection can be used again.
const REST_BYTES: usize = 64 * 1024;

/// And for how long.
const REST_TIME: Duration = Duration::from_secs(1);

/// What is known of a type of content, at most, in bytes.
const LONGEST_TYPE: usize = 100;

/// What answers may take.
#[derive(Clone)]
pub(super) struct AnswerBounds {
    /// The largest message, in bytes.
    pub most: u64,
    /// What all share.
    pub room: SharedBudget,
    /// How much that is, in bytes.
    pub total: u64,
}

/// Where a stream of events has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EventCursor {
    /// The last identifier that the server gave.
    pub last_id: Option<String>,
    /// How long it asks to wait before the next connection.
    pub retry: Option<Duration>,
}

/// What comes next.
pub(super) enum AnswerPart {
    /// Where messages go, by a server of the older transport.
    Endpoint(String),
    /// A message, and the memory that it takes.
    Message(Vec<u8>, BudgetShare),
    /// Nothing; a part of a sentence says why, where that is no end in order.
    End(Option<String>),
}

/// Reads an answer.
pub(super) struct AnswerReader {
    pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    format: AnswerFormat,
    memory: BudgetShare,
    bounds: AnswerBounds,
    cursor: EventCursor,
}

enum AnswerFormat {
    Events(EventDecoder),
    Json(Vec<u8>),
}

impl AnswerReader {
    /// Reads an answer of success. A stream of events goes on from `cursor`.
    ///
    /// # Errors
    ///
    /// It is of another type.
    pub(super) fn new(
        exchange: HttpExchange,
        bounds: &AnswerBounds,
        cursor: EventCursor,
    ) -> Result<Self, ServerFault> {
        let content_type = exchange.response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let format = match essence.to_ascii_lowercase().as_str() {
            "text/event-stream" => AnswerFormat::Events(EventDecoder::default()),
            "application/json" => AnswerFormat::Json(Vec::new()),
            _ => {
                let content_type = essence.get(..LONGEST_TYPE).unwrap_or(essence).to_owned();
                return Err(ServerFault::OtherContent { content_type });
            }
        };
        let memory = bounds.room.nothing(&ClientKey::only());
        let pieces = exchange.response.bytes_stream().boxed();
        Ok(Self { pieces, format, memory, bounds: bounds.clone(), cursor })
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// It is larger than the bounds.
    pub(super) async fn next(&mut self) -> Result<AnswerPart, ServerFault> {
        loop {
            if let AnswerFormat::Events(decoder) = &mut self.format {
                while let Some(event) = decoder.next_event() {
                    if event.event == "endpoint" {
                        return Ok(AnswerPart::Endpoint(event.data));
                    }
                    if !event.data.trim().is_empty() {
                        let memory = self.take_memory();
                        return Ok(AnswerPart::Message(event.data.into_bytes(), memory));
                    }
                }
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => self.push(&piece)?,
                Some(Err(error)) => return Ok(AnswerPart::End(Some(chain(&error)))),
                None => return Ok(self.end()),
            }
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), ServerFault> {
        let length = match &mut self.format {
            AnswerFormat::Events(decoder) => {
                decoder.push(piece);
                if let Some(id) = decoder.last_id() {
                    id.clone_into(self.cursor.last_id.get_or_insert_default());
                }
                if let Some(retry) = decoder.retry() {
                    self.cursor.retry = Some(Duration::from_millis(retry));
                }
                decoder.pending()
            }
            AnswerFormat::Json(body) => {
                growth::append_to(body, piece);
                body.len()
            }
        } as u64;
        if length > self.bounds.most {
            Err(ServerFault::TooLarge { limit: self.bounds.most })
        } else if has_room(&mut self.memory, length) {
            Ok(())
        } else {
            Err(ServerFault::NoRoom(self.bounds.total))
        }
    }

    fn end(&mut self) -> AnswerPart {
        match &mut self.format {
            AnswerFormat::Json(body) if !body.trim_ascii().is_empty() => {
                let body = std::mem::take(body);
                AnswerPart::Message(body, self.take_memory())
            }
            AnswerFormat::Json(_) | AnswerFormat::Events(_) => AnswerPart::End(None),
        }
    }

    /// What comes after the message that is given away counts anew.
    fn take_memory(&mut self) -> BudgetShare {
        let nothing = self.bounds.room.nothing(&ClientKey::only());
        std::mem::replace(&mut self.memory, nothing)
    }

    /// Returns where a stream of events has come to.
    pub(super) fn cursor(&self) -> &EventCursor {
        &self.cursor
    }

    /// Returns whether it is a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.format, AnswerFormat::Events(_))
    }

    /// Reads what is left, so that the connection can be used again; not for long.
    pub(super) async fn finish(mut self) {
        let rest = async {
            let mut length = 0;
            while let Some(Ok(piece)) = self.pieces.next().await {
                length += piece.len();
                if length > REST_BYTES {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(REST_TIME, rest).await;
    }
}
