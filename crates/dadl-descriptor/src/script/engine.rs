//! QuickJS with everything taken away that a script could reach out with.
//!
//! Each run has an engine of its own, which is made before it is known what it will run, and which is gone
//! with it: nothing is left for the next one. What a script can do is compute, and send [`ScriptEvent`]s; the
//! program answers a call with a [`CallReply`]. Time, memory and stack are bounded.
//!
//! The engine looks at the clock between the steps of a script, so that a loop ends in time. A
//! single step of its own library (a search in a text of megabytes) cannot be broken off.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt::Display,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use dadl_text::text::cut_bytes;
use rquickjs::{
    CatchResultExt as _, CaughtError, Context, Ctx, Function, Object, Persistent, Runtime,
    context::{EvalOptions, intrinsic},
};

use super::{api::ScriptApi, deadline::RunDeadline};

/// The memory of one script in bytes: an answer of the largest size that is allowed by default,
/// several times.
pub const MEMORY: usize = 64 * 1024 * 1024;

/// The stack of one script in bytes; some thousand calls.
const STACK: usize = 1024 * 1024;

/// The stack of the thread that runs one: room for what the engine does at the end of its own.
pub const THREAD_STACK: usize = 4 * STACK;

/// How long a script may compute, waiting for calls not counted, unless somebody says otherwise.
pub const MOST_BUSY: Duration = Duration::from_secs(10);

/// How many calls a script may make, unless the operator says otherwise.
pub const MOST_CALLS: u32 = 50;

/// The arguments of all calls of a script together, in bytes: they leave the engine's memory.
pub const MOST_ARGUMENTS: usize = 32 * 1024 * 1024;

/// How many lines of a script reach the log.
pub const MOST_LINES: u32 = 100;

/// How many bytes of such a line, and of an error.
const MOST_LINE_BYTES: usize = 2048;

/// How long compiling may take.
const COMPILE_TIME: Duration = Duration::from_secs(2);

const PRELUDE: &str = include_str!("prelude.js");

/// On the line of the script's first line, so that the lines of both are the same.
const HEAD: &str = "(async function composite(api, params) { \"use strict\"; ";

/// On a line of its own: the last line may be a comment.
const TAIL: &str = "\n})";

/// The name of the script in the stacks of errors.
const NAME: &str = "composite";

type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// What a run needs.
#[derive(Debug)]
pub struct ScriptJob {
    /// The body of the function.
    pub code: String,
    /// The value of `params`, as JSON.
    pub params: String,
    /// The members of `api`.
    pub api: ScriptApi,
    /// How many calls it may make.
    pub most_calls: u32,
    /// How long it may compute, waiting for calls not counted.
    pub most_busy: Duration,
    /// When the run ends, whatever it does.
    pub deadline: Arc<RunDeadline>,
}

/// What a script does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptEvent {
    /// It calls a tool.
    Call {
        /// What the reply goes to.
        id: u32,
        /// One of the job's tools.
        tool: String,
        /// The arguments, as JSON.
        arguments: String,
    },
    /// It goes on when a call is answered: all that it calls until then was sent.
    Waits,
    /// It logs a line.
    Log {
        /// `debug`, `log`, `info`, `warn` or `error`.
        level: String,
        /// The line, cut if need be.
        text: String,
    },
    /// It is done; nothing follows.
    Done {
        /// The result as JSON, or why there is none.
        result: Result<String, ScriptFailure>,
        /// How many lines were too many for the log.
        unlogged: u32,
        /// The calls whose replies it did not wait for.
        open: Vec<u32>,
        /// How many promises were rejected without anybody noticing.
        unhandled: u32,
    },
}

/// Why a script has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFailure {
    /// One sentence.
    pub message: String,
    /// The line of the script, from 1, when one is to blame.
    pub line: Option<usize>,
}

/// What a call gave.
#[derive(Debug, Clone)]
pub struct CallReply {
    /// The call.
    pub id: u32,
    /// A value as JSON; or an object as JSON with the members of the error to throw, and `whole`,
    /// its text for people.
    pub result: Result<String, String>,
    /// Counts the memory of the value until the engine, whose memory is bounded, has it.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

/// Makes sure that scripts can be compiled; runs nothing of them.
pub struct ScriptCompiler {
    limits: RunLimits,
    context: Context,
}

impl ScriptCompiler {
    /// Makes an engine for compiling.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn new() -> Result<Self, ScriptFailure> {
        let limits = RunLimits::default();
        let context = open_context(&limits)?;
        Ok(Self { limits, context })
    }

