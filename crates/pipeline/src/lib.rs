//! What happens to a document: documents, verdicts, steps, recipes, stages.
//!
//! A [`Recipe`] is the YAML a user writes: one list of steps, read from top to bottom. A [`Document`] meets the
//! steps one after another; each answers with a [`Verdict`]. Most steps are maps (they look at one document);
//! a barrier needs the whole corpus, and [`stage`] cuts the recipe there, so that everything between two
//! barriers is one pass over the data.
//!
//! Synchronous and without I/O: models and lists arrive as bytes ([`Resources`]), documents as values. What is
//! wrong with a document is a verdict, never an error; what is wrong with a recipe is a [`recipe::RecipeError`]
//! that names the line.

pub mod chain;
pub mod dclm;
mod document;
mod index;
pub mod recipe;
pub mod resources;
pub mod selection;
pub mod stage;
pub mod step;
pub mod steps;
mod tally;
mod verdict;

pub use chain::{Chain, Ended, Load};
pub use document::{Body, Document, Field, Fields};
pub use gristmill_filters::Text;
pub use index::IndexUse;
pub use recipe::Recipe;
pub use resources::Resources;
pub use selection::Selection;
pub use step::{Barrier, BuildError, Built, MapStep, Signer, Step, StepDef};
pub use tally::Tally;
pub use verdict::{Reason, Verdict};
