//! `securitySchemes` and `security`: how requests authenticate.

use std::collections::BTreeSet;

use http::HeaderName;
use serde_json::{Map, Value};
use url::Url;

use super::{Dialect, Found, Item, Reader};
use crate::{
    descriptor::{login::check_endpoint, model::Location},
    names::header,
    openapi::{
        model::{Auth, Scheme},
        report::{at, excerpt},
    },
};

/// So many schemes are looked at.
const MAX_SCHEMES: usize = 100;

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Security {
    pub(super) auth: Auth,
}

impl Security {
    /// Returns the parameter that carries the credential: no operation has it.
    pub(super) fn place(&self) -> Option<(Location, String)> {
        match &self.auth.scheme {
            Scheme::Header(name) => Some((Location::Header, name.to_ascii_lowercase())),
            Scheme::Query(name) => Some((Location::Query, name.clone())),
            _ => None,
        }
    }
}

/// A scheme of the document.
struct Known {
    name: String,
    place: String,
    scheme: Option<Scheme>,
}

/// A requirement: all of these schemes, with their scopes.
type Requirement = Vec<(String, Vec<String>)>;

/// An operation, and the requirements of which one must be met.
type Needed<'all, 'doc> = (&'all Found<'doc>, Vec<Requirement>);

impl<'doc> Reader<'doc> {
    /// Chooses the scheme that fits most operations.
    pub(super) fn security(&mut self, all: &[(&Found<'doc>, &Item<'doc>)]) -> Security {
        let known = self.schemes();
        let root = requirements(self.root.get("security"));
        let needed: Vec<Needed<'_, 'doc>> = all
            .iter()
            .map(|(found, _)| {
                let own = found.value.get("security");
                (*found, own.map_or_else(|| root.clone(), |own| requirements(Some(own))))
            })
            .collect();
        self.report_undefined(&known, &needed);
        let Some(chosen) = chosen(&known, &root, &needed) else {
            return Security::default();
        };
        self.report_others(&known, chosen, &needed);
        let scopes = root
            .iter()
            .flatten()
            .find(|(name, _)| *name == chosen.name)
            .map(|(_, scopes)| scopes.clone())
            .unwrap_or_default();
        let mut scheme = chosen.scheme.clone().unwrap_or_default();
        if let Scheme::ClientCredentials { scopes: own, .. }
        | Scheme::AuthorizationCode { scopes: own, .. } = &mut scheme
        {
            *own = scopes;
        }
        let others: Vec<String> = known
            .iter()
            .filter(|other| other.name != chosen.name)
            .map(|other| excerpt(&other.name))
            .collect();
        if !others.is_empty() {
            let message = format!("`{}` was chosen of {} schemes", chosen.name, known.len());
            let help = "write another one below `auth`, if its credential is easier to get";
            self.schemas.remarks.changed(&chosen.place, message, help);
        }
        Security { auth: Auth { scheme, others } }
    }

    /// Reports each scheme that an operation asks for and the document does not define.
    fn report_undefined(&mut self, known: &[Known], needed: &[Needed<'_, 'doc>]) {
        let mut undefined = BTreeSet::new();
        for (found, alternatives) in needed {
            let names = alternatives.iter().flatten().map(|(name, _)| name);
            for name in names.filter(|name| !is_known(known, name)) {
                if undefined.insert(name.clone()) {
                    let message = format!("the security scheme `{}` is not defined", excerpt(name));
                    let help = "define it, or check that the credential below `auth` fits";
                    let place = match found.value.get("security") {
                        Some(_) => at(&found.place, "security"),
                        None => "/security".to_owned(),
                    };
                    self.schemas.remarks.mended(&place, message, help);
                }
            }
        }
    }

