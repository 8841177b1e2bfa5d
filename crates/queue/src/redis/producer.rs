//! The coordinator's side of a queue on Redis.

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, ScriptInvocation, Value};
use tokio::time::Instant;

use super::RedisQueue;
use super::link::{BLOCK_MAX, info_number};
use super::reply::{Fields, unexpected};
use crate::roles::LOST_REASON;
use crate::{
    Cursor, DeadLetter, DeadPage, Depth, Expired, Fate, Notice, Outcome, Phase, Priority, Producer, Result,
    Running, Settled, Task, TaskId,
};

/// Tasks or ids that one script call is given: the server does nothing else meanwhile, so some milliseconds' worth.
const BATCH: usize = 500;
/// Bytes of payload that one script call is given.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A consumer that holds nothing and has not asked for this long is gone.
const CONSUMER_GONE: Duration = Duration::from_hours(1);
/// How often to look for those.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

#[async_trait]
impl Producer for RedisQueue {
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<TaskId>> {
        tasks.iter().try_for_each(Task::validate)?;
        let mut new = Vec::new();
        let mut rest = tasks.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(BATCH).take_while(|task| {
                let first = bytes == 0;
                bytes += task.payload.len() + 1;
                first || bytes <= BATCH_BYTES
            });
            let (batch, after) = rest.split_at(fits.count());
            rest = after;
            let mut enqueue = self.script(&self.shared.scripts.enqueue);
            for task in batch {
                enqueue
                    .arg(task.id.as_str())
                    .arg(&task.job)
                    .arg(task.priority.name())
                    .arg(task.payload.as_ref());
            }
            let places = self.link.ask("enqueue", &enqueue).await?;
            new.extend(picked(places, "enqueue", batch)?.map(|task| task.id.clone()));
        }
        Ok(new)
    }

    async fn depth(&self) -> Result<Depth> {
        let ask = self.script(&self.shared.scripts.depth);
        let mut fields = Fields::of(self.link.ask("depth", &ask).await?, "depth")?;
        let mut depth = Depth::default();
        for class in &mut depth.classes {
            let mut numbers = fields.fields()?;
            class.ready = numbers.count()?;
            class.leased = numbers.count()?;
            class.delayed = numbers.count()?;
            class.dead = numbers.count()?;
            class.oldest = u64::try_from(numbers.int()?).ok().map(Duration::from_millis);
        }
        Ok(depth)
    }

    async fn expire(&self, limit: usize) -> Result<Vec<Expired>> {
        self.sweep().await?;
        let lease = self.shared.settings.lease;
        let grace = !self.up_for(lease).await? || self.link.healed_within(lease);
        // In times of grace the script still makes due tasks ready, but finds nobody stale.
        let lease_ms = if grace { i64::MAX } else { i64::try_from(lease.as_millis()).unwrap_or(i64::MAX) };
        let mut expired = Vec::new();
        for class in Priority::ALL {
            let mut from = "0-0".to_owned();
            loop {
                let mut expire = self.script(&self.shared.scripts.expire);
                let most = limit.saturating_sub(expired.len()).clamp(1, BATCH);
                expire.arg(class.name()).arg(&from).arg(most).arg(lease_ms);
                expire
                    .arg(self.shared.settings.max_attempts)
                    .arg(self.shared.settings.notices_kept)
                    .arg(LOST_REASON);
                let mut found = Fields::of(self.link.ask("expire", &expire).await?, "expire")?;
                from = found.text()?;
                while let Some(one) = found.next() {
                    let mut one = Fields::of(one, "expire")?;
                    let (id, job, attempt) = (one.id()?, one.text()?, one.small()?);
                    let fate = if one.text()? == "dead" { Fate::Dead } else { Fate::Ready };
                    expired.push(Expired { id, job, attempt, fate });
                }
                if expired.len() >= limit {
                    return Ok(expired);
                }
                if from == "0-0" {
                    break;
                }
            }
        }
        Ok(expired)
    }

    async fn settled(&self, after: Option<&Cursor>, limit: usize, wait: Duration) -> Result<Settled> {
        let deadline = Instant::now() + wait;
        loop {
            let settled = self.settled_now(after, limit).await?;
            let left = deadline.saturating_duration_since(Instant::now()).min(BLOCK_MAX);
            if !settled.notices.is_empty() || settled.missed || left < Duration::from_millis(1) {
                return Ok(settled);
            }
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(1).arg("BLOCK").arg(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            read.arg("STREAMS")
                .arg(format!("{}:notices", self.shared.tag))
                .arg(format!("{}-0", settled.cursor.seq));
            self.waiting.ask("settled", &read).await?;
        }
    }

    async fn dead_letters(&self, job: &str, after: Option<&TaskId>, limit: usize) -> Result<DeadPage> {
        let limit = limit.clamp(1, BATCH);
        let mut ask = self.script(&self.shared.scripts.dead);
        ask.arg(job).arg(after.map_or("", TaskId::as_str)).arg(limit);
        let mut found = Fields::of(self.link.ask("dead letters", &ask).await?, "dead letters")?;
        let mut letters = Vec::new();
        while let Some(one) = found.next() {
            let mut one = Fields::of(one, "dead letters")?;
            let (id, class) = (one.id()?, one.text()?);
            let payload = one.bytes()?.ok_or_else(|| unexpected("dead letters"))?;
            let task = Task { id, job: job.to_owned(), priority: priority(&class, "dead letters")?, payload };
            letters.push(DeadLetter {
                task,
                attempts: one.small()?,
                failures: one.small()?,
                reason: one.text()?,
            });
        }
        let next = letters.last().filter(|_| letters.len() == limit).map(|letter| letter.task.id.clone());
        Ok(DeadPage { letters, next })
    }

    async fn revive(&self, ids: &[TaskId]) -> Result<Vec<TaskId>> {
        let mut revived = Vec::new();
        for batch in ids.chunks(BATCH) {
            let ask = self.about(&self.shared.scripts.revive, batch);
            revived.extend(picked(self.link.ask("revive", &ask).await?, "revive", batch)?.cloned());
        }
        Ok(revived)
    }

    async fn withdraw_job(&self, job: &str) -> Result<u64> {
        self.remove("withdraw", job).await
    }

    async fn forget_job(&self, job: &str) -> Result<u64> {
        self.remove("forget", job).await
    }

    async fn live(&self, ids: &[TaskId]) -> Result<Vec<Option<Phase>>> {
        let mut phases = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let ask = self.about(&self.shared.scripts.live, batch);
            let mut states = Fields::of(self.link.ask("live", &ask).await?, "live")?;
            for _ in batch {
                phases.push(match states.bytes()?.as_deref() {
                    None => None,
                    Some(b"ready") => Some(Phase::Ready),
                    Some(b"leased") => Some(Phase::Leased),
                    Some(b"delayed") => Some(Phase::Delayed),
                    Some(b"dead") => Some(Phase::Dead),
                    Some(_) => return Err(unexpected("live")),
                });
            }
        }
        Ok(phases)
    }

    async fn running(&self, job: Option<&str>, limit: usize) -> Result<Vec<Running>> {
        let mut running = Vec::new();
        for class in Priority::ALL {
            let mut from = "-".to_owned();
            while !from.is_empty() && running.len() < limit {
                let mut ask = self.script(&self.shared.scripts.running);
                ask.arg(class.name()).arg(&from).arg(BATCH);
                let mut found = Fields::of(self.link.ask("running", &ask).await?, "running")?;
                from = found.text()?;
                while let Some(one) = found.next() {
                    let one = attempt(Fields::of(one, "running")?)?;
                    if job.is_none_or(|job| job == one.job) {
                        running.push(one);
                    }
                }
            }
        }
        running.truncate(limit);
        Ok(running)
    }
}

