//! A connection that heals itself: every request is tried until it is answered or its deadline has passed.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::time::{Instant, sleep};

use super::Shared;
use crate::{Chance, Error, Result};

/// Longest time that a blocking read blocks. Long enough to be cheap for a thousand idle workers, short enough
/// that delayed tasks and a wiped server are noticed soon.
pub(super) const BLOCK_MAX: Duration = Duration::from_secs(5);
/// Time for an answer, beyond the time that a read may block. redis-rs gives 500 ms by default, which every blocking
/// read overruns.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(5);
const RECONNECT_BASE: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// One connection, made when needed and made again when broken.
pub(super) struct Link {
    shared: Arc<Shared>,
    /// Requests of a shared link travel together; a request of an exclusive link takes the connection with it, so
    /// that dropping the request closes the connection, and the server stops waiting on its behalf.
    exclusive: bool,
    slot: Mutex<Slot>,
    /// Held while connecting, so that many callers make one connection.
    connecting: tokio::sync::Mutex<()>,
    /// Tries that failed, ever.
    failed: AtomicU64,
}

struct Slot {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure of an old one does not close the new one.
    generation: u64,
    /// When the present connection replaced a broken one.
    healed: Option<Instant>,
    chance: Chance,
}

/// What a request can be answered with, besides a value.
pub(super) enum Fault {
    /// The consumer group is gone: somebody wiped the server.
    NoGroup,
    /// Anything else.
    Other(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoGroup => super::reply::unexpected("a read"),
            Fault::Other(error) => error,
        }
    }
}

/// A command or a script with its arguments.
pub(super) trait Request: Sync {
    fn ask(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Value>> + Send;
}

impl Request for Cmd {
    fn ask(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Value>> + Send {
        self.query_async(connection)
    }
}

impl Request for ScriptInvocation<'_> {
    fn ask(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Value>> + Send {
        self.invoke_async(connection)
    }
}

impl Link {
    /// For requests that are answered at once.
    pub(super) fn shared(shared: &Arc<Shared>, seed: u64) -> Self {
        Self::new(shared, seed, false)
    }

    /// For requests that block.
    pub(super) fn exclusive(shared: &Arc<Shared>, seed: u64) -> Self {
        Self::new(shared, seed, true)
    }

    fn new(shared: &Arc<Shared>, seed: u64, exclusive: bool) -> Self {
        let slot = Slot { connection: None, generation: 0, healed: None, chance: Chance::new(seed) };
        Self {
            shared: Arc::clone(shared),
            exclusive,
            slot: Mutex::new(slot),
            connecting: tokio::sync::Mutex::new(()),
            failed: AtomicU64::new(0),
        }
    }

    /// Asks with the usual patience.
    pub(super) async fn ask(&self, what: &'static str, request: &impl Request) -> Result<Value> {
        let deadline = Instant::now() + self.shared.patience;
        self.ask_until(what, request, deadline).await.map_err(Error::from)
    }

