//! The Secret Service API of freedesktop.org, version 0.2, over the D-Bus session bus.
//!
//! Sessions are `plain` (section 6 of the specification): the socket belongs to the same user, who
//! may ask the service for the secret as well.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    KeyringError, SERVICE,
    dbus::{BusError, Connection, Message, Method, Writer},
};
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
    session: String,
    limit: Duration,
}

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
        let mut service = self.connect(limit)?;
        let Some(item) = service.items(account)?.into_iter().next() else {
            return Ok(None);
        };
        service.unlock(&item)?;
        let mut body = Writer::default();
        body.text(&service.session);
        let answer = service.call(&item, ITEM_INTERFACE, "GetSecret", "o", &body)?;
        service.read(|| {
            let mut fields = answer.reader();
            fields.structure();
            fields.text()?;
            fields.blob()?;
            let value = fields.blob()?;
            // Not the error itself: its text would hold the value.
            let text = std::str::from_utf8(value);
            text.map(|it| Some(it.into()))
                .map_err(|_| BusError::Unexpected("an item that is no text"))
        })
    }

    pub(super) fn set(
        &self,
        account: &str,
        secret: &SecretString,
        limit: Duration,
    ) -> Result<(), KeyringError> {
        let mut service = self.connect(limit)?;
        // A new item would go to the default collection, and that may be another one by now.
        if let Some(item) = service.items(account)?.into_iter().next() {
            service.unlock(&item)?;
            let mut body = Writer::default();
            write_secret(&mut body, &service.session, secret);
            service.call(&item, ITEM_INTERFACE, "SetSecret", "(oayays)", &body)?;
            return Ok(());
        }
        let mut body = Writer::default();
        body.text("default");
        let answer = service.call(ROOT, SERVICE_INTERFACE, "ReadAlias", "s", &body)?;
        let collection = service.read(|| Ok(answer.reader().text()?.to_owned()))?;
        if collection == "/" {
            let reason = "it has no default collection; make one in its settings";
            return Err(KeyringError::Absent(reason.to_owned()));
        }
        service.unlock(&collection)?;
        let mut body = Writer::default();
        body.array(8, |properties| {
            properties.structure();
            properties.text("org.freedesktop.Secret.Item.Label");
            properties.signature("s");
            properties.text(&format!("{SERVICE}: {account}"));
            properties.structure();
            properties.text("org.freedesktop.Secret.Item.Attributes");
            properties.signature("a{ss}");
            write_attributes(properties, account);
        });
        write_secret(&mut body, &service.session, secret);
        body.boolean(true);
        let types = "a{sv}(oayays)b";
        let answer = service.call(&collection, COLLECTION_INTERFACE, "CreateItem", types, &body)?;
        let prompt = service.read(|| {
            let mut fields = answer.reader();
            fields.text()?;
            Ok(fields.text()?.to_owned())
        })?;
        service.prompt(&prompt)
    }

    pub(super) fn remove(&self, account: &str, limit: Duration) -> Result<(), KeyringError> {
        let mut service = self.connect(limit)?;
        for item in service.items(account)? {
            service.unlock(&item)?;
            let answer = service.call(&item, ITEM_INTERFACE, "Delete", "", &Writer::default())?;
            let prompt = service.read(|| Ok(answer.reader().text()?.to_owned()))?;
            service.prompt(&prompt)?;
        }
        Ok(())
    }

    /// Opens a session for what is done within `limit`; a prompt that is open then closes with the
    /// connection.
    fn connect(&self, limit: Duration) -> Result<SecretService, KeyringError> {
        let connection = self.bus(limit)?;
        let mut service = SecretService { connection, session: String::new(), limit };
        let mut body = Writer::default();
        body.text("plain");
        body.signature("s");
        body.text("");
        let answer = service.call(ROOT, SERVICE_INTERFACE, "OpenSession", "sv", &body)?;
        let session = service.read(|| {
            let mut fields = answer.reader();
            fields.skip_variant()?;
            Ok(fields.text()?.to_owned())
        })?;
        Ok(SecretService { session, ..service })
    }

    fn bus(&self, limit: Duration) -> Result<Connection, KeyringError> {
        let until = Instant::now() + limit;
        let user = rustix::process::geteuid().as_raw();
        let mut reasons = Vec::new();
        for address in &self.bus {
            let path = address.strip_prefix("unix:path=").map(Path::new);
            if path.is_some_and(|path| !address.contains([',', ';', '%']) && !path.exists()) {
                reasons.push(format!("{address} is not there"));
                continue;
            }
            match Connection::open(address, user, until) {
                Ok(connection) => return Ok(connection),
                Err(BusError::Timeout) => return Err(KeyringError::Timeout(limit)),
                Err(error) => reasons.push(format!("{address}: {error}")),
            }
        }
        let reasons = reasons.join(", ");
        Err(KeyringError::Absent(format!("no D-Bus session bus: {reasons}")))
    }
}

