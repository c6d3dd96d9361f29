//! The same server over streamable HTTP: a session of the revisions with `initialize` is a server of its own,
//! and requests of the revision without go to one that all share. What a server says while it handles a
//! request goes into the answer to that; what it says besides, to whoever listens (`GET`).

use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufReader, Read, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc as lines,
    },
    thread,
};

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{honest, script::ServerScript, serve::serve_script};
use crate::server::{HttpReply, HttpService, RunningService, ServiceRequest};

/// The only path.
const PATH: &str = "/mcp";

/// What names a session.
const SESSION: &str = "mcp-session-id";

/// A larger message is none, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// So many events wait for a client that does not read.
const MOST_EVENTS: usize = 64;

/// So many messages wait for somebody who listens; the oldest makes room.
const MOST_KEPT: usize = 64;

/// A server that does what a script says, over HTTP. Dropping it closes the listener.
#[derive(Debug)]
pub struct ScriptedSite {
    running: RunningService<SiteService>,
    ended: mpsc::Receiver<u8>,
}

impl ScriptedSite {
    /// Starts to serve. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Those of listening.
    pub async fn start(script: ServerScript, listen: SocketAddr) -> io::Result<Self> {
        let (end, ended) = mpsc::channel(1);
        let state = Mutex::new(SiteState::default());
        let service = SiteService { script: Arc::new(script), end, state };
        Ok(Self { running: RunningService::start(service, listen, false).await?, ended })
    }

    /// Returns the whole URL of the endpoint.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.running.address())
    }

    /// Waits until a script ends the server, and returns its exit code.
    pub async fn ended(&mut self) -> u8 {
        match self.ended.recv().await {
            Some(code) => code,
            // The service has the other end, and lives as long as this.
            None => std::future::pending().await,
        }
    }
}

/// What answers requests.
#[derive(Debug)]
struct SiteService {
    script: Arc<ServerScript>,
    end: mpsc::Sender<u8>,
    state: Mutex<SiteState>,
}

#[derive(Debug, Default)]
struct SiteState {
    count: u64,
    sessions: HashMap<String, Arc<ScriptSession>>,
    /// That of the revision without sessions.
    shared: Option<Arc<ScriptSession>>,
}

/// A server that runs in a thread of its own.
#[derive(Debug)]
struct ScriptSession {
    input: Mutex<lines::Sender<Vec<u8>>>,
    routes: Arc<Mutex<EventRoutes>>,
    is_left: Arc<AtomicBool>,
}

/// Where what a server says goes.
#[derive(Debug, Default)]
struct EventRoutes {
    /// The requests that are being handled, the newest last: their ids as JSON.
    open: Vec<(String, mpsc::Sender<Bytes>)>,
    listener: Option<mpsc::Sender<Bytes>>,
    kept: VecDeque<Bytes>,
}

impl EventRoutes {
    /// Returns where a line goes, and takes the route away when it is the answer to its request.
    fn of(&mut self, line: &str) -> Option<mpsc::Sender<Bytes>> {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let id = message.get("id").filter(|_| message.get("method").is_none());
        let subscription = message.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
        let at = |id: &Value| {
            let id = id.to_string();
            self.open.iter().position(|(open, _)| *open == id)
        };
        if let Some(id) = id {
            let at = at(id)?;
            return Some(self.open.remove(at).1);
        }
        let at = subscription.and_then(at).or(self.open.len().checked_sub(1));
        let route = at.and_then(|at| self.open.get(at)).map(|(_, route)| route);
        route.or(self.listener.as_ref()).cloned()
    }

    fn keep(&mut self, event: Bytes) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }
}

impl ScriptSession {
    fn start(script: Arc<ServerScript>, end: mpsc::Sender<u8>) -> Self {
        let (input, given) = lines::channel();
        let (routes, is_left) =
            (Arc::<Mutex<EventRoutes>>::default(), Arc::<AtomicBool>::default());
        let output = EventWriter { routes: Arc::clone(&routes), line: Vec::new() };
        let left = Arc::clone(&is_left);
        thread::spawn(move || {
            let input = BufReader::new(GivenLines { given, rest: io::Cursor::default() });
            let code = serve_script(&script, input, output, io::stderr());
            // A session that was left is no end of the server.
            if !left.load(Ordering::Relaxed) {
                let _ = end.blocking_send(code.unwrap_or(1));
            }
        });
        Self { input: Mutex::new(input), routes, is_left }
    }

    /// Hands a message to the server.
    fn give(&self, message: &Value) {
        let line = format!("{message}\n").into_bytes();
        // One that has ended hears nothing.
        let _ = self.input.lock().unwrap_or_else(PoisonError::into_inner).send(line);
    }

    fn routes(&self) -> MutexGuard<'_, EventRoutes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the stream of the answer to a request.
    fn open(&self, id: &Value) -> HttpReply {
        let (sender, events) = mpsc::channel(MOST_EVENTS);
        self.routes().open.push((id.to_string(), sender));
        HttpReply::stream("text/event-stream", events)
    }

    /// Returns the stream of what belongs to no request.
    fn listen(&self) -> HttpReply {
        let (sender, events) = mpsc::channel(MOST_EVENTS);
        let mut routes = self.routes();
        for event in std::mem::take(&mut routes.kept) {
            let _ = sender.try_send(event);
        }
        routes.listener = Some(sender);
        HttpReply::stream("text/event-stream", events)
    }
}

