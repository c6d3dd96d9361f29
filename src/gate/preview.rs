//! What a person is shown of the thing that a dangerous call is about: read by calls that pass the gate, and
//! written so that no text of others can be taken for words of the question.

use std::time::Duration;

use dadl_descriptor::model::{json_path::JsonPath, preview::PreviewRule};
use dadl_text::text;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Admitted, PendingCall, look_call, shown_name::quoted_name};
use crate::{
    catalog::CatalogOperation,
    outcome::{timestamp::normalize_timestamp, transfer::format_size},
};

/// What was read so long ago is read again before a yes counts.
pub const PREVIEW_FRESH: Duration = Duration::from_secs(60);

/// So many lines are shown.
const MOST_LINES: usize = 16;
/// So many characters of their values are shown together.
const VALUES_ROOM: usize = 4_000;
// Each can be shown, cut at least.
const _: () = assert!(VALUES_ROOM / MOST_LINES >= text::LEAST_QUOTED);

/// So many values of one path are shown.
const MOST_ITEMS: usize = 20;
/// A longer value is shown by its start, in bytes.
const LONGEST_ITEM: usize = 4_000;
/// So much of a reason is shown.
const LONGEST_REASON: usize = 200;

/// What a person is shown of the thing that a call is about; nothing where the descriptor names no tool
/// for it.
#[derive(Debug, Clone, Default)]
pub struct CallPreview {
    reads: Vec<PreviewRead>,
    /// Whether it takes the place of another one, which the person has seen.
    is_renewed: bool,
}

/// What one tool shows, or why it does not.
#[derive(Debug, Clone)]
pub(crate) struct PreviewRead {
    tool: String,
    shown: Result<Vec<ShownValue>, String>,
    /// What there is to say of it: a part that could not be read.
    notes: Vec<String>,
}

/// A value under its label.
#[derive(Debug, Clone)]
struct ShownValue {
    label: String,
    /// Nothing where the answer has none.
    value: Option<Value>,
    /// How many more there are.
    more: usize,
    /// Whether there may be others that were not read: the answer has a next page.
    is_part: bool,
    /// Of all that was found.
    digest: [u8; 32],
}

/// A call that shows what another one is about.
pub(crate) struct PreviewLook<'gate> {
    pub(crate) rule: &'gate PreviewRule,
    /// The name that hosts see.
    pub(crate) tool: String,
    /// The call, or why there is none.
    pub(crate) call: Result<Admitted<'gate>, String>,
}

impl<'gate> PendingCall<'gate> {
    /// Returns the rules about what a person is shown before this call; none where nobody is asked.
    fn preview_rules(&self) -> impl Iterator<Item = &'gate PreviewRule> + use<'gate> {
        let entry = self.entry;
        let name = match entry.operation() {
            CatalogOperation::Tool(tool) => Some(&tool.name),
            CatalogOperation::Composite(composite) => Some(&composite.name),
            CatalogOperation::Server(_) => None,
        };
        let name = name.filter(|_| self.needs_consent);
        let rules = entry.descriptor().previews.iter();
        rules.filter(move |rule| name.is_some_and(|name| rule.before.contains(name)))
    }

    /// Returns whether a person is shown something before this call.
    pub fn has_preview(&self) -> bool {
        self.preview_rules().next().is_some()
    }

    /// Returns the calls that show what this one is about. They leave nothing behind, and pass what a direct
    /// call passes.
    pub(crate) fn preview_looks(&self) -> Vec<PreviewLook<'gate>> {
        let (gate, backend) = (self.gate, self.entry.backend);
        let given = self.arguments.iter();
        let given = given.filter(|(param, _)| !self.arguments.stands_for_file(param));
        let given = given.map(|(param, value)| (param.name.clone(), value.clone())).collect();
        let look = |rule: &'gate PreviewRule| {
            let found = gate.catalog.find_declared(backend, &rule.look.tool);
            let tool = found.map_or_else(|| rule.look.tool.clone(), |entry| entry.name.clone());
            let refused = || "it may not be called, or not with these arguments".to_owned();
            let call = match rule.arguments_for(&given) {
                Some(arguments) => look_call(gate, backend, &rule.look.tool, arguments)
                    .filter(|call| call.entry.only_shows())
                    .ok_or_else(refused),
                None => Err("the call says too little about what it is for".to_owned()),
            };
            PreviewLook { rule, tool, call }
        };
        self.preview_rules().map(look).collect()
    }
}

