//! The bridge between CPU lanes, which block, and stores, which are async.
//!
//! A lane is a plain thread. [`BlockingReader`] is an [`std::io::Read`] that a task on the runtime feeds ahead of
//! need through a small channel; [`BlockingWriter`] is an [`std::io::Write`] whose bytes a task uploads. Neither may be used on
//! a runtime's own thread. Memory in flight: [`IN_FLIGHT`] pieces of about [`PIECE`] bytes each way.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::error::{ReadError, StoreError};
use crate::store::{Meta, Store, Upload};

/// Bytes that travel through the channel at once.
const PIECE: usize = 1 << 20;
/// Pieces in the channel.
const IN_FLIGHT: usize = 3;

/// Reads a range of an object; the next pieces are fetched while the last ones are worked on.
pub struct BlockingReader {
    pieces: mpsc::Receiver<Result<Bytes, StoreError>>,
    current: Bytes,
    task: JoinHandle<()>,
}

impl BlockingReader {
    /// Begins to fetch at once. The range is cut at the object's end.
    pub fn new(handle: &Handle, store: Arc<dyn Store>, key: &str, range: Range<u64>) -> Self {
        Self::begin(handle, store, key, range, false)
    }

    /// The same for a range that the object is known to hold: fewer bytes are an error.
    pub fn exact(handle: &Handle, store: Arc<dyn Store>, key: &str, range: Range<u64>) -> Self {
        Self::begin(handle, store, key, range, true)
    }

    fn begin(handle: &Handle, store: Arc<dyn Store>, key: &str, range: Range<u64>, exact: bool) -> Self {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        let feed = feed(store, key.to_owned(), range, exact, sender);
        let task = handle.spawn(feed.in_current_span());
        Self { pieces, current: Bytes::new(), task }
    }
}

async fn feed(
    store: Arc<dyn Store>,
    key: String,
    range: Range<u64>,
    exact: bool,
    sender: mpsc::Sender<Result<Bytes, StoreError>>,
) {
    if range.start >= range.end {
        return;
    }
    let wanted = range.end - range.start;
    let mut got = 0;
    let mut pieces = match store.read(&key, range).await {
        Ok(pieces) => pieces,
        Err(error) => {
            let _ = sender.send(Err(error)).await;
            return;
        }
    };
    // Network pieces are small: join them, so that a lane is woken once for many.
    let mut joined = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        got += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        match piece {
            Ok(piece) if joined.is_empty() && piece.len() >= PIECE / 2 => {
                if sender.send(Ok(piece)).await.is_err() {
                    return;
                }
            }
            Ok(piece) => {
                joined.extend_from_slice(&piece);
                if joined.len() >= PIECE && sender.send(Ok(joined.split().freeze())).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = sender.send(Err(error)).await;
                return;
            }
        }
    }
    if !joined.is_empty() && sender.send(Ok(joined.freeze())).await.is_err() {
        return;
    }
    if exact && got < wanted {
        let why = format!("{got} bytes came of {wanted} that it had");
        let _ = sender.send(Err(StoreError::Corrupt { uri: store.uri(&key), why })).await;
    }
}

impl Read for BlockingReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.current.len());
        out[..n].copy_from_slice(&self.current[..n]);
        self.current.advance(n);
        Ok(n)
    }
}

impl Drop for BlockingReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes an object, visible once [`BlockingWriter::finish`] has returned. Dropping it aborts the upload.
pub struct BlockingWriter {
    uri: String,
    pieces: Option<mpsc::Sender<Bytes>>,
    buffer: BytesMut,
    done: Option<oneshot::Receiver<Result<Meta, StoreError>>>,
    commit: Option<oneshot::Sender<()>>,
}

impl BlockingWriter {
    /// Begins an upload of `key`.
    pub fn new(handle: &Handle, store: Arc<dyn Store>, key: &str) -> Self {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        let (commit, committed) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let (uri, key) = (store.uri(key), key.to_owned());
        let draining = async move {
            let answer = drain(store, &key, pieces, committed).await;
            let _ = done_sender.send(answer);
        };
        handle.spawn(draining.in_current_span());
        Self {
            uri,
            pieces: Some(sender),
            buffer: BytesMut::with_capacity(PIECE),
            done: Some(done),
            commit: Some(commit),
        }
    }

    /// Waits until all is stored and visible.
    pub fn finish(mut self) -> Result<Meta, StoreError> {
        if !self.buffer.is_empty() {
            let rest = self.buffer.split().freeze();
            if let Err(error) = self.send(rest) {
                return Err(ReadError::from_io(&self.uri, error).0);
            }
        }
        if let Some(commit) = self.commit.take() {
            let _ = commit.send(());
        }
        self.pieces = None;
        self.answer()
    }

