//! `gristmill cancel`, `pause`, `resume` and `retry`.

use super::job::print;
use crate::client::{Client, ConnectionArgs};
use crate::display::{json, words};
use crate::failure::{Failure, Outcome};
use crate::request::runtime;
use gristmill_proto::v1;
use std::io::Write as _;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The job's id, or its beginning
    id: String,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(clap::Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    common: Args,
    /// Why, for those who ask
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) fn cancel(args: &CancelArgs) -> Outcome {
    tell(&args.common, async |client, id| Ok(client.cancel(id, &args.reason).await?))
}

pub(crate) fn pause(args: &Args) -> Outcome {
    tell(args, async |client, id| Ok(client.pause(id).await?))
}

pub(crate) fn resume(args: &Args) -> Outcome {
    tell(args, async |client, id| Ok(client.resume(id).await?))
}

pub(crate) fn retry(args: &Args) -> Outcome {
    let answer = runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let job = client.find(&args.id).await?;
        Ok::<_, Failure>(client.retry(&job.id).await?)
    })?;
    let job = answer.job.unwrap_or_default();
    if args.json {
        let value = serde_json::json!({ "job": json::job(&job), "tasks": answer.tasks });
        return writeln!(std::io::stdout(), "{value}").map_err(Failure::job);
    }
    eprintln!("job {} is {}; tasks that are tried again: {}", job.id, words::job_state(&job), answer.tasks);
    Ok(())
}

fn tell(args: &Args, ask: impl AsyncFnOnce(&Client, &str) -> Result<v1::Job, Failure>) -> Outcome {
    let job = runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let job = client.find(&args.id).await?;
        ask(&client, &job.id).await
    })?;
    if args.json {
        return print(&job, true);
    }
    eprintln!("job {} is {}", job.id, words::job_state(&job));
    Ok(())
}
