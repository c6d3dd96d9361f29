//! The yes of a person to the changes of a script.

use std::time::Duration;

use futures_util::future::BoxFuture;

/// What a person is asked before a script changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeQuestion {
    /// The changes that it has asked for so far, by tool, and how many of each.
    pub changes: Vec<(String, usize)>,
    /// The backends that they are made at.
    pub backends: Vec<String>,
    /// How many calls it may make in all.
    pub most: u32,
}

/// Why a script has no yes to its changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefusal {
    /// A person, or a host that shows no question: nobody knows here who has said no.
    #[error(
        "the question was declined or closed, by the person or by a host that shows none; do not try \
         again unasked"
    )]
    Declined,
    /// The person.
    #[error("the person did not answer within {} minutes", .0.as_secs() / 60)]
    Late(Duration),
    /// The host: it sent something else than an answer.
    #[error("the host sent no answer to the question")]
    NoAnswer,
    /// The host: it said that it can ask, and cannot.
    #[error("the host could not ask a person")]
    CannotAsk,
    /// The caller: the answer came with another script.
    #[error("the answer came with another script")]
    OtherScript,
    /// Others: as many scripts as may wait for people do.
    #[error("too many scripts wait for people; try again later")]
    TooMany,
    /// The caller: it went away.
    #[error("nobody waits for the script any more")]
    Gone,
    /// The system.
    #[error("the system has no random numbers")]
    NoRandom,
}

/// Asks a person before a script changes something.
pub trait ChangeApproval: Send + Sync {
    /// Waits for the answer.
    fn approve(&self, question: ChangeQuestion) -> BoxFuture<'_, Result<(), ChangeRefusal>>;
}
