//! Size and version of what no listing told.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Found, InputError};
use crate::store::list;
use crate::stores::Stores;
use crate::uri::Uri;

/// Objects asked about at once.
const ASKED_AT_ONCE: usize = 32;
/// From so many files of one folder on, the folder is listed instead of each being asked about.
const LIST_FROM: usize = 16;
/// Objects of a folder that may be listed for each one that is asked about; in a folder of more, the rest are asked about
/// one by one.
const LISTED_FOR_ONE: usize = 1000;

/// Finds out size and version of everything that no listing told.
pub(super) async fn measure(stores: &Stores, found: &mut [Found]) -> Result<(), InputError> {
    // Many files of one folder, as Common Crawl's lists have them, are cheaper listed than asked about one by one.
    let mut folders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, one) in found.iter().enumerate() {
        if one.meta.is_none() && !matches!(one.uri, Uri::Http { .. }) {
            let text = one.uri.to_string();
            let folder = text.rfind('/').map_or("", |slash| &text[..slash]);
            folders.entry(folder.to_owned()).or_default().push(i);
        }
    }
    for (folder, members) in folders {
        if members.len() < LIST_FROM || folder.is_empty() {
            continue;
        }
        let (store, key) = stores.open(&folder.parse()?)?;
        let prefix = if key.is_empty() { String::new() } else { format!("{}/", key.trim_end_matches('/')) };
        let most = members.len().saturating_mul(LISTED_FOR_ONE);
        let mut wanted: BTreeMap<String, usize> =
            members.into_iter().map(|i| (found[i].uri.file_name().to_owned(), i)).collect();
        let mut entries = list(store, &prefix, None).take(most);
        while let Some(entry) = entries.try_next().await? {
            let name = entry.key.get(prefix.len()..).unwrap_or_default();
            if let Some(i) = wanted.remove(name) {
                found[i].meta = Some(entry.meta);
                if wanted.is_empty() {
                    break;
                }
            }
        }
    }
    let unknown: Vec<(usize, Uri)> = found
        .iter()
        .enumerate()
        .filter(|(_, one)| one.meta.is_none())
        .map(|(i, one)| (i, one.uri.clone()))
        .collect();
    let mut answers = stream::iter(unknown)
        .map(|(i, uri)| async move {
            let (store, key) = stores.open(&uri)?;
            let meta = store.stat(&key).await?;
            Ok::<_, InputError>((i, meta))
        })
        .buffered(ASKED_AT_ONCE);
    while let Some((i, meta)) = answers.try_next().await? {
        found[i].meta = Some(meta);
    }
    Ok(())
}
