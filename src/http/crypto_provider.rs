//! The one implementation of the ciphers of TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Makes ring the TLS provider of this process.
pub(super) fn install_provider() -> Arc<CryptoProvider> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}
