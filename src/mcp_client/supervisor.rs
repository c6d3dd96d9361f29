//! `dadl-mcp mcp-child`: runs a server, and ends it with all that it started when we are gone.
//!
//! ```text
//! we ──standard input and output──▶ the server, in a process group of its own
//! we ◀──life line── the supervisor ◀──standard error── the server
//! ```
//!
//! The life line is a socket, which the supervisor has as its standard error: what the server says on its
//! own standard error goes through it to us, single bytes come back and say how the server is ended, and
//! when it is closed, because we ended, by whatever signal, the server is ended. The supervisor holds no
//! end of the pipes to the server: whoever closes them closes them for the server.
//!
//! On Linux whatever the server started is ended too, in whatever session and group it is; elsewhere the
//! process group is. Other systems than Unix have no supervisor: a server ends there when its input does.

use std::{ffi::OsString, process::ExitCode};

/// What the subcommand is called; it is none of those that people use.
pub(super) const SUBCOMMAND: &str = "mcp-child";

/// Asks the server to end (SIGTERM).
#[cfg(unix)]
pub(super) const ASK_TO_END: u8 = b'T';

/// Ends the server (SIGKILL).
#[cfg(unix)]
pub(super) const END_NOW: u8 = b'K';

/// Returns the server and its arguments, when these arguments of a process, its name first, are about one.
pub(crate) fn child_of(arguments: &[OsString]) -> Option<(&OsString, &[OsString])> {
    match arguments {
        [_, subcommand, program, arguments @ ..] if *subcommand == *SUBCOMMAND => {
            Some((program, arguments))
        }
        _ => None,
    }
}

/// Runs a server until it ends, and returns its exit code; a signal counts from 128 on.
#[cfg(unix)]
pub(crate) fn supervise(program: &OsString, arguments: &[OsString]) -> ExitCode {
    match on_unix::run(program, arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            use std::io::Write as _;
            // Standard error is the life line: we log it as we do with what a server says.
            let _ = writeln!(std::io::stderr(), "{}: {error}", program.display());
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            ExitCode::from(if is_missing { 127 } else { 126 })
        }
    }
}

/// Nothing is started by it here.
#[cfg(not(unix))]
pub(crate) fn supervise(_: &OsString, _: &[OsString]) -> ExitCode {
    ExitCode::FAILURE
}

#[cfg(unix)]
mod on_unix {
    use std::{
        ffi::OsString,
        fs::File,
        io::{self, Read as _},
        os::{
            fd::AsFd as _,
            unix::{net::UnixStream, process::CommandExt as _},
        },
        process::{Child, Command, Stdio},
        sync::{Arc, Mutex, PoisonError, mpsc},
        thread,
        time::Duration,
    };

    use rustix::process::{self, Pid, Signal};

    use super::{ASK_TO_END, END_NOW};

    /// How long a server may take to end by itself when we are gone.
    const ALONE: Duration = Duration::from_millis(500);

    /// How long the last words of a server may take.
    const LAST_WORDS: Duration = Duration::from_secs(1);

    /// A server that runs. Its number means nobody else for as long as it was not waited for.
    struct RunningServer {
        pid: Pid,
        is_reaped: Mutex<bool>,
    }

    impl RunningServer {
        /// Sends a signal to the server and to its group.
        fn signal(&self, signal: Signal) {
            let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
            if !*is_reaped {
                // Both may be gone, which is what is wanted.
                let _ = process::kill_process_group(self.pid, signal);
                let _ = process::kill_process(self.pid, signal);
            }
        }

        /// Waits for the end of the server, ends the rest of its group, and returns its exit code.
        fn wait(&self, mut child: Child) -> io::Result<u8> {
            // Its number stays its own until it is waited for in the second step, so no other
            // process can be meant by the signal.
            #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "cygwin")))]
            loop {
                let how = process::WaitIdOptions::EXITED | process::WaitIdOptions::NOWAIT;
                match process::waitid(process::WaitId::Pid(self.pid), how) {
                    Err(rustix::io::Errno::INTR) => {}
                    _ => break,
                }
            }
            let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = process::kill_process_group(self.pid, Signal::KILL);
            let status = child.wait()?;
            *is_reaped = true;
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            let code = status.code().or_else(|| signal.map(|signal| 128 + signal));
            Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
        }
    }

    pub(super) fn run(program: &OsString, arguments: &[OsString]) -> io::Result<u8> {
        let life_line = UnixStream::from(io::stderr().as_fd().try_clone_to_owned()?);
        let (mut errors, errors_of_server) = io::pipe()?;
        #[cfg(target_os = "linux")]
        process::set_child_subreaper(Some(process::getpid()))?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stderr(Stdio::from(errors_of_server));
        let child = command.spawn()?;
        // With it goes our end of the pipe.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the server has no number"))?;
        let server = Arc::new(RunningServer { pid, is_reaped: Mutex::new(false) });
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        rustix::stdio::dup2_stdout(&nothing)?;
        let mut words = life_line.try_clone()?;
        let (said, all_said) = mpsc::channel();
        thread::spawn(move || {
            let _ = io::copy(&mut errors, &mut words);
            let _ = said.send(());
        });
        let watched = Arc::clone(&server);
        thread::spawn(move || obey(life_line, &watched));
        let code = server.wait(child)?;
        end_descendants();
        // What holds the pipe after all, where there is no way to find it, is not waited for.
        let _ = all_said.recv_timeout(LAST_WORDS);
        Ok(code)
    }

    /// Does what the bytes of the life line say, until it is closed.
    fn obey(mut life_line: UnixStream, server: &RunningServer) {
        let mut order = [0];
        while matches!(life_line.read(&mut order), Ok(1)) {
            match order {
                [ASK_TO_END] => server.signal(Signal::TERM),
                [END_NOW] => server.signal(Signal::KILL),
                _ => {}
            }
        }
        thread::sleep(ALONE);
        server.signal(Signal::KILL);
    }

    /// Ends what the server has left behind: it belongs to this process since its parents are gone.
    #[cfg(target_os = "linux")]
    fn end_descendants() {
        let own = process::getpid().as_raw_pid();
        let path = format!("/proc/{own}/task/{own}/children");
        loop {
            // Each one that ends leaves its own children to this process.
            let children = std::fs::read_to_string(&path).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
            let children: Vec<Pid> = children.filter_map(Pid::from_raw).collect();
            for pid in &children {
                let _ = process::kill_process(*pid, Signal::KILL);
            }
            // Without a list nobody is waited for who was not ended.
            let how = if children.is_empty() {
                process::WaitOptions::NOHANG
            } else {
                process::WaitOptions::empty()
            };
            match process::wait(how) {
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Nothing says here what they are.
    #[cfg(not(target_os = "linux"))]
    fn end_descendants() {}
}
