//! The Secret Service API of freedesktop.org, version 0.2, over the D-Bus session bus.
//!
//! Sessions are `plain` (section 6 of the specification): the socket belongs to the same user, who
//! may ask the service for the secret as well.

use std::{collections::HashMap, path::Path, time::Duration};

use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    Connection, DynamicType, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Type,
    Variant, connection, fdo, message,
};

use super::{KeyringError, SERVICE};
use crate::config::env_vars::{Environment, RUNTIME_DIRECTORY, SESSION_BUS};

/// What people call it.
pub(super) const NAME: &str = "Secret Service";

const DESTINATION: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const COLLECTION_INTERFACE: &str = "org.freedesktop.Secret.Collection";
const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";
const PROMPT_INTERFACE: &str = "org.freedesktop.Secret.Prompt";

/// Where the service is.
#[derive(Debug, Clone)]
pub(super) struct PlatformKeyring {
    /// The addresses of the session bus, the likelier one first.
    bus: Vec<String>,
}

/// A connection with a session.
struct SecretService {
    connection: Connection,
    session: OwnedObjectPath,
}

/// `ServiceSecret` of the specification: session, parameters, value, content type.
#[derive(Serialize, serde::Deserialize, Type)]
struct ServiceSecret(OwnedObjectPath, Vec<u8>, Vec<u8>, String);

impl PlatformKeyring {
    pub(super) fn new(environment: &Environment) -> Self {
        if let Some(address) = environment.get(SESSION_BUS) {
            return Self { bus: vec![address.to_owned()] };
        }
        // MCP hosts pass little of their environment on, and systemd puts the bus here.
        let named = environment.path(RUNTIME_DIRECTORY);
        let usual = format!("/run/user/{}", rustix::process::geteuid().as_raw());
        let directories = named.into_iter().chain([usual.into()]);
        Self { bus: directories.map(|it| format!("unix:path={}/bus", it.display())).collect() }
    }

    pub(super) fn get(
        &self,
        account: &str,
        limit: Duration,
    ) -> Result<Option<SecretString>, KeyringError> {
        self.run(limit, async |service| {
            let Some(item) = service.items(account).await?.into_iter().next() else {
                return Ok(None);
            };
            service.unlock(&item).await?;
            let secret: (ServiceSecret,) =
                service.call(&item, ITEM_INTERFACE, "GetSecret", &(&service.session,)).await?;
            let ServiceSecret(_, _, value, _) = secret.0;
            // The text of the error would hold the value.
            let text = String::from_utf8(value)
                .map_err(|_| KeyringError::Failed("the item is no text".to_owned()))?;
            Ok(Some(text.into()))
        })
    }

    pub(super) fn set(
        &self,
        account: &str,
        secret: &SecretString,
        limit: Duration,
    ) -> Result<(), KeyringError> {
        self.run(limit, async |service| {
            let value = secret.expose_secret().as_bytes().to_vec();
            let text = "text/plain; charset=utf8".to_owned();
            let secret = ServiceSecret(service.session.clone(), Vec::new(), value, text);
            // A new item would go to the default collection, and that may be another one by now.
            if let Some(item) = service.items(account).await?.into_iter().next() {
                service.unlock(&item).await?;
                return service.call(&item, ITEM_INTERFACE, "SetSecret", &(secret,)).await;
            }
            let (collection,): (OwnedObjectPath,) =
                service.call(ROOT, SERVICE_INTERFACE, "ReadAlias", &("default",)).await?;
            if collection.as_str() == "/" {
                let reason = "it has no default collection; make one in its settings";
                return Err(KeyringError::Absent(reason.to_owned()));
            }
            service.unlock(&collection).await?;
            let label = format!("{SERVICE}: {account}");
            let properties = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", Variant::from(label)),
                (
                    "org.freedesktop.Secret.Item.Attributes",
                    Variant::from(search_attributes(account)),
                ),
            ]);
            let body = (properties, secret, true);
            let (_, prompt): (OwnedObjectPath, OwnedObjectPath) =
                service.call(&collection, COLLECTION_INTERFACE, "CreateItem", &body).await?;
            service.prompt(&prompt).await
        })
    }

    pub(super) fn remove(&self, account: &str, limit: Duration) -> Result<(), KeyringError> {
        self.run(limit, async |service| {
            for item in service.items(account).await? {
                service.unlock(&item).await?;
                let (prompt,): (OwnedObjectPath,) =
                    service.call(&item, ITEM_INTERFACE, "Delete", &()).await?;
                service.prompt(&prompt).await?;
            }
            Ok(())
        })
    }

    /// Runs a request; a prompt that is open when the time is over closes with the connection.
    fn run<T>(
        &self,
        limit: Duration,
        request: impl AsyncFnOnce(SecretService) -> Result<T, KeyringError>,
    ) -> Result<T, KeyringError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| KeyringError::Failed(error.to_string()))?;
        let done = runtime.block_on(async {
            let work = async { request(self.connect().await?).await };
            tokio::time::timeout(limit, work).await
        });
        runtime.shutdown_background();
        done.unwrap_or(Err(KeyringError::Timeout(limit)))
    }

    async fn connect(&self) -> Result<SecretService, KeyringError> {
        let connection = self.bus().await?;
        let service = SecretService { connection, session: root_path() };
        let body = ("plain", Variant::from(""));
        let (_, session): (OwnedVariant, OwnedObjectPath) =
            service.call(ROOT, SERVICE_INTERFACE, "OpenSession", &body).await?;
        Ok(SecretService { session, ..service })
    }

    async fn bus(&self) -> Result<Connection, KeyringError> {
        let mut reasons = Vec::new();
        for address in &self.bus {
            let path = address.strip_prefix("unix:path=").map(Path::new);
            if path.is_some_and(|path| !address.contains([',', ';', '%']) && !path.exists()) {
                reasons.push(format!("{address} is not there"));
                continue;
            }
            match connection::Builder::address(address.as_str()).build().await {
                Ok(connection) => return Ok(connection),
                Err(error) => reasons.push(format!("{address}: {error}")),
            }
        }
        let reasons = reasons.join(", ");
        Err(KeyringError::Absent(format!("no D-Bus session bus: {reasons}")))
    }
}

