//! What other MCP servers have besides tools, as hosts see it: each resource has a URI of its own, and each
//! prompt a name.
//!
//! The rule of URIs is that of tools. With one backend, a server's URI stays as it is, unless its scheme is
//! one of ours. With several it is the backend's name, a plus sign and the server's URI, such as
//! `notes+note://welcome`, which is a URI by its form. So a URI depends on nothing that any server lists: one
//! that was told stays what it is, templates expand to URIs that lead back, and what no server listed
//! belongs to a server all the same, or to none.

use std::{collections::HashMap, sync::Arc};

use url::Url;

use super::{
    BackendId, ServerContent, ServerPrompt, ServerResource, ServerTemplate, name,
    server_content::is_usable,
};

/// The schemes of our own resources.
const OWN_SCHEMES: [&str; 2] = ["dadl-file", "file"];

/// A longer URI is none, in bytes; templates may make long ones.
const LONGEST_URI: usize = 8 * 1024;

/// A backend, as far as its resources and prompts go.
#[derive(Debug, Clone)]
pub struct BackendContent<'a> {
    /// Its name in the settings.
    pub name: &'a str,
    /// The scheme of the URIs of its objects, when it is an API that has some.
    pub scheme: Option<&'a str>,
    /// What it has and may offer, when it is an MCP server.
    pub content: Option<ServerContent>,
}

/// What all servers offer besides tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfferedContents {
    /// By position of the backend.
    servers: Vec<Option<OfferedServer>>,
    prompts: Vec<OfferedPrompt>,
    is_alone: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct OfferedServer {
    name: Arc<str>,
    /// What stands before a URI that does not stay as it is.
    prefix: String,
    content: ServerContent,
    /// The listed URIs that hosts may write otherwise, by how they do.
    rewritten: HashMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
struct OfferedPrompt {
    name: String,
    backend: BackendId,
    at: usize,
}

/// A resource, a template or a prompt, and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a, Item> {
    /// The backend.
    pub backend: BackendId,
    /// Its name.
    pub backend_name: &'a str,
    /// What the server says.
    pub item: &'a Item,
}

impl OfferedContents {
    /// Puts together what the backends offer, in the order of the settings.
    pub fn new(backends: Vec<BackendContent<'_>>) -> Self {
        let schemes: Vec<&str> = backends.iter().filter_map(|backend| backend.scheme).collect();
        let is_alone = backends.len() == 1;
        let pairs: Vec<(&str, &str)> = backends
            .iter()
            .flat_map(|BackendContent { name, content, .. }| {
                let prompts = content.iter().flat_map(|content| content.prompts.iter());
                prompts.map(move |prompt| (*name, prompt.name.as_str()))
            })
            .collect();
        let mut names = name::tool_names(backends.len(), &pairs).into_iter();
        let mut prompts = Vec::with_capacity(pairs.len());
        for (id, backend) in backends.iter().enumerate() {
            let count = backend.content.as_ref().map_or(0, |content| content.prompts.len());
            let named = names.by_ref().take(count).enumerate();
            let backend = BackendId(id);
            prompts.extend(named.map(|(at, name)| OfferedPrompt { name, backend, at }));
        }
        let servers = backends.into_iter().map(|BackendContent { name, content, .. }| {
            let prefix = prefix_of(name, &schemes);
            content.map(|content| OfferedServer::new(name, prefix, content))
        });
        Self { servers: servers.collect(), prompts, is_alone }
    }

    /// Returns what the backends offer whose name is kept; the rest is as it was.
    #[must_use]
    pub fn narrowed(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let servers = self.servers.iter().cloned();
        let servers = servers.map(|server| server.filter(|server| is_kept(&server.name)));
        Self { servers: servers.collect(), ..self.clone() }
    }

    /// Returns the resources, with the URIs that hosts see.
    pub fn resources(&self) -> impl Iterator<Item = (String, Offered<'_, ServerResource>)> {
        self.each_server().flat_map(move |(backend, server)| {
            server.content.resources.iter().map(move |item| {
                let offered = Offered { backend, backend_name: &server.name, item };
                (self.shown(server, &item.uri), offered)
            })
        })
    }

    /// Returns the templates, as hosts see them.
    pub fn templates(&self) -> impl Iterator<Item = (String, Offered<'_, ServerTemplate>)> {
        self.each_server().flat_map(move |(backend, server)| {
            server.content.templates.iter().map(move |item| {
                let offered = Offered { backend, backend_name: &server.name, item };
                (self.shown(server, &item.uri), offered)
            })
        })
    }

