//! Where the bytes of one file come from: what format readers ask for bytes, whole runs or bounded pieces.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::blocking::{BlockingReader, read_at};
use crate::error::{ReadError, StoreError};
use crate::store::{Store, clamp};

/// One stored file, readable from a plain thread.
pub trait Source: Send + Sync {
    /// Its name in messages.
    fn uri(&self) -> &str;

    /// Its stored size in bytes.
    fn size(&self) -> u64;

    /// The bytes of a range as a stream, fetched ahead of need.
    fn reader(&self, range: Range<u64>) -> Result<Box<dyn Read + Send>, ReadError>;

    /// The bytes of a small range, cut at the file's end.
    fn read_at(&self, range: Range<u64>) -> Result<Bytes, ReadError>;
}

/// An object of a [`Store`].
pub struct StoreSource {
    store: Arc<dyn Store>,
    key: String,
    uri: String,
    size: u64,
    handle: Handle,
}

impl StoreSource {
    /// `size` is the object's size as the listing had it.
    pub fn new(handle: Handle, store: Arc<dyn Store>, key: &str, size: u64) -> Self {
        let uri = store.uri(key);
        Self { store, key: key.to_owned(), uri, size, handle }
    }
}

impl Source for StoreSource {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn reader(&self, range: Range<u64>) -> Result<Box<dyn Read + Send>, ReadError> {
        let range = clamp(&range, self.size);
        Ok(Box::new(BlockingReader::exact(&self.handle, self.store.clone(), &self.key, range)))
    }

    fn read_at(&self, range: Range<u64>) -> Result<Bytes, ReadError> {
        let range = clamp(&range, self.size);
        let wanted = range.end - range.start;
        let data = read_at(&self.handle, &self.store, &self.key, range)?;
        if (data.len() as u64) < wanted {
            let why = format!("{} bytes came of {wanted} that it had", data.len());
            return Err(StoreError::Corrupt { uri: self.uri.clone(), why }.into());
        }
        Ok(data)
    }
}

/// A file of this machine, read without a runtime.
pub struct PathSource {
    path: PathBuf,
    uri: String,
    size: u64,
}

impl PathSource {
    /// Fails if the file is not there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let path = path.into();
        let uri = path.display().to_string();
        let found = std::fs::metadata(&path).map_err(|error| ReadError::from_io(&uri, error))?;
        if found.is_dir() {
            return Err(ReadError::from_io(&uri, std::io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self { path, uri, size: found.len() })
    }

    fn at(&self, range: &Range<u64>) -> Result<std::io::Take<File>, ReadError> {
        let open = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(range.start))?;
            Ok(file.take(range.end.saturating_sub(range.start)))
        };
        open().map_err(|error| ReadError::from_io(&self.uri, error))
    }
}

impl Source for PathSource {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn reader(&self, range: Range<u64>) -> Result<Box<dyn Read + Send>, ReadError> {
        Ok(Box::new(self.at(&range)?))
    }

    fn read_at(&self, range: Range<u64>) -> Result<Bytes, ReadError> {
        let mut data = Vec::new();
        self.at(&clamp(&range, self.size))?
            .read_to_end(&mut data)
            .map_err(|error| ReadError::from_io(&self.uri, error))?;
        Ok(Bytes::from(data))
    }
}

/// Bytes in memory.
pub struct BytesSource {
    uri: String,
    data: Bytes,
}

impl BytesSource {
    /// `name` is what messages call it.
    pub fn new(name: &str, data: impl Into<Bytes>) -> Self {
        Self { uri: name.to_owned(), data: data.into() }
    }
}

impl Source for BytesSource {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn size(&self) -> u64 {
        self.data.len() as u64
    }

    fn reader(&self, range: Range<u64>) -> Result<Box<dyn Read + Send>, ReadError> {
        Ok(Box::new(Cursor::new(self.read_at(range)?)))
    }

    fn read_at(&self, range: Range<u64>) -> Result<Bytes, ReadError> {
        let range = clamp(&range, self.size());
        Ok(self.data.slice(range.start as usize..range.end as usize))
    }
}