impl SecretService {
    async fn call<T: DeserializeOwned + Type>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &(impl Serialize + DynamicType),
    ) -> Result<T, KeyringError> {
        let answer =
            self.connection.call_method(Some(DESTINATION), path, Some(interface), method, body);
        let answer = answer.await.map_err(|error| keyring_error(&error))?;
        answer.body().deserialize_ignore_signature().map_err(|error| keyring_error(&error))
    }

    /// Returns the items of `account`, always in the same order.
    async fn items(&self, account: &str) -> Result<Vec<OwnedObjectPath>, KeyringError> {
        let body = (search_attributes(account),);
        let (mut items, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.call(ROOT, SERVICE_INTERFACE, "SearchItems", &body).await?;
        items.extend(locked);
        items.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(items)
    }

    /// Unlocks an item or a collection, which is nothing when it is unlocked.
    async fn unlock(&self, path: &OwnedObjectPath) -> Result<(), KeyringError> {
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            self.call(ROOT, SERVICE_INTERFACE, "Unlock", &(vec![path],)).await?;
        self.prompt(&prompt).await
    }

    /// Lets the service ask a person what it has to, and waits for the end of that.
    async fn prompt(&self, prompt: &OwnedObjectPath) -> Result<(), KeyringError> {
        if prompt.as_str() == "/" {
            return Ok(());
        }
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .interface(PROMPT_INTERFACE)
            .member("Completed")
            .path(prompt.as_str().to_owned())
            .build()
            .map_err(|error| keyring_error(&error))?;
        let signals = MessageStream::for_match_rule(rule, &self.connection, None).await;
        let mut signals = signals.map_err(|error| keyring_error(&error))?;
        let () = self.call(prompt, PROMPT_INTERFACE, "Prompt", &("",)).await?;
        let signal = signals.next().await.ok_or(KeyringError::Locked)?;
        let signal = signal.map_err(|error| keyring_error(&error))?;
        let (dismissed, _): (bool, OwnedVariant) =
            signal.body().deserialize_ignore_signature().map_err(|error| keyring_error(&error))?;
        if dismissed { Err(KeyringError::Locked) } else { Ok(()) }
    }
}

/// What tells our items from others.
fn search_attributes(account: &str) -> HashMap<&'static str, String> {
    HashMap::from([("service", SERVICE.to_owned()), ("account", account.to_owned())])
}

fn root_path() -> OwnedObjectPath {
    OwnedObjectPath::default()
}

fn keyring_error(error: &zbus::Error) -> KeyringError {
    match error {
        zbus::Error::FDO(error) => match error.as_ref() {
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => {
                let reason = "no Secret Service, such as GNOME Keyring, KWallet or KeePassXC, is \
                              on the session bus";
                KeyringError::Absent(reason.to_owned())
            }
            error => KeyringError::Failed(error.to_string()),
        },
        zbus::Error::MethodError(name, ..) if name.as_str().ends_with(".IsLocked") => {
            KeyringError::Locked
        }
        error => KeyringError::Failed(error.to_string()),
    }
}
