//! Trying again: the outermost wrapper of every remote store.
//!
//! A request that fails with [`Kind::Retry`] is repeated after a random part of a growing pause. Two things keep a
//! process from making an outage worse. The **budget**, one for the whole process: a retry takes tokens, successes and time
//! give them back, and where there are none the retry waits. The **pace**, one for each store: requests in flight are limited, the
//! limit falls by a third when the store asks to slow down and rises by one for each round of successes (additive increase,
//! multiplicative decrease, as TCP does it).
//!
//! A stream that is cut is opened again at the byte where it was cut. Uploads are not repeated here: what a
//! write has sent is the upload's own to send again ([`crate::store::s3`] does it part by part).

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Kind, StoreError};
use crate::store::{ByteStream, Created, Meta, Page, Store, Upload};
use crate::stores::RetrySettings;

/// Tokens a retry takes; a success gives one back (the numbers of the AWS SDKs' standard mode).
const RETRY_COST: f64 = 5.0;
/// Tokens that come back by themselves each second, so that an outage is outlived.
const REFILL_PER_SECOND: f64 = 20.0;
/// After a cut of the limit, further throttling answers are counted as the same event for this long.
const SAME_EVENT: Duration = Duration::from_millis(500);
/// The slowest transfer that is waited for, in bytes a second: it lengthens the time limit of large writes.
const SLOWEST: u64 = 256 << 10;

/// The tokens that all retries of a process share, and the account of those retries.
#[derive(Debug)]
pub struct Budget {
    capacity: f64,
    state: Mutex<(f64, Instant)>,
    failed: AtomicU64,
    throttled: AtomicU64,
    waited_us: AtomicU64,
}

impl Budget {
    /// A full bucket.
    pub fn new(capacity: u32) -> Self {
        let capacity = f64::from(capacity.max(5));
        Self {
            capacity,
            state: Mutex::new((capacity, Instant::now())),
            failed: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
        }
    }

    /// Retries so far, by why: what failed, and what the store was too busy for.
    pub(crate) fn retries(&self) -> [(&'static str, u64); 2] {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("failed", count(&self.failed)), ("throttled", count(&self.throttled))]
    }

    /// How long requests waited before they were repeated, all together.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_us.load(Ordering::Relaxed))
    }

    /// Takes the tokens of a retry; says how long to wait for them.
    fn take(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refilled = state.0 + now.duration_since(state.1).as_secs_f64() * REFILL_PER_SECOND;
        // Debts are allowed: each waits behind those before it.
        *state = (refilled.min(self.capacity) - RETRY_COST, now);
        Duration::from_secs_f64((-state.0 / REFILL_PER_SECOND).max(0.0))
    }

    fn earn(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = (state.0 + 1.0).min(self.capacity);
    }
}

/// How many requests one store is sent at once.
#[derive(Debug)]
struct Pace {
    most: f64,
    state: Mutex<PaceState>,
    freed: Notify,
}

#[derive(Debug)]
struct PaceState {
    limit: f64,
    in_flight: u32,
    cut: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Pace {
    fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        let state = PaceState { limit: most, in_flight: 0, cut: None, paused_until: None };
        Self { most, state: Mutex::new(state), freed: Notify::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, PaceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enter(&self) -> Permit<'_> {
        loop {
            let freed = self.freed.notified();
            let pause = {
                let mut state = self.state();
                let pause = state
                    .paused_until
                    .and_then(|until| until.checked_duration_since(Instant::now()))
                    .filter(|pause| !pause.is_zero());
                if pause.is_none() && f64::from(state.in_flight) < state.limit.max(1.0) {
                    state.in_flight += 1;
                    return Permit(self);
                }
                pause
            };
            match pause {
                Some(pause) => sleep(pause).await,
                None => freed.await,
            }
        }
    }

    fn succeeded(&self) {
        let mut state = self.state();
        state.limit = (state.limit + 1.0 / state.limit).min(self.most);
    }

    fn throttled(&self, after: Option<Duration>) {
        let mut state = self.state();
        let now = Instant::now();
        if state.cut.is_none_or(|cut| now.duration_since(cut) > SAME_EVENT) {
            state.limit = (state.limit * 2.0 / 3.0).max(1.0);
            state.cut = Some(now);
        }
        if let Some(after) = after {
            let until = now + after.min(Duration::from_mins(1));
            state.paused_until = Some(state.paused_until.map_or(until, |old| old.max(until)));
        }
    }
}

struct Permit<'a>(&'a Pace);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

/// How requests to one store are repeated. Clones share pace and budget.
#[derive(Clone, Debug)]
pub struct Policy {
    settings: RetrySettings,
    budget: Arc<Budget>,
    pace: Arc<Pace>,
}

