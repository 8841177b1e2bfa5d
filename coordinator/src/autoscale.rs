//! How many workers there should be, for whoever starts and stops them: KEDA ([`crate::api`]), or a HorizontalPodAutoscaler that
//! reads the metric.
//!
//! Enough to finish the work that is ready within [`Settings::target`]: tasks left of the stages that jobs are at, times what
//! such tasks take. What they take is measured; while no task of a stage is done, the longest that one has been running for is
//! the least that they can take, so that a stage of unknown tasks begins with few workers and gets more as they turn out long.
//!
//! Pure functions of what was seen; nothing here asks anybody. Every coordinator sees the same, so any may be asked.
//!
//! **No flapping**, by four rules:
//! 1. The work that was there at some time is held against the target counted from that time: the answer is the highest that the
//!    last [`Settings::target`] asks for, judged by what is known now. So workers stay until the work is done, while an answer
//!    that followed what is left would shrink with it and never end.
//! 2. Never more workers than tasks left have use for, and never fewer than hold a task now: a worker that is stopped gives its
//!    tasks back, which is safe, but costs what was done since their last checkpoints.
//! 3. An answer counts for [`Settings::settle`] before a lower one does. So workers outlive the moments between stages, and a
//!    job's end until there are none.
//! 4. A measured time counts until it is off by more than a fifth.

pub(crate) mod pace;

use pace::{Paces, StageKey};
use std::collections::VecDeque;
use std::time::Duration;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When the work that is ready should be done.
    pub target: Duration,
    /// Tasks that a worker works on at once.
    pub lanes: u32,
    pub min: u32,
    pub max: u32,
    /// How long an answer counts before a lower one does.
    pub settle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: Duration::from_mins(5), lanes: 4, min: 0, max: 100, settle: Duration::from_mins(2) }
    }
}

/// How far back is looked, whatever the settings.
const KEPT: Duration = Duration::from_hours(1);

/// The work at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// On whatever clock, the same for all looks.
    pub(crate) at: Duration,
    /// Tasks that are not done of the stages that jobs are at, those being worked on included.
    pub(crate) left: Vec<(StageKey, u64)>,
    /// Workers that hold a task.
    pub(crate) busy: u32,
}

/// What was seen within the last hour.
#[derive(Debug, Default)]
pub(crate) struct History {
    looks: VecDeque<Look>,
}

impl History {
    /// Looks come in order.
    pub(crate) fn add(&mut self, look: Look) {
        let since = look.at.saturating_sub(KEPT);
        self.looks.push_back(look);
        while self.looks.front().is_some_and(|first| first.at < since) {
            self.looks.pop_front();
        }
    }

    pub(crate) fn last(&self) -> Option<&Look> {
        self.looks.back()
    }

    /// How many workers there should be.
    pub(crate) fn wanted(&self, paces: &Paces, settings: &Settings) -> u32 {
        let Some(now) = self.last().map(|look| look.at) else { return settings.min };
        let work: Vec<f64> = self.looks.iter().map(|look| look.seconds(paces)).collect();
        let recent = self.looks.iter().enumerate().rev();
        let recent = recent.take_while(|(_, look)| now.saturating_sub(look.at) <= settings.settle);
        let demand = recent.map(|(place, look)| {
            let held = self.looks.iter().zip(&work).take(place + 1).rev();
            let held = held.take_while(|(before, _)| look.at.saturating_sub(before.at) <= settings.target);
            let most = held.map(|(_, seconds)| *seconds).fold(0.0, f64::max);
            look.demand(most, settings)
        });
        demand.max().unwrap_or_default().clamp(settings.min, settings.max.max(settings.min))
    }
}

impl Look {
    /// Lane seconds of the work that is left.
    pub(crate) fn seconds(&self, paces: &Paces) -> f64 {
        // Not `sum`, which makes -0 of nothing.
        self.left.iter().fold(0.0, |sum, (stage, tasks)| sum + *tasks as f64 * paces.seconds(stage))
    }

    pub(crate) fn tasks(&self) -> u64 {
        self.left.iter().map(|(_, tasks)| tasks).sum()
    }

    /// Workers that are of use now, where `seconds` of lanes are to fit into the target.
    fn demand(&self, seconds: f64, settings: &Settings) -> u32 {
        let lanes = f64::from(settings.lanes.max(1));
        let in_time = seconds / settings.target.as_secs_f64().max(1.0) / lanes;
        let of_use = self.tasks() as f64 / lanes;
        // As casts saturate, whatever the numbers are.
        (in_time.min(of_use).ceil() as u32).max(self.busy)
    }
}

#[cfg(test)]
mod tests;
