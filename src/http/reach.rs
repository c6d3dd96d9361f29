//! Finds out whether somebody listens at a base URL.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use super::guard::Guard;
use crate::{call::BaseUrl, config::AddressKey};

/// Connects and hangs up; this works without a credential, and says nothing about TLS. Where
/// requests may not connect, neither does this.
///
/// # Errors
///
/// What the system or `guard` said, or that `bound` passed.
pub async fn reach(base: &BaseUrl, bound: Duration, guard: &Guard) -> Result<(), String> {
    let connected = tokio::time::timeout(bound, connect(base, guard)).await;
    connected.unwrap_or_else(|_| Err(format!("no connection within {} s", bound.as_secs_f32())))
}

async fn connect(base: &BaseUrl, guard: &Guard) -> Result<(), String> {
    let url = base.as_url();
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = guard.addresses(AddressKey::BaseUrl, url).await;
    let addresses = addresses.map_err(|error| error.to_string())?;
    let addresses: Vec<SocketAddr> =
        addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    // One after the other, until somebody listens.
    match TcpStream::connect(&*addresses).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
