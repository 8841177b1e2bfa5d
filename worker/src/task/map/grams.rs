//! What a pass writes for a dedup by Bloom filters: the n-grams of its documents, hashed, group by group.

use crate::TaskError;
use crate::files;
use crate::task::Attempt;
use gristmill_dedup::bff;
use gristmill_dedup::sections::Gatherer;
use gristmill_job::{FileRole, TaskRecord};
use gristmill_pipeline::Document;
use gristmill_pipeline::step::Bloom;
use std::fs::File;
use std::io;

pub(super) struct Grams {
    bloom: Bloom,
    hasher: bff::Grams,
    groups: Gatherer<File, Box<dyn FnMut() -> io::Result<File>>>,
    /// Of each group.
    ngrams: Vec<u64>,
    documents: u64,
    coded: Vec<u8>,
}

impl Grams {
    pub(super) fn new(attempt: &Attempt, bloom: Bloom) -> Result<Self, TaskError> {
        Ok(Self {
            hasher: bff::Grams::new(bloom.params, bloom.seed)?,
            groups: Gatherer::new(bloom.groups, attempt.sort_memory(), Box::new(attempt.scratch())),
            ngrams: vec![0; bloom.groups as usize],
            documents: 0,
            coded: Vec::new(),
            bloom,
        })
    }

    /// The document at `ordinal`. One without a text has no piece.
    pub(super) fn write(&mut self, doc: &Document, ordinal: u32) -> Result<(), TaskError> {
        let group = self.bloom.group(doc);
        let text = doc.text.as_ref().map_or("", |text| text.as_str());
        self.coded.clear();
        let ngrams = self.hasher.encode(ordinal, text, &mut self.coded);
        self.groups.push(group, &self.coded)?;
        if let Some(sum) = self.ngrams.get_mut(group as usize) {
            *sum += ngrams;
        }
        self.documents += 1;
        Ok(())
    }

    pub(super) fn finish(self, attempt: &Attempt, record: &mut TaskRecord) -> Result<(), TaskError> {
        let path = attempt.path("grams");
        let mut out = attempt.create_hashed(&path);
        self.groups.finish(&mut out)?;
        record.files.insert(FileRole::Grams, vec![files::finish(out, path, self.documents)?]);
        record.ngrams = self.ngrams;
        Ok(())
    }
}
