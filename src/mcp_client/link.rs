//! A server as a backend: started when something is wanted of it, and started again when it has ended.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::{sync::watch, time::timeout};

use super::{
    call_slot::RawResult,
    clock::CallClock,
    error::{ServerError, ServerFault},
    news::ServerNews,
    pages::{PageListener, PageVisit},
    questions::{CallerPlace, QuestionDesk},
    requests::{ServerList, ToolAnswer, ToolCall},
    restart::RestartPause,
    session::{ProgressListener, Session},
    settings::{LinkPlace, LinkSettings, ServerEra},
};
use crate::{
    secrets::Secrets,
    shares::{ClientKey, SharedBudget},
};

/// The least time between two starts that nobody asked for.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// One server; a clone is the same one. The server ends when the last clone is gone.
#[derive(Clone)]
pub struct ServerLink(Arc<LinkInner>);

struct LinkInner {
    settings: Arc<LinkSettings>,
    secrets: Secrets,
    room: SharedBudget,
    starts: watch::Sender<u64>,
    news: ServerNews,
    desk: QuestionDesk,
    state: Mutex<LinkStage>,
    pause: Mutex<RestartPause>,
}

type StartOutcome = Option<Result<Arc<Session>, ServerFault>>;

/// How far the server is.
enum LinkStage {
    /// Nobody has wanted anything.
    Idle,
    /// It was started: all who want something wait for the same start.
    Started(watch::Receiver<StartOutcome>),
    /// It was ended, and is not started again.
    Stopped,
}

/// How a server is, for those who ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It was not started.
    Idle,
    /// It starts.
    Starting,
    /// It has introduced itself.
    Up {
        /// How.
        era: ServerEra,
        /// The revision of the protocol.
        revision: String,
    },
    /// It could not be started.
    Failed(ServerFault),
    /// It ended by itself; what wants something of it starts it again.
    Ended,
    /// It was ended by us.
    Stopped,
}

impl fmt::Debug for ServerLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ServerLink").field(&self.0.settings.backend).finish()
    }
}

impl ServerLink {
    /// Makes a link with memory of its own; nothing is started.
    pub fn new(settings: LinkSettings, secrets: Secrets) -> Self {
        let room = SharedBudget::new(settings.limits.memory);
        Self::sharing(settings, secrets, room)
    }

    /// Makes a link whose messages share memory with all others; nothing is started.
    pub(crate) fn sharing(settings: LinkSettings, secrets: Secrets, room: SharedBudget) -> Self {
        Self(Arc::new(LinkInner {
            settings: Arc::new(settings),
            secrets,
            room,
            starts: watch::channel(0).0,
            news: ServerNews::default(),
            desk: QuestionDesk::default(),
            state: Mutex::new(LinkStage::Idle),
            pause: Mutex::default(),
        }))
    }

    /// Returns the name of the backend.
    pub fn backend(&self) -> &str {
        &self.0.settings.backend
    }

