//! Finds secrets in a text, in all their spellings.
//!
//! A text is searched as it is, then without its escapes, layer by layer, and what its runs of
//! Base64 and of hexadecimal digits stand for is searched alike. Each layer is passed over once and
//! there are few of them, so that the time grows with the text and with nothing that is in it.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use dadl_text::{blocks, growth, lanes::Lanes};

use super::{
    escapes::{self, EscapeMeaning, EscapeReading},
    long::LongSecretFinder,
    runs, short, spellings,
    view::TextView,
    wanted::{self, WantedSecret},
};

/// So many layers of escapes are taken out.
const MOST_ESCAPES: u8 = 6;

/// So many layers of Base64 or hexadecimal digits are.
const MOST_RUNS: u8 = 2;

/// A byte of a secret is written with no more bytes of a text that is searched as one.
const MOST_WIDE: usize = 40;

/// Where there are more, all of the text is one: it was made of secrets, and a list of the places would
/// take more memory than the text.
const MOST_FOUND: usize = 512 * 1024;

/// What is taken apart at once.
const BLOCK: usize = 256 * 1024;

/// Which runs may hold the shortest secret.
#[derive(Debug, Clone, Copy)]
struct LeastRuns {
    base64: usize,
    hex: usize,
    /// So many bytes of ASCII in a row; none where a secret is something else.
    ascii: usize,
}

/// Looks for secrets.
#[derive(Debug)]
pub(super) struct SecretFinder {
    /// Those that are secrets wherever they are.
    long: LongSecretFinder,
    /// Those of them that have spaces, as forms write them.
    forms: Option<AhoCorasick>,
    /// Those that are secrets as a whole value or beside a name.
    short: Option<short::ShortSecretFinder>,
    /// The bytes that spellings consist of.
    alphabet: [bool; 256],
    least: LeastRuns,
    /// The bytes that the longest secret may take.
    most: usize,
}

