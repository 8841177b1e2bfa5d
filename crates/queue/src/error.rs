//! What can go wrong, by what the caller can do about it.

use crate::lifecycle::Illegal;

/// An error of the queue. Messages name servers without user and password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached, or could not serve (loading, out of memory, failing over), for longer than
    /// the call was allowed to wait. Call again: every call is safe to repeat, and connects anew.
    #[error("redis at {server} does not serve: {why}; the next call tries again")]
    Unavailable {
        /// Host and port, without secrets.
        server: String,
        /// What the last try ended with.
        why: String,
    },
    /// The server answers, but refuses: wrong password, missing rights, too old.
    #[error("redis at {server} refused {what}: {why}")]
    Refused {
        /// Host and port, without secrets.
        server: String,
        /// What was asked.
        what: &'static str,
        /// The server's words.
        why: String,
    },
    /// The server's answer has a shape that no script of ours gives.
    #[error("redis answered {what} in an unknown way: does another program write under the queue's prefix?")]
    Unexpected {
        /// What was asked.
        what: &'static str,
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
