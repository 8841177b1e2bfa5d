use super::*;
use prost_types::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::collections::HashMap;
use std::time::Duration;

const NOW: i64 = 1_700_000_000;

fn ago(seconds: i64) -> Timestamp {
    Timestamp { seconds: NOW - seconds, nanos: 0 }
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> HashMap<String, u64> {
    counts.into_iter().map(|(reason, n)| (reason.to_owned(), n)).collect()
}

fn stage(number: u32, title: &str, tasks: u64, tasks_done: u64) -> v1::Stage {
    v1::Stage {
        number,
        title: title.to_owned(),
        tasks,
        tasks_done,
        committed: tasks == tasks_done,
        ..v1::Stage::default()
    }
}

fn attempt(task: u64, worker: &str, running_seconds: f64, documents_seen: u64) -> v1::Attempt {
    v1::Attempt {
        stage: 1,
        task,
        attempt: 1,
        worker: worker.to_owned(),
        running_seconds,
        documents_seen,
        documents_kept: documents_seen / 4,
        ..v1::Attempt::default()
    }
}

/// A job in the middle of its second stage.
fn running() -> v1::Job {
    v1::Job {
        id: "news-0123456789ab".to_owned(),
        name: "news".to_owned(),
        state: v1::JobState::Running.into(),
        priority: v1::Priority::High.into(),
        labels: HashMap::from([("team".to_owned(), "web".to_owned())]),
        output: "s3://bucket/news".to_owned(),
        submitted_at: Some(ago(4_980)),
        input_files: 64,
        input_bytes: 60 << 30,
        stages: vec![
            stage(0, "map to exact_dedup", 64, 64),
            v1::Stage { tasks_failed: 1, ..stage(1, "exact_dedup buckets", 16, 5) },
            stage(2, "map to output", 64, 0),
        ],
        documents: Some(v1::Tally {
            seen: 1_234_567,
            kept: 345_678,
            dropped: counts([
                ("language_filter: not english", 600_000),
                ("gopher_quality: too few words", 250_000),
                ("exact_dedup: duplicate", 38_877),
            ]),
            broken: counts([("bad_json", 12)]),
            ..v1::Tally::default()
        }),
        rates: Some(v1::Rates {
            documents_per_second: 12_345.6,
            tasks_per_second: 0.4,
            stage_seconds_left: Some(250.0),
        }),
        running: vec![
            v1::Attempt { idle_seconds: 31.0, ..attempt(5, "worker-b", 75.0, 0) },
            attempt(6, "worker-a", 12.0, 4_000),
        ],
        recent_failures: vec![v1::AttemptFailure {
            stage: 1,
            task: 5,
            attempt: 2,
            worker: "worker-b".to_owned(),
            at: Some(ago(90)),
            error: "the lease ran out\nat \x1b[2J once".to_owned(),
        }],
        ..v1::Job::default()
    }
}

fn drawn(job: &v1::Job, notice: &str, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
    terminal.draw(|frame| draw(frame, job, notice, now)).expect("memory");
    let buffer = terminal.backend().buffer();
    let row =
        |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..height).map(row).collect()
}

#[track_caller]
fn check(job: &v1::Job, notice: &str, (width, height): (u16, u16), expected: &str) {
    let drawn = drawn(job, notice, width, height);
    let expected = expected.trim_start_matches('\n');
    assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
}

