//! `gristmill completions SHELL`.

use crate::failure::{Failure, Outcome};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write as _;

#[derive(clap::Args)]
#[command(
    after_help = "For example: gristmill completions bash > ~/.local/share/bash-completion/completions/gristmill"
)]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "gristmill", &mut text);
    std::io::stdout().write_all(&text).map_err(Failure::job)
}
