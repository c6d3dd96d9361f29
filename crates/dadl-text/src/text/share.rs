//! Room that several texts share: short ones leave what they do not need to the long ones.

/// Returns the length at which texts of these lengths are cut so that they fit together.
pub fn fair_share(lengths: impl Iterator<Item = usize>, mut room: usize) -> usize {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable();
    let mut left = lengths.len();
    for length in lengths {
        let share = room / left;
        if length > share {
            return share;
        }
        room -= length;
        left -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// All fit, nothing is cut without need, and nobody is cut who takes less than others.
        #[test]
        fn the_room_is_shared(
            lengths in prop::collection::vec(0_usize..900, 0..40), room in 0_usize..8000
        ) {
            let share = fair_share(lengths.iter().copied(), room);
            let cut = lengths.iter().map(|length| (*length).min(share)).sum::<usize>();
            let whole = lengths.iter().sum::<usize>();
            prop_assert!(cut <= room, "{share}");
            prop_assert_eq!(cut == whole, whole <= room);
            prop_assert!(cut == whole || room - cut < lengths.len(), "{share}");
        }
    }
}
