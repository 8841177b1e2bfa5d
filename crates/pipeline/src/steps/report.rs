//! What a dedup tells of the documents that it joined: in files, and in the documents.

use crate::step::Report;
use schemars::JsonSchema;
use serde::Deserialize;

/// Record ids that a document lists at most.
pub(super) const LISTED: usize = 100;

/// What documents that stay say of those that they stay for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Duplicates {
    /// How many there are: `duplicates`.
    Count,
    /// Also their record ids, the first 100 by rank: `duplicate_ids`.
    List,
}

pub(super) fn report(clusters: bool, annotate: bool, duplicates: Option<Duplicates>) -> Report {
    let listed = if duplicates == Some(Duplicates::List) { LISTED } else { 0 };
    Report { clusters, annotate, count: duplicates.is_some(), listed }
}