impl Default for SecretFinder {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl SecretFinder {
    /// Looks for `wanted`.
    pub(super) fn new(wanted: &[WantedSecret<'_>]) -> Self {
        let is_short = |it: &&WantedSecret<'_>| wanted::is_short(it.value);
        let (short, long): (Vec<_>, Vec<_>) = wanted.iter().partition(is_short);
        let mut all = Vec::new();
        for WantedSecret { value, .. } in &long {
            spellings::of_long(value, &mut all);
        }
        all.retain(|it| !it.bytes.is_empty());
        all.sort_unstable();
        all.dedup();
        let forms: Vec<Vec<u8>> = all
            .iter()
            .filter(|it| it.bytes.contains(&b' '))
            .map(|it| with_pluses(&it.bytes))
            .collect();
        let short = short::ShortSecretFinder::new(&short);
        let mut alphabet = [false; 256];
        let bytes = all.iter().flat_map(|spelling| &spelling.bytes);
        let bytes = bytes.chain(b"+").chain(short.iter().flat_map(short::ShortSecretFinder::bytes));
        for byte in bytes.copied().chain(*b"#;{}") {
            if let Some(known) = alphabet.get_mut(usize::from(byte)) {
                *known = true;
            }
        }
        // The letters of escapes, whose escapes they may be.
        for (byte, known) in (0..=u8::MAX).zip(&mut alphabet) {
            *known |= byte.is_ascii_alphanumeric();
        }
        let shortest =
            wanted.iter().map(|it| spellings::least_of(it.value)).min().unwrap_or_default();
        let shortest = shortest.max(wanted::SHORTEST);
        let longest = wanted.iter().map(|it| it.value.len()).max().unwrap_or_default();
        let is_ascii = wanted.iter().all(|it| it.value.is_ascii());
        Self {
            long: LongSecretFinder::new(all),
            forms: (!forms.is_empty()).then(|| AhoCorasick::new(forms).ok()).flatten(),
            short,
            alphabet,
            least: LeastRuns {
                base64: (shortest * 4).div_ceil(3),
                hex: shortest * 2,
                ascii: if is_ascii { shortest } else { 0 },
            },
            most: longest.min(spellings::PART) * MOST_WIDE,
        }
    }

    /// Returns where secrets are in `text`, in order, apart from each other; each range begins and
    /// ends between characters and between escapes. What holds too many is one secret.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.long.is_empty() && self.short.is_none() {
            return found;
        }
        let whole = TextView::plain(text, 0);
        self.literals(whole, &mut found);
        let mut from = 0;
        // Each block reaches into the next one by what a secret may take.
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let block = rest.get(..BLOCK + self.most).unwrap_or(rest);
            self.beneath(TextView::plain(block, from), MOST_ESCAPES, MOST_RUNS, &mut found);
            from += BLOCK;
        }
        if found.len() >= MOST_FOUND {
            return std::iter::once(0..text.len()).collect();
        }
        merge_ranges(text, found)
    }

    fn search(&self, text: TextView<'_>, escapes: u8, runs: u8, found: &mut Vec<Range<usize>>) {
        self.literals(text, found);
        self.beneath(text, escapes, runs, found);
    }

    /// Finds what is written as it is.
    fn literals(&self, text: TextView<'_>, found: &mut Vec<Range<usize>>) {
        for place in self.long.find(text.bytes) {
            note_range(found, text.origin(place));
            if found.len() >= MOST_FOUND {
                return;
            }
        }
        if let Some(forms) = &self.forms
            && memchr::memchr(b'+', text.bytes).is_some()
        {
            let places = with_pluses(text.bytes);
            for place in forms.find_overlapping_iter(&places) {
                note_range(found, text.origin(place.range()));
            }
        }
        if let Some(short) = &self.short {
            short.find(text.bytes, |range| note_range(found, text.origin(range)));
        }
    }

    /// Finds what is written in another way.
    fn beneath(&self, text: TextView<'_>, escapes: u8, runs: u8, found: &mut Vec<Range<usize>>) {
        if let Some(left) = runs.checked_sub(1) {
            let mut bytes = Vec::new();
            for run in runs::base64_runs(text.bytes, self.least.base64) {
                let run = text.part(run);
                let readable = runs::readable_runs(run.bytes, self.least.ascii);
                for skip in (0..runs::GROUPINGS).filter(|skip| readable.get(*skip) == Some(&true)) {
                    runs::decode_base64(run.bytes, skip, &mut bytes);
                    // What is only Base64 is one of the spellings.
                    if !self.is_deeper(&bytes) {
                        continue;
                    }
                    let all = bytes.iter().enumerate();
                    let all = all.map(|(at, byte)| (*byte, runs::made_of_base64(at, skip)));
                    self.search(run.decoded(all).text(), escapes, left, found);
                }
                // Digits are Base64 as well, and a secret takes more of them.
                for digits in runs::hex_runs(run.bytes, self.least.hex) {
                    let digits = run.part(digits);
                    for skip in 0..2 {
                        runs::decode_hex(digits.bytes, skip, &mut bytes);
                        // What nobody sees is no ASCII, and may be anywhere in a secret.
                        let is_readable =
                            || runs::is_readable_hex(digits.bytes, skip, self.least.ascii);
                        let may_have = || self.long.is_in(&bytes) || self.is_deeper(&bytes);
                        if !(has_wide_unseen(&bytes) || is_readable() && may_have()) {
                            continue;
                        }
                        let all = bytes.iter().enumerate();
                        let all = all.map(|(at, byte)| (*byte, skip + at * 2..skip + at * 2 + 2));
                        self.search(digits.decoded(all).text(), escapes, left, found);
                    }
                }
            }
        }
        let Some(left) = escapes.checked_sub(1) else { return };
        // What nobody sees goes first: it may be within an escape.
        if has_unseen(text.bytes) {
            self.search(text.unescaped(EscapeReading::Unseen).text(), left, runs, found);
        } else if self.is_escaped(text.bytes) {
            let strict = text.unescaped(EscapeReading::Strict);
            self.search(strict.text(), left, runs, found);
            let loose = memchr::memchr(b'&', text.bytes)
                .map(|_| text.unescaped(EscapeReading::Loose))
                .filter(|loose| loose.text().bytes.len() < strict.text().bytes.len());
            if let Some(loose) = loose {
                self.search(loose.text(), left.min(1), runs, found);
            }
        }
    }

    /// Returns whether what was decoded may be a spelling of its own.
    fn is_deeper(&self, text: &[u8]) -> bool {
        self.is_escaped(text) || self.has_runs(text)
    }

    /// Returns whether there is an escape that may be a part of a secret, or become one.
    fn is_escaped(&self, text: &[u8]) -> bool {
        let counts = |byte: u8| {
            escapes::is_starter(byte)
                || byte == 0x1B
                || self.alphabet.get(usize::from(byte)).copied().unwrap_or_default()
        };
        // One backslash escapes the next, layer by layer, until one is left.
        let is_told_apart = self.alphabet.get(usize::from(b'\\')).copied().unwrap_or_default();
        // JSON within JSON has one for each of its quotes.
        let quotes_count = counts(b'"');
        let mut from = 0;
        while let Some(at) = next_escape(text, from, quotes_count) {
            let mut rest = text.get(at..).unwrap_or_default();
            from = at;
            if !is_told_apart && rest.starts_with(br"\\") {
                let count = rest.iter().take_while(|byte| **byte == b'\\').count();
                from += count - 1;
                rest = rest.get(count - 1..).unwrap_or_default();
            }
            let Some(escape) = escapes::read_escape(rest, EscapeReading::Loose) else {
                from += 1;
                continue;
            };
            let matters = match escape.meaning {
                EscapeMeaning::Nothing => true,
                EscapeMeaning::Byte(byte) => counts(byte),
                EscapeMeaning::Char(letter) => letter.encode_utf8(&mut [0; 4]).bytes().any(counts),
            };
            if matters {
                return true;
            }
            from += escape.length;
        }
        false
    }

    fn has_runs(&self, text: &[u8]) -> bool {
        runs::base64_runs(text, self.least.base64).next().is_some()
    }
}

