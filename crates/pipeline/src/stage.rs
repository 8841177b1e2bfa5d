//! Cutting a recipe into stages: maps are fused, barriers cut.

use crate::recipe::StepSpec;
use crate::step::{Kind, Way};
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
    /// Gives every pair of documents that meet what the first of them consists of.
    Attach { barrier: usize },
    /// Compares that with what the second consists of, and leaves the pairs that are similar.
    Compare { barrier: usize },
    /// Joins what is left of the pairs and lists what goes, shard by shard.
    Components { barrier: usize },
    /// Puts one range of scores in order, and counts the documents of each group there.
    Ranks { barrier: usize },
    /// Finds the bounds of a selection's shares, group by group.
    Bounds { barrier: usize },
    /// Holds one group of documents against a Bloom filter, in their order, and says of each what goes.
    Filter { barrier: usize, groups: u32 },
    /// Finds, in one range of keys, the anchors of documents that occur more than once.
    Anchors { barrier: usize },
    /// Looks for the windows around those in the documents of one task.
    Windows { barrier: usize },
    /// Finds, in one range of keys, the windows that occurred before.
    Repeats { barrier: usize },
    /// Lists what the stage before found, shard by shard.
    List { barrier: usize },
}

/// A pass over the documents: does what the barrier before found, runs maps, and either signs for the barrier
/// after or writes the dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapStage {
    /// The barrier whose drop lists or bounds apply, by its place in the recipe.
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
            match spec.parsed.way() {
                Way::Join => {
                    stages.extend([Stage::Bucket { barrier: index }, Stage::Components { barrier: index }])
                }
                Way::VerifyAndJoin => stages.extend([
                    Stage::Bucket { barrier: index },
                    Stage::Attach { barrier: index },
                    Stage::Compare { barrier: index },
                    Stage::Components { barrier: index },
                ]),
                Way::Spans => stages.extend([
                    Stage::Anchors { barrier: index },
                    Stage::List { barrier: index },
                    Stage::Windows { barrier: index },
                    Stage::Repeats { barrier: index },
                    Stage::List { barrier: index },
                ]),
                Way::Filter { groups } => stages.push(Stage::Filter { barrier: index, groups }),
                Way::Rank => {
                    stages.extend([Stage::Ranks { barrier: index }, Stage::Bounds { barrier: index }])
                }
            }
            after = Some(index);
            start = index + 1;
        }
    }
    pass(&mut stages, after, start..steps.len(), None);
    stages
}

impl Stage {
    /// What kind of stage it is, as plans and metrics name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Map(_) => "map",
            Self::Aggregate => "aggregate",
            Self::Bucket { .. } => "bucket",
            Self::Attach { .. } => "attach",
            Self::Compare { .. } => "compare",
            Self::Components { .. } => "components",
            Self::Ranks { .. } => "ranks",
            Self::Bounds { .. } => "bounds",
            Self::Filter { .. } => "filter",
            Self::Anchors { .. } => "anchors",
            Self::Windows { .. } => "windows",
            Self::Repeats { .. } => "repeats",
            Self::List { .. } => "list",
        }
    }

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
            Self::Ranks { barrier } => format!("{} ranks", name(*barrier)),
            Self::Bounds { barrier } => format!("{} bounds", name(*barrier)),
            Self::Anchors { barrier } => format!("{} anchors", name(*barrier)),
            Self::Windows { barrier } => format!("{} windows", name(*barrier)),
            Self::Repeats { barrier } => format!("{} repeats", name(*barrier)),
            Self::List { barrier } => format!("{} lists", name(*barrier)),
            Self::Filter { barrier, .. } => format!("{} filters", name(*barrier)),
        }
    }
}
