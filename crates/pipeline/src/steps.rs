//! The one list of steps.
//!
//! To add a step, write `steps/<name>.rs` and add its line here. Order is that of the reference.

use crate::step::StepDef;

macro_rules! steps {
    ($($module:ident :: $step:ident),* $(,)?) => {
        $(pub mod $module;)*
        /// Every step, in the order of the reference.
        pub const ALL: &[StepDef] = &[$(StepDef::of::<$module::$step>()),*];
    };
}

steps! {
    // Metadata
    move_url_modifier::MoveUrlModifier,
    // Global deduplication
    exact_dedup::ExactDedup,
    minhash_dedup::MinhashDedup,
}

/// The step of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static StepDef> {
    ALL.iter().find(|def| def.name == name)
}

/// The parameters of steps that have none.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

#[cfg(test)]
pub(crate) mod check;

#[cfg(test)]
mod tests;
