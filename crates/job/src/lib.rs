//! A job as objects: what coordinator and workers agree on.
//!
//! Below a workspace every job is a folder of objects ([`layout`]): its plan, its tasks' records, their files. Those
//! objects are the truth; a queue can be wiped and built again from them. The plan is a pure function of recipe
//! and listing ([`plan()`]); a task is done when its record has been created, and never before.

mod attempts;
mod checkpoint;
pub mod dclm;
pub mod filters;
mod handover;
pub mod index;
mod inputs;
pub mod layout;
pub mod lifecycle;
mod log;
mod pages;
mod plan;
mod record;
mod request;
pub mod resolve;
mod workspace;

pub use attempts::{AttemptFailure, FailedTask};
pub use checkpoint::{Checkpoint, FilterState, Place, Poison};
pub use filters::FilterError;
pub use handover::{TaskNote, TaskRef, TaskTrace};
pub use index::{Generation, Index, IndexError};
pub use inputs::INPUTS_PAGE;
pub use layout::{Job, JobError};
pub use lifecycle::{JobEvent, JobState};
pub use log::{AppendError, JobLog, LogEntry};
pub use pages::{PAGE_TASKS, pages, tasks_of_page};
pub use plan::{
    Plan, PlanError, PlannedFilters, PlannedIndex, PlannedResource, PlannedStage, Slice, VERSION, job_id,
    plan, without_output_path,
};
pub use record::{
    Aggregate, Documents, FileEntry, FileRole, Filtered, HeldComponent, HeldSource, Indexed, Joined,
    Manifest, PROBLEMS_PER_TASK, Problem, Selected, SelectedGroup, SelectedShare, StageRecord, StepPassage,
    Takedown, TaskRecord,
};
pub use request::{JobRequest, Urgency};
pub use workspace::Workspace;
