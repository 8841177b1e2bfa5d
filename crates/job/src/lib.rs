//! A job as objects: what coordinator and workers agree on.
//!
//! Below a workspace every job is a folder of objects ([`layout`]): its plan, its tasks' records, their files. Those
//! objects are the truth; a queue can be wiped and built again from them. The plan is a pure function of recipe
//! and listing ([`plan()`]); a task is done when its record has been created, and never before.

pub mod layout;
mod plan;
mod record;
pub mod resolve;

pub use layout::{Job, JobError};
pub use plan::{Plan, PlannedResource, PlannedStage, Slice, VERSION, plan, without_output_path};
pub use record::{
    Documents, FileEntry, FileRole, Manifest, PROBLEMS_PER_TASK, Problem, StageRecord, StepPassage,
    TaskRecord,
};
