//! Server-sent events: one stream a client, and the subscriptions that fill it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::mpsc;

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::Properties;
use super::store::EventStream;
use super::tasks::BACKLOG;
use crate::server::{HttpReply, now_millis};

impl XenApp {
    /// Opens a stream, which starts with its identifier and has no subscriptions.
    pub(super) fn open_events(self: &Arc<Self>) -> HttpReply {
        let (sender, receiver) = mpsc::channel::<Bytes>(BACKLOG);
        let mut state = self.state();
        let id = state.store.generator.uuid();
        // The channel is new, so the first event always finds room.
        let init = format!("event: init\ndata: {}\n\n", json!({"id": id}));
        let opened = sender.try_send(init.into()).is_ok();
        tracing::debug!(id, opened, "event stream");
        tokio::spawn(ping(sender.clone()));
        let stream = EventStream { sender, subscriptions: BTreeMap::new() };
        state.store.listeners.streams.insert(id, stream);
        HttpReply::stream("text/event-stream", receiver).header(CACHE_CONTROL, "no-cache")
    }

    /// Adds a subscription to a stream or takes it away.
    pub(super) fn subscribe(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let id = call.capture(0);
        let mut state = self.state();
        let streams = &mut state.store.listeners.streams;
        streams.retain(|_, stream| !stream.sender.is_closed());
        let stream = streams.get_mut(id);
        let stream = stream.ok_or_else(|| XenFailure::no_such_type("event", id))?;
        if call.operation.method == Method::DELETE {
            let subscription = call.capture(1);
            return match stream.subscriptions.remove(subscription) {
                Some(_) => Ok(HttpReply::empty(StatusCode::NO_CONTENT)),
                None => Err(XenFailure::no_such_type("subscription", subscription)),
            };
        }
        let collection = call.body.text("collection").to_owned();
        let fields = match call.body.get("fields") {
            Some(fields) if fields.is_array() => Some(call.body.list("fields")),
            _ => None,
        };
        let known = XenKind::from_type(&collection).is_some();
        tracing::debug!(collection, known, "subscription");
        stream.subscriptions.insert(collection.clone(), fields);
        Ok(HttpReply::json(StatusCode::CREATED, &json!({"id": collection})))
    }
}

impl XenApp {
    /// Returns how many streams are open, and how many subscriptions they have.
    pub(super) fn event_streams(&self) -> (usize, usize) {
        let mut state = self.state();
        let streams = &mut state.store.listeners.streams;
        streams.retain(|_, stream| !stream.sender.is_closed());
        (streams.len(), streams.values().map(|stream| stream.subscriptions.len()).sum())
    }
}

/// Returns the VM that [`change`] changes.
pub(super) fn changed_vm(app: &XenApp) -> Option<String> {
    app.state().store.all(XenKind::Vm).next().map(|(id, _)| id.to_owned())
}

/// Changes the description of a VM again and again, until the simulator is gone.
pub(super) async fn change(app: Weak<XenApp>, per_second: NonZeroU32, count: u64) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.get());
    for number in 0..count {
        // Ticks that were late come at once, so that the rate holds on a busy machine.
        ticks.tick().await;
        let Some(app) = app.upgrade() else { return };
        let Some(vm) = changed_vm(&app) else { return };
        app.state().store.set(XenKind::Vm, &vm, "name_description", format!("change {number}"));
    }
}

/// Keeps a stream alive until its reader is gone. Only a weak hold: a stream that was dropped
/// for being slow must end although this task still runs.
async fn ping(sender: mpsc::Sender<Bytes>) {
    let weak = sender.downgrade();
    drop(sender);
    loop {
        tokio::time::sleep(PING_INTERVAL).await;
        let Some(sender) = weak.upgrade() else { return };
        let event = format!("event: ping\ndata: {}\n\n", json!({"timestamp": now_millis()}));
        if sender.try_send(event.into()).is_err() {
            return;
        }
    }
}

/// How often a stream is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(30);
