//! What a task of 2026-07-28 asks for, for a host that has it as a task of its own and answers by
//! `tasks/update`.

use std::collections::BTreeMap;

use dadl_text::json::cost;
use serde_json::{Value, json};

use super::{InputRule, ServerTask};
use crate::{
    executor::{
        CallContext, CallError, Executor, QuestionAnswer, ServerQuestion,
        elicitation::Elicitation,
        server_questions::{LARGEST_INPUT, MOST_AT_ONCE, as_question_of_model, response_to},
    },
    gate::TaskRight,
    mcp_client::{CallClock, QuestionKind, ServerError},
};

/// A longer key is put to no host, in bytes.
const LONGEST_KEY: usize = 128;

impl ServerTask<'_> {
    /// Gives a task these answers.
    pub(super) async fn update(
        &self,
        responses: BTreeMap<String, Value>,
    ) -> Result<(), ServerError> {
        let params = json!({ "taskId": self.name(), "inputResponses": responses });
        let clock = CallClock::new(self.time);
        self.link.other("tasks/update", params, &clock).await.map(drop)
    }

    /// Reads what a task asks for, where a host can be asked for all of it.
    fn questions_in(&self, inputs: &str) -> Option<Vec<(String, ServerQuestion)>> {
        let Value::Object(inputs) = cost::parse_tree(inputs, LARGEST_INPUT)? else { return None };
        if inputs.is_empty() || inputs.len() > MOST_AT_ONCE {
            return None;
        }
        let may_sample = self.executor.server_offer(self.entry.backend).sampling;
        let read = |(key, request): (String, Value)| {
            let is_key = key.len() <= LONGEST_KEY && key.chars().all(|c| c.is_ascii_graphic());
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = request.get("params").unwrap_or(&Value::Null);
            let question = match QuestionKind::of_method(method)? {
                QuestionKind::Elicitation => {
                    let read = Elicitation::read(&self.entry.backend_name, params);
                    ServerQuestion::Person(read.ok()?)
                }
                QuestionKind::Sampling if may_sample => as_question_of_model(params),
                QuestionKind::Sampling => return None,
            };
            is_key.then_some((key, question))
        };
        inputs.into_iter().map(read).collect()
    }
}

impl Executor {
    /// Returns what a task asks for now, by the keys of its server; nothing where it asks for nothing, or for
    /// what no host can be asked.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`] where it cannot be looked at.
    pub(crate) async fn task_questions(
        &self,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Result<Vec<(String, ServerQuestion)>, CallError> {
        if right.server_entry().is_none() {
            return Ok(Vec::new());
        }
        let task = ServerTask { input: InputRule::Leave, ..ServerTask::new(self, right, context)? };
        let seen = task.look(&mut task.place()).await.map_err(|error| task.lost(error))?;
        let seen = seen.filter(|seen| seen.state.status == "input_required");
        let questions = seen.and_then(|seen| task.questions_in(seen.inputs()?));
        Ok(questions.unwrap_or_default())
    }

    /// Gives a task what a host says to its questions.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`] where it does not take it.
    pub(crate) async fn answer_task(
        &self,
        right: &TaskRight,
        answers: Vec<(String, ServerQuestion, QuestionAnswer)>,
        context: &CallContext<'_>,
    ) -> Result<(), CallError> {
        let task = ServerTask::new(self, right, context)?;
        let response = |(key, question, answer)| Some((key, response_to(&question, answer)?));
        let responses = answers.into_iter().filter_map(response).collect();
        task.update(responses).await.map_err(|error| task.lost(error))
    }
}
