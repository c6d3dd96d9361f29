//! The keyring of the operating system: a Secret Service (GNOME Keyring, KWallet, KeePassXC), the
//! macOS keychain or the Windows Credential Manager.
//!
//! A keyring may ask a person to unlock it, and nobody may be there: every request is made by a
//! thread of its own and is given up after a while.
//!
//! **Invariant:** no secret is an argument or a variable of another process, and no text made
//! here holds one.

#[cfg(windows)]
mod credential_manager;
#[cfg(all(unix, not(target_os = "macos")))]
mod dbus;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service;

use std::{
    fmt,
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use secrecy::SecretString;

#[cfg(windows)]
use self::credential_manager as platform;
#[cfg(target_os = "macos")]
use self::keychain as platform;
#[cfg(all(unix, not(target_os = "macos")))]
use self::secret_service as platform;
use super::env_vars::Environment;

/// What people call the keyring of this system.
pub const NAME: &str = platform::NAME;

/// How long to wait for a keyring, and for the person whom it asks.
const LIMIT: Duration = Duration::from_secs(45);

/// The name under which keyrings show our items.
const SERVICE: &str = "dadl-mcp";

/// Keeps secrets by account.
pub trait Keyring: fmt::Debug + Send + Sync {
    /// Returns the secret of `account`.
    ///
    /// # Errors
    ///
    /// See [`KeyringError`].
    fn get(&self, account: &str) -> Result<Option<SecretString>, KeyringError>;

    /// Makes or replaces the secret of `account`.
    ///
    /// # Errors
    ///
    /// See [`KeyringError`].
    fn set(&self, account: &str, secret: &SecretString) -> Result<(), KeyringError>;

    /// Removes the secret of `account`; none is as good.
    ///
    /// # Errors
    ///
    /// See [`KeyringError`].
    fn remove(&self, account: &str) -> Result<(), KeyringError>;
}

/// Why a keyring cannot be used: the end of a sentence that begins with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is none, or not from here.
    #[error("cannot be reached ({0})")]
    Absent(String),
    /// It needs a person who was not there or said no.
    #[error("is locked, and was not unlocked")]
    Locked,
    /// It, or the person whom it asked, took too long.
    #[error("did not answer within {} s; it may be waiting for somebody to unlock it", .0.as_secs())]
    Timeout(Duration),
    /// The secret has more bytes than an item may have.
    #[error("has room for {0} bytes in an item, and this takes more")]
    TooLong(u64),
    /// Anything else, in the system's words.
    #[error("failed: {0}")]
    Failed(String),
}

/// The keyring of this system.
#[derive(Debug, Clone)]
pub struct OsKeyring {
    platform: platform::PlatformKeyring,
    limit: Duration,
}

impl OsKeyring {
    /// Uses the keyring of the session that `environment` belongs to; it is not asked yet.
    pub fn new(environment: &Environment) -> Self {
        Self { platform: platform::PlatformKeyring::new(environment), limit: LIMIT }
    }

    /// Makes a request on the thread that talks to keyrings.
    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(&platform::PlatformKeyring, Duration) -> Result<T, KeyringError>
        + Send
        + 'static,
    ) -> Result<T, KeyringError> {
        let (platform, limit) = (self.platform.clone(), self.limit);
        let (answer, answers) = mpsc::sync_channel(1);
        let until = Instant::now() + limit;
        let job = Box::new(move || {
            // Whoever asked may have gone away while others were served: what nobody waits for is
            // not written.
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let _ = answer.try_send(request(&platform, left));
            }
        });
        request_sender()?.send(job).map_err(|_| stopped_error())?;
        match answers.recv_timeout(limit) {
            Ok(Err(KeyringError::Timeout(_))) => Err(KeyringError::Timeout(limit)),
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyringError::Timeout(limit)),
            Err(mpsc::RecvTimeoutError::Disconnected) if Instant::now() >= until => {
                Err(KeyringError::Timeout(limit))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(stopped_error()),
        }
    }
}

type KeyringJob = Box<dyn FnOnce() + Send>;

