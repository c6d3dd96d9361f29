//! A server that a host reaches at a URL.

use dadl_text::names::header;
use serde_json::Value;
use url::Url;

use super::{
    entry::{EntryReader, InputValue, REMOVED, shown_name, shown_names},
    looks_secret::{SCHEMES, SecretPart, is_secret, looks_secret, secret_part},
    values::{HostValue, is_variable_name, reference_names, without_defaults},
    written::YamlText,
};
use crate::cli::yaml_text;

/// Fields that the transport sets, besides those of `Mcp-`.
const OF_PROTOCOL: [&str; 3] = ["accept", "content-type", "last-event-id"];

/// Where a credential is sent.
#[derive(Clone, Copy)]
enum SentIn<'name> {
    Header { name: &'name str, prefix: &'name str },
    Query(&'name str),
}

impl EntryReader<'_> {
    pub(super) fn read_url(&mut self) {
        self.set("transport", "http".to_owned());
        self.read_address();
        let mut literal = Vec::new();
        for key in ["headers", "http_headers"] {
            for (name, value) in self.take_mapping(key) {
                self.read_header(name, &value, &mut literal);
            }
        }
        for (name, variable) in self.take_mapping("env_http_headers") {
            self.read_header(name, &format!("${{{variable}}}"), &mut literal);
        }
        if let Some(variable) = self.take_text(&["bearer_token_env_var"]) {
            self.read_bearer(&format!("${{{variable}}}"));
        }
        if let Some(token) = self.take_text(&["bearer_token"]) {
            self.read_bearer(token);
        }
        self.read_oauth();
        if self.take("headersHelper").is_some() {
            self.reasons.push(
                "`headersHelper` is a program that writes header fields, and none is run here"
                    .to_owned(),
            );
        }
        if !literal.is_empty() {
            self.keys.push(("headers", YamlText::Block(literal)));
        }
        if !self.variables.is_empty() {
            let variables = std::mem::take(&mut self.variables);
            self.keys.push(("env", YamlText::Block(variables)));
        }
    }

    fn read_address(&mut self) {
        let Some(text) = self.take_text(&["url", "serverUrl", "httpUrl"]) else {
            self.reasons.push("it has no `url`".to_owned());
            return;
        };
        let (filled, _) = self.places.fill_in(text.trim());
        let Ok(mut url) = Url::parse(&filled) else {
            let filled = self.filled("`url`", &filled);
            let is_bare = !looks_secret(&filled);
            self.set(
                "url",
                yaml_text::scalar(&if is_bare {
                    without_defaults(&filled)
                } else {
                    REMOVED.into()
                }),
            );
            if !is_bare {
                self.names.note(&filled);
                self.reasons.push("`url` has a secret".to_owned());
            }
            return;
        };
        match secret_part(&url) {
            None => {}
            Some(SecretPart::Query(names)) => self.take_out_of_query(&mut url, &names),
            Some(SecretPart::Login | SecretPart::Path) => {
                self.names.note(&filled);
                self.reasons.push(format!(
                    "`url` has a secret, where `{REMOVED}` stands now; a secret in a path or before the host \
                     cannot be a credential here"
                ));
                let host = url.host_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                let shown = format!("{}://{host}{port}/{REMOVED}", url.scheme());
                self.set("url", yaml_text::scalar(&shown));
                return;
            }
        }
        if url.fragment().is_some() {
            url.set_fragment(None);
            self.told.push("what is behind `#` in `url` is left out".to_owned());
        }
        // Only what has changed is written in another way.
        let text = if url.as_str() == filled || filled.contains(['#', '?']) {
            url.as_str().replace("%7B", "{").replace("%7D", "}")
        } else {
            filled
        };
        let text = self.filled("`url`", &text);
        self.set("url", yaml_text::scalar(&without_defaults(&text)));
    }

    /// Takes secrets out of the query; one of them can be sent there as a credential.
    fn take_out_of_query(&mut self, url: &mut Url, names: &[String]) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        for (name, value) in pairs {
            if names.contains(&name) {
                let credential = self.secret(&name, &value);
                self.send(credential, SentIn::Query(&name));
            } else {
                url.query_pairs_mut().append_pair(&name, &value);
            }
        }
    }

    fn read_header(&mut self, name: &str, value: &str, literal: &mut Vec<(String, String)>) {
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            self.read_authorization_field(name, value);
            return;
        }
        let is_name = !name.is_empty()
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
        let of_protocol = lower.starts_with("mcp-") || OF_PROTOCOL.contains(&lower.as_str());
        if !is_name || of_protocol || header::is_ours(&lower) {
            if is_secret(name, value) {
                self.names.note(value);
                self.reasons.push(format!(
                    "the header field {} has a secret, and cannot be set here",
                    shown_name(name)
                ));
            } else {
                self.told.push(format!(
                    "the header field {} cannot be set here; left out",
                    shown_name(name)
                ));
            }
            return;
        }
        let (filled, _) = self.places.fill_in(value);
        match HostValue::of(name, &filled) {
            HostValue::Text(text) if !is_secret(name, text) => {
                literal.push((name.to_owned(), yaml_text::scalar(text)));
            }
            _ => {
                let credential = self.secret(name, &filled);
                self.send(credential, SentIn::Header { name, prefix: "" });
            }
        }
    }

    fn read_authorization_field(&mut self, name: &str, value: &str) {
        let (filled, _) = self.places.fill_in(value.trim());
        let scheme = SCHEMES.iter().find_map(|scheme| {
            let (head, rest) = filled.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some((head, rest.trim()))
        });
        match scheme {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => {
                self.read_bearer(token)
            }
            Some((prefix, value)) => {
                let credential = self.secret(&format!("{}_login", self.name), value);
                self.send(credential, SentIn::Header { name, prefix });
            }
            None => {
                let credential = self.secret(&format!("{}_login", self.name), &filled);
                self.send(credential, SentIn::Header { name, prefix: "" });
            }
        }
    }

    fn read_bearer(&mut self, token: &str) {
        if let HostValue::Variable { name, default } = HostValue::of("token", token)
            && is_variable_name(name)
        {
            self.leave_default(name, default);
            self.credentials.push(name.to_owned());
            self.set_auth("api_key_env", yaml_text::scalar(name));
            return;
        }
        let credential = self.secret(&format!("{}_token", self.name), token);
        let auth = [("type", "bearer".to_owned()), ("credential", yaml_text::scalar(&credential))];
        self.set_auth("auth", yaml_text::mapping(auth));
    }

    fn leave_default(&mut self, variable: &str, default: Option<&str>) {
        if let Some(default) = default {
            self.names.note(default);
            self.told.push(format!(
                "the default of {} is left out: it may be a secret",
                shown_name(variable)
            ));
        }
    }

    /// Returns the name of the credential that holds a value.
    fn secret(&mut self, wanted: &str, value: &str) -> String {
        let credential = match HostValue::of(wanted, value) {
            HostValue::Text(text) => self.names.of_value(wanted, self.name, text),
            HostValue::Variable { name, default } => {
                self.leave_default(name, default);
                let credential = self.names.of_source(name, self.name, name);
                self.variables.push((credential.clone(), yaml_text::scalar(name)));
                credential
            }
            HostValue::Input(id) => match self.asked_for(id, "secret") {
                InputValue::Credential(credential) => credential,
                InputValue::Proposed(text) => self.names.of_value(id, self.name, &text),
            },
            HostValue::Mixed => {
                self.told.push(format!(
                    "{} is put together of {} and more: the credential is all of it",
                    shown_name(wanted),
                    shown_names(reference_names(value))
                ));
                self.names.of_value(wanted, self.name, value)
            }
        };
        self.credentials.push(credential.clone());
        credential
    }

    fn send(&mut self, credential: String, place: SentIn<'_>) {
        let mut auth =
            vec![("type", "apikey".to_owned()), ("credential", yaml_text::scalar(&credential))];
        match place {
            SentIn::Header { name, prefix } => {
                auth.push(("header_name", yaml_text::scalar(name)));
                if !prefix.is_empty() {
                    auth.push(("prefix", yaml_text::scalar(prefix)));
                }
            }
            SentIn::Query(name) => {
                auth.push(("inject_into", "query".to_owned()));
                auth.push(("query_param", yaml_text::scalar(name)));
            }
        }
        self.set_auth("auth", yaml_text::mapping(auth));
    }

    fn set_auth(&mut self, key: &'static str, value: String) {
        if self.has_auth {
            let reason = "several credentials go along with each request, and one can be written: see which \
                          of them the server needs";
            self.reasons.push(reason.to_owned());
            return;
        }
        self.has_auth = true;
        self.set(key, value);
    }

    /// Reads how the host logs in by OAuth, as far as `setup` needs to know it.
    fn read_oauth(&mut self) {
        let said = [self.take("oauth"), self.take("auth")].into_iter().flatten();
        let said: Vec<&Value> = said.collect();
        let found = |names: &[&str]| {
            said.iter().find_map(|said| names.iter().find_map(|name| said.get(*name)))
        };
        let client = found(&["clientId", "client_id", "CLIENT_ID"]).and_then(Value::as_str);
        let secret =
            found(&["clientSecret", "client_secret", "CLIENT_SECRET"]).and_then(Value::as_str);
        let scopes = found(&["scopes", "scope"]).or_else(|| self.take("scopes"));
        let scopes: Vec<String> = match scopes {
            Some(Value::String(scopes)) => scopes.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(scopes)) => {
                scopes.iter().filter_map(Value::as_str).take(64).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        if said.is_empty() && scopes.is_empty() {
            return;
        }
        self.told.push(
            "the host logs in by OAuth: `dadl-mcp setup` does that here, and asks anew".to_owned(),
        );
        let mut auth = vec![("type", "mcp".to_owned())];
        if let Some(client) = client.filter(|it| !it.contains("${") && !it.is_empty()) {
            auth.push(("client_id", yaml_text::scalar(client)));
            if let Some(secret) = secret {
                let credential = self.secret(&format!("{}_client_secret", self.name), secret);
                auth.push(("client_secret", yaml_text::credential(&credential)));
            }
        } else if let Some(secret) = secret {
            self.names.note(secret);
        }
        if !scopes.is_empty() {
            auth.push(("scopes", yaml_text::list(scopes)));
        }
        if auth.len() > 1 {
            self.set_auth("auth", yaml_text::mapping(auth));
        }
    }
}
