//! Collects the items of a stream, as they come, into one JSON array.

use bytes::Bytes;
use dadl_text::{growth, json::scan};

use super::{
    decode_error::{DecodeError, excerpt},
    event_stream::EventDecoder,
};
use crate::{outcome::JsonText, secrets::Secrets};

/// An item with more bytes is not copied without need.
const LARGE: usize = 1024 * 1024;

/// Stands for a line that breaks off.
const NOT_QUOTED: &str = "…";

/// Takes the bytes of a stream apart; each item is one of the result.
#[derive(Debug)]
pub(crate) struct StreamCollector {
    source: StreamFormat,
    most: usize,
    /// The bytes that an item has at most.
    most_bytes: usize,
    /// Whether an item had more.
    is_over: bool,
    items: usize,
    array: String,
    secrets: Secrets,
}

#[derive(Debug)]
enum StreamFormat {
    Events(EventDecoder),
    Lines { pending: Vec<u8>, number: usize },
}

/// How many items there were, in how many bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoFar {
    items: usize,
    length: usize,
}

/// What the end of a list of lines shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfList {
    /// It ends within an item, which is dropped.
    Cut,
    /// The last item is there, but not the end of its line.
    Unterminated,
    /// It ends with a line.
    Whole,
}

impl StreamCollector {
    /// Collects up to `most` server-sent events, without `secrets`.
    pub(crate) fn events(most: Option<usize>, secrets: &Secrets) -> Self {
        Self::new(StreamFormat::Events(EventDecoder::default()), most, secrets)
    }

    /// Collects up to `most` JSON values, one a line, without `secrets`.
    pub(crate) fn lines(most: Option<usize>, secrets: &Secrets) -> Self {
        Self::new(StreamFormat::Lines { pending: Vec::new(), number: 0 }, most, secrets)
    }

    fn new(source: StreamFormat, most: Option<usize>, secrets: &Secrets) -> Self {
        let (most, secrets) = (most.unwrap_or(usize::MAX), secrets.clone());
        let (most_bytes, is_over) = (usize::MAX, false);
        Self { source, most, most_bytes, is_over, items: 0, array: "[".to_owned(), secrets }
    }

    /// Takes no item that has more than `bytes` as JSON.
    pub(crate) fn within(self, bytes: u64) -> Self {
        Self { most_bytes: usize::try_from(bytes).unwrap_or(usize::MAX), ..self }
    }

    /// Takes the next bytes; what comes after the last item that is wanted is dropped.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        match &mut self.source {
            StreamFormat::Events(decoder) => {
                decoder.push(bytes);
                while self.items < self.most
                    && !self.is_over
                    && let Some(event) = decoder.next_event()
                {
                    let Some(json) = event.into_json(self.most_bytes) else {
                        self.is_over = true;
                        break;
                    };
                    append_item(&mut self.array, self.secrets.masked_json(json.into_string()));
                    self.items += 1;
                }
                Ok(())
            }
            StreamFormat::Lines { pending, number } => {
                let mut rest = bytes;
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    let (line, after) = rest.split_at(end);
                    rest = after.get(1..).unwrap_or_default();
                    if self.items >= self.most {
                        return Ok(());
                    }
                    *number += 1;
                    let line = if pending.is_empty() {
                        Bytes::copy_from_slice(line)
                    } else {
                        growth::append_to(pending, line);
                        std::mem::take(pending).into()
                    };
                    let is_item = push_line(line, *number, &mut self.array, &self.secrets)?;
                    self.items += usize::from(is_item);
                }
                growth::append_to(pending, rest);
                Ok(())
            }
        }
    }

    /// Takes the end of the stream: the last line may lack its line feed.
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        if let StreamFormat::Lines { pending, number } = &mut self.source
            && self.items < self.most
        {
            let line = std::mem::take(pending);
            self.items +=
                usize::from(push_line(line.into(), *number + 1, &mut self.array, &self.secrets)?);
        }
        Ok(())
    }

    /// Takes the end of a stream, which may be in the middle of an item; returns what the end shows.
    pub(crate) fn end_of_list(&mut self) -> Result<EndOfList, DecodeError> {
        let (pending, number) = match &mut self.source {
            StreamFormat::Lines { pending, number } => (pending, number),
            StreamFormat::Events(decoder) if decoder.is_within_event() => {
                return Ok(EndOfList::Cut);
            }
            StreamFormat::Events(_) => return Ok(EndOfList::Whole),
        };
        let line = std::mem::take(pending);
        if self.items >= self.most || line.iter().all(u8::is_ascii_whitespace) {
            return Ok(EndOfList::Whole);
        }
        match push_line(line.into(), *number + 1, &mut self.array, &self.secrets) {
            Ok(is_item) => {
                self.items += usize::from(is_item);
                Ok(EndOfList::Unterminated)
            }
            // Half of a secret is nothing that could be found and masked.
            Err(error) if self.items == 0 => {
                Err(DecodeError { excerpt: NOT_QUOTED.to_owned(), ..error })
            }
            Err(_) => Ok(EndOfList::Cut),
        }
    }

    /// Takes the items that are there as an array, and goes on without them; `None` when there are
    /// none.
    pub(crate) fn take(&mut self) -> Option<JsonText> {
        if std::mem::take(&mut self.items) == 0 {
            return None;
        }
        let mut array = std::mem::replace(&mut self.array, "[".to_owned());
        array.push(']');
        Some(JsonText::trusted(array))
    }

    /// Returns the decoder, when the items are events.
    pub(crate) fn decoder(&self) -> Option<&EventDecoder> {
        match &self.source {
            StreamFormat::Events(decoder) => Some(decoder),
            StreamFormat::Lines { .. } => None,
        }
    }

    /// Returns whether the items are events.
    pub(crate) fn reads_events(&self) -> bool {
        matches!(self.source, StreamFormat::Events(_))
    }

    /// Returns how far it has come.
    pub(crate) fn so_far(&self) -> SoFar {
        SoFar { items: self.items, length: self.array.len() }
    }

    /// Forgets the items that came later.
    pub(crate) fn back_to(&mut self, so_far: SoFar) {
        self.array.truncate(so_far.length);
        self.items = so_far.items;
    }

    /// Returns whether there was an item that is too large, which is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns whether no further item is wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.items >= self.most
    }

    /// Returns how many items there are.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// Returns how many bytes are held.
    pub(crate) fn size(&self) -> usize {
        self.array.len() + self.pending()
    }

    /// Returns how many bytes wait for the end of their item.
    pub(crate) fn pending(&self) -> usize {
        match &self.source {
            StreamFormat::Events(decoder) => decoder.pending(),
            StreamFormat::Lines { pending, .. } => pending.len(),
        }
    }

    /// Returns whether an item may end in these bytes, which come next.
    pub(crate) fn may_end(&self, bytes: &[u8]) -> bool {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        match &self.source {
            StreamFormat::Lines { .. } => memchr::memchr(b'\n', bytes).is_some(),
            // An empty line does that.
            StreamFormat::Events(_) => {
                let mut places = memchr::memchr2_iter(b'\n', b'\r', bytes);
                bytes.first().is_some_and(is_end)
                    || places.any(|at| bytes.get(at + 1).is_some_and(is_end))
            }
        }
    }

    /// Returns the array.
    pub(crate) fn finish(mut self) -> JsonText {
        self.array.push(']');
        JsonText::trusted(self.array)
    }
}

