//! The files of an attempt.

use crate::TaskError;
use crate::task::Attempt;
use gristmill_job::{FileEntry, Job};
use gristmill_storage::{BlockingReader, BlockingWriter, HashingWriter, Store, Written, blocking};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A file being written under the attempt's own key.
pub(crate) type Out = BlockingWriter;
/// A file to be read, of the job or of an index, and where it lies.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: String,
    pub(crate) file: FileEntry,
}

/// One that is hashed as it is written.
pub(crate) type HashedOut = HashingWriter<Out>;

impl Attempt {
    /// Where the attempt's file `name` lies, below the job.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", Job::attempt_path(self.stage, self.task, &self.name))
    }

    /// Begins a file at a path below the job.
    pub(crate) fn create(&self, path: &str) -> Out {
        BlockingWriter::new(&self.handle, Arc::clone(self.open.job.store()), &self.open.job.key(path))
    }

    /// Begins a file that is hashed as it is written.
    pub(crate) fn create_hashed(&self, path: &str) -> HashedOut {
        HashingWriter::new(self.create(path))
    }

    /// A file of an earlier task.
    pub(crate) fn locate(&self, file: FileEntry) -> Located {
        let job = &self.open.job;
        Located { store: Arc::clone(job.store()), key: job.key(&file.path), file }
    }

    /// All of a file of an earlier task.
    pub(crate) fn read(&self, file: &FileEntry) -> Box<dyn Read + Send> {
        self.locate(file.clone()).read(&self.handle, 0..file.bytes)
    }

    /// A range of a file of an earlier task.
    pub(crate) fn read_range(&self, file: &FileEntry, range: Range<u64>) -> Box<dyn Read + Send> {
        self.locate(file.clone()).read(&self.handle, range)
    }

    /// The bytes of a small range of a file of an earlier task.
    pub(crate) fn read_at(&self, file: &FileEntry, range: Range<u64>) -> Result<bytes::Bytes, TaskError> {
        self.locate(file.clone()).read_at(&self.handle, range)
    }

    /// Runs async work to its end from the lane's thread.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TaskError> {
        blocking::wait(&self.handle, work).ok_or_else(TaskError::stopped)
    }

    /// A factory of scratch files, gone when they are closed.
    pub(crate) fn scratch(&self) -> impl FnMut() -> io::Result<File> + use<> {
        let folder = self.scratch.clone();
        move || tempfile::tempfile_in(&folder)
    }
}

impl Located {
    /// A range of it. Fewer bytes than it was written with are an error.
    pub(crate) fn read(&self, handle: &Handle, range: Range<u64>) -> Box<dyn Read + Send> {
        Box::new(BlockingReader::exact(handle, Arc::clone(&self.store), &self.key, range))
    }

    /// All of it.
    pub(crate) fn read_all(&self, handle: &Handle) -> Box<dyn Read + Send> {
        self.read(handle, 0..self.file.bytes)
    }

    /// The bytes of a small range.
    pub(crate) fn read_at(&self, handle: &Handle, range: Range<u64>) -> Result<bytes::Bytes, TaskError> {
        Ok(blocking::read_at(handle, &self.store, &self.key, range)?)
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        self.store.uri(&self.key)
    }
}

/// Finishes a hashed file.
pub(crate) fn finish(out: HashedOut, path: String, rows: u64) -> Result<FileEntry, TaskError> {
    let (out, written) = out.into_parts();
    out.finish()?;
    Ok(entry(path, rows, written))
}

pub(crate) fn entry(path: String, rows: u64, written: Written) -> FileEntry {
    FileEntry { path, rows, bytes: written.bytes, sha256: written.sha256 }
}
