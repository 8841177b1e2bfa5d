//! A worker's side of a queue on Redis.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Script, ScriptInvocation, Value};
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::link::{BLOCK_MAX, Fault, Link};
use super::reply::{Fields, unexpected, word};
use crate::roles::{check_size, cut_message};
use crate::{Chance, Consumer, Error, Failed, Failure, Hold, Lease, Priority, Result, Settings, Task, turn};

/// A worker's side of a queue on Redis. All lanes of a worker may share one; claims then take turns.
pub struct RedisConsumer {
    shared: Arc<Shared>,
    name: String,
    link: Link,
    /// Only used by who has the turn.
    waiting: Link,
    turn: tokio::sync::Mutex<()>,
    claims: AtomicU64,
    /// A claim was interrupted: the server may have delivered what nobody here knows of.
    interrupted: AtomicBool,
    /// Deliveries held here, as `class.entry`.
    held: Mutex<BTreeSet<String>>,
    chance: Mutex<Chance>,
}

/// What a token says.
struct Delivery<'a> {
    class: &'a str,
    entry: &'a str,
    holder: &'a str,
}

impl RedisConsumer {
    pub(super) fn new(shared: &Arc<Shared>, name: &str, seed: u64) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
            return Err(Error::Invalid(format!(
                "consumer name {name:.40?} must be 1 to 128 letters, digits, '-', '_' or '.'"
            )));
        }
        let mut chance = Chance::new(seed);
        let nonce = chance.next_u64();
        Ok(Self {
            shared: Arc::clone(shared),
            name: format!("{name}-{nonce:016x}"),
            link: Link::shared(shared, chance.next_u64()),
            waiting: Link::exclusive(shared, chance.next_u64()),
            turn: tokio::sync::Mutex::new(()),
            // Workers that all make few claims must not all begin at the same place of the turn.
            claims: AtomicU64::new(chance.next_u64() % 32),
            interrupted: AtomicBool::new(false),
            held: Mutex::new(BTreeSet::new()),
            chance: Mutex::new(chance),
        })
    }

    /// The name in [`crate::Running::holder`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One look at the queue and, if there is nothing, one wait. `Ok(None)` means: look again.
    async fn look(&self, deadline: Instant) -> Result<Option<Lease>> {
        let order = turn::order(self.claims.load(Ordering::Relaxed)).map(Priority::name);
        let mut claim = self.script(&self.shared.scripts.claim);
        claim.arg(&self.name).arg(&order);
        let answer = self.link.ask_until("claim", &claim, deadline).await?;
        let mut fields = Fields::of(answer, "claim")?;
        let wait = match fields.int()? {
            1 => return self.lease(fields).map(Some),
            0 => match u64::try_from(fields.int()?) {
                Ok(due) => BLOCK_MAX.min(Duration::from_millis(due)),
                Err(_) => BLOCK_MAX,
            },
            _ => return Ok(None),
        };
        let wait = wait.min(deadline.saturating_duration_since(Instant::now()));
        if wait < Duration::from_millis(1) {
            return Ok(None);
        }
        self.wait(order, wait, deadline).await
    }

    /// Waits for a delivery on any line.
    async fn wait(&self, order: [&str; 3], wait: Duration, deadline: Instant) -> Result<Option<Lease>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg("workers").arg(&self.name).arg("COUNT").arg(1);
        read.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)).arg("STREAMS");
        for class in order {
            read.arg(format!("{}:ready:{class}", self.shared.tag));
        }
        read.arg(&[">", ">", ">"]);
        let answer = match self.waiting.ask_until("claim", &read, deadline).await {
            Ok(answer) => answer,
            // Somebody wiped the server. The next look makes the lines again.
            Err(Fault::NoGroup) => return Ok(None),
            Err(Fault::Other(error)) => return Err(error),
        };
        let mut lease = None;
        // A read of several lines may deliver one of each. The first that is no ghost is taken, the others go back.
        for (class, entry, id) in deliveries(answer)? {
            if lease.is_none() {
                let mut accept = self.script(&self.shared.scripts.accept);
                accept.arg(&class).arg(&entry).arg(&id);
                let answer = self.link.ask("claim", &accept).await?;
                if answer != Value::Nil {
                    lease = Some(self.lease(Fields::of(answer, "claim")?)?);
                }
            } else {
                let mut release = self.script(&self.shared.scripts.release);
                release.arg(&class).arg(&entry).arg(&id).arg(&self.name);
                self.link.ask("claim", &release).await?;
            }
        }
        Ok(lease)
    }

    /// Takes a delivery that an interrupted claim left behind, if there is one.
    async fn adopt(&self, deadline: Instant) -> Result<Option<Lease>> {
        let mut adopt = self.script(&self.shared.scripts.adopt);
        adopt.arg(&self.name);
        for delivery in &*self.held() {
            adopt.arg(delivery);
        }
        match self.link.ask_until("claim", &adopt, deadline).await? {
            Value::Nil => Ok(None),
            lease => self.lease(Fields::of(lease, "claim")?).map(Some),
        }
    }

    fn failed(&self) -> u64 {
        self.link.failed() + self.waiting.failed()
    }

    /// Takes note of a lease in the same breath as it is handed out: a claim that is dropped before that leaves it
    /// to be adopted.
    fn hand_out(&self, lease: Lease) -> Lease {
        if let Some(delivery) = Delivery::of(&lease.token) {
            self.held().insert(delivery.name());
        }
        self.claims.fetch_add(1, Ordering::Relaxed);
        lease
    }

    fn lease(&self, mut fields: Fields) -> Result<Lease> {
        let (id, job) = (fields.id()?, fields.text()?);
        let class = fields.text()?;
        let priority =
            Priority::ALL.into_iter().find(|p| p.name() == class).ok_or_else(|| unexpected("claim"))?;
        let payload = fields.bytes()?.ok_or_else(|| unexpected("claim"))?;
        let (attempt, failures, entry) = (fields.small()?, fields.small()?, fields.text()?);
        let token = format!("{class}.{entry}.{}", self.name);
        Ok(Lease { task: Task { id, job, priority, payload }, attempt, failures, token })
    }

    /// Begins a script about a lease of ours; `None` if the token is not one of ours.
    fn about<'a>(&self, script: &'a Script, lease: &Lease) -> Option<ScriptInvocation<'a>> {
        let delivery = Delivery::of(&lease.token).filter(|delivery| delivery.holder == self.name)?;
        let mut about = self.script(script);
        about.arg(delivery.class).arg(delivery.entry).arg(lease.task.id.as_str()).arg(delivery.holder);
        Some(about)
    }

    /// Lets go of a lease, once the server has answered that it is over.
    fn forget(&self, lease: &Lease) {
        if let Some(delivery) = Delivery::of(&lease.token) {
            self.held().remove(&delivery.name());
        }
    }

    fn script<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        script.key(&self.shared.tag)
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Consumer for RedisConsumer {
    async fn claim(&self, wait: Duration) -> Result<Option<Lease>> {
        let deadline = Instant::now() + wait;
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else { return Ok(None) };
        loop {
            // An early return by `?`, or the caller dropping this call, leaves the mark for the next claim.
            if self.interrupted.swap(true, Ordering::Relaxed)
                && let Some(lease) = self.adopt(deadline).await?
            {
                return Ok(Some(self.hand_out(lease)));
            }
            let failed = self.failed();
            let lease = self.look(deadline).await?;
            // If a try failed meanwhile, its answer may have been a delivery.
            self.interrupted.store(self.failed() != failed, Ordering::Relaxed);
            if lease.is_some() || Instant::now() >= deadline {
                return Ok(lease.map(|lease| self.hand_out(lease)));
            }
        }
    }

    async fn heartbeat(&self, lease: &Lease, progress: Option<Bytes>) -> Result<Hold> {
        if let Some(progress) = &progress {
            check_size("progress", lease.task.id.as_str(), progress.len(), Settings::NOTE_MAX)?;
        }
        let Some(mut beat) = self.about(&self.shared.scripts.heartbeat, lease) else { return Ok(Hold::Lost) };
        if let Some(progress) = &progress {
            beat.arg(1).arg(progress.as_ref());
        }
        let hold = hold(self.link.ask("heartbeat", &beat).await?, "heartbeat")?;
        if hold != Hold::Held {
            // Its holder may drop it without another word.
            self.forget(lease);
        }
        Ok(hold)
    }

    async fn finish(&self, lease: Lease, note: Bytes) -> Result<Hold> {
        check_size("note", lease.task.id.as_str(), note.len(), Settings::NOTE_MAX)?;
        let Some(mut finish) = self.about(&self.shared.scripts.finish, &lease) else { return Ok(Hold::Lost) };
        finish.arg(self.shared.settings.notices_kept).arg(note.as_ref());
        let answer = self.link.ask("finish", &finish).await?;
        self.forget(&lease);
        hold(answer, "finish")
    }

    async fn release(&self, lease: Lease) -> Result<Hold> {
        let Some(release) = self.about(&self.shared.scripts.release, &lease) else { return Ok(Hold::Lost) };
        let answer = self.link.ask("release", &release).await?;
        self.forget(&lease);
        hold(answer, "release")
    }

    async fn fail(&self, lease: Lease, failure: Failure) -> Result<Failed> {
        let Some(mut fail) = self.about(&self.shared.scripts.fail, &lease) else { return Ok(Failed::Lost) };
        let settings = &self.shared.settings;
        let failures = lease.failures.saturating_add(1);
        let after = self.chance.lock().unwrap_or_else(PoisonError::into_inner).backoff(settings, failures);
        fail.arg(settings.notices_kept).arg(cut_message(failure.message)).arg(u8::from(failure.retryable));
        fail.arg(settings.max_attempts).arg(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let answer = self.link.ask("fail", &fail).await?;
        self.forget(&lease);
        match word(answer, "fail")?.as_str() {
            "retry" => Ok(Failed::Retry { after }),
            "dead" => Ok(Failed::Dead),
            "lost" => Ok(Failed::Lost),
            "cancelled" => Ok(Failed::Cancelled),
            _ => Err(unexpected("fail")),
        }
    }
}

impl<'a> Delivery<'a> {
    fn of(token: &'a str) -> Option<Self> {
        let (class, rest) = token.split_once('.')?;
        let (entry, holder) = rest.split_once('.')?;
        Some(Self { class, entry, holder })
    }

    /// What tells it apart from the consumer's other deliveries.
    fn name(&self) -> String {
        format!("{}.{}", self.class, self.entry)
    }
}

fn hold(answer: Value, what: &'static str) -> Result<Hold> {
    match word(answer, what)?.as_str() {
        "held" => Ok(Hold::Held),
        "lost" => Ok(Hold::Lost),
        "cancelled" => Ok(Hold::Cancelled),
        _ => Err(unexpected(what)),
    }
}

/// Class, entry and task id of what a blocking read delivered, in the order asked.
fn deliveries(answer: Value) -> Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    let mut lines = Fields::of(answer, "claim")?;
    while let Some(line) = lines.next() {
        let mut line = Fields::of(line, "claim")?;
        let key = line.text()?;
        let class = key.rsplit(':').next().unwrap_or_default().to_owned();
        let mut entries = line.fields()?;
        while let Some(entry) = entries.next() {
            let mut entry = Fields::of(entry, "claim")?;
            let name = entry.text()?;
            let mut pairs = entry.fields()?;
            let _field = pairs.text()?;
            found.push((class.clone(), name, pairs.text()?));
        }
    }
    Ok(found)
}
