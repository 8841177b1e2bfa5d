//! Many files read side by side in little memory.

use crate::files::Located;
use gristmill_storage::{Store, blocking};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Memory for all files of a merge together.
const MEMORY: usize = 32 << 20;
/// A request is not worth fewer bytes.
const CHUNK_MIN: usize = 32 << 10;
const CHUNK_MAX: usize = 1 << 20;

/// Reads a range piece by piece, one piece in memory.
pub(crate) struct RangedReader {
    handle: Handle,
    store: Arc<dyn Store>,
    key: String,
    rest: Range<u64>,
    chunk: u64,
    piece: bytes::Bytes,
}

impl RangedReader {
    /// `beside`: how many files are read at once.
    pub(crate) fn new(handle: &Handle, located: &Located, range: Range<u64>, beside: usize) -> Self {
        Self {
            handle: handle.clone(),
            store: Arc::clone(&located.store),
            key: located.key.clone(),
            rest: range,
            chunk: (MEMORY / beside.max(1)).clamp(CHUNK_MIN, CHUNK_MAX) as u64,
            piece: bytes::Bytes::new(),
        }
    }
}

impl Read for RangedReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + self.chunk);
            self.piece = blocking::read_at(&self.handle, &self.store, &self.key, self.rest.start..end)?;
            if self.piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.rest.start += self.piece.len() as u64;
        }
        let n = out.len().min(self.piece.len());
        out[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
