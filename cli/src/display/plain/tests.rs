use super::*;
use v1::JobState::{Done, Planning, Running};

fn stage(number: u32, title: &str, tasks_done: u64, committed: bool) -> v1::Stage {
    let documents = (number == 0).then(|| v1::Tally {
        seen: tasks_done * 100,
        kept: tasks_done * 40,
        ..v1::Tally::default()
    });
    v1::Stage {
        number,
        title: title.to_owned(),
        tasks: 8,
        tasks_done,
        committed,
        documents,
        ..v1::Stage::default()
    }
}

fn job(state: v1::JobState, stages: Vec<v1::Stage>) -> v1::Job {
    v1::Job { id: "news-01".to_owned(), state: state.into(), stages, ..v1::Job::default() }
}

/// The lines for jobs as they were seen at these seconds.
fn check(seen: &[(u64, v1::Job)], expected: &str) {
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out);
    let start = Instant::now();
    for (second, job) in seen {
        plain.update(job, start + Duration::from_secs(*second)).expect("memory");
    }
    let (_, last) = seen.last().expect("a job");
    if words::has_ended(last) {
        plain.close(last).and_then(|()| plain.summary(last)).expect("memory");
    }
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
}

#[test]
fn a_line_when_something_happened_and_every_ten_seconds() {
    let attempt =
        |stage| v1::Attempt { stage, documents_seen: 50, documents_kept: 10, ..v1::Attempt::default() };
    let rates = |left| v1::Rates {
        documents_per_second: 12.0,
        tasks_per_second: 0.5,
        stage_seconds_left: Some(left),
    };
    let failure = v1::AttemptFailure {
        stage: 1,
        task: 3,
        attempt: 1,
        worker: "w-1".to_owned(),
        error: "out of\n\x1b[31mmemory".to_owned(),
        ..v1::AttemptFailure::default()
    };
    let first = |done, committed| {
        vec![stage(0, "map to exact_dedup", done, committed), stage(1, "buckets", 0, false)]
    };
    let running =
        v1::Job { rates: Some(rates(250.0)), running: vec![attempt(0)], ..job(Running, first(3, false)) };
    let second = vec![stage(0, "map to exact_dedup", 8, true), stage(1, "buckets", 1, false)];
    let failing = v1::Job { recent_failures: vec![failure], rates: Some(rates(9.0)), ..job(Running, second) };
    let done = vec![stage(0, "map to exact_dedup", 8, true), stage(1, "buckets", 8, true)];
    let documents = v1::Tally {
        seen: 800,
        kept: 500,
        dropped: [("exact_dedup: duplicate".to_owned(), 200), ("words: too few".to_owned(), 90)].into(),
        broken: [("bad_json".to_owned(), 10)].into(),
        ..v1::Tally::default()
    };
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let done = v1::Job {
        documents: Some(documents),
        manifest: "out/manifest.json".to_owned(),
        submitted_at: time(1_000),
        ended_at: time(1_090),
        ..job(Done, done)
    };
    check(
        &[
            (0, job(Planning, Vec::new())),
            (1, running.clone()),
            (2, running.clone()),
            (12, running),
            (13, failing.clone()),
            (14, failing),
            (15, done),
        ],
        "\
job news-01: planning
job news-01: running
[1/2] map to exact_dedup: 3/8 tasks  350 documents, 12/s, 37.1 % kept, 4m 10s left
stage 1 task 3, attempt 1 on w-1 failed: out of  [31mmemory
[1/2] map to exact_dedup: 8/8 tasks  800 documents, 40.0 % kept
[2/2] buckets: 8/8 tasks
         800  100.0 %  documents in
         200   25.0 %  dropped by exact_dedup: duplicate
          90   11.2 %  dropped by words: too few
          10    1.2 %  broken: bad_json
         500   62.5 %  kept
job news-01 is done after 1m 30s; out/manifest.json lists its files
",
    );
}

#[test]
fn a_stage_that_failed_says_how_far_it_was() {
    let mut failed = stage(0, "map to output", 5, false);
    failed.tasks_failed = 1;
    check(
        &[(0, job(v1::JobState::Failed, vec![failed]))],
        "[1/1] map to output: 5/8 tasks, 1 failed  500 documents, 40.0 % kept\n",
    );
}
