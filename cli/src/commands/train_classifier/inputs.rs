//! The files that examples are drawn from: what a recipe's input may be, and the output of a run, by its manifest.

use super::Work;
use crate::dataset;
use crate::failure::Failure;
use anyhow::anyhow;
use gristmill_storage::{Format, Lister, Listing, Pattern, Uri};

pub(super) fn list(work: &Work, inputs: &[String]) -> Result<Listing, Failure> {
    let mut patterns = Vec::new();
    for input in inputs {
        match output_of_a_run(work, input)? {
            Some(files) => patterns.extend(files.iter().map(|file| file.as_str().into())),
            None => patterns.push(Pattern::from(input.as_str())),
        }
    }
    let lister = Lister::new(work.stores).scratch(work.scratch);
    work.handle.block_on(lister.list(&patterns)).map_err(Failure::request)
}

/// The data files of a dataset, if `input` is one. What else lies below its folder is none of it.
fn output_of_a_run(work: &Work, input: &str) -> Result<Option<Vec<String>>, Failure> {
    let may_be_folder = !input.contains(['*', '?', '{', '[']) && Format::of_name(input).0.is_none();
    let Ok(uri) = input.parse::<Uri>() else { return Ok(None) };
    if !may_be_folder || matches!(uri, Uri::Http { .. }) {
        return Ok(None);
    }
    let Some(manifest) = dataset::manifest(work.stores, work.handle, &uri).map_err(Failure::Request)? else {
        return Ok(None);
    };
    let files = dataset::data_files(work.stores, work.handle, &uri, &manifest).map_err(Failure::Request)?;
    if files.is_empty() {
        return Err(Failure::Request(anyhow!("{input}: the dataset there is empty")));
    }
    let files = files.iter().map(|file| Ok(uri.join(&file.path).map_err(Failure::request)?.to_string()));
    files.collect::<Result<Vec<_>, Failure>>().map(Some)
}
