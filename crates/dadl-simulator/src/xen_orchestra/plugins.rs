//! What few servers have: the traffic rules of the plugin sdn-controller. A rule is a JSON text in a list,
//! which is a JSON text in `other_config` of a network or a VIF.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::XenObject;
use super::state::XenState;
use super::tasks::StateEffect;
use crate::server::HttpReply;

/// Where the rules are.
const RULES: &str = "xo:sdn-controller:of-rules";

impl XenApp {
    /// Changes the rules of a network or a VIF.
    pub(super) async fn change_rules(
        self: &Arc<Self>,
        call: &XenCall<'_>,
    ) -> Result<HttpReply, XenFailure> {
        let segments = call.operation.segments();
        let collection = segments.get(2).copied().unwrap_or_default();
        let kind = XenKind::from_collection(collection)
            .ok_or_else(|| XenFailure::unexpected("no such collection"))?;
        let (id, body) = (call.capture(0).to_owned(), call.body.clone());
        self.state().store.find_seen(kind, &id)?;
        let action = segments.last().copied().unwrap_or_default();
        if action == "update_traffic_rule" {
            self.state().find_rule(kind, &id, &body)?;
        }
        let effect: StateEffect = Box::new(move |state| {
            let mut rules = state.rules(kind, &id);
            match action {
                "add_traffic_rule" => {
                    rules.retain(|rule| !is_same(rule, &body));
                    rules.push(Value::Object(body));
                }
                "delete_traffic_rule" => rules.retain(|rule| !is_same(rule, &body)),
                _ => {
                    let old = body.get("oldRule").and_then(Value::as_object);
                    let new = body.get("newRule").and_then(Value::as_object);
                    for rule in &mut rules {
                        if let (Some(old), Some(new), Some(members)) = (old, new, rule.as_object())
                            && is_same(rule, old)
                        {
                            let changed = members.iter().chain(new);
                            *rule = changed.map(|(key, it)| (key.clone(), it.clone())).collect();
                        }
                    }
                }
            }
            let texts: Vec<String> = rules.iter().map(Value::to_string).collect();
            state.store.update(kind, &id, |object| {
                let config = object.entry("other_config").or_insert_with(|| json!({}));
                if let Some(config) = config.as_object_mut() {
                    config.insert(RULES.to_owned(), json!(texts).to_string().into());
                }
            });
            Ok(Value::Null)
        });
        self.run(call, kind, effect).await
    }
}

impl XenState {
    fn rules(&self, kind: XenKind, id: &str) -> Vec<Value> {
        let object = self.store.get(kind, id);
        let text = object.and_then(|it| it.get("other_config")?.get(RULES)?.as_str());
        let texts: Vec<String> =
            text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    fn find_rule(&self, kind: XenKind, id: &str, body: &XenObject) -> Result<(), XenFailure> {
        let old = body.get("oldRule").and_then(Value::as_object);
        let rules = self.rules(kind, id);
        if old.is_some_and(|old| rules.iter().any(|rule| is_same(rule, old))) {
            return Ok(());
        }
        let old = old.map(|old| json!(old).to_string()).unwrap_or_default();
        let message = format!("no such traffic-rule {old}");
        Err(XenFailure::new(StatusCode::NOT_FOUND, message)
            .with_data(json!({"id": old, "type": "traffic-rule"})))
    }
}

/// Returns whether a rule is about the same traffic.
fn is_same(rule: &Value, other: &XenObject) -> bool {
    ["direction", "ipRange", "protocol", "port"].iter().all(|key| rule.get(key) == other.get(*key))
}
