//! From the documents that meet to the documents that go: joins pairs into components, chooses the survivor of each by its rank,
//! and writes one drop list over all shards, with what there is to tell of those that were joined.

use super::guard::{Held, NAMED};
use super::known::{self, KnownIds};
use super::signed::RanksOf;
use super::{Attempt, guard, keep};
use crate::ranged::RangedReader;
use crate::{TaskError, files};
use gristmill_dedup::edges::Edges;
use gristmill_dedup::finding::{Finding, ids, push_id};
use gristmill_dedup::sort::{Noted, Sorted, Sorter};
use gristmill_dedup::stream::{Firsts, Merge, Stream};
use gristmill_dedup::survivor::{self, Chosen, Limits};
use gristmill_dedup::{Error, components, droplist};
use gristmill_job::{FileEntry, FileRole, HeldComponent, Joined, TaskRecord};
use gristmill_pipeline::Barrier;
use gristmill_pipeline::step::{Signer, Similarity, SourceGuard};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

pub(super) fn run(attempt: &Attempt, step: usize) -> Result<TaskRecord, TaskError> {
    let barrier = attempt.barrier(step)?;
    let path = attempt.path("drops");
    let mut out = attempt.create_hashed(&path);
    // Documents of an index stay.
    let (first, shards) = (attempt.known_shards(), attempt.shards()?);
    let mut drops = droplist::Writer::new(&mut out, first, shards, barrier.report.is_any());
    let joined = match &barrier.signer {
        Signer::Exact(_) => {
            let files = left(attempt, FileRole::Edges)?;
            if barrier.report.is_any() {
                // Joined they are, but not counted; their ranks are the notes. The notes of an index are the ranks that the job
                // that wrote them gave, whose step may have ranked by other things: who its documents are is asked of the index.
                let labels = open_edges(attempt, &files, Edges::open_noted)?;
                let mut ids = KnownIds::of(attempt);
                let (_, rows) = choose(attempt, labels, &barrier, |node, rank, out| {
                    let rank = if attempt.is_known(node) { ids.id(node)?.as_bytes() } else { rank };
                    push_rank(attempt, node, rank, out);
                    Ok(())
                })?;
                write(attempt, &barrier, (None, None), rows, &mut drops)?;
            } else {
                write_all(attempt, &mut open_edges(attempt, &files, Edges::open)?, &mut drops)?;
            }
            None
        }
        Signer::Fuzzy(fuzzy) => {
            let (chosen, rows) = join(attempt, &barrier)?;
            let held = write(attempt, &barrier, (fuzzy.guard, fuzzy.verify), rows, &mut drops)?;
            Some(Box::new(joined(step, &barrier.signer, &chosen, held)))
        }
    };
    let summary = drops.finish()?;
    let file = files::finish(out, path, summary.entries)?;
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Drops, vec![file])]), joined, ..attempt.record() })
}

/// The files that the stage before left.
pub(super) fn left(attempt: &Attempt, role: FileRole) -> Result<Vec<FileEntry>, TaskError> {
    let mut files = Vec::new();
    for record in attempt.records(attempt.stage - 1) {
        let mut record = record?;
        let of_role = record.files.remove(&role);
        let none = || TaskError::fatal(format!("task {} of the stage before left no {role:?}", record.task));
        files.extend(of_role.ok_or_else(none)?);
    }
    Ok(files)
}

pub(super) fn open_edges(
    attempt: &Attempt,
    files: &[FileEntry],
    open: impl Fn(&str, RangedReader, u64) -> Result<Edges<RangedReader>, Error>,
) -> Result<Merge<Edges<RangedReader>>, TaskError> {
    let open = |file: &FileEntry| {
        let located = attempt.locate(file.clone());
        let reader = RangedReader::new(&attempt.handle, &located, 0..file.bytes, files.len());
        Ok(open(&file.path, reader, file.bytes)?)
    };
    Ok(Merge::new(files.iter().map(open).collect::<Result<_, TaskError>>()?))
}

