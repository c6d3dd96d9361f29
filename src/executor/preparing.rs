//! Says that a backend prepares what is to be saved, while nothing has come of it yet.
//!
//! Some exports answer nothing for half an hour, and who waits should know that this is all right.

use std::{pin::pin, time::Duration};

use tokio::time::Instant;

use crate::outcome::{CallObserver, CallProgress};

/// How often it is said.
const TELL: Duration = Duration::from_secs(2);

/// Waits for `work` and tells `observer` for how long nothing has come since `since`; `most` is how long
/// that may be.
pub(super) async fn observed<T>(
    observer: &dyn CallObserver,
    (backend, most): (&str, Duration),
    since: Instant,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(TELL, &mut work).await {
            return done;
        }
        let waited = since.elapsed().as_secs();
        let message = format!(
            "backend \"{backend}\" prepares the file; nothing has come for {}, at most {}",
            duration_words(waited),
            duration_words(most.as_secs())
        );
        observer.progress(CallProgress { done: waited, total: None, message });
    }
}

fn duration_words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<CallProgress>>);

    impl CallObserver for Heard {
        fn progress(&self, progress: CallProgress) {
            self.0.lock().unwrap().push(progress);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_for_how_long() {
        let heard = Heard::default();
        let since = Instant::now();
        let most = Duration::from_secs(1800);
        let work = tokio::time::sleep(Duration::from_secs(125));
        observed(&heard, ("xo", most), since, work).await;
        let heard = heard.0.into_inner().unwrap();
        assert_eq!(heard.len(), 62);
        let words = "backend \"xo\" prepares the file; nothing has come for 2 s, at most 30 min";
        assert_eq!((heard[0].done, &*heard[0].message), (2, words));
        assert!(heard[61].message.contains("for 2 min,"), "{:?}", heard[61]);
        assert!(heard.iter().all(|it| it.total.is_none()), "nobody knows how long it takes");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_at_once_is_not_told() {
        let heard = Heard::default();
        observed(&heard, ("xo", TELL), Instant::now(), async {}).await;
        assert!(heard.0.into_inner().unwrap().is_empty());
    }
}
