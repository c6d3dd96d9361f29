//! One call from plan to result.
//!
//! [`Executor::execute`] is the whole call in one place: plan, credential, request with redirects
//! and retries, decoding, result. It takes an [`Admitted`] call only, which the gate alone makes.
//! Dropping its future aborts the request and removes an unfinished download.

mod composite;
pub(crate) mod connection;
mod context;
mod download;
mod dry_run;
mod error;
mod file_name;
mod health;
mod pages;
mod queue;
mod result;
mod rpc;
pub(crate) mod stream;
mod task;
mod upload_size;
mod work;

use std::{
    borrow::Cow,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::queue::Room;
pub use self::{
    context::{Budget, CallContext, Leave},
    dry_run::DryRun,
    error::CallError,
    health::HealthReport,
    task::{TaskError, TaskFailure},
    upload_size::UploadSizeError,
};
use self::{
    download::Download,
    file_name::file_name,
    queue::Bounds,
    result::{Answer, Target, end_of_call, finish, to_usize},
    stream::Collected,
    work::Rest,
};

pub use crate::outcome;
use crate::outcome::{ApiError, Held, Outcome, Payload, SWITCHED_OFF};
use crate::{
    call::{self, CallPlan},
    catalog::{Entry, Operation},
    config::Limits,
    descriptor::model::{Composite, PageBehavior, Pagination, Request, Role, StreamArgument, Tool},
    files::FileStore,
    gate::{Admitted, Pending},
    growth,
    http::{
        backend::{Backend, Exchange, Refusal, start_of},
        retry::RetryRules,
        upload::{self, Activity},
    },
    response::{
        api_error::{self, Rejection},
        collect::Collector,
        decode::{self, BodyType},
        hiding,
    },
    script::engine::Slots,
    secrets::Secrets,
    shares::{Client, Queue},
    worker::Filters,
};

/// Executes calls.
#[derive(Debug, Clone)]
pub struct Executor {
    backends: Arc<[Backend]>,
    secrets: Secrets,
    files: FileStore,
    filters: Filters,
    slots: Slots,
    bounds: Bounds,
    /// How many JSON-RPC requests there were.
    requests: Arc<AtomicU64>,
}

impl Executor {
    /// Executes calls of `backends`, whose order is that of the settings.
    pub fn new(backends: impl Into<Arc<[Backend]>>, files: FileStore) -> Self {
        let (filters, slots) = (Filters::default(), Slots::default());
        let backends = backends.into();
        let bounds = bounds(Limits::default(), &backends);
        let secrets = Secrets::joined(backends.iter().map(Backend::secrets));
        Self { backends, secrets, files, filters, slots, bounds, requests: Arc::default() }
    }

    /// Does so much at once; by default as [`Limits`] say.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        let bounds = bounds(limits, &self.backends);
        Self { bounds, ..self }
    }

    /// Runs jq filters in these processes; by default they are this program.
    #[must_use]
    pub fn with_filters(self, filters: Filters) -> Self {
        Self { filters, ..self }
    }

    /// Returns how many bytes the answers take that are being read.
    pub fn bytes_in_memory(&self) -> u64 {
        self.bounds.used()
    }

    /// Returns turns for transfers that are no part of calls: as many as calls have.
    pub(crate) fn transfer_queue(&self) -> Queue {
        self.bounds.transfer_queue()
    }

    /// Returns room for what is made of an answer beside it.
    pub(crate) fn room(&self, client: &Client) -> Room {
        self.bounds.room(client)
    }

    /// Returns the secrets that are in use.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the backends.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Returns the directory of files.
    pub fn files(&self) -> &FileStore {
        &self.files
    }

    /// Plans a call without sending anything.
    ///
    /// # Errors
    ///
    /// [`CallError::Argument`] when an argument makes no request.
    pub fn dry_run(&self, call: &Pending<'_>) -> Result<DryRun, CallError> {
        let backend = self.backend(call.entry())?;
        let tool = match call.entry().operation() {
            Operation::Tool(tool) => tool,
            Operation::Composite(Composite { name, calls, .. }) => {
                return Ok(DryRun::Composite { name: name.clone(), calls: calls.to_vec() });
            }
        };
        let plan = call::plan(call.entry(), tool, backend.base(), call.arguments(), call.door())?;
        let credential = backend.authenticator().masked();
        Ok(DryRun::Request { plan: Box::new(plan), credential })
    }

    /// Executes a call.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; each variant says whose fault it usually is.
    pub async fn execute(
        &self,
        call: Admitted<'_>,
        context: &CallContext<'_>,
    ) -> Result<Outcome, CallError> {
        if call.entry().health().is_some()
            && let Some(report) = Box::pin(self.check_health(&call)).await
        {
            return Ok(report.into());
        }
        // Each of these is large, and a composite holds many: on the heap they take no stack.
        match call.entry().operation() {
            Operation::Tool(tool) => Box::pin(self.request(&call, tool, context)).await,
            Operation::Composite(composite) => {
                Box::pin(composite::run(self, &call, composite, context)).await
            }
        }
    }

    /// Executes a call that is one request.
    async fn request(
        &self,
        call: &Admitted<'_>,
        tool: &Tool,
        context: &CallContext<'_>,
    ) -> Result<Outcome, CallError> {
        let backend = self.backend(call.entry())?;
        let plan = call::plan(call.entry(), tool, backend.base(), call.arguments(), call.door())?;
        let plan = self.numbered(plan);
        let client = &context.client;
        let filters = self.filters.of(client);
        let says = |argument| call.arguments().stream(argument);
        if says(StreamArgument::Open) == Some(&Value::Bool(true))
            || says(StreamArgument::Subscribe).is_some()
        {
            return Err(CallError::NoStreams);
        }
        if let Some(jq) = callers_jq(call) {
            filters.compile(jq).await.map_err(|error| {
                let property = call.entry().property_of(Role::Jq).unwrap_or_default().to_owned();
                CallError::Filter { property, error }
            })?;
        }
        let bound = backend.settings().timeouts.call;
        let is_transfer = tool.response.binary || upload::is_streamed(&plan.body);
        let turns = self.bounds.turns(call.entry().backend.0, client, is_transfer);
        let busy = |reason| CallError::Busy { reason };
        let turns = tokio::time::timeout(bound, turns)
            .await
            .map_err(|_| busy(format!("its turn did not come within {} s", bound.as_secs_f64())))?
            .map_err(busy)?;
        let (activity, room) = (Activity::default(), self.bounds.room(client));
        let ends = end_of_call(backend);
        let target = Target { backend, call, tool, activity: &activity, room: &room, ends };
        let plan = &plan;
        let send = async {
            self.check_upload_size(target, plan).await?;
            let download = self.send_or_continue(target, plan).await?;
            let exchange = &download.exchange;
            let binary = is_download(target, exchange);
            if binary && !tool.response.redact.is_empty() {
                return Err(CallError::Redaction { request: backend.request_line(plan) });
            }
            if binary {
                return Ok(Received::Download(download));
            }
            if is_stream(target, exchange) {
                return Ok(Received::Stream(download.exchange));
            }
            let answer = self.answer(target, plan, download.exchange).await?;
            self.conclude(target, plan, answer, context).await.map(Received::Concluded)
        };
        let timed_out = || target.timed_out(plan);
        // Uploads last as long as they last, like downloads; only silence ends them.
        let is_upload = upload::is_streamed(&plan.body);
        let sent = if is_upload {
            activity.timeout(bound, activity.observed(context.observer, send)).await
        } else {
            activity.timeout(bound, send).await
        };
        let concluded = match sent.ok_or_else(timed_out)?? {
            Received::Concluded(concluded) => concluded,
            // What came of it is not lost when the time is up.
            Received::Stream(exchange) => {
                let ends = if is_upload { end_of_call(backend) } else { ends };
                let target = Target { ends, ..target };
                let answer = self.answer(target, plan, exchange).await?;
                let concluded = self.conclude(target, plan, answer, context);
                let concluded = tokio::time::timeout(bound, concluded).await;
                concluded.map_err(|_| timed_out())??
            }
            // Downloads last as long as they last; only silence ends them.
            Received::Download(download) => {
                return self.download(target, plan, download, context.observer).await;
            }
        };
        match concluded {
            Concluded::Whole(outcome) => Ok(Outcome { held: Held::by(room), ..*outcome }),
            // Tasks have a bound of their own, and leave their turn to others.
            Concluded::Task(id) => {
                drop(turns);
                task::follow(self, target, id, context).await
            }
        }
    }

    /// Makes of an answer what the caller gets.
    async fn conclude(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
        answer: Answer,
        context: &CallContext<'_>,
    ) -> Result<Concluded, CallError> {
        let judged = || {
            failed(target, plan, &answer)?;
            task::began(target.call, &answer)
        };
        let size = to_usize(answer.payload.bytes());
        if let Some(id) = target.room.work(size, judged).await? {
            return Ok(Concluded::Task(id));
        }
        let outcome = match walked(target.tool) {
            Some(pagination) => {
                let walk = pages::Walk { executor: self, target, pagination };
                walk.run(plan.clone(), answer, context).await?
            }
            None => {
                let filters = self.filters.of(&context.client);
                finish(target, plan, answer, &filters).await?
            }
        };
        Ok(Concluded::Whole(Box::new(outcome)))
    }

    fn backend(&self, entry: &Entry) -> Result<&Backend, CallError> {
        self.backends.get(entry.backend.0).ok_or_else(|| CallError::Settings {
            message: format!("backend \"{}\" is not configured", entry.backend_name),
        })
    }

    /// Sends the request and turns a non-2xx answer into an error.
    async fn send(&self, target: Target<'_>, plan: &CallPlan) -> Result<Exchange, CallError> {
        let Target { backend, tool, activity, .. } = target;
        let rules = retry_rules(tool);
        let plan = &with_key(plan, tool);
        let exchange =
            backend.send(plan, rules, tool.response.binary, &self.files, activity).await?;
        if exchange.response.status().is_success() {
            return Ok(exchange);
        }
        if !task::shows_tasks(target.call, tool) {
            return Err(rejection(backend, tool, plan, exchange).await);
        }
        // Some APIs show a task that failed or was cancelled with a status of its own; to see that is
        // a success.
        let Exchange { response, attempts, retry_after, refusal, _sending } = exchange;
        let mut answer = http::Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let body = start_of(response).await;
        let shows_task = task::shows_task(target.call, tool, &body);
        let response = reqwest::Response::from(answer.map(|()| body));
        let exchange = Exchange { response, attempts, retry_after, refusal, _sending };
        if shows_task {
            return Ok(exchange);
        }
        Err(rejection(backend, tool, plan, exchange).await)
    }

    /// Reads a whole body.
    async fn answer(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
        exchange: Exchange,
    ) -> Result<Answer, CallError> {
        let tool = target.tool;
        let content_type = header_text(exchange.response.headers(), &header::CONTENT_TYPE);
        if let Some(sent) = rpc::of(tool.rpc(), plan)
            && BodyType::of(content_type) != BodyType::Binary
        {
            return self.rpc_answer(target, plan, sent, exchange).await;
        }
        let Exchange { response, .. } = exchange;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let content_type = header_text(&headers, &header::CONTENT_TYPE);
        let most = || stream::Bounds::of(target.call, tool, target.backend).items;
        let secrets = target.backend.secrets();
        let stream = match BodyType::of(content_type) {
            BodyType::EventStream => Some(Collector::events(most(), secrets)),
            BodyType::Ndjson => Some(Collector::lines(most(), secrets)),
            _ => None,
        };
        if let Some(collector) = stream {
            let (ends_silently, is_endless) = (false, false);
            let stream =
                stream::Stream { target, plan, status, collector, ends_silently, is_endless };
            let pieces = response.bytes_stream().boxed();
            let Collected { payload, size, notes, is_cut } = stream.collect(pieces).await?;
            return Ok(Answer { status, headers, payload, size, notes, is_cut });
        }
        let body = self.read(target, plan, response).await?;
        let size = body.len() as u64;
        let decoded = || {
            Ok(match decode::decode(secrets.body(body), content_type, target.most())? {
                // What a charset hides shows itself only now.
                Payload::Text { content_type, text } => {
                    let content_type = secrets.text(&content_type).into_owned();
                    Payload::Text { content_type, text: secrets.masked(text) }
                }
                payload => payload,
            })
        };
        let decoded = target.room.work(to_usize(size), decoded).await;
        let payload = decoded.map_err(|error| target.undecodable(plan, status, error))?;
        target.resize(size, payload.bytes(), plan)?;
        Ok(Answer { status, headers, payload, size, notes: Vec::new(), is_cut: false })
    }

    /// Reads a body up to the bound of its backend.
    async fn read(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
        response: reqwest::Response,
    ) -> Result<Bytes, CallError> {
        let backend = target.backend;
        let limit = backend.settings().max_response_bytes;
        let announced = response.content_length().unwrap_or_default();
        if announced > limit {
            return Err(target.too_large(plan));
        }
        target.take_room(announced, plan)?;
        let mut body = growth::buffer(usize::try_from(announced).unwrap_or_default());
        let mut rest = Rest::default();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| CallError::Send(backend.failure(plan, &error)))?;
            let size = (body.len() + piece.len()) as u64;
            if size > limit {
                return Err(target.too_large(plan));
            }
            if size > announced {
                target.take_room(piece.len() as u64, plan)?;
            }
            growth::append(&mut body, &piece);
            rest.after(piece.len()).await;
        }
        Ok(body.freeze())
    }
}

