//! Counting requests: every attempt, since the retrying wrapper is above this one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Instrument as _;

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

/// From a file on the disk of this machine to an upload that nearly times out.
const SECONDS: [f64; 11] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Counts of one process, shared by its stores.
#[derive(Debug)]
pub struct Meter {
    requests: [[AtomicU64; OUTCOMES.len()]; Op::ALL.len()],
    seconds: [Histogram; Op::ALL.len()],
    read_bytes: [AtomicU64; Op::ALL.len()],
    written_bytes: [AtomicU64; Op::ALL.len()],
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            seconds: std::array::from_fn(|_| Histogram::new(SECONDS)),
            read_bytes: Default::default(),
            written_bytes: Default::default(),
        }
    }
}

impl Meter {
    /// Makes a request and counts it. `uri` says of what, in a trace.
    async fn count<T>(
        &self,
        op: Op,
        uri: impl FnOnce() -> String,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        // A request that is nobody's (a loop that looks for jobs) is not traced.
        let answer = if tracing::Span::current().is_none() {
            request.await
        } else {
            let span =
                tracing::info_span!("storage", op = op.name(), uri = uri(), outcome = tracing::field::Empty);
            let answer = request.instrument(span.clone()).await;
            span.record("outcome", OUTCOMES[outcome(&answer)]);
            answer
        };
        self.requests[op as usize][outcome(&answer)].fetch_add(1, Ordering::Relaxed);
        self.seconds[op as usize].observe(began.elapsed().as_secs_f64());
        answer
    }

    fn read(&self, op: Op, bytes: usize) {
        self.read_bytes[op as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn wrote(&self, op: Op, bytes: usize) {
        self.written_bytes[op as usize].fetch_add(bytes as u64, Ordering::Relaxed);
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

    /// How long tries took, by what was asked; what was never asked is left out.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        let asked = |op: Op| self.requests[op as usize].iter().any(|n| n.load(Ordering::Relaxed) > 0);
        Op::ALL.iter().zip(&self.seconds).filter(move |(op, _)| asked(**op)).map(|(op, h)| (op.name(), h))
    }

    /// Bytes that came from stores, by what was asked.
    pub fn read_bytes(&self) -> Vec<(&'static str, u64)> {
        by_operation(&self.read_bytes)
    }

    /// Bytes that were sent to stores, by what was asked.
    pub fn written_bytes(&self) -> Vec<(&'static str, u64)> {
        by_operation(&self.written_bytes)
    }
}

/// Those that are not zero.
fn by_operation(counts: &[AtomicU64; Op::ALL.len()]) -> Vec<(&'static str, u64)> {
    let counts = Op::ALL.iter().zip(counts).map(|(op, count)| (op.name(), count.load(Ordering::Relaxed)));
    counts.filter(|(_, count)| *count > 0).collect()
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
                meter.read(Op::Read, piece.len());
            }
        });
        counted.boxed()
    }
}

#[async_trait]
impl Store for Metered {
    fn uri(&self, key: &str) -> String {
        self.inner.uri(key)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.meter.count(Op::Stat, || self.uri(key), self.inner.stat(key)).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let data = self.meter.count(Op::Get, || self.uri(key), self.inner.get(key, range)).await?;
        self.meter.read(Op::Get, data.len());
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
        let request = self.inner.read_version(key, range, version);
        let (pieces, version) = self.meter.count(Op::Read, || self.uri(key), request).await?;
        Ok((self.counted(pieces), version))
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        self.meter.wrote(Op::Create, data.len());
        self.meter.count(Op::Create, || self.uri(key), self.inner.create(key, data)).await
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.meter.wrote(Op::Put, data.len());
        self.meter.count(Op::Put, || self.uri(key), self.inner.put(key, data)).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        let inner = self.meter.count(Op::Upload, || self.uri(key), self.inner.upload(key)).await?;
        Ok(Box::new(MeteredUpload { inner, meter: self.meter.clone(), uri: self.uri(key) }))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        self.meter.count(Op::Publish, || self.uri(to), self.inner.publish(from, to)).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.meter
            .count(Op::List, || self.uri(prefix), self.inner.list_page(prefix, start_after, limit))
            .await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.meter
            .count(Op::Delete, || self.uri(keys.first().map_or("", |key| key)), self.inner.delete(keys))
            .await
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        self.meter.count(Op::Sweep, || self.uri(prefix), self.inner.sweep(prefix, age)).await
    }
}

struct MeteredUpload {
    inner: Box<dyn Upload>,
    meter: Arc<Meter>,
    uri: String,
}

#[async_trait]
impl Upload for MeteredUpload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.meter.wrote(Op::Write, data.len());
        self.meter.count(Op::Write, || self.uri.clone(), self.inner.write(data)).await
    }

    async fn finish(self: Box<Self>) -> Result<Meta, StoreError> {
        let Self { inner, meter, uri } = *self;
        meter.count(Op::Finish, || uri, inner.finish()).await
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.abort().await
    }
}
