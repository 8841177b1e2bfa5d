//! `gristmill worker`: claims tasks and works on them, until it is told to stop.
//!
//! On SIGTERM it takes checkpoints and gives its tasks back; it is gone within 25 s, which is what machines that may be
//! taken away are given.

use crate::commands::run::default_lanes;
use crate::config::{self, Config, Layer, Span};
use crate::failure::{Failure, Outcome};
use crate::request::working_runtime;
use crate::service::{ServiceOptions, chance, force_exit, serve_metrics, stop_signal};
use crate::supervise;
use gristmill_pipeline::recipe::ByteSize;
use gristmill_queue::Producer as _;
use gristmill_worker::{End, Isolation, Metrics, Worker};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// When a worker that was told to stop is gone, whatever it is doing: what it has in hand is somebody else's once its
/// lease has run out.
const GONE_WITHIN: Duration = Duration::from_secs(24);
/// Heartbeats come at least that often, whatever the lease: they also say how far the work is.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: Config<Options>,
}

#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Options {
    #[command(flatten)]
    #[serde(flatten)]
    service: ServiceOptions,
    /// Tasks worked on at once [default: the number of cores]
    #[arg(long, value_name = "N", env = "GRISTMILL_LANES", value_parser = clap::value_parser!(u16).range(1..=1024))]
    lanes: Option<u16>,
    /// How often a long task notes how far it is, so that another worker can go on from there [default: 60s]
    #[arg(long, value_name = "TIME", env = "GRISTMILL_CHECKPOINT_EVERY")]
    checkpoint_every: Option<Span>,
    /// Run the programs of recipes (the step `external`)
    #[arg(long, value_name = "BOOL", env = "GRISTMILL_ALLOW_EXTERNAL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    allow_external: Option<bool>,
    /// Memory for the Bloom filters of all lanes together: those that do not fit wait for each other [default: three quarters of
    /// the machine's or the container's]
    #[arg(long, value_name = "SIZE", env = "GRISTMILL_FILTER_MEMORY")]
    filter_memory: Option<ByteSize>,
    /// What the worker is called in messages [default: host and process]
    #[arg(long, value_name = "NAME", env = "GRISTMILL_NAME")]
    name: Option<String>,
}

impl Layer for Options {
    fn defaults() -> Self {
        Self {
            service: ServiceOptions::defaults(),
            lanes: Some(default_lanes().clamp(1, 1024) as u16),
            checkpoint_every: Some(Span(Duration::from_mins(1))),
            allow_external: Some(false),
            filter_memory: None,
            name: Some(format!("{}-{}", host(), std::process::id())),
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = args.config.layers()?;
    if args.config.print_config {
        return config::print(&options);
    }
    supervise::guard();
    let runtime = working_runtime(options.lanes.map_or_else(default_lanes, usize::from))?;
    let end = runtime.block_on(work(&options));
    // Threads that hang in a document are left to the system.
    runtime.shutdown_background();
    match end? {
        End::Stopped => Ok(()),
        End::Worn => supervise::renew(),
    }
}

async fn work(options: &Options) -> Result<End, Failure> {
    let service = &options.service;
    let stop = stop_signal()?;
    force_exit(stop.clone(), GONE_WITHIN);
    let queue = Arc::new(service.queue()?);
    let name = options.name.clone().unwrap_or_default();
    let consumer = queue.consumer(&name, chance()?).map_err(Failure::request)?;
    let stores = service.stores();
    let (counted, metrics) = (stores.clone(), Metrics::default());
    let lanes = options.lanes.map_or_else(default_lanes, usize::from);
    let worker = Worker {
        workspace: service.workspace()?,
        resolver: service.models().resolver(&stores),
        stores,
        consumer: Arc::new(consumer),
        name: name.clone(),
        lanes,
        scratch: service.scratch(),
        heartbeat: queue.settings().heartbeat_every().min(HEARTBEAT_MAX),
        checkpoint_every: options.checkpoint_every.map_or(Duration::from_mins(1), |span| span.0),
        isolation: Some(isolation(service)),
        allow_external: options.allow_external.unwrap_or_default(),
        filter_memory: options.filter_memory.map(|size| size.0),
        metrics: metrics.clone(),
    };
    let stopping = stop.clone();
    let ready = move || {
        let (queue, stopping) = (Arc::clone(&queue), stopping.clone());
        Box::pin(async move { is_ready(&queue, &stopping).await }) as _
    };
    serve_metrics(service.metrics(), "worker", Box::new(ready), |registry| {
        counted.register(registry);
        metrics.register(registry);
    })
    .await?;
    eprintln!("gristmill worker: {name} works with {lanes} lanes in {}", worker.workspace);
    Ok(worker.run(stop).await)
}

/// Attempts in processes of their own reach storage as this process does.
fn isolation(service: &ServiceOptions) -> Isolation {
    let isolation = supervise::isolation(&service.models(), true);
    let (command, variables) = (isolation.command, service.storage_variables());
    let command = Arc::new(move || {
        let mut command = command();
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        command
    });
    Isolation { command, ..isolation }
}

async fn is_ready(
    queue: &gristmill_queue::RedisQueue,
    stopping: &watch::Receiver<bool>,
) -> Result<(), String> {
    if *stopping.borrow() {
        return Err("this worker is stopping".to_owned());
    }
    queue.depth().await.map(drop).map_err(|e| e.to_string())
}

/// The name of this machine.
fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "worker".to_owned())
}
