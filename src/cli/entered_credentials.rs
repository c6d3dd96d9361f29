//! What was entered or given in `setup`, until it is stored or dropped: where it will be, and what
//! becomes of it when a person interrupts.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::ValueEnum as _;
use dadl_descriptor::model::CredentialName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    args::{SetupArgs, StoreArg},
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    signals::{ProcessSignal, SignalListener},
};
use crate::config::{
    BackendSettings,
    binding::CredentialRecipient,
    credentials::{self, CommitReport, CredentialResolver},
    env_vars::{self, Environment},
    keyring,
    store::{StoreError, StorePlace},
};

/// What becomes of the draft when a person interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DraftEnd {
    /// It has what a server gives once.
    Store,
    Drop,
}

/// What was entered, and where it will be; whether the operator chose that place.
pub(super) struct EnteredCredentials<'a> {
    pub(super) draft: &'a CredentialResolver,
    pub(super) recipient: CredentialRecipient<'a>,
    pub(super) place: (StorePlace, bool),
}

impl EnteredCredentials<'_> {
    fn store(&self, console: &mut Console) -> Result<(), CliFailure> {
        store_draft(self.draft, self.recipient, self.place, console)
    }

    pub(super) fn interrupted(
        &self,
        signal: ProcessSignal,
        end: DraftEnd,
        console: &mut Console,
    ) -> Result<ExitReason, CliFailure> {
        let note = match end {
            DraftEnd::Store => {
                self.store(console)?;
                "interrupted; what the server gave was stored without a check"
            }
            DraftEnd::Drop => "interrupted; nothing was stored",
        };
        // The terminal may be gone.
        let _ = console.print_note(note);
        Ok(signal.exit())
    }

    /// Stores what works, and what a server gives once.
    pub(super) fn end(
        &self,
        checked: Result<bool, ProcessSignal>,
        is_obtained: bool,
        console: &mut Console,
    ) -> Result<ExitReason, CliFailure> {
        match checked {
            Ok(true) => {
                self.store(console)?;
                Ok(ExitReason::Ok)
            }
            // The login worked, and what was entered is of no use any more.
            Ok(false) if self.draft.has_replaced() => {
                self.store(console)?;
                let error = "the login works, but the check does not; as the server has replaced \
                             the refresh token, the credentials were stored";
                Err(anyhow::anyhow!(error).into())
            }
            Ok(false) => {
                let error = anyhow::anyhow!("the credentials do not work; nothing was stored");
                Err(CliFailure::from(error)
                    .hint("`dadl-mcp setup --no-check` stores credentials without trying them"))
            }
            Err(signal) => {
                let is_given = is_obtained || self.draft.has_replaced();
                let end = if is_given { DraftEnd::Store } else { DraftEnd::Drop };
                self.interrupted(signal, end, console)
            }
        }
    }
}

/// Returns whether the credentials work, or the signal that came before that was known.
pub(super) async fn try_credentials(
    check: impl Future<Output = io::Result<bool>>,
    signals: Option<&mut SignalListener>,
) -> Result<Result<bool, ProcessSignal>, CliFailure> {
    let checked = tokio::select! {
        // Who was interrupted is not told of what came of that.
        biased;
        signal = async {
            match signals {
                Some(signals) => signals.next().await,
                None => std::future::pending().await,
            }
        } => Err(signal),
        checked = check => Ok(checked?),
    };
    if !matches!(checked, Ok(true)) {
        // A login may go on after the check that needed it.
        super::settle_defaults().await;
    }
    Ok(checked)
}

/// Decides where the credentials will be, and finds out whether that works; says whether the
/// operator chose it.
pub(super) fn choose_place(
    args: &SetupArgs,
    environment: &Environment,
    draft: &CredentialResolver,
    backend: &BackendSettings,
    console: &mut Console,
) -> Result<(StorePlace, bool), CliFailure> {
    let wanted = match (args.store, environment.get(env_vars::STORE)) {
        (Some(wanted), _) => wanted,
        (None, Some(word)) => StoreArg::from_str(word, false).map_err(|_| {
            let name = env_vars::STORE;
            CliFailure::usage(format!("{name}: `{word}` is none of `auto`, `file` and `keyring`"))
        })?,
        (None, None) => StoreArg::default(),
    };
    let store = draft.store().map_err(CliFailure::settings)?;
    // The keyring's note is there too.
    store.check_writable().map_err(CliFailure::settings)?;
    let now = store.place(&backend.name).map_err(CliFailure::settings)?;
    let unusable = |error: StoreError| CliFailure::settings(error).hint(IN_A_FILE);
    let place = match (wanted, now) {
        (StoreArg::File, _) | (StoreArg::Auto, Some(StorePlace::File)) => StorePlace::File,
        (StoreArg::Keyring, _) | (StoreArg::Auto, Some(StorePlace::Keyring)) => {
            store.check_keyring().map_err(unusable)?;
            StorePlace::Keyring
        }
        (StoreArg::Auto, None) => match store.check_keyring() {
            Ok(()) => StorePlace::Keyring,
            Err(error) => {
                let file = store.name(StorePlace::File);
                writeln!(console.err, "credentials will be stored in {file}: {error}")?;
                StorePlace::File
            }
        },
    };
    if let Some(lost) = draft.give_up_lost(backend).map_err(CliFailure::settings)? {
        writeln!(console.err, "what was stored cannot be kept: {lost}")?;
    }
    Ok((place, wanted != StoreArg::Auto))
}

