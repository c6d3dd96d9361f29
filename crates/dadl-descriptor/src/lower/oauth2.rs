//! `auth.type: oauth2`.

use std::ops::Range;

use url::Url;

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    placement::{AuthKind, lower_credential, lower_placement, report_foreign_key},
};
use crate::{
    code,
    model::{
        CredentialName,
        auth::login::{AuthorizationConsent, ClientAuth, OAuth2, OAuth2Grant, check_endpoint},
    },
};

/// The keys that every flow has.
const COMMON: &[&str] = &[
    "type",
    "flow",
    "token_url",
    "token_auth",
    "scopes",
    "token_cache_key",
    "refresh_before_expiry",
    "inject_into",
    "header_name",
    "prefix",
    "query_param",
];

/// The parameters of an authorization request that are the program's own.
const RESERVED: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum OAuth2Flow {
    AuthorizationCode,
    ClientCredentials,
    JwtBearer,
    RefreshToken,
}

impl OAuth2Flow {
    fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "jwt_bearer",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// Returns the keys of this flow besides [`COMMON`].
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::AuthorizationCode => &[
                "authorize_url",
                "client_id_credential",
                "client_secret_credential",
                "refresh_token_credential",
                "rotates_refresh_token",
                "authorization_params",
                "redirect_uri",
            ],
            Self::ClientCredentials => &["client_id_credential", "client_secret_credential"],
            Self::JwtBearer => &["service_account_credential", "subject"],
            Self::RefreshToken => &[
                "client_id_credential",
                "client_secret_credential",
                "refresh_token_credential",
                "rotates_refresh_token",
            ],
        }
    }
}

/// Lowers the keys of `oauth2`; `None` when there is a finding that is an error.
pub(super) fn lower<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<OAuth2> {
    let flows = [
        ("client_credentials", OAuth2Flow::ClientCredentials),
        ("refresh_token", OAuth2Flow::RefreshToken),
        ("jwt_bearer", OAuth2Flow::JwtBearer),
        ("authorization_code", OAuth2Flow::AuthorizationCode),
    ];
    let flow = match context.text(section, "flow") {
        Some(text) => context.choice(&text, "flow", &flows)?,
        None => OAuth2Flow::ClientCredentials,
    };
    if flow != OAuth2Flow::ClientCredentials {
        context.since_v02(section, "flow");
    }
    let own: Vec<&str> = COMMON.iter().chain(flow.keys()).copied().collect();
    report_foreign_key(section, &format!("the flow `{}`", flow.as_str()), &own, context);
    let token_url = if flow == OAuth2Flow::JwtBearer && section.entry("token_url").is_none() {
        Some(None)
    } else {
        lower_endpoint(section, "token_url", context).map(Some)
    };
    let ways = [("post", ClientAuth::Post), ("basic", ClientAuth::Basic)];
    let client_auth = match context.text(section, "token_auth") {
        Some(text) => context.choice(&text, "way to authenticate", &ways),
        None => Some(ClientAuth::Post),
    };
    let scopes = lower_scopes(section, context);
    context.warn_ignored(section, "token_cache_key");
    let renew_before = match section.entry("refresh_before_expiry") {
        Some(_) => context.duration(section, "refresh_before_expiry"),
        None => Some(OAuth2::USUAL_RENEW_BEFORE),
    };
    let placement = lower_placement(section, AuthKind::OAuth2, context);
    let grant = lower_grant(flow, section, context);
    Some(OAuth2 {
        grant: grant?,
        token_url: token_url?,
        client_auth: client_auth?,
        scopes,
        renew_before: renew_before?,
        placement: placement?,
        resource: None,
    })
}