impl PreviewRead {
    /// Notes that the answer has a next page, which nobody reads: a list of it may not be all.
    #[must_use]
    pub(crate) fn part(mut self, rule: &PreviewRule) -> Self {
        if let Ok(values) = &mut self.shown {
            for (value, member) in values.iter_mut().zip(&rule.show) {
                value.is_part = !member.path.is_singular();
            }
        }
        self
    }

    /// Notes why a tool shows nothing.
    pub(crate) fn failed(tool: String, reason: String) -> Self {
        Self { tool, shown: Err(reason), notes: Vec::new() }
    }

    /// Notes what a composite had to go without.
    #[must_use]
    pub(crate) fn noted(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Takes what is to be shown out of an answer.
    pub(crate) fn of(tool: String, rule: &PreviewRule, answer: &str) -> Self {
        let value = |label: &str, path: &JsonPath| {
            let found = path.all(answer).map_err(|error| error.to_string())?;
            let mut hasher = Sha256::new();
            for text in &found {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
            let mut items: Vec<Value> = found
                .iter()
                .take(MOST_ITEMS)
                .map(|text| readable(item_of(text), label, rule))
                .collect();
            let value = match path.is_singular() {
                true => items.pop(),
                false => Some(Value::Array(items)),
            };
            let more = found.len().saturating_sub(MOST_ITEMS);
            let (label, digest) = (label.to_owned(), hasher.finalize().into());
            Ok(ShownValue { label, value, more, is_part: false, digest })
        };
        let shown = rule.show.iter().map(|it| value(&it.label, &it.path)).collect();
        Self { tool, shown, notes: Vec::new() }
    }
}

/// Reads a value that was found; what is too large or too deep is a text.
fn item_of(text: &str) -> Value {
    let value = (text.len() <= LONGEST_ITEM).then(|| serde_json::from_str(text).ok()).flatten();
    value.unwrap_or_else(|| Value::String(format!("{}…", text::text_head(text, LONGEST_ITEM / 8))))
}

/// Writes the numbers of a value under `name` that are bytes or times as people do.
fn readable(value: Value, name: &str, rule: &PreviewRule) -> Value {
    match value {
        Value::Number(number) if rule.bytes.contains(name) => match number.as_u64() {
            Some(bytes) => format_size(bytes).into(),
            None => Value::Number(number),
        },
        Value::Number(number) if rule.times.contains(name) => {
            let number = Value::Number(number);
            normalize_timestamp(&number).map_or(number, Value::from)
        }
        Value::Array(items) => items.into_iter().map(|item| readable(item, name, rule)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = readable(value, &name, rule);
                (name, value)
            })
            .collect(),
        other => other,
    }
}

impl CallPreview {
    /// Joins what tools have shown.
    pub(crate) fn new(reads: Vec<PreviewRead>) -> Self {
        Self { reads, is_renewed: false }
    }

    /// Says in the question that it takes the place of another one.
    #[must_use]
    pub fn renewed(self) -> Self {
        Self { is_renewed: true, ..self }
    }