/// Notes a place, unless there are too many.
fn note_range(found: &mut Vec<Range<usize>>, place: Range<usize>) {
    if found.len() < MOST_FOUND {
        growth::push_item(found, place);
    }
}

/// Returns where the next escape may begin from `from` on, but for a quote's where these do not count.
fn next_escape(text: &[u8], from: usize, quotes_count: bool) -> Option<usize> {
    let may_begin = |lanes: Lanes, next: Lanes| {
        escapes::starters(lanes) & !(lanes.equal(b'\\') & next.equal(b'"'))
    };
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        at += memchr::memchr3(b'\\', b'%', b'&', rest)?;
        if quotes_count || !text.get(at..)?.starts_with(b"\\\"") {
            return Some(at);
        }
        at += 2;
        // Where JSON is within JSON there are hardly others.
        let blocks = |at: usize| {
            let (block, next) = (text.get(at..)?, text.get(at + 1..)?);
            block.first_chunk().zip(next.first_chunk())
        };
        while blocks(at).is_some_and(|(block, next)| !blocks::has_pair(block, next, may_begin)) {
            at += blocks::BLOCK;
        }
    }
}

/// Returns whether there is something that nobody sees.
fn has_unseen(text: &[u8]) -> bool {
    has_unseen_of(text, escapes::unseen)
}

/// Returns whether there is such a thing that is no ASCII.
fn has_wide_unseen(text: &[u8]) -> bool {
    has_unseen_of(text, escapes::wide_unseen)
}

/// Returns whether there is something that nobody sees, beginning with a byte of a kind.
fn has_unseen_of(text: &[u8], kind: impl Fn(Lanes) -> Lanes) -> bool {
    let is_unseen = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        escapes::read_escape(rest, EscapeReading::Unseen).is_some()
    };
    let mut from = 0;
    while let Some(mut bits) = blocks::bits_at(text, from, b' ', &kind) {
        while bits != 0 {
            if is_unseen(from + bits.trailing_zeros() as usize) {
                return true;
            }
            bits &= bits - 1;
        }
        from += blocks::BLOCK;
    }
    false
}

/// Writes spaces as forms do.
fn with_pluses(text: &[u8]) -> Vec<u8> {
    let mut pluses = growth::byte_buffer(text.len());
    pluses.extend(text.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }));
    pluses
}

/// Puts ranges in order, joins what overlaps or touches, and widens each so that no escape and no
/// character of `text` is cut.
pub(super) fn merge_ranges(text: &[u8], mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_unstable_by_key(|range| (range.start, range.end));
    join_ranges(&mut found, |range| range);
    join_ranges(&mut found, |range| widen_range(text, range));
    found
}

/// Changes each range, and joins what overlaps or touches then; they are in order.
fn join_ranges(ranges: &mut Vec<Range<usize>>, change: impl Fn(Range<usize>) -> Range<usize>) {
    ranges.iter_mut().for_each(|range| *range = change(range.clone()));
    ranges.dedup_by(|next, last| {
        let is_joined = next.start <= last.end;
        if is_joined {
            last.end = last.end.max(next.end);
        }
        is_joined
    });
}

/// Widens a range to whole escapes of JSON and whole characters.
fn widen_range(text: &[u8], range: Range<usize>) -> Range<usize> {
    let is_inner = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let Range { mut start, mut end } = range;
    while start > 0 && is_inner(start) && range.start - start < 3 {
        start -= 1;
    }
    while is_inner(end) && end - range.end < 3 {
        end += 1;
    }
    let start = escape_around(text, start).map_or(start, |escape| escape.start);
    let end = escape_around(text, end).map_or(end, |escape| escape.end);
    start..end
}

/// Returns the escape of JSON that the place `at` lies within.
fn escape_around(text: &[u8], at: usize) -> Option<Range<usize>> {
    let length = |start: usize| match text.get(start + 1) {
        Some(b'u') => 6,
        _ => 2,
    };
    (1..=5).filter_map(|back| at.checked_sub(back)).find_map(|start| {
        let is_start =
            text.get(start) == Some(&b'\\') && backslashes_before(text, start).is_multiple_of(2);
        let end = start + length(start);
        (is_start && end > at).then(|| start..end.min(text.len()))
    })
}

fn backslashes_before(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count()
}
