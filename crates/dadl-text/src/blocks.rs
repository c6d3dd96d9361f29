//! Bytes of a text, 64 at a time.
//!
//! What most bytes of a large text are asked is whether they are one of a few. A block is looked at to its end,
//! whatever is found, many bytes at once: a kind of bytes is told by a function of [`Lanes`]. So it is fast
//! whatever a build is made for: loops over single bytes are so only where the compiler makes vectors of them.

use crate::lanes::Lanes;

/// The bytes of a block.
pub const BLOCK: usize = 64;

/// Returns which bytes of a block are of a kind: the first one is the lowest bit.
#[inline]
pub fn bits(block: &[u8; BLOCK], kind: impl Fn(Lanes) -> Lanes) -> u64 {
    lanes_of(block).rev().fold(0, |all, lanes| (all << Lanes::COUNT) | kind(lanes).bits())
}

/// Returns whether any byte of a block is of a kind.
#[inline]
pub fn has_any(block: &[u8; BLOCK], kind: impl Fn(Lanes) -> Lanes) -> bool {
    lanes_of(block).fold(Lanes::none(), |any, lanes| any | kind(lanes)).is_any()
}

/// Returns whether any byte is of a kind together with the one behind it; `next` is the block one byte later.
#[inline]
pub fn has_pair(
    block: &[u8; BLOCK],
    next: &[u8; BLOCK],
    kind: impl Fn(Lanes, Lanes) -> Lanes,
) -> bool {
    let pairs = lanes_of(block).zip(lanes_of(next));
    pairs.fold(Lanes::none(), |any, (lanes, next)| any | kind(lanes, next)).is_any()
}

/// Returns which bytes of the block that begins at `at` are of a kind; what is behind the end of the text is
/// `filler`. `None` when there is nothing.
#[inline]
pub fn bits_at(bytes: &[u8], at: usize, filler: u8, kind: impl Fn(Lanes) -> Lanes) -> Option<u64> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let last;
    let block = match rest.first_chunk() {
        Some(block) => block,
        None => {
            last = filled(rest, filler);
            &last
        }
    };
    Some(bits(block, kind))
}

/// Returns where the first byte of a kind is.
#[inline]
pub fn first(bytes: &[u8], filler: u8, kind: impl Fn(Lanes) -> Lanes) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = bits_at(bytes, at, filler, &kind)?;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
}

#[inline]
fn lanes_of(block: &[u8; BLOCK]) -> impl DoubleEndedIterator<Item = Lanes> {
    let (chunks, _) = block.as_chunks::<{ Lanes::COUNT }>();
    chunks.iter().map(Lanes::new)
}

/// Returns the last bytes of a text as a block.
fn filled(bytes: &[u8], filler: u8) -> [u8; BLOCK] {
    let mut block = [filler; BLOCK];
    for (place, byte) in block.iter_mut().zip(bytes) {
        *place = *byte;
    }
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_bit_is_a_byte(bytes in proptest::collection::vec(any::<u8>(), 65)) {
            let block = bytes.first_chunk().unwrap();
            let next = bytes.last_chunk().unwrap();
            let kind = |lanes: Lanes| lanes.below(b'0') | lanes.equal(0xC2);
            let is = |byte: u8| byte < b'0' || byte == 0xC2;
            for (at, byte) in bytes.iter().take(BLOCK).enumerate() {
                prop_assert_eq!(bits(block, kind) >> at & 1 == 1, is(*byte));
            }
            prop_assert_eq!(has_any(block, kind), bits(block, kind) != 0);
            let pair = |lanes: Lanes, next: Lanes| lanes.below(9) & next.at_least(99);
            let is_there = bytes.windows(2).any(|pair| pair[0] < 9 && pair[1] >= 99);
            prop_assert_eq!(has_pair(block, next, pair), is_there);
            for from in [0, 1, 60, 65] {
                let text = &bytes[from..];
                prop_assert_eq!(first(text, b'0', kind), text.iter().position(|it| is(*it)));
            }
        }
    }

    #[test]
    fn the_last_block_is_filled() {
        let is_a = |lanes: Lanes| lanes.equal(b'a');
        assert_eq!(bits_at(b"ab", 0, b' ', is_a), Some(1));
        assert_eq!(bits_at(b"ba", 1, b'a', is_a), Some(u64::MAX));
        assert_eq!((bits_at(b"ab", 2, 0, is_a), bits_at(b"ab", 3, 0, is_a)), (None, None));
    }
}