impl RedisQueue {
    async fn settled_now(&self, after: Option<&Cursor>, limit: usize) -> Result<Settled> {
        let mut ask = self.script(&self.shared.scripts.settled);
        ask.arg(after.map_or("", |cursor| cursor.born.as_str())).arg(after.map_or(0, |cursor| cursor.seq));
        ask.arg(limit.clamp(1, BATCH));
        let mut fields = Fields::of(self.link.ask("settled", &ask).await?, "settled")?;
        let (born, from, last) = (fields.text()?, fields.count()?, fields.count()?);
        let mut entries = fields.fields()?;
        let (mut notices, mut first, mut seq) = (Vec::new(), None, from.saturating_sub(1));
        while let Some(entry) = entries.next() {
            let mut entry = Fields::of(entry, "settled")?;
            let name = entry.text()?;
            seq = name.split('-').next().and_then(|n| n.parse().ok()).ok_or_else(|| unexpected("settled"))?;
            first.get_or_insert(seq);
            notices.push(notice(entry.fields()?)?);
        }
        // What was trimmed before it was read: a first number that is later than the one wanted.
        let trimmed = first.map_or(last >= from, |first| first > from);
        let missed = trimmed || after.is_none_or(|cursor| cursor.born != born);
        if first.is_none() {
            seq = last;
        }
        Ok(Settled { notices, cursor: Cursor { born, seq }, missed })
    }

