//! One pass through a text with a path: at each node, a set of the segments that lead there.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{CompiledPath, PathSegment, PathSelector};
use crate::{
    growth,
    json::{cost, scan},
};

/// Paths look no deeper than trees are built.
const DEEPEST: usize = 128;

/// So many values a path selects.
const MOST_RESULTS: usize = 2 * 1024 * 1024;

/// What is looked at more than once (items that are counted, values that a filter judges) is at most so
/// many times the text, and at least this.
const MOST_WORK: usize = 16;
const LEAST_WORK: usize = 1024 * 1024;

/// A filter judges no value whose tree is larger, in bytes.
const LARGEST_JUDGED: u64 = 4 * 1024 * 1024;

/// All filters of one pass may take so long: what a regular expression costs, nobody can count.
const FILTER_TIME: Duration = Duration::from_secs(2);

/// Why a path gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The value is nested too deep.
    #[error("the answer is nested more than {DEEPEST} deep")]
    Deep,
    /// What it gives would be too large.
    #[error("what it gives is larger than the answer may be")]
    Large,
    /// It selects too much.
    #[error("it selects more than {MOST_RESULTS} values")]
    Results,
    /// It takes too long.
    #[error("finding what it selects takes too many steps")]
    Work,
}

/// A selected value; places are in bytes, and texts are shorter than 4 GB.
#[derive(Clone, Copy)]
struct FoundValue {
    start: u32,
    end: u32,
}

/// An array or object that is being looked through.
struct WalkFrame {
    /// The segments to be tried on its children, as bits.
    states: u64,
    start: u32,
    /// The number of the next item.
    index: u32,
    /// How many items there are, where a segment has to know.
    length: i64,
    is_object: bool,
    /// Its own place in what is found.
    found: Option<usize>,
}

/// A member that was selected by its name, in case the name comes again.
struct NamedMember {
    depth: usize,
    name: (usize, usize),
    value: usize,
}

/// Where a child is.
enum ChildPlace<'text> {
    Item { index: i64, length: i64 },
    Member(&'text str),
}

/// What found values are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WalkPurpose {
    /// To be returned, in the order of the path.
    Select,
    /// To be hidden: what lies below one is of no interest, and each member of a name counts.
    Mask,
}

struct PathWalk<'run> {
    path: &'run CompiledPath,
    text: &'run str,
    purpose: WalkPurpose,
    open: Vec<WalkFrame>,
    named: Vec<NamedMember>,
    found: Vec<FoundValue>,
    /// For each selected value, where its segment's look at all descendants stood.
    keys: Vec<u32>,
    work: usize,
    deadline: Option<Instant>,
}