fn bounds(limits: Limits, backends: &[Backend]) -> Bounds {
    Bounds::new(limits, backends.iter().map(|backend| backend.settings().max_calls))
}

fn retry_rules(tool: &Tool) -> RetryRules<'_> {
    RetryRules {
        errors: &tool.errors,
        method: tool.method(),
        is_patient: false,
        // A backend that knows the key does the work once; a method that reads may be called again.
        retry_unsafe: tool.retry_unsafe || tool.idempotency.is_some() || tool.only_reads(),
    }
}

/// Reads a non-2xx answer.
async fn rejection(
    backend: &Backend,
    tool: &Tool,
    plan: &CallPlan,
    exchange: Exchange,
) -> CallError {
    Box::new(refusal(backend, tool, &backend.request_line(plan), exchange).await).into()
}

/// Reads the error in a non-2xx answer.
async fn refusal(backend: &Backend, tool: &Tool, request: &str, exchange: Exchange) -> ApiError {
    let Exchange { response, attempts, retry_after, refusal, .. } = exchange;
    let status = response.status().as_u16();
    // A body that breaks off still has a status, which says most.
    let body = start_of(response).await;
    let body = backend.masked(body).await;
    let rejection = Rejection { status, body: &body, request, retry_after, attempts };
    let mut error = hiding::read(rejection, tool);
    name_refusal(&mut error, refusal, tool);
    error
}

