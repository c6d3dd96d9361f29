//! A stream to which no secret is written.

use std::io::{self, Write};

use super::Secrets;

/// So much of a line waits for its end.
const LONGEST_LINE: usize = 1024 * 1024;

/// So much of a line that is longer stays: a secret may go on in the next part.
const KEPT: usize = 64 * 1024;

/// Masks what is written, line by line: a secret may come in pieces.
pub struct MaskedWriter<W: Write> {
    inner: W,
    secrets: Secrets,
    line: Vec<u8>,
}

impl<W: Write> MaskedWriter<W> {
    /// Writes to `inner` what is left.
    pub fn new(inner: W, secrets: Secrets) -> Self {
        Self { inner, secrets, line: Vec::new() }
    }

    /// Writes the first `count` bytes of what waits.
    fn pass(&mut self, count: usize) -> io::Result<()> {
        let rest = self.line.split_off(count.min(self.line.len()));
        let text = std::mem::replace(&mut self.line, rest);
        let clean = self.secrets.body(text.into());
        self.inner.write_all(&clean)
    }
}

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        let new = self.line.len() - bytes.len();
        let unseen = self.line.get(new..).unwrap_or_default();
        if let Some(end) = memchr::memrchr(b'\n', unseen) {
            self.pass(new + end + 1)?;
        } else if self.line.len() > LONGEST_LINE {
            // Masked before it is cut: what was masked is no longer there to be cut.
            let clean = self.secrets.body(std::mem::take(&mut self.line).into());
            self.line = clean.to_vec();
            let ready = self.line.len().saturating_sub(KEPT);
            let rest = self.line.split_off(ready);
            let ready = std::mem::replace(&mut self.line, rest);
            self.inner.write_all(&ready)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass(self.line.len())?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for MaskedWriter<W> {
    fn drop(&mut self) {
        // Nothing can be done when it fails.
        let _ = self.pass(self.line.len());
    }
}
