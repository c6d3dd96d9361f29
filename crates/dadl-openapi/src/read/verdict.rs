//! Whether a call of an operation could succeed: one that never does is no tool.

use dadl_descriptor::model::ParamLocation;
use serde_json::{Map, Value};

use super::{DeclaredParameter, OpenApiReader};
use crate::{
    model::{ApiOperation, BodyEncoding},
    report::{excerpt, place_at},
    schema::schema_flag,
};

/// Fields that a request has without a parameter, from the program or the credential.
const SENT: [&str; 7] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "user-agent",
];

impl<'doc> OpenApiReader<'doc> {
    /// Says of an operation that the server would refuse each request, where that is so.
    pub(super) fn judge(
        &mut self,
        operation: &mut ApiOperation,
        value: &'doc Map<String, Value>,
        declared: &[DeclaredParameter<'doc>],
    ) {
        let reason = self.placeless.take();
        let reason = reason.or_else(|| self.without_parameter(operation, declared));
        let Some(reason) = reason.or_else(|| self.without_body(operation, value, declared)) else {
            return;
        };
        let message = format!("left out, since no call could succeed: {reason}");
        let help = "correct the document, or describe the operation by hand";
        self.schemas.remarks.lost(&operation.place, message, help);
        operation.hopeless = Some(reason);
    }

    /// Returns a parameter that a request must have and no tool can send.
    fn without_parameter(
        &self,
        operation: &ApiOperation,
        declared: &[DeclaredParameter<'doc>],
    ) -> Option<String> {
        let is_unsaid = |location: ParamLocation, name: &str| {
            operation.unsaid.iter().any(|(place, unsaid)| *place == location && unsaid == name)
        };
        declared.iter().find_map(|parameter| {
            let location = match parameter.location.as_str() {
                "header" => ParamLocation::Header,
                "query" => ParamLocation::Query,
                _ => return None,
            };
            if !schema_flag(parameter.value, "required") || !is_unsaid(location, &parameter.name) {
                return None;
            }
            let lower = parameter.name.to_ascii_lowercase();
            let is_credential = self.credential.iter().any(|(place, name)| {
                *place == location && (*name == parameter.name || *name == lower)
            });
            let is_sent = location == ParamLocation::Header
                && (SENT.contains(&lower.as_str())
                    || matches!(lower.as_str(), "accept" | "content-type"));
            (!is_credential && !is_sent).then(|| {
                let place = location.as_str();
                format!(
                    "`{}` in the {place} is required and cannot be sent",
                    excerpt(&parameter.name)
                )
            })
        })
    }

    /// Returns why a body that a request must have cannot be built.
    fn without_body(
        &mut self,
        operation: &ApiOperation,
        value: &'doc Map<String, Value>,
        declared: &[DeclaredParameter<'doc>],
    ) -> Option<String> {
        let has_body = operation.body != BodyEncoding::None
            || operation.inputs.iter().any(|input| input.location == ParamLocation::Body);
        if has_body {
            return None;
        }
        let is_required = match value.get("requestBody").filter(|body| !body.is_null()) {
            Some(body) => {
                let place = place_at(&operation.place, "requestBody");
                let (body, _) = self.schemas.resolve(body, &place)?;
                body.get("required").and_then(Value::as_bool) == Some(true)
            }
            None => {
                declared.iter().any(|it| it.location == "body" && schema_flag(it.value, "required"))
            }
        };
        is_required.then(|| "a body is required, and none can be built".to_owned())
    }
}
