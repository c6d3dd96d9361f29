//! Whether a text is a secret, by its name and by how it looks.
//!
//! What is taken for one by mistake costs a person a moment; what is missed ends up in a file that is
//! passed around. So names decide unless the value cannot be a secret, and long random texts are secrets
//! whatever they are called.

use dadl_text::names::split_words;
use serde_json::Value;
use url::Url;

use crate::secrets::sounds_secret;

/// How secrets of well-known services begin.
const PREFIXES: &[&str] = &[
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "dop_v1_",
    "eyJ",
    "figd_",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hf_",
    "lin_api_",
    "npm_",
    "ntn_",
    "pypi-",
    "rk_live_",
    "secret_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "tvly-",
    "xapp-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];

/// A shorter text behind such a beginning is a word.
const SHORTEST_REST: usize = 16;

/// Schemes of `Authorization`.
pub(super) const SCHEMES: [&str; 6] = ["Bearer ", "Basic ", "Token ", "ApiKey ", "Bot ", "Key "];

/// Words of names that [`sounds_secret`] knows as whole names only, or not at all.
const TELLING: [&str; 8] = ["apikey", "otp", "pass", "passcode", "pat", "pin", "pw", "pwd"];

/// Words of names of numbers and switches.
const COUNTING: [&str; 9] =
    ["count", "length", "limit", "max", "maximum", "min", "size", "timeout", "ttl"];

/// Returns whether a value of this name is a secret.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    looks_secret(value) || (names_secret(name) && !is_harmless(name, value))
}

/// Returns whether something of this name is a secret.
pub(super) fn names_secret(name: &str) -> bool {
    sounds_secret(name) || split_words(name).iter().any(|word| TELLING.contains(&word.as_str()))
}

/// Returns whether a text is a secret whatever it is called.
pub(super) fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    let is_login = SCHEMES.iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
            && text.len() > scheme.len() + 5
            && !text.contains("${")
            && !text.get(scheme.len()..).is_some_and(|rest| rest.contains(' '))
    });
    if is_login || text.contains("-----BEGIN ") || words(text).any(is_known) {
        return true;
    }
    let json: Option<Value> =
        text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten();
    if json.as_ref().map_or_else(|| has_named(text), has_secret_member) {
        return true;
    }
    if text.contains("://") {
        // A list of addresses is read one by one.
        return text.split([',', ' ', ';']).any(|part| match Url::parse(part) {
            Ok(url) => secret_part(&url).is_some(),
            Err(_) => has_random(part),
        });
    }
    !is_path(text) && !names_version(text) && has_random(text)
}

/// Returns whether a text has a secret behind its name: `a=b`, `a: b`, `--a b`, or a bearer token.
fn has_named(text: &str) -> bool {
    let quotes = ['"', '\''];
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | ','));
    let (mut before, mut is_behind_scheme) = ("", false);
    for part in parts.map(|part| part.trim_matches(quotes)).filter(|part| !part.is_empty()) {
        let is_value = |name: &str, value: &str| {
            names_secret(name) && !is_reference(value) && !is_harmless(name, value)
        };
        let is_pair = part.split_once('=').is_some_and(|(name, value)| {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            name.chars().all(letter) && is_value(name, value.trim_matches(quotes))
        });
        let is_field = before.ends_with(':');
        let is_flag = before.starts_with("--") && !before.contains('=') && !part.starts_with('-');
        let is_scheme = SCHEMES.iter().any(|scheme| part.eq_ignore_ascii_case(scheme.trim()));
        let is_behind = (is_field || is_flag) && !is_scheme && is_value(before, part);
        let is_bearer = before.eq_ignore_ascii_case("bearer") && part.len() > 5;
        if is_pair || is_behind || ((is_bearer || is_behind_scheme) && !is_reference(part)) {
            return true;
        }
        is_behind_scheme = is_scheme && is_field && names_secret(before);
        before = part;
    }
    false
}

/// Returns whether a value is the name of a variable.
fn is_reference(value: &str) -> bool {
    let name = value.strip_prefix('$').or_else(|| value.strip_prefix('%')?.strip_suffix('%'));
    let is_capital = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
    value.starts_with("${") || name.is_some_and(|name| name.bytes().all(is_capital))
}

/// Returns whether a secret is in a value of JSON.
fn has_secret_member(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            value.as_str().is_some_and(|text| is_secret(name, text) && !text.starts_with("${"))
                || has_secret_member(value)
        }),
        Value::Array(items) => items.iter().any(has_secret_member),
        Value::String(text) => looks_secret(text),
        _ => false,
    }
}

/// The part of a URL that is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretPart {
    /// The user and the password.
    Login,
    /// A part of the path.
    Path,
    /// These parameters of the query.
    Query(Vec<String>),
}

/// Returns which part of a URL is a secret, if one is.
pub(super) fn secret_part(url: &Url) -> Option<SecretPart> {
    let is_web = matches!(url.scheme(), "http" | "https" | "ws" | "wss");
    let is_login = is_web && !url.username().is_empty();
    if is_login || url.password().is_some() || has_random(url.username()) {
        return Some(SecretPart::Login);
    }
    let mut segments = url.path_segments().into_iter().flatten();
    if is_web && segments.any(|part| words(part).any(is_known) || has_random(part)) {
        return Some(SecretPart::Path);
    }
    let secret = url.query_pairs().filter(|(name, value)| {
        has_random(value)
            || words(value).any(is_known)
            || (names_secret(name) && !is_harmless(name, value))
    });
    let secret: Vec<String> = secret.map(|(name, _)| name.into_owned()).collect();
    let in_fragment = url.fragment().is_some_and(has_random);
    match secret.is_empty() {
        false => Some(SecretPart::Query(secret)),
        true => in_fragment.then_some(SecretPart::Path),
    }
}

