//! One call of a server until it has a result: asked again where that is safe, with the answers that the
//! server needs.
//!
//! A call is made again if it certainly was not sent, or if the operator says that its tool only reads
//! (`levels`) and the server ended before it answered, unless somebody was asked something for it. What a
//! server says of its tools decides nothing.

use std::time::Duration;

use dadl_text::text::{cut_text, one_line};
use serde_json::{Map, Value};

use super::{CallContext, server_questions::CallQuestions};
use crate::{
    catalog::ServerTool,
    http::retry::unit_interval,
    mcp_client::{
        CallClock, CallerPlace, InputAnswers, RawResult, ServerError, ServerFault, ServerLink,
        ServerProgress, ToolAnswer, ToolCall,
    },
    outcome::CallProgress,
};

/// What a server says of its progress is cut behind so many characters.
const LONGEST_MESSAGE: usize = 200;

/// A server may ask for more input so many times.
const MOST_ROUNDS: usize = 10;

/// A call is made again so many times.
const MOST_RETRIES: u32 = 2;

/// The pause before the first of them; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What a call of a server came to.
pub(super) enum ServerEnd {
    /// The tool did not do it, in these words.
    Failed(String),
    /// A result.
    Result(RawResult),
    /// The server goes on with it as a task.
    Task(RawResult),
}

/// One call of a tool.
pub(super) struct ServerExchange<'call> {
    pub(super) link: &'call ServerLink,
    pub(super) tool: &'call ServerTool,
    pub(super) questions: &'call CallQuestions<'call>,
    pub(super) clock: &'call CallClock,
    pub(super) context: &'call CallContext<'call>,
    /// Whether the operator says that the tool changes nothing, or that a call may be made again.
    pub(super) is_repeatable: bool,
}

impl ServerExchange<'_> {
    /// Makes the call; returns how often it was made besides.
    pub(super) async fn result(
        &self,
        arguments: Map<String, Value>,
        place: &mut CallerPlace,
    ) -> Result<(ServerEnd, u32), ServerError> {
        let (mut answers, mut retries) = (None, 0);
        for _ in 0..MOST_ROUNDS {
            let answer = self.answer(&arguments, &answers, place, &mut retries).await;
            let end = match answer {
                Ok(ToolAnswer::Done(result)) => ServerEnd::Result(result),
                Ok(ToolAnswer::Task(begun)) => ServerEnd::Task(begun),
                Err(error) => match self.questions.visits(&error.fault).await {
                    Some(Ok(())) => continue,
                    Some(Err(why)) => ServerEnd::Failed(why.to_string()),
                    None => return Err(error),
                },
                Ok(ToolAnswer::InputNeeded(needed)) => match self.questions.inputs(&needed).await {
                    Ok(given) => {
                        answers = Some(given);
                        continue;
                    }
                    Err(why) => ServerEnd::Failed(why.to_string()),
                },
            };
            return Ok((end, retries));
        }
        Ok((ServerEnd::Failed("it asks again and again for more input".to_owned()), retries))
    }

    /// Makes the call until there is an answer, or no use in asking.
    async fn answer(
        &self,
        arguments: &Map<String, Value>,
        answers: &Option<InputAnswers>,
        place: &mut CallerPlace,
        retries: &mut u32,
    ) -> Result<ToolAnswer, ServerError> {
        loop {
            let call = ToolCall {
                tool: &self.tool.name,
                arguments: arguments.clone(),
                answers: answers.clone(),
                as_task: self.tool.needs_task,
            };
            let listener =
                |progress: &ServerProgress| self.context.observer.progress(told(progress));
            let request = self.link.call_by(call, self.clock, &listener);
            let error = match self.questions.during(place, request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = self.pause(&error.fault, *retries) else { return Err(error) };
            tracing::debug!(backend = error.backend, %error, "a call is made again");
            *retries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns how long to wait before the call is made again, if it is.
    fn pause(&self, fault: &ServerFault, retries: u32) -> Option<Duration> {
        let is_safe = match fault {
            // It was not sent.
            ServerFault::Busy | ServerFault::Pausing { .. } => true,
            ServerFault::NotAsked { is_transient, .. } => *is_transient,
            ServerFault::Ended { .. } => self.is_repeatable && !self.questions.was_put(),
            // What a server at a URL did not do, its link has asked for once more.
            _ => false,
        };
        let pause = match fault.retry_after() {
            Some(left) => left + FIRST_PAUSE,
            // Calls that failed together spread out.
            None => (FIRST_PAUSE * 2_u32.pow(retries.min(8))).mul_f64(0.5 + unit_interval() / 2.0),
        };
        (is_safe && retries < MOST_RETRIES && pause < self.clock.left()).then_some(pause)
    }
}

/// Says how far a server is.
pub(super) fn told(progress: &ServerProgress) -> CallProgress {
    let message = progress.message.as_deref().unwrap_or_default();
    let message = cut_text(&one_line(message), LONGEST_MESSAGE).into_owned();
    CallProgress { done: whole(progress.progress), total: progress.total.map(whole), message }
}

/// Returns the whole part of a number; none is less than 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, which is meant"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_bounded() {
        let of = |progress, message: &str| {
            told(&ServerProgress { progress, total: Some(f64::NAN), message: Some(message.into()) })
        };
        assert_eq!(of(2.7, "half\nway").message, "half way");
        assert_eq!((of(2.7, "").done, of(-1.0, "").done, of(2.7, "").total), (2, 0, Some(0)));
        assert!(of(f64::INFINITY, &"x".repeat(1000)).message.chars().count() <= 201);
    }
}
