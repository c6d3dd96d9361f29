//! Bytes of a text, 64 at a time.
//!
//! What most bytes of a large text are asked is whether they are one of a few. A block is looked at to its end,
//! whatever is found, eight bytes as one number: a kind of bytes is told by a function of these that returns
//! the highest bits of the bytes that are of it (see [`words`](crate::words)). So it is fast whatever a build is made for: loops
//! over single bytes are so only where the compiler makes vectors of them.

use crate::words::WORD;

/// The bytes of a block.
pub const BLOCK: usize = 64;

/// Gathers the lowest bit of each of eight bytes, which are 0 or 1, in the highest byte.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// Returns which bytes of a block are of a kind: the first one is the lowest bit.
#[inline]
pub fn bits(block: &[u8; BLOCK], kind: impl Fn(u64) -> u64) -> u64 {
    let gathered = |word: u64| (kind(word) >> 7).wrapping_mul(GATHER) >> 56;
    words_of(block).rev().fold(0, |all, word| (all << WORD) | gathered(word))
}

/// Returns whether any byte of a block is of a kind.
#[inline]
pub fn has_any(block: &[u8; BLOCK], kind: impl Fn(u64) -> u64) -> bool {
    words_of(block).fold(0, |any, word| any | kind(word)) != 0
}

/// Returns whether any byte is of a kind together with the one behind it; `next` is the block one byte later.
#[inline]
pub fn has_pair(block: &[u8; BLOCK], next: &[u8; BLOCK], kind: impl Fn(u64, u64) -> u64) -> bool {
    let pairs = words_of(block).zip(words_of(next));
    pairs.fold(0, |any, (word, next)| any | kind(word, next)) != 0
}

/// Returns where the first byte of a kind is.
#[inline]
pub fn first(bytes: &[u8], filler: u8, kind: impl Fn(u64) -> u64) -> Option<usize> {
    let mut at = 0;
    loop {
        let block = block_at(bytes, at, filler)?;
        // Most blocks have none, which is sooner found out than where they are.
        if has_any(&block, &kind) {
            return Some(at + bits(&block, &kind).trailing_zeros() as usize);
        }
        at += BLOCK;
    }
}

#[inline]
fn words_of(block: &[u8; BLOCK]) -> impl DoubleEndedIterator<Item = u64> {
    let (words, _) = block.as_chunks::<WORD>();
    words.iter().map(|word| u64::from_le_bytes(*word))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words;

    proptest! {
        #[test]
        fn each_bit_is_a_byte(bytes in proptest::collection::vec(any::<u8>(), 65)) {
            let block = block_at(&bytes, 0, 0).unwrap();
            let next = block_at(&bytes, 1, 0).unwrap();
            let kind = |word| words::below(word, b'0') | words::equal(word, 0xC2);
            let is = |byte: u8| byte < b'0' || byte == 0xC2;
            for (at, byte) in bytes.iter().take(BLOCK).enumerate() {
                prop_assert_eq!(bits(&block, kind) >> at & 1 == 1, is(*byte));
            }
            prop_assert_eq!(has_any(&block, kind), bits(&block, kind) != 0);
            let pair = |word, next| words::below(word, 9) & words::at_least(next, 99);
            let is_there = bytes.windows(2).any(|pair| pair[0] < 9 && pair[1] >= 99);
            prop_assert_eq!(has_pair(&block, &next, pair), is_there);
            for from in [0, 1, 60, 65] {
                let text = &bytes[from..];
                prop_assert_eq!(first(text, b'0', kind), text.iter().position(|it| is(*it)));
            }
        }
    }

    #[test]
    fn the_last_block_is_filled() {
        assert_eq!(block_at(b"ab", 0, b' ').unwrap()[..3], *b"ab ");
        assert_eq!(block_at(b"ab", 1, b'-').unwrap()[..3], *b"b--");
        assert_eq!((block_at(b"ab", 2, 0), block_at(b"ab", 3, 0)), (None, None));
    }
}
