//! A run of steps between two barriers, one document after another.

use crate::recipe::StepSpec;
use crate::step::{
    Answer, BatchStep, Context, NO_BODY, NO_TEXT, Needs, ObserveStep, Observed, Programs, SplitStep,
    StepError,
};
use crate::{BuildError, Built, Document, MapStep, Resources, Tally, Verdict};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The steps between two barriers, fused: one chain per lane.
///
/// A document goes in ([`Chain::put`]), is led on ([`Chain::go`]) and comes to an end ([`Chain::next_ended`]): at the step that does not
/// keep it, or behind the last. A step may make several of one, and one that works in batches lets documents wait for
/// others ([`Chain::flush`]); those that are kept come out in the order in which they went in. With each goes its
/// origin, of whatever kind, which the chain only carries.
///
/// The chain counts what becomes of every document; steps neither count nor time nor log. A step that panics breaks the
/// document it panicked on, and is built anew for the next one.
pub struct Chain<O = ()> {
    links: Vec<Link<O>>,
    tools: Tools,
    /// The last of them is the next to be led on.
    todo: Vec<Walk<O>>,
    ended: VecDeque<Ended<O>>,
    observed: Vec<(usize, Observed)>,
}

struct Link<O> {
    spec: Arc<StepSpec>,
    work: Work<O>,
}

enum Work<O> {
    Map(Box<dyn MapStep>),
    Split(Box<dyn SplitStep>),
    Observe(Box<dyn ObserveStep>),
    Batch(Batch<O>),
}

