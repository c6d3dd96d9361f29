//! A server that has introduced itself, and the requests that are made of it.

use std::{io, sync::Arc, time::Duration};

use dadl_text::text;
use rmcp::{
    RoleClient,
    model::{
        ClientRequest, CustomRequest, GetExtensions as _, MetaObject, ProtocolVersion,
        RequestMetaObject, ServerPeerInfo,
    },
    service::{
        ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, Peer,
        PeerRequestOptions, RequestHandle, RunningService, ServiceError,
    },
    transport::DynamicTransportError,
};
use serde_json::{Map, json};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    call_slot::{CallSlot, RawResult},
    clock::CallClock,
    decode::ServerProgress,
    error::ServerFault,
    error_output::{self, LastLines},
    handler::AnsweringClient,
    http_link::{self, HttpEnd},
    line_reader::LineReader,
    line_transport::{Connection, LineTransport},
    line_writer,
    message_source::LinkSource,
    news::ServerNews,
    process::{self, ServerProcess, StartedServer},
    process_end::ProcessEnd,
    questions::QuestionDesk,
    settings::{LinkPlace, LinkSettings, ProcessSettings, ServerEra},
};
use crate::{secrets::Secrets, shares::SharedBudget};

/// How long the status of a process may take that has closed its output.
const STATUS: Duration = Duration::from_secs(1);

/// How much of the last line of a server is quoted, in characters.
const LAST_WORDS: usize = 300;

/// Where a request says which messages of the log are wanted.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Hears how far a request is; must not block.
pub type ProgressListener<'call> = &'call (dyn Fn(&ServerProgress) + Send + Sync);

/// A server that runs and has introduced itself.
pub(super) struct Session {
    pub(super) peer: Peer<RoleClient>,
    service: Mutex<Option<(RunningService<RoleClient, AnsweringClient>, LinkEnd)>>,
    pub(super) connection: Connection,
    process_end: watch::Receiver<Option<ProcessEnd>>,
    last_lines: LastLines,
    /// How it introduced itself.
    pub(super) era: ServerEra,
    /// What it said then.
    pub(super) info: Arc<ServerPeerInfo>,
    patience: Duration,
    log_level: Option<&'static str>,
}

/// A server to which messages go.
struct ConnectedServer {
    transport: LineTransport<LinkSource>,
    connection: Connection,
    end: LinkEnd,
    last_lines: LastLines,
}

/// What ends a server, or what there is between us.
enum LinkEnd {
    Http(HttpEnd),
    Process(ServerProcess),
}

impl LinkEnd {
    /// Returns what tells how a process ended; of another server it never tells.
    fn watch_end(&self) -> watch::Receiver<Option<ProcessEnd>> {
        match self {
            Self::Http(_) => watch::channel(None).1,
            Self::Process(process) => process.watch_end(),
        }
    }

    /// Returns why an introduction failed where it was not for what the server said of it.
    fn take_refusal(&self) -> Option<ServerFault> {
        match self {
            Self::Http(end) => end.take_refusal(),
            Self::Process(_) => None,
        }
    }

    /// Ends it, after the input was closed.
    async fn end(self, patience: Duration) {
        match self {
            Self::Http(end) => end.end(patience).await,
            Self::Process(process) => process.end(patience).await,
        }
    }
}

/// Why an introduction failed.
enum IntroductionFault {
    /// The server refused this kind, or ended when it saw it: the other kind may work.
    OfThisEra(ServerFault),
    /// No kind will work.
    Final(ServerFault),
}

