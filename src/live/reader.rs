//! Reads a stream for as long as it lasts, and opens it again when it breaks off.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::json;
use tokio::{sync::Notify, time::Instant};

use super::source::{ConnectedStream, StreamError, StreamSource};
use crate::{
    http::retry::unit_interval,
    outcome::{JsonText, timestamp},
};

/// The pause before the first attempt to connect again, unless the server says otherwise.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The pauses grow up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What a server may ask for is not less than this: it must not make a client spin.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// A connection that lasted this long was a good one: the pauses begin anew.
const LASTING: Duration = Duration::from_secs(10);

/// A time during which changes may have been missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamGap {
    /// Why the stream broke off.
    pub(super) reason: String,
    /// When.
    pub(super) since: SystemTime,
}

impl StreamGap {
    pub(super) fn now(reason: String) -> Self {
        Self { reason, since: SystemTime::now() }
    }

    /// Returns the item that stands in the place of what may be missing.
    pub(super) fn to_json(&self) -> String {
        let since = timestamp::rfc3339(self.since);
        json!({ "gap": { "reason": self.reason, "since": since } }).to_string()
    }
}

/// Takes what a stream gives.
pub(super) trait StreamSink: Send + Sync + 'static {
    /// Takes items, which come as an array.
    fn items(&self, items: JsonText) -> impl Future<Output = ()> + Send;
    /// The stream broke off, and is opened again.
    fn interrupted(&self, reason: &str);
    /// The stream is open again; called before its items.
    fn resumed(&self, gap: &StreamGap);
    /// A collection was added to the stream, or cannot be.
    fn subscribed(&self, collection: &str, outcome: Result<(), &StreamError>);
    /// There will be no more items.
    fn ended(&self, reason: &str);
}

/// The collections that a stream is to carry; some may be added while it is open.
#[derive(Debug, Default)]
pub(super) struct WantedCollections {
    names: Mutex<Vec<String>>,
    added: Notify,
}

impl WantedCollections {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names: Mutex::new(names), added: Notify::new() }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a collection; the reader subscribes to it.
    pub(super) fn add(&self, collection: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|name| name == collection) {
            names.push(collection.to_owned());
        }
        drop(names);
        self.added.notify_one();
    }

    /// Takes a collection out: the next connection is without it.
    pub(super) fn remove(&self, collection: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| name != collection);
    }
}

/// Reads one stream into one sink.
pub(super) struct StreamReader<S> {
    pub(super) source: StreamSource,
    pub(super) wanted: Arc<WantedCollections>,
    pub(super) sink: Arc<S>,
}

/// The pauses between attempts.
struct ReconnectPauses {
    first: Duration,
    attempts: u32,
}

impl ReconnectPauses {
    /// Returns the next pause: the pauses double, and vary so that clients do not come all at once.
    fn next(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        let pause = self.first.saturating_mul(factor).min(LONGEST_PAUSE);
        pause.mul_f64(1.0 - unit_interval() / 4.0)
    }
}

impl<S: StreamSink> StreamReader<S> {
    /// Reads `connected`, or connects first, until the stream has an end.
    pub(super) async fn run(self, connected: Option<ConnectedStream>) {
        let mut next = connected;
        let mut pauses = ReconnectPauses { first: FIRST_PAUSE, attempts: 0 };
        let mut gap: Option<StreamGap> = None;
        let mut last_id: Option<String> = None;
        loop {
            let wanted = self.wanted.names();
            let mut connected = match next.take() {
                Some(connected) => connected,
                None => match self.source.connect(last_id.as_deref(), &wanted).await {
                    Ok(connected) => connected,
                    Err(error) if error.is_final() => return self.sink.ended(&error.to_string()),
                    Err(error) => {
                        let reason = error.to_string();
                        self.sink.interrupted(&reason);
                        gap.get_or_insert_with(|| StreamGap::now(reason));
                        tokio::time::sleep(pauses.next()).await;
                        continue;
                    }
                },
            };
            if let Some(gap) = gap.take() {
                self.sink.resumed(&gap);
            }
            for name in &wanted {
                self.sink.subscribed(name, Ok(()));
            }
            let since = Instant::now();
            let (reason, is_end) = self.read(&mut connected, wanted).await;
            if is_end {
                return self.sink.ended(&reason);
            }
            if !self.source.may_repeat() {
                let reason =
                    format!("{reason}; it is not opened again, as the call does something");
                return self.sink.ended(&reason);
            }
            if since.elapsed() >= LASTING {
                pauses.attempts = 0;
            }
            if let Some(id) = connected.connection.last_id() {
                last_id = Some(id.to_owned());
            }
            if let Some(retry) = connected.connection.retry() {
                pauses.first = retry.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            }
            drop(connected);
            tracing::debug!(reason, "a stream broke off");
            self.sink.interrupted(&reason);
            gap = Some(StreamGap::now(reason));
            tokio::time::sleep(pauses.next()).await;
        }
    }

    /// Reads until the connection breaks off; returns why, and whether that is the end.
    async fn read(
        &self,
        connected: &mut ConnectedStream,
        mut subscribed: Vec<String>,
    ) -> (String, bool) {
        for items in std::mem::take(&mut connected.first) {
            self.sink.items(items).await;
        }
        let silence = self.source.events().and_then(|events| events.silence);
        let mut heard = Instant::now();
        loop {
            let silent = async {
                match silence {
                    Some(silence) => tokio::time::sleep_until(heard + silence).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                items = connected.connection.next() => match items {
                    Ok(items) => {
                        heard = Instant::now();
                        self.sink.items(items).await;
                    }
                    Err(broken) => return (broken.reason, broken.is_end),
                },
                () = silent => {
                    let seconds = silence.unwrap_or_default().as_secs_f64();
                    return (format!("the server was silent for {seconds} s"), false);
                }
                () = self.wanted.added.notified() => {
                    if let Err(error) = self.add(connected.id.as_deref(), &mut subscribed).await {
                        return (error.to_string(), false);
                    }
                }
            }
        }
    }

    /// Adds the collections that are wanted since the stream was opened.
    async fn add(
        &self,
        stream: Option<&str>,
        subscribed: &mut Vec<String>,
    ) -> Result<(), StreamError> {
        for name in self.wanted.names() {
            if subscribed.contains(&name) {
                self.sink.subscribed(&name, Ok(()));
                continue;
            }
            match self.source.subscribe(stream, &name).await {
                Ok(()) => {
                    self.sink.subscribed(&name, Ok(()));
                    subscribed.push(name);
                }
                Err(error) if error.is_final() => {
                    self.wanted.remove(&name);
                    self.sink.subscribed(&name, Err(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_vary() {
        let mut pauses = ReconnectPauses { first: Duration::from_secs(1), attempts: 0 };
        for most in [1, 2, 4, 8, 16, 30, 30, 30] {
            let (pause, most) = (pauses.next(), Duration::from_secs(most));
            assert!(pause <= most && pause >= most.mul_f64(0.74), "{pause:?} {most:?}");
        }
        pauses.attempts = u32::MAX;
        assert!(pauses.next() <= LONGEST_PAUSE);
    }

    #[test]
    fn a_gap_is_an_item() {
        let gap = StreamGap { reason: "gone \"now\"".to_owned(), since: SystemTime::UNIX_EPOCH };
        let expected = r#"{"gap":{"reason":"gone \"now\"","since":"1970-01-01T00:00:00Z"}}"#;
        assert_eq!(gap.to_json(), expected);
    }
}
