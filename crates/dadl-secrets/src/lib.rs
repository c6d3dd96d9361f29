//! Secrets that are in use, and what takes them out of everything that leaves the program.
//!
//! Whoever gets or sends a secret adds it here first; what a server sends is masked before anything
//! reads it, and what a person or a model gets is masked once more at the last door: each message
//! of the protocol, the two streams of the command line, the log.
//!
//! A secret is found as it is and in the usual spellings: with the escapes of JSON, of URLs and of
//! HTML, in UTF-16, in Base64 and in hexadecimal digits, and in these within each other. One that is
//! encrypted, hashed, compressed, reversed or in pieces is not.
//!
//! **Invariant:** what is masked stays what it was: text stays text, and JSON stays JSON.

mod escapes;
mod finder;
mod json;
mod long;
mod presence;
mod runs;
mod short;
#[cfg(test)]
mod spell;
mod spellings;
#[cfg(test)]
mod tests;
mod view;
mod wanted;
mod writer;

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dadl_text::{growth, text::MASK};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::IgnoredAny;

pub use self::writer::MaskedWriter;
use self::{finder::SecretFinder, json::JsonKind, wanted::WantedSecret};

/// The same as JSON.
const JSON_MASK: &str = "\"[REDACTED]\"";

/// So many values that servers gave are remembered.
const MOST_DERIVED: usize = 128;

/// So many values that the operator gave are.
const MOST_GIVEN: usize = 1024;

/// The secrets in use; a clone holds the same ones.
#[derive(Clone)]
pub struct Secrets {
    lists: Vec<Arc<SecretList>>,
}

#[derive(Default)]
struct SecretList {
    known: Mutex<KnownSecrets>,
    /// What finds them, unless there are new ones.
    finder: RwLock<Option<Arc<SecretFinder>>>,
}

#[derive(Default)]
struct KnownSecrets {
    all: Vec<KnownSecret>,
    clock: u64,
}

/// Where a secret is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretOrigin {
    /// A server gave it, or it was made of others.
    Derived,
    /// The operator gave it.
    Given,
}

struct KnownSecret {
    value: SecretString,
    /// The names of the credentials that have it.
    names: Vec<String>,
    origin: SecretOrigin,
    /// When it was added last.
    added: u64,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { lists: vec![Arc::default()] }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.lists.iter().map(|list| list.known().all.len()).sum();
        write!(formatter, "Secrets({count})")
    }
}

impl Secrets {
    /// Returns all the secrets of several places; what is added goes to the first.
    pub fn joined<'all>(all: impl IntoIterator<Item = &'all Self>) -> Self {
        let mut lists: Vec<Arc<SecretList>> = Vec::new();
        for list in all.into_iter().flat_map(|secrets| &secrets.lists) {
            if !lists.iter().any(|known| Arc::ptr_eq(known, list)) {
                lists.push(Arc::clone(list));
            }
        }
        if lists.is_empty() { Self::default() } else { Self { lists } }
    }

    /// Adds a value that an operator gave, under the name that it has.
    pub fn add(&self, name: &str, value: &str) {
        self.insert(name, value, SecretOrigin::Given);
    }

    /// Adds a value that a server gave, or that was made of others.
    pub fn add_derived(&self, name: &str, value: &str) {
        self.insert(name, value, SecretOrigin::Derived);
    }

    /// Adds what is secret of a header field that an operator gave, if anything is.
    pub fn add_field(&self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("cookie") {
            for pair in value.split(';') {
                let (name, value) = pair.split_once('=').unwrap_or((name, pair));
                self.add(name.trim(), value);
            }
        } else if short::tells_secret(name) {
            self.add(name, value);
            let Some((scheme, value)) = value.split_once(' ') else { return };
            self.add(scheme, value);
            let decoded =
                STANDARD.decode(value.trim()).ok().and_then(|it| String::from_utf8(it).ok());
            let pair = decoded.filter(|_| scheme.eq_ignore_ascii_case("basic"));
            if let Some((_, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
                self.add("password", password);
            }
        }
    }

    /// Adds what is secret of a URL that an operator gave.
    pub fn add_url(&self, name: &str, url: &str) {
        let after = url.split_once("://").map_or(url, |(_, after)| after);
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { return };
        self.add(name, user);
        let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        match user.split_once(':') {
            Some((user, password)) => {
                let (user, password) = (decode(user), decode(password));
                self.add(name, &password);
                self.add(name, &STANDARD.encode(format!("{user}:{password}")));
            }
            // A key, like those that are sent without a password.
            None => self.add(name, &decode(user)),
        }
    }

    fn insert(&self, name: &str, value: &str, origin: SecretOrigin) {
        let value = value.trim();
        let Some(list) = self.lists.first().filter(|_| !value.is_empty()) else { return };
        if list.known().insert(name, value, origin) {
            *list.finder.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Returns `text` without secrets.
    pub fn text<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = growth::byte_buffer(text.len());
        json::replace_ranges(text.as_bytes(), &found, &mut clean);
        // Invariant: ranges begin and end between characters.
        Cow::Owned(utf8(clean))
    }

    /// Returns a text without secrets, which is the same one when there are none.
    pub fn masked(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Owned(masked) => masked,
            Cow::Borrowed(_) => text,
        }
    }

    /// Returns JSON without secrets, which is the same text when there are none.
    pub fn masked_json(&self, text: String) -> String {
        match self.json(&text) {
            Cow::Owned(masked) => masked,
            Cow::Borrowed(same) if same.len() == text.len() => text,
            Cow::Borrowed(mask) => mask.to_owned(),
        }
    }

    /// Returns a body without secrets: JSON, JSON values line by line, or any other text.
    pub fn body(&self, body: Bytes) -> Bytes {
        let found = self.find(&body);
        if found.is_empty() {
            return body;
        }
        let is_json = is_json(&body);
        if is_whole(&found, &body) {
            return Bytes::from_static(if is_json { JSON_MASK } else { MASK }.as_bytes());
        }
        if is_json {
            return json::mask_json(&body, &found, |text| self.find(text), JsonKind::Value).into();
        }
        let mut clean = growth::byte_buffer(body.len());
        json::replace_ranges(&body, &found, &mut clean);
        clean.into()
    }

    /// Returns JSON without secrets, which is JSON again.
    pub fn json<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        if is_whole(&found, text.as_bytes()) {
            return Cow::Borrowed(JSON_MASK);
        }
        let clean =
            json::mask_json(text.as_bytes(), &found, |text| self.find(text), JsonKind::Value);
        Cow::Owned(utf8(clean))
    }

    /// Returns a message of JSON-RPC without secrets; what names it stays.
    pub fn message(&self, message: Vec<u8>) -> Vec<u8> {
        let found = self.find(&message);
        if found.is_empty() {
            return message;
        }
        json::mask_json(&message, &found, |text| self.find(text), JsonKind::Message)
    }

    /// Returns where secrets are: in order, apart from each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut finders = self.lists.iter().map(|list| list.finder());
        let first = finders.next().map(|finder| finder.find(text)).unwrap_or_default();
        finders.fold(first, |mut found, finder| {
            found.extend(finder.find(text));
            finder::merge_ranges(text, found)
        })
    }
}

