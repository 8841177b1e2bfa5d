//! `gristmill jobs`: the jobs of a coordinator.

use super::submit::parse_label;
use crate::client::{Client, ConnectionArgs};
use crate::display::json;
use crate::display::words::{self, clean, count, duration, share, table};
use crate::failure::{Failure, Outcome};
use crate::request::runtime;
use gristmill_proto::v1;
use std::io::{self, Write};
use std::time::SystemTime;

/// Jobs that are asked for at once.
const PAGE: u32 = 100;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Jobs in this state (repeatable)
    #[arg(long = "state", value_enum)]
    states: Vec<State>,
    /// Jobs with this label (repeatable: with all of them)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// All of them, not just the latest hundred
    #[arg(long)]
    all: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum State {
    Planning,
    Running,
    Paused,
    Done,
    Failed,
    Cancelled,
}

impl From<State> for v1::JobState {
    fn from(state: State) -> Self {
        match state {
            State::Planning => Self::Planning,
            State::Running => Self::Running,
            State::Paused => Self::Paused,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let mut list = List::new("jobs", args.json, io::stdout());
        let mut page_token = String::new();
        loop {
            let request = v1::ListJobsRequest {
                page_size: PAGE,
                page_token,
                labels: args.labels.iter().cloned().collect(),
                states: args.states.iter().map(|state| v1::JobState::from(*state).into()).collect(),
            };
            let page = client.jobs(request).await?;
            let head = ["ID", "STATE", "PRIORITY", "STAGE", "TASKS", "DOCUMENTS", "KEPT", "AGE"];
            list.page(&head, &page.jobs, json::job, row).map_err(Failure::job)?;
            page_token = page.next_page_token;
            if page_token.is_empty() || !args.all {
                break;
            }
        }
        list.end().map_err(Failure::job)?;
        if !page_token.is_empty() {
            eprintln!("there are more; --all lists them");
        }
        Ok(())
    })
}

fn row(job: &v1::Job) -> Vec<String> {
    let now = words::stage_now(job);
    let shown = now.min(job.stages.len().saturating_sub(1));
    let (stage, tasks) = job.stages.get(shown).map_or_else(
        || ("-".to_owned(), "-".to_owned()),
        |stage| {
            (format!("{}/{}", shown + 1, job.stages.len()), format!("{}/{}", stage.tasks_done, stage.tasks))
        },
    );
    let (seen, kept) = job.documents.as_ref().map_or((0, 0), |tally| (tally.seen, tally.kept));
    vec![
        clean(&job.id),
        words::job_state(job).to_owned(),
        words::priority_name(job.priority()).to_owned(),
        stage,
        tasks,
        count(seen),
        share(kept, seen),
        words::age(job, SystemTime::now()).map_or_else(|| "-".to_owned(), duration),
    ]
}

/// A long list on its way out, page by page: a table with one head, or one JSON document. Never all of it in memory.
pub(super) struct List<W> {
    name: &'static str,
    json: bool,
    out: W,
    written: usize,
}

impl<W: Write> List<W> {
    pub(super) fn new(name: &'static str, json: bool, out: W) -> Self {
        Self { name, json, out, written: 0 }
    }

    pub(super) fn page<T>(
        &mut self,
        head: &[&str],
        items: &[T],
        to_json: fn(&T) -> serde_json::Value,
        to_row: fn(&T) -> Vec<String>,
    ) -> io::Result<()> {
        if self.json {
            for item in items {
                let before =
                    if self.written == 0 { format!("{{\"{}\":[\n", self.name) } else { ",\n".to_owned() };
                write!(self.out, "{before}{}", to_json(item))?;
                self.written += 1;
            }
            return Ok(());
        }
        let mut rows: Vec<Vec<String>> = items.iter().map(to_row).collect();
        if self.written == 0 {
            rows.insert(0, head.iter().map(|&name| name.to_owned()).collect());
        }
        self.written += rows.len();
        self.out.write_all(table(&rows).as_bytes())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        match (self.json, self.written) {
            (true, 0) => writeln!(self.out, "{{\"{}\":[]}}", self.name)?,
            (true, _) => self.out.write_all(b"\n]}\n")?,
            (false, _) => {}
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: bool, pages: &[&[u64]], expected: &str) {
        let mut out = Vec::new();
        let mut list = List::new("numbers", json, &mut out);
        for page in pages {
            list.page(&["N"], page, |n| serde_json::json!(n), |n| vec![n.to_string()]).expect("memory");
        }
        list.end().expect("memory");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }

    #[test]
    fn pages_make_one_document_or_one_table() {
        check(true, &[&[1, 2], &[], &[3]], "{\"numbers\":[\n1,\n2,\n3\n]}\n");
        check(true, &[&[]], "{\"numbers\":[]}\n");
        check(false, &[&[1], &[2]], "N\n1\n2\n");
        check(false, &[&[]], "N\n");
    }
}
