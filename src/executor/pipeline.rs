//! A call that is one request, from its plan to its result: plan, send, read, shape; and where a task
//! began, follow it.

use dadl_descriptor::model::{ParamRole, StreamArgument, Tool};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    BusyError, CallContext, CallError, Executor,
    call_bounds::CallTurns,
    download::FileDownload,
    inline::InlinedCall,
    pages::PageWalk,
    peek::{check_encoding, kept_encoding},
    preparing,
    result::DecodedAnswer,
    settle_write,
    step::{CallMeans, RequestStep, end_of_call, to_usize},
    task,
};
use crate::{
    call::{self, CallArguments, CallPlan},
    catalog::CatalogEntry,
    config::BackendTimeouts,
    gate::Admitted,
    http::{
        backend::{Backend, HttpExchange},
        upload,
    },
    outcome::{CallOutcome, HeldMemory},
    shares::ClientKey,
};

/// What arrived within the time of the call.
enum ReceivedAnswer {
    Download(Box<FileDownload>),
    /// The head of an answer that may have no end.
    Stream(Box<HttpExchange>),
    Concluded(PipelineOutcome),
}

/// What an answer came to.
enum PipelineOutcome {
    /// The id of a task that began.
    Task(String),
    Whole(Box<CallOutcome>),
}

impl Executor {
    /// Executes a call that is one request, and sees to it that what it wrote can be read; of one that
    /// found no operation, says what it needs.
    pub(super) async fn request(
        &self,
        call: &Admitted<'_>,
        tool: &Tool,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let made = self.request_once(call, tool, context).await;
        let made =
            made.map_err(|error| self.fits.explain(call.entry(), error.of_write(call, tool)));
        if call.entry().descriptor().settles.is_empty() {
            return made;
        }
        settle_write::settle_after(self, call, tool, context, made).await
    }

    async fn request_once(
        &self,
        call: &Admitted<'_>,
        tool: &Tool,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let backend = self.backend(call.entry())?;
        let plan = self.plan(call, tool, backend)?;
        refuse_stream(call)?;
        self.check_filter(call.entry(), call.arguments(), &context.client).await?;
        let is_transfer = tool.response.binary || upload::is_streamed(&plan.body);
        let turns = self.turns(call.entry(), is_transfer, context).await?;
        let means = CallMeans::new(self, backend, context);
        let sent = self.inlined(call, (tool, &plan), backend, &means.room).await?;
        let sent = sent.map(|sent| InlinedCall { plan: self.numbered(sent.plan), ..sent });
        let step = means.step(call, tool, &plan);
        let sending = match &sent {
            Some(InlinedCall { plan, arguments, .. }) => RequestStep { plan, arguments, ..step },
            None => step,
        };
        // What few calls come to is boxed, here and below: else each call would be as large as all of it.
        let concluded = match sending.receive().await? {
            ReceivedAnswer::Concluded(concluded) => concluded,
            ReceivedAnswer::Stream(exchange) => Box::pin(sending.collect(*exchange)).await?,
            // Downloads last as long as they last; only silence ends them.
            ReceivedAnswer::Download(download) => {
                return Box::pin(sending.download(*download)).await;
            }
        };
        match concluded {
            PipelineOutcome::Whole(outcome) => {
                Ok(CallOutcome { held: HeldMemory::by(means.room), ..*outcome })
            }
            // Tasks have a bound of their own, and leave their turn to others.
            PipelineOutcome::Task(id) => {
                let right = call.task(id, sending.arguments);
                drop(turns);
                // A task may last for hours, and what it was given has been sent.
                drop(sent);
                Box::pin(task::follow_task(step, right)).await
            }
        }
    }

    /// Plans the request of a call.
    pub(super) fn plan(
        &self,
        call: &Admitted<'_>,
        tool: &Tool,
        backend: &Backend,
    ) -> Result<CallPlan, CallError> {
        let plan =
            call::plan_call(call.entry(), tool, backend.base(), call.arguments(), call.door())?;
        Ok(self.numbered(plan))
    }

    /// Checks that the caller's jq program compiles.
    pub(super) async fn check_filter(
        &self,
        entry: &CatalogEntry,
        arguments: &CallArguments,
        client: &ClientKey,
    ) -> Result<(), CallError> {
        let Some(jq) = arguments.jq() else { return Ok(()) };
        let filters = self.filters.of(client);
        Box::pin(filters.compile(jq)).await.map_err(|error| {
            let property = entry.property_of(ParamRole::Jq).unwrap_or_default().to_owned();
            CallError::Filter { property, error }
        })
    }

