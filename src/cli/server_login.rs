//! `setup` of an MCP server that says itself who gives access to it: finds that out, shows it to a person,
//! logs in, tries what came of it, and stores it.
//!
//! Nothing is registered, opened or asked for before a person has agreed to the place where it happens.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use dadl_descriptor::model::CredentialName;
use dadl_text::text::start_of;
use secrecy::SecretString;
use url::Url;

use super::{
    args::SetupArgs,
    authorize::{self, AgreedCode, ConsentQuestion, ExpectedIssuer, RedirectPlace},
    console::Console,
    entered_credentials::{DraftEnd, EnteredCredentials, ask_value, choose_place, try_credentials},
    exit::ExitReason,
    failure::CliFailure,
    pinning,
    process_secrets::SECRETS,
    signals::SignalListener,
};
use crate::{
    config::{
        AddressKey, BackendSettings, Origin,
        binding::CredentialRecipient,
        credentials::{CredentialResolver, CredentialValue},
        env_vars::Environment,
        server_authorization::{McpAuthorization, McpFlow, is_scope},
        server_login::{
            ClientAuthKind, ClientRegistration, EndpointUrl, LoginGift, LoginNames, ServerLogin,
            shown_url,
        },
        servers::ServerConnection,
        store::AccessToken,
    },
    http::{
        self,
        login::{ClientIdentity, TokenEndpoint, TokenResponse},
        mcp_authorization::{
            AuthorizationError, AuthorizedServer, Discovery, IssuerMetadata, ServerSite,
            client_auth, discover, register_client, scopes_in,
        },
    },
};

/// So much of what a server says is shown, of each part.
const LONGEST_WORDS: usize = 300;

/// The right to get a refresh token, where an authorization server has it as one (OpenID Connect).
const OFFLINE: &str = "offline_access";

/// So many certificates of others a person is asked about before the login.
const MOST_PINS: usize = 4;

/// A registered secret that ends sooner is of no use.
const SECRET_MARGIN: u64 = 60 * 60;

/// Returns how the server of `backend` lets this program in, where that is for `setup` to find out.
pub(super) fn wanted(backend: &BackendSettings) -> Option<McpAuthorization> {
    match &backend.server.as_ref()?.connection {
        ServerConnection::Http(settings) => settings.authorization.as_deref().cloned(),
        ServerConnection::Stdio(_) => None,
    }
}

/// One run of `setup` for a server.
struct ServerSetup<'a> {
    args: &'a SetupArgs,
    backend: &'a BackendSettings,
    wanted: McpAuthorization,
    url: Url,
    names: LoginNames,
    draft: CredentialResolver,
    site: ServerSite,
    found: Discovery,
    /// What was stored for the same authorization server.
    kept: Option<ServerLogin>,
    scopes: Vec<String>,
}

/// As whom this program logs in.
struct SetupClient {
    identity: ClientIdentity,
    /// The credential that holds its secret.
    secret: Option<CredentialName>,
    auth: ClientAuthKind,
    registration: Option<ClientRegistration>,
}

