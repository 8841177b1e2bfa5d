//! Publishing a dataset: data files get their final names, then the manifest is written. Whatever a job leaves beside
//! those begins with `_`.
//!
//! Memory does not grow with the dataset: its files are listed in the manifest while they are few, and in lists beside it
//! when they are many.

mod dclm;
pub(crate) mod index;

use crate::driver::{Driver, job_tally};
use futures::StreamExt;
use futures::stream;
use gristmill_job::{
    Aggregate, Documents, FileEntry, FileRole, Filtered, IndexError, JobError, Joined, Manifest, Problem,
    Selected, StageRecord, StepPassage, VERSION, pages, without_output_path,
};
use gristmill_pipeline::recipe::Layout;
use gristmill_pipeline::stage::{MapStage, Stage};
use gristmill_storage::{Kind, Store, StoreError, Stores, Uri, UriError};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Problems listed for people; all of them are counted in the manifest.
const PROBLEMS_MAX: usize = 10_000;
/// Files that the manifest lists itself; of more, each list beside it holds so many.
const FILES_MAX: usize = 10_000;
/// Data files brought to their place at once.
const MOVES: usize = 32;

/// Why a dataset could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the job does not add up: {0}")]
    Imbalance(String),
}

impl PublishError {
    /// Whether publishing again later may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.kind() == Kind::Retry,
            Self::Job(error) => error.is_retryable(),
            Self::Index(error) => error.is_retryable(),
            Self::Uri(_) | Self::Imbalance(_) => false,
        }
    }
}

/// Where a dataset goes.
pub struct Place {
    store: Arc<dyn Store>,
    prefix: String,
}

