//! Counting requests: every attempt, since the retrying wrapper is above this one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt;

use crate::error::{Kind, StoreError};
use crate::store::{ByteStream, Created, Meta, Page, Store, Upload};

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `stat`.
    Stat,
    /// `get`.
    Get,
    /// `read`; its stream counts once, by how it opened.
    Read,
    /// `create`.
    Create,
    /// `put`.
    Put,
    /// `upload`, its beginning.
    Upload,
    /// `Upload::write`.
    Write,
    /// `Upload::finish`.
    Finish,
    /// `publish`.
    Publish,
    /// `list_page`.
    List,
    /// `delete`.
    Delete,
    /// `sweep`.
    Sweep,
}

impl Op {
    /// All, in the order of the counters.
    pub const ALL: [Self; 12] = [
        Self::Stat,
        Self::Get,
        Self::Read,
        Self::Create,
        Self::Put,
        Self::Upload,
        Self::Write,
        Self::Finish,
        Self::Publish,
        Self::List,
        Self::Delete,
        Self::Sweep,
    ];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Get => "get",
            Self::Read => "read",
            Self::Create => "create",
            Self::Put => "put",
            Self::Upload => "upload",
            Self::Write => "write",
            Self::Finish => "finish",
            Self::Publish => "publish",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Sweep => "sweep",
        }
    }
}

/// How a request ended, as metrics name it.
pub const OUTCOMES: [&str; 7] = ["ok", "retry", "throttled", "not_found", "denied", "invalid", "corrupt"];

fn outcome<T>(answer: &Result<T, StoreError>) -> usize {
    match answer {
        Ok(_) => 0,
        Err(StoreError::Throttled { .. }) => 2,
        Err(error) => match error.kind() {
            Kind::Retry => 1,
            Kind::NotFound => 3,
            Kind::Denied => 4,
            Kind::Invalid => 5,
            Kind::Corrupt => 6,
        },
    }
}

/// Counts of one process, shared by its stores.
#[derive(Debug, Default)]
pub struct Meter {
    requests: [[AtomicU64; OUTCOMES.len()]; Op::ALL.len()],
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Meter {
    fn count<T>(&self, op: Op, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.requests[op as usize][outcome(&answer)].fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// Requests by what was asked and how it ended; those that never happened are left out.
    pub fn requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut counts = Vec::new();
        for (op, row) in Op::ALL.iter().zip(&self.requests) {
            for (outcome, count) in OUTCOMES.iter().zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    counts.push((op.name(), *outcome, count));
                }
            }
        }
        counts
    }

    /// Bytes that came from stores.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that were sent to stores.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }
}

/// A store whose requests are counted.
#[derive(Clone, Debug)]
pub struct Metered {
    inner: Arc<dyn Store>,
    meter: Arc<Meter>,
}

impl Metered {
    /// Counts what is asked of `inner`.
    pub fn new(inner: Arc<dyn Store>, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }

    fn counted(&self, pieces: ByteStream) -> ByteStream {
        let meter = self.meter.clone();
        let counted = pieces.inspect(move |piece| {
            if let Ok(piece) = piece {
                meter.read_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        counted.boxed()
    }

    fn wrote(&self, bytes: usize) {
        self.meter.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl Store for Metered {
    fn uri(&self, key: &str) -> String {
        self.inner.uri(key)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.meter.count(Op::Stat, self.inner.stat(key).await)
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let data = self.meter.count(Op::Get, self.inner.get(key, range).await)?;
        self.meter.read_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(data)
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, StoreError> {
        Ok(self.read_version(key, range, None).await?.0)
    }

    async fn read_version(
        &self,
        key: &str,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<(ByteStream, Option<String>), StoreError> {
        let answer = self.inner.read_version(key, range, version).await;
        let (pieces, version) = self.meter.count(Op::Read, answer)?;
        Ok((self.counted(pieces), version))
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        self.wrote(data.len());
        self.meter.count(Op::Create, self.inner.create(key, data).await)
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.wrote(data.len());
        self.meter.count(Op::Put, self.inner.put(key, data).await)
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        let inner = self.meter.count(Op::Upload, self.inner.upload(key).await)?;
        Ok(Box::new(MeteredUpload { inner, meter: self.meter.clone() }))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        self.meter.count(Op::Publish, self.inner.publish(from, to).await)
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.meter.count(Op::List, self.inner.list_page(prefix, start_after, limit).await)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.meter.count(Op::Delete, self.inner.delete(keys).await)
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        self.meter.count(Op::Sweep, self.inner.sweep(prefix, age).await)
    }
}

struct MeteredUpload {
    inner: Box<dyn Upload>,
    meter: Arc<Meter>,
}

#[async_trait]
impl Upload for MeteredUpload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.meter.written_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.meter.count(Op::Write, self.inner.write(data).await)
    }

    async fn finish(self: Box<Self>) -> Result<Meta, StoreError> {
        let Self { inner, meter } = *self;
        meter.count(Op::Finish, inner.finish().await)
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.abort().await
    }
}
