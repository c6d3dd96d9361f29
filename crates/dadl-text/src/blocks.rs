//! Bytes of a text, 64 at a time.
//!
//! What most bytes of a large text are asked is whether they are one of a few. A loop over a block of a known
//! length, which ends at its end whatever it finds, is done by the processor for 16 or 32 bytes at once; what it
//! finds is a number whose bits are the bytes.

/// The bytes of a block.
pub const BLOCK: usize = 64;

/// Gathers the lowest bit of each of eight bytes, which are 0 or 1, in the highest byte.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// Returns which bytes of a block are of a kind: the first one is the lowest bit.
///
/// `is` has no branch, so that all of them are looked at alike.
#[inline]
pub fn bits(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is(*byte));
    }
    gathered(&flags)
}

/// Returns whether any byte of a block is of a kind.
#[inline]
pub fn has_any(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(0_u8, |any, byte| any | u8::from(is(*byte))) != 0
}

/// Returns whether any byte is of a kind together with the one behind it; `next` is the block one byte later.
#[inline]
pub fn has_pair(block: &[u8; BLOCK], next: &[u8; BLOCK], is: impl Fn(u8, u8) -> bool) -> bool {
    let pairs = block.iter().zip(next);
    pairs.fold(0_u8, |any, (byte, next)| any | u8::from(is(*byte, *next))) != 0
}

/// Returns the block that begins at `at`; what is behind the end of the text is `filler`. `None` when there is
/// nothing.
#[inline]
pub fn block_at(bytes: &[u8], at: usize, filler: u8) -> Option<[u8; BLOCK]> {
    let rest = bytes.get(at..)?;
    if let Some(block) = rest.first_chunk::<BLOCK>() {
        return Some(*block);
    }
    let mut block = [filler; BLOCK];
    if let Some(start) = block.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    (!rest.is_empty()).then_some(block)
}

#[inline]
fn gathered(flags: &[u8; BLOCK]) -> u64 {
    let (words, _) = flags.as_chunks::<8>();
    let bits = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56;
    words.iter().rev().fold(0, |all, word| (all << 8) | bits(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_bit_is_a_byte(bytes in proptest::collection::vec(any::<u8>(), 65)) {
            let block = block_at(&bytes, 0, 0).unwrap();
            let next = block_at(&bytes, 1, 0).unwrap();
            let is = |byte: u8| byte.is_multiple_of(3);
            let is_pair = |byte: u8, next: u8| (byte > 250) & (next > 200);
            for (at, byte) in bytes.iter().take(BLOCK).enumerate() {
                prop_assert_eq!(bits(&block, is) >> at & 1 == 1, is(*byte));
            }
            prop_assert_eq!(has_any(&block, is), bits(&block, is) != 0);
            let is_there = bytes.windows(2).any(|pair| is_pair(pair[0], pair[1]));
            prop_assert_eq!(has_pair(&block, &next, is_pair), is_there);
        }
    }

    #[test]
    fn the_last_block_is_filled() {
        assert_eq!(block_at(b"ab", 0, b' ').unwrap()[..3], *b"ab ");
        assert_eq!(block_at(b"ab", 1, b'-').unwrap()[..3], *b"b--");
        assert_eq!((block_at(b"ab", 2, 0), block_at(b"ab", 3, 0)), (None, None));
    }
}
