//! Objects in S3 and its compatibles.
//!
//! - The SDK does not retry here: [`crate::retry`] does, under one budget for the process. Parts of an upload are repeated one by one
//!   with the same policy, since only they can be.
//! - A conditional create is `PutObject` with `If-None-Match: *`. 412 means that the object exists, which may be this very call's work whose
//!   first answer was lost; 409 (two at once) is tried again.
//! - Uploads smaller than a part are one `PutObject`; larger ones are multipart. [`Store::sweep`] aborts those of killed processes.
//! - A read that goes on after a cut asks for the ETag that it began with (`If-Match`).
//! - What a failure means is read from status and error code, never from a message.

mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, ProvideCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::primitives::{ByteStream as Body, DateTime};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use tokio::sync::OnceCell;
use upload::S3Upload;

use crate::error::StoreError;
use crate::retry::Policy;
use crate::store::{ByteStream, Created, Entry, Meta, Page, Store, Upload, replaced};
use crate::stores::S3Settings;

/// The largest object that one CopyObject copies.
const COPY_WHOLE: u64 = 5 << 30;
/// Bytes of a copied part.
const COPY_PART: u64 = 512 << 20;
/// Keys of one DeleteObjects.
const DELETE_AT_ONCE: usize = 1000;

/// One client for all buckets of a process, connected at first use.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    settings: S3Settings,
    timeout: Duration,
    client: Arc<OnceCell<Client>>,
}

impl Clients {
    pub(crate) fn new(settings: S3Settings, timeout: Duration) -> Self {
        Self { settings, timeout, client: Arc::default() }
    }

    async fn get(&self, uri: &str) -> Result<&Client, StoreError> {
        self.client.get_or_try_init(|| self.connect(uri)).await
    }

    async fn connect(&self, uri: &str) -> Result<Client, StoreError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(self.timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &self.settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &self.settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if self.settings.anonymous {
            loader = loader.no_credentials();
        }
        if let Some(keys) = &self.settings.credentials {
            let keys = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "settings");
            loader = loader.credentials_provider(keys);
        }
        let config = loader.load().await;
        if !self.settings.anonymous {
            let found = match config.credentials_provider() {
                Some(provider) => provider.provide_credentials().await.map(drop).map_err(|e| e.to_string()),
                None => Err("nothing to take them from".to_owned()),
            };
            if let Err(why) = found {
                return Err(StoreError::Denied {
                    uri: uri.to_owned(),
                    why: format!(
                        "no credentials: {why}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role, \
                         or read public buckets anonymously"
                    ),
                });
            }
        }
        let endpoint_set = config.endpoint_url().is_some()
            || ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
        let mut s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(self.settings.path_style.unwrap_or(endpoint_set));
        if config.region().is_none() {
            s3 = s3.region(Region::new("us-east-1"));
        }
        Ok(Client::from_conf(s3.build()))
    }
}

/// A bucket. See the module.
#[derive(Clone, Debug)]
pub struct S3Store {
    clients: Clients,
    bucket: Arc<str>,
    policy: Policy,
}

impl S3Store {
    /// `policy` repeats the parts of uploads; everything else is repeated by the wrapper above.
    pub(crate) fn new(clients: Clients, bucket: &str, policy: Policy) -> Self {
        Self { clients, bucket: Arc::from(bucket), policy }
    }

    async fn client(&self, key: &str) -> Result<&Client, StoreError> {
        self.clients.get(&self.uri(key)).await
    }

    fn bucket(&self) -> String {
        self.bucket.to_string()
    }

    fn failed<E>(&self, key: &str, error: &SdkError<E>) -> StoreError
    where
        SdkError<E>: std::error::Error,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        failed(self.uri(key), error)
    }
}

