//! All that a worker can do.

mod aggregate;
mod bounds;
mod bucket;
mod components;
mod filter;
mod guard;
mod known;
mod levels;
mod map;
mod merge;
mod ranks;
mod selection;
mod signed;
mod spans;
mod verify;

pub(crate) use map::add_poison;

use crate::external::Processes;
use crate::files::{self, HashedOut};
use crate::filter_memory::FilterMemory;
use crate::hand::{Hand, Order};
use crate::indexed::OpenIndex;
use crate::{Metrics, OpenJob, TaskError};
use gristmill_dedup::Error;
use gristmill_dedup::droplist::{self, DropList};
use gristmill_dedup::keyfile::{Summary, shard_and_ordinal};
use gristmill_job::{FileRole, Place, Poison, Slice, TaskRecord, pages, tasks_of_page};
use gristmill_pipeline::stage::{MapStage, Stage};
use gristmill_pipeline::step::{Barrier, Bloom, Built, Context, Programs, Spans};
use gristmill_pipeline::{Chain, Selection};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// One try at a task.
pub(crate) struct Attempt {
    pub(crate) open: Arc<OpenJob>,
    pub(crate) stage: usize,
    pub(crate) task: u64,
    /// Unique among all attempts ever.
    pub(crate) name: String,
    pub(crate) handle: Handle,
    pub(crate) scratch: PathBuf,
    /// Of a task of the first stage.
    pub(crate) inputs: Vec<Slice>,
    pub(crate) checkpoint_every: Duration,
    /// An attempt before this one may have left a checkpoint, though the task is short.
    pub(crate) look_back: bool,
    /// Known to be poison, beside what the checkpoint knows.
    pub(crate) poison: Vec<Poison>,
    pub(crate) hand: Arc<Hand>,
    /// Whether users' programs may be run.
    pub(crate) allow_external: bool,
    /// What Bloom filters take of the process's memory.
    pub(crate) filter_memory: Arc<FilterMemory>,
    pub(crate) metrics: Metrics,
}

/// Does the task and gives the record to be committed.
pub(crate) fn run(attempt: &Attempt) -> Result<TaskRecord, TaskError> {
    let planned = attempt.open.plan.stages.get(attempt.stage);
    let planned = planned.ok_or_else(|| TaskError::fatal("the plan has no such stage"))?;
    match &planned.stage {
        Stage::Map(stage) => map::run(attempt, stage),
        Stage::Aggregate => aggregate::run(attempt),
        Stage::Bucket { barrier } => bucket::run(attempt, *barrier, planned.tasks),
        Stage::Attach { .. } => verify::attach(attempt, planned.tasks),
        Stage::Compare { barrier } => verify::compare(attempt, *barrier, planned.tasks),
        Stage::Components { barrier } => components::run(attempt, *barrier),
        Stage::Ranks { .. } => ranks::run(attempt, planned.tasks),
        Stage::Bounds { barrier } => bounds::run(attempt, *barrier),
        Stage::Anchors { .. } => spans::anchors(attempt, planned.tasks),
        Stage::Windows { barrier } => spans::windows(attempt, *barrier),
        Stage::Repeats { barrier } => spans::repeats(attempt, *barrier, planned.tasks),
        Stage::List { .. } => spans::list(attempt),
        Stage::Filter { barrier, .. } => filter::run(attempt, *barrier),
    }
}

/// Lets an error of ours through a function that knows only its own.
fn keep(slot: &mut Option<TaskError>, error: TaskError) -> Error {
    let message = error.to_string();
    *slot = Some(error);
    Error::Invalid(message)
}

impl Attempt {
    /// Memory for what the task sorts and joins, by `tasks.memory` of the recipe.
    fn memory(&self) -> u64 {
        self.open.recipe.head.tasks.memory().0
    }

    /// Memory for one sort. A task has two of them at once, or one beside components.
    fn sort_memory(&self) -> usize {
        usize::try_from(self.memory() / 5).unwrap_or(usize::MAX)
    }

