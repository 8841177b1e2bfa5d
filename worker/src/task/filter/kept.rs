//! Filters that outlive their job: `FOLDER/00000-of-00004.bloom`, one for each group.

use crate::TaskError;
use crate::task::Attempt;
use gristmill_dedup::bloom::{Filter, Head, Size};
use gristmill_pipeline::step::Bloom;
use gristmill_storage::{BlockingReader, BlockingWriter, Store, StoreError, Uri, blocking};
use std::sync::Arc;

/// A filter of an earlier job.
pub(super) struct Kept {
    store: Arc<dyn Store>,
    key: String,
    uri: String,
    bytes: u64,
    head: Head,
}

impl Kept {
    /// Reads the head, and refuses a filter that was made otherwise.
    pub(super) fn open(attempt: &Attempt, bloom: &Bloom, folder: &str) -> Result<Self, TaskError> {
        let (store, key) = locate(attempt, bloom, folder)?;
        let uri = store.uri(&key);
        let meta = attempt.wait({
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.stat(&key).await }
        })?;
        let bytes = match meta {
            Ok(meta) => meta.size,
            Err(error @ StoreError::NotFound { .. }) => {
                return Err(TaskError::fatal(format!(
                    "{error}: a job with `save` and as many `shards` writes it"
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let head = blocking::read_at(&attempt.handle, &store, &key, 0..bytes.min(Head::BYTES))?;
        let head = Head::parse(&uri, &head).map_err(|error| TaskError::fatal(error.to_string()))?;
        let kind = bloom.params.kind();
        if head.seed != bloom.seed {
            return Err(TaskError::fatal(format!(
                "{uri} was made with seed {}, and the recipe has seed {}: give both the same",
                head.seed, bloom.seed
            )));
        }
        if head.kind != kind {
            return Err(TaskError::fatal(format!(
                "{uri} holds \"{}\", and the recipe wants \"{kind}\": give the step the parameters that it was made with",
                head.kind
            )));
        }
        Ok(Self { store, key, uri, bytes, head })
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
            self.uri, self.head.items
        )))
    }

    pub(super) fn read(self, attempt: &Attempt) -> Result<Filter, TaskError> {
        let reader = BlockingReader::exact(&attempt.handle, self.store, &self.key, 0..self.bytes);
        Ok(Filter::load(&self.uri, reader, self.head.size.bytes())?)
    }
}

/// Leaves the filter for other jobs. Attempts that do it twice write the same.
pub(super) fn save(attempt: &Attempt, bloom: &Bloom, folder: &str, filter: &Filter) -> Result<(), TaskError> {
    let (store, key) = locate(attempt, bloom, folder)?;
    let mut out = BlockingWriter::new(&attempt.handle, store, &key);
    filter.save(&mut out)?;
    out.finish()?;
    Ok(())
}

fn locate(attempt: &Attempt, bloom: &Bloom, folder: &str) -> Result<(Arc<dyn Store>, String), TaskError> {
    let name = format!("{:05}-of-{:05}.bloom", attempt.task, bloom.groups);
    let wrong = |error: gristmill_storage::UriError| TaskError::fatal(format!("{folder}: {error}"));
    let uri: Uri = folder.parse().map_err(wrong)?;
    Ok(attempt.open.stores.open(&uri.join(&name).map_err(wrong)?)?)
}
