//! What proves to an API who asks: the operator's client certificate and its key.
//!
//! They are shown where the credential goes and nowhere else. The files are looked at before each
//! request; when they have changed, a new client is made, with connections of its own, and requests
//! under way end with theirs. While one of the two has been replaced and the other has not, the client
//! of before goes on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use reqwest::Client;
use rustls::{
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{
    certificate::CertificateDetails,
    client_error::{ClientError, IdentityError},
    connection_guard,
    crypto_provider::install_provider,
};
use crate::config::{BackendSettings, credentials};

/// The files of a client certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdentityFiles<'settings> {
    cert: &'settings Path,
    /// `None` when the key is in the file of the certificate.
    key: Option<&'settings PathBuf>,
}

/// A certificate with its chain, and its key.
#[derive(Debug, Clone)]
pub(super) struct ClientCertificate(Arc<CertifiedKey>);

impl ClientCertificate {
    /// Returns what shows it to whoever asks for one.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }
}

/// Checks that the client certificate of a backend at `url` can be shown; gives what it says.
///
/// # Errors
///
/// It cannot; see [`IdentityError`].
pub(crate) fn check_identity(
    settings: &BackendSettings,
    url: &Url,
) -> Result<Option<CertificateDetails>, IdentityError> {
    let Some(files) = IdentityFiles::of(settings) else { return Ok(None) };
    if url.scheme() != "https" {
        return Err(IdentityError::Plain);
    }
    let ClientCertificate(identity) = files.read(url)?;
    Ok(identity.cert.first().map(|certificate| CertificateDetails::read(certificate)))
}

impl<'settings> IdentityFiles<'settings> {
    pub(super) fn of(settings: &'settings BackendSettings) -> Option<Self> {
        let cert = settings.client_cert.as_deref()?;
        Some(Self { cert, key: settings.client_key.as_ref() })
    }

    /// Reads them, to be shown at the origin of `url`.
    pub(super) fn read(self, url: &Url) -> Result<ClientCertificate, IdentityError> {
        // The library shows one client the same certificate in all handshakes.
        if connection_guard::asks_proxy_in_tls(url) {
            return Err(IdentityError::Proxy);
        }
        let provider = install_provider();
        let name = |path: &Path| path.display().to_string();
        let cert = match self.key {
            Some(_) => credentials::read_public(self.cert),
            None => credentials::read_secret(self.cert),
        };
        let cert = cert.map_err(|reason| IdentityError::file("client_cert", self.cert, reason))?;
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(cert.expose_secret().as_bytes()).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| IdentityError::NoCertificate(name(self.cert)))?;
        let (setting, path, key) = match self.key {
            Some(path) => {
                let key = credentials::read_secret(path);
                let key = key.map_err(|reason| IdentityError::file("client_key", path, reason))?;
                ("client_key", path.as_path(), key)
            }
            None => ("client_cert", self.cert, cert),
        };
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes());
        let key = key.map_err(|_| IdentityError::NoKey { setting, path: name(path) })?;
        let made = CertifiedKey::from_der(chain, key, &provider);
        made.map(|made| ClientCertificate(Arc::new(made))).map_err(|error| IdentityError::Unfit {
            cert: name(self.cert),
            key: name(path),
            reason: match error {
                rustls::Error::InconsistentKeys(_) => "they are not of one pair".to_owned(),
                error => error.to_string(),
            },
        })
    }

    /// Looks at the files without reading them.
    fn print(self) -> FilesPrint {
        FilesPrint(
            [Some(self.cert), self.key.map(PathBuf::as_path)].map(|path| FileStamp::of(path?)),
        )
    }
}

/// What two files were when they were looked at; `None` for one that was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FilesPrint([Option<FileStamp>; 2]);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and when anything of it changed.
    #[cfg(unix)]
    place: (u64, u64, i64, i64),
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            place,
        })
    }
}

/// A client that shows a certificate.
#[derive(Debug, Default)]
pub(super) struct RenewingClient(Mutex<KeptClient>);

#[derive(Debug, Default)]
struct KeptClient {
    client: Option<(FilesPrint, Client)>,
    /// What could not be used, and has been told.
    failed: Option<FilesPrint>,
}

impl RenewingClient {
    /// Returns the client that `build` makes of what the files hold now, or the one of before where that
    /// cannot be used.
    ///
    /// # Errors
    ///
    /// It cannot be used, and there is none of before.
    pub(super) fn client(
        &self,
        files: IdentityFiles<'_>,
        url: &Url,
        build: impl FnOnce(&ClientCertificate) -> Result<Client, ClientError>,
    ) -> Result<Client, ClientError> {
        let print = files.print();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &kept.client
            && (*of == print || kept.failed.as_ref() == Some(&print))
        {
            return Ok(client.clone());
        }
        let path = files.cert.display();
        let made = files.read(url).map_err(ClientError::from).and_then(|it| build(&it));
        match (made, &kept.client) {
            (Ok(client), before) => {
                if before.is_some() {
                    tracing::info!(%path, "the client certificate has changed, and is used");
                }
                *kept = KeptClient { client: Some((print, client.clone())), failed: None };
                Ok(client)
            }
            (Err(error), Some((_, before))) => {
                tracing::warn!("the client certificate of before is used on: {error}");
                let before = before.clone();
                kept.failed = Some(print);
                Ok(before)
            }
            (Err(error), None) => Err(error),
        }
    }
}
