//! What a task leaves behind, and what a dataset says of itself.

use gristmill_pipeline::Tally;
use gristmill_pipeline::recipe::Layout;
use gristmill_pipeline::steps::aggregate::Params;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The record of a task that is done. Its creation is the commit: whoever creates it first has done the task, and
/// only the files it lists are part of the job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    pub stage: usize,
    pub task: u64,
    /// The attempt that won.
    pub attempt: String,
    /// What became of the documents; empty for tasks that saw none.
    #[serde(default)]
    pub tally: Tally,
    /// Files by what they are for; below the job's prefix.
    #[serde(default)]
    pub files: BTreeMap<FileRole, Vec<FileEntry>>,
    /// Stored bytes of the documents or records that the task read; zero for tasks that read none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_bytes: u64,
    /// The first documents and records that were broken, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What steps observed over the whole corpus, of the task that summed it up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<Aggregate>,
    /// What a dedup of near duplicates came to, of the task that joined them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Box<Joined>>,
    /// Where a selection's shares end, of the task that found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<Box<Selected>>,
    /// N-grams of the documents of each group, of a task that signed for a dedup by filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ngrams: Vec<u64>,
    /// What a filter came to, of the task that filled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filtered: Option<Box<Filtered>>,
}

/// Where the shares of a selection end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    /// The step's place in the recipe, from 0.
    pub step: usize,
    /// Groups of documents, of each score.
    pub groups: u64,
    /// The largest of them, for people.
    pub largest: Vec<SelectedGroup>,
}

/// A group of documents that are ranked by a score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelectedGroup {
    /// The field with the score.
    pub key: String,
    /// The domain, the language, …: where all documents are of one group, it has no name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Those that have the score.
    pub documents: u64,
    /// What they weigh: as much as there are, unless the recipe counts something else.
    pub weight: u64,
    pub shares: Vec<SelectedShare>,
}

/// A share of a group, counted from the best score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectedShare {
    pub share: String,
    /// The score at which it ends. Better ones are within.
    pub threshold: f64,
    /// Documents within.
    pub documents: u64,
    /// Documents that have the very score at which it ends,
    pub tied: u64,
    /// and those of them that are within.
    pub tied_within: u64,
}

impl TaskRecord {
    /// Stored bytes of all files that the task left.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.files.values().flatten().map(|file| file.bytes).sum()
    }
}

/// What the Bloom filters of a dedup came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    /// The step's place in the recipe, from 0.
    pub step: usize,
    /// Filters that these are the sums of.
    pub filters: u64,
    /// N-grams looked for.
    pub ngrams: u64,
    /// Those that were there.
    pub contained: u64,
    /// Memory of the largest filter.
    pub filter_bytes: u64,
}

impl Filtered {
    /// Takes in what another filter of the same dedup came to.
    pub fn add(&mut self, other: &Self) {
        self.filters += other.filters;
        self.ngrams += other.ngrams;
        self.contained += other.contained;
        self.filter_bytes = self.filter_bytes.max(other.filter_bytes);
    }
}

/// What near duplicates came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The step's place in the recipe, from 0.
    pub step: usize,
    /// Components of which one document stays.
    pub components: u64,
    /// The others of those.
    pub duplicates: u64,
    /// Documents of the largest component, held back or not.
    pub largest: u64,
    /// Components larger than `max_component`, all of whose documents stay.
    pub held_components: u64,
    /// Documents of those.
    pub held_documents: u64,
    /// The largest of those, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components_held: Vec<HeldComponent>,
    /// Sources of which too great a share would have gone.
    pub held_sources: u64,
    /// Those that lost most, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<HeldSource>,
    /// Of the duplicates, those of components with a document of the index.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of_index: u64,
    /// Documents of the index that stay though this job joined them with another one that was there first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bridged: u64,
}

/// Documents that were taken out of a dataset because somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takedown {
    /// Of the list's entries.
    pub list_sha256: String,
    pub documents: u64,
    /// Data files that were written anew.
    pub files: u64,
}

/// How a dedup used an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// The step's place in the recipe, from 0.
    pub step: usize,
    pub at: String,
    /// The generation that it was run against.
    pub read: u64,
    /// Documents of that.
    pub documents: u64,
    /// The generation that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote: Option<u64>,
    /// Documents that it added.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added: u64,
}

/// A component that keeps all its documents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldComponent {
    pub documents: u64,
    /// The record id of the document that would have stayed.
    pub survivor: String,
}

/// A source that keeps all its documents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldSource {
    /// Documents that would have gone.
    pub duplicates: u64,
    pub documents: u64,
    pub source: String,
}