impl Session {
    /// Starts a server and introduces us to it, in the era that it speaks.
    pub(super) async fn open(
        settings: &LinkSettings,
        secrets: &Secrets,
        room: &SharedBudget,
        news: &ServerNews,
        desk: &QuestionDesk,
    ) -> Result<Self, ServerFault> {
        let client = AnsweringClient::new(desk.clone(), settings.offer.clone());
        let deadline = Instant::now() + settings.limits.start;
        let mut server = ConnectedServer::start(settings, secrets, room, news)?;
        let first = settings.first_era;
        let mut refused = None;
        for era in [first, first.other()] {
            if refused.is_some() && server.connection.ended.is_cancelled() {
                // Some servers end when they do not understand their first message.
                server.end(settings.limits.end).await;
                server = ConnectedServer::start(settings, secrets, room, news)?;
            }
            match server.introduce(&client, era, settings, deadline).await {
                Ok(service) => {
                    let session = server.session(service, era, settings).await;
                    session.set_log_level(deadline).await;
                    return Ok(session);
                }
                Err(IntroductionFault::Final(fault)) => {
                    server.end(settings.limits.end).await;
                    return Err(fault);
                }
                Err(IntroductionFault::OfThisEra(fault)) => {
                    // What is said to the kind that was expected is worth more.
                    refused.get_or_insert(fault);
                }
            }
        }
        server.end(settings.limits.end).await;
        Err(refused.unwrap_or(ServerFault::Stopped))
    }

    /// Says which messages are wanted, where the operator does; a later revision hears it with each
    /// request.
    async fn set_log_level(&self, deadline: Instant) {
        let (Some(level), ServerEra::Initialize) = (self.log_level, self.era) else { return };
        if self.info.capabilities.logging.is_none() {
            return;
        }
        let request = CustomRequest::new("logging/setLevel", Some(json!({ "level": level })));
        let time = deadline.saturating_duration_since(Instant::now());
        if let Err(error) = self.request(request.into(), time, &|_| {}).await {
            tracing::debug!(backend = &*self.connection.backend, %error, "no log level was set");
        }
    }

    /// Makes a request, and returns its result as it came.
    ///
    /// The server is told when nobody waits any more: when the time is over, or the future is dropped.
    pub(super) async fn request(
        &self,
        request: ClientRequest,
        time: Duration,
        listener: ProgressListener<'_>,
    ) -> Result<RawResult, ServerFault> {
        self.request_by(request, &CallClock::new(time), listener).await
    }

    /// Does so by a clock that may stand still.
    pub(super) async fn request_by(
        &self,
        mut request: ClientRequest,
        clock: &CallClock,
        listener: ProgressListener<'_>,
    ) -> Result<RawResult, ServerFault> {
        let time = clock.left();
        let deadline = Instant::now() + time;
        let slot = Arc::new(CallSlot::default());
        request.extensions_mut().insert(Arc::clone(&slot));
        let mut progress = slot.listen();
        let mut options = PeerRequestOptions::no_options();
        if let (Some(level), ServerEra::Discover) = (self.log_level, self.era) {
            let level = Map::from_iter([(LOG_LEVEL.to_owned(), level.into())]);
            options.meta = Some(RequestMetaObject(MetaObject(level)));
        }
        let sent = timeout_at(deadline, self.peer.send_request_with_option(request, options)).await;
        let handle = match sent {
            Ok(Ok(handle)) => handle,
            Ok(Err(_)) => return Err(self.why_ended().await),
            Err(_) => return Err(ServerFault::Busy),
        };
        let mut open = OpenCall { handle: Some(handle), connection: self.connection.clone() };
        loop {
            let Some(handle) = &mut open.handle else { return Err(ServerFault::Stopped) };
            tokio::select! {
                biased;
                answered = &mut handle.rx => {
                    open.close();
                    // What came just before the answer is news, too.
                    if progress.has_changed().unwrap_or_default() {
                        progress.borrow_and_update().iter().for_each(listener);
                    }
                    return match (answered, slot.take()) {
                        (_, Some(answer)) => answer,
                        (Ok(Err(ServiceError::TransportSend(error))), None) if is_full(&error) => {
                            Err(ServerFault::Busy)
                        }
                        // Nothing but the transport answers a request that has a slot.
                        (_, None) => Err(self.why_ended().await),
                    };
                }
                // Its sender is in the slot, which lives as long.
                _ = progress.changed() => {
                    let newest = progress.borrow_and_update().clone();
                    newest.iter().for_each(listener);
                }
                () = self.connection.ended.cancelled() => {
                    open.close();
                    return match slot.take() {
                        Some(answer) => answer,
                        None => Err(self.why_ended().await),
                    };
                }
                () = clock.over() => {
                    return Err(ServerFault::Timeout { after: time });
                }
            }
        }
    }

