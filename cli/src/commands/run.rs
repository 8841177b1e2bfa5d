//! `gristmill run RECIPE`: coordinator and workers in one process, a queue in memory, files in place of S3.

use crate::config::Span;
use crate::display::Display;
use crate::failure::{Failure, Outcome};
use crate::request::{ModelArgs, RecipeArgs, parse_uri, stores, working_runtime};
use crate::service::{serve_metrics, stop_signal};
use crate::supervise;
use anyhow::{Context as _, anyhow};
use gristmill_coordinator::{
    Allow, DriveError, Driver, End, Engine, JobView, JobViews, pin, prepare, publish, trace_end,
};
use gristmill_job::{Job, JobEvent, JobLog, JobState, LogEntry, Manifest, Plan, job_id};
use gristmill_pipeline::Recipe;
use gristmill_pipeline::recipe::ByteSize;
use gristmill_queue::{MemoryQueue, Priority, Settings, TokioClock};
use gristmill_storage::{Kind, Stores, Uri};
use gristmill_worker::{Metrics, Worker};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
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
    /// How often a long task notes how far it is, so that a killed run goes on from there
    #[arg(long, value_name = "TIME", env = "GRISTMILL_CHECKPOINT_EVERY", default_value = "60s")]
    checkpoint_every: Span,
    /// Memory for the Bloom filters of all lanes together: those that do not fit wait for each other [default: three quarters of
    /// the machine's]
    #[arg(long, value_name = "SIZE", env = "GRISTMILL_FILTER_MEMORY")]
    filter_memory: Option<ByteSize>,
    /// Serve /metrics here while the job runs
    #[arg(long, value_name = "HOST:PORT", env = "GRISTMILL_METRICS")]
    metrics: Option<String>,
    /// Print nothing while the job runs
    #[arg(long, short)]
    quiet: bool,
}

use clap::builder::TypedValueParser as _;

pub(crate) fn default_lanes() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How often attempts say how far they are: the display shows it.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How often, and how long after each other, a job goes on whose storage does not answer.
const TRIES: u32 = 5;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Below the output, where a job on one machine keeps its objects.
const WORKSPACE: &str = "_gristmill";

pub(crate) fn run(args: Args) -> Outcome {
    let recipe = args.recipe.load()?;
    let output = recipe.head.output.path.as_deref();
    let output = output.ok_or_else(|| {
        Failure::Request(anyhow!("the recipe names no output; add `output: {{path: …}}` or give --output"))
    })?;
    let output = parse_uri(output)?;
    supervise::guard();
    let runtime = working_runtime(args.lanes)?;
    let outcome = runtime.block_on(run_job(&args, recipe, output));
    // Threads that hang in a document are left to the system.
    runtime.shutdown_background();
    outcome
}

async fn run_job(args: &Args, recipe: Recipe, output: Uri) -> Outcome {
    let stores = stores();
    let resolver = args.models.resolver(&stores);
    let workspace = output.join(WORKSPACE).map_err(Failure::request)?;
    let place = Place { inner: publish::Place::open(&stores, &output).map_err(Failure::request)?, output };
    let id = job_id(&recipe, &[]);
    let job = Job::open(&stores, &workspace, &id).map_err(Failure::request)?;
    let begun = if args.overwrite { None } else { job.plan().await.map_err(Failure::job)? };
    let recipe = pin(&stores, recipe, begun.as_ref()).await.map_err(Failure::request)?;
    let everything = Allow::everything();
    let prepared =
        prepare(&stores, &resolver, &recipe, &id, &everything, &args.scratch, begun.as_ref()).await;
    let prepared = prepared.map_err(Failure::request)?;
    if args.overwrite {
        place.clear().await.context("cannot clear the output").map_err(Failure::Job)?;
    }
    place.check(&job).await?;
    if let Some(begun) = begun {
        begun.same_request(&prepared.plan).map_err(|why| Failure::Request(anyhow!(why)))?;
        if !args.quiet && job.log().await.map_err(Failure::job)?.state != JobState::Done {
            eprintln!("job {id} was begun before: going on where it stands");
        }
    }
    if job.log().await.map_err(Failure::job)?.state == JobState::Done {
        eprintln!("job {id} is done; --overwrite runs it again");
        if !args.keep_intermediate {
            // The run that finished it may have been killed before it cleaned up.
            job.clear_data().await.map_err(Failure::job)?;
        }
        let manifest = place.manifest().await.map_err(Failure::Job)?;
        return summary(&manifest, &place.output).map_err(Failure::job);
    }
    let submitted = job.submit(&prepared.plan, &prepared.listing).await;
    submitted.context("cannot write the plan").map_err(Failure::Job)?;
    for stage in 0..prepared.plan.stages.len() {
        // What failed in an earlier run is tried again in this one.
        job.forget_failed(stage).await.map_err(Failure::job)?;
    }
    let manifest = work(args, recipe, prepared.plan, job, stores, workspace, &place).await?;
    summary(&manifest, &place.output).map_err(Failure::job)
}

