//! `setup`: asks for the credentials of a backend, tries them, and stores them when they work.
//!
//! The values live in a draft until everything has gone well; on any failure the store is as it
//! was. What is stored for another address goes to this one when a person agrees.

use std::io::{self, BufRead as _, Write as _};

use dadl_descriptor::model::{
    AuthScheme, CredentialName, CredentialSetup, auth::login::OAuth2Grant,
};
use dadl_text::{
    names::{meant_or, nearest_name},
    text,
};

use super::{
    args::SetupArgs,
    authorize::{self, AuthorizationGrant},
    console::Console,
    doctor,
    entered_credentials::{DraftEnd, EnteredCredentials, ask_value, choose_place, try_credentials},
    exit::ExitReason,
    failure::CliFailure,
    load, pinning,
    process_secrets::SECRETS,
    server_login,
    signals::SignalListener,
    stored_credentials,
};
use crate::{
    app::{App, LoadedBackend},
    call::CallChannel,
    config::{
        BackendSettings, CertificatePin, Settings,
        binding::{BindingError, CredentialRecipient, join_origins},
        credentials::{CredentialError, CredentialResolver},
        env_vars::Environment,
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
        server_login::revoke_stored(backend, args, &environment, console).await?;
        return stored_credentials::forget_backend(backend, environment, console);
    }
    let settings = load::load_settings(&args.backends, &environment)?;
    load::print_warnings(&settings);
    let backend = choose_backend(args, &settings)?;
    if let Some(wanted) = server_login::wanted(&backend) {
        return server_login::log_in(args, &backend, wanted, environment, console).await;
    }
    if !args.scope.is_empty() {
        let error =
            format!("--scope is for MCP servers, which backend \"{}\" is not", backend.name);
        return Err(CliFailure::usage(error));
    }
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

/// Who asks for a refresh token that a person agreed to, and what it is called.
type AgreedGrant<'auth> = (AuthorizationGrant, ClientIdentity, &'auth CredentialName);

/// Returns whether a server replaces what was entered, or gives what it gives once.
fn is_given_once(auth: &AuthScheme) -> bool {
    matches!(auth, AuthScheme::OAuth2(oauth2) if matches!(oauth2.grant, OAuth2Grant::RefreshToken { .. }))
}

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
