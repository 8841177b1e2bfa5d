//! A run of steps between two barriers, one document after another.

mod alternatives;

use self::alternatives::{Out, Pages};
use crate::recipe::StepSpec;
use crate::step::{
    Alternative, AlternativesStep, Answer, BatchStep, Context, NO_BODY, NO_TEXT, Needs, ObserveStep,
    Observed, Programs, SplitStep, StepError,
};
use crate::{BuildError, Built, Document, MapStep, Resources, Tally, Verdict};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The steps between two barriers, fused: one chain per lane.
///
/// A document goes in ([`Chain::put`]), is led on ([`Chain::go`]) and comes to an end ([`Chain::next_ended`]): at the step that does not
/// keep it, or behind the last. A step may make several of one, and one that works in batches lets documents wait for
/// others ([`Chain::flush`]); those that are kept come out in the order in which they went in. Where a step offers several
/// texts for a page, the chain tries them one after the other ([`alternatives`]). With each document goes its origin, of
/// whatever kind, which the chain only carries.
///
/// The chain counts what becomes of every document, and how long steps take; steps neither count nor time nor log. A step
/// that panics breaks the document it panicked on, and is built anew for the next one.
pub struct Chain<O = ()> {
    links: Vec<Link<O>>,
    tools: Tools,
    /// The last of them is the next to be led on.
    todo: Vec<Walk<O>>,
    pages: Pages<O>,
    out: Out<O>,
}

struct Link<O> {
    spec: Arc<StepSpec>,
    work: Work<O>,
    load: Load,
}

/// What a step had to do. Not part of a tally: time is never the same twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Documents that met it.
    pub documents: u64,
    pub time: Duration,
}

enum Work<O> {
    Map(Box<dyn MapStep>),
    Split(Box<dyn SplitStep>),
    Alternatives(Box<dyn AlternativesStep>),
    Observe(Box<dyn ObserveStep>),
    Batch(Batch<O>),
}

/// Documents that wait for a step that takes many at once.
struct Batch<O> {
    step: Box<dyn BatchStep>,
    waiting: Vec<Waiting<O>>,
    /// Of the texts of those.
    bytes: usize,
}

struct Waiting<O> {
    doc: Document,
    way: Way<O>,
    bytes: usize,
}

struct Tools {
    resources: Arc<Resources>,
    seed: u64,
    programs: Option<Arc<dyn Programs>>,
}

/// A document on its way, and the link it comes to next.
struct Walk<O> {
    doc: Document,
    at: usize,
    way: Way<O>,
}

/// Where a document comes from.
#[derive(Clone)]
struct Way<O> {
    origin: O,
    /// The page that it is, or was made of, if there are several texts of that.
    page: Option<u64>,
    /// Whether a text before it came to nothing.
    again: bool,
}

/// A document that came to its end.
#[derive(Debug)]
pub struct Ended<O = ()> {
    pub doc: Document,
    pub verdict: Verdict,
    /// The step that decided, if one did.
    pub step: Option<&'static str>,
    /// What was said when the document went in.
    pub origin: O,
}

/// Text that may wait for a batch to fill.
const BATCH_BYTES: usize = 8 << 20;
/// The reason for documents of which a step made nothing.
const NOTHING_LEFT: &str = "nothing left";
const NO_PROGRAMS: &str =
    "programs of users are not run here; whoever runs the service may allow them (--allow-external)";

impl<O> Batch<O> {
    fn new(step: Box<dyn BatchStep>) -> Self {
        Self { step, waiting: Vec::new(), bytes: 0 }
    }
}

impl<O: Clone> Chain<O> {
    /// A chain of steps, none of which may be a user's program.
    pub fn new(specs: &[Arc<StepSpec>], resources: Arc<Resources>, seed: u64) -> Result<Self, BuildError> {
        Self::with_programs(specs, resources, seed, None)
    }

