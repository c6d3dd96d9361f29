//! Where a stream comes from, and how it is opened again.

use std::{borrow::Cow, fmt, sync::Arc};

use dadl_descriptor::model::{
    Tool,
    entries::EntryRules,
    events::{EventRules, SubscribeCall},
};
use dadl_text::json::scan;
use serde_json::{Map, Value};

use crate::{
    call::{self, CallPlan},
    catalog::BackendId,
    executor::{
        CallContext, CallError, Executor,
        connection::{BrokenStream, StreamConnection},
        inline::{InlinedCall, MemoryCharge},
    },
    gate::{Admitted, Gate, PendingCall},
    outcome::JsonText,
    shares::ClientKey,
};

/// A request whose answer is a stream, and the calls that fill the stream.
///
/// The request was admitted once, with its arguments, and is the same each time; the calls that
/// subscribe pass the gate each time.
#[derive(Debug, Clone)]
pub(super) struct StreamSource {
    executor: Executor,
    gate: Gate,
    backend: BackendId,
    tool: Arc<Tool>,
    plan: CallPlan,
    /// Counts the files in it for as long as it may be sent again.
    _charge: Option<Arc<MemoryCharge>>,
    events: Option<Arc<EventRules>>,
    entries: Option<Arc<EntryRules>>,
    /// Whose calls these are.
    client: ClientKey,
}

/// A stream that was opened, with what was read meanwhile.
pub(super) struct ConnectedStream {
    pub(super) connection: StreamConnection,
    /// Items that came before the subscriptions were made.
    pub(super) first: Vec<JsonText>,
    /// The identifier under which collections can be added.
    pub(super) id: Option<String>,
}

/// Why a stream is not there.
#[derive(Debug, Clone)]
pub struct StreamError {
    text: String,
    is_final: bool,
}

impl StreamError {
    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }

    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_final: true }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for StreamError {}

impl From<CallError> for StreamError {
    fn from(error: CallError) -> Self {
        Self { text: error.for_model(), is_final: error.is_lasting() }
    }
}

impl StreamSource {
    /// Takes the request of an admitted call.
    pub(super) fn new(
        executor: &Executor,
        call: &Admitted<'_>,
        client: &ClientKey,
    ) -> Result<Self, StreamError> {
        let entry = call.entry();
        let no_stream = || StreamError::of(format!("tool \"{}\" answers no stream", entry.name));
        let tool = entry.tool().filter(|tool| tool.response.is_stream()).ok_or_else(no_stream)?;
        let backend = executor.api(entry.backend).ok_or_else(no_stream)?;
        let plan = call::plan_call(entry, tool, backend.base(), call.arguments(), call.door());
        let events = entry.descriptor().events.as_ref().filter(|it| it.stream == tool.name);
        Ok(Self {
            executor: executor.clone(),
            gate: call.gate().clone(),
            backend: entry.backend,
            tool: Arc::new(tool.clone()),
            plan: plan.map_err(CallError::from)?,
            _charge: None,
            events: events.cloned().map(Arc::new),
            entries: entry.descriptor().entries_of(&tool.name).cloned().map(Arc::new),
            client: client.clone(),
        })
    }

    /// Puts the files that the same call names in its texts into its request.
    pub(super) async fn with_files(mut self, call: &Admitted<'_>) -> Result<Self, StreamError> {
        let Some(backend) = self.executor.api(self.backend) else { return Ok(self) };
        let room = self.executor.room(&self.client);
        let sent = self.executor.inlined(call, (&self.tool, &self.plan), backend, &room).await?;
        if let Some(InlinedCall { plan, charge, .. }) = sent {
            self.plan = plan;
            self._charge = Some(Arc::new(charge));
        }
        Ok(self)
    }

