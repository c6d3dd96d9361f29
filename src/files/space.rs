//! How much room the disk of the store has.

use std::{path::Path, sync::Arc};

use super::{FileError, StoreState};

/// The least that stays free on the disk, for logs and other programs; less where the disk is small.
const RESERVE: u64 = 64 * 1024 * 1024;
/// So much of a small disk stays free: one part of this many.
const SMALL: u64 = 20;

/// The largest offset of a file.
const MOST: u64 = i64::MAX as u64;

/// The room of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// In bytes, for this user.
    pub free: u64,
    /// In bytes.
    pub size: u64,
}

/// Measures the file system of a directory that is there; `None` where nobody knows. Tests bring
/// their own.
pub(crate) type SpaceGauge = Arc<dyn Fn(&Path) -> Option<DiskSpace> + Send + Sync>;

impl DiskSpace {
    /// Returns what has to stay free.
    pub(super) fn reserve(self) -> u64 {
        RESERVE.min(self.size / SMALL)
    }

    /// Returns what may be written.
    fn usable(self) -> u64 {
        self.free.saturating_sub(self.reserve())
    }
}

/// Asks the system (`statvfs`).
#[cfg(unix)]
pub(super) fn disk_space(directory: &Path) -> Option<DiskSpace> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(DiskSpace { free: bytes(found.f_bavail), size: bytes(found.f_blocks) })
}

/// Nobody knows: a full disk shows when it is written to.
#[cfg(not(unix))]
pub(super) fn disk_space(_: &Path) -> Option<DiskSpace> {
    None
}

/// Checks that a file of this length fits beside those that are being written.
pub(super) fn check_space(
    space: Option<DiskSpace>,
    total: u64,
    state: &StoreState,
) -> Result<(), FileError> {
    // No file has more bytes, and all that are awaited are counted together.
    let most = MOST.saturating_sub(state.unfinished_bytes.max(state.awaited_bytes));
    if total > most {
        return Err(FileError::DiskFull { total: Some(total), usable: most });
    }
    let Some(space) = space else { return Ok(()) };
    let usable = space.usable().saturating_sub(state.awaited_bytes);
    // Of a file whose length nobody announced, one byte has to fit.
    if total.max(1) <= usable {
        return Ok(());
    }
    let total = (total > 0).then_some(total);
    Err(FileError::DiskFull { total, usable })
}

/// Checks that the disk has room for what comes next.
pub(super) fn check_now(space: Option<DiskSpace>) -> Result<(), FileError> {
    match space {
        Some(space) if space.usable() == 0 => Err(FileError::DiskFull { total: None, usable: 0 }),
        _ => Ok(()),
    }
}
