//! Takes secrets out of what comes back.
//!
//! A backend may repeat a credential in an error text or list it among its tokens. The value
//! that was sent is replaced before anything is parsed, so that no later stage can show it.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

pub use crate::response::MASK;

/// Shorter values occur by chance, and replacing them would corrupt results.
const SHORTEST: usize = 8;

/// Replaces each occurrence of each secret in `body`; returns it unchanged when there is none.
pub(crate) fn bytes(body: Bytes, secrets: &[&str]) -> Bytes {
    let mut body = body;
    let secrets = secrets.iter().filter(|secret| secret.len() >= SHORTEST);
    for secret in secrets.flat_map(|secret| forms(secret)) {
        let finder = memmem::Finder::new(secret.as_bytes());
        if finder.find(&body).is_none() {
            continue;
        }
        let mut clean = Vec::with_capacity(body.len());
        let mut rest: &[u8] = &body;
        while let Some(at) = finder.find(rest) {
            let (before, from) = rest.split_at(at);
            clean.extend_from_slice(before);
            clean.extend_from_slice(MASK.as_bytes());
            rest = from.get(secret.len()..).unwrap_or_default();
        }
        clean.extend_from_slice(rest);
        body = clean.into();
    }
    body
}

/// Returns a secret as it is, and as JSON texts write it where that differs.
fn forms(secret: &str) -> Vec<Cow<'_, str>> {
    let mut forms = vec![Cow::Borrowed(secret)];
    if secret.contains(['"', '\\', '/']) || secret.contains(char::is_control) {
        let quoted = Value::from(secret).to_string();
        let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let escaped = inner.unwrap_or(&quoted).to_owned();
        // Some servers escape slashes too, which occur in Base64.
        forms.push(escaped.replace('/', "\\/").into());
        forms.push(escaped.into());
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_every_occurrence_and_nothing_else() {
        let body = Bytes::from_static(b"a s3cr3t-token b s3cr3t-token");
        assert_eq!(bytes(body, &["s3cr3t-token"]), "a [REDACTED] b [REDACTED]");
        assert_eq!(bytes(Bytes::from_static(b"plain"), &["s3cr3t-token"]), "plain");
        assert_eq!(bytes(Bytes::from_static(b"short x"), &["x"]), "short x");
        let escaped = Bytes::from_static(br#"["abc\/d\"efgh", "abc/d\"efgh"]"#);
        assert_eq!(bytes(escaped, &["abc/d\"efgh"]), r#"["[REDACTED]", "[REDACTED]"]"#);
    }
}
