//! The secrets of the process, which nothing leaves that is written.

use std::sync::LazyLock;

use crate::secrets::Secrets;

/// The secrets of the process.
pub(super) static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);