fn lower_grant<'tree>(
    flow: OAuth2Flow,
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<OAuth2Grant> {
    match flow {
        OAuth2Flow::ClientCredentials => {
            let client_id = required_credential(section, "client_id_credential", context);
            let client_secret = required_credential(section, "client_secret_credential", context);
            Some(OAuth2Grant::ClientCredentials {
                client_id: client_id?,
                client_secret: client_secret?,
            })
        }
        OAuth2Flow::JwtBearer => {
            let service_account =
                required_credential(section, "service_account_credential", context);
            let subject = context.string(section, "subject");
            Some(OAuth2Grant::JwtBearer { service_account: service_account?, subject })
        }
        OAuth2Flow::RefreshToken | OAuth2Flow::AuthorizationCode => {
            let client_id = required_credential(section, "client_id_credential", context);
            let client_secret = match context.text(section, "client_secret_credential") {
                // A public client (RFC 6749, section 2.1) has no secret.
                Some(text) if text.value == "none" => Some(None),
                Some(text) => lower_credential(&text, context).map(Some),
                None => Some(None),
            };
            let refresh_token = required_credential(section, "refresh_token_credential", context);
            let rotates = match section.entry("rotates_refresh_token") {
                Some(entry) => {
                    let rotates = context.boolean(section, "rotates_refresh_token");
                    if rotates == Some(true) {
                        context.since_v02(section, "rotates_refresh_token");
                        context.requires_feature(entry, "refresh_token_rotation");
                    }
                    rotates
                }
                None => Some(false),
            };
            let consent = match flow {
                OAuth2Flow::AuthorizationCode => {
                    lower_consent(section, context).map(|consent| Some(Box::new(consent)))
                }
                _ => Some(None),
            };
            Some(OAuth2Grant::RefreshToken {
                client_id: client_id?,
                client_secret: client_secret?,
                refresh_token: refresh_token?,
                rotates: rotates?,
                consent: consent?,
            })
        }
    }
}

/// Reads the name of a credential without which the flow does not work.
fn required_credential<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Option<CredentialName> {
    let text = context.required_text(section, key)?;
    if text.value == "none" {
        context.error(code::CREDENTIAL_NAME, &text.span, format!("`{key}` cannot be `none`")).help(
            "name a credential; for a public API write `auth: {type: bearer, credential: none}`",
        );
        return None;
    }
    lower_credential(&text, context)
}

fn lower_consent<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<AuthorizationConsent> {
    let authorize_url = lower_endpoint(section, "authorize_url", context);
    let parameters = authorization_params(section, context);
    let redirect_uri = match context.text(section, "redirect_uri") {
        Some(text) => match Url::parse(text.value) {
            Ok(url) if url.fragment().is_none() => Some(Some(url)),
            _ => {
                let what = "this is not an absolute URL without a fragment";
                report_unusable(&text.span, "redirect_uri", what, context);
                None
            }
        },
        None => Some(None),
    };
    Some(AuthorizationConsent {
        authorize_url: authorize_url?,
        parameters: parameters?,
        redirect_uri: redirect_uri?,
    })
}

fn authorization_params<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Vec<(String, String)>> {
    let Some(entry) = section.entry("authorization_params") else { return Some(Vec::new()) };
    let place = MappingPlace::Key("authorization_params");
    let given = context.open(&entry.value, &entry.key_span, place)?;
    let mut parameters = Some(Vec::new());
    for entry in given.entries() {
        let key = entry.key.as_ref();
        if RESERVED.contains(&key) {
            context
                .error(
                    code::AUTHORIZATION_PARAM,
                    &entry.key_span,
                    format!("the authorization parameter `{key}` is set by the program"),
                )
                .help("remove it; `scopes`, `redirect_uri` and the credentials have keys of their own");
            parameters = None;
            continue;
        }
        let text = context.node_text(&entry.value, format_args!("the parameter `{key}`"));
        if let (Some(text), Some(parameters)) = (text, &mut parameters) {
            parameters.push((key.to_owned(), text.value.to_owned()));
        }
    }
    parameters
}

/// Reads a URL that secrets are sent to.
fn lower_endpoint<'tree>(
    section: &YamlSection<'tree>,
    key: &'static str,
    context: &mut LowerContext<'tree>,
) -> Option<Url> {
    let text = context.required_text(section, key)?;
    let Ok(url) = Url::parse(text.value) else {
        report_unusable(&text.span, key, "this is not an absolute URL", context);
        return None;
    };
    match check_endpoint(&url) {
        Ok(()) => Some(url),
        Err(error) => {
            report_unusable(&text.span, key, &error.to_string(), context);
            None
        }
    }
}

fn report_unusable(span: &Range<usize>, key: &str, reason: &str, context: &mut LowerContext<'_>) {
    context
        .error(code::LOGIN_URL, span, format!("`{key}` cannot be used"))
        .label(reason)
        .help("write a whole URL, such as `https://auth.example.com/oauth/token`");
}

/// Reads the scopes (RFC 6749, section 3.3: no spaces, quotes or backslashes).
fn lower_scopes<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<String> {
    let texts = context.texts(section, "scopes");
    for YamlText { value, span } in &texts {
        let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if value.is_empty() || !value.bytes().all(is_token) {
            context
                .warning(code::SCOPE, span, format!("`{value}` is not one scope"))
                .label("scopes are separated by spaces, and have no quotes")
                .help("write each scope as an item of its own");
        }
    }
    texts.into_iter().map(|text| text.value.to_owned()).collect()
}