async fn work(
    args: &Args,
    recipe: Recipe,
    plan: Plan,
    job: Job,
    stores: Stores,
    workspace: Uri,
    place: &Place,
) -> Result<Manifest, Failure> {
    let settings = Settings::default();
    // Attempts of two runs, or of two processes, must never share a name: this one seed is drawn, not given.
    let seed = getrandom::u64().context("no source of chance").map_err(Failure::Job)?;
    let queue = MemoryQueue::new(settings, Arc::new(TokioClock::new()), seed);
    let queue = queue.context("cannot make the queue").map_err(Failure::Job)?;
    let name = format!("run-{}", std::process::id());
    let mut interrupted = stop_signal()?;
    let (stop, stopped) = watch::channel(false);
    let metrics = Metrics::default();
    let worker = Worker {
        stores: stores.clone(),
        workspace,
        resolver: args.models.resolver(&stores),
        consumer: Arc::new(queue.consumer(name.clone())),
        name,
        lanes: args.lanes,
        scratch: args.scratch.clone(),
        heartbeat: HEARTBEAT,
        checkpoint_every: args.checkpoint_every.0,
        isolation: Some(supervise::isolation(&args.models, false)),
        allow_external: true,
        filter_memory: args.filter_memory.map(|size| size.0),
        metrics: metrics.clone(),
    };
    let engine = Engine::start(Arc::new(queue));
    let (view, watched) =
        watch::channel(Arc::new(JobView::new(&job.id, &recipe.head.name, &place.output.to_string())));
    let ended = watched.clone();
    let ready = || Box::pin(async { Ok(()) }) as _;
    serve_metrics(args.metrics.as_deref(), "run", Box::new(ready), |registry| {
        stores.register(registry);
        metrics.register(registry);
        engine.metrics().register_queue(registry);
        let view = watched.clone();
        JobViews::new(move || vec![Arc::clone(&view.borrow())]).register(registry);
    })
    .await?;
    let workers = tokio::spawn(worker.run(stopped));
    let display = (!args.quiet).then(|| Display::start(watched));
    let driver = Driver {
        job: job.clone(),
        plan: Arc::new(plan),
        recipe,
        stores,
        engine: Arc::clone(&engine),
        priority: Priority::Normal,
        output: place.output.clone(),
        keep_intermediate: args.keep_intermediate,
        view,
    };
    let (_state, active) = watch::channel(JobState::Active);
    let result = tokio::select! {
        result = drive(&driver, &active) => result,
        _ = interrupted.wait_for(|stop| *stop) => {
            stop.send_replace(true);
            let _ = workers.await;
            return Err(Failure::Job(anyhow!("interrupted; the same command goes on where it stands")));
        }
    };
    drop(driver);
    if let Some(display) = display {
        display.finish().await;
    }
    engine.stop();
    stop.send_replace(true);
    let _ = workers.await;
    match result.map_err(Failure::job)? {
        End::Done(manifest) => {
            finish(args, &job).await.map_err(Failure::job)?;
            trace_end(&ended.borrow(), None);
            Ok(*manifest)
        }
        End::Failed(reason) => Err(Failure::Job(anyhow!(reason))),
        End::Left => Err(Failure::Job(anyhow!("the job was left"))),
    }
}

/// Drives the job, and goes on when storage that did not answer answers again.
async fn drive(driver: &Driver, active: &watch::Receiver<JobState>) -> Result<End, DriveError> {
    for _ in 1..TRIES {
        match driver.run(active.clone()).await {
            Err(error) if error.is_retryable() => {
                tracing::warn!("going on in {} s: {error}", TRY_AGAIN_AFTER.as_secs());
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
            result => return result,
        }
    }
    driver.run(active.clone()).await
}

async fn finish(args: &Args, job: &Job) -> anyhow::Result<()> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_ms = since.map_or(0, |d| d.as_millis() as u64);
    job.append(&mut JobLog::default(), LogEntry { event: JobEvent::Done, at_ms, by: String::new() }).await?;
    if !args.keep_intermediate {
        job.clear_data().await?;
    }
    Ok(())
}

