//! `gristmill try`: what per-document steps say of documents, one JSON line a document, in input order.

use crate::failure::{Failure, Outcome};
use crate::recipe::{DclmArgs, Written};
use crate::request::{ModelArgs, runtime, stores};
use anyhow::anyhow;
use gristmill_pipeline::recipe::{self, StepSpec, tree};
use gristmill_pipeline::step::Programs;
use gristmill_pipeline::{Chain, Document, Ended, Tally, Verdict};
use gristmill_storage::{Lister, Open, PathSource, Pattern, open};
use gristmill_worker::external::Processes;
use gristmill_worker::reading::{self, Reading};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A step as in a recipe, in YAML or JSON (repeatable)
    #[arg(long = "step", value_name = "STEP", conflicts_with_all = ["recipe", "dclm"])]
    step: Vec<String>,
    /// A recipe whose per-document steps are run; barriers are passed over
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    #[command(flatten)]
    dclm: DclmArgs,
    /// Override a value of the recipe
    #[arg(long = "set", value_name = "KEY.PATH=VALUE", conflicts_with = "step")]
    set: Vec<String>,
    /// Seed for hashes and samples, where the steps come without a recipe
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    models: ModelArgs,
    /// Files of documents, in any input format; a recipe (.yaml) may come first
    #[arg(required = true)]
    docs: Vec<String>,
}

/// What becomes of one document.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<&'a str>,
    verdict: &'static str,
    step: Option<&'a str>,
    reason: Option<&'a str>,
    doc: Option<&'a Document>,
}

pub(crate) fn run(mut args: Args) -> Outcome {
    let is_yaml = |path: &String| path.ends_with(".yaml") || path.ends_with(".yml");
    if args.step.is_empty()
        && args.recipe.is_none()
        && args.dclm.dclm.is_none()
        && args.docs.first().is_some_and(is_yaml)
    {
        args.recipe = Some(PathBuf::from(args.docs.remove(0)));
    }
    let (specs, seed) = steps(&args)?;
    let stores = stores();
    let wanted: Vec<_> = specs.iter().flat_map(|spec| spec.parsed.resources()).collect();
    let runtime = runtime()?;
    let (_, resources) =
        runtime.block_on(args.models.resolver(&stores).resolve(&wanted)).map_err(Failure::request)?;
    let programs = Some(Arc::new(Processes::new(std::env::temp_dir())) as Arc<dyn Programs>);
    let mut chain =
        Chain::with_programs(&specs, Arc::new(resources), seed, programs).map_err(Failure::request)?;
    let patterns: Vec<Pattern> = args.docs.iter().map(|text| text.as_str().into()).collect();
    let listing = runtime.block_on(Lister::new(&stores).list(&patterns)).map_err(Failure::request)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for input in listing.inputs().map_err(Failure::job)? {
        let input = input.map_err(Failure::job)?;
        let source = PathSource::open(&input.uri).map_err(Failure::request)?;
        let what = Open::whole(&input.name, input.format);
        let mut records = open(Arc::new(source), &what).map_err(Failure::request)?;
        while let Some(item) = records.next().map_err(Failure::job)? {
            write_line(&mut out, reading::read(item, &input.name), &mut chain)?;
        }
    }
    out.flush().map_err(Failure::job)
}

fn write_line(out: &mut impl Write, reading: Reading, chain: &mut Chain) -> Outcome {
    let line = match &reading {
        Reading::Skipped(_) => return Ok(()),
        Reading::Broken { reason, .. } => {
            Line { id: None, verdict: "broken", step: None, reason: Some(reason), doc: None }
        }
        Reading::Document(_) => Line { id: None, verdict: "keep", step: None, reason: None, doc: None },
    };
    let Reading::Document(doc) = reading else { return emit(out, &line).map_err(Failure::job) };
    for Ended { doc, verdict, step, .. } in chain.apply(*doc, &mut Tally::default()).map_err(Failure::job)? {
        let (verdict, reason) = match &verdict {
            Verdict::Keep => ("keep", None),
            Verdict::Drop(reason) => ("drop", Some(reason.as_ref())),
            Verdict::Broken(reason) => ("broken", Some(reason.as_ref())),
        };
        let line = Line { id: Some(&doc.id), verdict, step, reason, doc: Some(&doc) };
        emit(out, &line).map_err(Failure::job)?;
    }
    Ok(())
}

fn emit(out: &mut impl Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// The per-document steps that were asked for, and the seed.
fn steps(args: &Args) -> Result<(Vec<Arc<StepSpec>>, u64), Failure> {
    if args.step.is_empty() {
        let recipe = Written::read(args.recipe.as_deref(), &args.dclm)?.parse(&args.set)?;
        let (barriers, maps): (Vec<_>, Vec<_>) = recipe.steps.into_iter().partition(|s| s.is_barrier());
        for spec in barriers {
            eprintln!("step {} ({}) needs the whole corpus and is passed over", spec.index, spec.def.name);
        }
        return Ok((maps, recipe.head.seed));
    }
    let mut list = Vec::new();
    for step in &args.step {
        list.push(tree::parse(step).map_err(|e| Failure::Request(anyhow!("--step {step}: {}", e.message)))?);
    }
    let list = tree::Tree { line: 0, node: tree::Node::List(list) };
    let mut complaints = Vec::new();
    let specs = recipe::parse_steps(&list, &mut complaints);
    if let Some(complaint) = complaints.first() {
        return Err(Failure::Request(anyhow!("{}: {}", complaint.path, complaint.message)));
    }
    if let Some(barrier) = specs.iter().find(|s| s.is_barrier()) {
        let name = barrier.def.name;
        return Err(Failure::Request(anyhow!("{name} needs the whole corpus; `gristmill run` runs it")));
    }
    Ok((specs, args.seed))
}
