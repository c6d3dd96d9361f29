//! The scripts of composites: TypeScript goes in, and what runs is JavaScript in a sandbox.
//!
//! [`ScriptParser`] reads a script while its file is loaded: it takes out the annotations of TypeScript,
//! finds the tools that the script names, and makes sure that the engine can compile what is left.
//! [`engine`] runs a script.

pub mod api;
pub mod deadline;
pub mod engine;
mod erase;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::mpsc,
    thread,
    time::Duration,
};

use oxc_allocator::Allocator;
use oxc_parser::ParseOptions;
use oxc_span::SourceType;

/// The longest script in bytes: the longest known one has a twentieth of it.
pub const MAX_BYTES: usize = 64 * 1024;

/// The parser calls itself for each level of nesting, and `MAX_BYTES` can hold as many levels as
/// bytes. The address space is reserved; only what a script needs is ever touched.
const PARSER_STACK: usize = 256 * 1024 * 1024;

/// Parsing takes a millisecond. Nested `<` of TypeScript can take exponential time.
const PARSER_PATIENCE: Duration = Duration::from_secs(2);

/// A script that the engine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedScript {
    /// JavaScript; lines and bytes are where they were in the source.
    pub code: String,
    /// Each `api.name` of the script, and where it is.
    pub calls: Vec<(String, Range<usize>)>,
    /// Whether the script uses `api` in another way, so that it may call anything.
    pub computes_calls: bool,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptProblem {
    /// One sentence.
    pub message: String,
    /// Where in the script, in bytes.
    pub at: Range<usize>,
    /// What to do about it.
    pub help: Option<&'static str>,
}

impl ScriptProblem {
    fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at, help: None }
    }
}

/// Why the parser gave no answer.
#[derive(Debug, thiserror::Error)]
enum ParserError {
    /// The author: parsing it takes too long.
    #[error("the code is too complex to be parsed")]
    Complex,
    /// The author: the parser is still at another script.
    #[error("no code is read after one that is too complex")]
    Lost,
    /// The system: nothing can be parsed.
    #[error("the system has no thread for the parser: {0}")]
    NoThread(#[from] std::io::Error),
}

/// Reads scripts.
#[derive(Default)]
pub struct ScriptParser {
    /// Made for the first script.
    compiler: OnceCell<engine::ScriptCompiler>,
    /// Started for the first script.
    worker: RefCell<Option<ParserThread>>,
    /// Whether the worker did not come back; then no other script is read.
    is_lost: Cell<bool>,
}

type Parsed = Result<ParsedScript, Vec<ScriptProblem>>;

/// A thread that parses.
struct ParserThread {
    sources: mpsc::Sender<String>,
    parsed: mpsc::Receiver<Parsed>,
    /// What it was sent and has not given back.
    sent: VecDeque<String>,
    /// What it gave back, and nobody has asked for.
    done: HashMap<String, Parsed>,
}

impl ScriptParser {
    /// Makes a parser that begins to read `sources`, while whoever will ask for them does something else.
    pub fn reading<'source>(sources: impl IntoIterator<Item = &'source str>) -> Self {
        let parser = Self::default();
        for source in sources.into_iter().filter(|source| source.len() <= MAX_BYTES) {
            // Whoever asks for it is told.
            if parser.with_worker(|worker| worker.send(source)).is_err() {
                break;
            }
        }
        parser
    }

    /// Reads a script: the body of an async function with the parameters `api` and `params`.
    ///
    /// # Errors
    ///
    /// All problems that were found; at least one.
    pub fn parse(&self, source: &str) -> Result<ParsedScript, Vec<ScriptProblem>> {
        let parsed = self.parse_known(source)?;
        let compile = || match self.compiler.get() {
            Some(compiler) => compiler.compile(&parsed.code),
            None => {
                let compiler = engine::ScriptCompiler::new()?;
                self.compiler.get_or_init(|| compiler).compile(&parsed.code)
            }
        };
        compile().map_err(|error| {
            let at = error.line.map_or(0..0, |line| line_range(source, line));
            vec![ScriptProblem::new(error.message, at)]
        })?;
        Ok(parsed)
    }

    /// Reads a script as [`parse`](Self::parse) does, of which it is known that the engine can compile it: what
    /// it may call is in it, and found out each time.
    ///
    /// # Errors
    ///
    /// The problems that are found without the engine.
    pub fn parse_known(&self, source: &str) -> Result<ParsedScript, Vec<ScriptProblem>> {
        if source.len() > MAX_BYTES {
            return Err(vec![too_long()]);
        }
        self.work(source).unwrap_or_else(|error| {
            self.is_lost.set(true);
            Err(vec![ScriptProblem::new(error.to_string(), 0..0)])
        })
    }

