//! How far the work is, for those who watch it in the same process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow: documents seen and kept by tasks that run or ran here, stage by stage. An attempt that
/// fails takes back what it added.
#[derive(Debug, Default)]
pub struct Progress {
    stages: Vec<StageProgress>,
}

#[derive(Debug, Default)]
pub struct StageProgress {
    pub seen: AtomicU64,
    pub kept: AtomicU64,
}

impl Progress {
    #[must_use]
    pub fn new(stages: usize) -> Self {
        Self { stages: (0..stages).map(|_| StageProgress::default()).collect() }
    }

    #[must_use]
    pub fn stage(&self, stage: usize) -> Option<&StageProgress> {
        self.stages.get(stage)
    }
}

/// What one attempt adds to a stage. Dropped without [`AttemptProgress::keep`], it takes everything back.
pub(crate) struct AttemptProgress<'p> {
    stage: Option<&'p StageProgress>,
    seen: u64,
    kept: u64,
}

impl<'p> AttemptProgress<'p> {
    pub(crate) fn new(progress: &'p Progress, stage: usize) -> Self {
        Self { stage: progress.stage(stage), seen: 0, kept: 0 }
    }

    /// Says where the attempt stands.
    pub(crate) fn at(&mut self, seen: u64, kept: u64) {
        if let Some(stage) = self.stage {
            stage.seen.fetch_add(seen - self.seen, Ordering::Relaxed);
            stage.kept.fetch_add(kept - self.kept, Ordering::Relaxed);
        }
        (self.seen, self.kept) = (seen, kept);
    }

    pub(crate) fn keep(mut self) {
        self.stage = None;
    }
}

impl Drop for AttemptProgress<'_> {
    fn drop(&mut self) {
        if let Some(stage) = self.stage {
            stage.seen.fetch_sub(self.seen, Ordering::Relaxed);
            stage.kept.fetch_sub(self.kept, Ordering::Relaxed);
        }
    }
}
