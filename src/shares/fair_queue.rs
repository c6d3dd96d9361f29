//! Turns that come back soon.
//!
//! So many run; the others wait, and the turn goes round among the hosts and, at each host, among
//! its sessions, so that one with a thousand calls holds up nobody else. When too many wait, those
//! who wait most often make room for those who wait less.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::ClientKey;

/// Who has more than so many more waiting than another one makes room for it.
const UNEVEN: usize = 2;

/// Lets a bounded number of things run at once; a clone is the same queue.
#[derive(Debug, Clone)]
pub(crate) struct FairQueue {
    state: Arc<Mutex<QueueState>>,
}

#[derive(Debug)]
struct QueueState {
    free: usize,
    /// So many are kept for hosts that have fewer.
    kept: usize,
    /// How many each host has, where some are kept.
    running: HashMap<String, usize>,
    waiting: usize,
    most_waiting: usize,
    /// The host whose turn is next comes first.
    hosts: VecDeque<HostQueue>,
}

/// Those of one host that wait.
#[derive(Debug)]
struct HostQueue {
    name: String,
    waiting: usize,
    /// The session whose turn is next comes first.
    sessions: VecDeque<SessionQueue>,
}

/// Those of one session that wait, in their order.
#[derive(Debug)]
struct SessionQueue {
    name: String,
    calls: VecDeque<oneshot::Sender<TurnDecision>>,
}

/// The right to run; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct QueueTurn {
    queue: FairQueue,
    host: String,
}

/// What becomes of one that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnDecision {
    Turn,
    /// Others need its place more.
    Nothing,
}

/// Why there is no turn: so many wait already.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} wait for a turn")]
pub(crate) struct QueueFull(pub usize);

impl FairQueue {
    /// Lets `most` run at once and `most_waiting` wait.
    pub(crate) fn new(most: usize, most_waiting: usize) -> Self {
        Self::keeping(0, most, most_waiting)
    }

    /// The same, and `kept` of them go only to hosts that have fewer than that: for what lasts so
    /// long that nobody should wait until another one is done. They are not kept from the only
    /// client of a process.
    pub(crate) fn keeping(kept: usize, most: usize, most_waiting: usize) -> Self {
        let state = QueueState {
            free: most,
            kept: kept.min(most.saturating_sub(1)),
            running: HashMap::new(),
            waiting: 0,
            most_waiting,
            hosts: VecDeque::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a turn of `client`. Who goes away while waiting leaves the queue.
    ///
    /// # Errors
    ///
    /// [`QueueFull`], at once or when others who wait less often need the place.
    pub(crate) async fn turn(&self, client: &ClientKey) -> Result<QueueTurn, QueueFull> {
        let turn = || QueueTurn { queue: self.clone(), host: client.host.clone() };
        let Some(mut wait) = self.enter(client)? else { return Ok(turn()) };
        let given = (&mut wait.given).await;
        wait.is_over = true;
        match given {
            Ok(TurnDecision::Turn) => Ok(turn()),
            // The sender is dropped with the queue only, which this borrows.
            Ok(TurnDecision::Nothing) | Err(_) => Err(QueueFull(self.lock().waiting)),
        }
    }

    /// Takes a free turn, or a place in the queue.
    fn enter<'queue>(
        &'queue self,
        client: &'queue ClientKey,
    ) -> Result<Option<QueueWait<'queue>>, QueueFull> {
        let mut state = self.lock();
        if state.may_run(&client.host) {
            state.run(&client.host);
            return Ok(None);
        }
        if state.waiting >= state.most_waiting && !state.make_room(client) {
            return Err(QueueFull(state.waiting));
        }
        let (give, given) = oneshot::channel();
        state.push(client, give);
        Ok(Some(QueueWait { queue: self, client, given, is_over: false }))
    }

