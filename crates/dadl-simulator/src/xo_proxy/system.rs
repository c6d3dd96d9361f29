//! `system.*`: what the proxy says about itself.

use serde_json::{Map, Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use super::methods::ProxyMethod;

/// The version of the proxy.
const VERSION: &str = "0.31.6";

impl ProxyApp {
    pub(super) fn system(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        match call.name {
            "getServerVersion" => Ok(MethodOutcome::Value(VERSION.into())),
            "listMethods" => {
                Ok(MethodOutcome::List(self.methods().map(|method| method.name.into()).collect()))
            }
            "getMethodsInfo" => Ok(MethodOutcome::List(self.methods().map(describe).collect())),
            _ => {
                let name = call.text("method");
                let method = self.methods().find(|method| method.name == name);
                // The proxy has the two in this order.
                let method = method.ok_or_else(|| ProxyFailure::no_such("method", name))?;
                let mut signature = describe(method);
                if let Some(signature) = signature.as_object_mut() {
                    signature.insert("result".to_owned(), json!({}));
                }
                Ok(MethodOutcome::Value(signature))
            }
        }
    }
}

fn describe(method: &ProxyMethod) -> Value {
    let params: Map<String, Value> = method
        .params
        .iter()
        .map(|param| {
            let mut schema = param.kind.schema();
            if let (Some(schema), Some(default)) = (schema.as_object_mut(), param.default) {
                schema.insert("default".to_owned(), default.into());
            }
            (param.name.to_owned(), schema)
        })
        .collect();
    let mut described = json!({ "name": method.name, "params": params });
    if let (Some(described), false) = (described.as_object_mut(), method.description.is_empty()) {
        described.insert("description".to_owned(), method.description.into());
    }
    described
}
