//! `securitySchemes` and `security`: how requests authenticate.

use std::collections::BTreeSet;

use dadl_descriptor::model::{ParamLocation, auth::login::check_endpoint};
use dadl_text::names::header;
use http::HeaderName;
use serde_json::{Map, Value};
use url::Url;

use super::{
    FoundOperation, OpenApiDialect, OpenApiReader, PathItem,
    needs::{
        ChosenSchemes, KnownScheme, SecurityRequirement, choose_schemes, credential_need,
        read_requirements,
    },
};
use crate::{
    ledger::DocumentObject,
    model::{ApiAuth, CredentialNeed, SecurityScheme},
    report::{excerpt, place_at},
};

/// So many schemes are looked at.
const MAX_SCHEMES: usize = 100;

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct SecurityDecision {
    pub(super) auth: ApiAuth,
    /// What the credential is to each operation, in their order.
    pub(super) needs: Vec<CredentialNeed>,
}

impl SecurityDecision {
    /// Returns the parameters that carry the credential: no operation has them.
    pub(super) fn places(&self) -> Vec<(ParamLocation, String)> {
        let places = self.auth.schemes.iter().filter_map(|scheme| match scheme {
            SecurityScheme::Cookie(name) => Some((ParamLocation::Cookie, name.clone())),
            SecurityScheme::Header(name) => {
                Some((ParamLocation::Header, name.to_ascii_lowercase()))
            }
            SecurityScheme::Query(name) => Some((ParamLocation::Query, name.clone())),
            _ => None,
        });
        places.collect()
    }
}

/// An operation, and the requirements of which one must be met.
type OperationNeeds<'all, 'doc> = (&'all FoundOperation<'doc>, Vec<SecurityRequirement>);

impl<'doc> OpenApiReader<'doc> {
    /// Chooses the schemes that fit most operations.
    pub(super) fn read_security(
        &mut self,
        all: &[(&FoundOperation<'doc>, &PathItem<'doc>)],
    ) -> SecurityDecision {
        let mut known = self.read_schemes();
        let certificates: Vec<String> =
            known.iter().filter(|it| it.is_certificate).map(|it| it.name.clone()).collect();
        known.retain(|it| !it.is_certificate);
        // What the operator brings asks nothing of the credential.
        let without = |mut all: Vec<SecurityRequirement>| {
            for one in &mut all {
                one.retain(|(name, _)| !certificates.contains(name));
            }
            all
        };
        self.report_odd(self.root.get("security"), "/security");
        let root = without(read_requirements(self.root.get("security")));
        let mut needed: Vec<OperationNeeds<'_, 'doc>> = Vec::with_capacity(all.len());
        for (found, _) in all {
            let own = found.value.get("security");
            self.report_odd(own, &place_at(&found.body, "security"));
            let own = own.map(|own| without(read_requirements(Some(own))));
            needed.push((*found, own.unwrap_or_else(|| root.clone())));
        }
        let has_certificate = !certificates.is_empty();
        self.report_undefined(&known, &needed);
        let alternatives: Vec<&[SecurityRequirement]> =
            needed.iter().map(|(_, alternatives)| alternatives.as_slice()).collect();
        let Some(ChosenSchemes { schemes: chosen, is_unasked }) =
            choose_schemes(&known, &root, &alternatives)
        else {
            let auth = ApiAuth { has_certificate, ..ApiAuth::default() };
            return SecurityDecision { auth, needs: Vec::new() };
        };
        let needs: Vec<Option<CredentialNeed>> =
            alternatives.iter().map(|all| credential_need(all, &chosen)).collect();
        self.report_others(&known, &chosen, &needed, &needs);
        let names: Vec<String> =
            chosen.iter().map(|known| format!("`{}`", excerpt(&known.name))).collect();
        let names = names.join(" and ");
        let mut schemes = Vec::new();
        for one in &chosen {
            let mut asked = root.iter().chain(alternatives.iter().copied().flatten()).flatten();
            let scopes = asked.find(|(name, _)| *name == one.name);
            let mut scheme = one.scheme.clone().unwrap_or_default();
            if let SecurityScheme::ClientCredentials { scopes: own, .. }
            | SecurityScheme::AuthorizationCode { scopes: own, .. } = &mut scheme
            {
                *own = scopes.map(|(_, scopes)| scopes.clone()).unwrap_or_default();
            }
            schemes.push(scheme);
        }
        let others: Vec<String> = known
            .iter()
            .filter(|other| chosen.iter().all(|it| it.name != other.name))
            .map(|other| excerpt(&other.name))
            .collect();
        let place = chosen.first().map(|it| it.place.clone()).unwrap_or_default();
        if is_unasked {
            let message = format!("no operation asks for {names}: it is sent when it is set");
            let help = "remove `optional` below `auth`, if calls without it fail";
            self.schemas.remarks.changed(&place, message, help);
        }
        if !others.is_empty() {
            let message = format!("{names} was chosen of {} schemes", known.len());
            let help = "write another one below `auth`, if its credential is easier to get";
            self.schemas.remarks.changed(&place, message, help);
        }
        let needs = needs.into_iter().map(Option::unwrap_or_default).collect();
        SecurityDecision { auth: ApiAuth { schemes, others, has_certificate }, needs }
    }

