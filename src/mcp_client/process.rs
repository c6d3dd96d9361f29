//! Starts a server as a process, and ends it.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use super::{
    environment, error::ServerFault, process_end::ProcessEnd, program, settings::ProcessSettings,
};

/// What a server writes on its standard error.
#[cfg(unix)]
pub(super) type ErrorStream = tokio::net::unix::OwnedReadHalf;

/// What a server writes on its standard error.
#[cfg(not(unix))]
pub(super) type ErrorStream = tokio::process::ChildStderr;

/// A server that was just started.
pub(super) struct StartedServer {
    /// What it reads.
    pub input: ChildStdin,
    /// What it writes.
    pub output: ChildStdout,
    /// What it says besides.
    pub errors: ErrorStream,
    /// The process.
    pub process: ServerProcess,
}

/// The process of a server, which ends soon after this was dropped.
pub(super) struct ServerProcess {
    ended: watch::Receiver<Option<ProcessEnd>>,
    /// Its other end belongs to the supervisor.
    #[cfg(unix)]
    life_line: tokio::net::unix::OwnedWriteHalf,
    /// Kills the process, also when it is dropped.
    #[cfg(not(unix))]
    kill: Option<tokio::sync::oneshot::Sender<()>>,
}

/// Starts a server.
pub(super) fn start(settings: &ProcessSettings) -> Result<StartedServer, ServerFault> {
    let variables = environment::variables(settings);
    let path = variables.get("PATH").copied();
    let found = program::find(&settings.command, path, variables.get("PATHEXT").copied());
    let program = found.ok_or_else(|| ServerFault::NotFound {
        command: settings.command.clone(),
        path: path.unwrap_or_default().to_owned(),
    })?;
    let home = variables.get("HOME").or_else(|| variables.get("USERPROFILE"));
    let directory = settings.directory.clone().or_else(|| home.map(PathBuf::from));
    if let Some(directory) = settings.directory.as_ref().filter(|it| !it.is_dir()) {
        return Err(ServerFault::NoDirectory(directory.clone()));
    }
    let failed = |error: io::Error| ServerFault::Start(error.to_string());
    let mut started = command(settings, program).map_err(failed)?;
    started.env_clear().envs(&variables).stdin(Stdio::piped()).stdout(Stdio::piped());
    // A home that is not there is none of the server's business before it asks for it.
    if let Some(directory) = directory.filter(|it| it.is_dir()) {
        started.current_dir(directory);
    }
    spawn(started).map_err(failed)
}

#[cfg(unix)]
fn command(settings: &ProcessSettings, program: PathBuf) -> io::Result<Command> {
    let own = match &settings.supervisor {
        Some(own) => own.clone(),
        // The file that runs, even after another version has taken its place.
        None if cfg!(target_os = "linux") => PathBuf::from("/proc/self/exe"),
        None => std::env::current_exe()?,
    };
    let mut command = Command::new(own);
    // Ctrl-C at a terminal is for us: we end the server in order.
    command
        .arg(super::supervisor::SUBCOMMAND)
        .arg(program)
        .args(&settings.arguments)
        .process_group(0);
    Ok(command)
}

#[cfg(not(unix))]
fn command(settings: &ProcessSettings, program: PathBuf) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(&settings.arguments);
    Ok(command)
}

#[cfg(unix)]
fn spawn(mut command: Command) -> io::Result<StartedServer> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    command.stderr(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    let mut child = command.spawn()?;
    // With it goes our copy of their end.
    drop(command);
    let (input, output) = pipes(&mut child)?;
    ours.set_nonblocking(true)?;
    let (errors, life_line) = tokio::net::UnixStream::from_std(ours)?.into_split();
    let (sender, ended) = watch::channel(None);
    crate::spawn::task(async move {
        let status = child.wait().await;
        sender.send_replace(Some(ProcessEnd { code: status.ok().and_then(|it| it.code()) }));
    });
    Ok(StartedServer { input, output, errors, process: ServerProcess { ended, life_line } })
}

#[cfg(not(unix))]
fn spawn(mut command: Command) -> io::Result<StartedServer> {
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (input, output) = pipes(&mut child)?;
    let errors = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (sender, ended) = watch::channel(None);
    let (kill, mut killed) = tokio::sync::oneshot::channel();
    crate::spawn::task(async move {
        let status = tokio::select! {
            status = child.wait() => status,
            _ = &mut killed => {
                let _ = child.start_kill();
                child.wait().await
            }
        };
        sender.send_replace(Some(ProcessEnd { code: status.ok().and_then(|it| it.code()) }));
    });
    Ok(StartedServer { input, output, errors, process: ServerProcess { ended, kill: Some(kill) } })
}

fn pipes(child: &mut Child) -> io::Result<(ChildStdin, ChildStdout)> {
    let gone = || io::Error::other("the process has no pipes");
    Ok((child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?))
}

impl ServerProcess {
    /// Returns what tells how the process ended.
    pub(super) fn watch_end(&self) -> watch::Receiver<Option<ProcessEnd>> {
        self.ended.clone()
    }

    /// Waits until the process has ended, for so long.
    async fn ended_within(&mut self, time: Duration) -> bool {
        matches!(timeout(time, self.ended.wait_for(Option::is_some)).await, Ok(Ok(_)))
    }

    /// Waits for the end of a server whose input was closed, then asks it to end, then ends it: each step
    /// takes as long as `patience`.
    #[cfg(unix)]
    pub(super) async fn end(mut self, patience: Duration) {
        use tokio::io::AsyncWriteExt as _;
        for order in [super::supervisor::ASK_TO_END, super::supervisor::END_NOW] {
            if self.ended_within(patience).await {
                return;
            }
            // A supervisor that is gone is told nothing.
            let _ = self.life_line.write_all(&[order]).await;
        }
        self.ended_within(patience).await;
    }

    /// Waits for the end of a server whose input was closed, then ends it.
    #[cfg(not(unix))]
    pub(super) async fn end(mut self, patience: Duration) {
        if self.ended_within(patience).await {
            return;
        }
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        self.ended_within(patience).await;
    }
}
