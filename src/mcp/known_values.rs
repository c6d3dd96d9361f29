//! The objects that an API listed last, as values that a person may type.
//!
//! Who types asks with each letter, so that a list is kept for a moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dadl_text::{
    json::cost,
    text::{one_line, text_head},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::outcome::JsonText;

/// How long a list is kept.
const KEPT: Duration = Duration::from_secs(5);
/// How many lists are kept.
const MOST_LISTS: usize = 16;
/// How many objects of a list are looked at.
const MOST_OBJECTS: usize = 10_000;
/// So much of an identifier or a name counts; a longer identifier is none that anybody types.
pub(super) const LONGEST: usize = 200;
/// The members that may have the name of an object.
const NAMES: [&str; 4] = ["name_label", "name", "title", "label"];

/// What may stand in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownValue {
    pub(super) value: String,
    /// What people call it.
    pub(super) name: String,
}

/// What tools listed last, by their names, and when.
type KeptLists = HashMap<String, (Instant, Arc<[KnownValue]>)>;

/// What tools listed a moment ago.
#[derive(Default)]
pub(super) struct KnownValues {
    kept: Mutex<KeptLists>,
}

impl KnownValues {
    /// Returns what a tool listed a moment ago.
    pub(super) fn listed_by(&self, tool: &str) -> Option<Arc<[KnownValue]>> {
        let kept = self.kept();
        let (at, known) = kept.get(tool)?;
        (at.elapsed() < KEPT).then(|| Arc::clone(known))
    }

    /// Keeps what a tool lists now, if there is a place for it.
    pub(super) fn keep(&self, tool: String, known: &Arc<[KnownValue]>) {
        let mut kept = self.kept();
        kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        if kept.len() < MOST_LISTS {
            kept.insert(tool, (Instant::now(), Arc::clone(known)));
        }
    }

    fn kept(&self) -> MutexGuard<'_, KeptLists> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the identifiers and names of listed objects.
pub(super) fn read_values(text: &JsonText, ids: &[&str]) -> Vec<KnownValue> {
    let items = text.items().into_iter().flatten().take(MOST_OBJECTS);
    let known = |item: &str| {
        let item = cost::small(item)?;
        let of = |names: &[&str]| {
            let text = names.iter().find_map(|name| match item.get(*name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            text.filter(|text| !text.is_empty())
        };
        let value = match &item {
            Value::String(text) => text.clone(),
            _ => of(ids)?,
        };
        let is_typable =
            text_head(&value, LONGEST).len() == value.len() && one_line(&value) == value;
        let name = of(&NAMES).unwrap_or_default();
        is_typable.then(|| KnownValue { value, name: text_head(&name, LONGEST).to_owned() })
    };
    items.filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(value: &str, name: &str) -> KnownValue {
        KnownValue { value: value.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn identifiers_and_names_are_read_from_what_is_listed() {
        let list = json!([
            { "uuid": "u", "id": "i", "name_label": "n" },
            { "id": 7 },
            "plain",
            { "name": "without an id" },
            { "uuid": "two\nlines" },
            { "uuid": "x".repeat(500) },
            null,
        ]);
        let text = JsonText::parse(&list.to_string()).unwrap();
        let expected = [known("u", "n"), known("7", ""), known("plain", "")];
        assert_eq!(read_values(&text, &["uuid", "id"]), expected);
        assert_eq!(read_values(&JsonText::parse("{}").unwrap(), &["id"]), []);
    }
}