/// Returns whether a value cannot be a secret, whatever its name tells.
fn is_harmless(name: &str, value: &str) -> bool {
    let value = value.trim();
    let is_switch = ["", "0", "1", "true", "false", "yes", "no", "on", "off", "none"]
        .iter()
        .any(|known| value.eq_ignore_ascii_case(known));
    let is_count = value.bytes().all(|it| it.is_ascii_digit())
        && split_words(name).iter().any(|word| COUNTING.contains(&word.as_str()));
    let is_address = Url::parse(value)
        .is_ok_and(|url| url.has_host() && secret_part(&url).is_none() && !value.contains(','));
    is_switch || is_count || is_address || (is_path(value) && !has_random(value))
}

/// Returns whether a text is a path.
pub(super) fn is_path(text: &str) -> bool {
    let drive = text.as_bytes().get(1..3).is_some_and(|it| matches!(it, b":\\" | b":/"));
    drive
        || ["/", "./", "../", "~/", ".\\", "..\\", "\\\\"]
            .iter()
            .any(|start| text.starts_with(start))
}

/// Returns whether a text names one state of something: its digits are no secret.
fn names_version(text: &str) -> bool {
    ["sha256:", "sha512-", "git+", "github:", "github.com/"].iter().any(|part| text.contains(part))
}

/// The parts of a text that may be a secret.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
}

/// Returns whether a word begins as secrets of well-known services do.
fn is_known(word: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= SHORTEST_REST && rest.bytes().any(|it| it.is_ascii_digit())
        })
    })
}

/// Returns whether a part of a text looks random.
fn has_random(text: &str) -> bool {
    let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    let mut runs = runs.filter(|run| run.len() >= 20);
    runs.any(|run| {
        let count = |is: fn(&u8) -> bool| run.bytes().filter(is).count();
        let (digits, upper, lower) = (
            count(u8::is_ascii_digit),
            count(u8::is_ascii_uppercase),
            count(u8::is_ascii_lowercase),
        );
        is_uuid(run)
            || run.split(['-', '_']).any(is_random)
            || (run.len() >= 32 && digits >= 4 && upper >= 3 && lower >= 3)
    })
}

/// Returns whether letters and digits are mixed as in nothing that people write.
fn is_random(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let mixed = |(one, next): (u8, u8)| one.is_ascii_lowercase() && next.is_ascii_uppercase();
    let humps = piece.bytes().zip(piece.bytes().skip(1)).filter(|pair| mixed(*pair)).count();
    (piece.len() >= 20 && digits >= 3 && piece.len() - digits >= 3)
        || (piece.len() >= 32 && humps >= 6)
}

fn is_uuid(run: &str) -> bool {
    let lengths: Vec<usize> = run.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && run.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_looks() {
        for secret in [
            "ghp_0123456789abcdefABCDEF0123456789abcd",
            "sk-ant-api03-Zm9vYmFyYmF6cXV4",
            "Bearer abcdefgh",
            "basic dXNlcjpwYXNz",
            "postgres://me:hunter2@db/shop",
            "https://hooks.example.com/services/T0/B0/a1b2c3d4e5f6g7h8i9j0k1l2",
            "https://example.com/mcp?api_key=hunter2",
            "https://example.com/mcp?k=0123456789abcdef0123456789abcdef",
            "Server=db;User Id=me;Password=hunter2",
            "-----BEGIN PRIVATE KEY-----\nMII",
            "0123456789abcdef0123456789abcdef01234567",
            "123e4567-e89b-12d3-a456-426614174000",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "--token=AbCdEfGhIjKlMnOpQrSt1234",
            "https://hunter2@example.com/mcp",
            "node x.js --token hunter2",
            "TOKEN='hunter2' node x.js",
            "curl -H 'Authorization: Bearer hunter2' x",
            "X-Api-Key: hunter2",
            "Authorization: Basic aHVudGVy",
            r#"{"auth": {"password": "hunter2"}}"#,
        ] {
            assert!(looks_secret(secret), "{secret}");
        }
        for plain in [
            "@modelcontextprotocol/server-filesystem",
            "ghcr.io/github/github-mcp-server:v0.5.0",
            "ghcr.io/x/y@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "git+https://github.com/x/y@0123456789abcdef0123456789abcdef01234567",
            "/nix/store/0123456789abcdefghijklmnopqrstuv-node/bin/node",
            "https://api.example.com/v1/mcp?region=eu",
            "mcp-server-sqlite@2025.11.25",
            "--allow-everything-that-may-be-read-2025",
            "Bearer ${TOKEN}",
            "Basic usage of the server",
            "node x.js --token $TOKEN --port 80",
            "Authorization: Bearer ${TOKEN}",
            "postgres://me@db/shop",
            r#"{"auth": {"password": "${PASSWORD}", "user": "me"}}"#,
            "npm_config_yes=true",
            "info",
        ] {
            assert!(!looks_secret(plain), "{plain}");
        }
    }

    #[test]
    fn names_decide_unless_the_value_cannot_be_one() {
        for (name, value) in [
            ("GITHUB_TOKEN", "x"),
            ("--api-key", "hunter2"),
            ("GITHUB_PAT", "hunter2"),
            ("DB_PASS", "1234"),
            ("LOG_LEVEL", "ghp_0123456789abcdefABCDEF0123456789abcd"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("MAX_TOKENS", "4096"),
            ("USE_KEYRING", "true"),
            ("SSH_KEY_PATH", "/home/me/.ssh/id_ed25519"),
            ("TOKEN_URL", "https://example.com/token"),
            ("PATH_STYLE", "posix"),
            ("API_KEY", ""),
        ] {
            assert!(!is_secret(name, value), "{name}");
        }
    }
}
