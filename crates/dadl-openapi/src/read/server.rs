//! `servers`, or `host`, `basePath` and `schemes`: where an API is.

use std::collections::HashMap;

use dadl_text::names::path::{PathPiece, filled_with_x, of_base_url, path_pieces};
use serde_json::Value;
use url::Url;

use super::{FoundOperation, OpenApiDialect, OpenApiReader, PathItem};
use crate::{
    ledger::DocumentObject,
    model::ApiBase,
    report::{excerpt, place_at, place_item},
};

impl<'doc> OpenApiReader<'doc> {
    /// Decides on the base URL; returns which operations are there.
    pub(super) fn read_servers(
        &mut self,
        all: &[(&FoundOperation<'doc>, &PathItem<'doc>)],
    ) -> Vec<bool> {
        if self.dialect == OpenApiDialect::Swagger2 {
            let url = self.swagger_url();
            self.base = self.read_base(&url, "/host");
            for (found, _) in all {
                self.report_schemes(found);
            }
            return vec![true; all.len()];
        }
        let root = self.read_server(self.root, "");
        let own: Vec<Option<(String, String)>> = all
            .iter()
            .map(|(found, item)| {
                let operation = found.value.get("servers").map(|_| found.place.as_str());
                match operation {
                    Some(place) => self.server_list(found.value.get("servers"), place),
                    None => self.server_list(item.get("servers").map(|it| it.0), &item.place),
                }
            })
            .collect();
        let (url, place) = match &root {
            Some(root) => root.clone(),
            // Some documents have servers at their paths only: the most frequent one counts.
            None => {
                let mut counts: HashMap<&String, usize> = HashMap::new();
                for (url, _) in own.iter().flatten() {
                    *counts.entry(url).or_default() += 1;
                }
                let best = counts.values().copied().max().unwrap_or_default();
                let first = own.iter().flatten().find(|(url, _)| counts.get(url) == Some(&best));
                first.cloned().unwrap_or_default()
            }
        };
        self.base = self.read_base(&url, &place);
        let is_same = |other: &str| other.trim_end_matches('/') == url.trim_end_matches('/');
        let mut here = Vec::with_capacity(all.len());
        for ((found, _), own) in all.iter().zip(&own) {
            let is_here = match own {
                Some((own, _)) => is_same(own),
                None => true,
            };
            if let (false, Some((own, _))) = (is_here, own) {
                let message = format!(
                    "the operation is at `{}`, not at the base URL; left out",
                    excerpt(own)
                );
                let help = "import it into a descriptor of its own, out of a document with that \
                            server only: a credential goes to one host";
                self.schemas.remarks.lost(&found.place, message, help);
            }
            here.push(is_here);
        }
        here
    }

    fn read_server(&mut self, value: &'doc Value, place: &str) -> Option<(String, String)> {
        let servers = value.get("servers");
        if let Some(Value::Array(list)) = servers
            && list.len() > 1
        {
            let message = format!("the first of {} servers is the base URL", list.len());
            let help = "write another one into `base_url`, or set `url` for the backend";
            self.schemas.remarks.changed(&place_at(place, "servers"), message, help);
        }
        self.server_list(servers, place)
    }