    /// Reports each operation that takes another scheme than the chosen one.
    fn report_others(&mut self, known: &[Known], chosen: &Known, needed: &[Needed<'_, 'doc>]) {
        for (found, alternatives) in needed {
            // An empty requirement is one that nothing has to meet.
            if alternatives.is_empty()
                || alternatives.iter().any(|one| fits(known, one, &chosen.name))
            {
                continue;
            }
            let wanted: Vec<String> = alternatives
                .iter()
                .map(|one| {
                    one.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" and ")
                })
                .collect();
            let message = format!(
                "the operation takes the credential {}, and the descriptor sends {}",
                excerpt(&wanted.join(" or ")),
                chosen.name
            );
            let help = "import such operations into a descriptor of their own (--include)";
            self.schemas.remarks.lost(&at(&found.place, "security"), message, help);
        }
    }

    /// Returns the schemes in the order of the document.
    fn schemes(&mut self) -> Vec<Known> {
        let pointer = match self.dialect {
            Dialect::Swagger2 => "/securityDefinitions",
            Dialect::OpenApi3 => "/components/securitySchemes",
        };
        let found = self.schemas.documents.at(pointer);
        let found = found.and_then(|(schemes, place)| self.schemas.resolve(schemes, &place));
        let Some((Value::Object(schemes), root)) = found else { return Vec::new() };
        let mut known = Vec::new();
        for (name, value) in schemes.iter().take(MAX_SCHEMES) {
            let place = at(&root, name);
            let resolved = self.schemas.resolve(value, &place);
            let scheme = match resolved {
                Some((Value::Object(map), _)) => self.scheme(map, &place),
                _ => None,
            };
            known.push(Known { name: name.clone(), place, scheme });
        }
        known
    }

    fn scheme(&mut self, map: &'doc Map<String, Value>, place: &str) -> Option<Scheme> {
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        let lost = |reader: &mut Self, message: String| {
            let help = "choose another scheme, or authenticate in a proxy";
            reader.schemas.remarks.lost(place, message, help);
            None
        };
        match (text("type"), text("scheme").to_ascii_lowercase().as_str(), text("in")) {
            ("basic", ..) | ("http", "basic", _) => Some(Scheme::Basic),
            ("http", "bearer", _) => Some(Scheme::Bearer),
            ("http", other, _) => {
                lost(self, format!("the scheme `{}` is not known", excerpt(other)))
            }
            ("apiKey", _, "header") => {
                let mentions = text("description").to_ascii_lowercase().contains("bearer");
                if name.eq_ignore_ascii_case("authorization") && mentions {
                    return Some(Scheme::Bearer);
                }
                match HeaderName::from_bytes(name.as_bytes()) {
                    Ok(field) if field == http::header::COOKIE => None,
                    Ok(field) if !header::frames(field.as_str()) => {
                        Some(Scheme::Header(name.to_owned()))
                    }
                    _ => lost(self, format!("`{}` cannot carry a credential", excerpt(name))),
                }
            }
            ("apiKey", _, "query") if is_plain(name) => Some(Scheme::Query(name.to_owned())),
            ("apiKey", _, "cookie") if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Some(Scheme::Cookie(name.to_owned()))
            }
            ("oauth2", ..) => Some(self.oauth2(map, place)),
            ("openIdConnect", ..) => {
                let message = "an OpenID Connect login is not run; a token is expected";
                let help = "get an access token, or write the token endpoint below `auth`";
                self.schemas.remarks.changed(place, message, help);
                Some(Scheme::Bearer)
            }
            ("mutualTLS", ..) => lost(self, "a client certificate cannot be presented".to_owned()),
            (other, ..) => lost(
                self,
                format!("the security scheme of the type `{}` is not known", excerpt(other)),
            ),
        }
    }

    fn oauth2(&mut self, map: &'doc Map<String, Value>, place: &str) -> Scheme {
        let flow = |names: [&str; 2]| -> Option<&'doc Map<String, Value>> {
            match map.get("flows") {
                Some(Value::Object(flows)) => {
                    names.iter().find_map(|name| flows.get(*name)).and_then(Value::as_object)
                }
                _ => Some(map).filter(|map| {
                    map.get("flow").and_then(Value::as_str).is_some_and(|it| names.contains(&it))
                }),
            }
        };
        let url = |flow: &Map<String, Value>, key: &str| -> Option<String> {
            let text = flow.get(key).and_then(Value::as_str)?;
            let url = match (Url::parse(text), self.base.url.as_deref().map(Url::parse)) {
                (Ok(url), _) => url,
                (Err(_), Some(Ok(base))) => base.join(text).ok()?,
                _ => return None,
            };
            check_endpoint(&url).ok()?;
            Some(url.to_string())
        };
        if let Some(found) = flow(["clientCredentials", "application"])
            && let Some(token_url) = url(found, "tokenUrl")
        {
            return Scheme::ClientCredentials { token_url, scopes: Vec::new() };
        }
        if let Some(found) = flow(["authorizationCode", "accessCode"])
            && let Some(token_url) = url(found, "tokenUrl")
            && let Some(authorize_url) = url(found, "authorizationUrl")
        {
            return Scheme::AuthorizationCode { authorize_url, token_url, scopes: Vec::new() };
        }
        let message = "this OAuth 2.0 flow is not run; a token is expected";
        let help = "get an access token, or write a flow below `auth`";
        self.schemas.remarks.changed(place, message, help);
        Scheme::Bearer
    }
}

fn is_known(known: &[Known], name: &str) -> bool {
    known.iter().any(|known| known.name == name)
}

/// Returns whether a credential for the scheme `name` is all that a requirement asks for.
fn fits(known: &[Known], requirement: &Requirement, name: &str) -> bool {
    requirement.iter().all(|(needed, _)| needed == name || !is_known(known, needed))
}

/// Returns the scheme that a descriptor can have and that fits most operations.
fn chosen<'known>(
    known: &'known [Known],
    root: &[Requirement],
    needed: &[Needed<'_, '_>],
) -> Option<&'known Known> {
    let count = |name: &str| {
        let fitting = needed.iter().filter(|(_, alternatives)| {
            let mut named =
                alternatives.iter().filter(|one| one.iter().any(|(needed, _)| needed == name));
            named.any(|one| fits(known, one, name))
        });
        fitting.count()
    };
    // Of two that fit as many, the one that the whole document asks for counts.
    let is_usual = |known: &Known| root.iter().flatten().any(|(name, _)| *name == known.name);
    let usable = known.iter().filter(|known| known.scheme.is_some());
    let counts: Vec<((usize, bool), &Known)> =
        usable.map(|known| ((count(&known.name), is_usual(known)), known)).collect();
    let best = counts.iter().map(|(count, _)| *count).max()?;
    counts.into_iter().find(|(count, _)| *count == best).map(|(_, known)| known)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|it| it.is_whitespace() || it.is_control())
}

/// Returns the alternatives of a `security` list.
fn requirements(value: Option<&Value>) -> Vec<Requirement> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(Value::as_object)
        .map(|schemes| {
            let scopes = |value: &Value| -> Vec<String> {
                let items = value.as_array().into_iter().flatten();
                items.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            schemes.iter().map(|(name, value)| (name.clone(), scopes(value))).collect()
        })
        .collect()
}