/// Stores what was entered, and says what is where now. Where the operator leaves the choice, it
/// goes to the file when the keyring has no room for it after all.
fn store_draft(
    draft: &CredentialResolver,
    recipient: CredentialRecipient<'_>,
    (place, is_chosen): (StorePlace, bool),
    console: &mut Console,
) -> Result<(), CliFailure> {
    let mut place = place;
    let mut done = draft.commit(recipient, place);
    if let (Err(error), StorePlace::Keyring, false) = (&done, place, is_chosen) {
        writeln!(console.err, "the credentials go to the file: {error}")?;
        place = StorePlace::File;
        done = draft.commit(recipient, place);
    }
    let done = done.map_err(|error| match place {
        StorePlace::File => CliFailure::settings(error),
        StorePlace::Keyring => CliFailure::settings(error).hint(IN_A_FILE),
    })?;
    if let Some(error) = &done.left {
        let name = keyring::NAME;
        writeln!(console.err, "the keyring ({name}) still has them too: it {error}")?;
    }
    report_stored(&done, draft, place, console)
}

const IN_A_FILE: &str = "`--store file` stores the credentials in a file that you alone may read";

/// Says what is where now.
fn report_stored(
    done: &CommitReport,
    stored: &CredentialResolver,
    place: StorePlace,
    console: &mut Console,
) -> Result<(), CliFailure> {
    let name = stored.store().map_err(CliFailure::settings)?.name(place);
    if done.names.is_empty() {
        if done.has_moved {
            writeln!(console.out, "moved the stored credentials to {name}")?;
        } else {
            writeln!(console.out, "nothing had to be stored")?;
        }
        return Ok(());
    }
    let names: Vec<String> = done.names.iter().map(|name| format!("`{name}`")).collect();
    writeln!(console.out, "stored {} in {name}", names.join(", "))?;
    if place == StorePlace::Keyring {
        let note = "a server that runs outside of your session does not reach it: `--store file`";
        writeln!(console.err, "{note}")?;
    }
    Ok(())
}

/// Asks for one value; `None` keeps the one that is stored.
pub(super) fn ask_value(
    name: &CredentialName,
    is_file: bool,
    is_stored: bool,
    console: &mut Console,
) -> Result<Option<SecretString>, CliFailure> {
    let kind = if is_file { " (the path of its JSON file)" } else { "" };
    let keep = if is_stored { " (empty: keep the stored one)" } else { "" };
    let stdin_is_terminal = io::stdin().is_terminal();
    if stdin_is_terminal && !console.can_ask {
        // The question would not be seen, and the answer would.
        return Err(CliFailure::usage(
            "standard error must be a terminal when standard input is one",
        ));
    }
    let line = if console.can_ask {
        write!(console.err, "{name}{kind}{keep}: ")?;
        console.err.flush()?;
        let line = if is_file {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            line
        } else {
            console::Term::stderr().read_secure_line()?
        };
        SecretString::from(line)
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        SecretString::from(line)
    };
    let text = line.expose_secret().trim_end_matches(['\r', '\n']);
    match (text.is_empty(), is_stored) {
        (true, true) => return Ok(None),
        (true, false) => {
            let error = format!("no value for `{name}`; nothing was stored");
            return Err(CliFailure::usage(error)
                .hint("give one value a line on standard input, or use --from-env"));
        }
        (false, _) => {}
    }
    if is_file && !text.trim_start().starts_with('{') {
        let path = std::path::Path::new(text.trim());
        let value = credentials::read_secret(path).map_err(|reason| {
            CliFailure::usage(format!("`{name}`: {} {reason}", path.display()))
        })?;
        return Ok(Some(value));
    }
    Ok(Some(text.into()))
}