/// Gives the error of an answer that refuses whatever is asked the code that says so.
fn name_refusal(error: &mut ApiError, refusal: Option<Refusal>, tool: &Tool) {
    let is_mapped = || tool.errors.map.iter().any(|(mapped, _)| *mapped == error.status);
    let code = match refusal {
        Some(Refusal::SwitchedOff) => SWITCHED_OFF,
        Some(Refusal::Credential) if !is_mapped() => api_error::CREDENTIAL_REFUSED,
        Some(Refusal::Credential) | None => return,
    };
    code.clone_into(&mut error.code);
}

/// Refuses a 2xx answer that says in its body that it is an error.
fn failed(target: Target<'_>, plan: &CallPlan, answer: &Answer) -> Result<(), CallError> {
    let Target { backend, tool, .. } = target;
    let (false, Payload::Json(text)) = (tool.errors.failed.is_empty(), &answer.payload) else {
        return Ok(());
    };
    if task::shows_tasks(target.call, tool) {
        return Ok(());
    }
    let text = text.as_str();
    if !tool.errors.failed.iter().any(|condition| condition.holds(text) == Some(true)) {
        return Ok(());
    }
    let rejection = Rejection {
        status: answer.status,
        body: text.as_bytes(),
        request: &backend.request_line(plan),
        retry_after: None,
        attempts: 1,
    };
    Err(Box::new(hiding::read(rejection, tool)).into())
}