    fn send(&mut self, piece: Bytes) -> io::Result<()> {
        let sent = self.pieces.as_ref().is_some_and(|pieces| pieces.blocking_send(piece).is_ok());
        if sent {
            return Ok(());
        }
        // The uploading task is gone: its answer says why.
        match self.answer() {
            Err(error) => Err(error.into()),
            Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn answer(&mut self) -> Result<Meta, StoreError> {
        let answer = self.done.take().and_then(|done| done.blocking_recv().ok());
        answer.unwrap_or_else(|| {
            Err(StoreError::Transient { uri: self.uri.clone(), what: "the upload was given up".into() })
        })
    }
}

async fn drain(
    store: Arc<dyn Store>,
    key: &str,
    mut pieces: mpsc::Receiver<Bytes>,
    committed: oneshot::Receiver<()>,
) -> Result<Meta, StoreError> {
    let mut upload: Box<dyn Upload> = store.upload(key).await?;
    while let Some(piece) = pieces.recv().await {
        if let Err(error) = upload.write(piece).await {
            let _ = upload.abort().await;
            return Err(error);
        }
    }
    // The channel closes both when the writer finishes and when it is dropped: only the first is a commit.
    if committed.await.is_ok() {
        upload.finish().await
    } else {
        let what = "the writer was dropped before it finished".to_owned();
        let uri = store.uri(key);
        upload.abort().await?;
        Err(StoreError::Transient { uri, what })
    }
}

impl Write for BlockingWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = data.len().min(PIECE - self.buffer.len().min(PIECE - 1));
        self.buffer.extend_from_slice(&data[..n]);
        if self.buffer.len() >= PIECE {
            let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
            self.send(piece)?;
        }
        Ok(n)
    }

    /// Bytes are sent on when a piece is full; nothing is visible before `finish`, so there is nothing to flush.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A range of an object's bytes, waited for.
pub fn read_at(
    handle: &Handle,
    store: &Arc<dyn Store>,
    key: &str,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    wait(handle, {
        let (store, key) = (store.clone(), key.to_owned());
        async move { store.get(&key, Some(range)).await }
    })
    .unwrap_or_else(|| {
        Err(StoreError::Transient { uri: store.uri(key), what: "the runtime is shutting down".into() })
    })
}

/// Runs `work` on the runtime and blocks this plain thread until it is done. `None` if the runtime stops first.
pub fn wait<T: Send + 'static>(handle: &Handle, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (sender, answer) = oneshot::channel();
    let work = async move {
        let _ = sender.send(work.await);
    };
    handle.spawn(work.in_current_span());
    answer.blocking_recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Faults, Faulty};
    use crate::meter::Op;
    use crate::store::memory::MemoryStore;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn bytes_cross_over_and_back() {
        let runtime = runtime();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("t"));
        let data: Vec<u8> = (0..7_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut writer = BlockingWriter::new(runtime.handle(), store.clone(), "x");
        for piece in data.chunks(77_777) {
            writer.write_all(piece).unwrap();
        }
        assert!(runtime.block_on(store.stat("x")).is_err(), "nothing is visible before the end");
        assert_eq!(writer.finish().unwrap().size, data.len() as u64);
        let mut got = Vec::new();
        BlockingReader::new(runtime.handle(), store.clone(), "x", 5..u64::MAX).read_to_end(&mut got).unwrap();
        assert!(got == data[5..]);
        let bytes = read_at(runtime.handle(), &store, "x", 10..20).unwrap();
        assert_eq!(bytes, data[10..20]);
        // A reader that is dropped early stops its task, and one that is told too large a size says so.
        drop(BlockingReader::new(runtime.handle(), store.clone(), "x", 0..u64::MAX));
        let mut short = BlockingReader::exact(runtime.handle(), store, "x", 0..data.len() as u64 + 1);
        let error = short.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(ReadError::from_io("x", error).kind(), crate::Kind::Corrupt);
    }

    #[test]
    fn failures_reach_the_lane() {
        let runtime = runtime();
        let faults = Arc::new(Faults::default());
        let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(MemoryStore::new("t")), faults.clone()));
        faults.on(Op::Write, 2, Fault::Cut(100));
        let mut writer = BlockingWriter::new(runtime.handle(), store.clone(), "x");
        let mut failed = None;
        for _ in 0..20 {
            if let Err(error) = writer.write_all(&vec![0; 1 << 20]) {
                failed = Some(ReadError::from_io("x", error).kind());
                break;
            }
        }
        assert_eq!(failed, Some(crate::Kind::Retry));
        let mut reader = BlockingReader::new(runtime.handle(), store, "none", 0..5);
        let error = reader.read(&mut [0; 5]).unwrap_err();
        assert_eq!(ReadError::from_io("x", error).kind(), crate::Kind::NotFound);
    }
}