    /// Compiles a script.
    ///
    /// # Errors
    ///
    /// What the engine says, and the line.
    pub fn compile(&self, code: &str) -> Result<(), ScriptFailure> {
        self.limits.busy_until().set(Instant::now() + COMPILE_TIME);
        self.context.with(|ctx| {
            let compiled = function(&ctx, code).catch(&ctx);
            compiled
                .map(|_| ())
                .map_err(|error| self.limits.hit().unwrap_or_else(|| caught_failure(&error)))
        })
    }
}

/// What bounds a run; a clone is the same bound.
#[derive(Clone)]
struct RunLimits(Rc<LimitState>);

struct LimitState {
    /// Those of the script that runs.
    run: RefCell<Option<(Arc<RunDeadline>, Arc<AtomicBool>)>>,
    /// When enough was computed; moves on while the script waits.
    busy_until: Cell<Instant>,
    most_busy: Cell<Duration>,
}

impl Default for RunLimits {
    /// Those of an engine that runs no script yet.
    fn default() -> Self {
        let busy_until = Cell::new(Instant::now() + MOST_BUSY);
        let (run, most_busy) = (RefCell::default(), Cell::new(MOST_BUSY));
        Self(Rc::new(LimitState { run, busy_until, most_busy }))
    }
}

impl RunLimits {
    /// Bounds a script that begins now.
    fn begin(&self, job: &ScriptJob, dropped: Arc<AtomicBool>) {
        self.0.run.replace(Some((Arc::clone(&job.deadline), dropped)));
        self.0.busy_until.set(Instant::now() + job.most_busy);
        self.0.most_busy.set(job.most_busy);
    }

    fn busy_until(&self) -> &Cell<Instant> {
        &self.0.busy_until
    }

    /// Returns which limit is hit.
    fn hit(&self) -> Option<ScriptFailure> {
        let now = Instant::now();
        let run = self.0.run.borrow();
        let message = if run.as_ref().is_some_and(|(_, dropped)| dropped.load(Ordering::Relaxed)) {
            "it was cancelled".to_owned()
        } else if run.as_ref().is_some_and(|(deadline, _)| now >= deadline.at()) {
            "it did not end within its time limit".to_owned()
        } else if now >= self.0.busy_until.get() {
            format!("it computed for more than {} s", self.0.most_busy.get().as_secs_f64())
        } else {
            return None;
        };
        Some(ScriptFailure { message, line: None })
    }
}

/// Makes an engine.
fn open_context(limits: &RunLimits) -> Result<Context, ScriptFailure> {
    let failed = |error: rquickjs::Error| internal(&error);
    let runtime = Runtime::new().map_err(failed)?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let limits = limits.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || limits.hit().is_some())));
    // The context keeps its runtime.
    Context::custom::<Intrinsics>(&runtime).map_err(failed)
}

fn internal(error: &impl Display) -> ScriptFailure {
    ScriptFailure { message: format!("the script engine failed: {error}"), line: None }
}

/// Compiles the function of a script.
fn function<'js>(ctx: &Ctx<'js>, code: &str) -> rquickjs::Result<Function<'js>> {
    let mut options = EvalOptions::default();
    options.filename = Some(NAME.to_owned());
    options.strict = false;
    ctx.eval_with_options(format!("{HEAD}{code}{TAIL}"), options)
}

/// What the closures of a run share.
#[derive(Default)]
struct RunState {
    /// Calls without a reply.
    open: RefCell<BTreeSet<u32>>,
    /// All calls.
    calls: Cell<u32>,
    /// The bytes of their arguments.
    arguments: Cell<usize>,
    lines: Cell<u32>,
    unhandled: Cell<u32>,
    end: RefCell<Option<Result<String, ScriptFailure>>>,
}

