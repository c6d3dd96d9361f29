//! Says how far a call is, and keeps hosts from giving up on a long one.
//!
//! [`run_reporting`] drives a call until it ends or nobody waits for it any more. When the client asked for
//! progress, what the call reports goes out at most twice a second, the last report always, and a
//! heartbeat every four seconds while there is no news, which repeats the last report. Values grow with each notification, as the
//! protocol demands, whatever the units of the reports are.

use std::{
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dadl_text::text;
use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::{sync::Notify, time::Instant};

use super::shutdown::{GracefulShutdown, StopReason};
use crate::outcome::{CallObserver, CallProgress};

/// The least time between two notifications.
const INTERVAL: Duration = Duration::from_millis(500);
/// The time without news after which a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How long a finished call waits for the notification that is on its way.
const LAST_SEND: Duration = Duration::from_millis(200);

/// Takes the reports of a call; only the newest is kept.
#[derive(Debug, Default)]
pub(super) struct ProgressReporter {
    newest: Mutex<Option<CallProgress>>,
    news: Notify,
}

impl ProgressReporter {
    fn take(&self) -> Option<CallProgress> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl CallObserver for ProgressReporter {
    fn progress(&self, progress: CallProgress) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        self.news.notify_one();
    }
}

/// Drives `call` to its end, unless the request is cancelled first or the server ends.
///
/// # Errors
///
/// Why the call was stopped.
pub(super) async fn run_reporting<T>(
    context: &RequestContext<RoleServer>,
    ending: &GracefulShutdown,
    reporter: &ProgressReporter,
    call: impl Future<Output = T>,
) -> Result<T, StopReason> {
    let Some(token) = context.meta.get_progress_token() else {
        return tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(StopReason::Cancelled),
            result = call => Ok(result),
            () = ending.left() => Err(StopReason::Ending),
        };
    };
    let mut left = pin!(ending.left());
    let mut call = pin!(call);
    let mut channel = ProgressChannel::new(context.peer.clone(), token);
    loop {
        let (wake, may_send) = (channel.next_wake(), channel.may_send());
        let is_sending = channel.sending.is_some();
        tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(StopReason::Cancelled),
            result = &mut call => {
                channel.finish(reporter).await;
                return Ok(result);
            }
            () = &mut left => return Err(StopReason::Ending),
            () = channel.sent(), if is_sending => {}
            () = reporter.news.notified(), if may_send => channel.report(reporter),
            // Also wakes when the interval since the last notification is over.
            () = tokio::time::sleep_until(wake) => channel.tick(reporter),
        }
    }
}

/// Sends the notifications of one call, one at a time.
struct ProgressChannel {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    started: Instant,
    /// When the last notification was sent.
    last: Option<Instant>,
    /// What the last notification said.
    value: f64,
    /// The last report: its total and its sentence.
    newest: Option<(Option<f64>, String)>,
    sending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl ProgressChannel {
    fn new(peer: Peer<RoleServer>, token: ProgressToken) -> Self {
        let started = Instant::now();
        Self { peer, token, started, last: None, value: 0.0, newest: None, sending: None }
    }

    /// Waits for the notification that is on its way.
    async fn sent(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.await;
        }
        self.sending = None;
    }

    /// Returns whether neither a notification is on its way nor the last one too recent.
    fn may_send(&self) -> bool {
        self.sending.is_none() && self.last.is_none_or(|last| last.elapsed() >= INTERVAL)
    }

    /// Returns when to look again without news: first when the interval ends, then for a heartbeat.
    fn next_wake(&self) -> Instant {
        match self.last {
            Some(last) if last.elapsed() < INTERVAL => last + INTERVAL,
            last => last.unwrap_or(self.started) + HEARTBEAT,
        }
    }

    /// Sends the newest report, if there is one.
    fn report(&mut self, reporter: &ProgressReporter) {
        if let Some(CallProgress { done, total, message }) = reporter.take() {
            // Reports are counts of bytes or seconds, far below the precision of the format.
            #[expect(clippy::cast_precision_loss, reason = "a progress bar needs no 53rd bit")]
            let (done, total) = (done as f64, total.map(|total| total as f64));
            self.newest = Some((total, message.clone()));
            self.send(done, total, message);
        }
    }

    /// Sends the newest report, or a heartbeat when it is time for one.
    fn tick(&mut self, reporter: &ProgressReporter) {
        if !self.may_send() {
            // The client takes nothing: look again after a while.
            self.last = Some(Instant::now());
            return;
        }
        self.report(reporter);
        let quiet = self.last.unwrap_or(self.started).elapsed();
        if self.sending.is_none() && quiet >= HEARTBEAT {
            let seconds = self.started.elapsed().as_secs();
            match self.newest.clone() {
                // Seconds beside a percentage would say that it is done.
                Some((total, message)) => {
                    self.send(self.value, total, format!("{message} (running for {seconds} s)"));
                }
                None => {
                    let value = self.started.elapsed().as_secs_f64().floor();
                    self.send(value, None, format!("running for {seconds} s"));
                }
            }
        }
    }

    fn send(&mut self, done: f64, total: Option<f64>, message: String) {
        // A report may count something else than the one before it, or begin anew.
        self.value = if done > self.value { done } else { self.value + 0.001 };
        let mut notification = ProgressNotificationParam::new(self.token.clone(), self.value);
        notification.total = total.filter(|total| *total >= self.value);
        notification.message = Some(text::one_line(&message).into_owned());
        self.last = Some(Instant::now());
        let peer = self.peer.clone();
        self.sending = Some(Box::pin(async move {
            // A client that does not take notifications still gets its answer.
            let _ = peer.notify_progress(notification).await;
        }));
    }

    /// Sends what is left after the end of the call, before its answer.
    async fn finish(&mut self, reporter: &ProgressReporter) {
        let rest = async {
            self.sent().await;
            self.report(reporter);
            self.sent().await;
        };
        // The connection may be closing, where nothing is sent any more.
        let _ = tokio::time::timeout(LAST_SEND, rest).await;
    }
}
