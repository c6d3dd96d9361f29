//! Finds out who gives access to a server, and to what.

use std::time::Duration;

use dadl_descriptor::model::auth::login::check_endpoint;
use dadl_text::text::start_of;
use http::StatusCode;
use url::Url;

use super::{
    challenge::BearerChallenge,
    documents::{IssuerMetadata, ResourceMetadata, is_same_issuer},
    error::{AuthorizationError, MetadataProblem},
    requests::ServerSite,
};
use crate::config::{server_authorization::McpAuthorization, server_login::shown_url};

/// All of it takes no longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Whom the documents are about.
const SERVER: &str = "the server";
const ISSUER: &str = "the authorization server";

/// Who gives access to a server, and to what.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// What tokens are asked for.
    pub resource: String,
    /// Who gives them.
    pub issuer: IssuerMetadata,
    /// The rights that the server asks for; `None` where it does not say.
    pub scopes: Option<Vec<String>>,
    /// Whether nobody describes it: it is as revision 2025-03-26 says.
    pub is_old: bool,
}

/// Asks the server at `site`, and those whom it names. `None` when it asks for no login.
///
/// # Errors
///
/// See [`AuthorizationError`].
pub async fn discover(
    site: &mut ServerSite,
    wanted: &McpAuthorization,
) -> Result<Option<Discovery>, AuthorizationError> {
    let found = tokio::time::timeout(LONGEST, find(site, wanted)).await;
    found.unwrap_or(Err(AuthorizationError::Slow(LONGEST.as_secs())))
}

async fn find(
    site: &mut ServerSite,
    wanted: &McpAuthorization,
) -> Result<Option<Discovery>, AuthorizationError> {
    let answer = site.introduce(None).await?;
    let challenge = match answer.status {
        StatusCode::UNAUTHORIZED => BearerChallenge::of(&answer.headers).unwrap_or_default(),
        // Some let anybody introduce himself, and nobody do anything.
        status if status.is_success() || status == StatusCode::BAD_REQUEST => {
            if !wanted.is_said {
                return Ok(None);
            }
            BearerChallenge::default()
        }
        status => {
            let (url, status) = (shown_url(site.url()), status.as_u16());
            return Err(AuthorizationError::Status { url, status });
        }
    };
    let described = describe_server(site, challenge.resource_metadata.as_deref()).await?;
    let is_described = described.is_some();
    let (resource, issuers, supported) = match described {
        Some(ResourceMetadata { resource, issuers, scopes }) => (resource, issuers, scopes),
        None => {
            let own = site.url().origin().ascii_serialization();
            (canonical_url(site.url()), vec![own], Vec::new())
        }
    };
    let issuer = choose_issuer(&issuers, wanted.issuer.as_ref())?;
    let described = describe_issuer(site, &issuer, wanted).await;
    let is_old =
        !is_described && matches!(&described, Err(AuthorizationError::NoServerMetadata { .. }));
    let issuer = match described {
        Err(AuthorizationError::NoServerMetadata { .. }) if is_old => {
            let old = IssuerMetadata::of_old_server(site.url());
            old.map_err(|problem| unusable(site.url(), SERVER, problem))?
        }
        described => described?,
    };
    let scopes = challenge.scopes.filter(|scopes| !scopes.is_empty());
    let scopes = scopes.or(Some(supported).filter(|scopes| !scopes.is_empty()));
    Ok(Some(Discovery { resource, issuer, scopes, is_old }))
}

