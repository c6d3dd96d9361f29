//! The threads that connections are served on.
//!
//! What a call does is done by tasks that wake each other: the connection, its session, the call, the
//! connection to the API. On one thread that costs nothing. A scheduler with several threads gives each task to
//! another one as soon as two are ready, for twice the processor time of the whole call. So every thread has
//! a runtime of its own, and what a connection asks for is done on the thread that the connection was given
//! to. Threads begin when there are connections for them.

use std::{
    io,
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
};
use tokio_util::task::TaskTracker;

/// A thread with fewer connections gets the next one: those of one client stay together.
const TOGETHER: usize = 4;

/// The threads; a clone has the same. Connections end with the last clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionThreads {
    /// `None`: connections are served by the runtime that accepts them.
    own: Option<Arc<OwnThreads>>,
}

#[derive(Debug)]
struct OwnThreads {
    /// How many there may be.
    most: usize,
    begun: Mutex<Vec<ConnectionThread>>,
}

#[derive(Debug)]
struct ConnectionThread {
    /// `None` when it has ended.
    runtime: Option<Runtime>,
    /// One clone for each connection, and this one.
    open: Arc<()>,
}

/// The place of a connection on a thread.
struct ThreadSeat {
    runtime: Handle,
    _open: Arc<()>,
}

impl ConnectionThreads {
    /// One for each processor, besides the thread that accepts connections.
    pub(crate) fn of_processors() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn new(most: usize) -> Self {
        Self { own: Some(Arc::new(OwnThreads { most, begun: Mutex::default() })) }
    }

    /// Serves a connection that was accepted here; `connections` knows when that has ended.
    pub(super) fn serve<Served>(
        &self,
        stream: TcpStream,
        connections: &TaskTracker,
        converse: impl FnOnce(TcpStream) -> Served + Send + 'static,
    ) -> io::Result<()>
    where
        Served: Future<Output = ()> + Send + 'static,
    {
        let Some(ThreadSeat { runtime, _open }) = self.seat() else {
            connections.spawn(crate::spawn::boxed(converse(stream)));
            return Ok(());
        };
        let stream = stream.into_std()?;
        let served = async move {
            let _open = _open;
            match TcpStream::from_std(stream) {
                Ok(stream) => converse(stream).await,
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        };
        connections.spawn_on(crate::spawn::boxed(served), &runtime);
        Ok(())
    }

    /// Returns a place on the thread that gets the next connection; `None` is the runtime of the caller.
    fn seat(&self) -> Option<ThreadSeat> {
        let own = self.own.as_ref()?;
        let mut begun = own.begun();
        let open = |it: &ConnectionThread| Arc::strong_count(&it.open) - 1;
        let are_many = begun.iter().all(|it| open(it) >= TOGETHER);
        if are_many && begun.len() < own.most {
            match ConnectionThread::begin() {
                Ok(thread) => begun.push(thread),
                // Those that there are do more.
                Err(error) => tracing::warn!(%error, "cannot begin another thread for connections"),
            }
        }
        // The first of those with few, or the one with the fewest.
        let thread = begun.iter().min_by_key(|it| open(it).max(TOGETHER - 1))?;
        let runtime = thread.runtime.as_ref()?.handle().clone();
        Some(ThreadSeat { runtime, _open: Arc::clone(&thread.open) })
    }
}

impl OwnThreads {
    fn begun(&self) -> MutexGuard<'_, Vec<ConnectionThread>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionThread {
    fn begin() -> io::Result<Self> {
        // Work on a large answer takes the place of the one thread, which another one then has for all else:
        // only this kind of runtime can do so.
        let mut threads = Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).thread_name("connections").enable_all().build()?;
        runtime.spawn(crate::spawn::boxed(crate::spawn::tick()));
        Ok(Self { runtime: Some(runtime), open: Arc::default() })
    }
}

impl Drop for ConnectionThread {
    fn drop(&mut self) {
        // Nobody waits for what still runs.
        self.runtime.take().map(Runtime::shutdown_background).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns on which threads so many connections are, those that have begun in order.
    fn counts(threads: &ConnectionThreads) -> Vec<usize> {
        let begun = threads.own.as_ref().unwrap().begun();
        begun.iter().map(|it| Arc::strong_count(&it.open) - 1).collect()
    }

    #[test]
    fn a_few_connections_share_a_thread_and_many_are_spread() {
        let threads = ConnectionThreads::new(3);
        assert!(counts(&threads).is_empty());
        let mut seats: Vec<_> = (0..4).map(|_| threads.seat()).collect();
        assert_eq!(counts(&threads), [4]);
        seats.extend((0..2).map(|_| threads.seat()));
        assert_eq!(counts(&threads), [4, 2]);
        // Who leaves makes room on the first.
        seats.remove(0);
        seats.push(threads.seat());
        assert_eq!(counts(&threads), [4, 2]);
        seats.extend((0..24).map(|_| threads.seat()));
        assert_eq!(counts(&threads), [10, 10, 10]);
        drop(seats);
        assert_eq!(counts(&threads), [0, 0, 0]);
    }

    #[test]
    fn without_threads_of_their_own_connections_are_where_they_were_accepted() {
        assert!(ConnectionThreads::default().seat().is_none());
    }
}
