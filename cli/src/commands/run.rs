//! `gristmill run RECIPE`: coordinator and workers in one process, a queue in memory, files in place of S3.

use crate::failure::{Failure, Outcome};
use crate::progress::Display;
use crate::request::{ModelArgs, RecipeArgs, parse_uri, runtime, stores};
use anyhow::{Context as _, anyhow};
use gristmill_coordinator::{Drive, Prepared, View, prepare};
use gristmill_job::{Job, Manifest};
use gristmill_pipeline::Recipe;
use gristmill_queue::{MemoryQueue, Settings, TokioClock};
use gristmill_storage::{Created, Kind, Store, Stores, Uri};
use gristmill_worker::{Progress, Worker};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    models: ModelArgs,
    /// Tasks worked on at once; the output does not depend on it
    #[arg(long, default_value_t = default_lanes(), value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    lanes: usize,
    /// Throw away what the output folder holds: another dataset, or a job begun with another recipe
    #[arg(long)]
    overwrite: bool,
    /// Keep the files that passes exchange
    #[arg(long)]
    keep_intermediate: bool,
    /// Where sorted runs are spilled
    #[arg(long, value_name = "DIR", env = "TMPDIR", default_value = "/tmp")]
    scratch: PathBuf,
    /// Print nothing while the job runs
    #[arg(long, short)]
    quiet: bool,
}

use clap::builder::TypedValueParser as _;

pub(crate) fn default_lanes() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Below the output, where a job on one machine keeps its objects.
const WORKSPACE: &str = "_gristmill";

pub(crate) fn run(args: Args) -> Outcome {
    let recipe = args.recipe.load()?;
    let output = recipe.head.output.path.as_deref();
    let output = output.ok_or_else(|| {
        Failure::Request(anyhow!("the recipe names no output; add `output: {{path: …}}` or give --output"))
    })?;
    let output = parse_uri(output)?;
    runtime()?.block_on(run_job(&args, recipe, output))
}

async fn run_job(args: &Args, recipe: Recipe, output: Uri) -> Outcome {
    let stores = stores();
    let resolver = args.models.resolver(&stores);
    let prepared = prepare(&stores, &resolver, &recipe).await.map_err(Failure::request)?;
    let workspace = output.join(WORKSPACE).map_err(Failure::request)?;
    let (store, prefix) = stores.open(&output).map_err(Failure::request)?;
    let place = Place { store, prefix, output };
    if args.overwrite {
        place.clear().await.context("cannot clear the output").map_err(Failure::Job)?;
    }
    let job = Job::open(&stores, &workspace, &prepared.plan.job).map_err(Failure::request)?;
    place.check(&job).await?;
    if job.is_done().await.map_err(Failure::job)? {
        eprintln!("job {} is done; --overwrite runs it again", job.id);
        if !args.keep_intermediate {
            // The run that finished it may have been killed before it cleaned up.
            job.clear_data().await.map_err(Failure::job)?;
        }
        let manifest = place.manifest().await.map_err(Failure::Job)?;
        return summary(&manifest, &place.output).map_err(Failure::job);
    }
    let created = job.submit(&prepared.plan, &prepared.inputs).await;
    let created = created.context("cannot write the plan").map_err(Failure::Job)?;
    if created == Created::Exists && !args.quiet {
        eprintln!("job {} was begun before: going on where it stands", job.id);
    }
    let manifest = work(args, recipe, prepared, job, stores, workspace, &place).await?;
    summary(&manifest, &place.output).map_err(Failure::job)
}