    fn give_back(&self, host: &str) {
        let mut state = self.lock();
        state.free += 1;
        if let Some(running) = state.running.get_mut(host) {
            *running -= 1;
            if *running == 0 {
                state.running.remove(host);
            }
        }
        state.hand_out();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn may_run(&self, host: &str) -> bool {
        if self.free > self.kept {
            return true;
        }
        self.free > 0
            && (host.is_empty() || self.running.get(host).is_none_or(|own| *own < self.kept))
    }

    fn run(&mut self, host: &str) {
        self.free -= 1;
        if self.kept > 0 && !host.is_empty() {
            match self.running.get_mut(host) {
                Some(running) => *running += 1,
                None => drop(self.running.insert(host.to_owned(), 1)),
            }
        }
    }

    fn push(&mut self, client: &ClientKey, give: oneshot::Sender<TurnDecision>) {
        self.waiting += 1;
        let at = self.hosts.iter().position(|host| host.name == client.host);
        let host = match at.and_then(|at| self.hosts.get_mut(at)) {
            Some(host) => host,
            None => {
                let name = client.host.clone();
                self.hosts.push_back(HostQueue { name, waiting: 0, sessions: VecDeque::new() });
                let Some(host) = self.hosts.back_mut() else { return };
                host
            }
        };
        host.waiting += 1;
        match host.sessions.iter_mut().find(|known| known.name == client.session) {
            Some(known) => known.calls.push_back(give),
            None => {
                let (name, calls) = (client.session.clone(), VecDeque::from([give]));
                host.sessions.push_back(SessionQueue { name, calls });
            }
        }
    }

    /// Gives free turns to those whose turn it is and who still wait.
    fn hand_out(&mut self) {
        while self.free > 0 {
            let may_run = |host: &HostQueue| self.may_run(&host.name);
            let Some(at) = self.hosts.iter().position(may_run) else { return };
            let Some(mut host) = self.hosts.remove(at) else { return };
            let next = host.next();
            let name = host.name.clone();
            if !host.sessions.is_empty() {
                self.hosts.push_back(host);
            }
            // One that went away has counted itself out.
            if let Some(next) = next
                && next.send(TurnDecision::Turn).is_ok()
            {
                self.waiting -= 1;
                self.run(&name);
            }
        }
    }

    /// Puts out the newest of those who wait most often, if that is fair to them.
    fn make_room(&mut self, client: &ClientKey) -> bool {
        let own = self.hosts.iter().find(|host| host.name == client.host);
        let own_waiting = own.map_or(0, |host| host.waiting);
        let own_calls = own
            .and_then(|host| host.sessions.iter().find(|it| it.name == client.session))
            .map_or(0, |session| session.calls.len());
        let Some(busiest) = self.hosts.iter_mut().max_by_key(|host| host.waiting) else {
            return false;
        };
        let is_own = busiest.waiting <= own_waiting + UNEVEN;
        let host = if is_own {
            match self.hosts.iter_mut().find(|host| host.name == client.host) {
                Some(host) => host,
                None => return false,
            }
        } else {
            busiest
        };
        let Some(session) = host.sessions.iter_mut().max_by_key(|it| it.calls.len()) else {
            return false;
        };
        if is_own && session.calls.len() <= own_calls + UNEVEN {
            return false;
        }
        let Some(last) = session.calls.pop_back() else { return false };
        host.waiting -= 1;
        // One that went away has counted itself out.
        if last.send(TurnDecision::Nothing).is_ok() {
            self.waiting -= 1;
        }
        self.sweep();
        true
    }

    fn sweep(&mut self) {
        for host in &mut self.hosts {
            host.sessions.retain(|session| !session.calls.is_empty());
        }
        self.hosts.retain(|host| !host.sessions.is_empty());
    }

    /// Counts out one that went away.
    fn leave(&mut self, client: &ClientKey) {
        self.waiting -= 1;
        // Who keeps going away must not leave a longer and longer queue behind.
        if let Some(host) = self.hosts.iter_mut().find(|host| host.name == client.host) {
            host.waiting -= 1;
            if let Some(session) = host.sessions.iter_mut().find(|it| it.name == client.session) {
                session.calls.retain(|call| !call.is_closed());
            }
        }
        self.sweep();
    }
}

impl HostQueue {
    /// Takes the next one out; its session goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<TurnDecision>> {
        let mut session = self.sessions.pop_front()?;
        let next = session.calls.pop_front();
        if !session.calls.is_empty() {
            self.sessions.push_back(session);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }
}

impl Drop for QueueTurn {
    fn drop(&mut self) {
        self.queue.give_back(&self.host);
    }
}

/// One that waits for its turn.
struct QueueWait<'queue> {
    queue: &'queue FairQueue,
    client: &'queue ClientKey,
    given: oneshot::Receiver<TurnDecision>,
    is_over: bool,
}

