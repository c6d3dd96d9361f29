//! `setup`: asks for the credentials of a backend, tries them, and stores them when they work.
//!
//! The values live in a draft until everything has gone well; on any failure the store is as it
//! was. What is stored for another address goes to this one when a person agrees.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::ValueEnum as _;
use dadl_descriptor::model::{
    AuthScheme, CredentialName, CredentialSetup, auth::login::OAuth2Grant,
};
use dadl_text::{
    names::{meant_or, nearest_name},
    text,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    args::{SetupArgs, StoreArg},
    authorize::{self, AuthorizationGrant},
    console::Console,
    doctor,
    exit::ExitReason,
    failure::CliFailure,
    load, pinning,
    process_secrets::SECRETS,
    signals::{ProcessSignal, SignalListener},
    stored_credentials,
};
use crate::{
    app::{App, LoadedBackend},
    call::CallChannel,
    config::{
        BackendSettings, CertificatePin, Settings,
        binding::{BindingError, CredentialRecipient, join_origins},
        credentials::{self, CommitReport, CredentialError, CredentialResolver},
        env_vars::{self, Environment},
        store::{StoreError, StorePlace},
    },
    http::{self, login::ClientIdentity},
};

/// So much of what a descriptor says is shown, of each part.
const LONGEST_WORDS: usize = 1000;

/// Sets a backend up.
pub(super) async fn run(
    args: &SetupArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    if args.list {
        return stored_credentials::list_stored(args.json, environment, console);
    }
    if let (true, Some(backend)) = (args.forget, &args.backend) {
        return stored_credentials::forget_backend(backend, environment, console);
    }
    let settings = load::load_settings(&args.backends, &environment)?;
    load::print_warnings(&settings);
    let backend = choose_backend(args, &settings)?;
    let mut settings = settings.only(&backend.name);
    let draft = CredentialResolver::new(environment.clone()).noting(&SECRETS).draft();
    let mut app = App::build(&settings, &draft)?.at(CallChannel::Terminal);
    if let Some(pin) = ask_for_pin(args, &app, console).await? {
        for backend in &mut settings.backends {
            backend.tls_fingerprint.push(pin);
        }
        app = App::build(&settings, &draft)?.at(CallChannel::Terminal);
    }
    let Some(loaded) = app.backends.first() else {
        return Err(CliFailure::settings("there is no backend"));
    };
    if loaded.credentials().is_empty() && loaded.descriptor.auth == AuthScheme::None {
        writeln!(console.out, "backend \"{}\" needs no credential", backend.name)?;
        return Ok(ExitReason::Ok);
    }
    if let Some(unused) = &loaded.unused {
        writeln!(console.err, "{unused}")?;
    }
    // What cannot be kept need not be asked for.
    let place = choose_place(args, &environment, &draft, &backend, console)?;
    explain_backend(loaded, console)?;
    let origins = loaded.origins();
    let recipient = CredentialRecipient { backend: &backend, origins: &origins };
    ask_all(args, loaded, recipient, &draft, console)?;
    let agreed = authorize_backend(args, loaded, recipient, &draft, console).await?;
    let is_obtained = agreed.is_some();
    // Until now there was nothing to lose. Where a server gives what it gives once, the end waits.
    let mut signals = match is_given_once(&loaded.descriptor.auth) {
        true => Some(SignalListener::listen()?),
        false => None,
    };
    let entered = EnteredCredentials { draft: &draft, recipient, place };
    if let Some(signals) = &mut signals
        && let Some(agreed) = agreed
        && let Some(exit) = exchange_code(agreed, &entered, signals, console).await?
    {
        return Ok(exit);
    }
    let check = async {
        match args.no_check {
            true => Ok(true),
            false => doctor::verify_backend(&settings, &draft, &environment, console).await,
        }
    };
    let checked = try_credentials(check, signals.as_mut()).await?;
    entered.end(checked, is_obtained, console)
}

/// Lets a person pin a certificate that nothing vouches for, and says what has to be written down then.
async fn ask_for_pin(
    args: &SetupArgs,
    app: &App,
    console: &mut Console,
) -> Result<Option<CertificatePin>, CliFailure> {
    // Without a check nothing is sent.
    let Some(loaded) = app.backends.first().filter(|_| !args.no_check) else { return Ok(None) };
    let pin = pinning::ask_pin(loaded, console).await?;
    if let Some(pin) = pin {
        pinning::tell_pin(&loaded.settings, pin, console)?;
    }
    Ok(pin)
}

