//! A finished dataset: which files belong to it, by its manifest.

use anyhow::Context as _;
use gristmill_job::{FileEntry, Manifest};
use gristmill_storage::{Kind, Stores, Uri};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

/// The manifest below `output`; None where there is none. Of a large dataset it names lists of files: see [`data_files`] and
/// [`cluster_files`].
pub(crate) fn manifest(stores: &Stores, handle: &Handle, output: &Uri) -> anyhow::Result<Option<Manifest>> {
    let (store, key) = stores.open(&output.join("manifest.json")?)?;
    let json = match handle.block_on(store.get(&key, None)) {
        Ok(json) => json,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot read the manifest"),
    };
    serde_json::from_slice(&json).with_context(|| format!("{} is no manifest", store.uri(&key))).map(Some)
}

/// All data files.
pub(crate) fn data_files(
    stores: &Stores,
    handle: &Handle,
    output: &Uri,
    manifest: &Manifest,
) -> anyhow::Result<Vec<FileEntry>> {
    all(stores, handle, output, &manifest.files, &manifest.file_lists)
}

/// All files of what dedups joined.
pub(crate) fn cluster_files(
    stores: &Stores,
    handle: &Handle,
    output: &Uri,
    manifest: &Manifest,
) -> anyhow::Result<Vec<FileEntry>> {
    all(stores, handle, output, &manifest.clusters, &manifest.cluster_lists)
}

fn all(
    stores: &Stores,
    handle: &Handle,
    output: &Uri,
    named: &[FileEntry],
    lists: &[FileEntry],
) -> anyhow::Result<Vec<FileEntry>> {
    let mut files = named.to_vec();
    for list in lists {
        files.extend(read_list(stores, handle, output, list)?);
    }
    Ok(files)
}

/// The files that a list names.
fn read_list(
    stores: &Stores,
    handle: &Handle,
    output: &Uri,
    list: &FileEntry,
) -> anyhow::Result<Vec<FileEntry>> {
    let (store, key) = stores.open(&output.join(&list.path)?)?;
    let bytes = handle.block_on(store.get(&key, None))?;
    anyhow::ensure!(
        hex::encode(Sha256::digest(&bytes)) == list.sha256,
        "{}: its sha256 is not {}",
        list.path,
        list.sha256
    );
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
}
