//! Faults on purpose, for tests: the nth call fails or waits, a stream is cut, an answer is lost, an upload is torn.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, StreamExt};

use crate::error::StoreError;
use crate::meter::Op;
use crate::store::{ByteStream, Created, Meta, Page, Store, Upload};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done and a passing failure is answered.
    Fail,
    /// Nothing is done and the store asks to slow down.
    Throttle,
    /// Nothing is done and access is denied.
    Deny,
    /// All is done and a passing failure is answered: the lost answer of a create.
    LoseAnswer,
    /// A read fails after so many bytes; a write of an upload takes so many and then fails.
    Cut(u64),
}

/// Which calls fail, and how many there were. Shared by the stores of one test.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    nth: BTreeMap<(Op, u64), Fault>,
    every: BTreeMap<Op, Fault>,
    /// Part of the keys that this is about.
    keys: String,
    held: BTreeMap<(Op, u64), Held>,
    calls: BTreeMap<Op, u64>,
}

/// The call's side of a [`Hold`].
#[derive(Debug)]
struct Held {
    come: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// A call that waits before it does anything, so that something else comes first. Dropping it lets the call go on.
#[derive(Debug)]
pub struct Hold {
    come: oneshot::Receiver<()>,
    go: oneshot::Sender<()>,
}

impl Hold {
    /// Waits until the call has come. False if it never will.
    pub async fn has_come(&mut self) -> bool {
        (&mut self.come).await.is_ok()
    }

    /// Lets the call go on.
    pub fn go(self) {
        let _ = self.go.send(());
    }
}

impl Faults {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `nth` call from the very first on (counted from 1) goes wrong.
    pub fn on(&self, op: Op, nth: u64, fault: Fault) {
        self.rules().nth.insert((op, nth), fault);
    }

    /// The `nth` call from the very first on waits until it is told to go on. Not those that read or write pieces.
    pub fn hold(&self, op: Op, nth: u64) -> Hold {
        let ((come, has_come), (go, may_go)) = (oneshot::channel(), oneshot::channel());
        self.rules().held.insert((op, nth), Held { come, go: may_go });
        Hold { come: has_come, go }
    }

    /// Every call goes wrong.
    pub fn every(&self, op: Op, fault: Fault) {
        self.rules().every.insert(op, fault);
    }

    /// Only calls for keys that have this in them go wrong, and are counted.
    pub fn only(&self, keys: &str) {
        keys.clone_into(&mut self.rules().keys);
    }

    /// From now on all goes well.
    pub fn clear(&self) {
        let mut rules = self.rules();
        rules.nth.clear();
        rules.every.clear();
    }

    /// Calls so far.
    pub fn calls(&self, op: Op) -> u64 {
        self.rules().calls.get(&op).copied().unwrap_or(0)
    }

    fn next(&self, op: Op, uri: &str) -> (Option<Fault>, Option<Held>) {
        let mut rules = self.rules();
        if !uri.contains(&rules.keys) {
            return (None, None);
        }
        let calls = rules.calls.entry(op).or_default();
        *calls += 1;
        let nth = *calls;
        let held = rules.held.remove(&(op, nth));
        (rules.nth.get(&(op, nth)).or_else(|| rules.every.get(&op)).copied(), held)
    }

    fn fault(&self, op: Op, uri: &str) -> Option<Fault> {
        self.next(op, uri).0
    }
}

/// A store that fails as it is told.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl Faulty {
    /// Fails calls of `inner` as `faults` says.
    pub fn new(inner: Arc<dyn Store>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    async fn call<T, F>(&self, op: Op, key: &str, call: impl FnOnce() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let uri = self.inner.uri(key);
        let (fault, held) = self.faults.next(op, &uri);
        if let Some(Held { come, go }) = held {
            let _ = come.send(());
            let _ = go.await;
        }
        match fault {
            None => call().await,
            Some(Fault::LoseAnswer) => {
                call().await?;
                Err(injected(uri))
            }
            Some(fault) => Err(error(fault, uri)),
        }
    }
}

fn injected(uri: String) -> StoreError {
    StoreError::Transient { uri, what: "injected failure".into() }
}

fn error(fault: Fault, uri: String) -> StoreError {
    match fault {
        Fault::Throttle => StoreError::Throttled { uri, why: "injected".into(), after: None },
        Fault::Deny => StoreError::Denied { uri, why: "injected".into() },
        Fault::Fail | Fault::LoseAnswer | Fault::Cut(_) => injected(uri),
    }
}

#[async_trait]
impl Store for Faulty {
    fn uri(&self, key: &str) -> String {
        self.inner.uri(key)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.call(Op::Stat, key, || self.inner.stat(key)).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        self.call(Op::Get, key, || self.inner.get(key, range)).await
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
        let uri = self.inner.uri(key);
        match self.faults.fault(Op::Read, &uri) {
            None => self.inner.read_version(key, range, version).await,
            Some(Fault::Cut(bytes)) => {
                let end = range.end.min(range.start.saturating_add(bytes));
                let (cut, version) = self.inner.read_version(key, range.start..end, version).await?;
                Ok((cut.chain(stream::once(async move { Err(injected(uri)) })).boxed(), version))
            }
            Some(fault) => Err(error(fault, uri)),
        }
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        self.call(Op::Create, key, || self.inner.create(key, data)).await
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.call(Op::Put, key, || self.inner.put(key, data)).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        let inner = self.call(Op::Upload, key, || self.inner.upload(key)).await?;
        Ok(Box::new(FaultyUpload { inner, faults: self.faults.clone(), uri: self.inner.uri(key) }))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        self.call(Op::Publish, to, || self.inner.publish(from, to)).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.call(Op::List, prefix, || self.inner.list_page(prefix, start_after, limit)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let first = keys.first().map_or("", String::as_str);
        self.call(Op::Delete, first, || self.inner.delete(keys)).await
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        self.call(Op::Sweep, prefix, || self.inner.sweep(prefix, age)).await
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    faults: Arc<Faults>,
    uri: String,
}

#[async_trait]
impl Upload for FaultyUpload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        match self.faults.fault(Op::Write, &self.uri) {
            None => self.inner.write(data).await,
            Some(Fault::Cut(bytes)) => {
                let taken = data.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
                self.inner.write(data.slice(..taken)).await?;
                Err(injected(self.uri.clone()))
            }
            Some(fault) => Err(error(fault, self.uri.clone())),
        }
    }

    async fn finish(self: Box<Self>) -> Result<Meta, StoreError> {
        let Self { inner, faults, uri } = *self;
        match faults.fault(Op::Finish, &uri) {
            None => inner.finish().await,
            Some(Fault::LoseAnswer) => {
                inner.finish().await?;
                Err(injected(uri))
            }
            Some(fault) => Err(error(fault, uri)),
        }
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.abort().await
    }
}
