//! What became of the work of a task whose own state does not say (`_dadl_mcp.tasks.outcome`).

use std::{collections::BTreeSet, time::Duration};

use super::{
    JsonPath, ReasonPaths, TaskCall, TaskPhase, TaskStateError, TaskSteps, cut_text, is_id,
    phase_of, scalar_text,
};

/// Where to find out what became of a task that says that it succeeded.
#[derive(Debug, Clone)]
pub struct VerdictRule {
    /// The tools whose tasks are judged by it.
    pub of: BTreeSet<String>,
    /// The call that tells; its arguments have names of [`values`](Self::values) in braces, or that
    /// of the task.
    pub call: TaskCall,
    /// What the arguments need, by name: where the task shows it.
    pub values: Vec<(String, JsonPath)>,
    /// Where the state is, in the result of that call.
    pub state: JsonPath,
    /// What the states mean; no state is there twice.
    pub states: Vec<(String, TaskPhase)>,
    /// Where the result is.
    pub result: Option<JsonPath>,
    /// Where the reason of a failure is; the first of these that has something.
    pub errors: Vec<JsonPath>,
    /// Where more is about it.
    pub details: Option<JsonPath>,
    /// Parts of the work.
    pub steps: Option<TaskSteps>,
    /// How long to look when the API has not written it down yet.
    pub within: Duration,
}

/// What a verdict says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedOutcome {
    /// The state in the words of the API.
    pub state: String,
    /// What it means.
    pub phase: TaskPhase,
    /// Why the work failed.
    pub reason: Option<String>,
}

impl VerdictRule {
    /// Returns what the arguments of the call need of what shows the task `id`.
    ///
    /// # Errors
    ///
    /// The path where nothing is that can be put into an argument.
    pub fn values_in(&self, shown: &str, id: &str) -> Result<Vec<(String, String)>, &str> {
        let mut values = vec![("task".to_owned(), id.to_owned())];
        for (name, path) in &self.values {
            // What is no word could say something else where it is put.
            let value = path.look(shown).and_then(scalar_text).filter(|value| is_id(value));
            values.push((name.clone(), value.ok_or(path.as_str())?));
        }
        Ok(values)
    }

    /// Reads what the call gave.
    ///
    /// # Errors
    ///
    /// The state is not there, or is none of the known ones.
    pub fn read(&self, shown: &str) -> Result<JudgedOutcome, TaskStateError> {
        let Some(state) = self.state.look(shown).and_then(scalar_text) else {
            return Err(TaskStateError::Absent { path: self.state.as_str().to_owned() });
        };
        let Some(phase) = phase_of(&state, &self.states) else {
            let known: Vec<&str> = self.states.iter().map(|(state, _)| state.as_str()).collect();
            let state = cut_text(&state, super::LONGEST_TEXT).into_owned();
            return Err(TaskStateError::Unknown { state, known: known.join(", ") });
        };
        let Self { errors, details, steps, states, .. } = self;
        let is_bad = matches!(phase, TaskPhase::Failed | TaskPhase::Cancelled);
        let reasons =
            ReasonPaths { errors, details: details.as_ref(), steps: steps.as_ref(), states };
        let reason = is_bad.then(|| reasons.read(shown)).flatten();
        Ok(JudgedOutcome { state, phase, reason })
    }
}
