//! A run of maps, one document at a time.

use crate::recipe::StepSpec;
use crate::step::{Context, NO_BODY, NO_TEXT, Needs};
use crate::{BuildError, Built, Document, MapStep, Resources, Tally, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The maps between two barriers, fused: one per lane.
///
/// Counts what becomes of every document; steps neither count nor time nor log. A step that panics breaks the
/// document it panicked on, and is built anew for the next one.
pub struct Chain {
    links: Vec<Link>,
    resources: Arc<Resources>,
    seed: u64,
}

struct Link {
    spec: Arc<StepSpec>,
    step: Box<dyn MapStep>,
}

/// How a document's walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// The step that decided, if one did.
    pub step: Option<&'static str>,
}

impl Chain {
    pub fn new(specs: &[Arc<StepSpec>], resources: Arc<Resources>, seed: u64) -> Result<Self, BuildError> {
        let links = specs
            .iter()
            .map(|spec| Ok(Link { spec: Arc::clone(spec), step: build(spec, &resources, seed)? }))
            .collect::<Result<_, BuildError>>()?;
        Ok(Self { links, resources, seed })
    }

    /// Leads a document through the steps, up to the first that does not keep it, and counts it.
    pub fn apply(&mut self, doc: &mut Document, tally: &mut Tally) -> Outcome {
        let outcome = self.walk(doc, tally);
        tally.count(outcome.step.unwrap_or_default(), &outcome.verdict);
        outcome
    }

    fn walk(&mut self, doc: &mut Document, tally: &mut Tally) -> Outcome {
        for link in &mut self.links {
            let def = link.spec.def;
            let verdict = match def.needs {
                Needs::Body if doc.body.is_none() => Verdict::broken(NO_BODY),
                Needs::Text if doc.text.is_none() => Verdict::broken(NO_TEXT),
                _ => match catch_unwind(AssertUnwindSafe(|| link.step.apply(doc))) {
                    Ok(verdict) => verdict,
                    Err(_) => {
                        // Its buffers may be half written. Parameters that built once build again.
                        if let Ok(fresh) = build(&link.spec, &self.resources, self.seed) {
                            link.step = fresh;
                        }
                        Verdict::broken(format!("panic in {}", def.name))
                    }
                },
            };
            tally.passed(link.spec.index, verdict.is_keep());
            if !verdict.is_keep() {
                return Outcome { verdict, step: Some(def.name) };
            }
        }
        Outcome { verdict: Verdict::Keep, step: None }
    }
}

fn build(spec: &StepSpec, resources: &Resources, seed: u64) -> Result<Box<dyn MapStep>, BuildError> {
    match spec.parsed.build(&Context { resources, seed })? {
        Built::Map(step) => Ok(step),
        Built::Barrier(_) => Err(BuildError::new(format!(
            "{} needs the whole corpus and has no place between maps",
            spec.def.name
        ))),
    }
}