/// What a failed request means.
fn failed<E>(uri: String, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(answer) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => {
                StoreError::Invalid { uri, why: format!("the request cannot be made: {}", chain(error)) }
            }
            _ => StoreError::Transient { uri, what: chain(error) },
        };
    };
    let raw = answer.raw();
    let status = raw.status().as_u16();
    let code = answer.err().code().unwrap_or_default().to_owned();
    let shown = match answer.err().meta().request_id() {
        Some(id) => format!("{status} {code}, request {id}"),
        None => format!("{status} {code}"),
    };
    let after =
        raw.headers().get("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    match (status, code.as_str()) {
        (503 | 429, _)
        | (
            _,
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests",
        ) => StoreError::Throttled { uri, why: shown, after },
        (409, _)
        | (408, _)
        | (_, "RequestTimeout" | "RequestTimeTooSkewed" | "InternalError" | "BadDigest" | "IncompleteBody") => {
            StoreError::Transient { uri, what: shown }
        }
        (404, _) | (_, "NoSuchKey" | "NoSuchBucket" | "NotFound") => StoreError::NotFound { uri },
        (401 | 403, _) | (_, "ExpiredToken" | "InvalidToken") => StoreError::Denied { uri, why: shown },
        (301 | 307, _) | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => StoreError::Invalid {
            uri,
            why: format!("the bucket is in another region ({shown}); set the region"),
        },
        (501, _) => StoreError::Invalid { uri, why: format!("the server cannot do that ({shown})") },
        (500..=599, _) => StoreError::Transient { uri, what: shown },
        _ => StoreError::Invalid { uri, why: format!("the server refuses the request ({shown})") },
    }
}

/// An error with what caused it: the SDK's own says only "dispatch failure".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn millis(at: &DateTime) -> Option<u64> {
    u64::try_from(at.to_millis().ok()?).ok()
}

fn meta(size: Option<i64>, tag: Option<&str>, modified: Option<&DateTime>) -> Meta {
    Meta {
        size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        tag: tag.unwrap_or_default().trim_matches('"').to_owned(),
        modified_ms: modified.and_then(millis),
    }
}

/// `Range` counts its last byte; an empty range cannot be asked for. A far end is left open: not every server takes numbers
/// over 2^63.
fn header(range: &Range<u64>) -> Option<String> {
    match range {
        _ if range.start >= range.end => None,
        _ if range.end > 1 << 62 => Some(format!("bytes={}-", range.start)),
        _ => Some(format!("bytes={}-{}", range.start, range.end - 1)),
    }
}

