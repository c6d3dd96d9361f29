//! Finds out whether somebody listens at a base URL.

use std::{error::Error, io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use super::connection_guard::ConnectionGuard;
use crate::{call::BaseUrl, config::AddressKey};

/// Why nobody was reached. Usually the operator's fault, or the network's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// There is no address, or none that is allowed.
    #[error(transparent)]
    Address(Box<dyn Error + Send + Sync>),
    /// Nobody listens.
    #[error(transparent)]
    Connect(#[from] io::Error),
    /// Nobody says whether there is somebody.
    #[error("no connection within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// Connects and hangs up; this works without a credential, and says nothing about TLS. Where
/// requests may not connect, neither does this.
///
/// # Errors
///
/// What the system or `guard` said, or that `bound` passed.
pub async fn check_reachable(
    base: &BaseUrl,
    bound: Duration,
    guard: &ConnectionGuard,
) -> Result<(), ReachError> {
    let connected = tokio::time::timeout(bound, connect_once(base, guard)).await;
    connected.unwrap_or(Err(ReachError::Timeout(bound)))
}

async fn connect_once(base: &BaseUrl, guard: &ConnectionGuard) -> Result<(), ReachError> {
    let url = base.as_url();
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = guard.addresses(AddressKey::BaseUrl, url).await;
    let addresses = addresses.map_err(ReachError::Address)?;
    let addresses: Vec<SocketAddr> =
        addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    // One after the other, until somebody listens.
    TcpStream::connect(&*addresses).await?;
    Ok(())
}
