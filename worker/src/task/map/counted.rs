//! What of a pass has been added to the worker's metrics: once a second, so that documents cost nothing.

use crate::Metrics;
use gristmill_job::Place;
use gristmill_pipeline::{Chain, Tally};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Counted {
    at: Instant,
    seen: u64,
    kept: u64,
}

impl Counted {
    /// What attempts before this one did was counted by them.
    pub(super) fn new(done: &Tally) -> Self {
        Self { at: Instant::now(), seen: done.seen, kept: done.kept }
    }

    pub(super) fn is_due(&self) -> bool {
        self.at.elapsed() >= EVERY
    }

    /// Adds what happened since.
    pub(super) fn add(&mut self, metrics: &Metrics, chain: &mut Chain<Place>, tally: &Tally) {
        metrics.documents_in.inc_by(tally.seen.saturating_sub(self.seen));
        metrics.documents_kept.inc_by(tally.kept.saturating_sub(self.kept));
        for (step, load) in chain.take_loads() {
            metrics.stepped(step, load.documents, load.time);
        }
        *self = Self { at: Instant::now(), seen: tally.seen, kept: tally.kept };
    }
}
