//! Numbers, times and names as every display writes them.

use gristmill_proto::v1;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `30.1 %`; of nothing, it is 0.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// The two largest units: `4m 10s`, `3d 2h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// `12,345 documents/s`.
pub(crate) fn rate(per_second: f64, what: &str) -> String {
    let number = if per_second < 10.0 { format!("{per_second:.1}") } else { count(per_second as u64) };
    if what.is_empty() { format!("{number}/s") } else { format!("{number} {what}/s") }
}

pub(crate) fn bytes(n: u64) -> String {
    indicatif::BinaryBytes(n).to_string()
}

/// Text from elsewhere without what a terminal would obey: a worker's error may quote anything.
pub(crate) fn clean(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn job_state(job: &v1::Job) -> &'static str {
    state_name(job.state())
}

pub(crate) fn state_name(state: v1::JobState) -> &'static str {
    match state {
        v1::JobState::Unspecified => "unknown",
        v1::JobState::Planning => "planning",
        v1::JobState::Running => "running",
        v1::JobState::Paused => "paused",
        v1::JobState::Done => "done",
        v1::JobState::Failed => "failed",
        v1::JobState::Cancelled => "cancelled",
    }
}

pub(crate) fn task_state_name(state: v1::TaskState) -> &'static str {
    match state {
        v1::TaskState::Unspecified => "unknown",
        v1::TaskState::Waiting => "waiting",
        v1::TaskState::Running => "running",
        v1::TaskState::Done => "done",
        v1::TaskState::Failed => "failed",
    }
}

pub(crate) fn priority_name(priority: v1::Priority) -> &'static str {
    match priority {
        v1::Priority::Unspecified | v1::Priority::Normal => "normal",
        v1::Priority::High => "high",
        v1::Priority::Low => "low",
    }
}

/// Whether nothing more happens to the job unless somebody asks for it.
pub(crate) fn has_ended(job: &v1::Job) -> bool {
    matches!(job.state(), v1::JobState::Done | v1::JobState::Failed | v1::JobState::Cancelled)
}

/// Which stage is worked on, or comes next; their number if all are committed.
pub(crate) fn stage_now(job: &v1::Job) -> usize {
    job.stages.iter().position(|stage| !stage.committed).unwrap_or(job.stages.len())
}

/// Documents that a stage has seen and kept, in its tasks that are done and in those that run.
pub(crate) fn documents_of(job: &v1::Job, stage: &v1::Stage) -> (u64, u64) {
    let done = stage.documents.as_ref().map_or((0, 0), |d| (d.seen, d.kept));
    let running = job.running.iter().filter(|attempt| attempt.stage == stage.number);
    running.fold(done, |(seen, kept), attempt| (seen + attempt.documents_seen, kept + attempt.documents_kept))
}

/// What is known of a stage beside its tasks. Rates are those of the stage that runs.
pub(crate) fn stage_message(job: &v1::Job, index: usize) -> String {
    let Some(stage) = job.stages.get(index) else { return String::new() };
    let rates = job.rates.filter(|_| index == stage_now(job)).unwrap_or_default();
    let mut parts = Vec::new();
    let (seen, kept) = documents_of(job, stage);
    if seen > 0 {
        parts.push(format!("{seen} documents"));
        if rates.documents_per_second > 0.0 {
            parts.push(rate(rates.documents_per_second, ""));
        }
        parts.push(format!("{} kept", share(kept, seen)));
    }
    if let Some(left) = rates.stage_seconds_left {
        parts.push(format!("{} left", duration(left)));
    }
    parts.join(", ")
}

/// The most frequent first.
pub(crate) fn most_first(counts: &HashMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = counts.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sorted
}

/// What became of the documents: one line each, with its share of what came in.
pub(crate) fn funnel(tally: &v1::Tally) -> Vec<String> {
    let row = |what: String, n: u64| format!("{n:>12}  {:>7}  {}", share(n, tally.seen), clean(&what));
    let mut rows = vec![row("documents in".to_owned(), tally.seen)];
    if tally.made > 0 {
        rows.push(row("more, made of those".to_owned(), tally.made));
    }
    rows.extend(
        most_first(&tally.dropped).into_iter().map(|(reason, n)| row(format!("dropped by {reason}"), n)),
    );
    rows.extend(most_first(&tally.broken).into_iter().map(|(reason, n)| row(format!("broken: {reason}"), n)));
    rows.push(row("kept".to_owned(), tally.kept));
    rows.extend(
        most_first(&tally.extracted_by)
            .into_iter()
            .map(|(by, n)| row(format!("pages whose text by {by} survived the filters"), n)),
    );
    rows
}

/// An attempt that failed, in one line.
pub(crate) fn failure(failure: &v1::AttemptFailure) -> String {
    let v1::AttemptFailure { stage, task, attempt, worker, error, .. } = failure;
    format!("stage {stage} task {task}, attempt {attempt} on {} failed: {}", clean(worker), clean(error))
}

/// How long ago something was, in seconds; clocks may differ.
pub(crate) fn seconds_since(then: Option<&prost_types::Timestamp>, now: SystemTime) -> Option<f64> {
    let then = then?;
    let since_1970 = Duration::new(u64::try_from(then.seconds).ok()?, u32::try_from(then.nanos).ok()?);
    let then = SystemTime::UNIX_EPOCH.checked_add(since_1970)?;
    Some(now.duration_since(then).map_or(0.0, |d| d.as_secs_f64()))
}

/// How long the job took, or has taken until now.
pub(crate) fn age(job: &v1::Job, now: SystemTime) -> Option<f64> {
    let submitted = seconds_since(job.submitted_at.as_ref(), now)?;
    let ended = seconds_since(job.ended_at.as_ref(), now).unwrap_or(0.0);
    Some((submitted - ended).max(0.0))
}

/// Rows in columns that are as wide as they need to be.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        for (n, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(count(n), expected);
        }
        for (seconds, expected) in [
            (0.2, "0s"),
            (59.0, "59s"),
            (61.0, "1m 01s"),
            (3_700.0, "1h 01m"),
            (190_000.0, "2d 04h"),
            (-1.0, "?"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(
            (rate(0.25, ""), rate(12_345.6, "tasks")),
            ("0.2/s".to_owned(), "12,345 tasks/s".to_owned())
        );
        assert_eq!((share(1, 3), share(0, 0)), ("33.3 %".to_owned(), "0.0 %".to_owned()));
    }

    #[test]
    fn text_from_elsewhere_cannot_drive_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{9b}d\n"), "a [2Jb c d");
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["ID", "NAME"]), row(["longer", "x"])]), "ID      NAME\nlonger  x\n");
    }
}
