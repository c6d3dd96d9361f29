//! Header fields that nobody else may write.

/// Those that belong to the program: credentials, the target and the framing of the message.
pub const OURS: [&str; 7] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "transfer-encoding",
];

/// Those that carry the message itself and never a credential.
pub const FRAMING: [&str; 4] = ["content-length", "content-type", "host", "transfer-encoding"];

/// Returns whether a header field belongs to the program.
pub fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Returns whether a header field carries the message itself.
pub fn frames(name: &str) -> bool {
    FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing))
}
