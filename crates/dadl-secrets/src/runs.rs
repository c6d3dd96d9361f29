//! Runs of Base64 and of hexadecimal digits in a text, and what they stand for.

use std::ops::Range;

use dadl_text::{
    blocks::{self, BLOCK},
    lanes::Lanes,
    words::{self, WORD},
};

/// The value of each character of both alphabets of Base64 (RFC 4648), 255 for others.
#[expect(
    clippy::indexing_slicing,
    reason = "the tables are 256 and 64 long, and this is a constant"
)]
const BASE64: [u8; 256] = {
    let mut table = [255; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

/// The value of each hexadecimal digit, 0 for others.
#[expect(clippy::indexing_slicing, reason = "the table is 256 long, and this is a constant")]
const HEX: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 10 {
        table[b'0' as usize + at] = at as u8;
        at += 1;
    }
    while at < 16 {
        table[b'a' as usize + at - 10] = at as u8;
        table[b'A' as usize + at - 10] = at as u8;
        at += 1;
    }
    table
};

/// Whether each character of Base64 can be part of a byte of ASCII: 255 in the byte `n` of the number
/// where it can when it is the character `(4 - n) % 4` of a group. The last one of a group always can.
#[expect(clippy::indexing_slicing, reason = "the tables are 256 long, and this is a constant")]
const READABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let value = BASE64[at];
        if value != 255 {
            let mut readable = 0x0000_FF00;
            // The highest bits of the three bytes of a group.
            if value & 0b10_0000 == 0 {
                readable |= 0x0000_00FF;
            }
            if value & 0b00_1000 == 0 {
                readable |= 0xFF00_0000;
            }
            if value & 0b00_0010 == 0 {
                readable |= 0x00FF_0000;
            }
            table[at] = readable;
        }
        at += 1;
    }
    table
};

/// More pairs in a row need not be counted.
const MOST_PAIRS: usize = 100;

/// So many ways there are to cut a run into groups.
pub(super) const GROUPINGS: usize = 4;

/// Returns from which of its first characters on a run of Base64 may have `least` bytes of ASCII in a row;
/// that it has none from another one is certain.
///
/// What people and programs write is ASCII wherever it could hold a secret that is, and most of what only
/// looks like Base64 (names, paths, identifiers) is none, which is found out without decoding.
pub(super) fn readable_runs(run: &[u8], least: usize) -> [bool; GROUPINGS] {
    const ONE_EACH: u32 = 0x0101_0101;
    const TOP_OF_EACH: u32 = 0x8080_8080;
    // Every third byte has a character more, and a pair may be cut off at the beginning.
    let characters = least + least.saturating_sub(1) / 3;
    let pairs = (characters.saturating_sub(1) / 2).min(MOST_PAIRS);
    if pairs == 0 {
        return [true; GROUPINGS];
    }
    let to_top = ONE_EACH * (0x80 - u32::try_from(pairs).unwrap_or(1));
    // Four counters of pairs, one for each grouping, in the bytes of a number.
    let (mut counts, mut found) = (0_u32, 0_u32);
    let of = |byte: u8| READABLE.get(usize::from(byte)).copied().unwrap_or_default();
    let mut count = |pair: u32| {
        counts = (counts + ONE_EACH) & pair;
        found |= (counts + to_top) & TOP_OF_EACH;
        // What has been found is counted no more.
        counts &= !((found >> 7) * 0xFF);
    };
    let (groups, rest) = run.as_chunks::<GROUPINGS>();
    for [a, b, c, d] in groups {
        count(of(*a) & of(*b).rotate_left(8));
        count(of(*c).rotate_left(16) & of(*d).rotate_left(24));
    }
    if let [a, b, ..] = rest {
        count(of(*a) & of(*b).rotate_left(8));
    }
    [0x80, 0x8000, 0x80_0000, 0x8000_0000].map(|top| found & top != 0)
}

fn digit_value(byte: u8) -> u8 {
    BASE64.get(usize::from(byte)).copied().unwrap_or(255)
}

/// Returns whether `byte` is a character of Base64.
pub(super) fn is_base64(byte: u8) -> bool {
    digit_value(byte) != 255
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Finds the runs of at least `least` bytes that are of a kind within `range`; it looks at few of the others.
fn runs_within<'text>(
    text: &'text [u8],
    range: Range<usize>,
    least: usize,
    is: impl Fn(u8) -> bool + 'text,
) -> impl Iterator<Item = Range<usize>> + 'text {
    let least = least.max(1);
    let text = text.get(..range.end).unwrap_or(text);
    let mut from = range.start;
    std::iter::from_fn(move || {
        loop {
            // A run from `from` on, or later, has its byte at one of these places.
            let probe = from + least - 1;
            if !is(*text.get(probe)?) {
                from = probe + 1;
                continue;
            }
            let before = text.get(from..probe).unwrap_or_default();
            let start = from + before.iter().rposition(|byte| !is(*byte)).map_or(0, |at| at + 1);
            let rest = text.get(probe..).unwrap_or_default();
            let end = probe + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
            from = end + 1;
            if end - start >= least {
                return Some(start..end);
            }
        }
    })
}

