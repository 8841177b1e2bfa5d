//! `gristmill submit RECIPE`: a job for a coordinator.

use super::watch::{self, Form, ShowArgs};
use crate::client::{Client, ConnectionArgs, Update};
use crate::display::{json, words};
use crate::failure::{Failure, Outcome};
use crate::request::{RecipeArgs, runtime};
use gristmill_proto::v1;
use std::io::Write as _;
use std::time::Duration;

/// How long the coordinator is given to say that a job cannot be planned.
const PLAN_WAIT: Duration = Duration::from_secs(10);

/// The coordinator reads and writes, not this command: relative paths in --input and --output are completed here, but
/// those in the recipe are as the coordinator sees them.
#[derive(clap::Args)]
#[command(
    after_help = "Prints the id of the job. The coordinator reads and writes, from where it runs: relative paths \
    in --input and --output are completed here, those in the recipe are taken as they are."
)]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Before or after other jobs
    #[arg(long, value_name = "PRIORITY", value_enum, default_value_t)]
    priority: Priority,
    /// A label to find the job by (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// The same request with another key is another job; the same key with another request is refused
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,
    /// Watch it until it has ended: exit code 0 when it is done, 1 when it failed or was cancelled
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give KEY=VALUE")?;
    if key.is_empty() {
        return Err("a label needs a key".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn run(args: Args) -> Outcome {
    let recipe = RecipeArgs {
        input: args.recipe.input.iter().map(|text| complete(text)).collect::<Result<_, _>>()?,
        output: args.recipe.output.as_deref().map(complete).transpose()?,
        ..args.recipe
    };
    let request = v1::SubmitJobRequest {
        recipe: recipe.yaml()?,
        overrides: recipe.overrides(),
        priority: match args.priority {
            Priority::High => v1::Priority::High,
            Priority::Normal => v1::Priority::Normal,
            Priority::Low => v1::Priority::Low,
        }
        .into(),
        labels: args.labels.into_iter().collect(),
        key: args.key,
    };
    runtime()?.block_on(async {
        let client = Client::open(&args.connection)?;
        let answer = client.submit(request).await?;
        let job = answer.job.unwrap_or_default();
        if !answer.created {
            eprintln!("job {} was submitted before: it is {}", job.id, words::job_state(&job));
        }
        let form = Form::of(&args.show);
        if args.watch {
            if form != Form::Json {
                print(&job.id)?;
            }
            return watch::watch(&client, &job.id, form, std::io::stderr()).await;
        }
        if form != Form::Json {
            print(&job.id)?;
        }
        let job = planned(&client, job).await?;
        if form == Form::Json {
            print(&serde_json::json!({ "job": json::job(&job), "created": answer.created }))?;
        }
        if !words::has_ended(&job) {
            eprintln!(
                "job {} is {}; `gristmill watch {0}` shows how far it is",
                job.id,
                words::job_state(&job)
            );
        }
        watch::verdict(&job)
    })
}

/// The job when it is planned, or cannot be, or after a while.
async fn planned(client: &Client, job: v1::Job) -> Result<v1::Job, Failure> {
    let mut now = job;
    let mut updates = client.follow(&now.id);
    let wait = tokio::time::sleep(PLAN_WAIT);
    tokio::pin!(wait);
    while now.state() == v1::JobState::Planning {
        tokio::select! {
            () = &mut wait => break,
            update = updates.recv() => match update {
                Some(Ok(Update::Job(job))) => now = *job,
                Some(Ok(Update::Lost(_))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => break,
            },
        }
    }
    Ok(now)
}

fn print(line: &impl std::fmt::Display) -> Outcome {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::job)
}

/// A path from here on; addresses stay as they are.
fn complete(text: &str) -> Result<String, Failure> {
    if text.contains("://") || text.is_empty() {
        return Ok(text.to_owned());
    }
    let path = std::path::absolute(text).map_err(Failure::request)?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Failure::Request(anyhow::anyhow!("{text} lies in a folder whose name is not text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_completed() {
        let here = std::env::current_dir().expect("a folder");
        let here = here.to_str().expect("text");
        for (text, expected) in [
            ("in/*.warc.gz", format!("{here}/in/*.warc.gz")),
            ("./out", format!("{here}/out")),
            ("/data/out", "/data/out".to_owned()),
            ("s3://bucket/out", "s3://bucket/out".to_owned()),
        ] {
            assert_eq!(complete(text).expect("text"), expected);
        }
    }

    #[test]
    fn labels_have_a_key_and_a_value() {
        assert_eq!(parse_label("team=web=1"), Ok(("team".to_owned(), "web=1".to_owned())));
        assert!(parse_label("team").is_err() && parse_label("=x").is_err());
    }
}
