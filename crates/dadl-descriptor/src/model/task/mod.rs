//! Tasks: work that goes on after the answer to the call that began it (`_dadl_mcp.tasks`).
//!
//! A descriptor says how its API does this; `docs/extensions.md` describes the keys. Everything
//! here is compiled, and every tool and parameter that it names exists.

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

pub mod carried;
mod reason;
mod verdict;

use dadl_text::{json::scan, text::cut_text};

use self::reason::ReasonPaths;
pub use self::verdict::{JudgedOutcome, VerdictRule};
use crate::model::{condition::AnswerCondition, json_path::JsonPath, task::carried::CarriedValues};

/// What stands for the id of the task in the arguments of [`TaskCall`].
pub const TASK: &str = "{task}";

/// The longest id of a task, in bytes: it travels in paths and in handles.
pub const LONGEST_ID: usize = 256;

/// How an API begins, shows, ends and cancels tasks.
#[derive(Debug, Clone)]
pub struct TaskRules {
    /// The tools that can begin one. None of them watches or cancels.
    pub starters: BTreeSet<String>,
    /// Statuses of answers that say that a task began; any 2xx when there is none.
    pub statuses: Vec<u16>,
    /// Conditions on the answer, one of which must hold; none when the status alone decides.
    pub when: Vec<AnswerCondition>,
    /// Where that answer has the id of the task.
    pub id: JsonPath,
    /// Shows a task. All paths below look into the result of this call.
    pub watch: TaskCall,
    /// The same tool with arguments that make it answer when the task has ended.
    pub blocking: Option<TaskCall>,
    /// The waits between two looks at a task; the last one repeats. Never empty.
    pub poll: Vec<Duration>,
    /// Where the state is.
    pub state: JsonPath,
    /// What the states mean; no state is there twice.
    pub states: Vec<(String, TaskPhase)>,
    /// Where the result of a task that succeeded is.
    pub result: Option<JsonPath>,
    /// Where the reason of a failure is; the first of these that has something.
    pub errors: Vec<JsonPath>,
    /// Where more is about it.
    pub details: Option<JsonPath>,
    /// Where to find out what became of the work, when the state of the task does not say.
    pub verdicts: Vec<VerdictRule>,
    /// Where the progress is.
    pub progress: Option<JsonPath>,
    /// The progress of a task that has ended, such as 100 or 1.
    pub progress_of: f64,
    /// Where a sentence or a name for people is.
    pub message: Option<JsonPath>,
    /// Parts of the task.
    pub steps: Option<TaskSteps>,
    /// Asks a task to stop.
    pub cancel: Option<TaskCall>,
    /// The tools whose tasks stop when they are asked to; all when nothing says.
    pub stopping: Option<BTreeSet<String>>,
    /// Where a task shows that it was asked to stop.
    pub stop_requested: Option<JsonPath>,
    /// The parameters of the call that began a task whose values the calls above ask for.
    pub carried: BTreeSet<String>,
    /// No call waits longer for a task.
    pub max_wait: Duration,
}

/// Parts of a task that have a progress of their own.
#[derive(Debug, Clone)]
pub struct TaskSteps {
    /// Selects them.
    pub path: JsonPath,
    /// Where the name of one is, in the step.
    pub name: JsonPath,
    /// Where its progress is, in the step.
    pub progress: Option<JsonPath>,
    /// Where its state is, in the step; states mean what they mean for a task.
    pub state: Option<JsonPath>,
    /// Where the reason of its failure is, in the step; the first that has something.
    pub errors: Vec<JsonPath>,
}

/// A call of a tool of the same descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCall {
    /// The tool.
    pub tool: String,
    /// Its arguments by their names on the wire; [`TASK`] in a text stands for the id, `{call.NAME}` for
    /// a value of the call that began the task.
    pub arguments: Map<String, Value>,
}

