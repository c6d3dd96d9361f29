//! The child: reads programs and inputs, writes results.

use std::{
    io::{self, Read, Write},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    rc::Rc,
    sync::mpsc,
    thread,
};

use dadl_descriptor::{
    jq::{JqProgram, RunError},
    script,
};

use super::{COMPILE_ONLY, ChildStatus, ChildTask, ERASE_TYPES, GREETING, OUTPUT, RETIRES};

/// The stack of the interpreter, in bytes; part of [`super::MEMORY`].
const STACK: usize = 128 * 1024 * 1024;

/// A process that holds more than this, in bytes, is not kept for the next filter.
const MOST_IDLE: u64 = 64 * 1024 * 1024;

/// The number of compiled programs that are kept.
const PROGRAMS: usize = 16;

/// Larger inputs are refused; answers are bounded long before.
const LARGEST_INPUT: u64 = super::MEMORY;

/// A program and its input.
struct FilterRequest {
    program: String,
    task: ChildTask<Vec<u8>>,
}

/// Runs filters until standard input ends.
pub(crate) fn serve_requests() -> ExitCode {
    if let Err(error) = limit_memory() {
        // Standard error is what the parent reads when a child ends.
        let _ = writeln!(io::stderr(), "the limits of this process cannot be set: {error}");
        return ExitCode::FAILURE;
    }
    // The parent learns of a panic by its answer; nobody reads the text.
    panic::set_hook(Box::new(|_| {}));
    let (sender, receiver) = mpsc::channel();
    let interpreter =
        thread::Builder::new().stack_size(STACK).spawn(move || answer_requests(&receiver));
    if let Err(error) = interpreter {
        let _ = writeln!(io::stderr(), "the interpreter cannot be started: {error}");
        return ExitCode::FAILURE;
    }
    // Reading never waits for the interpreter: a filter without an end must not outlive the
    // parent, whose death ends this loop.
    let mut stdin = io::stdin().lock();
    while let Ok(request) = read_request(&mut stdin) {
        if sender.send(request).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// Bounds memory, and forbids core dumps and written files: both would hold data of a call.
#[cfg(unix)]
fn limit_memory() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = |resource, bytes: u64| {
        // A limit that is lower already cannot be raised, and need not.
        let bytes = getrlimit(resource).maximum.map_or(bytes, |known| known.min(bytes));
        setrlimit(resource, Rlimit { current: Some(bytes), maximum: Some(bytes) })
    };
    // Linux counts here what a process has of its own; elsewhere the address space has to do.
    limit(Resource::Data, super::MEMORY)?;
    #[cfg(not(target_os = "macos"))]
    limit(Resource::As, super::MEMORY * 2)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    Ok(())
}

/// Other systems have no such limits for a process itself; time and size of results are bounded
/// by the parent.
#[cfg(not(unix))]
fn limit_memory() -> io::Result<()> {
    Ok(())
}

fn read_request(stdin: &mut impl Read) -> io::Result<FilterRequest> {
    let mut lengths = [0; 12];
    stdin.read_exact(&mut lengths)?;
    let [a, b, c, d, rest @ ..] = lengths;
    let program = u64::from(u32::from_be_bytes([a, b, c, d]));
    let input = u64::from_be_bytes(rest);
    let task = match input {
        COMPILE_ONLY => ChildTask::Compile,
        ERASE_TYPES => ChildTask::EraseTypes,
        length if length <= LARGEST_INPUT => ChildTask::Run(length),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut bytes = |length: u64| {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        stdin.read_exact(&mut bytes).map(|()| bytes)
    };
    let program = bytes(program)?;
    let task = match task {
        ChildTask::Compile => ChildTask::Compile,
        ChildTask::EraseTypes => ChildTask::EraseTypes,
        ChildTask::Run(length) => ChildTask::Run(bytes(length)?),
    };
    let program = String::from_utf8(program).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(FilterRequest { program, task })
}

/// Answers requests, one after the other.
fn answer_requests(requests: &mpsc::Receiver<FilterRequest>) {
    let mut stdout = io::stdout().lock();
    let mut programs: Vec<(String, Rc<JqProgram>)> = Vec::with_capacity(PROGRAMS);
    let mut write = |status: ChildStatus, bytes: &[u8]| {
        let mut head = [0; 9];
        let (first, length) = head.split_at_mut(1);
        first.fill(if is_large() { status.byte() | RETIRES } else { status.byte() });
        length.copy_from_slice(&(bytes.len() as u64).to_be_bytes());
        stdout.write_all(&head)?;
        stdout.write_all(bytes)?;
        stdout.flush()
    };
    if write_greeting().is_err() {
        return;
    }
    for FilterRequest { program, task } in requests {
        let result = panic::catch_unwind(AssertUnwindSafe(|| match task {
            ChildTask::Compile => run_filter(&mut programs, program, None),
            ChildTask::Run(input) => run_filter(&mut programs, program, Some(input)),
            ChildTask::EraseTypes => match script::erase_types(&program) {
                Ok(code) => (ChildStatus::Done, code.into_bytes()),
                Err(problems) => {
                    let first = problems.into_iter().next().map(|it| it.message);
                    (ChildStatus::NoProgram, first.unwrap_or_default().into_bytes())
                }
            },
        }));
        let (status, bytes) = result.unwrap_or_else(|_| {
            // A panic of the interpreter is a defect of it; its text is for its developers.
            (ChildStatus::Failed, b"the interpreter cannot run this program".to_vec())
        });
        if write(status, &bytes).is_err() {
            return;
        }
    }
}

/// Returns whether this process holds on to much memory, where the system tells.
fn is_large() -> bool {
    const PAGE: u64 = 4096;
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = sizes.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.is_some_and(|pages| pages * PAGE > MOST_IDLE)
}

fn write_greeting() -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(GREETING)?;
    stdout.flush()
}

fn run_filter(
    programs: &mut Vec<(String, Rc<JqProgram>)>,
    text: String,
    input: Option<Vec<u8>>,
) -> (ChildStatus, Vec<u8>) {
    let known = programs.iter().find(|(known, _)| *known == text);
    let program = match known.map(|(_, program)| Rc::clone(program)) {
        Some(program) => program,
        None => match JqProgram::compile(&text) {
            Ok(program) => {
                let program = Rc::new(program);
                if programs.len() == PROGRAMS {
                    programs.remove(0);
                }
                programs.push((text, Rc::clone(&program)));
                program
            }
            Err(error) => return (ChildStatus::NoProgram, error.to_string().into_bytes()),
        },
    };
    let Some(input) = input else { return (ChildStatus::Done, Vec::new()) };
    match program.run(input, OUTPUT) {
        Ok(result) => (ChildStatus::Done, result),
        Err(RunError::Output(_)) => (ChildStatus::TooLarge, Vec::new()),
        Err(error) => (ChildStatus::Failed, error.to_string().into_bytes()),
    }
}
