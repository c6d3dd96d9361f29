//! Who asks: API keys, tokens, and the refusals, which are 403 for everything.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::data::RequestData;
use super::failure::DanubeFailure;
use super::fields::FieldFaults;
use super::state::DanubeState;
use super::users::{AccountUser, UserSession};
use crate::server::ServiceRequest;

impl DanubeState {
    /// Returns the user of a request; a key goes before a token.
    pub(super) fn authenticate(
        &self,
        request: &ServiceRequest,
    ) -> Result<AccountUser, DanubeFailure> {
        let find =
            |is_it: &dyn Fn(&AccountUser) -> bool| self.users.iter().find(|user| is_it(user));
        let user = if let Some(key) = request.header("es-api-key") {
            let user = find(&|user| user.key == key);
            user.ok_or_else(|| DanubeFailure::new(403, "Invalid API key"))?
        } else {
            let field = request.header("authorization").and_then(|it| it.split_once(' '));
            let token = field.filter(|(kind, _)| kind.eq_ignore_ascii_case("token"));
            let token = token.map(|(_, token)| token);
            let Some(token) = token else { return Err(anonymous()) };
            let session = self.tokens.get(token.trim());
            let session = session.ok_or_else(|| DanubeFailure::new(403, "Invalid token."))?;
            if session.ends <= self.clock.now() {
                // The product does not tell an old token from none.
                return Err(anonymous());
            }
            find(&|user| user.name == session.user).ok_or_else(anonymous)?
        };
        if !user.may_use_api {
            return Err(DanubeFailure::new(403, "User account is not allowed to access API"));
        }
        Ok(user.clone())
    }

    /// Logs in: gives a token, and ends the one that the user had.
    pub(super) fn log_in(
        &mut self,
        data: &RequestData,
    ) -> Result<(StatusCode, Value), DanubeFailure> {
        let mut faults = FieldFaults::default();
        for name in ["username", "password"].into_iter().filter(|name| data.text(name).is_none()) {
            faults.missing(name);
        }
        if !faults.0.is_empty() {
            return Err(DanubeFailure::Fields(faults.0));
        }
        let user = self.users.iter().find(|user| Some(user.name) == data.text("username"));
        let user = user.filter(|_| data.text("password") == Some(super::DanubeCloud::PASSWORD));
        let Some(user) = user else {
            return Err(DanubeFailure::new(400, "Unable to log in with provided credentials."));
        };
        if !user.may_use_api {
            return Err(DanubeFailure::new(400, "User account is not allowed to access API."));
        }
        let (name, now) = (user.name, self.clock.now());
        self.tokens.retain(|_, session| session.user != name && session.ends > now);
        let token = format!("{:016x}{:016x}", self.generator.next_u64(), self.generator.next_u64());
        let expires =
            crate::server::SimulatedDate(self.clock.date(Duration::ZERO).0 + LIFETIME.as_secs());
        self.tokens.insert(token.clone(), UserSession { user: name, ends: now + LIFETIME });
        let answer = json!({
            "token": token,
            "expires": expires.iso(),
            "detail": "Welcome to Danube Cloud API.",
        });
        Ok((StatusCode::OK, answer))
    }

    /// Ends the session of a user.
    pub(super) fn log_out(&mut self, user: &AccountUser) -> (StatusCode, Value) {
        self.tokens.retain(|_, session| session.user != user.name);
        (StatusCode::OK, json!({"detail": "Bye."}))
    }
}

fn anonymous() -> DanubeFailure {
    DanubeFailure::new(403, "Authentication credentials were not provided.")
}

/// How long a token lives after the login.
const LIFETIME: Duration = Duration::from_secs(3600);
