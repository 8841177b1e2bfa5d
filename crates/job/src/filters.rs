//! Bloom filters that outlive their job.
//!
//! ```text
//! FOLDER/saved_by.json           whose filters these are; created, never changed, and before any of them
//!       /00000-of-00004.bloom    one for each group of the dedup that saved them
//! ```
//!
//! A job that begins with such filters looks at them while it is planned. The plan keeps a digest of each one's head, which holds a
//! checksum of its bits: a filter that is exchanged later is an error, and never another result. Of jobs that would save to one
//! folder the first has it.

use crate::layout::Folder;
use crate::plan::PlannedFilters;
use crate::{JobError, Plan};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_pipeline::step::Bloom;
use gristmill_storage::{Created, Kind, Store, StoreError, Stores, Uri, UriError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const SAVED_BY: &str = "saved_by.json";
/// Heads that are read at once.
const HEADS_AT_ONCE: usize = 16;

/// Why filters cannot be had, or not be left there.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("{uri} is not there: a job with `save` and as many `shards` writes it")]
    Missing { uri: String },
    #[error("{0}")]
    Unfit(String),
    #[error(
        "{uri} is not what it was when this job was planned: put that one back, or begin anew with the filters of now"
    )]
    Changed { uri: String },
    #[error(
        "{folder} is where step {step} of job {job} saves its filters, over the input {input}: save elsewhere, or delete that folder"
    )]
    Taken { folder: String, job: String, step: usize, input: String },
}

impl From<StoreError> for FilterError {
    fn from(error: StoreError) -> Self {
        Self::Job(error.into())
    }
}

impl From<UriError> for FilterError {
    fn from(error: UriError) -> Self {
        Self::Job(error.into())
    }
}

/// A filter of an earlier job, of which no more than the head was read.
pub struct StoredFilter {
    pub store: Arc<dyn Store>,
    pub key: String,
    pub uri: String,
    pub bytes: u64,
    pub head: Bytes,
}

impl StoredFilter {
    /// Looks at a group's filter in a folder.
    pub async fn open(stores: &Stores, bloom: &Bloom, folder: &str, group: u32) -> Result<Self, FilterError> {
        let folder = folder_at(stores, folder)?;
        let (store, key) = (Arc::clone(folder.store()), folder.key(&bloom.file_name(group)));
        let uri = store.uri(&key);
        let bytes = match store.stat(&key).await {
            Ok(meta) => meta.size,
            Err(error) if error.kind() == Kind::NotFound => return Err(FilterError::Missing { uri }),
            Err(error) => return Err(error.into()),
        };
        let head = store.get(&key, Some(0..bytes.min(Bloom::HEAD_BYTES))).await?;
        bloom.head(&uri, &head, bytes).map_err(|error| FilterError::Unfit(error.to_string()))?;
        Ok(Self { store, key, uri, bytes, head })
    }

    /// Stands for the whole filter.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.head))
    }

    /// Refuses a filter that is not the one that was planned with.
    pub fn check(&self, planned: &PlannedFilters, group: u32) -> Result<(), FilterError> {
        if planned.heads.get(group as usize) == Some(&self.sha256()) {
            return Ok(());
        }
        Err(FilterError::Changed { uri: self.uri.clone() })
    }
}

/// What a job's plan keeps of the filters that a dedup begins with.
pub async fn planned(stores: &Stores, bloom: &Bloom, folder: &str) -> Result<PlannedFilters, FilterError> {
    let head =
        async |group| Ok::<_, FilterError>(StoredFilter::open(stores, bloom, folder, group).await?.sha256());
    let heads = stream::iter((0..bloom.groups).map(head)).buffered(HEADS_AT_ONCE).try_collect().await?;
    Ok(PlannedFilters { at: folder.to_owned(), heads })
}

/// Whose filters a folder holds: a step of a job, and of the input that this was planned with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedBy {
    pub job: String,
    pub step: usize,
    pub input_sha256: String,
}

impl SavedBy {
    #[must_use]
    pub fn of(plan: &Plan, step: usize) -> Self {
        Self { job: plan.job.clone(), step, input_sha256: plan.input_sha256.clone() }
    }

    /// Claims a folder. Whoever was first has it, for good.
    pub async fn claim(&self, stores: &Stores, folder: &str) -> Result<(), FilterError> {
        let at = folder_at(stores, folder)?;
        loop {
            if at.create_new(SAVED_BY, self).await? == Created::New {
                return Ok(());
            }
            match at.read::<Self>(SAVED_BY).await? {
                Some(theirs) if theirs == *self => return Ok(()),
                Some(theirs) => return Err(theirs.taken(folder)),
                // Deleted in between.
                None => {}
            }
        }
    }

    /// Whether no other step or job has claimed a folder so far.
    pub async fn check_free(&self, stores: &Stores, folder: &str) -> Result<(), FilterError> {
        match folder_at(stores, folder)?.read::<Self>(SAVED_BY).await? {
            Some(theirs) if (&theirs.job, theirs.step) != (&self.job, self.step) => Err(theirs.taken(folder)),
            _ => Ok(()),
        }
    }

    fn taken(self, folder: &str) -> FilterError {
        let input = self.input_sha256.get(..16).unwrap_or_default().to_owned();
        FilterError::Taken { folder: folder.to_owned(), job: self.job, step: self.step, input }
    }
}

/// Where a filter is written that others may begin with.
pub fn place(
    stores: &Stores,
    bloom: &Bloom,
    folder: &str,
    group: u32,
) -> Result<(Arc<dyn Store>, String), FilterError> {
    let folder = folder_at(stores, folder)?;
    Ok((Arc::clone(folder.store()), folder.key(&bloom.file_name(group))))
}

fn folder_at(stores: &Stores, folder: &str) -> Result<Folder, FilterError> {
    let uri: Uri = folder.parse()?;
    Ok(Folder::open(stores, &uri)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::Settings;

    #[tokio::test]
    async fn the_first_that_saves_to_a_folder_has_it() {
        let stores = Stores::new(Settings::default());
        let by = |job: &str, step, input: &str| SavedBy {
            job: job.to_owned(),
            step,
            input_sha256: input.to_owned(),
        };
        let (folder, mine) = ("memory://filters/kept/", by("a", 2, "i"));
        mine.check_free(&stores, folder).await.expect("nobody was here");
        mine.claim(&stores, folder).await.expect("the first");
        // Another attempt, and another group.
        mine.claim(&stores, folder).await.expect("the same");
        mine.check_free(&stores, folder).await.expect("its own");
        for other in [by("b", 2, "i"), by("a", 3, "i")] {
            for refused in [other.claim(&stores, folder).await, other.check_free(&stores, folder).await] {
                let why = refused.expect_err("taken").to_string();
                assert!(
                    why.contains("memory://filters/kept/ is where step 2 of job a saves its filters"),
                    "{why}"
                );
            }
        }
        // The same job, begun anew over other documents.
        let again = by("a", 2, "j");
        again.check_free(&stores, folder).await.expect("it may be the same job, going on");
        assert!(matches!(again.claim(&stores, folder).await, Err(FilterError::Taken { .. })));
        again.claim(&stores, "memory://filters/other").await.expect("another folder");
    }
}