    /// Returns the prompts, with the names that hosts see.
    pub fn prompts(&self) -> impl Iterator<Item = (&str, Offered<'_, ServerPrompt>)> {
        self.prompts.iter().filter_map(|OfferedPrompt { name, backend, at }| {
            let server = self.server(*backend)?;
            let item = server.content.prompts.get(*at)?;
            Some((name.as_str(), Offered { backend: *backend, backend_name: &server.name, item }))
        })
    }

    /// Finds the server that a URI of a host leads to, and the URI that it knows; `None` where it leads to
    /// none. It need not be listed.
    pub fn find(&self, uri: &str) -> Option<(BackendId, String)> {
        if !is_usable(uri, LONGEST_URI) {
            return None;
        }
        let prefixed = self.each_server().find_map(|(backend, server)| {
            let rest = after_prefix(uri, &server.prefix).filter(|rest| !rest.is_empty())?;
            Some((backend, server, rest))
        });
        let alone = || {
            let (backend, server) = self.each_server().next()?;
            (self.is_alone && keeps_its_form(uri, &server.prefix)).then_some((backend, server, uri))
        };
        let (backend, server, uri) = prefixed.or_else(alone)?;
        server.content.has_resources.then(|| (backend, server.known(uri)))
    }

    /// Finds the template that hosts see like this.
    pub fn find_template(&self, uri: &str) -> Option<Offered<'_, ServerTemplate>> {
        self.templates().find(|(shown, _)| shown == uri).map(|(_, offered)| offered)
    }

    /// Returns the URI under which hosts read what a server calls `uri`, listed or not; `None` where they
    /// cannot: the server offers no resources. A page of the web that the server does not offer as a
    /// resource stays what it is, since hosts may fetch it themselves.
    pub fn host_uri(&self, backend: BackendId, uri: &str) -> Option<String> {
        if !is_usable(uri, LONGEST_URI) {
            return None;
        }
        let is_web = is_web(uri);
        match self.server(backend).filter(|server| server.content.has_resources) {
            Some(server) if !is_web || server.lists(uri) => Some(self.shown(server, uri)),
            _ => is_web.then(|| uri.to_owned()),
        }
    }

    /// Returns what a backend offers, if anything.
    pub fn of(&self, backend: BackendId) -> Option<&ServerContent> {
        self.server(backend).map(|server| &server.content)
    }

    /// Returns whether any server tells of changes of its resources.
    pub fn can_subscribe(&self) -> bool {
        self.each_server().any(|(_, server)| server.content.can_subscribe)
    }

    /// Returns whether any server knows values for arguments.
    pub fn can_complete(&self) -> bool {
        self.each_server().any(|(_, server)| server.content.can_complete)
    }

    fn server(&self, backend: BackendId) -> Option<&OfferedServer> {
        self.servers.get(backend.0)?.as_ref()
    }

    fn each_server(&self) -> impl Iterator<Item = (BackendId, &OfferedServer)> {
        let servers = self.servers.iter().enumerate();
        servers.filter_map(|(id, server)| Some((BackendId(id), server.as_ref()?)))
    }

    fn shown(&self, server: &OfferedServer, uri: &str) -> String {
        if self.is_alone && keeps_its_form(uri, &server.prefix) {
            return uri.to_owned();
        }
        format!("{}{uri}", server.prefix)
    }
}

impl OfferedServer {
    fn new(name: &str, prefix: String, content: ServerContent) -> Self {
        let rewritten = content.resources.iter().filter_map(|resource| {
            let written = Url::parse(&resource.uri).ok()?;
            (written.as_str() != resource.uri)
                .then(|| (written.as_str().to_owned(), resource.uri.clone()))
        });
        Self { name: name.into(), prefix, rewritten: rewritten.collect(), content }
    }

    /// Returns a URI as the server knows it: some hosts write what they read in another way, with the scheme
    /// in small letters or a slash at the end.
    fn known(&self, uri: &str) -> String {
        if self.rewritten.is_empty() || self.content.resources.iter().any(|it| it.uri == uri) {
            return uri.to_owned();
        }
        let written = Url::parse(uri).ok();
        let listed = written.and_then(|written| self.rewritten.get(written.as_str()).cloned());
        listed.unwrap_or_else(|| uri.to_owned())
    }

