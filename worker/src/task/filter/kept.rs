//! Filters that outlive their job (`gristmill_job::filters` draws where).

use crate::TaskError;
use crate::task::Attempt;
use gristmill_dedup::bloom::{Filter, Head, Size};
use gristmill_job::filters::{SavedBy, StoredFilter, place};
use gristmill_pipeline::step::Bloom;
use gristmill_storage::{BlockingReader, BlockingWriter};

/// A filter of an earlier job.
pub(super) struct Kept {
    stored: StoredFilter,
    head: Head,
}

impl Kept {
    /// Reads the head of the group's filter, which must be the one that the job was planned with.
    pub(super) fn open(
        attempt: &Attempt,
        step: usize,
        bloom: &Bloom,
        folder: &str,
    ) -> Result<Self, TaskError> {
        let (bloom, folder, group) = (bloom.clone(), folder.to_owned(), attempt.shard()?);
        let stores = attempt.open.stores.clone();
        let (stored, bloom) = attempt.wait(async move {
            StoredFilter::open(&stores, &bloom, &folder, group).await.map(|stored| (stored, bloom))
        })??;
        let planned = attempt.open.plan.filters.get(&step);
        let planned =
            planned.ok_or_else(|| TaskError::fatal("the plan knows of no filters to begin with"))?;
        stored.check(planned, group)?;
        let head = bloom.head(&stored.uri, &stored.head, stored.bytes);
        Ok(Self { head: head.map_err(|error| TaskError::fatal(error.to_string()))?, stored })
    }

    pub(super) fn size(&self) -> Size {
        self.head.size
    }

    /// Whether the rate holds with so many n-grams more.
    pub(super) fn has_room(&self, ngrams: u64, fp_rate: f64) -> Result<(), TaskError> {
        let all = self.head.items.saturating_add(ngrams);
        let rate = self.head.size.false_positive_rate(all);
        if rate <= fp_rate {
            return Ok(());
        }
        Err(TaskError::fatal(format!(
            "{} holds {} n-grams, and with {ngrams} more its rate of false positives would be {rate:.3}: make it anew with an expected_ngram_count of {all}, or allow an fp_rate of so much",
            self.stored.uri, self.head.items
        )))
    }

    pub(super) fn read(self, attempt: &Attempt) -> Result<Filter, TaskError> {
        let StoredFilter { store, key, uri, bytes, .. } = self.stored;
        let reader = BlockingReader::exact(&attempt.handle, store, &key, 0..bytes);
        Ok(Filter::load(&uri, reader, self.head.size.bytes())?)
    }
}

/// Makes sure that the folder is this step's, before any work goes into what would lie there.
pub(super) fn claim(attempt: &Attempt, step: usize, folder: &str) -> Result<(), TaskError> {
    let (mine, stores) = (SavedBy::of(&attempt.open.plan, step), attempt.open.stores.clone());
    let folder = folder.to_owned();
    Ok(attempt.wait(async move { mine.claim(&stores, &folder).await })??)
}

/// Leaves the filter for other jobs. Attempts that do it twice write the same.
pub(super) fn save(attempt: &Attempt, bloom: &Bloom, folder: &str, filter: &Filter) -> Result<(), TaskError> {
    let (store, key) = place(&attempt.open.stores, bloom, folder, attempt.shard()?)?;
    let mut out = BlockingWriter::new(&attempt.handle, store, &key);
    filter.save(&mut out)?;
    out.finish()?;
    Ok(())
}
