//! Finds out whether somebody listens at a base URL.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::call::BaseUrl;

/// Connects and hangs up; this works without a credential, and says nothing about TLS.
///
/// # Errors
///
/// What the system said, or that `bound` passed.
pub async fn reach(base: &BaseUrl, bound: Duration) -> Result<(), String> {
    let url = base.as_url();
    // Invariant: a base URL is `http` or `https`, so that it has both.
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("the URL names no host".to_owned());
    };
    let address = (host.trim_matches(['[', ']']), port);
    match tokio::time::timeout(bound, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", bound.as_secs_f32())),
    }
}