/// Adds an item to an array that has no end yet. A large item becomes the array where it is the first.
fn append_item(array: &mut String, mut item: String) {
    if array.len() == 1 && item.len() > LARGE {
        item.insert(0, '[');
        *array = item;
        return;
    }
    if array.len() > 1 {
        array.push(',');
    }
    growth::append_text(array, &item);
}

/// Appends the value of a line; returns whether it has one.
fn push_line(
    line: Bytes,
    number: usize,
    array: &mut String,
    secrets: &Secrets,
) -> Result<bool, DecodeError> {
    let fail = |line: &[u8], reason: String| DecodeError {
        expected: "NDJSON",
        reason: format!("line {number}: {reason}"),
        excerpt: excerpt(line),
    };
    // From here on there is one text, which becomes the item.
    let line = Vec::from(secrets.body(line));
    let mut text = String::from_utf8(line).map_err(|error| {
        let reason = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to());
        fail(error.as_bytes(), reason)
    })?;
    // RFC 7464 puts a record separator before each text.
    if text.starts_with('\x1E') {
        text.remove(0);
    }
    text.truncate(text.trim_end().len());
    text.drain(..text.len() - text.trim_start().len());
    if text.is_empty() {
        return Ok(false);
    }
    let compacted = scan::compacted_in_place(text);
    let text = compacted.map_err(|(text, error)| fail(text.as_bytes(), error.to_string()))?;
    append_item(array, text);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(mut collector: StreamCollector, pieces: &[&[u8]]) -> Result<String, String> {
        let mut run = || {
            for piece in pieces {
                collector.push(piece)?;
            }
            collector.end()
        };
        run().map_err(|error: DecodeError| error.to_string())?;
        Ok(collector.finish().into_string())
    }

    #[test]
    fn lines_become_items_with_every_digit() {
        let pieces: [&[u8]; 3] = [b"{\"a\": 1.", b"50}\n\n\x1E[18446744073", b"709551616]"];
        let lines = || StreamCollector::lines(None, &Secrets::default());
        assert_eq!(collect(lines(), &pieces).unwrap(), r#"[{"a":1.50},[18446744073709551616]]"#);
        assert_eq!(collect(lines(), &[]).unwrap(), "[]");
        let error = collect(lines(), &[b"{}\nx\n"]).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
        let error = collect(lines(), &[b"{}\n\xff\n"]).unwrap_err();
        assert!(error.contains("line 2: byte 0 is not UTF-8"), "{error}");
    }

    #[test]
    fn a_long_line_becomes_the_array() {
        let line = format!("\x1E [ \"{}\" ] \r\n", "x".repeat(LARGE));
        let mut collector = StreamCollector::lines(None, &Secrets::default());
        for piece in line.as_bytes().chunks(100_000) {
            collector.push(piece).unwrap();
        }
        collector.push(b"2\n").unwrap();
        let expected = format!("[[\"{}\"],2]", "x".repeat(LARGE));
        assert!(collector.finish().as_str() == expected);
    }

    #[test]
    fn an_event_that_becomes_too_large_is_none() {
        let mut collector = StreamCollector::events(None, &Secrets::default()).within(1000);
        collector.push(b"data: 1\n\ndata: ").unwrap();
        collector.push(&[1].repeat(900)).unwrap();
        assert!(!collector.is_over());
        collector.push(b"\n\ndata: 2\n\n").unwrap();
        assert!(collector.is_over());
        assert_eq!(collector.finish().as_str(), r#"[{"event":"message","data":1}]"#);
    }

    #[test]
    fn what_is_there_is_taken_piece_by_piece() {
        let mut collector = StreamCollector::lines(None, &Secrets::default());
        collector.push(b"1\n2\n3").unwrap();
        assert_eq!(collector.take().unwrap().as_str(), "[1,2]");
        assert!(collector.take().is_none());
        collector.push(b"4\n").unwrap();
        assert_eq!(collector.take().unwrap().as_str(), "[34]");
    }

    #[test]
    fn the_end_of_a_list_shows_whether_it_was_cut() {
        let end = |bytes: &[u8]| {
            let mut collector = StreamCollector::lines(None, &Secrets::default());
            collector.push(bytes).unwrap();
            let end = collector.end_of_list();
            (end.ok(), collector.finish().into_string())
        };
        assert_eq!(end(b"1\n2\n"), (Some(EndOfList::Whole), "[1,2]".to_owned()));
        assert_eq!(end(b"1\n2\n  "), (Some(EndOfList::Whole), "[1,2]".to_owned()));
        assert_eq!(end(b""), (Some(EndOfList::Whole), "[]".to_owned()));
        assert_eq!(end(b"1\n2"), (Some(EndOfList::Unterminated), "[1,2]".to_owned()));
        assert_eq!(end(b"1\n{\"a\":"), (Some(EndOfList::Cut), "[1]".to_owned()));
        assert_eq!(end(b"{\"a\":").0, None);
    }

    #[test]
    fn a_line_that_breaks_off_is_not_quoted() {
        let mut collector = StreamCollector::lines(None, &Secrets::default());
        collector.push(b"{\"token\": \"s3cr").unwrap();
        let error = collector.end_of_list().unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("s3cr"), "{error}");
    }

    #[test]
    fn the_end_of_events_shows_whether_it_was_cut() {
        for (bytes, expected) in [
            (&b"data: 1\n\n"[..], EndOfList::Whole),
            (b"data: 1\n\n: ping\n\nretry: 1\n", EndOfList::Whole),
            (b"data: 1\n\ndata: 2\n", EndOfList::Cut),
            (b"data: 1\n\ndata: {\"a", EndOfList::Cut),
        ] {
            let mut collector = StreamCollector::events(None, &Secrets::default());
            collector.push(bytes).unwrap();
            assert_eq!(collector.end_of_list(), Ok(expected));
            assert_eq!(collector.finish().as_str(), r#"[{"event":"message","data":1}]"#);
        }
    }

    #[test]
    fn no_more_items_are_taken_than_wanted() {
        assert_eq!(
            collect(StreamCollector::lines(Some(2), &Secrets::default()), &[b"1\n2\n3\nx\n"])
                .unwrap(),
            "[1,2]"
        );
        assert_eq!(
            collect(StreamCollector::lines(Some(2), &Secrets::default()), &[b"1\n2"]).unwrap(),
            "[1,2]"
        );
        let stream: &[u8] = b"data: 1\n\ndata: 2\n\n";
        assert_eq!(
            collect(StreamCollector::events(Some(1), &Secrets::default()), &[stream]).unwrap(),
            r#"[{"event":"message","data":1}]"#
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_item_comes_only_where_one_may_end(
            text in "(data: ?[0-9]{1,3}|: ?c|id: 1|[0-9]{1,3}|\r\n|\n|\r){0,30}",
            size in 1_usize..9,
        ) {
            for mut collector in [
                StreamCollector::lines(None, &Secrets::default()),
                StreamCollector::events(None, &Secrets::default()),
            ] {
                for piece in text.as_bytes().chunks(size) {
                    let (before, may_end) = (collector.items(), collector.may_end(piece));
                    if collector.push(piece).is_err() {
                        break;
                    }
                    prop_assert!(may_end || collector.items() == before);
                }
            }
        }

        #[test]
        fn any_bytes_are_collected_or_refused(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            for collector in [StreamCollector::lines(Some(3), &Secrets::default()), StreamCollector::events(Some(3), &Secrets::default())] {
                if let Ok(text) = collect(collector, &pieces) {
                    prop_assert!(JsonText::parse(&text).is_ok());
                }
            }
        }
    }
}
