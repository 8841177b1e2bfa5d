//! What tasks take, stage by stage, as workers say when they finish them.

use std::collections::{BTreeMap, BTreeSet};

/// A job's id, and the number of the stage.
pub(crate) type StageKey = (String, usize);

/// What a task is taken to take while nothing is known of it.
const GUESS: f64 = 10.0;
/// The last so many tasks count most.
const MEMORY: u32 = 20;
/// A new mean counts once it is off by so much.
const OFF: f64 = 0.2;

#[derive(Debug, Default)]
pub(crate) struct Paces {
    measured: BTreeMap<StageKey, Pace>,
    /// The longest that a task of the stage has been running for.
    running: BTreeMap<StageKey, f64>,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    tasks: u32,
    mean: f64,
    /// The mean that counts.
    told: f64,
}

impl Paces {
    /// A task of the stage was done in so many seconds.
    pub(crate) fn measure(&mut self, stage: StageKey, seconds: f64) {
        let pace = self.measured.entry(stage).or_insert(Pace { tasks: 0, mean: seconds, told: seconds });
        pace.tasks = (pace.tasks + 1).min(MEMORY);
        pace.mean += (seconds - pace.mean) / f64::from(pace.tasks);
        if (pace.mean - pace.told).abs() > OFF * pace.told {
            pace.told = pace.mean;
        }
    }

    /// Takes in how long tasks have been running for, and forgets the jobs that are not among those that go on.
    pub(crate) fn look(&mut self, running: BTreeMap<StageKey, f64>, jobs: &BTreeSet<&str>) {
        self.running = running;
        self.measured.retain(|(job, _), _| jobs.contains(job.as_str()));
    }

    /// What a task of the stage takes.
    pub(crate) fn seconds(&self, stage: &StageKey) -> f64 {
        match self.measured.get(stage) {
            Some(pace) => pace.told,
            None => self.running.get(stage).copied().unwrap_or_default().max(GUESS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_counts_until_it_is_off_by_a_fifth() {
        let stage = ("j".to_owned(), 0);
        let mut paces = Paces::default();
        let jobs = BTreeSet::from(["j"]);
        let seconds = |paces: &Paces| paces.seconds(&stage).round() as u64;
        assert_eq!(seconds(&paces), 10, "a guess");
        paces.look(BTreeMap::from([(stage.clone(), 75.0)]), &jobs);
        assert_eq!(seconds(&paces), 75, "what runs for so long takes so long");
        paces.measure(stage.clone(), 100.0);
        assert_eq!(seconds(&paces), 100);
        paces.measure(stage.clone(), 110.0);
        assert_eq!(seconds(&paces), 100);
        for _ in 0..100 {
            paces.measure(stage.clone(), 200.0);
        }
        assert!(seconds(&paces) > 160);
        paces.look(BTreeMap::new(), &BTreeSet::new());
        assert_eq!(seconds(&paces), 10, "forgotten with its job");
    }
}
