//! Who may be connected.
//!
//! There is always room for one more connection: when all places are taken, one makes room. It is
//! one of the address that has the most, and there one on which nothing is being answered, if there
//! is any; what is being answered has to go only when its address has more than its share and
//! another has less. Where nobody has to go, a newcomer gets a place at the door, where it is told
//! whether the server is up, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// How many wait at the door.
const AT_DOOR: usize = 64;

/// What happens on a connection; what comes first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectionPhase {
    /// Nothing is being answered: no request has come, or all are answered.
    Idle,
    /// The body of a request is being read.
    Reading,
    /// A request is being answered.
    Answering,
}

/// The places; a clone has the same.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSlots {
    state: Arc<Mutex<SlotState>>,
    most: usize,
}

#[derive(Debug, Default)]
struct SlotState {
    clock: u64,
    taken: usize,
    hosts: HashMap<Arc<str>, HostConnections>,
    /// Those at the door, the oldest first.
    door: BTreeMap<u64, CancellationToken>,
}

/// The connections of one address, in the order in which they make room.
#[derive(Debug, Default)]
struct HostConnections {
    order: BTreeSet<(ConnectionPhase, u64, u64)>,
    tokens: HashMap<u64, CancellationToken>,
}

/// A place; free when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    places: ConnectionSlots,
    id: u64,
    /// `None` at the door.
    host: Option<Arc<str>>,
    now: Mutex<(ConnectionPhase, u64)>,
    gone: CancellationToken,
}

impl ConnectionSlots {
    /// There are `most`, and some at the door.
    pub(super) fn new(most: usize) -> Self {
        Self { state: Arc::default(), most: most.max(1) }
    }

