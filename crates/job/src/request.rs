//! A job as it was asked for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `WORKSPACE/requests/JOB.json`: its creation is the submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    pub job: String,
    /// The version of the program that took it.
    pub version: String,
    /// The recipe with all overrides applied.
    pub recipe: Value,
    #[serde(default)]
    pub priority: Urgency,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub submitted_ms: u64,
    /// The name of the token that it came with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub submitted_by: String,
}

/// Which jobs go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    High,
    #[default]
    Normal,
    Low,
}