/// An engine that has run nothing yet. To make one takes longer than most scripts.
pub struct FreshEngine {
    /// Goes before the engine that it is of.
    prelude: Persistent<Function<'static>>,
    context: Context,
    limits: RunLimits,
}

impl FreshEngine {
    /// Makes an engine. Whoever calls this has a stack of [`THREAD_STACK`].
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn new() -> Result<Self, ScriptFailure> {
        let limits = RunLimits::default();
        let context = open_context(&limits)?;
        let prelude = context.with(|ctx| {
            let prelude: Function<'_> = ctx.eval(PRELUDE).map_err(|error| internal(&error))?;
            Ok(Persistent::save(&ctx, prelude))
        })?;
        Ok(Self { prelude, context, limits })
    }
}

/// Runs a script in `engine` to its end, and sends what it does, [`ScriptEvent::Done`] at last; ends it soon
/// after `dropped` is set.
pub fn run_script(
    engine: Result<FreshEngine, ScriptFailure>,
    job: &ScriptJob,
    outbox: impl Fn(ScriptEvent) + 'static,
    inbox: &mpsc::Receiver<CallReply>,
    dropped: Arc<AtomicBool>,
) {
    let outbox: Rc<dyn Fn(ScriptEvent)> = Rc::new(outbox);
    let state = Rc::new(RunState::default());
    let result = engine.and_then(|engine| {
        engine.limits.begin(job, dropped);
        ended(engine, job, &outbox, inbox, &state)
    });
    let unlogged = state.lines.get().saturating_sub(MOST_LINES);
    let open = state.open.take().into_iter().collect();
    let unhandled = state.unhandled.get();
    outbox(ScriptEvent::Done { result, unlogged, open, unhandled });
}

/// Runs a script, and returns what it gave.
fn ended(
    FreshEngine { prelude, context, limits }: FreshEngine,
    job: &ScriptJob,
    outbox: &Rc<dyn Fn(ScriptEvent)>,
    inbox: &mpsc::Receiver<CallReply>,
    state: &Rc<RunState>,
) -> Result<String, ScriptFailure> {
    let shared = Rc::clone(state);
    context.runtime().set_host_promise_rejection_tracker(Some(Box::new(
        move |_, _, _, is_handled_now| {
            let unhandled = shared.unhandled.get();
            // A promise that is handled late was counted before.
            shared.unhandled.set(match is_handled_now {
                true => unhandled.saturating_sub(1),
                false => unhandled.saturating_add(1),
            });
        },
    )));
    context.with(|ctx| {
        let prelude = prelude.restore(&ctx).map_err(|error| internal(&error))?;
        let settle = begin_script(&ctx, &prelude, job, (outbox, state)).catch(&ctx);
        let settle =
            settle.map_err(|error| limits.hit().unwrap_or_else(|| caught_failure(&error)))?;
        loop {
            while ctx.execute_pending_job() && limits.hit().is_none() {}
            if let Some(end) = state.end.take() {
                return end;
            }
            if let Some(hit) = limits.hit() {
                return Err(hit);
            }
            if state.open.borrow().is_empty() {
                let message = "it waits for a promise that nothing settles".to_owned();
                return Err(ScriptFailure { message, line: None });
            }
            outbox(ScriptEvent::Waits);
            let waiting = Instant::now();
            let reply = inbox.recv_timeout(job.deadline.time_left());
            limits.busy_until().set(limits.busy_until().get() + waiting.elapsed());
            let reply = match reply {
                Ok(reply) => reply,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ScriptFailure {
                        message: "it was cancelled".to_owned(),
                        line: None,
                    });
                }
            };
            state.open.borrow_mut().remove(&reply.id);
            let (failed, text) = match reply.result {
                Ok(text) => (false, text),
                Err(text) => (true, text),
            };
            let big = has_big_integers(&text);
            let settled = settle.call::<_, ()>((reply.id, failed, text, big)).catch(&ctx);
            settled.map_err(|error| limits.hit().unwrap_or_else(|| caught_failure(&error)))?;
        }
    })
}

