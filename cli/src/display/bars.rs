//! A bar per stage on stderr. Bars of stages that ended stay, so that a script's log of a terminal is whole.

use super::words::{clean, failure, stage_message, stage_now};
use gristmill_proto::v1;
use indicatif::{ProgressBar, ProgressStyle};

#[derive(Default)]
pub(crate) struct Bars {
    /// The stage of the bar that is drawn, or of the next.
    stage: usize,
    bar: Option<ProgressBar>,
    failures: Vec<v1::AttemptFailure>,
}

impl Bars {
    pub(crate) fn update(&mut self, job: &v1::Job) {
        while self.stage < job.stages.len() {
            let bar = self.bar.get_or_insert_with(|| open(job, self.stage));
            let done = job.stages.get(self.stage).map_or(0, |stage| stage.tasks_done);
            bar.set_position(done);
            bar.set_message(stage_message(job, self.stage));
            if self.stage >= stage_now(job) {
                break;
            }
            self.close();
            self.stage += 1;
        }
        for new in job.recent_failures.iter().rev().filter(|new| !self.failures.contains(new)) {
            match &self.bar {
                Some(bar) => bar.println(failure(new)),
                None => eprintln!("{}", failure(new)),
            }
        }
        self.failures.clone_from(&job.recent_failures);
    }

    /// Leaves the bar as it is.
    pub(crate) fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

fn open(job: &v1::Job, index: usize) -> ProgressBar {
    let (title, tasks) = job.stages.get(index).map_or(("", 0), |stage| (stage.title.as_str(), stage.tasks));
    let bar = ProgressBar::new(tasks);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} tasks  {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(format!("[{}/{}] {:<28}", index + 1, job.stages.len(), clean(title)));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_follows_the_stage_that_runs() {
        let stage =
            |tasks_done, committed| v1::Stage { tasks: 4, tasks_done, committed, ..v1::Stage::default() };
        let mut bars = Bars::default();
        let mut check = |stages: Vec<v1::Stage>, expected: (usize, Option<u64>)| {
            bars.update(&v1::Job { stages, ..v1::Job::default() });
            assert_eq!((bars.stage, bars.bar.as_ref().map(ProgressBar::position)), expected);
        };
        check(Vec::new(), (0, None));
        check(vec![stage(1, false), stage(0, false)], (0, Some(1)));
        check(vec![stage(4, true), stage(2, false)], (1, Some(2)));
        check(vec![stage(4, true), stage(4, true)], (2, None));
    }
}
