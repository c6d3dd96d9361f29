//! What a server says when it lets nobody in (RFC 6750, section 3; RFC 9728, section 5.1).

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

use super::MOST_SCOPES;
use crate::config::{BackendSettings, server_authorization::is_scope, shell::shell_quoted};

/// So many fields are looked at, and so much of each.
const MOST_FIELDS: usize = 8;
const LONGEST_FIELD: usize = 8 * 1024;

/// A challenge of the scheme `Bearer`. All of it is the word of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    /// Where the server describes itself.
    pub resource_metadata: Option<String>,
    /// The rights that the request needs.
    pub scopes: Option<Vec<String>>,
    /// Why it was refused, such as `invalid_token`.
    pub error: Option<String>,
}

impl BearerChallenge {
    /// Finds the first challenge for bearers; others, and what is malformed, are passed over.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(WWW_AUTHENTICATE).iter().take(MOST_FIELDS);
        let texts = fields.filter_map(|field| field.to_str().ok());
        texts.filter(|text| text.len() <= LONGEST_FIELD).find_map(Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut scanner = FieldScanner { rest: text };
        while let Some(piece) = scanner.next() {
            match piece {
                FieldPiece::Scheme(_) if found.is_some() => break,
                FieldPiece::Scheme(scheme) => {
                    found = scheme.eq_ignore_ascii_case("bearer").then(Self::default);
                }
                FieldPiece::Parameter(name, value) => {
                    if let Some(challenge) = &mut found {
                        challenge.take(&name.to_ascii_lowercase(), value);
                    }
                }
            }
        }
        found
    }

    fn take(&mut self, name: &str, value: String) {
        // The first one of a name counts.
        match name {
            "resource_metadata" if self.resource_metadata.is_none() => {
                self.resource_metadata = Some(value);
            }
            "scope" if self.scopes.is_none() => self.scopes = Some(scopes_in(&value)),
            "error" if self.error.is_none() => self.error = Some(value),
            _ => {}
        }
    }
}

/// Returns the scopes of a text with spaces, each once, and 64 at most.
pub fn scopes_in(text: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split_ascii_whitespace().filter(|scope| is_scope(scope)) {
        if scopes.len() < MOST_SCOPES && !scopes.iter().any(|it| it == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Why a server lets this program do nothing, or not this: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerRefusal {
    /// The operator: the login has not enough rights.
    #[error(
        "the login at the MCP server \"{backend}\" lacks {}; if it should have that, run `{command}`",
        named(scopes)
    )]
    InsufficientScope {
        /// The backend.
        backend: String,
        /// What the server says that it needs.
        scopes: Vec<String>,
        /// The command that asks for it.
        command: String,
    },
    /// The operator: there is no login, or it has ended.
    #[error("the MCP server \"{backend}\" wants a login, or another one; run `{command}`")]
    NoLogin {
        /// The backend.
        backend: String,
        /// The command that logs in.
        command: String,
    },
}

impl ServerRefusal {
    /// Reads an answer of the server of `backend`; `None` when it is no refusal of the login. One with 401
    /// may pass with a renewed token: that is for the caller to try, once.
    pub fn of(status: StatusCode, headers: &HeaderMap, backend: &BackendSettings) -> Option<Self> {
        let challenge = BearerChallenge::of(headers);
        let (backend, mut command) = (backend.name.clone(), backend.setup_command());
        let is_scope =
            challenge.as_ref().is_some_and(|it| it.error.as_deref() == Some("insufficient_scope"));
        match status {
            StatusCode::FORBIDDEN if is_scope => {
                let scopes = challenge.and_then(|it| it.scopes).unwrap_or_default();
                for scope in &scopes {
                    command.push_str(" --scope ");
                    command.push_str(&shell_quoted(scope));
                }
                Some(Self::InsufficientScope { backend, scopes, command })
            }
            StatusCode::UNAUTHORIZED => Some(Self::NoLogin { backend, command }),
            _ => None,
        }
    }
}

fn named(scopes: &[String]) -> String {
    let quoted: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
    match quoted.as_slice() {
        [] => "a right that this needs".to_owned(),
        [one] => format!("the scope {one}"),
        all => format!("the scopes {}", all.join(", ")),
    }
}

/// A part of a `WWW-Authenticate` field (RFC 9110, section 11.6.1).
enum FieldPiece<'text> {
    Scheme(&'text str),
    Parameter(&'text str, String),
}

/// Splits such a field into its parts.
struct FieldScanner<'text> {
    rest: &'text str,
}

impl<'text> FieldScanner<'text> {
    fn next(&mut self) -> Option<FieldPiece<'text>> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
            let end = self.rest.find(|c: char| !is_token(c)).unwrap_or(self.rest.len());
            let (word, after) = self.rest.split_at_checked(end)?;
            if word.is_empty() {
                // What is none of both is passed over, quoted text as a whole.
                let mut rest = self.rest.chars();
                self.rest = match rest.next()? {
                    '"' => value_in(self.rest).1,
                    _ => rest.as_str(),
                };
                continue;
            }
            let value = after.trim_start_matches([' ', '\t']).strip_prefix('=');
            // `token68` ends with signs of equality that no value follows.
            match value.filter(|value| !value.is_empty() && !value.starts_with(['=', ','])) {
                Some(value) => {
                    let value = value.trim_start_matches([' ', '\t']);
                    let (value, rest) = value_in(value);
                    self.rest = rest;
                    return Some(FieldPiece::Parameter(word, value));
                }
                None => {
                    self.rest = after.trim_start_matches('=');
                    return Some(FieldPiece::Scheme(word));
                }
            }
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c)
}

