//! Eight bytes as one number, for every processor.

use std::ops::{BitAnd, BitOr, Not};

use crate::words::{self, WORD};

/// Eight bytes; in an answer, each is its highest bit or zero.
#[derive(Debug, Clone, Copy)]
pub struct Lanes(u64);

impl Lanes {
    /// So many bytes they are.
    pub const COUNT: usize = WORD;

    /// Takes these bytes.
    #[inline]
    pub fn new(bytes: &[u8; Self::COUNT]) -> Self {
        Self(u64::from_le_bytes(*bytes))
    }

    /// Returns the answer that no byte is of a kind.
    #[inline]
    pub fn none() -> Self {
        Self(0)
    }

    /// Tells those that are `byte`.
    #[inline]
    pub fn equal(self, byte: u8) -> Self {
        Self(words::equal(self.0, byte))
    }

    /// Tells those that are less than `bound`, which is ASCII.
    #[inline]
    pub fn below(self, bound: u8) -> Self {
        Self(words::below(self.0, bound))
    }

    /// Tells those that are `bound` or more, which is ASCII.
    #[inline]
    pub fn at_least(self, bound: u8) -> Self {
        Self(words::at_least(self.0, bound))
    }

    /// Returns whether an answer is true of any byte.
    #[inline]
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Returns of which bytes an answer is true; the first one is the lowest bit.
    #[inline]
    pub fn bits(self) -> u64 {
        u64::from(words::each_bit(self.0))
    }
}

impl BitAnd for Lanes {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for Lanes {
    type Output = Self;

    #[inline]
    fn not(self) -> Self {
        Self(!self.0 & words::TOPS)
    }
}
