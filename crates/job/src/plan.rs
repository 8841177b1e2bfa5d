//! Planning: recipe and listing in, stages and tasks out. A pure function: the same in, the same out, whatever
//! machine plans and however many workers there will be.

use crate::dclm::DclmNames;
use crate::record::layout_of;
use gristmill_pipeline::recipe::{Layout, Recipe, StepSpec};
use gristmill_pipeline::stage::{self, Stage};
use gristmill_storage::{Input, InputError, Listing, splittable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
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
    /// Place of a dedup in the recipe → the index that it is run against.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub indexes: BTreeMap<usize, PlannedIndex>,
    /// Place of a dedup in the recipe → the filters of an earlier job that it begins with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<usize, PlannedFilters>,
    pub input_files: u64,
    pub input_bytes: u64,
    /// Of the listing: another file, or another version of one, gives another.
    pub input_sha256: String,
    /// Where the parts of the input lie, below the job. Named after the listing: planners that saw different ones do not
    /// write over each other, and whose plan is created first has its parts read.
    pub inputs: String,
    /// About how much stored input one task reads.
    pub task_bytes: u64,
    pub stages: Vec<PlannedStage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedResource {
    /// Of the names that would do, the one that was found.
    pub candidate: String,
    pub sha256: String,
    pub bytes: u64,
}

/// An index, pinned to what it was when the job was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedIndex {
    pub at: String,
    /// 0: none was there yet.
    pub generation: u64,
    /// Of the generation's manifest. Workers refuse any other.
    pub sha256: String,
    pub segments: u32,
    pub documents: u64,
    /// Whether the job writes the next generation.
    pub extend: bool,
}

/// Filters as they were when the job was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFilters {
    pub at: String,
    /// Of each group's filter the SHA-256 of its head, which has a checksum of its bits. Workers refuse any other.
    pub heads: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    #[serde(flatten)]
    pub stage: Stage,
    pub tasks: u64,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(
        "layout: dclm names output files after input files, and {input} is the second that would become {name}; rename it, or give it to a job of its own"
    )]
    SameName { input: String, name: String },
}

/// Plans the job `job` (its id: [`job_id`]): what is listed, cut into tasks, and the stages of the recipe.
pub fn plan(
    job: &str,
    recipe: &Recipe,
    listing: &Listing,
    resources: BTreeMap<String, PlannedResource>,
    indexes: BTreeMap<usize, PlannedIndex>,
    filters: BTreeMap<usize, PlannedFilters>,
) -> Result<Plan, PlanError> {
    let input_bytes = listing.bytes();
    let task_bytes = recipe
        .head
        .tasks
        .size
        .map_or_else(|| (input_bytes / TASKS_WANTED).clamp(TASK_SIZE_MIN, TASK_SIZE_MAX), |size| size.0)
        .max(1);
    let layout = recipe.head.output.layout;
    let mut map_tasks = 0;
    let mut names = DclmNames::default();
    for task in cut_input(listing.inputs()?, Cutting::of(layout, task_bytes)) {
        let task = task?;
        map_tasks += 1;
        if let (Layout::Dclm, Some(slice)) = (layout, task.first()) {
            names.add(&slice.file)?;
        }
    }
    let buckets = recipe.head.tasks.buckets.map_or_else(
        || input_bytes.div_ceil(INPUT_PER_BUCKET).next_power_of_two().min(BUCKETS_MAX),
        u64::from,
    );
    let stages = stage::cut(&recipe.steps)
        .into_iter()
        .map(|stage| {
            let tasks = match stage {
                Stage::Map(_) | Stage::Windows { .. } => map_tasks,
                Stage::Bucket { .. }
                | Stage::Ranks { .. }
                | Stage::Anchors { .. }
                | Stage::Repeats { .. } => buckets,
                // Their ranges are runs of shards: the segments of an index, and the tasks of a pass.
                Stage::Attach { barrier } | Stage::Compare { barrier } => {
                    let known = indexes.get(&barrier).map_or(0, |index| u64::from(index.segments));
                    buckets.min((known + map_tasks).max(1).next_power_of_two())
                }
                Stage::Aggregate | Stage::Components { .. } | Stage::Bounds { .. } | Stage::List { .. } => 1,
                Stage::Filter { groups, .. } => u64::from(groups),
            };
            PlannedStage { stage, tasks }
        })
        .collect();
    let input_sha256 = listing.sha256().to_owned();
    Ok(Plan {
        version: VERSION.to_owned(),
        job: job.to_owned(),
        recipe: recipe.canonical.clone(),
        resources,
        indexes,
        filters,
        input_files: listing.files(),
        input_bytes,
        inputs: format!("inputs/{}", input_sha256.get(..16).unwrap_or_default()),
        input_sha256,
        task_bytes,
        stages,
    })
}