/// Reads what a server says of itself: where its challenge leads, else at the usual places (RFC 9728,
/// section 3.1, and at the root). `None` when it says nothing.
async fn describe_server(
    site: &mut ServerSite,
    place: Option<&str>,
) -> Result<Option<ResourceMetadata>, AuthorizationError> {
    if let Some(place) = place {
        // It is to be absolute, and some are not.
        let url = Url::parse(place).or_else(|_| site.url().join(place));
        let url = url.ok().filter(|url| url.has_host());
        let missing = MetadataProblem::Missing("resource_metadata");
        let url = url.ok_or_else(|| unusable(site.url(), SERVER, missing))?;
        if url.origin() != site.url().origin() {
            check_endpoint(&url).map_err(|error| {
                let problem = MetadataProblem::Endpoint { key: "resource_metadata", error };
                unusable(site.url(), SERVER, problem)
            })?;
        }
        site.admit(&url);
        let answer = site.get(&url).await?;
        let problem = |problem| unusable(&url, SERVER, problem);
        usable(answer.status).map_err(problem)?;
        let read = ResourceMetadata::parse(&answer.body, site.url()).map_err(problem)?;
        return Ok(Some(read));
    }
    for url in well_known(site.url(), &["oauth-protected-resource"], &[]) {
        let answer = site.get(&url).await?;
        if usable(answer.status).is_err() {
            continue;
        }
        match ResourceMetadata::parse(&answer.body, site.url()) {
            Ok(read) => return Ok(Some(read)),
            // A page that is there for every path.
            Err(MetadataProblem::NotJson) => {}
            Err(problem) => return Err(unusable(&url, SERVER, problem)),
        }
    }
    Ok(None)
}

/// Reads what an authorization server says of itself.
async fn describe_issuer(
    site: &mut ServerSite,
    issuer: &str,
    wanted: &McpAuthorization,
) -> Result<IssuerMetadata, AuthorizationError> {
    let url = issuer_url(issuer).map_err(|problem| unusable(site.url(), ISSUER, problem))?;
    site.admit(&url);
    let kinds = ["oauth-authorization-server", "openid-configuration"];
    let places = well_known(&url, &kinds, &["openid-configuration"]);
    for place in &places {
        let answer = site.get(place).await?;
        if usable(answer.status).is_err() {
            continue;
        }
        let read = match IssuerMetadata::parse(&answer.body, issuer) {
            Err(MetadataProblem::NotJson) => continue,
            read => read.map_err(|problem| unusable(place, ISSUER, problem))?,
        };
        read.check_pkce(wanted.assume_pkce).map_err(|problem| unusable(place, ISSUER, problem))?;
        let endpoints = [&read.authorization_endpoint, &read.registration_endpoint];
        let endpoints = endpoints.into_iter().chain([&read.revocation_endpoint]).flatten();
        for endpoint in endpoints.chain([&read.token_endpoint]) {
            site.admit(endpoint);
        }
        return Ok(read);
    }
    let tried: Vec<String> = places.iter().map(shown_url).collect();
    Err(AuthorizationError::NoServerMetadata {
        issuer: start_of(issuer, 200),
        tried: tried.join(", "),
    })
}

fn issuer_url(issuer: &str) -> Result<Url, MetadataProblem> {
    let url = Url::parse(issuer).ok().filter(|url| url.query().is_none());
    let url = url.ok_or(MetadataProblem::Missing("authorization_servers"))?;
    match check_endpoint(&url) {
        Ok(()) => Ok(url),
        Err(error) => Err(MetadataProblem::Endpoint { key: "authorization_servers", error }),
    }
}

