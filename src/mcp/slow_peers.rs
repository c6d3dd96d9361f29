//! A connection whose other end has to take what it asked for.
//!
//! Who is slow is served: what counts is that something goes on. A peer has [`PeerPace::patience`] in
//! hand, which silence uses up and every byte restores a little, so that a byte now and then is as
//! little use as none.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::silence::SilenceTimer;

/// How slow a peer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerPace {
    /// How long nothing at all may go on.
    pub(super) patience: Duration,
    /// Bytes a second, over longer times.
    pub(super) least: u32,
}

/// Waits for a peer.
#[derive(Debug)]
struct PaceTimer {
    pace: PeerPace,
    /// When the patience is over; `None` while nobody waits.
    end: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl PaceTimer {
    fn new(pace: PeerPace) -> Self {
        Self { pace, end: None, timer: None }
    }

    /// Notes that bytes have moved.
    fn moved(&mut self, bytes: usize) {
        if let Some(end) = self.end {
            let earned = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX)
                / self.pace.least.max(1);
            self.end = Some((end + earned).min(Instant::now() + self.pace.patience));
        }
    }

    /// Notes that there is nothing to wait for.
    fn rest(&mut self) {
        self.end = None;
    }

    /// Waits, once the other side has to do something; ready when the patience is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let end = *self.end.get_or_insert_with(|| Instant::now() + self.pace.patience);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }
}

/// The longest pause before a request that came before the answer to the one before it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether a client waits for its answers. One that does not would have the server answer as fast
/// as it can, beside others who wait; it lets them go first, and pauses for longer and longer.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientHaste {
    /// Everything that has come was read since the last request began.
    waited: Arc<AtomicBool>,
    /// How many requests in a row did not wait.
    hasty: Arc<AtomicU32>,
}

impl ClientHaste {
    /// Called when a request begins; returns how long it has to pause, and `None` when it is not
    /// hasty.
    pub(super) fn pause(&self) -> Option<Duration> {
        if self.waited.swap(false, Ordering::Relaxed) {
            self.hasty.store(0, Ordering::Relaxed);
            return None;
        }
        let hasty = self.hasty.fetch_add(1, Ordering::Relaxed);
        // The first request may have come with the connection, and a few are nobody's burden.
        Some(match hasty.saturating_sub(8) {
            0 => Duration::ZERO,
            many => (Duration::from_millis(1) * (1 << many.min(10))).min(LONGEST_PAUSE),
        })
    }
}

/// A stream of bytes that fails when the peer does not take what is written, or does not say what it begins.
#[derive(Debug)]
pub(super) struct GuardedStream<S> {
    inner: S,
    writing: PaceTimer,
    reading: SilenceTimer,
    haste: ClientHaste,
}

impl<S> GuardedStream<S> {
    pub(super) fn new(inner: S, pace: PeerPace, reading: SilenceTimer, haste: ClientHaste) -> Self {
        Self { inner, writing: PaceTimer::new(pace), reading, haste }
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.writing.moved(bytes);
                self.reading.went();
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(failed) => Poll::Ready(failed),
            Poll::Pending => self.writing.poll(context).map(Err),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Pending => {
                self.haste.waited.store(true, Ordering::Relaxed);
                self.reading.poll(context).map(Err)
            }
            read => {
                if buffer.filled().len() > before {
                    self.reading.came();
                }
                read
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Called when all that there was is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        self.writing.rest();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// A body that fails when its sender is too slow.
#[derive(Debug)]
pub(super) struct PacedBody<B> {
    body: B,
    is_over: bool,
    reading: PaceTimer,
}

impl<B> PacedBody<B> {
    pub(super) fn new(body: B, pace: PeerPace) -> Self {
        Self { body, is_over: false, reading: PaceTimer::new(pace) }
    }
}

impl<B, E> Stream for PacedBody<B>
where
    B: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_next(context) {
            Poll::Ready(Some(Ok(piece))) => {
                self.reading.moved(piece.len());
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let late = ready!(self.reading.poll(context));
                self.is_over = true;
                Poll::Ready(Some(Err(late)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::{
        super::silence::{ConnectionTurns, SilenceBounds},
        *,
    };

    const PACE: PeerPace = PeerPace { patience: Duration::from_secs(60), least: 100 };

    fn guarded(stream: DuplexStream, pace: PeerPace) -> GuardedStream<DuplexStream> {
        let bounds = SilenceBounds { silence: pace.patience, head: pace.patience };
        let silence = SilenceTimer::new(ConnectionTurns::default(), bounds);
        GuardedStream::new(stream, pace, silence, ClientHaste::default())
    }

    /// Lets a peer take `bytes` every `pause` and returns after how many seconds it is given up.
    async fn given_up(bytes: usize, pause: u64) -> Option<u64> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut guarded = guarded(ours, PACE);
        let start = Instant::now();
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            loop {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                if theirs.read_exact(&mut buffer).await.is_err() {
                    return;
                }
            }
        });
        let body = vec![0; 20_000];
        let written = guarded.write_all(&body).await;
        reading.abort();
        let error = written.err()?;
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        Some(start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        assert_eq!(given_up(64, 1000).await, Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_as_little_use_as_none() {
        let after = given_up(1, 10).await.unwrap();
        assert!((60..90).contains(&after), "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_gets_everything() {
        assert_eq!(given_up(64, 1).await.is_none(), 64 >= PACE.least);
        let fast = PeerPace { least: 50, ..PACE };
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut guarded = guarded(ours, fast);
        let reading = tokio::spawn(async move {
            let (mut buffer, mut all) = (vec![0; 64], 0);
            while let Ok(count @ 1..) = theirs.read(&mut buffer).await {
                all += count;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            all
        });
        guarded.write_all(&vec![0; 20_000]).await.unwrap();
        guarded.flush().await.unwrap();
        // Silence when there is nothing to take costs nothing.
        tokio::time::sleep(Duration::from_secs(7200)).await;
        guarded.write_all(&[0; 100]).await.unwrap();
        drop(guarded);
        assert_eq!(reading.await.unwrap(), 20_100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        use futures_util::StreamExt as _;
        let trickle = |bytes: usize| {
            let pieces = futures_util::stream::unfold(0, move |count| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                (count < 300).then(|| (Ok::<_, io::Error>(Bytes::from(vec![0; bytes])), count + 1))
            });
            PacedBody::new(Box::pin(pieces), PACE).collect::<Vec<_>>()
        };
        assert!(trickle(1).await.iter().any(Result::is_err));
        assert!(trickle(200).await.iter().all(Result::is_ok));
    }

    #[test]
    fn who_does_not_wait_for_answers_waits_for_longer_and_longer() {
        let haste = ClientHaste::default();
        let pauses: Vec<u128> = (0..30).map(|_| haste.pause().unwrap().as_millis()).collect();
        assert_eq!(pauses[..9], [0; 9]);
        assert_eq!(pauses[9..12], [2, 4, 8]);
        assert_eq!(pauses[29], 1000);
        haste.waited.store(true, Ordering::Relaxed);
        assert_eq!((haste.pause(), haste.pause()), (None, Some(Duration::ZERO)));
    }
}