    /// Waits until a call of `entry` may be sent, within the time of a call.
    pub(super) async fn turns(
        &self,
        entry: &CatalogEntry,
        is_transfer: bool,
        context: &CallContext<'_>,
    ) -> Result<CallTurns, CallError> {
        let bound = self.client(entry)?.settings().timeouts.call;
        let turns = async {
            match is_transfer {
                true => self.bounds.transfer_turns(&context.client).await,
                false => self.bounds.turns(entry.backend.0, &context.client).await,
            }
        };
        let turns = tokio::time::timeout(bound, turns).await;
        Ok(turns.map_err(|_| BusyError::Late(bound))??)
    }
}

/// Refuses a call that would open a stream, which lasts longer than a call.
fn refuse_stream(call: &Admitted<'_>) -> Result<(), CallError> {
    let says = |argument| call.arguments().stream_argument(argument);
    if says(StreamArgument::Open) == Some(&Value::Bool(true))
        || says(StreamArgument::Subscribe).is_some()
    {
        return Err(CallError::NoStreams);
    }
    Ok(())
}

impl RequestStep<'_> {
    /// Sends the request, and does with its answer what has to be done within the time of the call.
    async fn receive(self) -> Result<ReceivedAnswer, CallError> {
        let BackendTimeouts { call, first_byte, .. } = self.backend.settings().timeouts;
        let observer = self.context.observer;
        // Whoever drives a future takes as much as it again.
        let received = Box::pin(self.send_and_read());
        // Uploads last as long as they last, like downloads; only silence ends them.
        let received = if upload::is_streamed(&self.plan.body) {
            let bound = if self.tool.response.binary { call.max(first_byte) } else { call };
            Box::pin(self.activity.timeout(bound, self.activity.observed(observer, received))).await
        } else if self.tool.response.binary {
            let most = (&*self.backend.settings().name, first_byte);
            let received = preparing::observed(observer, most, Instant::now(), received);
            // Each attempt is bounded by itself.
            Box::pin(self.activity.timeout(call.saturating_add(first_byte), received)).await
        } else {
            self.activity.timeout(call, received).await
        };
        received.ok_or_else(|| self.timed_out())?
    }

    async fn send_and_read(self) -> Result<ReceivedAnswer, CallError> {
        self.check_upload_size().await?;
        let mut download = self.send_or_continue().await?;
        if self.tool.response.is_private {
            let outcome = Box::pin(self.seal(download.exchange)).await?;
            return Ok(ReceivedAnswer::Concluded(PipelineOutcome::Whole(Box::new(outcome))));
        }
        let response = &download.exchange.response;
        if self.is_download(response) {
            download.notes.extend(self.check_file(&download.exchange)?);
            let encoding = kept_encoding(self.backend, download.exchange.response.headers());
            download.notes.extend(
                encoding.map(|it| format!("the file is encoded as {it:?}, and kept as it came")),
            );
            if !self.tool.response.redact.is_empty() {
                return Err(CallError::Redaction { request: self.request_line() });
            }
            return Ok(ReceivedAnswer::Download(Box::new(download)));
        }
        if self.is_stream(response) {
            check_encoding(self.backend, response, || self.request_line())?;
            return Ok(ReceivedAnswer::Stream(Box::new(download.exchange)));
        }
        let answer = self.answer(download.exchange).await?;
        self.conclude(answer).await.map(ReceivedAnswer::Concluded)
    }

    /// Reads an answer that may have no end. What came of it is not lost when the time is up.
    async fn collect(self, exchange: HttpExchange) -> Result<PipelineOutcome, CallError> {
        let is_upload = upload::is_streamed(&self.plan.body);
        let ends = if is_upload { end_of_call(self.backend) } else { self.ends };
        let step = Self { ends, ..self };
        let answer = step.answer(exchange).await?;
        let bound = self.backend.settings().timeouts.call;
        let concluded = tokio::time::timeout(bound, step.conclude(answer)).await;
        concluded.map_err(|_| self.timed_out())?
    }

    /// Makes of an answer what the caller gets.
    async fn conclude(self, answer: DecodedAnswer) -> Result<PipelineOutcome, CallError> {
        let mut answer = answer;
        let judged = || {
            self.judge(&answer)?;
            let failures = self.judge_entries(&answer)?;
            Ok::<_, CallError>((task::begun_task(self.call, &answer)?, failures))
        };
        let size = to_usize(answer.payload.bytes());
        let (task, failures) = self.room.work(size, judged).await?;
        answer.notes.extend(failures);
        if let Some(id) = task {
            return Ok(PipelineOutcome::Task(id));
        }
        let outcome = match PageWalk::of(self) {
            Some(walk) => Box::pin(walk.run(answer)).await?,
            None => self.finish(answer).await?,
        };
        Ok(PipelineOutcome::Whole(Box::new(outcome)))
    }
}