    /// Returns whether a URI is listed, or a template begins like it.
    fn lists(&self, uri: &str) -> bool {
        let begins = |template: &ServerTemplate| {
            let start = template.uri.split('{').next().unwrap_or_default();
            // A scheme alone says nothing.
            start.trim_end_matches('/').contains("//") && uri.starts_with(start)
        };
        self.content.resources.iter().any(|it| it.uri == uri)
            || self.content.templates.iter().any(begins)
    }
}

/// Returns what stands before the URIs of a backend; the schemes of objects of APIs are not to be taken for
/// it.
fn prefix_of(name: &str, schemes: &[&str]) -> String {
    let prefix = format!("{name}+");
    let is_taken = schemes
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(name) || after_prefix(scheme, &prefix).is_some());
    // No name of a backend has a dot.
    if is_taken { format!("mcp.{prefix}") } else { prefix }
}

/// Returns what follows the prefix, which is read in any case: hosts write schemes in small letters.
fn after_prefix<'uri>(uri: &'uri str, prefix: &str) -> Option<&'uri str> {
    let (start, rest) = uri.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Returns whether a URI of the only backend needs no prefix: it has a scheme, which is not ours and looks
/// like none of ours.
fn keeps_its_form(uri: &str, prefix: &str) -> bool {
    let Some((scheme, _)) = uri.split_once(':') else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(allowed)
        && !OWN_SCHEMES.iter().any(|own| scheme.eq_ignore_ascii_case(own))
        && after_prefix(uri, prefix).is_none()
}

fn is_web(uri: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| after_prefix(uri, scheme).is_some())
}