impl TaskCall {
    /// Returns the arguments for the task `id`. One that asks for what is not carried is left out.
    pub fn arguments_for(&self, id: &str, carried: &CarriedValues) -> Map<String, Value> {
        let arguments = self.arguments.iter();
        arguments
            .filter_map(|(name, value)| Some((name.clone(), fill_value(value, id, carried)?)))
            .collect()
    }

    /// Returns the parameters whose values it asks for.
    pub fn carried(&self) -> BTreeSet<&str> {
        self.arguments.values().flat_map(carried::names_in).collect()
    }

    /// Returns the arguments with `values` in the place of their names in braces.
    pub fn filled(&self, values: &[(String, String)]) -> Map<String, Value> {
        let arguments = self.arguments.iter();
        arguments.map(|(name, value)| (name.clone(), fill_all(value, values))).collect()
    }
}

fn fill_value(value: &Value, id: &str, carried: &CarriedValues) -> Option<Value> {
    Some(match value {
        Value::String(text) => Value::String(carried::fill_template(text, TASK, id, carried)?),
        Value::Array(items) => {
            items.iter().map(|item| fill_value(item, id, carried)).collect::<Option<_>>()?
        }
        Value::Object(members) => {
            let filled = |(name, value): (&String, &Value)| {
                Some((name.clone(), fill_value(value, id, carried)?))
            };
            Value::Object(members.iter().map(filled).collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

fn fill_all(value: &Value, values: &[(String, String)]) -> Value {
    match value {
        Value::String(text) => Value::String(fill_text(text, values)),
        Value::Array(items) => items.iter().map(|item| fill_all(item, values)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), fill_all(value, values))).collect()
        }
        other => other.clone(),
    }
}

/// Replaces names in braces in one pass: what a value holds stays as it is.
pub(crate) fn fill_text(text: &str, values: &[(String, String)]) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        made.push_str(before);
        let named = after.split_once('}').and_then(|(name, after)| {
            Some((&values.iter().find(|(known, _)| known == name)?.1, after))
        });
        match named {
            Some((value, after)) => {
                made.push_str(value);
                rest = after;
            }
            None => {
                made.push('{');
                rest = after;
            }
        }
    }
    made.push_str(rest);
    made
}

/// What a state means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskPhase {
    /// It ended because somebody asked it to.
    Cancelled,
    /// It ended without success.
    Failed,
    /// It goes on.
    Running,
    /// It ended with success.
    Succeeded,
}

/// What one look at a task shows.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskObservation {
    /// The state in the words of the API.
    pub state: String,
    /// What it means.
    pub phase: TaskPhase,
    /// How much is done, from 0 to 100.
    pub percent: Option<f64>,
    /// A sentence or a name for people.
    pub message: Option<String>,
    /// The parts of the task, in the order of the API.
    pub steps: Vec<TaskStep>,
    /// Whether it shows that it was asked to stop.
    pub stop_requested: bool,
    /// Why it failed, as far as that was found out.
    pub reason: Option<String>,
}

/// A part of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStep {
    /// Its name.
    pub name: String,
    /// How much of it is done, from 0 to 100.
    pub percent: Option<f64>,
    /// How it is, where the API says so.
    pub phase: Option<TaskPhase>,
}

impl TaskStep {
    /// Returns whether it is of the past.
    pub fn is_done(&self) -> bool {
        match self.phase {
            Some(phase) => phase != TaskPhase::Running,
            None => self.percent == Some(100.0),
        }
    }
}

/// So many steps are shown, those that are not done first; the rest is of no use to anybody.
const MOST_STEPS: usize = 20;

/// So many are looked at.
const MOST_LOOKED_AT: usize = 1_000;

/// The longest name or message that is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// A longer text is none that is looked for, in bytes.
const LONGEST_SCALAR: usize = 1024 * 1024;

