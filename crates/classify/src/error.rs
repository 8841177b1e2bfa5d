//! Why a model cannot be used.

use thiserror::Error;

/// A model file that was refused. Every message says where the file is wrong.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ModelError {
    /// The file does not start with fastText's magic number.
    #[error("not a fastText model: the first four bytes are {found:#010x}; give a .bin or .ftz file")]
    NotFastText {
        /// What the file starts with, read as a little-endian integer.
        found: u32,
    },
    /// The file is sound as far as it was read, and is of a kind that this crate does not predict with.
    #[error("this fastText model cannot be used: {0}")]
    Unsupported(String),
    /// The file ends too early.
    #[error(
        "the model file is cut off: {section} needs {wanted} bytes from byte {at} on and {left} are left; fetch it again"
    )]
    Truncated {
        /// The part of the file that was being read.
        section: &'static str,
        /// Where in the file.
        at: usize,
        /// Bytes that the part needs, as far as is known.
        wanted: u64,
        /// Bytes that the file still has.
        left: usize,
    },
    /// A value in the file contradicts the rest.
    #[error("the model file is damaged near byte {at}: {section} says {problem}; fetch it again")]
    Corrupt {
        /// The part of the file that was being read.
        section: &'static str,
        /// Where in the file, at or behind the value.
        at: usize,
        /// What is wrong.
        problem: String,
    },
}
