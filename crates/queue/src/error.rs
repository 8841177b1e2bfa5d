//! What can go wrong, by what the caller can do about it.

use crate::lifecycle::Illegal;

/// An error of the queue. Messages name servers without user and password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached for longer than the call was allowed to wait. Call again: the
    /// connection is made anew, every call is safe to repeat.
    #[error("redis at {server} is not reachable: {why}; the next call tries again")]
    Unavailable {
        /// Host and port, without secrets.
        server: String,
        /// What the last try ended with.
        why: String,
    },
    /// The server answers, but refuses: wrong password, missing rights, out of memory, too old.
    #[error("redis at {server} refused {what}: {why}")]
    Refused {
        /// Host and port, without secrets.
        server: String,
        /// What was asked.
        what: &'static str,
        /// The server's words.
        why: String,
    },
    /// The caller asked for something that cannot be: the message says what to change.
    #[error("{0}")]
    Invalid(String),
    /// The queue is about to do what the lifecycle forbids.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
