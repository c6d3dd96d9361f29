//! Reads a part of an answer that is kept as a whole: from an item or a line on, or what has a text in it.
//!
//! What is counted depends on the answer. The list that makes it large has items; an object without such a
//! list has members; a text, and the text that makes an object large, has lines. All are counted from 0, as
//! jq counts them.

use std::borrow::Cow;

use dadl_text::{
    json::scan,
    text::{start_of, text_head},
};

use super::budget::{LargestValue, count_characters, largest_value};
use crate::outcome::JsonText;

/// Where a list is in an answer is said in so many characters: it consists of names of a server.
const LONGEST_PLACE: usize = 200;

/// So much of a text that is looked for is repeated.
const LONGEST_FIND: usize = 80;

/// An answer that is kept as a whole.
#[derive(Debug)]
pub(crate) enum StoredAnswer {
    Json(JsonText),
    Text(String),
}

impl StoredAnswer {
    /// Returns how many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.as_str().len(),
            Self::Text(text) => text.len(),
        }
    }
}

/// Which part of an answer is wanted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct WantedPart {
    /// The text that each unit has in it, in any case of letters.
    pub(crate) find: Option<String>,
    /// The first unit.
    pub(crate) from: usize,
    /// The largest number of units; as many as fit where nobody says.
    pub(crate) count: Option<usize>,
}

/// A part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerPart {
    pub(crate) text: PartText,
    /// Says which part it is.
    pub(crate) note: String,
    /// Where the next part begins, when there is one.
    pub(crate) next: Option<usize>,
}

/// A part is JSON where it holds whole values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PartText {
    Json(JsonText),
    Text(String),
}

/// What an answer consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitKind {
    Item,
    Member,
    Line,
}

impl UnitKind {
    fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Member => "member",
            Self::Line => "line",
        }
    }
}

/// An answer, seen as what it consists of.
struct AnswerUnits<'answer> {
    kind: UnitKind,
    text: Cow<'answer, str>,
    place: String,
}

impl<'answer> AnswerUnits<'answer> {
    fn of(answer: &'answer StoredAnswer, most: usize) -> Self {
        let text = match answer {
            StoredAnswer::Json(text) => text.as_str(),
            StoredAnswer::Text(text) => {
                let (text, place) = (Cow::Borrowed(text.as_str()), String::new());
                return Self { kind: UnitKind::Line, text, place };
            }
        };
        if let Some(LargestValue { value, place, .. }) = largest_value(text, most) {
            let place = start_of(&place, LONGEST_PLACE);
            if value.starts_with('[') {
                return Self { kind: UnitKind::Item, text: Cow::Borrowed(value), place };
            }
            if let Some(text) = scan::unquote(value) {
                return Self { kind: UnitKind::Line, text, place };
            }
        }
        let kind = if text.starts_with('{') { UnitKind::Member } else { UnitKind::Line };
        Self { kind, text: Cow::Borrowed(text), place: String::new() }
    }

    fn all(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let text = &*self.text;
        match self.kind {
            UnitKind::Item => {
                Box::new(scan::array_items(text).into_iter().flatten().map(Cow::Borrowed))
            }
            UnitKind::Member => {
                let members = scan::object_members(text).into_iter().flatten();
                Box::new(members.map(|(name, value)| format!("{{{name}:{value}}}").into()))
            }
            UnitKind::Line => Box::new(text.lines().map(Cow::Borrowed)),
        }
    }

    /// Writes a unit that was found, with its number.
    fn numbered(&self, at: usize, unit: &str) -> String {
        match self.kind {
            UnitKind::Line => format!("{at}: {unit}"),
            UnitKind::Item | UnitKind::Member => format!("{{\"at\":{at},\"value\":{unit}}}"),
        }
    }

    /// Names a number of units.
    fn count(&self, many: usize) -> String {
        let plural = if many == 1 { "" } else { "s" };
        let mut text = format!("{many} {}{plural}", self.kind.name());
        if !self.place.is_empty() {
            text.push_str(&format!(" of `{}`", self.place));
        }
        text
    }

    /// Returns a part of the first unit, when not even that fits.
    fn head(&self, at: usize, unit: &str, most: usize) -> AnswerPart {
        let name = self.kind.name();
        let apart = match self.kind {
            UnitKind::Line => "`.[N:M]` of a text",
            UnitKind::Item | UnitKind::Member => "`keys`, say,",
        };
        let note = format!(
            "{name} {at} has {} characters, and this is their start: jq takes it apart ({apart} in a \
             program)",
            count_characters(unit)
        );
        let text = PartText::Text(text_head(unit, most).to_owned());
        AnswerPart { text, note, next: Some(at + 1) }
    }

