//! Planning: recipe and listing in, stages and tasks out. A pure function: the same in, the same out, whatever
//! machine plans and however many workers there will be.

use gristmill_pipeline::recipe::{Recipe, StepSpec};
use gristmill_pipeline::stage::{self, Stage};
use gristmill_storage::{Input, splittable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The program's version, part of every plan: another version may write other bytes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bounds of a task's size that is not given: tasks of a small input are small, so that all lanes have work, and
/// those of a large one large, so that there are few to keep account of.
const TASK_SIZE_MIN: u64 = 8 << 20;
const TASK_SIZE_MAX: u64 = 128 << 20;
/// Tasks that a small input is cut into.
const TASKS_WANTED: u64 = 64;
/// Files that one task may group, so that a page of inputs stays small.
const FILES_PER_TASK_MAX: usize = 100;
/// Stored input that one bucket of a global dedup stands for.
const INPUT_PER_BUCKET: u64 = 64 << 20;
const BUCKETS_MAX: u64 = 1024;

/// Part of an input file: the records whose first byte lies in `start..end` of the stored file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    #[serde(flatten)]
    pub file: Input,
    pub start: u64,
    pub end: u64,
}

impl Slice {
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.start == 0 && self.end >= self.file.size
    }
}

/// What a job does: written once, before anything runs, and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the program that planned.
    pub version: String,
    pub job: String,
    /// The recipe with all overrides applied.
    pub recipe: Value,
    /// Name in the recipe → what was found for it. Workers refuse anything else.
    pub resources: BTreeMap<String, PlannedResource>,
    pub input_files: u64,
    pub input_bytes: u64,
    pub stages: Vec<PlannedStage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedResource {
    /// Of the names that would do, the one that was found.
    pub candidate: String,
    pub sha256: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    #[serde(flatten)]
    pub stage: Stage,
    pub tasks: u64,
}

/// Plans a job. `files` are the listed input in a stable order.
///
/// Gives the plan and, for each task of the first stage, its part of the input.
#[must_use]
pub fn plan(
    recipe: &Recipe,
    files: &[Input],
    resources: BTreeMap<String, PlannedResource>,
) -> (Plan, Vec<Vec<Slice>>) {
    let input_bytes: u64 = files.iter().map(|f| f.size).sum();
    let size = recipe
        .head
        .tasks
        .size
        .map_or_else(|| (input_bytes / TASKS_WANTED).clamp(TASK_SIZE_MIN, TASK_SIZE_MAX), |size| size.0);
    let tasks = cut_input(files, size);
    let buckets = recipe.head.tasks.buckets.map_or_else(
        || input_bytes.div_ceil(INPUT_PER_BUCKET).next_power_of_two().min(BUCKETS_MAX),
        u64::from,
    );
    let stages = stage::cut(&recipe.steps)
        .into_iter()
        .map(|stage| {
            let tasks = match stage {
                Stage::Map(_) => tasks.len() as u64,
                Stage::Bucket { .. } => buckets,
                Stage::Components { .. } => 1,
            };
            PlannedStage { stage, tasks }
        })
        .collect();
    let canonical = without_output_path(&recipe.canonical);
    let plan = Plan {
        version: VERSION.to_owned(),
        job: job_id(recipe, &canonical, files, &resources),
        recipe: recipe.canonical.clone(),
        resources,
        input_files: files.len() as u64,
        input_bytes,
        stages,
    };
    (plan, tasks)
}

/// Cuts the input into tasks of about `size` stored bytes: large files are split where their format allows it,
/// small ones grouped, order kept.
fn cut_input(files: &[Input], size: u64) -> Vec<Vec<Slice>> {
    let size = size.max(1);
    let mut tasks = Vec::new();
    let mut group: Vec<Slice> = Vec::new();
    let mut group_bytes = 0;
    for file in files {
        let parts =
            if splittable(file.format, file.compression) { file.size.div_ceil(size).max(1) } else { 1 };
        if parts == 1 {
            if !group.is_empty() && (group_bytes + file.size > size || group.len() == FILES_PER_TASK_MAX) {
                tasks.push(std::mem::take(&mut group));
                group_bytes = 0;
            }
            group_bytes += file.size;
            group.push(Slice { file: file.clone(), start: 0, end: file.size });
            continue;
        }
        if !group.is_empty() {
            tasks.push(std::mem::take(&mut group));
            group_bytes = 0;
        }
        let cut = |i: u64| {
            u64::try_from(u128::from(file.size) * u128::from(i) / u128::from(parts)).unwrap_or(file.size)
        };
        for i in 0..parts {
            tasks.push(vec![Slice { file: file.clone(), start: cut(i), end: cut(i + 1) }]);
        }
    }
    if !group.is_empty() {
        tasks.push(group);
    }
    tasks
}

