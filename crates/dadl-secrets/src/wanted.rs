//! A secret that is looked for, and whether it is so short that it occurs by chance.

/// Shorter secrets occur by chance.
pub(super) const SHORTEST: usize = 8;

/// Values that are everywhere, whoever has chosen them as a secret.
const COMMON: &[&str] = &[
    "admin",
    "administrator",
    "changeme",
    "default",
    "demo",
    "disabled",
    "empty",
    "enabled",
    "error",
    "false",
    "guest",
    "hidden",
    "localhost",
    "login",
    "manager",
    "name",
    "none",
    "null",
    "off",
    "password",
    "passwd",
    "public",
    "read",
    "root",
    "secret",
    "service",
    "system",
    "test",
    "token",
    "true",
    "undefined",
    "unknown",
    "user",
    "username",
    "value",
    "write",
    "yes",
];

/// A secret, and the names of the credentials that have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedSecret<'secret> {
    pub(super) value: &'secret str,
    pub(super) names: &'secret [String],
}

/// Returns whether `secret` would be masked where it is none.
pub(super) fn is_short(secret: &str) -> bool {
    secret.len() < SHORTEST || is_common(secret)
}

/// Returns whether a value says nothing by itself.
pub(super) fn is_common(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    secret.len() < 3
        || COMMON.contains(&lower.as_str())
        || (secret.len() < SHORTEST && secret.bytes().all(|byte| byte.is_ascii_digit()))
        || "0123456789".contains(secret)
}
