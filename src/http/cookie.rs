//! What an answer says about the cookie that is the credential (RFC 6265, and what its successor says
//! about prefixes, sizes and control characters).
//!
//! A value is taken over where a browser would send it with the next request: it has come from the
//! host that the cookie is for, over a connection that it may have come over, and has not ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header};
use jiff::civil::{Date, Time};
use url::{Host, Url};

use crate::outcome::timestamp;

/// A longer name and value are no cookie.
const MOST_BYTES: usize = 4096;

/// A longer attribute is passed over.
const MOST_ATTRIBUTE: usize = 1024;

/// No cookie lasts longer.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What becomes of a cookie.
#[derive(Clone, PartialEq, Eq)]
pub enum CookieRenewal {
    /// The server has ended it.
    Ended,
    /// It has another value.
    Set(SetCookie),
}

/// A cookie that a server has set.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    /// The value, as it is to be sent.
    pub value: String,
    /// Where it is sent: below this path.
    pub path: String,
    /// When it ends, if the server says so.
    pub ends: Option<SystemTime>,
}

/// Reads what an answer from `url` says about the cookie `name`: nothing, or what the last field about
/// it does.
pub fn renewal(
    name: &str,
    headers: &HeaderMap,
    url: &Url,
    now: SystemTime,
) -> Option<CookieRenewal> {
    let fields = headers.get_all(header::SET_COOKIE).iter();
    let values = fields.filter_map(|field| std::str::from_utf8(field.as_bytes()).ok());
    values.filter_map(|field| read_cookie(name, field, url, now)).next_back()
}

/// What the attributes of a cookie say; the last of each kind counts.
#[derive(Default)]
struct CookieAttributes<'field> {
    domain: Option<&'field str>,
    expires: Option<SystemTime>,
    is_secure: bool,
    max_age: Option<i64>,
    path: Option<&'field str>,
}

impl<'field> CookieAttributes<'field> {
    fn read(text: &'field str) -> Self {
        let mut all = Self::default();
        for attribute in text.split(';') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (name, value) = (trim_blanks(name), trim_blanks(value));
            if value.len() > MOST_ATTRIBUTE {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "domain" => all.domain = Some(value.strip_prefix('.').unwrap_or(value)),
                "expires" => all.expires = parse_date(value).or(all.expires),
                "max-age" => all.max_age = max_age(value).or(all.max_age),
                "path" => all.path = Some(value),
                "secure" => all.is_secure = true,
                _ => {}
            }
        }
        all
    }
}

/// Reads one field; `None` when it is about another cookie, or none that this host may set.
fn read_cookie(name: &str, field: &str, url: &Url, now: SystemTime) -> Option<CookieRenewal> {
    if field.chars().any(|letter| letter.is_ascii_control() && letter != '\t') {
        return None;
    }
    let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
    let (own, value) = pair.split_once('=')?;
    let (own, value) = (trim_blanks(own), trim_blanks(value));
    if own != name || own.len() + value.len() > MOST_BYTES || value.contains('\t') {
        return None;
    }
    let CookieAttributes { domain, expires, is_secure, max_age, path } =
        CookieAttributes::read(attributes);
    let is_tls = url.scheme() == "https";
    let domain = domain.filter(|domain| !domain.is_empty());
    if domain.is_some_and(|domain| !is_within(url, domain)) || (is_secure && !is_tls) {
        return None;
    }
    let has_prefix = |prefix: &str| {
        own.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let is_secure = is_secure && is_tls;
    if (has_prefix("__Secure-") && !is_secure)
        || (has_prefix("__Host-") && !(is_secure && domain.is_none() && path == Some("/")))
    {
        return None;
    }
    // Section 5.1.4: one without a path, or with none that begins with a slash, is for the folder of
    // the request.
    let folder = || match url.path().rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder,
        _ => "/",
    };
    let path = path.filter(|path| path.starts_with('/')).unwrap_or_else(folder).to_owned();
    // `Max-Age` goes before `Expires`.
    let ends = match max_age {
        Some(seconds) => Some(
            u64::try_from(seconds)
                .ok()
                .and_then(|seconds| now.checked_add(Duration::from_secs(seconds).min(LONGEST))),
        ),
        None => expires.map(|ends| Some(ends.min(now.checked_add(LONGEST)?))),
    };
    match ends {
        Some(ends) if ends.is_none_or(|ends| ends <= now) => Some(CookieRenewal::Ended),
        _ if value.is_empty() => Some(CookieRenewal::Ended),
        ends => Some(CookieRenewal::Set(SetCookie {
            value: value.to_owned(),
            path,
            ends: ends.flatten(),
        })),
    }
}

