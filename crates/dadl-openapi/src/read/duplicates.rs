//! Keys that occur twice in one object: readers of JSON take the last one and say nothing.

use std::{collections::HashSet, fmt};

use dadl_descriptor::{
    code,
    yaml::{self, YamlArena},
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::report::{ImportRemarks, place_at, place_item};

/// So many are reported.
const MAX_FOUND: usize = 100;

const HELP: &str = "remove one of the two: programs disagree about which one counts";

/// Reports the keys of a document, which has been read without an error, that occur twice.
pub(super) fn report_duplicates(bytes: &[u8], remarks: &mut ImportRemarks) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('{') {
        let mut found = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(text);
        let walk = DuplicateWalk { place: String::new(), found: &mut found };
        // It was read before, so that there is no error.
        let _ = walk.deserialize(&mut reader);
        for place in found {
            remarks.lost(&place, "the key occurs twice; the last one was taken", HELP);
        }
        return;
    }
    let mut findings = Vec::new();
    yaml::parse_yaml(text, &YamlArena::for_length(text.len()), &mut findings);
    let twice = findings.iter().filter(|finding| finding.code == code::DUPLICATE_KEY);
    for finding in twice.take(MAX_FOUND) {
        let before = text.get(..finding.span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        remarks.lost("", format!("line {line}: {}", finding.message), HELP);
    }
}

/// Walks through a value.
struct DuplicateWalk<'found> {
    place: String,
    found: &'found mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for DuplicateWalk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DuplicateWalk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = place_at(&self.place, &key);
            if !seen.insert(key) && self.found.len() < MAX_FOUND {
                self.found.push(place.clone());
            }
            map.next_value_seed(DuplicateWalk { place, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        let place = self.place;
        let found = self.found;
        while items
            .next_element_seed(DuplicateWalk {
                place: place_item(&place, index),
                found: &mut *found,
            })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
