//! A seeded generator: the same seed gives the same identifiers, names and bytes.
//!
//! It is SplitMix64, which needs one word of state and is good enough for test data. It must
//! never be used for anything secret.

use bytes::{Bytes, BytesMut};

/// A deterministic source of numbers, identifiers and bytes.
#[derive(Debug, Clone)]
pub(crate) struct SeededGenerator {
    state: u64,
}

impl SeededGenerator {
    /// Starts a generator from a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 bits.
    pub(crate) const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Returns a number in `0.0..1.0`.
    pub(crate) fn fraction(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns an identifier shaped like a version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let high = self.next_u64();
        let low = self.next_u64();
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// Returns a locally administered MAC address.
    pub(crate) fn mac(&mut self) -> String {
        let bits = self.next_u64();
        let byte = |shift: u32| (bits >> shift) & 0xff;
        format!(
            "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            (byte(0) & 0xfc) | 0x02,
            byte(8),
            byte(16),
            byte(24),
            byte(32),
            byte(40)
        )
    }

    /// Returns `length` characters of the URL-safe Base64 alphabet.
    pub(crate) fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.characters(length, ALPHABET)
    }

    /// Returns `length` digits of base 36.
    pub(crate) fn base36(&mut self, length: usize) -> String {
        self.characters(length, BASE36)
    }

    /// Returns `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Bytes {
        let mut buffer = BytesMut::with_capacity(length + 8);
        while buffer.len() < length {
            buffer.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        buffer.truncate(length);
        buffer.freeze()
    }

    fn characters(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length)
            .filter_map(|_| alphabet.get(self.below(alphabet.len() as u64) as usize))
            .map(|&byte| char::from(byte))
            .collect()
    }
}

/// Returns a 64-bit FNV-1a hash, which turns an identifier into a seed.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Digits of base 36.
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_itself() {
        let (mut one, mut two) = (SeededGenerator::new(7), SeededGenerator::new(7));
        assert_eq!(one.uuid(), two.uuid());
        assert_eq!(one.bytes(100), two.bytes(100));
        assert_eq!(one.token(43).len(), 43);
        assert_eq!(one.uuid().len(), 36);
        assert_eq!(one.below(0), 0);
    }
}
