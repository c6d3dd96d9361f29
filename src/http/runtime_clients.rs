//! The HTTP clients of one origin for one use: one for each runtime that asks.
//!
//! A connection is driven by the runtime that opened it. Where each of several threads has a runtime, a call on a
//! connection of another's wakes that thread for each of its steps; and it waits for ever where nothing drives
//! that runtime.

use std::sync::{Mutex, PoisonError};

use reqwest::Client;
use tokio::runtime::{Handle, Id};

use super::{client::ClientPurpose, client_error::ClientError};

/// The clients, each made when it is first asked for. There are as many as threads that serve connections.
#[derive(Debug, Default)]
pub(super) struct RuntimeClients {
    made: Mutex<Vec<RuntimeClient>>,
}

/// The client of a runtime, or why there is none.
#[derive(Debug)]
struct RuntimeClient {
    runtime: Option<Id>,
    client: Result<Client, ClientError>,
}

impl RuntimeClients {
    /// Returns the client of the present runtime, or of all where the use is none [of a
    /// runtime](ClientPurpose::is_of_runtime); `build` makes it.
    ///
    /// # Errors
    ///
    /// It could not be built.
    pub(super) fn client(
        &self,
        purpose: ClientPurpose,
        build: impl FnOnce() -> Result<Client, ClientError>,
    ) -> Result<Client, ClientError> {
        let current = || Handle::try_current().ok().map(|runtime| runtime.id());
        let runtime = purpose.is_of_runtime().then(current).flatten();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_runtime) = made.iter().find(|it| it.runtime == runtime) {
            return of_runtime.client.clone();
        }
        let client = build();
        made.push(RuntimeClient { runtime, client: client.clone() });
        client
    }
}
