//! `auth: {type: mcp}` of a server at a URL: the authorization that MCP itself specifies.
//!
//! Nothing of it has to be said: the server names who gives access, and `setup` registers there. What
//! is said narrows that: another authorization server is not used then, and no other right asked for.

use dadl_descriptor::{
    code,
    model::{
        CredentialName,
        auth::login::{check_endpoint, is_loopback},
    },
};
use url::Url;

use super::{
    keys,
    reader::{ConfigReader, ConfigSection, ConfigText},
};

/// How this program gets access to a server at a URL, as MCP specifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpAuthorization {
    /// Whether the settings say so; else a server that asks for no login gets none.
    pub is_said: bool,
    /// Who agrees.
    pub flow: McpFlow,
    /// What the authorization server knows this program by; `None` to register.
    pub client_id: Option<String>,
    /// The secret of that client.
    pub client_secret: Option<CredentialName>,
    /// Where the browser comes back to; `None` for a free port of this machine.
    pub redirect_uri: Option<Url>,
    /// The rights to ask for; `None` for those that the server names.
    pub scopes: Option<Vec<String>>,
    /// The authorization server.
    pub issuer: Option<Url>,
    /// Log in although the authorization server does not say that it knows PKCE.
    pub assume_pkce: bool,
}

/// Who agrees that this program gets access.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum McpFlow {
    /// A person, in a browser.
    #[default]
    AuthorizationCode,
    /// Nobody any more: it has credentials of its own.
    ClientCredentials,
}

impl ConfigReader {
    /// Reads how a server at a URL lets this program in; `None` where that is said otherwise.
    pub(super) fn read_authorization(
        &mut self,
        section: ConfigSection<'_>,
    ) -> Option<McpAuthorization> {
        if section.entry("auth").is_none() {
            let is_keyed = section.entry("api_key_env").is_some();
            return (!is_keyed).then(McpAuthorization::default);
        }
        let auth = self.read_mapping(section, "auth")?;
        if auth.entry("type").is_none() {
            let place = section.entry("auth").map(|it| it.key_span.clone()).unwrap_or_default();
            self.report_missing(auth, "type", &place);
            return None;
        }
        self.read_choice(auth, "type", &[("mcp", ())])?;
        let names: Vec<&str> = keys::MCP_AUTH.iter().map(|key| key.name).collect();
        self.check_keys(auth, &names);
        if let Some(entry) = section.entry("api_key_env") {
            let message = "`api_key_env` and `auth` are two ways to log in";
            let span = entry.key_span.clone();
            self.report_error(code::UNKNOWN_KEY, &span, message, "remove one of them");
        }
        let flows = [
            ("authorization_code", McpFlow::AuthorizationCode),
            ("client_credentials", McpFlow::ClientCredentials),
        ];
        let read = McpAuthorization {
            is_said: true,
            flow: self.read_choice(auth, "flow", &flows).unwrap_or_default(),
            client_id: self.read_client_id(auth),
            client_secret: self.read_client_secret(auth),
            redirect_uri: self.read_redirect(auth),
            scopes: self.read_scopes(auth),
            issuer: self.read_issuer(auth),
            assume_pkce: self.read_boolean(auth, "assume_pkce").unwrap_or_default(),
        };
        self.check_client(auth, &read);
        Some(read)
    }

    fn check_client(&mut self, auth: ConfigSection<'_>, read: &McpAuthorization) {
        let place = auth.entry("type").map(|it| it.key_span.clone()).unwrap_or_default();
        let wants_both = read.flow == McpFlow::ClientCredentials;
        if (wants_both || auth.entry("client_secret").is_some())
            && auth.entry("client_id").is_none()
        {
            self.report_missing(auth, "client_id", &place);
        }
        if wants_both && auth.entry("client_secret").is_none() {
            self.report_missing(auth, "client_secret", &place);
        }
    }

    fn read_client_id(&mut self, auth: ConfigSection<'_>) -> Option<String> {
        let ConfigText { value, span } = self.read_text(auth, "client_id")?;
        if value.trim().is_empty() || value.contains(char::is_control) {
            self.report_error(code::WRONG_TYPE, &span, "`client_id` names no client", "");
        }
        Some(value.to_owned())
    }

    fn read_client_secret(&mut self, auth: ConfigSection<'_>) -> Option<CredentialName> {
        let entry = self.find_value(auth, "client_secret")?;
        if let dadl_descriptor::yaml::YamlValue::String(_) = &entry.value.value {
            // The text may be the secret.
            let message = "`client_secret` names a credential, and is not the secret itself";
            let help =
                "write `client_secret: {credential: NAME}`; `dadl-mcp setup` asks for its value";
            self.report_error(code::WRONG_TYPE, &entry.value.span, message, help);
            return None;
        }
        self.credential_name(&entry.value, "`client_secret`")
    }

    fn read_redirect(&mut self, auth: ConfigSection<'_>) -> Option<Url> {
        let ConfigText { value, span } = self.read_text(auth, "redirect_uri")?;
        let url = Url::parse(value).ok().filter(|url| url.has_host() && url.fragment().is_none());
        let fits =
            |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        let url = url.filter(fits);
        if url.is_none() {
            let message = "`redirect_uri` is no address that a browser may come back to";
            let help = "write one of this machine, such as `http://127.0.0.1:8765/callback`, or an https \
                        one for `setup --paste`";
            self.report_error(code::UNKNOWN_VALUE, &span, message, help);
        }
        url
    }

    fn read_scopes(&mut self, auth: ConfigSection<'_>) -> Option<Vec<String>> {
        let items = self.read_texts(auth, "scopes")?;
        let mut scopes = Vec::new();
        for ConfigText { value, span } in items {
            if !is_scope(value) {
                let message = format!("`{value}` is no scope");
                let help = "write one scope an item: they hold no spaces and no quotes";
                self.report_error(code::UNKNOWN_VALUE, &span, message, help);
            } else if !scopes.iter().any(|scope| scope == value) {
                scopes.push(value.to_owned());
            }
        }
        Some(scopes)
    }

    fn read_issuer(&mut self, auth: ConfigSection<'_>) -> Option<Url> {
        let ConfigText { value, span } = self.read_text(auth, "issuer")?;
        let problem = match Url::parse(value) {
            Err(_) => "it is no URL".to_owned(),
            Ok(url) if url.query().is_some() => "it cannot have a query".to_owned(),
            Ok(url) => match check_endpoint(&url) {
                Ok(()) => return Some(url),
                Err(error) => error.to_string(),
            },
        };
        let message = format!("`issuer` names no authorization server: {problem}");
        let help = "write its URL, such as `https://auth.example.com`";
        self.report_error(code::UNKNOWN_VALUE, &span, message, help);
        None
    }
}

/// Returns whether a text is one scope (RFC 6749, section 3.3).
pub(crate) fn is_scope(text: &str) -> bool {
    let is_legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(is_legal)
}
