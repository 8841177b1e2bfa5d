//! `gristmill plan RECIPE`: what a run would do, without running.

use crate::failure::{Failure, Outcome};
use crate::request::{ModelArgs, RecipeArgs, runtime, stores};
use gristmill_coordinator::{Allow, Prepared, pin, prepare};
use gristmill_job::{Plan, job_id};
use gristmill_pipeline::Recipe;
use gristmill_pipeline::stage::Stage;
use gristmill_pipeline::step::{Bloom, Built, Context};
use gristmill_storage::{Compression, Format};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    models: ModelArgs,
    /// Tasks worked on at once, for the estimate of memory
    #[arg(long, default_value_t = crate::commands::run::default_lanes())]
    lanes: usize,
    /// Where a large listing is sorted
    #[arg(long, value_name = "DIR", env = "TMPDIR", default_value = "/tmp")]
    scratch: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let stores = stores();
    let runtime = runtime()?;
    let recipe = args.recipe.load()?;
    let job = job_id(&recipe, &[]);
    let recipe = runtime.block_on(pin(&stores, recipe, None)).map_err(Failure::request)?;
    let resolver = args.models.resolver(&stores);
    let allow = Allow::everything();
    let prepared = prepare(&stores, &resolver, &recipe, &job, &allow, &args.scratch, None);
    let prepared = runtime.block_on(prepared).map_err(Failure::request)?;
    let needs = Needs::of(&prepared, &recipe, args.lanes);
    let text = if args.json {
        let mut estimate =
            json!({ "documents": needs.documents, "memory_bytes": needs.memory, "disk_bytes": needs.disk });
        if let Some(filter) = &needs.filter {
            estimate["filter_bytes"] = filter.bytes.into();
            estimate["filters"] = filter.filters.into();
        }
        let mut text = serde_json::to_string_pretty(&json!({ "plan": prepared.plan, "estimate": estimate }))
            .map_err(Failure::job)?;
        text.push('\n');
        text
    } else {
        table(&prepared.plan, &recipe, &needs, args.lanes)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::job)
}

/// Estimates, from the size of the input alone: upper bounds for ordinary crawls, not promises.
pub(crate) struct Needs {
    pub(crate) documents: u64,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    /// The largest Bloom filters.
    filter: Option<FilterNeeds>,
}

struct FilterNeeds {
    filters: u32,
    /// N-grams that each has to hold.
    ngrams: u64,
    bytes: u64,
}

/// A page of a Common Crawl WARC, as stored: CC-MAIN-2024 has some 30 kB a page.
const WARC_BYTES_PER_DOCUMENT: u64 = 25_000;
/// A document of extracted text: DCLM's pool has 3.2 kB of text a page, a third of it when compressed.
const TEXT_BYTES_PER_DOCUMENT: u64 = 3_500;
/// Extracted text against stored WARC bytes: 3.2 kB of text from a page of 25 kB.
const TEXT_SHARE_OF_WARC: f64 = 0.13;
/// English has some 5.2 bytes a token, and every line or so costs the n-grams of twelve tokens.
const TEXT_BYTES_PER_NGRAM: u64 = 5;
/// Of a dedup of spans: a key for every fourteenth token, and where something repeats, a tenth of all, one for each.
const SPANS_BYTES_PER_TOKEN: u64 = 10;
/// Of text after zstd -1, in the files that passes exchange.
const ZSTD_SHARE: f64 = 0.45;
/// What a lane holds in a pass, beside one sort: read-ahead, a page of the limit's size and its tree, output in flight.
const PASS_MEMORY: u64 = 128 << 20;
/// What it holds in the tasks of a dedup, beside what is sorted and joined: pieces of the files that are merged, what is compared at
/// a place, and what the threads that read files have not given back (measured by the soak of skew and chains).
const MERGE_MEMORY: u64 = 160 << 20;
/// The program itself.
const BASE_MEMORY: u64 = 40 << 20;

