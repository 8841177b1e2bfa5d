//! How far a long attempt at a task came, so that the next one goes on from there.
//!
//! ```text
//! WORKSPACE/jobs/JOB/checkpoints/STAGE/00000000/head.json            the last checkpoint
//!                                              /ATTEMPT/000001.zst   rows kept between two checkpoints
//!                                              /ATTEMPT/filter-000001/bits   of a filter: as it was at the last one
//! ```
//!
//! A checkpoint is the rows kept so far and a place in the input. Resuming hands the rows to a fresh writer and reads on
//! from the place: the output is the same to the byte whatever its format, and no writer's state is ever stored. The one state
//! that is stored is a Bloom filter's.
//!
//! Segments are immutable, named after their attempt, and written before the head that lists them. Attempts that race
//! overwrite each other's head; every head is whole in itself, so whichever stays is good. A head or a segment that
//! cannot be read costs the work it stood for, nothing else.

use crate::record::{FileEntry, Filtered, Problem};
use crate::{Job, JobError};
use bytes::Bytes;
use gristmill_pipeline::Tally;
use gristmill_storage::At;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How far an attempt came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Who wrote it.
    pub attempt: String,
    /// The rows kept so far, in order.
    #[serde(default)]
    pub segments: Vec<FileEntry>,
    /// What is still to be read.
    pub rest: Place,
    pub tally: Tally,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poison: Vec<Poison>,
    /// Of a dedup by a Bloom filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterState>,
}

/// A Bloom filter on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterState {
    /// The filter, stored.
    pub bits: FileEntry,
    pub filtered: Filtered,
}

/// A place in the input of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Place {
    /// In the first pass: one record of one of the task's slices.
    Record { slice: usize, at: At },
    /// In the first pass: what comes after a record; all of the slice where there is none.
    Slice { slice: usize, after: Option<At> },
    /// In a later pass: a document by its number; as a rest, it and all that follow.
    Document { number: u32 },
    /// In a dedup by a filter: of what a task signed, a document of the group and all that follow.
    Signed { task: u64, number: u64 },
}

/// What no attempt survives: a document, or the rest of a file whose reading kills or hangs the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poison {
    pub place: Place,
    /// The document's identity, if it was known by then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What it did, for people.
    pub why: String,
}

impl Checkpoint {
    /// Nothing is done yet.
    #[must_use]
    pub fn begin(rest: Place) -> Self {
        Self {
            attempt: String::new(),
            segments: Vec::new(),
            rest,
            tally: Tally::default(),
            problems: Vec::new(),
            poison: Vec::new(),
            filter: None,
        }
    }

    /// Nothing is done, but what is poison stays known.
    #[must_use]
    pub fn again(self, rest: Place) -> Self {
        Self { poison: self.poison, ..Self::begin(rest) }
    }
}

impl Job {
    /// The last checkpoint of a task; none if there is none.
    pub async fn checkpoint(&self, stage: usize, task: u64) -> Result<Option<Checkpoint>, JobError> {
        self.read(&head_path(stage, task)).await
    }

    /// Replaces the last checkpoint of a task.
    pub async fn write_checkpoint(
        &self,
        stage: usize,
        task: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(), JobError> {
        self.put(&head_path(stage, task), checkpoint).await
    }

    /// Writes the rows since the last checkpoint. `number` is unique within the attempt.
    pub async fn write_segment(
        &self,
        (stage, task): (usize, u64),
        attempt: &str,
        number: usize,
        rows: u64,
        packed: Bytes,
    ) -> Result<FileEntry, JobError> {
        let path = Self::checkpoint_path((stage, task), attempt, &format!("{number:06}.zst"));
        let (bytes, sha256) = (packed.len() as u64, hex::encode(Sha256::digest(&packed)));
        self.store().put(&self.key(&path), packed).await?;
        Ok(FileEntry { path, rows, bytes, sha256 })
    }

    /// Where an attempt puts what belongs to its checkpoints.
    #[must_use]
    pub fn checkpoint_path((stage, task): (usize, u64), attempt: &str, name: &str) -> String {
        format!("{}{attempt}/{name}", folder(stage, task))
    }

    /// The bytes of a segment; none if they are not those that were written.
    pub async fn segment(&self, entry: &FileEntry) -> Result<Option<Bytes>, JobError> {
        let packed = self.read_raw(&entry.path).await?;
        Ok(packed.filter(|bytes| hex::encode(Sha256::digest(bytes)) == entry.sha256))
    }

    /// Deletes all checkpoints of a task that is done.
    pub async fn forget_checkpoints(&self, stage: usize, task: u64) -> Result<(), JobError> {
        self.delete_below(&folder(stage, task)).await
    }
}

fn folder(stage: usize, task: u64) -> String {
    format!("checkpoints/{stage}/{task:08}/")
}

fn head_path(stage: usize, task: u64) -> String {
    format!("{}head.json", folder(stage, task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::{Settings, Stores};

    #[tokio::test]
    async fn a_checkpoint_comes_back_and_goes() {
        let stores = Stores::new(Settings::default());
        let job = Job::open(&stores, &"memory://checkpoint/ws".parse().expect("URI"), "j").expect("job");
        assert_eq!(job.checkpoint(0, 7).await.expect("asks"), None);
        let segment = job.write_segment((0, 7), "a", 1, 3, "rows".into()).await.expect("writes");
        assert_eq!(job.segment(&segment).await.expect("reads"), Some("rows".into()));

        let rest = Place::Slice { slice: 2, after: Some(At { offset: 9, index: 1 }) };
        let mut checkpoint = Checkpoint::begin(rest);
        checkpoint.segments.push(segment.clone());
        checkpoint.poison.push(Poison {
            place: Place::Document { number: 5 },
            id: "x".to_owned(),
            why: "SIGABRT".to_owned(),
        });
        job.write_checkpoint(0, 7, &checkpoint).await.expect("writes");
        assert_eq!(job.checkpoint(0, 7).await.expect("reads"), Some(checkpoint));

        // A segment that is not what the head says, and one that is gone.
        job.store().put(&job.key(&segment.path), "torn".into()).await.expect("puts");
        assert_eq!(job.segment(&segment).await.expect("reads"), None);
        // A head of another version.
        job.store().put(&job.key(&head_path(0, 7)), "{}".into()).await.expect("puts");
        assert!(matches!(job.checkpoint(0, 7).await, Err(JobError::Unreadable { .. })));
        job.forget_checkpoints(0, 7).await.expect("deletes");
        assert_eq!(job.segment(&segment).await.expect("asks"), None);
        assert_eq!(job.checkpoint(0, 7).await.expect("asks"), None);
    }
}
