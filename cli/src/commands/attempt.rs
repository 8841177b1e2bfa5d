//! `gristmill attempt`: hidden; one attempt at a task, for a worker that wants it made in a process of its own.

use crate::failure::{Failure, Outcome};
use crate::request::{ModelArgs, runtime, stores};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    models: ModelArgs,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let stores = stores();
    let resolver = args.models.resolver(&stores);
    let ended = runtime()?.block_on(gristmill_worker::isolated::serve(stores, resolver));
    ended.map(|never| match never {}).map_err(Failure::request)
}