/// Name and digest: the same recipe over the same input with the same models is the same job, so that handing it
/// in twice is handing it in once. Where the output lies does not matter.
fn job_id(
    recipe: &Recipe,
    canonical: &Value,
    files: &[Input],
    resources: &BTreeMap<String, PlannedResource>,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(VERSION.as_bytes());
    part(canonical.to_string().as_bytes());
    for (name, resource) in resources {
        part(name.as_bytes());
        part(resource.sha256.as_bytes());
    }
    for file in files {
        part(file.uri.as_bytes());
        part(file.tag.as_bytes());
        part(&file.size.to_le_bytes());
    }
    let mut slug: String = recipe
        .head
        .name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    slug.truncate(slug.trim_end_matches('-').len());
    let digest = hex::encode(hash.finalize());
    format!("{}-{}", if slug.is_empty() { "job" } else { &slug }, digest.get(..12).unwrap_or_default())
}

/// The recipe as the manifest keeps it: where the output lies is known to whoever reads it there.
#[must_use]
pub fn without_output_path(canonical: &Value) -> Value {
    let mut canonical = canonical.clone();
    if let Some(output) = canonical.get_mut("output").and_then(Value::as_object_mut) {
        output.remove("path");
        if output.is_empty()
            && let Some(top) = canonical.as_object_mut()
        {
            top.remove("output");
        }
    }
    canonical
}

impl Plan {
    /// The stage before `stage` that wrote the documents which `stage` reads; none for the first.
    #[must_use]
    pub fn documents_from(&self, stage: usize) -> Option<usize> {
        (0..stage).rev().find(|s| matches!(self.stages.get(*s).map(|p| &p.stage), Some(Stage::Map(_))))
    }

    /// What stage `stage` is, in a few words.
    #[must_use]
    pub fn title(&self, stage: usize, steps: &[Arc<StepSpec>]) -> String {
        self.stages.get(stage).map_or_else(String::new, |s| s.stage.title(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::{Compression, Format};
    use proptest::prelude::*;

    fn file(name: &str, size: u64, splittable: bool) -> Input {
        let format = if splittable { Format::Jsonl } else { Format::Html };
        let (uri, name) = (format!("/in/{name}"), name.to_owned());
        Input { uri, name, size, tag: String::new(), format, compression: Compression::None }
    }

    #[test]
    fn large_files_are_split_and_small_ones_grouped() {
        let files = [
            file("a", 10, true),
            file("b", 60, true),
            file("c", 50, true),
            file("d", 250, true),
            file("e", 250, false),
        ];
        let tasks = cut_input(&files, 100);
        let shape: Vec<Vec<(&str, u64, u64)>> = tasks
            .iter()
            .map(|t| t.iter().map(|s| (s.file.name.as_str(), s.start, s.end)).collect())
            .collect();
        assert_eq!(
            shape,
            [
                vec![("a", 0, 10), ("b", 0, 60)],
                vec![("c", 0, 50)],
                vec![("d", 0, 83)],
                vec![("d", 83, 166)],
                vec![("d", 166, 250)],
                vec![("e", 0, 250)],
            ]
        );
    }

    #[test]
    fn the_output_path_is_no_part_of_the_job() {
        let id = |yaml: &str| {
            let recipe = Recipe::parse(yaml, &[]).expect("recipe");
            plan(&recipe, &[file("a", 1, true)], BTreeMap::new()).0.job
        };
        let base = id("name: My Data!\nsteps: []\n");
        assert!(base.starts_with("my-data-"), "{base}");
        assert_eq!(base, id("name: My Data!\nsteps: []\noutput: {path: /x}\n"));
        assert_ne!(base, id("name: My Data!\nsteps: []\nseed: 1\n"));
    }

    proptest! {
        #[test]
        fn every_byte_of_the_input_is_in_one_task(
            sizes in prop::collection::vec((0u64..1000, any::<bool>()), 0..50),
            size in 1u64..500,
        ) {
            let files: Vec<_> =
                sizes.iter().enumerate().map(|(i, (size, s))| file(&i.to_string(), *size, *s)).collect();
            let tasks = cut_input(&files, size);
            prop_assert!(tasks.iter().all(|t| !t.is_empty()));
            let slices: Vec<_> = tasks.into_iter().flatten().collect();
            let mut rest = slices.iter().peekable();
            for file in &files {
                let mut at = 0;
                while let Some(slice) = rest.next_if(|s| s.file.name == file.name) {
                    prop_assert_eq!(slice.start, at);
                    at = slice.end;
                }
                prop_assert_eq!(at, file.size);
            }
            prop_assert!(rest.next().is_none());
        }
    }
}
