//! Results that are a log: one whose last entry says success can hold others that failed
//! (`_dadl_mcp.entries`).

use std::collections::{BTreeSet, HashMap};

use dadl_text::{
    json::scan,
    text::{cut_text, without_login},
};

use crate::model::{condition::AnswerCondition, json_path::JsonPath, task::scalar_text};

/// How the entries of some tools tell that something failed. All paths look into one entry.
#[derive(Debug, Clone)]
pub struct EntryRules {
    /// These tools.
    pub of: BTreeSet<String>,
    /// Conditions, one of which says that what the entry is about failed.
    pub failed: Vec<AnswerCondition>,
    /// Where it says what it is about; entries with the same are about the same.
    pub id: Option<JsonPath>,
    /// Where a name for that is; the first that has something, in any entry about it.
    pub names: Vec<JsonPath>,
    /// Where the reason is; the first that has something.
    pub errors: Vec<JsonPath>,
}

/// So many names are remembered.
const MOST_NAMES: usize = 10_000;

/// So many failures are told.
const MOST_FAILURES: usize = 5;

/// The longest name or reason, in characters.
const LONGEST: usize = 300;

/// What the entries of one log tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFailures {
    names: HashMap<String, String>,
    /// What failed, with its reason.
    told: Vec<String>,
    reasons: BTreeSet<String>,
    /// How many more there are.
    more: usize,
}

impl EntryFailures {
    /// Takes note of an entry, a compact JSON text.
    pub fn see(&mut self, entry: &str, rules: &EntryRules) {
        let first = |paths: &[JsonPath]| {
            let mut found = paths.iter().filter_map(|path| path.look(entry));
            let text = found.find_map(|value| match value {
                "null" => None,
                text if text.starts_with(['{', '[']) => Some(text.to_owned()),
                text => scalar_text(text).filter(|text| !text.trim().is_empty()),
            })?;
            Some(cut_text(without_login(&text).trim(), LONGEST).into_owned())
        };
        let id = rules.id.as_ref().and_then(|path| path.look(entry)).and_then(scalar_text);
        let own = first(&rules.names);
        if let (Some(id), Some(name)) = (&id, &own)
            && self.names.len() < MOST_NAMES
        {
            self.names.entry(cut_text(id, LONGEST).into_owned()).or_insert_with(|| name.clone());
        }
        if !rules.failed.iter().any(|condition| condition.holds(entry) == Some(true)) {
            return;
        }
        let known = || self.names.get(cut_text(id.as_deref()?, LONGEST).as_ref()).cloned();
        let name = own.or_else(known).or_else(|| id.clone());
        let reason = first(&rules.errors);
        // What holds a part that failed repeats its reason.
        if let Some(reason) = &reason
            && !self.reasons.insert(reason.clone())
        {
            return;
        }
        if self.told.len() >= MOST_FAILURES {
            self.more += 1;
            return;
        }
        self.told.push(match (name, reason) {
            (Some(name), Some(reason)) => format!("{name}: {reason}"),
            (Some(text), None) | (None, Some(text)) => text,
            (None, None) => "an entry".to_owned(),
        });
    }

    /// Takes note of the entries of a list, a compact JSON text.
    pub fn of_list(list: &str, rules: &EntryRules) -> Self {
        let mut failures = Self::default();
        for entry in scan::array_items(list).into_iter().flatten() {
            failures.see(entry, rules);
        }
        failures
    }

    /// Says what failed; `None` when nothing did.
    pub fn sentence(&self) -> Option<String> {
        let mut text = self.told.join("; ");
        if self.more > 0 {
            text.push_str(&format!("; and {} more", self.more));
        }
        (!self.told.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> EntryRules {
        let path = |text: &str| JsonPath::compile(text).unwrap();
        EntryRules {
            of: BTreeSet::new(),
            failed: vec![AnswerCondition::compile("$.status == \"failure\"").unwrap()],
            id: Some(path("$.id")),
            names: vec![path("$.properties.name_label"), path("$.properties.name")],
            errors: vec![path("$.result.message")],
        }
    }

    #[test]
    fn the_name_comes_from_the_entry_that_has_it() {
        let entries = json!([
            { "id": "1", "type": "start", "properties": { "name": "backup VM", "name_label": "db" } },
            { "id": "2", "parentId": "1", "type": "start", "properties": { "name": "transfer" } },
            { "id": "2", "status": "failure", "result": { "message": "no space" } },
            { "id": "1", "status": "failure", "result": { "message": "no space" } },
            { "id": "3", "status": "failure" },
            { "id": "0", "status": "success" },
        ]);
        let failures = EntryFailures::of_list(&entries.to_string(), &rules());
        assert_eq!(failures.sentence().as_deref(), Some("transfer: no space; 3"));
        assert_eq!(EntryFailures::of_list("[]", &rules()).sentence(), None);
        assert_eq!(EntryFailures::of_list("7", &rules()).sentence(), None);
    }

    #[test]
    fn what_is_told_is_bounded() {
        let entry = |at: usize| json!({ "id": at, "status": "failure", "result": { "message": "x".repeat(900 + at) } });
        let entries: Vec<_> = (0..900).map(entry).collect();
        let failures = EntryFailures::of_list(&json!(entries).to_string(), &rules());
        // The reasons are the same as far as they are told.
        assert!(failures.sentence().unwrap().len() < 400);
        let entry = |at: usize| json!({ "id": at, "status": "failure" });
        let entries: Vec<_> = (0..900).map(entry).collect();
        let failures = EntryFailures::of_list(&json!(entries).to_string(), &rules());
        assert_eq!(failures.sentence().as_deref(), Some("0; 1; 2; 3; 4; and 895 more"));
    }
}
