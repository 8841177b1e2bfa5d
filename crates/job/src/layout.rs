//! Where a job's objects lie, and the only code that reads and writes them.
//!
//! ```text
//! WORKSPACE/jobs/JOB/plan.json                       what the job does; created last, so that it is there whole
//!                   /inputs/000000.json              the parts of the input, PAGE tasks a page
//!                   /tasks/STAGE/00000000.json       a task's record: its creation is the commit
//!                   /data/STAGE/00000000/ATTEMPT/…   an attempt's files; those of attempts that lost are orphans
//!                   /stages/STAGE.json               a committed stage: the sum of its tasks
//!                   /done.json                       the job is done and its dataset published
//! ```

use crate::plan::{Plan, Slice};
use crate::record::{StageRecord, TaskRecord};
use bytes::Bytes;
use gristmill_storage::{Created, Kind, Store, StoreError, Stores, Uri, UriError, list};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Tasks whose inputs one page holds.
pub const PAGE: usize = 64;

/// Why a job's objects could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(
        "{uri} is not what this version writes ({why}); run the job with the version that planned it, or anew"
    )]
    Unreadable { uri: String, why: String },
    #[error(
        "{uri} is there with another content than was to be written: two programs of different versions work on this job"
    )]
    Differs { uri: String },
}

impl JobError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind() == Kind::Retry)
    }
}

/// A job's place in a workspace.
#[derive(Clone)]
pub struct Job {
    pub id: String,
    store: Arc<dyn Store>,
    prefix: String,
}

impl Job {
    /// The job `id` below `workspace`; it need not be there yet.
    pub fn open(stores: &Stores, workspace: &Uri, id: &str) -> Result<Self, JobError> {
        let (store, prefix) = stores.open(&workspace.join(&format!("jobs/{id}"))?)?;
        Ok(Self { id: id.to_owned(), store, prefix })
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The whole key of a path below the job.
    #[must_use]
    pub fn key(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    /// Where an attempt at a task puts its files.
    #[must_use]
    pub fn attempt_path(stage: usize, task: u64, attempt: &str) -> String {
        format!("data/{stage}/{task:08}/{attempt}")
    }

    /// The plan; none if the job was not submitted.
    pub async fn plan(&self) -> Result<Option<Plan>, JobError> {
        self.read("plan.json").await
    }

    /// Writes the plan and the parts of the input. The plan comes last: once it is there the job is whole.
    pub async fn submit(&self, plan: &Plan, inputs: &[Vec<Slice>]) -> Result<Created, JobError> {
        for (page, inputs) in inputs.chunks(PAGE).enumerate() {
            self.create(&format!("inputs/{page:06}.json"), &inputs).await?;
        }
        self.create("plan.json", plan).await
    }

    /// The part of the input that one task of the first stage reads.
    pub async fn inputs(&self, task: u64) -> Result<Vec<Slice>, JobError> {
        let (page, place) = (task / PAGE as u64, (task % PAGE as u64) as usize);
        let path = format!("inputs/{page:06}.json");
        let mut inputs: Vec<Vec<Slice>> = self.must_read(&path).await?;
        if place < inputs.len() {
            return Ok(inputs.swap_remove(place));
        }
        let why = format!("it holds no task {task}");
        Err(JobError::Unreadable { uri: self.store.uri(&self.key(&path)), why })
    }

    /// Commits a task. Of all attempts one wins; the record that counts is given back.
    pub async fn commit(&self, record: &TaskRecord) -> Result<(Created, TaskRecord), JobError> {
        let path = record_path(record.stage, record.task);
        match self.create_raw(&path, to_bytes(record)).await? {
            Created::New => Ok((Created::New, record.clone())),
            Created::Exists => {
                let winner: TaskRecord = self.must_read(&path).await?;
                // The first answer to our own create may have been lost.
                let created = if winner.attempt == record.attempt { Created::New } else { Created::Exists };
                Ok((created, winner))
            }
        }
    }

    /// A task's record; none if it is not done.
    pub async fn record(&self, stage: usize, task: u64) -> Result<Option<TaskRecord>, JobError> {
        self.read(&record_path(stage, task)).await
    }

    /// The record of a task that must be done.
    pub async fn must_record(&self, stage: usize, task: u64) -> Result<TaskRecord, JobError> {
        self.must_read(&record_path(stage, task)).await
    }

    /// The numbers of the tasks of a stage that are done, ascending.
    pub async fn done_tasks(&self, stage: usize) -> Result<Vec<u64>, JobError> {
        use futures::StreamExt;
        let prefix = self.key(&format!("tasks/{stage}/"));
        let mut done = Vec::new();
        let mut entries = list(Arc::clone(&self.store), &prefix, None);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let number = entry.key.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json"));
            done.extend(number.and_then(|n| n.parse::<u64>().ok()));
        }
        Ok(done)
    }

    pub async fn stage(&self, stage: usize) -> Result<Option<StageRecord>, JobError> {
        self.read(&format!("stages/{stage}.json")).await
    }

    pub async fn commit_stage(&self, record: &StageRecord) -> Result<(), JobError> {
        self.create(&format!("stages/{}.json", record.stage), record).await.map(|_| ())
    }

    /// Whether the job is done and published.
    pub async fn is_done(&self) -> Result<bool, JobError> {
        Ok(self.read::<serde_json::Value>("done.json").await?.is_some())
    }

    pub async fn set_done(&self) -> Result<(), JobError> {
        self.create("done.json", &serde_json::json!({ "job": self.id })).await.map(|_| ())
    }

    /// Deletes the files that passes exchanged, and what killed attempts left half written. For a job that is done.
    pub async fn clear_data(&self) -> Result<(), JobError> {
        self.delete_below("data/").await?;
        self.store.sweep(&self.key(""), Duration::ZERO).await?;
        Ok(())
    }

    /// Deletes everything below a path of the job. Done again after an error, it goes on.
    pub async fn delete_below(&self, path: &str) -> Result<(), JobError> {
        let prefix = self.key(path);
        loop {
            let page = self.store.list_page(&prefix, None, 1000).await?;
            let keys: Vec<String> = page.entries.into_iter().map(|e| e.key).collect();
            if keys.is_empty() {
                return Ok(());
            }
            self.store.delete(&keys).await?;
        }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, JobError> {
        let key = self.key(path);
        let bytes = match self.store.get(&key, None).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(JobError::Unreadable { uri: self.store.uri(&key), why: error.to_string() }),
        }
    }

    async fn must_read<T: DeserializeOwned>(&self, path: &str) -> Result<T, JobError> {
        self.read(path)
            .await?
            .ok_or_else(|| StoreError::NotFound { uri: self.store.uri(&self.key(path)) }.into())
    }

    /// Creates an object, or finds it there with the same content.
    async fn create<T: Serialize + ?Sized>(&self, path: &str, value: &T) -> Result<Created, JobError> {
        let bytes = to_bytes(value);
        let created = self.create_raw(path, bytes.clone()).await?;
        if created == Created::Exists {
            let key = self.key(path);
            if self.store.get(&key, None).await? != bytes {
                return Err(JobError::Differs { uri: self.store.uri(&key) });
            }
        }
        Ok(created)
    }

    async fn create_raw(&self, path: &str, bytes: Bytes) -> Result<Created, JobError> {
        Ok(self.store.create(&self.key(path), bytes).await?)
    }
}

fn record_path(stage: usize, task: u64) -> String {
    format!("tasks/{stage}/{task:08}.json")
}

fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Bytes {
    // Our own types, all keys strings: this cannot fail.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