/// Gets what the person agreed to; returns how the command ends when a signal came meanwhile.
async fn exchange_code(
    (granted, identity, name): AgreedGrant<'_>,
    entered: &EnteredCredentials<'_>,
    signals: &mut SignalListener,
    console: &mut Console,
) -> Result<Option<ExitReason>, CliFailure> {
    let exchange = granted.refresh_token(&identity);
    match signals.holding(http::LAST_WAIT, exchange).await {
        Ok((token, stopped)) => {
            entered.draft.set(name, token?);
            let end = |signal| entered.interrupted(signal, DraftEnd::Store, console);
            stopped.map(end).transpose()
        }
        Err(signal) => entered.interrupted(signal, DraftEnd::Drop, console).map(Some),
    }
}

/// Returns whether the credentials work, or the signal that came before that was known.
async fn try_credentials(
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

/// Who asks for a refresh token that a person agreed to, and what it is called.
type AgreedGrant<'auth> = (AuthorizationGrant, ClientIdentity, &'auth CredentialName);

/// What becomes of the draft when a person interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DraftEnd {
    /// It has what a server gives once.
    Store,
    Drop,
}

/// What was entered, and where it will be; whether the operator chose that place.
struct EnteredCredentials<'a> {
    draft: &'a CredentialResolver,
    recipient: CredentialRecipient<'a>,
    place: (StorePlace, bool),
}