    /// Asks for all that the server has.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn list(&self, time: Duration) -> Result<ServerList, ServerError> {
        self.with_session(time, async |session, left| session.lists(left).await).await
    }

    /// Calls a tool, and returns its result as the server wrote it; `listener` hears how far it is.
    ///
    /// When the time is over, or the future is dropped, the server is told that nobody waits any more.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`]; [`ServerFault::is_unsure`] says of which it is not known whether the tool did
    /// something.
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        time: Duration,
        listener: ProgressListener<'_>,
    ) -> Result<ToolAnswer, ServerError> {
        let call = ToolCall { tool, arguments, answers: None, as_task: false };
        self.call_by(call, &CallClock::new(time), listener).await
    }

    /// Does so by a clock that may stand still.
    ///
    /// # Errors
    ///
    /// Those of [`call`](Self::call).
    pub async fn call_by(
        &self,
        call: ToolCall<'_>,
        clock: &CallClock,
        listener: ProgressListener<'_>,
    ) -> Result<ToolAnswer, ServerError> {
        let request = async |session: &Session, _| session.call(call, clock, listener).await;
        self.with_session_by(clock, request).await
    }

    /// Makes a request that has no type of its own.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub(crate) async fn other(
        &self,
        method: &str,
        params: Value,
        clock: &CallClock,
    ) -> Result<RawResult, ServerError> {
        let request = async |session: &Session, _| session.other(method, params, clock).await;
        self.with_session_by(clock, request).await
    }

    /// Takes the place of a call that is about to be made, at which questions of the server arrive where
    /// somebody can be asked.
    pub fn place(&self, client: ClientKey, can_ask: bool) -> CallerPlace {
        self.0.desk.place(client, can_ask)
    }

    /// Has `done` told when the server says that the page with this id is done with.
    pub(crate) fn expect_page(&self, id: &str, done: PageListener) -> PageVisit {
        self.0.news.pages().expect(id, done)
    }

    /// Returns whether tasks of the server are those of 2025-11-25, as far as it has introduced itself.
    pub(crate) fn has_older_tasks(&self) -> bool {
        matches!(self.state(), LinkState::Up { era: ServerEra::Initialize, .. })
    }

    /// Returns whether the server ends with this program.
    pub(crate) fn ends_with_us(&self) -> bool {
        matches!(self.0.settings.place, LinkPlace::Process(_))
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    ///
    /// See [`ServerFault`].
    pub async fn ping(&self, time: Duration) -> Result<(), ServerError> {
        self.with_session(time, async |session, left| session.ping(left).await).await
    }

    /// Returns how the server is.
    pub fn state(&self) -> LinkState {
        match &*self.stage() {
            LinkStage::Idle => LinkState::Idle,
            LinkStage::Stopped => LinkState::Stopped,
            LinkStage::Started(outcome) => match &*outcome.borrow() {
                None if outcome.has_changed().is_err() => LinkState::Ended,
                None => LinkState::Starting,
                Some(Err(fault)) => LinkState::Failed(fault.clone()),
                Some(Ok(session)) if session.is_over() => LinkState::Ended,
                Some(Ok(session)) => LinkState::Up {
                    era: session.era,
                    revision: session.info.protocol_version.to_string(),
                },
            },
        }
    }

    /// Returns what counts how often the server said that a list of its has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.news.changes()
    }

    /// Returns what counts how often the server has introduced itself: each time it may have other lists.
    pub fn starts(&self) -> watch::Receiver<u64> {
        self.0.starts.subscribe()
    }

    /// Returns the last lines that the server wrote on its standard error, without secrets.
    pub fn last_lines(&self) -> Vec<String> {
        self.session().map(|session| session.last_lines()).unwrap_or_default()
    }

    /// Ends the server: its input is closed, then it is asked to end, then it is ended. It is not started
    /// again.
    pub async fn end(&self) {
        let session = self.session();
        *self.stage() = LinkStage::Stopped;
        if let Some(session) = session {
            session.stop().await;
        }
    }

    /// Makes a request of the server, which is started when it does not run.
    pub(super) async fn with_session<Answer>(
        &self,
        time: Duration,
        request: impl AsyncFnOnce(&Session, Duration) -> Result<Answer, ServerFault>,
    ) -> Result<Answer, ServerError> {
        self.with_session_by(&CallClock::new(time), request).await
    }

    /// Does so by a clock that may stand still.
    async fn with_session_by<Answer>(
        &self,
        clock: &CallClock,
        request: impl AsyncFnOnce(&Session, Duration) -> Result<Answer, ServerFault>,
    ) -> Result<Answer, ServerError> {
        let after = clock.time();
        let run = async {
            let late = ServerFault::Starting { after };
            let session = timeout(clock.left(), self.started()).await.map_err(|_| late)??;
            request(&session, clock.left()).await
        };
        let named = |fault| match fault {
            // A part of the time went into the start.
            ServerFault::Timeout { .. } => ServerFault::Timeout { after },
            fault => fault,
        };
        run.await.map_err(|fault| {
            let down = self.0.pause().down(Instant::now());
            named(fault).of(self.backend()).down_for(down)
        })
    }

    /// Returns the server, as soon as it has introduced itself.
    async fn started(&self) -> Result<Arc<Session>, ServerFault> {
        let mut outcome = self.start()?;
        let outcome = outcome.wait_for(Option::is_some).await;
        // The start goes on when who wanted it goes away; only the end of the program ends it.
        outcome.ok().and_then(|outcome| (*outcome).clone()).unwrap_or(Err(ServerFault::Stopped))
    }

    /// Starts the server, unless it runs or has to wait.
    fn start(&self) -> Result<watch::Receiver<StartOutcome>, ServerFault> {
        let mut stage = self.stage();
        match &*stage {
            LinkStage::Stopped => return Err(ServerFault::Stopped),
            LinkStage::Started(outcome) if is_of_use(outcome) => return Ok(outcome.clone()),
            LinkStage::Started(_) | LinkStage::Idle => {}
        }
        if let Some((left, why)) = self.0.pause().left(Instant::now()) {
            return Err(ServerFault::Pausing { left, why: why.to_owned() });
        }
        let (sender, outcome) = watch::channel(None);
        *stage = LinkStage::Started(outcome.clone());
        // Who wants something of it may go away while others wait.
        crate::spawn::task(self.0.run_server(Arc::downgrade(&self.0), sender));
        Ok(outcome)
    }

    /// Starts a server again whose resources are watched, as soon as it may be.
    fn revive(weak: Weak<LinkInner>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let link = weak.upgrade().map(Self).filter(|it| it.0.news.is_watched());
                let Some(link) = link else { return };
                let wait = match link.started().await {
                    Ok(_) | Err(ServerFault::Stopped) => return,
                    Err(ServerFault::Pausing { left, .. }) => left,
                    Err(_) => LEAST_PAUSE,
                };
                drop(link);
                tokio::time::sleep(wait).await;
            }
        })
    }

    /// Returns what the server tells without being asked.
    pub(super) fn news(&self) -> &ServerNews {
        &self.0.news
    }

    fn session(&self) -> Option<Arc<Session>> {
        match &*self.stage() {
            LinkStage::Started(outcome) => outcome.borrow().as_ref()?.as_ref().ok().cloned(),
            LinkStage::Idle | LinkStage::Stopped => None,
        }
    }

    fn stage(&self) -> MutexGuard<'_, LinkStage> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkInner {
    /// Starts the server for those who wait for it, and notes how it ended.
    fn run_server(
        &self,
        link: Weak<Self>,
        started: watch::Sender<StartOutcome>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (settings, secrets) = (Arc::clone(&self.settings), self.secrets.clone());
        let (room, news, desk) = (self.room.clone(), self.news.clone(), self.desk.clone());
        async move {
            let opened = tokio::select! {
                opened = Session::open(&settings, &secrets, &room, &news, &desk) => opened,
                // All clones of the link are gone.
                () = started.closed() => return,
            };
            let ended = |life, fault: &ServerFault| {
                if let Some(link) = link.upgrade() {
                    link.pause().ended(life, fault.to_string(), Instant::now());
                }
            };
            let session = match opened {
                Ok(session) => Arc::new(session),
                Err(fault) => {
                    ended(Duration::ZERO, &fault);
                    started.send_replace(Some(Err(fault)));
                    return;
                }
            };
            let (over, begun) = (session.over(), Instant::now());
            // The link has it: without a link there is no server.
            let weak = Arc::downgrade(&session);
            if let Some(link) = link.upgrade() {
                link.pause().is_up();
                link.starts.send_modify(|count| *count += 1);
            }
            let keeper = crate::spawn::task(session.keeper().run());
            started.send_replace(Some(Ok(session)));
            drop(started);
            over.cancelled().await;
            keeper.abort();
            if let Some(session) = weak.upgrade() {
                let life = begun.elapsed();
                ended(life, &session.bury().await);
            }
            ServerLink::revive(link).await;
        }
    }

    fn pause(&self) -> MutexGuard<'_, RestartPause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a start is worth waiting for, or has led to a server that runs.
fn is_of_use(outcome: &watch::Receiver<StartOutcome>) -> bool {
    match &*outcome.borrow() {
        None => outcome.has_changed().is_ok(),
        Some(Ok(session)) => !session.is_over(),
        Some(Err(_)) => false,
    }
}
