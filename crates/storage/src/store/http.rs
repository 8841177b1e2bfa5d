//! Files of a web server, read by ranges. Common Crawl's `https://data.commoncrawl.org/` is the one that matters most.
//!
//! - Redirects are followed within the host only. Where they lead is for the server to say, and what a recipe may read was
//!   decided by the address it named: no server may send its readers into the network around them.
//! - A read that goes on after a cut asks for the version that it began with, by the ETag or else the date and size.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use crate::error::StoreError;
use crate::store::{ByteStream, Created, Meta, Page, Store, Upload, replaced};

/// Redirects followed.
const REDIRECTS: usize = 5;

/// The files of one host. See the module.
#[derive(Clone, Debug)]
pub struct HttpStore {
    origin: Arc<str>,
    client: Client,
}

/// One client for all hosts of a process. `anywhere`: see [`crate::Settings::redirects_anywhere`].
pub(crate) fn client(timeout: Duration, anywhere: bool) -> Result<Client, StoreError> {
    let redirects = redirect::Policy::custom(move |attempt| {
        let Some(from) = attempt.previous().last() else { return attempt.stop() };
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if is_same_host(from, attempt.url()) || (anywhere && attempt.url().scheme() == "https") {
            attempt.follow()
        } else {
            // The rest of an address may hold a signature, which is nobody's to see.
            let to = attempt.url().origin().ascii_serialization();
            attempt.error(format!("it redirects to another host, {to}; name the address there itself"))
        }
    });
    Client::builder()
        .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(timeout)
        .redirect(redirects)
        .build()
        .map_err(|error| StoreError::Invalid { uri: "https://".into(), why: chain(&error) })
}

/// Whether a redirect stays where it was; plain http may become https.
fn is_same_host(from: &Url, to: &Url) -> bool {
    let upgrades = from.scheme() == "http"
        && to.scheme() == "https"
        && (from.port_or_known_default(), to.port_or_known_default()) == (Some(80), Some(443));
    from.host() == to.host() && (from.origin() == to.origin() || upgrades)
}

impl HttpStore {
    /// `origin` is scheme, host and port.
    pub(crate) fn new(client: Client, origin: &str) -> Self {
        Self { origin: Arc::from(origin), client }
    }

    fn read_only<T>(&self, key: &str) -> Result<T, StoreError> {
        let why = "a web address can only be read; write to a path or to s3://".to_owned();
        Err(StoreError::Invalid { uri: self.uri(key), why })
    }

    async fn answer(
        &self,
        key: &str,
        method: reqwest::Method,
        range: Option<&Range<u64>>,
        version: Option<&str>,
    ) -> Result<Response, StoreError> {
        let uri = self.uri(key);
        let mut request = self.client.request(method, &uri).header(header::ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            // A far end is left open: not every server takes numbers over 2^63.
            let last = match range.end {
                end if end > 1 << 62 => String::new(),
                end => end.saturating_sub(1).max(range.start).to_string(),
            };
            request = request.header(header::RANGE, format!("bytes={}-{last}", range.start));
        }
        // Of another version the whole is sent, which is seen. A weak ETag cannot be asked for.
        if let Some(etag) = version.filter(|version| version.starts_with('"')) {
            request = request.header(header::IF_RANGE, etag);
        }
        request.send().await.map_err(|error| unanswered(uri, &error))
    }
}

/// A request without an answer.
fn unanswered(uri: String, error: &reqwest::Error) -> StoreError {
    if error.is_builder() || error.is_redirect() {
        return StoreError::Invalid { uri, why: chain(error) };
    }
    StoreError::Transient { uri, what: chain(error) }
}

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