    /// Asks until `deadline`, at least once.
    pub(super) async fn ask_until(
        &self,
        what: &'static str,
        request: &impl Request,
        deadline: Instant,
    ) -> std::result::Result<Value, Fault> {
        let mut failures = 0;
        loop {
            let error = match self.ask_once(request).await {
                Ok(value) => {
                    if failures > 0 {
                        tracing::info!(server = self.shared.server, "redis is back");
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            match judge(&error) {
                Verdict::NoGroup => return Err(Fault::NoGroup),
                Verdict::Refused => return Err(Fault::Other(self.refused(what, &error))),
                Verdict::Later => {}
            }
            failures += 1;
            self.failed.fetch_add(1, Ordering::Relaxed);
            let pause = self.slot().chance.backoff_between(RECONNECT_BASE, RECONNECT_MAX, failures);
            if Instant::now() + pause >= deadline {
                let (server, why) = (self.shared.server.clone(), error.to_string());
                return Err(Fault::Other(Error::Unavailable { server, why }));
            }
            if failures == 1 {
                tracing::warn!(server = self.shared.server, %error, "redis does not answer; trying until it does");
            }
            sleep(pause).await;
        }
    }

    /// Whether this link replaced a broken connection within the last `span`.
    pub(super) fn healed_within(&self, span: Duration) -> bool {
        self.slot().healed.is_some_and(|at| at.elapsed() < span)
    }

    /// Tries that failed, ever. If this grew while a request was asked, it may have been done more than once.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    async fn ask_once(&self, request: &impl Request) -> RedisResult<Value> {
        let (mut connection, generation) = self.connection().await?;
        let answer = request.ask(&mut connection).await;
        let broken = answer.as_ref().is_err_and(breaks);
        let mut slot = self.slot();
        if broken && slot.generation == generation {
            slot.connection = None;
        } else if !broken && self.exclusive {
            slot.connection = Some(connection);
        }
        drop(slot);
        answer
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let connection = self.connect().await?;
        let mut slot = self.slot();
        if slot.generation > 0 {
            slot.healed = Some(Instant::now());
        }
        slot.generation += 1;
        if !self.exclusive {
            slot.connection = Some(connection.clone());
        }
        Ok((connection, slot.generation))
    }

    fn known(&self) -> Option<(MultiplexedConnection, u64)> {
        let mut slot = self.slot();
        let known = if self.exclusive { slot.connection.take() } else { slot.connection.clone() };
        known.map(|connection| (connection, slot.generation))
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let answer_max = if self.exclusive { BLOCK_MAX + ANSWER_MAX } else { ANSWER_MAX };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(answer_max));
        let mut connection = self.shared.client.get_multiplexed_async_connection_with_config(&config).await?;
        check_version(&mut connection).await?;
        Ok(connection)
    }

    fn refused(&self, what: &'static str, error: &RedisError) -> Error {
        Error::Refused { server: self.shared.server.clone(), what, why: error.to_string() }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Verdict {
    /// Try again.
    Later,
    /// No use in trying again.
    Refused,
    NoGroup,
}

fn judge(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Verdict::Later,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain,
        ) => Verdict::Later,
        _ => match error.code() {
            // The group is gone; 7.0 says UNBLOCKED to those who were waiting when it went.
            Some("NOGROUP" | "UNBLOCKED") => Verdict::NoGroup,
            // A slow script of somebody else, too few replicas, no memory or no disk: all of these pass.
            Some("BUSY" | "NOREPLICAS" | "OOM" | "MISCONF") => Verdict::Later,
            _ => Verdict::Refused,
        },
    }
}

/// Whether the connection is of no further use. A server that became a replica is left: its name may lead to the
/// new master next time. After a timeout an answer is still due, and everything behind it would wait for it.
fn breaks(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse | ErrorKind::Server(ServerErrorKind::ReadOnly))
}

/// Refuses servers without what the scripts need: Redis before 7 (Valkey began at 7.2).
async fn check_version(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    // A user that may not ask for INFO may still use the queue.
    let Ok(info) = redis::cmd("INFO").arg("server").query_async::<String>(connection).await else {
        return Ok(());
    };
    match info_number(&info, "redis_version:") {
        Some(major) if major < 7 => Err(RedisError::from((
            ErrorKind::InvalidClientConfig,
            "the queue needs redis 7 or later, or valkey",
            format!("this server's major version is {major}"),
        ))),
        _ => Ok(()),
    }
}

/// The number that follows `name` in the answer to INFO.
pub(super) fn info_number(info: &str, name: &str) -> Option<u64> {
    let rest = info.lines().find_map(|line| line.strip_prefix(name))?;
    let digits =
        rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| rest.get(..end).unwrap_or_default());
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_info() {
        let info = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\nredis_mode:standalone\r\n";
        let found =
            ["redis_version:", "uptime_in_seconds:", "redis_mode:", "none:"].map(|n| info_number(info, n));
        assert_eq!(found, [Some(7), Some(12), None, None]);
    }
}
