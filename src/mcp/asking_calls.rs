//! Calls of tools of other servers, which may ask the host for something before they are done.
//!
//! A host before 2026-07-28 is asked while its request waits. For a later one the question ends the
//! request; the call goes on waiting, and the request that brings the answer goes on with it. The state
//! that binds the two holds the digest of the call, and is good for this call alone: it confirms nothing.

use rmcp::{
    RoleServer,
    model::{CallToolResponse, ProtocolVersion},
    service::RequestContext,
};

use super::{
    McpServer,
    call_sessions::{CallSession, CallUpdate, CallWork},
    consent::{ConsentRetry, StateError},
    host_questions::{self, AskingHost},
    result,
    server::ToolAnswer,
};
use crate::{
    executor::{CallContext, CallError, QuestionAnswer, ServerQuestions, WaitBudget},
    gate::{Admitted, CallDigest, PendingCall, TaskRight},
    outcome::CallOutcome,
};

/// What a call comes to, as far as its request is concerned.
pub(super) enum CallStep {
    /// The answer to the request, after which the host calls again, or nothing follows.
    Answer(ToolAnswer),
    /// The call is done.
    Done(Result<CallOutcome, CallError>),
}

/// Whose call is answered, and how.
#[derive(Clone, Copy)]
pub(super) struct AskingRequest<'call> {
    pub(super) server: &'call McpServer,
    pub(super) context: &'call RequestContext<RoleServer>,
    pub(super) carried: &'call CallContext<'call>,
    pub(super) digest: CallDigest,
}

impl AskingRequest<'_> {
    /// Executes a call of a tool of another server, which may ask for something meanwhile.
    pub(super) async fn execute(self, call: Admitted<'_>, budget: WaitBudget) -> CallStep {
        if self.is_asked_by_answers() {
            return self.begin(CallWork::Call(Box::new(call.detached())), budget).await;
        }
        let asking = AskingHost(self.context);
        let carried = self.carried_with(&asking).waiting(budget);
        CallStep::Done(self.server.executor().execute(call, &carried).await)
    }

    /// Waits for a task of another server, which may ask for something meanwhile.
    pub(super) async fn watch(self, right: &TaskRight, budget: WaitBudget) -> CallStep {
        if self.is_asked_by_answers() {
            return self.begin(CallWork::Task(Box::new(right.clone())), budget).await;
        }
        let asking = AskingHost(self.context);
        let carried = self.carried_with(&asking).waiting(budget);
        CallStep::Done(self.server.executor().watch_task(right, &carried).await)
    }

    fn can_ask(self) -> bool {
        host_questions::can_be_asked(self.context.client_capabilities().as_ref())
    }

    /// Returns whether a question ends the request, as from 2026-07-28 on.
    fn is_asked_by_answers(self) -> bool {
        let is_later = |it| it >= ProtocolVersion::V_2026_07_28;
        self.can_ask() && self.context.protocol_version().is_some_and(is_later)
    }

    /// Begins what goes on beside the requests that bring its answers.
    async fn begin(self, work: CallWork, budget: WaitBudget) -> CallStep {
        let session = CallSession::start(self.server.shared_executor(), work, budget, self.carried);
        self.follow(session).await
    }

    /// Returns the context of a call during which `asking` is asked, if the host can be.
    fn carried_with<'own>(self, asking: &'own AskingHost<'own>) -> CallContext<'own>
    where
        Self: 'own,
    {
        let questions = self.can_ask().then_some(asking as &dyn ServerQuestions);
        CallContext { questions, ..self.carried.clone() }
    }

    /// Goes on with a call that waits for the answer which this request brings; `None` when the request
    /// brings none.
    pub(super) async fn go_on(self, retry: &ConsentRetry) -> Option<CallStep> {
        let Self { server, carried, digest, .. } = self;
        let failed =
            |text: &str| Some(CallStep::Answer(Ok(result::failure_result(text.to_owned()).into())));
        let (sealed, nonce) = match server.consents().open_call(retry.state.as_deref()?) {
            Ok(opened) => opened,
            Err(StateError::Expired | StateError::Used) => return failed(OVER),
            // It may be that of a consent.
            Err(StateError::Forged) => return None,
        };
        // The state is spent: what waits for it ends here, or goes on.
        let paused = server.paused_calls().take(&nonce, &carried.client);
        let Some(mut session) = paused else { return failed(OVER) };
        if sealed != digest {
            return failed("the answer was given to another call or with other arguments");
        }
        if let Some(question) = session.question() {
            let answer = host_questions::given(question, retry.given.as_ref());
            session.answer(answer);
        }
        Some(self.follow(session).await)
    }

    /// Follows a call to its end, or to the question that ends the request.
    async fn follow(self, mut session: CallSession) -> CallStep {
        loop {
            match session.next().await {
                Some(CallUpdate::Progress(progress)) => self.carried.observer.progress(progress),
                Some(CallUpdate::Ended(done)) => return CallStep::Done(*done),
                Some(CallUpdate::Question) => match self.pause(session) {
                    Ok(asked) => return CallStep::Answer(Ok(asked)),
                    Err(going) => session = *going,
                },
                None => {
                    let text =
                        "the call broke off; what it had begun may have been done".to_owned();
                    return CallStep::Answer(Ok(result::failure_result(text).into()));
                }
            }
        }
    }

    /// Keeps a call whose server waits for an answer, and has the host ask; the error is the call, whose
    /// question is not put.
    fn pause(self, mut session: CallSession) -> Result<CallToolResponse, Box<CallSession>> {
        let Self { server, context, carried, digest } = self;
        let unput = |mut session: CallSession, why: &str| {
            session.answer(QuestionAnswer::Unput(why.to_owned()));
            Err(Box::new(session))
        };
        let Some(question) = session.question() else { return Err(Box::new(session)) };
        if let Some(why) = host_questions::why_not(question, context.client_capabilities().as_ref())
        {
            return unput(session, why);
        }
        let Some((nonce, state)) = server.consents().seal_call(&digest) else {
            return unput(session, "the system has no random numbers");
        };
        let Some(put) = host_questions::put_later(question.clone(), state) else {
            return unput(session, "no host can show its form");
        };
        match server.paused_calls().keep(nonce, &carried.client, session) {
            Ok(()) => Ok(put.into()),
            Err(refused) => {
                session = *refused;
                unput(session, "too many others wait for an answer")
            }
        }
    }
}

impl McpServer {
    /// Says whose call is answered.
    pub(super) fn asking<'call>(
        &'call self,
        pending: &PendingCall<'_>,
        context: &'call RequestContext<RoleServer>,
        carried: &'call CallContext<'call>,
    ) -> AskingRequest<'call> {
        AskingRequest { server: self, context, carried, digest: pending.digest() }
    }
}

const OVER: &str = "the call that asked is over: nobody answered in time, or the answer came before; call \
                    again if it is still wanted";
