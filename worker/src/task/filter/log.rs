//! The log of an attempt at a group: rows as they are found, and now and then the filter.
//!
//! A segment of the log is runs of rows: the number of their shard, their length (little-endian `u32` both), and the rows.

use crate::TaskError;
use crate::files;
use crate::hand::Order;
use crate::task::Attempt;
use gristmill_dedup::Error;
use gristmill_dedup::bloom::{Filter, Size};
use gristmill_dedup::sections::Writer;
use gristmill_job::{Checkpoint, FileEntry, FilterState, Filtered, Job, JobError, Place};
use gristmill_storage::{Kind, StoreError};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// A segment is stored before it holds more than this.
const SEGMENT_BYTES: usize = 8 << 20;
/// Storing a large filter takes its time: at most a tenth of all.
const WORK_PER_SAVING: u32 = 10;
/// An attempt that is told to stop stores the filter if that saves so much work, and takes no longer than this.
const WORTH_SAVING: Duration = Duration::from_secs(2);
const LONGEST_SAVING: Duration = Duration::from_secs(10);

pub(super) struct Log {
    /// The last checkpoint, and the segments since.
    last: Checkpoint,
    pub(super) filtered: Filtered,
    saved: Instant,
    /// How long the last checkpoint took.
    took: Duration,
    /// Filters that this attempt began to store: each has a path of its own, as the head may name any before it.
    filters: u32,
    /// The folder of the one that the head names, if it is this attempt's.
    stored: Option<String>,
    segment: Vec<u8>,
    /// Shard and beginning of the segment's last run.
    run: Option<(u32, usize)>,
    rows: u64,
}

impl Log {
    /// The log of an attempt that goes on from the last checkpoint, if there is one: its rows are written once more, and its
    /// filter is given.
    pub(super) fn open(
        attempt: &Attempt,
        size: Size,
        begun: Filtered,
        found: &mut Writer<impl Write>,
    ) -> Result<(Self, Option<Filter>), TaskError> {
        let (job, stage, task) = (attempt.open.job.clone(), attempt.stage, attempt.task);
        let stored = match attempt.wait(async move { job.checkpoint(stage, task).await })? {
            Err(error @ JobError::Unreadable { .. }) => {
                tracing::warn!("beginning anew: {error}");
                None
            }
            other => other?,
        };
        let mut last = Checkpoint::begin(Place::Signed { task: 0, number: 0 });
        let (mut filtered, mut filter) = (begun, None);
        if let Some(stored) = stored
            && let Some(state) = &stored.filter
        {
            attempt.hand.has_checkpoint();
            // All of it is read before a row is written: a checkpoint is whole or of no use.
            if let Some((bits, segments)) = restore(attempt, size, &stored, &state.bits)? {
                for segment in &segments {
                    write_again(segment, found)?;
                }
                (filtered, filter) = (state.filtered.clone(), Some(bits));
                last = stored;
            } else {
                tracing::warn!("the checkpoint of group {task} cannot be read: beginning anew");
            }
        }
        let rows = last.segments.iter().map(|segment| segment.rows).sum();
        last.attempt.clone_from(&attempt.name);
        let log = Self {
            last,
            filtered,
            saved: Instant::now(),
            took: Duration::ZERO,
            filters: 0,
            stored: None,
            segment: Vec::new(),
            run: None,
            rows,
        };
        Ok((log, filter))
    }

    pub(super) fn rest(&self) -> Place {
        self.last.rest
    }

    /// Documents up to here, those of attempts before among them.
    pub(super) fn documents(&self) -> u64 {
        self.rows
    }

    /// Called between two documents: all before `rest` is in the filter, and nothing behind it.
    pub(super) fn between(
        &mut self,
        attempt: &Attempt,
        rest: Place,
        filter: &Filter,
    ) -> Result<(), TaskError> {
        // Looking at the clock costs as much as a short document does.
        let order = attempt.hand.order();
        if order == Order::GoOn && !self.rows.is_multiple_of(64) {
            return Ok(());
        }
        let since = self.saved.elapsed();
        let due = match order {
            Order::GoOn => since >= attempt.checkpoint_every.max(self.took * WORK_PER_SAVING),
            Order::Stop => since >= WORTH_SAVING && self.took < LONGEST_SAVING,
            Order::Drop => false,
        };
        if due && let Err(error) = self.save(attempt, rest, filter) {
            // The work is not harmed. The rows are kept: a later checkpoint is whole again.
            tracing::warn!("cannot take a checkpoint: {error}");
            self.saved = Instant::now();
        }
        attempt.check_stopped()
    }

