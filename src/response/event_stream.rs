//! Server-sent events (HTML Living Standard, section 9.2.6), decoded piece by piece.

use std::{borrow::Cow, collections::VecDeque};

use dadl_text::{growth, json::scan};

use crate::outcome::JsonText;

/// A longer identifier is dropped, in bytes.
const LONGEST_ID: usize = 1024;

/// In a longer line, what is no text becomes a question mark, which is no longer than what it stands for.
const LONG_LINE: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Its type; `message` when the server names none.
    pub event: String,
    /// The last identifier that the server gave.
    pub id: Option<String>,
    /// Its data lines, joined by line feeds.
    pub data: String,
}

impl SseEvent {
    /// Returns `{"event", "id", "data"}`; `data` is a value when it is JSON, and an identifier that
    /// is not there is left out. `None` when it would be longer than `most` bytes: as a string a text
    /// can become six times as long.
    pub fn into_json(self, most: usize) -> Option<JsonText> {
        let Self { event, id, data } = self;
        let mut start = format!("{{\"event\":{}", JsonText::string_within(&event, most)?.as_str());
        drop(event);
        if let Some(id) = id {
            start.push_str(",\"id\":");
            start.push_str(JsonText::string(&id).as_str());
        }
        start.push_str(",\"data\":");
        let mut text = match scan::compacted_in_place(data) {
            Ok(json) => json,
            Err((data, _)) => JsonText::string_within(&data, most)?.into_string(),
        };
        if start.len() + text.len() + 1 > most {
            return None;
        }
        text.reserve_exact(start.len() + 1);
        text.insert_str(0, &start);
        text.push('}');
        Some(JsonText::trusted(text))
    }
}

/// Decodes a stream; an event that is cut off at its end is dropped, as the standard says.
#[derive(Debug, Default)]
pub struct EventDecoder {
    /// The line that has not ended.
    line: Vec<u8>,
    /// Whether a line feed that comes next belongs to a carriage return that ended a line.
    after_return: bool,
    /// Whether a line was read: a byte order mark may only be before the first.
    begun: bool,
    event: String,
    data: String,
    has_data: bool,
    id: Option<String>,
    /// How long the server asks to wait before a connection is made again, in milliseconds.
    retry: Option<u64>,
    ready: VecDeque<SseEvent>,
}

impl EventDecoder {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            let is_pair = self.after_return && text.is_empty() && end == Some(b'\n');
            self.after_return = end == Some(b'\r');
            if is_pair {
                continue;
            }
            growth::append_to(&mut self.line, text);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                if let Some(line) = self.take_long_data(line) {
                    self.end_line(&line);
                }
            }
        }
    }

    /// Returns the next event that is whole.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    /// Returns the last identifier that the server gave.
    pub fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns how many milliseconds the server asks to wait before a connection is made again.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Returns how many bytes wait for the end of their event.
    pub fn pending(&self) -> usize {
        self.line.len() + self.event.len() + self.data.len()
    }

    /// Returns whether the end of an event is missing.
    pub fn is_within_event(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    /// Makes a long line of data the data of its event without a copy; returns one that is something else.
    fn take_long_data(&mut self, line: Vec<u8>) -> Option<Vec<u8>> {
        if line.len() <= LONG_LINE || self.has_data || !line.starts_with(b"data:") {
            return Some(line);
        }
        match String::from_utf8(line) {
            Ok(mut text) => {
                drop(text.drain(.."data:".len()));
                if text.starts_with(' ') {
                    text.remove(0);
                }
                (self.data, self.has_data, self.begun) = (text, true, true);
                None
            }
            Err(error) => Some(error.into_bytes()),
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        let mut line = line;
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event();
            return;
        }
        let text = text_of(line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                growth::append_text(&mut self.data, value);
            }
            "event" => value.clone_into(&mut self.event),
            // It is part of each event that follows.
            "id" if value.len() > LONGEST_ID => self.id = None,
            "id" if !value.contains('\0') => {
                self.id = (!value.is_empty()).then(|| value.to_owned());
            }
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().or(Some(u64::MAX));
            }
            // Comments, and fields that nobody knows.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        self.ready.push_back(SseEvent { event, id: self.id.clone(), data });
    }
}

