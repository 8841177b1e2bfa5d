//! The parts of the input that the tasks of the first stage read.
//!
//! `WORKSPACE/jobs/JOB/inputs/000000.json` holds those of [`PAGE`] tasks.

use crate::{Job, JobError, Plan, Slice};
use gristmill_storage::Created;

/// Tasks whose inputs one page holds.
pub const PAGE: usize = 64;

impl Job {
    /// Writes the plan and the parts of the input. The plan comes last: once it is there the job is whole.
    pub async fn submit(&self, plan: &Plan, inputs: &[Vec<Slice>]) -> Result<Created, JobError> {
        for (page, inputs) in inputs.chunks(PAGE).enumerate() {
            self.create(&format!("inputs/{page:06}.json"), &inputs).await?;
        }
        self.create("plan.json", plan).await
    }

    /// The part of the input that one task of the first stage reads.
    pub async fn inputs(&self, task: u64) -> Result<Vec<Slice>, JobError> {
        let (page, place) = (task / PAGE as u64, (task % PAGE as u64) as usize);
        let path = format!("inputs/{page:06}.json");
        let mut inputs: Vec<Vec<Slice>> = self.must_read(&path).await?;
        if place < inputs.len() {
            return Ok(inputs.swap_remove(place));
        }
        let why = format!("it holds no task {task}");
        Err(JobError::Unreadable { uri: self.store().uri(&self.key(&path)), why })
    }
}