    async fn remove(&self, verb: &'static str, job: &str) -> Result<u64> {
        let mut removed = 0;
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("SSCAN");
            scan.arg(format!("{}:job:{job}", self.shared.tag)).arg(&cursor).arg("COUNT").arg(BATCH);
            let mut page = Fields::of(self.link.ask(verb, &scan).await?, verb)?;
            cursor = page.text()?;
            let mut members = page.fields()?;
            let mut ids = Vec::new();
            while let Some(member) = members.next() {
                ids.push(member);
            }
            for batch in ids.chunks(BATCH) {
                let mut remove = self.script(&self.shared.scripts.remove);
                remove.arg(verb).arg(job);
                for id in batch {
                    let Value::BulkString(id) = id else { return Err(unexpected(verb)) };
                    remove.arg(id);
                }
                let answer = self.link.ask(verb, &remove).await?;
                removed += Fields::of(Value::Array(vec![answer]), verb)?.count()?;
            }
            if cursor == "0" {
                return Ok(removed);
            }
        }
    }

    /// Whether the server has been up for this long, rounded to the seconds in which it counts.
    async fn up_for(&self, span: Duration) -> Result<bool> {
        let mut ask = redis::cmd("INFO");
        ask.arg("server");
        let info = super::reply::word(self.link.ask("its uptime", &ask).await?, "its uptime")?;
        let uptime = info_number(&info, "uptime_in_seconds:").unwrap_or(u64::MAX);
        Ok(uptime > span.as_secs())
    }

    async fn sweep(&self) -> Result<()> {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
                return Ok(());
            }
            *swept = Some(Instant::now());
        }
        let mut sweep = self.script(&self.shared.scripts.sweep);
        sweep.arg(u64::try_from(CONSUMER_GONE.as_millis()).unwrap_or(u64::MAX));
        self.link.ask("sweep", &sweep).await.map(drop)
    }

    fn script<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        script.key(&self.shared.tag)
    }

    fn about<'a>(&self, script: &'a Script, ids: &[TaskId]) -> ScriptInvocation<'a> {
        let mut about = self.script(script);
        for id in ids {
            about.arg(id.as_str());
        }
        about
    }
}

/// The items at the places (from 1) that a script answers.
fn picked<'a, T>(answer: Value, what: &'static str, items: &'a [T]) -> Result<impl Iterator<Item = &'a T>> {
    let mut places = Fields::of(answer, what)?;
    let mut picked = Vec::new();
    while let Some(place) = places.next() {
        let Value::Int(place) = place else { return Err(unexpected(what)) };
        let index = usize::try_from(place - 1).map_err(|_| unexpected(what))?;
        picked.push(items.get(index).ok_or_else(|| unexpected(what))?);
    }
    Ok(picked.into_iter())
}

fn notice(mut pairs: Fields) -> Result<Notice> {
    let what = "settled";
    let mut value = |expected: &str| {
        if pairs.text()? != expected {
            return Err(unexpected(what));
        }
        pairs.bytes()?.ok_or_else(|| unexpected(what))
    };
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.into()).map_err(|_| unexpected(what));
    let (id, job) = (TaskId::new(text(value("d")?)?)?, text(value("j")?)?);
    let attempt = text(value("n")?)?.parse().map_err(|_| unexpected(what))?;
    let (outcome, body) = (text(value("o")?)?, value("b")?);
    let outcome = match outcome.as_str() {
        "done" => Outcome::Done(body),
        "dead" => Outcome::Dead(text(body)?),
        _ => return Err(unexpected(what)),
    };
    Ok(Notice { id, job, attempt, outcome })
}

fn attempt(mut fields: Fields) -> Result<Running> {
    Ok(Running {
        id: fields.id()?,
        job: fields.text()?,
        attempt: fields.small()?,
        holder: fields.text()?,
        held: Duration::from_millis(fields.count()?),
        idle: Duration::from_millis(fields.count()?),
        progress: fields.bytes()?,
    })
}

fn priority(class: &str, what: &'static str) -> Result<Priority> {
    Priority::ALL.into_iter().find(|p| p.name() == class).ok_or_else(|| unexpected(what))
}
