//! Objects in memory, for unit tests and simulations.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};

use crate::error::StoreError;
use crate::store::{ByteStream, Created, Entry, Meta, Page, Store, Upload, clamp, replaced};

#[derive(Clone, Debug)]
struct Object {
    data: Bytes,
    version: u64,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    versions: u64,
}

impl Inner {
    fn insert(&mut self, key: &str, data: Bytes) -> Meta {
        self.versions += 1;
        let object = Object { data, version: self.versions };
        let meta = meta(&object);
        self.objects.insert(key.to_owned(), object);
        meta
    }
}

/// A map as an object store. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    name: String,
    inner: Arc<Mutex<Inner>>,
}

impl MemoryStore {
    /// An empty store, called `memory://name/…` in messages.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the map is half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, key: &str) -> Result<Object, StoreError> {
        let found = self.inner().objects.get(key).cloned();
        found.ok_or_else(|| StoreError::NotFound { uri: self.uri(key) })
    }
}

fn meta(object: &Object) -> Meta {
    Meta { size: object.data.len() as u64, tag: object.version.to_string(), modified_ms: None }
}

#[async_trait]
impl Store for MemoryStore {
    fn uri(&self, key: &str) -> String {
        format!("memory://{}/{key}", self.name)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.object(key).map(|object| meta(&object))
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let data = self.object(key)?.data;
        let size = data.len() as u64;
        let range = clamp(&range.unwrap_or(0..size), size);
        Ok(data.slice(range.start as usize..range.end as usize))
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
        const PIECE: usize = 64 << 10;
        let object = self.object(key)?;
        let now = object.version.to_string();
        if version.is_some_and(|version| version != now) {
            return Err(replaced(self.uri(key)));
        }
        let range = clamp(&range, object.data.len() as u64);
        let data = object.data.slice(range.start as usize..range.end as usize);
        let pieces = (0..data.len()).step_by(PIECE).map(move |at| {
            let end = (at + PIECE).min(data.len());
            Ok(data.slice(at..end))
        });
        Ok((stream::iter(pieces).boxed(), Some(now)))
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        let mut inner = self.inner();
        if inner.objects.contains_key(key) {
            return Ok(Created::Exists);
        }
        inner.insert(key, data);
        Ok(Created::New)
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.inner().insert(key, data);
        Ok(())
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(MemoryUpload { store: self.clone(), key: key.to_owned(), data: BytesMut::new() }))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        let data = self.object(from)?.data;
        Ok(self.inner().insert(to, data))
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let from = match start_after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let inner = self.inner();
        let mut found = inner
            .objects
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| Entry { key: key.clone(), meta: meta(object) });
        let entries = found.by_ref().take(limit).collect();
        let more = found.next().is_some();
        Ok(Page { entries, more })
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for key in keys {
            inner.objects.remove(key);
        }
        Ok(())
    }
}

struct MemoryUpload {
    store: MemoryStore,
    key: String,
    data: BytesMut,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.data.extend_from_slice(&data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Meta, StoreError> {
        Ok(self.store.inner().insert(&self.key, self.data.freeze()))
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        let store = Arc::new(MemoryStore::new("t"));
        crate::conformance::run(store.clone(), "a/b/").await;
        crate::conformance::listings_are_in_byte_order(store, "").await;
    }
}
