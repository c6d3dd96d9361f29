//! Whoever can be asked what a server asks for during a call.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::elicitation::Elicitation;
use crate::mcp_client::PageListener;

/// What a server asks for of whoever calls it.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerQuestion {
    /// Something of a person.
    Person(Elicitation),
    /// Something of the model of the host: the parameters of `sampling/createMessage`.
    Model(Value),
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum QuestionAnswer {
    /// The values of a form, or the result of the model.
    Given(Value),
    /// The person said no.
    Declined,
    /// The person closed the question.
    Closed,
    /// It was not put, and why.
    Unput(String),
}

/// Whoever can be asked by servers.
pub trait ServerQuestions: Send + Sync {
    /// Puts a question. Dropping the future withdraws it.
    fn ask(&self, question: ServerQuestion) -> BoxFuture<'_, QuestionAnswer>;

    /// Returns how a host is told later that a page is done with, where it can be: it hears of it by the id
    /// that is returned, and by nothing of the server.
    fn page_visit(&self) -> Option<(String, PageListener)> {
        None
    }

    /// Returns whether what a task asks for is put in another way: by whoever has the task as one of its own.
    fn asks_later(&self) -> bool {
        false
    }
}