    /// A row that was found.
    pub(super) fn keep(&mut self, attempt: &Attempt, shard: u32, row: &[u8]) -> Result<(), TaskError> {
        if self.segment.len() + row.len() > SEGMENT_BYTES {
            self.end_segment(attempt)?;
        }
        let start = match self.run {
            Some((of, start)) if of == shard => start,
            _ => {
                let start = self.segment.len();
                self.segment.extend_from_slice(&shard.to_le_bytes());
                self.segment.extend_from_slice(&[0; 4]);
                self.run = Some((shard, start));
                start
            }
        };
        self.segment.extend_from_slice(row);
        let length = (self.segment.len() - start - 8) as u32;
        if let Some(stored) = self.segment.get_mut(start + 4..start + 8) {
            stored.copy_from_slice(&length.to_le_bytes());
        }
        self.rows += 1;
        Ok(())
    }

    fn end_segment(&mut self, attempt: &Attempt) -> Result<(), TaskError> {
        if self.segment.is_empty() {
            return Ok(());
        }
        let (job, name) = (attempt.open.job.clone(), attempt.name.clone());
        let (of, number) = ((attempt.stage, attempt.task), self.last.segments.len() + 1);
        let rows = self.rows - self.last.segments.iter().map(|segment| segment.rows).sum::<u64>();
        let bytes = bytes::Bytes::from(std::mem::take(&mut self.segment));
        let packed = bytes.clone();
        let written = attempt
            .wait(async move { job.write_segment(of, &name, number, rows, packed).await })
            .and_then(|written| Ok(written?));
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                // Still to be written, then.
                self.segment = bytes.into();
                return Err(error);
            }
        };
        self.run = None;
        attempt.hand.has_checkpoint();
        self.last.segments.push(written);
        Ok(())
    }

    fn save(&mut self, attempt: &Attempt, rest: Place, filter: &Filter) -> Result<(), TaskError> {
        let begun = Instant::now();
        attempt.hand.empty(self.rows, self.rows);
        self.end_segment(attempt)?;
        let (job, of) = (attempt.open.job.clone(), (attempt.stage, attempt.task));
        self.filters += 1;
        let folder = Job::checkpoint_path(of, &attempt.name, &format!("filter-{:06}/", self.filters));
        let path = format!("{folder}bits");
        let mut out = attempt.create_hashed(&path);
        filter.save(&mut out)?;
        let bits = files::finish(out, path, filter.items())?;
        self.last.filter = Some(FilterState { bits, filtered: self.filtered.clone() });
        self.last.rest = rest;
        let (head, storing) = (self.last.clone(), job.clone());
        attempt.wait(async move { storing.write_checkpoint(of.0, of.1, &head).await })??;
        // No head of this attempt names it any more. If the answer to this head was lost, `stored` is one that none names, or
        // that the old head still does, and the next head decides.
        if let Some(before) = self.stored.replace(folder)
            && let Err(error) = attempt.wait(async move { job.delete_below(&before).await })?
        {
            tracing::warn!("a filter of an earlier checkpoint stays: {error}");
        }
        (self.saved, self.took) = (Instant::now(), begun.elapsed());
        attempt.hand.has_checkpoint();
        tracing::debug!(stage = of.0, task = of.1, ?rest, "took a checkpoint");
        Ok(())
    }
}

/// The filter and the segments of a checkpoint; none if they are not what was written.
fn restore(
    attempt: &Attempt,
    size: Size,
    checkpoint: &Checkpoint,
    bits: &FileEntry,
) -> Result<Option<(Filter, Vec<bytes::Bytes>)>, TaskError> {
    let mut segments = Vec::new();
    for segment in &checkpoint.segments {
        let (job, entry) = (attempt.open.job.clone(), segment.clone());
        let Some(bytes) = attempt.wait(async move { job.segment(&entry).await })?? else { return Ok(None) };
        segments.push(bytes);
    }
    match Filter::load(&bits.path, attempt.read(bits), size.bytes()) {
        Ok(filter) if filter.size() == size && filter.items() == bits.rows => Ok(Some((filter, segments))),
        Ok(_) | Err(Error::Corrupt { .. } | Error::Invalid(_)) => Ok(None),
        // A head that came late to the store may name a filter that was given up since.
        Err(Error::Io(error)) if is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_missing(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
    inner.is_some_and(|error| error.kind() == Kind::NotFound)
}

fn write_again(segment: &[u8], found: &mut Writer<impl Write>) -> Result<(), TaskError> {
    let mut rest = segment;
    while !rest.is_empty() {
        let run = rest.split_first_chunk::<4>().and_then(|(shard, rest)| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (rows, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((u32::from_le_bytes(*shard), rows, rest))
        });
        // Its digest is right: whoever wrote it was not of this version.
        let (shard, rows, after) = run.ok_or_else(|| TaskError::fatal("a segment is cut short"))?;
        found.go_to(shard)?;
        found.push(rows)?;
        rest = after;
    }
    Ok(())
}
