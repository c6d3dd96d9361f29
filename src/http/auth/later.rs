//! A login that is looked for when the first request needs it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::applied::AppliedCredential;
use crate::http::login::LoginError;

/// A login of which nothing is known before a request needs it, and that may not be there.
pub(crate) trait LaterLogin: Send + Sync {
    /// Returns what a request carries, renewed where it is time; nothing where there is no login.
    fn applied(&self) -> BoxFuture<'_, Result<Option<Arc<AppliedCredential>>, LoginError>>;

    /// Forgets what a server refused: what is stored by now counts the next time.
    fn forget(&self, refused: &Arc<AppliedCredential>);

    /// Has what is stored by then count the next time.
    fn look_again(&self);

    /// Returns whether there is one that can be renewed, as far as anybody has looked.
    fn renews(&self) -> bool;

    /// Returns whether there is one, as far as anybody has looked.
    fn is_there(&self) -> bool;
}
