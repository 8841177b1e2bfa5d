//! `gristmill verify OUTPUT`: checks a dataset against its manifest.

use crate::dataset;
use crate::failure::{Failure, Outcome};
use crate::request::{parse_uri, runtime, stores};
use anyhow::anyhow;
use gristmill_job::{FileEntry, Manifest};
use gristmill_storage::{Format, Open, Source, StoreSource, Stores, Uri, open};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The output of a run: a folder or an s3:// prefix
    output: String,
}

pub(crate) fn run(args: Args) -> Outcome {
    let output = parse_uri(&args.output)?;
    let stores = stores();
    let runtime = runtime()?;
    let manifest =
        dataset::manifest(&stores, runtime.handle(), &output).map_err(Failure::Request)?.ok_or_else(
            || Failure::Request(anyhow!("{output} has no manifest.json; name the output of a run")),
        )?;
    let files = dataset::data_files(&stores, runtime.handle(), &output, &manifest).map_err(Failure::Job)?;
    let clusters =
        dataset::cluster_files(&stores, runtime.handle(), &output, &manifest).map_err(Failure::Job)?;
    let mut wrong = accounting(&manifest, &files);
    let mut expected = BTreeSet::new();
    for file in files.iter().chain(&clusters) {
        expected.insert(file.path.clone());
        match check_file(&stores, runtime.handle(), &output, file) {
            Ok(None) => {}
            Ok(Some(difference)) => wrong.push(format!("{}: {difference}", file.path)),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    for folder in [manifest.layout().folder(), "clusters"] {
        let strangers = strangers(&stores, &output, folder, &expected);
        wrong.extend(runtime.block_on(strangers).map_err(Failure::Job)?);
    }
    if wrong.is_empty() {
        eprintln!(
            "{} files and {} documents are as the manifest says",
            files.len() + clusters.len(),
            manifest.documents.kept
        );
        return Ok(());
    }
    Err(Failure::Job(anyhow!("the dataset is not what its manifest says:\n{}", wrong.join("\n"))))
}

/// in = kept + dropped + broken, and kept = rows.
fn accounting(manifest: &Manifest, files: &[FileEntry]) -> Vec<String> {
    let documents = &manifest.documents;
    let (dropped, broken): (u64, u64) = (documents.dropped.values().sum(), documents.broken.values().sum());
    let rows: u64 = files.iter().map(|f| f.rows).sum();
    let mut wrong = Vec::new();
    if documents.seen + documents.made != documents.kept + dropped + broken {
        wrong.push(format!(
            "{} documents in, but {} kept + {dropped} dropped + {broken} broken",
            documents.seen, documents.kept
        ));
    }
    if rows != documents.kept {
        wrong.push(format!("{} documents kept, but {rows} rows in the files", documents.kept));
    }
    wrong
}

fn check_file(
    stores: &Stores,
    handle: &tokio::runtime::Handle,
    output: &Uri,
    file: &FileEntry,
) -> anyhow::Result<Option<String>> {
    let (store, key) = stores.open(&output.join(&file.path)?)?;
    let size = handle.block_on(store.stat(&key))?.size;
    if size != file.bytes {
        return Ok(Some(format!("{size} bytes, not {}", file.bytes)));
    }
    let source = Arc::new(StoreSource::new(handle.clone(), store, &key, size));
    let mut hash = Sha256::new();
    let mut reader = source.reader(0..size)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    let sha256 = hex::encode(hash.finalize());
    if sha256 != file.sha256 {
        return Ok(Some(format!("sha256 {sha256}, not {}", file.sha256)));
    }
    let (format, _) = Format::of_name(&file.path);
    let Some(format) = format else { return Ok(Some("of no known format".to_owned())) };
    let mut records = open(source, &Open::whole(&file.path, format))?;
    let mut rows = 0;
    while let Some(item) = records.next()? {
        match item {
            gristmill_storage::Item::Json { .. } => rows += 1,
            other => return Ok(Some(format!("at {}: not a row: {other:?}", other.at()))),
        }
    }
    Ok((rows != file.rows).then(|| format!("{rows} rows, not {}", file.rows)))
}

/// Files that lie beside the dataset and are not in the manifest: readers that trust a listing would read them.
async fn strangers(
    stores: &Stores,
    output: &Uri,
    folder: &str,
    expected: &BTreeSet<String>,
) -> anyhow::Result<Vec<String>> {
    let (store, prefix) = stores.open(&output.join(&format!("{folder}/"))?)?;
    let prefix = format!("{}/", prefix.trim_end_matches('/'));
    let mut wrong = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list_page(&prefix, after.as_deref(), 1000).await?;
        for entry in &page.entries {
            let name = format!("{folder}/{}", entry.key.strip_prefix(&prefix).unwrap_or(&entry.key));
            if !expected.contains(&name) {
                wrong.push(format!("{name}: not in the manifest"));
            }
        }
        match page.entries.last() {
            Some(last) if page.more => after = Some(last.key.clone()),
            _ => return Ok(wrong),
        }
    }
}