/// Why a task that began cannot be named. The API's fault, or the author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskIdError {
    /// The answer has nothing there.
    #[error("there is no id at {path}")]
    Absent {
        /// Where it should be.
        path: String,
    },
    /// What is there names nothing.
    #[error(
        "the id at {path} cannot be used: it is empty, longer than {LONGEST_ID} bytes, or has \
         spaces"
    )]
    Unusable {
        /// Where it is.
        path: String,
    },
}

/// Why an answer does not say how a task is; goes on after the name of the tool. The API's fault, or
/// the author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskStateError {
    /// The answer has nothing there.
    #[error("has no state at {path}")]
    Absent {
        /// Where it should be.
        path: String,
    },
    /// The descriptor does not say what the state means.
    #[error("is in the state \"{state}\", which the descriptor does not know (it knows {known})")]
    Unknown {
        /// The state.
        state: String,
        /// The known ones.
        known: String,
    },
}

impl TaskRules {
    /// Returns the id of the task that an answer of one of the [`starters`](Self::starters) began;
    /// `None` when it began none. Answers
    /// are compact JSON texts.
    ///
    /// # Errors
    ///
    /// A task began, but the answer has no usable id.
    pub fn begun_task_id(&self, status: u16, answer: &str) -> Option<Result<String, TaskIdError>> {
        if !self.statuses.is_empty() && !self.statuses.contains(&status) {
            return None;
        }
        let holds = |condition: &AnswerCondition| condition.holds(answer) == Some(true);
        if !self.when.is_empty() && !self.when.iter().any(holds) {
            return None;
        }
        let path = || self.id.as_str().to_owned();
        Some(match self.id.look(answer).and_then(scalar_text) {
            Some(id) if is_id(&id) => Ok(id),
            Some(_) => Err(TaskIdError::Unusable { path: path() }),
            None => Err(TaskIdError::Absent { path: path() }),
        })
    }

    /// Reads what the watching call gave.
    ///
    /// # Errors
    ///
    /// The state is not there, or is none of the known ones.
    pub fn read_observation(&self, shown: &str) -> Result<TaskObservation, TaskStateError> {
        let Some(state) = self.state.look(shown).and_then(scalar_text) else {
            return Err(TaskStateError::Absent { path: self.state.as_str().to_owned() });
        };
        let Some(phase) = phase_of(&state, &self.states) else {
            let known: Vec<&str> = self.states.iter().map(|(state, _)| state.as_str()).collect();
            let (state, known) = (cut_text(&state, LONGEST_TEXT).into_owned(), known.join(", "));
            return Err(TaskStateError::Unknown { state, known });
        };
        let percent = |value: &str| {
            let text = scalar_text(value)?;
            let done: f64 = text.trim_end_matches('%').parse().ok()?;
            let percent = done * 100.0 / self.progress_of;
            // More digits say nothing more.
            percent.is_finite().then(|| (percent * 10.0).round().clamp(0.0, 1000.0) / 10.0)
        };
        let steps = self.steps.iter().flat_map(|steps| {
            let found = steps.path.all(shown).unwrap_or_default().into_iter();
            found.take(MOST_LOOKED_AT).filter_map(|step| {
                let name = steps.name.look(step).and_then(scalar_text)?;
                let done = steps.progress.as_ref().and_then(|path| path.look(step));
                let percent = done.and_then(percent);
                let phase = steps.phase_of(step, &self.states);
                Some(TaskStep { name: cut_text(&name, LONGEST_TEXT).into_owned(), percent, phase })
            })
        });
        let mut steps: Vec<TaskStep> = steps.collect();
        let mut spare = steps.len().saturating_sub(MOST_STEPS);
        steps.retain(|step| {
            let goes = spare > 0 && step.is_done();
            spare -= usize::from(goes);
            !goes
        });
        steps.truncate(MOST_STEPS);
        let at = |path: &Option<JsonPath>| path.as_ref().and_then(|path| path.look(shown));
        Ok(TaskObservation {
            phase,
            percent: at(&self.progress).and_then(percent),
            message: at(&self.message)
                .and_then(scalar_text)
                .map(|text| cut_text(&text, LONGEST_TEXT).into_owned())
                .filter(|text| !text.is_empty()),
            steps,
            stop_requested: at(&self.stop_requested).is_some_and(says_so),
            reason: None,
            state,
        })
    }