/// A field of all documents that came to an `aggregate` step, summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// The step's place in the recipe, from 0.
    pub step: usize,
    #[serde(flatten)]
    pub of: Params,
    /// Documents that had a value.
    pub values: u64,
    /// Of numbers: `min` … `max` and `mean`, or `edges` and `counts` of ten ranges; of texts: `texts` with their counts.
    pub result: Map<String, Value>,
}

/// What a file of a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// Part of the dataset.
    Data,
    /// Values that `aggregate` steps observed, sorted: for each such step of the pass its numbers, then its texts.
    Observed,
    /// Documents on their way to the next pass.
    Documents,
    /// The sources of those documents, in order, where sources are guarded.
    Sources,
    /// Ranks of those documents, in order: of those that are joined the lowest stays.
    Ranks,
    /// Who those documents are, in order, where an index keeps them.
    Ids,
    /// Keys for a global dedup, sorted.
    Keys,
    /// What those documents consist of, to compare those that share a key.
    Sets,
    /// Documents that share a key, each with the one of them where it is compared with the others.
    Pairs,
    /// The same the other way round, each with what the document consists of.
    Attached,
    /// Pairs of documents to be joined, or documents to drop.
    Edges,
    /// Documents, each with the greatest similarity that it was found to have.
    Similarities,
    /// Documents to drop, shard by shard.
    Drops,
    /// Which documents a dedup joined: part of the dataset.
    Clusters,
    /// The scores of a range, in order.
    Ranked,
    /// How many documents of each group are in it.
    Counts,
    /// Where shares end, by group.
    Bounds,
    /// The n-grams of those documents, group by group.
    Grams,
    /// What a filter says of the documents of its group, shard by shard.
    Found,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub rows: u64,
    /// As stored.
    pub bytes: u64,
    pub sha256: String,
}

/// A document or record that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The input file.
    pub source: String,
    /// Where in it, as stored.
    pub offset: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Problems that one task keeps for people; all of them are counted.
pub const PROBLEMS_PER_TASK: usize = 100;

/// What a stage came to, once all its tasks are done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    pub stage: usize,
    pub title: String,
    pub tasks: u64,
    pub tally: Tally,
    /// Stored bytes of the documents or records that its tasks read, and of the files that they left.
    #[serde(default)]
    pub read_bytes: u64,
    #[serde(default)]
    pub written_bytes: u64,
}

/// `manifest.json`: what a dataset consists of and what became of every document. Readers believe nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    /// The version of the program.
    pub version: String,
    pub recipe: Value,
    /// Name in the recipe → sha256.
    #[serde(default)]
    pub resources: BTreeMap<String, String>,
    pub documents: Documents,
    /// The recipe's steps with the documents that met and passed each.
    pub steps: Vec<StepPassage>,
    pub stages: Vec<StageRecord>,
    /// What `aggregate` steps summed up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<Aggregate>,
    /// What dedups of near duplicates joined, and what they held back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Joined>,
    /// The indexes that dedups were run against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Indexed>,
    /// What was taken out of the dataset since, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takedowns: Vec<Takedown>,
    /// Where the shares of selections by rank end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected: Vec<Selected>,
    /// What dedups by Bloom filters came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filtered: Vec<Filtered>,
    /// The data files, while they are few.
    pub files: Vec<FileEntry>,
    /// The files that list the data files, one [`FileEntry`] a line, when they are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_lists: Vec<FileEntry>,
    /// The files that say which documents were joined, and their lists where they are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<FileEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_lists: Vec<FileEntry>,
}

impl Manifest {
    /// How the data files are cut and named.
    #[must_use]
    pub fn layout(&self) -> Layout {
        layout_of(&self.recipe)
    }
}

/// The layout that a recipe asks for.
pub(crate) fn layout_of(recipe: &Value) -> Layout {
    let layout = recipe.pointer("/output/layout").cloned();
    layout.and_then(|layout| serde_json::from_value(layout).ok()).unwrap_or_default()
}

/// in + made = kept + dropped + broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documents {
    #[serde(rename = "in")]
    pub seen: u64,
    pub kept: u64,
    /// Documents that steps made of others, beyond those they made them of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made: u64,
    pub dropped: BTreeMap<String, u64>,
    pub broken: BTreeMap<String, u64>,
    /// Records that are no documents.
    #[serde(default)]
    pub skipped_records: BTreeMap<String, u64>,
    /// Where several extractors were tried: pages that survived the pass by the text of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extracted_by: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPassage {
    pub step: String,
    #[serde(rename = "in")]
    pub seen: u64,
    pub out: u64,
    /// Units (lines, members of a list) that a dedup took out of documents that came out of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub units_taken: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl From<Tally> for Documents {
    fn from(tally: Tally) -> Self {
        Self {
            seen: tally.seen,
            kept: tally.kept,
            made: tally.made,
            dropped: tally.dropped,
            broken: tally.broken,
            skipped_records: tally.skipped,
            extracted_by: tally.extracted_by,
        }
    }
}
