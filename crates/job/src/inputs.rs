//! The parts of the input that the tasks of the first stage read.
//!
//! `WORKSPACE/jobs/JOB/inputs/LISTING/000000.json.zst` holds those of [`INPUTS_PAGE`] tasks. `LISTING` is from the digest
//! of the listing, so what lies below one such name is the same whoever writes it, and planners that saw different
//! states of a bucket write apart. The plan is created last and only if there is none: it decides which pages are read.

use crate::plan::{Cutting, cut_input};
use crate::{Job, JobError, Plan, Slice};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use gristmill_storage::{Created, InputError, Listing};
use tokio::sync::mpsc;

/// Tasks whose inputs one page holds.
pub const INPUTS_PAGE: u64 = 256;
/// Pages being written at once.
const WRITES: usize = 16;

impl Job {
    /// Writes the parts of the input, then the plan: once it is there the job is whole. If another planner was first, its
    /// plan stays, and what was written here is deleted unless that plan reads it too.
    pub async fn submit(&self, plan: &Plan, listing: &Listing) -> Result<Created, JobError> {
        self.write_inputs(plan, listing).await?;
        let created = self.create_new("plan.json", plan).await?;
        if created == Created::Exists {
            let first: Plan = self.must_read("plan.json").await?;
            if first.inputs != plan.inputs {
                self.delete_below(&format!("{}/", plan.inputs)).await?;
            }
        }
        Ok(created)
    }

    async fn write_inputs(&self, plan: &Plan, listing: &Listing) -> Result<(), JobError> {
        let (sender, pages) = mpsc::channel(1);
        let (listing, cutting) = (listing.clone(), plan.cutting());
        // Reading a large listing back blocks. It ends when nobody takes pages any more.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = make_pages(&listing, cutting, &sender) {
                let _ = sender.blocking_send(Err(error.into()));
            }
        });
        let pages = stream::unfold(pages, |mut pages| async { Some((pages.recv().await?, pages)) });
        pages
            .enumerate()
            .map(|(number, page)| async move {
                let page: Bytes = page?;
                self.create_raw(&page_path(plan, number as u64), page).await
            })
            .buffer_unordered(WRITES)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// The parts of the input that the tasks of one page read, in the order of the tasks.
    pub async fn inputs_page(&self, plan: &Plan, page: u64) -> Result<Vec<Vec<Slice>>, JobError> {
        let path = page_path(plan, page);
        let packed = self.read_raw(&path).await?.ok_or_else(|| self.missing(&path))?;
        let json = zstd::decode_all(&packed[..]).map_err(|e| self.unreadable(&path, &e.to_string()))?;
        serde_json::from_slice(&json).map_err(|e| self.unreadable(&path, &e.to_string()))
    }
}

fn page_path(plan: &Plan, page: u64) -> String {
    format!("{}/{page:06}.json.zst", plan.inputs)
}

/// Cuts the input and sends it page by page.
fn make_pages(
    listing: &Listing,
    cutting: Cutting,
    pages: &mpsc::Sender<Result<Bytes, JobError>>,
) -> Result<(), InputError> {
    let mut tasks = cut_input(listing.inputs()?, cutting);
    loop {
        let page: Vec<Vec<Slice>> = tasks.by_ref().take(INPUTS_PAGE as usize).collect::<Result<_, _>>()?;
        if page.is_empty() {
            return Ok(());
        }
        // Our own types, all keys strings: the JSON cannot fail.
        let json = serde_json::to_vec(&page).unwrap_or_default();
        let packed = zstd::encode_all(&json[..], 1)?;
        if pages.blocking_send(Ok(packed.into())).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use gristmill_pipeline::Recipe;
    use gristmill_storage::{Compression, Format, Input, Settings, Stores};
    use std::collections::BTreeMap;

    fn listing(files: u64, tag: &str) -> Listing {
        let input = |n: u64| Input {
            uri: format!("/in/{n}.jsonl"),
            name: format!("{n}.jsonl"),
            size: 100 << 10,
            tag: tag.to_owned(),
            format: Format::Jsonl,
            compression: Compression::None,
        };
        Listing::new((0..files).map(input).collect()).expect("fits in memory")
    }

    fn planned(listing: &Listing) -> Plan {
        let recipe = Recipe::parse("name: x\nsteps: []\ntasks: {size: 64KiB}\n", &[]).expect("recipe");
        plan("j", &recipe, listing, BTreeMap::new(), BTreeMap::new(), BTreeMap::new()).expect("plans")
    }

    #[tokio::test]
    async fn the_first_plan_stays_and_the_others_leave_nothing() {
        let stores = Stores::new(Settings::default());
        let job = Job::open(&stores, &"memory://inputs/ws".parse().expect("URI"), "j").expect("job");
        let (seen, seen_later) = (listing(500, "a"), listing(300, "b"));
        let (first, late) = (planned(&seen), planned(&seen_later));
        assert_eq!(first.stages[0].tasks, 1000);
        assert_ne!(first.inputs, late.inputs);
        assert_eq!(job.submit(&first, &seen).await.expect("submits"), Created::New);
        assert_eq!(job.submit(&first, &seen).await.expect("submits again"), Created::Exists);
        assert_eq!(job.submit(&late, &seen_later).await.expect("is too late"), Created::Exists);
        assert_eq!(job.plan().await.expect("reads"), Some(first.clone()));
        let pages = job.paths("inputs/").await.expect("lists");
        assert_eq!(pages.len(), 4);
        assert!(pages.iter().all(|path| path.starts_with(&first.inputs)), "{pages:?}");

        let mut tasks = Vec::new();
        for page in 0..4 {
            tasks.extend(job.inputs_page(&first, page).await.expect("reads"));
        }
        let expected: Vec<Vec<Slice>> = cut_input(seen.inputs().expect("memory"), Cutting::Bytes(64 << 10))
            .collect::<Result<_, _>>()
            .expect("memory");
        assert_eq!(tasks, expected);
        let beyond = job.inputs_page(&first, 4).await.expect_err("there is none");
        assert!(beyond.to_string().contains("000004.json.zst: not found"), "{beyond}");
    }
}
