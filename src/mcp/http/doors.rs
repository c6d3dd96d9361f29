//! What is served beside `/mcp`, each at a path that ends with its name. Others may come while clients are
//! there, and some may go: then what is under way ends as it began, and its sessions end after it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{HttpEndpoint, HttpOptions, MCP_PATH, is_at};
use crate::mcp::LiveServer;

/// Why streams end.
const NO_LONGER_SERVED: &str = "what is at this path is no longer served";

/// What is served at paths that end with names; a clone is the same.
#[derive(Clone, Default)]
pub(crate) struct ServedPaths(Arc<Mutex<HashMap<String, ServedPath>>>);

#[derive(Clone)]
struct ServedPath {
    server: LiveServer,
    gone: CancellationToken,
}

impl ServedPaths {
    /// Serves this at a path that ends with a name, at once.
    pub(crate) fn put(&self, name: &str, server: LiveServer) {
        let served = ServedPath { server, gone: CancellationToken::new() };
        let before = self.lock().insert(name.to_owned(), served);
        before.iter().for_each(|before| before.gone.cancel());
    }

    /// Serves nothing there any more, at once.
    pub(crate) fn remove(&self, name: &str) {
        let before = self.lock().remove(name);
        before.iter().for_each(|before| before.gone.cancel());
    }

    fn get(&self, name: &str) -> Option<ServedPath> {
        self.lock().get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ServedPath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The doors at these paths, which are made when somebody comes.
pub(super) struct OtherDoors {
    pub(super) paths: ServedPaths,
    pub(super) options: HttpOptions,
    pub(super) address: SocketAddr,
    /// Sessions end with it.
    pub(super) end: CancellationToken,
    made: Mutex<HashMap<String, Arc<HttpEndpoint>>>,
}

impl OtherDoors {
    pub(super) fn new(
        paths: ServedPaths,
        options: &HttpOptions,
        address: SocketAddr,
        end: &CancellationToken,
    ) -> Self {
        let (options, end, made) = (options.clone(), end.clone(), Mutex::default());
        Self { paths, options, address, end, made }
    }

    fn made(&self) -> MutexGuard<'_, HashMap<String, Arc<HttpEndpoint>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpEndpoint {
    /// Returns what speaks the protocol at a path.
    pub(super) fn door(self: &Arc<Self>, path: &str) -> Option<Arc<Self>> {
        if is_at(path, &self.path) {
            return Some(Arc::clone(self));
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let name = path.strip_prefix(MCP_PATH)?.strip_prefix('/')?;
        let others = self.others.as_ref()?;
        let served = others.paths.get(name)?;
        let mut made = others.made();
        if let Some(door) = made.get(name).filter(|door| door.server.is_same(&served.server)) {
            return Some(Arc::clone(door));
        }
        let ending = self.ending.child();
        let end = others.end.child_token();
        let server = served.server.ending_with(&ending);
        let door = Self {
            path: format!("{MCP_PATH}/{name}"),
            memory: self.memory.clone(),
            lanes: self.lanes.clone(),
            ..Self::new(server, &others.options, others.address, end.clone(), &ending)
        };
        let door = Arc::new(door);
        made.insert(name.to_owned(), Arc::clone(&door));
        crate::spawn::task(Arc::clone(self).close_when_gone(Arc::clone(&door), served.gone, end));
        Some(door)
    }

    /// Closes a door when what was behind it is no longer served: sessions end after what is under way.
    async fn close_when_gone(
        self: Arc<Self>,
        door: Arc<Self>,
        gone: CancellationToken,
        end: CancellationToken,
    ) {
        tokio::select! {
            () = gone.cancelled() => {}
            // The end of the server ends all doors.
            () = self.ending.closing() => return,
        }
        if let Some(others) = &self.others {
            others.made().retain(|_, known| !Arc::ptr_eq(known, &door));
        }
        door.server.now().streams().end_all(NO_LONGER_SERVED);
        tokio::select! {
            () = door.ending.close() => {}
            () = self.ending.leaving() => {}
        }
        end.cancel();
    }

    /// Ends all streams that clients have open.
    pub(in crate::mcp) fn end_streams(&self, why: &str) {
        self.server.now().streams().end_all(why);
        for door in self.others.iter().flat_map(|others| others.made().clone().into_values()) {
            door.end_streams(why);
        }
    }
}