/// Finds the parts of a text that may have runs of `least` bytes of Base64: those without a control, a space, an
/// exclamation mark and a quote, which is what stands between most words.
fn stretches(text: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    // However a run lies, so many machine words of the text are all within it.
    let whole = (least + 1).saturating_sub(WORD) / WORD;
    let mut words = SeparatedWords::new(text);
    let mut is_new = true;
    std::iter::from_fn(move || {
        if whole == 0 {
            return std::mem::take(&mut is_new).then_some(0..text.len());
        }
        loop {
            let first = words.next(false)?;
            let end = words.next(true).unwrap_or(text.len() / WORD);
            if end - first >= whole {
                return Some(first.saturating_sub(1) * WORD..text.len().min((end + 1) * WORD));
            }
        }
    })
}

/// Which machine words of a text have a separator.
struct SeparatedWords<'text> {
    text: &'text [u8],
    /// The word that the lowest bit is of.
    base: usize,
    /// One bit for each of [`GROUP`] words.
    bits: u64,
    at: usize,
}

/// So many words are looked at together.
const GROUP: usize = 64;

impl<'text> SeparatedWords<'text> {
    fn new(text: &'text [u8]) -> Self {
        let mut words = Self { text, base: 0, bits: 0, at: 0 };
        words.load();
        words
    }

    /// Looks at the words from `base` on; what is behind the end is separated.
    fn load(&mut self) {
        let blocks = (0..GROUP / WORD).rev();
        self.bits = blocks.fold(0, |bits, number| {
            let start = self.base * WORD + number * BLOCK;
            let separators =
                blocks::bits_at(self.text, start, b' ', |lanes: Lanes| lanes.below(0x23));
            let whole = words::each_bit(words::equal(separators.unwrap_or(u64::MAX), 0));
            (bits << WORD) | u64::from(!whole)
        });
    }

    /// Goes on to the next word, which may be the present one, that has a separator or has none; returns its number.
    fn next(&mut self, separated: bool) -> Option<usize> {
        loop {
            let bits = if separated { self.bits } else { !self.bits };
            let ahead = bits >> (self.at - self.base);
            if ahead != 0 {
                self.at += ahead.trailing_zeros() as usize;
                return Some(self.at);
            }
            self.base += GROUP;
            self.at = self.base;
            if self.base * WORD >= self.text.len() {
                self.bits = u64::MAX;
                return None;
            }
            self.load();
        }
    }
}

/// Finds the runs of Base64.
pub(super) fn base64_runs(text: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    stretches(text, least).flat_map(move |range| runs_within(text, range, least, is_base64))
}

/// Finds the runs of hexadecimal digits.
pub(super) fn hex_runs(text: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    runs_within(text, 0..text.len(), least, is_hex)
}

/// Decodes a run of Base64 from its byte `skip` on into `bytes`.
pub(super) fn decode_base64(run: &[u8], skip: usize, bytes: &mut Vec<u8>) {
    let run = run.get(skip..).unwrap_or_default();
    let (groups, rest) = run.as_chunks::<4>();
    bytes.clear();
    bytes.resize(groups.len() * 3, 0);
    let (places, _) = bytes.as_chunks_mut::<3>();
    for (place, [a, b, c, d]) in places.iter_mut().zip(groups) {
        let (a, b, c, d) = (digit_value(*a), digit_value(*b), digit_value(*c), digit_value(*d));
        *place = [(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d];
    }
    match *rest {
        [a, b] => bytes.push((digit_value(a) << 2) | (digit_value(b) >> 4)),
        [a, b, c] => {
            let (a, b, c) = (digit_value(a), digit_value(b), digit_value(c));
            bytes.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2)]);
        }
        _ => {}
    }
}

/// Returns which characters the byte `at` of what [`decode_base64`] gave is made of.
pub(super) fn made_of_base64(at: usize, skip: usize) -> Range<usize> {
    let first = skip + at / 3 * 4 + at % 3;
    first..first + 2
}