    /// Whether to give up: asked between two documents or rows.
    pub(crate) fn check_stopped(&self) -> Result<(), TaskError> {
        if self.hand.order() == Order::GoOn { Ok(()) } else { Err(TaskError::stopped()) }
    }

    /// A chain of the maps of a stage.
    fn chain(&self, steps: &Range<usize>) -> Result<Chain<Place>, TaskError> {
        let specs = self.open.recipe.steps.get(steps.clone()).unwrap_or_default();
        let (resources, seed) = (Arc::clone(&self.open.resources), self.open.recipe.head.seed);
        let processes = || Processes::of_attempt(self.scratch.clone(), Arc::clone(&self.hand));
        let programs = self.allow_external.then(|| Arc::new(processes()) as Arc<dyn Programs>);
        Ok(Chain::with_programs(specs, resources, seed, programs)?)
    }

    /// The step at a place of the recipe.
    fn built(&self, place: usize) -> Result<Built, TaskError> {
        let spec = self.open.recipe.steps.get(place);
        let spec = spec.ok_or_else(|| TaskError::fatal("the recipe has no such step"))?;
        let seed = self.open.recipe.head.seed;
        Ok(spec.parsed.build(&Context { resources: &self.open.resources, seed })?)
    }

    /// The barrier at a place of the recipe.
    fn barrier(&self, place: usize) -> Result<Barrier, TaskError> {
        match self.built(place)? {
            Built::Barrier(barrier) => Ok(barrier),
            _ => Err(TaskError::fatal(format!("step {place} joins no documents"))),
        }
    }

    /// The selection at a place of the recipe.
    fn selection(&self, place: usize) -> Result<Selection, TaskError> {
        match self.built(place)? {
            Built::Selection(selection) => Ok(selection),
            _ => Err(TaskError::fatal(format!("step {place} is no selection"))),
        }
    }

    /// The dedup by filters at a place of the recipe.
    fn bloom(&self, place: usize) -> Result<Bloom, TaskError> {
        match self.built(place)? {
            Built::Bloom(bloom) => Ok(bloom),
            _ => Err(TaskError::fatal(format!("step {place} has no filter"))),
        }
    }

    /// The dedup of spans at a place of the recipe.
    fn spans(&self, place: usize) -> Result<Spans, TaskError> {
        match self.built(place)? {
            Built::Spans(spans) => Ok(spans),
            _ => Err(TaskError::fatal(format!("step {place} finds no spans"))),
        }
    }

    /// The part of a drop list that concerns this task's documents. The stage just before this one made it.
    fn drop_list(&self) -> Result<DropList<Box<dyn Read + Send>>, TaskError> {
        let (shard, shards) = (self.shard()?, self.shards()?);
        // One file over all shards.
        let record = self.earlier(self.stage - 1, 0)?;
        let file = record.files.get(&FileRole::Drops).and_then(|files| files.first());
        let file = file.ok_or_else(|| TaskError::fatal("the dedup before left no drop list"))?;
        let tail = file.bytes.saturating_sub(droplist::tail_bytes(shards))..file.bytes;
        let located = self.locate(file.clone());
        let index = droplist::Index::parse(&file.path, &located.read_at(&self.handle, tail)?)?;
        let (offset, length) = index.byte_range(shard)?;
        Ok(index.list(shard, located.read(&self.handle, offset..offset + length))?)
    }

    /// The stage whose map pass signed for the barrier of the stage `before`.
    fn signing_stage(&self) -> Result<(usize, u64), TaskError> {
        let stage = self.open.plan.documents_from(self.stage);
        let stage = stage.ok_or_else(|| TaskError::fatal("no stage signs for this one"))?;
        let tasks = self.open.plan.stages.get(stage).map_or(0, |s| s.tasks);
        Ok((stage, tasks))
    }

