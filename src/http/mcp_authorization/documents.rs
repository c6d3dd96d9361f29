//! What servers say of themselves: protected resource metadata (RFC 9728) and authorization server
//! metadata (RFC 8414, OpenID Connect Discovery). Checked when it is read: what comes out of here was
//! said by whom it is about, and leads to encrypted addresses or to this machine.

use dadl_descriptor::model::auth::login::check_endpoint;
use dadl_text::{json::cost, text::start_of};
use serde_json::{Map, Value};
use url::Url;

use super::{MOST_ISSUERS, MOST_SCOPES, challenge::scopes_in, error::MetadataProblem};
use crate::config::{
    server_authorization::is_scope,
    server_login::{covers_server, shown_url},
};

/// A document whose tree would take more is none, in bytes.
const LARGEST_TREE: u64 = 4 * 1024 * 1024;

/// A longer address is none.
const LONGEST_URL: usize = 2048;

/// What a server says of itself (RFC 9728, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// What tokens for it are asked for, as it writes it.
    pub resource: String,
    /// Who gives access.
    pub issuers: Vec<String>,
    /// The rights that there are.
    pub scopes: Vec<String>,
}

/// What an authorization server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMetadata {
    /// Its name, as it writes it.
    pub issuer: String,
    /// Where a person agrees.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens come from.
    pub token_endpoint: Url,
    /// Where clients are registered.
    pub registration_endpoint: Option<Url>,
    /// Where tokens are given back.
    pub revocation_endpoint: Option<Url>,
    /// How clients show their secrets; `None` where it does not say.
    pub auth_methods: Option<Vec<String>>,
    /// The methods of PKCE; `None` where it does not say.
    pub pkce: Option<Vec<String>>,
    /// The rights that there are.
    pub scopes: Vec<String>,
    /// Whether its answers in the browser say whose they are (RFC 9207).
    pub says_issuer: bool,
    /// Whether a client may be the URL of a document about it.
    pub takes_client_documents: bool,
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, MetadataProblem> {
    let text = std::str::from_utf8(bytes).ok();
    match text.and_then(|text| cost::parse_tree(text, LARGEST_TREE)) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(MetadataProblem::NotJson),
    }
}

fn text<'object>(object: &'object Map<String, Value>, key: &str) -> Option<&'object str> {
    let text = object.get(key).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() && text.len() <= LONGEST_URL)
}

/// Returns the texts of a list, so many at most; `None` for what is no list.
fn texts(object: &Map<String, Value>, key: &str, most: usize) -> Option<Vec<String>> {
    let items = object.get(key).and_then(Value::as_array)?;
    let items = items.iter().filter_map(Value::as_str);
    let short = items.filter(|text| text.len() <= LONGEST_URL);
    Some(short.take(most).map(str::to_owned).collect())
}

fn scopes(object: &Map<String, Value>) -> Vec<String> {
    let mut scopes = texts(object, "scopes_supported", MOST_SCOPES).unwrap_or_default();
    scopes.retain(|scope| is_scope(scope));
    scopes_in(&scopes.join(" "))
}

/// Writes what a stranger says in a message.
fn shown(text: &str) -> String {
    start_of(text, 200)
}

impl ResourceMetadata {
    /// Reads what the server at `server` says of itself.
    ///
    /// # Errors
    ///
    /// It is about something else, or names nobody.
    pub fn parse(bytes: &[u8], server: &Url) -> Result<Self, MetadataProblem> {
        let object = object(bytes)?;
        let resource = text(&object, "resource").ok_or(MetadataProblem::Missing("resource"))?;
        if !Url::parse(resource).is_ok_and(|url| covers_server(&url, server)) {
            let (theirs, server) = (shown(resource), shown_url(server));
            return Err(MetadataProblem::Resource { theirs, server });
        }
        let issuers = texts(&object, "authorization_servers", MOST_ISSUERS).unwrap_or_default();
        if issuers.is_empty() {
            return Err(MetadataProblem::Missing("authorization_servers"));
        }
        Ok(Self { resource: resource.to_owned(), issuers, scopes: scopes(&object) })
    }
}

