//! Cutting a recipe into stages: maps are fused, barriers cut.

use crate::recipe::StepSpec;
use crate::step::Kind;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// One stage of a plan: tasks that may run in any order, once the stages before are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Stage {
    /// One pass over the documents.
    Map(MapStage),
    /// Sums up what the pass before it observed.
    Aggregate,
    /// Finds, in one range of keys, the documents that share a key.
    Bucket { barrier: usize },
    /// Sends what documents consist of to where they are compared with those that share a key with them.
    Attach { barrier: usize },
    /// Compares those that met, and leaves the pairs that are similar.
    Compare { barrier: usize },
    /// Joins what is left of the pairs and lists what goes, shard by shard.
    Components { barrier: usize },
}

/// A pass over the documents: drops what the barrier before found, runs maps, and either signs for the barrier
/// after or writes the dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapStage {
    /// The barrier whose drop lists apply, by its place in the recipe.
    pub after: Option<usize>,
    /// The maps, by their places in the recipe.
    pub steps: Range<usize>,
    /// The barrier to sign for. None: the last pass.
    pub before: Option<usize>,
}

/// The stages of a list of steps.
#[must_use]
pub fn cut(steps: &[Arc<StepSpec>]) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut after = None;
    let mut start = 0;
    let pass = |stages: &mut Vec<Stage>, after, range: Range<usize>, before| {
        let observes =
            steps.get(range.clone()).unwrap_or_default().iter().any(|s| s.def.kind == Kind::Observe);
        stages.push(Stage::Map(MapStage { after, steps: range, before }));
        if observes {
            stages.push(Stage::Aggregate);
        }
    };
    for (index, spec) in steps.iter().enumerate() {
        if spec.is_barrier() {
            pass(&mut stages, after, start..index, Some(index));
            stages.push(Stage::Bucket { barrier: index });
            if spec.parsed.verifies() {
                stages.push(Stage::Attach { barrier: index });
                stages.push(Stage::Compare { barrier: index });
            }
            stages.push(Stage::Components { barrier: index });
            after = Some(index);
            start = index + 1;
        }
    }
    pass(&mut stages, after, start..steps.len(), None);
    stages
}

impl Stage {
    /// What the stage does, in a word or three, for people.
    #[must_use]
    pub fn title(&self, steps: &[Arc<StepSpec>]) -> String {
        let name = |barrier: usize| steps.get(barrier).map_or("?", |spec| spec.def.name);
        match self {
            Self::Map(map) => match map.before {
                Some(barrier) => format!("map to {}", name(barrier)),
                None => "map to output".to_owned(),
            },
            Self::Aggregate => "aggregate".to_owned(),
            Self::Bucket { barrier } => format!("{} buckets", name(*barrier)),
            Self::Attach { barrier } => format!("{} pairs", name(*barrier)),
            Self::Compare { barrier } => format!("{} verification", name(*barrier)),
            Self::Components { barrier } => format!("{} components", name(*barrier)),
        }
    }
}