/// What an answer's status means; `None` if it is good.
fn refused(uri: &str, status: StatusCode, headers: &HeaderMap) -> Option<StoreError> {
    if status.is_success() {
        return None;
    }
    let (uri, why) = (uri.to_owned(), status.to_string());
    let after = text(headers, header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
    Some(match status.as_u16() {
        429 | 503 => StoreError::Throttled { uri, why, after: after.map(Duration::from_secs) },
        404 | 410 => StoreError::NotFound { uri },
        // Common Crawl's CDN answers 403 both for what is missing and, at times, for too many requests.
        401 | 403 | 407 | 451 => StoreError::Denied { uri, why },
        408 | 425 | 500..=599 => StoreError::Transient { uri, what: why },
        _ => StoreError::Invalid { uri, why: format!("the server refuses the request ({why})") },
    })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn meta(size: u64, headers: &HeaderMap) -> Meta {
    let tag = text(headers, header::ETAG)
        .map(|tag| tag.trim_matches('"').to_owned())
        .or_else(|| text(headers, header::LAST_MODIFIED).map(|at| format!("{at} {size}")))
        .unwrap_or_else(|| size.to_string());
    Meta { size, tag, modified_ms: None }
}

/// What tells the version of a file from others: its ETag, or else what there is.
fn version(size: Option<u64>, headers: &HeaderMap) -> String {
    match text(headers, header::ETAG) {
        Some(etag) => etag.to_owned(),
        None => meta(size.unwrap_or_default(), headers).tag,
    }
}

/// The size behind the slash of `Content-Range: bytes 0-0/1234`.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_RANGE)?.rsplit_once('/')?.1.trim().parse().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.trim().parse().ok()
}

#[async_trait]
impl Store for HttpStore {
    fn uri(&self, key: &str) -> String {
        format!("{}/{key}", self.origin)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        let uri = self.uri(key);
        let head = self.answer(key, reqwest::Method::HEAD, None, None).await?;
        if head.status().is_success()
            && let Some(size) = content_length(head.headers())
        {
            return Ok(meta(size, head.headers()));
        }
        // Some servers do not answer HEAD, or not with a size: the first byte's answer has it.
        let first = self.answer(key, reqwest::Method::GET, Some(&(0..1)), None).await?;
        if first.status() == StatusCode::RANGE_NOT_SATISFIABLE && whole_size(first.headers()) == Some(0) {
            return Ok(meta(0, first.headers()));
        }
        if let Some(error) = refused(&uri, first.status(), first.headers()) {
            return Err(error);
        }
        let size = match first.status() {
            StatusCode::PARTIAL_CONTENT => whole_size(first.headers()),
            _ => content_length(first.headers()),
        };
        match size {
            Some(size) => Ok(meta(size, first.headers())),
            None => Err(StoreError::Invalid {
                uri,
                why: "the server does not say how large the file is; download it first".into(),
            }),
        }
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let mut pieces = match range {
            Some(range) => self.read(key, range).await?,
            None => {
                let answer = self.answer(key, reqwest::Method::GET, None, None).await?;
                match refused(&self.uri(key), answer.status(), answer.headers()) {
                    Some(error) => return Err(error),
                    None => body(self.uri(key), answer, u64::MAX),
                }
            }
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
        if range.start >= range.end {
            self.stat(key).await?;
            return Ok((stream::empty().boxed(), None));
        }
        let uri = self.uri(key);
        let answer = self.answer(key, reqwest::Method::GET, Some(&range), version).await?;
        let size = match answer.status() {
            StatusCode::PARTIAL_CONTENT => whole_size(answer.headers()),
            _ => content_length(answer.headers()),
        };
        let now = self::version(size, answer.headers());
        if answer.status().is_success() && version.is_some_and(|version| version != now) {
            return Err(replaced(uri));
        }
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => Ok((body(uri, answer, range.end - range.start), Some(now))),
            // No bytes must be a fact: the file's size has to say so too.
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let found = self.stat(key).await?;
                if version.is_some_and(|version| version.trim_matches('"') != found.tag) {
                    return Err(replaced(uri));
                }
                if range.start >= found.size {
                    return Ok((stream::empty().boxed(), None));
                }
                let (start, size) = (range.start, found.size);
                let why = format!("the server has no bytes from {start} on, though the file has {size}");
                Err(StoreError::Invalid { uri, why })
            }
            // The whole file: of use only from its start.
            StatusCode::OK if range.start == 0 => Ok((body(uri, answer, range.end), Some(now))),
            StatusCode::OK => Err(StoreError::Invalid {
                uri,
                why: "the server does not answer range requests; download the file first".into(),
            }),
            status => Err(refused(&uri, status, answer.headers())
                .unwrap_or(StoreError::Invalid { uri, why: format!("an unexpected answer: {status}") })),
        }
    }

    async fn create(&self, key: &str, _: Bytes) -> Result<Created, StoreError> {
        self.read_only(key)
    }

    async fn put(&self, key: &str, _: Bytes) -> Result<(), StoreError> {
        self.read_only(key)
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        self.read_only(key)
    }

    async fn publish(&self, _: &str, to: &str) -> Result<Meta, StoreError> {
        self.read_only(to)
    }

    async fn list_page(&self, prefix: &str, _: Option<&str>, _: usize) -> Result<Page, StoreError> {
        Err(StoreError::Invalid {
            uri: self.uri(prefix),
            why: "a web server cannot be listed; name the files, or a file that lists them".into(),
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.read_only(keys.first().map_or("", String::as_str))
    }
}

/// The body of an answer, at most `most` bytes of it.
fn body(uri: String, answer: Response, most: u64) -> ByteStream {
    let pieces = stream::unfold(Some((answer, uri, most)), |state| async move {
        let (mut answer, uri, left) = state?;
        if left == 0 {
            return None;
        }
        match answer.chunk().await {
            Ok(None) => None,
            Ok(Some(piece)) => {
                let n = (piece.len() as u64).min(left);
                Some((Ok(piece.slice(..n as usize)), Some((answer, uri, left - n))))
            }
            Err(error) => Some((Err(StoreError::Transient { uri, what: chain(&error) }), None)),
        }
    });
    pieces.boxed()
}