/// Returns whether a run of digits stands for `least` bytes of ASCII in a row from its byte `skip` on. Digests and
/// identifiers hardly ever do.
pub(super) fn is_readable_hex(run: &[u8], skip: usize, least: usize) -> bool {
    let mut count = 0;
    let mut is_enough = |high: u8| {
        count = if high <= b'7' { count + 1 } else { 0 };
        count >= least
    };
    let (pairs, _) = run.get(skip..).unwrap_or_default().as_chunks::<2>();
    least == 0 || pairs.iter().any(|[high, _]| is_enough(*high))
}

/// Decodes a run of digits from its byte `skip` on into `bytes`.
pub(super) fn decode_hex(run: &[u8], skip: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
    let digit = |byte: u8| HEX.get(usize::from(byte)).copied().unwrap_or_default();
    let run = run.get(skip..).unwrap_or_default();
    bytes.extend(run.chunks_exact(2).map(|pair| match *pair {
        [high, low] => (digit(high) << 4) | digit(low),
        _ => 0,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_with_their_ends() {
        let text = b"--abcd++ ef-- 0123456789 x 12345 ";
        let all: Vec<_> = base64_runs(text, 5).map(|run| &text[run]).collect();
        assert_eq!(all, [b"--abcd++".as_slice(), b"0123456789", b"12345"]);
        let all: Vec<_> = hex_runs(b"xx0123abcdyy01", 6).collect();
        assert_eq!(all.as_slice(), std::slice::from_ref(&(2..10)));
        assert_eq!(hex_runs(b"", 6).count() + hex_runs(b"012", 6).count(), 0);
    }

    #[test]
    fn base64_is_decoded_at_any_place() {
        let mut bytes = Vec::new();
        decode_base64(b"xaGVsbG8", 1, &mut bytes);
        assert_eq!(bytes, b"hello");
        assert_eq!(made_of_base64(4, 1), 6..8);
        decode_hex(b"f68656c", 1, &mut bytes);
        assert_eq!(bytes, b"hel");
    }

    #[test]
    fn what_only_looks_like_base64_is_not_decoded() {
        let path = b"/rest/v0/vms/f07ab729-c0e8-721c-45ec-f11276300001";
        assert_eq!(readable_runs(path, 8), [false; GROUPINGS]);
        assert_eq!(readable_runs(b"xxaGVsbG8gd29ybGQ", 11), [false, false, true, false]);
    }

    /// The runs, byte by byte.
    fn slow_runs(text: &[u8], least: usize, is: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
        let (mut runs, mut start) = (Vec::new(), 0);
        for (at, byte) in text.iter().chain([&b' ']).enumerate() {
            if !is(*byte) {
                if at - start >= least.max(1) {
                    runs.push(start..at);
                }
                start = at + 1;
            }
        }
        runs
    }

    proptest::proptest! {
        #[test]
        fn runs_are_those_that_are_found_byte_by_byte(
            parts in proptest::collection::vec("[a-fA-F0-9]{0,70}|[A-Za-z0-9+/_-]{0,140}|[ -~\u{e9}]{0,9}|.{0,3}", 0..25),
            least in 0_usize..150,
        ) {
            let text = parts.concat();
            let text = text.as_bytes();
            let found: Vec<_> = base64_runs(text, least).collect();
            proptest::prop_assert_eq!(found, slow_runs(text, least, is_base64));
            let found: Vec<_> = hex_runs(text, least).collect();
            proptest::prop_assert_eq!(found, slow_runs(text, least, is_hex));
        }

        #[test]
        fn what_is_readable_is_told_without_decoding(
            run in "[A-Za-z0-9+/_-]{0,40}|[a-f]{0,300}",
            least in 0_usize..12,
        ) {
            let run = run.as_bytes();
            let mut bytes = Vec::new();
            let found = readable_runs(run, least);
            for (skip, found) in found.into_iter().enumerate() {
                decode_base64(run, skip, &mut bytes);
                let longest = bytes.split(|byte| !byte.is_ascii()).map(<[u8]>::len).max();
                let expected = least == 0 || longest >= Some(least);
                proptest::prop_assert!(found || !expected, "{skip}");
            }
        }

        #[test]
        fn digits_that_are_readable_are_told_without_decoding(
            run in "[0-9a-fA-F]{0,40}|([2-7][0-9a-fA-F]){0,30}|[0-9a-f]?([2-7][0-9a-fA-F]){0,30}",
            least in 0_usize..12,
        ) {
            let run = run.as_bytes();
            let mut bytes = Vec::new();
            for skip in 0..2 {
                decode_hex(run, skip, &mut bytes);
                let longest = bytes.split(|byte| !byte.is_ascii()).map(<[u8]>::len).max();
                let expected = least == 0 || longest >= Some(least);
                proptest::prop_assert_eq!(is_readable_hex(run, skip, least), expected, "{}", skip);
            }
        }
    }
}
