//! The rules of a queue. Producers and consumers of one queue must be given the same.

use std::time::Duration;

use crate::{Error, Result};

/// The rules of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A holder not heard of for this long has lost its task. Default 60 s.
    pub lease: Duration,
    /// A task with this many failures is dead. Default 4.
    pub max_attempts: u32,
    /// Longest wait after the first failure. Default 1 s.
    pub backoff_base: Duration,
    /// Longest wait after any failure. Default 5 min.
    pub backoff_max: Duration,
    /// Notices kept for coordinators that have not asked yet. A coordinator that asks later than this many
    /// notices is told that it missed some. Default 10,000: some 2 MB of Redis memory with small notes.
    pub notices_kept: u32,
    /// Distinguishes queues that share a Redis. Letters, digits, `-`, `_`, `.` and `:`; default `gristmill`.
    pub prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            max_attempts: 4,
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_mins(5),
            notices_kept: 10_000,
            prefix: "gristmill".to_owned(),
        }
    }
}

impl Settings {
    /// Longest payload of a task, in bytes: ids and keys, never data.
    pub const PAYLOAD_MAX: usize = 256 * 1024;
    /// Longest note of a finished task and longest progress of a heartbeat, in bytes.
    pub const NOTE_MAX: usize = 16 * 1024;
    /// Longest task id and longest job id, in bytes.
    pub const ID_MAX: usize = 512;
    /// Longer failure messages are cut here, in bytes.
    pub const MESSAGE_MAX: usize = 4 * 1024;

    /// How often a holder should heartbeat: thrice per lease, so that two lost heartbeats cost nothing.
    pub fn heartbeat_every(&self) -> Duration {
        self.lease / 3
    }

    /// Refuses rules that cannot work; the message says what to change.
    pub fn validate(&self) -> Result<()> {
        let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
        if self.lease < Duration::from_millis(100) || self.lease > Duration::from_hours(24) {
            return invalid("lease must be between 100 ms and one day");
        }
        if self.max_attempts == 0 {
            return invalid("max_attempts must be at least 1: a task needs one attempt");
        }
        if self.backoff_base.is_zero() || self.backoff_base > self.backoff_max {
            return invalid("backoff_base must be more than zero and at most backoff_max");
        }
        if self.backoff_max > Duration::from_hours(24) {
            return invalid("backoff_max must be at most one day");
        }
        if self.notices_kept == 0 {
            return invalid("notices_kept must be at least 1");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if self.prefix.is_empty() || self.prefix.len() > 128 || !self.prefix.chars().all(allowed) {
            return invalid("prefix must be 1 to 128 letters, digits, '-', '_', '.' or ':'");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let check = |change: fn(&mut Settings), expected: &str| {
            let mut settings = Settings::default();
            change(&mut settings);
            let said = settings.validate().err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
        };
        check(|_| (), "");
        check(|s| s.lease = Duration::ZERO, "lease");
        check(|s| s.max_attempts = 0, "max_attempts");
        check(|s| s.backoff_base = Duration::from_secs(301), "backoff_base");
        check(|s| s.backoff_max = Duration::from_secs(100_000), "backoff_max");
        check(|s| s.notices_kept = 0, "notices_kept");
        check(|s| s.prefix = String::new(), "prefix");
        check(|s| s.prefix = "a}b".to_owned(), "prefix");
    }
}
