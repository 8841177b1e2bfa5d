//! All jobs of a workspace.
//!
//! ```text
//! WORKSPACE/requests/JOB.json        what was asked for; created first
//!          /keys/SHA256.json         a client's key → the job it was used for
//!          /jobs/JOB/…               the job (layout.rs)
//!          /resources/SHA256         models and lists of jobs, which a coordinator found, for the workers
//! ```
//!
//! Requests lie apart from jobs, so that a coordinator lists its jobs without meeting millions of task records.

use crate::layout::Folder;
use crate::request::JobRequest;
use crate::{Job, JobError};
use bytes::Bytes;
use gristmill_pipeline::resources::Resource;
use gristmill_storage::{Created, Kind, Stores, Uri};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A workspace.
#[derive(Clone)]
pub struct Workspace {
    stores: Stores,
    uri: Uri,
    folder: Folder,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Key {
    job: String,
}

impl Workspace {
    pub fn open(stores: &Stores, uri: &Uri) -> Result<Self, JobError> {
        Ok(Self { stores: stores.clone(), uri: uri.clone(), folder: Folder::open(stores, uri)? })
    }

    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The job `id`, which need not be there.
    pub fn job(&self, id: &str) -> Result<Job, JobError> {
        Job::open(&self.stores, &self.uri, id)
    }

    /// Takes a request in. A request that is there already is left as it is.
    pub async fn submit(&self, request: &JobRequest) -> Result<Created, JobError> {
        self.folder.create_new(&request_path(&request.job), request).await
    }

    pub async fn request(&self, id: &str) -> Result<Option<JobRequest>, JobError> {
        self.folder.read(&request_path(id)).await
    }

    /// The ids of all jobs that were ever submitted.
    pub async fn jobs(&self) -> Result<Vec<String>, JobError> {
        let paths = self.folder.paths("requests/").await?;
        let id = |path: &String| Some(path.strip_prefix("requests/")?.strip_suffix(".json")?.to_owned());
        Ok(paths.iter().filter_map(id).collect())
    }

    /// Keeps a model or list under its digest, for workers that do not have it.
    pub async fn keep(&self, resource: &Resource) -> Result<(), JobError> {
        let (store, key) = (self.folder.store(), self.folder.key(&resource_path(&resource.sha256)));
        match store.stat(&key).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let mut upload = store.upload(&key).await?;
        for piece in (*resource.bytes).as_ref().chunks(8 << 20) {
            upload.write(Bytes::copy_from_slice(piece)).await?;
        }
        upload.finish().await?;
        Ok(())
    }

    /// Removes what killed writers left half written and is older than `age`. Answers how many.
    pub async fn sweep(&self, age: Duration) -> Result<u64, JobError> {
        Ok(self.folder.sweep("jobs/", age).await? + self.folder.sweep("resources/", age).await?)
    }

    /// Binds a client's key to a job, or says to which it is bound.
    pub async fn bind_key(&self, key: &str, job: &str) -> Result<String, JobError> {
        let path = format!("keys/{}.json", hex::encode(Sha256::digest(key.as_bytes())));
        let mine = Key { job: job.to_owned() };
        if self.folder.create_new(&path, &mine).await? == Created::New {
            return Ok(mine.job);
        }
        Ok(self.folder.read::<Key>(&path).await?.unwrap_or(mine).job)
    }
}

pub(crate) fn resource_path(sha256: &str) -> String {
    format!("resources/{sha256}")
}

fn request_path(id: &str) -> String {
    format!("requests/{id}.json")
}
