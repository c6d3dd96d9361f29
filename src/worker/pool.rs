//! The parent: starts children, gives them work, and kills those that do not come back.

use std::{
    fmt, io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dadl_text::growth;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout_at},
};

use crate::shares::{ClientKey, FairQueue, QueueFull};

use super::{
    COMPILE_ONLY, ChildStatus, ChildTask, ERASE_TYPES, FilterError, GREETING, OUTPUT, RETIRES,
    SUBCOMMAND, TIME,
};

/// The number of filters that run at the same time, and one for a client that has none; more wait
/// for their turn, which goes round among the clients.
const MOST: usize = 5;

/// How many of them are kept for such a client.
const KEPT: usize = 1;

/// How many filters may wait.
const MOST_WAITING: usize = 2048;

/// How much of what a dying child says is read.
const LAST_WORDS: u64 = 4096;

/// Runs jq filters; clones share their children.
#[derive(Clone)]
pub struct FilterPool {
    pool: Arc<ChildPool>,
    time: Duration,
    /// Whose they are.
    client: ClientKey,
}

/// The children of a process.
pub(crate) struct ChildPool {
    /// The program to start; `None` for this one.
    executable: Option<PathBuf>,
    idle: Mutex<Vec<FilterChild>>,
    turns: FairQueue,
}

impl fmt::Debug for FilterPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Filters").field("executable", &self.pool.executable).finish()
    }
}

impl Default for FilterPool {
    /// The children are this program.
    fn default() -> Self {
        Self::new(None)
    }
}

/// A child that waits for work.
struct FilterChild {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

/// What a child says about a program.
struct ChildAnswer {
    status: ChildStatus,
    bytes: Vec<u8>,
    /// Whether the child should not be used again.
    retires: bool,
}

/// Why a child's answer is not read.
enum AnswerFault {
    Gone(io::Error),
    /// There is no room for it; so much there is in all.
    Room(u64),
}

impl From<io::Error> for AnswerFault {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl FilterPool {
    /// The children are `executable`, which is this program: a test is another one.
    pub fn with_executable(executable: impl Into<PathBuf>) -> Self {
        Self::new(Some(executable.into()))
    }

    fn new(executable: Option<PathBuf>) -> Self {
        let turns = FairQueue::keeping(KEPT, MOST, MOST_WAITING);
        let pool = ChildPool { executable, idle: Mutex::default(), turns };
        Self { pool: Arc::new(pool), time: TIME, client: ClientKey::only() }
    }

    /// Returns the same children, which run filters of `client`.
    #[must_use]
    pub fn of(&self, client: &ClientKey) -> Self {
        Self { pool: Arc::clone(&self.pool), time: self.time, client: client.clone() }
    }

    /// Lets a program take `time` instead of [`TIME`].
    #[must_use]
    pub fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Runs `program` on the JSON text `input` and returns its result as compact JSON: the output
    /// when there is one, an array when there are several, `null` when there is none.
    ///
    /// # Errors
    ///
    /// See [`FilterError`]; one that failed leaves nothing behind.
    pub async fn run(&self, program: &str, input: &[u8]) -> Result<String, FilterError> {
        self.run_within(program, input, |_| Ok(())).await
    }

    /// Does what [`run`](Self::run) does, and asks before it reads a result whether there is room for
    /// so many bytes; the error is how much there is in all.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run), and [`FilterError::Room`].
    pub async fn run_within(
        &self,
        program: &str,
        input: &[u8],
        room: impl Fn(u64) -> Result<(), u64> + Send,
    ) -> Result<String, FilterError> {
        self.ask(program, ChildTask::Run(input), room).await
    }

    /// Compiles `program` and does not run it.
    ///
    /// # Errors
    ///
    /// [`FilterError::Compile`] says what is wrong with it.
    pub async fn compile(&self, program: &str) -> Result<(), FilterError> {
        self.ask(program, ChildTask::Compile, |_| Ok(())).await.map(drop)
    }

    /// Takes the types out of a script in TypeScript.
    ///
    /// # Errors
    ///
    /// [`FilterError::Compile`] says what is wrong with it.
    pub async fn erase_types(&self, code: &str) -> Result<String, FilterError> {
        self.ask(code, ChildTask::EraseTypes, |_| Ok(())).await
    }

