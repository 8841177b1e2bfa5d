//! What the barrier before a pass says of the documents of its task.

use super::drops::Drops;
use crate::TaskError;
use crate::ranged::RangedReader;
use crate::task::Attempt;
use crate::task::levels::Levels;
use gristmill_dedup::bff::FoundRows;
use gristmill_dedup::droplist::DropList;
use gristmill_dedup::substring::Finder;
use gristmill_job::{FileEntry, FileRole};
use gristmill_pipeline::step::{Bloom, Built, Spans};
use gristmill_pipeline::{Document, Selection, Verdict};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;

pub(super) struct After {
    pub(super) step: &'static str,
    pub(super) index: usize,
    found: Found,
}

#[allow(clippy::large_enum_variant, reason = "there is one for each task")]
enum Found {
    /// Units that go.
    Units(Box<Drops>),
    /// Windows of text that go.
    Windows { list: DropList<Box<dyn Read + Send>>, spans: Spans, finder: Finder },
    /// What filters found: of each group the rows of this task's documents.
    Rows { bloom: Bloom, groups: Vec<FoundRows<RangedReader>> },
    /// Within how many shares of a selection its scores are.
    Levels { selection: Box<Selection>, rows: Levels, levels: Vec<Option<u32>> },
}

impl After {
    pub(super) fn open(attempt: &Attempt, barrier: usize) -> Result<Self, TaskError> {
        let found = match attempt.built(barrier)? {
            Built::Barrier(joins) => Found::Units(Box::new(Drops::open(attempt, joins)?)),
            Built::Spans(spans) => {
                Found::Windows { list: attempt.drop_list()?, finder: spans.finder()?, spans }
            }
            Built::Bloom(bloom) => Found::Rows { groups: filtered(attempt, bloom.groups)?, bloom },
            Built::Selection(selection) => Found::Levels {
                levels: vec![None; selection.scores.keys.len()],
                selection: Box::new(selection),
                rows: Levels::open(attempt)?,
            },
            _ => return Err(TaskError::fatal("what stands before the pass is no barrier")),
        };
        let step = attempt.open.recipe.steps.get(barrier).map_or("", |spec| spec.def.name);
        Ok(Self { step, index: barrier, found })
    }

    /// Says what becomes of a document, of which some units may go, and how many went.
    pub(super) fn apply(
        &mut self,
        attempt: &Attempt,
        doc: &mut Document,
        units: Range<u32>,
    ) -> Result<(Verdict, u64), TaskError> {
        match &mut self.found {
            Found::Units(drops) => drops.apply(attempt, doc, units),
            Found::Windows { list, spans, finder } => match &gone(list, units)?[..] {
                [] => Ok((Verdict::Keep, 0)),
                windows => Ok(spans.remove(doc, windows, finder)),
            },
            Found::Rows { bloom, groups } => {
                let group = groups.get_mut(bloom.group(doc) as usize);
                let group = group.ok_or_else(|| TaskError::fatal("a document is of no group"))?;
                Ok(bloom.apply(doc, group.at(units.start)?))
            }
            Found::Levels { selection, rows, levels } => {
                rows.at(units.start, levels)?;
                Ok((selection.decide(doc, levels), 0))
            }
        }
    }

    /// The same for a document that was done before a checkpoint: what is written of it is not in the log.
    pub(super) fn pass_over(
        &mut self,
        attempt: &Attempt,
        id: &str,
        units: Range<u32>,
    ) -> Result<(), TaskError> {
        match &mut self.found {
            Found::Units(drops) => drops.pass_over(attempt, id, units),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self, files: &mut BTreeMap<FileRole, Vec<FileEntry>>) -> Result<(), TaskError> {
        match self.found {
            Found::Units(drops) => drops.finish(files),
            _ => Ok(()),
        }
    }
}

/// Of these units those that go, by their places among them.
fn gone(list: &mut DropList<impl Read>, units: Range<u32>) -> Result<Vec<u32>, TaskError> {
    let mut gone = Vec::new();
    for unit in units.clone() {
        if list.entry(unit)?.is_some() {
            gone.push(unit - units.start);
        }
    }
    Ok(gone)
}

/// What each filter says of them.
fn filtered(attempt: &Attempt, groups: u32) -> Result<Vec<FoundRows<RangedReader>>, TaskError> {
    let (shard, shards) = (attempt.shard()?, attempt.shards()?);
    attempt
        .records(attempt.stage - 1)
        .map(|record| {
            let record = record?;
            let file = record.files.get(&FileRole::Found).and_then(|files| files.first());
            let file = file.ok_or_else(|| TaskError::fatal("a filter of the dedup before left nothing"))?;
            Ok(FoundRows::new(attempt.section(file, shards, shard, groups as usize)?))
        })
        .collect()
}