    /// Has the thread parse.
    fn work(&self, source: &str) -> Result<Parsed, ParserError> {
        if self.is_lost.get() {
            return Err(ParserError::Lost);
        }
        self.with_worker(|worker| worker.parsed(source))
    }

    fn with_worker<Done>(
        &self,
        with: impl FnOnce(&mut ParserThread) -> Result<Done, ParserError>,
    ) -> Result<Done, ParserError> {
        let mut worker = self.worker.borrow_mut();
        let worker = match worker.as_mut() {
            Some(worker) => worker,
            None => worker.insert(ParserThread::start()?),
        };
        with(worker)
    }
}

impl ParserThread {
    fn start() -> std::io::Result<Self> {
        let (sources, inbox) = mpsc::channel::<String>();
        let (outbox, parsed) = mpsc::channel();
        thread::Builder::new().name("parser".to_owned()).stack_size(PARSER_STACK).spawn(
            move || {
                for source in inbox {
                    // Nobody listens any more when it took too long.
                    if outbox.send(parse_here(&source)).is_err() {
                        return;
                    }
                }
            },
        )?;
        Ok(Self { sources, parsed, sent: VecDeque::new(), done: HashMap::new() })
    }

    fn send(&mut self, source: &str) -> Result<(), ParserError> {
        self.sources.send(source.to_owned()).map_err(|_| ParserError::Complex)?;
        self.sent.push_back(source.to_owned());
        Ok(())
    }

    /// Returns what a script is, once it is parsed.
    fn parsed(&mut self, source: &str) -> Result<Parsed, ParserError> {
        if let Some(parsed) = self.done.remove(source) {
            return Ok(parsed);
        }
        if !self.sent.iter().any(|sent| sent == source) {
            self.send(source)?;
        }
        while let Some(sent) = self.sent.pop_front() {
            let parsed = self.parsed.recv_timeout(PARSER_PATIENCE);
            let parsed = parsed.map_err(|_| ParserError::Complex)?;
            if sent == source {
                return Ok(parsed);
            }
            self.done.insert(sent, parsed);
        }
        Err(ParserError::Lost)
    }
}

/// Takes the types out of a script, on this thread: whoever calls this bounds its time and has a deep
/// stack, since the parser calls itself for each level of nesting.
///
/// # Errors
///
/// All problems that were found; at least one.
pub fn erase_types(source: &str) -> Result<String, Vec<ScriptProblem>> {
    if source.len() > MAX_BYTES {
        return Err(vec![too_long()]);
    }
    parse_here(source).map(|parsed| parsed.code)
}

/// Refuses a script that is longer than any.
///
/// # Errors
///
/// It is too long.
pub fn check_length(source: &str) -> Result<(), ScriptProblem> {
    if source.len() > MAX_BYTES { Err(too_long()) } else { Ok(()) }
}

fn too_long() -> ScriptProblem {
    ScriptProblem::new(format!("the code is longer than {MAX_BYTES} bytes"), 0..0)
}

/// Parses as TypeScript, whatever the author had in mind: `f<a>(b)` means another thing there.
fn parse_here(source: &str) -> Result<ParsedScript, Vec<ScriptProblem>> {
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let kind = SourceType::ts().with_module(true);
    let allocator = Allocator::default();
    let parsed = oxc_parser::Parser::new(&allocator, source, kind).with_options(options).parse();
    if !parsed.panicked && parsed.diagnostics.is_empty() {
        return erase::erase(source, &parsed.program);
    }
    // One mistake often looks like several.
    let found = parsed.diagnostics.iter().take(3).map(|found| {
        let span = found.labels.first().map(oxc_span::LabeledSpan::span).unwrap_or_default();
        ScriptProblem::new(found.message.to_string(), span.start as usize..span.end as usize)
    });
    let mut problems: Vec<ScriptProblem> = found.collect();
    if problems.is_empty() {
        problems.push(ScriptProblem::new("the code cannot be parsed", 0..0));
    }
    Err(problems)
}

/// Returns the bytes of a line, counted from 1, without its indentation.
fn line_range(source: &str, line: usize) -> Range<usize> {
    let mut start = 0;
    for (number, text) in source.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            let indent = text.len() - text.trim_start().len();
            return start + indent..start + text.trim_end().len().max(indent);
        }
        start += text.len();
    }
    0..0
}

#[cfg(test)]
mod tests;
