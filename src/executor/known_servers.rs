//! What servers have (`_dadl_mcp.fit`): learned in the background, kept for the next start, and told
//! where a call finds no operation.
//!
//! A server is asked after the first call that it answered, so that one which nobody uses is asked
//! nothing. What is learned never reaches the catalog of this process: its list stays what it was.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use dadl_descriptor::{
    model::{
        Descriptor,
        fit::{FitSource, FitVersion, ServerFit, ServerVersion},
    },
    offer::{LONGEST_HAS, MOST_HAS, ServerOffer, ToolAvailability, standing},
};
use dadl_openapi::DocumentError;
use dadl_text::json::scan;
use futures_util::future::BoxFuture;
use url::Url;

use super::{CallContext, CallError, Executor};
use crate::{
    catalog::{BackendId, CatalogEntry},
    config::server_notes::{NotePlace, ServerNote},
    gate::{Admitted, CallRefusal, Gate, PendingCall},
    http::{
        backend::Backend,
        document::{self, DocumentFetchError},
    },
    outcome::{AnswerPayload, CallOutcome, SWITCHED_OFF},
    response::api_error::CREDENTIAL_REFUSED,
};

/// A server has so long to say what it has.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A longer document is not read, in bytes.
const MOST_DOCUMENT: usize = 8 * 1024 * 1024;

/// A server that lacks what was called is asked again after this time.
const PAUSE: Duration = Duration::from_secs(600);

/// Nobody has asked, somebody is asking, somebody has asked.
const ASK: u8 = 0;
const BUSY: u8 = 1;
const DONE: u8 = 2;

/// What is known of the servers, by the position of the backend. By default nothing, and nothing is
/// learned.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownServers {
    slots: Arc<[Option<KnownServer>]>,
    learns: bool,
}

/// What is known of one server.
#[derive(Debug)]
pub struct KnownServer {
    place: Option<NotePlace>,
    offer: RwLock<Option<Arc<ServerOffer>>>,
    state: AtomicU8,
    asked: Mutex<Option<Instant>>,
}