#[async_trait]
impl Store for S3Store {
    fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        let request = self.client(key).await?.head_object().bucket(self.bucket()).key(key);
        let answer = request.send().await.map_err(|error| self.failed(key, &error))?;
        Ok(meta(answer.content_length(), answer.e_tag(), answer.last_modified()))
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let mut pieces = match range {
            Some(range) => self.read(key, range).await?,
            None => self.fetch(key, 0, None, None).await?.0,
        };
        let mut data = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            data.extend_from_slice(&piece?);
        }
        Ok(data.freeze())
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
        if let Some(header) = header(&range) {
            return self.fetch(key, range.start, Some(header), version).await;
        }
        self.stat(key).await?;
        Ok((stream::empty().boxed(), None))
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        let request = self.client(key).await?.put_object().bucket(self.bucket()).key(key);
        match request.if_none_match("*").body(Body::from(data)).send().await {
            Ok(_) => Ok(Created::New),
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 412 => {
                Ok(Created::Exists)
            }
            Err(error) => Err(self.failed(key, &error)),
        }
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        self.put_whole(key, data).await.map(drop)
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        self.client(key).await?;
        Ok(Box::new(S3Upload::new(self.clone(), key)))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        let source = self.stat(from).await?;
        if source.size > COPY_WHOLE {
            self.copy_in_parts(from, to, source.size).await?;
        } else {
            let request = self.client(to).await?.copy_object().bucket(self.bucket()).key(to);
            let copied = request.copy_source(self.copy_source(from)).send().await;
            copied.map_err(|error| self.failed(to, &error))?;
        }
        self.stat(to).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = i32::try_from(limit.clamp(1, 1000)).unwrap_or(1000);
        let mut after = start_after.map(str::to_owned);
        loop {
            let request = self.client(prefix).await?.list_objects_v2().bucket(self.bucket()).prefix(prefix);
            let answer = request.max_keys(limit).set_start_after(after).send().await;
            let answer = answer.map_err(|error| self.failed(prefix, &error))?;
            let entries: Vec<Entry> = answer
                .contents()
                .iter()
                .filter_map(|object| {
                    let meta = meta(object.size(), object.e_tag(), object.last_modified());
                    // Some tools make an object of every folder.
                    let key = object.key().filter(|key| !key.ends_with('/'))?;
                    Some(Entry { key: key.to_owned(), meta })
                })
                .collect();
            let more = answer.is_truncated().unwrap_or(false);
            after = answer.contents().last().and_then(|object| object.key()).map(str::to_owned);
            // A page of nothing but folders is no end: who pages goes on from the last entry.
            if !entries.is_empty() || !more || after.is_none() {
                return Ok(Page { entries, more });
            }
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for some in keys.chunks(DELETE_AT_ONCE) {
            let Some(first) = some.first() else { continue };
            let client = self.client(first).await?;
            if some.len() == 1 {
                let request = client.delete_object().bucket(self.bucket()).key(first);
                match request.send().await.map_err(|error| self.failed(first, &error)) {
                    Ok(_) | Err(StoreError::NotFound { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            let invalid = |why: String| StoreError::Invalid { uri: self.uri(first), why };
            let mut objects = Vec::with_capacity(some.len());
            for key in some {
                let object = ObjectIdentifier::builder().key(key).build();
                objects.push(object.map_err(|error| invalid(error.to_string()))?);
            }
            let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
            let delete = delete.map_err(|error| invalid(error.to_string()))?;
            let request = client.delete_objects().bucket(self.bucket()).delete(delete);
            let answer = request.send().await.map_err(|error| self.failed(first, &error))?;
            for error in answer.errors() {
                let uri = self.uri(error.key().unwrap_or_default());
                match error.code().unwrap_or_default() {
                    "NoSuchKey" => {}
                    "SlowDown" => {
                        return Err(StoreError::Throttled { uri, why: "SlowDown".into(), after: None });
                    }
                    "AccessDenied" => return Err(StoreError::Denied { uri, why: "AccessDenied".into() }),
                    code => return Err(StoreError::Transient { uri, what: format!("not deleted: {code}") }),
                }
            }
        }
        Ok(())
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        let client = self.client(prefix).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = now.saturating_sub(age).as_millis();
        let (mut key_marker, mut id_marker) = (None, None);
        let mut swept = 0;
        loop {
            let request = client
                .list_multipart_uploads()
                .bucket(self.bucket())
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker);
            let answer = request.send().await.map_err(|error| self.failed(prefix, &error))?;
            for upload in answer.uploads() {
                let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
                let old = upload.initiated().and_then(millis).is_none_or(|at| u128::from(at) <= before);
                if old && key.starts_with(prefix) {
                    self.abort(key, id).await?;
                    swept += 1;
                }
            }
            if !answer.is_truncated().unwrap_or(false) {
                return Ok(swept);
            }
            key_marker = answer.next_key_marker().map(str::to_owned);
            id_marker = answer.next_upload_id_marker().map(str::to_owned);
        }
    }
}

impl S3Store {
    /// The object from `start` on; `range` is the header that says so. `version` is the ETag that it must have.
    async fn fetch(
        &self,
        key: &str,
        start: u64,
        range: Option<String>,
        version: Option<&str>,
    ) -> Result<(ByteStream, Option<String>), StoreError> {
        let request = self.client(key).await?.get_object().bucket(self.bucket()).key(key).set_range(range);
        let answer = match request.set_if_match(version.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 412 => {
                return Err(replaced(self.uri(key)));
            }
            // The range begins at or behind the object's end, if the object says so too: no bytes must be a fact.
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 416 => {
                let Meta { size, tag, .. } = self.stat(key).await?;
                if version.is_some_and(|version| version.trim_matches('"') != tag) {
                    return Err(replaced(self.uri(key)));
                }
                if start >= size {
                    return Ok((stream::empty().boxed(), None));
                }
                let why = format!("the server has no bytes from {start} on, though the object has {size}");
                return Err(StoreError::Invalid { uri: self.uri(key), why });
            }
            Err(error) => return Err(self.failed(key, &error)),
        };
        let uri = self.uri(key);
        let (now, body) = (answer.e_tag, answer.body);
        // Not every compatible server heeds the condition.
        if version.is_some() && now.as_deref() != version {
            return Err(replaced(uri));
        }
        let pieces = stream::unfold(Some((body, uri)), |state| async move {
            let (mut body, uri) = state?;
            match body.next().await? {
                Ok(piece) => Some((Ok(piece), Some((body, uri)))),
                Err(error) => Some((Err(StoreError::Transient { uri, what: chain(&error) }), None)),
            }
        });
        Ok((pieces.boxed(), now))
    }

    async fn put_whole(&self, key: &str, data: Bytes) -> Result<Meta, StoreError> {
        let size = data.len() as i64;
        let request = self.client(key).await?.put_object().bucket(self.bucket()).key(key);
        let answer = request.body(Body::from(data)).send().await.map_err(|error| self.failed(key, &error))?;
        Ok(meta(Some(size), answer.e_tag(), None))
    }

    async fn begin(&self, key: &str) -> Result<String, StoreError> {
        let request = self.client(key).await?.create_multipart_upload().bucket(self.bucket()).key(key);
        let answer = request.send().await.map_err(|error| self.failed(key, &error))?;
        let id = answer.upload_id().map(str::to_owned);
        id.ok_or_else(|| StoreError::Invalid {
            uri: self.uri(key),
            why: "the server began an upload without an id".into(),
        })
    }

    async fn send_part(
        &self,
        key: &str,
        id: &str,
        number: i32,
        data: Bytes,
    ) -> Result<CompletedPart, StoreError> {
        let request = self.client(key).await?.upload_part().bucket(self.bucket()).key(key);
        let request = request.upload_id(id).part_number(number).body(Body::from(data));
        let answer = request.send().await.map_err(|error| self.failed(key, &error))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme);
        Ok(part.build())
    }

    async fn complete(&self, key: &str, id: &str, parts: Vec<CompletedPart>) -> Result<Meta, StoreError> {
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client(key).await?.complete_multipart_upload().bucket(self.bucket()).key(key);
        let answer = request.upload_id(id).multipart_upload(upload).send().await;
        let answer = answer.map_err(|error| self.failed(key, &error))?;
        Ok(meta(None, answer.e_tag(), None))
    }

    async fn abort(&self, key: &str, id: &str) -> Result<(), StoreError> {
        let request = self.client(key).await?.abort_multipart_upload().bucket(self.bucket()).key(key);
        match request.upload_id(id).send().await.map_err(|error| self.failed(key, &error)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn copy_source(&self, key: &str) -> String {
        format!("{}/{}", self.bucket, escaped(key))
    }

    async fn copy_in_parts(&self, from: &str, to: &str, size: u64) -> Result<(), StoreError> {
        let id = self.begin(to).await?;
        let mut parts = Vec::new();
        let mut start = 0;
        while start < size {
            let end = size.min(start + COPY_PART);
            let number = parts.len() as i32 + 1;
            let request = self.client(to).await?.upload_part_copy().bucket(self.bucket()).key(to);
            let request = request
                .copy_source(self.copy_source(from))
                .set_copy_source_range(header(&(start..end)))
                .upload_id(&id)
                .part_number(number);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    let _ = self.abort(to, &id).await;
                    return Err(self.failed(to, &error));
                }
            };
            let tag = answer.copy_part_result().and_then(|part| part.e_tag()).map(str::to_owned);
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(tag).build());
            start = end;
        }
        self.complete(to, &id, parts).await.map(drop)
    }
}

/// A key as it stands in a URL.
fn escaped(key: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_for_copies() {
        assert_eq!(escaped("a/b c+ü%.gz"), "a/b%20c%2B%C3%BC%25.gz");
    }

    #[test]
    fn ranges_count_their_last_byte() {
        assert_eq!(header(&(0..1)).as_deref(), Some("bytes=0-0"));
        assert_eq!(header(&(5..5)), None);
        assert_eq!(header(&(5..u64::MAX)).as_deref(), Some("bytes=5-"));
    }
}
