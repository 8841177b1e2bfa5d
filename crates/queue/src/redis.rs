//! A queue for a cluster, on Redis (7 or later) or Valkey: Streams with a consumer group per priority.
//!
//! # Keys
//! All begin with the hash tag of [`Settings::prefix`], so that they share a slot wherever slots matter. One server
//! is spoken to, or whatever a name or proxy makes look like one; Sentinel's and Cluster's protocols are not.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `{gristmill}:task:<id>` | hash | the task: `j`ob, `c`lass, `p`ayload, `s`tate, `n` deliveries, `f`ailures, `e`ntry of its present delivery, `at` of the claim, progress `m`, `w`hy it failed |
//! | `{gristmill}:ready:<class>` | stream, group `workers` | one line per priority; entries name tasks. Not delivered: ready. Pending: leased |
//! | `{gristmill}:delayed` | sorted set | ids by the millisecond in which they are due |
//! | `{gristmill}:job:<job>` | set | ids of a job, in any state |
//! | `{gristmill}:dead:<job>` | sorted set | ids of its dead letters |
//! | `{gristmill}:counts` | hash | how many are in which state, by class |
//! | `{gristmill}:notices` | stream | who ended; the last [`Settings::notices_kept`] or some more |
//! | `{gristmill}:meta` | hash | this life of the queue, number of the last notice, kept entries (below) |
//!
//! # Protocol
//! Several keys change together in scripts (`scripts/*.lua`), so each arrow of [`crate::lifecycle`] is atomic.
//! - **Claim**: a script looks through the classes in turn. If there is nothing, `XREADGROUP … BLOCK` waits on all
//!   three, for at most a few seconds at a time; what it delivers is accepted by a second script. Tasks that became
//!   due are made ready by whoever claims or expires next.
//! - **Lease**: the pending list is who holds what, idle time is since when. A heartbeat claims its own entry again,
//!   `XAUTOCLAIM` finds the stale. Redis's clock judges, never a worker's.
//! - **Every delivery has its own stream entry**: going back to ready means a new entry at the end of the line. So the
//!   entry's id is the fence, and a late holder finds that the entry is not its own any more.
//! - **Removing** a task deletes its hash; an entry without a hash is a ghost and dropped by who meets it.
//!
//! # Memory, and what autoscalers read
//! Entries are deleted as soon as they are over, else one long attempt would pin all that ended after it. But a
//! deleted entry at or behind the group's last delivered one makes the server answer `lag: null` (its count of what
//! was read is then a guess), and `lag` is what scales workers up from zero. So the last delivered entry stays, one
//! per line, until a later one has been delivered: `lag` is then always exact: ready tasks and ghosts.
//! Some 400 bytes per task plus its payload, nothing for finished ones but their notices.
//!
//! # Rights
//! A user needs `~{gristmill}*` (with the prefix) and `+evalsha +script|load +info +time +exists +del +hset +hget
//! +hmget +hdel +hincrby +sadd +srem +sscan +zadd +zrem +zrange +xadd +xack +xdel +xgroup +xinfo +xpending +xclaim
//! +xautoclaim +xrange +xread +xreadgroup`.
//!
//! # How it fails
//! - Redis unreachable, loading, failing over: calls wait and reconnect with backoff for [`RedisOptions::patience`],
//!   then answer [`Error::Unavailable`]. The next call tries again, for ever.
//! - Redis wiped (`FLUSHALL`, restart without persistence): lines are made again by whoever comes first; holders see
//!   `Lost`; the coordinator enqueues again what [`crate::Producer::live`] does not know.
//! - Redis restarted with its data: idle times ran on meanwhile, so nothing expires until it has been up, and this
//!   coordinator connected, for one lease: holders get the chance to be heard.
//! - An answer lost on the way: repeated calls are answered as said in [`crate::roles`]; a claim whose answer was lost
//!   is found by the same consumer's next claim, as the same attempt.
//! - Redis full: enqueueing waits; claims, finishes and failures go on (a script whose first write needs no memory is
//!   let through), so the queue drains.
//! - `maxmemory` must go with `noeviction`; an evicted key is a lost one, as after a wipe.

mod consumer;
mod link;
mod producer;
mod reply;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, TlsCertificates,
};

pub use consumer::RedisConsumer;
use link::Link;
use scripts::Scripts;

use crate::{Error, Result, Settings};

/// How to reach Redis. `Debug` shows no secrets.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user[:password]@]host[:port][/db]`, `rediss://…` for TLS, or `unix:///path`.
    pub url: String,
    /// Instead of the URL's.
    pub username: Option<String>,
    /// Instead of the URL's.
    pub password: Option<String>,
    /// Whom to trust, in PEM, instead of the system's certificate authorities.
    pub ca_pem: Option<Vec<u8>>,
    /// Certificate and key of this client, in PEM, for servers that ask for one.
    pub client_pem: Option<(Vec<u8>, Vec<u8>)>,
    /// How long a call waits for an unreachable Redis before it answers `Unavailable`. Default 60 s.
    pub patience: Duration,
}

