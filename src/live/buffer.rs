//! What arrived and was not read yet, bounded in items and bytes.

use std::collections::VecDeque;

use crate::shares::BudgetShare;

/// What an item takes besides its text.
const OVERHEAD: usize = 64;

/// Items in their order. When there is no room, the oldest make it, and are counted.
#[derive(Debug)]
pub(super) struct ItemBuffer {
    items: VecDeque<String>,
    bytes: usize,
    most_items: usize,
    most_bytes: usize,
    /// Its part of what all buffers together may hold.
    share: BudgetShare,
    /// The number of the first item that is held; the first of all has 0.
    first: u64,
    /// Dropped since the last read.
    dropped: u64,
}

/// What a read takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenItems {
    /// The items, as JSON texts, oldest first.
    pub items: Vec<String>,
    /// The number of the first of them; the first item of a stream has 0.
    pub first: u64,
    /// How many items before them nobody has read or will read.
    pub dropped: u64,
    /// How many items wait for the next read.
    pub left: usize,
}

impl ItemBuffer {
    pub(super) fn new(most_items: usize, most_bytes: usize, share: BudgetShare) -> Self {
        let items = VecDeque::new();
        Self { items, bytes: 0, most_items, most_bytes, share, first: 0, dropped: 0 }
    }

    /// Appends an item.
    pub(super) fn push(&mut self, item: String) {
        let size = item.len() + OVERHEAD;
        while !self.items.is_empty()
            && (self.items.len() >= self.most_items || self.bytes + size > self.most_bytes)
        {
            self.drop_oldest();
        }
        // The others may hold all that there is; what is here makes room first.
        let mut has_room = size <= self.most_bytes && self.share.grow(size as u64);
        while !has_room && !self.items.is_empty() {
            self.drop_oldest();
            has_room = size <= self.most_bytes && self.share.grow(size as u64);
        }
        if has_room {
            self.bytes += size;
            self.items.push_back(item);
        } else {
            self.first += 1;
            self.dropped += 1;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.release(&item);
            self.first += 1;
            self.dropped += 1;
        }
    }

    fn release(&mut self, item: &str) {
        let size = item.len() + OVERHEAD;
        self.bytes -= size;
        self.share.shrink(size as u64);
    }

    /// Takes up to `most` items of up to `most_bytes` together; one item comes whatever its size.
    pub(super) fn take(&mut self, most: usize, most_bytes: usize) -> TakenItems {
        let mut taken = TakenItems { first: self.first, ..TakenItems::default() };
        let mut bytes = 0;
        while taken.items.len() < most {
            let Some(next) = self.items.front() else { break };
            bytes += next.len() + 1;
            if bytes > most_bytes && !taken.items.is_empty() {
                break;
            }
            let Some(item) = self.items.pop_front() else { break };
            self.release(&item);
            self.first += 1;
            taken.items.push(item);
        }
        taken.dropped = std::mem::take(&mut self.dropped);
        taken.left = self.items.len();
        taken
    }

    /// Returns whether a read would give something.
    pub(super) fn has_news(&self) -> bool {
        !self.items.is_empty() || self.dropped > 0
    }

    /// Returns how many items wait.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns how many items have come.
    pub(super) fn received(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// Returns how many items were dropped since the last read.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shares::{ClientKey, SharedBudget};

    fn of(most: usize) -> (SharedBudget, BudgetShare) {
        let shares = SharedBudget::new(most as u64);
        let share = shares.nothing(&ClientKey::only());
        (shares, share)
    }

    fn numbered(count: usize, buffer: &mut ItemBuffer) {
        for number in 0..count {
            buffer.push(number.to_string());
        }
    }

    #[test]
    fn the_oldest_items_make_room_and_are_counted() {
        let mut buffer = ItemBuffer::new(3, 10_000, of(10_000).1);
        numbered(5, &mut buffer);
        let taken = buffer.take(2, 1000);
        let expected =
            TakenItems { items: vec!["2".into(), "3".into()], first: 2, dropped: 2, left: 1 };
        assert_eq!(taken, expected);
        let taken = buffer.take(2, 1000);
        assert_eq!(taken, TakenItems { items: vec!["4".into()], first: 4, dropped: 0, left: 0 });
        assert_eq!((buffer.received(), buffer.has_news()), (5, false));
    }

    #[test]
    fn a_read_is_bounded_in_bytes_but_never_empty() {
        let mut buffer = ItemBuffer::new(10, 10_000, of(10_000).1);
        for item in ["x".repeat(50), "y".repeat(5), "z".repeat(5)] {
            buffer.push(item);
        }
        assert_eq!(buffer.take(9, 10).items, ["x".repeat(50)]);
        assert_eq!(buffer.take(9, 10).items, ["y".repeat(5)]);
        assert_eq!(buffer.take(9, 10).items, ["z".repeat(5)]);
    }

    #[test]
    fn all_buffers_share_a_bound() {
        let (shared, share) = of(10 * (OVERHEAD + 1));
        let mut one = ItemBuffer::new(100, 100_000, share);
        let mut two = ItemBuffer::new(100, 100_000, shared.nothing(&ClientKey::only()));
        numbered(8, &mut one);
        numbered(5, &mut two);
        let taken = two.take(9, 1000);
        assert_eq!((taken.items, taken.dropped), (vec!["3".to_owned(), "4".to_owned()], 3));
        drop(one);
        assert_eq!(shared.used(), 0);
        // What has no room at all is counted like the others.
        two.push("x".repeat(100_000));
        let taken = two.take(9, 1000);
        assert_eq!((taken.items.len(), taken.dropped, taken.first), (0, 1, 6));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn items_come_in_order_and_none_is_unaccounted_for(
            steps in proptest::collection::vec((0_usize..20, 0_usize..10), 1..40),
            most in 1_usize..30,
        ) {
            let (shared, share) = of(20 * (OVERHEAD + 3));
            let mut buffer = ItemBuffer::new(most, 15 * (OVERHEAD + 3), share);
            let (mut pushed, mut expected) = (0_u64, 0_u64);
            for (push, take) in steps {
                for _ in 0..push {
                    buffer.push(pushed.to_string());
                    pushed += 1;
                }
                let taken = buffer.take(take, 1000);
                prop_assert_eq!(taken.first, expected + taken.dropped);
                expected = taken.first;
                for item in taken.items {
                    prop_assert_eq!(item, expected.to_string());
                    expected += 1;
                }
                prop_assert_eq!(expected + taken.left as u64, pushed);
            }
            drop(buffer);
            prop_assert_eq!(shared.used(), 0);
        }
    }
}