/// Pairs (document to drop, survivor) that come in order.
pub(super) fn write_all<S: Stream<Key = u64>>(
    attempt: &Attempt,
    rows: &mut S,
    drops: &mut droplist::Writer<impl Write>,
) -> Result<(), TaskError> {
    while let Some((dropped, survivor)) = rows.row() {
        attempt.check_stopped()?;
        drops.push(dropped, survivor, &[])?;
        rows.advance()?;
    }
    Ok(())
}

/// Rows (document, survivor) in the order of documents: those to drop; where there is something to tell, all that were joined,
/// with a [`Finding`] each.
type Rows = Sorted<u64, Noted, File>;

/// What was chosen, and what of it has to do with an index.
struct Choice {
    chosen: Chosen,
    /// Documents to drop that were joined with one of the index.
    of_index: u64,
    /// Documents of the index that were joined with an older one, and stay.
    bridged: u64,
}

/// Joins pairs into components and chooses their survivors.
fn join(attempt: &Attempt, barrier: &Barrier) -> Result<(Choice, Rows), TaskError> {
    let files = left(attempt, FileRole::Edges)?;
    if attempt.known_shards() == 0 {
        let count = files.iter().map(|file| file.rows).sum();
        return join_edges(attempt, barrier, count, || open_edges(attempt, &files, Edges::open));
    }
    let mut settled = known::settle(attempt, &mut open_edges(attempt, &files, Edges::open)?)?;
    join_edges(attempt, barrier, settled.count, || settled.open())
}

fn join_edges<S: Stream<Key = u64>>(
    attempt: &Attempt,
    barrier: &Barrier,
    count: u64,
    mut open: impl FnMut() -> Result<S, TaskError>,
) -> Result<(Choice, Rows), TaskError> {
    let memory = attempt.memory() / 5 * 4;
    // What does not fit is joined by rounds on the scratch disk, with the same answer.
    if components::memory_needed(count) <= memory {
        let mut failed = None;
        let labels = components::in_memory(count, || open().map_err(|error| keep(&mut failed, error)));
        let labels = labels.map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
        return choose_by_rank(attempt, labels, barrier);
    }
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let mut edges = open()?;
    let (labels, rounds) = components::by_rounds(&mut edges, memory, attempt.scratch())?;
    tracing::debug!(rounds, edges = count, "found components on disk");
    drop(edges);
    choose_by_rank(attempt, labels, barrier)
}

/// Chooses by the ranks that the pass before wrote beside its documents, and by who those of an index are.
fn choose_by_rank<L: Stream<Key = u64>>(
    attempt: &Attempt,
    labels: L,
    barrier: &Barrier,
) -> Result<(Choice, Rows), TaskError> {
    let (mut ranks, mut ids) = (RanksOf::new(attempt, FileRole::Ranks), KnownIds::of(attempt));
    choose(attempt, labels, barrier, |node, _, out| {
        if attempt.is_known(node) {
            push_rank(attempt, node, ids.id(node)?.as_bytes(), out);
        } else {
            push_rank(attempt, node, ranks.at(node)?, out);
        }
        Ok(())
    })
}

/// Documents of an index come first, by generation and record id.
const KNOWN: u8 = 0;
/// Then all others, by what the recipe says.
const OWN: u8 = 1;

fn push_rank(attempt: &Attempt, node: u64, rank: &[u8], out: &mut Vec<u8>) {
    if attempt.is_known(node) {
        out.push(KNOWN);
        out.extend_from_slice(&attempt.age(node).to_be_bytes());
    } else {
        out.push(OWN);
    }
    out.extend_from_slice(rank);
}

/// The record id in such a rank.
fn id<'r>(signer: &Signer, rank: &'r [u8]) -> &'r [u8] {
    match (rank.split_first(), signer) {
        (Some((&KNOWN, rest)), _) => rest.get(8..).unwrap_or_default(),
        (Some((_, rest)), _) => signer.id(rest),
        (None, _) => rank,
    }
}

