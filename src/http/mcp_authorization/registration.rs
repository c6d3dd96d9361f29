//! Dynamic client registration (RFC 7591), where an authorization server offers it.

use dadl_text::{json::cost, text::start_of};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::{documents::IssuerMetadata, error::AuthorizationError, requests::ServerSite};
use crate::config::server_login::ClientAuthKind;

/// An answer whose tree would take more registers nobody, in bytes.
const LARGEST_TREE: u64 = 1024 * 1024;

/// A longer id or secret is none.
const LONGEST: usize = 4096;

/// A client that was registered.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    /// Its id.
    pub id: SecretString,
    /// Its secret, where it got one.
    pub secret: Option<SecretString>,
    /// How it shows that.
    pub auth: ClientAuthKind,
    /// When its secret ends, in seconds since 1970; 0 for never.
    pub secret_ends: u64,
}

/// Returns how a client with a secret shows it to this authorization server; `None` when by no way that
/// this program knows.
pub fn client_auth(issuer: &IssuerMetadata) -> Option<ClientAuthKind> {
    // Of a server that does not say RFC 8414 says the first.
    let Some(methods) = &issuer.auth_methods else { return Some(ClientAuthKind::Basic) };
    let has = |name: &str| methods.iter().any(|method| method == name);
    if has("client_secret_basic") {
        Some(ClientAuthKind::Basic)
    } else if has("client_secret_post") {
        Some(ClientAuthKind::Post)
    } else {
        None
    }
}

/// Registers this program, whose browsers come back to `redirect_uri`. Rights are not registered: servers
/// refuse those that are not their own but a resource's, and a person may ask for more later.
///
/// # Errors
///
/// See [`AuthorizationError`].
pub async fn register_client(
    site: &ServerSite,
    issuer: &IssuerMetadata,
    redirect_uri: &Url,
) -> Result<RegisteredClient, AuthorizationError> {
    let Some(endpoint) = &issuer.registration_endpoint else {
        return Err(AuthorizationError::NoClient { issuer: start_of(&issuer.issuer, 200) });
    };
    let refused = |reason: String| AuthorizationError::Registration {
        issuer: start_of(&issuer.issuer, 200),
        reason,
    };
    let method = match (&issuer.auth_methods, client_auth(issuer)) {
        // A secret that is on the disk beside what it protects is of no use.
        (None, _) => "none",
        (Some(methods), _) if methods.iter().any(|method| method == "none") => "none",
        (_, Some(ClientAuthKind::Basic)) => "client_secret_basic",
        (_, Some(ClientAuthKind::Post)) => "client_secret_post",
        (_, None) => {
            let reason = "clients have to show themselves in a way that dadl-mcp does not know";
            return Err(refused(reason.to_owned()));
        }
    };
    let body = json!({
        "client_name": "dadl-mcp",
        "redirect_uris": [redirect_uri.as_str()],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        // Redirects to this machine are for programs on it alone (OpenID Connect Registration).
        "application_type": "native",
    });
    let answer = site.post(endpoint, &body).await?;
    let text = std::str::from_utf8(&answer.body).ok();
    let tree = text.and_then(|text| cost::parse_tree(text, LARGEST_TREE));
    let tree = tree.unwrap_or_default();
    let text = |key: &str| {
        let text = tree.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty() && text.len() <= LONGEST)
    };
    let status = answer.status.as_u16();
    if !answer.status.is_success() {
        let words = [text("error"), text("error_description")];
        let words: Vec<String> = words.into_iter().flatten().map(|it| start_of(it, 300)).collect();
        let words =
            if words.is_empty() { String::new() } else { format!(": {}", words.join(": ")) };
        return Err(refused(format!("it answers HTTP {status}{words}")));
    }
    let Some(id) = text("client_id") else {
        return Err(refused(format!("it answers HTTP {status} without a `client_id`")));
    };
    let auth = match text("token_endpoint_auth_method").unwrap_or(method) {
        "client_secret_basic" => ClientAuthKind::Basic,
        "none" | "client_secret_post" => ClientAuthKind::Post,
        other => return Err(refused(format!("it wants `{}` of us", start_of(other, 60)))),
    };
    let ends = tree.get("client_secret_expires_at").and_then(Value::as_u64);
    Ok(RegisteredClient {
        id: id.into(),
        secret: text("client_secret").map(Into::into),
        auth,
        secret_ends: ends.unwrap_or_default(),
    })
}