    /// Returns the reason of a failure.
    pub fn reason_in(&self, shown: &str) -> Option<String> {
        let Self { errors, details, steps, states, .. } = self;
        ReasonPaths { errors, details: details.as_ref(), steps: steps.as_ref(), states }.read(shown)
    }

    /// Returns whether a task of `tool` stops when it is asked to, as far as the descriptor says.
    pub fn stops(&self, tool: &str) -> bool {
        self.stopping.as_ref().is_none_or(|tools| tools.contains(tool))
    }

    /// Returns where to find out what became of a task of `tool`, with the place in
    /// [`verdicts`](Self::verdicts).
    pub fn verdict_of(&self, tool: &str) -> Option<(usize, &VerdictRule)> {
        self.verdicts.iter().enumerate().find(|(_, verdict)| verdict.of.contains(tool))
    }

    /// Returns the wait before look number `look`, from 0.
    pub fn pause(&self, look: usize) -> Duration {
        let wait = self.poll.get(look).or_else(|| self.poll.last());
        wait.copied().unwrap_or(Duration::from_secs(5))
    }
}

/// Returns whether what is there says more than nothing.
fn says_so(value: &str) -> bool {
    !matches!(value, "null" | "false" | "0" | "\"\"")
}

/// Returns what a state means.
fn phase_of(state: &str, states: &[(String, TaskPhase)]) -> Option<TaskPhase> {
    states.iter().find(|(known, _)| known == state).map(|(_, phase)| *phase)
}

impl TaskSteps {
    /// Returns how a step is, where it says so.
    fn phase_of(&self, step: &str, states: &[(String, TaskPhase)]) -> Option<TaskPhase> {
        let state = self.state.as_ref().and_then(|path| path.look(step)).and_then(scalar_text)?;
        phase_of(&state, states)
    }
}

/// Returns whether `id` can name a task in a handle and in arguments.
pub fn is_id(id: &str) -> bool {
    let is_fine = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(is_fine)
}