/// Logs in at the server of `backend`.
pub(super) async fn log_in(
    args: &SetupArgs,
    backend: &BackendSettings,
    wanted: McpAuthorization,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let url = backend.url.as_deref().and_then(|url| Url::parse(url).ok());
    let url = url.ok_or_else(|| CliFailure::settings("the backend has no `url`"))?;
    if let Some(wrong) = args.scope.iter().find(|scope| !is_scope(scope)) {
        let wrong = start_of(wrong, LONGEST_WORDS);
        return Err(CliFailure::usage(format!("--scope: `{wrong}` is no scope")));
    }
    let draft = CredentialResolver::new(environment.clone()).noting(&SECRETS).draft();
    let (pinned, mut site) = pinned_site(backend, &url, &draft, console).await?;
    let backend = &pinned;
    let found = discover_pinning(&mut site, &wanted, console).await?;
    let Some(found) = found else {
        writeln!(console.out, "the MCP server \"{}\" asks for no login", backend.name)?;
        return Ok(ExitReason::Ok);
    };
    let place = choose_place(args, &environment, &draft, backend, console)?;
    let kept = kept_login(&draft, backend, &url, &found, console)?;
    let scopes = chosen_scopes(args, &wanted, &found, kept.as_ref());
    let names = LoginNames::of(&backend.name);
    let mut setup =
        ServerSetup { args, backend, wanted, url, names, draft, site, found, kept, scopes };
    setup.explain(console)?;
    setup.check_addresses().await?;
    if !setup.confirm(console)? {
        writeln!(console.err, "nothing was asked for, and nothing was stored")?;
        return Ok(ExitReason::Failed);
    }
    setup.pin_endpoints(console).await?;
    let origins = setup.origins();
    let recipient = CredentialRecipient { backend, origins: &origins };
    let entered = EnteredCredentials { draft: &setup.draft, recipient, place };
    let mut signals = None;
    let is_obtained = setup.wanted.flow == McpFlow::AuthorizationCode;
    if is_obtained {
        let (client, agreed) = setup.ask_person(recipient, console).await?;
        let mut listener = SignalListener::listen()?;
        let exchange = setup.exchange(client, agreed);
        match listener.holding(http::LAST_WAIT, exchange).await {
            Ok((done, stopped)) => {
                let unasked = done?;
                if !unasked.is_empty() {
                    let unasked = unasked.join(", ");
                    writeln!(console.err, "granted although nobody asked for it: {unasked}")?;
                }
                if let Some(signal) = stopped {
                    return entered.interrupted(signal, DraftEnd::Store, console);
                }
            }
            Err(signal) => return entered.interrupted(signal, DraftEnd::Drop, console),
        }
        signals = Some(listener);
    } else {
        setup.use_own_credentials(recipient, console)?;
    }
    let check = async {
        match args.no_check {
            true => Ok(true),
            false => setup.check(console).await,
        }
    };
    let checked = try_credentials(check, signals.as_mut()).await?;
    entered.end(checked, is_obtained, console)
}

/// Returns the server with the certificates that a person has seen: nothing is sent before that.
async fn pinned_site(
    backend: &BackendSettings,
    url: &Url,
    draft: &CredentialResolver,
    console: &mut Console,
) -> Result<(BackendSettings, ServerSite), CliFailure> {
    let site = ServerSite::new(backend, url).map_err(refused)?;
    let pin = pinning::ask_pin_at(backend, site.base(), &site.guard(), console).await?;
    let mut pinned = backend.clone();
    if let Some(pin) = pin {
        pinning::tell_pin(backend, pin, console)?;
        pinned.tls_fingerprint.push(pin);
    }
    // What was agreed to before counts.
    if let Ok(Some(kept)) = ServerLogin::load(draft, backend, url) {
        pinned.login_pins = kept.pins;
    }
    let site = ServerSite::new(&pinned, url).map_err(refused)?;
    Ok((pinned, site))
}

/// Finds out who gives access; a certificate of theirs that nothing vouches for is shown to a person first.
async fn discover_pinning(
    site: &mut ServerSite,
    wanted: &McpAuthorization,
    console: &mut Console,
) -> Result<Option<Discovery>, CliFailure> {
    for _ in 0..MOST_PINS {
        match discover(site, wanted).await {
            Err(AuthorizationError::Certificate { url, refused: why })
                if url.origin() != site.url().origin() =>
            {
                let guard = site.guard();
                let asked = pinning::ask_login_pin(site.settings(), &url, &guard, console).await?;
                let again = AuthorizationError::Certificate { url: url.clone(), refused: why };
                site.accept(&url, asked.ok_or_else(|| refused(again))?);
            }
            found => return found.map_err(refused),
        }
    }
    Err(CliFailure::settings("too many certificates are not trusted; nothing was asked for"))
}

/// Returns what is stored, if it is of the same authorization server; what cannot be used is told.
fn kept_login(
    draft: &CredentialResolver,
    backend: &BackendSettings,
    url: &Url,
    found: &Discovery,
    console: &mut Console,
) -> io::Result<Option<ServerLogin>> {
    match ServerLogin::load(draft, backend, url) {
        Ok(Some(kept)) if kept.issuer == found.issuer.issuer => Ok(Some(kept)),
        Ok(Some(kept)) => {
            let before = start_of(&kept.issuer, LONGEST_WORDS);
            writeln!(
                console.err,
                "until now {before} gave access to this server; now it names another"
            )?;
            Ok(None)
        }
        Ok(None) => Ok(None),
        Err(error) => {
            writeln!(console.err, "what is stored is not used: {error}")?;
            Ok(None)
        }
    }
}

