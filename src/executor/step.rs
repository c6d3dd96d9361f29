//! One step of a call: a request that is sent for it, and what it is made with.
//!
//! Most calls are one step; a list has one for each page, and a task one for each look at it.

use std::time::Duration;

use dadl_descriptor::model::Tool;
use tokio::time::Instant;

use super::{
    CallContext, CallError, Executor,
    call_bounds::{AnswerMemory, NoRoom},
};
use crate::{
    call::{CallArguments, CallPlan},
    gate::Admitted,
    http::{backend::Backend, error::SendErrorKind, upload::UploadActivity},
    response::{MASK, decode_error::DecodeError},
    worker::FilterPool,
};

/// A bound that no clock can hold is as good as this one.
const LONGEST_CALL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a call is made with, until its end.
pub(super) struct CallMeans<'call> {
    pub(super) executor: &'call Executor,
    pub(super) backend: &'call Backend,
    pub(super) context: &'call CallContext<'call>,
    pub(super) filters: FilterPool,
    /// What is being sent.
    pub(super) activity: UploadActivity,
    /// What is being read.
    pub(super) room: AnswerMemory,
    /// When the time of the call is over.
    pub(super) ends: Instant,
}

impl<'call> CallMeans<'call> {
    /// Returns those of a call that begins now.
    pub(super) fn new(
        executor: &'call Executor,
        backend: &'call Backend,
        context: &'call CallContext<'call>,
    ) -> Self {
        Self {
            executor,
            backend,
            context,
            filters: executor.filters.of(&context.client),
            activity: UploadActivity::default(),
            room: executor.room(&context.client),
            ends: end_of_call(backend),
        }
    }

    /// Returns the step that sends `plan`.
    pub(super) fn step<'step>(
        &'step self,
        call: &'step Admitted<'step>,
        tool: &'step Tool,
        plan: &'step CallPlan,
    ) -> RequestStep<'step> {
        let Self { executor, backend, context, filters, activity, room, ends } = self;
        let (ends, arguments) = (*ends, call.arguments());
        let (executor, backend, context) = (*executor, *backend, *context);
        RequestStep {
            executor,
            backend,
            call,
            tool,
            plan,
            arguments,
            context,
            filters,
            activity,
            room,
            ends,
        }
    }
}

/// Returns when the time of a call is over that begins now.
pub(super) fn end_of_call(backend: &Backend) -> Instant {
    let now = Instant::now();
    now.checked_add(backend.settings().timeouts.call).unwrap_or(now + LONGEST_CALL)
}

/// A request of a call.
#[derive(Clone, Copy)]
pub(super) struct RequestStep<'call> {
    pub(super) executor: &'call Executor,
    pub(super) backend: &'call Backend,
    /// The call that it is made for.
    pub(super) call: &'call Admitted<'call>,
    /// The tool whose rules its answer has.
    pub(super) tool: &'call Tool,
    pub(super) plan: &'call CallPlan,
    /// What the plan was made of: those of the call, with files where it has their handles.
    pub(super) arguments: &'call CallArguments,
    pub(super) context: &'call CallContext<'call>,
    pub(super) filters: &'call FilterPool,
    /// What is being sent.
    pub(super) activity: &'call UploadActivity,
    /// What is being read.
    pub(super) room: &'call AnswerMemory,
    /// When the time of the call is over.
    pub(super) ends: Instant,
}

impl RequestStep<'_> {
    /// Returns the same step with another request.
    pub(super) fn with<'other>(self, plan: &'other CallPlan) -> RequestStep<'other>
    where
        Self: 'other,
    {
        RequestStep { plan, ..self }
    }

    /// Names the request.
    pub(super) fn request_line(&self) -> String {
        self.backend.request_line(self.plan)
    }

    /// Returns how many bytes an answer may have.
    pub(super) fn most(&self) -> usize {
        to_usize(self.backend.settings().max_response_bytes)
    }

    /// Takes room for `bytes` of an answer.
    pub(super) fn take_room(&self, bytes: u64) -> Result<(), CallError> {
        self.resize(0, bytes)
    }

    /// Notes that `before` bytes of an answer became `after`.
    pub(super) fn resize(&self, before: u64, after: u64) -> Result<(), CallError> {
        self.room
            .resize(before, after)
            .map_err(|NoRoom(limit)| CallError::Crowded { request: self.request_line(), limit })
    }

    /// Makes the error of a request that broke off.
    pub(super) fn broken_off(&self, error: &reqwest::Error) -> CallError {
        CallError::Send(self.backend.failure(self.plan, error))
    }

    /// Makes the error of a call whose time is over.
    pub(super) fn timed_out(&self) -> CallError {
        timed_out(self.backend, self.plan)
    }

    /// Makes the error of an answer beyond the backend's bound.
    pub(super) fn too_large(&self) -> CallError {
        let settings = self.backend.settings();
        CallError::TooLarge {
            backend: settings.name.clone(),
            request: self.request_line(),
            limit: settings.max_response_bytes,
        }
    }

    /// Makes the error of a body that is not what its content type says.
    pub(super) fn undecodable(&self, status: u16, error: DecodeError) -> CallError {
        let backend = self.backend.settings().name.clone();
        // What a tool hides must not show in an error either.
        let hides = !self.tool.response.redact.is_empty();
        let error = if hides { DecodeError { excerpt: MASK.to_owned(), ..error } } else { error };
        CallError::Decode { backend, request: self.request_line(), status, error }
    }
}

/// Makes the error of a request for which the time of a call is over.
pub(super) fn timed_out(backend: &Backend, plan: &CallPlan) -> CallError {
    let after = backend.settings().timeouts.call;
    CallError::Send(backend.failed(plan, SendErrorKind::Timeout { bound: "timeout", after }))
}

/// Makes a number of bytes one of a text that is there.
pub(super) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