/// The lines that clients give, one after the other, until nobody gives any more.
struct GivenLines {
    given: lines::Receiver<Vec<u8>>,
    rest: io::Cursor<Vec<u8>>,
}

impl Read for GivenLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.rest.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            match self.given.recv() {
                Ok(line) => self.rest = io::Cursor::new(line),
                Err(_) => return Ok(0),
            }
        }
    }
}

/// Makes an event of each line.
struct EventWriter {
    routes: Arc<Mutex<EventRoutes>>,
    line: Vec<u8>,
}

impl Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.send(String::from_utf8_lossy(&line).trim_end());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventWriter {
    fn send(&self, line: &str) {
        let event = Bytes::from(format!("event: message\ndata: {line}\n\n"));
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        match routes.of(line) {
            Some(route) => {
                drop(routes);
                // A client that went away hears nothing.
                let _ = route.blocking_send(event);
            }
            None => routes.keep(event),
        }
    }
}

impl SiteService {
    fn state(&self) -> MutexGuard<'_, SiteState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_session(&self) -> Arc<ScriptSession> {
        Arc::new(ScriptSession::start(Arc::clone(&self.script), self.end.clone()))
    }

    /// Returns the server that a message is for.
    fn session_of(
        &self,
        session: Option<&str>,
        message: &Value,
    ) -> Result<Arc<ScriptSession>, u16> {
        if let Some(session) = session {
            return self.state().sessions.get(session).cloned().ok_or(404);
        }
        if honest::is_stateless(message.get("params").unwrap_or(&Value::Null)) {
            let mut state = self.state();
            return Ok(Arc::clone(state.shared.get_or_insert_with(|| self.start_session())));
        }
        Err(400)
    }

    async fn post(&self, request: &mut ServiceRequest) -> HttpReply {
        let body = request.body.collect(LARGEST).await.unwrap_or_default();
        let Ok(message @ Value::Object(_)) = serde_json::from_slice::<Value>(&body) else {
            return HttpReply::empty(StatusCode::BAD_REQUEST);
        };
        let id = message.get("id").filter(|_| message.get("method").is_some());
        let session = request.header(SESSION);
        if let (None, Some("initialize"), Some(id)) =
            (session, message.get("method").and_then(Value::as_str), id)
        {
            let session = self.start_session();
            let name = {
                let mut state = self.state();
                state.count += 1;
                let name = format!("session-{}", state.count);
                state.sessions.insert(name.clone(), Arc::clone(&session));
                name
            };
            let reply = session.open(id);
            session.give(&message);
            return reply.header(HeaderName::from_static(SESSION), &name);
        }
        match (self.session_of(session, &message), id) {
            (Ok(session), Some(id)) => {
                let reply = session.open(id);
                session.give(&message);
                reply
            }
            (Ok(session), None) => {
                session.give(&message);
                HttpReply::empty(StatusCode::ACCEPTED)
            }
            (Err(404), _) => HttpReply::empty(StatusCode::NOT_FOUND),
            (Err(_), _) => HttpReply::empty(StatusCode::BAD_REQUEST),
        }
    }
}

impl HttpService for SiteService {
    async fn answer(self: Arc<Self>, request: &mut ServiceRequest) -> HttpReply {
        if request.path != PATH {
            return HttpReply::empty(StatusCode::NOT_FOUND);
        }
        let session = request.header(SESSION).map(str::to_owned);
        match (request.method.clone(), session) {
            (Method::POST, _) => self.post(request).await,
            (Method::GET, Some(session)) => match self.state().sessions.get(&session) {
                Some(session) => session.listen(),
                None => HttpReply::empty(StatusCode::NOT_FOUND),
            },
            (Method::DELETE, Some(session)) => match self.state().sessions.remove(&session) {
                Some(session) => {
                    session.is_left.store(true, Ordering::Relaxed);
                    HttpReply::empty(StatusCode::OK)
                }
                None => HttpReply::empty(StatusCode::NOT_FOUND),
            },
            _ => HttpReply::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_says_goes_where_it_belongs() {
        let mut routes = EventRoutes::default();
        let (first, mut of_first) = mpsc::channel(4);
        let (second, mut of_second) = mpsc::channel(4);
        routes.open = vec![("1".to_owned(), first), ("\"b\"".to_owned(), second)];
        let subscription = json!({ "method": "notifications/x", "params": {
            "_meta": { "io.modelcontextprotocol/subscriptionId": 1 } } });
        for line in [
            json!({ "method": "notifications/progress" }),
            json!({ "id": "s", "method": "roots/list" }),
            subscription,
            json!({ "id": "b", "result": {} }),
            json!({ "method": "notifications/late" }),
            json!({ "id": 1, "error": {} }),
        ] {
            let line = line.to_string();
            routes.of(&line).unwrap().try_send(Bytes::from(line.clone())).unwrap();
        }
        let took = |events: &mut mpsc::Receiver<Bytes>| {
            std::iter::from_fn(|| events.try_recv().ok()).count()
        };
        assert_eq!((took(&mut of_first), took(&mut of_second)), (3, 3));
        assert!(routes.of("{}").is_none() && routes.of(r#"{"id":1,"result":{}}"#).is_none());
    }
}