impl Policy {
    /// A policy of its own pace, on the process's budget.
    pub fn new(settings: &RetrySettings, budget: Arc<Budget>) -> Self {
        Self { settings: settings.clone(), budget, pace: Arc::new(Pace::new(settings.concurrency)) }
    }

    /// Runs `request` until it succeeds, fails for good or has used up its tries. `bytes` are sent with it.
    pub async fn run<T, F>(
        &self,
        uri: &str,
        bytes: usize,
        mut request: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let limit =
            Duration::from_millis(self.settings.timeout_ms) + Duration::from_secs(bytes as u64 / SLOWEST);
        let mut tried = 0;
        loop {
            let permit = self.pace.enter().await;
            let answer = timeout(limit, request()).await;
            drop(permit);
            let error = match answer {
                Ok(Ok(value)) => {
                    self.pace.succeeded();
                    self.budget.earn();
                    return Ok(value);
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::Transient {
                    uri: uri.to_owned(),
                    what: format!("no answer in {} s", limit.as_secs()),
                },
            };
            tried += 1;
            self.pause(tried, error).await?;
        }
    }

    /// Waits before try number `tried + 1`, or gives the error back where there is none.
    async fn pause(&self, tried: u32, error: StoreError) -> Result<(), StoreError> {
        let mut after = None;
        if let StoreError::Throttled { after: asked, .. } = &error {
            self.pace.throttled(*asked);
            after = *asked;
        }
        if error.kind() != Kind::Retry || tried >= self.settings.attempts.max(1) {
            return Err(error);
        }
        tracing::debug!(error = %error, tried, "request failed, trying again");
        let longest = self
            .settings
            .base_ms
            .saturating_mul(1 << (tried - 1).min(20))
            .min(self.settings.cap_ms.max(self.settings.base_ms));
        let jittered = Duration::from_millis((longest as f64 * chance()) as u64);
        let wait = jittered.max(after.unwrap_or_default()) + self.budget.take();
        let throttled = matches!(error, StoreError::Throttled { .. });
        let count = if throttled { &self.budget.throttled } else { &self.budget.failed };
        count.fetch_add(1, Ordering::Relaxed);
        self.budget.waited_us.fetch_add(wait.as_micros() as u64, Ordering::Relaxed);
        sleep(wait).await;
        Ok(())
    }
}

/// A random number in [0, 1).
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pauses are merely regular.
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Retry {
    inner: Arc<dyn Store>,
    policy: Policy,
}

impl Retry {
    /// Repeats what fails in `inner`.
    pub fn new(inner: Arc<dyn Store>, policy: Policy) -> Self {
        Self { inner, policy }
    }
}

#[async_trait]
impl Store for Retry {
    fn uri(&self, key: &str) -> String {
        self.inner.uri(key)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.policy.run(&self.uri(key), 0, || self.inner.stat(key)).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let expected = range.as_ref().map_or(0, |range| range.end.saturating_sub(range.start)) as usize;
        // A range may be named far beyond the object's end.
        let expected = expected.min(1 << 30);
        self.policy.run(&self.uri(key), expected, || self.inner.get(key, range.clone())).await
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
        let open = || self.inner.read_version(key, range.clone(), version);
        let (first, version) = self.policy.run(&self.uri(key), 0, open).await?;
        Ok((resumed(self.clone(), key.to_owned(), range, first, version.clone()), version))
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        self.policy.run(&self.uri(key), data.len(), || self.inner.create(key, data.clone())).await
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.policy.run(&self.uri(key), data.len(), || self.inner.put(key, data.clone())).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        self.policy.run(&self.uri(key), 0, || self.inner.upload(key)).await
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        // A server may take its time to copy gigabytes.
        self.policy.run(&self.uri(to), 1 << 28, || self.inner.publish(from, to)).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.policy.run(&self.uri(prefix), 0, || self.inner.list_page(prefix, start_after, limit)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let uri = self.uri(keys.first().map_or("", String::as_str));
        self.policy.run(&uri, 0, || self.inner.delete(keys)).await
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        self.policy.run(&self.uri(prefix), 1 << 28, || self.inner.sweep(prefix, age)).await
    }
}

/// A stream that opens itself again where it was cut, and only the same version of the object.
fn resumed(
    store: Retry,
    key: String,
    range: Range<u64>,
    first: ByteStream,
    version: Option<String>,
) -> ByteStream {
    struct State {
        store: Retry,
        key: String,
        range: Range<u64>,
        version: Option<String>,
        pieces: ByteStream,
        /// Failures since the last byte.
        failures: u32,
    }
    let state = State { store, key, range, version, pieces: first, failures: 0 };
    let stalled = Duration::from_millis(state.store.policy.settings.timeout_ms);
    stream::unfold(Some(state), move |state| async move {
        let mut state = state?;
        loop {
            let error = match timeout(stalled, state.pieces.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(piece))) => {
                    state.range.start += piece.len() as u64;
                    state.failures = 0;
                    return Some((Ok(piece), Some(state)));
                }
                Ok(Some(Err(error))) => error,
                Err(_) => StoreError::Transient {
                    uri: state.store.uri(&state.key),
                    what: format!("no bytes in {} s", stalled.as_secs()),
                },
            };
            state.failures += 1;
            if let Err(error) = state.store.policy.pause(state.failures, error).await {
                return Some((Err(error), None));
            }
            if state.range.start >= state.range.end {
                return None;
            }
            let uri = state.store.uri(&state.key);
            let inner = &state.store.inner;
            let version = state.version.as_deref();
            let open = || inner.read_version(&state.key, state.range.clone(), version);
            match state.store.policy.run(&uri, 0, open).await {
                Ok((pieces, _)) => state.pieces = pieces,
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Faults, Faulty};
    use crate::meter::Op;
    use crate::store::memory::MemoryStore;

    fn stack(faults: &Arc<Faults>) -> Retry {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new("t"));
        let faulty = Arc::new(Faulty::new(memory, faults.clone()));
        let settings = RetrySettings { attempts: 4, ..RetrySettings::default() };
        Retry::new(faulty, Policy::new(&settings, Arc::new(Budget::new(100))))
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_repeated_and_denials_are_not() {
        let faults = Arc::new(Faults::default());
        let store = stack(&faults);
        store.put("a", Bytes::from_static(b"x")).await.unwrap();
        faults.on(Op::Get, 1, Fault::Fail);
        faults.on(Op::Get, 2, Fault::Throttle);
        assert_eq!(&store.get("a", None).await.unwrap()[..], b"x");
        faults.every(Op::Stat, Fault::Fail);
        assert_eq!(store.stat("a").await.unwrap_err().kind(), Kind::Retry);
        assert_eq!(faults.calls(Op::Stat), 4);
        assert_eq!(store.get("none", None).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(faults.calls(Op::Get), 4);
        assert_eq!(store.policy.budget.retries(), [("failed", 4), ("throttled", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_stream_goes_on_where_it_was_cut() {
        let faults = Arc::new(Faults::default());
        let store = stack(&faults);
        let data: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        store.put("a", data.clone().into()).await.unwrap();
        for nth in 1..=10 {
            faults.on(Op::Read, nth, Fault::Cut(100_000));
        }
        let mut got = Vec::new();
        let mut pieces = store.read("a", 7..data.len() as u64 + 99).await.unwrap();
        while let Some(piece) = pieces.next().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert!(got == data[7..]);
        assert_eq!(faults.calls(Op::Read), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_stream_does_not_go_on_with_another_version() {
        let faults = Arc::new(Faults::default());
        let store = stack(&faults);
        store.put("a", vec![1; 300_000].into()).await.unwrap();
        faults.on(Op::Read, 1, Fault::Cut(100_000));
        let mut pieces = store.read("a", 0..300_000).await.unwrap();
        assert!(pieces.next().await.unwrap().is_ok());
        store.put("a", vec![2; 300_000].into()).await.unwrap();
        let mut last = Ok(Bytes::new());
        while let Some(piece) = pieces.next().await {
            last = piece;
        }
        let error = last.unwrap_err();
        assert!(error.kind() == Kind::Corrupt && error.to_string().contains("was replaced"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_whose_answer_was_lost_is_found_to_exist() {
        let faults = Arc::new(Faults::default());
        let store = stack(&faults);
        faults.on(Op::Create, 1, Fault::LoseAnswer);
        assert_eq!(store.create("a", Bytes::from_static(b"mine")).await.unwrap(), Created::Exists);
        assert_eq!(&store.get("a", None).await.unwrap()[..], b"mine");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_narrows_and_success_widens() {
        let pace = Pace::new(64);
        for _ in 0..3 {
            pace.throttled(None);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let cut = pace.state().limit;
        assert!((18.0..20.0).contains(&cut), "{cut}");
        for _ in 0..100 {
            pace.succeeded();
        }
        assert!(pace.state().limit > cut + 2.0);
        pace.throttled(Some(Duration::from_secs(5)));
        let before = Instant::now();
        drop(pace.enter().await);
        assert!(before.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_budget_delays_retries() {
        let budget = Budget::new(10);
        let waits: Vec<Duration> = (0..4).map(|_| budget.take()).collect();
        assert_eq!(waits[..2], [Duration::ZERO; 2]);
        assert!(waits[2] > Duration::from_millis(200) && waits[3] > waits[2]);
    }
}
