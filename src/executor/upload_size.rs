//! Asks how long an upload must be, before any of it is sent (`_dadl_mcp.uploads`).

use dadl_text::json::cost;
use serde_json::Value;

use super::{CallError, UploadSizeError, step::RequestStep};
use crate::{
    call::{self, PlannedBody},
    http::{
        backend::HttpExchange,
        upload::{self, UploadActivity},
    },
    outcome::JsonText,
};

impl RequestStep<'_> {
    /// Checks that the file of `plan` is as long as it must be.
    pub(super) async fn check_upload_size(self) -> Result<(), CallError> {
        let Self { executor, backend, call, tool, plan, .. } = self;
        let Some(rule) = &tool.upload_size else { return Ok(()) };
        let settled = upload::settled(plan, &executor.files).await;
        let files = executor.files.of_backend(&backend.settings().file_hosts);
        let (file, size) = match &settled.body {
            // A file that cannot be sent is the better reason.
            PlannedBody::File(file) => (Some(file.clone()), files.open(file).await?.size),
            PlannedBody::Bytes(bytes) => (None, Some(bytes.len() as u64)),
            _ => return Ok(()),
        };
        let arguments = self.arguments.of(&rule.tool);
        let asking =
            call::plan_call(call.entry(), &rule.tool, backend.base(), &arguments, call.door())?;
        let activity = &UploadActivity::default();
        let step = RequestStep { tool: &rule.tool, plan: &asking, activity, ..self };
        let HttpExchange { response, .. } = step.send().await?;
        let body = step.read(response).await?;
        let body = backend.secrets().body(body);
        let text = std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok());
        let found = text.as_ref().and_then(|text| rule.path.look(text.as_str()));
        let found = found.and_then(cost::small);
        let expected = match found {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let Some(expected) = expected else {
            return Err(CallError::ResultPath {
                request: step.request_line(),
                path: rule.path.as_str().to_owned(),
            });
        };
        if size == Some(expected) {
            return Ok(());
        }
        Err(CallError::UploadSize(Box::new(UploadSizeError {
            file,
            size,
            expected,
            tool: tool.name.clone(),
            asked: rule.tool.name.clone(),
            path: rule.path.as_str().to_owned(),
        })))
    }
}
