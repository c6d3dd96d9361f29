//! Values of flags, from their text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What to write instead of a value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("write a port or an address with a port, such as 127.0.0.1:8080")]
    Address,
    #[error("begin with a lower-case letter, go on with a-z, 0-9 and `-`")]
    BackendName,
}

/// Reads the name of a backend.
pub(super) fn parse_backend_name(text: &str) -> Result<String, ValueError> {
    let is_rest = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_rest) {
        return Ok(text.to_owned());
    }
    Err(ValueError::BackendName)
}

/// Reads `8080`, `localhost:8080` or an address with a port. An address without a host would mean
/// all interfaces elsewhere, so it is not taken.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, ValueError> {
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(loopback(port));
    }
    text.parse().map_err(|_| ValueError::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_loopback_or_refused() {
        let parse = |text: &str| parse_address(text).map(|address| address.to_string());
        assert_eq!(parse("8080").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(parse("localhost:1").as_deref(), Ok("127.0.0.1:1"));
        assert_eq!(parse("[::1]:1").as_deref(), Ok("[::1]:1"));
        assert_eq!(parse("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        assert!(parse(":8080").is_err());
        assert!(parse("example.com:80").is_err());
    }
}
