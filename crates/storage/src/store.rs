//! The one boundary to object storage.
//!
//! A [`Store`] holds immutable objects by key. What it promises, and [`crate::conformance`] checks of every
//! implementation: an object is visible whole or not at all; of many `create`s of one key exactly one answers
//! [`Created::New`]; a listing gives each key once, in an order that stays the same. That is byte order of the key with files,
//! memory and AWS; some compatibles (SeaweedFS) order folder by folder, so who needs an order sorts.
//!
//! The stack, from the outside in: [`crate::retry::Retry`] (tries again, resumes cut reads, paces) above
//! [`crate::meter::Metered`] (counts every attempt) above [`crate::fault::Faulty`] (tests only) above the store
//! itself. Retry is above metering so that each attempt is counted, and faults are below both so that they are met
//! as real ones are.

pub mod file;
#[cfg(feature = "https")]
pub mod http;
pub mod memory;
#[cfg(feature = "s3")]
pub mod s3;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::error::StoreError;

/// Bytes as they come in.
pub type ByteStream = BoxStream<'static, Result<Bytes, StoreError>>;

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Stored size in bytes.
    pub size: u64,
    /// Changes when the object does: the ETag, or a file's time of change and length.
    pub tag: String,
    /// When it was last written, in milliseconds since 1970, where the store says.
    pub modified_ms: Option<u64>,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// What the listing says of it.
    pub meta: Meta,
}

/// Part of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the store's order: see the module.
    pub entries: Vec<Entry>,
    /// Whether more follows; go on with the last key as `start_after`.
    pub more: bool,
}

/// Who won a conditional create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// This call created the object.
    New,
    /// The object was there. It may be this very call's, whose first answer was lost: read it back and compare.
    Exists,
}

/// Objects by key. Keys have no leading slash.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// How `key` is called in messages.
    fn uri(&self, key: &str) -> String;

    /// Size and version of an object.
    async fn stat(&self, key: &str) -> Result<Meta, StoreError>;

    /// An object's bytes, or those of a range (cut at the object's end). For small or bounded reads.
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError>;

    /// The bytes of a range (cut at the object's end) as a stream of bounded pieces. A stream that ends early ends in
    /// an error.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, StoreError>;

    /// The same, and a name for the version that the bytes are of. With a name that an earlier read gave, the bytes are of that
    /// version or there is an error ([`StoreError::Corrupt`]), so that a read that goes on after a cut never mixes two. Stores
    /// whose reads are not cut need no names.
    async fn read_version(
        &self,
        key: &str,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<(ByteStream, Option<String>), StoreError> {
        let _ = version;
        Ok((self.read(key, range).await?, None))
    }

    /// Creates an object if there is none of that key.
    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError>;

    /// Writes an object whole, replacing one that was there.
    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError>;

    /// Begins an object that is written in pieces and visible only when finished.
    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError>;

    /// Makes `to` hold what `from` holds, without the bytes coming here. May be repeated. `from` stays.
    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError>;

    /// Up to `limit` objects whose key begins with `prefix`, after `start_after`. A store may answer with fewer.
    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// Deletes objects; one that is not there counts as deleted.
    async fn delete(&self, keys: &[String]) -> Result<(), StoreError>;

    /// Removes what killed writers left behind below `prefix` and is older than `age`: temporary files, unfinished
    /// multipart uploads. Answers how many.
    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        let _ = (prefix, age);
        Ok(0)
    }
}

/// An object being written. Dropping it aborts it.
#[async_trait]
pub trait Upload: Send {
    /// Adds bytes. Waits when too much is in flight.
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError>;

    /// Makes the object visible, replacing one that was there.
    async fn finish(self: Box<Self>) -> Result<Meta, StoreError>;

    /// Throws away what was written.
    async fn abort(self: Box<Self>) -> Result<(), StoreError>;
}

/// Asked of stores at once. S3 answers with 1,000 at most; files are cheaper in large pages.
const PAGE: usize = 50_000;

/// All objects whose key begins with `prefix`, in the store's order, after `start_after`; one page in memory at a time.
pub fn list(
    store: Arc<dyn Store>,
    prefix: &str,
    start_after: Option<&str>,
) -> BoxStream<'static, Result<Entry, StoreError>> {
    struct State {
        store: Arc<dyn Store>,
        prefix: String,
        after: Option<String>,
        done: bool,
    }
    let state =
        State { store, prefix: prefix.to_owned(), after: start_after.map(str::to_owned), done: false };
    stream::unfold(state, |mut state| async move {
        if state.done {
            return None;
        }
        let page = state.store.list_page(&state.prefix, state.after.as_deref(), PAGE).await;
        let entries = match page {
            Ok(page) => {
                state.done = !page.more;
                if let Some(last) = page.entries.last() {
                    state.after = Some(last.key.clone());
                }
                page.entries.into_iter().map(Ok).collect()
            }
            Err(error) => {
                state.done = true;
                vec![Err(error)]
            }
        };
        Some((stream::iter(entries), state))
    })
    .flatten()
    .boxed()
}

/// Part of an object was read, and the rest is of another version.
pub(crate) fn replaced(uri: String) -> StoreError {
    StoreError::Corrupt { uri, why: "it was replaced while it was being read".to_owned() }
}

/// `range` cut at `size`.
pub(crate) fn clamp(range: &Range<u64>, size: u64) -> Range<u64> {
    let end = range.end.min(size);
    range.start.min(end)..end
}
