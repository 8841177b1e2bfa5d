//! `gristmill schema`

use crate::failure::{Failure, Outcome};
use std::io::Write;

pub(crate) fn run() -> Outcome {
    let schema = serde_json::to_string_pretty(&gristmill_pipeline::recipe::schema()).map_err(Failure::job)?;
    writeln!(std::io::stdout(), "{schema}").map_err(Failure::job)
}
