//! How many tasks the queue holds: enough that no worker waits, few enough that memory stays bounded and that a new job
//! gets its share soon, since lines are first come, first served.

use gristmill_queue::{Depth, Priority};

/// Tasks of one priority in the queue, however little work is going on.
const FLOOR: usize = 64;
/// And however much: some 7 MB of Redis memory a priority.
const CEILING: usize = 16_384;
/// Tasks that wait for each one that is being worked on, so that workers that finish find the next.
const WAITING_PER_LEASED: usize = 2;
/// Tasks that wait for as long as workers need to finish as many.
const SECONDS_AHEAD: f64 = 2.0;
/// A job's share, however many jobs there are.
const SHARE_MIN: usize = 8;

/// How many tasks each job of a priority may have in the queue, those being worked on included: capacity by the work
/// going on, divided among the jobs.
#[must_use]
pub(crate) fn share(depth: &Depth, priority: Priority, jobs: usize, tasks_per_second: f64) -> usize {
    let class = depth.classes.get(priority.index());
    let leased = class.map_or(0, |class| class.leased) as usize;
    let ahead = (tasks_per_second * SECONDS_AHEAD) as usize;
    let capacity = (FLOOR + leased * (1 + WAITING_PER_LEASED) + ahead).min(CEILING);
    (capacity / jobs.max(1)).max(SHARE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_queue::ClassDepth;

    #[test]
    fn shares_follow_the_work_and_are_equal_among_jobs() {
        let check = |leased: u64, jobs: usize, rate: f64, expected: usize| {
            let mut depth = Depth::default();
            depth.classes[Priority::Normal.index()] = ClassDepth { leased, ..ClassDepth::default() };
            assert_eq!(share(&depth, Priority::Normal, jobs, rate), expected, "{leased} {jobs} {rate}");
            assert!(share(&depth, Priority::High, jobs, 0.0) <= FLOOR);
        };
        check(0, 1, 0.0, 64);
        check(2, 1, 0.0, 70);
        check(1000, 1, 0.0, 3064);
        check(1000, 4, 0.0, 766);
        check(10, 1, 3000.0, 6094);
        check(100_000, 1, 0.0, CEILING);
        check(0, 1000, 0.0, SHARE_MIN);
    }
}
