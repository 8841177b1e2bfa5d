//! Where the shares of a selection end, group by group: what the slots of a group hold says in which slot, and the scores there, which
//! are in order, say at which record.
//!
//! Memory does not depend on how many groups there are. Of the scores only the slots are read in which a share ends.

use super::Attempt;
use super::merge::{Part, Run, Sources, merge};
use super::selection::{CountRow, ScoreRow, group_key, rank_note};
use crate::TaskError;
use gristmill_classify::quantile::{Bound, SLOTS, Scan, Slot, Target, locate};
use gristmill_dedup::keyfile::{FOOTER_BYTES, Footer, Writer};
use gristmill_dedup::sort::{Noted, Sorted, Sorter};
use gristmill_dedup::stream::Stream;
use gristmill_job::{FileEntry, FileRole, Selected, SelectedGroup, SelectedShare, TaskRecord};
use gristmill_pipeline::Selection;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

/// Groups that the report names.
const NAMED: usize = 100;

pub(super) fn run(attempt: &Attempt, step: usize) -> Result<TaskRecord, TaskError> {
    let selection = attempt.selection(step)?;
    let mut report = Report { step, groups: 0, named: BTreeMap::new(), order: BTreeSet::new() };
    let mut targets = targets(attempt, &selection, &mut report)?;
    let mut bounds = Writer::<u64, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let mut ranked = Ranked::of(attempt)?;
    while let Some((key, _)) = targets.row() {
        attempt.check_stopped()?;
        let (slot, group) = target_place(key);
        let mut of_group = Vec::new();
        while let Some((key, node)) = targets.row()
            && target_place(key) == (slot, group)
        {
            of_group.push(read_target(key, node, targets.note())?);
            targets.advance()?;
        }
        let mut scan = Scan::new(of_group, selection.ties);
        ranked.each(slot, group, &mut scan)?;
        for bound in scan.finish() {
            bounds.push_node(group_key(group), bound.share as u64, &rank_note(bound.rank))?;
            report.found(group, &selection, &bound);
        }
    }
    let selected = Some(Box::new(report.finish()));
    let record = attempt.leave(FileRole::Bounds, |out| bounds.finish(out))?;
    Ok(TaskRecord { selected, ..record })
}

type Targets = Sorted<u128, Noted, File>;

/// In which slots the shares of all groups end, sorted by slot and group.
fn targets(attempt: &Attempt, selection: &Selection, report: &mut Report) -> Result<Targets, TaskError> {
    let sources = Sources {
        stage: attempt.stage - 1,
        file: |record: &TaskRecord| record.files.get(&FileRole::Counts)?.first().cloned(),
        nodes: true,
        part: Part { range: 0, ranges: 1, notes: true },
    };
    let mut counts = merge::<u64>(attempt, &sources)?;
    let mut targets = Sorter::<u128, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let mut slots: Vec<Slot> = Vec::new();
    while let Some((group, _)) = counts.row() {
        attempt.check_stopped()?;
        slots.clear();
        let mut named = (0, String::new());
        while let Some((same, node)) = counts.row()
            && same == group
        {
            match CountRow::read(node, counts.note())? {
                CountRow::Count(slot) => slots.push(slot),
                CountRow::Name { key, name } => named = (key, String::from_utf8_lossy(name).into_owned()),
            }
            counts.advance()?;
        }
        slots.sort_unstable_by_key(|slot| slot.slot);
        let group = group >> group_key(1).trailing_zeros();
        report.add(group, selection, named, &slots);
        for target in locate(&slots, &selection.shares) {
            let key = (target.slot as u128) << 96 | u128::from(group) << 32 | target.share as u128;
            targets.push(key, target.before, &target.rest.to_le_bytes())?;
        }
    }
    Ok(targets.finish()?)
}

/// The slot and the group of a target's key.
fn target_place(key: u128) -> (usize, u64) {
    ((key >> 96) as usize, (key >> 32) as u64)
}

fn read_target(key: u128, before: u64, note: &[u8]) -> Result<Target, TaskError> {
    let rest = note.try_into().map_err(|_| TaskError::fatal("a target is cut short"))?;
    let (slot, _) = target_place(key);
    Ok(Target { share: (key as u32) as usize, slot, rest: u64::from_le_bytes(rest), before })
}

