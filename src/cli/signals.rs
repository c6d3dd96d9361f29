//! Signals that end the program.
//!
//! The first one asks it to end, the second one ends it at once. On Unix these are SIGTERM, SIGINT
//! and SIGHUP, elsewhere Ctrl-C, Ctrl-Break and the end of the session. A hangup that whoever started
//! the program told it to ignore (`nohup`) stays ignored.

use std::{io, time::Duration};

use tokio_util::sync::CancellationToken;

use super::exit::ExitReason;

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessSignal {
    Hangup,
    Interrupt,
    Terminate,
}

impl ProcessSignal {
    /// Returns its name in POSIX.
    const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Returns how a command ends that was stopped by it.
    pub(super) const fn exit(self) -> ExitReason {
        match self {
            Self::Hangup => ExitReason::HungUp,
            Self::Interrupt => ExitReason::Interrupted,
            Self::Terminate => ExitReason::Terminated,
        }
    }
}

/// Listens to all of them from now on.
pub(super) struct SignalListener {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    /// Who is told of a hangup instead of the program being ended.
    #[cfg(unix)]
    reload: Option<std::sync::Arc<tokio::sync::Notify>>,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    stop: tokio::signal::windows::CtrlBreak,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
    #[cfg(windows)]
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl SignalListener {
    /// Begins to listen.
    pub(super) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?;
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup,
                reload: None,
            })
        }
        #[cfg(windows)]
        {
            use tokio::signal::windows;
            Ok(Self {
                interrupt: windows::ctrl_c()?,
                stop: windows::ctrl_break()?,
                close: windows::ctrl_close()?,
                shutdown: windows::ctrl_shutdown()?,
            })
        }
    }

    /// Has a hangup no longer end the program, but told to `reload`.
    #[cfg(unix)]
    pub(super) fn reloading(&mut self, reload: std::sync::Arc<tokio::sync::Notify>) {
        self.reload = Some(reload);
    }

    /// Waits for one of them.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> ProcessSignal {
        let (hangup, reload) = (&mut self.hangup, &self.reload);
        let hangup = async {
            let Some(hangup) = hangup else { return std::future::pending().await };
            loop {
                let came = hangup.recv().await;
                match reload {
                    Some(reload) if came.is_some() => reload.notify_one(),
                    _ => return,
                }
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => ProcessSignal::Terminate,
            _ = self.interrupt.recv() => ProcessSignal::Interrupt,
            () = hangup => ProcessSignal::Hangup,
        }
    }

    /// Waits for one of them.
    #[cfg(windows)]
    pub(super) async fn next(&mut self) -> ProcessSignal {
        tokio::select! {
            _ = self.interrupt.recv() => ProcessSignal::Interrupt,
            _ = self.stop.recv() => ProcessSignal::Interrupt,
            _ = self.close.recv() => ProcessSignal::Hangup,
            _ = self.shutdown.recv() => ProcessSignal::Terminate,
        }
    }

    /// Runs what should not be broken off: after a signal it has `grace` to end, unless another one
    /// comes. What it gives comes with the signal that came meanwhile.
    pub(super) async fn holding<T>(
        &mut self,
        grace: Duration,
        work: impl Future<Output = T>,
    ) -> Result<(T, Option<ProcessSignal>), ProcessSignal> {
        let mut work = std::pin::pin!(work);
        let signal = tokio::select! {
            done = &mut work => return Ok((done, None)),
            signal = self.next() => signal,
        };
        tokio::select! {
            done = &mut work => Ok((done, Some(signal))),
            signal = self.next() => Err(signal),
            () = tokio::time::sleep(grace) => Err(signal),
        }
    }

    /// Runs a server: the first signal cancels `shutdown`, and the second one stops waiting for it.
    pub(super) async fn end<T>(
        mut self,
        shutdown: &CancellationToken,
        serving: impl Future<Output = T>,
    ) -> Result<T, ProcessSignal> {
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            served = &mut serving => return Ok(served),
            signal = self.next() => {
                tracing::debug!(signal = signal.name(), "the program was asked to end");
                shutdown.cancel();
            }
        }
        tokio::select! {
            served = &mut serving => Ok(served),
            signal = self.next() => Err(signal),
        }
    }
}

/// Returns whether the process has a terminal that controls it.
#[cfg(unix)]
pub(super) fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Returns whether the program was started to outlive its terminal, where the system tells.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask & 1 == 1)
}

/// Reads the signals that are ignored, one bit each, SIGHUP first.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_found() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored("SigIgn:\tx\n"), None);
        assert_eq!(ignored(""), None);
    }
}
