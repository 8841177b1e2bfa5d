//! The rules one by one, and then the loop as a whole: a recorded job, simulated workers, and KEDA and its autoscaler as they
//! poll and act.

use super::pace::{Paces, StageKey};
use super::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: Duration = Duration::from_secs(1);

fn stage(number: usize) -> StageKey {
    ("j".to_owned(), number)
}

/// Adds looks `(second, tasks left, busy workers)` of one stage whose tasks take `pace` seconds, and asks after each.
#[track_caller]
fn check(pace: f64, settings: &Settings, looks: &[(u64, u64, u32)], expected: &[u32]) {
    let mut paces = Paces::default();
    paces.measure(stage(0), pace);
    let mut history = History::default();
    let answers: Vec<u32> = looks
        .iter()
        .map(|(at, left, busy)| {
            history.add(Look { at: SECOND * *at as u32, left: vec![(stage(0), *left)], busy: *busy });
            history.wanted(&paces, settings)
        })
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn as_many_as_finish_the_work_in_time() {
    let settings = Settings { target: 300 * SECOND, lanes: 4, min: 0, max: 100, settle: 60 * SECOND };
    // 1,000 tasks of 30 s are 30,000 s of lanes: 100 lanes for 300 s.
    check(30.0, &settings, &[(0, 1000, 0)], &[25]);
    check(30.0, &Settings { max: 10, ..settings }, &[(0, 1000, 0)], &[10]);
    check(30.0, &Settings { min: 3, ..settings }, &[(0, 0, 0)], &[3]);
    check(0.01, &settings, &[(0, 3, 0)], &[1]);
    // A few long tasks: more lanes than tasks are of no use.
    check(4000.0, &settings, &[(0, 10, 0)], &[3]);
    check(f64::MAX, &settings, &[(0, u64::MAX, u32::MAX)], &[100]);
    assert_eq!(History::default().wanted(&Paces::default(), &settings), 0, "nothing was seen yet");
}

#[test]
fn workers_stay_until_the_work_is_done_and_then_go() {
    let settings = Settings { target: 300 * SECOND, lanes: 4, min: 0, max: 100, settle: 60 * SECOND };
    let looks = [(0, 1000, 0), (100, 600, 25), (200, 300, 25), (290, 40, 10), (330, 40, 10), (360, 8, 2)];
    // In time at first, then as many as there are tasks for.
    check(30.0, &settings, &looks, &[25, 25, 25, 10, 10, 10]);
    // Between two stages there is nothing for a moment; at the end there is nothing for good.
    check(30.0, &settings, &[(0, 100, 3), (10, 0, 0), (50, 0, 0), (61, 0, 0)], &[3, 3, 3, 0]);
    // Few tasks are left, but many workers hold one each.
    check(30.0, &settings, &[(0, 6, 6), (100, 6, 6)], &[6, 6]);
}

#[test]
fn unknown_tasks_begin_with_few_workers() {
    let settings = Settings::default();
    let (mut paces, mut history) = (Paces::default(), History::default());
    history.add(Look { at: SECOND, left: vec![(stage(0), 1000)], busy: 0 });
    assert_eq!(history.wanted(&paces, &settings), 9, "ten seconds a task, until something is known");
    let running = BTreeMap::from([(stage(0), 60.0)]);
    paces.look(running, &BTreeSet::from(["j"]));
    assert_eq!(history.wanted(&paces, &settings), 50, "they take a minute at least");
    // All are done at once: what was asked before was too much, and is judged by what is known now.
    (0..20).for_each(|_| paces.measure(stage(0), 0.5));
    assert_eq!(history.wanted(&paces, &settings), 1);
}

/// Durations of the tasks of a job, stage by stage, in milliseconds: `recorded.txt` says how they were recorded.
fn recorded() -> Vec<Vec<f64>> {
    let text = include_str!("recorded.txt");
    let stages = text.lines().filter(|line| !line.starts_with('#'));
    stages.map(|line| line.split_whitespace().map(|word| word.parse().expect("a number")).collect()).collect()
}

/// What became of a simulated job.
#[derive(Debug)]
struct Drained {
    seconds: u64,
    /// Paid for: workers times seconds, from the order to start one to its end.
    worker_seconds: f64,
    /// The work itself, in lane seconds.
    lane_seconds: f64,
    most: u32,
    /// How often the number of workers went the other way.
    turns: u32,
    /// Lane seconds of work that was thrown away with workers that were stopped.
    lost: f64,
}

/// Runs the loop second by second: this autoscaler looks every 10 s, KEDA's metrics are read every 15 s by an autoscaler that
/// does at once what it is told (without Kubernetes' own delay before workers go). Workers start in 40 s; those that are stopped,
/// busy or not, give their tasks back: passes over documents (the first stage and the last) go on elsewhere from there, other
/// tasks begin anew.
fn simulate(stages: &[Vec<f64>], settings: &Settings) -> Drained {
    const START: u64 = 40;
    struct Worker {
        ready: u64,
        /// The task, when it was begun and when it is done, lane by lane.
        lanes: Vec<Option<(usize, u64, u64)>>,
    }
    let (mut paces, mut history) = (Paces::default(), History::default());
    let mut workers: Vec<Worker> = Vec::new();
    let mut drained =
        Drained { seconds: 0, worker_seconds: 0.0, lane_seconds: 0.0, most: 0, turns: 0, lost: 0.0 };
    drained.lane_seconds = stages.iter().flatten().sum();
    let (mut now, mut rising) = (0_u64, true);
    for (number, tasks) in stages.iter().enumerate() {
        let is_pass = number == 0 || number + 1 == stages.len();
        let mut ready: Vec<usize> = (0..tasks.len()).rev().collect();
        let mut to_do: Vec<u64> = tasks.iter().map(|seconds| seconds.ceil() as u64).collect();
        let mut left = tasks.len();
        while left > 0 {
            for worker in workers.iter_mut().filter(|worker| worker.ready <= now) {
                for lane in &mut worker.lanes {
                    if let Some((task, _, done)) = *lane
                        && done <= now
                    {
                        left -= 1;
                        paces.measure(stage(number), tasks[task]);
                        *lane = None;
                    }
                    if lane.is_none()
                        && let Some(task) = ready.pop()
                    {
                        *lane = Some((task, now, now + to_do[task]));
                    }
                }
            }
            let held = || workers.iter().flat_map(|worker| worker.lanes.iter().flatten());
            if now.is_multiple_of(10) {
                let oldest = held().map(|(_, begun, _)| now - begun).max().unwrap_or_default();
                paces.look(BTreeMap::from([(stage(number), oldest as f64)]), &BTreeSet::from(["j"]));
                let busy = workers.iter().filter(|worker| worker.lanes.iter().any(Option::is_some)).count();
                let left = vec![(stage(number), left as u64)];
                history.add(Look { at: SECOND * now as u32, left, busy: busy as u32 });
            }
            if now.is_multiple_of(15) {
                let wanted = history.wanted(&paces, settings) as usize;
                if wanted != workers.len() {
                    let up = wanted > workers.len();
                    drained.turns += u32::from(up != rising);
                    rising = up;
                }
                // Kubernetes stops the youngest first, busy or not.
                for worker in workers.drain(wanted.min(workers.len())..).rev() {
                    for (task, begun, done) in worker.lanes.into_iter().flatten() {
                        ready.push(task);
                        if is_pass {
                            to_do[task] = done - now;
                        } else {
                            drained.lost += (now - begun) as f64;
                        }
                    }
                }
                let lanes = || vec![None; settings.lanes as usize];
                workers.resize_with(wanted, || Worker { ready: now + START, lanes: lanes() });
                drained.most = drained.most.max(wanted as u32);
            }
            drained.worker_seconds += workers.len() as f64;
            now += 1;
            assert!(now < 100_000, "it does not end: {drained:?}");
        }
    }
    drained.seconds = now;
    // Then they go.
    let mut idle = 0;
    while !workers.is_empty() {
        if now.is_multiple_of(10) {
            history.add(Look { at: SECOND * now as u32, left: Vec::new(), busy: 0 });
        }
        if now.is_multiple_of(15) {
            workers.truncate(history.wanted(&paces, settings) as usize);
        }
        drained.worker_seconds += workers.len() as f64;
        (now, idle) = (now + 1, idle + 1);
        assert!(idle < 1000, "idle workers stay");
    }
    drained
}

#[test]
fn a_recorded_job_is_drained_in_time_without_flapping() {
    let stages = recorded();
    // The record is of small tasks: here a millisecond of it stands for so many seconds, for tasks of half a minute to an hour.
    for (scale, target) in [(0.1, 60), (1.0, 300), (1.0, 900), (10.0, 1800)] {
        let stages: Vec<Vec<f64>> =
            stages.iter().map(|tasks| tasks.iter().map(|ms| ms * scale).collect()).collect();
        let settings = Settings { target: target * SECOND, ..Settings::default() };
        let drained = simulate(&stages, &settings);
        let ideal = drained.lane_seconds / f64::from(settings.lanes);
        println!("target {target} s: {drained:?}, ideal {ideal:.0} worker seconds");
        let longest = stages.iter().map(|tasks| tasks.iter().copied().fold(0.0, f64::max)).sum::<f64>();
        // Every stage has its own time, and ends with its longest task; workers take a while to start.
        let due = f64::from(target) * stages.len() as f64 + longest + 60.0;
        assert!(drained.seconds as f64 <= due, "{drained:?}, due after {due}");
        // Every worker is paid while it starts, and while its number is not believed to be too high yet.
        let idle = f64::from(drained.most) * (settings.settle.as_secs_f64() + 120.0);
        assert!(drained.worker_seconds <= 1.5 * ideal + idle, "{drained:?}, ideal {ideal}");
        assert!(drained.turns as usize <= 2 * stages.len(), "{drained:?}");
        assert!(drained.lost <= 0.02 * drained.lane_seconds, "{drained:?}");
    }
}
