//! `gristmill tasks ID`: the tasks of a stage, with their attempts.

use super::jobs::List;
use crate::client::{Client, ConnectionArgs};
use crate::display::json;
use crate::display::words::{clean, count, duration, failure, task_state_name};
use crate::failure::{Failure, Outcome};
use crate::request::runtime;
use gristmill_proto::v1;
use std::io;

/// Tasks that are asked for at once.
const PAGE: u32 = 1000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The job's id, or its beginning
    id: String,
    /// The stage, from 0; by default the one that runs, or ran last
    #[arg(long)]
    stage: Option<u32>,
    /// Tasks in this state (repeatable)
    #[arg(long = "state", value_enum)]
    states: Vec<State>,
    /// Print every attempt that failed, in place of the tasks
    #[arg(long)]
    failures: bool,
    /// All of them, not just the first thousand
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
    Waiting,
    Running,
    Done,
    Failed,
}

impl From<State> for v1::TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let job = client.find(&args.id).await?.id;
        let mut list = List::new("tasks", args.json, io::stdout());
        let mut page_token = String::new();
        loop {
            let request = v1::ListTasksRequest {
                job: job.clone(),
                stage: args.stage,
                states: args.states.iter().map(|state| v1::TaskState::from(*state).into()).collect(),
                page_size: PAGE,
                page_token,
            };
            let page = client.tasks(request).await?;
            let mut tasks = page.tasks;
            if args.failures {
                tasks.retain(|task| !task.failures.is_empty());
            }
            if args.failures && !args.json {
                let attempts: Vec<v1::AttemptFailure> =
                    tasks.into_iter().flat_map(|task| task.failures).collect();
                list.page(&["FAILED ATTEMPTS"], &attempts, |_| serde_json::Value::Null, |f| vec![failure(f)])
            } else {
                let head = ["TASK", "STATE", "ATTEMPT", "SINCE", "DOCUMENTS", "WORKER", "WHY"];
                list.page(&head, &tasks, json::task, row)
            }
            .map_err(Failure::job)?;
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

fn row(task: &v1::Task) -> Vec<String> {
    let nothing = || "-".to_owned();
    let running = task.running.as_ref();
    let last = task.failures.last();
    let attempt = running.map(|r| r.attempt).or(last.map(|f| f.attempt));
    let seen = task.documents.as_ref().map(|tally| tally.seen).or(running.map(|r| r.documents_seen));
    let why =
        if task.reason.is_empty() { last.map_or("", |f| f.error.as_str()) } else { task.reason.as_str() };
    vec![
        format!("{}/{}", task.stage, task.number),
        task_state_name(task.state()).to_owned(),
        attempt.map_or_else(nothing, |n| n.to_string()),
        running.map_or_else(nothing, |r| duration(r.running_seconds)),
        seen.map_or_else(nothing, count),
        running.map_or_else(nothing, |r| clean(&r.worker)),
        clean(why),
    ]
}