    /// Returns how its entries tell that something failed.
    pub(super) fn entries(&self) -> Option<&EntryRules> {
        self.entries.as_deref()
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Returns whose calls these are.
    pub(super) fn client(&self) -> &ClientKey {
        &self.client
    }

    pub(super) fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Returns whether the request may be sent again when the stream breaks off: what does more
    /// than to read would be done twice, and was admitted once.
    pub(super) fn may_repeat(&self) -> bool {
        !self.tool.may_change()
    }

    pub(super) fn events(&self) -> Option<&EventRules> {
        self.events.as_deref()
    }

    fn subscribe_rules(&self) -> Result<&SubscribeCall, StreamError> {
        let rules = self.events().and_then(|events| events.subscribe.as_ref());
        rules.ok_or_else(|| StreamError::of("the descriptor does not say how to subscribe"))
    }

    /// Opens the stream and adds the collections.
    pub(super) async fn connect(
        &self,
        last_id: Option<&str>,
        collections: &[String],
    ) -> Result<ConnectedStream, StreamError> {
        let Self { executor, backend, tool, plan, client, .. } = self;
        let connection = executor.connect(*backend, tool, plan, client, last_id).await?;
        let mut connected = ConnectedStream { connection, first: Vec::new(), id: None };
        if let Some(rules) = self.events().and_then(|events| events.subscribe.as_ref()) {
            let bound = executor.api(*backend).map(|it| it.settings().timeouts.call);
            let opening = connected.read_opening(rules);
            let read = tokio::time::timeout(bound.unwrap_or_default(), opening).await;
            let failed = |reason: String| StreamError {
                text: format!("the stream did not begin with `{}`: {reason}", rules.opening),
                is_final: false,
            };
            read.map_err(|_| failed("nothing came in time".to_owned()))?
                .map_err(|broken| failed(broken.reason))?;
        } else if !collections.is_empty() {
            self.subscribe_rules()?;
        }
        for collection in collections {
            self.subscribe(connected.id.as_deref(), collection).await?;
        }
        Ok(connected)
    }

    /// Adds a collection to an open stream.
    pub(super) async fn subscribe(
        &self,
        stream: Option<&str>,
        collection: &str,
    ) -> Result<(), StreamError> {
        let rules = self.subscribe_rules()?;
        let stream = stream.ok_or_else(|| StreamError::of("the stream has no identifier"))?;
        let entry = self.gate.catalog().find_declared(self.backend, &rules.tool);
        let entry = entry.ok_or_else(|| {
            StreamError::of(format!("there is no tool `{}` to subscribe with", rules.tool))
        })?;
        let arguments: Map<String, Value> = rules
            .arguments_for(stream, collection)
            .filter_map(|(name, value)| {
                let known = entry.params.iter().find(|known| known.param.name == name)?;
                Some((known.property.clone(), value))
            })
            .collect();
        let admitted = self.gate.check_made(&entry.name, arguments).and_then(PendingCall::admit);
        let admitted = admitted.map_err(|refusal| {
            StreamError::of(format!("cannot subscribe to {collection}: {refusal}"))
        })?;
        let context = CallContext::default().of(self.client.clone());
        let done = Box::pin(self.executor.execute(admitted, &context)).await;
        done.map(drop).map_err(|error| {
            // A stream that is not known any more is opened anew.
            let is_gone = error.is_gone();
            let error = StreamError::from(error);
            let text = format!("cannot subscribe to {collection}: {error}");
            StreamError { text, is_final: error.is_final && !is_gone }
        })
    }
}

impl ConnectedStream {
    /// Reads until the stream has said what its identifier is.
    async fn read_opening(&mut self, rules: &SubscribeCall) -> Result<(), BrokenStream> {
        while self.id.is_none() {
            let items = self.connection.next().await?;
            let opening = JsonText::string(&rules.opening);
            let event = |item: &&str| item_member(item, "event") == Some(opening.as_str());
            let opening = items.items().into_iter().flatten().find(event);
            self.id = opening.and_then(|item| rules.id.look(item)).and_then(identifier_text);
            self.first.push(items);
        }
        Ok(())
    }
}

/// Returns the member of an item; nothing when it is no object.
pub(super) fn item_member<'item>(item: &'item str, name: &str) -> Option<&'item str> {
    scan::member_at(item, &[name])
}

/// Reads an identifier: a text or a number.
pub(super) fn identifier_text(value: &str) -> Option<String> {
    match value.bytes().next()? {
        b'"' => scan::unquote(value).map(Cow::into_owned),
        b'-' | b'0'..=b'9' => Some(value.to_owned()),
        _ => None,
    }
}