impl SecretList {
    fn known(&self) -> MutexGuard<'_, KnownSecrets> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finder(&self) -> Arc<SecretFinder> {
        if let Some(finder) = &*self.finder.read().unwrap_or_else(PoisonError::into_inner) {
            return Arc::clone(finder);
        }
        let mut slot = self.finder.write().unwrap_or_else(PoisonError::into_inner);
        let finder = slot.get_or_insert_with(|| Arc::new(self.known().finder()));
        Arc::clone(finder)
    }
}

impl KnownSecrets {
    /// Returns whether what is looked for has changed.
    fn insert(&mut self, name: &str, value: &str, origin: SecretOrigin) -> bool {
        self.clock += 1;
        let now = self.clock;
        if let Some(known) = self.all.iter_mut().find(|it| it.value.expose_secret() == value) {
            known.added = now;
            if origin == SecretOrigin::Given {
                known.origin = origin;
            }
            if known.names.iter().any(|it| it == name) {
                return false;
            }
            known.names.push(name.to_owned());
            return true;
        }
        let most = match origin {
            SecretOrigin::Derived => MOST_DERIVED,
            SecretOrigin::Given => MOST_GIVEN,
        };
        let alike = self.all.iter().enumerate().filter(|(_, it)| it.origin == origin);
        let oldest = alike.clone().min_by_key(|(_, it)| it.added).map(|(at, _)| at);
        if alike.count() >= most
            && let Some(oldest) = oldest
        {
            self.all.remove(oldest);
        }
        let names = vec![name.to_owned()];
        self.all.push(KnownSecret { value: value.into(), names, origin, added: now });
        true
    }

    fn finder(&self) -> SecretFinder {
        let all = self.all.iter();
        let wanted: Vec<WantedSecret<'_>> = all
            .map(|it| WantedSecret { value: it.value.expose_secret(), names: &it.names })
            .collect();
        SecretFinder::new(&wanted)
    }
}

/// Returns whether a credential of this name is a secret: the name of a user is none.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    has(&["pass", "secret", "token", "key"])
        || !has(&["user", "mail", "login", "account", "client_id"])
}

/// Returns whether a variable of this name probably holds a secret, when nobody says what it is.
pub fn sounds_secret(name: &str) -> bool {
    short::tells_secret(name)
}

/// Returns whether all of a text is a secret.
fn is_whole(found: &[Range<usize>], text: &[u8]) -> bool {
    found.first() == Some(&(0..text.len()))
}

/// Makes a text of what was masked, which is one.
fn utf8(clean: Vec<u8>) -> String {
    String::from_utf8(clean)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns whether `body` is JSON values.
fn is_json(body: &[u8]) -> bool {
    let values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    let mut count = 0;
    for value in values {
        if value.is_err() {
            return false;
        }
        count += 1;
    }
    count > 0
}
