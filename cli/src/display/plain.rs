//! Lines, for logs and pipes: one when something happened, and one every 10 seconds.

use super::words::{self, clean, duration, failure};
use gristmill_proto::v1;
use std::io::{self, Write};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Plain<W> {
    out: W,
    state: v1::JobState,
    /// The first stage of which the end is not told yet.
    stage: usize,
    /// As they were told, the latest first.
    failures: Vec<v1::AttemptFailure>,
    printed: Option<Instant>,
}

impl<W: Write> Plain<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, state: v1::JobState::Unspecified, stage: 0, failures: Vec::new(), printed: None }
    }

    /// Tells what is new.
    pub(crate) fn update(&mut self, job: &v1::Job, now: Instant) -> io::Result<()> {
        if job.state() != self.state {
            self.state = job.state();
            if !words::has_ended(job) {
                writeln!(self.out, "job {}: {}", clean(&job.id), words::job_state(job))?;
            }
        }
        for new in job.recent_failures.iter().rev().filter(|new| !self.failures.contains(new)) {
            writeln!(self.out, "{}", failure(new))?;
        }
        self.failures.clone_from(&job.recent_failures);
        while self.stage < words::stage_now(job) {
            writeln!(self.out, "{}", stage_line(job, self.stage))?;
            self.stage += 1;
            self.printed = Some(now);
        }
        let printed = *self.printed.get_or_insert(now);
        if now.duration_since(printed) >= LINE_EVERY && self.stage < job.stages.len() {
            self.printed = Some(now);
            writeln!(self.out, "{}", stage_line(job, self.stage))?;
        }
        self.out.flush()
    }

    /// Something about the watching, not about the job.
    pub(crate) fn notice(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", clean(text))?;
        self.out.flush()
    }

    /// How far the stage was that did not end.
    pub(crate) fn close(&mut self, job: &v1::Job) -> io::Result<()> {
        if self.stage < job.stages.len() {
            writeln!(self.out, "{}", stage_line(job, self.stage))?;
        }
        self.out.flush()
    }

    /// What became of the documents of a job that has ended.
    pub(crate) fn summary(&mut self, job: &v1::Job) -> io::Result<()> {
        if let Some(tally) = job.documents.as_ref().filter(|tally| tally.seen > 0) {
            for row in words::funnel(tally) {
                writeln!(self.out, "{row}")?;
            }
        }
        if job.state() == v1::JobState::Done {
            let took = words::age(job, std::time::SystemTime::now())
                .map_or_else(String::new, |s| format!(" after {}", duration(s)));
            writeln!(
                self.out,
                "job {} is done{took}; {} lists its files",
                clean(&job.id),
                clean(&job.manifest)
            )?;
        }
        self.out.flush()
    }
}

/// `[1/4] map to exact_dedup: 3/64 tasks  12000 documents, 800/s, 31.2 % kept, 4m 10s left`.
fn stage_line(job: &v1::Job, index: usize) -> String {
    let Some(stage) = job.stages.get(index) else { return String::new() };
    let v1::Stage { title, tasks, tasks_done, tasks_failed, .. } = stage;
    let failed = if *tasks_failed > 0 { format!(", {tasks_failed} failed") } else { String::new() };
    let message = words::stage_message(job, index);
    let message = if message.is_empty() { message } else { format!("  {message}") };
    let (number, stages) = (index + 1, job.stages.len());
    format!("[{number}/{stages}] {}: {tasks_done}/{tasks} tasks{failed}{message}", clean(title))
}

#[cfg(test)]
mod tests;
