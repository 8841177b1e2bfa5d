//! Extending an index: the files of a dedup are brought there when the dedup is over, and become part of it by a new
//! generation's manifest just before the dataset's own.
//!
//! Files lie in a folder that is named after the plan. Whoever writes there writes the same bytes, so that all of it may be
//! done twice, and what a job left that came too late harms nobody.

use super::{MOVES, Place, PublishError, bring};
use crate::driver::Driver;
use crate::index::joins_by;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_job::index::{Generation, Index, Part, Segment};
use gristmill_job::{FileEntry, FileRole, Indexed, PAGE_TASKS, PlannedIndex, TaskRecord, pages};
use gristmill_pipeline::stage::Stage;
use gristmill_storage::{Kind, Uri};
use sha2::{Digest, Sha256};

/// After the pass `stage`: brings what the dedup before it leaves to the index that it extends.
pub(crate) async fn keep(driver: &Driver, stage: usize) -> Result<(), PublishError> {
    let Some(Stage::Map(pass)) = driver.plan.stages.get(stage).map(|planned| &planned.stage) else {
        return Ok(());
    };
    let Some(dedup) = pass.after.and_then(|barrier| Dedup::of(driver, barrier)) else { return Ok(()) };
    let place = Place::open(&driver.stores, &dedup.uri()?)?;
    let (from, to) = dedup.drops(driver).await?;
    bring_once(driver, &place, &from, &to).await?;
    for page in 0..pages(dedup.tasks) {
        let records = driver.job.must_page(dedup.signing, page).await?;
        let files = records.iter().map(|record| dedup.files(record)).collect::<Result<Vec<_>, _>>()?;
        stream::iter(files.into_iter().flatten())
            .map(Ok)
            .try_for_each_concurrent(MOVES, |(from, to)| {
                let place = &place;
                async move { bring_once(driver, place, &from, &to).await }
            })
            .await?;
    }
    Ok(())
}

/// A file's source may be gone, if it was brought before.
async fn bring_once(
    driver: &Driver,
    place: &Place,
    from: &FileEntry,
    to: &FileEntry,
) -> Result<(), PublishError> {
    let key = place.key(&to.path);
    match place.store().stat(&key).await {
        Ok(meta) if meta.size == to.bytes => return Ok(()),
        Err(error) if error.kind() != Kind::NotFound => return Err(error.into()),
        _ => {}
    }
    bring(driver, &from.path, place, &key).await
}

/// The generations that the job is to write, their segments listed already.
pub(super) async fn generations(driver: &Driver) -> Result<Vec<(Indexed, Option<Generation>)>, PublishError> {
    let mut all = Vec::new();
    for (step, planned) in &driver.plan.indexes {
        let mut used = Indexed {
            step: *step,
            at: planned.at.clone(),
            read: planned.generation,
            documents: planned.documents,
            wrote: None,
            added: 0,
        };
        let Some(dedup) = Dedup::of(driver, *step) else {
            all.push((used, None));
            continue;
        };
        let generation = dedup.generation(driver).await?;
        used.wrote = Some(generation.generation);
        used.added = generation.parts.last().map_or(0, |part| part.documents);
        all.push((used, Some(generation)));
    }
    Ok(all)
}

/// Writes them. Of several jobs that would write one, the first has.
pub(super) async fn write(
    driver: &Driver,
    generations: Vec<(Indexed, Option<Generation>)>,
) -> Result<Vec<Indexed>, PublishError> {
    let mut all = Vec::new();
    for (used, generation) in generations {
        if let Some(generation) = generation {
            let at: Uri = used.at.parse()?;
            Index::open(&driver.stores, &at)?.create(&generation).await?;
        }
        all.push(used);
    }
    Ok(all)
}

/// A dedup that extends an index.
struct Dedup<'a> {
    place: usize,
    index: &'a PlannedIndex,
    /// The pass that signed for it, and its tasks.
    signing: usize,
    tasks: u64,
    /// The task that wrote its drop list.
    components: usize,
    /// Below the index.
    folder: String,
}

