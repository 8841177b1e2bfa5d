//! Publishing a dataset: data files get their final names, then the manifest is written. Whatever a job leaves beside
//! those begins with `_`.

use crate::drive::{Drive, data_files};
use futures::StreamExt;
use gristmill_job::{
    Documents, FileEntry, JobError, Manifest, Problem, StageRecord, StepPassage, VERSION, without_output_path,
};
use gristmill_pipeline::Tally;
use gristmill_storage::{Store, StoreError, UriError};
use std::sync::Arc;
use std::time::Duration;

/// Records read at a time.
const PAGE: u64 = 256;
/// Problems listed for people; all of them are counted in the manifest.
const PROBLEMS_MAX: usize = 10_000;

/// Why a dataset could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error("the job does not add up: {0}")]
    Imbalance(String),
}

/// Publishes the dataset of a job whose stages are all committed. May be repeated.
pub(crate) async fn publish(drive: &Drive, stages: Vec<StageRecord>) -> Result<Manifest, PublishError> {
    let (output, prefix) = drive.stores.open(&drive.output)?;
    let at = |name: &str| {
        if prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", prefix.trim_end_matches('/')) }
    };
    let tasks = drive.plan.stages.last().map_or(0, |s| s.tasks);
    let mut files = Vec::new();
    let mut start = 0;
    while start < tasks {
        let end = tasks.min(start + PAGE);
        for record in drive.last_records(start..end).await? {
            for file in data_files(record) {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                let published = FileEntry { path: format!("data/{name}"), ..file };
                bring(drive, &file.path, &output, &at(&published.path)).await?;
                files.push(published);
            }
        }
        start = end;
    }
    let mut tally = Tally::default();
    for stage in &stages {
        // Passes follow one another: what the first kept is what the next saw.
        if stage.tally.seen > 0 {
            if tally.seen == 0 { tally.add(&stage.tally) } else { tally.then(&stage.tally) }
        }
    }
    tally.balance().map_err(|e| PublishError::Imbalance(e.to_string()))?;
    let rows: u64 = files.iter().map(|f| f.rows).sum();
    if rows != tally.kept {
        return Err(PublishError::Imbalance(format!(
            "{} documents were kept, but {rows} written",
            tally.kept
        )));
    }
    let steps = drive.recipe.steps.iter().map(|spec| {
        let passage = tally.steps.get(&spec.index).copied().unwrap_or_default();
        StepPassage { step: spec.def.name.to_owned(), seen: passage.seen, out: passage.out }
    });
    let manifest = Manifest {
        name: drive.recipe.head.name.clone(),
        version: VERSION.to_owned(),
        recipe: without_output_path(&drive.plan.recipe),
        resources: drive.plan.resources.iter().map(|(n, r)| (n.clone(), r.sha256.clone())).collect(),
        steps: steps.collect(),
        documents: Documents::from(tally),
        stages,
        files,
    };
    let problems = problems(drive).await?;
    if !problems.is_empty() {
        let mut lines = Vec::new();
        for problem in &problems {
            // Our own type, all keys strings: this cannot fail.
            let _ = serde_json::to_writer(&mut lines, problem);
            lines.push(b'\n');
        }
        output.put(&at("_problems.jsonl"), lines.into()).await?;
    }
    let mut json = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    json.push(b'\n');
    output.put(&at("manifest.json"), json.into()).await?;
    // What a killed publisher left half written.
    output.sweep(&at("data/"), Duration::ZERO).await?;
    Ok(manifest)
}

/// Makes a file of the job a file of the dataset: within one store without moving its bytes, else by copying them.
async fn bring(drive: &Drive, path: &str, output: &Arc<dyn Store>, to: &str) -> Result<(), PublishError> {
    let (store, from) = (drive.job.store(), drive.job.key(path));
    if Arc::ptr_eq(store, output) {
        output.publish(&from, to).await?;
        return Ok(());
    }
    let size = store.stat(&from).await?.size;
    let mut upload = output.upload(to).await?;
    let mut pieces = store.read(&from, 0..size).await?;
    while let Some(piece) = pieces.next().await {
        upload.write(piece?).await?;
    }
    upload.finish().await?;
    Ok(())
}

/// The first problems of the job, by stage and task.
async fn problems(drive: &Drive) -> Result<Vec<Problem>, PublishError> {
    let mut problems = Vec::new();
    for (stage, planned) in drive.plan.stages.iter().enumerate() {
        let is_pass = matches!(planned.stage, gristmill_pipeline::stage::Stage::Map(_));
        for task in 0..if is_pass { planned.tasks } else { 0 } {
            problems.extend(drive.job.must_record(stage, task).await?.problems);
            if problems.len() >= PROBLEMS_MAX {
                problems.truncate(PROBLEMS_MAX);
                return Ok(problems);
            }
        }
    }
    Ok(problems)
}