impl Needs {
    pub(crate) fn of(prepared: &Prepared, recipe: &Recipe, lanes: usize) -> Self {
        let (mut documents, mut text) = (0, 0);
        for ((format, compression), kind) in prepared.listing.kinds() {
            let bytes = kind.bytes;
            if matches!(format, Format::Warc | Format::Arc | Format::Html) {
                documents += bytes.div_ceil(WARC_BYTES_PER_DOCUMENT);
                text += (bytes as f64 * TEXT_SHARE_OF_WARC * 3.0) as u64;
            } else {
                let factor = if *compression == Compression::None { 1 } else { 3 };
                documents += (bytes * factor).div_ceil(TEXT_BYTES_PER_DOCUMENT);
                text += bytes * factor;
            }
        }
        let sorted = recipe.head.tasks.memory().0;
        let pass = PASS_MEMORY + sorted / 5;
        let joins = recipe.steps.iter().any(|spec| spec.is_barrier());
        let lane = if joins { pass.max(MERGE_MEMORY + sorted) } else { pass };
        let models: u64 = prepared.plan.resources.values().map(|r| r.bytes).sum();
        let cx = Context { resources: &prepared.resources, seed: recipe.head.seed };
        let (mut bytes_per_document, mut filter) = (0, None::<FilterNeeds>);
        for spec in &recipe.steps {
            let bytes = match spec.parsed.build(&cx) {
                Ok(Built::Barrier(barrier)) => barrier.bytes_per_document,
                Ok(Built::Selection(selection)) => selection.bytes_per_document(),
                Ok(Built::Bloom(bloom)) => {
                    let needs = FilterNeeds::of(&bloom, text);
                    if filter.as_ref().is_none_or(|largest| largest.bytes < needs.bytes) {
                        filter = Some(needs);
                    }
                    // A hash of 64 bits for each n-gram.
                    TEXT_BYTES_PER_DOCUMENT / TEXT_BYTES_PER_NGRAM * 8
                }
                Ok(Built::Spans(_)) => TEXT_BYTES_PER_DOCUMENT / TEXT_BYTES_PER_NGRAM * SPANS_BYTES_PER_TOKEN,
                _ => 0,
            };
            bytes_per_document = bytes_per_document.max(bytes);
        }
        let filters =
            filter.as_ref().map_or(0, |f| f.bytes.saturating_mul(u64::from(f.filters).min(lanes as u64)));
        let exchanged = if joins { (text as f64 * ZSTD_SHARE) as u64 } else { 0 };
        Self {
            documents,
            memory: BASE_MEMORY + models + lane * lanes as u64 + filters,
            // Documents and what one barrier keeps of them, and the dataset itself.
            disk: exchanged + documents * bytes_per_document + (text as f64 * ZSTD_SHARE) as u64,
            filter,
        }
    }
}

impl FilterNeeds {
    fn of(bloom: &Bloom, text: u64) -> Self {
        let groups = u64::from(bloom.groups.max(1));
        let ngrams = (text / TEXT_BYTES_PER_NGRAM / groups).max(bloom.expected_ngrams);
        Self { filters: bloom.groups, ngrams, bytes: bloom.memory_needed(ngrams) }
    }
}

fn table(plan: &Plan, recipe: &Recipe, needs: &Needs, lanes: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "job       {}", plan.job);
    let _ = writeln!(out, "input     {} files, {}", plan.input_files, size(plan.input_bytes));
    for (name, resource) in &plan.resources {
        let _ = writeln!(out, "resource  {name}: {}, {}", resource.candidate, size(resource.bytes));
    }
    let _ = writeln!(out, "\nstage  tasks  what");
    for (number, stage) in plan.stages.iter().enumerate() {
        let _ = writeln!(out, "{number:>5}  {:>5}  {}", stage.tasks, plan.title(number, &recipe.steps));
        if let Stage::Map(map) = &stage.stage {
            for spec in recipe.steps.get(map.steps.clone()).unwrap_or_default() {
                let _ = writeln!(out, "              {}", spec.def.name);
            }
        }
    }
    let _ = writeln!(out, "\nestimated for an ordinary crawl");
    let _ = writeln!(out, "documents about {}", needs.documents);
    if let Some(FilterNeeds { filters, ngrams, bytes }) = &needs.filter {
        let _ = writeln!(
            out,
            "filters   {filters} of up to {} each, for {ngrams} n-grams; they are counted before it is made",
            size(*bytes)
        );
        if let Some(memory) = recipe.head.tasks.memory.filter(|memory| memory.0 < *bytes) {
            let _ = writeln!(
                out,
                "          that is more than the {} of tasks.memory: filters that need so much will be refused",
                size(memory.0)
            );
        }
    }
    let _ = writeln!(
        out,
        "memory    up to {} with {lanes} lanes{}",
        size(needs.memory),
        if needs.filter.is_none() { ", whatever the size of the input" } else { ", filters included" }
    );
    let _ = writeln!(out, "disk      up to {} while the job runs, the dataset included", size(needs.disk));
    out
}

pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