/// Adds the idempotency key of this call; its retries send the same.
fn with_key<'plan>(plan: &'plan CallPlan, tool: &Tool) -> Cow<'plan, CallPlan> {
    let Some(name) = &tool.idempotency else { return Cow::Borrowed(plan) };
    let mut plan = plan.clone();
    // A UUID is made of digits, letters and hyphens, which every field value may hold.
    if let Ok(key) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        plan.headers.push((name.clone(), key));
    }
    Cow::Owned(plan)
}

/// Returns the pagination of a tool whose pages this program walks through.
fn walked(tool: &Tool) -> Option<&Pagination> {
    let pagination = tool.pagination()?;
    (pagination.behavior == PageBehavior::Auto).then_some(pagination)
}

/// Returns the jq program that the caller passed.
fn callers_jq<'call>(call: &'call Admitted<'_>) -> Option<&'call str> {
    call.arguments().jq()
}

/// What arrived within the time of the call.
enum Received {
    Download(Download),
    /// The head of an answer that may have no end.
    Stream(Exchange),
    Concluded(Concluded),
}

/// What an answer came to.
enum Concluded {
    /// The id of a task that began.
    Task(String),
    Whole(Box<Outcome>),
}

/// Returns whether an answer may go on without an end, whatever the descriptor says.
fn is_stream(target: Target<'_>, exchange: &Exchange) -> bool {
    let content_type = header_text(exchange.response.headers(), &header::CONTENT_TYPE);
    // The first line of a JSON-RPC answer shows whether it is a list.
    target.tool.rpc().is_some()
        || matches!(BodyType::of(content_type), BodyType::EventStream | BodyType::Ndjson)
}

/// Returns whether the answer goes to a file.
fn is_download(target: Target<'_>, exchange: &Exchange) -> bool {
    let tool = target.tool;
    let rules = &tool.response;
    let response = &exchange.response;
    if response.status() == http::StatusCode::NO_CONTENT || response.content_length() == Some(0) {
        return false;
    }
    let content_type = header_text(response.headers(), &header::CONTENT_TYPE);
    // What a program works on is read, whatever its content type says.
    let is_read = rules.transform.is_some() || callers_jq(target.call).is_some();
    let kind = BodyType::of(content_type);
    let is_binary = kind == BodyType::Binary && !is_read;
    match tool.request {
        // An error comes with the same status, and only its content type tells it from a file.
        Request::Rpc(_) => {
            is_binary || (rules.binary && matches!(kind, BodyType::Binary | BodyType::Unknown))
        }
        Request::Http(_) => rules.binary || is_binary,
    }
}

fn header_text<'headers>(
    headers: &'headers HeaderMap,
    name: &header::HeaderName,
) -> Option<&'headers str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
