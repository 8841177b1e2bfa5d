//! One pass over the documents of a task: read, do what the barrier before found, lead through the steps, write.
//!
//! Between two records nothing is in hand: there the attempt looks whether it shall stop, and long ones take checkpoints
//! ([`log`]). What is known to be poison is counted and passed over without being touched.

mod after;
mod counted;
mod drops;
mod grams;
mod log;
mod observations;
mod scores;
mod sink;

pub(crate) use log::add_poison;

use self::after::After;
use self::counted::Counted;
use self::log::Log;
use self::observations::Observations;
use self::sink::Sink;
use super::Attempt;
use crate::TaskError;
use crate::frames::FrameReader;
use crate::hand::Order;
use crate::reading::{self, Reading};
use gristmill_job::{FileEntry, FileRole, PROBLEMS_PER_TASK, Place, Poison, Problem, Slice, TaskRecord};
use gristmill_pipeline::stage::MapStage;
use gristmill_pipeline::{Chain, Document, Tally, Verdict};
use gristmill_storage::{At, Item, Limits, Open, Records, StoreSource, Uri, open};
use std::sync::Arc;

/// The reason of documents that no attempt survives, and of files whose reading none does.
const POISON: &str = "poison";

pub(super) fn run(attempt: &Attempt, stage: &MapStage) -> Result<TaskRecord, TaskError> {
    let input = match attempt.open.plan.documents_from(attempt.stage) {
        None => Input::Slices(&attempt.inputs),
        Some(before) => Input::Documents(Shard::open(attempt, before)?),
    };
    let read_bytes = input.bytes();
    let long = log::is_long(read_bytes, attempt.checkpoint_every);
    let mut last = log::last(attempt, input.beginning(), long)?;
    let mut sink = Sink::new(attempt, stage)?;
    let mut observations = Observations::new(attempt, stage);
    let mut replay = log::Replay { attempt, sink: &mut sink, observations: &mut observations };
    if !replay.all(&last)? {
        tracing::warn!("the checkpoint of task {} cannot be read: beginning anew", attempt.task);
        last = last.again(input.beginning());
        sink = Sink::new(attempt, stage)?;
        observations = Observations::new(attempt, stage);
    }
    let replayed: u64 = last.segments.iter().map(|s| s.rows).sum();
    let found = last.tally.seen;
    let mut pass = Pass {
        attempt,
        chain: attempt.chain(&stage.steps)?,
        sink,
        observations,
        spare: None,
        tally: last.tally.clone(),
        problems: last.problems.clone(),
        poison: last.poison.clone(),
        log: if long { Some(Log::new(attempt, last.clone())?) } else { None },
        counted: Counted::new(&last.tally),
    };
    let mut after = stage.after.map(|barrier| After::open(attempt, barrier)).transpose()?;
    match input {
        Input::Slices(slices) => pass.read_slices(slices, last.rest)?,
        Input::Documents(shard) => pass.read_documents(&shard, after.as_mut(), last.rest)?,
    }
    pass.flush()?;
    pass.counted.add(&attempt.metrics, &mut pass.chain, &pass.tally);
    attempt.hand.empty(pass.tally.seen, pass.tally.kept);
    let mut record = attempt.record();
    pass.sink.finish(attempt, &mut record)?;
    if let Some(after) = after {
        after.finish(&mut record.files)?;
    }
    pass.observations.finish(attempt, &mut record.files)?;
    tracing::info!(
        stage = attempt.stage,
        task = attempt.task,
        read = pass.tally.seen - found,
        found_done = found,
        replayed,
        "read to the end"
    );
    Ok(TaskRecord { tally: pass.tally, read_bytes, problems: pass.problems, ..record })
}

/// What a task reads.
enum Input<'a> {
    /// The first pass: parts of the input.
    Slices(&'a [Slice]),
    /// A later pass: what the pass before kept.
    Documents(Shard),
}

/// The documents that the same task of the pass before kept.
struct Shard {
    files: Vec<FileEntry>,
}

impl Shard {
    fn open(attempt: &Attempt, stage: usize) -> Result<Self, TaskError> {
        let mut record = attempt.earlier(stage, attempt.task)?;
        Ok(Self { files: record.files.remove(&FileRole::Documents).unwrap_or_default() })
    }
}

impl Input<'_> {
    /// As stored.
    fn bytes(&self) -> u64 {
        match self {
            Self::Slices(slices) => slices.iter().map(|slice| slice.end - slice.start).sum(),
            Self::Documents(shard) => shard.files.iter().map(|file| file.bytes).sum(),
        }
    }

    fn beginning(&self) -> Place {
        match self {
            Self::Slices(_) => Place::Slice { slice: 0, after: None },
            Self::Documents(_) => Place::Document { number: 0 },
        }
    }
}

struct Pass<'a> {
    attempt: &'a Attempt,
    chain: Chain<Place>,
    sink: Sink,
    observations: Observations,
    /// The buffer of a page that is done with.
    spare: Option<Vec<u8>>,
    tally: Tally,
    problems: Vec<Problem>,
    poison: Vec<Poison>,
    log: Option<Log>,
    counted: Counted,
}