/// Runs the rest of the prelude and starts the script; returns the function that takes the replies.
fn begin_script<'js>(
    ctx: &Ctx<'js>,
    prelude: &Function<'js>,
    job: &ScriptJob,
    (outbox, state): (&Rc<dyn Fn(ScriptEvent)>, &Rc<RunState>),
) -> rquickjs::Result<Function<'js>> {
    let host = host_functions(ctx, outbox, state)?;
    let (noun, tools) = match &job.api {
        ScriptApi::Tools(tools) => ("composite", tools.clone()),
        ScriptApi::Open(names) => {
            job.api.add_lookups(ctx, &host)?;
            ("script", names.backends().to_vec())
        }
    };
    let is_open = matches!(job.api, ScriptApi::Open(_));
    let program: Object<'js> = prelude.call((host, noun, is_open, tools, job.most_calls))?;
    // After the prelude: what a script smuggles out of its function meets the same walls.
    let script = function(ctx, &job.code)?;
    let start: Function<'js> = program.get("start")?;
    let big = has_big_integers(&job.params);
    start.call::<_, ()>((script, job.params.as_str(), big))?;
    program.get("settle")
}

/// Makes the object through which the prelude reaches the program.
fn host_functions<'js>(
    ctx: &Ctx<'js>,
    outbox: &Rc<dyn Fn(ScriptEvent)>,
    state: &Rc<RunState>,
) -> rquickjs::Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    let (sender, shared) = (Rc::clone(outbox), Rc::clone(state));
    let call = move |tool: String, arguments: String| {
        let bytes = shared.arguments.get().saturating_add(arguments.len());
        if bytes > MOST_ARGUMENTS {
            return None;
        }
        shared.arguments.set(bytes);
        let id = shared.calls.get();
        shared.calls.set(id + 1);
        shared.open.borrow_mut().insert(id);
        sender(ScriptEvent::Call { id, tool, arguments });
        Some(id)
    };
    host.set("call", Function::new(ctx.clone(), call)?)?;
    let shared = Rc::clone(state);
    let wants_log = move || {
        let line = shared.lines.get().saturating_add(1);
        shared.lines.set(line);
        line <= MOST_LINES
    };
    host.set("wantsLog", Function::new(ctx.clone(), wants_log)?)?;
    let sender = Rc::clone(outbox);
    let log = move |level: String, text: String| {
        sender(ScriptEvent::Log { level, text: cut_bytes(&text, MOST_LINE_BYTES).into_owned() });
    };
    host.set("log", Function::new(ctx.clone(), log)?)?;
    let shared = Rc::clone(state);
    let done = move |text: String| shared.end.replace(Some(Ok(text)));
    host.set("done", Function::new(ctx.clone(), move |text| drop(done(text)))?)?;
    let shared = Rc::clone(state);
    let fail = move |message: String, stack: String| {
        let failure = ScriptFailure {
            message: explain_message(cut_bytes(&message, MOST_LINE_BYTES).into_owned()),
            line: line_of(&stack),
        };
        drop(shared.end.replace(Some(Err(failure))));
    };
    host.set("fail", Function::new(ctx.clone(), fail)?)?;
    Ok(host)
}

/// Says which limit the engine means.
fn explain_message(message: String) -> String {
    match message.as_str() {
        "InternalError: out of memory" => {
            format!("it needs more than {} MB of memory", MEMORY / 1024 / 1024)
        }
        _ => message,
    }
}

/// Describes what the engine threw outside of the script's own promise.
fn caught_failure(error: &CaughtError<'_>) -> ScriptFailure {
    match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let message = match message.as_str() {
                "out of memory" => explain_message(format!("InternalError: {message}")),
                _ => message,
            };
            let stack = exception.stack().unwrap_or_default();
            ScriptFailure { message, line: line_of(&stack) }
        }
        other => internal(other),
    }
}

/// Finds the first place in a stack that is in the script: `at f (composite:3:9)`.
fn line_of(stack: &str) -> Option<usize> {
    let marker = [NAME, ":"].concat();
    stack.lines().find_map(|frame| {
        let (_, place) = frame.rsplit_once(&marker)?;
        let digits = place.split(|other: char| !other.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

/// Returns whether a text of JSON may hold an integer that a double cannot.
fn has_big_integers(text: &str) -> bool {
    let mut digits = 0;
    for byte in text.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        // 2^53 has sixteen.
        if digits == 16 {
            return true;
        }
    }
    false
}