/// Reads a token or a quoted text, and returns what follows it.
fn value_in(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), rest);
    };
    let (mut value, mut rest) = (String::new(), quoted.chars());
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    (value, rest.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (WWW_AUTHENTICATE, field.parse().unwrap())).collect()
    }

    fn challenge(fields: &[&str]) -> Option<(Option<String>, Vec<String>, Option<String>)> {
        let BearerChallenge { resource_metadata, scopes, error } =
            BearerChallenge::of(&headers(fields))?;
        Some((resource_metadata, scopes.unwrap_or_default(), error))
    }

    #[test]
    fn the_challenge_for_bearers_is_found() {
        let place = Some("https://a.example/meta".to_owned());
        let both = vec!["files:read".to_owned(), "files:write".to_owned()];
        let one =
            r#"Bearer resource_metadata="https://a.example/meta", scope="files:read files:write""#;
        assert_eq!(challenge(&[one]), Some((place.clone(), both.clone(), None)));
        let odd = r#"bearer SCOPE = "files:read files:write files:read" ,resource_metadata=https://a.example/meta,error=invalid_token"#;
        let expired = Some("invalid_token".to_owned());
        assert_eq!(challenge(&[odd]), Some((place.clone(), both.clone(), expired)));
        let several =
            format!(r#"Basic realm="a, Bearer scope=x", Negotiate YWJj==, {one}, DPoP scope="no""#);
        assert_eq!(challenge(&[&several]), Some((place.clone(), both.clone(), None)));
        assert_eq!(challenge(&["Basic realm=\"x\"", one]), Some((place, both, None)));
        assert_eq!(challenge(&["Bearer"]), Some((None, Vec::new(), None)));
        for none in ["Basic realm=\"Bearer scope=x\"", "", "Negotiate a==", "\"Bearer\""] {
            assert_eq!(challenge(&[none]), None, "{none}");
        }
        let escaped = challenge(&[r#"Bearer error="in\"valid", scope="a" x"#]).unwrap();
        assert_eq!((escaped.2.as_deref(), escaped.1), (Some("in\"valid"), vec!["a".to_owned()]));
    }

    #[test]
    fn a_lack_of_rights_is_named_with_the_command_that_asks_for_them() {
        let mut backend = BackendSettings::new("docs", "");
        backend.provenance = crate::config::SettingsProvenance::Own;
        let of = |status: u16, field: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            ServerRefusal::of(status, &headers(&[field]), &backend).map(|it| it.to_string())
        };
        let lacking = r#"Bearer error="insufficient_scope", scope="a:write $(x)""#;
        insta::assert_snapshot!(
            of(403, lacking).unwrap(),
            @r#"the login at the MCP server "docs" lacks the scopes `a:write`, `$(x)`; if it should have that, run `dadl-mcp setup docs --scope a:write --scope '$(x)'`"#
        );
        insta::assert_snapshot!(
            of(401, "Bearer error=\"invalid_token\"").unwrap(),
            @r#"the MCP server "docs" wants a login, or another one; run `dadl-mcp setup docs`"#
        );
        assert_eq!(of(403, "Bearer error=\"access_denied\""), None);
        assert_eq!(of(200, lacking), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_field_is_read_within_bounds(text in "[ -~]{0,200}", bearer in any::<bool>()) {
            let text = if bearer { format!("Bearer {text}") } else { text };
            if let Some(found) = BearerChallenge::of(&headers(&[&text])) {
                let scopes = found.scopes.unwrap_or_default();
                prop_assert!(scopes.len() <= MOST_SCOPES);
                prop_assert!(scopes.iter().all(|scope| is_scope(scope)));
            }
        }
    }
}
