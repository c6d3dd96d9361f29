//! Places and bytes that are held for long.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::ClientKey;

/// The last part of everything is kept for hosts that hold less than that part.
const PART: u64 = 8;

/// Returns whether a host may hold `own` of `most`, of which `used` is taken then: the last part is
/// for those who have little.
pub(crate) fn leaves_room(most: u64, used: u64, own: u64) -> bool {
    let kept = most / PART;
    used <= most - kept || own <= kept
}

/// So much of something for all clients together; a clone counts with it.
///
/// Nobody waits: there is room or there is none, so that no two clients can wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct SharedBudget {
    state: Arc<Mutex<BudgetState>>,
    most: u64,
}

#[derive(Debug, Default)]
struct BudgetState {
    used: u64,
    hosts: HashMap<String, u64>,
}

/// What a client holds; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct BudgetShare {
    shares: SharedBudget,
    host: String,
    amount: u64,
}

impl SharedBudget {
    /// There is so much.
    pub(crate) fn new(most: u64) -> Self {
        Self { state: Arc::default(), most }
    }

    /// Takes something for `client`; `None` when there is no room for it.
    pub(crate) fn take(&self, client: &ClientKey, amount: u64) -> Option<BudgetShare> {
        self.add(&client.host, amount).then(|| BudgetShare {
            shares: self.clone(),
            host: client.host.clone(),
            amount,
        })
    }

    /// Takes nothing yet.
    pub(crate) fn nothing(&self, client: &ClientKey) -> BudgetShare {
        BudgetShare { shares: self.clone(), host: client.host.clone(), amount: 0 }
    }

    /// Returns how much is taken.
    pub(crate) fn used(&self) -> u64 {
        self.lock().used
    }

    fn add(&self, host: &str, amount: u64) -> bool {
        let mut state = self.lock();
        let Some(used) = state.used.checked_add(amount).filter(|used| *used <= self.most) else {
            return false;
        };
        if !host.is_empty() {
            let own = state.hosts.get(host).copied().unwrap_or_default().saturating_add(amount);
            if !leaves_room(self.most, used, own) {
                return false;
            }
            match state.hosts.get_mut(host) {
                Some(known) => *known = own,
                None => drop(state.hosts.insert(host.to_owned(), own)),
            }
        }
        state.used = used;
        true
    }

    fn give_back(&self, host: &str, amount: u64) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(amount);
        if let Some(own) = state.hosts.get_mut(host) {
            *own = own.saturating_sub(amount);
            if *own == 0 {
                state.hosts.remove(host);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetShare {
    /// Takes more; returns whether there was room.
    #[must_use]
    pub(crate) fn grow(&mut self, amount: u64) -> bool {
        let grown = self.shares.add(&self.host, amount);
        if grown {
            self.amount += amount;
        }
        grown
    }

    /// Gives some of it back.
    pub(crate) fn shrink(&mut self, amount: u64) {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        self.shares.give_back(&self.host, amount);
    }

    /// Returns how much this is.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.shares.give_back(&self.host, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(host: &str) -> ClientKey {
        ClientKey { host: host.to_owned(), session: String::new() }
    }

    #[test]
    fn the_only_client_may_have_everything() {
        let shares = SharedBudget::new(16);
        let all = shares.take(&ClientKey::only(), 16).unwrap();
        assert!(shares.take(&client("a"), 1).is_none());
        drop(all);
        assert_eq!(shares.used(), 0);
    }

    #[test]
    fn the_last_part_is_for_those_who_have_little() {
        let shares = SharedBudget::new(16);
        let mut greedy = shares.take(&client("a"), 14).unwrap();
        assert!(!greedy.grow(1));
        assert!(shares.take(&client("a"), 1).is_none());
        let _modest = shares.take(&client("b"), 2).unwrap();
        assert!(shares.take(&client("c"), 1).is_none());
        drop(greedy);
        assert!(shares.take(&client("c"), 12).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_or_given_twice(
            steps in proptest::collection::vec((0_usize..4, 0_u64..9, any::<bool>()), 1..60),
            most in 0_u64..40,
        ) {
            let shares = SharedBudget::new(most);
            let mut held: Vec<BudgetShare> = Vec::new();
            for (host, amount, gives) in steps {
                if gives && !held.is_empty() {
                    held.remove(host % held.len());
                } else {
                    let name = ["", "a", "b", "c"][host];
                    held.extend(shares.take(&client(name), amount));
                }
                let sum: u64 = held.iter().map(BudgetShare::amount).sum();
                prop_assert_eq!(shares.used(), sum);
                prop_assert!(sum <= most);
            }
            drop(held);
            prop_assert_eq!(shares.used(), 0);
            prop_assert!(shares.lock().hosts.is_empty());
        }
    }
}
