//! The scores of a pass's documents, for the selection behind it.

use crate::task::Attempt;
use crate::task::selection::ScoreRow;
use gristmill_dedup::Error;
use gristmill_dedup::keyfile::{self, Summary};
use gristmill_dedup::sort::Noted;
use gristmill_pipeline::{Document, Selection};
use std::collections::HashSet;
use std::fs::File;
use std::io;

pub(super) struct Scores {
    selection: Selection,
    rows: keyfile::Writer<u128, Noted, File, Box<dyn FnMut() -> io::Result<File>>>,
    /// Groups whose names are written.
    named: HashSet<u64>,
    note: Vec<u8>,
}

/// Groups that are remembered, so that their names are written once; of more, some are written again.
const NAMED_MAX: usize = 1 << 16;

impl Scores {
    pub(super) fn new(attempt: &Attempt, selection: Selection) -> Self {
        let rows = keyfile::Writer::new(attempt.sort_memory(), Box::new(attempt.scratch()) as Box<_>);
        Self { selection, rows, named: HashSet::new(), note: Vec::new() }
    }

    pub(super) fn push(&mut self, doc: &Document, number: u32) -> Result<(), Error> {
        let Self { selection, rows, named, note } = self;
        let mut failed = None;
        selection.sign(doc, |signed| {
            let key = ScoreRow::of_score(&signed, note);
            let mut pushed = rows.push(key, number, note);
            if pushed.is_ok() && named.insert(signed.group) {
                if named.len() > NAMED_MAX {
                    named.clear();
                }
                let key = ScoreRow::of_name(&signed, note);
                pushed = rows.push(key, u32::MAX, note);
            }
            failed = failed.take().or(pushed.err());
        });
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn finish(self, out: &mut impl io::Write) -> Result<Summary, Error> {
        self.rows.finish(out)
    }
}
