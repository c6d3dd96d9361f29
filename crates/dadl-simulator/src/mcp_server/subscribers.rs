//! Who is told that something changed: on the only connection that there is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The key of the subscription that a notification belongs to.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What the client wants to be told.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    /// By `resources/subscribe`.
    uris: BTreeSet<String>,
    /// By `subscriptions/listen`: the id of the request, and what it wants.
    listens: Vec<(Value, Value)>,
}

impl Subscribers {
    /// Takes a request that subscribes or ends that; returns what is told at once, where the request has no
    /// answer yet.
    pub(super) fn take(&mut self, method: &str, id: &Value, params: &Value) -> Option<Value> {
        let uri = params["uri"].as_str().unwrap_or_default();
        match method {
            "resources/subscribe" => drop(self.uris.insert(uri.to_owned())),
            "resources/unsubscribe" => drop(self.uris.remove(uri)),
            "notifications/cancelled" => self.listens.retain(|(it, _)| *it != params["requestId"]),
            "subscriptions/listen" => {
                let wanted = params["notifications"].clone();
                self.listens.push((id.clone(), wanted.clone()));
                let params = json!({ "_meta": { SUBSCRIPTION: id }, "notifications": wanted });
                let method = "notifications/subscriptions/acknowledged";
                return Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
            }
            _ => {}
        }
        None
    }

    /// Returns the resources of which the client wants to be told.
    pub(super) fn uris(&self) -> BTreeSet<&str> {
        let listened = self.listens.iter().flat_map(|(_, wanted)| uris_of(wanted));
        self.uris.iter().map(String::as_str).chain(listened).collect()
    }

    /// Makes what is told of a resource that changed.
    pub(super) fn updated(&self, uri: &str) -> Vec<Value> {
        let message = |params: Value| {
            let method = "notifications/resources/updated";
            json!({ "jsonrpc": "2.0", "method": method, "params": params })
        };
        let plain = self.uris.contains(uri).then(|| message(json!({ "uri": uri })));
        let listens = self.listens.iter().filter(|(_, wanted)| uris_of(wanted).any(|it| it == uri));
        let listened =
            listens.map(|(id, _)| message(json!({ "uri": uri, "_meta": { SUBSCRIPTION: id } })));
        plain.into_iter().chain(listened).collect()
    }

    /// Makes what is told of a list that changed: to everybody before 2026-07-28, and then to who listens.
    pub(super) fn changed(&self, list: &str, is_stateless: bool) -> Vec<Value> {
        let method = format!("notifications/{list}/list_changed");
        let message =
            |params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if !is_stateless {
            return vec![message(json!({}))];
        }
        let key = format!("{list}ListChanged");
        let listens = self.listens.iter().filter(|(_, wanted)| wanted[&key] == true);
        listens.map(|(id, _)| message(json!({ "_meta": { SUBSCRIPTION: id } }))).collect()
    }
}

fn uris_of(wanted: &Value) -> impl Iterator<Item = &str> {
    wanted["resourceSubscriptions"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