    fn join(&self, parts: &[String]) -> PartText {
        match self.kind {
            UnitKind::Line => PartText::Text(parts.join("\n")),
            UnitKind::Item | UnitKind::Member => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                PartText::Json(JsonText::array(&parts))
            }
        }
    }
}

/// Takes a part of at most `most` characters out of an answer.
pub(crate) fn take_part(answer: &StoredAnswer, wanted: &WantedPart, most: usize) -> AnswerPart {
    let units = AnswerUnits::of(answer, most);
    let needle = wanted.find.as_deref().map(Needle::new);
    let most_units = wanted.count.unwrap_or(usize::MAX);
    let mut room = most.saturating_sub("[]".len());
    let (mut total, mut found, mut next, mut last) = (0, 0, None, None);
    let mut parts: Vec<String> = Vec::new();
    for (at, unit) in units.all().enumerate() {
        total = at + 1;
        if at < wanted.from || needle.as_ref().is_some_and(|needle| !needle.is_in(&unit)) {
            continue;
        }
        found += 1;
        if next.is_some() {
            continue;
        }
        if parts.len() >= most_units {
            next = Some(at);
            continue;
        }
        let part = match needle {
            Some(_) => units.numbered(at, &unit),
            None => unit.clone().into_owned(),
        };
        match room.checked_sub(count_characters(&part) + 1) {
            Some(left) => {
                room = left;
                parts.push(part);
                last = Some(at);
            }
            None if parts.is_empty() => return units.head(at, &unit, most),
            None => next = Some(at),
        }
    }
    let all = units.count(total);
    let note = match (&wanted.find, last) {
        (Some(find), _) => {
            let from =
                if wanted.from == 0 { String::new() } else { format!(" from {} on", wanted.from) };
            let find = start_of(find, LONGEST_FIND);
            match (found, parts.len()) {
                (0, _) => format!("none of {all}{from} has `{find}`"),
                (found, shown) if found == shown => format!("{found} of {all}{from} have `{find}`"),
                (found, shown) => {
                    format!("the first {shown} of {found} that have `{find}`, of {all}{from}")
                }
            }
        }
        (None, Some(last)) => format!("{} {} to {last} of {all}", units.kind.name(), wanted.from),
        (None, None) if total == 0 => format!("there are {all}"),
        (None, None) => format!("there are {all}, counted from 0: none is {}", wanted.from),
    };
    AnswerPart { text: units.join(&parts), note, next }
}

/// A text that is looked for.
struct Needle {
    lower: String,
}

impl Needle {
    fn new(text: &str) -> Self {
        Self { lower: text.to_lowercase() }
    }

    /// Returns whether a unit has the text: as it is written, or in a string of it as that is read.
    fn is_in(&self, unit: &str) -> bool {
        if self.is_within(unit) {
            return true;
        }
        let is_value = unit.starts_with(['{', '[', '"']);
        is_value && unit.contains('\\') && strings(unit).any(|string| self.is_within(&string))
    }

    fn is_within(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.lower)
    }
}

