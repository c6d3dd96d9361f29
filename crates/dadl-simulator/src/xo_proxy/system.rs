//! `system.*`: what the proxy says about itself.

use serde_json::{Map, Value, json};

use super::app::{App, Call, Outcome};
use super::failure::Failure;
use super::methods::Method;

/// The version of the proxy.
const VERSION: &str = "0.31.6";

impl App {
    pub(super) fn system(&self, call: &Call) -> Result<Outcome, Failure> {
        match call.name {
            "getServerVersion" => Ok(Outcome::Value(VERSION.into())),
            "listMethods" => {
                Ok(Outcome::List(self.methods().map(|method| method.name.into()).collect()))
            }
            "getMethodsInfo" => Ok(Outcome::List(self.methods().map(describe).collect())),
            _ => {
                let name = call.text("method");
                let method = self.methods().find(|method| method.name == name);
                // The proxy has the two in this order.
                let method = method.ok_or_else(|| Failure::no_such("method", name))?;
                let mut signature = describe(method);
                if let Some(signature) = signature.as_object_mut() {
                    signature.insert("result".to_owned(), json!({}));
                }
                Ok(Outcome::Value(signature))
            }
        }
    }
}

fn describe(method: &Method) -> Value {
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
