//! What can go wrong: the disk, or bytes that are not what was written.

use std::io;

/// An error of this crate's files. Algorithms on text in memory cannot fail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reader, writer or scratch file given by the caller failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Bytes that this crate did not write, or not like this: retry from another copy, or run the task that
    /// wrote them again.
    #[error("{file} is corrupt at byte {offset}: {what}")]
    Corrupt {
        /// The name that the caller gave the file.
        file: String,
        /// Byte offset in that file.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// The caller asked for something that cannot be: the message says what to change.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    pub(crate) fn corrupt(file: &str, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, what: what.into() }
    }
}
