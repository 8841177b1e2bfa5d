//! `gristmill watch ID`: a job until it has ended, through restarts of the coordinator.

use crate::client::{CallError, Client, ConnectionArgs, Update};
use crate::display::live::{self, Input, Live};
use crate::display::plain::Plain;
use crate::display::{json, words};
use crate::failure::{Failure, Outcome};
use crate::request::runtime;
use anyhow::anyhow;
use gristmill_proto::v1;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often what is shown grows older.
const TICK: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 the job is done, 1 it failed or was cancelled, 130 you left before its end."
)]
pub(crate) struct Args {
    /// The job's id, or its beginning
    id: String,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    /// Lines instead of a full-screen view, as where there is no terminal
    #[arg(long)]
    plain: bool,
    /// As JSON; when watching, a line whenever something changed
    #[arg(long, conflicts_with = "plain")]
    json: bool,
}

/// How a job is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Live,
    Plain,
    Json,
}

impl Form {
    pub(crate) fn of(args: &ShowArgs) -> Self {
        match args {
            ShowArgs { json: true, .. } => Self::Json,
            ShowArgs { plain: false, .. } if live::is_possible() => Self::Live,
            _ => Self::Plain,
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let job = client.find(&args.id).await?;
        watch(&client, &job.id, Form::of(&args.show), std::io::stdout()).await
    })
}

/// Shows a job until it has ended, and fails if it did. Lines go to `lines`, JSON to stdout.
pub(crate) async fn watch(client: &Client, id: &str, form: Form, lines: impl Write) -> Outcome {
    let updates = client.follow(id);
    let shown = async {
        match form {
            Form::Live => show_live(updates, id).await,
            Form::Plain => show_lines(updates, Plain::new(lines)).await,
            Form::Json => show_json(updates).await,
        }
    };
    let job = tokio::select! {
        job = shown => job?,
        () = told_to_leave() => return Err(left(id)),
    };
    verdict(&job)
}

/// A job that ended without its dataset is a failure.
pub(crate) fn verdict(job: &v1::Job) -> Outcome {
    let (id, reason) = (&job.id, words::clean(&job.reason));
    match job.state() {
        v1::JobState::Failed if job.stages.is_empty() => {
            Err(Failure::Job(anyhow!("job {id} failed: {reason}")))
        }
        v1::JobState::Failed => Err(Failure::Job(anyhow!(
            "job {id} failed: {reason}; `gristmill tasks {id} --failures` shows more, `gristmill retry {id}` tries again"
        ))),
        v1::JobState::Cancelled => Err(Failure::Job(anyhow!("job {id} was cancelled: {reason}"))),
        _ => Ok(()),
    }
}

type Updates = mpsc::Receiver<Result<Update, CallError>>;

async fn show_lines(mut updates: Updates, mut plain: Plain<impl Write>) -> Result<v1::Job, Failure> {
    let mut last: Option<Box<v1::Job>> = None;
    let mut lost = false;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let update = tokio::select! {
            update = updates.recv() => update.ok_or_else(cut_off)??,
            _ = tick.tick() => {
                if let Some(job) = &last && !lost {
                    plain.update(job, Instant::now()).map_err(Failure::job)?;
                }
                continue;
            }
        };
        match update {
            Update::Lost(error) if !lost => {
                lost = true;
                plain.notice(&trying_again(&error)).map_err(Failure::job)?;
            }
            Update::Lost(_) => {}
            Update::Job(job) => {
                if std::mem::take(&mut lost) {
                    plain.notice("the coordinator answers again").map_err(Failure::job)?;
                }
                plain.update(&job, Instant::now()).map_err(Failure::job)?;
                if words::has_ended(&job) {
                    plain.close(&job).and_then(|()| plain.summary(&job)).map_err(Failure::job)?;
                    return Ok(*job);
                }
                last = Some(job);
            }
        }
    }
}

async fn show_json(mut updates: Updates) -> Result<v1::Job, Failure> {
    let mut lost = false;
    loop {
        match updates.recv().await.ok_or_else(cut_off)?? {
            Update::Lost(error) if !lost => {
                lost = true;
                eprintln!("{}", trying_again(&error));
            }
            Update::Lost(_) => {}
            Update::Job(job) => {
                lost = false;
                let mut out = std::io::stdout().lock();
                writeln!(out, "{}", json::job(&job)).and_then(|()| out.flush()).map_err(Failure::job)?;
                if words::has_ended(&job) {
                    return Ok(*job);
                }
            }
        }
    }
}

async fn show_live(mut updates: Updates, id: &str) -> Result<v1::Job, Failure> {
    let mut live = Live::enter().map_err(Failure::job)?;
    let mut job = Box::new(v1::Job { id: id.to_owned(), ..v1::Job::default() });
    let mut notice = String::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        live.draw(&job, &notice).map_err(Failure::job)?;
        tokio::select! {
            update = updates.recv() => match update.ok_or_else(cut_off)?? {
                Update::Lost(error) => notice = trying_again(&error),
                Update::Job(new) => {
                    notice.clear();
                    job = new;
                }
            },
            input = live.input() => if input == Input::Leave { return Err(left(id)) },
            _ = tick.tick() => {}
        }
        if words::has_ended(&job) {
            drop(live);
            // What was seen is gone with the screen; what became of the job stays.
            Plain::new(std::io::stderr()).summary(&job).map_err(Failure::job)?;
            return Ok(*job);
        }
    }
}

fn trying_again(error: &CallError) -> String {
    format!("{error}; trying again until it does")
}

/// It says how it ended before it ends, so this is not seen.
fn cut_off() -> Failure {
    Failure::Unreachable(anyhow!("the watch broke off"))
}

fn left(id: &str) -> Failure {
    Failure::Left(anyhow!("job {id} goes on; `gristmill watch {id}` comes back to it"))
}

async fn told_to_leave() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}
