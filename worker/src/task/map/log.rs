//! The log of a long attempt: rows as they are kept, values as they are observed, and now and then a checkpoint.
//!
//! A segment of the log is the length of the packed values (little-endian `u32`), those, and the packed rows.

use super::observations::Observations;
use super::sink::Sink;
use crate::TaskError;
use crate::frames::{FrameReader, FrameWriter};
use crate::task::Attempt;
use gristmill_job::{Checkpoint, JobError, Place, Poison, Problem};
use gristmill_pipeline::step::Observed;
use gristmill_pipeline::{Document, Tally};
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

/// A segment is stored before it holds more than this, packed.
const SEGMENT_BYTES: usize = 8 << 20;
/// The rows are packed once more for the log, so that must cost nearly nothing.
const ZSTD_LEVEL: i32 = -5;
/// Stored input that a lane reads in a second at the very least. A task that is done before its first checkpoint is due
/// keeps no log.
const READ_PER_SECOND: u64 = 256 << 10;
/// An attempt that is told to stop takes a checkpoint if that saves so much work.
const WORTH_SAVING: Duration = Duration::from_secs(2);

pub(super) struct Log {
    /// The last checkpoint: what it lists stays, whoever wrote it.
    last: Checkpoint,
    saved: Instant,
    rows: FrameWriter<Vec<u8>>,
    count: u64,
    /// A line of JSON for each: the step's place in the recipe, and the value.
    observed: zstd::Encoder<'static, Vec<u8>>,
    any_observed: bool,
}

/// Whether a task that reads so many stored bytes takes checkpoints.
pub(super) fn is_long(bytes: u64, every: Duration) -> bool {
    bytes as f64 >= READ_PER_SECOND as f64 * every.as_secs_f64()
}

impl Log {
    pub(super) fn new(attempt: &Attempt, last: Checkpoint) -> Result<Self, TaskError> {
        let last = Checkpoint { attempt: attempt.name.clone(), ..last };
        let observed = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        Ok(Self { last, saved: Instant::now(), rows: writer()?, count: 0, observed, any_observed: false })
    }

    pub(super) fn observe(&mut self, step: usize, value: &Observed) -> Result<(), TaskError> {
        self.any_observed = true;
        serde_json::to_writer(&mut self.observed, &(step, value)).map_err(std::io::Error::from)?;
        Ok(self.observed.write_all(b"\n")?)
    }

    pub(super) fn keep(&mut self, doc: &Document) -> Result<(), TaskError> {
        self.count += 1;
        Ok(self.rows.write(doc, 0)?)
    }

    pub(super) fn is_due(&self, attempt: &Attempt) -> bool {
        let bytes = self.rows.get_ref().len() + self.observed.get_ref().len();
        self.saved.elapsed() >= attempt.checkpoint_every || bytes >= SEGMENT_BYTES
    }

    pub(super) fn is_worth_saving(&self) -> bool {
        self.saved.elapsed() >= WORTH_SAVING
    }

    /// Stores the rows since the last checkpoint, then the checkpoint.
    pub(super) fn save(
        &mut self,
        attempt: &Attempt,
        rest: Place,
        tally: &Tally,
        problems: &[Problem],
    ) -> Result<(), TaskError> {
        let (job, task) = (attempt.open.job.clone(), (attempt.stage, attempt.task));
        if self.count > 0 || self.any_observed {
            let observed = std::mem::replace(&mut self.observed, zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?);
            self.any_observed = false;
            let (_, rows) = std::mem::replace(&mut self.rows, writer()?).finish()?;
            let packed = join(&observed.finish()?, &rows);
            let (job, name) = (job.clone(), attempt.name.clone());
            let (number, rows) = (self.last.segments.len() + 1, std::mem::take(&mut self.count));
            let segment = attempt
                .wait(async move { job.write_segment(task, &name, number, rows, packed.into()).await })??;
            self.last.segments.push(segment);
        }
        self.last.rest = rest;
        self.last.tally.clone_from(tally);
        self.last.problems = problems.to_vec();
        let head = self.last.clone();
        attempt.wait(async move { job.write_checkpoint(task.0, task.1, &head).await })??;
        self.saved = Instant::now();
        attempt.hand.has_checkpoint();
        tracing::debug!(stage = task.0, task = task.1, ?rest, "took a checkpoint");
        Ok(())
    }
}

