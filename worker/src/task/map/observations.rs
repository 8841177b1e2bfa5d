//! What `aggregate` steps observe: for each of them the numbers and the texts of the task's documents, sorted.

use crate::TaskError;
use crate::files;
use crate::task::Attempt;
use gristmill_dedup::keyfile;
use gristmill_dedup::order::ordered;
use gristmill_dedup::sort::{Noted, Plain};
use gristmill_job::{FileEntry, FileRole};
use gristmill_pipeline::stage::MapStage;
use gristmill_pipeline::step::{Kind, Observed};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use xxhash_rust::xxh3::xxh3_128;

/// For each of the sorts. There may be many, and their rows are few.
const SORT_MEMORY: usize = 2 << 20;

type Scratch = Box<dyn FnMut() -> io::Result<File>>;

/// In the order of the steps.
pub(super) struct Observations(Vec<Of>);

struct Of {
    step: usize,
    /// Values so far: rows that are equal in all else are one row.
    count: u32,
    numbers: keyfile::Writer<u64, Plain, File, Scratch>,
    texts: keyfile::Writer<u128, Noted, File, Scratch>,
}

impl Observations {
    pub(super) fn new(attempt: &Attempt, stage: &MapStage) -> Self {
        let steps = attempt.open.recipe.steps.get(stage.steps.clone()).unwrap_or_default();
        let observing = steps.iter().filter(|spec| spec.def.kind == Kind::Observe);
        let scratch = || -> Scratch { Box::new(attempt.scratch()) };
        let of = observing.map(|spec| Of {
            step: spec.index,
            count: 0,
            numbers: keyfile::Writer::new(SORT_MEMORY, scratch()),
            texts: keyfile::Writer::new(SORT_MEMORY, scratch()),
        });
        Self(of.collect())
    }

    pub(super) fn push(&mut self, step: usize, value: &Observed) -> Result<(), TaskError> {
        let Some(of) = self.0.iter_mut().find(|of| of.step == step) else { return Ok(()) };
        match value {
            Observed::Number(number) => of.numbers.push(ordered(*number), of.count, &[])?,
            Observed::Text(text) => of.texts.push(xxh3_128(text.as_bytes()), of.count, text.as_bytes())?,
        }
        of.count =
            of.count.checked_add(1).ok_or_else(|| TaskError::fatal("more than 2^32 values in a task"))?;
        Ok(())
    }

    /// Writes two files for each step, numbers and texts, also where there are none.
    pub(super) fn finish(
        self,
        attempt: &Attempt,
        files: &mut BTreeMap<FileRole, Vec<FileEntry>>,
    ) -> Result<(), TaskError> {
        for Of { step, numbers, texts, .. } in self.0 {
            let path = attempt.path(&format!("observed-{step}-numbers"));
            let mut out = attempt.create_hashed(&path);
            let rows = numbers.finish(&mut out)?.entries;
            let numbers = files::finish(out, path, rows)?;
            let path = attempt.path(&format!("observed-{step}-texts"));
            let mut out = attempt.create_hashed(&path);
            let rows = texts.finish(&mut out)?.entries;
            let texts = files::finish(out, path, rows)?;
            files.entry(FileRole::Observed).or_default().extend([numbers, texts]);
        }
        Ok(())
    }
}
