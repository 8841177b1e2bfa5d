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
        let save = bloom.save.as_deref().map(folder);
        let same =
            |other: &&(usize, &str, Bloom)| save.is_some() && other.2.save.as_deref().map(folder) == save;
        if let Some((other, _, _)) = self.steps.iter().find(same) {
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

/// A folder, however it is spelled.
fn folder(uri: &str) -> String {
    let parsed = uri.parse::<Uri>().map_or_else(|_| uri.to_owned(), |uri| uri.to_string());
    parsed.trim_end_matches('/').to_owned()
}