/// The output folder.
struct Place {
    inner: publish::Place,
    output: Uri,
}

impl Place {
    fn key(&self, name: &str) -> String {
        self.inner.key(name)
    }

    /// The job whose objects lie in the folder.
    async fn job(&self) -> Result<Option<String>, Failure> {
        let jobs = self.key(&format!("{WORKSPACE}/jobs/"));
        let page = self.inner.store().list_page(&jobs, None, 1).await.map_err(Failure::request)?;
        let key = page.entries.first().and_then(|entry| entry.key.strip_prefix(&jobs));
        Ok(key.and_then(|key| key.split('/').next()).map(str::to_owned))
    }

    /// Refuses a folder that holds something else than this job.
    async fn check(&self, job: &Job) -> Result<(), Failure> {
        let other = self.job().await?;
        if let Some(name) = other.as_ref().filter(|name| **name != job.id) {
            return Err(Failure::Request(anyhow!(
                "{} holds job {name}, which has another recipe, input or version; choose another --output, or throw that away with --overwrite",
                self.output
            )));
        }
        let is_mine = other.is_some();
        match self.inner.store().stat(&self.key("manifest.json")).await {
            Ok(_) if !is_mine => Err(Failure::Request(anyhow!(
                "{} holds a dataset that this job did not write; choose another --output, or throw it away with --overwrite",
                self.output
            ))),
            Err(error) if error.kind() != Kind::NotFound => Err(Failure::request(error)),
            _ => Ok(()),
        }
    }

    async fn manifest(&self) -> anyhow::Result<Manifest> {
        let json = self.inner.store().get(&self.key("manifest.json"), None).await?;
        serde_json::from_slice(&json).context("the manifest is not what this version writes")
    }

    /// Deletes a dataset and what jobs left beside it; nothing else.
    async fn clear(&self) -> Result<(), gristmill_storage::StoreError> {
        let ours = ["manifest.json", "_problems.jsonl", "global_stats.jsonl"];
        self.inner.store().delete(&ours.map(|name| self.key(name))).await?;
        let jobs = format!("{WORKSPACE}/jobs/");
        // By folder, what names of files hold; the second and third are of DCLM's layout.
        let ours = [
            ("data/part-", ""),
            ("processed_data/", "_processed"),
            ("stats/", "_stats.jsonl"),
            ("clusters/", "/part-"),
            ("_takedowns/", ""),
            (&jobs, ""),
        ];
        for (folder, part) in ours {
            let mut after: Option<String> = None;
            loop {
                let page = self.inner.store().list_page(&self.key(folder), after.as_deref(), 1000).await?;
                let Some(last) = page.entries.last() else { break };
                after = Some(last.key.clone());
                let keys = page.entries.into_iter().map(|e| e.key).filter(|key| key.contains(part));
                self.inner.store().delete(&keys.collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }
}

/// What was kept, dropped and why, and where the data lies.
fn summary(manifest: &Manifest, output: &Uri) -> std::io::Result<()> {
    let folder = manifest.layout().folder();
    let documents = &manifest.documents;
    let mut out = std::io::stderr().lock();
    let share = |n: u64| 100.0 * n as f64 / documents.seen.max(1) as f64;
    let mut row = |what: &str, n: u64| writeln!(out, "{n:>12}  {:>5.1} %  {what}", share(n));
    row("documents in", documents.seen)?;
    if documents.made > 0 {
        row("more, made of those", documents.made)?;
    }
    for (reason, n) in &documents.dropped {
        row(&format!("dropped by {reason}"), *n)?;
    }
    for (reason, n) in &documents.broken {
        row(&format!("broken: {reason}"), *n)?;
    }
    row("kept", documents.kept)?;
    for (by, n) in &documents.extracted_by {
        row(&format!("pages whose text by {by} survived the filters"), *n)?;
    }
    let bytes = manifest.files.iter().map(|f| f.bytes).sum();
    writeln!(
        out,
        "{} files, {}, in {output}/{folder}; {output}/manifest.json lists them",
        manifest.files.len(),
        super::plan::size(bytes)
    )
}
