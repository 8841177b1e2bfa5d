//! A dataset in DCLM's layout: a file of documents and one of statistics for each input file.

use super::{Files, MOVES, Place, PublishError, bring as bring_one, lines};
use crate::driver::Driver;
use futures::{StreamExt, stream};
use gristmill_job::dclm::{data_path, shard_name, shard_stats, stats_path};
use gristmill_job::{
    Aggregate, FileEntry, FileRole, INPUTS_PAGE, PAGE_TASKS, Slice, StageRecord, TaskRecord, pages,
};
use gristmill_pipeline::Tally;
use gristmill_pipeline::stage::{MapStage, Stage};
use serde_json::{Value, json};

/// Brings all data files to their place, and writes the statistics of each.
pub(super) async fn bring(driver: &Driver, place: &Place) -> Result<Files, PublishError> {
    let passes = passes(driver);
    let tasks = driver.plan.stages.first().map_or(0, |stage| stage.tasks);
    let mut files = Files::listed_in("_files");
    for page in 0..pages(tasks) {
        // The records of a thousand tasks, of all passes.
        let mut shards: Vec<Shard> = inputs(driver, page).await?.into_iter().map(Shard::new).collect();
        for (stage, _) in &passes {
            let records = driver.job.must_page(*stage, page).await?;
            for (shard, record) in shards.iter_mut().zip(records) {
                shard.passed(record);
            }
        }
        // DCLM writes nothing for a file that held nothing.
        shards.retain(|shard| shard.tally.seen > 0);
        let mut brought = stream::iter(shards).map(|shard| bring_shard(driver, place, shard)).buffered(MOVES);
        while let Some(file) = brought.next().await {
            if let Some(file) = file? {
                files.add(place, file).await?;
            }
        }
    }
    files.finish(place).await
}

/// What an input file became.
struct Shard {
    input: Option<Slice>,
    tally: Tally,
    data: Option<FileEntry>,
}

impl Shard {
    fn new(input: Option<Slice>) -> Self {
        Self { input, tally: Tally::default(), data: None }
    }

    fn passed(&mut self, mut record: TaskRecord) {
        if self.tally == Tally::default() {
            self.tally = record.tally;
        } else {
            self.tally.then(&record.tally);
        }
        self.data = record.files.remove(&FileRole::Data).and_then(|files| files.into_iter().next());
    }
}

async fn bring_shard(
    driver: &Driver,
    place: &Place,
    shard: Shard,
) -> Result<Option<FileEntry>, PublishError> {
    let (Some(input), Some(data)) = (shard.input, shard.data) else { return Ok(None) };
    let (name, format) = (shard_name(&input.file.name), driver.recipe.head.output.format);
    let stats = shard_stats(&input.file, &name, format, &driver.recipe.steps, &shard.tally);
    place.store.put(&place.key(&stats_path(&name)), lines(&stats).into()).await?;
    let path = data_path(&name, format);
    bring_one(driver, &data.path, place, &place.key(&path)).await?;
    Ok(Some(FileEntry { path, ..data }))
}

/// The input of each task of a page of records: one file.
async fn inputs(driver: &Driver, page: u64) -> Result<Vec<Option<Slice>>, PublishError> {
    let tasks = driver.plan.stages.first().map_or(0, |stage| stage.tasks);
    let (from, to) = (page * PAGE_TASKS, ((page + 1) * PAGE_TASKS).min(tasks));
    let mut all = Vec::new();
    for number in from / INPUTS_PAGE..to.div_ceil(INPUTS_PAGE) {
        let inputs = driver.job.inputs_page(&driver.plan, number).await?;
        for (task, slices) in (number * INPUTS_PAGE..).zip(inputs) {
            if (from..to).contains(&task) {
                all.push(slices.into_iter().next());
            }
        }
    }
    Ok(all)
}

fn passes(driver: &Driver) -> Vec<(usize, &MapStage)> {
    let stages = driver.plan.stages.iter().enumerate();
    stages
        .filter_map(|(number, planned)| match &planned.stage {
            Stage::Map(map) => Some((number, map)),
            _ => None,
        })
        .collect()
}

/// A line for each of DCLM's chunks: the local steps between two global ones, and the global ones.
pub(super) async fn write_global_stats(
    driver: &Driver,
    place: &Place,
    stages: &[StageRecord],
    aggregates: &[Aggregate],
) -> Result<(), PublishError> {
    let mut all: Vec<Value> = Vec::new();
    for (number, map) in passes(driver) {
        let Some(record) = stages.get(number) else { continue };
        let mut pages_in = record.tally.seen;
        if let Some(barrier) = map.after {
            let passage = record.tally.steps.get(&barrier).copied().unwrap_or_default();
            let name = driver.recipe.steps.get(barrier).map_or("", |spec| spec.def.name);
            all.push(json!({"name": name, "pages_in": passage.seen, "pages_out": passage.out}));
            pages_in = passage.out;
        }
        let mut line = json!({
            "name": "local",
            "num_successes": record.tasks,
            "num_failures": 0,
            "pages_in": pages_in,
            "pages_out": record.tally.kept,
            "resumptions": 0,
            "failed_shards": [],
        });
        let of_this: Vec<&Aggregate> =
            aggregates.iter().filter(|aggregate| map.steps.contains(&aggregate.step)).collect();
        if !of_this.is_empty() {
            line["aggregates"] = json!(of_this);
        }
        all.push(line);
    }
    place.store.put(&place.key("global_stats.jsonl"), lines(&all).into()).await?;
    Ok(())
}