/// Returns a text, number or boolean as text; no longer one than anybody would read.
pub(crate) fn scalar_text(value: &str) -> Option<String> {
    match value {
        "null" => None,
        text if text.starts_with(['[', '{']) || text.len() > LONGEST_SCALAR => None,
        text if text.starts_with('"') => scan::unquote(text).map(Cow::into_owned),
        other => Some(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        JsonPath::compile(text).unwrap()
    }

    fn tasks() -> TaskRules {
        let states = [
            ("pending", TaskPhase::Running),
            ("success", TaskPhase::Succeeded),
            ("failure", TaskPhase::Failed),
            ("true", TaskPhase::Succeeded),
        ];
        TaskRules {
            starters: BTreeSet::new(),
            statuses: vec![201, 202],
            when: vec![
                AnswerCondition::compile("$.status == \"pending\"").unwrap(),
                AnswerCondition::compile("$.status == \"started\"").unwrap(),
            ],
            id: path("$.id"),
            watch: TaskCall { tool: "get".into(), arguments: Map::new() },
            blocking: None,
            poll: vec![Duration::from_secs(1), Duration::from_secs(2)],
            state: path("$.status"),
            states: states.map(|(state, phase)| (state.to_owned(), phase)).into(),
            result: Some(path("$.result")),
            errors: vec![path("$.result.message"), path("$.result")],
            progress: Some(path("$.progress")),
            progress_of: 100.0,
            message: Some(path("$.name")),
            steps: Some(TaskSteps {
                path: path("$.tasks[*]"),
                name: path("$.name"),
                progress: Some(path("$.progress")),
                state: Some(path("$.status")),
                errors: vec![path("$.result.message")],
            }),
            details: Some(path("$.result.data")),
            verdicts: Vec::new(),
            stopping: None,
            stop_requested: Some(path("$.stopAt")),
            cancel: None,
            carried: BTreeSet::new(),
            max_wait: Duration::from_secs(60),
        }
    }

    #[test]
    fn status_and_body_say_that_a_task_began() {
        let began = |status, answer: Value| tasks().begun_task_id(status, &answer.to_string());
        let pending = json!({ "status": "pending", "id": "a1" });
        assert_eq!(began(201, pending.clone()), Some(Ok("a1".to_owned())));
        assert_eq!(began(202, json!({ "status": "started", "id": 7 })), Some(Ok("7".to_owned())));
        assert_eq!(began(200, pending), None);
        assert_eq!(began(201, json!({ "status": "success", "id": "a1" })), None);
        assert_eq!(began(201, json!([])), None);
        for id in [json!(null), json!(""), json!("a b"), json!("x".repeat(257)), json!({})] {
            let answer = json!({ "status": "pending", "id": id });
            assert!(matches!(began(201, answer), Some(Err(_))), "{id}");
        }
    }

    #[test]
    fn a_look_shows_state_progress_and_steps() {
        let shown = json!({
            "status": "pending", "progress": "41.5%", "name": " ", "tasks": [
                { "name": "copy", "progress": 120 }, { "progress": 3 }, { "name": "boot" },
            ],
        });
        let glimpse = tasks().read_observation(&shown.to_string()).unwrap();
        assert_eq!((glimpse.phase, glimpse.percent), (TaskPhase::Running, Some(41.5)));
        let step = |name: &str, percent| TaskStep { name: name.to_owned(), percent, phase: None };
        assert_eq!(glimpse.steps, [step("copy", Some(100.0)), step("boot", None)]);
        let ended = tasks().read_observation(r#"{"status":true,"progress":null}"#).unwrap();
        assert_eq!((ended.phase, ended.percent), (TaskPhase::Succeeded, None));
    }

    #[test]
    fn an_unknown_state_is_an_error() {
        let error =
            |shown: Value| tasks().read_observation(&shown.to_string()).unwrap_err().to_string();
        assert_eq!(error(json!({})), "has no state at $.status");
        assert_eq!(
            error(json!({ "status": "paused" })),
            "is in the state \"paused\", which the descriptor does not know (it knows pending, \
             success, failure, true)"
        );
    }

    #[test]
    fn reasons_are_found() {
        let reason = |shown: Value| tasks().reason_in(&shown.to_string());
        assert_eq!(reason(json!({ "result": { "message": "full" } })).as_deref(), Some("full"));
        assert_eq!(reason(json!({ "result": "no lock " })).as_deref(), Some("no lock"));
        let fields = json!({ "result": { "name": ["taken"] } });
        assert_eq!(reason(fields).as_deref(), Some(r#"{"name":["taken"]}"#));
        assert_eq!(reason(json!({})), None);
    }

    #[test]
    fn reasons_have_details_and_the_steps_that_failed() {
        let reason = |shown: Value| tasks().reason_in(&shown.to_string()).unwrap();
        let state = json!({ "message": "incorrect state", "data": { "actual": "Halted" } });
        assert_eq!(reason(json!({ "result": state })), r#"incorrect state ({"actual":"Halted"})"#);
        let step = |name: &str, status: &str, message: &str| json!({ "name": name, "status": status, "result": { "message": message } });
        let steps = json!([step("a", "success", "fine"), step("b", "failure", "disk is full")]);
        let shown = json!({ "result": { "message": "failed" }, "tasks": steps });
        assert_eq!(reason(shown), "failed; b: disk is full");
        assert_eq!(reason(json!({ "tasks": [step("b", "failure", "full")] })), "b: full");
        let same =
            json!({ "result": { "message": "full" }, "tasks": [step("b", "failure", "full")] });
        assert_eq!(reason(same), "full; in b");
        let many: Vec<Value> = (0..99).map(|at| step(&format!("s{at}"), "failure", "x")).collect();
        let many = reason(json!({ "tasks": many }));
        assert!(many.ends_with("s4: x; and 94 more steps failed"), "{many}");
    }

    #[test]
    fn a_look_shows_whether_it_was_asked_to_stop_and_the_steps_that_go_on() {
        let step = |name: usize, status: &str| json!({ "name": name, "status": status });
        let mut steps: Vec<Value> = (0..40).map(|at| step(at, "success")).collect();
        steps.push(step(40, "pending"));
        let shown = json!({ "status": "pending", "stopAt": 1_795_000_000_000_u64, "tasks": steps });
        let glimpse = tasks().read_observation(&shown.to_string()).unwrap();
        assert!(glimpse.stop_requested);
        assert_eq!((glimpse.steps.len(), glimpse.steps[19].name.as_str()), (20, "40"));
        assert!(glimpse.steps[0].is_done() && !glimpse.steps[19].is_done());
        for none in [json!(null), json!(false), json!(0), json!("")] {
            let shown = json!({ "status": "pending", "stopAt": none }).to_string();
            assert!(!tasks().read_observation(&shown).unwrap().stop_requested, "{none}");
        }
    }

    #[test]
    fn values_are_filled_in_once() {
        let call = TaskCall {
            tool: "logs".into(),
            arguments: json!({ "filter": "of:{a} {b} {c}", "n": 1 }).as_object().unwrap().clone(),
        };
        let values = [("a", "{b}"), ("b", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let made = Value::Object(call.filled(&values));
        assert_eq!(made, json!({ "filter": "of:{b} 2 {c}", "n": 1 }));
    }

    #[test]
    fn arguments_and_pauses() {
        let arguments = json!({ "id": "{task}", "wait": true, "deep": [{ "in": "x-{task}" }] });
        let arguments = arguments.as_object().unwrap().clone();
        let call = TaskCall { tool: "get".into(), arguments };
        let filled = Value::Object(call.arguments_for("a1", &CarriedValues::default()));
        assert_eq!(filled, json!({ "id": "a1", "wait": true, "deep": [{ "in": "x-a1" }] }));
        let arguments = json!({ "id": "{task}", "dc": "{call.dc}", "deep": ["{call.disk}"] });
        let arguments = arguments.as_object().unwrap().clone();
        let call = TaskCall { tool: "stop".into(), arguments };
        assert_eq!(call.carried(), ["dc", "disk"].into());
        let carried = "dc=main".parse().unwrap();
        let filled = Value::Object(call.arguments_for("a1", &carried));
        assert_eq!(filled, json!({ "id": "a1", "dc": "main" }), "the rest is not known");
        let pauses = [0, 1, 2, 99].map(|look| tasks().pause(look).as_secs());
        assert_eq!(pauses, [1, 2, 2, 2]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever a server says of its progress, a caller reads 0 to 100, or nothing.
        #[test]
        fn progress_is_a_percentage(number in proptest::num::f64::ANY, whole: u64, text in "[-+0-9.eE%naifNAIF]{0,12}") {
            for value in [json!(number), json!(whole), json!(text), json!(number.to_string())] {
                let shown = json!({
                    "status": "pending", "progress": value,
                    "tasks": [{ "name": "step", "progress": value }],
                });
                let glimpse = tasks().read_observation(&shown.to_string()).unwrap();
                for percent in [glimpse.percent, glimpse.steps[0].percent].into_iter().flatten() {
                    assert!((0.0..=100.0).contains(&percent), "{value}");
                }
            }
        }
    }
}
