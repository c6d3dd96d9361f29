//! What a call carries besides its arguments: who makes it, who hears about it, and how it waits for
//! a task.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::questions::ServerQuestions;
use crate::{call::CallArguments, outcome::CallObserver, shares::ClientKey};

/// What a call carries besides its arguments. By default the only client of the process makes it,
/// nobody hears about it, and it waits for a task as usual.
#[derive(Clone)]
pub struct CallContext<'call> {
    /// Whose call it is: what is scarce is shared among clients.
    pub client: ClientKey,
    /// Hears how far it is; says nothing about who asks.
    pub observer: &'call dyn CallObserver,
    /// How long it waits for a task that it begins; its argument `wait` goes before it.
    pub budget: WaitBudget,
    /// What becomes of the task when the call is dropped.
    pub on_drop: OnDrop,
    /// The end of the program: who waits for a task then gets its handle.
    pub ends: Option<CancellationToken>,
    /// Whether a script makes it, which hears no notes and takes what it gets for data.
    pub is_script: bool,
    /// The texts that the caller of that script gave it: what they bring concerns the caller.
    pub given: Arc<[String]>,
    /// Who answers what a server asks for during it; nobody for scripts.
    pub questions: Option<&'call dyn ServerQuestions>,
    /// Whether who makes it has no use for images and other bytes but as files.
    pub saves_media: bool,
    /// When it came: the usual wait for a task counts from there, as the patience of a host does.
    pub since: Instant,
}

impl<'call> CallContext<'call> {
    /// The context of a call about whose progress `observer` hears.
    pub fn heard_by(observer: &'call dyn CallObserver) -> Self {
        Self { observer, ..Self::default() }
    }

    /// The same for a call of `client`.
    #[must_use]
    pub fn of(self, client: ClientKey) -> Self {
        Self { client, ..self }
    }

    /// The same for a call that waits so long for its task.
    #[must_use]
    pub fn waiting(self, budget: WaitBudget) -> Self {
        Self { budget, ..self }
    }

    /// The same for a call during which `questions` answers what a server asks for.
    #[must_use]
    pub fn asking(self, questions: &'call dyn ServerQuestions) -> Self {
        Self { questions: Some(questions), ..self }
    }

    /// The same for a call of a program that ends when `ends` is cancelled.
    #[must_use]
    pub fn until(self, ends: CancellationToken) -> Self {
        Self { ends: Some(ends), ..self }
    }

    /// The same for a call of somebody who has no use for images and other bytes but as files.
    #[must_use]
    pub fn saving_media(self) -> Self {
        Self { saves_media: true, ..self }
    }

    /// The same for a call of a script that was given these arguments.
    #[must_use]
    pub(super) fn of_script(self, arguments: &CallArguments) -> Self {
        let texts = arguments.iter().filter_map(|(_, value)| value.as_str().map(str::to_owned));
        Self { is_script: true, given: texts.collect(), questions: None, ..self }
    }

    /// The same for a call of a script that the caller brought: what it gives is of its own making.
    #[must_use]
    pub(super) fn of_code(self) -> Self {
        Self { is_script: true, given: Arc::default(), questions: None, ..self }
    }

    /// Returns whether an argument is the caller's, and not of a script's own making.
    pub(super) fn is_asked(&self, text: &str) -> bool {
        !self.is_script || self.given.iter().any(|given| given == text)
    }

    /// Waits until the program ends.
    pub(super) async fn program_ends(&self) {
        match &self.ends {
            Some(ends) => ends.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ends.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// The same for a call about which nobody hears.
    pub(super) fn unheard(&self) -> CallContext<'static> {
        let Self { client, budget, on_drop, ends, is_script, given, saves_media, since, .. } =
            self.clone();
        let observer = &();
        CallContext {
            client,
            observer,
            budget,
            on_drop,
            ends,
            is_script,
            given,
            questions: None,
            saves_media,
            since,
        }
    }
}

impl Default for CallContext<'_> {
    fn default() -> Self {
        Self {
            client: ClientKey::only(),
            observer: &(),
            budget: WaitBudget::default(),
            on_drop: OnDrop::default(),
            ends: None,
            is_script: false,
            given: Arc::default(),
            questions: None,
            saves_media: false,
            since: Instant::now(),
        }
    }
}

impl fmt::Debug for CallContext<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, budget, on_drop, since, .. } = self;
        formatter
            .debug_struct("CallContext")
            .field("client", client)
            .field("budget", budget)
            .field("on_drop", on_drop)
            .field("since", since)
            .finish_non_exhaustive()
    }
}

/// How long a caller waits for a task. None of them is longer than the descriptor's `max_wait`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitBudget {
    /// Not at all: the task's handle is the result.
    AtOnce,
    /// `task_after` of the backend: who asks is told of the task in a way of its own.
    Brief,
    /// As long as any.
    Longest,
    /// So long.
    For(Duration),
    /// Up to this time, and no handle after it: the caller has no use for one.
    Until(Instant),
    /// `task_wait` of the backend, since the call came.
    #[default]
    Usual,
}

/// Says whether the task of a call is asked to stop when nobody waits for the call any more. It is not,
/// unless a person said so: hosts give calls up for reasons of their own. A clone says the same.
#[derive(Debug, Clone, Default)]
pub struct OnDrop(Arc<AtomicBool>);

impl OnDrop {
    /// Asks the task to stop when the call is dropped.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn stops(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