impl EnteredCredentials<'_> {
    fn store(&self, console: &mut Console) -> Result<(), CliFailure> {
        store_draft(self.draft, self.recipient, self.place, console)
    }

    fn interrupted(
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
    fn end(
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

/// What is said where an end came before the check.
/// Returns whether a server replaces what was entered, or gives what it gives once.
fn is_given_once(auth: &AuthScheme) -> bool {
    matches!(auth, AuthScheme::OAuth2(oauth2) if matches!(oauth2.grant, OAuth2Grant::RefreshToken { .. }))
}

/// Decides where the credentials will be, and finds out whether that works; says whether the
/// operator chose it.
fn choose_place(
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
        let name = crate::config::keyring::NAME;
        writeln!(console.err, "the keyring ({name}) still has them too: it {error}")?;
    }
    report_stored(&done, draft, place, console)
}

const IN_A_FILE: &str = "`--store file` stores the credentials in a file that you alone may read";

/// Returns the backend that the command line names.
fn choose_backend(args: &SetupArgs, settings: &Settings) -> Result<BackendSettings, CliFailure> {
    let names = || settings.backends.iter().map(|backend| backend.name.as_str());
    let found = match (&args.backend, settings.backends.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => {
            let names: Vec<&str> = names().collect();
            return Err(CliFailure::usage(format!(
                "which backend? There are {}",
                names.join(", ")
            )));
        }
        (Some(name), backends) => backends.iter().find(|backend| backend.name == *name),
    };
    found.cloned().ok_or_else(|| {
        let name = args.backend.as_deref().unwrap_or_default();
        let failure = CliFailure::usage(format!("there is no backend \"{name}\""));
        failure.hint(meant_or(nearest_name(name, names()), || {
            format!("there are {}", names().collect::<Vec<_>>().join(", "))
        }))
    })
}

/// Says how to get the credentials, in the words of the descriptor's author.
fn explain_backend(backend: &LoadedBackend, console: &mut Console) -> io::Result<()> {
    let err = &mut console.err;
    writeln!(err, "backend {} at {}", backend.settings.name, backend.place())?;
    // Not every backend logs in at its own host.
    for flow in backend.flows() {
        writeln!(err, "  {flow}")?;
    }
    let Some(setup) = &backend.descriptor.setup else { return Ok(()) };
    let CredentialSetup {
        credential_steps, required_scopes, optional_scopes, docs_url, notes, ..
    } = setup;
    // None of it begins a line, and none looks like a question of this program.
    let words = |text: &str| text::start_of(text, LONGEST_WORDS);
    writeln!(err, "the descriptor says, and nobody has checked:")?;
    for (number, step) in credential_steps.iter().enumerate() {
        writeln!(err, "  {}. {}", number + 1, words(step))?;
    }
    for (what, scopes) in [("required", required_scopes), ("optional", optional_scopes)] {
        if !scopes.is_empty() {
            writeln!(err, "  {what} scopes: {}", words(&scopes.join(", ")))?;
        }
    }
    for (what, text) in [("see", docs_url), ("note", notes)] {
        if let Some(text) = text {
            writeln!(err, "  {what}: {}", words(text))?;
        }
    }
    Ok(())
}

/// Asks for each credential that has to be given.
fn ask_all(
    args: &SetupArgs,
    backend: &LoadedBackend,
    recipient: CredentialRecipient<'_>,
    draft: &CredentialResolver,
    console: &mut Console,
) -> Result<(), CliFailure> {
    let auth = &backend.descriptor.auth;
    let obtained = obtained_credential(auth);
    for name in backend.credentials() {
        if Some(name) == obtained {
            continue;
        }
        let variable = draft.variable_that_is_set(&backend.settings, name);
        let variable = variable.map_err(CliFailure::settings)?;
        let present = match draft.latest(recipient, name) {
            Err(CredentialError::Binding(error)) => {
                if ask_rebinding(args, &error, recipient, console)? {
                    draft.agree(&backend.settings, name).map_err(CliFailure::settings)?;
                    continue;
                }
                None
            }
            found => found.map_err(CliFailure::settings)?,
        };
        match (variable, args.from_env, present) {
            (Some(_), true, Some(present)) => draft.set(name, present.value),
            (Some(variable), ..) => {
                writeln!(console.err, "`{name}` comes from {variable}")?;
            }
            (None, true, Some(_)) => writeln!(console.err, "`{name}` is stored already")?,
            (None, true, None) => {
                let missing = CredentialResolver::missing_hint(&backend.settings, name);
                return Err(CliFailure::settings(missing));
            }
            (None, false, present) => {
                if let Some(value) = ask_value(name, is_file(auth), present.is_some(), console)? {
                    draft.set(name, value);
                }
            }
        }
    }
    Ok(())
}

/// Asks whether a stored credential goes to the address of the backend from now on.
fn ask_rebinding(
    args: &SetupArgs,
    error: &BindingError,
    recipient: CredentialRecipient<'_>,
    console: &mut Console,
) -> Result<bool, CliFailure> {
    let wanted = join_origins(recipient.origins);
    match error {
        BindingError::Elsewhere { name, bound, .. } => {
            writeln!(console.err, "`{name}` is stored, and goes to {bound} only")?;
        }
        BindingError::Unbound { name, .. } => {
            writeln!(console.err, "`{name}` is stored, without an address to which it may go")?;
        }
    }
    if args.yes {
        writeln!(console.err, "it goes to {wanted} from now on")?;
        return Ok(true);
    }
    if !console.can_ask {
        writeln!(console.err, "--yes agrees that it goes to {wanted}; else give another value")?;
        return Ok(false);
    }
    write!(console.err, "send it to {wanted} from now on? [y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Returns the credential that a consent gives.
fn obtained_credential(auth: &AuthScheme) -> Option<&CredentialName> {
    let AuthScheme::OAuth2(oauth2) = auth else { return None };
    match &oauth2.grant {
        OAuth2Grant::RefreshToken { refresh_token, consent: Some(_), .. } => Some(refresh_token),
        _ => None,
    }
}

/// Returns whether the credential is a file that nobody types.
fn is_file(auth: &AuthScheme) -> bool {
    matches!(auth, AuthScheme::OAuth2(oauth2) if matches!(oauth2.grant, OAuth2Grant::JwtBearer { .. }))
}

/// Asks for one value; `None` keeps the one that is stored.
fn ask_value(
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

/// Lets a person agree, where that is how the refresh token comes; returns who asks for it then,
/// and what it is called.
async fn authorize_backend<'auth>(
    args: &SetupArgs,
    backend: &'auth LoadedBackend,
    recipient: CredentialRecipient<'_>,
    draft: &CredentialResolver,
    console: &mut Console,
) -> Result<Option<AgreedGrant<'auth>>, CliFailure> {
    let AuthScheme::OAuth2(oauth2) = &backend.descriptor.auth else { return Ok(None) };
    let OAuth2Grant::RefreshToken {
        client_id,
        client_secret,
        refresh_token,
        consent: Some(consent),
        ..
    } = &oauth2.grant
    else {
        return Ok(None);
    };
    let value = |name: &CredentialName| {
        let found = draft.resolve(recipient, name).map_err(CliFailure::settings)?;
        found.ok_or_else(|| {
            CliFailure::settings(CredentialResolver::missing_hint(&backend.settings, name))
        })
    };
    let secret = client_secret.as_ref().map(value).transpose()?;
    let identity = ClientIdentity { id: value(client_id)?, secret };
    let granted =
        authorize::ask_authorization(oauth2, consent, &identity, backend, args.paste, console)
            .await?;
    Ok(Some((granted, identity, refresh_token)))
}

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