/// Returns the rights to ask for: those of the operator, else what the server wants, with what was granted
/// before; and what the command line has.
fn chosen_scopes(
    args: &SetupArgs,
    wanted: &McpAuthorization,
    found: &Discovery,
    kept: Option<&ServerLogin>,
) -> Vec<String> {
    let mut scopes = match &wanted.scopes {
        Some(scopes) => scopes.clone(),
        None => {
            let mut scopes = found.scopes.clone().unwrap_or_default();
            scopes.extend(kept.into_iter().flat_map(|kept| kept.scopes.iter().cloned()));
            let gives_refresh = found.issuer.scopes.iter().any(|scope| scope == OFFLINE);
            if gives_refresh && wanted.flow == McpFlow::AuthorizationCode {
                scopes.push(OFFLINE.to_owned());
            }
            scopes
        }
    };
    scopes.extend(args.scope.iter().cloned());
    let mut seen = BTreeSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes
}

impl ServerSetup<'_> {
    /// Says who gives access to what, as far as strangers say.
    fn explain(&self, console: &mut Console) -> io::Result<()> {
        let err = &mut console.err;
        let words = |text: &str| start_of(text, LONGEST_WORDS);
        let issuer = &self.found.issuer;
        writeln!(err, "MCP server {} at {}", self.backend.name, shown_url(&self.url))?;
        if self.found.is_old {
            writeln!(
                err,
                "it does not say who gives access to it: the login is at the server itself"
            )?;
        } else {
            writeln!(err, "the servers say, and nobody has checked:")?;
        }
        writeln!(err, "  access to {}", words(&self.found.resource))?;
        writeln!(err, "  is given by {}", words(&issuer.issuer))?;
        if let (Some(place), McpFlow::AuthorizationCode) =
            (&issuer.authorization_endpoint, self.wanted.flow)
        {
            writeln!(err, "  you agree at {}", words(&shown_url(place)))?;
        }
        writeln!(err, "  tokens come from {}", words(&shown_url(&issuer.token_endpoint)))?;
        let is_elsewhere = |place: &Url| place.origin() != issuer.token_endpoint.origin();
        if issuer.authorization_endpoint.as_ref().is_some_and(is_elsewhere) {
            // Who leads to a login of somebody else could get what that gives.
            writeln!(
                err,
                "  which is another place: do both belong to {}?",
                words(&issuer.issuer)
            )?;
        }
        let before = self.kept.as_ref().map(|kept| kept.scopes.as_slice());
        let scopes = self.scopes.iter().map(|scope| {
            let is_new = before.is_some_and(|before| !before.contains(scope));
            if is_new { format!("`{scope}` (new)") } else { format!("`{scope}`") }
        });
        let scopes: Vec<String> = scopes.collect();
        if scopes.is_empty() {
            writeln!(err, "  rights: those that it gives to everybody")
        } else {
            writeln!(err, "  rights: {}", scopes.join(", "))
        }
    }

    /// Finds out that neither the browser nor this program is sent into the operator's network unasked.
    async fn check_addresses(&self) -> Result<(), CliFailure> {
        let guard = self.site.guard();
        let IssuerMetadata { authorization_endpoint, token_endpoint, .. } = &self.found.issuer;
        let endpoints = authorization_endpoint.iter().chain([token_endpoint]);
        for endpoint in endpoints.chain(&self.found.issuer.revocation_endpoint) {
            let checked = guard.check(AddressKey::AuthorizationServer, endpoint).await;
            checked.map_err(CliFailure::settings)?;
        }
        Ok(())
    }

    fn confirm(&self, console: &mut Console) -> Result<bool, CliFailure> {
        if self.args.yes {
            return Ok(true);
        }
        if !console.can_ask {
            let error = "nobody can be asked whether to log in there";
            return Err(CliFailure::usage(error).hint("--yes agrees to it"));
        }
        write!(console.err, "log in there? [y/N] ")?;
        console.err.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Lets a person pin the certificates of the endpoints that nothing vouches for, before something is
    /// sent there.
    async fn pin_endpoints(&mut self, console: &mut Console) -> Result<(), CliFailure> {
        let IssuerMetadata { registration_endpoint, token_endpoint, revocation_endpoint, .. } =
            &self.found.issuer;
        let others = registration_endpoint.iter().chain(revocation_endpoint);
        let endpoints: Vec<Url> = others.chain([token_endpoint]).cloned().collect();
        for endpoint in endpoints {
            let is_known =
                self.site.settings().login_pins.iter().any(|it| it.at(&endpoint).is_some());
            if is_known || endpoint.origin() == self.url.origin() {
                continue;
            }
            let (settings, guard) = (self.site.settings(), self.site.guard());
            let pin = pinning::ask_login_pin(settings, &endpoint, &guard, console).await?;
            if let Some(pin) = pin {
                self.site.accept(&endpoint, pin);
            }
        }
        Ok(())
    }

    /// Returns where the login goes, or what it gives.
    fn origins(&self) -> BTreeSet<Origin> {
        let issuer = &self.found.issuer;
        let urls =
            [&self.url, &issuer.token_endpoint].into_iter().chain(&issuer.revocation_endpoint);
        urls.filter_map(Origin::of).collect()
    }

    /// Lets a person agree in a browser.
    async fn ask_person(
        &self,
        recipient: CredentialRecipient<'_>,
        console: &mut Console,
    ) -> Result<(SetupClient, AgreedCode), CliFailure> {
        let issuer = &self.found.issuer;
        let Some(authorize_url) = &issuer.authorization_endpoint else {
            let error = format!("{} has no place where a person agrees", issuer.issuer);
            return Err(anyhow::anyhow!(error).into());
        };
        let (client, place) = self.client(recipient, console).await?;
        let mut parameters = vec![("resource".to_owned(), self.found.resource.clone())];
        if self.scopes.iter().any(|scope| scope == OFFLINE) {
            // Without it the right is not granted (OpenID Connect Core, section 11).
            parameters.push(("prompt".to_owned(), "consent".to_owned()));
        }
        let question = ConsentQuestion {
            authorize_url,
            client_id: &client.identity.id,
            scopes: &self.scopes,
            parameters: &parameters,
            issuer: Some(ExpectedIssuer {
                issuer: issuer.issuer.clone(),
                is_always_said: issuer.says_issuer,
            }),
        };
        let agreed = authorize::ask_code(question, place, console).await?;
        Ok((client, agreed))
    }

    /// Returns as whom to log in, and where the browser comes back to: what the operator says, else what was
    /// registered before, else a new registration.
    async fn client(
        &self,
        recipient: CredentialRecipient<'_>,
        console: &mut Console,
    ) -> Result<(SetupClient, RedirectPlace), CliFailure> {
        let paste = self.args.paste;
        if let Some(client) = self.own_client(recipient, console)? {
            let place = RedirectPlace::open(self.wanted.redirect_uri.as_ref(), paste).await?;
            return Ok((client, place));
        }
        if let Some(client) = self.registered_client()
            && let Some(registration) = &client.registration
            // Somebody else may have its port now.
            && let Ok(place) = RedirectPlace::open(Some(&registration.redirect_uri.0), paste).await
        {
            return Ok((client, place));
        }
        let place = RedirectPlace::open(self.wanted.redirect_uri.as_ref(), paste).await?;
        let registered = register_client(&self.site, &self.found.issuer, place.url()).await;
        let registered = registered.map_err(refused)?;
        let redirect_uri = EndpointUrl(place.url().clone());
        let client = SetupClient {
            secret: registered.secret.as_ref().map(|_| self.names.client_secret.clone()),
            identity: ClientIdentity { id: registered.id, secret: registered.secret },
            auth: registered.auth,
            registration: Some(ClientRegistration {
                redirect_uri,
                secret_ends: registered.secret_ends,
            }),
        };
        Ok((client, place))
    }

    /// Returns the client of the settings.
    fn own_client(
        &self,
        recipient: CredentialRecipient<'_>,
        console: &mut Console,
    ) -> Result<Option<SetupClient>, CliFailure> {
        let Some(id) = &self.wanted.client_id else { return Ok(None) };
        let issuer = &self.found.issuer;
        let shown = || start_of(&issuer.issuer, LONGEST_WORDS);
        let is_document =
            Url::parse(id).is_ok_and(|url| url.scheme() == "https" && url.path() != "/");
        if is_document && !issuer.takes_client_documents {
            return Err(refused(AuthorizationError::ClientDocument { issuer: shown() }));
        }
        let secret = match &self.wanted.client_secret {
            Some(name) => Some(self.ask_secret(name, recipient, console)?),
            None => None,
        };
        let auth = match (client_auth(issuer), &secret) {
            (Some(auth), _) => auth,
            (None, None) => ClientAuthKind::Post,
            (None, Some(_)) => {
                let error =
                    format!("{} takes client secrets in no way that dadl-mcp knows", shown());
                return Err(CliFailure::settings(error));
            }
        };
        Ok(Some(SetupClient {
            identity: ClientIdentity { id: id.as_str().into(), secret },
            secret: self.wanted.client_secret.clone(),
            auth,
            registration: None,
        }))
    }

    /// Returns the secret of the client of the settings; asks for it where nothing has it.
    fn ask_secret(
        &self,
        name: &CredentialName,
        recipient: CredentialRecipient<'_>,
        console: &mut Console,
    ) -> Result<SecretString, CliFailure> {
        // What goes elsewhere until now is asked for again.
        let present = self.draft.resolve(recipient, name).ok().flatten();
        if let Some(present) = present {
            return Ok(present);
        }
        if self.args.from_env {
            let missing = CredentialResolver::missing_hint(self.backend, name);
            return Err(CliFailure::settings(missing));
        }
        let value = ask_value(name, false, false, console)?.unwrap_or_default();
        self.draft.set(name, value.clone());
        Ok(value)
    }

    /// Returns what was registered before.
    fn registered_client(&self) -> Option<SetupClient> {
        let kept = self.kept.as_ref()?;
        let registration = kept.registration.clone()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ends = registration.secret_ends;
        if ends != 0 && ends < now + SECRET_MARGIN {
            return None;
        }
        let origins: BTreeSet<Origin> = kept.origins(&self.url);
        let recipient = CredentialRecipient { backend: self.backend, origins: &origins };
        let value = |name: &CredentialName| self.draft.kept(recipient, name).ok().flatten();
        let secret = kept.client_secret.clone().map(CredentialName);
        let identity = ClientIdentity {
            id: value(&self.names.client_id)?,
            secret: match &secret {
                Some(name) => Some(value(name)?),
                None => None,
            },
        };
        Some(SetupClient {
            identity,
            secret,
            auth: kept.client_auth,
            registration: Some(registration),
        })
    }

    /// Exchanges what a person agreed to for tokens, and drafts them. Returns the rights that nobody asked
    /// for.
    async fn exchange(
        &self,
        client: SetupClient,
        agreed: AgreedCode,
    ) -> Result<Vec<String>, CliFailure> {
        let issuer = &self.found.issuer;
        let endpoint = TokenEndpoint::new(
            issuer.token_endpoint.clone(),
            client.auth.into(),
            self.site.settings(),
            self.site.base(),
            &self.site.guard(),
        );
        let endpoint = endpoint.map_err(anyhow::Error::from)?.noting(&SECRETS);
        let tokens =
            agreed.exchange(&endpoint, &client.identity, Some(&self.found.resource)).await?;
        let TokenResponse { access, refresh, lifetime, scope, .. } = tokens;
        let gives = match refresh {
            Some(value) => {
                let access = lifetime.and_then(|lifetime| {
                    let ends = SystemTime::now().checked_add(lifetime)?;
                    Some(AccessToken { token: access, ends })
                });
                let value = CredentialValue { value, access };
                self.draft.set_given(&self.names.refresh_token, value);
                LoginGift::RefreshToken
            }
            None => {
                self.draft.set(&self.names.access_token, access);
                LoginGift::AccessToken
            }
        };
        let granted = scope.map(|scope| scopes_in(&scope));
        let granted = granted.unwrap_or_else(|| self.scopes.clone());
        let unasked = granted.iter().filter(|scope| !self.scopes.contains(scope)).cloned();
        let unasked = unasked.collect();
        self.draft_login(client, gives, granted);
        Ok(unasked)
    }

    /// Drafts a login with the credentials that this program has itself.
    fn use_own_credentials(
        &self,
        recipient: CredentialRecipient<'_>,
        console: &mut Console,
    ) -> Result<(), CliFailure> {
        let client = self.own_client(recipient, console)?;
        let client = client
            .ok_or_else(|| CliFailure::settings("`auth` of the backend has no `client_id`"))?;
        self.draft_login(client, LoginGift::ClientCredentials, self.scopes.clone());
        Ok(())
    }

    fn draft_login(&self, client: SetupClient, gives: LoginGift, scopes: Vec<String>) {
        let SetupClient { identity, secret, auth, registration } = client;
        let (names, issuer) = (&self.names, &self.found.issuer);
        if let (Some(_), Some(value)) = (&registration, identity.secret) {
            self.draft.set(&names.client_secret, value);
        }
        self.draft.set(&names.client_id, identity.id);
        let login = ServerLogin {
            resource: self.found.resource.clone(),
            issuer: issuer.issuer.clone(),
            token_endpoint: EndpointUrl(issuer.token_endpoint.clone()),
            revocation_endpoint: issuer.revocation_endpoint.clone().map(EndpointUrl),
            gives,
            client_secret: secret.map(|name| name.0),
            client_auth: auth,
            scopes,
            registration,
            is_private: self.site.is_private(),
            pins: self.site.settings().login_pins.clone(),
        };
        self.draft.set(&names.record, login.write());
    }

    /// Finds out whether the server takes the login, as a run would use it.
    async fn check(&self, console: &mut Console) -> io::Result<bool> {
        let opened = match AuthorizedServer::open(self.backend, &self.url, &self.draft) {
            Ok(opened) => opened,
            Err(error) => {
                writeln!(console.err, "{error}")?;
                return Ok(false);
            }
        };
        let Some(server) = opened else { return Ok(false) };
        match server.check().await {
            Ok(()) => {
                writeln!(console.err, "the server accepts the login")?;
                Ok(true)
            }
            Err(error) => {
                writeln!(console.err, "{error}")?;
                Ok(false)
            }
        }
    }
}