impl<'a> Dedup<'a> {
    fn of(driver: &'a Driver, barrier: usize) -> Option<Self> {
        let index = driver.plan.indexes.get(&barrier).filter(|index| index.extend)?;
        let stage = |is: &dyn Fn(&Stage) -> bool| driver.plan.stages.iter().position(|p| is(&p.stage));
        let signing = stage(&|stage| matches!(stage, Stage::Map(pass) if pass.before == Some(barrier)))?;
        let components = stage(&|stage| matches!(stage, Stage::Components { barrier: b } if *b == barrier))?;
        let tasks = driver.plan.stages.get(signing)?.tasks;
        let plan = serde_json::to_vec(&*driver.plan).unwrap_or_default();
        let digest = hex::encode(Sha256::digest(&plan));
        let folder = format!("files/{}-{barrier}", digest.get(..16).unwrap_or_default());
        Some(Self { place: barrier, index, signing, tasks, components, folder })
    }

    fn uri(&self) -> Result<Uri, PublishError> {
        Ok(self.index.at.parse()?)
    }

    /// A file of the job, and what it is in the index.
    fn moved(&self, file: &FileEntry, name: &str) -> (FileEntry, FileEntry) {
        (file.clone(), FileEntry { path: format!("{}/{name}", self.folder), ..file.clone() })
    }

    async fn drops(&self, driver: &Driver) -> Result<(FileEntry, FileEntry), PublishError> {
        let record = driver.job.must_record(self.components, 0).await?;
        Ok(self.moved(one(&record, FileRole::Drops)?, "drops"))
    }

    /// The files that a task left: its keys, its ids, and its sets if there are any.
    fn files(&self, record: &TaskRecord) -> Result<Vec<(FileEntry, FileEntry)>, PublishError> {
        let name = |extension: &str| format!("{:08}.{extension}", record.task);
        let mut files = vec![
            self.moved(one(record, FileRole::Keys)?, &name("keys")),
            self.moved(one(record, FileRole::Ids)?, &name("ids")),
        ];
        if record.files.contains_key(&FileRole::Sets) {
            files.push(self.moved(one(record, FileRole::Sets)?, &name("sets")));
        }
        Ok(files)
    }

    fn segment(&self, record: &TaskRecord) -> Result<Segment, PublishError> {
        let mut files = self.files(record)?.into_iter().map(|(_, file)| file);
        let (Some(keys), Some(ids)) = (files.next(), files.next()) else { return Err(no_file(record)) };
        Ok(Segment { keys, ids, sets: files.next() })
    }

    async fn generation(&self, driver: &Driver) -> Result<Generation, PublishError> {
        let index = Index::open(&driver.stores, &self.uri()?)?;
        let spec = driver.recipe.steps.get(self.place);
        let joins_by = spec.map(|spec| joins_by(spec, driver.recipe.head.seed)).unwrap_or_default();
        let mut generation = match self.index.generation {
            0 => Generation::empty(joins_by),
            number => index.generation(number).await?,
        };
        let mut part = Part {
            generation: self.index.generation + 1,
            job: driver.plan.job.clone(),
            input_sha256: driver.plan.input_sha256.clone(),
            first_segment: generation.segments(),
            segments: u32::try_from(self.tasks).unwrap_or(u32::MAX),
            documents: 0,
            drops: self.drops(driver).await?.1,
            pages: Vec::new(),
        };
        for page in 0..pages(self.tasks) {
            let records = driver.job.must_page(self.signing, page).await?;
            let segments: Vec<Segment> =
                records.iter().map(|record| self.segment(record)).collect::<Result<_, _>>()?;
            debug_assert!(segments.len() as u64 <= PAGE_TASKS);
            part.documents += segments.iter().map(|segment| segment.ids.rows).sum::<u64>();
            let path = format!("{}/segments-{page:06}.jsonl", self.folder);
            part.pages.push(index.write_page(&path, &segments).await?);
        }
        generation.generation = part.generation;
        generation.parts.push(part);
        // Early, so that no data is brought to its place for nothing; what counts is who creates the manifest.
        index.check_free(&generation).await?;
        Ok(generation)
    }
}

fn one(record: &TaskRecord, role: FileRole) -> Result<&FileEntry, PublishError> {
    record.files.get(&role).and_then(|files| files.first()).ok_or_else(|| no_file(record))
}

fn no_file(record: &TaskRecord) -> PublishError {
    let (stage, task) = (record.stage, record.task);
    PublishError::Imbalance(format!("task {task} of stage {stage} left nothing for the index"))
}