    async fn ask(
        &self,
        program: &str,
        task: ChildTask<&[u8]>,
        room: impl Fn(u64) -> Result<(), u64> + Send,
    ) -> Result<String, FilterError> {
        let pool = &*self.pool;
        let turn = pool.turns.turn(&self.client).await;
        let _turn = turn.map_err(|QueueFull(waiting)| FilterError::Busy(waiting))?;
        let deadline = Instant::now() + self.time;
        let late = FilterError::Time(self.time);
        let idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One that was killed meanwhile is replaced.
        let idle = idle
            .and_then(|mut worker| matches!(worker.child.try_wait(), Ok(None)).then_some(worker));
        let mut worker = match idle {
            Some(worker) => worker,
            None => timeout_at(deadline, pool.start())
                .await
                .map_err(|_| late.clone())?
                .map_err(|error| FilterError::Process(error.to_string()))?,
        };
        // A worker that is dropped is killed: by the deadline, and by a caller who goes away.
        let answer = timeout_at(deadline, worker.ask(program, task, room)).await;
        match answer.map_err(|_| late.clone())? {
            Ok(ChildAnswer { status, bytes, retires }) => {
                if !retires {
                    pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                }
                let text = String::from_utf8(bytes).map_err(|error| ended_error(&error))?;
                match status {
                    ChildStatus::Done => Ok(text),
                    ChildStatus::Failed => Err(FilterError::Failed(text)),
                    ChildStatus::NoProgram => Err(FilterError::Compile(text)),
                    ChildStatus::TooLarge => Err(FilterError::Output),
                }
            }
            Err(AnswerFault::Room(most)) => Err(FilterError::Room(most)),
            Err(AnswerFault::Gone(error)) => {
                Err(timeout_at(deadline, worker.post_mortem(&error)).await.unwrap_or(late))
            }
        }
    }
}

fn ended_error(error: &impl fmt::Display) -> FilterError {
    FilterError::Process(error.to_string())
}

impl ChildPool {
    /// Starts a child and waits for its greeting.
    async fn start(&self) -> io::Result<FilterChild> {
        let mut child = Command::new(self.program()?)
            .arg(SUBCOMMAND)
            // Credentials may be in the environment.
            .env_clear()
            .current_dir(std::path::MAIN_SEPARATOR_STR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("the process has no pipes");
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let mut stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let mut greeting = [0; GREETING.len()];
        let read = stdout.read_exact(&mut greeting).await;
        if read.is_err() || greeting != *GREETING {
            return Err(io::Error::other("the process is not the filter process of dadl-mcp"));
        }
        Ok(FilterChild { child, stdin, stdout, stderr })
    }

    fn program(&self) -> io::Result<PathBuf> {
        if let Some(executable) = &self.executable {
            return Ok(executable.clone());
        }
        // The file that runs, even after another version has taken its place.
        if cfg!(target_os = "linux") {
            return Ok(PathBuf::from("/proc/self/exe"));
        }
        std::env::current_exe()
    }
}

impl FilterChild {
    async fn ask(
        &mut self,
        program: &str,
        task: ChildTask<&[u8]>,
        room: impl Fn(u64) -> Result<(), u64> + Send,
    ) -> Result<ChildAnswer, AnswerFault> {
        let length = u32::try_from(program.len()).map_err(io::Error::other)?;
        let mut head = Vec::with_capacity(12 + program.len());
        head.extend_from_slice(&length.to_be_bytes());
        let (size, input) = match task {
            ChildTask::Compile => (COMPILE_ONLY, [].as_slice()),
            ChildTask::EraseTypes => (ERASE_TYPES, [].as_slice()),
            ChildTask::Run(input) => (input.len() as u64, input),
        };
        head.extend_from_slice(&size.to_be_bytes());
        head.extend_from_slice(program.as_bytes());
        self.stdin.write_all(&head).await?;
        self.stdin.write_all(input).await?;
        self.stdin.flush().await?;
        let status = self.stdout.read_u8().await?;
        let retires = status & RETIRES != 0;
        let status = ChildStatus::from_byte(status & !RETIRES);
        let length = usize::try_from(self.stdout.read_u64().await?).map_err(io::Error::other)?;
        let status = status
            .filter(|_| length <= 2 * OUTPUT)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        room(length as u64).map_err(AnswerFault::Room)?;
        let mut bytes = growth::byte_buffer(length);
        bytes.resize(length, 0);
        self.stdout.read_exact(&mut bytes).await?;
        Ok(ChildAnswer { status, bytes, retires })
    }

    /// Works out why a child ended.
    async fn post_mortem(mut self, error: &io::Error) -> FilterError {
        let mut words = Vec::new();
        // What cannot be read says nothing.
        let _ = self.stderr.take(LAST_WORDS).read_to_end(&mut words).await;
        let words = String::from_utf8_lossy(&words);
        if words.contains("overflowed its stack") {
            return FilterError::Depth;
        }
        if words.contains("memory allocation") || words.contains("capacity overflow") {
            return FilterError::Memory;
        }
        match self.child.wait().await {
            Ok(status) => FilterError::Process(format!("its process ended ({status})")),
            Err(_) => FilterError::Process(error.to_string()),
        }
    }
}
