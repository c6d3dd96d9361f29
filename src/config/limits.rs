//! `limits`: how much happens at once, and how much of an answer a model sees.

use std::time::Duration;

use dadl_descriptor::script::engine::MOST_CALLS;

use super::{
    keys,
    reader::{ConfigReader, ConfigSection},
};

/// What the operator says about limits; see `keys::LIMITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorLimits {
    /// A result of more characters is cut.
    pub result_chars: usize,
    /// An image or an audio file of at most so many bytes is shown in the result; with 0, none is.
    pub media_bytes: u64,
    /// So many calls wait for an answer at once, of all backends together.
    pub calls: usize,
    /// So many files are sent or received at once.
    pub transfers: usize,
    /// So many calls wait for their turn; a further one is refused.
    pub queued: usize,
    /// The answers that are being read may have so many bytes together.
    pub memory: u64,
    /// A script that a caller brings may run so long.
    pub script_time: Duration,
    /// It may make so many calls.
    pub script_calls: u32,
    /// A start waits so long for the lists of servers of which none is known.
    pub list_wait: Duration,
    /// Calls may go on for so long when a server ends.
    pub shutdown_grace: Duration,
}

impl Default for OperatorLimits {
    fn default() -> Self {
        Self {
            result_chars: 40_000,
            media_bytes: 1024 * 1024,
            calls: 512,
            transfers: 256,
            queued: 1024,
            memory: 256 * 1024 * 1024,
            script_time: Duration::from_secs(30),
            script_calls: MOST_CALLS,
            list_wait: Duration::from_secs(8),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl OperatorLimits {
    /// So many calls of one backend wait for an answer at once, unless the operator says
    /// otherwise.
    pub const CALLS_OF_BACKEND: usize = 256;
}

impl ConfigReader {
    /// Reads `limits` of the file; what is absent has its default.
    pub(super) fn read_limits(&mut self, file: ConfigSection<'_>) -> OperatorLimits {
        let mut limits = OperatorLimits::default();
        let Some(section) = self.read_mapping(file, "limits") else { return limits };
        let known: Vec<&str> = keys::LIMITS.iter().map(|key| key.name).collect();
        self.check_keys(section, &known);
        for (key, limit) in [
            ("max_result_chars", &mut limits.result_chars),
            ("max_calls", &mut limits.calls),
            ("max_transfers", &mut limits.transfers),
            ("max_queued_calls", &mut limits.queued),
        ] {
            let number = self.read_positive(section, key);
            *limit = number.map_or(*limit, |number| usize::try_from(number).unwrap_or(usize::MAX));
        }
        limits.media_bytes =
            self.size_or_none(section, "max_media_size").unwrap_or(limits.media_bytes);
        limits.memory = self.read_size(section, "max_memory").unwrap_or(limits.memory);
        let time = self.read_duration(section, "script_timeout");
        limits.script_time = time.unwrap_or(limits.script_time);
        if let Some(calls) = self.read_positive(section, "max_script_calls") {
            limits.script_calls = u32::try_from(calls).unwrap_or(u32::MAX);
        }
        limits.list_wait = self.read_duration(section, "list_wait").unwrap_or(limits.list_wait);
        let grace = self.read_duration(section, "shutdown_grace");
        limits.shutdown_grace = grace.unwrap_or(limits.shutdown_grace);
        limits
    }
}