impl Drop for QueueWait<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let was_given = {
            // Under the lock: nothing is given between the look and the count.
            let mut state = self.queue.lock();
            self.given.close();
            match self.given.try_recv() {
                Ok(given) => given == TurnDecision::Turn,
                Err(_) => {
                    state.leave(self.client);
                    false
                }
            }
        };
        if was_given {
            // Nobody took it.
            self.queue.give_back(&self.client.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn client(name: &str) -> ClientKey {
        let (host, session) = name.split_once('/').unwrap_or((name, ""));
        ClientKey { host: host.to_owned(), session: session.to_owned() }
    }

    /// Lets all wait for the only turn and returns in which order they get it.
    async fn order(waiting: &[&str]) -> Vec<String> {
        let queue = FairQueue::new(1, 99);
        let first = queue.turn(&client("first")).await.unwrap();
        let order = Mutex::new(Vec::new());
        let calls = waiting.iter().map(|name| {
            let (queue, order) = (&queue, &order);
            async move {
                let _turn = queue.turn(&client(name)).await.unwrap();
                order.lock().unwrap().push((*name).to_owned());
            }
        });
        let mut all = Box::pin(futures_util::future::join_all(calls));
        assert!((&mut all).now_or_never().is_none());
        drop(first);
        all.await;
        order.into_inner().unwrap()
    }

    #[tokio::test]
    async fn the_turn_goes_round_among_the_sessions() {
        let waiting = ["h/a", "h/a", "h/a", "h/b", "h/c"];
        assert_eq!(order(&waiting).await, ["h/a", "h/b", "h/c", "h/a", "h/a"]);
    }

    #[tokio::test]
    async fn the_turn_goes_round_among_the_hosts_first() {
        let waiting = ["h/a", "h/b", "h/c", "h/d", "i/a", "i/a", "j"];
        let expected = ["h/a", "i/a", "j", "h/b", "i/a", "h/c", "h/d"];
        assert_eq!(order(&waiting).await, expected);
    }

    #[tokio::test]
    async fn some_turns_are_kept_for_those_who_have_none() {
        let queue = FairQueue::keeping(1, 3, 9);
        let mut turns = Vec::new();
        for _ in 0..2 {
            turns.push(queue.turn(&client("a/1")).await.unwrap());
        }
        let (a, b) = (client("a/2"), client("b"));
        let mut third = Box::pin(queue.turn(&a).map(Result::unwrap));
        assert!((&mut third).now_or_never().is_none());
        let other = queue.turn(&client("b")).now_or_never().unwrap().unwrap();
        let mut another = Box::pin(queue.turn(&b).map(Result::unwrap));
        assert!((&mut another).now_or_never().is_none());
        // What b gives back is still kept from a.
        drop(other);
        assert!((&mut third).now_or_never().is_none());
        let other = (&mut another).now_or_never().unwrap();
        drop(turns.pop());
        assert!((&mut third).now_or_never().is_none());
        drop(other);
        assert!((&mut third).now_or_never().is_some());
        drop(turns);
        let queue = FairQueue::keeping(1, 3, 9);
        let only = [(); 3].map(|()| {
            let queue = &queue;
            async move { queue.turn(&ClientKey::only()).await.unwrap() }
        });
        assert!(futures_util::future::join_all(only).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let queue = FairQueue::new(1, 1);
        let turn = queue.turn(&client("a")).await.unwrap();
        let a = client("a");
        let mut waiting = Box::pin(queue.turn(&a));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(queue.turn(&client("b")).await.unwrap_err(), QueueFull(1));
        drop(turn);
        drop(waiting.await.unwrap());
        assert!(queue.turn(&client("b")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_waits_most_often_makes_room() {
        for (many, few) in [("a", "b"), ("a/1", "a/2")] {
            let (many, few) = (client(many), client(few));
            let queue = FairQueue::new(1, 3);
            let turn = queue.turn(&many).await.unwrap();
            let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(queue.turn(&many))).collect();
            for wait in &mut waiting {
                assert!(wait.now_or_never().is_none());
            }
            let mut other = Box::pin(queue.turn(&few));
            assert!((&mut other).now_or_never().is_none());
            let last = waiting.pop().unwrap();
            assert_eq!(last.await.unwrap_err(), QueueFull(3));
            // Two beside one is as fair as it gets.
            assert_eq!(queue.turn(&few).now_or_never().unwrap().unwrap_err(), QueueFull(3));
            drop(turn);
            drop(waiting.remove(0).await.unwrap());
            drop(other.await.unwrap());
            drop(waiting);
            let state = queue.lock();
            assert_eq!((state.waiting, state.free, state.hosts.len()), (0, 1, 0));
        }
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_queue() {
        let queue = FairQueue::new(1, 1);
        let a = client("a");
        let turn = queue.turn(&a).await.unwrap();
        // Before its turn, and after it was given and not taken.
        let mut waiting = Box::pin(queue.turn(&a));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        let mut waiting = Box::pin(queue.turn(&a));
        assert!((&mut waiting).now_or_never().is_none());
        drop(turn);
        drop(waiting);
        assert!(queue.turn(&a).now_or_never().is_some());
        let state = queue.lock();
        assert_eq!((state.waiting, state.free, state.hosts.len()), (0, 1, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_turn_is_lost(
            steps in proptest::collection::vec((0_usize..6, 0_u8..3, 0_usize..8), 1..80),
            most in 1_usize..4,
            kept in 0_usize..3,
            most_waiting in 0_usize..6,
        ) {
            let names = ["a/1", "a/2", "a/3", "b", "c", ""].map(client);
            let queue = FairQueue::keeping(kept, most, most_waiting);
            let (mut turns, mut waiting) = (Vec::new(), Vec::new());
            for (who, what, at) in steps {
                match what {
                    0 => waiting.push(Box::pin(queue.turn(&names[who]))),
                    1 if !turns.is_empty() => drop(turns.swap_remove(at % turns.len())),
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(at % waiting.len())),
                    _ => {}
                }
                // A second time: one may have been put out by one that came after it.
                for _ in 0..2 {
                    waiting.retain_mut(|wait| match wait.now_or_never() {
                        Some(done) => {
                            turns.extend(done);
                            false
                        }
                        None => true,
                    });
                }
                prop_assert!(turns.len() <= most && waiting.len() <= most_waiting);
                prop_assert!(kept > 0 || turns.len() == most || waiting.is_empty());
            }
            drop((turns, waiting));
            let state = queue.lock();
            prop_assert_eq!((state.waiting, state.free, state.hosts.len()), (0, most, 0));
            prop_assert!(state.running.is_empty());
        }
    }
}
