//! Any `Set-Cookie` is a renewal, an end, or nothing: the first line is the URL of the request, each
//! other one a field.
#![no_main]

use std::time::{Duration, SystemTime};

use dadl_mcp::http::cookie::{self, SetCookie, CookieRenewal};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let url = Url::parse(&first)
        .ok()
        .filter(|url| url.has_host())
        .unwrap_or_else(|| Url::parse("https://api.example.com/rest/v0/vms").expect("a URL"));
    let mut headers = HeaderMap::new();
    for line in lines {
        let _ = cookie::parse_date(&String::from_utf8_lossy(line));
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    let now = SystemTime::now();
    for name in ["sid", "__Host-sid", "__Secure-sid"] {
        let Some(CookieRenewal::Set(SetCookie { value, path, ends })) =
            cookie::renewal(name, &headers, &url, now)
        else {
            continue;
        };
        assert!(!value.is_empty() && value.len() <= 4096, "{value}");
        assert!(!value.contains(';') && !value.chars().any(|letter| letter.is_ascii_control()));
        assert!(path.starts_with('/'), "{path}");
        let longest = Duration::from_secs(400 * 24 * 60 * 60);
        assert!(ends.is_none_or(|ends| ends > now && ends <= now + longest));
        assert!(name == "sid" || url.scheme() == "https");
        assert!(HeaderValue::from_str(&format!("{name}={value}")).is_ok() || !value.is_ascii());
    }
});
