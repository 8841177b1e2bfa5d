//! Messages as JSON: the names of the proto, every field always there, states as words, times in RFC 3339.

use super::words::{priority_name, state_name, task_state_name};
use gristmill_proto::v1;
use prost_types::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

pub(crate) fn job(job: &v1::Job) -> Value {
    json!({
        "id": job.id,
        "name": job.name,
        "state": state_name(job.state()),
        "reason": job.reason,
        "priority": priority_name(job.priority()),
        "labels": sorted(&job.labels),
        "output": job.output,
        "submitted_at": time(job.submitted_at.as_ref()),
        "submitted_by": job.submitted_by,
        "ended_at": time(job.ended_at.as_ref()),
        "stages": job.stages.iter().map(stage).collect::<Vec<_>>(),
        "documents": tally(job.documents.as_ref()),
        "rates": rates(job.rates.unwrap_or_default()),
        "running": job.running.iter().map(attempt).collect::<Vec<_>>(),
        "recent_failures": job.recent_failures.iter().map(failure).collect::<Vec<_>>(),
        "manifest": job.manifest,
        "input_files": job.input_files,
        "input_bytes": job.input_bytes,
    })
}

pub(crate) fn task(task: &v1::Task) -> Value {
    json!({
        "stage": task.stage,
        "number": task.number,
        "state": task_state_name(task.state()),
        "running": task.running.as_ref().map(attempt),
        "reason": task.reason,
        "failures": task.failures.iter().map(failure).collect::<Vec<_>>(),
        "documents": task.documents.as_ref().map(|documents| tally(Some(documents))),
    })
}

fn stage(stage: &v1::Stage) -> Value {
    json!({
        "number": stage.number,
        "title": stage.title,
        "tasks": stage.tasks,
        "tasks_done": stage.tasks_done,
        "tasks_failed": stage.tasks_failed,
        "committed": stage.committed,
        "documents": tally(stage.documents.as_ref()),
    })
}

fn tally(tally: Option<&v1::Tally>) -> Value {
    let none = v1::Tally::default();
    let tally = tally.unwrap_or(&none);
    json!({
        "seen": tally.seen,
        "kept": tally.kept,
        "dropped": sorted(&tally.dropped),
        "broken": sorted(&tally.broken),
        "skipped": sorted(&tally.skipped),
        "made": tally.made,
        "extracted_by": sorted(&tally.extracted_by),
    })
}

fn rates(rates: v1::Rates) -> Value {
    json!({
        "documents_per_second": rates.documents_per_second,
        "tasks_per_second": rates.tasks_per_second,
        "stage_seconds_left": rates.stage_seconds_left,
    })
}

fn attempt(attempt: &v1::Attempt) -> Value {
    json!({
        "stage": attempt.stage,
        "task": attempt.task,
        "attempt": attempt.attempt,
        "worker": attempt.worker,
        "running_seconds": attempt.running_seconds,
        "idle_seconds": attempt.idle_seconds,
        "documents_seen": attempt.documents_seen,
        "documents_kept": attempt.documents_kept,
    })
}

fn failure(failure: &v1::AttemptFailure) -> Value {
    json!({
        "stage": failure.stage,
        "task": failure.task,
        "attempt": failure.attempt,
        "worker": failure.worker,
        "at": time(failure.at.as_ref()),
        "error": failure.error,
    })
}

/// A message's maps have no order of their own.
fn sorted<V>(map: &HashMap<String, V>) -> BTreeMap<&String, &V> {
    map.iter().collect()
}

fn time(at: Option<&Timestamp>) -> Option<String> {
    at.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_always_there_under_the_name_that_the_proto_gives_it() {
        let value = job(&v1::Job {
            state: v1::JobState::Running.into(),
            submitted_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
            labels: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
            stages: vec![v1::Stage::default()],
            running: vec![v1::Attempt::default()],
            recent_failures: vec![v1::AttemptFailure::default()],
            ..v1::Job::default()
        });
        assert_eq!(value["state"], "running");
        assert_eq!(value["priority"], "normal");
        assert_eq!(value["submitted_at"], "2023-11-14T22:13:20.250Z");
        assert_eq!(value["ended_at"], Value::Null);
        assert_eq!(value["labels"].to_string(), r#"{"a":"1","b":"2"}"#);
        let proto = include_str!("../../../proto/gristmill/v1/job.proto");
        for (message, value) in [
            ("Job", &value),
            ("Stage", &value["stages"][0]),
            ("Tally", &value["documents"]),
            ("Rates", &value["rates"]),
            ("Attempt", &value["running"][0]),
            ("AttemptFailure", &value["recent_failures"][0]),
            ("Task", &task(&v1::Task::default())),
        ] {
            let ours: Vec<&String> = value.as_object().expect("an object").keys().collect();
            let (_, body) = proto.split_once(&format!("message {message} {{")).expect("the message");
            let (body, _) = body.split_once("\n}").expect("its end");
            let fields = body.lines().filter(|line| !line.trim().starts_with("//"));
            let theirs: Vec<&str> =
                fields.filter_map(|line| line.split_once(" = ")?.0.split_whitespace().last()).collect();
            assert_eq!(ours, theirs, "{message}");
        }
    }
}