fn refused(error: AuthorizationError) -> CliFailure {
    CliFailure::settings(error)
}

/// Gives back what is stored for an MCP server, where its authorization server takes it (RFC 7009). What
/// keeps it from that is told: what is stored goes all the same.
pub(super) async fn revoke_stored(
    name: &str,
    args: &SetupArgs,
    environment: &Environment,
    console: &mut Console,
) -> io::Result<()> {
    let credentials = CredentialResolver::new(environment.clone()).noting(&SECRETS);
    let names = LoginNames::of(name);
    let Ok(store) = credentials.store() else { return Ok(()) };
    let record = store.entry(name, &names.record.0).ok().flatten();
    let login = record.and_then(|record| ServerLogin::read(&record.credential.value));
    let Some(login) = login else { return Ok(()) };
    let issuer = start_of(&login.issuer, LONGEST_WORDS);
    if login.gives == LoginGift::ClientCredentials {
        return Ok(());
    }
    if login.revocation_endpoint.is_none() {
        return writeln!(console.err, "{issuer} takes no login back: it ends by itself, or there");
    }
    match revoke(name, &login, &credentials, args, environment).await {
        Ok(()) => writeln!(console.err, "the login at {issuer} was revoked"),
        Err(error) => writeln!(console.err, "the login at {issuer} was not revoked: {error:#}"),
    }
}

