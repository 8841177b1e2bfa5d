//! The right store for a URI, made once and shared.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::StoreError;
use crate::meter::{Meter, Metered};
#[cfg(any(feature = "s3", feature = "https"))]
use crate::retry::Retry;
use crate::retry::{Budget, Policy};
use crate::store::Store;
use crate::store::file::FileStore;
use crate::store::memory::MemoryStore;
use crate::uri::Uri;

/// How stores are reached. What is not set comes from the standard `AWS_*` variables and files.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// S3 and its compatibles.
    pub s3: S3Settings,
    /// How often and how patiently failed requests are repeated.
    pub retry: RetrySettings,
    /// Follow redirects of web servers to any other host, by https. A service that reads what others name must not: an
    /// address that it may read could lead it to one that it may not.
    pub redirects_anywhere: bool,
}

/// How S3 is reached.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Settings {
    /// Another server than AWS: `http://127.0.0.1:8333`.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where nothing says otherwise.
    pub region: Option<String>,
    /// `endpoint/bucket/key` in place of `bucket.endpoint/key`. Default: where an endpoint is set.
    pub path_style: Option<bool>,
    /// Send no credentials: public buckets only.
    pub anonymous: bool,
    /// Keys given by the program itself in place of the standard chain. Never read from or written to settings files.
    #[serde(skip)]
    pub credentials: Option<Credentials>,
}

/// An S3 key pair. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// How failed requests are repeated.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Tries of one request, the first included.
    pub attempts: u32,
    /// The first pause in milliseconds; it doubles with each try, and a random part of it is waited.
    pub base_ms: u64,
    /// The longest pause in milliseconds.
    pub cap_ms: u64,
    /// Retries that the whole process may have in hand; successes earn them back.
    pub budget: u32,
    /// Requests in flight to one store at most; fewer once it asks to slow down.
    pub concurrency: u32,
    /// How long one try may take before its first byte, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { attempts: 10, base_ms: 100, cap_ms: 20_000, budget: 500, concurrency: 64, timeout_ms: 60_000 }
    }
}

impl RetrySettings {
    #[cfg_attr(not(any(feature = "s3", feature = "https")), allow(dead_code))]
    pub(crate) fn timeout(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.timeout_ms)
    }
}

/// Opens stores. Clones share clients and limits.
#[derive(Clone, Debug)]
pub struct Stores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    meter: Arc<Meter>,
    budget: Arc<Budget>,
    #[cfg(feature = "s3")]
    s3: crate::store::s3::Clients,
    /// By scheme and bucket or host.
    open: Mutex<BTreeMap<String, Arc<dyn Store>>>,
}

impl Stores {
    /// No connection is made before a store is used.
    pub fn new(settings: Settings) -> Self {
        let inner = Inner {
            meter: Arc::default(),
            budget: Arc::new(Budget::new(settings.retry.budget)),
            #[cfg(feature = "s3")]
            s3: crate::store::s3::Clients::new(settings.s3.clone(), settings.retry.timeout()),
            open: Mutex::default(),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What all stores were asked so far.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }

    /// The account of what was tried again.
    pub(crate) fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// Puts a store of one's own in place of the one that `uri` would open, for its whole bucket, host or memory: a faulty one
    /// in tests.
    pub fn replace(&self, uri: &Uri, store: Arc<dyn Store>) -> Result<(), StoreError> {
        let (name, _) = place(uri)?;
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).insert(name, store);
        Ok(())
    }

    /// The store that holds `uri`, and the key (or prefix) under which it is there.
    pub fn open(&self, uri: &Uri) -> Result<(Arc<dyn Store>, String), StoreError> {
        let (name, key) = place(uri)?;
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&name) {
            return Ok((store.clone(), key));
        }
        let store = self.inner.connect(uri)?;
        open.insert(name, store.clone());
        Ok((store, key))
    }
}

/// The name of the store that holds `uri`, and the key there.
fn place(uri: &Uri) -> Result<(String, String), StoreError> {
    Ok(match uri {
        Uri::File(path) => {
            let absolute = std::path::absolute(path)
                .map_err(|error| StoreError::from_io(&path.display().to_string(), &error))?;
            ("file:".to_owned(), file_key(&absolute)?)
        }
        Uri::S3 { bucket, key } => (format!("s3://{bucket}"), key.clone()),
        Uri::Http { origin, path } => (origin.clone(), path.clone()),
        Uri::Memory { name, key } => (format!("memory://{name}"), key.clone()),
    })
}

impl Inner {
    fn connect(&self, uri: &Uri) -> Result<Arc<dyn Store>, StoreError> {
        match uri {
            Uri::File(_) => Ok(self.metered(Arc::new(FileStore::new("/")))),
            Uri::Memory { name, .. } => Ok(self.metered(Arc::new(MemoryStore::new(name)))),
            #[cfg(feature = "s3")]
            Uri::S3 { bucket, .. } => {
                // One pace for the parts of uploads and all else that goes to the bucket.
                let policy = self.policy();
                let store = crate::store::s3::S3Store::new(self.s3.clone(), bucket, policy.clone());
                Ok(Arc::new(Retry::new(self.metered(Arc::new(store)), policy)))
            }
            #[cfg(feature = "https")]
            Uri::Http { origin, .. } => {
                let client = crate::store::http::client(
                    self.settings.retry.timeout(),
                    self.settings.redirects_anywhere,
                )?;
                let store = crate::store::http::HttpStore::new(client, origin);
                Ok(Arc::new(Retry::new(self.metered(Arc::new(store)), self.policy())))
            }
            #[allow(unreachable_patterns, reason = "reached in builds without the clients")]
            _ => Err(StoreError::Invalid {
                uri: uri.to_string(),
                why: "this build has no client for it; build with the features s3 and https".into(),
            }),
        }
    }

    fn metered(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Metered::new(store, self.meter.clone()))
    }

    #[cfg_attr(not(any(feature = "s3", feature = "https")), allow(dead_code))]
    fn policy(&self) -> Policy {
        Policy::new(&self.settings.retry, self.budget.clone())
    }
}

/// The key of a path in the store of all files: without the leading slash, `.` and `..` resolved by name.
fn file_key(absolute: &Path) -> Result<String, StoreError> {
    let mut parts: Vec<&str> = Vec::new();
    for part in absolute.components() {
        match part {
            std::path::Component::Normal(name) => {
                let name = name.to_str().ok_or_else(|| StoreError::Invalid {
                    uri: absolute.display().to_string(),
                    why: "the path is not UTF-8; rename it".into(),
                })?;
                parts.push(name);
            }
            std::path::Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    Ok(parts.join("/"))
}
