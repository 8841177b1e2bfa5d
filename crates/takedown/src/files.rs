//! Objects read and written from a plain thread.

use crate::TakedownError;
use gristmill_job::FileEntry;
use gristmill_storage::{
    BlockingReader, BlockingWriter, HashingWriter, Kind, Store, StoreError, StoreSource, blocking,
};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Where objects lie.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) handle: Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) prefix: String,
}

impl Folder {
    pub(crate) fn key(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        self.store.uri(&self.key(path))
    }

    /// Runs work to its end. Not on the runtime's own threads.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TakedownError> {
        let gone =
            || StoreError::Transient { uri: self.uri(""), what: "the runtime is shutting down".into() };
        Ok(blocking::wait(&self.handle, work).ok_or_else(gone)?)
    }

    /// An object's bytes; none if it is not there.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TakedownError> {
        let (store, key) = (Arc::clone(&self.store), self.key(path));
        match self.wait(async move { store.get(&key, None).await })? {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), TakedownError> {
        let (store, key) = (Arc::clone(&self.store), self.key(path));
        Ok(self.wait(async move { store.put(&key, bytes.into()).await })??)
    }

    pub(crate) fn delete(&self, paths: &[String]) -> Result<(), TakedownError> {
        for paths in paths.chunks(1000) {
            let keys: Vec<String> = paths.iter().map(|path| self.key(path)).collect();
            let store = Arc::clone(&self.store);
            self.wait(async move { store.delete(&keys).await })??;
        }
        Ok(())
    }

    /// A range of a file that is as long as its entry says.
    pub(crate) fn read(&self, file: &FileEntry, range: Range<u64>) -> Box<dyn Read + Send> {
        Box::new(BlockingReader::exact(&self.handle, Arc::clone(&self.store), &self.key(&file.path), range))
    }

    /// The last bytes of a file.
    pub(crate) fn tail(&self, file: &FileEntry, length: u64) -> Result<Vec<u8>, TakedownError> {
        let mut bytes = Vec::new();
        self.read(file, file.bytes.saturating_sub(length)..file.bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn source(&self, file: &FileEntry) -> Arc<StoreSource> {
        let store = Arc::clone(&self.store);
        Arc::new(StoreSource::new(self.handle.clone(), store, &self.key(&file.path), file.bytes))
    }

    pub(crate) fn create(&self, path: &str) -> BlockingWriter {
        BlockingWriter::new(&self.handle, Arc::clone(&self.store), &self.key(path))
    }

    /// Writes a file, and says what it is.
    pub(crate) fn write(
        &self,
        path: &str,
        fill: impl FnOnce(&mut HashingWriter<BlockingWriter>) -> Result<u64, TakedownError>,
    ) -> Result<FileEntry, TakedownError> {
        let mut out = HashingWriter::new(self.create(path));
        let rows = fill(&mut out)?;
        let (out, written) = out.into_parts();
        out.finish()?;
        Ok(FileEntry { path: path.to_owned(), rows, bytes: written.bytes, sha256: written.sha256 })
    }
}