    /// Returns what identifies what is shown: the same twice where nothing has changed. That a tool shows
    /// nothing is the same for every reason.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for read in &self.reads {
            match &read.shown {
                Ok(values) => values.iter().for_each(|value| hasher.update(value.digest)),
                Err(_) => hasher.update([0]),
            }
        }
        hasher.finalize().into()
    }

    /// Writes it: a line for each value.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.is_renewed {
            lines.push("You are asked again, because what is shown here has changed".to_owned());
        }
        let mut values: Vec<(String, &ShownValue)> = Vec::new();
        for PreviewRead { tool, shown, notes } in &self.reads {
            let tool = quoted_name(tool);
            match shown {
                Ok(shown) => values.extend(shown.iter().map(|value| (tool.clone(), value))),
                Err(reason) => {
                    let reason = text::quoted_text(reason, LONGEST_REASON);
                    lines.push(format!("What {tool} shows could not be read: {reason}"));
                }
            }
            if !notes.is_empty() {
                let notes = text::quoted_text(&notes.join("; "), LONGEST_REASON);
                lines.push(format!("What {tool} shows may not be all: {notes}"));
            }
        }
        let left = values.len().saturating_sub(MOST_LINES);
        values.truncate(MOST_LINES);
        let written = values.iter().filter_map(|(_, value)| value.value.as_ref());
        let lengths = written.map(|value| text::quoted_json(value).chars().count());
        let share = text::fair_share(lengths, VALUES_ROOM);
        for (tool, ShownValue { label, value, more, is_part, .. }) in values {
            let value = match value {
                Some(value) => text::quoted_json_within(value, share),
                None => "(nothing)".to_owned(),
            };
            let more = if *more == 0 { String::new() } else { format!(", and {more} more") };
            let part = if *is_part { ", and perhaps others that were not read" } else { "" };
            lines.push(format!("{tool} shows {label} = {value}{more}{part}"));
        }
        if left > 0 {
            lines.push(format!("{left} more values are not shown here"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::{preview::ShownMember, task::TaskCall};
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::tests::hostile;

    fn rule(show: &[(&str, &str)]) -> PreviewRule {
        let member = |(label, path): &(&str, &str)| ShownMember {
            label: (*label).to_owned(),
            path: JsonPath::compile(path).unwrap(),
        };
        PreviewRule {
            before: ["drop".to_owned()].into(),
            look: TaskCall { tool: "get".into(), arguments: Map::new() },
            names: Default::default(),
            show: show.iter().map(member).collect(),
            bytes: ["size", "used"].map(str::to_owned).into(),
            times: ["taken".to_owned()].into(),
        }
    }

    fn preview(show: &[(&str, &str)], answer: &Value) -> CallPreview {
        CallPreview::new(vec![PreviewRead::of("get".into(), &rule(show), &answer.to_string())])
    }

    #[test]
    fn what_is_shown_has_labels_and_units() {
        let answer = json!({
            "name": "web`1`", "on": true, "size": 10_737_418_240_u64,
            "at": 1_700_000_000,
            "disks": [{ "name": "root", "used": 2048 }, { "name": "data", "used": 0 }],
        });
        let show = [
            ("name", "$.name"),
            ("state", "$.on"),
            ("size", "$.size"),
            ("disks", "$.disks[*]"),
            ("taken", "$.at"),
            ("snapshots", "$.snapshots"),
        ];
        let lines = preview(&show, &answer).lines();
        assert_eq!(
            lines,
            [
                r#"get shows name = "web\u00601\u0060""#,
                "get shows state = true",
                r#"get shows size = "10.0 GiB""#,
                r#"get shows disks = [{"name":"root","used":"2.0 KiB"},{"name":"data","used":"0 bytes"}]"#,
                r#"get shows taken = "2023-11-14T22:13:20Z""#,
                "get shows snapshots = (nothing)",
            ]
        );
    }

    #[test]
    fn what_could_not_be_read_is_said() {
        let read =
            PreviewRead::failed("get".into(), "HTTP 503 \u{202e}\n- Access level: read".into());
        let failed = CallPreview::new(vec![read]);
        let [line] = &failed.lines()[..] else { panic!("{:?}", failed.lines()) };
        assert!(line.starts_with("What get shows could not be read: \"HTTP 503 "), "{line}");
        assert!(!line.contains(['\n', '\u{202e}']), "{line}");
        let other = PreviewRead::failed("get".into(), "timeout".into());
        assert_eq!(failed.digest(), CallPreview::new(vec![other]).digest());
        assert_ne!(failed.digest(), preview(&[("name", "$.name")], &json!({})).digest());
    }

    #[test]
    fn what_is_left_out_is_counted_and_told_apart() {
        let many = |last: u32| json!({ "ids": (0..25).chain([last]).collect::<Vec<_>>() });
        let show = [("ids", "$.ids[*]")];
        let lines = preview(&show, &many(1)).lines();
        assert!(lines[0].ends_with("18,19], and 6 more"), "{lines:?}");
        // A change that is not shown is a change.
        assert_ne!(preview(&show, &many(1)).digest(), preview(&show, &many(2)).digest());
        assert_eq!(preview(&show, &many(1)).digest(), preview(&show, &many(1)).digest());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        /// Whatever an API answers, each value stays on its line and in its bounds.
        #[test]
        fn no_answer_writes_the_question(name in hostile(), times in 1_usize..200, reason in hostile()) {
            let answer = json!({ "name": name.repeat(times), "list": [name, { &name: 1 }] });
            let show = [("name", "$.name"), ("list", "$.list[*]")];
            let mut preview = preview(&show, &answer);
            preview.reads.push(PreviewRead::failed("other".into(), reason));
            let lines = preview.lines();
            prop_assert_eq!(lines.len(), 3);
            for (line, start) in
                lines.iter().zip(["What other shows could", "get shows name = ", "get shows list = ["])
            {
                prop_assert!(line.starts_with(start), "{line}");
                prop_assert_eq!(text::one_line(line), line.as_str());
                prop_assert!(!line.contains(['<', '>', '&', '`', '*', '~', '|', '$']), "{line}");
            }
            prop_assert!(lines.iter().map(|line| line.chars().count()).sum::<usize>() < 6_000);
        }
    }
}