/// Chooses one of the authorization servers that a server names: that of the settings, or the only one.
fn choose_issuer(issuers: &[String], wanted: Option<&Url>) -> Result<String, AuthorizationError> {
    let named = || {
        let named: Vec<String> = issuers.iter().map(|issuer| start_of(issuer, 200)).collect();
        named.join(", ")
    };
    match (wanted, issuers) {
        (Some(wanted), _) => {
            let found = issuers.iter().find(|issuer| is_same_issuer(issuer, wanted.as_str()));
            found.cloned().ok_or_else(|| AuthorizationError::OtherIssuer {
                wanted: wanted.to_string(),
                named: named(),
            })
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(AuthorizationError::SeveralIssuers { named: named() }),
    }
}

/// Returns the places where `url` is described: `before` its path each, and then below it, and of a
/// resource without the path as well.
fn well_known(url: &Url, before: &[&str], below: &[&str]) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let mut paths: Vec<String> =
        before.iter().map(|kind| format!("/.well-known/{kind}{path}")).collect();
    if !path.is_empty() {
        paths.extend(below.iter().map(|kind| format!("{path}/.well-known/{kind}")));
        if below.is_empty() {
            paths.extend(before.iter().map(|kind| format!("/.well-known/{kind}")));
        }
    }
    let at = |path: &String| {
        let mut place = url.clone();
        place.set_path(path);
        // At the root it is about all.
        if path.ends_with(before.first().copied().unwrap_or_default()) {
            place.set_query(None);
        }
        place
    };
    paths.iter().map(at).collect()
}

/// Returns what a server that does not say is called in requests for tokens.
fn canonical_url(url: &Url) -> String {
    let text = url.as_str();
    match url.path() {
        "/" if url.query().is_none() => text.strip_suffix('/').unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

fn usable(status: StatusCode) -> Result<(), MetadataProblem> {
    match status.as_u16() {
        200..300 => Ok(()),
        status @ 300..400 => Err(MetadataProblem::Redirect(status)),
        status => Err(MetadataProblem::Status(status)),
    }
}

fn unusable(url: &Url, what: &'static str, problem: MetadataProblem) -> AuthorizationError {
    AuthorizationError::Metadata { url: shown_url(url), what, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str, before: &[&str], below: &[&str]) -> Vec<String> {
        let url = Url::parse(url).unwrap();
        well_known(&url, before, below).iter().map(Url::to_string).collect()
    }

    #[test]
    fn the_usual_places_come_in_their_order() {
        let resource = ["oauth-protected-resource"];
        assert_eq!(
            places("https://a.example/x/mcp/?team=1", &resource, &[]),
            [
                "https://a.example/.well-known/oauth-protected-resource/x/mcp?team=1",
                "https://a.example/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            places("https://a.example/", &resource, &[]),
            ["https://a.example/.well-known/oauth-protected-resource"]
        );
        let kinds = ["oauth-authorization-server", "openid-configuration"];
        assert_eq!(
            places("https://a.example/t1", &kinds, &["openid-configuration"]),
            [
                "https://a.example/.well-known/oauth-authorization-server/t1",
                "https://a.example/.well-known/openid-configuration/t1",
                "https://a.example/t1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://a.example", &kinds, &["openid-configuration"]),
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn an_authorization_server_is_chosen_by_the_operator_or_is_the_only_one() {
        let both = ["https://a.example/".to_owned(), "https://b.example".to_owned()];
        let choose = |issuers: &[String], wanted: Option<&str>| {
            let wanted = wanted.map(|wanted| Url::parse(wanted).unwrap());
            choose_issuer(issuers, wanted.as_ref()).map_err(|error| error.to_string())
        };
        assert_eq!(choose(&both, Some("https://b.example")).as_deref(), Ok("https://b.example"));
        assert_eq!(choose(&both, Some("https://a.example")).as_deref(), Ok("https://a.example/"));
        assert_eq!(choose(&both[..1], None).as_deref(), Ok("https://a.example/"));
        assert!(choose(&both, None).unwrap_err().contains("write one of https://a.example/, "));
        assert!(choose(&both, Some("https://c.example")).unwrap_err().contains("`issuer`"));
    }

    #[test]
    fn a_server_is_called_by_its_url() {
        let called = |url: &str| canonical_url(&Url::parse(url).unwrap());
        assert_eq!(called("HTTPS://A.example:443/"), "https://a.example");
        assert_eq!(called("https://a.example/mcp/"), "https://a.example/mcp/");
        assert_eq!(called("https://a.example/?x=1"), "https://a.example/?x=1");
    }
}
