//! `gristmill convert FILE`: one of DCLM's configs as a recipe.

use crate::failure::{Failure, Outcome};
use crate::recipe::Written;
use anyhow::Context as _;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The config, a YAML file as in DCLM's baselines_configs
    file: PathBuf,
    /// Which of its sources, where it has several
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Write the recipe here, not to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let recipe = Written::translate(&args.file, args.source.as_deref())?.into_text();
    match &args.output {
        Some(path) => std::fs::write(path, recipe)
            .with_context(|| format!("cannot write {}", path.display()))
            .map_err(Failure::Job),
        None => std::io::stdout().write_all(recipe.as_bytes()).map_err(Failure::job),
    }
}