/// Documents that wait for a step that takes many at once.
struct Batch<O> {
    step: Box<dyn BatchStep>,
    waiting: Vec<Document>,
    origins: Vec<O>,
    /// Of their texts.
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
    origin: O,
    at: usize,
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
        Self { step, waiting: Vec::new(), origins: Vec::new(), bytes: 0 }
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
            .map(|spec| Ok(Link { spec: Arc::clone(spec), work: tools.build(spec)? }))
            .collect::<Result<_, BuildError>>()?;
        Ok(Self { links, tools, todo: Vec::new(), ended: VecDeque::new(), observed: Vec::new() })
    }

    /// Takes a document in. It is counted as seen.
    pub fn put(&mut self, doc: Document, origin: O, tally: &mut Tally) {
        tally.seen += 1;
        self.todo.push(Walk { doc, origin, at: 0 });
    }

    /// The document that [`Chain::go`] leads on next.
    #[must_use]
    pub fn upcoming(&self) -> Option<(&Document, &O)> {
        self.todo.last().map(|walk| (&walk.doc, &walk.origin))
    }

    /// Leads the upcoming document on, as far as it comes by itself.
    pub fn go(&mut self, tally: &mut Tally) -> Result<(), StepError> {
        let Some(Walk { mut doc, origin, mut at }) = self.todo.pop() else { return Ok(()) };
        loop {
            let Some(link) = self.links.get_mut(at) else {
                self.end(Ended { doc, verdict: Verdict::Keep, step: None, origin }, tally);
                return Ok(());
            };
            let (index, step) = (link.spec.index, link.spec.def.name);
            match link.meet(&mut doc, &self.tools, &mut self.observed) {
                Met::Passes => {
                    tally.passed(index, 1);
                    at += 1;
                }
                Met::Ends(verdict) => {
                    tally.stopped(index, &verdict);
                    self.end(Ended { doc, verdict, step: Some(step), origin }, tally);
                    return Ok(());
                }
                Met::Becomes(parts) => {
                    tally.passed(index, parts.len() as u64);
                    let parts = self.parts(doc, parts, &origin, step, tally);
                    self.lead_on(parts, at + 1);
                    return Ok(());
                }
                Met::Waits => {
                    return if link.wait(doc, origin) { self.run_batch(at, tally) } else { Ok(()) };
                }
            }
        }
    }

    /// Takes the documents that wait for a batch to fill out of the first batch that has some, so that [`Chain::go`] leads
    /// them on. False if none wait.
    pub fn flush(&mut self, tally: &mut Tally) -> Result<bool, StepError> {
        let waits = |link: &Link<O>| matches!(&link.work, Work::Batch(batch) if !batch.waiting.is_empty());
        let Some(at) = self.links.iter().position(waits) else { return Ok(false) };
        self.run_batch(at, tally)?;
        Ok(true)
    }

    /// The next document that came to its end.
    pub fn next_ended(&mut self) -> Option<Ended<O>> {
        self.ended.pop_front()
    }

    /// What steps observed since the last call: the step's place in the recipe, and the value.
    pub fn take_observed(&mut self) -> std::vec::Drain<'_, (usize, Observed)> {
        self.observed.drain(..)
    }

    /// Lets the documents that wait at a link meet its step.
    fn run_batch(&mut self, at: usize, tally: &mut Tally) -> Result<(), StepError> {
        let Some(link) = self.links.get_mut(at) else { return Ok(()) };
        let (index, name) = (link.spec.index, link.spec.def.name);
        let Work::Batch(batch) = &mut link.work else { return Ok(()) };
        let (mut docs, origins) = (std::mem::take(&mut batch.waiting), std::mem::take(&mut batch.origins));
        batch.bytes = 0;
        let mut answers = batch.step.apply(&mut docs)?.into_iter();
        let mut on = Vec::new();
        for (doc, origin) in docs.into_iter().zip(origins) {
            match answers.next().unwrap_or_else(|| Answer::Verdict(Verdict::broken("no answer"))) {
                Answer::Verdict(Verdict::Keep) => {
                    tally.passed(index, 1);
                    on.push((doc, origin));
                }
                Answer::Verdict(verdict) => {
                    tally.stopped(index, &verdict);
                    self.end(Ended { doc, verdict, step: Some(name), origin }, tally);
                }
                Answer::Documents(parts) => {
                    tally.passed(index, parts.len() as u64);
                    on.extend(self.parts(doc, parts, &origin, name, tally));
                }
            }
        }
        self.lead_on(on, at + 1);
        Ok(())
    }

    /// Has documents go on from a link, the first of them first.
    fn lead_on(&mut self, docs: Vec<(Document, O)>, at: usize) {
        self.todo.extend(docs.into_iter().rev().map(|(doc, origin)| Walk { doc, origin, at }));
    }

    /// What was made of a document takes its place: one keeps its identity, several are numbered. Of nothing, the document is
    /// dropped.
    fn parts(
        &mut self,
        doc: Document,
        mut parts: Vec<Document>,
        origin: &O,
        step: &'static str,
        tally: &mut Tally,
    ) -> Vec<(Document, O)> {
        match &mut parts[..] {
            [] => {
                let verdict = Verdict::dropped(NOTHING_LEFT);
                self.end(Ended { doc, verdict, step: Some(step), origin: origin.clone() }, tally);
            }
            [one] => one.id = doc.id,
            several => {
                tally.made += several.len() as u64 - 1;
                for (number, part) in several.iter_mut().enumerate() {
                    part.id = format!("{}#{number}", doc.id);
                    if part.fields.contains("id") {
                        part.fields.set("id", part.id.clone());
                    }
                }
            }
        }
        parts.into_iter().map(|part| (part, origin.clone())).collect()
    }

    fn end(&mut self, ended: Ended<O>, tally: &mut Tally) {
        tally.ended(ended.step.unwrap_or_default(), &ended.verdict);
        self.ended.push_back(ended);
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
                return Ok(self.ended.drain(..).collect());
            }
        }
    }
}

/// What a link says of a document.
enum Met {
    Passes,
    Ends(Verdict),
    Becomes(Vec<Document>),
    Waits,
}

