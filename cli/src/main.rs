//! `gristmill`: the one binary.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 the job failed, 2 the request was wrong,
//! 3 the coordinator could not be reached.

mod client;
mod commands;
mod config;
mod dataset;
mod display;
mod failure;
mod recipe;
mod request;
mod service;
mod supervise;
mod sweep;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Lanes allocate and free a page's worth at a time; glibc's allocator keeps what other threads freed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Turns a web crawl into training text for language models.
#[derive(Parser)]
#[command(name = "gristmill", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a recipe on this machine
    Run(commands::run::Args),
    /// Print what a recipe would do: stages, tasks, bytes, memory and disk, without running it
    Plan(commands::plan::Args),
    /// Take in jobs, hand out their tasks to workers, publish their datasets
    Coordinator(Box<commands::coordinator::Args>),
    /// Work on the tasks of coordinators
    Worker(Box<commands::worker::Args>),
    /// Hand a recipe to a coordinator
    Submit(commands::submit::Args),
    /// List the jobs of a coordinator, the latest first
    Jobs(commands::jobs::Args),
    /// Print where a job stands
    Job(commands::job::Args),
    /// Watch a job until it has ended
    Watch(commands::watch::Args),
    /// List the tasks of a job with their attempts
    Tasks(commands::tasks::Args),
    /// Cancel a job for good
    Cancel(commands::control::CancelArgs),
    /// Hand out no further task of a job
    Pause(commands::control::Args),
    /// Go on with a paused job
    Resume(commands::control::Args),
    /// Try the failed tasks of a job again
    Retry(commands::control::Args),
    /// Run steps on documents and print the verdict on each
    Try(commands::try_steps::Args),
    /// Turn HTML or WARC files into text, one JSON line a page
    Extract(commands::extract::Args),
    /// The reference of all steps, or of one
    Steps(commands::steps::Args),
    /// Print the JSON schema of recipes
    Schema,
    /// Print the recipe that one of DCLM's configs amounts to
    Convert(commands::convert::Args),
    /// Train a quality classifier on texts that are good and texts that are ordinary
    TrainClassifier(Box<commands::train_classifier::Args>),
    /// Show what other thresholds of a score would keep of a dataset
    Sweep(commands::sweep::Args),
    /// Check a dataset against its manifest
    Verify(commands::verify::Args),
    /// Take documents out of datasets and indexes, by their addresses or ids
    Takedown(commands::takedown::Args),
    /// Make one attempt at a task, for a worker
    #[command(hide = true)]
    Attempt(commands::attempt::Args),
    /// Pack a folder of HTML files into a WARC
    Pack(commands::pack::Args),
    /// Print the completions for a shell
    Completions(commands::completions::Args),
}

impl Command {
    /// What it is called in traces; those that do no work of a job make none.
    fn role(&self) -> Option<&'static str> {
        match self {
            Self::Run(_) => Some("run"),
            Self::Coordinator(_) => Some("coordinator"),
            Self::Worker(_) => Some("worker"),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Its end is the end of `main`: the last spans are sent then.
    let _telemetry = gristmill_telemetry::init(&gristmill_telemetry::Settings::from_env(), command.role());
    // A panicking document is counted as broken; where it happened is for those who debug.
    std::panic::set_hook(Box::new(|info| tracing::debug!("{info}")));
    let result = match command {
        Command::Run(args) => commands::run::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Coordinator(args) => commands::coordinator::run(&args),
        Command::Worker(args) => commands::worker::run(&args),
        Command::Submit(args) => commands::submit::run(args),
        Command::Jobs(args) => commands::jobs::run(&args),
        Command::Job(args) => commands::job::run(&args),
        Command::Watch(args) => commands::watch::run(&args),
        Command::Tasks(args) => commands::tasks::run(&args),
        Command::Cancel(args) => commands::control::cancel(&args),
        Command::Pause(args) => commands::control::pause(&args),
        Command::Resume(args) => commands::control::resume(&args),
        Command::Retry(args) => commands::control::retry(&args),
        Command::Try(args) => commands::try_steps::run(args),
        Command::Extract(args) => commands::extract::run(args),
        Command::Steps(args) => commands::steps::run(&args),
        Command::Schema => commands::schema::run(),
        Command::Convert(args) => commands::convert::run(&args),
        Command::TrainClassifier(args) => commands::train_classifier::run(&args),
        Command::Sweep(args) => commands::sweep::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Takedown(args) => commands::takedown::run(&args),
        Command::Attempt(args) => commands::attempt::run(&args),
        Command::Pack(args) => commands::pack::run(args),
        Command::Completions(args) => commands::completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
