//! What can go wrong with storage, and what to do about it.
//!
//! A [`StoreError`] says which object, what happened and what to try. Code does not branch on its variants but on
//! [`StoreError::kind`], which is decided from status codes and system error numbers, never from message text.

use std::io;
use std::time::Duration;

/// What the caller should do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The same request may succeed later. The retrying wrapper has already tried; a task may try again.
    Retry,
    /// The object is not there.
    NotFound,
    /// The credentials do not reach the object.
    Denied,
    /// The request cannot succeed as it stands: a wrong URI, an unsupported operation, a full disk.
    Invalid,
    /// The stored bytes are not what the store promised.
    Corrupt,
}

/// A failed request to a store. Every message names the object by its URI.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object, its bucket or its folder is not there.
    #[error("{uri}: not found; check the path")]
    NotFound {
        /// The object.
        uri: String,
    },
    /// The store refused the credentials or their rights.
    #[error("{uri}: access denied ({why}); check the credentials and the rights they give")]
    Denied {
        /// The object.
        uri: String,
        /// The store's own code.
        why: String,
    },
    /// The store asked for fewer requests (503 SlowDown, 429).
    #[error("{uri}: the store asks to slow down ({why}) and kept asking; use fewer lanes or try later")]
    Throttled {
        /// The object.
        uri: String,
        /// The store's own code.
        why: String,
        /// How long the store asked to wait, where it said so.
        after: Option<Duration>,
    },
    /// A failure that may pass: a timeout, a cut connection, a 5xx.
    #[error("{uri}: {what}; this may pass, try again")]
    Transient {
        /// The object.
        uri: String,
        /// What failed.
        what: String,
    },
    /// The request cannot succeed as it stands.
    #[error("{uri}: {why}")]
    Invalid {
        /// The object.
        uri: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The bytes are not what was promised: fewer than the size says, or another version than was being read.
    #[error("{uri}: {why}; the object changed or is damaged, store it again")]
    Corrupt {
        /// The object.
        uri: String,
        /// What does not match.
        why: String,
    },
}

impl StoreError {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Denied { .. } => Kind::Denied,
            Self::Throttled { .. } | Self::Transient { .. } => Kind::Retry,
            Self::Invalid { .. } => Kind::Invalid,
            Self::Corrupt { .. } => Kind::Corrupt,
        }
    }

    /// The error for a failed system call on `uri`.
    pub fn from_io(uri: &str, error: &io::Error) -> Self {
        let uri = uri.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { uri },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { uri, why: error.to_string() }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Invalid { uri, why: format!("{error}; free some space") }
            }
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                Self::Invalid { uri, why: format!("{error}; a name cannot be both a file and a folder") }
            }
            io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
                Self::Invalid { uri, why: error.to_string() }
            }
            io::ErrorKind::UnexpectedEof => {
                Self::Corrupt { uri, why: "the file is shorter than it was".into() }
            }
            _ => Self::Transient { uri, what: error.to_string() },
        }
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            Kind::NotFound => io::ErrorKind::NotFound,
            Kind::Denied => io::ErrorKind::PermissionDenied,
            Kind::Invalid => io::ErrorKind::InvalidInput,
            Kind::Retry | Kind::Corrupt => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Bytes of an input could not be had. Bad bytes are no `ReadError` but a [`crate::Item::Broken`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ReadError(#[from] pub StoreError);

impl ReadError {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// The error behind a failed [`io::Read`] of `uri`: the store's own where it came from a store.
    pub fn from_io(uri: &str, error: io::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(store) => Self(store),
            Err(other) => Self(StoreError::from_io(uri, &other)),
        }
    }
}