/// The scores in order, asked for by slot and group.
struct Ranked<'a> {
    attempt: &'a Attempt,
    /// Of equal ranges of slots.
    files: Vec<FileEntry>,
    open: Option<(usize, Run<u128>)>,
}

impl<'a> Ranked<'a> {
    fn of(attempt: &'a Attempt) -> Result<Self, TaskError> {
        let mut files = Vec::new();
        for record in attempt.records(attempt.stage - 1) {
            let mut record = record?;
            let ranked = record.files.remove(&FileRole::Ranked);
            let none =
                || TaskError::fatal(format!("task {} of the stage before left no scores", record.task));
            files.extend(ranked.ok_or_else(none)?);
        }
        Ok(Self { attempt, files, open: None })
    }

    /// Tells a scan the ranks of a group in a slot.
    fn each(&mut self, slot: usize, group: u64, scan: &mut Scan) -> Result<(), TaskError> {
        let rows = match self.open.take().filter(|(open, _)| *open == slot) {
            Some(open) => open,
            None => (slot, self.read(slot)?),
        };
        let (_, rows) = self.open.insert(rows);
        while let Some((key, _)) = rows.row() {
            let ScoreRow::Score { group: at, rank, weight, .. } = ScoreRow::read(key, rows.note())? else {
                return Err(TaskError::fatal("a name among scores in order"));
            };
            if at > group {
                break;
            }
            if at == group {
                scan.record(rank, weight);
            }
            rows.advance()?;
        }
        Ok(())
    }

    fn read(&self, slot: usize) -> Result<Run<u128>, TaskError> {
        let file = self.files.get(slot * self.files.len() / SLOTS);
        let file = file.ok_or_else(|| TaskError::fatal(format!("no task had slot {slot}")))?;
        let tail = file.bytes.saturating_sub(FOOTER_BYTES as u64)..file.bytes;
        let footer = Footer::<u128>::parse(&file.path, &self.attempt.read_at(file, tail)?)?;
        let (offset, length) = footer.byte_range(slot, SLOTS);
        let rows: Box<dyn Read + Send> = self.attempt.read_range(file, offset..offset + length);
        Ok(footer.bucket(slot, SLOTS, 0, rows)?)
    }
}

/// What the manifest says: of the largest groups, where their shares end.
struct Report {
    step: usize,
    groups: u64,
    named: BTreeMap<u64, SelectedGroup>,
    /// The least of them comes last, and makes room for the next.
    order: BTreeSet<(Reverse<u64>, u8, String, u64)>,
}

impl Report {
    fn add(&mut self, group: u64, selection: &Selection, (key, name): (u8, String), slots: &[Slot]) {
        self.groups += 1;
        let documents = slots.iter().map(|slot| slot.records).sum();
        let weight = slots.iter().fold(0, |sum: u64, slot| sum.saturating_add(slot.weight));
        self.order.insert((Reverse(documents), key, name.clone(), group));
        let key = selection.scores.keys.get(usize::from(key)).cloned().unwrap_or_default();
        let shares = Vec::new();
        self.named.insert(group, SelectedGroup { key, group: name, documents, weight, shares });
        if self.order.len() > NAMED
            && let Some((.., last)) = self.order.pop_last()
        {
            self.named.remove(&last);
        }
    }

    fn found(&mut self, group: u64, selection: &Selection, bound: &Bound) {
        let Some(named) = self.named.get_mut(&group) else { return };
        let share = selection.shares.get(bound.share).map(ToString::to_string).unwrap_or_default();
        named.shares.push(SelectedShare {
            share,
            threshold: selection.score(bound.score),
            documents: bound.records,
            tied: bound.tied,
            tied_within: bound.tied_within,
        });
    }

    fn finish(mut self) -> Selected {
        let largest =
            self.order.iter().filter_map(|(.., group)| self.named.remove(group)).map(|mut group| {
                group.shares.sort_by_key(|share| share.documents);
                group
            });
        Selected { step: self.step, groups: self.groups, largest: largest.collect() }
    }
}
