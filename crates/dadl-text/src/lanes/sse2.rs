//! Sixteen bytes in a register of SSE2, which every processor of this kind has.

use std::ops::{BitAnd, BitOr, Not};

use safe_arch::{
    cmp_eq_mask_i8_m128i, m128i, max_u8_m128i, min_u8_m128i, move_mask_i8_m128i, set_splat_i8_m128i,
};

/// Sixteen bytes; in an answer, each is all ones or zero.
#[derive(Debug, Clone, Copy)]
pub struct Lanes(m128i);

impl Lanes {
    /// So many bytes they are.
    pub const COUNT: usize = 16;

    /// Takes these bytes.
    #[inline]
    pub fn new(bytes: &[u8; Self::COUNT]) -> Self {
        Self(m128i::from(*bytes))
    }

    /// Returns the answer that no byte is of a kind.
    #[inline]
    pub fn none() -> Self {
        Self(each(0))
    }

    /// Tells those that are `byte`.
    #[inline]
    pub fn equal(self, byte: u8) -> Self {
        Self(cmp_eq_mask_i8_m128i(self.0, each(byte)))
    }

    /// Tells those that are less than `bound`, which is ASCII.
    #[inline]
    pub fn below(self, bound: u8) -> Self {
        match bound.checked_sub(1) {
            Some(most) => Self(cmp_eq_mask_i8_m128i(min_u8_m128i(self.0, each(most)), self.0)),
            None => Self::none(),
        }
    }

    /// Tells those that are `bound` or more, which is ASCII.
    #[inline]
    pub fn at_least(self, bound: u8) -> Self {
        Self(cmp_eq_mask_i8_m128i(max_u8_m128i(self.0, each(bound)), self.0))
    }

    /// Returns whether an answer is true of any byte.
    #[inline]
    pub fn is_any(self) -> bool {
        self.bits() != 0
    }

    /// Returns of which bytes an answer is true; the first one is the lowest bit.
    #[inline]
    pub fn bits(self) -> u64 {
        u64::from(move_mask_i8_m128i(self.0).cast_unsigned())
    }
}

#[inline]
fn each(byte: u8) -> m128i {
    set_splat_i8_m128i(byte.cast_signed())
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
        Self(self.0 ^ each(0xFF))
    }
}