async fn work(
    args: &Args,
    recipe: Recipe,
    prepared: Prepared,
    job: Job,
    stores: Stores,
    workspace: Uri,
    place: &Place,
) -> Result<Manifest, Failure> {
    let settings = Settings::default();
    let heartbeat = settings.heartbeat_every();
    // Attempts of two runs, or of two processes, must never share a name: this one seed is drawn, not given.
    let seed = getrandom::u64().context("no source of chance").map_err(Failure::Job)?;
    let queue = MemoryQueue::new(settings, Arc::new(TokioClock::new()), seed);
    let queue = queue.context("cannot make the queue").map_err(Failure::Job)?;
    let progress = Arc::new(Progress::new(prepared.plan.stages.len()));
    let (stop, stopped) = watch::channel(false);
    let worker = Worker {
        stores: stores.clone(),
        workspace,
        resolver: args.models.resolver(&stores),
        consumer: Arc::new(queue.consumer(format!("run-{}", std::process::id()))),
        lanes: args.lanes,
        scratch: args.scratch.clone(),
        heartbeat,
        progress: Arc::clone(&progress),
    };
    let workers = tokio::spawn(worker.run(stopped));
    let (view, watched) = watch::channel(View::default());
    let display = (!args.quiet).then(|| Display::start(watched, Arc::clone(&progress)));
    let drive = Drive {
        job,
        plan: prepared.plan,
        recipe,
        stores,
        producer: Arc::new(queue),
        output: place.output.clone(),
        keep_intermediate: args.keep_intermediate,
        view,
    };
    let result = tokio::select! {
        result = drive.run() => result.map_err(Failure::job),
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::Job(anyhow!("interrupted; the same command goes on where it stands")))
        }
    };
    if let Some(display) = display {
        display.finish().await;
    }
    stop.send_replace(true);
    let _ = workers.await;
    result
}

/// The output folder.
struct Place {
    store: Arc<dyn Store>,
    prefix: String,
    output: Uri,
}

impl Place {
    fn key(&self, name: &str) -> String {
        let prefix = self.prefix.trim_end_matches('/');
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// Refuses a folder that holds something else than this job.
    async fn check(&self, job: &Job) -> Result<(), Failure> {
        let jobs = self.key(&format!("{WORKSPACE}/jobs/"));
        let others = self.store.list_page(&jobs, None, 1000).await.map_err(Failure::request)?;
        let mine = format!("{jobs}{}/", job.id);
        if let Some(other) = others.entries.iter().find(|e| !e.key.starts_with(&mine)) {
            let name = other.key.strip_prefix(&jobs).and_then(|k| k.split('/').next()).unwrap_or_default();
            return Err(Failure::Request(anyhow!(
                "{} holds job {name}, which has another recipe, input or version; choose another --output, or throw that away with --overwrite",
                self.output
            )));
        }
        let is_mine = !others.entries.is_empty();
        match self.store.stat(&self.key("manifest.json")).await {
            Ok(_) if !is_mine => Err(Failure::Request(anyhow!(
                "{} holds a dataset that this job did not write; choose another --output, or throw it away with --overwrite",
                self.output
            ))),
            Err(error) if error.kind() != Kind::NotFound => Err(Failure::request(error)),
            _ => Ok(()),
        }
    }

    async fn manifest(&self) -> anyhow::Result<Manifest> {
        let json = self.store.get(&self.key("manifest.json"), None).await?;
        serde_json::from_slice(&json).context("the manifest is not what this version writes")
    }

    /// Deletes a dataset and what jobs left beside it; nothing else.
    async fn clear(&self) -> Result<(), gristmill_storage::StoreError> {
        let ours = ["manifest.json".to_owned(), "_problems.jsonl".to_owned()];
        self.store.delete(&ours.map(|name| self.key(&name))).await?;
        for folder in ["data/part-", &format!("{WORKSPACE}/jobs/")] {
            loop {
                let page = self.store.list_page(&self.key(folder), None, 1000).await?;
                let keys: Vec<String> = page.entries.into_iter().map(|e| e.key).collect();
                if keys.is_empty() {
                    break;
                }
                self.store.delete(&keys).await?;
            }
        }
        Ok(())
    }
}

/// What was kept, dropped and why, and where the data lies.
fn summary(manifest: &Manifest, output: &Uri) -> std::io::Result<()> {
    let documents = &manifest.documents;
    let mut out = std::io::stderr().lock();
    let share = |n: u64| 100.0 * n as f64 / documents.seen.max(1) as f64;
    let mut row = |what: &str, n: u64| writeln!(out, "{n:>12}  {:>5.1} %  {what}", share(n));
    row("documents in", documents.seen)?;
    for (reason, n) in &documents.dropped {
        row(&format!("dropped by {reason}"), *n)?;
    }
    for (reason, n) in &documents.broken {
        row(&format!("broken: {reason}"), *n)?;
    }
    row("kept", documents.kept)?;
    let bytes = manifest.files.iter().map(|f| f.bytes).sum();
    writeln!(
        out,
        "{} files, {}, in {output}/data; {output}/manifest.json lists them",
        manifest.files.len(),
        super::plan::size(bytes)
    )
}