    /// The dedup that a task is part of, by its place in the recipe.
    fn barrier_place(&self) -> Option<usize> {
        match &self.open.plan.stages.get(self.stage)?.stage {
            Stage::Map(pass) => pass.after,
            Stage::Bucket { barrier }
            | Stage::Attach { barrier }
            | Stage::Compare { barrier }
            | Stage::Components { barrier } => Some(*barrier),
            _ => None,
        }
    }

    /// The index that this dedup is run against.
    fn index(&self) -> Option<&Arc<OpenIndex>> {
        self.open.indexes.get(&self.barrier_place()?)
    }

    /// Shards that are segments of an index. Those of the job come after them.
    fn known_shards(&self) -> u32 {
        self.index().map_or(0, |index| index.segments())
    }

    /// Whether a node is a document of the index.
    fn is_known(&self, node: u64) -> bool {
        shard_and_ordinal(node).0 < self.known_shards()
    }

    /// The generation that a document of the index came with; of others, the one after all.
    fn age(&self, node: u64) -> u64 {
        self.index().map_or(u64::MAX, |index| index.came_with(shard_and_ordinal(node).0))
    }

    /// Those, and how many tasks signed.
    fn all_shards(&self) -> Result<u32, TaskError> {
        let all = self.known_shards().checked_add(self.shards()?);
        all.ok_or_else(|| TaskError::fatal("more than 2^32 tasks and segments of the index"))
    }

    /// How many tasks signed.
    fn shards(&self) -> Result<u32, TaskError> {
        u32::try_from(self.signing_stage()?.1).map_err(|_| TaskError::fatal("more than 2^32 tasks"))
    }

    /// The number of this task's documents among all that a dedup sees.
    fn shard(&self) -> Result<u32, TaskError> {
        let task = u32::try_from(self.task).ok();
        let shard = task.and_then(|task| self.known_shards().checked_add(task));
        shard.ok_or_else(|| TaskError::fatal("more than 2^32 tasks"))
    }

    fn record(&self) -> TaskRecord {
        TaskRecord { stage: self.stage, task: self.task, attempt: self.name.clone(), ..TaskRecord::default() }
    }

    /// Writes the one file that the task leaves.
    fn leave(
        &self,
        role: FileRole,
        write: impl FnOnce(&mut HashedOut) -> Result<Summary, Error>,
    ) -> Result<TaskRecord, TaskError> {
        let path = self.path("rows");
        let mut out = self.create_hashed(&path);
        let summary = write(&mut out)?;
        let file = files::finish(out, path, summary.entries)?;
        Ok(TaskRecord { files: BTreeMap::from([(role, vec![file])]), ..self.record() })
    }

    /// The record of a task that this one builds on.
    fn earlier(&self, stage: usize, task: u64) -> Result<TaskRecord, TaskError> {
        let job = self.open.job.clone();
        Ok(self.wait(async move { job.must_record(stage, task).await })??)
    }

    /// The records of a page of a committed stage, in order and all of them.
    pub(crate) fn page(&self, stage: usize, page: u64) -> Result<Vec<TaskRecord>, TaskError> {
        let job = self.open.job.clone();
        let records = self.wait(async move { job.must_page(stage, page).await })??;
        let tasks = self.open.plan.stages.get(stage).map_or(0, |s| s.tasks);
        if !records.iter().map(|record| record.task).eq(tasks_of_page(page, tasks)) {
            return Err(TaskError::fatal(format!(
                "page {page} of the records of stage {stage} is not whole"
            )));
        }
        Ok(records)
    }

    /// The records of a committed stage, in order; a page of them in memory.
    fn records(&self, stage: usize) -> impl Iterator<Item = Result<TaskRecord, TaskError>> {
        let tasks = self.open.plan.stages.get(stage).map_or(0, |s| s.tasks);
        (0..pages(tasks)).flat_map(move |page| match self.page(stage, page) {
            Ok(records) => records.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }
}
