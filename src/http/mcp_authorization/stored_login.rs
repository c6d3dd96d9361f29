//! The login that `setup` has stored for a server, which is read when the first request needs it: a keyring
//! that is locked holds up nobody but who wants something of this server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt as _, future::BoxFuture};
use url::Url;

use super::authorized::{AuthorizedServer, LoginProblem};
use crate::{
    config::{
        BackendSettings,
        credentials::{CredentialResolver, SourceError},
        server_login::ServerLoginError,
    },
    http::{
        auth::{AppliedCredential, LaterLogin},
        login::LoginError,
    },
};

/// The login of a server, as it is stored when somebody needs it.
pub(crate) struct StoredLogin {
    settings: BackendSettings,
    url: Url,
    credentials: CredentialResolver,
    known: Mutex<KnownLogin>,
    /// It is read once for all who need it.
    reading: tokio::sync::Mutex<()>,
}

/// What is known of it.
#[derive(Default)]
struct KnownLogin {
    server: Option<Arc<AuthorizedServer>>,
    /// Whether that is what is stored, as far as anybody knows.
    is_read: bool,
}

impl StoredLogin {
    pub(crate) fn new(
        settings: &BackendSettings,
        url: &Url,
        credentials: &CredentialResolver,
    ) -> Self {
        let (settings, url, credentials) = (settings.clone(), url.clone(), credentials.clone());
        let (known, reading) = Default::default();
        Self { settings, url, credentials, known, reading }
    }

    fn known(&self) -> MutexGuard<'_, KnownLogin> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was read, if something was.
    fn read_already(&self) -> Option<Option<Arc<AuthorizedServer>>> {
        let known = self.known();
        known.is_read.then(|| known.server.clone())
    }

    /// Returns the server with its login; nothing where none is stored, or none that can be used.
    async fn server(&self) -> Result<Option<Arc<AuthorizedServer>>, LoginError> {
        if let Some(read) = self.read_already() {
            return Ok(read);
        }
        let _reading = self.reading.lock().await;
        if let Some(read) = self.read_already() {
            return Ok(read);
        }
        let (settings, url) = (self.settings.clone(), self.url.clone());
        let credentials = self.credentials.clone();
        // The keyring of the system may wait for a person.
        let open = move || AuthorizedServer::open(&settings, &url, &credentials);
        let opened = crate::spawn::blocking(open).await;
        let opened = match opened.map_err(|_| SourceError::NotAsked)? {
            Ok(opened) => opened,
            Err(ServerLoginError::Credential(error)) => return Err(SourceError::from(error).into()),
            Err(error) => {
                // What cannot be used is not used; the server then says that it wants a login.
                tracing::warn!("{error}");
                None
            }
        };
        let mut known = self.known();
        // What was stored before holds the access token that it gave.
        let is_same =
            known.server.as_ref().map(|it| it.login()) == opened.as_ref().map(|it| it.login());
        if !is_same {
            known.server = opened.map(Arc::new);
        }
        known.is_read = true;
        Ok(known.server.clone())
    }
}

impl LaterLogin for StoredLogin {
    fn applied(&self) -> BoxFuture<'_, Result<Option<Arc<AppliedCredential>>, LoginError>> {
        async move {
            let Some(server) = self.server().await? else { return Ok(None) };
            match server.applied().await {
                Ok(applied) => Ok(Some(applied)),
                Err(LoginProblem::Client(error)) => Err(error.into()),
                Err(LoginProblem::Login(error)) => Err(error),
                // Nothing else is asked here.
                Err(_) => Err(LoginError::Interrupted),
            }
        }
        .boxed()
    }

    fn forget(&self, refused: &Arc<AppliedCredential>) {
        self.look_again();
        if let Some(server) = &self.known().server {
            server.forget(refused);
        }
    }

    fn look_again(&self) {
        self.known().is_read = false;
    }

    fn renews(&self) -> bool {
        self.known().server.as_ref().is_some_and(|server| server.renews())
    }

    fn is_there(&self) -> bool {
        self.known().server.is_some()
    }
}
