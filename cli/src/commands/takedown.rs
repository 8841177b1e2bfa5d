//! `gristmill takedown --urls FILE DATASET…`: takes documents out of datasets and indexes.

use crate::failure::{Failure, Outcome};
use crate::request::{parse_uri, runtime, stores};
use anyhow::Context as _;
use gristmill_takedown::{Dataset, List, index};
use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(long_about = "Take documents out of datasets and indexes, by their addresses or ids.\n\n\
        The list has one entry a line: an address, prefix:ADDRESS, domain:HOST or id:RECORD-ID; `#` begins a comment. Addresses are \
        compared without scheme, user, default port and fragment, the host in lower case.\n\n\
        Data files that hold such documents are written anew without them, and the manifest counts them as dropped by `takedown`. Of an index \
        a next generation is written, and those before it are taken away; documents that were dropped in favour of those taken down are \
        forgotten with them. A takedown that was killed goes on when it is asked for again.\n\n\
        Prints for each entry how many documents of the datasets and of the indexes it named.")]
pub(crate) struct Args {
    /// The list: one entry a line
    #[arg(long, value_name = "FILE")]
    urls: PathBuf,
    /// An index that the datasets' documents are in (repeatable)
    #[arg(long, value_name = "URI")]
    index: Vec<String>,
    /// The outputs of runs: folders or s3:// prefixes
    #[arg(required_unless_present = "index")]
    datasets: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let shown = args.urls.display();
    let text = std::fs::read_to_string(&args.urls).with_context(|| format!("cannot read {shown}"));
    let list = List::parse(&text.map_err(Failure::Request)?).map_err(Failure::request)?;
    let stores = stores();
    let runtime = runtime()?;
    let handle = runtime.handle();
    let (mut in_datasets, mut in_indexes) = (list.nothing(), list.nothing());
    // All are looked at before anything is written. The ids serve the indexes, so those come before the datasets are without.
    let mut ids = HashSet::new();
    let mut datasets = Vec::new();
    for text in &args.datasets {
        let dataset = Dataset::open(handle, &stores, &parse_uri(text)?).map_err(Failure::request)?;
        let named = dataset.find(&list, &mut in_datasets).map_err(Failure::job)?;
        ids.extend(named.ids.iter().cloned());
        datasets.push((text, dataset, named));
    }
    let mut known = HashSet::new();
    if datasets.iter().any(|(_, dataset, named)| dataset.tells(named)) {
        // What went as a duplicate is named there by its id, and an index knows the address.
        for text in &args.index {
            known.extend(index::ids(handle, &stores, &parse_uri(text)?, &list).map_err(Failure::job)?);
        }
    }
    let everyone: HashSet<String> = ids.union(&known).cloned().collect();
    let mut begun = Vec::new();
    for (text, dataset, named) in datasets {
        let pending = dataset.begin(&list, named, &everyone).map_err(Failure::job)?;
        begun.push((text, dataset, pending));
    }
    for text in &args.index {
        let at = parse_uri(text)?;
        let taken = index::take_down(handle, &stores, &at, &list, &everyone, &mut in_indexes)
            .map_err(Failure::job)?;
        match taken.generation {
            None => eprintln!("{text}: holds none of them"),
            Some(generation) => eprintln!(
                "{text}: generation {generation} is without {} documents, and without {} that were dropped in their favour",
                taken.documents, taken.like_them
            ),
        }
    }
    for (text, dataset, pending) in begun {
        let taken = dataset.take_down(&list, pending, &everyone).map_err(Failure::job)?;
        eprintln!("{text}: {} documents taken out of {} files", taken.documents, taken.files);
    }
    let mut out = std::io::stdout().lock();
    let counts = in_datasets.counts().iter().zip(in_indexes.counts());
    let mut not_found = 0;
    for (entry, (datasets, indexes)) in list.entries().iter().zip(counts) {
        not_found += u64::from(datasets + indexes == 0);
        writeln!(out, "{datasets}\t{indexes}\t{entry}").map_err(Failure::job)?;
    }
    eprintln!("{} entries, {not_found} of them named no document", list.entries().len());
    Ok(())
}
