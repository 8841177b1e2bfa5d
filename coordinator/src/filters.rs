//! The Bloom filters of other jobs that a recipe begins with, and those that it leaves for others: looked at while it is planned.

use crate::prepare::PrepareError;
use gristmill_job::filters::{SavedBy, planned};
use gristmill_job::{FilterError, Plan, PlannedFilters};
use gristmill_pipeline::recipe::StepSpec;
use gristmill_pipeline::step::Bloom;
use gristmill_storage::{Stores, Uri};
use std::collections::BTreeMap;

/// The dedups by filters of a recipe.
#[derive(Default)]
pub(crate) struct Filters {
    steps: Vec<(usize, &'static str, Bloom)>,
}

impl Filters {
    /// Takes a step. Two must not save to one folder.
    pub(crate) fn add(&mut self, spec: &StepSpec, bloom: Bloom) -> Result<(), PrepareError> {
        let (place, step) = (spec.index, spec.def.name);
        let saves_to = |folder: &str| {
            let is_there = |other: &str| Uri::are_same(other, folder);
            self.steps.iter().find(|(_, _, bloom)| bloom.save.as_deref().is_some_and(is_there))
        };
        if let Some((other, _, _)) = bloom.save.as_deref().and_then(saves_to) {
            let why = format!(
                "it saves its filters to {}, as step {other} does: give each a folder of its own",
                bloom.save.as_deref().unwrap_or_default()
            );
            return Err(PrepareError::Step { place, step, why });
        }
        self.steps.push((place, step, bloom));
        Ok(())
    }

    /// What the filters are that steps begin with, for the plan.
    pub(crate) async fn planned(
        &self,
        stores: &Stores,
    ) -> Result<BTreeMap<usize, PlannedFilters>, PrepareError> {
        let mut all = BTreeMap::new();
        for (place, step, bloom) in &self.steps {
            if let Some(folder) = &bloom.load {
                let filters = planned(stores, bloom, folder).await;
                all.insert(*place, filters.map_err(|error| refused(*place, step, error))?);
            }
        }
        Ok(all)
    }

    /// Refuses a folder that holds filters of another job. Whether it is this job's is settled when the first filter is begun.
    pub(crate) async fn check_saves(&self, stores: &Stores, plan: &Plan) -> Result<(), PrepareError> {
        for (place, step, bloom) in &self.steps {
            if let Some(folder) = &bloom.save {
                let free = SavedBy::of(plan, *place).check_free(stores, folder).await;
                free.map_err(|error| refused(*place, step, error))?;
            }
        }
        Ok(())
    }
}

fn refused(place: usize, step: &'static str, error: FilterError) -> PrepareError {
    PrepareError::Filter { place, step, error }
}
