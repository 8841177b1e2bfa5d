//! What the dedup before a pass found out about the pass's documents: what goes, and what there is to tell.

use super::sink::DataFiles;
use crate::TaskError;
use crate::task::Attempt;
use gristmill_dedup::droplist::DropList;
use gristmill_dedup::finding::{Finding, ids};
use gristmill_dedup::keyfile::node;
use gristmill_job::{FileEntry, FileRole, Job};
use gristmill_pipeline::step::{Report, Signer};
use gristmill_pipeline::{Barrier, Document, Verdict};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;

/// The part of a dedup's drop list that concerns this task's documents.
pub(super) struct Drops {
    list: DropList<Box<dyn Read + Send>>,
    shard: u32,
    barrier: Barrier,
    /// Where it is written which documents were joined.
    clusters: Option<DataFiles>,
}

/// A document that was joined with others, as the dataset tells.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    survivor: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f64>,
    size: u64,
    kept: bool,
}

impl Drops {
    pub(super) fn open(attempt: &Attempt, barrier: Barrier) -> Result<Self, TaskError> {
        let clusters = barrier.report.clusters.then(|| {
            let folder = Job::clusters_path(attempt.stage, attempt.task, &attempt.name);
            DataFiles::new(attempt, folder)
        });
        Ok(Self { list: attempt.drop_list()?, shard: attempt.shard()?, barrier, clusters })
    }

    /// Takes the units that go out of a document, and says how many.
    pub(super) fn apply(
        &mut self,
        attempt: &Attempt,
        doc: &mut Document,
        units: Range<u32>,
    ) -> Result<(Verdict, u64), TaskError> {
        let report = self.barrier.report;
        let (mut gone, mut known) = (Vec::new(), 0);
        for unit in units.clone() {
            let Some((survivor, note)) = self.list.entry(unit)? else { continue };
            let mut goes = true;
            if report.is_any() {
                let finding = decode(note)?;
                goes = !finding.stays && !report.annotate;
                tell(report, &finding, survivor == node(self.shard, unit), doc);
                write(attempt, self.clusters.as_mut(), &doc.id, &finding, !goes)?;
            }
            if goes {
                gone.push(unit - units.start);
                known += usize::from(attempt.is_known(survivor));
            }
        }
        if gone.is_empty() {
            return Ok((Verdict::Keep, 0));
        }
        let verdict = match &mut self.barrier.signer {
            Signer::Exact(exact) => exact.remove(doc, &|place| gone.binary_search(&place).is_ok()),
            Signer::Fuzzy(_) => Verdict::dropped(self.barrier.reason),
        };
        let verdict = match verdict {
            Verdict::Drop(reason) if known == gone.len() && reason == self.barrier.reason => {
                Verdict::dropped(format!("{reason} of an index document"))
            }
            verdict => verdict,
        };
        Ok((verdict, gone.len() as u64))
    }

    /// The same for a document that was done before a checkpoint: what is written of it is not in the log.
    pub(super) fn pass_over(
        &mut self,
        attempt: &Attempt,
        id: &str,
        units: Range<u32>,
    ) -> Result<(), TaskError> {
        if self.clusters.is_none() {
            return Ok(());
        }
        for unit in units {
            if let Some((_, note)) = self.list.entry(unit)? {
                let finding = decode(note)?;
                let kept = finding.stays || self.barrier.report.annotate;
                write(attempt, self.clusters.as_mut(), id, &finding, kept)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, files: &mut BTreeMap<FileRole, Vec<FileEntry>>) -> Result<(), TaskError> {
        let written = self.clusters.map_or_else(|| Ok(Vec::new()), DataFiles::finish)?;
        if !written.is_empty() {
            files.insert(FileRole::Clusters, written);
        }
        Ok(())
    }
}

fn decode(note: &[u8]) -> Result<Finding<'_>, TaskError> {
    Finding::decode(note).ok_or_else(|| TaskError::fatal("an entry of the drop list does not decode"))
}

/// Writes into a document what the recipe wants it to say.
fn tell(report: Report, finding: &Finding, survives: bool, doc: &mut Document) {
    let text = |id: &[u8]| Value::from(String::from_utf8_lossy(id));
    if report.annotate {
        doc.fields.set("duplicate_of", if survives { Value::Null } else { text(finding.survivor) });
    }
    if report.count && survives {
        doc.fields.set("duplicates", finding.size - 1);
    }
    if report.listed > 0 && survives {
        doc.fields.set("duplicate_ids", ids(finding.others).map(text).collect::<Vec<_>>());
    }
}

/// Writes what the dataset tells of a document.
fn write(
    attempt: &Attempt,
    clusters: Option<&mut DataFiles>,
    id: &str,
    finding: &Finding,
    kept: bool,
) -> Result<(), TaskError> {
    let Some(clusters) = clusters else { return Ok(()) };
    let survivor = String::from_utf8_lossy(finding.survivor);
    let row = Row { id, survivor, similarity: finding.similarity, size: finding.size, kept };
    clusters.write_row(attempt, &serde_json::to_string(&row).map_err(std::io::Error::from)?)
}