impl Pass<'_> {
    /// Called where nothing is in hand and all before `rest` is done.
    fn between(&mut self, rest: Place) -> Result<(), TaskError> {
        if self.counted.is_due() {
            self.counted.add(&self.attempt.metrics, &mut self.chain, &self.tally);
        }
        let due = self.log.as_ref().is_some_and(|log| match self.attempt.hand.order() {
            Order::GoOn => log.is_due(self.attempt),
            Order::Stop => log.is_worth_saving(),
            Order::Drop => false,
        });
        if due {
            // What waits for a batch is neither done nor among the rest.
            self.flush()?;
            // The store may take its time: no document is to blame.
            self.attempt.hand.empty(self.tally.seen, self.tally.kept);
            if let Some(log) = &mut self.log
                && let Err(error) = log.save(self.attempt, rest, &self.tally, &self.problems)
            {
                // The work is not harmed; but the rows that were to be stored are gone, so no later checkpoint is whole.
                tracing::warn!("cannot take a checkpoint, going on without: {error}");
                self.log = None;
            }
        }
        self.attempt.check_stopped()
    }

    fn read_slices(&mut self, slices: &[Slice], rest: Place) -> Result<(), TaskError> {
        let Place::Slice { slice: first, mut after } = rest else {
            return Err(TaskError::fatal("a checkpoint of another kind of task"));
        };
        for (number, slice) in slices.iter().enumerate().skip(first) {
            self.read_slice(number, slice, after.take())?;
        }
        Ok(())
    }

    /// The records of a slice; those after `found`, if an earlier attempt came so far.
    fn read_slice(&mut self, number: usize, slice: &Slice, found: Option<At>) -> Result<(), TaskError> {
        let mut after = found;
        let file: Arc<str> = slice.file.name.as_str().into();
        let mut records: Option<Box<dyn Records>> = None;
        loop {
            let rest = Place::Slice { slice: number, after };
            self.between(rest)?;
            if let Some(poison) = self.poisoned(rest) {
                self.broken(POISON);
                self.note(rest, poison);
                return Ok(());
            }
            self.attempt.hand.reading(rest, self.tally.seen, self.tally.kept);
            let reader = match &mut records {
                Some(open) => open,
                None => records.insert(self.open_slice(slice, found)?),
            };
            let Some(item) = reader.next()? else { return Ok(()) };
            let at = item.at();
            if found.is_some_and(|found| at <= found) {
                continue;
            }
            after = Some(at);
            let place = Place::Record { slice: number, at };
            if let Some(poison) = self.poisoned(place) {
                self.broken(POISON);
                self.note(place, poison);
            } else {
                self.attempt.hand.takes(place);
                self.read_item(item, &file, place)?;
                if let Some(body) = self.spare.take() {
                    reader.recycle(body);
                }
            }
        }
    }

    fn open_slice(&self, slice: &Slice, found: Option<At>) -> Result<Box<dyn Records>, TaskError> {
        let file = &slice.file;
        let uri: Uri =
            file.uri.parse().map_err(|e: gristmill_storage::UriError| TaskError::fatal(e.to_string()))?;
        let (store, key) = self.attempt.open.stores.open(&uri)?;
        let meta = self.attempt.wait({
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.stat(&key).await }
        })??;
        if (meta.size, &meta.tag) != (file.size, &file.tag) {
            return Err(TaskError::fatal(format!(
                "{uri} changed after the job was planned; put the old file back, or plan a new job"
            )));
        }
        let limits = &self.attempt.open.recipe.head.limits;
        let limits = Limits {
            max_body: limits.body.0 as usize,
            max_line: limits.line.0 as usize,
            ..Limits::default()
        };
        let source = Arc::new(StoreSource::new(self.attempt.handle.clone(), store, &key, file.size));
        // Records that begin at the same stored byte are passed over one by one, each within the limit of time.
        let after = found.map(|at| At { index: 0, ..at });
        let range = (!slice.is_whole()).then_some(slice.start..slice.end);
        let what = Open { name: file.name.clone(), format: file.format, slice: range, after, limits };
        Ok(open(source, &what)?)
    }

    fn read_item(&mut self, item: Item, file: &Arc<str>, place: Place) -> Result<(), TaskError> {
        match reading::read(item, file) {
            Reading::Document(doc) => self.lead(Document { file: Some(Arc::clone(file)), ..*doc }, place)?,
            Reading::Skipped(kind) => self.tally.skip(&kind),
            Reading::Broken { reason, detail } => {
                self.broken(&reason);
                self.problem(place, "", reason, detail);
            }
        }
        Ok(())
    }

    /// A later pass: what the pass before kept, less what the barrier between them found.
    fn read_documents(
        &mut self,
        shard: &Shard,
        mut after: Option<&mut After>,
        rest: Place,
    ) -> Result<(), TaskError> {
        let Place::Document { number: first } = rest else {
            return Err(TaskError::fatal("a checkpoint of another kind of task"));
        };
        let attempt = self.attempt;
        // Documents, and the units that the dedup knew them by.
        let (mut number, mut unit) = (0, 0);
        for file in &shard.files {
            let mut frames = FrameReader::new(attempt.read(file))?;
            let corrupt = |e| TaskError::from(e).during(&file.path);
            loop {
                let place = Place::Document { number };
                if number < first {
                    attempt.check_stopped()?;
                    let Some((id, units)) = frames.skip().map_err(corrupt)? else { break };
                    if let Some(after) = &mut after {
                        after.pass_over(attempt, &id, unit..unit + units)?;
                    }
                    number += 1;
                    unit += units;
                    continue;
                }
                self.between(place)?;
                attempt.hand.empty(self.tally.seen, self.tally.kept);
                let Some((mut doc, units)) = frames.next().map_err(corrupt)? else { break };
                let mut verdict = Verdict::Keep;
                if let Some(after) = &mut after {
                    let taken;
                    (verdict, taken) = after.apply(attempt, &mut doc, unit..unit + units)?;
                    if verdict.is_keep() {
                        self.tally.passed(after.index, 1);
                        self.tally.took(after.index, taken);
                    } else {
                        self.tally.stopped(after.index, &verdict);
                        self.tally.count(after.step, &verdict);
                    }
                    if let Verdict::Broken(reason) = &verdict {
                        let (reason, detail) = (reason.clone().into_owned(), format!("in {}", after.step));
                        self.problem(place, &doc.id, reason, detail);
                    }
                }
                if verdict.is_keep() {
                    if let Some(poison) = self.poisoned(place) {
                        self.broken(POISON);
                        self.problem(place, &doc.id, POISON.to_owned(), poison.why);
                    } else {
                        self.lead(doc, place)?;
                    }
                }
                number += 1;
                unit += units;
            }
        }
        Ok(())
    }

    /// Leads a document through the steps, and what comes to its end to the sink.
    fn lead(&mut self, doc: Document, place: Place) -> Result<(), TaskError> {
        self.chain.put(doc, place, &mut self.tally);
        self.go_on()
    }

    /// Leads on what waits for a batch to fill.
    fn flush(&mut self) -> Result<(), TaskError> {
        while self.chain.flush(&mut self.tally)? {
            self.go_on()?;
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), TaskError> {
        while let Some((doc, place)) = self.chain.upcoming() {
            self.attempt.hand.takes(*place);
            self.attempt.hand.named(&doc.id);
            self.chain.go(&mut self.tally)?;
            for (step, value) in self.chain.take_observed() {
                if let Some(log) = &mut self.log {
                    log.observe(step, &value)?;
                }
                self.observations.push(step, &value)?;
            }
            while let Some(ended) = self.chain.next_ended() {
                let doc = ended.doc;
                match ended.verdict {
                    Verdict::Keep => {
                        self.attempt.hand.writing();
                        if let Some(log) = &mut self.log {
                            log.keep(&doc)?;
                        }
                        self.sink.write(self.attempt, &doc)?;
                    }
                    Verdict::Drop(_) => {}
                    Verdict::Broken(reason) => {
                        let detail = ended.step.map(|step| format!("in {step}")).unwrap_or_default();
                        self.problem(ended.origin, &doc.id, reason.into_owned(), detail);
                    }
                }
                self.spare = doc.body.map(|body| body.bytes);
            }
        }
        Ok(())
    }

    fn poisoned(&self, place: Place) -> Option<Poison> {
        self.poison.iter().find(|poison| poison.place == place).cloned()
    }

    fn broken(&mut self, reason: &str) {
        self.tally.count("", &Verdict::broken(reason.to_owned()));
    }

    fn note(&mut self, place: Place, poison: Poison) {
        self.problem(place, &poison.id, POISON.to_owned(), poison.why);
    }

    fn problem(&mut self, place: Place, id: &str, reason: String, detail: String) {
        if self.problems.len() >= PROBLEMS_PER_TASK {
            return;
        }
        let slice = |number: usize| self.attempt.inputs.get(number);
        let uri = |number: usize| slice(number).map(|slice| slice.file.uri.clone()).unwrap_or_default();
        let (source, offset) = match place {
            Place::Slice { slice: number, after } => {
                let start = slice(number).map_or(0, |slice| slice.start);
                (uri(number), after.map_or(start, |at| at.offset))
            }
            Place::Record { slice: number, at } => (uri(number), at.offset),
            // Documents of a later pass have no place in the input any more: their identity must do.
            Place::Document { number } => {
                let stage = self.attempt.open.plan.documents_from(self.attempt.stage).unwrap_or_default();
                (format!("stage {stage}, task {}", self.attempt.task), u64::from(number))
            }
            Place::Signed { task, number } => (format!("task {task}"), number),
        };
        self.problems.push(Problem { source, offset, id: id.to_owned(), reason, detail });
    }
}
