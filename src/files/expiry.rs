//! When the time of a stored file is over.
//!
//! A record says until when, by the clock and by how long the machine will have been running then.
//! As long as the machine runs, the latter counts, so that a clock that jumps removes nothing early and
//! keeps nothing too long. After a restart only the clock is left: a file goes when the clock has said
//! for an hour that its time is over, and has run evenly meanwhile. What the first look saw is a
//! small file, because programs on the command line do not live for an hour.

use std::{
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    folder::remove_quietly,
    record::{FileId, FileRecord},
    staging,
    time::{ClockMoment, MachineUptime, unix_seconds},
};

/// Ends the name of what a first look saw.
pub(super) const SEEN: &str = "seen";
/// The clock has to be right for so long before it counts.
const CONFIRMATION: Duration = Duration::from_secs(60 * 60);
/// So much may a clock be put right meanwhile.
const TOLERANCE: Duration = Duration::from_secs(60);

/// When the clock first said that the time of a file is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ExpirySeen {
    /// By the clock, in seconds since 1970.
    at: u64,
    uptime: MachineUptime,
}

/// Returns whether the file of a record is to be removed.
pub(super) fn is_over(
    directory: &Path,
    id: &FileId,
    record: &FileRecord,
    now: &ClockMoment,
) -> bool {
    let Some(expires) = record.expires else { return false };
    if let Some(until) = record.until.as_ref().filter(|until| until.boot == now.uptime.boot) {
        return now.uptime.milliseconds >= until.milliseconds;
    }
    expires <= unix_seconds(now.clock) && is_confirmed(directory, id, now)
}

/// Forgets what a first look saw.
pub(super) fn forget_expiry(directory: &Path, id: &FileId) {
    let path = staging::path_of(directory, id, SEEN);
    if path.exists() {
        remove_quietly(&path);
        staging::remove_when_empty(directory);
    }
}

/// Returns whether the clock has said so for long enough; writes down when it did first.
fn is_confirmed(directory: &Path, id: &FileId, now: &ClockMoment) -> bool {
    let path = staging::path_of(directory, id, SEEN);
    let seen: Option<ExpirySeen> =
        fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(seen) = seen
        && let Some(passed) = now.uptime.since(&seen.uptime)
        && now
            .clock
            .duration_since(UNIX_EPOCH + Duration::from_secs(seen.at))
            .is_ok_and(|by_clock| by_clock.abs_diff(passed) <= TOLERANCE)
    {
        return passed >= CONFIRMATION;
    }
    forget_expiry(directory, id);
    let seen = ExpirySeen { at: unix_seconds(now.clock), uptime: now.uptime.clone() };
    let written = serde_json::to_vec(&seen)
        .map_err(std::io::Error::from)
        .and_then(|text| staging::write_file(directory, &path, &text));
    if let Err(error) = written {
        tracing::debug!(%error, "cannot note that the time of a file seems to be over");
    }
    false
}