/// Returns the way to the thread that talks to keyrings, which the first request starts.
fn request_sender() -> Result<&'static mpsc::Sender<KeyringJob>, KeyringError> {
    static TALKER: OnceLock<mpsc::Sender<KeyringJob>> = OnceLock::new();
    if let Some(talker) = TALKER.get() {
        return Ok(talker);
    }
    let (jobs, queue) = mpsc::channel::<KeyringJob>();
    let thread = thread::Builder::new().name("keyring".to_owned());
    let work = move || queue.into_iter().for_each(|job| job());
    thread.spawn(work).map_err(|error| KeyringError::Failed(error.to_string()))?;
    // Another one may have been quicker; the thread made here then ends.
    Ok(TALKER.get_or_init(|| jobs))
}

fn stopped_error() -> KeyringError {
    KeyringError::Failed("the request was interrupted".to_owned())
}

impl Keyring for OsKeyring {
    fn get(&self, account: &str) -> Result<Option<SecretString>, KeyringError> {
        let account = account.to_owned();
        self.ask(move |platform, limit| platform.get(&account, limit))
    }

    fn set(&self, account: &str, secret: &SecretString) -> Result<(), KeyringError> {
        let (account, secret) = (account.to_owned(), secret.clone());
        self.ask(move |platform, limit| platform.set(&account, &secret, limit))
    }

    fn remove(&self, account: &str) -> Result<(), KeyringError> {
        let account = account.to_owned();
        self.ask(move |platform, limit| platform.remove(&account, limit))
    }
}

/// A keyring in memory, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct MemoryKeyring {
    pub(super) items: std::sync::Mutex<std::collections::BTreeMap<String, SecretString>>,
    /// What every request ends in, when that is an error.
    pub(super) broken: std::sync::Mutex<Option<KeyringError>>,
    /// An item has room for so many bytes.
    pub(super) room: Option<usize>,
    /// How often it was asked.
    pub(super) requests: std::sync::atomic::AtomicUsize,
}

#[cfg(test)]
impl MemoryKeyring {
    fn begin(&self) -> Result<(), KeyringError> {
        self.requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.broken.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    pub(super) fn accounts(&self) -> Vec<String> {
        self.items.lock().unwrap().keys().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.requests.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(test)]
impl Keyring for MemoryKeyring {
    fn get(&self, account: &str) -> Result<Option<SecretString>, KeyringError> {
        self.begin()?;
        Ok(self.items.lock().unwrap().get(account).cloned())
    }

    fn set(&self, account: &str, secret: &SecretString) -> Result<(), KeyringError> {
        use secrecy::ExposeSecret as _;
        self.begin()?;
        if let Some(room) = self.room.filter(|room| secret.expose_secret().len() > *room) {
            return Err(KeyringError::TooLong(room as u64));
        }
        self.items.lock().unwrap().insert(account.to_owned(), secret.clone());
        Ok(())
    }

    fn remove(&self, account: &str) -> Result<(), KeyringError> {
        self.begin()?;
        self.items.lock().unwrap().remove(account);
        Ok(())
    }
}

#[cfg(all(test, unix, not(target_os = "macos")))]
mod tests {
    use super::*;

    fn keyring(address: &str) -> OsKeyring {
        OsKeyring::new(&[("DBUS_SESSION_BUS_ADDRESS", address)].into_iter().collect())
    }

    #[test]
    fn a_bus_that_never_answers_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let keyring = keyring(&format!("unix:path={}", path.display()));
        let keyring = OsKeyring { limit: Duration::from_millis(50), ..keyring };
        let error = KeyringError::Timeout(keyring.limit);
        assert_eq!(keyring.get("a").unwrap_err(), error);
        assert_eq!(keyring.set("a", &"x".into()).unwrap_err(), error);
        assert_eq!(keyring.remove("a").unwrap_err(), error);
    }

    #[test]
    fn a_bus_that_is_not_there_is_named() {
        let error = keyring("unix:path=/no/such/bus").get("a").unwrap_err().to_string();
        assert!(error.starts_with("cannot be reached (no D-Bus session bus"), "{error}");
        let error = keyring("nonsense").get("a").unwrap_err().to_string();
        assert!(error.starts_with("cannot be reached (no D-Bus session bus"), "{error}");
    }
}
