//! What `doctor` says about a switch with which the API's administrator turns MCP off.
//!
//! It is asked as a person asks, so that the answer comes whether or not MCP is on.

use dadl_descriptor::model::switch::SwitchState;

use super::DoctorReport;
use crate::{
    app::App,
    catalog::BackendId,
    executor::{CallContext, CallError},
    outcome::{AnswerPayload, ApiError, SWITCHED_OFF},
};

/// What the lines are about.
pub(super) const SUBJECT: &str = "mcp";

/// Asks the only backend of `app` how its switch stands, when its descriptor says where; `asks` says
/// that a call can be made.
pub(super) async fn describe_switch(app: &App, asks: bool, report: &mut DoctorReport) {
    let Some(backend) = app.backends.first() else { return };
    let Some(switch) = &backend.descriptor.switch else { return };
    let fields = switch.fields();
    let Some(state) = &switch.state else {
        report.ok(SUBJECT, format!("calls through MCP have `{fields}`"));
        return;
    };
    let untold = |reason: &str| format!("nobody knows whether MCP is on: {reason}");
    let hint = "calls through MCP say so themselves when it is off";
    if !asks {
        report.warn(SUBJECT, untold("the backend cannot be asked"), hint);
        return;
    }
    let Some(pending) = app.gate.check_switch(BackendId(0)) else { return };
    let call = match pending.and_then(|pending| pending.admit()) {
        Ok(call) => call,
        Err(refusal) => {
            report.warn(SUBJECT, untold(&refusal.to_string()), hint);
            return;
        }
    };
    let outcome = app.executor.execute(call, &CallContext::default()).await;
    match read_status(outcome.map(|outcome| outcome.payload), state) {
        SwitchStatus::On => report.ok(SUBJECT, "on: the API takes calls through MCP".to_owned()),
        SwitchStatus::Off(reason) => report.fail(
            SUBJECT,
            format!("off: the administrator of the API has turned MCP off{reason}"),
            "every call through MCP is refused until they turn it on; `dadl-mcp call` works",
        ),
        SwitchStatus::NoSwitch(status) => {
            report.ok(SUBJECT, format!("no such switch: this server has none (HTTP {status})"));
        }
        SwitchStatus::Unauthorized(reason) => {
            report.warn(SUBJECT, untold(&format!("not authorized: {reason}")), hint);
        }
        SwitchStatus::Unreachable(reason) => {
            report.warn(SUBJECT, untold(&format!("not reachable: {reason}")), hint);
        }
        SwitchStatus::Unclear(reason) => report.warn(SUBJECT, untold(&reason), hint),
    }
}

/// How a switch stands.
#[derive(Debug, PartialEq, Eq)]
enum SwitchStatus {
    On,
    /// With what the API says about it.
    Off(String),
    NoSwitch(u16),
    Unauthorized(String),
    Unreachable(String),
    Unclear(String),
}

/// Reads what the tool of the switch gave.
fn read_status(answer: Result<AnswerPayload, CallError>, state: &SwitchState) -> SwitchStatus {
    let payload = match answer {
        Ok(payload) => payload,
        Err(CallError::Api(error)) => return refused_status(&error),
        Err(error) if error.is_unreachable() => {
            return SwitchStatus::Unreachable(error.to_string());
        }
        Err(error) => return SwitchStatus::Unclear(error.to_string()),
    };
    let Some(on) = &state.on else { return SwitchStatus::On };
    let unclear =
        || SwitchStatus::Unclear(format!("what `{}` answers does not say it", state.tool));
    let AnswerPayload::Json(text) = payload else { return unclear() };
    match on.holds(text.as_str()) {
        Some(true) => SwitchStatus::On,
        Some(false) => SwitchStatus::Off(String::new()),
        None => unclear(),
    }
}

fn refused_status(error: &ApiError) -> SwitchStatus {
    match error.status {
        _ if error.code == SWITCHED_OFF => SwitchStatus::Off(format!(" ({error})")),
        404 | 405 | 410 | 501 => SwitchStatus::NoSwitch(error.status),
        401 | 403 => SwitchStatus::Unauthorized(error.to_string()),
        _ => SwitchStatus::Unclear(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::condition::AnswerCondition;
    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::JsonText;

    fn standing(answer: Result<AnswerPayload, CallError>) -> SwitchStatus {
        let on = Some(AnswerCondition::compile("$.enabled").unwrap());
        read_status(answer, &SwitchState { tool: "status".to_owned(), on })
    }

    fn says(value: Value) -> SwitchStatus {
        standing(Ok(AnswerPayload::Json(JsonText::from(&value))))
    }

    fn answers(status: u16, code: &str) -> SwitchStatus {
        standing(Err(CallError::Api(Box::new(ApiError {
            status,
            code: code.to_owned(),
            provider_code: None,
            message: "no".to_owned(),
            request: "GET /status".to_owned(),
            retry_after: None,
            attempts: 1,
            hint: None,
            is_no_route: false,
            lack: None,
        }))))
    }

    #[test]
    fn a_switch_is_on_or_off_or_not_there_or_not_known() {
        assert_eq!(says(json!({"enabled": true})), SwitchStatus::On);
        assert_eq!(says(json!({"enabled": false})), SwitchStatus::Off(String::new()));
        assert!(matches!(says(json!({})), SwitchStatus::Unclear(_)));
        assert!(matches!(standing(Ok(AnswerPayload::Empty)), SwitchStatus::Unclear(_)));
        assert!(matches!(answers(503, SWITCHED_OFF), SwitchStatus::Off(_)));
        assert!(matches!(answers(403, SWITCHED_OFF), SwitchStatus::Off(_)));
        assert_eq!(answers(404, "not_found"), SwitchStatus::NoSwitch(404));
        assert!(matches!(answers(401, "unauthorized"), SwitchStatus::Unauthorized(_)));
        assert!(matches!(answers(503, "unavailable"), SwitchStatus::Unclear(_)));
    }
}