    /// Gives a place to a newcomer.
    pub(super) fn take(&self, address: SocketAddr) -> ConnectionSlot {
        let host: Arc<str> = host_of(address).into();
        let gone = CancellationToken::new();
        let mut state = self.lock();
        state.clock += 1;
        let id = state.clock;
        let has_room = state.taken < self.most || state.make_room(&host, self.most);
        let host = if has_room {
            state.taken += 1;
            let own = state.hosts.entry(Arc::clone(&host)).or_default();
            own.order.insert((ConnectionPhase::Idle, id, id));
            own.tokens.insert(id, gone.clone());
            Some(host)
        } else {
            if state.door.len() >= AT_DOOR
                && let Some((_, oldest)) = state.door.pop_first()
            {
                oldest.cancel();
            }
            state.door.insert(id, gone.clone());
            None
        };
        ConnectionSlot {
            places: self.clone(),
            id,
            host,
            now: Mutex::new((ConnectionPhase::Idle, id)),
            gone,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotState {
    /// Lets one go for a newcomer of `host`, if there is one.
    fn make_room(&mut self, host: &Arc<str>, most: usize) -> bool {
        let is_new = usize::from(!self.hosts.contains_key(host));
        let share = most / (self.hosts.len() + is_new).max(1);
        let own = self.hosts.get(host).map_or(0, |host| host.tokens.len());
        let worth = |(name, it): &(&Arc<str>, &HostConnections)| {
            let phase = it.order.first().map_or(ConnectionPhase::Answering, |first| first.0);
            // An address that has more than its share goes first, then who does nothing, and then
            // who has the most, the newcomer counted.
            let count = it.tokens.len() + usize::from(*name == host);
            let is_answering = phase == ConnectionPhase::Answering;
            (!is_answering, count > share, std::cmp::Reverse(phase), count)
        };
        let Some((name, it)) = self.hosts.iter().max_by_key(worth) else { return false };
        let Some(first) = it.order.first().copied() else { return false };
        let phase = first.0;
        let name = Arc::clone(name);
        if phase == ConnectionPhase::Answering {
            let has_more = it.tokens.len() > share && it.tokens.len() > own + 1;
            if name == *host || !has_more {
                return false;
            }
        }
        self.let_go(&name, first);
        true
    }

    fn let_go(&mut self, host: &Arc<str>, place: (ConnectionPhase, u64, u64)) {
        let Some(own) = self.hosts.get_mut(host) else { return };
        let Some(token) = own.tokens.remove(&place.2) else { return };
        own.order.remove(&place);
        if own.tokens.is_empty() {
            self.hosts.remove(host);
        }
        self.taken -= 1;
        token.cancel();
    }
}

impl ConnectionSlot {
    /// Notes what happens now.
    pub(super) fn set(&self, phase: ConnectionPhase) {
        let Some(host) = &self.host else { return };
        let mut state = self.places.lock();
        state.clock += 1;
        let clock = state.clock;
        let Some(own) = state.hosts.get_mut(host) else { return };
        if !own.tokens.contains_key(&self.id) {
            return;
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        own.order.remove(&(now.0, now.1, self.id));
        *now = (phase, clock);
        own.order.insert((phase, clock, self.id));
    }

    /// Returns whether this is a place at the door.
    pub(super) fn is_at_door(&self) -> bool {
        self.host.is_none()
    }

    /// Waits until the place is needed for another one.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        match &self.host {
            None => drop(state.door.remove(&self.id)),
            Some(host) => {
                let now = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(own) = state.hosts.get_mut(host) else { return };
                if own.tokens.remove(&self.id).is_none() {
                    return;
                }
                own.order.remove(&(now.0, now.1, self.id));
                if own.tokens.is_empty() {
                    state.hosts.remove(host);
                }
                state.taken -= 1;
            }
        }
    }
}

/// Returns whose an address is: a network that is given to one customer counts as one.
pub(super) fn host_of(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 4000))
    }

    fn is_gone(place: &ConnectionSlot) -> bool {
        place.gone().now_or_never().is_some()
    }

    #[test]
    fn an_address_is_that_of_a_customer() {
        let check = |address: &str, expect: &str| {
            assert_eq!(host_of(SocketAddr::new(address.parse().unwrap(), 1)), expect);
        };
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8:1:2::", "2001:db8:1:2::/64");
    }

    #[test]
    fn who_does_nothing_for_longest_makes_room_for_a_newcomer_of_the_same_address() {
        let places = ConnectionSlots::new(3);
        let held: Vec<ConnectionSlot> = (0..3).map(|_| places.take(from(1))).collect();
        held[0].set(ConnectionPhase::Answering);
        held[1].set(ConnectionPhase::Reading);
        let newcomer = places.take(from(1));
        assert!(!newcomer.is_at_door());
        let gone: Vec<bool> = held.iter().map(is_gone).collect();
        assert_eq!(gone, [false, false, true]);
        newcomer.set(ConnectionPhase::Answering);
        let newcomer = places.take(from(1));
        assert!(is_gone(&held[1]) && !is_gone(&held[0]) && !newcomer.is_at_door());
    }

    #[test]
    fn what_is_being_answered_goes_only_for_an_address_that_has_less() {
        let places = ConnectionSlots::new(4);
        let held: Vec<ConnectionSlot> = (0..4).map(|_| places.take(from(1))).collect();
        held.iter().for_each(|place| place.set(ConnectionPhase::Answering));
        assert!(places.take(from(1)).is_at_door());
        assert!(!held.iter().any(is_gone));
        let answering = |_| {
            let place = places.take(from(2));
            place.set(ConnectionPhase::Answering);
            place
        };
        let others: Vec<ConnectionSlot> = (0..3).map(answering).collect();
        let at_door: Vec<bool> = others.iter().map(ConnectionSlot::is_at_door).collect();
        assert_eq!(at_door, [false, false, true]);
        assert_eq!(held.iter().filter(|place| is_gone(place)).count(), 2);
    }

    #[test]
    fn the_door_is_never_shut() {
        let places = ConnectionSlots::new(1);
        let busy = places.take(from(1));
        busy.set(ConnectionPhase::Answering);
        let mut door: Vec<ConnectionSlot> = (0..=AT_DOOR).map(|_| places.take(from(1))).collect();
        assert!(door.iter().all(ConnectionSlot::is_at_door));
        assert!(is_gone(&door[0]) && !is_gone(&door[1]));
        drop(busy);
        door.clear();
        assert!(!places.take(from(1)).is_at_door());
        let state = places.lock();
        assert_eq!((state.taken, state.hosts.len(), state.door.len()), (0, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn places_are_counted(
            steps in proptest::collection::vec((0_u8..4, 0_u8..3, any::<prop::sample::Index>()), 1..80),
            most in 1_usize..8,
        ) {
            let places = ConnectionSlots::new(most);
            let mut held: Vec<ConnectionSlot> = Vec::new();
            for (host, what, at) in steps {
                match what {
                    0 => held.push(places.take(from(host))),
                    1 if !held.is_empty() => drop(held.swap_remove(at.index(held.len()))),
                    2 if !held.is_empty() => {
                        let phase = [ConnectionPhase::Idle, ConnectionPhase::Reading, ConnectionPhase::Answering];
                        held[at.index(held.len())].set(phase[usize::from(host % 3)]);
                    }
                    _ => {}
                }
                let inside = held.iter().filter(|it| !it.is_at_door() && !is_gone(it)).count();
                let state = places.lock();
                prop_assert_eq!(state.taken, inside);
                prop_assert!(inside <= most);
                let known: usize = state.hosts.values().map(|host| host.order.len()).sum();
                prop_assert_eq!(known, inside);
            }
            drop(held);
            prop_assert!(places.lock().hosts.is_empty());
        }
    }
}