/// How input becomes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutting {
    /// Tasks of about so many stored bytes: large files are split where their format allows it, small ones grouped.
    Bytes(u64),
    /// A task for each file.
    Files,
}

impl Cutting {
    pub(crate) fn of(layout: Layout, task_bytes: u64) -> Self {
        match layout {
            Layout::Parts => Self::Bytes(task_bytes.max(1)),
            Layout::Dclm => Self::Files,
        }
    }

    /// Tasks that a file is split into.
    fn parts(self, file: &Input) -> u64 {
        match self {
            Self::Bytes(size) if splittable(file.format, file.compression) => file.size.div_ceil(size),
            _ => 1,
        }
    }

    /// Whether a task of so many files and bytes has room for another of so many bytes.
    fn has_room(self, files: usize, bytes: u64, more: u64) -> bool {
        match self {
            Self::Bytes(size) => files < FILES_PER_TASK_MAX && bytes.saturating_add(more) <= size,
            Self::Files => files == 0,
        }
    }
}

/// Cuts files into tasks, order kept. One task is in memory at a time.
pub(crate) fn cut_input<E>(
    files: impl Iterator<Item = Result<Input, E>>,
    cutting: Cutting,
) -> impl Iterator<Item = Result<Vec<Slice>, E>> {
    Cut { files, cutting, group: Vec::new(), group_bytes: 0, split: None }
}

struct Cut<I> {
    files: I,
    cutting: Cutting,
    /// Small files, not yet enough for a task.
    group: Vec<Slice>,
    group_bytes: u64,
    /// The large file that is being split.
    split: Option<Split>,
}

struct Split {
    file: Input,
    parts: u64,
    next: u64,
}

impl Iterator for Split {
    type Item = Slice;

    fn next(&mut self) -> Option<Slice> {
        if self.next >= self.parts {
            return None;
        }
        let (size, parts) = (self.file.size, self.parts);
        let cut = |part: u64| {
            u64::try_from(u128::from(size) * u128::from(part) / u128::from(parts)).unwrap_or(size)
        };
        let slice = Slice { file: self.file.clone(), start: cut(self.next), end: cut(self.next + 1) };
        self.next += 1;
        Some(slice)
    }
}

impl<I> Cut<I> {
    fn take_group(&mut self) -> Option<Vec<Slice>> {
        self.group_bytes = 0;
        (!self.group.is_empty()).then(|| std::mem::take(&mut self.group))
    }

    /// Takes a file that is not split; gives the group that it has no room in.
    fn add(&mut self, file: Input) -> Option<Vec<Slice>> {
        let has_room = self.cutting.has_room(self.group.len(), self.group_bytes, file.size);
        let full = if has_room { None } else { self.take_group() };
        self.group_bytes += file.size;
        self.group.push(Slice { start: 0, end: file.size, file });
        full
    }
}

