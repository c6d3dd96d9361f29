//! Joins the lists of several pages into one.

use serde_json::Value;

use crate::descriptor::json_path::JsonPath;

/// The pages so far: one list, in the place where the first page had its own.
#[derive(Debug)]
pub(crate) struct Joined {
    /// What the joined answer is: the selected list, or the first page around its list.
    value: Value,
    place: Place,
    /// Where in the list the last page begins.
    last: usize,
    /// How long the first page was.
    first_length: usize,
}

/// Where a page has its list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The page is the list, or `result_path` selected it.
    Whole,
    /// The page is an object with one list in it, under this name.
    Member(String),
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was added.
    Yes,
    /// It is the page before it once more, or the first one, and was left out.
    Repeated,
    /// It has no list where the first page has one, and was left out.
    Odd,
}

/// Selects the result: one value, or an array where the path can match several.
pub(crate) fn select(value: Value, path: &JsonPath) -> Option<Value> {
    if path.is_singular() {
        return path.take(value);
    }
    Some(Value::Array(path.all(&value).into_iter().cloned().collect()))
}

impl Joined {
    /// Begins with the first page, after `result_path`; gives it back when it has no list.
    pub(crate) fn begin(page: Value) -> Result<Self, Value> {
        let place = match &page {
            Value::Array(_) => Place::Whole,
            Value::Object(members) => {
                let mut lists = members.iter().filter(|(_, value)| value.is_array());
                match (lists.next(), lists.next()) {
                    (Some((name, _)), None) => Place::Member(name.clone()),
                    _ => return Err(page),
                }
            }
            _ => return Err(page),
        };
        let mut joined = Self { value: page, place, last: 0, first_length: 0 };
        joined.first_length = joined.items().len();
        Ok(joined)
    }

    /// Adds the next page, after `result_path`.
    pub(crate) fn add(&mut self, mut page: Value) -> Added {
        let Some(items) = self.place.list(&mut page) else { return Added::Odd };
        let items = std::mem::take(items);
        let so_far = self.items();
        let is_last = so_far.get(self.last..) == Some(items.as_slice());
        let is_first = so_far.get(..self.first_length) == Some(items.as_slice());
        if !items.is_empty() && (is_last || is_first) {
            return Added::Repeated;
        }
        let last = so_far.len();
        if let Some(list) = self.place.list(&mut self.value) {
            list.extend(items);
        }
        self.last = last;
        Added::Yes
    }

    /// Returns the items so far.
    pub(crate) fn items(&self) -> &[Value] {
        let list = match &self.place {
            Place::Whole => Some(&self.value),
            Place::Member(name) => self.value.get(name),
        };
        list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns how many items the page that came last had.
    pub(crate) fn last_length(&self) -> usize {
        self.items().len() - self.last
    }

    /// Returns how many items the first page had.
    pub(crate) fn first_length(&self) -> usize {
        self.first_length
    }

    /// Returns the joined answer.
    pub(crate) fn into_value(self) -> Value {
        self.value
    }
}

impl Place {
    fn list<'page>(&self, page: &'page mut Value) -> Option<&'page mut Vec<Value>> {
        match self {
            Self::Whole => page.as_array_mut(),
            Self::Member(name) => page.get_mut(name)?.as_array_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_joined_where_the_first_page_has_its_own() {
        let mut joined = Joined::begin(json!([1, 2])).unwrap();
        assert_eq!(joined.add(json!([3])), Added::Yes);
        assert_eq!((joined.first_length(), joined.last_length()), (2, 1));
        assert_eq!(joined.into_value(), json!([1, 2, 3]));
        let mut joined = Joined::begin(json!({"total": 3, "rows": [1, 2], "page": 1})).unwrap();
        assert_eq!(joined.add(json!({"total": 3, "rows": [3], "page": 2})), Added::Yes);
        assert_eq!(joined.add(json!({"rows": []})), Added::Yes);
        assert_eq!(joined.add(json!({"error": "x"})), Added::Odd);
        assert_eq!(joined.into_value(), json!({"total": 3, "rows": [1, 2, 3], "page": 1}));
    }

    #[test]
    fn a_page_that_comes_again_is_left_out() {
        let mut joined = Joined::begin(json!([1, 2])).unwrap();
        assert_eq!(joined.add(json!([1, 2])), Added::Repeated);
        assert_eq!(joined.add(json!([3, 4])), Added::Yes);
        assert_eq!(joined.add(json!([3, 4])), Added::Repeated);
        assert_eq!(joined.add(json!([1, 2])), Added::Repeated);
        assert_eq!(joined.into_value(), json!([1, 2, 3, 4]));
    }

    #[test]
    fn what_has_no_single_list_is_given_back() {
        for page in [json!({"a": [], "b": []}), json!({"a": 1}), json!(1), json!(null)] {
            assert_eq!(Joined::begin(page.clone()).unwrap_err(), page);
        }
    }

    #[test]
    fn a_path_selects_one_value_or_all() {
        let select = |path: &str| {
            select(json!({"a": [{"b": 1}, {"b": 2}]}), &JsonPath::compile(path).unwrap())
        };
        assert_eq!(select("$.a[0].b"), Some(json!(1)));
        assert_eq!(select("$.a[*].b"), Some(json!([1, 2])));
        assert_eq!(select("$.c"), None);
        assert_eq!(select("$").unwrap()["a"][1]["b"], 2);
    }
}
