//! The records of a stage, a thousand to an object, for whoever needs all of them.
//!
//! A page is written when all its tasks are done, by whichever coordinator sees it first; what it says is determined
//! by the records, so all would write the same. With pages, resuming a stage of ten million tasks lists ten thousand
//! names, and a task that builds on a whole stage reads as many objects.

use crate::{FileRole, Job, JobError, TaskRecord};
use gristmill_storage::Created;
use std::collections::BTreeSet;

/// Tasks of a page. Task numbers have eight digits in keys, so a page is what shares the first five.
pub const PAGE_TASKS: u64 = 1000;

/// How many pages `tasks` fill.
#[must_use]
pub fn pages(tasks: u64) -> u64 {
    tasks.div_ceil(PAGE_TASKS)
}

/// The tasks of a page.
#[must_use]
pub fn tasks_of_page(page: u64, tasks: u64) -> std::ops::Range<u64> {
    page * PAGE_TASKS..tasks.min((page + 1) * PAGE_TASKS)
}

impl Job {
    /// Writes a page of records, in the order of their tasks.
    pub async fn write_page(
        &self,
        stage: usize,
        page: u64,
        records: &[TaskRecord],
    ) -> Result<Created, JobError> {
        let mut lines = Vec::new();
        for record in records {
            // Our own type, all keys strings: this cannot fail.
            let _ = serde_json::to_writer(&mut lines, record);
            lines.push(b'\n');
        }
        let path = page_path(stage, page);
        let packed = zstd::encode_all(&lines[..], 3).map_err(|e| self.unreadable(&path, &e.to_string()))?;
        self.create_raw(&path, packed.into()).await
    }

    /// The records of a page whose tasks are all done; none if it was not written.
    pub async fn page(&self, stage: usize, page: u64) -> Result<Option<Vec<TaskRecord>>, JobError> {
        let path = page_path(stage, page);
        let Some(packed) = self.read_raw(&path).await? else { return Ok(None) };
        let lines = zstd::decode_all(&packed[..]).map_err(|e| self.unreadable(&path, &e.to_string()))?;
        let records = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let records: Result<Vec<TaskRecord>, _> = records.map(serde_json::from_slice).collect();
        records.map(Some).map_err(|e| self.unreadable(&path, &e.to_string()))
    }

    /// The records of a page of a stage that is committed.
    pub async fn must_page(&self, stage: usize, page: u64) -> Result<Vec<TaskRecord>, JobError> {
        match self.page(stage, page).await? {
            Some(records) => Ok(records),
            None => Err(self.missing(&page_path(stage, page))),
        }
    }

    /// The pages of a stage that are written.
    pub async fn written_pages(&self, stage: usize) -> Result<BTreeSet<u64>, JobError> {
        let prefix = format!("pages/{stage}/");
        let number = |path: String| path.strip_prefix(&prefix)?.strip_suffix(".jsonl.zst")?.parse().ok();
        Ok(self.paths(&prefix).await?.into_iter().filter_map(number).collect())
    }

    /// The tasks of a page that are done, ascending.
    pub async fn done_tasks(&self, stage: usize, page: u64) -> Result<Vec<u64>, JobError> {
        let folder = format!("tasks/{stage}/");
        let number = |path: String| path.strip_prefix(&folder)?.strip_suffix(".json")?.parse().ok();
        let mut done: Vec<u64> =
            self.paths(&format!("{folder}{page:05}")).await?.into_iter().filter_map(number).collect();
        done.sort_unstable();
        Ok(done)
    }

    /// Deletes what attempts that lost left among the files of a page of tasks. `records` are all records of the page.
    /// Gives the number of files.
    pub async fn collect_orphans(
        &self,
        stage: usize,
        page: u64,
        records: &[TaskRecord],
    ) -> Result<usize, JobError> {
        let listed: BTreeSet<&str> =
            records.iter().flat_map(|r| r.files.values().flatten()).map(|file| file.path.as_str()).collect();
        let mut orphans = self.paths(&format!("data/{stage}/{page:05}")).await?;
        if records.iter().any(|record| record.files.contains_key(&FileRole::Clusters)) {
            orphans.extend(self.paths(&format!("clusters/{stage}/{page:05}")).await?);
        }
        orphans.retain(|path| !listed.contains(path.as_str()));
        let keys: Vec<String> = orphans.iter().map(|path| self.key(path)).collect();
        for keys in keys.chunks(1000) {
            self.store().delete(keys).await?;
        }
        Ok(orphans.len())
    }
}

fn page_path(stage: usize, page: u64) -> String {
    format!("pages/{stage}/{page:06}.jsonl.zst")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileEntry, FileRole};
    use gristmill_storage::{Settings, Stores};

    fn record(task: u64, attempt: &str) -> TaskRecord {
        let path = format!("{}/keys", Job::attempt_path(0, task, attempt));
        let file = FileEntry { path, rows: 1, bytes: 1, sha256: String::new() };
        TaskRecord {
            stage: 0,
            task,
            attempt: attempt.to_owned(),
            files: [(FileRole::Keys, vec![file])].into(),
            ..TaskRecord::default()
        }
    }

    #[tokio::test]
    async fn pages_come_back_and_only_orphans_go() {
        let stores = Stores::new(Settings::default());
        let job = Job::open(&stores, &"memory://pages/ws".parse().expect("URI"), "j").expect("job");
        let records: Vec<TaskRecord> = (1000..1003).map(|task| record(task, "won")).collect();
        for record in &records {
            job.commit(record).await.expect("commits");
        }
        job.commit(&record(7, "won")).await.expect("commits");
        assert_eq!(job.done_tasks(0, 1).await.expect("lists"), [1000, 1001, 1002]);
        assert_eq!(job.done_tasks(0, 0).await.expect("lists"), [7]);
        assert_eq!(job.page(0, 1).await.expect("asks"), None);
        job.write_page(0, 1, &records).await.expect("writes");
        assert_eq!(job.written_pages(0).await.expect("lists"), BTreeSet::from([1]));
        assert_eq!(job.must_page(0, 1).await.expect("reads"), records);

        for path in ["00001001/won/keys", "00001001/lost/keys", "00000007/lost/keys"] {
            let key = job.key(&format!("data/0/{path}"));
            job.store().put(&key, "x".into()).await.expect("puts");
        }
        assert_eq!(job.collect_orphans(0, 1, &records).await.expect("collects"), 1);
        let left = job.paths("data/").await.expect("lists");
        assert_eq!(left, ["data/0/00000007/lost/keys", "data/0/00001001/won/keys"]);
    }
}
