//! Reads the body of an answer: into memory, up to the bound of its backend, or into a file.

use bytes::{Bytes, BytesMut};
use dadl_text::growth;
use futures_util::{StreamExt as _, stream::BoxStream};
use http::HeaderMap;

use super::{CallError, result::DecodedAnswer, step::RequestStep, step_queue::YieldBudget};
use crate::outcome::AnswerPayload;

/// The body of an answer as it comes.
pub(super) type BodyPieces = BoxStream<'static, reqwest::Result<Bytes>>;

impl RequestStep<'_> {
    /// Saves an answer that was to be a value, or begins as one; `total` is its length, if it is known.
    pub(super) async fn keep(
        self,
        status: u16,
        headers: HeaderMap,
        body: BodyPieces,
        total: Option<u64>,
    ) -> Result<DecodedAnswer, CallError> {
        if !self.tool.response.redact.is_empty() {
            return Err(CallError::Redaction { request: self.request_line() });
        }
        let (name, content_type) = self.name_and_type(&headers);
        let incoming = self.incoming(&name, &content_type, total);
        let body = body.map(|piece| piece.map_err(std::io::Error::other));
        let file = self.executor.files.save(incoming, body, self.context.observer).await?;
        let payload = AnswerPayload::File(file);
        Ok(DecodedAnswer { status, headers, payload, size: 0, notes: Vec::new(), is_cut: false })
    }

    /// Reads a body up to the bound of its backend.
    pub(super) async fn read(self, response: reqwest::Response) -> Result<Bytes, CallError> {
        let announced = response.content_length().unwrap_or_default();
        if announced > self.backend.settings().max_response_bytes {
            return Err(self.too_large());
        }
        self.take_room(announced)?;
        let start = growth::buffer(usize::try_from(announced).unwrap_or_default());
        self.read_on(start, announced, response.bytes_stream()).await
    }

    /// Reads the rest of a body that begins with `start`, up to the bound of its backend; there is
    /// room for `taken` bytes of it.
    pub(super) async fn read_on(
        self,
        start: BytesMut,
        taken: u64,
        mut pieces: impl futures_util::Stream<Item = reqwest::Result<Bytes>> + Unpin,
    ) -> Result<Bytes, CallError> {
        match self.gather(start, taken, &mut pieces).await? {
            (body, None) => Ok(body.freeze()),
            (_, Some(_)) => Err(self.too_large()),
        }
    }

    /// Reads a body that begins with `start` to its end, or to the piece that is beyond the bound of
    /// its backend.
    pub(super) async fn gather(
        self,
        start: BytesMut,
        taken: u64,
        pieces: &mut (impl futures_util::Stream<Item = reqwest::Result<Bytes>> + Unpin),
    ) -> Result<(BytesMut, Option<Bytes>), CallError> {
        let limit = self.backend.settings().max_response_bytes;
        if start.len() as u64 > limit {
            return Err(self.too_large());
        }
        let mut body = start;
        let mut rest = YieldBudget::default();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.broken_off(&error))?;
            let size = (body.len() + piece.len()) as u64;
            if size > limit {
                return Ok((body, Some(piece)));
            }
            if size > taken {
                self.take_room(piece.len() as u64)?;
            }
            growth::append_bytes(&mut body, &piece);
            rest.after(piece.len()).await;
        }
        Ok((body, None))
    }
}
