//! Whose a request is: its client, for what is shared among clients, and its session, for what lasts
//! longer than the request.

use std::sync::Arc;

use rmcp::model::Extensions;

use super::{connection_slots::ConnectionSlot, kept_timer::SharedTimer, sessions::InSession};
use crate::{live::StreamOwner, shares::ClientKey};

/// The other end of the connection on which a request came.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPeer {
    /// Whose connection it is.
    pub(super) host: Arc<str>,
    pub(super) place: Arc<ConnectionSlot>,
    /// For what its requests wait for, one after the other.
    pub(super) timer: SharedTimer,
}

impl ConnectionPeer {
    /// Returns who that is, as long as no session is known.
    pub(super) fn client(&self) -> ClientKey {
        ClientKey { host: (*self.host).to_owned(), session: String::new() }
    }
}

/// Says whose request it is: the session that it was made in, at its address. There is one client
/// without an address on stdio.
pub(super) fn client_key(extensions: &Extensions) -> ClientKey {
    let peer = extensions
        .get::<http::request::Parts>()
        .and_then(|it| it.extensions.get::<ConnectionPeer>());
    let session = extensions.get::<InSession>().map_or("", |InSession(id)| id);
    ClientKey { host: peer.map_or("", |peer| &peer.host).to_owned(), session: session.to_owned() }
}

/// Says whose the streams are that a request opens. A request that names a session without being
/// in one is one without.
pub(super) fn stream_owner(extensions: &Extensions) -> StreamOwner {
    match (extensions.get::<http::request::Parts>(), extensions.get::<InSession>()) {
        (None, _) => StreamOwner::Session(String::new()),
        (Some(_), Some(InSession(id))) => StreamOwner::Session((**id).to_owned()),
        (Some(_), None) => StreamOwner::Anybody,
    }
}
