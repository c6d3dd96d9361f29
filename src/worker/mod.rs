//! jq filters run in processes of their own.
//!
//! A filter may run forever, recurse without end or fill the memory, and its interpreter cannot be
//! stopped from outside. So it runs in a child process, which is this program again
//! (`dadl-mcp jq-worker`): the child bounds its own memory, has an empty environment and nothing
//! but two pipes, and is killed when the time is up. Children are started when they are needed,
//! reused, and end when their standard input does.
//!
//! Scripts of callers that are TypeScript lose their types there as well, because parsing them may take
//! any time.
//!
//! A request is the length of the program (`u32`), the length of the input (`u64`), both
//! big-endian, then program and input. An answer is a status (`u8`), a length (`u64`) and as many
//! bytes. A child begins with `GREETING`, so that another program is not taken for one.

mod child;
mod pool;

use std::time::Duration;

pub(crate) use self::child::serve_requests;
pub use self::pool::FilterPool;

/// What the subcommand is called.
pub const SUBCOMMAND: &str = "jq-worker";

/// The length of an input that does not follow: the program is compiled and not run.
const COMPILE_ONLY: u64 = u64::MAX;

/// The length of an input that does not follow: the program is a script, whose types are taken out.
const ERASE_TYPES: u64 = u64::MAX - 1;

/// What a child does with a program.
#[derive(Debug)]
enum ChildTask<Input> {
    /// It compiles the filter.
    Compile,
    /// It takes the types out of the script.
    EraseTypes,
    /// It runs the filter on this.
    Run(Input),
}

/// Part of the status of a child that holds much memory and should not be used again.
const RETIRES: u8 = 0x80;

/// The first bytes of a child.
const GREETING: &[u8] = b"dadl-mcp jq-worker 1\n";

/// The time that a filter may take.
pub const TIME: Duration = Duration::from_secs(5);

/// The memory that a child may have, in bytes: values, text and stack.
pub const MEMORY: u64 = 512 * 1024 * 1024;

/// The largest result, in bytes.
pub const OUTPUT: usize = 64 * 1024 * 1024;

/// Why a filter gave no result. The texts follow the name of the filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The author or the caller: the program is not jq.
    #[error("is not a jq program: {0}")]
    Compile(String),
    /// The program or its input: it failed, in the words of jq. May quote the input.
    #[error("failed: {0}")]
    Failed(String),
    /// It recurses too deeply.
    #[error("recurses too deeply")]
    Depth,
    /// It needs more than [`MEMORY`].
    #[error("needs more than {} MB of memory", MEMORY / (1024 * 1024))]
    Memory,
    /// Its result is larger than [`OUTPUT`].
    #[error("gives more than {} MB", OUTPUT / (1024 * 1024))]
    Output,
    /// There is no room for its result beside the answers that are being read, which share so many
    /// bytes.
    #[error(
        "gives more than there is room for now: all answers that are being read share {0} bytes \
         (`max_memory`)"
    )]
    Room(u64),
    /// It took longer than this.
    #[error("takes longer than {} s", .0.as_secs_f64())]
    Time(Duration),
    /// The program: so many others wait for their turn.
    #[error("has no turn: {0} others wait; try again later")]
    Busy(usize),
    /// The system: the process cannot be started, or ended for no known reason.
    #[error("cannot run: {0}")]
    Process(String),
}

impl FilterError {
    /// Returns whether it may be otherwise a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Room(_))
    }

    /// Returns the same without what it may quote of the input.
    #[must_use]
    pub fn without_data(self) -> Self {
        match self {
            Self::Failed(_) => {
                Self::Failed("its message is not shown, because this tool hides values".to_owned())
            }
            other => other,
        }
    }
}

/// How a child answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildStatus {
    /// The result follows.
    Done,
    /// A message follows.
    Failed,
    /// A message follows.
    NoProgram,
    /// Nothing follows.
    TooLarge,
}

impl ChildStatus {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::NoProgram, Self::TooLarge];

    fn byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.byte() == byte)
    }
}