    /// Returns a text of the server without secrets.
    pub(super) fn masked(&self, text: String) -> String {
        self.connection.secrets.masked(text)
    }

    /// Returns whether the server is gone.
    pub(super) fn is_over(&self) -> bool {
        self.connection.ended.is_cancelled()
    }

    /// Returns the last lines that the server wrote on its standard error.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last_lines.all()
    }

    /// Returns what is cancelled when nothing comes any more.
    pub(super) fn over(&self) -> CancellationToken {
        self.connection.ended.clone()
    }

    /// Closes the input of the server, and ends it when it does not end by itself.
    pub(super) async fn stop(&self) {
        let _ = self.connection.fault.set(ServerFault::Stopped);
        self.end().await;
    }

    /// Does the same to a server from which nothing comes any more, and says how it ended.
    pub(super) async fn bury(&self) -> ServerFault {
        let fault = self.why_ended().await;
        self.end().await;
        fault
    }

    async fn end(&self) {
        let Some((mut service, end)) = self.service.lock().await.take() else { return };
        // With it the library lets go of the transport, and with that of the input of the server.
        let _ = service.close_with_timeout(self.patience).await;
        drop(service);
        end.end(self.patience).await;
    }

    async fn why_ended(&self) -> ServerFault {
        why_ended(&self.connection, self.process_end.clone(), &self.last_lines).await
    }
}

/// Says whether an introduction of the other kind may work after one that brought an error of HTTP.
fn introduction_fault(fault: ServerFault) -> IntroductionFault {
    match &fault {
        // What does not know a message may say so in many ways.
        ServerFault::NoEndpoint { .. }
        | ServerFault::OtherContent { .. }
        | ServerFault::Unreadable(_) => IntroductionFault::OfThisEra(fault),
        ServerFault::Status { status, .. } if (400..429).contains(status) => {
            IntroductionFault::OfThisEra(fault)
        }
        _ => IntroductionFault::Final(fault),
    }
}

