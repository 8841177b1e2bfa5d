//! A finished dataset: which files belong to it, by its manifest.

use anyhow::Context as _;
use gristmill_job::{FileEntry, Manifest};
use gristmill_storage::{Kind, Stores, Uri};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

/// The manifest below `output`; None where there is none. See [`all_files`].
pub(crate) fn manifest(stores: &Stores, handle: &Handle, output: &Uri) -> anyhow::Result<Option<Manifest>> {
    let (store, key) = stores.open(&output.join("manifest.json")?)?;
    let json = match handle.block_on(store.get(&key, None)) {
        Ok(json) => json,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot read the manifest"),
    };
    serde_json::from_slice(&json).with_context(|| format!("{} is no manifest", store.uri(&key))).map(Some)
}

/// Puts all data files into the manifest's `files`, and those of what dedups joined into `clusters`: where they are many, it names
/// lists of them.
pub(crate) fn all_files(
    stores: &Stores,
    handle: &Handle,
    output: &Uri,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    for list in std::mem::take(&mut manifest.file_lists) {
        manifest.files.extend(read_list(stores, handle, output, &list)?);
    }
    for list in std::mem::take(&mut manifest.cluster_lists) {
        manifest.clusters.extend(read_list(stores, handle, output, &list)?);
    }
    Ok(())
}

/// The files that a list of a large dataset names.
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
