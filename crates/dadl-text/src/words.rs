//! Eight bytes of a text as one number.
//!
//! What is found is told by the highest bit of each byte; the first byte has the lowest bits.

const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(crate) const TOPS: u64 = EACH * 0x80;
const LOWS: u64 = EACH * 0x7F;

/// The bytes of a number.
pub const WORD: usize = 8;

/// Returns the highest bits of those bytes that are `byte`.
#[inline]
pub fn equal(word: u64, byte: u8) -> u64 {
    let others = word ^ (EACH * u64::from(byte));
    // What is not zero carries into its highest bit, or has it, and nothing carries further.
    !(((others & LOWS) + LOWS) | others) & TOPS
}

/// Returns the highest bits of those bytes that are less than `bound`, which is ASCII.
#[inline]
pub fn below(word: u64, bound: u8) -> u64 {
    !at_least(word, bound) & TOPS
}

/// Returns the highest bits of those bytes that are `bound` or more, which is ASCII.
#[inline]
pub fn at_least(word: u64, bound: u8) -> u64 {
    // What is as much carries into its highest bit, or has it, and nothing carries further.
    let carried = (word & LOWS) + EACH * u64::from(0x80_u8.saturating_sub(bound));
    (carried | word) & TOPS
}

/// Returns one bit for each byte whose highest bit is set, as the others are not; the first byte has the lowest one.
#[inline]
pub fn each_bit(tops: u64) -> u8 {
    /// Gathers the lowest bit of each of eight bytes in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    (((tops & TOPS) >> 7).wrapping_mul(GATHER) >> 56) as u8
}

/// Returns which byte the lowest bit of those that are set belongs to.
#[inline]
pub fn first(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_is_told(
            bytes in proptest::array::uniform8(any::<u8>().prop_map(|byte| byte % 0xA0)),
            byte in 1..0x80_u8,
        ) {
            let word = u64::from_le_bytes(bytes);
            let found = equal(word, byte).to_le_bytes();
            prop_assert_eq!(found, bytes.map(|it| if it == byte { 0x80 } else { 0 }));
            let each = (0..WORD).map(|at| u8::from(bytes[at] == byte) << at).sum::<u8>();
            prop_assert_eq!(each_bit(u64::from_le_bytes(found)), each);
            let least = bytes.map(|it| if it < byte { 0 } else { 0x80 });
            prop_assert_eq!(at_least(word, byte).to_le_bytes(), least);
            prop_assert_eq!(below(word, byte).to_le_bytes(), least.map(|it| it ^ 0x80));
            if let Some(at) = bytes.iter().position(|it| *it == byte) {
                prop_assert_eq!(first(equal(word, byte)), at);
            }
        }
    }
}