async fn revoke(
    name: &str,
    login: &ServerLogin,
    credentials: &CredentialResolver,
    args: &SetupArgs,
    environment: &Environment,
) -> anyhow::Result<()> {
    // The backend may be in no settings any more.
    let settings = super::load::load_settings(&args.backends, environment).ok();
    let backends = settings.map(|settings| settings.backends).unwrap_or_default();
    let known = backends.into_iter().find(|backend| backend.name == name);
    let mut backend = known.unwrap_or_else(|| BackendSettings::new(name, ""));
    let resource = Url::parse(&login.resource)?;
    backend.url.get_or_insert_with(|| login.resource.clone());
    login.admit(&mut backend);
    let Some(EndpointUrl(url)) = &login.revocation_endpoint else { return Ok(()) };
    let site = ServerSite::new(&backend, &resource)?;
    let names = LoginNames::of(name);
    let mut origins = login.origins(&resource);
    origins.extend(Origin::of(url));
    let recipient = CredentialRecipient { backend: &backend, origins: &origins };
    let value = |name: &CredentialName| {
        let found = credentials.resolve(recipient, name)?;
        found.ok_or_else(|| anyhow::anyhow!("`{name}` is not stored"))
    };
    let secret = login.client_secret.clone().map(CredentialName);
    let identity = ClientIdentity {
        id: value(&names.client_id)?,
        secret: secret.as_ref().map(value).transpose()?,
    };
    let (token, hint) = match login.gives {
        LoginGift::RefreshToken => (value(&names.refresh_token)?, "refresh_token"),
        _ => (value(&names.access_token)?, "access_token"),
    };
    let guard = site.guard();
    let auth = login.client_auth.into();
    let endpoint = TokenEndpoint::new(url.clone(), auth, site.settings(), site.base(), &guard)?;
    let revoked = endpoint.noting(&SECRETS).revoke(&identity, &token, hint).await;
    revoked.map_err(|error| anyhow::anyhow!("{error}"))
}