#[test]
fn a_running_job() {
    check(
        &running(),
        "",
        (100, 24),
        "
 news  news-0123456789ab                                                             running 1h 23m
 priority high  64 files, 60.00 GiB  to s3://bucket/news  team=web
── stages ───────────────────────────────────────────────────────────── 4m 10s left in this stage ──
  0 map to exact_dedup  ████████████████████████████████ 64/64 100 %
  1 exact_dedup buckets ██████████░░░░░░░░░░░░░░░░░░░░░░  5/16  31 %  1 failed
  2 map to output       ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0/64   0 %
── documents ──────────────────────────────────────────────────── 12,345 documents/s, 0.4 tasks/s ──
 in                                           1,234,567 100.0 % ████████████████████████████████
 kept                                           345,678  28.0 % ████████░░░░░░░░░░░░░░░░░░░░░░░░
 language_filter: not english                   600,000  48.6 % ███████████████░░░░░░░░░░░░░░░░░
 gopher_quality: too few words                  250,000  20.3 % ██████░░░░░░░░░░░░░░░░░░░░░░░░░░
 exact_dedup: duplicate                          38,877   3.1 % █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
 broken: bad_json                                    12   0.0 % ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
── recent failures ─────────────────────────────────────────────────────────────────────────────────
 1/5 #2        1m 30s ago  worker-b  the lease ran out at  [2J once
── running: 2 ──────────────────────────────────────────────────────────────────────────────────────
 1/5 #1        1m 15s  silent for 31s  worker-b
 1/6 #1           12s  4,000 seen, 25.0 % kept  worker-a





 q leaves; the job goes on
",
    );
}

#[test]
fn a_running_job_on_a_small_terminal() {
    check(
        &running(),
        "",
        (60, 15),
        "
 news  news-0123456789ab                     running 1h 23m
 priority high  64 files, 60.00 GiB  to s3://bucket/news  t…
── stages ───────────────────── 4m 10s left in this stage ──
  0 map to exact_dedup  ██████████████ 64/64 100 %
  1 exact_dedup buckets ████░░░░░░░░░░  5/16  31 %  1 failed
  2 map to output       ░░░░░░░░░░░░░░  0/64   0 %
── documents ──────────── 12,345 documents/s, 0.4 tasks/s ──
 in                      1,234,567 100.0 % ███████████████
 kept                      345,678  28.0 % ████░░░░░░░░░░░
 4 more reasons            888,889  72.0 % ██████████░░░░░
── recent failures ─────────────────────────────────────────
 1/5 #2        1m 30s ago  worker-b  the lease ran out at  …
── running: 2 ──────────────────────────────────────────────
 1/5 #1        1m 15s  silent for 31s  worker-b
 q leaves; the job goes on
",
    );
}

#[test]
fn a_job_that_is_being_planned() {
    let job = v1::Job {
        state: v1::JobState::Planning.into(),
        stages: Vec::new(),
        documents: None,
        rates: None,
        running: Vec::new(),
        recent_failures: Vec::new(),
        input_files: 0,
        submitted_at: Some(ago(3)),
        ..running()
    };
    check(
        &job,
        "",
        (60, 15),
        "
 news  news-0123456789ab                        planning 3s
 priority high  to s3://bucket/news  team=web
── stages ───────────────────── the input is being listed ──
── documents ───────────────────────────────────────────────
 in                              0   0.0 % ░░░░░░░░░░░░░░░
 kept                            0   0.0 % ░░░░░░░░░░░░░░░








 q leaves; the job goes on
",
    );
}

#[test]
fn a_job_that_failed() {
    let job = v1::Job {
        state: v1::JobState::Failed.into(),
        reason: "stage 1: task 5 is out of attempts: the lease ran out".to_owned(),
        ended_at: Some(ago(60)),
        running: Vec::new(),
        ..running()
    };
    check(
        &job,
        "",
        (80, 20),
        "
 news  news-0123456789ab                                          failed 1h 22m
 priority high  64 files, 60.00 GiB  to s3://bucket/news  team=web
 stage 1: task 5 is out of attempts: the lease ran out
── stages ──────────────────────────────────────────────────────────────────────
  0 map to exact_dedup  ████████████████████████████████ 64/64 100 %
  1 exact_dedup buckets ██████████░░░░░░░░░░░░░░░░░░░░░░  5/16  31 %  1 failed
  2 map to output       ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0/64   0 %
── documents ───────────────────────────────────────────────────────────────────
 in                                          1,234,567 100.0 % ███████████████
 kept                                          345,678  28.0 % ████░░░░░░░░░░░
 language_filter: not english                  600,000  48.6 % ███████░░░░░░░░
 gopher_quality: too few words                 250,000  20.3 % ███░░░░░░░░░░░░
 exact_dedup: duplicate                         38,877   3.1 % ░░░░░░░░░░░░░░░
 broken: bad_json                                   12   0.0 % ░░░░░░░░░░░░░░░
── recent failures ─────────────────────────────────────────────────────────────
 1/5 #2        1m 30s ago  worker-b  the lease ran out at  [2J once



 q leaves
",
    );
}