    /// Reports what an operation asks for that is no list of schemes.
    fn report_odd(&mut self, security: Option<&'doc Value>, place: &str) {
        let is_scheme = |it: &Value| it.is_object();
        let fits = |it: &Value| it.as_array().is_some_and(|list| list.iter().all(is_scheme));
        if security.is_some_and(|security| !security.is_null() && !fits(security)) {
            let message = "`security` is no list of schemes, and was left out";
            self.schemas.remarks.lost(place, message, "write a list of objects");
        }
    }

    /// Reports each scheme that an operation asks for and the document does not define.
    fn report_undefined(&mut self, known: &[KnownScheme], needed: &[OperationNeeds<'_, 'doc>]) {
        let mut undefined = BTreeSet::new();
        for (found, alternatives) in needed {
            let names = alternatives.iter().flatten().map(|(name, _)| name);
            for name in names.filter(|name| !is_known(known, name)) {
                if undefined.insert(name.clone()) {
                    let message = format!("the security scheme `{}` is not defined", excerpt(name));
                    let help = "define it, or check that the credential below `auth` fits";
                    let place = match found.value.get("security") {
                        Some(_) => place_at(&found.place, "security"),
                        None => "/security".to_owned(),
                    };
                    self.schemas.remarks.lost(&place, message, help);
                }
            }
        }
    }

