//! What `doctor` says about a switch with which the API's administrator turns MCP off.
//!
//! It is asked as a person asks, so that the answer comes whether or not MCP is on.

use dadl_descriptor::model::switch::SwitchState;

use super::Report;
use crate::{
    app::App,
    catalog::BackendId,
    executor::{CallContext, CallError},
    outcome::{ApiError, Payload, SWITCHED_OFF},
};

/// What the lines are about.
pub(super) const SUBJECT: &str = "mcp";

/// Asks the only backend of `app` how its switch stands, when its descriptor says where; `asks` says
/// that a call can be made.
pub(super) async fn describe(app: &App, asks: bool, report: &mut Report) {
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
    match read(outcome.map(|outcome| outcome.payload), state) {
        Standing::On => report.ok(SUBJECT, "on: the API takes calls through MCP".to_owned()),
        Standing::Off(reason) => report.fail(
            SUBJECT,
            format!("off: the administrator of the API has turned MCP off{reason}"),
            "every call through MCP is refused until they turn it on; `dadl-mcp call` works",
        ),
        Standing::NoSwitch(status) => {
            report.ok(SUBJECT, format!("no such switch: this server has none (HTTP {status})"));
        }
        Standing::Unauthorized(reason) => {
            report.warn(SUBJECT, untold(&format!("not authorized: {reason}")), hint);
        }
        Standing::Unreachable(reason) => {
            report.warn(SUBJECT, untold(&format!("not reachable: {reason}")), hint);
        }
        Standing::Unclear(reason) => report.warn(SUBJECT, untold(&reason), hint),
    }
}

/// How a switch stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    On,
    /// With what the API says about it.
    Off(String),
    NoSwitch(u16),
    Unauthorized(String),
    Unreachable(String),
    Unclear(String),
}

/// Reads what the tool of the switch gave.
fn read(answer: Result<Payload, CallError>, state: &SwitchState) -> Standing {
    let payload = match answer {
        Ok(payload) => payload,
        Err(CallError::Api(error)) => return refused(&error),
        Err(error) if error.is_unreachable() => return Standing::Unreachable(error.to_string()),
        Err(error) => return Standing::Unclear(error.to_string()),
    };
    let Some(on) = &state.on else { return Standing::On };
    let unclear = || Standing::Unclear(format!("what `{}` answers does not say it", state.tool));
    let Payload::Json(text) = payload else { return unclear() };
    match on.holds(text.as_str()) {
        Some(true) => Standing::On,
        Some(false) => Standing::Off(String::new()),
        None => unclear(),
    }
}

fn refused(error: &ApiError) -> Standing {
    match error.status {
        _ if error.code == SWITCHED_OFF => Standing::Off(format!(" ({error})")),
        404 | 405 | 410 | 501 => Standing::NoSwitch(error.status),
        401 | 403 => Standing::Unauthorized(error.to_string()),
        _ => Standing::Unclear(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::condition::Condition;
    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::JsonText;

    fn standing(answer: Result<Payload, CallError>) -> Standing {
        let on = Some(Condition::compile("$.enabled").unwrap());
        read(answer, &SwitchState { tool: "status".to_owned(), on })
    }

    fn says(value: Value) -> Standing {
        standing(Ok(Payload::Json(JsonText::from(&value))))
    }

    fn answers(status: u16, code: &str) -> Standing {
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
        assert_eq!(says(json!({"enabled": true})), Standing::On);
        assert_eq!(says(json!({"enabled": false})), Standing::Off(String::new()));
        assert!(matches!(says(json!({})), Standing::Unclear(_)));
        assert!(matches!(standing(Ok(Payload::Empty)), Standing::Unclear(_)));
        assert!(matches!(answers(503, SWITCHED_OFF), Standing::Off(_)));
        assert!(matches!(answers(403, SWITCHED_OFF), Standing::Off(_)));
        assert_eq!(answers(404, "not_found"), Standing::NoSwitch(404));
        assert!(matches!(answers(401, "unauthorized"), Standing::Unauthorized(_)));
        assert!(matches!(answers(503, "unavailable"), Standing::Unclear(_)));
    }
}