impl RedisOptions {
    /// Just a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            ca_pem: None,
            client_pem: None,
            patience: Duration::from_mins(1),
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// The coordinator's side of a queue on Redis; [`RedisQueue::consumer`] makes a worker's.
pub struct RedisQueue {
    shared: Arc<Shared>,
    /// For all that answers at once.
    link: Link,
    /// For waiting. A blocked connection delays every command behind it, so it has its own.
    waiting: Link,
    swept: std::sync::Mutex<Option<tokio::time::Instant>>,
}

struct Shared {
    settings: Settings,
    scripts: Scripts,
    client: Client,
    /// Host and port, for messages.
    server: String,
    patience: Duration,
    /// `{prefix}`.
    tag: String,
}

impl RedisQueue {
    /// The queue at `options`. Does not connect yet: a Redis that is not up yet is waited for by the first call.
    /// `seed` decides jitter.
    pub fn new(settings: Settings, options: &RedisOptions, seed: u64) -> Result<Self> {
        settings.validate()?;
        let (client, server) = client(options)?;
        let tag = format!("{{{}}}", settings.prefix);
        let scripts = Scripts::new();
        let shared = Arc::new(Shared { settings, scripts, client, server, patience: options.patience, tag });
        let link = Link::shared(&shared, seed);
        let waiting = Link::exclusive(&shared, seed.rotate_left(32));
        Ok(Self { shared, link, waiting, swept: std::sync::Mutex::new(None) })
    }

    /// A worker's side with connections of its own. `name` is shown in [`crate::Running::holder`]; `seed` decides
    /// jitter and makes the name unique, so it must differ between workers and between lives of a worker.
    pub fn consumer(&self, name: &str, seed: u64) -> Result<RedisConsumer> {
        RedisConsumer::new(&self.shared, name, seed)
    }

    /// The rules that the queue was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}

fn client(options: &RedisOptions) -> Result<(Client, String)> {
    // Parser messages may quote their input, and the input holds a password: say only what to write.
    let invalid = || {
        Error::Invalid("the redis URL must look like redis://host:port, rediss://user:password@host:port or unix:///path".to_owned())
    };
    let info = options.url.as_str().into_connection_info().map_err(|_| invalid())?;
    let mut login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    if let Some(username) = &options.username {
        login = login.set_username(username);
    }
    if let Some(password) = &options.password {
        login = login.set_password(password);
    }
    let server = info.addr().to_string();
    let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let info = info.set_redis_settings(login);
    if !tls {
        if options.ca_pem.is_some() || options.client_pem.is_some() {
            return Err(Error::Invalid(
                "certificates are given, but the redis URL is not rediss://".to_owned(),
            ));
        }
        return Ok((Client::open(info).map_err(|_| invalid())?, server));
    }
    // rustls wants one process-wide provider; whoever comes first sets it, and all of us set the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client_tls = options
        .client_pem
        .clone()
        .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    let certificates = TlsCertificates { client_tls, root_cert: options.ca_pem.clone() };
    let client = Client::build_with_tls(info, certificates).map_err(|_| {
        Error::Invalid("the certificates for redis are not PEM, or do not fit their key".to_owned())
    })?;
    Ok((client, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_secrets_are_not_told() {
        let check = |url: &str, expected: &str| {
            let options = RedisOptions { password: Some("hunter2".to_owned()), ..RedisOptions::new(url) };
            let said = match RedisQueue::new(Settings::default(), &options, 1) {
                Ok(queue) => queue.shared.server.clone(),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(said.starts_with(expected), "{url}: {said}");
            for text in [said, format!("{options:?}")] {
                assert!(!text.contains("hunter2") && !text.contains("s3cret"), "{text}");
            }
        };
        check("redis://localhost", "localhost:6379");
        check("redis://user:s3cret@queue.example:7000/2", "queue.example:7000");
        check("rediss://user:s3cret@queue.example", "queue.example:6379");
        check("unix:///run/redis.sock?pass=s3cret", "/run/redis.sock");
        check("http://user:s3cret@queue.example", "the redis URL must look like");
        check("redis://user:s3cret@host:notaport", "the redis URL must look like");
        check("s3cret", "the redis URL must look like");
        let options = RedisOptions { ca_pem: Some(b"x".to_vec()), ..RedisOptions::new("redis://host") };
        let error = RedisQueue::new(Settings::default(), &options, 1).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("certificates are given, but the redis URL is not rediss://"));
    }
}