/// Why nobody knows what a server has, in words that follow a colon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// The operator does not want it, or the descriptor does not say how.
    #[error("it is not asked")]
    NotAsked,
    /// It takes too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The document is not below the base URL.
    #[error("{0} is not below the base URL of the backend")]
    Elsewhere(String),
    /// The document cannot be had.
    #[error("{0}")]
    Fetch(#[from] DocumentFetchError),
    /// What came is no document.
    #[error("its document cannot be read: {0}")]
    Document(#[from] DocumentError),
    /// The call that asks is not allowed.
    #[error("{0}")]
    Refused(Box<CallRefusal>),
    /// The call that asks failed.
    #[error("{0}")]
    Call(Box<CallError>),
    /// What the tool answers is no list of names.
    #[error("what `{0}` answers is no list of names")]
    NoList(String),
    /// It has less than half of the tools.
    #[error("what it says is not about this API: it has less than half of the tools")]
    Implausible,
}

impl KnownServers {
    /// Returns what is known of other servers, about which as much is learned.
    pub(super) fn succeeded_by(&self, known: Vec<Option<KnownServer>>) -> Self {
        Self { slots: known.into(), learns: self.learns }
    }
}

impl KnownServer {
    /// Begins with what a note says; without a place nothing is kept.
    pub fn new(place: Option<NotePlace>, note: Option<&ServerNote>) -> Self {
        let is_fresh = note.is_some_and(|note| note.is_fresh(SystemTime::now()));
        Self {
            place,
            offer: RwLock::new(note.map(|note| Arc::new(note.offer.clone()))),
            state: AtomicU8::new(if is_fresh { DONE } else { ASK }),
            asked: Mutex::default(),
        }
    }

    /// Returns what the server has, as far as anybody knows.
    pub fn offer(&self) -> Option<Arc<ServerOffer>> {
        self.offer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the caller is the one to ask.
    fn begins(&self) -> bool {
        // Looked at by every call: the exchange is for the one that finds it open.
        self.state.load(Ordering::Relaxed) == ASK
            && self.state.compare_exchange(ASK, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn ends(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.state.store(DONE, Ordering::Release);
    }

    /// Has the server asked again, when that was long ago.
    fn reopen(&self) {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none_or(|asked| asked.elapsed() > PAUSE) {
            let _ = self.state.compare_exchange(DONE, ASK, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl KnownServers {
    fn of(&self, backend: BackendId) -> Option<&KnownServer> {
        self.slots.get(backend.0)?.as_ref()
    }

    /// Looks at what a call came to: a server that answers is asked what it has, once.
    pub(super) fn after(
        &self,
        executor: &Executor,
        call: &Admitted<'_>,
        done: &Result<CallOutcome, CallError>,
    ) {
        let backend = call.entry().backend;
        let Some(known) = self.of(backend).filter(|_| self.learns) else { return };
        match done {
            Ok(_) => {}
            Err(CallError::Api(error)) => {
                if error.code == SWITCHED_OFF || error.code == CREDENTIAL_REFUSED {
                    return;
                }
                if error.is_no_route {
                    known.reopen();
                }
            }
            Err(_) => return,
        }
        if known.begins() {
            crate::spawn::task(learn(executor.clone(), call.gate().clone(), backend));
        }
    }

    /// Says of a call that found no operation what its tool needs.
    pub(super) fn explain(&self, entry: &CatalogEntry, error: CallError) -> CallError {
        let CallError::Api(mut error) = error else { return error };
        if error.is_no_route && entry.descriptor().fit.is_some() {
            let offer = self.of(entry.backend).and_then(KnownServer::offer);
            match standing(entry.descriptor(), entry.declared_name(), offer.as_deref()) {
                ToolAvailability::Lacks(lack) | ToolAvailability::Unknown(Some(lack)) => {
                    error.lack = Some(Box::new(lack));
                }
                ToolAvailability::Has | ToolAvailability::Unknown(None) => {}
            }
        }
        CallError::Api(error)
    }
}

impl Executor {
    /// Knows this of the servers, by the position of the backend.
    #[must_use]
    pub fn with_known(self, known: impl Into<Arc<[Option<KnownServer>]>>) -> Self {
        Self { fits: KnownServers { slots: known.into(), ..self.fits }, ..self }
    }

    /// Learns what servers have after they have answered a call, for the next start.
    #[must_use]
    pub fn learning(self) -> Self {
        Self { fits: KnownServers { learns: true, ..self.fits }, ..self }
    }

    /// Returns where it is kept what a server has, where anything is kept.
    pub fn note_place(&self, backend: BackendId) -> Option<&NotePlace> {
        self.fits.of(backend)?.place.as_ref()
    }

    /// Asks a server what it has, and keeps it.
    ///
    /// # Errors
    ///
    /// It does not say, or is not asked.
    pub async fn learn_now(
        &self,
        gate: &Gate,
        backend: BackendId,
        descriptor: &Descriptor,
    ) -> Result<Arc<ServerOffer>, LearnError> {
        let fit = descriptor.fit.as_ref().ok_or(LearnError::NotAsked)?;
        let known = self.fits.of(backend).ok_or(LearnError::NotAsked)?;
        let client = self.api(backend).ok_or(LearnError::NotAsked)?;
        // Its own calls find it busy.
        known.state.store(BUSY, Ordering::Release);
        let asked = tokio::time::timeout(TIMEOUT, self.ask(gate, backend, client, fit)).await;
        known.ends();
        let offer = asked.map_err(|_| LearnError::Timeout)??;
        if !offer.is_plausible(descriptor) {
            return Err(LearnError::Implausible);
        }
        let offer = Arc::new(offer);
        *known.offer.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&offer));
        if let Some(place) = known.place.clone() {
            let note = ServerNote { offer: ServerOffer::clone(&offer), checked: SystemTime::now() };
            let written = crate::spawn::blocking(move || place.write(&note)).await;
            // A start without a note lists what it would list anyway.
            if let Ok(Err(error)) = written {
                tracing::debug!(%error, "what a server has is not kept");
            }
        }
        Ok(offer)
    }

    async fn ask(
        &self,
        gate: &Gate,
        backend: BackendId,
        client: &Backend,
        fit: &ServerFit,
    ) -> Result<ServerOffer, LearnError> {
        let mut offer = match &fit.source {
            FitSource::OpenApi(path) => {
                let base = client.base().as_str().trim_end_matches('/');
                let text = format!("{base}{path}");
                let url = Url::parse(&text).ok().filter(|url| client.base().contains(url));
                let url = url.ok_or(LearnError::Elsewhere(text))?;
                let door = gate.door();
                let document = if fit.public {
                    let anonymous = client.without_credential();
                    document::fetch_document(&anonymous, &url, &self.files, door, MOST_DOCUMENT)
                        .await?
                } else {
                    document::fetch_document(client, &url, &self.files, door, MOST_DOCUMENT).await?
                };
                let read =
                    crate::spawn::blocking(move || dadl_openapi::fit::document_offer(&document));
                read.await.map_err(|_| LearnError::NotAsked)??
            }
            FitSource::Methods(tool) => {
                let text = self.answer(gate.check_fit(backend), tool).await?;
                let has = methods(&text).ok_or_else(|| LearnError::NoList(tool.clone()))?;
                ServerOffer { has, ..ServerOffer::default() }
            }
        };
        if let Some(says) = &fit.version {
            let text = self.answer(gate.check_fit_version(backend), &says.tool).await?;
            offer.version = parse_version(&text, says);
        }
        Ok(offer)
    }

    /// Calls a tool that says something about the server, and gives its whole result.
    async fn answer(
        &self,
        pending: Option<Result<PendingCall<'_>, CallRefusal>>,
        tool: &str,
    ) -> Result<String, LearnError> {
        let no_list = || LearnError::NoList(tool.to_owned());
        let admitted = pending.ok_or_else(no_list)?.and_then(PendingCall::admit);
        let admitted = admitted.map_err(|refusal| LearnError::Refused(Box::new(refusal)))?;
        let context = CallContext::default();
        let done = self.execute(admitted, &context).await;
        match done.map_err(|error| LearnError::Call(Box::new(error)))? {
            CallOutcome { payload: AnswerPayload::Json(text), next: None, notes, .. }
                if notes.is_empty() =>
            {
                Ok(text.into_string())
            }
            _ => Err(no_list()),
        }
    }
}

/// Learns what a server has, and says so in the log. The type is named: the call that asks is one of
/// those after which this begins.
fn learn(executor: Executor, gate: Gate, backend: BackendId) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let all = || gate.catalog().entries().iter().filter(|entry| entry.backend == backend);
        let Some(first) = all().next() else { return };
        let name = &first.backend_name;
        let descriptor = first.descriptor();
        let offer = match executor.learn_now(&gate, backend, descriptor).await {
            Ok(offer) => offer,
            Err(error) => {
                tracing::debug!(backend = %name, %error, "nobody knows what the server has");
                return;
            }
        };
        let lacks = |entry: &&CatalogEntry| {
            let standing = standing(descriptor, entry.declared_name(), Some(&offer));
            entry.is_listed() && matches!(standing, ToolAvailability::Lacks(_))
        };
        let missing = all().filter(lacks).count();
        let (Some(fit), 1..) = (&descriptor.fit, missing) else { return };
        let server = offer.version.map_or_else(|| fit.product.clone(), |it| fit.named(it));
        tracing::info!(
            "backend \"{name}\" has {server}: {missing} of the listed tools are not there; the next \
             start leaves them out"
        );
    })
}

/// Reads a list of names of methods, if it is one and has bounds.
fn methods(text: &str) -> Option<BTreeSet<String>> {
    let mut has = BTreeSet::new();
    for item in scan::array_items(text)? {
        let name = scan::unquote(item)?;
        if name.is_empty() || name.len() > LONGEST_HAS || has.len() >= MOST_HAS {
            return None;
        }
        has.insert(name.into_owned());
    }
    Some(has)
}

fn parse_version(text: &str, says: &FitVersion) -> Option<ServerVersion> {
    let found = match &says.path {
        Some(path) => path.look(text)?,
        None => text.trim(),
    };
    scan::unquote(found)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_methods_has_bounds() {
        let names = methods(r#"["a.b","c"]"#).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a.b", "c"]);
        let many: Vec<String> = (0..=MOST_HAS).map(|at| format!("\"{at}\"")).collect();
        let many = format!("[{}]", many.join(","));
        for text in ["{}", "\"a\"", "[1]", "[\"\"]", "[[\"a\"]]", &many] {
            assert_eq!(methods(text), None, "{text:.40}");
        }
    }

    #[test]
    fn a_version_is_found_where_it_is_said() {
        let says = |path: Option<&str>| FitVersion {
            tool: "get_server_version".to_owned(),
            path: path
                .map(|path| dadl_descriptor::model::json_path::JsonPath::compile(path).unwrap()),
        };
        let found = |text: &str, path| parse_version(text, &says(path)).map(|it| it.to_string());
        assert_eq!(found("\"0.31.6\"", None).as_deref(), Some("0.31.6"));
        assert_eq!(found(r#"{"v":"1.2"}"#, Some("$.v")).as_deref(), Some("1.2.0"));
        assert_eq!(found(r#"{"v":1}"#, Some("$.v")), None);
        assert_eq!(found("\"new\"", None), None);
    }

    #[test]
    fn a_server_is_asked_once() {
        let known = KnownServer::new(None, None);
        assert!(known.begins() && !known.begins());
        known.ends();
        assert!(!known.begins());
        // It said so a moment ago.
        known.reopen();
        assert!(!known.begins());
        let note = ServerNote { offer: ServerOffer::default(), checked: SystemTime::now() };
        let fresh = KnownServer::new(None, Some(&note));
        assert!(!fresh.begins());
        fresh.reopen();
        assert!(fresh.begins());
    }
}