impl<O> Link<O> {
    fn meet(&mut self, doc: &mut Document, tools: &Tools, observed: &mut Vec<(usize, Observed)>) -> Met {
        match self.spec.def.needs {
            Needs::Body if doc.body.is_none() => return Met::Ends(Verdict::broken(NO_BODY)),
            Needs::Text if doc.text.is_none() => return Met::Ends(Verdict::broken(NO_TEXT)),
            _ => {}
        }
        let Self { spec, work } = self;
        let met = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Map(step) => step.apply(doc).into(),
            Work::Split(step) => step.split(doc).map_or_else(Met::Ends, Met::Becomes),
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

    /// Lets a document wait. True if the batch is full.
    fn wait(&mut self, doc: Document, origin: O) -> bool {
        let Work::Batch(batch) = &mut self.work else { return false };
        batch.bytes += doc.text.as_ref().map_or(0, |text| text.as_str().len());
        batch.waiting.push(doc);
        batch.origins.push(origin);
        batch.waiting.len() >= batch.step.size() || batch.bytes >= BATCH_BYTES
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
            Built::Observe(step) => Ok(Work::Observe(step)),
            Built::Program(program) => {
                let programs = self.programs.as_ref().ok_or_else(|| BuildError::new(NO_PROGRAMS))?;
                Ok(Work::Batch(Batch::new(programs.start(program)?)))
            }
            Built::Barrier(_) => Err(BuildError::new(format!(
                "{} needs the whole corpus and has no place between maps",
                spec.def.name
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{parse_steps, tree};
    use crate::step::Program;
    use std::sync::Mutex;

    /// Drops what holds `x`, doubles what holds `2`, panics never; notes the sizes of its batches.
    struct Fake(Arc<Mutex<Vec<usize>>>, usize);

    impl Programs for Fake {
        fn start(&self, program: Program) -> Result<Box<dyn BatchStep>, BuildError> {
            Ok(Box::new(Fake(Arc::clone(&self.0), program.batch)))
        }
    }

    impl BatchStep for Fake {
        fn size(&self) -> usize {
            self.1
        }

        fn apply(&mut self, docs: &mut [Document]) -> Result<Vec<Answer>, StepError> {
            self.0.lock().expect("lock").push(docs.len());
            let answer = |doc: &mut Document| match doc.text.as_ref().map_or("", |text| text.as_str()) {
                text if text.contains('x') => Answer::Verdict(Verdict::dropped("x")),
                text if text.contains('2') => Answer::Documents(vec![text_of("id", "a"), text_of("id", "b")]),
                _ => Answer::Verdict(Verdict::Keep),
            };
            Ok(docs.iter_mut().map(answer).collect())
        }
    }

    fn text_of(id: &str, text: &str) -> Document {
        let record = serde_json::json!({"id": id, "text": text});
        Document::from_json(&record.to_string(), String::new).expect("a record")
    }

    #[test]
    fn batches_and_parts_keep_their_order() {
        let steps = "[{external: {command: [a], batch: 3}}, {external: {command: [b], batch: 2}}, {page_length_filter: {length_type: char}}]";
        let specs = parse_steps(&tree::parse(steps).expect("YAML"), &mut Vec::new());
        let sizes = Arc::default();
        let programs: Arc<dyn Programs> = Arc::new(Fake(Arc::clone(&sizes), 0));
        let mut chain = Chain::with_programs(&specs, Arc::default(), 0, Some(programs)).expect("a chain");
        let mut tally = Tally::default();
        let mut kept = Vec::new();
        let mut drain = |chain: &mut Chain<usize>, tally: &mut Tally| {
            while chain.upcoming().is_some() {
                chain.go(tally).expect("goes");
            }
            while let Some(ended) = chain.next_ended() {
                if ended.verdict.is_keep() {
                    kept.push(format!("{} {}", ended.doc.id, ended.origin));
                }
            }
        };
        for (origin, text) in ["p", "2", "x", "q", "", "r", "x", "s"].iter().enumerate() {
            chain.put(text_of(&format!("d{origin}"), text), origin, &mut tally);
            drain(&mut chain, &mut tally);
        }
        while chain.flush(&mut tally).expect("flushes") {
            drain(&mut chain, &mut tally);
        }
        assert_eq!(kept, ["d0 0", "d1#0 1", "d1#1 1", "d3 3", "d5 5", "d7 7"]);
        assert_eq!(*sizes.lock().expect("lock"), [3, 2, 3, 2, 2, 2, 1]);
        assert_eq!(tally.balance(), Ok(()));
        assert_eq!((tally.seen, tally.made, tally.kept), (8, 1, 6));
        assert_eq!((tally.steps[&0].seen, tally.steps[&0].out), (8, 7));
        assert!(chain.next_ended().is_none());
    }

    #[test]
    fn programs_run_only_where_they_may() {
        let specs = parse_steps(&tree::parse("[{external: {command: [a]}}]").expect("YAML"), &mut Vec::new());
        assert!(Chain::<()>::new(&specs, Arc::default(), 0).is_err());
    }
}