impl SecretService {
    fn call(
        &mut self,
        path: &str,
        interface: &str,
        name: &str,
        types: &str,
        body: &Writer,
    ) -> Result<Message, KeyringError> {
        let method = Method { destination: DESTINATION, path, interface, name };
        self.connection.call(method, types, body).map_err(|error| self.failure(error))
    }

    /// Reads an answer.
    fn read<T>(&self, read: impl FnOnce() -> Result<T, BusError>) -> Result<T, KeyringError> {
        read().map_err(|error| self.failure(error))
    }

    /// Returns the items of `account`, always in the same order.
    fn items(&mut self, account: &str) -> Result<Vec<String>, KeyringError> {
        let mut body = Writer::default();
        write_attributes(&mut body, account);
        let answer = self.call(ROOT, SERVICE_INTERFACE, "SearchItems", "a{ss}", &body)?;
        let mut items = self.read(|| {
            let mut fields = answer.reader();
            let (mut items, locked) = (fields.paths()?, fields.paths()?);
            items.extend(locked);
            Ok(items)
        })?;
        items.sort();
        Ok(items)
    }

    /// Unlocks an item or a collection, which is nothing when it is unlocked.
    fn unlock(&mut self, path: &str) -> Result<(), KeyringError> {
        let mut body = Writer::default();
        body.array(4, |paths| paths.text(path));
        let answer = self.call(ROOT, SERVICE_INTERFACE, "Unlock", "ao", &body)?;
        let prompt = self.read(|| {
            let mut fields = answer.reader();
            fields.paths()?;
            Ok(fields.text()?.to_owned())
        })?;
        self.prompt(&prompt)
    }

    /// Lets the service ask a person what it has to, and waits for the end of that.
    fn prompt(&mut self, prompt: &str) -> Result<(), KeyringError> {
        if prompt == "/" {
            return Ok(());
        }
        let signal = Method {
            destination: DESTINATION,
            path: prompt,
            interface: PROMPT_INTERFACE,
            name: "Completed",
        };
        self.connection.subscribe(signal).map_err(|error| self.failure(error))?;
        let mut body = Writer::default();
        body.text("");
        let answer = self.call(prompt, PROMPT_INTERFACE, "Prompt", "s", &body)?;
        let ended = self.connection.signal(signal, &answer);
        let ended = ended.map_err(|error| self.failure(error))?;
        let dismissed = self.read(|| ended.reader().boolean())?;
        if dismissed { Err(KeyringError::Locked) } else { Ok(()) }
    }

    fn failure(&self, error: BusError) -> KeyringError {
        match error {
            BusError::Timeout => KeyringError::Timeout(self.limit),
            BusError::Answer(name, _)
                if name.ends_with(".ServiceUnknown") || name.ends_with(".NameHasNoOwner") =>
            {
                let reason = "no Secret Service, such as GNOME Keyring, KWallet or KeePassXC, is \
                              on the session bus";
                KeyringError::Absent(reason.to_owned())
            }
            BusError::Answer(name, _) if name.ends_with(".IsLocked") => KeyringError::Locked,
            error => KeyringError::Failed(error.to_string()),
        }
    }
}

/// What tells our items from others (`a{ss}`).
fn write_attributes(body: &mut Writer, account: &str) {
    body.array(8, |attributes| {
        for (name, value) in [("service", SERVICE), ("account", account)] {
            attributes.structure();
            attributes.text(name);
            attributes.text(value);
        }
    });
}

/// `Secret` of the specification (`oayays`): session, parameters, value, content type.
fn write_secret(body: &mut Writer, session: &str, secret: &SecretString) {
    body.structure();
    body.text(session);
    body.blob(&[]);
    body.blob(secret.expose_secret().as_bytes());
    body.text("text/plain; charset=utf8");
}