    /// Returns the URL of the first server and its place.
    fn server_list(
        &mut self,
        servers: Option<&'doc Value>,
        place: &str,
    ) -> Option<(String, String)> {
        let place = place_item(&place_at(place, "servers"), 0);
        let server = servers?.as_array()?.first()?;
        self.account_server(server, &place);
        let url = server.get("url").and_then(Value::as_str)?.trim();
        let mut written = String::new();
        for piece in path_pieces(url) {
            let name = match piece {
                PathPiece::Literal(text) => {
                    written.push_str(text);
                    continue;
                }
                PathPiece::Placeholder(name) => name,
                // It stays, and is no base URL.
                PathPiece::Open(text) => {
                    written.push_str(&format!("{{{text}"));
                    break;
                }
            };
            let variable = server.get("variables").and_then(|all| all.get(name));
            let default = variable.and_then(|it| it.get("default"));
            let default = match default {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            if default.is_empty() {
                let name: String = name
                    .chars()
                    .map(
                        |it| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' },
                    )
                    .collect();
                let message = format!("the server has a variable without a value: {{{name}}}");
                let help = "set it under `options` of the backend, or set `url`";
                self.schemas.remarks.changed(&place, message, help);
                written.push_str(&format!("{{{name}}}"));
            } else {
                let others = variable.and_then(|it| it.get("enum")).and_then(Value::as_array);
                if others.is_some_and(|others| others.len() > 1) {
                    let message =
                        format!("`{}` of the server is `{}`", excerpt(name), excerpt(&default));
                    let help = "write another one into `base_url`, or set `url` for the backend";
                    let place = place_at(&place_at(&place, "variables"), name);
                    self.schemas.remarks.changed(&place, message, help);
                }
                written.push_str(&default);
            }
        }
        Some((written, place))
    }

    /// Reports an operation of Swagger 2 that is not called by the scheme of the base URL.
    fn report_schemes(&mut self, found: &FoundOperation<'doc>) {
        let Some(Value::Array(own)) = found.value.get("schemes") else { return };
        let url = self.base.url.as_deref().unwrap_or_default();
        let scheme = url.split("://").next().unwrap_or_default();
        let is_here = own.iter().any(|it| it.as_str() == Some(scheme));
        if !scheme.is_empty() && !own.is_empty() && !is_here {
            let words: Vec<&str> = own.iter().filter_map(Value::as_str).collect();
            let message = format!(
                "the operation is called by {}, and the descriptor has {scheme}",
                excerpt(&words.join(", "))
            );
            let help = "import it into a descriptor of its own, with its base URL";
            self.schemas.remarks.lost(&place_at(&found.body, "schemes"), message, help);
        }
    }

    fn account_server(&mut self, server: &'doc Value, place: &str) {
        let Value::Object(map) = server else { return };
        self.schemas.account(DocumentObject::Server, map, place);
        let variables = map.get("variables").and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            if let Value::Object(variable) = variable {
                let place = place_at(&place_at(place, "variables"), name);
                self.schemas.account(DocumentObject::Variable, variable, &place);
            }
        }
    }

    fn swagger_url(&self) -> String {
        let text = |key: &str| self.root.get(key).and_then(Value::as_str).map(str::trim);
        let path = text("basePath").unwrap_or_default();
        let Some(host) = text("host").filter(|host| !host.is_empty()) else {
            return path.to_owned();
        };
        let schemes = self.root.get("schemes").and_then(Value::as_array);
        let mut words = schemes.into_iter().flatten().filter_map(Value::as_str);
        let has_http = words.clone().any(|word| word == "http");
        let scheme = if has_http && !words.any(|word| word == "https") { "http" } else { "https" };
        // Some write a whole URL.
        let host = host.trim_start_matches("https://").trim_start_matches("http://");
        let path = path.trim_start_matches('/');
        format!("{scheme}://{}/{path}", host.trim_end_matches('/'))
    }

    /// Makes a base URL of what a document says.
    fn read_base(&mut self, text: &str, place: &str) -> ApiBase {
        let text = text.trim_end_matches('/');
        let plain = filled_with_x(text);
        let url = plain.as_deref().ok().and_then(|plain| Url::parse(plain).ok());
        let url = url.filter(Url::has_host);
        let path = of_base_url(Some(text)).to_owned();
        // A brace that opens nothing stays where placeholders were filled.
        let is_stray = |other: char| other.is_whitespace() || other == '}';
        if url.as_ref().is_some_and(is_usable) && !plain.iter().any(|it| it.contains(is_stray)) {
            return ApiBase { url: Some(text.to_owned()), path };
        }
        if url.is_some() || (plain.is_err() && !text.starts_with('/')) {
            let message = format!("`{}` cannot be a base URL", excerpt(text));
            self.schemas.remarks.lost(place, message, "set `url` for the backend");
            return ApiBase { url: None, path };
        }
        let path = if text.starts_with('/') { text.to_owned() } else { String::new() };
        let message = match path.as_str() {
            "" => "the document does not say where the API is".to_owned(),
            path => format!("the document does not say at which host the API is, only `{path}`"),
        };
        let help = "set `url` for the backend, with the path at its end";
        self.schemas.remarks.changed(place, message, help);
        ApiBase { url: None, path }
    }
}

/// Returns whether requests can go below this URL.
fn is_usable(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}