impl CompiledPath {
    /// Returns the first value that the path selects.
    pub fn first<'text>(&self, text: &'text str) -> Result<Option<&'text str>, PathError> {
        Ok(self.select(text)?.first().and_then(|found| found.of(text)))
    }

    /// Returns all values that the path selects, whose texts are together no longer than `text`, but for
    /// values in selected values.
    pub fn all<'text>(&self, text: &'text str) -> Result<Vec<&'text str>, PathError> {
        Ok(self.select(text)?.iter().filter_map(|found| found.of(text)).collect())
    }

    /// Joins all values that the path selects into an array of at most `most` bytes.
    pub fn array(&self, text: &str, most: usize) -> Result<String, PathError> {
        let found = self.select(text)?;
        let length = |found: &FoundValue| found.end.saturating_sub(found.start) as usize + 1;
        let length = found.iter().map(length).sum::<usize>() + 2;
        if length > most.saturating_add(3) {
            return Err(PathError::Large);
        }
        let mut array = growth::text_buffer(length);
        array.push('[');
        for (number, value) in found.iter().filter_map(|found| found.of(text)).enumerate() {
            if number > 0 {
                array.push(',');
            }
            array.push_str(value);
        }
        array.push(']');
        Ok(array)
    }

    /// Puts `mask` in the place of every value that one of the paths selects; `None` when there is none.
    /// The result has at most `most` bytes.
    pub fn mask(
        paths: &[&Self],
        text: &str,
        mask: &str,
        most: usize,
    ) -> Result<Option<String>, PathError> {
        let mut all = Vec::new();
        for path in paths {
            all.append(&mut PathWalk::new(path, text, WalkPurpose::Mask)?.run()?.0);
            if all.len() > MOST_RESULTS {
                return Err(PathError::Results);
            }
        }
        if all.is_empty() {
            return Ok(None);
        }
        if paths.len() > 1 {
            // The outer one of two comes first.
            all.sort_unstable_by_key(|found| (found.start, u32::MAX - found.end));
        }
        let mut end = 0;
        all.retain(|found| {
            let is_outer = found.start >= end;
            end = end.max(found.end);
            is_outer
        });
        let gone: usize = all.iter().map(|found| found.of(text).map_or(0, str::len)).sum();
        let length = (text.len() - gone).saturating_add(all.len().saturating_mul(mask.len()));
        if length > most.max(text.len()) {
            return Err(PathError::Large);
        }
        let mut masked = growth::text_buffer(length);
        let mut at = 0;
        for found in &all {
            masked.push_str(text.get(at..found.start as usize).unwrap_or_default());
            masked.push_str(mask);
            at = found.end as usize;
        }
        masked.push_str(text.get(at..).unwrap_or_default());
        Ok(Some(masked))
    }

    fn select(&self, text: &str) -> Result<Vec<FoundValue>, PathError> {
        let (found, keys) = PathWalk::new(self, text, WalkPurpose::Select)?.run()?;
        if keys.is_sorted() {
            return Ok(found);
        }
        let mut both = Vec::new();
        for pair in keys.into_iter().zip(found) {
            growth::push_item(&mut both, pair);
        }
        // What has the same key stays in the order of the text.
        both.sort_unstable_by_key(|(key, found)| (*key, found.start));
        Ok(both.into_iter().map(|(_, found)| found).collect())
    }
}

impl FoundValue {
    fn of(self, text: &str) -> Option<&str> {
        text.get(self.start as usize..self.end as usize)
    }
}

/// Makes a place of a byte number.
fn byte_place(at: usize) -> Result<u32, PathError> {
    u32::try_from(at).map_err(|_| PathError::Large)
}

impl<'run> PathWalk<'run> {
    fn new(
        path: &'run CompiledPath,
        text: &'run str,
        purpose: WalkPurpose,
    ) -> Result<Self, PathError> {
        byte_place(text.len())?;
        Ok(Self {
            path,
            text,
            purpose,
            open: Vec::new(),
            named: Vec::new(),
            found: Vec::new(),
            keys: Vec::new(),
            work: 0,
            deadline: None,
        })
    }

    fn run(mut self) -> Result<(Vec<FoundValue>, Vec<u32>), PathError> {
        let text = self.text;
        let bytes = text.as_bytes();
        let mut at = self.enter(0, 1)?;
        while let Some(frame) = self.open.last_mut() {
            let Some(byte) = bytes.get(at) else { break };
            match byte {
                b']' | b'}' => {
                    at += 1;
                    self.close(at)?;
                    continue;
                }
                b',' => at += 1,
                _ => {}
            }
            let (child, start, name) = if frame.is_object {
                let Some(end) = scan::string_end(bytes, at) else { break };
                let name = text.get(at..end).unwrap_or_default();
                (ChildPlace::Member(name), end + 1, (at, end))
            } else {
                let (index, length) = (i64::from(frame.index), frame.length);
                frame.index += 1;
                (ChildPlace::Item { index, length }, at, (at, at))
            };
            let states = frame.states;
            let (states, is_named) = self.children(states, &child, start)?;
            if is_named && self.purpose == WalkPurpose::Select {
                self.name(name, start)?;
            }
            let before = at;
            at = self.enter(start, states)?;
            if at <= before {
                break;
            }
        }
        Ok((self.found, self.keys))
    }