/// Returns what a line says; what is no text in it is replaced.
fn text_of(line: &[u8]) -> Cow<'_, str> {
    if line.len() <= LONG_LINE {
        return String::from_utf8_lossy(line);
    }
    if let Ok(text) = std::str::from_utf8(line) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('?');
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Value> {
        let mut decoder = EventDecoder::default();
        for piece in pieces {
            decoder.push(piece);
        }
        std::iter::from_fn(|| decoder.next_event())
            .map(|event| event.into_json(usize::MAX).unwrap().value().unwrap())
            .collect()
    }

    #[test]
    fn a_long_line_is_like_a_short_one() {
        for start in ["data:", "data: "] {
            let long = "x".repeat(LONG_LINE + 1);
            let stream = format!("{start}{long}\ndata: end\n\n");
            let found = events(&[stream.as_bytes()]);
            assert_eq!(found[0]["data"], format!("{long}\nend"));
        }
    }

    #[test]
    fn fields_become_events() {
        let stream = b"\xEF\xBB\xBFevent: init\ndata: {\"id\": 9007199254740993}\n\n: ping\n\n\
            data:a\ndata: b\nid: 7\nretry: 10\nunknown\n\ndata\n\nevent: none\n\ndata: cut off";
        assert_eq!(
            events(&[stream]),
            [
                json!({"event": "init", "data": {"id": 9_007_199_254_740_993_u64}}),
                json!({"event": "message", "id": "7", "data": "a\nb"}),
                json!({"event": "message", "id": "7", "data": ""}),
            ]
        );
    }

    #[test]
    fn what_a_reconnection_needs_is_kept() {
        let mut decoder = EventDecoder::default();
        decoder.push(b"id: 7\nretry: 1500\ndata: x\n\nretry: 2s\nretry: -1\n\n");
        assert_eq!((decoder.last_id(), decoder.retry()), (Some("7"), Some(1500)));
        decoder.push(b"retry: 99999999999999999999999\n\n");
        assert_eq!(decoder.retry(), Some(u64::MAX));
    }

    #[test]
    fn an_event_has_a_bound_however_it_is_written() {
        let event = |data: &str| SseEvent { event: "e".into(), id: None, data: data.to_owned() };
        let json = |data: &str, most| event(data).into_json(most).map(JsonText::into_string);
        let written = r#"{"event":"e","data":[1]}"#;
        assert_eq!(json(" [ 1 ] ", written.len()).as_deref(), Some(written));
        assert_eq!(json("[1]", written.len() - 1), None);
        assert_eq!(json(&"\u{1}".repeat(100), 600), None);
        assert!(json(&"\u{1}".repeat(100), 700).is_some());
        let name = SseEvent { event: "\u{1}".repeat(100), id: None, data: "1".into() };
        assert_eq!(name.into_json(500), None);
    }

    #[test]
    fn a_long_line_that_is_no_text_becomes_no_longer() {
        let mut decoder = EventDecoder::default();
        decoder.push(b"data: ");
        decoder.push(&[0xFF].repeat(LONG_LINE));
        decoder.push(b"\xC3\xA9\n");
        assert!(decoder.pending() <= LONG_LINE + 2);
        decoder.push(b"\n");
        let event = decoder.next_event().unwrap();
        assert!(event.data.starts_with("??") && event.data.ends_with("?\u{e9}"));
    }

    #[test]
    fn lines_end_in_three_ways() {
        let expected = [json!({"event": "x", "data": "1"}), json!({"event": "message", "data": 2})];
        let expected = [expected[0].clone(), expected[1].clone()];
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!("event: x{end}data: \"1\"{end}{end}data: 2{end}{end}");
            assert_eq!(events(&[stream.as_bytes()]), expected, "{end:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_pieces_make_no_difference(
            stream in "(data: ?[a-z{}\"é]{0,6}|event: [a-c]|id: [0-9]?|:c|\r\n|\n|\r){0,30}",
            cuts in proptest::collection::vec(0_usize..200, 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|to| {
                let piece = &bytes[from..*to];
                from = *to;
                piece
            }).collect();
            prop_assert_eq!(events(&pieces), events(&[bytes]));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            events(&[&bytes]);
        }
    }
}
