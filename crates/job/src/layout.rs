//! Where a job's objects lie, and the only code that reads and writes them.
//!
//! ```text
//! WORKSPACE/jobs/JOB/plan.json                       what the job does; created last, so that it is there whole
//!                   /inputs/…                        the parts of the input that its tasks read (inputs.rs)
//!                   /tasks/STAGE/00000000.json       a task's record: its creation is the commit
//!                   /data/STAGE/00000000/ATTEMPT/…   an attempt's files; those of attempts that lost are orphans
//!                   /clusters/STAGE/…                the same, of files that are published whatever stages come after
//!                   /stages/STAGE.json               a committed stage: the sum of its tasks
//!                   /pages/STAGE/000000.jsonl.zst    the records of a thousand tasks that are done (pages.rs)
//!                   /log/000000.json                 what happened to the job: paused, failed, done, … (log.rs)
//!                   /attempts/…, /failed/…           attempts and tasks that failed (attempts.rs)
//!                   /checkpoints/…                   how far long attempts came
//!                   /cleared.json                    the job has ended, and data/ and checkpoints/ are deleted
//! ```

use crate::plan::Plan;
use crate::record::{StageRecord, TaskRecord};
use bytes::Bytes;
use futures::TryStreamExt;
use gristmill_storage::{Created, InputError, Kind, Store, StoreError, Stores, Uri, UriError, list};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Why a job's objects could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Input(#[from] InputError),
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
        match self {
            Self::Store(error) => error.kind() == Kind::Retry,
            Self::Input(error) => error.kind() == Kind::Retry,
            _ => false,
        }
    }
}

/// Objects below a prefix, by path.
#[derive(Clone)]
pub(crate) struct Folder {
    store: Arc<dyn Store>,
    prefix: String,
}

/// A job's place in a workspace.
#[derive(Clone)]
pub struct Job {
    pub id: String,
    folder: Folder,
}

impl Job {
    /// The job `id` below `workspace`; it need not be there yet.
    pub fn open(stores: &Stores, workspace: &Uri, id: &str) -> Result<Self, JobError> {
        let folder = Folder::open(stores, &workspace.join(&format!("jobs/{id}"))?)?;
        Ok(Self { id: id.to_owned(), folder })
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.folder.store
    }

    /// The whole key of a path below the job.
    #[must_use]
    pub fn key(&self, path: &str) -> String {
        self.folder.key(path)
    }

    /// Where an attempt at a task puts its files.
    #[must_use]
    pub fn attempt_path(stage: usize, task: u64, attempt: &str) -> String {
        format!("data/{stage}/{task:08}/{attempt}")
    }

    /// Where it puts those that say which documents were joined.
    #[must_use]
    pub fn clusters_path(stage: usize, task: u64, attempt: &str) -> String {
        format!("clusters/{stage}/{task:08}/{attempt}")
    }

