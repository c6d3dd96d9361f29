//! What a server writes on its standard error goes into our log, line by line.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use dadl_text::text;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::pace::{LinePace, LineTurn};
use crate::secrets::Secrets;

/// The rest of a longer line is left out, in bytes.
const LONGEST: usize = 4096;

/// So many lines a second are logged.
const MOST_LINES: u32 = 100;

/// So many lines are kept for those who ask why a server does not work.
const KEPT: usize = 20;

/// The last lines that a server wrote, without secrets; a clone has the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the last line that says something, within `most` characters.
    pub(super) fn last(&self, most: usize) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.iter().rev().find(|line| !line.trim().is_empty())?;
        Some(text::cut_text(&text::one_line(line), most).into_owned())
    }

    /// Returns all that are kept, the newest last.
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Logs lines until the stream ends.
pub(super) async fn log_lines(
    stream: impl AsyncRead + Unpin,
    backend: &str,
    secrets: &Secrets,
    lines: &LastLines,
) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut pace = LinePace::new(MOST_LINES, Instant::now());
    loop {
        let available = match stream.fill_buf().await {
            Ok(available) if !available.is_empty() => available,
            _ => break,
        };
        let end = memchr::memchr(b'\n', available);
        let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        let room = LONGEST.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(part.get(..room).unwrap_or_default());
        let taken = end.map_or(available.len(), |end| end + 1);
        stream.consume(taken);
        if end.is_some() {
            log_line(&line, backend, secrets, lines, &mut pace);
            line.clear();
        }
    }
    if !line.is_empty() {
        log_line(&line, backend, secrets, lines, &mut pace);
    }
    if pace.left_out() > 0 {
        tracing::info!(target: "server", backend, "{} lines left out", pace.left_out());
    }
}

fn log_line(line: &[u8], backend: &str, secrets: &Secrets, lines: &LastLines, pace: &mut LinePace) {
    let line = String::from_utf8_lossy(line);
    let line = secrets.text(line.trim_end()).into_owned();
    if let LineTurn::Log { left_out } = pace.take(Instant::now()) {
        if left_out > 0 {
            tracing::info!(target: "server", backend, "{left_out} lines left out");
        }
        tracing::info!(target: "server", backend, "{line}");
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;

    #[tokio::test]
    async fn the_last_lines_are_kept_bounded_and_without_secrets() {
        let secrets = Secrets::default();
        secrets.add("token", "s3cret-value");
        let lines = LastLines::default();
        let mut input: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        input.push_str(&"x".repeat(100_000));
        input.push_str("\nit is s3cret-value\n\nhalf");
        log_lines(input.as_bytes(), "x", &secrets, &lines).await;
        let all = lines.all();
        assert_eq!(all.len(), KEPT);
        assert_eq!(all[KEPT - 4].len(), LONGEST);
        assert_eq!(all[KEPT - 3], "it is [REDACTED]");
        assert_eq!(lines.last(100).as_deref(), Some("half"));
    }
}
