//! Cuts a large answer where an item ends.
//!
//! A host shows a model only so much of a result. What is cut there, is cut anywhere: in the middle
//! of an item, and without a word about how much is missing. This cuts the list that makes an
//! answer large after its last item that fits, and counts what it leaves out. Nothing is taken
//! apart but the way to that list.

use dadl_text::json::scan;

use crate::outcome::JsonText;

/// How many objects deep the list of an answer is looked for.
const DEEPEST: usize = 8;

/// So many characters of the budget an answer keeps for what surrounds its list.
const LEAST_SHARE: usize = 64;

/// The part of an answer that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutResult<T> {
    /// The part.
    pub(crate) part: T,
    /// How many items or characters it has.
    pub(crate) shown: usize,
    /// Of how many.
    pub(crate) total: usize,
    /// What was counted.
    pub(crate) unit: CutUnit,
    /// The names that lead to the list that was cut, joined by dots; empty when it is the answer.
    pub(crate) place: String,
}

/// What a cut is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutUnit {
    Characters,
    Items,
}

/// What became of a JSON answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JsonCut {
    /// It fits as it is.
    Fits,
    /// A list in it was cut; the part is JSON.
    Items(CutResult<JsonText>),
    /// No list makes it large, or not one item fits: the start of its text, which is no JSON.
    Characters(CutResult<String>),
}

/// Cuts a JSON answer to `most` characters.
pub(crate) fn cut_json(text: &JsonText, most: usize) -> JsonCut {
    if fits_budget(text.as_str(), most) {
        return JsonCut::Fits;
    }
    match cut_list(text.as_str(), most) {
        Some(cut) => JsonCut::Items(cut),
        None => {
            let text = text.as_str();
            JsonCut::Characters(characters(text, most).unwrap_or_else(|| whole_text(text)))
        }
    }
}

/// Cuts a text to `most` characters, at the end of a line where there is one; `None` when it fits.
pub(crate) fn characters(text: &str, most: usize) -> Option<CutResult<String>> {
    if fits_budget(text, most) {
        return None;
    }
    let (end, _) = text.char_indices().nth(most)?;
    let start = text.get(..end)?;
    // A line that is nearly all of it is no reason to show next to nothing.
    let line = start.rfind('\n').map(|at| at + 1).filter(|at| *at > end / 2);
    let part = start.get(..line.unwrap_or(end))?.to_owned();
    let (shown, total) = (count_characters(&part), count_characters(text));
    Some(CutResult { part, shown, total, unit: CutUnit::Characters, place: String::new() })
}

fn whole_text(text: &str) -> CutResult<String> {
    let total = count_characters(text);
    let part = text.to_owned();
    CutResult { part, shown: total, total, unit: CutUnit::Characters, place: String::new() }
}

/// The value that makes an answer large: the answer itself, or the largest member, object by object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargestValue<'text> {
    /// A list, or what has no members.
    pub(crate) value: &'text str,
    /// The names that lead to it, joined by dots; empty when it is the answer.
    pub(crate) place: String,
    /// What of the budget is left for it.
    room: usize,
}

/// Follows the largest members of `text` as long as what surrounds them leaves room of `most` characters;
/// `None` where that leads to no list and to no value without members.
pub(crate) fn largest_value(text: &str, most: usize) -> Option<LargestValue<'_>> {
    let (mut value, mut room, mut place) = (text, most, String::new());
    for _ in 0..=DEEPEST {
        let Some(members) = scan::object_members(value) else {
            return Some(LargestValue { value, place, room });
        };
        let (name, largest) = members.max_by_key(|(_, value)| value.len())?;
        let others = count_characters(value).saturating_sub(count_characters(largest));
        room = room.checked_sub(others).filter(|room| *room >= LEAST_SHARE)?;
        let name = scan::unquote(name)?;
        place = if place.is_empty() { name.into_owned() } else { format!("{place}.{name}") };
        value = largest;
    }
    None
}

/// Cuts the largest list in `text`.
fn cut_list(text: &str, most: usize) -> Option<CutResult<JsonText>> {
    let LargestValue { value: list, place, room } = largest_value(text, most)?;
    let mut length = "[]".len();
    let mut fitting: Vec<&str> = Vec::new();
    let mut total = 0;
    for item in scan::array_items(list)? {
        total += 1;
        if length <= room + 1 {
            length += count_characters(item) + 1;
            if length <= room + 1 {
                fitting.push(item);
            }
        }
    }
    let shown = fitting.len();
    if shown == 0 {
        return None;
    }
    let part = JsonText::array(&fitting);
    // Both are parts of the same text.
    let from = list.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let (before, after) = (text.get(..from)?, text.get(from + list.len()..)?);
    let part = match (before, after) {
        ("", "") => part,
        _ => JsonText::trusted([before, part.as_str(), after].concat()),
    };
    Some(CutResult { part, shown, total, unit: CutUnit::Items, place })
}

