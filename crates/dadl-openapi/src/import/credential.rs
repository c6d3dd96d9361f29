//! Writes how requests authenticate: `backend.auth`, and `_dadl_mcp.auth` where that cannot say it.

use dadl_text::text::cut_text;

use super::{
    ToolDraft,
    descriptor_text::{TextPart, WrittenDescriptor, comment, quoted_yaml},
};
use crate::model::{ApiAuth, CredentialNeed, SecurityScheme};

/// So many characters of the other ways to authenticate are named.
const MAX_OTHERS: usize = 200;

/// Writes `auth`, with the first of the schemes.
pub(super) fn write_credential(auth: &ApiAuth, name: &str, out: &mut WrittenDescriptor) {
    if !auth.others.is_empty() {
        let others: Vec<String> = auth.others.iter().map(|other| comment(other)).collect();
        let others = others.join(", ");
        let others = cut_text(&others, MAX_OTHERS);
        out.line(2, &format!("# review: the document has other ways as well: {others}"));
    }
    if auth.has_certificate {
        out.line(2, "# The API asks for a client certificate: set `client_cert` and `client_key`.");
    }
    out.line(2, "auth:");
    let keys = match auth.schemes.first() {
        Some(scheme) => scheme_keys(scheme, &credential_name(auth, 0), name),
        None => scheme_keys(&SecurityScheme::None, "", name),
    };
    for key in keys {
        out.line(4, &key);
    }
}

/// Writes what `backend.auth` cannot say: further schemes, and who can do without.
pub(super) fn write_rules(
    auth: &ApiAuth,
    name: &str,
    tools: &[ToolDraft<'_>],
    out: &mut WrittenDescriptor,
) {
    let can_do_without =
        |tool: &ToolDraft<'_>| tool.operation.credential == CredentialNeed::Optional;
    let has_optional = !auth.schemes.is_empty() && tools.iter().any(can_do_without);
    if auth.schemes.len() < 2 && !has_optional {
        return;
    }
    out.line(2, "auth:");
    if auth.schemes.len() > 1 {
        out.line(4, "also:");
    }
    for (at, scheme) in auth.schemes.iter().enumerate().skip(1) {
        let keys = scheme_keys(scheme, &credential_name(auth, at), name);
        out.line(6, &format!("- {{ {} }}", keys.join(", ")));
    }
    if !has_optional {
        return;
    }
    if tools.iter().all(can_do_without) {
        out.line(4, "optional: true");
        return;
    }
    out.line(4, "optional:");
    for (index, tool) in tools.iter().enumerate().filter(|(_, tool)| can_do_without(tool)) {
        let from = out.text.len();
        out.line(6, &format!("- {}", tool.name));
        out.mark(from, TextPart::Tool(index));
    }
}

/// Returns what the credential of a scheme is called after the name of the backend.
fn credential_name(auth: &ApiAuth, at: usize) -> String {
    let is_key = |scheme: &SecurityScheme| {
        matches!(scheme, SecurityScheme::Header(_) | SecurityScheme::Query(_))
    };
    let has_token = auth
        .schemes
        .iter()
        .any(|it| matches!(it, SecurityScheme::Bearer | SecurityScheme::Cookie(_)));
    let mut names: Vec<String> = Vec::new();
    for scheme in auth.schemes.iter().take(at + 1) {
        let numbered = |word: &'static str| {
            (1..).map(move |number| match number {
                1 => word.to_owned(),
                _ => format!("{word}_{number}"),
            })
        };
        let mut wanted: Box<dyn Iterator<Item = String>> = if !is_key(scheme) {
            Box::new(numbered("token"))
        } else if has_token {
            Box::new(numbered("api_key"))
        } else {
            let first = ["api_key", "token"].map(str::to_owned);
            Box::new(first.into_iter().chain(numbered("api_key").skip(1)))
        };
        names.extend(wanted.find(|name| !names.contains(name)));
    }
    names.pop().unwrap_or_default()
}

/// Returns what is said of a scheme, each a key and its value.
fn scheme_keys(scheme: &SecurityScheme, word: &str, name: &str) -> Vec<String> {
    let called = |what: &str| format!("{}_{what}", name.replace('-', "_"));
    let client = || {
        [
            format!("client_id_credential: {}", called("client_id")),
            format!("client_secret_credential: {}", called("client_secret")),
        ]
    };
    match scheme {
        SecurityScheme::None => vec![
            "type: bearer".to_owned(),
            "credential: none # review: the document names no credential".to_owned(),
        ],
        SecurityScheme::Bearer => {
            vec!["type: bearer".to_owned(), format!("credential: {}", called(word))]
        }
        SecurityScheme::Basic => vec![
            "type: basic".to_owned(),
            format!("username_credential: {}", called("username")),
            format!("password_credential: {}", called("password")),
        ],
        SecurityScheme::Cookie(cookie) => vec![
            "type: bearer".to_owned(),
            format!("credential: {}", called(word)),
            "inject_into: header".to_owned(),
            "header_name: Cookie".to_owned(),
            format!("prefix: {}", quoted_yaml(&format!("{cookie}="))),
        ],
        SecurityScheme::Header(header) => vec![
            "type: apikey".to_owned(),
            format!("credential: {}", called(word)),
            format!("header_name: {}", quoted_yaml(header)),
        ],
        SecurityScheme::Query(param) => vec![
            "type: apikey".to_owned(),
            format!("credential: {}", called(word)),
            "inject_into: query".to_owned(),
            format!("query_param: {}", quoted_yaml(param)),
        ],
        SecurityScheme::ClientCredentials { token_url, scopes } => {
            let mut keys = vec![
                "type: oauth2".to_owned(),
                "flow: client_credentials".to_owned(),
                format!("token_url: {}", quoted_yaml(token_url)),
            ];
            keys.extend(client());
            keys.extend(scope_key(scopes));
            keys
        }
        SecurityScheme::AuthorizationCode { authorize_url, token_url, scopes } => {
            let mut keys = vec![
                "type: oauth2".to_owned(),
                "flow: authorization_code".to_owned(),
                format!("authorize_url: {}", quoted_yaml(authorize_url)),
                format!("token_url: {}", quoted_yaml(token_url)),
            ];
            keys.extend(client());
            keys.push(format!("refresh_token_credential: {}", called("refresh_token")));
            keys.extend(scope_key(scopes));
            keys
        }
    }
}

fn scope_key(scopes: &[String]) -> Option<String> {
    let is_scope = |scope: &&String| {
        !scope.is_empty()
            && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    let scopes: Vec<String> =
        scopes.iter().filter(is_scope).map(|scope| quoted_yaml(scope)).collect();
    (!scopes.is_empty()).then(|| format!("scopes: [{}]", scopes.join(", ")))
}
