//! An object that is sent to S3 in parts.
//!
//! A few parts are on their way at once, each repeated by itself until it is stored. Below one part's size nothing but a `PutObject` is
//! sent. Dropping an upload aborts it, where a runtime is left to do so.

use std::pin::Pin;

use async_trait::async_trait;
use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::S3Store;
use crate::error::StoreError;
use crate::store::{Meta, Store, Upload};

/// Bytes of a part. S3 wants 5 MiB at least and takes 10,000 parts.
const PART: usize = 8 << 20;
/// From this part on they are larger, so that 10,000 reach S3's 5 TiB.
const LARGER_FROM: i32 = 2000;
/// Bytes of the later parts.
const LARGER_PART: usize = 64 << 20;
/// Parts sent at once.
const PARTS_IN_FLIGHT: usize = 3;

/// See the module.
pub(super) struct S3Upload {
    store: S3Store,
    key: String,
    /// Set once the first part is sent.
    id: Option<String>,
    buffer: BytesMut,
    next_part: i32,
    size: u64,
    sending: JoinSet<Result<CompletedPart, StoreError>>,
    sent: Vec<CompletedPart>,
}

impl S3Upload {
    pub(super) fn new(store: S3Store, key: &str) -> Self {
        Self {
            store,
            key: key.to_owned(),
            id: None,
            buffer: BytesMut::new(),
            next_part: 1,
            size: 0,
            sending: JoinSet::new(),
            sent: Vec::new(),
        }
    }

    async fn send(&mut self, data: Bytes) -> Result<(), StoreError> {
        while self.sending.len() >= PARTS_IN_FLIGHT {
            self.receive().await?;
        }
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let uri = self.store.uri(&self.key);
                let id = self.store.policy.run(&uri, 0, || self.store.begin(&self.key)).await?;
                self.id.insert(id).clone()
            }
        };
        let number = self.next_part;
        self.next_part += 1;
        let (store, key) = (self.store.clone(), self.key.clone());
        self.sending.spawn(async move {
            let (uri, len) = (store.uri(&key), data.len());
            store.policy.run(&uri, len, || store.send_part(&key, &id, number, data.clone())).await
        });
        Ok(())
    }

    /// Waits for a part to be stored.
    async fn receive(&mut self) -> Result<(), StoreError> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(part)) => {
                self.sent.push(part?);
                Ok(())
            }
            Some(Err(_)) => Err(StoreError::Transient {
                uri: self.store.uri(&self.key),
                what: "the runtime is shutting down".into(),
            }),
        }
    }

    fn part_len(&self) -> usize {
        if self.next_part > LARGER_FROM { LARGER_PART } else { PART }
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.size += data.len() as u64;
        self.buffer.extend_from_slice(&data);
        while self.buffer.len() >= self.part_len() {
            let part = self.buffer.split_to(self.part_len()).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Meta, StoreError> {
        let uri = self.store.uri(&self.key);
        let rest = self.buffer.split().freeze();
        if self.id.is_none() {
            let (store, key) = (self.store.clone(), self.key.clone());
            return store.policy.run(&uri, rest.len(), || store.put_whole(&key, rest.clone())).await;
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while !self.sending.is_empty() {
            self.receive().await?;
        }
        let Some(id) = self.id.clone() else { return self.store.stat(&self.key).await };
        let mut parts = std::mem::take(&mut self.sent);
        parts.sort_unstable_by_key(CompletedPart::part_number);
        let (store, key, size) = (self.store.clone(), self.key.clone(), self.size);
        let answer = store.policy.run(&uri, 1 << 28, || store.complete(&key, &id, parts.clone())).await;
        let meta = match answer {
            Ok(meta) => Meta { size, ..meta },
            // The answer to an earlier try may have been lost: then the upload is gone and the object there.
            Err(StoreError::NotFound { .. }) => match store.stat(&key).await {
                Ok(meta) if meta.size == size => meta,
                _ => {
                    return Err(StoreError::Transient { uri, what: "the server lost the upload".into() });
                }
            },
            Err(error) => return Err(error),
        };
        self.id = None;
        Ok(meta)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), StoreError> {
        self.sending.shutdown().await;
        match self.id.take() {
            Some(id) => self.store.abort(&self.key, &id).await,
            None => Ok(()),
        }
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // Outside of a runtime the upload is left for `sweep`.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, key) = (self.store.clone(), self.key.clone());
        let mut sending = std::mem::take(&mut self.sending);
        let abort: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            sending.shutdown().await;
            let _ = store.abort(&key, &id).await;
        });
        runtime.spawn(abort);
    }
}