    /// A chain whose `external` steps are run by `programs`; without, they are refused.
    pub fn with_programs(
        specs: &[Arc<StepSpec>],
        resources: Arc<Resources>,
        seed: u64,
        programs: Option<Arc<dyn Programs>>,
    ) -> Result<Self, BuildError> {
        let tools = Tools { resources, seed, programs };
        let links = specs
            .iter()
            .map(|spec| Ok(Link { spec: Arc::clone(spec), work: tools.build(spec)?, load: Load::default() }))
            .collect::<Result<_, BuildError>>()?;
        Ok(Self { links, tools, todo: Vec::new(), pages: Pages::default(), out: Out::default() })
    }

    /// Takes a document in. It is counted as seen.
    pub fn put(&mut self, doc: Document, origin: O, tally: &mut Tally) {
        tally.seen += 1;
        self.todo.push(Walk { doc, at: 0, way: Way { origin, page: None, again: false } });
    }

    /// The document that [`Chain::go`] leads on next.
    #[must_use]
    pub fn upcoming(&self) -> Option<(&Document, &O)> {
        self.todo.last().map(|walk| (&walk.doc, &walk.way.origin))
    }

    /// Leads the upcoming document on, as far as it comes by itself.
    pub fn go(&mut self, tally: &mut Tally) -> Result<(), StepError> {
        let Some(Walk { mut doc, mut at, mut way }) = self.todo.pop() else { return Ok(()) };
        let mut since = Instant::now();
        loop {
            let Some(link) = self.links.get_mut(at) else {
                self.lead_end(doc, Verdict::Keep, None, way, tally);
                return Ok(());
            };
            let (index, step) = (link.spec.index, link.spec.def.name);
            let met = link.meet(&mut doc, &self.tools, self.pages.observed(way.page, &mut self.out));
            // One look at the clock a step, some 25 ns.
            let now = Instant::now();
            link.load.documents += 1;
            link.load.time += now - since;
            since = now;
            match met {
                Met::Passes => {
                    self.pages.tally(way.page, tally).passed(index, 1);
                    at += 1;
                }
                Met::Offers(first, rest) => {
                    self.pages.tally(way.page, tally).passed(index, 1);
                    at += 1;
                    way.page = Some(self.pages.open(&mut doc, first, rest, at));
                }
                Met::Ends(verdict) => {
                    self.pages.tally(way.page, tally).stopped(index, &verdict);
                    self.lead_end(doc, verdict, Some(step), way, tally);
                    return Ok(());
                }
                Met::Becomes(parts) => {
                    self.pages.tally(way.page, tally).passed(index, parts.len() as u64);
                    let parts = self.parts(doc, parts, way, (at, step), tally);
                    self.lead_on(parts);
                    return Ok(());
                }
                Met::Waits => {
                    let more = self.pages.bytes(way.page);
                    let enough = link.wait(doc, way, more);
                    return self.run_batch(at, enough, tally);
                }
            }
        }
    }

    /// Takes the documents that wait for a batch to fill out of the first batch that has some, so that [`Chain::go`] leads
    /// them on. False if none wait.
    pub fn flush(&mut self, tally: &mut Tally) -> Result<bool, StepError> {
        let waits = |link: &Link<O>| matches!(&link.work, Work::Batch(batch) if !batch.waiting.is_empty());
        let Some(at) = self.links.iter().position(waits) else { return Ok(false) };
        self.run_batch(at, usize::MAX, tally)?;
        Ok(true)
    }

    /// The next document that came to its end.
    pub fn next_ended(&mut self) -> Option<Ended<O>> {
        self.out.ended.pop_front()
    }