    /// The plan; none if the job was not submitted.
    pub async fn plan(&self) -> Result<Option<Plan>, JobError> {
        self.read("plan.json").await
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

    pub async fn stage(&self, stage: usize) -> Result<Option<StageRecord>, JobError> {
        self.read(&format!("stages/{stage}.json")).await
    }

    /// Whoever creates the record first has committed the stage.
    pub async fn commit_stage(&self, record: &StageRecord) -> Result<Created, JobError> {
        self.create(&format!("stages/{}.json", record.stage), record).await
    }

    /// Deletes the files that passes exchanged, checkpoints, and what killed attempts left half written. For a job that
    /// has ended.
    pub async fn clear_data(&self) -> Result<(), JobError> {
        self.delete_below("data/").await?;
        self.delete_below("clusters/").await?;
        self.delete_below("checkpoints/").await?;
        self.store().sweep(&self.key(""), Duration::ZERO).await?;
        Ok(())
    }

    /// Whether all that the job left behind is deleted.
    pub async fn is_cleared(&self) -> Result<bool, JobError> {
        Ok(self.read_raw("cleared.json").await?.is_some())
    }

    pub async fn set_cleared(&self) -> Result<(), JobError> {
        self.create_new("cleared.json", &serde_json::json!({ "job": self.id })).await.map(|_| ())
    }

    /// Deletes everything below a path of the job. Done again after an error, it goes on.
    pub async fn delete_below(&self, path: &str) -> Result<(), JobError> {
        self.folder.delete_below(path).await
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, JobError> {
        self.folder.read(path).await
    }

    pub(crate) async fn read_raw(&self, path: &str) -> Result<Option<Bytes>, JobError> {
        self.folder.read_raw(path).await
    }

    pub(crate) async fn must_read<T: DeserializeOwned>(&self, path: &str) -> Result<T, JobError> {
        self.read(path).await?.ok_or_else(|| self.missing(path))
    }

    /// Creates an object, or finds it there with the same content.
    pub(crate) async fn create<T: Serialize + ?Sized>(
        &self,
        path: &str,
        value: &T,
    ) -> Result<Created, JobError> {
        let bytes = to_bytes(value);
        let created = self.create_raw(path, bytes.clone()).await?;
        if created == Created::Exists && self.read_raw(path).await?.as_ref() != Some(&bytes) {
            return Err(JobError::Differs { uri: self.store().uri(&self.key(path)) });
        }
        Ok(created)
    }

    /// Creates an object, or leaves alone what is there.
    pub(crate) async fn create_new<T: Serialize + ?Sized>(
        &self,
        path: &str,
        value: &T,
    ) -> Result<Created, JobError> {
        self.folder.create_new(path, value).await
    }

    pub(crate) async fn create_raw(&self, path: &str, bytes: Bytes) -> Result<Created, JobError> {
        self.folder.create_raw(path, bytes).await
    }

    /// Writes an object, whatever was there.
    pub(crate) async fn put<T: Serialize + ?Sized>(&self, path: &str, value: &T) -> Result<(), JobError> {
        Ok(self.store().put(&self.key(path), to_bytes(value)).await?)
    }

    /// The paths below the job that begin with `prefix`, ascending.
    pub(crate) async fn paths(&self, prefix: &str) -> Result<Vec<String>, JobError> {
        self.folder.paths(prefix).await
    }

    pub(crate) fn missing(&self, path: &str) -> JobError {
        StoreError::NotFound { uri: self.store().uri(&self.key(path)) }.into()
    }

    pub(crate) fn unreadable(&self, path: &str, why: &str) -> JobError {
        JobError::Unreadable { uri: self.store().uri(&self.key(path)), why: why.to_owned() }
    }
}

impl Folder {
    pub(crate) fn open(stores: &Stores, uri: &Uri) -> Result<Self, JobError> {
        let (store, prefix) = stores.open(uri)?;
        Ok(Self { store, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn key(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }

    pub(crate) async fn read_raw(&self, path: &str) -> Result<Option<Bytes>, JobError> {
        match self.store.get(&self.key(path), None).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, JobError> {
        let Some(bytes) = self.read_raw(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| JobError::Unreadable {
            uri: self.store.uri(&self.key(path)),
            why: error.to_string(),
        })
    }

    pub(crate) async fn create_raw(&self, path: &str, bytes: Bytes) -> Result<Created, JobError> {
        Ok(self.store.create(&self.key(path), bytes).await?)
    }

    pub(crate) async fn create_new<T: Serialize + ?Sized>(
        &self,
        path: &str,
        value: &T,
    ) -> Result<Created, JobError> {
        self.create_raw(path, to_bytes(value)).await
    }

    /// The paths that begin with `prefix`, ascending.
    pub(crate) async fn paths(&self, prefix: &str) -> Result<Vec<String>, JobError> {
        let skip = self.key("").len();
        let mut entries = list(Arc::clone(&self.store), &self.key(prefix), None);
        let mut paths = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            paths.extend(entry.key.get(skip..).map(str::to_owned));
        }
        paths.sort_unstable();
        Ok(paths)
    }

    pub(crate) async fn sweep(&self, path: &str, age: Duration) -> Result<u64, JobError> {
        Ok(self.store.sweep(&self.key(path), age).await?)
    }

    async fn delete_below(&self, path: &str) -> Result<(), JobError> {
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
