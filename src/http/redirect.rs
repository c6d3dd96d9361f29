//! Which redirects are followed: those that stay within the origin.
//!
//! 307 and 308 keep method and body (RFC 9110, section 15.4). For safe methods 301, 302 and 303
//! are followed with the same method. A write is repeated as GET after 303 alone: the 301 and 302
//! with which servers add a slash or send a browser to a login page would silently drop its body.

use dadl_descriptor::model::RequestMethod;
use http::{HeaderMap, header};
use url::Url;

use super::error::SendErrorKind;

/// More redirects than this are a loop.
pub(crate) const MOST_REDIRECTS: usize = 10;

/// Where a redirect leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RedirectHop {
    /// The target, on the same origin.
    pub(crate) url: Url,
    /// Whether the request goes on as GET without a body.
    pub(crate) becomes_get: bool,
}

/// Decides about an answer; `None` means that it is no redirect, or one to the URL that was asked for:
/// some APIs say so that something still runs, and asking once more brings the same. `from` is that URL,
/// `sent` the same with what a credential added.
pub(crate) fn follow_redirect(
    status: u16,
    headers: &HeaderMap,
    from: &Url,
    sent: &Url,
    method: RequestMethod,
) -> Result<Option<RedirectHop>, SendErrorKind> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(mut url) = location.and_then(|location| from.join(location).ok()) else {
        return Ok(None);
    };
    if url.origin() != from.origin() {
        let target = url.origin().ascii_serialization();
        return Err(SendErrorKind::RedirectElsewhere { target });
    }
    url.set_fragment(None);
    // Credentials in the target would be sent as Basic authentication.
    if !url.username().is_empty() || url.password().is_some() {
        let target = url.origin().ascii_serialization();
        return Err(SendErrorKind::RedirectElsewhere { target });
    }
    let keeps = matches!(status, 307 | 308) || method.is_safe();
    let is_same = |other: &Url| {
        let mut other = other.clone();
        other.set_fragment(None);
        other == url
    };
    // After 303 a write goes on as GET, which is another request.
    let changes = status == 303 && !keeps;
    if !changes && (is_same(from) || is_same(sent)) {
        return Ok(None);
    }
    if !keeps && status != 303 {
        return Err(SendErrorKind::RedirectUnsafe { status });
    }
    Ok(Some(RedirectHop { url, becomes_get: !keeps }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn to(
        status: u16,
        method: RequestMethod,
        location: &str,
    ) -> Result<Option<RedirectHop>, SendErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
        let from = Url::parse("http://h:1/rest/v0/users/me").unwrap();
        let sent = Url::parse("http://h:1/rest/v0/users/me?key=secret").unwrap();
        follow_redirect(status, &headers, &from, &sent, method)
    }

    fn url(status: u16, method: RequestMethod, location: &str) -> String {
        to(status, method, location).unwrap().unwrap().url.to_string()
    }

    #[test]
    fn stays_within_the_origin() {
        assert_eq!(url(307, RequestMethod::Post, "/rest/v0/users/1"), "http://h:1/rest/v0/users/1");
        assert_eq!(url(302, RequestMethod::Get, "other?x=1"), "http://h:1/rest/v0/users/other?x=1");
        for elsewhere in ["http://h/", "https://h:1/", "//evil/", "http://u:p@h:1/"] {
            let error = to(302, RequestMethod::Get, elsewhere).unwrap_err();
            assert!(matches!(error, SendErrorKind::RedirectElsewhere { .. }), "{elsewhere}");
        }
    }

    #[test]
    fn never_turns_a_write_into_a_read_unasked() {
        assert_eq!(
            to(301, RequestMethod::Post, "/x").unwrap_err(),
            SendErrorKind::RedirectUnsafe { status: 301 }
        );
        assert!(to(303, RequestMethod::Post, "/x").unwrap().unwrap().becomes_get);
        assert!(!to(308, RequestMethod::Delete, "/x").unwrap().unwrap().becomes_get);
    }

    #[test]
    fn other_answers_are_no_redirects() {
        assert_eq!(to(200, RequestMethod::Get, "/x").unwrap(), None);
        let url = Url::parse("http://h/").unwrap();
        assert_eq!(
            follow_redirect(302, &HeaderMap::new(), &url, &url, RequestMethod::Get),
            Ok(None)
        );
    }

    #[test]
    fn to_itself_is_no_redirect() {
        for status in [301, 302, 303, 307, 308] {
            for location in
                ["", "me", "/rest/v0/users/me#x", "me?key=secret", "http://h:1/rest/v0/users/me"]
            {
                for method in [
                    RequestMethod::Get,
                    RequestMethod::Head,
                    RequestMethod::Post,
                    RequestMethod::Delete,
                ] {
                    let goes_on = status == 303 && !method.is_safe();
                    let hop = to(status, method, location).unwrap();
                    assert_eq!(hop.is_some(), goes_on, "{status} {method} {location}");
                }
            }
            let elsewhere = to(status, RequestMethod::Get, "me?key=another").unwrap();
            assert!(elsewhere.is_some(), "{status}");
        }
    }
}