    /// What steps observed since the last call: the step's place in the recipe, and the value.
    pub fn take_observed(&mut self) -> std::vec::Drain<'_, (usize, Observed)> {
        self.out.observed.drain(..)
    }

    /// What steps had to do since the last call, by their names; those that met nothing are left out.
    pub fn take_loads(&mut self) -> impl Iterator<Item = (&'static str, Load)> {
        let loads = self.links.iter_mut().map(|link| (link.spec.def.name, std::mem::take(&mut link.load)));
        loads.filter(|(_, load)| load.documents > 0)
    }

    /// Lets so many of the documents that wait at a link meet its step.
    fn run_batch(&mut self, at: usize, count: usize, tally: &mut Tally) -> Result<(), StepError> {
        let Some(link) = self.links.get_mut(at) else { return Ok(()) };
        let (index, name) = (link.spec.index, link.spec.def.name);
        let Work::Batch(batch) = &mut link.work else { return Ok(()) };
        let count = count.min(batch.waiting.len());
        if count == 0 {
            return Ok(());
        }
        let (mut docs, mut ways) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for Waiting { doc, way, bytes } in batch.waiting.drain(..count) {
            batch.bytes -= bytes;
            docs.push(doc);
            ways.push(way);
        }
        let began = Instant::now();
        let mut answers = batch.step.apply(&mut docs)?.into_iter();
        link.load.time += began.elapsed();
        let mut on = Vec::new();
        for (doc, way) in docs.into_iter().zip(ways) {
            match answers.next().unwrap_or_else(|| Answer::Verdict(Verdict::broken("no answer"))) {
                Answer::Verdict(Verdict::Keep) => {
                    self.pages.tally(way.page, tally).passed(index, 1);
                    on.push(Walk { doc, at: at + 1, way });
                }
                Answer::Verdict(verdict) => {
                    self.pages.tally(way.page, tally).stopped(index, &verdict);
                    on.extend(self.end(doc, verdict, Some(name), way, tally));
                }
                Answer::Documents(parts) => {
                    self.pages.tally(way.page, tally).passed(index, parts.len() as u64);
                    on.extend(self.parts(doc, parts, way, (at, name), tally));
                }
            }
        }
        self.lead_on(on);
        Ok(())
    }

    /// Has documents go on, the first of them first.
    fn lead_on(&mut self, walks: Vec<Walk<O>>) {
        self.todo.extend(walks.into_iter().rev());
    }

    /// What was made of a document at a link takes its place: one keeps its identity, several are numbered. Of nothing, the
    /// document is dropped.
    fn parts(
        &mut self,
        doc: Document,
        mut parts: Vec<Document>,
        way: Way<O>,
        (at, step): (usize, &'static str),
        tally: &mut Tally,
    ) -> Vec<Walk<O>> {
        for part in &mut parts {
            part.file = part.file.take().or_else(|| doc.file.clone());
        }
        match &mut parts[..] {
            [] => {
                let again = self.end(doc, Verdict::dropped(NOTHING_LEFT), Some(step), way, tally);
                return again.into_iter().collect();
            }
            [one] => one.id = doc.id,
            several => {
                self.pages.tally(way.page, tally).made += several.len() as u64 - 1;
                self.pages.became(way.page, several.len());
                for (number, part) in several.iter_mut().enumerate() {
                    part.id = format!("{}#{number}", doc.id);
                    if part.fields.contains("id") {
                        part.fields.set("id", part.id.clone());
                    }
                }
            }
        }
        parts.into_iter().map(|doc| Walk { doc, at: at + 1, way: way.clone() }).collect()
    }

    /// Counts a document that came to its end. Gives its page with another text, where there is one to be tried.
    fn end(
        &mut self,
        doc: Document,
        verdict: Verdict,
        step: Option<&'static str>,
        way: Way<O>,
        tally: &mut Tally,
    ) -> Option<Walk<O>> {
        let Way { origin, page, .. } = way;
        self.pages.end(Ended { doc, verdict, step, origin }, page, tally, &mut self.out)
    }

    /// The same, and leads on what is to be tried.
    fn lead_end(
        &mut self,
        doc: Document,
        verdict: Verdict,
        step: Option<&'static str>,
        way: Way<O>,
        tally: &mut Tally,
    ) {
        let again = self.end(doc, verdict, step, way, tally);
        self.todo.extend(again);
    }
}