#[test]
fn a_job_of_huge_numbers_with_many_stages_whose_coordinator_is_away() {
    let mut job = running();
    job.id = "a-very-long-name-of-a-job-".repeat(3);
    job.stages = (0..30)
        .map(|n| {
            stage(
                n,
                &format!("stage of a quite long title {n}"),
                u64::MAX / 2,
                if n < 20 { u64::MAX / 2 } else { 9 },
            )
        })
        .collect();
    job.documents = Some(v1::Tally {
        seen: u64::MAX,
        kept: u64::MAX / 3,
        dropped: (0..50).map(|n| (format!("step_{n}: 理由 {n}"), u64::MAX / 100)).collect(),
        ..v1::Tally::default()
    });
    job.rates =
        Some(v1::Rates { documents_per_second: 1e18, tasks_per_second: 1e9, stage_seconds_left: Some(1e12) });
    check(
        &job,
        "http://host:1 cannot be reached: connection refused; trying again until it does",
        (80, 24),
        "
 news  a-very-long-name-of-a-job-a-very-long-name-of-a-job-a-ver…running 1h 23m
 priority high  64 files, 60.00 GiB  to s3://bucket/news  team=web
── stages ────────────────────────────────── 11574074d 01h left in this stage ──
 17 stage of a quite long tit… ████ 9,223,372,036,854,775,807/9,223,372,036,854,
 18 stage of a quite long tit… ████ 9,223,372,036,854,775,807/9,223,372,036,854,
 19 stage of a quite long tit… ████ 9,223,372,036,854,775,807/9,223,372,036,854,
 20 stage of a quite long tit… ░░░░                         9/9,223,372,036,854,
 21 stage of a quite long tit… ░░░░                         9/9,223,372,036,854,
 22 stage of a quite long tit… ░░░░                         9/9,223,372,036,854,
 23 stage of a quite long tit… ░░░░                         9/9,223,372,036,854,
── documents ─── 1,000,000,000,000,000,000 documents/s, 1,000,000,000 tasks/s ──
 in                         18,446,744,073,709,551,615 100.0 % ███████████████
 kept                        6,148,914,691,236,517,205  33.3 % █████░░░░░░░░░░
 step_0: 理 由  0                  184,467,440,737,095,516   1.0 % ░░░░░░░░░░░░░░░
 step_10: 理 由  10                184,467,440,737,095,516   1.0 % ░░░░░░░░░░░░░░░
 step_11: 理 由  11                184,467,440,737,095,516   1.0 % ░░░░░░░░░░░░░░░
 step_12: 理 由  12                184,467,440,737,095,516   1.0 % ░░░░░░░░░░░░░░░
 46 more reasons             8,485,502,273,906,393,736  46.0 % ██████░░░░░░░░░
── recent failures ─────────────────────────────────────────────────────────────
 1/5 #2        1m 30s ago  worker-b  the lease ran out at  [2J once
── running: 2 ──────────────────────────────────────────────────────────────────
 1/5 #1        1m 15s  silent for 31s  worker-b
 1/6 #1           12s  4,000 seen, 25.0 % kept  worker-a
 http://host:1 cannot be reached: connection refused; trying again until it does
",
    );
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (1, 50), (200, 1), (10, 3), (60, 4), (59, 14)] {
        let _ = drawn(&running(), "", width, height);
    }
}

#[test]
fn rows_are_handed_out_by_need_then_by_wish() {
    for (rows, expected) in
        [(0, [0, 0, 0]), (2, [2, 0, 0]), (6, [3, 3, 0]), (9, [3, 4, 2]), (11, [4, 5, 2]), (40, [10, 6, 2])]
    {
        assert_eq!(heights(rows, &[(3, 10), (4, 6), (2, 2)]), expected, "{rows}");
    }
}