/// Returns the variables of a URI template (RFC 6570), without operators and modifiers.
pub(crate) fn template_variables(template: &str) -> impl Iterator<Item = &str> {
    let within = template.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let names = within.flat_map(|(names, _)| {
        let operators = ['+', '#', '.', '/', ';', '?', '&'];
        names.strip_prefix(operators).unwrap_or(names).split(',')
    });
    names.filter_map(|name| name.split(['*', ':']).next()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn content(uris: &[&str], templates: &[&str], prompts: &[&str]) -> ServerContent {
        let items = |key: &str, all: &[&str]| -> Vec<Value> {
            all.iter().map(|it| json!({ key: it })).collect()
        };
        let (resources, templates) = (items("uri", uris), items("uriTemplate", templates));
        let prompts = items("name", prompts);
        let capabilities = json!({ "resources": { "subscribe": true } });
        let (content, errors) =
            ServerContent::read([&resources, &templates, &prompts], &capabilities);
        assert_eq!(errors, []);
        content
    }

    fn server<'a>(name: &'a str, content: ServerContent) -> BackendContent<'a> {
        BackendContent { name, scheme: None, content: Some(content) }
    }

    fn uris(offered: &OfferedContents) -> Vec<String> {
        offered.resources().map(|(uri, _)| uri).collect()
    }

    /// What is shown leads back to whose it is.
    fn leads_back(offered: &OfferedContents) {
        for (uri, Offered { backend, item, .. }) in offered.resources() {
            assert_eq!(offered.find(&uri), Some((backend, item.uri.clone())), "{uri}");
            assert_eq!(offered.host_uri(backend, &item.uri), Some(uri));
        }
    }

    #[test]
    fn with_one_backend_uris_stay_unless_their_scheme_is_ours() {
        let all = ["note://a", "file:///x", "DADL-FILE:1", "notes+x:y", "no scheme", "http://h/"];
        let offered = OfferedContents::new(vec![server("notes", content(&all, &[], &[]))]);
        let expected = [
            "note://a",
            "notes+file:///x",
            "notes+DADL-FILE:1",
            "notes+notes+x:y",
            "notes+no scheme",
            "http://h/",
        ];
        assert_eq!(uris(&offered), expected);
        leads_back(&offered);
        // What is not listed belongs to it as well.
        assert_eq!(offered.find("other:1"), Some((BackendId(0), "other:1".to_owned())));
        for ours in ["file:///x", "dadl-file:1", "FILE:///x", "notes+", "", "a:\u{200b}"] {
            assert_eq!(offered.find(ours), None, "{ours}");
        }
    }

    #[test]
    fn with_several_each_has_its_own() {
        let same = ["file:///x", "note://a"];
        let offered = OfferedContents::new(vec![
            server("a", content(&same, &["note://{name}", "{+uri}"], &["greet"])),
            BackendContent { name: "xo", scheme: Some("xo"), content: None },
            server("b", content(&same, &[], &["greet", "b+x"])),
        ]);
        let expected = ["a+file:///x", "a+note://a", "b+file:///x", "b+note://a"];
        assert_eq!(uris(&offered), expected);
        leads_back(&offered);
        let templates: Vec<String> = offered.templates().map(|(uri, _)| uri).collect();
        assert_eq!(templates, ["a+note://{name}", "a+{+uri}"]);
        assert!(offered.find_template("a+note://{name}").is_some());
        let names: Vec<&str> = offered.prompts().map(|(name, _)| name).collect();
        assert_eq!(names, ["a_greet", "b_greet", "b_b_x"]);
        let fewer = offered.narrowed(|name| name != "a");
        assert_eq!(uris(&fewer), ["b+file:///x", "b+note://a"]);
        assert_eq!((fewer.find("a+note://a"), fewer.prompts().count()), (None, 2));
        for (uri, found) in [
            ("a+note://anything", Some((BackendId(0), "note://anything".to_owned()))),
            ("A+note://b", Some((BackendId(0), "note://b".to_owned()))),
            ("b+a+x:y", Some((BackendId(2), "a+x:y".to_owned()))),
            ("note://a", None),
            ("file:///x", None),
            ("xo://VM/1", None),
            ("xo+note://a", None),
        ] {
            assert_eq!(offered.find(uri), found, "{uri}");
        }
    }

    #[test]
    fn schemes_of_apis_are_not_taken_for_servers() {
        for scheme in ["xo", "xo+home", "XO"] {
            let api = BackendContent { name: "home", scheme: Some(scheme), content: None };
            let server = server("xo", content(&["home://VM/1"], &[], &[]));
            let offered = OfferedContents::new(vec![api, server]);
            assert_eq!(uris(&offered), ["mcp.xo+home://VM/1"]);
            leads_back(&offered);
            assert_eq!(offered.find("xo+home://VM/1"), None);
        }
    }

    #[test]
    fn uris_that_hosts_write_in_another_way_are_known() {
        let offered = OfferedContents::new(vec![server(
            "notes",
            content(&["Note://Welcome", "https://Example.org", "note://a b"], &[], &[]),
        )]);
        for (uri, known) in [
            ("note://Welcome", "Note://Welcome"),
            ("https://example.org/", "https://Example.org"),
            ("NOTES+note://a b", "note://a b"),
            ("note://welcome", "note://welcome"),
        ] {
            assert_eq!(offered.find(uri), Some((BackendId(0), known.to_owned())), "{uri}");
        }
    }

    #[test]
    fn links_lead_to_who_made_them_or_nowhere() {
        let links = content(&["https://a.example/doc"], &["https://b.example/{x}", "{+u}"], &[]);
        let silent = BackendContent {
            name: "silent",
            scheme: None,
            content: Some(ServerContent::default()),
        };
        let offered = OfferedContents::new(vec![server("links", links), silent]);
        let of = |backend: usize, uri: &str| offered.host_uri(BackendId(backend), uri);
        for (uri, expected) in [
            ("https://a.example/doc", Some("links+https://a.example/doc")),
            ("https://b.example/1", Some("links+https://b.example/1")),
            ("https://c.example/", Some("https://c.example/")),
            ("note://1", Some("links+note://1")),
            ("a:\u{202e}", None),
        ] {
            assert_eq!(of(0, uri).as_deref(), expected, "{uri}");
        }
        assert_eq!(of(1, "note://1"), None);
        assert_eq!(of(1, "dadl-file:1"), None);
        assert_eq!(of(9, "links+note://1"), None);
        assert_eq!(of(1, "https://c.example/").as_deref(), Some("https://c.example/"));
        assert_eq!(offered.find("silent+note://1"), None);
    }

    #[test]
    fn variables_are_those_of_any_expression() {
        let of = |template| template_variables(template).collect::<Vec<_>>();
        assert_eq!(of("a://{b}/{+c}{?d,e*}{#f:3}{/g}"), ["b", "c", "d", "e", "f", "g"]);
        assert_eq!(of("a://b{"), [""; 0]);
    }
}