fn choose<L: Stream<Key = u64>>(
    attempt: &Attempt,
    labels: L,
    barrier: &Barrier,
    mut rank: impl FnMut(u64, &[u8], &mut Vec<u8>) -> Result<(), TaskError>,
) -> Result<(Choice, Rows), TaskError> {
    let (mut failed, mut of_index, mut bridged) = (None, 0, 0);
    let report = barrier.report;
    let mut rows = Sorter::<u64, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let (mut note, mut others) = (Vec::new(), Vec::new());
    let chosen = survivor::choose(
        labels,
        |node, note, out| rank(node, note, out).map_err(|error| keep(&mut failed, error)),
        Limits {
            memory_bytes: attempt.sort_memory(),
            max_component: barrier.max_component,
            listed: report.listed,
            named: NAMED,
        },
        attempt.scratch(),
        |member| {
            let stays = member.node == member.survivor;
            if attempt.is_known(member.node) {
                bridged += u64::from(!stays);
                return Ok(());
            }
            of_index += u64::from(attempt.is_known(member.survivor));
            note.clear();
            if report.is_any() {
                others.clear();
                ids(member.others).for_each(|rank| push_id(&mut others, id(&barrier.signer, rank)));
                let survivor = id(&barrier.signer, member.rank);
                let finding =
                    Finding { stays, size: member.size, similarity: None, survivor, others: &others };
                finding.encode(&mut note);
            } else if stays {
                return Ok(());
            }
            rows.push(member.node, member.survivor, &note)
        },
    );
    let chosen = chosen.map_err(|error| failed.unwrap_or_else(|| error.into()))?;
    if chosen.held_components > 0 {
        tracing::warn!(
            "{} components of {} documents are larger than max_component and were left alone; the largest has {}",
            chosen.held_components,
            chosen.held_documents,
            chosen.largest
        );
    }
    Ok((Choice { chosen, of_index, bridged }, rows.finish()?))
}

/// Writes the drop list, but for documents of sources that are held back.
fn write(
    attempt: &Attempt,
    barrier: &Barrier,
    (guard, verify): (Option<SourceGuard>, Option<Similarity>),
    mut rows: Rows,
    drops: &mut droplist::Writer<impl Write>,
) -> Result<Held, TaskError> {
    let (mut held, mut judge) = (Held::default(), None);
    if let Some(guard) = guard {
        let (found, judged) = guard::judge(attempt, guard, &mut rows)?;
        if found.sources > 0 {
            tracing::warn!(
                "{} sources would have lost more than max_drop_share_per_source allows and keep all their documents",
                found.sources
            );
        }
        (held, judge) = (found, Some(judged));
        rows = rows.again()?;
    }
    let tells = barrier.report.is_any();
    let similarities =
        if tells && verify.is_some() { left(attempt, FileRole::Similarities)? } else { Vec::new() };
    let mut similarities = Firsts::of(open_edges(attempt, &similarities, Edges::open)?);
    let mut note = Vec::new();
    while let Some((node, survivor)) = rows.row() {
        attempt.check_stopped()?;
        let is_held = node != survivor
            && match &mut judge {
                Some(judge) => judge.holds(node)?,
                None => false,
            };
        held.of_index += u64::from(is_held && attempt.is_known(survivor));
        if tells {
            while similarities.row().is_some_and(|row| row.0 < node) {
                similarities.advance()?;
            }
            let similarity = similarities.row().filter(|row| row.0 == node);
            let similarity = similarity.map(|(_, place)| f64::from_bits(u64::MAX - place));
            let finding = Finding::decode(rows.note());
            let finding = finding.ok_or_else(|| TaskError::fatal("what was sorted does not decode"))?;
            note.clear();
            Finding { stays: finding.stays || is_held, similarity, ..finding }.encode(&mut note);
        }
        if tells || !is_held {
            drops.push(node, survivor, &note)?;
        }
        rows.advance()?;
    }
    Ok(held)
}

fn joined(step: usize, signer: &Signer, choice: &Choice, held: Held) -> Joined {
    let chosen = &choice.chosen;
    let named = chosen.held.iter().map(|(documents, rank)| HeldComponent {
        documents: *documents,
        survivor: String::from_utf8_lossy(id(signer, rank)).into_owned(),
    });
    Joined {
        step,
        components: chosen.components,
        duplicates: chosen.duplicates - choice.bridged - held.documents,
        largest: chosen.largest,
        held_components: chosen.held_components,
        held_documents: chosen.held_documents,
        components_held: named.collect(),
        held_sources: held.sources,
        sources: held.named,
        of_index: choice.of_index - held.of_index,
        bridged: choice.bridged,
    }
}
