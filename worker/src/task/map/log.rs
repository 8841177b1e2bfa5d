//! The log of a long attempt: rows as they are kept, and now and then a checkpoint.

use crate::TaskError;
use crate::frames::{FrameReader, FrameWriter};
use crate::task::Attempt;
use gristmill_job::{Checkpoint, JobError, Place, Poison, Problem};
use gristmill_pipeline::{Document, Tally};
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
}

/// Whether a task that reads so many stored bytes takes checkpoints.
pub(super) fn is_long(bytes: u64, every: Duration) -> bool {
    bytes as f64 >= READ_PER_SECOND as f64 * every.as_secs_f64()
}

impl Log {
    pub(super) fn new(attempt: &Attempt, last: Checkpoint) -> Result<Self, TaskError> {
        let last = Checkpoint { attempt: attempt.name.clone(), ..last };
        Ok(Self { last, saved: Instant::now(), rows: writer()?, count: 0 })
    }

    pub(super) fn keep(&mut self, doc: &Document) -> Result<(), TaskError> {
        self.count += 1;
        Ok(self.rows.write(doc)?)
    }

    pub(super) fn is_due(&self, attempt: &Attempt) -> bool {
        self.saved.elapsed() >= attempt.checkpoint_every || self.rows.get_ref().len() >= SEGMENT_BYTES
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
        if self.count > 0 {
            let (_, packed) = std::mem::replace(&mut self.rows, writer()?).finish()?;
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

/// Hands the rows of a checkpoint to `take`, in order. False if they cannot be read any more.
pub(super) fn replay(
    attempt: &Attempt,
    checkpoint: &Checkpoint,
    mut take: impl FnMut(&Document) -> Result<(), TaskError>,
) -> Result<bool, TaskError> {
    for segment in &checkpoint.segments {
        let (job, entry) = (attempt.open.job.clone(), segment.clone());
        let Some(packed) = attempt.wait(async move { job.segment(&entry).await })?? else { return Ok(false) };
        let Ok(mut rows) = FrameReader::new(&packed[..]) else { return Ok(false) };
        loop {
            attempt.check_stopped()?;
            match rows.next() {
                Ok(Some(doc)) => take(&doc)?,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!("{}: {error}", segment.path);
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
