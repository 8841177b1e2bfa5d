//! Looks at the work there is, for the autoscaler.

use super::{Coordinator, ServiceError};
use crate::autoscale::pace::StageKey;
use crate::autoscale::{History, Look, Settings};
use crate::driver::parse_task;
use crate::view::JobView;
use gristmill_job::JobState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Attempts asked about at once.
const ASKED_MAX: usize = 10_000;

/// What the autoscaler has seen.
pub(super) struct Scaling {
    began: Instant,
    settings: Settings,
    history: Mutex<History>,
}

impl Scaling {
    pub(super) fn new(settings: Settings) -> Self {
        Self { began: Instant::now(), settings, history: Mutex::default() }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coordinator {
    /// What the operator of this coordinator wants, where nobody says otherwise.
    #[must_use]
    pub fn autoscale_settings(&self) -> Settings {
        self.0.scaling.settings
    }

    /// How many workers there should be.
    #[must_use]
    pub fn workers_wanted(&self, settings: &Settings) -> u32 {
        self.0.scaling.history().wanted(&self.0.engine.paces(), settings)
    }

    pub(super) async fn watch_work(&self) {
        loop {
            // While the queue does not answer, what was seen last holds.
            if let Err(error) = self.look_at_work().await {
                tracing::warn!("cannot see how much work there is: {error}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_at_work(&self) -> Result<(), ServiceError> {
        let attempts = self.0.engine.producer().running(None, ASKED_MAX).await?;
        let holders: BTreeSet<&str> = attempts.iter().map(|attempt| attempt.holder.as_str()).collect();
        let mut running: BTreeMap<StageKey, f64> = BTreeMap::new();
        for attempt in &attempts {
            if let Some((stage, _)) = parse_task(&attempt.id, &attempt.job) {
                let longest = running.entry((attempt.job.clone(), stage)).or_default();
                *longest = longest.max(attempt.held.as_secs_f64());
            }
        }
        let views = self.views();
        let active = views.iter().filter(|view| view.state == JobState::Active);
        let jobs: BTreeSet<&str> = active.clone().map(|view| view.id.as_str()).collect();
        let left = active.filter_map(|view| left(view)).collect();
        let scaling = &self.0.scaling;
        let look = Look { at: scaling.began.elapsed(), left, busy: holders.len() as u32 };
        self.0.engine.paces().look(running, &jobs);
        scaling.history().add(look);
        Ok(())
    }

    /// Where all jobs stand.
    pub(super) fn views(&self) -> Vec<Arc<JobView>> {
        self.entries().values().map(|entry| Arc::clone(&entry.view.borrow())).collect()
    }
}

/// The tasks that are not done of the stage that a job is at.
fn left(view: &JobView) -> Option<(StageKey, u64)> {
    let (number, stage) = view.stages.iter().enumerate().find(|(_, stage)| !stage.committed)?;
    let left = stage.tasks.saturating_sub(stage.tasks_done + stage.tasks_failed);
    (left > 0).then(|| ((view.id.clone(), number), left))
}

/// What the autoscaler says, for those who scale by metrics.
pub(super) struct Wanted(pub(super) Coordinator);

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wanted")
    }
}

impl Collector for Wanted {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let coordinator = &self.0;
        let wanted = coordinator.workers_wanted(&coordinator.autoscale_settings());
        let (tasks, seconds) = {
            let history = coordinator.0.scaling.history();
            let paces = coordinator.0.engine.paces();
            history.last().map_or((0, 0.0), |look| (look.tasks(), look.seconds(&paces)))
        };
        let help = "Workers needed to finish the work that is ready within the target time";
        encoder
            .encode_descriptor("gristmill_workers_wanted", help, None, MetricType::Gauge)?
            .encode_gauge(&f64::from(wanted))?;
        let each = if tasks > 0 { seconds / tasks as f64 } else { 0.0 };
        let seconds = [
            ("gristmill_autoscaler_backlog", "Lane seconds of the work that is ready, as estimated", seconds),
            ("gristmill_autoscaler_task", "What a task of it takes, as measured", each),
        ];
        for (name, help, value) in seconds {
            encoder
                .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
        Ok(())
    }
}