/// Returns whether a message was not sent because too many wait.
fn is_full(error: &DynamicTransportError) -> bool {
    let error = error.error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Says why nothing comes any more.
async fn why_ended(
    connection: &Connection,
    mut process_end: watch::Receiver<Option<ProcessEnd>>,
    last_lines: &LastLines,
) -> ServerFault {
    if let Some(fault) = connection.fault.get() {
        return fault.clone();
    }
    let end = match timeout(STATUS, process_end.wait_for(Option::is_some)).await {
        Ok(Ok(end)) => *end,
        _ => None,
    };
    ServerFault::Ended { end, last_words: last_lines.last(LAST_WORDS) }
}

impl ConnectedServer {
    fn start(
        settings: &LinkSettings,
        secrets: &Secrets,
        room: &SharedBudget,
        news: &ServerNews,
    ) -> Result<Self, ServerFault> {
        let mut connection = Connection::new(&settings.backend, secrets.clone());
        connection.news = news.clone();
        match &settings.place {
            LinkPlace::Process(process) => Self::start_process(process, settings, connection, room),
            LinkPlace::Http(http) => {
                let (transport, end) = http_link::connect(http, settings.limits, room, &connection);
                let last_lines = LastLines::default();
                Ok(Self { transport, connection, end: LinkEnd::Http(end), last_lines })
            }
        }
    }

    fn start_process(
        process: &ProcessSettings,
        settings: &LinkSettings,
        connection: Connection,
        room: &SharedBudget,
    ) -> Result<Self, ServerFault> {
        let StartedServer { input, output, errors, process } = process::start(process)?;
        let last_lines = LastLines::default();
        let (queue, queued) = line_writer::queue();
        crate::spawn::task(line_writer::write_all(input, queued));
        let (lines, backend) = (last_lines.clone(), settings.backend.clone());
        let masks = connection.secrets.clone();
        crate::spawn::task(async move {
            error_output::log_lines(errors, &backend, &masks, &lines).await;
        });
        let limits = settings.limits;
        let reader = LineReader::new(output, limits.message, room.clone(), limits.memory);
        let transport =
            LineTransport::new(LinkSource::Lines(Box::new(reader)), queue, connection.clone());
        Ok(Self { transport, connection, end: LinkEnd::Process(process), last_lines })
    }

    /// Introduces us; the connection stays as it is when that fails.
    async fn introduce(
        &self,
        client: &AnsweringClient,
        era: ServerEra,
        settings: &LinkSettings,
        deadline: Instant,
    ) -> Result<RunningService<RoleClient, AnsweringClient>, IntroductionFault> {
        let lifecycle = match era {
            ServerEra::Initialize => ClientLifecycleMode::Initialize,
            ServerEra::Discover => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        let introduced = client.clone().serve_with_lifecycle(self.transport.clone(), lifecycle);
        match timeout_at(deadline, introduced).await {
            Ok(Ok(service)) => {
                let version = service.peer_info().map(|info| info.protocol_version.clone());
                let known =
                    version.as_ref().filter(|it| ProtocolVersion::KNOWN_VERSIONS.contains(it));
                if known.is_some() {
                    return Ok(service);
                }
                let version = version.map(|it| it.to_string()).unwrap_or_default();
                let version = text::quoted_text(&version, 100);
                let fault = format!("it speaks the revision {version}, which is not known here");
                Err(IntroductionFault::Final(ServerFault::Refused(fault)))
            }
            Ok(Err(ClientInitializeError::ConnectionClosed(_))) => {
                let fault = self.why_ended().await;
                Err(match fault {
                    ServerFault::Ended { .. } => IntroductionFault::OfThisEra(fault),
                    _ => IntroductionFault::Final(fault),
                })
            }
            Ok(Err(error)) => Err(match self.end.take_refusal() {
                None => IntroductionFault::OfThisEra(ServerFault::Refused(self.words(&error))),
                Some(fault) => introduction_fault(fault),
            }),
            Err(_) => Err(IntroductionFault::Final(ServerFault::Introduction {
                after: settings.limits.start,
                last_words: self.last_lines.last(LAST_WORDS),
            })),
        }
    }

    /// Says why an introduction was refused, without secrets and bounded: a server may quote anything.
    fn words(&self, error: &ClientInitializeError) -> String {
        let words = match error {
            ClientInitializeError::JsonRpcError(error) => {
                format!("error {}: {}", error.code.0, error.message)
            }
            ClientInitializeError::ExpectedInitResult(_) => {
                "its answer is no introduction of the protocol".to_owned()
            }
            other => text::start_of(&other.to_string(), LAST_WORDS),
        };
        let words = text::cut_text(&text::one_line(&words), LAST_WORDS).into_owned();
        self.connection.secrets.masked(words)
    }

    async fn session(
        self,
        service: RunningService<RoleClient, AnsweringClient>,
        era: ServerEra,
        settings: &LinkSettings,
    ) -> Session {
        let Self { transport, connection, end, last_lines } = self;
        // The library has one of its own.
        drop(transport);
        let peer = service.peer().clone();
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        // It was there a moment ago.
        let nothing = || Arc::new(ServerPeerInfo::new(ProtocolVersion::LATEST, Default::default()));
        let info = service.peer_info().unwrap_or_else(nothing);
        Session {
            peer,
            process_end: end.watch_end(),
            service: Mutex::new(Some((service, end))),
            connection,
            last_lines,
            era,
            info,
            patience: settings.limits.end,
            log_level: settings.offer.log_level,
        }
    }

    async fn why_ended(&self) -> ServerFault {
        why_ended(&self.connection, self.end.watch_end(), &self.last_lines).await
    }

    async fn end(self, patience: Duration) {
        let Self { transport, end, .. } = self;
        drop(transport);
        end.end(patience).await;
    }
}

/// A request that is under way; the server is told when nobody waits any more.
struct OpenCall {
    handle: Option<RequestHandle<RoleClient>>,
    connection: Connection,
}

impl OpenCall {
    /// There is an answer, or there will be none.
    fn close(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.connection.open.abandon(&handle.id);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        self.connection.open.abandon(&handle.id);
        // At the end of the program there is no runtime, and soon no server.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(crate::spawn::boxed(async move {
            let _ = handle.cancel(Some("nobody waits for it".to_owned())).await;
        }));
    }
}