impl Chain {
    /// Leads one document to its end, or those that were made of it.
    pub fn apply(&mut self, doc: Document, tally: &mut Tally) -> Result<Vec<Ended>, StepError> {
        self.put(doc, (), tally);
        loop {
            while self.upcoming().is_some() {
                self.go(tally)?;
            }
            if !self.flush(tally)? {
                return Ok(self.out.ended.drain(..).collect());
            }
        }
    }
}

/// What a link says of a document.
enum Met {
    Passes,
    Ends(Verdict),
    Becomes(Vec<Document>),
    /// The first text, and those that come next.
    Offers(Alternative, VecDeque<Alternative>),
    Waits,
}

impl<O> Link<O> {
    fn meet(&mut self, doc: &mut Document, tools: &Tools, observed: &mut Vec<(usize, Observed)>) -> Met {
        match self.spec.def.needs {
            Needs::Body if doc.body.is_none() => return Met::Ends(Verdict::broken(NO_BODY)),
            Needs::Text if doc.text.is_none() => return Met::Ends(Verdict::broken(NO_TEXT)),
            _ => {}
        }
        let Self { spec, work, .. } = self;
        let met = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Map(step) => step.apply(doc).into(),
            Work::Split(step) => step.split(doc).map_or_else(Met::Ends, Met::Becomes),
            Work::Alternatives(step) => match step.alternatives(doc).map(VecDeque::from) {
                Err(verdict) => Met::Ends(verdict),
                Ok(mut texts) => match texts.pop_front() {
                    Some(first) => Met::Offers(first, texts),
                    None => Met::Ends(Verdict::dropped(NOTHING_LEFT)),
                },
            },
            Work::Observe(step) => {
                observed.extend(step.observe(doc).map(|value| (spec.index, value)));
                Met::Passes
            }
            Work::Batch(_) => Met::Waits,
        }));
        met.unwrap_or_else(|_| {
            // Its buffers may be half written. Parameters that built once build again.
            if let Ok(fresh) = tools.build(&self.spec) {
                self.work = fresh;
            }
            Met::Ends(Verdict::broken(format!("panic in {}", self.spec.def.name)))
        })
    }

    /// Lets a document wait, and `more` bytes with it. Says how many of those that wait are not to wait any longer.
    ///
    /// A page that comes again waits for nobody, and stays between those that came before and after it.
    fn wait(&mut self, doc: Document, way: Way<O>, more: usize) -> usize {
        let Work::Batch(batch) = &mut self.work else { return 0 };
        let bytes = doc.text.as_ref().map_or(0, |text| text.as_str().len()) + more;
        let again = way.again;
        let place = batch.waiting.partition_point(|before| before.way.page <= way.page);
        batch.bytes += bytes;
        batch.waiting.insert(place, Waiting { doc, way, bytes });
        let is_full = batch.waiting.len() >= batch.step.size() || batch.bytes >= BATCH_BYTES;
        if again {
            place + 1
        } else if is_full {
            batch.waiting.len()
        } else {
            0
        }
    }
}

impl From<Verdict> for Met {
    fn from(verdict: Verdict) -> Self {
        if verdict.is_keep() { Self::Passes } else { Self::Ends(verdict) }
    }
}

impl Tools {
    fn build<O>(&self, spec: &StepSpec) -> Result<Work<O>, BuildError> {
        match spec.parsed.build(&Context { resources: &self.resources, seed: self.seed })? {
            Built::Map(step) => Ok(Work::Map(step)),
            Built::Split(step) => Ok(Work::Split(step)),
            Built::Alternatives(step) => Ok(Work::Alternatives(step)),
            Built::Observe(step) => Ok(Work::Observe(step)),
            Built::Program(program) => {
                let programs = self.programs.as_ref().ok_or_else(|| BuildError::new(NO_PROGRAMS))?;
                Ok(Work::Batch(Batch::new(programs.start(program)?)))
            }
            Built::Barrier(_) | Built::Selection(_) | Built::Bloom(_) | Built::Spans(_) => {
                Err(BuildError::new(format!(
                    "{} needs the whole corpus and has no place between maps",
                    spec.def.name
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests;