impl Place {
    pub fn open(stores: &Stores, output: &Uri) -> Result<Self, StoreError> {
        let (store, prefix) = stores.open(output)?;
        Ok(Self { store, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The key of a name below the output.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

/// Publishes the dataset of a job whose stages are all committed. May be repeated.
pub(crate) async fn publish(driver: &Driver, stages: Vec<StageRecord>) -> Result<Manifest, PublishError> {
    let place = Place::open(&driver.stores, &driver.output)?;
    // First whether each index can still be extended, so that nothing is brought to its place for nothing.
    let indexes = index::generations(driver).await?;
    let clusters = bring_clusters(driver, &place).await?;
    let files = match driver.plan.layout() {
        Layout::Parts => bring_parts(driver, &place).await?,
        Layout::Dclm => dclm::bring(driver, &place).await?,
    };
    let tally = job_tally(&stages, None);
    tally.balance().map_err(|e| PublishError::Imbalance(e.to_string()))?;
    if files.rows != tally.kept {
        return Err(PublishError::Imbalance(format!(
            "{} documents were kept, but {} written",
            tally.kept, files.rows
        )));
    }
    let steps = driver.recipe.steps.iter().map(|spec| {
        let passage = tally.steps.get(&spec.index).copied().unwrap_or_default();
        StepPassage {
            step: spec.def.name.to_owned(),
            seen: passage.seen,
            out: passage.out,
            units_taken: passage.units_taken,
        }
    });
    let aggregates = aggregates(driver).await?;
    let joined = joined(driver).await?;
    let selected = selected(driver).await?;
    let filtered = filtered(driver).await?;
    if driver.plan.layout() == Layout::Dclm {
        dclm::write_global_stats(driver, &place, &stages, &aggregates).await?;
    }
    let manifest = Manifest {
        name: driver.recipe.head.name.clone(),
        version: VERSION.to_owned(),
        recipe: without_output_path(&driver.plan.recipe),
        resources: driver.plan.resources.iter().map(|(n, r)| (n.clone(), r.sha256.clone())).collect(),
        steps: steps.collect(),
        documents: Documents::from(tally),
        aggregates,
        joined,
        // Before the manifest, which says that it is so. Between the two the job may be killed: it finds its own generation then.
        indexes: index::write(driver, indexes).await?,
        takedowns: Vec::new(),
        selected,
        filtered,
        stages,
        files: files.listed,
        file_lists: files.lists,
        clusters: clusters.listed,
        cluster_lists: clusters.lists,
    };
    let problems = problems(driver).await?;
    if !problems.is_empty() {
        place.store.put(&place.key("_problems.jsonl"), lines(&problems).into()).await?;
    }
    let mut json = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    json.push(b'\n');
    place.store.put(&place.key("manifest.json"), json.into()).await?;
    // What a killed publisher left half written.
    for folder in [driver.plan.layout().folder(), CLUSTERS] {
        place.store.sweep(&place.key(&format!("{folder}/")), Duration::ZERO).await?;
    }
    Ok(manifest)
}

/// Files of a dataset: in `listed` while they are few, else in `lists`.
struct Files {
    /// The folder of the lists.
    folder: &'static str,
    listed: Vec<FileEntry>,
    lists: Vec<FileEntry>,
    rows: u64,
}

impl Files {
    fn listed_in(folder: &'static str) -> Self {
        Self { folder, listed: Vec::new(), lists: Vec::new(), rows: 0 }
    }

    /// Takes in a file that is in its place.
    async fn add(&mut self, place: &Place, file: FileEntry) -> Result<(), PublishError> {
        self.rows += file.rows;
        self.listed.push(file);
        if self.listed.len() > FILES_MAX {
            let full: Vec<FileEntry> = self.listed.drain(..FILES_MAX).collect();
            self.lists.push(write_list(place, self.folder, self.lists.len(), &full).await?);
        }
        Ok(())
    }

    async fn finish(mut self, place: &Place) -> Result<Self, PublishError> {
        if !self.lists.is_empty() && !self.listed.is_empty() {
            let rest = std::mem::take(&mut self.listed);
            self.lists.push(write_list(place, self.folder, self.lists.len(), &rest).await?);
        }
        Ok(self)
    }
}

/// Brings all data files to their place, in order.
async fn bring_parts(driver: &Driver, place: &Place) -> Result<Files, PublishError> {
    let mut files = Files::listed_in("_files");
    bring_all(driver, place, driver.plan.last_pass(), FileRole::Data, "data", &mut files).await?;
    files.finish(place).await
}

/// Where the files lie that say which documents were joined.
const CLUSTERS: &str = "clusters";

/// Brings those of all dedups that write them, in the order of the recipe.
async fn bring_clusters(driver: &Driver, place: &Place) -> Result<Files, PublishError> {
    let mut files = Files::listed_in("_cluster_files");
    for (number, planned) in driver.plan.stages.iter().enumerate() {
        let Stage::Map(MapStage { after: Some(barrier), .. }) = planned.stage else { continue };
        if let Some(spec) = driver.recipe.steps.get(barrier).filter(|spec| spec.parsed.clusters()) {
            let folder = format!("{CLUSTERS}/{barrier:02}-{}", spec.def.name);
            bring_all(driver, place, number, FileRole::Clusters, &folder, &mut files).await?;
        }
    }
    files.finish(place).await
}

/// Brings all files of a role that a stage left to a folder, in order.
async fn bring_all(
    driver: &Driver,
    place: &Place,
    stage: usize,
    role: FileRole,
    folder: &str,
    files: &mut Files,
) -> Result<(), PublishError> {
    let tasks = driver.plan.stages.get(stage).map_or(0, |s| s.tasks);
    for page in 0..pages(tasks) {
        let records = driver.job.must_page(stage, page).await?;
        let left = records.into_iter().flat_map(|mut r| r.files.remove(&role).unwrap_or_default());
        let mut brought = stream::iter(left)
            .map(|file| async move {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                let published = format!("{folder}/{name}");
                bring(driver, &file.path, place, &place.key(&published)).await?;
                Ok::<_, PublishError>(FileEntry { path: published, ..file })
            })
            .buffered(MOVES);
        while let Some(file) = brought.next().await {
            files.add(place, file?).await?;
        }
    }
    Ok(())
}

async fn write_list(
    place: &Place,
    folder: &str,
    number: usize,
    files: &[FileEntry],
) -> Result<FileEntry, PublishError> {
    let path = format!("{folder}/{number:05}.jsonl");
    let bytes = lines(files);
    let entry = FileEntry {
        path: path.clone(),
        rows: files.len() as u64,
        bytes: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
    };
    place.store.put(&place.key(&path), bytes.into()).await?;
    Ok(entry)
}

fn lines<T: serde::Serialize>(values: &[T]) -> Vec<u8> {
    let mut lines = Vec::new();
    for value in values {
        // Our own types, all keys strings: this cannot fail.
        let _ = serde_json::to_writer(&mut lines, value);
        lines.push(b'\n');
    }
    lines
}

/// Makes a file of the job a file of the dataset: within one store without moving its bytes, else by copying them.
async fn bring(driver: &Driver, path: &str, place: &Place, to: &str) -> Result<(), PublishError> {
    let (store, from) = (driver.job.store(), driver.job.key(path));
    if Arc::ptr_eq(store, &place.store) {
        place.store.publish(&from, to).await?;
        return Ok(());
    }
    let size = store.stat(&from).await?.size;
    let mut upload = place.store.upload(to).await?;
    let mut pieces = store.read(&from, 0..size).await?;
    while let Some(piece) = pieces.next().await {
        upload.write(piece?).await?;
    }
    upload.finish().await?;
    Ok(())
}

/// What `aggregate` steps summed up, in the order of the recipe.
async fn aggregates(driver: &Driver) -> Result<Vec<Aggregate>, PublishError> {
    let mut all = Vec::new();
    for (stage, planned) in driver.plan.stages.iter().enumerate() {
        if matches!(planned.stage, Stage::Aggregate) {
            let records = driver.job.must_page(stage, 0).await?;
            all.extend(records.into_iter().flat_map(|record| record.aggregates));
        }
    }
    Ok(all)
}

/// What dedups of near duplicates came to, in the order of the recipe.
async fn joined(driver: &Driver) -> Result<Vec<Joined>, PublishError> {
    let mut all = Vec::new();
    for (stage, planned) in driver.plan.stages.iter().enumerate() {
        if matches!(planned.stage, Stage::Components { .. }) {
            let records = driver.job.must_page(stage, 0).await?;
            all.extend(records.into_iter().filter_map(|record| record.joined.map(|joined| *joined)));
        }
    }
    Ok(all)
}

/// Where the shares of selections end, in the order of the recipe.
async fn selected(driver: &Driver) -> Result<Vec<Selected>, PublishError> {
    let mut all = Vec::new();
    for (stage, planned) in driver.plan.stages.iter().enumerate() {
        if matches!(planned.stage, Stage::Bounds { .. }) {
            let records = driver.job.must_page(stage, 0).await?;
            all.extend(records.into_iter().filter_map(|record| record.selected.map(|selected| *selected)));
        }
    }
    Ok(all)
}

/// What dedups by Bloom filters came to, in the order of the recipe.
async fn filtered(driver: &Driver) -> Result<Vec<Filtered>, PublishError> {
    let mut all = Vec::new();
    for (stage, planned) in driver.plan.stages.iter().enumerate() {
        let Stage::Filter { barrier, .. } = planned.stage else { continue };
        let mut sum = Filtered { step: barrier, ..Filtered::default() };
        for page in 0..pages(planned.tasks) {
            let records = driver.job.must_page(stage, page).await?;
            records.iter().filter_map(|record| record.filtered.as_deref()).for_each(|one| sum.add(one));
        }
        all.push(sum);
    }
    Ok(all)
}

/// The first problems of the job, by stage and task.
async fn problems(driver: &Driver) -> Result<Vec<Problem>, PublishError> {
    let mut problems = Vec::new();
    for (stage, planned) in driver.plan.stages.iter().enumerate() {
        if !matches!(planned.stage, Stage::Map(_)) {
            continue;
        }
        for page in 0..pages(planned.tasks) {
            for record in driver.job.must_page(stage, page).await? {
                problems.extend(record.problems);
            }
            if problems.len() >= PROBLEMS_MAX {
                problems.truncate(PROBLEMS_MAX);
                return Ok(problems);
            }
        }
    }
    Ok(problems)
}
