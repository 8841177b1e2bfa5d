//! Takedown: documents that somebody names by their addresses or ids leave the datasets and the indexes that they are in.
//!
//! - [`list`]: which documents are meant.
//! - [`dataset`]: rewrites the files of a dataset that hold some, and its manifest.
//! - [`index`]: writes a generation of an index without them, and takes the ones before away.
//!
//! Nothing is changed in place: what is new lies beside what is old until one object, a manifest, says that it counts, and
//! only then the old goes. So a reader always finds a whole dataset, and who is killed at any moment asks for the same again.

pub mod dataset;
mod files;
pub mod index;
pub mod list;

use gristmill_job::{IndexError, JobError};
use gristmill_storage::{ReadError, StoreError, UriError, WriteError};

pub use dataset::Dataset;
pub use list::{List, ListError};

/// Why a takedown was not done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum TakedownError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Dedup(#[from] gristmill_dedup::Error),
    #[error("{uri} is no manifest of a dataset: {why}")]
    Manifest { uri: String, why: String },
    #[error("{uri} is not as the manifest says: {why}; `gristmill verify` tells more")]
    Damaged { uri: String, why: String },
    #[error(
        "another takedown was begun here and did not come to its end ({uri}): run that one again first, with the list of sha256 {list} and the same datasets and indexes"
    )]
    Begun { uri: String, list: String },
    #[error(
        "the index {at} has a generation {generation} by now, by {by}, and was extended as often as the takedown read it: run the takedown again when no job extends the index"
    )]
    Overtaken { at: String, generation: u64, by: String },
}

impl From<JobError> for TakedownError {
    fn from(error: JobError) -> Self {
        Self::Index(error.into())
    }
}
