//! Who asks: cookies with tokens, and Basic credentials, with XO's refusals.
//!
//! **Invariant:** a request is let in by exactly one method; two at once are refused.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::accounts::XenUser;
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::state::XenState;
use crate::server::{ServiceRequest, base64_decode, now_millis};

/// What a request brings to prove who asks.
enum RequestCredentials {
    Basic { name: String, password: String },
    Token(String),
}

impl XenState {
    /// Returns the user of a request.
    pub(super) fn authenticate(&mut self, request: &ServiceRequest) -> Result<XenUser, XenFailure> {
        match credentials(request)? {
            RequestCredentials::Token(token) => self.user_of_token(&token, request),
            RequestCredentials::Basic { name, password } => self.log_in(&name, &password, request),
        }
    }

    /// Says whether a user may do something: administrators may, others need a privilege of a
    /// role of theirs. Selectors are not looked at.
    pub(super) fn allows(&self, user: &XenUser, resource: &str, action: &str) -> bool {
        if user.is_admin {
            return true;
        }
        let groups = self.store.get(XenKind::User, &user.id).map(|user| user.list("groups"));
        let groups = groups.unwrap_or_default();
        self.store.all(XenKind::AclPrivilege).any(|(_, privilege)| {
            let held = privilege.text("action");
            let covers = held == "*"
                || held == action
                || action.strip_prefix(held).is_some_and(|rest| rest.starts_with(':'));
            let role = self.store.get(XenKind::AclRole, privilege.text("roleId"));
            covers
                && privilege.text("effect") == "allow"
                && privilege.text("resource") == resource
                && role.is_some_and(|role| {
                    role.lists("userIds", &user.id)
                        || groups.iter().any(|group| role.lists("groupIds", group))
                })
        })
    }

    /// Makes a token. `expires_in` is a duration in milliseconds.
    pub(super) fn create_token(
        &mut self,
        user: &XenUser,
        client: Option<Value>,
        description: Option<Value>,
        expires_in: u64,
    ) -> XenObject {
        let created_at = now_millis();
        let mut token = XenObject::new();
        if let Some(client) = client {
            token.insert("client".to_owned(), client);
        }
        token.insert("created_at".to_owned(), created_at.into());
        if let Some(description) = description {
            token.insert("description".to_owned(), description);
        }
        token.insert("id".to_owned(), self.store.generator.token(43).into());
        token.insert("user_id".to_owned(), user.id.clone().into());
        token.insert("expiration".to_owned(), created_at.saturating_add(expires_in).into());
        self.accounts.tokens.push(token.clone());
        token
    }

    fn user_of_token(
        &mut self,
        token: &str,
        request: &ServiceRequest,
    ) -> Result<XenUser, XenFailure> {
        let known = self.accounts.tokens.iter_mut().find(|known| known.text("id") == token);
        let known = known.ok_or_else(XenFailure::unauthenticated)?;
        if known.number("expiration") < now_millis() {
            return Err(XenFailure::unauthenticated());
        }
        let user_id = known.text("user_id").to_owned();
        let uses = json!({ request.peer.ip().to_string(): {"timestamp": now_millis()} });
        known.insert("last_uses".to_owned(), uses);
        self.user(&user_id)
    }

    fn log_in(
        &mut self,
        name: &str,
        password: &str,
        request: &ServiceRequest,
    ) -> Result<XenUser, XenFailure> {
        let failed = self.accounts.failures.get(name);
        if failed.is_some_and(|failed| failed.elapsed() < THROTTLE) {
            return Err(XenFailure::unexpected("too fast authentication tries"));
        }
        let id = self.store.all(XenKind::User).find(|user| user.1.text("email") == name);
        let id = id.map(|user| user.0.to_owned());
        let known = id.as_ref().and_then(|id| self.accounts.passwords.get(id));
        match (&id, known) {
            (Some(id), Some(known)) if known == password => {
                let id = id.clone();
                self.accounts.failures.remove(name);
                self.user(&id)
            }
            _ => {
                self.accounts.failures.insert(name.to_owned(), Instant::now());
                self.record_failed_login(name, &request.peer.ip().to_string());
                Err(XenFailure::unauthenticated())
            }
        }
    }

    fn user(&self, id: &str) -> Result<XenUser, XenFailure> {
        let user = self.store.get(XenKind::User, id).ok_or_else(XenFailure::unauthenticated)?;
        Ok(XenUser { id: id.to_owned(), is_admin: user.text("permission") == "admin" })
    }
}

/// Reads the credentials of a request.
fn credentials(request: &ServiceRequest) -> Result<RequestCredentials, XenFailure> {
    let cookies = request.headers.get_all("cookie");
    let token = cookies
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| matches!(*name, "authenticationToken" | "token"))
        .map(|(_, value)| value.trim_matches('"').to_owned());
    match (request.header("authorization"), token) {
        (Some(_), Some(_)) => Err(bad_request(
            "Having multiple authentication methods is not supported, please choose one",
        )),
        (None, Some(token)) => Ok(RequestCredentials::Token(token)),
        (None, None) => Err(XenFailure::unauthenticated()),
        (Some(authorization), None) => {
            let malformed = || bad_request("Malformed Authorization header");
            let (scheme, value) = authorization.trim().split_once(' ').ok_or_else(malformed)?;
            if value.trim().is_empty() || value.trim().contains(' ') {
                return Err(malformed());
            }
            if !scheme.eq_ignore_ascii_case("basic") {
                return Err(XenFailure::unauthenticated());
            }
            let decoded = base64_decode(value.trim()).ok_or_else(malformed)?;
            let decoded = String::from_utf8_lossy(&decoded).into_owned();
            // Only the first colon separates: passwords may contain more.
            let (name, password) = decoded.split_once(':').ok_or_else(malformed)?;
            Ok(RequestCredentials::Basic { name: name.to_owned(), password: password.to_owned() })
        }
    }
}

fn bad_request(message: &str) -> XenFailure {
    XenFailure::new(StatusCode::BAD_REQUEST, message)
}

/// How long a name is refused after a failed login.
const THROTTLE: Duration = Duration::from_secs(2);
