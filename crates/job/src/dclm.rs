//! DCLM's layout of a dataset: for each input file a file of documents and one of statistics.
//!
//! Names and keys are those of mlfoundations/dclm, `baselines/core/processor.py` and `ray_processing/process.py`. Their lines hold
//! times, too; here they do not, since the same job writes the same bytes.

use crate::plan::PlanError;
use gristmill_pipeline::Tally;
use gristmill_pipeline::recipe::{OutputFormat, StepSpec};
use gristmill_pipeline::step::Kind;
use gristmill_storage::Input;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What a file of documents and one of statistics are called after: the input's name up to `.jsonl`.
#[must_use]
pub fn shard_name(input: &str) -> String {
    // The output of such a job may be the input of the next.
    let name = input.replace("_processed.jsonl", ".jsonl");
    let name = name.split(".jsonl").next().unwrap_or_default();
    let parts: Vec<&str> =
        name.split('/').filter(|part| !matches!(*part, "" | "." | "..") && !part.ends_with(':')).collect();
    parts.join("/")
}

/// Where the documents of a shard go.
#[must_use]
pub fn data_path(shard: &str, format: OutputFormat) -> String {
    let extension = match format {
        OutputFormat::JsonlZst => "jsonl.zst",
        OutputFormat::JsonlGz => "jsonl.gz",
        OutputFormat::Jsonl | OutputFormat::Parquet => "jsonl",
    };
    format!("processed_data/{shard}_processed.{extension}")
}

/// Where the statistics of a shard go.
#[must_use]
pub fn stats_path(shard: &str) -> String {
    format!("stats/{shard}_stats.jsonl")
}

/// The lines of a shard's statistics: one for each step that a document met.
#[must_use]
pub fn shard_stats(
    input: &Input,
    shard: &str,
    format: OutputFormat,
    steps: &[Arc<StepSpec>],
    tally: &Tally,
) -> Vec<Value> {
    let mut lines = vec![json!({
        "name": "process_setup",
        "jsonl_path": input.name,
        "output_path": data_path(shard, format),
        "stats_output_path": stats_path(shard),
    })];
    for spec in steps.iter().filter(|spec| spec.def.kind != Kind::Observe) {
        let Some(passage) = tally.steps.get(&spec.index) else { continue };
        if spec.is_barrier() {
            lines.push(json!({"name": spec.def.name, "pages_in": passage.seen, "pages_out": passage.out}));
            continue;
        }
        let kept = passage.out - passage.split - passage.made;
        lines.push(json!({
            "name": spec.def.name,
            "pages_in": passage.seen,
            "pages_out": passage.out,
            "errors": passage.broken,
            "removed": passage.seen - passage.broken - passage.split - kept,
            "kept": kept,
            "split": passage.split,
        }));
    }
    lines.push(json!({"name": "process_finished", "pages_in": tally.seen, "pages_out": tally.kept}));
    lines
}

/// The names that a plan gives away, since two inputs must not have one. Of each only a hash is remembered.
#[derive(Default)]
pub(crate) struct DclmNames(HashSet<u64>);

impl DclmNames {
    pub(crate) fn add(&mut self, input: &Input) -> Result<(), PlanError> {
        let name = shard_name(&input.name);
        if self.0.insert(xxh3_64(name.as_bytes())) {
            return Ok(());
        }
        Err(PlanError::SameName { input: input.uri.clone(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_as_in_dclm() {
        for (input, shard) in [
            ("a/b.jsonl.zst", "a/b"),
            ("b.jsonl", "b"),
            ("a/b_processed.jsonl.gz", "a/b"),
            ("c.warc.gz", "c.warc.gz"),
            ("s3://bucket/../x.jsonl", "bucket/x"),
        ] {
            assert_eq!(shard_name(input), shard);
        }
        assert_eq!(data_path("a/b", OutputFormat::JsonlZst), "processed_data/a/b_processed.jsonl.zst");
    }

    #[test]
    fn every_step_has_its_line() {
        use gristmill_pipeline::Verdict;
        use gristmill_pipeline::recipe::{parse_steps, tree};
        let steps = "[move_url_modifier, {aggregate: {key: n, type: percentiles}}, {external: {command: [a]}}, exact_dedup, newline_removal_modifier]";
        let steps = parse_steps(&tree::parse(steps).expect("YAML"), &mut Vec::new());
        let mut tally = Tally::default();
        for _ in 0..6 {
            tally.passed(0, 1);
        }
        tally.stopped(2, &Verdict::broken("x"));
        tally.stopped(2, &Verdict::dropped("x"));
        for out in [1, 1, 3, 4] {
            tally.passed(2, out);
        }
        tally.passed(3, 1);
        tally.stopped(3, &Verdict::dropped("x"));
        let input = Input {
            uri: String::new(),
            name: "a.jsonl".to_owned(),
            size: 0,
            tag: String::new(),
            format: gristmill_storage::Format::Jsonl,
            compression: gristmill_storage::Compression::None,
        };
        let lines = shard_stats(&input, "a", OutputFormat::Jsonl, &steps, &tally);
        let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().expect("a name")).collect();
        assert_eq!(
            names,
            ["process_setup", "move_url_modifier", "external", "exact_dedup", "process_finished"]
        );
        assert_eq!(
            lines[2],
            json!({"name": "external", "pages_in": 6, "pages_out": 9, "errors": 1, "removed": 1, "kept": 2, "split": 2})
        );
        assert_eq!(lines[3], json!({"name": "exact_dedup", "pages_in": 2, "pages_out": 1}));
    }
}