/// Returns whether a cookie for `path` goes with a request for `request` (section 5.1.4).
pub fn is_for(path: &str, request: &str) -> bool {
    request
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// Returns whether the host of `url` is `domain`, or within it (section 5.1.3).
fn is_within(url: &Url, domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    match url.host() {
        Some(Host::Domain(host)) => {
            let rest = host.strip_suffix(domain.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        Some(_) => url.host_str() == Some(domain.as_str()),
        None => false,
    }
}

fn trim_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Reads `Max-Age` (section 5.2.2): whole seconds, as many as there are.
fn max_age(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = if digits.len() < text.len() { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(most))
}

/// Reads a date as section 5.1.1 says: whatever is a time, a day, a month and a year, in any order.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let is_delimiter =
        |letter: char| matches!(letter, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~');
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && parse_clock(token).is_some() {
            time = parse_clock(token);
        } else if day.is_none() && parse_number(token, 1..=2).is_some() {
            day = parse_number(token, 1..=2);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() && parse_number(token, 2..=4).is_some() {
            year = parse_number(token, 2..=4);
        }
    }
    let (hour, minute, second) = time?;
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let (day, month) = (day?, month?);
    if year < 1601 || second > 59 {
        return None;
    }
    let number = |number: u32| i8::try_from(number).ok();
    let day = Date::new(i16::try_from(year).ok()?, number(month)?, number(day)?).ok()?;
    let clock = Time::new(number(hour)?, number(minute)?, number(second)?, 0).ok()?;
    let seconds = timestamp::unix_seconds(day.to_datetime(clock));
    let away = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(away) } else { UNIX_EPOCH.checked_add(away) }
}

/// Reads digits at the start of a token, so many of them that what follows is none.
fn parse_number(token: &str, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    token.get(..digits).filter(|_| count.contains(&digits))?.parse().ok()
}

fn parse_clock(token: &str) -> Option<(u32, u32, u32)> {
    let mut parts = token.splitn(3, ':');
    let mut whole = || {
        let part = parts.next()?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| parse_number(part, 1..=2)).flatten()
    };
    let (hour, minute) = (whole()?, whole()?);
    Some((hour, minute, parse_number(parts.next()?, 1..=2)?))
}

fn month_of(token: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == start)?;
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// 15 November 1994, 08:12:31 UTC.
    const NOW: u64 = 784_887_151;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn said(name: &str, fields: &[&str], url: &str) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(field).unwrap());
        }
        match renewal(name, &headers, &Url::parse(url).unwrap(), now()) {
            None => "nothing".to_owned(),
            Some(CookieRenewal::Ended) => "ended".to_owned(),
            Some(CookieRenewal::Set(SetCookie { value, path, ends })) => {
                let ends = ends.map(|ends| ends.duration_since(now()).unwrap().as_secs());
                format!("{value} {path} {ends:?}")
            }
        }
    }

    #[track_caller]
    fn check(field: &str, expected: &str) {
        assert_eq!(
            said("sid", &[field], "https://api.example.com/rest/v0/vms"),
            expected,
            "{field}"
        );
    }

    #[test]
    fn a_value_is_taken_over_with_its_path_and_its_end() {
        check("sid=new", "new /rest/v0 None");
        check("sid = new ; Path=/; HttpOnly; Secure; SameSite=Lax", "new / None");
        check("sid=\"a b,c\"", "\"a b,c\" /rest/v0 None");
        check("sid=a=b==", "a=b== /rest/v0 None");
        check("sid=new; Path=rest; path=", "new /rest/v0 None");
        check("sid=new; MAX-AGE=60", "new /rest/v0 Some(60)");
        check("sid=new; Max-Age=60; Max-Age=x", "new /rest/v0 Some(60)");
        check("sid=new; Expires=Tue, 15 Nov 1994 08:12:41 GMT", "new /rest/v0 Some(10)");
        check("sid=new; Max-Age=99999999999999999999", "new /rest/v0 Some(34560000)");
        check("sid=new; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "new /rest/v0 Some(34560000)");
    }

    #[test]
    fn an_end_in_the_past_is_a_deletion() {
        check("sid=x; Max-Age=0", "ended");
        check("sid=x; Max-Age=-1", "ended");
        check("sid=x; Max-Age=-99999999999999999999", "ended");
        check("sid=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "ended");
        check("sid=x; Expires=Tue, 15-Nov-94 08:12:31 GMT", "ended");
        check("sid=x; Expires=Thu, 01 Jan 1601 00:00:00 GMT; path=/", "ended");
        check("sid=; Path=/", "ended");
        // `Max-Age` wins, whatever the order; what is no date says nothing.
        check("sid=new; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "new /rest/v0 Some(9)");
        check("sid=x; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=0", "ended");
        check("sid=new; Expires=yesterday", "new /rest/v0 None");
    }

    #[test]
    fn what_a_browser_would_not_take_over_is_passed_over() {
        for field in [
            "SID=x",
            "sid2=x",
            "sid",
            "=sid",
            "sid=x; Domain=example.org",
            "sid=x; Domain=i.example.com",
            "sid=x; Domain=pi.example.com",
            "sid=x\ty",
        ] {
            check(field, "nothing");
        }
        check("sid=x; Domain=.Example.COM", "x /rest/v0 None");
        check("sid=x; Domain=", "x /rest/v0 None");
        check(&format!("sid={}", "x".repeat(4094)), "nothing");
        let long = format!("sid=x; Path=/{}", "y".repeat(1024));
        check(&long, "x /rest/v0 None");
        let plain = |field| said("sid", &[field], "http://10.0.0.1/a");
        assert_eq!(plain("sid=x; Secure"), "nothing");
        assert_eq!(plain("sid=x; Domain=0.0.1"), "nothing");
        assert_eq!(plain("sid=x; Domain=10.0.0.1"), "x / None");
        let prefixed = |name, field| said(name, &[field], "https://h/a");
        assert_eq!(prefixed("__Secure-s", "__Secure-s=x"), "nothing");
        assert_eq!(prefixed("__Secure-s", "__Secure-s=x; Secure"), "x / None");
        assert_eq!(prefixed("__Host-s", "__Host-s=x; Secure"), "nothing");
        assert_eq!(prefixed("__Host-s", "__Host-s=x; Secure; Path=/; Domain=h"), "nothing");
        assert_eq!(prefixed("__Host-s", "__Host-s=x; Secure; Path=/"), "x / None");
    }

    #[test]
    fn the_last_of_the_same_name_counts() {
        let url = "https://h/a/b";
        assert_eq!(said("s", &["s=1", "t=2", "s=3", "S=4"], url), "3 /a None");
        assert_eq!(said("s", &["s=1", "s=x; Max-Age=0"], url), "ended");
        assert_eq!(said("s", &["s=x; Max-Age=0", "s=1; Path=/"], url), "1 / None");
        assert_eq!(said("s", &["s=1", "s=2; Domain=other"], url), "1 /a None");
    }

    #[test]
    fn dates_of_all_kinds_are_read() {
        for text in [
            "Tue, 15 Nov 1994 08:12:31 GMT",
            "Tuesday, 15-Nov-94 08:12:31 GMT",
            "Tue Nov 15 08:12:31 1994",
            "15 november 94 8:12:31x",
            "08:12:31 1994 Nov 15th",
        ] {
            assert_eq!(parse_date(text), Some(now()), "{text}");
        }
        for text in [
            "",
            "15 Nov 1994",
            "30 Feb 2020 00:00:00",
            "15 Nov 1600 00:00:00",
            "15 Nov 1994 24:00:00",
            "15 Nov 1994 08:60:00",
            "0 Nov 1994 08:00:00",
            "15 Nov 1994 8:12",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert!(
            parse_date("29 Feb 2000 00:00:00").is_some()
                && parse_date("29 Feb 1900 00:00:00").is_none()
        );
        let before = parse_date("01 Jan 1601 00:00:00").unwrap();
        assert_eq!(UNIX_EPOCH.duration_since(before).unwrap().as_secs(), 11_644_473_600);
    }

    #[test]
    fn paths_match_by_whole_segments() {
        assert!(is_for("/", "/rest") && is_for("/rest", "/rest") && is_for("/rest", "/rest/v0"));
        assert!(is_for("/rest/", "/rest/v0"));
        assert!(
            !is_for("/rest", "/restore") && !is_for("/rest/v0", "/rest") && !is_for("/a/", "/a")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_field_is_read_or_passed_over(
            field in "(sid=[ -~]{0,9};? ?){0,2}((Expires|Max-Age|Domain|Path|Secure)=?[ -~]{0,20};){0,4}",
            url in "https?://[a-z]{1,5}(\\.[a-z]{2,3})?/[a-z/]{0,9}",
        ) {
            let mut headers = HeaderMap::new();
            headers.insert(header::SET_COOKIE, HeaderValue::from_str(&field).unwrap());
            let renewal = renewal("sid", &headers, &Url::parse(&url).unwrap(), now());
            if let Some(CookieRenewal::Set(SetCookie { value, path, ends })) = renewal {
                prop_assert!(field.starts_with("sid="));
                prop_assert!(!value.is_empty() && !value.contains(';') && path.starts_with('/'));
                prop_assert!(ends.is_none_or(|ends| ends > now() && ends <= now() + LONGEST));
            }
        }

        #[test]
        fn a_date_is_what_it_was_written_from(seconds in 0_u64..=253_402_300_799) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(parse_date(&httpdate::fmt_http_date(time)), Some(time));
        }

        #[test]
        fn any_date_is_read_or_none(text in ".{0,60}") {
            let _ = parse_date(&text);
        }
    }
}