    /// Reports each operation that takes another scheme than the chosen ones.
    fn report_others(
        &mut self,
        known: &[KnownScheme],
        chosen: &[&KnownScheme],
        needed: &[OperationNeeds<'_, 'doc>],
        needs: &[Option<CredentialNeed>],
    ) {
        let sent: Vec<&str> = chosen.iter().map(|known| known.name.as_str()).collect();
        let sent = excerpt(&sent.join(" and "));
        for ((found, alternatives), needs) in needed.iter().zip(needs) {
            let is_told =
                alternatives.iter().any(|one| one.iter().any(|(it, _)| !is_known(known, it)));
            if needs.is_some() || is_told {
                continue;
            }
            let wanted: Vec<String> = alternatives
                .iter()
                .map(|one| {
                    one.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" and ")
                })
                .collect();
            let message = format!(
                "the operation takes the credential {}, and the descriptor sends {sent}",
                excerpt(&wanted.join(" or ")),
            );
            let help = "import such operations into a descriptor of their own (--include), or let \
                        the operator set what is missing below `headers`";
            self.schemas.remarks.lost(&place_at(&found.place, "security"), message, help);
        }
    }

    /// Returns the schemes in the order of the document.
    fn read_schemes(&mut self) -> Vec<KnownScheme> {
        let pointer = match self.dialect {
            OpenApiDialect::Swagger2 => "/securityDefinitions",
            OpenApiDialect::OpenApi3 => "/components/securitySchemes",
        };
        let found = self.schemas.documents.at(pointer);
        let found = found.and_then(|(schemes, place)| self.schemas.resolve(schemes, &place));
        let Some((Value::Object(schemes), root)) = found else { return Vec::new() };
        let mut known = Vec::new();
        for (name, value) in schemes.iter().take(MAX_SCHEMES) {
            let place = place_at(&root, name);
            let resolved = self.schemas.resolve(value, &place);
            let scheme = match resolved {
                Some((Value::Object(map), ref found)) => {
                    self.account_scheme(map, found);
                    self.read_scheme(map, &place)
                }
                _ => None,
            };
            let is_certificate = resolved.is_some_and(|(map, _)| {
                map.get("type").and_then(Value::as_str) == Some("mutualTLS")
            });
            known.push(KnownScheme { name: name.clone(), place, scheme, is_certificate });
        }
        known
    }

    fn account_scheme(&mut self, map: &'doc Map<String, Value>, place: &str) {
        self.schemas.account(DocumentObject::Scheme, map, place);
        let Some(Value::Object(flows)) = map.get("flows") else { return };
        let place = place_at(place, "flows");
        self.schemas.account(DocumentObject::Flows, flows, &place);
        for (name, flow) in flows {
            if let Value::Object(flow) = flow {
                self.schemas.account(DocumentObject::Flow, flow, &place_at(&place, name));
            }
        }
        if flows.len() > 1 {
            let names: Vec<&str> = flows.keys().map(String::as_str).collect();
            let message =
                format!("there are several ways to a token: {}", excerpt(&names.join(", ")));
            let help = "write another one below `auth`, if it fits better";
            self.schemas.remarks.changed(&place, message, help);
        }
    }

    fn read_scheme(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
    ) -> Option<SecurityScheme> {
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        let lost = |reader: &mut Self, message: String| {
            let help = "choose another scheme, or authenticate in a proxy";
            reader.schemas.remarks.lost(place, message, help);
            None
        };
        match (text("type"), text("scheme").to_ascii_lowercase().as_str(), text("in")) {
            ("basic", ..) | ("http", "basic", _) => Some(SecurityScheme::Basic),
            ("http", "bearer", _) => Some(SecurityScheme::Bearer),
            ("http", other, _) => {
                lost(self, format!("the scheme `{}` is not known", excerpt(other)))
            }
            ("apiKey", _, "header") => {
                let mentions = text("description").to_ascii_lowercase().contains("bearer");
                if name.eq_ignore_ascii_case("authorization") && mentions {
                    return Some(SecurityScheme::Bearer);
                }
                match HeaderName::from_bytes(name.as_bytes()) {
                    Ok(field) if field == http::header::COOKIE => None,
                    Ok(field) if !header::frames(field.as_str()) => {
                        Some(SecurityScheme::Header(name.to_owned()))
                    }
                    _ => lost(self, format!("`{}` cannot carry a credential", excerpt(name))),
                }
            }
            ("apiKey", _, "query") if is_plain(name) => {
                Some(SecurityScheme::Query(name.to_owned()))
            }
            ("apiKey", _, "cookie") if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Some(SecurityScheme::Cookie(name.to_owned()))
            }
            ("oauth2", ..) => Some(self.read_oauth2(map, place)),
            ("openIdConnect", ..) => {
                let message = "an OpenID Connect login is not run; a token is expected";
                let help = "get an access token, or write the token endpoint below `auth`";
                self.schemas.remarks.changed(place, message, help);
                Some(SecurityScheme::Bearer)
            }
            ("mutualTLS", ..) => {
                let message = "the API asks for a client certificate, which the operator has";
                let help = "set `client_cert` and `client_key` of the backend";
                self.schemas.remarks.changed(place, message, help);
                None
            }
            (other, ..) => lost(
                self,
                format!("the security scheme of the type `{}` is not known", excerpt(other)),
            ),
        }
    }

    fn read_oauth2(&mut self, map: &'doc Map<String, Value>, place: &str) -> SecurityScheme {
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
            return SecurityScheme::ClientCredentials { token_url, scopes: Vec::new() };
        }
        if let Some(found) = flow(["authorizationCode", "accessCode"])
            && let Some(token_url) = url(found, "tokenUrl")
            && let Some(authorize_url) = url(found, "authorizationUrl")
        {
            return SecurityScheme::AuthorizationCode {
                authorize_url,
                token_url,
                scopes: Vec::new(),
            };
        }
        let message = "this OAuth 2.0 flow is not run; a token is expected";
        let help = "get an access token, or write a flow below `auth`";
        self.schemas.remarks.changed(place, message, help);
        SecurityScheme::Bearer
    }
}

fn is_known(known: &[KnownScheme], name: &str) -> bool {
    known.iter().any(|known| known.name == name)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|it| it.is_whitespace() || it.is_control())
}
