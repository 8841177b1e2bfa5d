//! `gristmill extract PATHS…`: pages to text, one JSON line a page.

use crate::failure::{Failure, Outcome};
use crate::request::{runtime, stores};
use gristmill_pipeline::recipe::{Complaint, parse_steps, tree};
use gristmill_pipeline::step::Alternative;
use gristmill_pipeline::{Chain, Ended, Resources, Tally, Verdict};
use gristmill_storage::{Lister, Open, PathSource, Pattern, open};
use gristmill_worker::reading::{self, Reading};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

mod options;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// HTML files (.html, .html.gz), folders of such, or WARCs
    #[arg(required = true)]
    paths: Vec<String>,
    /// The extractor: main, resiliparse, justext, or union for the first of these that finds text
    #[arg(long, default_value = "main")]
    extractor: String,
    /// How main writes the text: plain or markdown
    #[arg(long)]
    format: Option<String>,
    /// Any other parameter of the step `extract_text`, e.g. links=true (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    options: options::Options,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    url: Option<&'a str>,
    /// Whose text it is, where several were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    extractor: Option<&'a str>,
    text: &'a str,
}

pub(crate) fn run(args: Args) -> Outcome {
    // The step of recipes and this command are one code path.
    let format = args.format.map_or_else(String::new, |format| format!(", format: {format}"));
    let step = format!("extract_text: {{extractor: {}{format}, keep_empty: true}}", args.extractor);
    let mut list = tree::parse(&format!("steps:\n- {step}"))
        .map_err(|e| Failure::Request(anyhow::anyhow!(e.message)))?;
    for set in args.options.overrides().iter().chain(&args.set) {
        gristmill_pipeline::recipe::set(&mut list, &format!("steps.extract_text.{set}"))
            .map_err(Failure::request)?;
    }
    let tree::Node::Map(map) = &list.node else { return Err(Failure::Job(anyhow::anyhow!("no steps"))) };
    let mut complaints: Vec<Complaint> = Vec::new();
    let specs = map.get("steps").map_or_else(Vec::new, |steps| parse_steps(steps, &mut complaints));
    if let Some(complaint) = complaints.first() {
        return Err(Failure::Request(anyhow::anyhow!("{}", complaint.message)));
    }
    let union = args.extractor == "union";
    let mut chain = Chain::new(&specs, Arc::new(Resources::default()), 0).map_err(Failure::request)?;
    let patterns: Vec<Pattern> = args.paths.iter().map(|path| pattern(path)).collect();
    let listing = runtime()?.block_on(Lister::new(&stores()).list(&patterns)).map_err(Failure::request)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for input in listing.inputs().map_err(Failure::job)? {
        let input = input.map_err(Failure::job)?;
        let source = PathSource::open(&input.uri).map_err(Failure::request)?;
        let mut records =
            open(Arc::new(source), &Open::whole(&input.name, input.format)).map_err(Failure::request)?;
        while let Some(item) = records.next().map_err(Failure::job)? {
            let at = item.at();
            let doc = match reading::read(item, &input.name) {
                Reading::Document(doc) => doc,
                Reading::Skipped(_) => continue,
                Reading::Broken { reason, detail } => {
                    eprintln!("gristmill: {} at {at}: {reason}: {detail}", input.uri);
                    *others.entry(reason).or_default() += 1;
                    continue;
                }
            };
            for Ended { doc, verdict, .. } in
                chain.apply(*doc, &mut Tally::default()).map_err(Failure::job)?
            {
                match verdict {
                    Verdict::Keep => {
                        let url = doc.fields.str("url");
                        let text =
                            doc.text.as_ref().map(gristmill_pipeline::Text::as_str).unwrap_or_default();
                        let extractor = if union { doc.fields.str(Alternative::FIELD) } else { None };
                        let line =
                            Line { id: &doc.id, url: url.as_deref(), extractor: extractor.as_deref(), text };
                        emit(&mut out, &line).map_err(Failure::job)?;
                    }
                    Verdict::Drop(reason) => *others.entry(reason.into_owned()).or_default() += 1,
                    Verdict::Broken(reason) => {
                        eprintln!("gristmill: {} at {at}: {reason}", input.uri);
                        *others.entry(reason.into_owned()).or_default() += 1;
                    }
                }
            }
        }
    }
    out.flush().map_err(Failure::job)?;
    for (reason, n) in others {
        eprintln!("{n} without text: {reason}");
    }
    Ok(())
}

fn emit(out: &mut impl Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// A file as it is; of a folder its pages.
fn pattern(path: &str) -> Pattern {
    if Path::new(path).is_dir() { pages_below(path).as_str().into() } else { path.into() }
}

/// The pattern of all pages in a folder, whose own name is meant as it stands.
fn pages_below(folder: &str) -> String {
    let mut pattern = String::new();
    for char in folder.trim_end_matches('/').chars() {
        if "*?{}[]\\".contains(char) {
            pattern.extend(['[', char, ']']);
        } else {
            pattern.push(char);
        }
    }
    pattern + "/**/*.{html,html.gz}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_have_any_name() {
        assert_eq!(pages_below("pages/"), "pages/**/*.{html,html.gz}");
        assert_eq!(pages_below("a [b]/{c}"), "a [[]b[]]/[{]c[}]/**/*.{html,html.gz}");
    }
}
