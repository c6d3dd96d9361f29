//! How a server ends: nothing new begins, what ends within the grace time is finished, the rest is
//! answered.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the answers that are on their way may hold up the end.
pub(super) const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long a call has for its last words, such as the handle of its task.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The state of the end; a clone is the same.
#[derive(Debug, Clone)]
pub(super) struct GracefulShutdown {
    inner: Arc<ShutdownState>,
}

#[derive(Debug)]
struct ShutdownState {
    /// Nothing new begins.
    closing: CancellationToken,
    /// What still runs is stopped.
    leaving: CancellationToken,
    under_way: watch::Sender<usize>,
    /// The end of the whole, of which this is a part.
    whole: Option<GracefulShutdown>,
}

/// Something that a server which ends waits for.
#[derive(Debug)]
pub(super) struct UnderWay {
    state: Arc<ShutdownState>,
    /// The same for the whole.
    _of_whole: Option<Box<Self>>,
}

/// Why a call has no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    Cancelled,
    Ending,
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cancelled => "the call was cancelled",
            Self::Ending => ENDING,
        })
    }
}

/// What is said to those who are not served to the end.
pub(super) const ENDING: &str = "the server is ending, and the call was stopped before its answer \
                                 came; what it asked for may have been done: look before you call \
                                 again";
/// What is said to those who come too late.
pub(super) const TOO_LATE: &str =
    "the server is ending, and nothing was sent; call again when it is back";
/// Why streams end.
pub(super) const STREAM_ENDING: &str = "the server is ending; open it again when it is back";

impl GracefulShutdown {
    /// The end begins when `shutdown` is cancelled.
    pub(super) fn new(shutdown: &CancellationToken) -> Self {
        let inner = ShutdownState {
            closing: shutdown.child_token(),
            leaving: CancellationToken::new(),
            under_way: watch::Sender::new(0),
            whole: None,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the end of a part, which may come before that of the whole, and comes with it.
    pub(super) fn child(&self) -> Self {
        let inner = ShutdownState {
            closing: self.inner.closing.child_token(),
            leaving: self.inner.leaving.child_token(),
            under_way: watch::Sender::new(0),
            whole: Some(self.clone()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins the end, and waits until nothing is under way any more; nothing is stopped.
    pub(super) async fn close(&self) {
        self.inner.closing.cancel();
        self.idle().await;
    }

    /// Returns whether nothing new begins.
    pub(super) fn is_closing(&self) -> bool {
        self.inner.closing.is_cancelled()
    }

    /// Waits until nothing new begins.
    pub(super) async fn closing(&self) {
        self.inner.closing.cancelled().await;
    }

    /// Returns what is cancelled when calls are stopped.
    pub(super) fn token(&self) -> CancellationToken {
        self.inner.leaving.clone()
    }

    /// Waits until calls are stopped, and had their last words.
    pub(super) async fn left(&self) {
        self.inner.leaving.cancelled().await;
        tokio::time::sleep(LAST_MOMENT).await;
    }

    /// Waits until calls are stopped.
    pub(super) async fn leaving(&self) {
        self.inner.leaving.cancelled().await;
    }

    /// Notes that something begins that the end waits for.
    pub(super) fn begin(&self) -> UnderWay {
        self.inner.under_way.send_modify(|count| *count += 1);
        let of_whole = self.inner.whole.as_ref().map(|whole| Box::new(whole.begin()));
        UnderWay { state: Arc::clone(&self.inner), _of_whole: of_whole }
    }

    /// Stops calls: what began a task says so, and the rest is answered. Returns when all is answered, or
    /// when nobody waits any longer.
    pub(super) async fn stop(&self) {
        self.inner.leaving.cancel();
        let _ = tokio::time::timeout(LAST_ANSWERS, self.idle()).await;
    }

    /// Waits for the end: returns when all is answered, or when nobody waits any longer.
    pub(super) async fn run(&self, grace: Duration) {
        self.closing().await;
        if *self.inner.under_way.borrow() > 0 {
            let seconds = grace.as_secs_f64();
            tracing::info!("ending: what is under way has {seconds} s to be done");
        }
        let _ = tokio::time::timeout(grace, self.idle()).await;
        self.stop().await;
    }

    /// Returns whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        *self.inner.under_way.borrow() == 0
    }

    async fn idle(&self) {
        let mut count = self.inner.under_way.subscribe();
        // The sender lives as long as this.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.state.under_way.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_what_is_under_way_and_no_longer() {
        let grace = Duration::from_secs(10);
        for (takes, stopped, ended) in
            [(0, false, 0), (4, false, 4), (12, true, 12), (99, true, 15)]
        {
            let shutdown = CancellationToken::new();
            let ending = GracefulShutdown::new(&shutdown);
            let under_way = ending.begin();
            let done = tokio::spawn({
                let ending = ending.clone();
                async move { ending.run(grace).await }
            });
            tokio::task::yield_now().await;
            assert!(!ending.is_closing() && ending.closing().now_or_never().is_none());
            let start = Instant::now();
            shutdown.cancel();
            assert!(ending.is_closing());
            let token = ending.token();
            let work = async {
                tokio::time::sleep(Duration::from_secs(takes)).await;
                assert_eq!(token.is_cancelled(), stopped);
                drop(under_way);
            };
            let (done, ()) = tokio::join!(
                async {
                    done.await.unwrap();
                    start.elapsed().as_secs()
                },
                work
            );
            assert_eq!(done, ended);
        }
    }
}