impl<E, I: Iterator<Item = Result<Input, E>>> Iterator for Cut<I> {
    type Item = Result<Vec<Slice>, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(slice) = self.split.as_mut().and_then(Iterator::next) {
                return Some(Ok(vec![slice]));
            }
            let file = match self.files.next() {
                Some(Ok(file)) => file,
                Some(Err(error)) => return Some(Err(error)),
                None => return self.take_group().map(Ok),
            };
            let parts = self.cutting.parts(&file);
            let full = if parts > 1 {
                self.split = Some(Split { file, parts, next: 0 });
                self.take_group()
            } else {
                self.add(file)
            };
            if let Some(full) = full {
                return Some(Ok(full));
            }
        }
    }
}

/// The id of a job: its name and a digest of what is asked for. The same recipe is the same job, so that handing it in
/// twice is handing it in once; `identity` is what else tells jobs apart. Neither input, models nor generations
/// of indexes are part of it, since a job has its id before anybody looked at those, nor is where the output lies.
#[must_use]
pub fn job_id(recipe: &Recipe, identity: &[&str]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(VERSION);
    part(&without_output_path(&recipe.canonical).to_string());
    for text in identity {
        part(text);
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
    /// How the input was cut.
    pub(crate) fn cutting(&self) -> Cutting {
        Cutting::of(self.layout(), self.task_bytes)
    }

    /// How the dataset's files are cut and named.
    #[must_use]
    pub fn layout(&self) -> Layout {
        layout_of(&self.recipe)
    }

    /// The last pass: the stage that writes the dataset.
    #[must_use]
    pub fn last_pass(&self) -> usize {
        self.documents_from(self.stages.len()).unwrap_or_default()
    }

    /// The stage before `stage` that wrote the documents which `stage` reads; none for the first.
    #[must_use]
    pub fn documents_from(&self, stage: usize) -> Option<usize> {
        (0..stage).rev().find(|s| matches!(self.stages.get(*s).map(|p| &p.stage), Some(Stage::Map(_))))
    }

    /// Whether `other`, a later plan for the same job, would give the same dataset; if not, what differs.
    pub fn same_request(&self, other: &Self) -> Result<(), String> {
        for (name, begun) in &self.resources {
            let now = other.resources.get(name).map_or("none", |r| r.sha256.as_str());
            if begun.sha256 != now {
                return Err(format!(
                    "the job began with another {name} (sha256 {}, now {now}); put that back, or begin anew with --overwrite",
                    begun.sha256
                ));
            }
        }
        for (step, begun) in &self.filters {
            if other.filters.get(step) != Some(begun) {
                return Err(format!(
                    "the filters in {} are not what they were when the job began; put those back, or begin anew with --overwrite",
                    begun.at
                ));
            }
        }
        if self.input_sha256 == other.input_sha256 {
            return Ok(());
        }
        let change = match other.input_files.cmp(&self.input_files) {
            Ordering::Greater => format!("{} files more", other.input_files - self.input_files),
            Ordering::Less => format!("{} files fewer", self.input_files - other.input_files),
            Ordering::Equal => "as many files, and some of them changed".to_owned(),
        };
        Err(format!(
            "the input is not what it was when the job began: there were {} files of {} bytes, now there are {} of {} bytes ({change}); put it back, or begin anew with --overwrite",
            self.input_files, self.input_bytes, other.input_files, other.input_bytes
        ))
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

    fn cut(files: &[Input], size: u64) -> Vec<Vec<Slice>> {
        let files = files.iter().cloned().map(Ok::<_, std::convert::Infallible>);
        cut_input(files, Cutting::Bytes(size)).collect::<Result<_, _>>().expect("no errors come in")
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
        let tasks = cut(&files, 100);
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

    fn recipe(yaml: &str) -> Recipe {
        Recipe::parse(yaml, &[]).expect("recipe")
    }

    #[test]
    fn the_id_is_of_what_is_asked_for() {
        let id = |yaml: &str, identity: &[&str]| job_id(&recipe(yaml), identity);
        let base = id("name: My Data!\nsteps: []\n", &[]);
        assert!(base.starts_with("my-data-"), "{base}");
        assert_eq!(base, id("name: My Data!\nsteps: []\noutput: {path: /x}\n", &[]));
        for (yaml, identity) in [
            ("name: My Data!\nsteps: []\nseed: 1\n", &[][..]),
            ("name: My Data!\nsteps: []\n", &["/x", ""]),
            ("name: My Data!\nsteps: []\n", &["", "/x"]),
            ("name: My Data!\nsteps: []\ninput: a.jsonl\n", &[]),
        ] {
            assert_ne!(base, id(yaml, identity), "{yaml} {identity:?}");
        }
    }

    #[test]
    fn plans_tell_what_differs() {
        let kept = |head: &str| {
            let filters = PlannedFilters { at: "kept".into(), heads: vec![head.into()] };
            BTreeMap::from([(0, filters)])
        };
        let planned_with = |files: &[Input], digest: &str, filters: BTreeMap<usize, PlannedFilters>| {
            let model = PlannedResource { candidate: "m.bin".into(), sha256: digest.into(), bytes: 1 };
            let listing = Listing::new(files.to_vec()).expect("fits in memory");
            let models = [("m.bin".to_owned(), model)].into();
            let recipe = recipe("name: x\nsteps: []\n");
            plan("j", &recipe, &listing, models, BTreeMap::new(), filters).expect("plans")
        };
        let planned = |files: &[Input], digest: &str| planned_with(files, digest, kept("h1"));
        let (a, b) = (file("a", 10, true), file("b", 20, true));
        let begun = planned(std::slice::from_ref(&a), "d1");
        assert_eq!(begun.same_request(&begun), Ok(()));
        let touched = Input { tag: "later".into(), ..a.clone() };
        for (now, part) in [
            (planned(&[a.clone(), b.clone()], "d1"), "now there are 2 of 30 bytes (1 files more)"),
            (planned(&[touched], "d1"), "as many files, and some of them changed"),
            (planned(std::slice::from_ref(&a), "d2"), "another m.bin (sha256 d1, now d2)"),
            (
                planned_with(std::slice::from_ref(&a), "d1", kept("h2")),
                "the filters in kept are not what they were",
            ),
        ] {
            let why = begun.same_request(&now).expect_err(part);
            assert!(why.contains(part) && why.contains("--overwrite"), "{why}");
        }
        let fewer = planned(&[a, b], "d1").same_request(&begun).expect_err("differs");
        assert!(fewer.contains("(1 files fewer)"), "{fewer}");
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_the_listing() {
        let files: Vec<Input> = (0..300_u64)
            .map(|n| file(&format!("{:03}", n * 7 % 300), n * n % 97 * 1000, n % 3 > 0))
            .collect();
        let planned = |files: Vec<Input>| {
            let listing = Listing::new(files).expect("fits in memory");
            let recipe = recipe("name: x\nsteps: []\ntasks: {size: 64KiB}\n");
            plan("j", &recipe, &listing, BTreeMap::new(), BTreeMap::new(), BTreeMap::new())
        };
        let mut turned = files.clone();
        turned.reverse();
        let plan = planned(files).expect("plans");
        assert_eq!(plan, planned(turned).expect("plans"));
        assert_eq!(plan.input_files, 300);
        assert_eq!(plan.inputs, format!("inputs/{}", &plan.input_sha256[..16]));
    }

    proptest! {
        #[test]
        fn every_byte_of_the_input_is_in_one_task(
            sizes in prop::collection::vec((0u64..1000, any::<bool>()), 0..50),
            size in 1u64..500,
        ) {
            let files: Vec<_> =
                sizes.iter().enumerate().map(|(i, (size, s))| file(&i.to_string(), *size, *s)).collect();
            let tasks = cut(&files, size);
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