impl IssuerMetadata {
    /// Reads what the authorization server `issuer` says of itself.
    ///
    /// # Errors
    ///
    /// It is somebody else's, or leads where no secret may go.
    pub fn parse(bytes: &[u8], issuer: &str) -> Result<Self, MetadataProblem> {
        let object = object(bytes)?;
        let theirs = text(&object, "issuer").ok_or(MetadataProblem::Missing("issuer"))?;
        if !is_same_issuer(theirs, issuer) {
            let (theirs, wanted) = (shown(theirs), shown(issuer));
            return Err(MetadataProblem::Issuer { theirs, wanted });
        }
        let endpoint = |key: &'static str| match object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => {
                let url = text(&object, key).and_then(|text| Url::parse(text).ok());
                let url = url.ok_or(MetadataProblem::Missing(key))?;
                match check_endpoint(&url) {
                    Ok(()) => Ok(Some(url)),
                    Err(error) => Err(MetadataProblem::Endpoint { key, error }),
                }
            }
        };
        let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or_default();
        let words = |key: &str| texts(&object, key, MOST_SCOPES);
        Ok(Self {
            issuer: theirs.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?
                .ok_or(MetadataProblem::Missing("token_endpoint"))?,
            registration_endpoint: endpoint("registration_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            auth_methods: words("token_endpoint_auth_methods_supported"),
            pkce: words("code_challenge_methods_supported"),
            scopes: scopes(&object),
            says_issuer: flag("authorization_response_iss_parameter_supported"),
            takes_client_documents: flag("client_id_metadata_document_supported"),
        })
    }

    /// What revision 2025-03-26 of MCP says of a server that describes nothing: it gives access itself, at
    /// these paths of its origin.
    pub(super) fn of_old_server(origin: &Url) -> Result<Self, MetadataProblem> {
        let endpoint = |key: &'static str, path: &str| {
            let url = origin.join(path).map_err(|_| MetadataProblem::Missing(key))?;
            match check_endpoint(&url) {
                Ok(()) => Ok(url),
                Err(error) => Err(MetadataProblem::Endpoint { key, error }),
            }
        };
        Ok(Self {
            issuer: origin.origin().ascii_serialization(),
            authorization_endpoint: Some(endpoint("authorization_endpoint", "/authorize")?),
            token_endpoint: endpoint("token_endpoint", "/token")?,
            registration_endpoint: Some(endpoint("registration_endpoint", "/register")?),
            revocation_endpoint: None,
            auth_methods: None,
            // That revision has every server know it.
            pkce: Some(vec!["S256".to_owned()]),
            scopes: Vec::new(),
            says_issuer: false,
            takes_client_documents: false,
        })
    }

    /// Finds out whether codes are of use to nobody else (RFC 7636).
    pub(super) fn check_pkce(&self, is_assumed: bool) -> Result<(), MetadataProblem> {
        match &self.pkce {
            Some(methods) if methods.iter().any(|method| method == "S256") => Ok(()),
            Some(_) => Err(MetadataProblem::Pkce { is_unsaid: false }),
            None if is_assumed => Ok(()),
            None => Err(MetadataProblem::Pkce { is_unsaid: true }),
        }
    }
}

/// Returns whether two texts name one authorization server; a `/` at the end makes no difference.
pub(super) fn is_same_issuer(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn issuer(changes: Value) -> Result<IssuerMetadata, String> {
        let mut document = json!({
            "issuer": "https://auth.example/t",
            "authorization_endpoint": "https://auth.example/authorize",
            "token_endpoint": "https://tokens.example/token",
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        for (key, value) in changes.as_object().unwrap() {
            document[key] = value.clone();
        }
        let parsed =
            IssuerMetadata::parse(document.to_string().as_bytes(), "https://auth.example/t");
        parsed.map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_authorization_server_speaks_for_itself_alone() {
        let read = issuer(json!({})).unwrap();
        assert!(read.check_pkce(false).is_ok() && !read.says_issuer);
        assert!(issuer(json!({ "issuer": "https://auth.example/t/" })).is_ok());
        for (changes, text) in [
            (json!({ "issuer": "https://evil.example" }), "its `issuer` is https://evil.example"),
            (json!({ "issuer": null }), "it has no usable `issuer`"),
            (json!({ "token_endpoint": null }), "it has no usable `token_endpoint`"),
            (json!({ "token_endpoint": 1 }), "it has no usable `token_endpoint`"),
            (json!({ "token_endpoint": "http://tokens.example/" }), "it must be https"),
            (json!({ "authorization_endpoint": "file:///etc/passwd" }), "must be https"),
            (json!({ "registration_endpoint": "https://u:p@a.example/" }), "user name"),
            (json!({ "revocation_endpoint": "https://a.example/#x" }), "fragment"),
        ] {
            let problem = issuer(changes).unwrap_err();
            assert!(problem.contains(text), "{problem}");
        }
    }

    #[test]
    fn pkce_is_needed() {
        let check = |methods: Value, assumed| {
            let read = issuer(json!({ "code_challenge_methods_supported": methods })).unwrap();
            read.check_pkce(assumed).map_err(|problem| problem.to_string())
        };
        assert!(check(json!(["S256"]), false).is_ok());
        assert!(check(Value::Null, true).is_ok());
        assert!(check(Value::Null, false).unwrap_err().contains("assume_pkce"));
        // What it says itself is not assumed away.
        for methods in [json!(["plain"]), json!([]), json!(["s256"])] {
            let problem = check(methods, true).unwrap_err();
            assert!(!problem.contains("assume_pkce"), "{problem}");
        }
    }

    #[test]
    fn a_server_speaks_for_itself_alone() {
        let server = Url::parse("https://a.example/mcp").unwrap();
        let parse = |document: Value| {
            let parsed = ResourceMetadata::parse(document.to_string().as_bytes(), &server);
            parsed.map_err(|problem| problem.to_string())
        };
        let servers = json!(["https://auth.example"]);
        let read = parse(json!({
            "resource": "https://a.example", "authorization_servers": servers,
            "scopes_supported": ["read", "no scope", 7, "read", "write"],
        }));
        let read = read.unwrap();
        assert_eq!((read.resource.as_str(), read.issuers.len()), ("https://a.example", 1));
        assert_eq!(read.scopes, ["read", "write"]);
        let other =
            parse(json!({ "resource": "https://b.example", "authorization_servers": servers }));
        insta::assert_snapshot!(
            other.unwrap_err(),
            @"its `resource` is https://b.example, which is neither https://a.example/mcp nor a parent of it"
        );
        assert!(parse(json!({ "resource": "https://a.example" })).is_err());
        assert!(parse(json!({ "authorization_servers": servers })).is_err());
        assert!(parse(json!([])).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_document_is_read_or_refused(bytes in any::<Vec<u8>>()) {
            let server = Url::parse("https://a.example/mcp").unwrap();
            prop_assert!(ResourceMetadata::parse(&bytes, &server).is_err());
            prop_assert!(IssuerMetadata::parse(&bytes, "https://auth.example").is_err());
        }
    }
}
