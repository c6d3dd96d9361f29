//! Joins the lists of several pages into one, as text: nothing is taken apart.

use std::ops::Range;

use dadl_text::{growth, json::scan};

use crate::outcome::JsonText;

/// The pages so far: one list, in the place where the first page had its own.
#[derive(Debug)]
pub(crate) struct JoinedPages {
    /// What the first page has around its list.
    head: String,
    tail: String,
    place: ListPlace,
    /// The items of all pages, separated by commas.
    items: String,
    count: usize,
    first: PageItems,
    last: PageItems,
}

/// Where a page has its list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ListPlace {
    /// The page is the list, or `result_path` selected it.
    Whole,
    /// The page is an object with one list in it, under this name.
    Member(String),
}

/// The items of one page.
#[derive(Debug, Clone)]
struct PageItems {
    /// Where they are in [`JoinedPages::items`].
    range: Range<usize>,
    count: usize,
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageAddition {
    /// It was added.
    Yes,
    /// It is the page before it once more, or the first one, and was left out.
    Repeated,
    /// It has no list where the first page has one, and was left out.
    Odd,
}

impl JoinedPages {
    /// Begins with the first page, after `result_path`; gives it back when it has no list.
    pub(crate) fn begin(page: JsonText) -> Result<Self, JsonText> {
        let Some((place, head, list, tail)) = list_around(page.as_str()) else { return Err(page) };
        let Some(count) = scan::array_items(list).map(Iterator::count) else { return Err(page) };
        let text = growth::copy(list_inner(list));
        let part = PageItems { range: 0..text.len(), count };
        let (head, tail) = (head.to_owned(), tail.to_owned());
        Ok(Self { head, tail, place, items: text, count, first: part.clone(), last: part })
    }

    /// Adds the next page, after `result_path`.
    pub(crate) fn add(&mut self, page: &JsonText) -> PageAddition {
        let list = match &self.place {
            ListPlace::Whole => Some(page.as_str()),
            ListPlace::Member(name) => scan::member_at(page.as_str(), &[name]),
        };
        let items =
            list.and_then(|list| Some((list_inner(list), scan::array_items(list)?.count())));
        let Some((text, count)) = items else { return PageAddition::Odd };
        let is_repeated = |part: &PageItems| {
            self.items.get(part.range.clone()).is_some_and(|known| known == text)
        };
        if count > 0 && (is_repeated(&self.last) || is_repeated(&self.first)) {
            return PageAddition::Repeated;
        }
        if !self.items.is_empty() && count > 0 {
            growth::append_text(&mut self.items, ",");
        }
        let from = self.items.len();
        growth::append_text(&mut self.items, text);
        self.count += count;
        self.last = PageItems { range: from..self.items.len(), count };
        PageAddition::Yes
    }

    /// Returns how many items there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns how many items the page that came last had.
    pub(crate) fn last_length(&self) -> usize {
        self.last.count
    }

    /// Returns how many items the first page had.
    pub(crate) fn first_length(&self) -> usize {
        self.first.count
    }

    /// Returns the joined answer.
    pub(crate) fn into_text(self) -> JsonText {
        let Self { head, tail, items, .. } = self;
        JsonText::trusted(growth::join_texts(&[&head, "[", &items, "]", &tail]))
    }
}

/// Finds the list of a page, and what is around it.
fn list_around(page: &str) -> Option<(ListPlace, &str, &str, &str)> {
    if page.starts_with('[') {
        return Some((ListPlace::Whole, "", page, ""));
    }
    let mut lists = scan::object_members(page)?.filter(|(_, value)| value.starts_with('['));
    let (Some((name, list)), None) = (lists.next(), lists.next()) else { return None };
    // Both are parts of the same text.
    let from = list.as_ptr().addr().checked_sub(page.as_ptr().addr())?;
    let (head, tail) = (page.get(..from)?, page.get(from + list.len()..)?);
    Some((ListPlace::Member(scan::unquote(name)?.into_owned()), head, list, tail))
}

/// Returns what is between the brackets of a list.
fn list_inner(list: &str) -> &str {
    list.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> JsonText {
        JsonText::parse(text).unwrap()
    }

    #[test]
    fn lists_are_joined_where_the_first_page_has_its_own() {
        let mut joined = JoinedPages::begin(text("[1, 2.50]")).unwrap();
        assert_eq!(joined.add(&text("[18446744073709551616]")), PageAddition::Yes);
        assert_eq!((joined.count(), joined.first_length(), joined.last_length()), (3, 2, 1));
        assert_eq!(joined.into_text().as_str(), "[1,2.50,18446744073709551616]");
        let page = r#"{"total": 3, "rows": [{"a": [1]}, 2], "page": 1}"#;
        let mut joined = JoinedPages::begin(text(page)).unwrap();
        assert_eq!(joined.add(&text(r#"{"total": 3, "rows": [3], "page": 2}"#)), PageAddition::Yes);
        assert_eq!(joined.add(&text(r#"{"rows": []}"#)), PageAddition::Yes);
        assert_eq!(joined.add(&text(r#"{"error": "x"}"#)), PageAddition::Odd);
        let all = r#"{"total":3,"rows":[{"a":[1]},2,3],"page":1}"#;
        assert_eq!(joined.into_text().as_str(), all);
        let mut joined = JoinedPages::begin(text("[]")).unwrap();
        assert_eq!(joined.add(&text("[1]")), PageAddition::Yes);
        assert_eq!(joined.into_text().as_str(), "[1]");
    }

    #[test]
    fn a_page_that_comes_again_is_left_out() {
        let mut joined = JoinedPages::begin(text("[1, 2]")).unwrap();
        assert_eq!(joined.add(&text("[1,2]")), PageAddition::Repeated);
        assert_eq!(joined.add(&text("[3, 4]")), PageAddition::Yes);
        assert_eq!(joined.add(&text("[3, 4]")), PageAddition::Repeated);
        assert_eq!(joined.add(&text("[1, 2]")), PageAddition::Repeated);
        assert_eq!(joined.into_text().as_str(), "[1,2,3,4]");
    }

    #[test]
    fn what_has_no_single_list_is_given_back() {
        for page in [r#"{"a":[],"b":[]}"#, r#"{"a":1}"#, "1", "null", "\"[\""] {
            assert_eq!(JoinedPages::begin(text(page)).unwrap_err().as_str(), page);
        }
    }
}