    /// Takes a value to which the segments `states` lead; returns where to go on.
    fn enter(&mut self, at: usize, states: u64) -> Result<usize, PathError> {
        let bytes = self.text.as_bytes();
        let whole = 1_u64 << self.path.segments.len();
        let rest = states & !whole;
        let mut found = None;
        if states & whole != 0 {
            if self.found.len() >= MOST_RESULTS {
                return Err(PathError::Results);
            }
            found = Some(self.found.len());
            let start = byte_place(at)?;
            growth::push_item(&mut self.found, FoundValue { start, end: start });
            if let Some(deep) = self.path.deep {
                let above = self.path.segments.len() - deep;
                let frame = self.open.len().checked_sub(above).and_then(|at| self.open.get(at));
                growth::push_item(&mut self.keys, frame.map_or(0, |frame| frame.start));
            }
        }
        let is_container = matches!(bytes.get(at), Some(b'[' | b'{'));
        if !is_container || rest == 0 || (found.is_some() && self.purpose == WalkPurpose::Mask) {
            let end = scan::value_end(bytes, at).unwrap_or(bytes.len());
            self.found_until(found, end)?;
            return Ok(end);
        }
        if self.open.len() >= DEEPEST {
            return Err(PathError::Deep);
        }
        let is_object = bytes.get(at) == Some(&b'{');
        let length = if !is_object && rest & self.path.counting != 0 {
            let text = self.text.get(at..).unwrap_or_default();
            let (mut count, mut size) = (0, 0);
            for item in scan::array_items(text).into_iter().flatten() {
                count += 1;
                size += item.len() + 1;
                self.works(item.len() + 1)?;
            }
            debug_assert!(size <= text.len());
            count
        } else {
            0
        };
        self.open.push(WalkFrame {
            states: rest,
            start: byte_place(at)?,
            index: 0,
            length,
            is_object,
            found,
        });
        Ok(at + 1)
    }

    fn close(&mut self, end: usize) -> Result<(), PathError> {
        let depth = self.open.len();
        while self.named.last().is_some_and(|named| named.depth >= depth) {
            self.named.pop();
        }
        let frame = self.open.pop();
        self.found_until(frame.and_then(|frame| frame.found), end)
    }

    fn found_until(&mut self, found: Option<usize>, end: usize) -> Result<(), PathError> {
        if let Some(found) = found.and_then(|at| self.found.get_mut(at)) {
            found.end = byte_place(end)?;
        }
        Ok(())
    }

    /// Returns the segments that lead to a child, and whether one has its name.
    fn children(
        &mut self,
        states: u64,
        child: &ChildPlace<'_>,
        start: usize,
    ) -> Result<(u64, bool), PathError> {
        let (mut next, mut is_named) = (0, false);
        let path = self.path;
        for (at, segment) in path.segments.iter().enumerate() {
            if states & (1 << at) == 0 {
                continue;
            }
            if segment.is_deep {
                next |= 1 << at;
            }
            if let Some(by_name) = self.selects(segment, child, start)? {
                next |= 1 << (at + 1);
                is_named |= by_name;
            }
        }
        Ok((next, is_named))
    }

