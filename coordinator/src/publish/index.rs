//! Extending an index: the files of a dedup are brought there when the dedup is over, and become part of it by a new
//! generation's manifest just before the dataset's own.
//!
//! Files lie in a folder that is named after the plan. Whoever writes there writes the same bytes, so that all of it may be
//! done twice. A job that wrote its generation and was killed before the dataset's manifest finds that it did; one that comes too
//! late is told before it brings anything.

use super::{MOVES, Place, PublishError, bring};
use crate::driver::Driver;
use crate::index::joins_by;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_job::index::{self, Generation, Index, Part, Segment};
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
    if dedup.is_written(driver).await? {
        return Ok(());
    }
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
        used.wrote = Some(dedup.next());
        used.added = dedup.documents(driver).await?;
        // One that a takedown took away since cannot be written again, and need not.
        let there = dedup.is_written(driver).await? && dedup.open(driver)?.is_removed(dedup.next()).await?;
        let generation = if there { None } else { Some(dedup.generation(driver).await?) };
        all.push((used, generation));
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
        let name = format!("{}-{barrier}", digest.get(..16).unwrap_or_default());
        let folder = index::folder(index.generation + 1, &name);
        Some(Self { place: barrier, index, signing, tasks, components, folder })
    }

    fn uri(&self) -> Result<Uri, PublishError> {
        Ok(self.index.at.parse()?)
    }

    fn open(&self, driver: &Driver) -> Result<Index, PublishError> {
        Ok(Index::open(&driver.stores, &self.uri()?)?)
    }

    /// The generation that it writes.
    fn next(&self) -> u64 {
        self.index.generation + 1
    }

    /// Whether it has written it; an error, if another job or a takedown has.
    async fn is_written(&self, driver: &Driver) -> Result<bool, PublishError> {
        let (job, input) = (&driver.plan.job, &driver.plan.input_sha256);
        Ok(self.open(driver)?.written(self.next(), job, input).await?)
    }

    /// How many it adds.
    async fn documents(&self, driver: &Driver) -> Result<u64, PublishError> {
        let mut documents = 0;
        for page in 0..pages(self.tasks) {
            for record in driver.job.must_page(self.signing, page).await? {
                documents += one(&record, FileRole::Ids)?.rows;
            }
        }
        Ok(documents)
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
        let index = self.open(driver)?;
        let spec = driver.recipe.steps.get(self.place);
        let joins_by = spec.map(|spec| joins_by(spec, driver.recipe.head.seed)).unwrap_or_default();
        let mut generation = match self.index.generation {
            0 => Generation::empty(joins_by),
            number => index.generation(number).await?,
        };
        let mut part = Part {
            generation: self.next(),
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
        // What counts is who creates the manifest.
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