/// Returns what the strings of a JSON text say, names of members included.
fn strings(json: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + json.get(at..)?.find('"')?;
            let end = scan::value_end(json.as_bytes(), start).filter(|end| *end > start)?;
            at = end;
            if let Some(text) = json.get(start..end).and_then(scan::unquote) {
                return Some(text);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answer(value: &Value) -> StoredAnswer {
        StoredAnswer::Json(JsonText::from(value))
    }

    fn wanted(find: Option<&str>, from: usize, count: Option<usize>) -> WantedPart {
        WantedPart { find: find.map(str::to_owned), from, count }
    }

    fn taken(
        answer: &StoredAnswer,
        wanted: &WantedPart,
        most: usize,
    ) -> (String, String, Option<usize>) {
        let AnswerPart { text, note, next } = take_part(answer, wanted, most);
        let text = match text {
            PartText::Json(text) => text.into_string(),
            PartText::Text(text) => text,
        };
        (text, note, next)
    }

    #[test]
    fn a_list_is_read_from_an_item_on() {
        let list = answer(&json!(["aaaa", "bbbb", "cccc", "dddd"]));
        assert_eq!(
            taken(&list, &wanted(None, 1, None), 20),
            (r#"["bbbb","cccc"]"#.into(), "item 1 to 2 of 4 items".into(), Some(3))
        );
        assert_eq!(
            taken(&list, &wanted(None, 3, None), 20),
            (r#"["dddd"]"#.into(), "item 3 to 3 of 4 items".into(), None)
        );
        assert_eq!(taken(&list, &wanted(None, 0, Some(1)), 90).2, Some(1));
        let (text, note, next) = taken(&list, &wanted(None, 9, None), 90);
        assert_eq!((text.as_str(), next), ("[]", None));
        assert_eq!(note, "there are 4 items, counted from 0: none is 9");
    }

    #[test]
    fn what_is_counted_is_what_makes_the_answer_large() {
        let inner = answer(&json!({ "total": 3, "data": { "vms": [1, 2, 3] } }));
        assert_eq!(
            taken(&inner, &wanted(None, 1, None), 400).1,
            "item 1 to 2 of 3 items of `data.vms`"
        );
        let log = answer(&json!({ "log": "one\ntwo \"x\"\nthree" }));
        let (text, note, _) = taken(&log, &wanted(None, 1, None), 400);
        assert_eq!(
            (text.as_str(), note.as_str()),
            ("two \"x\"\nthree", "line 1 to 2 of 3 lines of `log`")
        );
        let map = answer(&json!({ "a": { "x": 1 }, "b": { "x": 2 }, "c": { "x": 3 } }));
        let (text, note, _) = taken(&map, &wanted(None, 1, None), 60);
        assert_eq!(text, r#"[{"b":{"x":2}},{"c":{"x":3}}]"#);
        assert_eq!(note, "member 1 to 2 of 3 members");
    }

    #[test]
    fn what_has_a_text_is_found_with_its_number() {
        let list =
            answer(&json!([{ "name": "Café \\ 1" }, { "name": "b" }, { "name": "cafe\u{301}" }]));
        let (text, note, _) = taken(&list, &wanted(Some("CAFÉ \\ "), 0, None), 400);
        assert_eq!(text, r#"[{"at":0,"value":{"name":"Café \\ 1"}}]"#);
        assert_eq!(note, "1 of 3 items have `CAFÉ \\`");
        let (_, note, next) = taken(&list, &wanted(Some("name"), 1, Some(1)), 400);
        assert_eq!(
            (note.as_str(), next),
            ("the first 1 of 2 that have `name`, of 3 items from 1 on", Some(2))
        );
        let text = StoredAnswer::Text("one\nError: two\nthree".into());
        assert_eq!(taken(&text, &wanted(Some("error"), 0, None), 400).0, "1: Error: two");
        let none = taken(&text, &wanted(Some("four"), 0, None), 400);
        assert_eq!(none, (String::new(), "none of 3 lines has `four`".into(), None));
    }

    #[test]
    fn what_the_server_wrote_as_an_escape_is_found() {
        let text = JsonText::parse(r#"[{"n":"caf\u00e9"},{"n\u0061me":1}]"#).unwrap();
        let list = StoredAnswer::Json(text);
        assert_eq!(taken(&list, &wanted(Some("café"), 0, None), 400).1, "1 of 2 items have `café`");
        assert_eq!(taken(&list, &wanted(Some("name"), 0, None), 400).1, "1 of 2 items have `name`");
    }

    #[test]
    fn what_does_not_fit_is_shown_by_its_start() {
        let list = answer(&json!(["x".repeat(100), "y"]));
        let (text, note, next) = taken(&list, &wanted(None, 0, None), 50);
        assert_eq!((text.len(), next), (50, Some(1)));
        assert!(note.starts_with("item 0 has 102 characters, and this is their start"), "{note}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Who goes on where a part ends reads the whole, and each part fits.
        #[test]
        fn parts_make_the_whole(
            list in prop::collection::vec("\\PC{0,20}", 0..40),
            most in 160_usize..400,
            is_text in any::<bool>(),
        ) {
            let whole: Vec<String> = list.iter().map(|it| it.replace(['\n', '\r'], "")).collect();
            let stored = if is_text {
                StoredAnswer::Text(whole.iter().map(|it| format!("{it}\n")).collect())
            } else {
                answer(&json!(whole))
            };
            let (mut from, mut read) = (0, Vec::new());
            loop {
                let part = take_part(&stored, &wanted(None, from, None), most);
                match part.text {
                    PartText::Json(text) => {
                        prop_assert!(count_characters(text.as_str()) <= most);
                        let items: Vec<String> = serde_json::from_str(text.as_str()).unwrap();
                        read.extend(items);
                    }
                    PartText::Text(text) => {
                        prop_assert!(count_characters(&text) <= most);
                        let more = part.next.unwrap_or(whole.len()) - from;
                        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
                        read.extend(lines.into_iter().take(more));
                    }
                }
                let Some(next) = part.next else { break };
                prop_assert!(next > from);
                from = next;
            }
            prop_assert_eq!(read, whole);
        }
    }
}