fn fits_budget(text: &str, most: usize) -> bool {
    // A character has one byte at least.
    text.len() <= most || count_characters(text) <= most
}

pub(super) fn count_characters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(value: &Value, most: usize) -> JsonCut {
        cut_json(&JsonText::from(value), most)
    }

    fn items(value: &Value, most: usize) -> (String, usize, usize, String) {
        match cut(value, most) {
            JsonCut::Items(cut) => (cut.part.into_string(), cut.shown, cut.total, cut.place),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_far_within_is_cut_and_told_with_its_place() {
        let list = format!("[{}0]", "0,".repeat(500));
        let text = format!("{}{list}{}", "{\"a\":".repeat(7), "}".repeat(7));
        let JsonCut::Items(cut) = cut_json(&JsonText::trusted(text), 200) else {
            panic!("not cut")
        };
        assert!(cut.part.as_str().starts_with(&("{\"a\":".repeat(7) + "[0,")));
        assert!(JsonText::parse(cut.part.as_str()).is_ok() && cut.part.as_str().len() <= 200);
        assert_eq!((cut.total, cut.place.as_str()), (501, "a.a.a.a.a.a.a"));
    }

    #[test]
    fn a_list_ends_with_a_whole_item() {
        let list = json!(["aaaa", "bbbb", "cccc"]);
        assert_eq!(cut(&list, 22), JsonCut::Fits);
        assert_eq!(items(&list, 21), (r#"["aaaa","bbbb"]"#.to_owned(), 2, 3, String::new()));
        assert_eq!(items(&list, 15).1, 2);
        assert_eq!(items(&list, 14).1, 1);
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert_eq!(cut(&json!(["ääää", "öööö"]), 15), JsonCut::Fits);
        assert_eq!(items(&json!(["ääää", "öööö"]), 14).1, 1);
    }

    #[test]
    fn the_largest_list_is_cut_where_it_is() {
        let list: Vec<u32> = (100..200).collect();
        let answer = json!({ "total": 100, "data": { "vms": list, "z": [1, 2] }, "last": true });
        let (text, shown, total, place) = items(&answer, 200);
        assert!(text.len() <= 200, "{text}");
        assert_eq!((total, place.as_str()), (100, "data.vms"));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["data"]["vms"].as_array().unwrap().len(), shown);
        assert_eq!((&value["total"], &value["last"]), (&json!(100), &json!(true)));
        assert_eq!(value["data"]["z"], json!([1, 2]));
    }

    #[test]
    fn what_has_no_list_is_cut_as_text() {
        for value in [json!({ "log": "x".repeat(100) }), json!(["x".repeat(100)])] {
            match cut(&value, 50) {
                JsonCut::Characters(cut) => {
                    assert_eq!(cut.part.len(), 50);
                    assert_eq!((cut.shown, cut.total), (50, value.to_string().len()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn text_ends_with_a_whole_line_where_it_can() {
        let cut = |text: &str, most| characters(text, most).map(|cut| (cut.part, cut.shown));
        assert_eq!(cut("one\ntwo\nthree", 13), None);
        assert_eq!(cut("one\ntwo\nthree", 10), Some(("one\ntwo\n".to_owned(), 8)));
        assert_eq!(cut("a\nbbbbbbbbbbbb", 10), Some(("a\nbbbbbbbb".to_owned(), 10)));
        assert_eq!(cut("ääää", 2), Some(("ää".to_owned(), 2)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_cut_fits_and_is_the_start(
            list in proptest::collection::vec("\\PC{0,20}", 0..40),
            most in 80_usize..400,
            wrap in any::<bool>(),
        ) {
            let value = if wrap { json!({ "n": 1, "items": list }) } else { json!(list) };
            match cut(&value, most) {
                JsonCut::Fits => prop_assert!(count_characters(&value.to_string()) <= most),
                JsonCut::Items(cut) => {
                    prop_assert!(count_characters(cut.part.as_str()) <= most);
                    let part = cut.part.value().unwrap();
                    let shown = if wrap { part["items"].clone() } else { part };
                    prop_assert_eq!(cut.total, list.len());
                    prop_assert!(cut.shown < list.len());
                    prop_assert_eq!(shown, json!(list[..cut.shown]));
                }
                JsonCut::Characters(cut) => prop_assert!(count_characters(&cut.part) <= most),
            }
        }
    }
}
