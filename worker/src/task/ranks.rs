//! One range of the scores of a selection: merges it from the files of all tasks into one, and counts what each group has in each
//! of its slots.

use super::Attempt;
use super::merge::{Part, Sources, merge};
use super::selection::{CountRow, ScoreRow, group_key, slot_of};
use crate::{TaskError, files};
use gristmill_classify::quantile::Slot;
use gristmill_dedup::Error;
use gristmill_dedup::keyfile::{self, Writer};
use gristmill_dedup::sort::Noted;
use gristmill_dedup::stream::Stream;
use gristmill_job::{FileRole, TaskRecord};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

pub(super) fn run(attempt: &Attempt, ranges: u64) -> Result<TaskRecord, TaskError> {
    let rows = merge::<u128>(
        attempt,
        &Sources {
            stage: attempt.signing_stage()?.0,
            file: |record: &TaskRecord| record.files.get(&FileRole::Keys)?.first().cloned(),
            nodes: false,
            part: Part { range: attempt.task as usize, ranges: ranges as usize, notes: true },
        },
    )?;
    let counts = Counts {
        rows: Writer::new(attempt.sort_memory(), attempt.scratch()),
        note: Vec::new(),
        current: None,
    };
    let mut counted = Counted { rows, counts };
    counted.settle()?;
    let path = attempt.path("ranked");
    let mut out = attempt.create_hashed(&path);
    let summary = keyfile::write_sorted(&mut counted, true, &mut out)?;
    let ranked = files::finish(out, path, summary.entries)?;
    let path = attempt.path("counts");
    let mut out = attempt.create_hashed(&path);
    let summary = counted.counts.rows.finish(&mut out)?;
    let counts = files::finish(out, path, summary.entries)?;
    let files = BTreeMap::from([(FileRole::Ranked, vec![ranked]), (FileRole::Counts, vec![counts])]);
    Ok(TaskRecord { files, ..attempt.record() })
}

/// The scores among rows, counted as they pass; names go to the counts.
struct Counted<S, F> {
    rows: S,
    counts: Counts<F>,
}

struct Counts<F> {
    rows: Writer<u64, Noted, File, F>,
    note: Vec<u8>,
    /// A group in a slot, or its name: the upper half of keys, and what was counted.
    current: Option<(u64, u64, Slot)>,
}

impl<S: Stream<Key = u128>, F: FnMut() -> io::Result<File>> Counted<S, F> {
    /// Goes on to the next score, if this is none, and counts it.
    fn settle(&mut self) -> Result<(), Error> {
        while let Some((key, _)) = self.rows.row() {
            match ScoreRow::read(key, self.rows.note())? {
                ScoreRow::Score { group, weight, .. } => return self.counts.add(key, group, weight),
                ScoreRow::Name { group, key, name } => {
                    // All tasks name it, and one row of them stays.
                    self.counts.push(group, CountRow::Name { key, name })?;
                }
            }
            self.rows.advance()?;
        }
        self.counts.close()
    }
}

impl<F: FnMut() -> io::Result<File>> Counts<F> {
    fn add(&mut self, key: u128, group: u64, weight: u64) -> Result<(), Error> {
        let upper = (key >> 64) as u64;
        if self.current.is_none_or(|(current, ..)| current != upper) {
            self.close()?;
        }
        let start = (upper, group, Slot { slot: slot_of(key), ..Slot::default() });
        let (.., slot) = self.current.get_or_insert(start);
        slot.records += 1;
        slot.weight = slot.weight.saturating_add(weight);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.current.take() {
            Some((_, group, slot)) => self.push(group, CountRow::Count(slot)),
            None => Ok(()),
        }
    }

    fn push(&mut self, group: u64, row: CountRow) -> Result<(), Error> {
        let node = row.write(&mut self.note);
        self.rows.push_node(group_key(group), node, &self.note)
    }
}

impl<S: Stream<Key = u128>, F: FnMut() -> io::Result<File>> Stream for Counted<S, F> {
    type Key = u128;

    fn row(&self) -> Option<(u128, u64)> {
        self.rows.row()
    }

    fn note(&self) -> &[u8] {
        self.rows.note()
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()?;
        self.settle()
    }
}