fn join(observed: &[u8], rows: &[u8]) -> Vec<u8> {
    // A segment is closed long before its values are 4 GiB.
    let length = u32::try_from(observed.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), observed, rows].concat()
}

fn split(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = segment.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn writer() -> Result<FrameWriter<Vec<u8>>, TaskError> {
    Ok(FrameWriter::with_level(Vec::new(), ZSTD_LEVEL)?)
}

/// The last checkpoint of the attempt's task, or a fresh beginning; with everything that is known to be poison.
pub(super) fn last(attempt: &Attempt, beginning: Place, long: bool) -> Result<Checkpoint, TaskError> {
    let (job, stage, task) = (attempt.open.job.clone(), attempt.stage, attempt.task);
    let stored = if long || attempt.look_back {
        match attempt.wait(async move { job.checkpoint(stage, task).await })? {
            Err(error @ JobError::Unreadable { .. }) => {
                tracing::warn!("beginning anew: {error}");
                None
            }
            other => other?,
        }
    } else {
        None
    };
    if stored.is_some() {
        attempt.hand.has_checkpoint();
    }
    // What another kind of stage, or another program, wrote there is of no use.
    let fits = |c: &Checkpoint| std::mem::discriminant(&c.rest) == std::mem::discriminant(&beginning);
    let mut last = stored.filter(fits).unwrap_or_else(|| Checkpoint::begin(beginning));
    add_poison(&mut last.poison, &attempt.poison);
    Ok(last)
}

/// Adds what is not known yet.
pub(crate) fn add_poison(known: &mut Vec<Poison>, more: &[Poison]) {
    for poison in more {
        if known.iter().all(|k| k.place != poison.place) {
            known.push(poison.clone());
        }
    }
}

/// Does again what the attempts before did up to a checkpoint, without reading their input.
pub(super) struct Replay<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) sink: &'a mut Sink,
    pub(super) observations: &'a mut Observations,
}

impl Replay<'_> {
    /// False if the segments cannot be read any more.
    pub(super) fn all(&mut self, checkpoint: &Checkpoint) -> Result<bool, TaskError> {
        for segment in &checkpoint.segments {
            let (job, entry) = (self.attempt.open.job.clone(), segment.clone());
            let stored = self.attempt.wait(async move { job.segment(&entry).await })??;
            let Some((observed, rows)) = stored.as_deref().and_then(split) else { return Ok(false) };
            if !self.observed(observed)? || !self.rows(rows)? {
                tracing::debug!("{} is not as it was written", segment.path);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn observed(&mut self, packed: &[u8]) -> Result<bool, TaskError> {
        let Ok(unpacked) = zstd::Decoder::new(packed) else { return Ok(false) };
        for line in BufReader::new(unpacked).lines() {
            let Ok(line) = line else { return Ok(false) };
            let Ok((step, value)) = serde_json::from_str::<(usize, Observed)>(&line) else {
                return Ok(false);
            };
            self.observations.push(step, &value)?;
        }
        Ok(true)
    }

    fn rows(&mut self, packed: &[u8]) -> Result<bool, TaskError> {
        let Ok(mut rows) = FrameReader::new(packed) else { return Ok(false) };
        loop {
            self.attempt.check_stopped()?;
            match rows.next() {
                Ok(Some((doc, _))) => self.sink.write(self.attempt, &doc)?,
                Ok(None) => return Ok(true),
                Err(_) => return Ok(false),
            }
        }
    }
}