    /// Returns whether a segment selects a child, and if so, whether by its name.
    fn selects(
        &mut self,
        segment: &PathSegment,
        child: &ChildPlace<'_>,
        start: usize,
    ) -> Result<Option<bool>, PathError> {
        for selector in &segment.selectors {
            let (is_selected, by_name) = match (selector, child) {
                (PathSelector::Wildcard, _) => (true, false),
                (PathSelector::Name(name), ChildPlace::Member(written)) => {
                    (scan::unquote(written).is_some_and(|known| known == *name), true)
                }
                (PathSelector::Index(wanted), ChildPlace::Item { index, length }) => {
                    let wanted = if *wanted < 0 { length.saturating_add(*wanted) } else { *wanted };
                    (wanted == *index, false)
                }
                (PathSelector::Slice { start, end, step }, ChildPlace::Item { index, length }) => {
                    (is_in_slice(*index, *length, *start, *end, *step), false)
                }
                (PathSelector::Filter(filter), _) => (self.judges(filter, start)?, false),
                (PathSelector::Name(_), ChildPlace::Item { .. })
                | (PathSelector::Index(_) | PathSelector::Slice { .. }, ChildPlace::Member(_)) => {
                    (false, false)
                }
            };
            if is_selected {
                return Ok(Some(by_name));
            }
        }
        Ok(None)
    }

    /// Asks a filter about the value at `start`.
    fn judges(
        &mut self,
        filter: &serde_json_path::JsonPath,
        start: usize,
    ) -> Result<bool, PathError> {
        let end = scan::value_end(self.text.as_bytes(), start).unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default();
        self.works(text.len() + 1)?;
        let now = Instant::now();
        if now >= *self.deadline.get_or_insert(now + FILTER_TIME) {
            return Err(PathError::Work);
        }
        if cost::parse_cost(text) > LARGEST_JUDGED {
            return Err(PathError::Work);
        }
        // What is no value (half of a surrogate pair) is like nothing.
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(false) };
        Ok(filter.query(&Value::Array(vec![value])).first().is_some())
    }

    /// Notes a member that is selected by its name. The last one of a name counts: what was found in
    /// the one before it is forgotten.
    fn name(&mut self, name: (usize, usize), value: usize) -> Result<(), PathError> {
        let depth = self.open.len();
        let text = self.text;
        let written = |(from, to): (usize, usize)| text.get(from..to).and_then(scan::unquote);
        let open = self.named.iter().rposition(|known| known.depth < depth).map_or(0, |at| at + 1);
        let siblings = self.named.get_mut(open..).unwrap_or_default();
        let known = siblings.iter_mut().find(|known| written(known.name) == written(name));
        let Some(known) = known else {
            self.named.push(NamedMember { depth, name, value });
            return Ok(());
        };
        let earlier = std::mem::replace(&mut known.value, value);
        let end = scan::value_end(text.as_bytes(), earlier).unwrap_or(earlier);
        let from = self.found.partition_point(|found| (found.start as usize) < earlier);
        let to = self.found.partition_point(|found| (found.start as usize) < end);
        let moved = self.found.len() - from;
        self.works(end - earlier + moved * size_of::<FoundValue>())?;
        self.found.drain(from..to);
        if self.path.deep.is_some() {
            self.keys.drain(from..to);
        }
        Ok(())
    }

    fn works(&mut self, bytes: usize) -> Result<(), PathError> {
        self.work = self.work.saturating_add(bytes);
        let most = self.text.len().saturating_mul(MOST_WORK).max(LEAST_WORK);
        if self.work > most { Err(PathError::Work) } else { Ok(()) }
    }
}

/// Returns whether a slice has the item (RFC 9535, section 2.3.4.2).
fn is_in_slice(index: i64, length: i64, start: Option<i64>, end: Option<i64>, step: i64) -> bool {
    let from_end = |at: i64| if at < 0 { length.saturating_add(at) } else { at };
    match step {
        0 => false,
        1.. => {
            let lower = start.map_or(0, from_end).max(0);
            let upper = end.map_or(i64::MAX, from_end);
            index >= lower && index < upper && (index - lower) % step == 0
        }
        _ => {
            let upper = start.map_or(length - 1, from_end).min(length - 1);
            let lower = end.map_or(-1, from_end).max(-1);
            let step = step.checked_neg().unwrap_or(i64::MAX);
            index <= upper && index > lower && (upper - index) % step == 0
        }
    }
}
