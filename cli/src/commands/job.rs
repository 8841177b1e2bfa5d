//! `gristmill job ID`: where a job stands.

use crate::client::{Client, ConnectionArgs};
use crate::display::json;
use crate::display::words::{self, bytes, clean, count, duration, table};
use crate::failure::{Failure, Outcome};
use crate::request::runtime;
use gristmill_proto::v1;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The job's id, or its beginning
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let job = runtime()?.block_on(async { Client::open(&args.connection)?.find(&args.id).await })?;
    print(&job, args.json)
}

/// A job on stdout.
pub(super) fn print(job: &v1::Job, as_json: bool) -> Outcome {
    let text = if as_json { format!("{}\n", json::job(job)) } else { describe(job, SystemTime::now()) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::job)
}

fn describe(job: &v1::Job, now: SystemTime) -> String {
    let mut about = Vec::new();
    let mut say = |what: &str, value: String| {
        if !value.is_empty() {
            about.push(vec![what.to_owned(), value]);
        }
    };
    let age = words::age(job, now).map_or_else(String::new, |seconds| format!(", {}", duration(seconds)));
    say("job", clean(&job.id));
    say("name", clean(&job.name));
    say("state", format!("{}{age}", words::job_state(job)));
    say("reason", clean(&job.reason));
    say("priority", words::priority_name(job.priority()).to_owned());
    let mut labels: Vec<String> =
        job.labels.iter().map(|(key, value)| clean(&format!("{key}={value}"))).collect();
    labels.sort();
    say("labels", labels.join(" "));
    let by =
        if job.submitted_by.is_empty() { String::new() } else { format!(" by {}", clean(&job.submitted_by)) };
    say("submitted", job.submitted_at.as_ref().map_or_else(String::new, |at| format!("{at}{by}")));
    say("ended", job.ended_at.as_ref().map_or_else(String::new, ToString::to_string));
    if job.input_files > 0 {
        say("input", format!("{} files, {}", count(job.input_files), bytes(job.input_bytes)));
    }
    say("output", clean(&job.output));
    say("manifest", clean(&job.manifest));
    let mut out = table(&about);
    if !job.stages.is_empty() {
        let head = ["STAGE", "TASKS", "FAILED", "WHAT", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (index, stage) in job.stages.iter().enumerate() {
            rows.push(vec![
                stage.number.to_string(),
                format!("{}/{}", stage.tasks_done, stage.tasks),
                stage.tasks_failed.to_string(),
                clean(&stage.title),
                words::stage_message(job, index),
            ]);
        }
        let _ = write!(out, "\n{}", table(&rows));
    }
    if let Some(tally) = job.documents.as_ref().filter(|tally| tally.seen > 0) {
        let _ = write!(out, "\n{}\n", words::funnel(tally).join("\n"));
    }
    if !job.running.is_empty() {
        let _ = writeln!(out, "\nrunning: {}", job.running.len());
    }
    if !job.recent_failures.is_empty() {
        let lines: Vec<String> = job.recent_failures.iter().map(words::failure).collect();
        let _ = write!(out, "\n{}\n", lines.join("\n"));
    }
    out
}
